"""Two names exchanged in one step, where the system can (Linux, on most of its file systems)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HERE = -100
"""AT_FDCWD: paths count from the current directory."""
_EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""


def exchange(first: Path, second: Path) -> bool:
    """Let the two paths, both of which are there, change places; return whether they did."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes  # noqa: PLC0415

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # A C library that does not have it.
        return False
    return bool(renameat2(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0)
