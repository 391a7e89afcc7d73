"""Answers and messages as lines of text, without secrets and control characters.

On a terminal they fit its width, and their severity has a colour beside its word. While a progress
bar is shown, messages go above it.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Literal

import click

from idmerge._formatting import aligned
from idmerge._naming import named, visible, without_secrets
from idmerge.cli.wrapping import LABEL, width_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

Level = Literal["error", "warning", "note"]

COLOURS: dict[Level, str] = {"error": "red", "warning": "yellow", "note": "blue"}
"""The colour of each severity, on every terminal."""
_GIVEN = "idmerge.given"
_above: list[Callable[[str], None]] = []
"""The bar that is shown, if one is: prints a line above itself."""


def remember(context: click.Context, arguments: Sequence[str]) -> None:
    """Keep the ``arguments`` of the call, whose secrets no message may quote."""
    context.find_root().meta.setdefault(_GIVEN, []).extend(arguments)


def shown(text: str, given: Sequence[str] | None = None) -> str:
    """Return ``text`` as it can be shown.

    ``given`` are the call's arguments, if none is running yet.
    """
    context = click.get_current_context(silent=True)
    if given is None:
        given = context.find_root().meta.get(_GIVEN, ()) if context else ()
    return visible(without_secrets(text, given))


def coloured(text: str, level: Level) -> str:
    """Return ``text`` in the colour of its severity, unless NO_COLOR is set."""
    # https://no-color.org; where an error is shown, no context says so any more.
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=COLOURS[level])


@contextmanager
def printed_above(bar: Callable[[str], None]) -> Iterator[None]:
    """Let ``bar`` print messages, each one line, while the block runs."""
    _above.append(bar)
    try:
        yield
    finally:
        _above.remove(bar)


def print_lines(lines: Iterable[str], *, err: bool = False, file: IO[Any] | None = None) -> None:
    """Print lines to standard output, or with ``err`` to standard error."""
    for line in lines:
        width = width_of(file or (sys.stderr if err else sys.stdout))
        for piece in wrapped(line, width):
            if err and file is None and _above:
                _above[-1](piece)
            else:
                click.echo(piece, file=file, err=err)


def rows(cells: Sequence[Sequence[str]], right: Collection[int] = (), *, ragged: int = 1) -> Iterator[str]:
    """Yield the rows of an answer on standard output, as `aligned`."""
    return aligned(cells, right, width_of(sys.stdout), ragged=ragged)


def tell(text: str, level: Level | None = None) -> None:
    """Print one line to standard error, with a ``level`` as ``idmerge: warning: …``."""
    head = "" if level is None else f"{coloured(f'idmerge: {level}:', level)} "
    print_lines([f"{head}{shown(text)}"], err=True)


def labelled(label: str, text: str) -> str:
    """Return one line of an answer: the label, in bold where the terminal can, and the text."""
    return f"{click.style(f'{label:<{LABEL}}', bold=True)}{shown(text)}"


def tell_written(what: str, path: str) -> None:
    """Print to standard error where something went."""
    print_lines([labelled("written", f"{what} to {named(path)}")], err=True)


def note_line(text: str) -> str:
    """Return a note as one line of a summary."""
    return f"{coloured('note'.ljust(LABEL), 'note')}{shown(text)}"


def tell_note(text: str) -> None:
    """Print a note to standard error, in one line."""
    print_lines([note_line(text)], err=True)
