"""Check-ups: what the doctor finds in the events of a subject, or in the links of a journal.

A check-up reads all events twice, so it is made when somebody asks for it, one at a time, and the
last one is kept.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idmerge.pages.parts import Tone

PAUSE_SECONDS = 10.0
"""Seconds after a check-up in which no other one begins."""


class Found(NamedTuple):
    """What a check-up has found."""

    verdict: str
    """The number of findings of each severity, as HTML."""
    titles: Sequence[tuple[Tone, str]]
    """The severity and the title of each finding, as text."""
    lines: Sequence[str]
    """All of it as HTML, for a part of a page."""


class CheckUp:
    """The check-ups of a subject. Threads can share it.

    Args:
        examine: Makes a check-up; whatever it raises is shown as the reason why there is none.

    Examples:
        >>> from idmerge.server.inspector.examined import CheckUp, Found
        >>> check_up = CheckUp(lambda: Found("1 error", [("error", "a device is shared")], []))
        >>> check_up.begin(), check_up.wait(10), check_up.is_running
        (True, True, False)
        >>> check_up.found.titles, check_up.fault
        ([('error', 'a device is shared')], None)
        >>> check_up.begin()  # The last one has just ended.
        False
    """

    def __init__(self, examine: Callable[[], Found]) -> None:
        self._examine = examine
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = -PAUSE_SECONDS
        self.began: datetime | None = None
        """The moment at which the last one began."""
        self.found: Found | None = None
        """What the last one has found that came to its end."""
        self.fault: str | None = None
        """The reason why the last one has found nothing."""

    @property
    def is_running(self) -> bool:
        """Whether one is being made."""
        return self._thread is not None

    def begin(self) -> bool:
        """Begin a check-up, unless one runs or has just ended; return whether one began."""
        with self._lock:
            if self._thread is not None or monotonic() - self._ended < PAUSE_SECONDS:
                return False
            self.began = datetime.now(UTC)
            self._thread = threading.Thread(target=self._run, name="idmerge-check-up", daemon=True)
            self._thread.start()
            return True

    def wait(self, timeout: float) -> bool:
        """Wait for the end of one that runs; return whether it came in time."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return self._thread is None

    def _run(self) -> None:
        fault = None
        try:
            self.found = self._examine()
        except Exception as error:  # noqa: BLE001 - whatever it is, the page says it
            fault = f"{error}" or type(error).__name__
        with self._lock:
            self.fault, self._ended, self._thread = fault, monotonic(), None
