"""Files and directories flushed to disk (fsync), so that a rename never outruns the content."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from idmerge._threads import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

THREADS = 8
"""Threads that wait for the disk, which flushes many small files together."""
WORTH_THREADS = 32
"""Files from which on threads are worth it."""
_TO_FLUSH = getattr(os, "O_BINARY", 0) | (os.O_RDWR if os.name == "nt" else os.O_RDONLY)
_CANNOT = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM)
"""Errors of file systems that cannot flush a directory, and of directories that cannot be
opened."""


def sync_file(path: str | os.PathLike[str]) -> None:
    """Flush the content of the file at ``path``, whichever process wrote it.

    Raises:
        OSError: It cannot be opened, or the disk is full or broken.
    """
    descriptor = os.open(path, _TO_FLUSH)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Flush the names in the directory at ``path``, where the system can.

    Raises:
        OSError: The disk is broken.
    """
    if os.name == "nt":  # Which opens no directory.
        return
    try:
        sync_file(path)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise


def sync_tree(directory: Path) -> None:
    """Flush the files in ``directory`` and below, then the directories.

    Raises:
        OSError: The disk is full or broken.
    """
    files, directories = [], []
    for place, _, names in os.walk(directory):
        directories.append(place)
        files += [os.path.join(place, name) for name in names]  # noqa: PTH118
    _each(sync_file, files)
    _each(sync_directory, directories)


def _each(sync: Callable[[str], None], paths: Sequence[str]) -> None:
    if len(paths) < WORTH_THREADS:
        for path in paths:
            sync(path)
        return
    pool = Pool(THREADS, "idmerge-sync")
    try:
        for _ in pool.map(sync, paths):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
