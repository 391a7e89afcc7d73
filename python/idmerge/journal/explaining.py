"""Answers of a resolver about its journal: what changed, and what joined its IDs or did not."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from idmerge._steps import states_link
from idmerge.errors import PositionError, SealedError
from idmerge.journal.committing import CommittingResolver
from idmerge.journal.cursor import Cursor, MappingUpdate
from idmerge.journal.forks import check_process
from idmerge.journal.protocol import MEMORY
from idmerge.journal.provenance import provenance, provenance_in
from idmerge.outcome import Outcome
from idmerge.recorded import JudgedBatch, RecordedLink, Statement, recorded, stated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from idmerge import _core
    from idmerge._ids import AnyId
    from idmerge.journal.batch import Batch
    from idmerge.recorded import Provenance


class ExplainingResolver(CommittingResolver):
    """The part of a `DurableResolver` that answers about its journal; that class makes it."""

    __slots__ = ("_is_by_event", "_keeps_history", "_process")

    _is_by_event: bool
    """True if it was opened as of an event time."""
    _keeps_history: bool
    _process: int

    def _check_open(self) -> None:
        if self._is_closed:
            if self._journal.name != MEMORY:
                check_process(self._journal.name, self._process)
            raise SealedError(f"{self._journal.name} is closed")

    def _blocks(self, start: int = 0) -> list[bytes]:
        self._settle_doubt()
        return self._journal.blocks(start, 0 if self._batch is None else self._batch.number + 1)

    def _provenance(self, positions: Iterable[int]) -> dict[int, Provenance]:
        # While commit_all runs its transaction is open, and the journal is not to be read.
        journal = None if self._is_committing else self._journal
        return provenance(journal, self._times, self, positions)

    def changes(self, since: int) -> _core.Table:
        """Return which IDs have another canonical ID now than at the position ``since``.

        Returns:
            A table of ``distinct_id``, ``old_canonical_id`` (null if that ID was forgotten),
            ``new_canonical_id`` (utf8) and ``position`` (int64, the position as of which it is so),
            one row an ID; an ID that is not known at one of the two moments stands for itself
            there. Applied to a mapping as of ``since``, it gives the mapping as of ``position``. A
            forgotten ID is in no row: erase it from every copy of the mapping too.

        Raises:
            PositionError: ``since`` lies ahead, or is negative.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.merge("ana", "crm-17"), r.commit()
            ...     changed = r.changes(since=0).to_pydict()
            >>> changed["distinct_id"], changed["new_canonical_id"], changed["position"]
            (['crm-17'], ['ana'], [1])
        """
        with self._guard:
            if not isinstance(since, int):
                raise TypeError(f"since must be a position, got {since!r}")
            if not 0 <= since <= self.position:
                raise PositionError(f"since must be between 0 and {self.position}, got {since}")
            self._settle_doubt()
            return self._changes(self._blocks(self._feed_start(since)))

    def mapping_since(self, cursor: Cursor | None) -> MappingUpdate:
        """Return what brings a copy of the mapping up to date that is as of ``cursor``.

        Unlike `changes`, the rows are exactly those of the mapping: also of new IDs that stand for
        themselves. After `retract` and `forget` they are the whole mapping, and with no cursor.

        Raises:
            PositionError: The journal does not have the moment of the cursor: it is another one, or
                was put back to an earlier state.
            ValueError: Some steps are not committed, or the resolver is as of an event time.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.merge("ana", "crm-17"), r.commit()
            ...     update = r.mapping_since(None)
            ...     print(update.is_whole, update.rows.num_rows, update.cursor.position)
            True 2 1
        """
        with self._guard:
            self._check_open()
            self._settle_doubt()
            if self._is_by_event:
                raise ValueError("no cursor is as of an event time; mapping() is the whole mapping")
            if cursor is not None:
                self._check_cursor(cursor)
            ids, unknown, forgotten, has_retracted = self._census(0 if cursor is None else cursor.position)
            head = self._batch
            now = Cursor(
                batch=-1 if head is None else head.number,
                written_at=0 if head is None else head.written_at,
                position=0 if head is None else head.end_position,
                ids=ids,
                unknown=unknown,
                forgotten=forgotten,
            )
            is_whole = (
                cursor is None or has_retracted or (cursor.unknown, cursor.forgotten) != (unknown, forgotten)
            )
            if is_whole or cursor is None:
                rows = self._canonical_ids(0, None)
            else:
                rows = self._canonical_ids(cursor.ids, self._blocks(self._feed_start(cursor.position)))
            if self._pending_count():  # A link may have come meanwhile.
                raise ValueError("an update of a mapping is of what the journal has; call commit() first")
            return MappingUpdate(is_whole=is_whole, rows=rows, cursor=now)

    def _check_cursor(self, cursor: Cursor) -> None:
        """Raise unless the journal has the moment of ``cursor``."""
        found = self._journal.batch(cursor.batch) if cursor.batch >= 0 else None
        is_behind = self._batch is None or cursor.batch > self._batch.number
        if cursor.batch < 0 and cursor.position == cursor.ids == 0:
            return
        if is_behind or found is None or _moment(found) != (cursor.written_at, cursor.position, cursor.ids):
            raise PositionError(
                f"{self._journal.name} has no commit {cursor.batch} that ends at position {cursor.position} "
                "at the time of the cursor: it is another journal, or was put back to an earlier state"
            )

    def explain(self, a: AnyId, b: AnyId | None = None) -> list[RecordedLink] | None:
        """Return why two IDs are one person, as `Resolver.explain`, with times and sources.

        The times of commits are in memory; those of events and the sources of links are read from
        the batches that have these links.

        Raises:
            JournalError: One of these batches is damaged.
            OSError: The journal cannot be read.
            UnknownIdError: An ID is not known.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.merge("ana", "crm-17"), r.commit()
            ...     for link in r.explain("ana", "crm-17"):
            ...         print(link.position, link.kind, link.time is not None)
            0 MERGE True
        """
        with self._guard:
            self._check_open()
            self._settle_if_possible()  # It says when each link was committed.
            blocks = None if self._keeps_history else self._blocks()
            links = self._explain(a, b, blocks)
            return None if links is None else recorded(links, self._provenance)

    def why_not(self, a: AnyId, b: AnyId) -> list[RecordedLink]:
        """Return the rejected links between the clusters of two IDs, in their order.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.alias("crm-17", "ana"), r.alias("crm-17", "ben"), r.commit()
            ...     print([(link.position, link.outcome.name) for link in r.why_not("ana", "ben")])
            [(1, 'ALIAS_TAKEN')]
        """
        with self._guard:
            return recorded(self._why_not(a, b, self._blocks()), self._provenance)

    def statements(self, a: AnyId, b: AnyId | None = None) -> list[Statement]:
        """Return what the journal states about the cluster of ``a``, equal statements as one.

        These are the links within the cluster, whatever their outcome; the pairs of IDs that keep
        it apart from others; and what was taken back and names a member. If ``b`` is in another
        cluster, they are the links and the pairs between the two instead, and what was taken back
        in either.

        Returns:
            The statements in the order of their first positions. A link that was sent twice is one
            statement with two positions, or two where the outcomes differ: MERGED, then UNCHANGED.

        Raises:
            UnknownIdError: ``a`` or ``b`` is not known.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.merge("ana", "crm-17"), r.merge("ana", "ben"), r.commit()
            ...     _ = r.retract(1), r.keep_apart("ana", "ben"), r.commit()
            ...     for one in r.statements("ana"):
            ...         print(one.kind, one.second, one.positions, one.taken_back_by)
            MERGE crm-17 (0,) ()
            MERGE ben (1,) (2,)
            None ben (3,) ()
        """
        with self._guard:
            self._check_open()
            found = self._statements(a, a if b is None else b, self._blocks())
            return stated(found, self._provenance)

    @property
    def batch_count(self) -> int:
        """The number of batches that are read or committed.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.merge("ana", "crm-17"), r.commit()
            ...     print(r.batch_count)
            1
        """
        return 0 if self._batch is None else self._batch.number + 1

    def judged_links(
        self, start: int, end: int | None = None, *, most: int, rejected: bool = False
    ) -> list[JudgedBatch]:
        """Return the links of some batches of the journal, as they were judged when they came.

        What a later retraction has changed of an outcome is not there, nor is what was taken back
        left out: `explain`, `why_not` and `statements` have what holds now, and take as long as to
        judge the whole journal again.

        Args:
            start: The number of the first batch.
            end: The number behind the last one; without it that of all.
            most: The most links of each batch that are returned, the last ones.
            rejected: Only return rejected ones; all are counted.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.merge("ana", "crm-17"), r.merge("ana", "null"), r.commit()
            ...     _ = r.merge("ana", "ben"), r.commit()
            ...     for batch in r.judged_links(0, most=10):
            ...         print(batch.number, [link.second for link in batch.links])
            0 ['crm-17', None]
            1 ['ben']
        """
        with self._guard:
            self._check_open()
            self._settle_if_possible()
            behind = self.batch_count if end is None else min(end, self.batch_count)
            blocks = self._journal.blocks(start, behind) if start < behind else []
            ends = [self._times.end_of(number) for number in range(start - 1, behind)] if blocks else []
        found = []
        for number, block in enumerate(blocks, start):
            position, end_position = ends[number - start], ends[number - start + 1]
            steps = self._recorded_links(block, position) if block else []
            links = [link for link in steps if states_link(link[0])]
            kept = [link for link in links if not (rejected and Outcome(link[4]).accepted)]
            found.append(
                JudgedBatch(
                    number,
                    self._times.of(position) if end_position > position else None,
                    end_position,
                    {
                        Outcome(code): count
                        for code, count in sorted(Counter(link[4] for link in links).items())
                    },
                    recorded(kept[-most:], partial(provenance_in, block, position, self._times, self)),
                )
            )
        return found


def _moment(batch: Batch) -> tuple[int, int, int]:
    return batch.written_at, batch.end_position, batch.end_id
