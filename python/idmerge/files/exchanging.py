"""Atomic exchange and naming of files, on Linux and most of its file systems."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

from idmerge._naming import named

if TYPE_CHECKING:
    from pathlib import Path

_HERE = -100
"""AT_FDCWD: paths count from the current directory."""
_NO_REPLACE = 1
"""RENAME_NOREPLACE of renameat2(2)."""
_EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""


def exchange(first: Path, second: Path) -> bool:
    """Let the two paths, both of which are there, change places; return whether they did."""
    return _rename(first, second, _EXCHANGE) == 0


def rename_to_free(path: Path, name: Path) -> bool:
    """Give ``path`` another name that nothing has, and return whether that was atomic.

    Raises:
        FileExistsError: Something has that name.
    """
    error = _rename(path, name, _NO_REPLACE)
    if error == errno.EEXIST:
        raise FileExistsError(f"{named(name)} is there already; name a file that is not")
    return error == 0


def _rename(first: Path, second: Path, how: int) -> int:
    """Call renameat2(2); return the number of its error, or 0."""
    if not sys.platform.startswith("linux"):
        return errno.ENOSYS
    import ctypes  # noqa: PLC0415

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # A C library that does not have it.
        return errno.ENOSYS
    failed = renameat2(_HERE, os.fsencode(first), _HERE, os.fsencode(second), how)
    return ctypes.get_errno() if failed else 0
