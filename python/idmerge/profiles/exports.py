"""Rows of exported profiles: which of their properties set, and which only fill in (SPEC 11).

An export has a row for each ID, and several IDs may be one person's. A value that came from the
canonical ID's row stays as it is against the rows of other IDs, of which the first counts; an ID's
own row replaces what an earlier row of that ID has set. This holds within one export: against
anything that was stored before it, every row sets.

A *call* gives a part of an export. Several calls are one export until an ID of the person comes
again in a later one. So the parts of an export can come in any order, and a later export counts.

The memory is a tuple of names a profile that got one row, and a dict of them if it got several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Row(NamedTuple):
    """A row, the origin of values."""

    distinct_id: str
    call: int
    names: tuple[str, ...]
    """The properties that it set."""


class _Person:
    """The rows of the exports that one profile got, of which there are several."""

    __slots__ = ("begun", "calls", "rows")

    def __init__(self, first: _Row) -> None:
        self.begun = 0
        """The first call of the present export."""
        self.calls = {first.distinct_id: first.call}
        """The last call with a row of each ID."""
        self.rows = dict.fromkeys(first.names, first)
        """The row that set each property last."""

    def fixed(self, own: str, canonical: str, call: int, names: Mapping[str, Any]) -> set[str]:
        """Return those of ``names`` that a row of ``own`` may not set, and keep that it came."""
        if self.begun <= self.calls.get(own, call) < call:
            self.begun = call
        self.calls[own] = call
        fixed: set[str] = set()
        if own != canonical:
            for name in names:
                row = self.rows.get(name)
                if row is not None and row.call >= self.begun and row.distinct_id != own:
                    fixed.add(name)
        row = _Row(own, call, tuple(name for name in names if name not in fixed))
        self.rows.update(dict.fromkeys(row.names, row))
        return fixed


class Exports:
    """The rows that profiles got from exports."""

    def __init__(self) -> None:
        self._calls = 0
        self._people: dict[str, _Row | _Person] = {}

    def call(self, *, continues: bool = False) -> int:
        """Return the number of a new call, or of the one that it ``continues``."""
        self._calls += not continues
        return self._calls

    def operations(
        self, own: str, canonical: str, properties: Mapping[str, Any], call: int
    ) -> dict[str, Any]:
        """Return the operations of a row of ``own`` with ``properties``, for its canonical ID."""
        person = self._people.get(canonical)
        if person is None:
            self._people[canonical] = _Row(own, call, tuple(properties))
            return {"$set": properties}
        if isinstance(person, _Row):
            person = self._people[canonical] = _Person(person)
        fixed = person.fixed(own, canonical, call, properties)
        if not fixed:
            return {"$set": properties}
        return {
            "$set": {name: value for name, value in properties.items() if name not in fixed},
            "$set_once": {name: properties[name] for name in properties if name in fixed},
        }

    def forget(self, canonical: str) -> None:
        """Forget the rows of the profile that is stored under ``canonical``."""
        self._people.pop(canonical, None)
