"""The thread that applies a log's records to the journals and profiles of their projects.

1. Records are applied in the order of the log, each once: a commit keeps the place in the log with
   the steps, and after a crash the thread goes on there. What was applied and not committed is
   applied again, to the state that was committed.
2. Steps are committed within `COMMIT_SECONDS`. A place in the log alone, behind which no record has
   changed anything, is committed every `PLACE_BYTES` and at the end: to read such records again
   gives the same.
3. Updates are applied between the events among which they came. They are on disk, with their own
   place in the log, before the steps of that place are committed; without steps no commit follows.
4. What fails is tried again. A failed commit keeps its steps, and no more are applied until they
   are on disk. After any other error the journal is opened anew, so that nothing is applied twice.
5. The links that a record's events were refused are on disk before the place behind the record is
   committed (`idmerge.server.store.outcomes`).
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from idmerge._naming import named
from idmerge.errors import (
    BusyError,
    KeptApartError,
    LogError,
    RetractionError,
    UnknownIdError,
)
from idmerge.server.follower import Follower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from idmerge.events import Source
    from idmerge.journal import DurableResolver
    from idmerge.profiles import Profiles
    from idmerge.server.directory import Project
    from idmerge.server.log.log import Log
    from idmerge.server.log.records import Record, Stream
    from idmerge.server.store.outcomes import Outcomes

T = TypeVar("T")

COMMIT_SECONDS = 0.2
"""Seconds from the first step that is applied to its commit."""
COMMIT_STEPS = 100_000
"""Steps that are committed at once."""
PLACE_BYTES = 16 << 20
"""Bytes of the log after which a place is committed that no step has to go with."""
GATHER_SECONDS = 0.02
"""Seconds from a record to the next step, so that many are applied at once."""
RETRY = 1.0
"""Seconds after which what failed is tried again."""
_REFUSALS = (KeptApartError, RetractionError, UnknownIdError)
"""What a change of a resolver raises that has changed nothing."""
AT_ONCE = 1 << 20
"""Bytes of one project's lines that are applied by one call."""
FOLLOWED: frozenset[Stream] = frozenset({"events", "updates", "groups"})
"""The streams whose records are applied; those of others are needed in the log."""


class Lag(NamedTuple):
    """How far the journals are behind the log."""

    bytes: int
    """Bytes of the log whose steps are not committed."""
    seconds: float
    """Seconds since the journals were last level with the log."""


class _Act(NamedTuple):
    """A change of a project's files that waits for its turn."""

    project: str
    action: Callable[[Follower], Any]
    place: int
    """The offset up to which the log is to be applied before."""
    done: Future[Any]


class _Target(NamedTuple):
    """What a record is to be applied to, and how."""

    follower: Follower
    stream: Stream
    source: Source


class Pipeline:
    r"""Applies a log to the journals and profiles of some projects, on a thread of its own.

    Args:
        projects: The projects; records of others are passed over, and stay in the log.

    Raises:
        JournalError: A journal cannot be opened.
        FileFormatError: A file of profiles is damaged.
        OSError: A file cannot be read or written.

    Examples:
        >>> from idmerge.server.directory import Directory
        >>> from idmerge.server.log.log import Log
        >>> from idmerge.server.pipeline import Pipeline
        >>> from idmerge.server.log.records import Record
        >>> directory = Directory.open("here")
        >>> pipeline = Pipeline(directory.projects)
        >>> log = Log(directory.log, at_least=pipeline.place)
        >>> line = b'{"event": "$merge", "properties": {"$distinct_ids": ["ana", "crm-17"]}}\n'
        >>> _ = log.append_now([Record("main", "events", "import", 0, line)])
        >>> pipeline.start(log)
        >>> pipeline.drain(timeout=10), pipeline.resolver("main").resolve("crm-17")
        (True, 'ana')
        >>> pipeline.commits("main")
        1
        >>> with pipeline.still("main") as resolver:
        ...     print(len(resolver), resolver.position)
        2 1
        >>> pipeline.change("main", lambda resolver: resolver.keep_apart("ana", "ben"), timeout=10)
        >>> line = b'{"$distinct_id": "crm-17", "$set": {"plan": "pro"}}\n'
        >>> _ = log.append_now([Record("main", "updates", "track", 0, line)])
        >>> pipeline.drain(timeout=10), pipeline.profiles("main").get("ana")
        (True, {'plan': 'pro'})
        >>> len(pipeline.groups("main"))
        0
        >>> pipeline.lag(), pipeline.failure, pipeline.place == pipeline.needed == log.end
        (Lag(bytes=0, seconds=0.0), None, True)
        >>> pipeline.close(), log.close()
        (None, None)
    """

    def __init__(self, projects: Iterable[Project]) -> None:
        self._followers: dict[str, Follower] = {}
        try:
            for project in projects:
                self._followers[project.name] = Follower(project)
        except BaseException:
            self._close_journals()
            raise
        self._changed = threading.Condition()
        self._log: Log | None = None
        self._failure: str | None = None
        self._broken: Follower | None = None
        self._unreadable: Exception | None = None
        self._is_closing = False
        self._is_draining = False
        self._read = self._settled = self._reached()
        self._level_at = monotonic()
        self._first_step_at: float | None = None
        self._acts: list[_Act] = []
        self._thread = threading.Thread(target=self._work, name="idmerge-pipeline", daemon=True)

    def _reached(self) -> int:
        return min((one.reached for one in self._followers.values()), default=0)

    @property
    def place(self) -> int:
        """The offset that the log must reach: the farthest one that somebody has applied."""
        return max(
            (max(one.committed, one.people.place, one.groups.place) for one in self._followers.values()),
            default=0,
        )

    @property
    def needed(self) -> int:
        """The offset from which on the log would be read after a crash."""
        return min((min(one.committed, one.noted) for one in self._followers.values()), default=0)

    @property
    def settled(self) -> int:
        """The offset up to which all is applied, and every step of it committed."""
        return self._settled

    def outcomes(self, project: str) -> Outcomes:
        """Return the refused links of a project; after an error they may be another object."""
        return self._followers[project].outcomes

    @property
    def failure(self) -> str | None:
        """The reason why the log cannot be applied now; None if it can. It is tried again."""
        stores = (store for one in self._followers.values() for store in (one.people, one.groups))
        return self._failure or next((store.failure for store in stores if store.failure), None)

    def resolver(self, project: str) -> DurableResolver:
        """Return the resolver of a project, to ask it; after an error it may be another one."""
        return self._followers[project].resolver

    def profiles(self, project: str) -> Profiles:
        """Return the profiles of people of a project, to ask them; likewise."""
        return self._followers[project].people.profiles

    def groups(self, project: str) -> Profiles:
        """Return the profiles of groups of a project, under `group_name`; likewise."""
        return self._followers[project].groups.profiles

    @contextmanager
    def still(self, project: str) -> Iterator[DurableResolver]:
        """Give the resolver of a project, to which nothing is applied while the block runs."""
        follower = self._followers[project]
        with follower.whole:
            yield follower.resolver

    def commits(self, project: str) -> int:
        """Return the number of commits to the journal of a project since the start."""
        return self._followers[project].commits

    def start(self, log: Log) -> None:
        """Begin to apply ``log``, from where the journals stand.

        Raises:
            LogError: A journal has not applied records that the log has dropped.
        """
        for one in self._followers.values():
            if 0 < one.committed < log.beginning:
                raise LogError(
                    f"{named(one.project.journal)}: the journal has applied the log up to offset "
                    f"{one.committed}, and the log begins at {log.beginning}; put back a copy of the whole "
                    "directory"
                )
        self._log = log
        # A new project has nothing in the records that are dropped from the log.
        self._read = self._settled = max(self._read, log.beginning)
        self._thread.start()

    def lag(self) -> Lag:
        """Return how far the journals are behind the log."""
        behind = max(0, (self._log.end if self._log else 0) - self._settled)
        return Lag(behind, round(monotonic() - self._level_at, 3) if behind else 0.0)

    def drain(self, timeout: float) -> bool:
        """Wait until all that is in the log is applied and committed; return whether it is."""
        with self._changed:
            self._is_draining = True
            self._changed.notify_all()
            return self._changed.wait_for(self._is_drained, timeout)

    def _is_drained(self) -> bool:
        return self._log is not None and self._log.waiting == 0 and self._settled == self._log.end

    def forget(self, project: str, distinct_id: str, timeout: float) -> tuple[bool, int]:
        """Forget an ID and its profile when all that the log has now is applied.

        Returns:
            Whether the ID was known, and the offset up to which the log was applied.

        Raises:
            BusyError: The log was not applied in time; nothing is forgotten.
            JournalError: The journal could not be written anew.
            OSError: Likewise, or the profiles.
        """

        def wipe(follower: Follower) -> tuple[bool, int]:
            is_known = True
            follower.people.forget([distinct_id])
            try:
                with follower.whole:
                    follower.resolver.forget(distinct_id)
            except UnknownIdError:
                is_known = False
            follower.commit()
            follower.resolver.compact()
            return is_known, follower.applied

        return self._do(project, wipe, timeout)

    def change(self, project: str, change: Callable[[DurableResolver], T], timeout: float) -> T:
        """Change a project's resolver when all that the log has now is applied, and commit that.

        Args:
            project: The project's name.
            change: Changes the resolver, or raises before it has changed anything.
            timeout: Seconds within which the log must be applied.

        Returns:
            What ``change`` returned; what it did is on disk then.

        Raises:
            BusyError: The log was not applied in time; nothing is changed.
            JournalError: The journal is damaged, or could not be written.
            OSError: It could not be written.

        What ``change`` raises is raised.
        """

        def changed(follower: Follower) -> tuple[T | None, Exception | None]:
            try:
                with follower.whole:
                    done = change(follower.resolver)
            except _REFUSALS as refusal:
                return None, refusal  # An error of the pipeline would have the files opened anew.
            follower.commit()
            return done, None

        done, refusal = self._do(project, changed, timeout)
        if refusal is not None:
            raise refusal
        return cast("T", done)

    def settle(self, project: str, timeout: float) -> None:
        """Wait until all that the log has now is applied and committed.

        Raises:
            BusyError: That was not done in time.
        """
        self._do(project, lambda _: None, timeout)

    def compact(self, project: str, timeout: float) -> None:
        """Write a journal anew, without forgotten IDs, when all that the log has now is applied.

        Raises what `forget` raises.
        """
        self._do(project, lambda follower: follower.resolver.compact(), timeout)

    def _do(self, project: str, action: Callable[[Follower], T], timeout: float) -> T:
        """Have the thread act when all that the log has now is applied, and its place committed."""
        act = _Act(project, action, 0 if self._log is None else self._log.end, Future())
        with self._changed:
            self._acts.append(act)
            self._changed.notify_all()
        try:
            done: T = act.done.result(timeout)
        except TimeoutError:
            if act.done.cancel():
                raise BusyError("the log is not applied yet; try again later") from None
            done = act.done.result()  # It has begun, and ends.
        return done

    def _act(self) -> None:
        """Do what is to be done when the log is applied so far."""
        while self._acts and self._acts[0].place <= self._read and not self._is_closing:
            for one in self._followers.values():
                one.move_to(self._read)
                if min(one.committed, one.noted) < self._read or one.uncommitted:
                    one.commit()
            self._first_step_at, self._settled = None, self._read
            act = self._acts.pop(0)
            if not act.done.set_running_or_notify_cancel():
                continue
            follower = self._followers[act.project]
            try:
                done = act.action(follower)
            except BaseException as error:  # noqa: BLE001 - the caller raises it
                self._broken = follower
                act.done.set_exception(error)
                return
            act.done.set_result(done)

    def close(self) -> None:
        """End the thread after its step, and close the journals; `drain` first to apply all."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self._close_journals()

    def _close_journals(self) -> None:
        for one in self._followers.values():
            if one.resolver.uncommitted:
                one.drop()
            else:
                one.close()

    # The thread.

    def _work(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._is_closing
            try:
                self._mend()
                is_level = self._step()
                self._act()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is shown and tried again
                self._failure = str(error) or type(error).__name__
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closing, RETRY)
                continue
            self._failure = None
            if is_level and not is_last and self._log is not None:
                has_grown = self._log.wait_beyond(self._read, COMMIT_SECONDS / 4)
                with self._changed:
                    if has_grown:
                        self._changed.wait_for(lambda: self._is_closing or self._is_draining, GATHER_SECONDS)

    def _mend(self) -> None:
        """Open the files anew in which an error has left a part of a record."""
        if self._broken is None:
            return
        self._broken.drop()
        self._broken.open()
        self._broken = None
        begin = 0 if self._log is None else self._log.beginning
        self._read = max(begin, self._reached())

    def _step(self) -> bool:
        """Apply the log for a while and commit what is due; return whether that was all of it."""
        log = self._log
        assert log is not None  # noqa: S101 - `start` has set it
        self._commit_if_due()  # First what failed before, so that it does not grow.
        end = log.end
        gathered: list[tuple[bytes, int]] = []
        of: _Target | None = None
        size, place = 0, self._read
        deadline = monotonic() + COMMIT_SECONDS
        for record, behind in self._records(log):
            target = self._target(record, behind)
            is_over = monotonic() > deadline
            if is_over or target != of or size > AT_ONCE:
                self._apply(of, gathered, place)
                gathered, size = [], 0
                if is_over or self._is_due():
                    break
            if target is not None:
                gathered.append((record.lines, behind))
                size += len(record.lines)
            of, place = target, behind
        else:
            self._apply(of, gathered, place)
        self._commit_if_due()
        if self._unreadable is not None:
            raise self._unreadable
        return self._read >= end

    def _records(self, log: Log) -> Iterator[tuple[Record, int]]:
        """Yield the records that are not read yet, up to the end or what cannot be read."""
        self._unreadable = None
        try:
            yield from log.read(self._read)
        except (LogError, OSError) as error:
            self._unreadable = error  # What stands before it is applied first.

    def _target(self, record: Record, behind: int) -> _Target | None:
        """Return what a record is to be applied to, if to anything, and if it is not yet."""
        follower = self._followers.get(record.project)
        if follower is None or not follower.lacks(record, behind):
            return None
        return _Target(follower, record.stream, record.source)

    def _apply(self, of: _Target | None, gathered: Sequence[tuple[bytes, int]], place: int) -> None:
        """Apply what was gathered; all up to ``place`` is read then."""
        if of is not None and gathered:
            follower = of.follower
            try:
                follower.apply(gathered, of.stream, of.source)
            except BaseException:
                self._broken = follower
                raise
            if self._first_step_at is None and follower.uncommitted:
                self._first_step_at = monotonic()
        self._read = place

    def _is_due(self) -> bool:
        if self._first_step_at is None:
            return False
        if self._is_draining or self._is_closing or monotonic() - self._first_step_at >= COMMIT_SECONDS:
            return True
        return sum(one.uncommitted for one in self._followers.values()) >= COMMIT_STEPS

    def _commit_if_due(self) -> None:
        is_due = self._is_due()
        is_last = self._is_draining or self._is_closing
        for one in self._followers.values():
            one.move_to(self._read)
            is_far = one.applied - one.committed >= (1 if is_last else PLACE_BYTES)
            if is_far or (is_due and (one.resolver.uncommitted or one.outcomes.unsaved)):
                one.commit()
                one.fold_if_due()
            elif is_due:
                one.flush()
                one.fold_if_due()
        if is_due:
            self._first_step_at = None
        if self._first_step_at is None:
            with self._changed:
                self._settled = self._read
                if self._log is not None and self._settled >= self._log.end:
                    self._level_at = monotonic()
                self._changed.notify_all()
