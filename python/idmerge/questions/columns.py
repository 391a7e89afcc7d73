"""The columns of an answer: its key, and each measure with and without stitching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from idmerge._formatting import beginning, counted, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

Form = Literal["count", "share", "sum"]

UNSTITCHED = "_unstitched"
"""Ends the name of a column that was computed without stitching."""
VERSIONS = (("", "with stitching"), (UNSTITCHED, "without stitching"))
NOTHING = "(none)"
MOST_NAMED = 3
"""Names in a sentence."""


class Measure(NamedTuple):
    """A number of an answer: its column and its form."""

    name: str
    form: Form
    part: str = ""
    whole: str = ""
    """The columns of which a share is, if they are numbers of persons."""
    of_first: bool = False
    """Whether the whole is that of the first row."""

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
    form: Literal["text", "date", "number"] = "text"

    @property
    def is_date(self) -> bool:
        """Whether its values are days."""
        return self.form == "date"


def shown_name(value: object) -> str:
    """Return a value of the key as text, however long; ``(none)`` for events without one."""
    return NOTHING if value is None else printable(str(value))


def shown_others(count: int) -> str:
    """Return what stands for so many values that are summed up."""
    return f"({counted(count, 'other')})"


def quoted(name: str) -> str:
    """Return a name within a sentence; what is odd or long is quoted already."""
    shown = beginning(name)
    return f'"{shown}"' if shown == name else shown


def all_quoted(names: Sequence[str]) -> str:
    """Return names within a sentence, of many the first and how many more there are."""
    if len(names) > MOST_NAMED:
        return f"{quoted(names[0])} and {len(names) - 1:,} more"
    *others, last = map(quoted, names)
    return f"{', '.join(others)} and {last}" if others else last


Most = tuple[list[str], str]
"""The names that come to most, none if nothing does, and what each of them comes to."""


def most_compared(said: str, stitched: Most, unstitched: Most, nothing: str) -> str:
    """Return what was ``said`` of ``stitched``, and how it looks; ``nothing`` is for no names."""
    (names, number), (others, other) = stitched, unstitched
    if not others:
        return f"{said}; without stitching {nothing}"
    return looks_like(said, number, other if others == names else f"{all_quoted(others)} with {other}")


def looks_like(said: str, stitched: str, unstitched: str | None) -> str:
    """Return what was ``said``, of which ``stitched`` is a part, and how that looks unstitched.

    None if nothing can be said of it.
    """
    if unstitched is None:
        return said
    if unstitched == stitched:
        return f"{said}, with stitching and without"
    return f"{said}; without stitching it looks like {unstitched}"
