"""Fork safety: a child drops the locks and connections of its parent.

A child that `os.fork` made has copies of its parent's descriptors. With the one of a writer's lock
it would keep the lock when its parent is killed; with a connection of SQLite's it could damage the
journal, also by closing it. So in each child the journals that are open say so, and their locks are
let go of.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

from idmerge.errors import SealedError


class Forkable(Protocol):
    """Something open that a forked child must not use."""

    def _forked(self) -> None:
        """Take note, in the child, that this is a copy; other threads may have held any lock."""


_watched: WeakSet[Forkable] = WeakSet()


def watch(thing: Forkable) -> None:
    """Let ``thing`` know, from now on, when it is a forked child's copy."""
    _watched.add(thing)


def _in_child() -> None:
    for thing in list(_watched):
        thing._forked()  # noqa: SLF001 - only this module calls it
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def orphaned(name: str, opener: int) -> str:
    """Say why what the process ``opener`` opened is refused in a child of it."""
    return f"{name} was opened by process {opener}, of which this is a fork; open it anew in this process"


def check_process(name: str, opener: int) -> None:
    """Make sure that this is the process that opened the journal.

    Raises:
        SealedError: It is a fork of that one.
    """
    if opener != os.getpid():
        raise SealedError(orphaned(name, opener))
