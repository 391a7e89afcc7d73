"""An overview of a journal: links by outcome and day, and the refused ones, read as it grows.

The journal is read once, some batches at a time, by whoever asks; each question goes on where the
one before ended, for `SECONDS` at most. So an answer is as of a position, which may be behind the
journal's. Memory: `MOST_REFUSED` links, the newest, and a count for each day and outcome.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, defaultdict, deque
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from idmerge.journal import DurableResolver
    from idmerge.outcome import Outcome
    from idmerge.recorded import JudgedBatch, RecordedLink

SECONDS = 0.1
"""Seconds for which one question reads on."""
AT_ONCE = 16
"""Batches that are read at once."""
MANY, AGE = 100_000, 60.0
"""IDs beyond which the largest people are not looked for again within so many seconds."""
MOST_REFUSED = 100_000
"""Refused links that are kept."""


class Seen(NamedTuple):
    """What was read so far."""

    position: int
    """The position up to which the journal was read."""
    is_whole: bool
    """Whether that was all of it."""
    days: Mapping[date, Mapping[Outcome, int]]
    """The links of each day, in the time zone of the subject, by outcome."""
    refused: int
    """The number of refused links."""


class Overview:
    """The history of one journal. Threads can share it.

    Args:
        timezone: The time zone in which days begin; None for UTC.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.server.inspector.overview import Overview
        >>> overview = Overview(None)
        >>> with DurableResolver.open(":memory:") as r:
        ...     _ = r.alias("crm-17", "ana"), r.alias("crm-17", "ben"), r.commit()
        ...     seen = overview.read_on(r)
        ...     print(seen.position, seen.is_whole, seen.refused)
        2 True 1
        >>> [(link.first, link.outcome.name) for link in overview.refused_of(["ben", "eve"])]
        [('crm-17', 'ALIAS_TAKEN')]
        >>> [link.position for link in overview.newest_refused(10)]
        [1]
        >>> with DurableResolver.open(":memory:") as r:
        ...     _ = r.merge("ana", "ben"), r.observe("eve"), r.commit()
        ...     print(overview.largest(r, 1))
        [('ana', 2)]
        >>> overview.drop("crm-17"), overview.refused_of(["ben"])
        (None, [])
    """

    def __init__(self, timezone: str | None) -> None:
        self._zone = ZoneInfo(timezone or "UTC")
        self._lock = threading.Lock()
        self._batches = self._position = self._refused = 0
        self._days: defaultdict[date, Counter[Outcome]] = defaultdict(Counter)
        self._kept: deque[RecordedLink] = deque()
        self._largest: tuple[int, float, list[tuple[str, int]]] | None = None
        self._by_id: defaultdict[str, deque[RecordedLink]] = defaultdict(deque)

    def read_on(self, resolver: DurableResolver, seconds: float = SECONDS) -> Seen:
        """Read what the journal has got since, for a while; return what is known then."""
        deadline = monotonic() + seconds
        with self._lock:
            while self._batches < resolver.batch_count:
                batches = resolver.judged_links(
                    self._batches, self._batches + AT_ONCE, most=MOST_REFUSED, rejected=True
                )
                for batch in batches:
                    self._take(batch)
                if not batches or monotonic() > deadline:
                    break
            days = {day: dict(counts) for day, counts in sorted(self._days.items())}
            is_whole = self._batches >= resolver.batch_count
            return Seen(self._position, is_whole, days, self._refused)

    def refused_of(self, ids: Iterable[str]) -> list[RecordedLink]:
        """Return the refused links that name one of some IDs, as far as they are kept, in order."""
        with self._lock:
            found = {link.position: link for one in ids for link in self._by_id.get(one, ())}
        return [found[position] for position in sorted(found)]

    def newest_refused(self, most: int) -> list[RecordedLink]:
        """Return the newest refused links, the newest first."""
        with self._lock:
            return [*itertools.islice(reversed(self._kept), most)]

    def largest(self, resolver: DurableResolver, most: int) -> list[tuple[str, int]]:
        """Return the canonical IDs and sizes of the largest people, the largest first.

        They are found anew if the journal has changed, of more than `MANY` IDs a minute after the
        last time at the earliest, since that takes a snapshot of the mapping.
        """
        position = resolver.position
        with self._lock:
            now = monotonic()
            wait = AGE if len(resolver) > MANY else 0.0
            if self._largest is None or (self._largest[0] != position and now - self._largest[1] >= wait):
                self._largest = (position, now, _largest(resolver, most))
            # What was found a while ago may name an ID that another door has forgotten since.
            return [one for one in self._largest[2] if one[0] in resolver][:most]

    def drop(self, distinct_id: str) -> None:
        """Let go of what names an ID, which was forgotten."""
        with self._lock:
            self._largest = None
            for link in self._by_id.pop(distinct_id, ()):
                self._kept.remove(link)
                self._unlist(link, distinct_id)

    def _take(self, batch: JudgedBatch) -> None:
        if batch.time is not None:
            self._days[batch.time.astimezone(self._zone).date()].update(batch.outcomes)
        self._refused += sum(count for outcome, count in batch.outcomes.items() if not outcome.accepted)
        for link in batch.links:
            self._kept.append(link)
            for one in _ends(link):
                self._by_id[one].append(link)
        while len(self._kept) > MOST_REFUSED:
            self._unlist(self._kept.popleft())
        self._batches, self._position = batch.number + 1, batch.end_position

    def _unlist(self, link: RecordedLink, besides: str | None = None) -> None:
        """Remove a link from the lists of its IDs."""
        for one in _ends(link) - {besides}:
            own = self._by_id[one]
            own.remove(link)  # When the oldest goes, it is the first.
            if not own:
                del self._by_id[one]


def _largest(resolver: DurableResolver, most: int) -> list[tuple[str, int]]:
    table: Any = pa.table(resolver.mapping())
    people = table.filter(pc.equal(table.column("distinct_id"), table.column("canonical_id")))
    order: Any = [("cluster_size", "descending")]
    found = people.take(pc.select_k_unstable(people, min(most, len(people)), sort_keys=order))
    return list(
        zip(found.column("canonical_id").to_pylist(), found.column("cluster_size").to_pylist(), strict=True)
    )


def _ends(link: RecordedLink) -> set[str]:
    return {one for one in (link.first, link.second) if one is not None}
