"""A link as it is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from idmerge.events import Kind
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

Told = tuple[int, str | None, str | None, int, int]
"""What the core says of a link: its kind, its operands, its position, its outcome."""

_TRACKED_MERGE = 3


class RecordedLink(NamedTuple):
    """A link as it is remembered."""

    position: int
    """Its position among all links and acts: what `DurableResolver.retract` takes."""
    kind: Kind
    left: str | None
    """The first operand; None if that ID was forgotten."""
    right: str | None
    """The second operand; None if that ID was forgotten."""
    outcome: Outcome
    """What became of it, as far as is known now."""
    source: str
    """The route by which it came: "track" for a merge that was not imported, else "import"."""
    time: datetime | None
    """When it was committed to the journal, by the writer's clock; None if it is in none yet."""


def recorded(links: Iterable[Told], time: Callable[[int], datetime | None]) -> list[RecordedLink]:
    """Return links as the core tells of them, with the time of each position."""
    return [
        RecordedLink(
            position=position,
            kind=Kind.MERGE if code == _TRACKED_MERGE else Kind(code),
            left=left,
            right=right,
            outcome=Outcome(outcome),
            source="track" if code == _TRACKED_MERGE else "import",
            time=time(position),
        )
        for code, left, right, position, outcome in links
    ]
