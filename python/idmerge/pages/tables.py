"""Tables as HTML: every text escaped, and isolated from the writing direction of its neighbours."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_ROWS = 5000
"""Rows of a table on a page."""


def cell(mark: str, text: str, kind: str | None = None) -> str:
    """Return a cell: ``mark`` is th or td, ``kind`` its class in the style sheet."""
    named = "" if kind is None else f' class="{kind}"'
    return f"<{mark}{named}><bdi>{escape(text)}</bdi></{mark}>"


def row(cells: Iterable[str], kind: str | None = None) -> str:
    """Return a row of cells, ``kind`` being its class in the style sheet."""
    named = "" if kind is None else f' class="{kind}"'
    return f"<tr{named}>{''.join(cells)}</tr>"


def table(rows: Iterable[str], kind: str | None = None) -> Iterator[str]:
    """Yield the lines of a table, which scrolls by itself where a window is too narrow for it."""
    yield "<table>" if kind is None else f'<table class="{kind}">'
    yield from rows
    yield "</table>"


def count_line(total: int, noun: str) -> str:
    """Return how many rows there are, and how many of them a table on a page shows."""
    more = f", the first {MOST_ROWS:,} of them here" if total > MOST_ROWS else ""
    return f"<p>{counted(total, noun)}{more}</p>"
