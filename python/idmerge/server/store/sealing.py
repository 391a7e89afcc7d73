"""The thread that seals the log into Parquet files, and the events that readers see.

1. What is applied and committed of the log is sealed when there is enough of it, or it is old
   enough. Then the log's segments are dropped that nobody needs: all projects' journals have passed
   them, all of their events are sealed, and no record of another kind is in them.
2. An event is in one sealed file, or in the log behind the files of its project. Readers take what
   the log has first, then the files, and of the log what no file has.
3. A repeated event (of one name, second, ID as sent and insert ID) is dropped within a file; across
   files readers drop it, and so does a merge of those.
4. A file has the canonical IDs of when it was written; readers ask for those of now.
"""

from __future__ import annotations

import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from idmerge.files.duplicates import Duplicates
from idmerge.server.pipeline import FOLLOWED
from idmerge.server.store.columns import SCHEMA, with_outcomes
from idmerge.server.store.compacting import due, merged
from idmerge.server.store.files import EventFiles
from idmerge.server.store.tail import Tail, between, cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from idmerge.resolver import Resolver
    from idmerge.server.directory import Project
    from idmerge.server.log.log import Log
    from idmerge.server.pipeline import Pipeline
    from idmerge.server.store.files import SealedFile

SEAL_BYTES = 8 << 20
"""Bytes of the log from which on they are sealed at once."""
SEAL_AFTER = 600.0
"""Seconds after which less is sealed too."""
POLL = 1.0
"""Seconds between looks at the log."""
LOOK = 60.0
"""Seconds between looks for a file whose people have been joined since."""
MOST_STRAYED = 0.05
"""The share of a file's events under other people than then, from which on it is written anew."""


class Snapshot:
    """The events of a project at a moment; what is sealed or merged later changes nothing of it."""

    def __init__(self, store: Store, project: Project) -> None:
        self._store, self._project = store, project
        self.place = store.place  # From here on nothing is dropped from the log.
        store.pin(self)
        store.tail.extend()
        tables, self._behind = store.tail.tables(project.name)
        self._end = max(self._behind, store.log.end)
        # Before the files: what is sealed from here on is dropped from the outcomes.
        self._outcomes = store.pipeline.outcomes(project.name).within(self.place, self._end)
        self.files: Sequence[SealedFile] = store.files(project.name).all
        self._sealed = self.files[-1].end if self.files else 0
        self._tables = [between(table, self._sealed, self._behind) for table in tables]

    def tail(self) -> Iterator[pa.Table]:
        """Yield the events that are in no sealed file, in the order of the log."""
        for table in self._tables:
            yield with_outcomes(table, self._outcomes)
        apis = {self._project.name: self._project.api}
        for _, tables, _ in cut(self._store.log, self._behind, self._end, apis):
            for table in tables.values():
                yield with_outcomes(between(table, self._sealed, self._end), self._outcomes)


class Store:
    r"""The events of a server's projects, sealed and not.

    Args:
        projects: The projects.
        pipeline: The pipeline that applies the log.
        log: The log.
        seal_after: Seconds after which little is sealed too.

    Raises:
        LogError: A sealed file is damaged or missing.
        OSError: They cannot be read.

    Examples:
        >>> from idmerge.server.log.records import Record
        >>> from idmerge.server.server import Server
        >>> line = b'{"event": "Buy", "properties": {"distinct_id": "ana"}}\n'
        >>> with Server("here") as server:
        ...     record = Record("main", "events", "track", 1_700_000_000_000, line)
        ...     _ = server.log.append_now([record])
        ...     _ = server.pipeline.drain(timeout=10)
        ...     server.store.seal()
        ...     [file] = server.store.files("main").all
        ...     print(file.rows, file.path.parent.as_posix(), server.store.failure)
        1 here/events None
    """

    def __init__(
        self,
        projects: Sequence[Project],
        pipeline: Pipeline,
        log: Log,
        seal_after: float = SEAL_AFTER,
    ) -> None:
        # At its first list pyarrow looks for pandas and imports it: half a second, in which each
        # request would wait for the interpreter.
        pa.array([None])
        self.pipeline, self.log = pipeline, log
        self._projects = {project.name: project for project in projects}
        self._files = {project.name: EventFiles(project.journal.with_name("events")) for project in projects}
        self.place = max(log.beginning, min((files.end for files in self._files.values()), default=0))
        """The offset up to which all events are sealed."""
        apis = {project.name: project.api for project in projects}
        self.tail = Tail(log, self.place, apis, FOLLOWED)
        self._seal_after = seal_after
        self._level_at = self._looked_at = monotonic()
        self._looks: dict[Path, int] = {}
        """The position of the journal at which each file was looked at."""
        self._pinned: weakref.WeakSet[Snapshot] = weakref.WeakSet()
        self._pins = threading.Lock()
        self._has_looked = False
        self.working = threading.RLock()
        """Held by who changes files."""
        self._failure: str | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="idmerge-store", daemon=True)

    @property
    def failure(self) -> str | None:
        """The reason why events cannot be sealed now; None if they can. It is tried again."""
        return self._failure

    def files(self, project: str) -> EventFiles:
        """Return the sealed files of a project."""
        return self._files[project]

    def snapshot(self, project: str) -> Snapshot:
        """Return the events of a project at this moment.

        Raises:
            LogError: The log is damaged.
            OSError: It cannot be read.
        """
        return Snapshot(self, self._projects[project])

    def pin(self, snapshot: Snapshot) -> None:
        """Keep what a snapshot may read of the log as long as it is there."""
        with self._pins:
            self._pinned.add(snapshot)

    def start(self) -> None:
        """Begin to seal."""
        self._thread.start()

    def close(self) -> None:
        """End the thread after its step."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._closing.wait(POLL):
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is shown and tried again
                self._failure = str(error) or type(error).__name__
            else:
                self._failure = None

    def _step(self) -> None:
        waiting = self.pipeline.settled - self.place
        if waiting <= 0:
            self._level_at = monotonic()
        if waiting >= SEAL_BYTES or (waiting > 0 and monotonic() - self._level_at >= self._seal_after):
            self.seal()
            return
        with self.working:
            self.drop()
        if self.pipeline.lag().bytes == 0 and not self.merge_due(most=1):
            self._look_at_a_file()

    def _look_at_a_file(self) -> None:
        """Write a file anew, if it is due to be looked at, and its people are others by now."""
        if monotonic() - self._looked_at < LOOK:
            return
        self._looked_at = monotonic()
        for name, files in self._files.items():
            resolver = self.pipeline.resolver(name)
            position = resolver.position
            for file in files.all:
                if self._looks.get(file.path) != position:
                    self._looks[file.path] = position
                    with self.working:
                        if file in files.all and strayed(file, resolver) > MOST_STRAYED:
                            files.replace([file], named_now(file.whole(), resolver))
                    return

    def seal(self) -> None:
        """Seal all that is applied and committed, and drop what the log need not have any more.

        Raises:
            LogError: The log is damaged.
            OSError: A file could not be written; what was sealed before is.
        """
        with self.working:
            end = self.pipeline.settled
            while self.place < end:
                self._seal_range(min(end, self.tail.extend()))
            self.drop()

    def _seal_range(self, end: int) -> None:
        for name, files in self._files.items():
            tables, _ = self.tail.tables(name)
            tables = [between(table, max(self.place, files.end), end) for table in tables]
            if any(map(len, tables)):
                outcomes = self.pipeline.outcomes(name).within(self.place, end)
                events = with_outcomes(pa.concat_tables(tables), outcomes)
                files.add(end, without_repeated(named_now(events, self.pipeline.resolver(name))))
            files.note_end()
        self.place = end
        self.tail.drop_before(end)
        self._level_at = monotonic()
        for name in self._files:
            self.pipeline.outcomes(name).drop_before(end)

    def drop(self) -> None:
        """Drop the segments of the log that nobody needs.

        Raises:
            OSError: One could not be removed.
        """
        if not self._has_looked:
            self.tail.look_before(self.log.beginning)
            self._has_looked = True
        with self._pins:
            places = [one.place for one in self._pinned]
        needed = [] if self.tail.needed is None else [self.tail.needed - 1]
        self.log.drop(min([self.pipeline.needed, self.place, *places, *needed]))

    def compact(self) -> None:
        """Merge the sealed files, as far as one can have their events.

        Raises:
            OSError: A file could not be written; nothing is lost.
        """
        self.merge_due(at_any_rate=True)

    def merge_due(self, most: int | None = None, *, at_any_rate: bool = False) -> int:
        """Merge files that are due, at most so often, or all as far as one can have their events.

        Returns:
            The number of merges.

        Raises:
            OSError: A file could not be written; nothing is lost.
        """
        done = 0
        with self.working:
            for name, files in self._files.items():
                while done != most and (run := due(files.all, at_any_rate=at_any_rate)):
                    events = named_now(merged(run), self.pipeline.resolver(name))
                    files.replace(run, without_repeated(events))
                    done += 1
        return done


def named_now(events: pa.Table, resolver: Resolver) -> pa.Table:
    """Return events with their senders' canonical IDs of now, with the columns of files."""
    senders: Any = events.column("distinct_id").combine_chunks()
    names: Any = resolver.resolve_many(senders)
    if "canonical_id" in events.column_names:
        events = events.drop_columns(["canonical_id"])
    return events.append_column("canonical_id", names.cast(pa.string())).select(SCHEMA.names)


def strayed(file: SealedFile, resolver: Resolver) -> float:
    """Return the share of a file's events that have another canonical ID by now."""
    count = 0
    for table in file.tables(["distinct_id", "canonical_id"]):
        senders: Any = table.column("distinct_id").combine_chunks()
        now: Any = resolver.resolve_many(senders)
        then = table.column("canonical_id").combine_chunks()
        count += len(then.filter(pc.not_equal(now.cast(pa.string()), then)))
    return count / max(1, file.rows)


def without_repeated(events: pa.Table, before: Duplicates | None = None) -> pa.Table:
    """Return events, in their order, without those that are there before.

    Args:
        events: The events.
        before: Events that came before these, to which they are added.
    """
    duplicates = Duplicates() if before is None else before
    seconds = pc.divide(events.column("time").cast(pa.int64()), 1000)
    columns = (events.column("event"), seconds, events.column("distinct_id"), events.column("insert_id"))
    are_new = duplicates.are_new(*(column.combine_chunks() for column in columns))
    return events if are_new.all() else events.filter(pa.array(are_new))
