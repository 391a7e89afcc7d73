"""Help: a command's own options first, then those that commands share; lines that fit.

On a narrow terminal a description stands below its option. An example that does not fit is
continued on the next line, as a shell reads it.
"""

from __future__ import annotations

import re
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from idmerge.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OWN = "Options"
SECTIONS = {
    "where": "Events",
    "from_date": "Events",
    "to_date": "Events",
    "zone": "Events",
    "output": "Output",
    "report": "Output",
    "table_format": "Output",
    "format_name": "Output",
    "sql": "Output",
    "chart": "Output",
    "svg_file": "Output",
    "html_file": "Output",
    "csv_safe": "Output",
    "as_json": "Output",
    "quiet": "Output",
    "dialect": "Reading",
    "columns": "Reading",
    "config": "Reading",
    "sort": "Reading",
    "timezone": "Reading",
    "times_in": "Reading",
    "project": "Reading",
    "strict": "Reading",
    "list_malformed": "Reading",
    "canonical": "Rules",
    **{field.name: "Rules" for field in fields(Policy)},
}
"""The sections of the options that commands share, by parameter; sections follow in this order."""
NARROW = 72
"""Columns of a terminal below which descriptions stand below their options."""
SHORT, LOWER = 14, 6
"""Columns of terms that stay beside their descriptions there, and the indent of those below."""
_WORD = re.compile(r"""(?:(?:--?[a-z][a-z-]*|[>|]) )?(?:'[^']*'|"[^"]*"|[^\s'"])+""")
"""A word of an example, with the option or the sign of the shell that it belongs to."""
_EXAMPLE = "  idmerge "


class FittingFormatter(click.HelpFormatter):
    """A formatter whose lines fit its width."""

    def write_text(self, text: str) -> None:
        """Write paragraphs; examples are continued where they do not fit."""
        room = self.width - self.current_indent
        super().write_text("\n".join(piece for line in text.split("\n") for piece in _fitting(line, room)))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms with their descriptions."""
        rows = [*rows]
        room = self.width - self.current_indent
        if self.width < NARROW and max((len(term) for term, _ in rows), default=0) > SHORT:
            col_max = LOWER - col_spacing
        broken: list[tuple[str, str]] = []
        for term, text in rows:
            *before, last = _choices(term, room)
            broken += [*((line, "") for line in before), (last, text)]
        super().write_dl(broken, col_max, col_spacing)


class FittingContext(click.Context):
    """A context whose help fits the terminal."""

    formatter_class = FittingFormatter


class SectionedCommand(click.Command):
    """A command that has the options of every command, and whose help has its own ones first."""

    context_class = FittingContext

    def __init__(self, *arguments: Any, **texts: Any) -> None:
        from idmerge.cli.options import shared_options  # noqa: PLC0415 - it loads the policy, and numpy

        super().__init__(*arguments, **texts)
        self.params += shared_options()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then the sections of those that commands share."""
        sections: dict[str, list[tuple[str, str]]] = {OWN: []}
        sections |= {title: [] for title in SECTIONS.values()}
        places = {name: place for place, name in enumerate(SECTIONS)}
        for parameter in sorted(self.get_params(ctx), key=lambda one: places.get(one.name or "", -1)):
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                sections[SECTIONS.get(parameter.name or "", OWN)].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


command = partial(click.command, cls=SectionedCommand)
"""Makes a command of a function, as `click.command` does."""


def _choices(term: str, room: int) -> Iterator[str]:
    """Yield an option with its choices in lines of at most ``room`` columns."""
    indent = ""
    while len(term) > room and (end := term.rfind("|", 0, room - 1)) > 0:
        yield term[: end + 1]
        indent = indent or " " * (term.find("[") + 1)
        term = indent + term[end + 1 :]
    yield term


def _fitting(line: str, room: int) -> Iterator[str]:
    """Yield a line; of an example that is longer than ``room``, the lines that a shell joins."""
    if len(line) <= room or not line.startswith(_EXAMPLE):
        yield line
        return
    piece = " "
    for word in _WORD.findall(line):
        if len(piece) + len(word) > room - len(" \\") - 1:
            yield f"{piece} \\"
            piece = " " * 5
        piece += f" {word}"
    yield piece
