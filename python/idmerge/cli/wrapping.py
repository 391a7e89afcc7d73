"""Lines that fit the terminal: continued under their text, never within a word.

Into a pipe or a file each line goes as it is, so that one message is one line there.
"""

from __future__ import annotations

import os
import re
from typing import IO, TYPE_CHECKING, Any

import click

from idmerge._formatting import display_width

if TYPE_CHECKING:
    from collections.abc import Iterator

NARROWEST = 40
"""Columns below which no line is wrapped further."""
USUAL = 80
"""Columns of a terminal that does not state them."""
LABEL = 12
"""Columns of the label of an answer's line, with its blanks."""

_WORD = re.compile(r"\s*\S+")
_LABELLED = re.compile(rf"\S[^:]{{{LABEL - 3}}}  (?: *[\d,.]+  )?(?=\S)")
_INDENTED = re.compile(r" +(?P<number>[\d,.]+  )?")


def is_terminal(stream: IO[Any] | None) -> bool:
    """Return whether ``stream`` is a terminal; None is a standard stream that was closed."""
    return stream is not None and stream.isatty()


def width_of(stream: IO[Any] | None) -> int | None:
    """Return the columns of the terminal that ``stream`` writes to; None if it is no terminal.

    ``COLUMNS`` counts before what the terminal states.
    """
    if stream is None or not is_terminal(stream):
        return None
    stated = os.environ.get("COLUMNS", "")
    if stated.isdecimal() and int(stated):
        return max(int(stated), NARROWEST)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # A stream of Python's own has no number.
        columns = 0
    return max(columns or USUAL, NARROWEST)


def wrapped(line: str, width: int | None) -> Iterator[str]:
    """Yield ``line``, which may be styled, in pieces of at most ``width`` columns.

    A word that is longer, such as a path, stays whole.
    """
    plain = click.unstyle(line)
    if width is None or display_width(plain) <= width:
        yield line
        return
    hang = min(_hang(plain), width // 2)
    piece, columns, has_text = "", 0, False
    for word in _WORD.findall(line):
        wide = display_width(click.unstyle(word))
        if has_text and columns + wide > width:
            yield piece
            word, piece = word.lstrip(), " " * hang  # noqa: PLW2901
            columns, wide = hang, display_width(click.unstyle(word))
        piece, columns, has_text = piece + word, columns + wide, True
    yield piece


def _hang(plain: str) -> int:
    """Return the column in which the text of a line is continued."""
    labelled = _LABELLED.match(plain)
    if labelled is not None:
        return labelled.end()
    indented = _INDENTED.match(plain)
    if indented is None:
        return 2
    is_text = indented["number"] is None and indented.end() < LABEL
    return indented.end() + (2 if is_text else 0)
