"""Background checkpoints of SQLite's write-ahead log.

SQLite would do it within a commit, which then takes tens of milliseconds. A thread with a
connection of its own copies the bulk; what came meanwhile is little, and the writer copies that
itself, so that the log begins anew and does not grow for ever.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOG = 16 * 2**20
"""Bytes in the log that are worth copying."""
_COPY = "PRAGMA wal_checkpoint(PASSIVE)"


class LogCopier:
    """Copies the log of the database at ``path``, whose writer has ``connection``."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._logged = 0
        self._thread: threading.Thread | None = None

    def wrote(self, length: int) -> None:
        """Take note of a commit of so many bytes; start to copy, or end it, when that is due."""
        self._logged += length
        if self._logged < LOG:
            return
        if self._thread is None:
            # Known before it runs, so that whatever interrupts this leaves no thread without a
            # waiter.
            self._thread = threading.Thread(target=self._copy, name="idmerge-journal", daemon=True)
            with suppress(RuntimeError):  # The system has no thread to spare: a later commit asks again.
                self._thread.start()
        elif not self._thread.is_alive():
            self._thread = None
            self._logged = 0
            # A disk that is full says so to the next commit.
            with suppress(sqlite3.Error):
                self._connection.execute(_COPY)

    def _copy(self) -> None:
        there = f"{self._path.as_uri()}?mode=rw"  # And no new file, should it be gone.
        with suppress(sqlite3.Error), closing(sqlite3.connect(there, uri=True)) as connection:
            connection.execute(_COPY)

    def wait(self) -> None:
        """Wait until nothing is being copied."""
        if self._thread is not None:
            with suppress(RuntimeError):  # It never began.
                self._thread.join()
            self._thread = None
