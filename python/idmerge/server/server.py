"""A server's directory, log and pipeline, opened and closed together."""

from __future__ import annotations

import threading
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Self

from idmerge._naming import named
from idmerge.errors import BusyError
from idmerge.server import acts
from idmerge.server.counts import Counts
from idmerge.server.deliveries import Deliveries
from idmerge.server.directory import Directory
from idmerge.server.log.log import Log
from idmerge.server.pipeline import Pipeline
from idmerge.server.reading.engage import Sessions
from idmerge.server.reading.metrics import Observed
from idmerge.server.renamed import with_renamed
from idmerge.server.store.forgetting import forget
from idmerge.server.store.sealing import SEAL_AFTER, Store
from idmerge.server.writing.rates import Rates

if TYPE_CHECKING:
    import asyncio
    import os
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from idmerge.journal import DurableResolver
    from idmerge.profiles import Profiles
    from idmerge.server.acts import Effect
    from idmerge.server.directory import Project
    from idmerge.server.log.appends import Then
    from idmerge.server.log.records import Record
    from idmerge.server.pipeline import Lag
    from idmerge.server.store.forgetting import Forgotten
    from idmerge.server.store.sealing import Snapshot

FORGET_SECONDS = 60.0
"""Seconds within which the log must be applied before an ID is forgotten."""
ACT_SECONDS = 10.0
"""The same before something is taken back or kept apart."""
LAG_SECONDS = 60.0
"""Seconds behind the log from which on a server is not healthy."""


class Server:
    r"""All that a server keeps, for the app that answers its requests.

    Args:
        path: Its directory; a new one gets a project.
        seal_after: Seconds after which events of the log are sealed, however few they are.
        on_failure: Called with a line where a sink fails, by the thread of that sink.

    Raises:
        SettingError: Its settings cannot be used.
        LogError: Its log is damaged, or another server runs there.
        JournalError: A journal is damaged, in use, or has another policy than the settings.
        FileFormatError: A file of profiles is damaged.
        OSError: A file cannot be read or written.

    Examples:
        >>> import asyncio
        >>> from idmerge.server.log.records import Record
        >>> from idmerge.server.server import Server
        >>> line = b'{"event": "$merge", "properties": {"$distinct_ids": ["ana", "crm-17"]}}\n'
        >>> with Server("here") as server:
        ...     record = Record("main", "events", "import", 1_700_000_000_000, line)
        ...     end = asyncio.run(server.log.append([record]))
        ...     server.draining = True
        ...     print(server.drain(timeout=10), server.problem())
        ...     print(server.pipeline.resolver("main").resolve("crm-17"))
        ...     print(server.retract("main", [0]).renamed)
        ...     print(server.keep_apart("main", "ana", "crm-17"))
        True None
        ana
        [Renamed(distinct_id='crm-17', old='ana', new='crm-17')]
        2
        >>> server.directory.projects[0].name, server.failing_sinks
        ('main', [])
    """

    directory: Directory
    log: Log
    pipeline: Pipeline
    store: Store
    routes: Mapping[str, str]
    """The route of clients that write that each path stands for."""
    draining: bool
    """Whether no more requests are taken: each is answered with 503."""
    counts: Counts
    """What was answered since the start."""
    sessions: Sessions
    """The sessions of queries of profiles."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        seal_after: float = SEAL_AFTER,
        on_failure: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.draining = False
        self.counts = Counts()
        self.sessions = Sessions()
        self._forgetting = threading.Lock()
        self.directory = Directory.open(path)
        self.routes = with_renamed(self.directory.routes, named(self.directory.settings))
        self._limits = {project.name: project.max_rate for project in self.projects if project.max_rate}
        self._rates = Rates(self._limits)
        journals = {project.name: project.journal for project in self.projects}
        self._deliveries = Deliveries(self.directory.sinks, journals, on_failure)
        self.pipeline = Pipeline(self.directory.projects)
        try:
            self.log = Log(self.directory.log, at_least=self.pipeline.place)
            try:
                self.store = Store(self.projects, self.pipeline, self.log, seal_after)
                self.pipeline.start(self.log)
            except BaseException:
                self.log.close()
                raise
        except BaseException:
            self.pipeline.close()
            raise
        self.store.start()
        self._deliveries.start()

    @property
    def projects(self) -> Sequence[Project]:
        """The projects."""
        return self.directory.projects

    def resolver(self, project: str) -> DurableResolver:
        """Return the resolver of the project with this name, to ask it."""
        return self.pipeline.resolver(project)

    def still(self, project: str) -> AbstractContextManager[DurableResolver]:
        """Give the resolver of a project, which stays as it is while the block runs."""
        return self.pipeline.still(project)

    def profiles(self, project: str) -> Profiles:
        """Return the profiles of people of the project with this name, to ask them."""
        return self.pipeline.profiles(project)

    def groups(self, project: str) -> Profiles:
        """Return the profiles of groups of the project with this name, to ask them."""
        return self.pipeline.groups(project)

    def events(self, project: str) -> Snapshot:
        """Return the events of the project with this name at this moment."""
        return self.store.snapshot(project)

    def forget(self, project: str, distinct_id: str, timeout: float = FORGET_SECONDS) -> Forgotten:
        """Forget an ID of the project with this name, wherever it is (`forgetting.forget`).

        Raises:
            BusyError: Another ID is being forgotten: who waited would keep a thread from others.
        """
        [found] = [one for one in self.projects if one.name == project]
        if not self._forgetting.acquire(blocking=False):
            raise BusyError("another ID is being forgotten; try again later")
        try:
            return forget(self.store, found, distinct_id, timeout)
        finally:
            self._forgetting.release()

    def retract(
        self,
        project: str,
        positions: Sequence[int],
        expected: str | None = None,
        timeout: float = ACT_SECONDS,
    ) -> Effect:
        """Take back what stands at some positions of a project's journal (`acts.retracting`).

        What the log has now is applied first. What is done is on disk when this returns.

        Args:
            project: The project's name.
            positions: The positions.
            expected: The digest of what is meant to change; if it is something else by now, nothing
                is done.
            timeout: Seconds within which the log must be applied.

        Raises:
            BusyError: It was not; nothing is done.
            JournalError: The journal is damaged, or could not be written.
            OSError: It could not be written.
            RetractionError: A position is not there, is taken back already, or cannot be undone.
        """
        return self.pipeline.change(project, acts.retracting(positions, expected), timeout)

    def keep_apart(self, project: str, a: str, b: str, timeout: float = ACT_SECONDS) -> int:
        """Keep two IDs of a project apart, as `retract` does, and return the position of that.

        Raises what `retract` raises, and:
            KeptApartError: They are together.
            ValueError: One of them can be no ID, or both are one.
        """
        acts.check_pair(self.resolver(project), a, b)
        return self.pipeline.change(project, acts.keeping_apart(a, b), timeout)

    def compact(self, timeout: float = FORGET_SECONDS) -> None:
        """Seal the log, merge the sealed files, and write the journals anew without forgotten IDs.

        Raises:
            BusyError: The log was not applied in time.
            JournalError: A journal could not be written anew.
            OSError: Likewise, or a file.
        """
        for project in self.projects:
            self.pipeline.compact(project.name, timeout)
        self.store.seal()
        self.store.compact()

    def drain(self, timeout: float) -> bool:
        """Wait until all that is in the log is applied and committed; return whether it is."""
        return self.pipeline.drain(timeout)

    def lag(self) -> Lag:
        """Return how far the journals are behind the log."""
        return self.pipeline.lag()

    def admits(self, records: Sequence[Record]) -> bool:
        """Return whether the projects may write these records now, and count them if so."""
        if not self._limits:
            return True
        counts: Counter[str] = Counter()
        for record in records:
            counts[record.project] += record.lines.count(b"\n")
        return self._rates.admits_all(counts, monotonic())

    def append_then(self, records: Sequence[Record], then: Then, loop: asyncio.AbstractEventLoop) -> None:
        """Append records to the log; when they are on disk, ``then`` is called."""
        self.log.append_then(records, then, loop)

    @property
    def monitors(self) -> Sequence[str]:
        """Accounts that may read the metrics of all projects, each as ``user:secret``."""
        return self.directory.monitors

    def observed(self, projects: Sequence[str], *, with_unnamed: bool) -> Observed:
        """Return what metrics show of the server and of some projects at this moment."""
        return Observed(
            counts=self.counts,
            log=self.log,
            lag=self.lag(),
            is_healthy=self.problem() is None,
            resolvers={name: self.resolver(name) for name in projects},
            commits={name: self.pipeline.commits(name) for name in projects},
            with_unnamed=with_unnamed,
            sinks=self._deliveries.states({name: self.resolver(name).position for name in projects}),
        )

    @property
    def failing_sinks(self) -> Sequence[str]:
        """The names of the sinks whose last delivery failed."""
        return self._deliveries.failing

    def problem(self) -> str | None:
        """Return the reason why the server is not healthy, in one line without secrets, or None."""
        if self.log.failure is not None:
            return f"requests cannot be kept: {self.log.failure}"
        if self.pipeline.failure is not None:
            return f"the log cannot be applied: {self.pipeline.failure}"
        if self.store.failure is not None:
            return f"events cannot be sealed: {self.store.failure}"
        lag = self.pipeline.lag()
        if lag.seconds > LAG_SECONDS:
            return f"the journals are {lag.seconds:.0f} seconds and {lag.bytes} bytes behind the log"
        return None

    def close(self) -> None:
        """Write what waits, and close the files; what is not applied stays in the log."""
        self._deliveries.close()
        self.store.close()
        self.log.close()
        self.pipeline.close()

    def __enter__(self) -> Self:
        """Return the server, which the ``with`` closes at its end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
