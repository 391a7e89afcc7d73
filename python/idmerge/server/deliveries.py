"""The threads that deliver the journals of a server's projects to sinks.

1. Each sink has a thread, so none waits for another one, and no request for any.
2. They read the journal as another process would. The sinks of a project share what is read, so a
   project with sinks is in memory twice.
3. What fails is tried again, after longer and longer pauses. It is told once, is counted, and
   leaves the server healthy.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

from idmerge.errors import IdmergeError, SettingError
from idmerge.sinks import open_sink
from idmerge.sinks.following import Follower, Reader
from idmerge.sinks.opening import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from idmerge.server.sinksettings import SinkSettings
    from idmerge.sinks import Sink
    from idmerge.sinks.following import State

CLOSE_SECONDS = 10.0
"""Seconds within which deliveries that run have to end; later ones are cut off, as by a kill."""


class Deliveries:
    """Delivers to sinks until it is closed.

    Args:
        sinks: Their settings.
        journals: The path of each project's journal.
        on_failure: Called with a line for a failure that does not follow one like it.

    Raises:
        SettingError: A target is none, or names a variable that is not set.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge import DurableResolver
        >>> from idmerge.server.deliveries import Deliveries
        >>> from idmerge.server.sinksettings import SinkSettings
        >>> with DurableResolver.open("ids.idmerge") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit()
        >>> to = {"project": "main", "target": "parquet:copy", "table": None, "interval": 0.05}
        >>> sink = SinkSettings(name="copy", **to, state=Path("sinks/copy"))
        >>> deliveries = Deliveries([sink], {"main": Path("ids.idmerge")}, print)
        >>> deliveries.start()
        >>> deliveries.wait(10), deliveries.states({"main": 1})["copy"][1].position
        (True, 1)
        >>> deliveries.failing
        []
        >>> deliveries.close()
    """

    def __init__(
        self,
        sinks: Sequence[SinkSettings],
        journals: Mapping[str, Path],
        on_failure: Callable[[str], object],
    ) -> None:
        self._sinks = {one.name: one for one in sinks}
        for one in sinks:
            try:
                parse_target(one.target, one.table)
            except IdmergeError as error:
                raise SettingError(f"sink {one.name}: {error}") from error
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._readers = {project: Reader(journals[project]) for project in {one.project for one in sinks}}
        self._followers = {
            one.name: Follower(
                self._readers[one.project],
                self._opener(one),
                interval=one.interval,
                retried=(Exception,),  # A library's own too: a thread that ends would do so unseen.
            )
            for one in sinks
        }
        self._threads = [
            threading.Thread(target=self._run, args=[name], name=f"idmerge-sink-{name}", daemon=True)
            for name in self._followers
        ]

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _opener(settings: SinkSettings) -> Callable[[], Sink]:
        return lambda: open_sink(settings.target, table=settings.table, state=settings.state)

    def _run(self, name: str) -> None:
        self._followers[name].run(
            self._stop, on_failure=lambda reason: self._on_failure(f"sink {name}: {reason}; trying again")
        )

    def states(self, positions: Mapping[str, int]) -> dict[str, tuple[str, State]]:
        """Return the project and the state of each sink, by its name.

        Args:
            positions: The positions of journals, by their projects; sinks of others are left out.
        """
        found = {}
        for name, follower in self._followers.items():
            project = self._sinks[name].project
            if project in positions:
                found[name] = project, follower.state(positions[project])
        return found

    @property
    def failing(self) -> list[str]:
        """The names of the sinks whose last delivery failed."""
        return [name for name, one in self._followers.items() if one.state().failure is not None]

    def wait(self, timeout: float) -> bool:
        """Wait until each sink has what its journal had when last read; return whether it has."""
        end = monotonic() + timeout
        while monotonic() < end and not self._stop.wait(0.02):
            states = [follower.state() for follower in self._followers.values()]
            if all(one.position >= 0 and one.behind == 0 and one.failure is None for one in states):
                return True
        return False

    def close(self) -> None:
        """End the deliveries that run, and begin no other."""
        self._stop.set()
        end = monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            for reader in self._readers.values():
                reader.close()
