"""Signals that end a command (SIGINT, SIGTERM, SIGHUP): cleanup, and one line of message.

1. The first signal raises `Stopped` in the main thread, so every ``with`` and ``finally`` runs.
2. `Stopped` is raised again if it is lost, which happens where Python or a library has no way to
   pass it on: in a destructor, in a callback, in some imports.
3. A second signal within `AT_ONCE` seconds changes nothing: terminals and supervisors often send
   two.
4. A later one ends the process without cleaning up. The next run removes what is left then.
5. A signal that was ignored when the process began stays ignored (nohup, background jobs).

A library may replace `Stopped` with an exception of its own, as DuckDB does. So the signal that
came decides, not the exception. The exit code is 128 and the signal's number: 130, 143 or 129.
"""

from __future__ import annotations

import os
import signal
import sys
import weakref
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

AT_ONCE = 1.0
AGAIN = 0.1
"""Seconds from one look whether `Stopped` was lost to the next."""
WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
"""The signals by name, and the words for a command that each ended."""


class Stopped(KeyboardInterrupt):
    """A signal asks the command to end."""


class _Signals:
    """Handles the signals of one process and remembers the first."""

    def __init__(self) -> None:
        self.first: int | None = None
        self._at = 0.0
        self._raised: weakref.ref[Stopped] | None = None
        self._is_over = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Handle one of the signals."""
        if self.first is None and not self._is_over:
            self.first, self._at = number, monotonic()
            if hasattr(signal, "setitimer"):  # Windows has none.
                signal.signal(signal.SIGALRM, self._look)
                signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
            self._raise()
        if not self._is_over:
            if monotonic() - self._at < AT_ONCE:
                return
            with suppress(OSError):
                os.write(2, f"idmerge: {line(self.first or number)}\n".encode())
        os._exit(exit_code(self.first or number))

    def _look(self, _number: int, _frame: FrameType | None) -> None:
        """Raise `Stopped` again if nothing holds the one that was raised."""
        if not self._is_over and self._raised is not None and self._raised() is None:
            self._raise()

    def end(self) -> None:
        """Stop looking; a signal ends the process at once from here on."""
        self._is_over = True
        if self._raised is not None and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _raise(self) -> None:
        stopped = Stopped()
        self._raised = weakref.ref(stopped)
        try:
            raise stopped
        finally:
            del stopped  # Its traceback holds this frame, which must not hold it in turn.


_signals = _Signals()


def handle_signals() -> None:
    """Handle the signals from here on, so that each ends the process as a command ends."""
    for name in WORDS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP.
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _signals.handle)
    shown = sys.unraisablehook

    def show(lost: Any) -> None:
        if not isinstance(lost.exc_value, Stopped):
            shown(lost)

    sys.unraisablehook = show


def end() -> None:
    """Take note that the command has ended; a signal then ends the process at once."""
    _signals.end()


def ended_by(error: BaseException) -> int | None:
    """Return the signal that ended the command with ``error``, or None if none did."""
    if _signals.first is None and isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    return _signals.first


def line(number: int, notes: Iterable[str] = ()) -> str:
    """Return the line that is printed if a signal ends the command."""
    return "; ".join((WORDS[signal.Signals(number).name], *notes))


def exit_code(number: int) -> int:
    """Return the exit code of a process that a signal ended, by the convention of shells."""
    return 128 + number
