"""An answer's rows as a table: aligned text for a terminal, HTML for a notebook or a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import counted, cut, display_width, middle_cut, padded
from idmerge._html import cell, row, table
from idmerge.pages.tables import MOST_ROWS, count_line
from idmerge.questions.columns import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GAP = "  "
LONGEST, SHORTEST = 60, 12
"""Columns of a name in a table of text, and of one that is cut further to fit a terminal."""


def text_lines(
    headings: Sequence[str],
    cells: Sequence[Sequence[str]],
    *,
    keys: int,
    width: int | None = None,
) -> Iterator[str]:
    """Yield a line of versions, one of headings, and one a row; numbers on the right.

    The first ``keys`` columns distinguish the rows, and belong to no version.
    Where that takes more than ``width`` columns, the versions stand below one another.
    """
    first = keys
    many = (len(headings) - first) // len(VERSIONS)
    lines = [*_side_by_side(headings, cells, range(len(VERSIONS)), first, many, LONGEST)]
    if width is None or max(map(display_width, lines)) <= width:
        yield from lines
        return
    for number, (_, label) in enumerate(VERSIONS):
        measures = range(first + number * many, first + (number + 1) * many)
        places = [*range(first), *measures]
        names = [headings[place] for place in places]
        rows = [[of[place] for place in places] for of in cells]
        needed = sum(
            len(GAP) + max(map(display_width, [headings[place], *(of[place] for of in cells)]))
            for place in measures
        )
        room = width - max(needed, len(GAP) + len(label)) - len(GAP)
        if number:
            yield ""
        yield from _side_by_side(names, rows, [number], first, many, max(room, SHORTEST))


def _side_by_side(  # noqa: PLR0913, PLR0917 - a table and its layout
    headings: Sequence[str],
    cells: Sequence[Sequence[str]],
    versions: Sequence[int],
    first: int,
    many: int,
    longest: int,
) -> Iterator[str]:
    """Yield the table of some ``versions``, each of ``many`` columns from ``first`` on."""
    cells = [[*(middle_cut(text, longest) for text in of[:first]), *of[first:]] for of in cells]
    widths = [max(map(display_width, column)) for column in zip(headings, *cells, strict=True)]
    above = [" " * width for width in widths[:first]]
    for number, label in enumerate(VERSIONS[version][1] for version in versions):
        start, end = first + number * many, first + (number + 1) * many
        wide = sum(widths[start:end]) + len(GAP) * (many - 1)
        widths[end - 1] += max(0, len(label) - wide)
        above.append(label.center(max(wide, len(label)), "-"))
    yield f"{GAP}{GAP.join(above)}".rstrip()
    for texts in (headings, *cells):
        line = [
            padded(text, width, on_left=place >= first)
            for place, (text, width) in enumerate(zip(texts, widths, strict=True))
        ]
        yield f"{GAP}{GAP.join(line)}".rstrip()
    if not cells:
        yield f"{GAP}{counted(0, 'row')}"


def html_lines(headings: Sequence[str], cells: Sequence[Sequence[str]], *, keys: int) -> Iterator[str]:
    """Yield the table as HTML, under a count of its rows if not all are in it."""
    if len(cells) > MOST_ROWS:
        yield count_line(len(cells), "row")
    many = (len(headings) - keys) // len(VERSIONS)
    spans = [f'<th colspan="{many}">{label}</th>' for _, label in VERSIONS]
    rows = (_row("td", of, keys=keys) for of in cells[:MOST_ROWS])
    yield from table([row([*["<td></td>"] * keys, *spans]), _row("th", headings, keys=keys), *rows])


def _row(mark: str, texts: Sequence[str], *, keys: int) -> str:
    return row(cell(mark, cut(text), "name" if place < keys else None) for place, text in enumerate(texts))
