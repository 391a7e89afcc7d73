"""Values of events that cannot be read: IDs of other types than text, and times that are none.

A table of events has null in their place, so that those who look for them read the files once more.
That is done only where the first reading met such values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge.doctor.findings import Example
from idmerge.doctor.links import EXAMPLES
from idmerge.events import is_verb, original_of, sender_of, shown
from idmerge.files import EventBatch, read
from idmerge.files.flattening import flattener_of
from idmerge.files.ids import is_odd
from idmerge.files.names import ID, PROPERTIES, TIME
from idmerge.files.shape import INTEGER, LARGE, NULL, TEXT, Shape, line_of
from idmerge.files.tables import record_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from idmerge.doctor.traffic import Traffic
    from idmerge.files import RereadableFile
    from idmerge.files.choosing import Choice

IDS = NULL | INTEGER | LARGE | TEXT
"""The kinds of values that are IDs, and of null."""


@dataclass(slots=True)
class Values:
    """Values that cannot be read."""

    count: int = 0
    examples: list[Example] = field(default_factory=list)

    def take(self, path: str, line: int, name: str, value: object, sent: str | None = None) -> None:
        """Take one value of the property ``name``."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            ids = () if sent is None else (sent,)
            self.examples.append(Example(ids=ids, file=path, line=line, note=f"{name} is {shown(value)}"))


@dataclass(frozen=True, slots=True)
class Unread:
    """Values that cannot be read, by property."""

    ids: Values = field(default_factory=Values)
    missing: Values = field(default_factory=Values)
    """Ordinary events without an ID; counted only if `ids` are."""
    times: Values = field(default_factory=Values)


def unread_values(
    sources: Sequence[RereadableFile], shape: Shape, traffic: Traffic, choice: Choice
) -> Unread:
    """Read the files once more if the first reading met such values, and return these."""
    kinds = dict(shape.kinds())
    unread = Unread()
    has_ids = bool(kinds.get(ID, NULL) & ~IDS)
    has_times = traffic.without_time > 0 and bool(kinds.get(TIME, NULL) & ~NULL)
    if not has_ids and not has_times:
        return unread
    for source in sources:
        for piece in read(source.path, name=source.name, **choice.arguments):
            if not isinstance(piece, EventBatch):
                continue
            originals = [original_of(event) for event in piece.events]
            events = [_properties(event) for event in originals]
            for line, event, properties in zip(piece.lines, originals, events, strict=True):
                value = properties.get(ID)
                # Of an identity event, a wrong operand makes a malformed link.
                if sender_of(event, choice.api) is None and not is_verb(event, choice.api):
                    (unread.ids if is_odd(value) else unread.missing).take(piece.path, line, ID, value)
            for row in _without_time(events):
                sent = sender_of(piece.events[row], choice.api)
                unread.times.take(piece.path, piece.lines[row], TIME, events[row][TIME], sent)
    return unread


def _properties(event: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = event.get(PROPERTIES)
    return properties if isinstance(properties, dict) else {}


def _without_time(events: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """Yield the events whose time is there and cannot be read, as tables read them (SPEC 9)."""
    stated = [row for row, properties in enumerate(events) if properties.get(TIME) is not None]
    if not stated:
        return
    text = b"\n".join(line_of({PROPERTIES: {TIME: events[row][TIME]}}) for row in stated)
    shape = Shape(())
    shape.learn("", [(TIME, NULL, 0)])
    flat = flattener_of(shape).flatten(b"", text, len(text))
    if flat.table is None:
        raise AssertionError("a plain line was declined")
    is_null = record_batch(flat.table).column(TIME).is_null().to_numpy(zero_copy_only=False)
    yield from (stated[place] for place in np.flatnonzero(is_null).tolist())
