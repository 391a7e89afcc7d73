"""A resolver with a journal: every step is kept, and the resolver is the replay of its journal.

Steps are applied in memory as ever, and written when `commit` is called. Beyond lasting, a journal
answers questions about the past (changes since a position, the chain of links between two IDs, the
clusters at an earlier time) and takes back links that should not have been sent.
"""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar, Literal, Self, get_args

from idmerge import _core
from idmerge._threads import Pool, threads_allowed
from idmerge.canonical import Strategy, check_canonical
from idmerge.errors import (
    CanonicalError,
    JournalError,
    PositionError,
    RetractionError,
    SealedError,
)
from idmerge.journal.batch import Batch, microseconds
from idmerge.journal.checkpoint import load_checkpoint, moment_of, remove_checkpoint, write_checkpoint
from idmerge.journal.explaining import ExplainingResolver
from idmerge.journal.facts import Facts, strategy_of
from idmerge.journal.forks import orphaned, watch
from idmerge.journal.losses import losses
from idmerge.journal.opening import open_journal, settled_facts
from idmerge.journal.outline import Outline, Times
from idmerge.journal.protocol import MEMORY, Journal
from idmerge.policy import Api, Policy, policy_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from collections.abc import Set as AbstractSet
    from types import TracebackType

    from idmerge._ids import AnyId


Clock = Literal["commit", "event"]
"""The times that a moment in the past is compared with: those of commits, or those of events."""

WORTH_A_CHECKPOINT = 200_000
"""Positions since the last checkpoint for which closing writes another one."""
BLOCKS_AT_ONCE = 16
"""Blocks that are held at once where all of a journal are read."""
WORTH_A_THREAD = 8
"""Batches that are worth a thread that reads them ahead."""


class DurableResolver(ExplainingResolver):
    """A `Resolver` with a journal; `open` makes one.

    Not to be opened twice for writing: a journal has one writer at a time. Threads can share it.

    Examples:
        >>> from idmerge import DurableResolver
        >>> with DurableResolver.open("ids.idmerge") as r:
        ...     _ = r.merge("ana", "crm-17")
        ...     _ = r.commit(offsets={"logins": 1017})
        >>> with DurableResolver.open("ids.idmerge") as r:
        ...     print(r.resolve("crm-17"), r.offsets)
        ana {'logins': 1017}
    """

    __slots__ = (
        "__weakref__",
        "_checkpointed",
        "_facts",
        "_is_catching_up",
        "_is_of_the_past",
        "_read_only",
    )

    _notes_origins: ClassVar[bool] = True
    _read_only: bool
    _facts: Facts
    _checkpointed: int
    """The position of the last checkpoint."""
    _is_of_the_past: bool
    _is_catching_up: bool
    """True while batches are read back; still true afterwards if that was interrupted."""

    def __new__(  # noqa: D102 - `open` says it.
        cls, journal: Journal, facts: Facts, *, history: bool, threads: int | None, read_only: bool
    ) -> Self:
        canonical = strategy_of(facts)
        self = _core.Resolver.__new__(
            cls, facts.policy, canonical, 0, threads_allowed(threads), None, history, record=True
        )
        self._policy = facts.policy
        self._canonical = canonical
        self._journal = journal
        self._guard = threading.RLock()
        self._offsets = {}
        self._batch = None
        self._read_only = read_only
        self._keeps_history = history
        self._facts = facts
        self._checkpointed = 0
        self._is_closed = False
        self._is_of_the_past = False
        self._is_by_event = False
        self._in_doubt = []
        self._is_catching_up = False
        self._is_committing = False
        self._times = Times()
        self._process = os.getpid()
        if journal.name != MEMORY:  # Which no two processes share.
            watch(self)
        return self

    @classmethod
    def open(  # noqa: PLR0913 - each by its name
        cls,
        path: str | os.PathLike[str],
        policy: Policy | None = None,
        canonical: Strategy | None = None,
        *,
        create: bool = True,
        read_only: bool = False,
        as_of: int | datetime | None = None,
        by: Clock = "commit",
        history: bool = True,
        threads: int | None = None,
        api: Api | None = None,
    ) -> Self:
        """Open a resolver whose journal is at ``path``.

        Args:
            path: A file of SQLite, ``":memory:"`` for a journal that ends with the process, or a
                ``postgresql://`` or ``postgres://`` URL (psycopg), whose journal lies
                in the first schema of its ``search_path``: ``?options=-csearch_path%3Dname``.
            policy: The rules by which links are judged; those of the journal, or Mixpanel's for a
                new one.
            canonical: The strategy for canonical IDs: the journal's, or ``"stable"`` for a new one.
            create: Make a journal if there is none.
            read_only: Read while another process writes; `refresh` catches up.
            as_of: An earlier moment to look back at: before this position, or by what was committed
                at this time. Needs ``read_only``.
            by: ``"event"`` compares ``as_of``, which has to be a time, with the times of events:
                the answers are those that today's journal gives without the links of later events
                (SPEC 8). A link without an event time counts by its commit.
            history: Keep in memory which link joined which clusters (20 bytes an ID); without it
                `explain` reads the journal.
            threads: As for `Resolver`.
            api: The API whose links are taken: a shorthand for a policy, as for `Resolver`; of a
                journal that is there, it has to be this one.

        Raises:
            FileNotFoundError: There is no journal, and none is to be made.
            JournalError: It is damaged, of another format, has another policy, or another writer.
            OSError: The file or its directory cannot be read or written, or the server cannot be
                reached.
            CanonicalError: ``canonical`` is no strategy's name.
            MissingExtraError: The library for such a URL is not installed.
            PolicyError: ``policy`` has another API than ``api``, or there is no such API.
            PositionError: ``as_of`` is no position of the journal.
            SettingError: The environment variable ``IDMERGE_THREADS`` is no positive integer.
            TypeError: ``policy`` is no `Policy`, or ``as_of`` neither a position nor a datetime.
            ValueError: ``threads`` is no positive integer; ``as_of`` without ``read_only``, or
                without a time zone; ``by`` is neither clock, or ``"event"`` without a time.

        Examples:
            >>> from idmerge import DurableResolver, Policy
            >>> with DurableResolver.open("ids.idmerge", Policy(max_cluster_size=501)) as r:
            ...     _ = r.merge("ana", "ben"), r.merge("ben", "crm-17"), r.commit()
            >>> with DurableResolver.open("ids.idmerge", read_only=True, as_of=1) as past:
            ...     print(past.members("ana"), past.policy.max_cluster_size)
            ['ana', 'ben'] 501
        """
        if as_of is not None and not read_only:
            raise ValueError("as_of looks back at a journal, which read_only=True must allow")
        if not isinstance(as_of, int | datetime | None) or isinstance(as_of, bool):
            raise TypeError(f"as_of must be a position or a datetime, got {as_of!r}")
        if by not in get_args(Clock):
            raise ValueError(f"by must be 'commit' or 'event', got {by!r}")
        if by == "event" and not isinstance(as_of, datetime):
            raise ValueError(f"by='event' needs as_of to be a datetime, got {as_of!r}")
        policy_of(policy, api)
        if canonical is not None:
            check_canonical(canonical)
            if not isinstance(canonical, str):
                raise CanonicalError(
                    "a journal keeps the name of a canonical strategy, and a callable has none"
                )
        journal = open_journal(path, create=create, read_only=read_only)
        try:
            facts = settled_facts(journal, policy, canonical, api, read_only=read_only)
            resolver = cls(journal, facts, history=history, threads=threads, read_only=read_only)
            resolver._read_back(as_of, by)
        except BaseException:
            journal.close()
            raise
        if read_only:
            resolver._seal(f"{journal.name} was opened to read")
        return resolver

    def _forked(self) -> None:
        self._orphan(orphaned(self._journal.name, self._process))
        self._guard = threading.RLock()  # Another thread may have held it.
        self._is_closed = True

    # Reading back.

    def _read_back(self, as_of: int | datetime | None, by: Clock) -> None:
        until = as_of if isinstance(as_of, int) else None
        moment = microseconds(as_of) if isinstance(as_of, datetime) else None
        latest, latest_event = (moment, None) if by == "commit" else (None, moment)
        if until is not None and until < 0:
            raise PositionError(f"as_of must be at least 0, got {until}")
        known = self._load_checkpoint() if as_of is None else None
        # Another process may write meanwhile: what is read ends where it did when retractions were
        # looked for.
        outline = Outline(self._journal, latest, known)
        if until is not None and until > outline.end_position:
            raise PositionError(
                f"as_of must be at most {outline.end_position}, where the journal ends, got {until}"
            )
        if known is not None:
            self._times, self._offsets = outline.times, outline.offsets
            self._batch = known.without_blocks()
            self._checkpointed = known.end_position
            self._catch_up(outline.batches)
        else:
            self._read_all(outline, until, latest_event)
        self._is_of_the_past = as_of is not None
        self._is_by_event = latest_event is not None
        if as_of is not None:
            self._wipe_forgotten_since()
        self._end_restoring()

    def _wipe_forgotten_since(self) -> None:
        """Wipe the texts of the IDs that were forgotten later: no moment names them."""
        first = 0 if self._batch is None else self._batch.number
        end = Outline(self._journal).batches
        for start in range(first, end, BLOCKS_AT_ONCE):
            self._wipe_forgotten(self._journal.blocks(start, min(start + BLOCKS_AT_ONCE, end)))

    def _load_checkpoint(self) -> Batch | None:
        path = self._journal.checkpoint
        return load_checkpoint(path, self, self._facts, self._journal) if path else None

    def _catch_up(self, end: int | None = None) -> None:
        """Read back the batches behind the last one that is known, those before number ``end``."""
        was_interrupted, self._is_catching_up = self._is_catching_up, True
        if was_interrupted or not self._read_behind(end):
            # A retraction reaches back to links read before: build it aside, so that no reader sees
            # a state that never was.
            anew = DurableResolver(
                self._journal, self._facts, history=self._keeps_history, threads=None, read_only=True
            )
            anew._read_all(Outline(self._journal), None)
            self._swap(anew)
            self._batch, self._offsets, self._times = anew._batch, anew._offsets, anew._times
        self._is_catching_up = False

    def _read_behind(self, end: int | None) -> bool:
        """Read back what is behind the last known batch; return false at one that takes back."""
        with closing(self._journal.batches(self._batch)) as batches:
            for batch in batches:
                if end is not None and batch.number >= end:
                    return True
                if batch.retractions is not None:
                    return False
                self._take_batch(batch, (), None, is_checked=True)
        return True

    def _read_all(self, outline: Outline, until: int | None, latest_event: int | None = None) -> None:
        """Read back every outlined batch, without a checkpoint, up to the position ``until``.

        Links of events behind ``latest_event``, in microseconds since 1970, are left out.
        """
        retracted = outline.retracted(until)
        is_checked = not retracted and latest_event is None
        for batch in self._batches(outline.batches):
            late = set() if latest_event is None else self._later_than_moment(batch, latest_event)
            if not self._take_batch(batch, retracted, until, is_checked=is_checked, late=late):
                break

    def _later_than_moment(self, batch: Batch, latest: int) -> set[int]:
        """Return the positions of later links in ``batch``, which are left out from now on."""
        if not batch.block:
            return set()
        with self._named(batch):
            late = self._later_than(batch.block, batch.position, latest // 1000, batch.written_at > latest)
            self._leave_out(late)
        return late

    @contextmanager
    def _named(self, batch: Batch) -> Iterator[None]:
        """Name the journal and the batch in errors of the core."""
        try:
            yield
        except JournalError as error:
            raise JournalError(f"{self._journal.name}: batch {batch.number}: {error}") from error

    def _batches(self, end: int) -> Iterator[Batch]:
        """Yield the batches before number ``end``."""
        with closing(self._journal.batches()) as batches:
            yield from takewhile(lambda batch: batch.number < end, _one_ahead(batches, end))

    def _take_batch(
        self,
        batch: Batch,
        retracted: Collection[int],
        until: int | None,
        *,
        is_checked: bool,
        late: AbstractSet[int] = frozenset(),
    ) -> bool:
        """Read back a batch; return whether the position ``until`` was not reached yet."""
        goes_on = True
        if batch.block:
            with self._named(batch):
                within = _within(retracted, batch) | late
                goes_on, position, ids = self._restore(batch.texts, batch.block, within, until, is_checked)
            if goes_on and (position, ids) != (batch.end_position, batch.end_id):
                raise JournalError(
                    f"{self._journal.name}: batch {batch.number} ends at position {position} and ID {ids}, "
                    f"not at {batch.end_position} and {batch.end_id}"
                )
        # Offsets of a batch belong to its end, not to a position within it.
        self._note(batch.without_blocks() if goes_on else replace(batch.without_blocks(), offsets=None))
        return goes_on

    def _check_origins(self, batch: Batch) -> None:
        """Make sure that the event times and sources in a batch can be read, which is done late."""
        if batch.block:
            with self._named(batch):
                self._block_origins(batch.block, batch.position, [])

    def refresh(self) -> int:
        """Read what was committed since; return the position up to which everything is known.

        A commit of several batches is applied batch by batch: another thread may see a part of it
        meanwhile, and so do all threads if a later batch of it is damaged; `offsets` are those of
        whole commits.

        Raises:
            JournalError: The journal is damaged.
            SealedError: It is closed, was not opened to read, or with ``as_of``.

        Examples:
            >>> from idmerge import DurableResolver
            >>> writer = DurableResolver.open("ids.idmerge")
            >>> reader = DurableResolver.open("ids.idmerge", read_only=True)
            >>> writer.merge("ana", "crm-17"), writer.commit()
            (<Outcome.MERGED: 0>, 1)
            >>> reader.refresh(), reader.resolve("crm-17")
            (1, 'ana')
            >>> writer.close(), reader.close()
            (None, None)
        """
        if not self._read_only or self._is_of_the_past:
            raise SealedError("only a resolver that was opened to read, and without as_of, can be refreshed")
        with self._guard:
            try:
                self._catch_up()
            except JournalError:
                self._release()  # It stays at the last step that was right, maybe amid a commit.
                raise
            return self.position

    # Checkpoints, and the end.

    def checkpoint(self) -> None:
        """Write what the resolver is beside the journal, so that it opens several times as fast.

        Nothing depends on it: it may be deleted at any time. `close` writes one if the last one is
        old. It takes about as many bytes as the resolver takes memory. A journal that is no file
        has none.

        Raises:
            OSError: It could not be written.
            SealedError: The resolver was opened to read, or is closed.
            ValueError: Some steps are not committed.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open("ids.idmerge") as r:
            ...     _ = r.merge("ana", "crm-17"), r.commit()
            ...     r.checkpoint()
        """
        with self._guard:
            self._pending()  # Refuses a resolver that takes no changes.
            self._settle_doubt()
            if not self._write_checkpoint():
                raise ValueError("a checkpoint holds what is in the journal; call commit() first")

    def _write_checkpoint(self) -> bool:
        """Write a checkpoint, if it has a place; False if some steps are not committed."""
        if not self._journal.checkpoint or not self._batch:
            return self._pending_count() == 0
        # As it is in the journal: it may have been rewritten.
        last = self._journal.batch(self._batch.number)
        if last is None:
            raise JournalError(f"{self._journal.name}: batch {self._batch.number} is missing")
        moment = moment_of(self._facts, last)
        if not write_checkpoint(self._journal.checkpoint, self, moment):
            return False
        self._checkpointed = self._batch.end_position
        return True

    def close(self) -> None:
        """Let go of the journal; what was not committed is lost, and a warning says so.

        Examples:
            >>> from idmerge import DurableResolver
            >>> r = DurableResolver.open(":memory:")
            >>> r.merge("ana", "crm-17"), r.commit()
            (<Outcome.MERGED: 0>, 1)
            >>> r.close()
            >>> r.resolve("crm-17")  # It still answers.
            'ana'
        """
        self._close()

    def _close(self) -> None:
        """Close; a warning points at the line that called the caller."""
        with self._guard:
            is_done = self._read_only or self._is_closed
            left = doubtful = 0
            try:
                doubtful = 0 if is_done else self._steps_in_doubt()
                self._seal(f"{self._journal.name} is closed")  # From here on nothing is added.
                left = 0 if is_done else self._pending_count()
                if not is_done and not left and self.position - self._checkpointed >= WORTH_A_CHECKPOINT:
                    with suppress(OSError, JournalError):  # Nothing depends on it.
                        self._write_checkpoint()
            finally:
                self._release()
        for warning in losses(left - doubtful, doubtful):
            warnings.warn(warning, stacklevel=3)

    def __enter__(self) -> Self:
        """Return the resolver, which the ``with`` closes at its end without a commit."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; with an error on its way, there is no warning of steps not committed."""
        if error is None:
            self._close()
        else:
            with self._guard:
                self._release()

    # The past.

    def retract(self, *positions: int, dry_run: bool = False) -> _core.Table:
        """Take back what stands at some positions, as if it had never been sent.

        Later links that were rejected because of it are judged again. The journal keeps both it and
        the retraction, which has a position of its own, so that it can be taken back too.

        Args:
            positions: Of links, of `keep_apart`, or of retractions, as `explain` and `why_not` give
                them.
            dry_run: Only say what would change.

        Returns:
            The IDs whose canonical ID changes, as in `changes`: every cluster that is another one
            has some.

        Raises:
            RetractionError: A position is not there, is taken back already, or cannot be undone.
            SealedError: The resolver was opened to read, or is closed.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.merge("ana", "ben"), r.commit()
            ...     print(r.retract(0).to_pydict()["distinct_id"], r.same("ana", "ben"))
            ...     _ = r.commit()
            ['ben'] False
        """
        with self._guard:
            for position in positions:
                if isinstance(position, bool) or not isinstance(position, int):
                    raise TypeError(f"a position must be an int, got {position!r}")
                if not 0 <= position < self.position:
                    raise RetractionError(
                        f"there is nothing at position {position}: positions go from 0 to {self.position - 1}"
                    )
            return self._retract(self._blocks(), list(positions), dry_run)

    def forget(self, distinct_id: AnyId) -> _core.Table:  # type: ignore[override]
        """Forget an ID, for good, as `Resolver.forget`; `compact` wipes it from the journal.

        Returns:
            The IDs whose canonical ID changed, as in `changes`: the other members, if the forgotten
            ID was their canonical one. The old one is null there.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open("ids.idmerge") as r:
            ...     _ = r.merge("ana", "ana@example.com"), r.commit()
            ...     changed = r.forget("ana@example.com")
            ...     r.compact()
            ...     print(r.members("ana"), changed.num_rows)
            ['ana'] 0
        """
        with self._guard:  # Not while the journal is compacted.
            return self._forget_changing(distinct_id)

    def compact(self) -> None:
        """Wipe the texts of forgotten IDs from the journal, and give back its room.

        It takes as long as to write the journal anew.

        Raises:
            OSError: There is no room for that. Some texts may be wiped already; no answer is
                another one.
            JournalError: A reader keeps the old pages; compact it again when that reader is gone.
        """
        with self._guard:
            self.commit()
            if self._journal.checkpoint:
                remove_checkpoint(self._journal.checkpoint)
                self._checkpointed = 0
            for number in range(0 if self._batch is None else self._batch.number + 1):
                self._rewrite(number)
            self._journal.compact()

    def _rewrite(self, number: int) -> None:
        """Write a batch anew without the texts of forgotten IDs, if it has any."""
        batch = self._journal.batch(number)
        if batch is None:
            raise JournalError(f"{self._journal.name}: batch {number} is missing")
        texts = self._texts_block(batch.first_id, batch.end_id) if batch.block else b""
        if texts != batch.texts:
            self._journal.rewrite(replace(batch, texts=texts).sealed(self._journal.version))


def _one_ahead(batches: Iterator[Batch], count: int) -> Iterator[Batch]:
    """Yield ``batches`` to their end; if they are many, another thread reads one ahead."""
    if count < WORTH_A_THREAD:
        yield from batches
        return
    with Pool(1, "idmerge-journal") as pool:
        ahead = pool.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = pool.submit(next, batches, None)
            yield batch


def _within(retracted: Collection[int], batch: Batch) -> set[int]:
    """Return the retracted positions of ``batch``; each of them takes some bytes of its block."""
    end = min(batch.end_position, batch.position + len(batch.block))
    if len(retracted) < end - batch.position:
        return set(retracted)
    return {position for position in range(batch.position, end) if position in retracted}
