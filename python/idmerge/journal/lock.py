"""One writer at a time, by a lock that the system lets go of when its holder dies."""

from __future__ import annotations

import json
import os
import socket
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from idmerge.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, _BEYOND, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _BEYOND, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
else:

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_BEYOND = 1 << 20
"""A byte that is locked where a lock keeps others from reading."""


class WriterLock:
    """The right to write to ``journal``, held from here to `release`; ``kind`` is the word for such a file.

    A file beside the journal is locked and says who holds it. It stays when the lock is released, so that
    nobody can lock a file that is being deleted.

    Raises:
        JournalError: Somebody else holds it; the message says who.
    """

    def __init__(self, journal: Path, kind: str = "a journal") -> None:
        self._path = journal.with_name(f"{journal.name}-writer")
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _try_lock(self._descriptor)
        except OSError as error:
            holder = self._holder()
            os.close(self._descriptor)
            raise JournalError(
                f"{journal} is open for writing by {holder}; {kind} has one writer at a time"
            ) from error
        # Whoever forgets to release it does so when the collector comes.
        self._close = weakref.finalize(self, os.close, self._descriptor)
        self._process = os.getpid()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        mine = {"process": self._process, "host": socket.gethostname(), "since": now}
        with suppress(OSError):  # A disk that is full: the next one is not told who holds it.
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(mine).encode(), 0)

    def _holder(self) -> str:
        with suppress(OSError, ValueError, KeyError, TypeError):
            held = json.loads(os.pread(self._descriptor, 1024, 0))
            return f"process {held['process']} on {held['host']} since {held['since']}"
        return "another process"

    def release(self) -> None:
        """Let others write."""
        if os.getpid() == self._process:  # A child that was forked has the same lock, not one of its own.
            _unlock(self._descriptor)
        self._close()
