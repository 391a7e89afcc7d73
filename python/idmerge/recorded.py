"""Links that a resolver remembers, with their positions and outcomes, and other statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from idmerge._steps import EVIDENCE, KEEP_APART, kind_of
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from idmerge.events import Kind, Source

CoreLink = tuple[int, str | None, str | None, int, int]
"""A link as the core returns it: its code, its operands, its position, its outcome."""
CoreStatement = tuple[int, str | None, str | None, int | None, int, list[int], list[int]]
"""A statement likewise: its code, its IDs, its outcome, its count, its positions, and those of
their retractions."""


class Provenance(NamedTuple):
    """The commit, the event and the source of what stands at a position, as far as is known."""

    time: datetime | None = None
    """The time of the commit."""
    event_time: datetime | None = None
    """The time of the event."""
    origin: str | None = None
    """The event's place in its source."""


UNKNOWN = Provenance()


def _unknown(_positions: Iterable[int]) -> Mapping[int, Provenance]:
    return {}


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
    event_time: datetime | None = None
    """The time of its event, to the millisecond; None if it has none, or there is no journal."""
    origin: str | None = None
    """The source of its event and the event's number there, such as ``logins.ndjson:17``; None if
    it is not known, or there is no journal."""


def recorded(
    links: Iterable[CoreLink], known: Callable[[Iterable[int]], Mapping[int, Provenance]] = _unknown
) -> list[RecordedLink]:
    """Return links as the core returns them, with what is ``known`` about their positions."""
    links = list(links)
    facts = known(position for *_, position, _ in links)
    return [
        RecordedLink(
            position=position,
            kind=kind,
            first=second if code == EVIDENCE else first,
            second=first if code == EVIDENCE else second,
            outcome=Outcome(outcome),
            source=source,
            time=found.time,
            event_time=found.event_time,
            origin=found.origin,
        )
        for code, first, second, position, outcome in links
        for kind, source in (kind_of(code),)
        for found in (facts.get(position, UNKNOWN),)
    ]


class JudgedBatch(NamedTuple):
    """A batch of a journal: how many links it has, and some of them.

    Examples:
        >>> from idmerge import DurableResolver
        >>> with DurableResolver.open(":memory:") as r:
        ...     _ = r.merge("ana", "crm-17"), r.merge("ana", "ana"), r.commit()
        ...     [batch] = r.judged_links(0, most=1)
        >>> batch.number, batch.end_position, batch.outcomes
        (0, 2, {<Outcome.MERGED: 0>: 1, <Outcome.SAME_IDS: 2>: 1})
        >>> [(link.position, link.outcome.name) for link in batch.links]
        [(1, 'SAME_IDS')]
    """

    number: int
    """Its place, counted from 0."""
    time: datetime | None
    """The time of its commit, by the writer's clock; None if there is nothing in it."""
    end_position: int
    """The position behind its last link or act."""
    outcomes: Mapping[Outcome, int]
    """The number of its links by the outcome that they had when they came."""
    links: Sequence[RecordedLink]
    """The last of its links, with these outcomes. An operand is None if it was refused as an ID, or
    was forgotten."""


class Statement(NamedTuple):
    """One or more equal statements of a journal: copies of a link, or of a pair that is kept apart.

    Examples:
        >>> from idmerge import DurableResolver
        >>> with DurableResolver.open(":memory:") as r:
        ...     _ = [r.merge("ana", "crm-17") for _ in range(9)], r.commit()
        ...     merged, unchanged = r.statements("ana")
        >>> merged.positions, unchanged.positions, unchanged.copies, unchanged.outcome
        ((0,), (1, 2, 3, 4, 5), 8, <Outcome.UNCHANGED: 1>)
        >>> unchanged.position, unchanged.time == unchanged.times[0], unchanged.is_taken_back
        (1, True, False)
        >>> unchanged.event_time, unchanged.origin
        (None, None)
    """

    kind: Kind | None
    """The kind of the link; None for two IDs that are kept apart."""
    first: str | None
    """The first ID; None if it was forgotten."""
    second: str | None
    """The second ID; None if it was forgotten."""
    source: Source
    """The route by which it came, as in `RecordedLink`."""
    outcome: Outcome | None
    """The link's outcome now; None if it was taken back, or is none."""
    copies: int
    """The number of copies, the first one included."""
    positions: tuple[int, ...]
    """The positions of the first five copies."""
    times: tuple[datetime | None, ...]
    """The times of their commits."""
    taken_back_by: tuple[int, ...]
    """The positions of their retractions; empty if the statement holds."""
    event_times: tuple[datetime | None, ...]
    """The times of their events, as in `RecordedLink`."""
    origins: tuple[str | None, ...]
    """The places of their events in their sources, as in `RecordedLink`."""

    @property
    def position(self) -> int:
        """The position of the first copy."""
        return self.positions[0]

    @property
    def time(self) -> datetime | None:
        """The time at which the first copy was committed; None if it is in no journal yet."""
        return self.times[0]

    @property
    def event_time(self) -> datetime | None:
        """The time of the event of the first copy, as in `RecordedLink`."""
        return self.event_times[0]

    @property
    def origin(self) -> str | None:
        """The place of the event of the first copy, as in `RecordedLink`."""
        return self.origins[0]

    @property
    def is_taken_back(self) -> bool:
        """Whether it was taken back."""
        return bool(self.taken_back_by)


def stated(
    statements: Iterable[CoreStatement], known: Callable[[Iterable[int]], Mapping[int, Provenance]]
) -> list[Statement]:
    """Return statements as the core returns them, with what is ``known`` about their positions."""
    statements, found = list(statements), []
    facts = known(position for *_, positions, _ in statements for position in positions)
    for code, first, second, outcome, count, positions, taken_back_by in statements:
        kind: Kind | None
        source: Source
        kind, source = (None, "import") if code == KEEP_APART else kind_of(code)
        ends = (second, first) if code == EVIDENCE else (first, second)
        of_copies = [facts.get(position, UNKNOWN) for position in positions]
        found.append(
            Statement(
                kind,
                *ends,
                source=source,
                outcome=None if outcome is None else Outcome(outcome),
                copies=count,
                positions=tuple(positions),
                times=tuple(one.time for one in of_copies),
                taken_back_by=tuple(taken_back_by),
                event_times=tuple(one.event_time for one in of_copies),
                origins=tuple(one.origin for one in of_copies),
            )
        )
    return found
