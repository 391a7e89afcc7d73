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
from bisect import bisect_right
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from idmerge._naming import named
from idmerge.errors import BusyError, LogError, MalformedEventError, UnknownIdError
from idmerge.journal import DurableResolver
from idmerge.outcome import Outcome, Report
from idmerge.server import places
from idmerge.server.people.peoplestore import PeopleStore
from idmerge.server.people.resolving import Unlinked, updates_of_groups, updates_of_people
from idmerge.server.store.outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from idmerge.events import Source
    from idmerge.profiles import Profiles
    from idmerge.server.directory import Project
    from idmerge.server.log.log import Log
    from idmerge.server.log.records import Record, Stream

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
    action: Callable[[_Follower], object]
    place: int
    """The offset up to which the log is to be applied before."""
    done: Future[None]


class _DroppedError(Exception):
    """Ends the use of a resolver as an error does."""


class _Follower:
    """A project's journal and profiles, and how far they have come."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.commits = 0
        self.whole = threading.Lock()
        """Held while events are applied, so that readers of several answers see one state."""
        self.open()

    def open(self) -> None:
        """Open the files; what was applied and not committed is forgotten."""
        project = self.project
        project.journal.parent.mkdir(parents=True, exist_ok=True)
        self.resolver = DurableResolver.open(project.journal, project.policy, project.canonical)
        try:
            self.applied = self.committed = places.stated(self.resolver, places.LOG)
            self.noted = places.stated(self.resolver, places.PROFILES)
            self.people = PeopleStore(
                project.profiles,
                self.resolver,
                updates_of_people,
                journal=self.committed,
                place=self.noted,
                count=places.stated(self.resolver, places.UPDATES),
                merge_profiles=project.merge_profiles,
            )
            try:
                self.groups = PeopleStore(
                    project.groups,
                    Unlinked(),
                    updates_of_groups,
                    journal=self.committed,
                    place=self.noted,
                    count=places.stated(self.resolver, places.GROUP_UPDATES),
                )
            except BaseException:
                self.people.close()
                raise
            try:
                self.outcomes = Outcomes(project.journal.with_name("outcomes"), self.committed)
            except BaseException:
                self._close_stores()
                raise
        except BaseException:
            self.resolver.close()
            raise

    def drop(self) -> None:
        """Let go of the files, without what is not committed: that is in the log."""
        self._close_stores()
        with suppress(_DroppedError), self.resolver:
            raise _DroppedError

    def close(self) -> None:
        """Let go of the files."""
        self._close_stores()
        self.resolver.close()

    def _close_stores(self) -> None:
        for store in (self.people, self.groups):
            store.close()

    @property
    def reached(self) -> int:
        """The offset up to which records of every stream are applied."""
        return min(self.applied, self.people.place, self.groups.place)

    @property
    def uncommitted(self) -> int:
        """The number of steps, updates and outcomes that are not on disk."""
        waiting = self.people.waiting + self.groups.waiting
        return self.resolver.uncommitted + waiting + self.outcomes.unsaved

    def lacks(self, record: Record, behind: int) -> bool:
        """Return whether a record, which ends at ``behind``, is still to be applied."""
        if record.stream == "events":
            return behind > self.applied
        return behind > (self.people if record.stream == "updates" else self.groups).place

    def apply(self, gathered: Sequence[tuple[bytes, int]], stream: Stream, source: Source) -> None:
        """Apply the lines of some records, each with the offset behind it."""
        lines, place = b"".join([lines for lines, _ in gathered]), gathered[-1][1]
        if stream == "updates":
            self.people.apply(lines, place)
        elif stream == "groups":
            self.groups.apply(lines, place)
        else:
            with self.whole:
                self._apply_events(gathered, source)
            self.applied = place

    def _apply_events(self, gathered: Sequence[tuple[bytes, int]], source: Source) -> None:
        lines = b"".join([lines for lines, _ in gathered])
        try:
            report = self.resolver.apply_body(lines, "application/x-ndjson", source, max_bytes=len(lines))
        except MalformedEventError:  # One begins as no line of an event does; nothing was applied.
            for one in gathered if len(gathered) > 1 else ():
                self._apply_events([one], source)
        else:
            self._note_refused(gathered, report)

    def _note_refused(self, gathered: Sequence[tuple[bytes, int]], report: Report) -> None:
        """Keep the outcomes of refused links, whose rows count the lines of all records."""
        refused = report.outcomes > Outcome.UNCHANGED
        if not refused.any():
            return
        begins, begin = [], 0
        for lines, _ in gathered:
            begins.append(begin)
            begin += sum(1 for line in lines.split(b"\n") if line and not line.isspace())
        entries = []
        for row, code in zip(report.rows[refused].tolist(), report.outcomes[refused].tolist(), strict=True):
            number = bisect_right(begins, row) - 1
            entries.append((gathered[number][1], row - begins[number], code))
        self.outcomes.add(entries)

    def move_to(self, place: int) -> None:
        """Take note that all records up to ``place`` are applied."""
        self.applied = max(self.applied, place)
        for store in (self.people, self.groups):
            store.place = max(store.place, place)

    def flush(self) -> None:
        """Write down the updates that were applied; they count once the steps are committed."""
        journal = self.applied if self.resolver.uncommitted else self.committed
        for store in (self.people, self.groups):
            store.flush(journal)

    def commit(self) -> None:
        """Commit what was applied, with its place in the log."""
        self.flush()
        self.outcomes.save()
        noted = min(self.people.place, self.groups.place)
        self.resolver.commit(
            offsets={
                places.LOG: self.applied,
                places.PROFILES: noted,
                places.UPDATES: self.people.count,
                places.GROUP_UPDATES: self.groups.count,
            }
        )
        self.committed, self.noted = self.applied, noted
        self.commits += 1

    def fold_if_due(self) -> None:
        """Begin to make new stores of profiles if they are due; all must be committed."""
        for store in (self.people, self.groups):
            store.fold_if_due()


class _Target(NamedTuple):
    """What a record is to be applied to, and how."""

    follower: _Follower
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
        self._followers: dict[str, _Follower] = {}
        try:
            for project in projects:
                self._followers[project.name] = _Follower(project)
        except BaseException:
            self._close_journals()
            raise
        self._changed = threading.Condition()
        self._log: Log | None = None
        self._failure: str | None = None
        self._broken: _Follower | None = None
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
            BusyError: That was not done in time. It may be done later.
            JournalError: The journal could not be written anew.
            OSError: Likewise, or the profiles.
        """
        done: list[tuple[bool, int]] = []

        def wipe(follower: _Follower) -> None:
            is_known = True
            follower.people.forget([distinct_id])
            try:
                with follower.whole:
                    follower.resolver.forget(distinct_id)
            except UnknownIdError:
                is_known = False
            follower.commit()
            follower.resolver.compact()
            done.append((is_known, follower.applied))

        self._do(project, wipe, timeout)
        return done[0]

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

    def _do(self, project: str, action: Callable[[_Follower], object], timeout: float) -> None:
        """Have the thread act when all that the log has now is applied, and its place committed."""
        act = _Act(project, action, 0 if self._log is None else self._log.end, Future())
        with self._changed:
            self._acts.append(act)
            self._changed.notify_all()
        try:
            act.done.result(timeout)
        except TimeoutError:
            raise BusyError("the log is not applied yet; try again later") from None

    def _act(self) -> None:
        """Do what is to be done when the log is applied so far."""
        while self._acts and self._acts[0].place <= self._read and not self._is_closing:
            for one in self._followers.values():
                one.move_to(self._read)
                if min(one.committed, one.noted) < self._read or one.uncommitted:
                    one.commit()
            self._first_step_at, self._settled = None, self._read
            act = self._acts.pop(0)
            follower = self._followers[act.project]
            try:
                act.action(follower)
            except BaseException as error:  # noqa: BLE001 - the caller raises it
                self._broken = follower
                act.done.set_exception(error)
                return
            act.done.set_result(None)

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
