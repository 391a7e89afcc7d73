"""Answers and messages as lines of text, without secrets and control characters.

On a terminal they fit its width, and their severity has a colour beside its word. While a progress
bar is shown, messages go above it. Under --quiet nothing goes to standard error but errors, which
are printed when the command's context is gone. Under --json answers and summaries are objects.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Literal

import click

from idmerge._formatting import aligned
from idmerge._naming import named, visible, without_secrets
from idmerge.cli.wrapping import LABEL, width_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

Level = Literal["error", "warning", "note"]

COLOURS: dict[Level, str] = {"error": "red", "warning": "yellow", "note": "blue"}
"""The colour of each severity, on every terminal."""
_GIVEN, _QUIET, _JSON, _NOTES = "idmerge.given", "idmerge.quiet", "idmerge.json", "idmerge.notes"
_NO_JSON = ("NaN", "Infinity", "\\ud")
"""Parts of a line that may be no JSON: numbers that are none, and halves of characters."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
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
    if err and file is None and is_quiet():
        return
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


def remember_quiet(context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    """Keep whether --quiet was given."""
    context.meta[_QUIET] = value


def remember_json(context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    """Keep whether --json was given."""
    context.meta[_JSON] = value


def is_quiet() -> bool:
    """Return whether the running command was given --quiet."""
    return bool(_meta().get(_QUIET))


def is_json() -> bool:
    """Return whether the running command was given --json."""
    return bool(_meta().get(_JSON))


def _meta() -> dict[str, Any]:
    context = click.get_current_context(silent=True)
    return {} if context is None else context.meta


def give(facts: Mapping[str, Any], lines: Iterable[str] = ()) -> None:
    """Print an answer to standard output: ``lines``, or ``facts`` under --json."""
    if is_json():
        _print_object(facts)
    else:
        print_lines(lines)


def sum_up(facts: Mapping[str, Any], lines: str | Iterable[str] = (), *, beside_data: bool = False) -> None:
    """Print a summary: a line or several to standard error, or ``facts`` under --json.

    These go to standard output, or to standard error if they stand ``beside_data``, which go there.
    """
    if is_json():
        _print_object(facts, err=beside_data)
    elif isinstance(lines, str):
        tell(lines)
    else:
        print_lines(lines, err=True)


def _print_object(facts: Mapping[str, Any], *, err: bool = False) -> None:
    """Print the object of the running command, in one line of ASCII."""
    context = click.get_current_context()
    parents = [context]
    while parents[-1].parent is not None:
        parents.append(parents[-1].parent)
    name = " ".join(str(one.info_name) for one in parents[-2::-1])
    stated = {"command": name, **facts, "notes": context.meta.get(_NOTES, [])}
    line = json.dumps(stated, default=str)
    if any(odd in line for odd in _NO_JSON):
        line = json.dumps(json.loads(line, parse_constant=lambda _: None), ensure_ascii=False)
        line = json.dumps(json.loads(_LONE_SURROGATE.sub("\ufffd", line)))
    if err and _above:
        _above[-1](line)
    else:
        click.echo(line, err=err)


def tell(text: str, level: Level | None = None) -> None:
    """Print one line to standard error, with a ``level`` as ``idmerge: warning: …``."""
    if level is not None:
        _note(text)
    head = "" if level is None else f"{coloured(f'idmerge: {level}:', level)} "
    print_lines([f"{head}{shown(text)}"], err=True)


def labelled(label: str, text: str) -> str:
    """Return one line of an answer: the label, in bold where the terminal can, and the text."""
    return f"{click.style(f'{label:<{LABEL}}', bold=True)}{shown(text)}"


def tell_written(what: str, path: str) -> None:
    """Print to standard error where something went; an object of --json has the path."""
    if is_json():
        return
    print_lines([labelled("written", f"{what} to {named(path)}")], err=True)


def note_line(text: str) -> str:
    """Return a note as one line of a summary."""
    return f"{coloured('note'.ljust(LABEL), 'note')}{shown(text)}"


def _note(text: str) -> None:
    """Keep a note or a warning for the object of --json."""
    _meta().setdefault(_NOTES, []).append(shown(text))


def tell_note(text: str) -> None:
    """Print a note to standard error, in one line."""
    _note(text)
    print_lines([note_line(text)], err=True)
