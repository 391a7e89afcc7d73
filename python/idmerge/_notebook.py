"""HTML of tables and resolvers for a notebook, without a style of its own."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from idmerge._formatting import counted, cut, printable
from idmerge._html import cell, row, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROWS = 10
"""Rows of a table that are shown."""


def shown_table(types: Mapping[str, str], rows: Iterable[Iterable[Any]], total: int, title: str = "") -> str:
    """Return the first of ``rows`` under the names and types of their columns.

    ``total`` is the number of all rows.
    """
    shown = [[_text(value) for value in values] for values in islice(rows, ROWS)]
    return "\n".join(_lines(types, shown, total, title))


def shown_facts(title: str, facts: Mapping[str, object]) -> str:
    """Return a title, and a row for each fact."""
    rows = (row([cell("th", name), cell("td", _text(value))]) for name, value in facts.items())
    return "\n".join([f"<p><b>{escape(title)}</b></p>", *table(rows)])


def _lines(types: Mapping[str, str], rows: list[list[str]], total: int, title: str) -> Iterator[str]:
    size = f"{counted(total, 'row')}, {counted(len(types), 'column')}"
    yield f"<p><b>{escape(title)}</b></p>" if title else f"<p>{size}</p>"
    names = row(cell("th", _text(name)) for name in types)
    kinds = row(cell("td", kind) for kind in types.values())
    yield from table([names, kinds, *(row(cell("td", text) for text in texts) for texts in rows)])
    if total > len(rows):
        yield f"<p>the first {counted(len(rows), 'row')}</p>"


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if type(value) is int else cut(printable(str(value)))
