"""A lock file for one writer at a time, which the system frees when its holder dies."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from idmerge._naming import named
from idmerge.errors import JournalError
from idmerge.journal.forks import watch

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
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)  # Windows has none, and lets few make symbolic links.
_LINKS = {errno.ELOOP, errno.EMLINK}
"""The errors of ``O_NOFOLLOW`` at a symbolic link."""


class WriterLock:
    """The right to write to ``journal``, held until `release`; messages call it a ``kind``.

    A file beside the journal is locked, and holds the process, host and time. It stays when the
    lock is released, so that no file is locked that is being deleted. It is written to, and so it
    must be a file of its own: neither a symbolic link nor a second name of another file. The
    journal must have one name too, or there would be two such files for it, and two write-ahead
    logs of SQLite.

    Raises:
        JournalError: Another process holds it, which the message names. Or a file is a link.
        OSError: The file cannot be made.
    """

    def __init__(self, journal: Path, kind: str = "a journal") -> None:
        self._path = journal.with_name(f"{journal.name}-writer")
        check_single_name(journal)
        self._descriptor = self._open()
        # A lock that is never released is let go of by the garbage collector.
        self._close = weakref.finalize(self, os.close, self._descriptor)
        try:
            self._hold(journal, kind)
        except BaseException:
            self._close()
            raise
        watch(self)

    def _open(self) -> int:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _NOFOLLOW, 0o666)
        except OSError as error:
            if error.errno in _LINKS:
                raise JournalError(
                    f"{named(self._path)} is a symbolic link, and is written to by each writer of "
                    "the journal; remove it"
                ) from error
            raise
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
            return descriptor
        os.close(descriptor)
        raise JournalError(
            f"{named(self._path)} is no file of its own, and is written to by each writer of the journal; "
            "remove it"
        )

    def _hold(self, journal: Path, kind: str) -> None:
        try:
            _try_lock(self._descriptor)
        except OSError as error:
            holder = self._holder()
            raise JournalError(
                f"{named(journal)} is open for writing by {holder}; {kind} has one writer at a time"
            ) from error
        self._process = os.getpid()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        mine = {"process": self._process, "host": socket.gethostname(), "since": now}
        with suppress(OSError):  # A disk that is full: then the next error does not name the holder.
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, json.dumps(mine).encode())

    def _holder(self) -> str:
        with suppress(OSError, ValueError, KeyError, TypeError):
            held = json.loads(os.read(self._descriptor, 1024))
            return f"process {held['process']} on {held['host']} since {held['since']}"
        return "another process"

    def _forked(self) -> None:
        """Close the child's copy of the descriptor, which would keep the lock of a dead parent."""
        self._close()

    def release(self) -> None:
        """Let others write."""
        if self._close.alive and os.getpid() == self._process:
            _unlock(self._descriptor)
        self._close()


def check_single_name(journal: Path) -> None:
    """Make sure that a journal that is to be written to has no second name.

    Raises:
        JournalError: There are hard links to it.
    """
    try:
        names = journal.stat().st_nlink
    except FileNotFoundError:
        return
    if names > 1:
        raise JournalError(
            f"{named(journal)} is one of {names} hard links to one file, and each name would have a lock and "
            "a log of its own; remove the others, or open a copy"
        )
