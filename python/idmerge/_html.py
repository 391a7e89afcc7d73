"""Tables as HTML: every text escaped, and isolated from the writing direction of its neighbours."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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
    # What scrolls can be reached by the keyboard.
    yield '<table tabindex="0">' if kind is None else f'<table class="{kind}" tabindex="0">'
    yield from rows
    yield "</table>"
