"""SQLite files opened as immutable, where none can be made beside them (a read-only mount).

To read a file in WAL mode SQLite keeps its locks in another one beside it. Where it cannot, it can
open the file as immutable, and then needs none. That is exact as long as it does not change: no
write-ahead log holds what was committed last, and no writer comes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class Still:
    """A file that is taken not to change, and what it looked like then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._look()

    @classmethod
    def where_needed(cls, path: Path) -> Self | None:
        """Return the file at ``path`` if it can only be read as immutable, and may be.

        Raises:
            PermissionError: Its write-ahead log holds commits, and cannot be read without files
                beside it.
        """
        log, locks = _beside(path)
        if os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            return None
        if log.exists() and locks.exists():  # A writer's, or left by one: SQLite reads both as they are.
            return None
        if log.exists() and log.stat().st_size:
            raise PermissionError(
                f"{path}: its directory cannot be written to, and {log.name} holds commits that cannot be "
                f"read without {locks.name}; copy the two files to a directory of yours and open the copy"
            )
        return cls(path)

    def has_changed(self) -> bool:
        """Return whether the file is another one than it was, or has a writer."""
        return self._look() != self._seen

    def _look(self) -> tuple[object, ...]:
        found = self._path.stat()
        log, locks = _beside(self._path)
        return found.st_ino, found.st_size, found.st_mtime_ns, log.exists(), locks.exists()


def _beside(path: Path) -> tuple[Path, Path]:
    """Return the paths of SQLite's write-ahead log and of its locks."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
