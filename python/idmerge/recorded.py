"""Links that a resolver remembers, with their positions and outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from idmerge._steps import EVIDENCE, kind_of
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from idmerge.events import Kind, Source

CoreLink = tuple[int, str | None, str | None, int, int]
"""A link as the core returns it: its code, its operands, its position, its outcome."""


class RecordedLink(NamedTuple):
    """A link that a resolver remembers.

    Examples:
        >>> from idmerge import Resolver
        >>> r = Resolver(history=True)
        >>> r.merge("ana", "crm-17")
        <Outcome.MERGED: 0>
        >>> [link] = r.explain("ana", "crm-17")
        >>> link.position, link.kind, link.second, link.outcome
        (0, <Kind.MERGE: 2>, 'crm-17', <Outcome.MERGED: 0>)
    """

    position: int
    """Its position among all links and acts: what `DurableResolver.retract` takes."""
    kind: Kind
    """The statement that made it; an event that was sent under another ID is a mapping of that."""
    first: str | None
    """The first operand; None if that ID was forgotten."""
    second: str | None
    """The second operand; None if that ID was forgotten."""
    outcome: Outcome
    """Its outcome, as far as is known now."""
    source: Source
    """The route by which it came: "track" for a merge that was not imported, else "import"."""
    time: datetime | None
    """The time of its commit, by the writer's clock; None if it is in no journal yet."""


def recorded(links: Iterable[CoreLink], time: Callable[[int], datetime | None]) -> list[RecordedLink]:
    """Return links as the core returns them, with the time of each position."""
    return [
        RecordedLink(
            position=position,
            kind=kind,
            first=second if code == EVIDENCE else first,
            second=first if code == EVIDENCE else second,
            outcome=Outcome(outcome),
            source=source,
            time=time(position),
        )
        for code, first, second, position, outcome in links
        for kind, source in (kind_of(code),)
    ]
