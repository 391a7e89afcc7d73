"""How many threads a call may use."""

from __future__ import annotations

import os

from idmerge.errors import SettingError

VARIABLE = "IDMERGE_THREADS"
"""The environment variable that says it for calls that do not."""


def threads_allowed(threads: int | None = None) -> int:
    """Return ``threads``, or what the environment variable says, or the number of processors.

    Raises:
        ValueError: ``threads`` is no positive integer.
        SettingError: The environment variable holds none.
    """
    if threads is not None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1 or None, got {threads}")
        return threads
    text = os.environ.get(VARIABLE, "")
    if not text:
        return _processors()
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise SettingError(f"{VARIABLE} must be a positive integer, got {text!r}")
    return int(text)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
