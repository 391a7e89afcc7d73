"""The columns of an answer: its key, and each measure with and without stitching."""

from __future__ import annotations

from typing import Literal, NamedTuple

from idmerge._formatting import beginning, printable

Form = Literal["count", "share", "sum"]

UNSTITCHED = "_unstitched"
"""Ends the name of a column that was computed without stitching."""
VERSIONS = (("", "with stitching"), (UNSTITCHED, "without stitching"))
NOTHING = "(none)"


class Measure(NamedTuple):
    """A number of an answer: its column and its form."""

    name: str
    form: Form

    @property
    def label(self) -> str:
        """The column's name in words."""
        return self.name.replace("_", " ")

    def shown(self, value: float | None) -> str:
        """Return ``value`` as text."""
        if value is None:
            return "-"
        if self.form == "share":
            return f"{value:.1%}"
        return f"{value:,.2f}" if self.form == "sum" else f"{value:,}"


class Key(NamedTuple):
    """The column that distinguishes an answer's rows, and its heading."""

    name: str
    label: str
    is_date: bool = False


def shown_name(value: object) -> str:
    """Return a value of the key as text, however long; ``(none)`` for events without one."""
    return NOTHING if value is None else printable(str(value))


def quoted(name: str) -> str:
    """Return a name within a sentence."""
    return f'"{beginning(name)}"'


def looks_like(said: str, measure: Measure, stitched: float | None, unstitched: float | None) -> str:
    """Return what was ``said`` of the number ``stitched``, and how it looks without stitching."""
    seen = measure.shown(unstitched)
    if seen == measure.shown(stitched):
        return f"{said}, with stitching and without"
    return f"{said}; without stitching it looks like {seen}"
