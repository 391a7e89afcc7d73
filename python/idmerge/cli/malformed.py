"""Malformed lines: the first of each kind is printed as it comes, all are counted by kind.

Under ``--strict`` the first one ends the run, under ``--list-malformed`` each one is printed.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import click

from idmerge._formatting import counted, cut
from idmerge._naming import visible
from idmerge.cli.messages import coloured, labelled, print_lines, shown
from idmerge.errors import FileFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS_LISTED = 20
"""Kinds of which the first line is printed."""
OF_A_KIND, SHOWN = 3, 10
"""Lines of one kind that are printed while fewer than so many lines of all kinds are."""
KINDS = 5
"""Kinds that a summary names."""
MOST_KINDS = 1000
"""Kinds that are counted apart; what is malformed in other ways is counted together."""
OTHER = "malformed in other ways"
_LIST_ALL = "idmerge.list_malformed"
_VALUES = re.compile(r", got |: |; ")
"""Where the values of one line begin in a message."""


def _remember(context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    context.meta[_LIST_ALL] = value


list_malformed_option = click.option(
    "--list-malformed",
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="List every malformed line, not only the first ones of each kind.",
)


class MalformedLines:
    """Counts malformed lines by kind and prints the first of each; any ends a strict run."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._lists_all = click.get_current_context().meta.get(_LIST_ALL, False)
        self._printed = 0
        self._kinds: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """The number of malformed lines."""
        return self._kinds.total()

    def add(self, path: str, line: int, message: str) -> None:
        """Count one line.

        Raises:
            FileFormatError: Under ``strict``.
        """
        text = f"{path}:{line}: {message}"
        if self._strict:
            raise FileFormatError(text)
        kind = _VALUES.split(message, maxsplit=1)[0]
        if len(self._kinds) >= MOST_KINDS and kind not in self._kinds:
            kind = OTHER
        self._kinds[kind] += 1
        if self._lists_all or self._is_listed(self._kinds[kind]):
            self._printed += 1
            print_lines([f"{coloured('malformed:', 'warning')} {shown(text)}"], err=True)

    def _is_listed(self, number: int) -> bool:
        """Return whether the line with this ``number`` of its kind is printed."""
        if number == 1:
            return len(self._kinds) <= KINDS_LISTED
        return number <= OF_A_KIND and self._printed < SHOWN

    def lines(self) -> Iterator[str]:
        """Yield the lines of a summary: how many, of which kinds, and how to see all."""
        if not self.count:
            return
        hidden = self.count - self._printed
        advice = f", {hidden:,} of them not listed (--list-malformed lists all)" if hidden else ""
        yield labelled("malformed", f"{counted(self.count, 'line')} passed over{advice}")
        if hidden:
            for kind, count in self._kinds.most_common(KINDS):
                yield f"{'':12}{count:>7,}  {cut(visible(kind))}"
            if len(self._kinds) > KINDS:
                rest = self.count - sum(count for _, count in self._kinds.most_common(KINDS))
                yield f"{'':12}{rest:>7,}  in {counted(len(self._kinds) - KINDS, 'other way')}"
