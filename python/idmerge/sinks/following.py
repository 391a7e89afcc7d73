"""Deliveries again and again until a stop, with a pause after each, a longer one after failures."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from idmerge._naming import is_journal_url, visible
from idmerge.errors import IdmergeError
from idmerge.journal import DurableResolver
from idmerge.sinks.delivery import Delivery

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from idmerge.sinks.delivery import Delivered
    from idmerge.sinks.protocol import Sink

INTERVAL = 1.0
"""Seconds from one delivery to the next."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds from a failure to the next try: at first, and at most, with twice as many each time."""


class Reader:
    """A journal's resolver, opened to read and refreshed, for the sinks that share it.

    Args:
        path: The journal.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.sinks.following import Reader
        >>> with DurableResolver.open("ids.idmerge") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit()
        >>> reader = Reader("ids.idmerge")
        >>> reader.refreshed().resolve("crm-17"), reader.position
        ('ana', 1)
        >>> reader.close()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._turn = threading.Lock()
        self._resolver: DurableResolver | None = None
        self._file: tuple[int, int] | None = None

    def refreshed(self) -> DurableResolver:
        """Return the resolver, as of what the journal has now.

        Raises:
            JournalError: It is damaged; it is opened anew the next time.
            OSError: It cannot be read.
        """
        with self._turn:
            try:
                # A file that was put in the place of the journal would never be read otherwise.
                before, self._file = self._file, self._look()
                if before != self._file:
                    self._drop()
                if self._resolver is None:
                    self._resolver = DurableResolver.open(self._path, read_only=True, history=False)
                else:
                    self._resolver.refresh()
            except BaseException:
                self._drop()
                raise
            return self._resolver

    @property
    def position(self) -> int:
        """The position up to which it was read; 0 before."""
        resolver = self._resolver
        return 0 if resolver is None else resolver.position

    def close(self) -> None:
        """Let go of the journal."""
        with self._turn:
            self._drop()

    def _look(self) -> tuple[int, int] | None:
        """Return what tells the journal's file from another one; None for no file."""
        if is_journal_url(self._path):
            return None
        found = Path(self._path).stat()
        return found.st_dev, found.st_ino

    def _drop(self) -> None:
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            resolver.close()


class State(NamedTuple):
    """How far the deliveries to a sink have come.

    Examples:
        >>> from idmerge.sinks.following import State
        >>> State(position=7, behind=0, seconds=0.0, deliveries=2, failures=0, failure=None).failure
    """

    position: int
    """The position as of which the target is; -1 before the first delivery since the start."""
    behind: int
    """The positions of the journal that the target lacks."""
    seconds: float
    """Seconds since the target was last level with the journal, or since the start."""
    deliveries: int
    """Updates that were written since the start."""
    failures: int
    """Deliveries that failed since the start."""
    failure: str | None
    """The reason why the last one failed, in one line without secrets; None if it did not."""


class Follower:
    """Delivers a journal to a sink until it is stopped.

    Args:
        reader: The journal.
        opened: Opens the sink.
        interval: Seconds from one delivery to the next.
        retried: The errors after which it is tried again, after a pause.
        restart: Write the whole mapping first, over whatever the target holds.

    Examples:
        >>> import threading
        >>> from idmerge import DurableResolver
        >>> from idmerge.sinks import open_sink
        >>> from idmerge.sinks.following import Follower, Reader
        >>> with DurableResolver.open("ids.idmerge") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit()
        >>> stop = threading.Event()
        >>> follower = Follower(Reader("ids.idmerge"), lambda: open_sink("ndjson:copy"))
        >>> follower.run(stop, on_delivered=lambda one: (print(one.rows), stop.set()))
        2
        >>> follower.state().position, follower.state().failure
        (1, None)
    """

    def __init__(
        self,
        reader: Reader,
        opened: Callable[[], Sink],
        *,
        interval: float = INTERVAL,
        retried: tuple[type[Exception], ...] = (OSError, IdmergeError),
        restart: bool = False,
    ) -> None:
        self._reader = reader
        self._opened = opened
        self._interval = interval
        self._retried = retried
        self._restart = restart
        self._sink: Sink | None = None
        self._delivery: Delivery | None = None
        self._state = State(-1, 0, 0.0, 0, 0, None)
        self._level_at = monotonic()

    def state(self, position: int | None = None) -> State:
        """Return how far it has come, of a journal that is at ``position``; None: as last read."""
        state = self._state
        behind = max(0, (self._reader.position if position is None else position) - max(state.position, 0))
        is_level = state.failure is None and behind == 0 and state.position >= 0
        return state._replace(behind=behind, seconds=0.0 if is_level else monotonic() - self._level_at)

    def run(
        self,
        stop: threading.Event,
        *,
        on_delivered: Callable[[Delivered], object] = lambda _: None,
        on_failure: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Deliver until ``stop`` is set; a delivery that has begun is ended first.

        Args:
            stop: Set by another thread, or a handler of signals.
            on_delivered: Called with each delivery that wrote something.
            on_failure: Called with the reason of a failure that does not follow one like it.

        Raises:
            IdmergeError, OSError: An error that is not to be retried.
        """
        pause = FIRST_PAUSE
        try:
            while not stop.is_set():
                try:
                    delivered = self._deliver()
                except self._retried as error:
                    self._fail(visible(" ".join(str(error).split())), on_failure)
                    stop.wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    continue
                pause = FIRST_PAUSE
                if delivered.rows or delivered.is_whole:
                    on_delivered(delivered)
                stop.wait(self._interval)
        finally:
            self._close()

    def _deliver(self) -> Delivered:
        began = monotonic()
        resolver = self._reader.refreshed()
        if self._sink is None:
            self._sink = self._opened()
        if self._delivery is None or not self._delivery.is_of(resolver):
            self._delivery = Delivery(resolver, self._sink, restart=self._restart)
        delivered = self._delivery.run()
        self._restart = False
        has_written = bool(delivered.rows or delivered.is_whole)
        self._level_at = began
        self._state = self._state._replace(
            position=delivered.position, deliveries=self._state.deliveries + has_written, failure=None
        )
        return delivered

    def _fail(self, reason: str, on_failure: Callable[[str], object]) -> None:
        is_new = reason != self._state.failure
        self._state = self._state._replace(failures=self._state.failures + 1, failure=reason)
        self._close()
        if is_new:
            on_failure(reason)

    def _close(self) -> None:
        sink, self._sink, self._delivery = self._sink, None, None
        if sink is not None:
            with suppress(OSError, IdmergeError):
                sink.close()
