"""An answer's rows as a table: aligned text for a terminal, HTML for a notebook or a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import counted, cut, middle_cut
from idmerge._html import cell, row, table
from idmerge.pages.tables import MOST_ROWS, count_line
from idmerge.questions.columns import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GAP = "  "
LONGEST = 60
"""Characters of a name in a table of text."""


def text_lines(headings: Sequence[str], cells: Sequence[Sequence[str]], *, has_key: bool) -> Iterator[str]:
    """Yield a line of versions, one of headings, and one a row; numbers on the right."""
    first = int(has_key)
    cells = [[middle_cut(of[0], LONGEST), *of[1:]] if has_key else of for of in cells]
    many = (len(headings) - first) // len(VERSIONS)
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    above = [" " * width for width in widths[:first]]
    for number, (_, label) in enumerate(VERSIONS):
        start, end = first + number * many, first + (number + 1) * many
        wide = sum(widths[start:end]) + len(GAP) * (many - 1)
        widths[end - 1] += max(0, len(label) - wide)
        above.append(label.center(max(wide, len(label)), "-"))
    yield f"{GAP}{GAP.join(above)}".rstrip()
    for texts in (headings, *cells):
        line = [
            text.ljust(width) if place < first else text.rjust(width)
            for place, (text, width) in enumerate(zip(texts, widths, strict=True))
        ]
        yield f"{GAP}{GAP.join(line)}".rstrip()
    if not cells:
        yield f"{GAP}{counted(0, 'row')}"


def html_lines(headings: Sequence[str], cells: Sequence[Sequence[str]], *, has_key: bool) -> Iterator[str]:
    """Yield the table as HTML, under a count of its rows if not all are in it."""
    if len(cells) > MOST_ROWS:
        yield count_line(len(cells), "row")
    many = (len(headings) - has_key) // len(VERSIONS)
    spans = [f'<th colspan="{many}">{label}</th>' for _, label in VERSIONS]
    rows = (_row("td", of, has_key=has_key) for of in cells[:MOST_ROWS])
    yield from table([row([*["<td></td>"] * has_key, *spans]), _row("th", headings, has_key=has_key), *rows])


def _row(mark: str, texts: Sequence[str], *, has_key: bool) -> str:
    return row(
        cell(mark, cut(text), "name" if has_key and not place else None) for place, text in enumerate(texts)
    )
