"""Positions in the caller's sources, and what a batch states of them.

A batch states what its commit changed: an object of JSON with the new positions, null for a source
that is gone. In format 1 it states the positions of all sources, and the journal grows by all of
them each time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Offsets = dict[str, int | str]
"""Positions in the caller's sources, by the sources' names.

Examples:
    >>> from idmerge.journal import Offsets
    >>> read_so_far: Offsets = {"logins": 1017, "mails": "2024-05-01"}
"""


def check_offsets(given: Mapping[Any, Any]) -> None:
    """Make sure that a commit can state these.

    Raises:
        TypeError: They do not map texts to integers, texts or None.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"offsets must map str to int or str, or to None, got {given!r}")
    for source, position in given.items():
        if not isinstance(source, str) or not isinstance(position, int | str | None):
            raise TypeError(f"offsets must map str to int or str, or to None, got {source!r}: {position!r}")


def stated_offsets(before: Offsets, given: Mapping[str, int | str | None], version: int) -> str | None:
    """Return the statement that turns the positions ``before`` into those given, or None."""
    changed = {
        source: position for source, position in given.items() if not _is_same(before.get(source), position)
    }
    if not changed:
        return None
    return json.dumps(changed if version > 1 else _moved(before, changed))


def offsets_after(before: Offsets, stated: str | None, version: int) -> Offsets:
    """Return the positions after a batch that states this."""
    if stated is None:
        return before
    found: dict[str, int | str | None] = json.loads(stated)
    return _moved(before if version > 1 else {}, found)


def _moved(before: Offsets, changed: Mapping[str, int | str | None]) -> Offsets:
    moved = {**before, **changed}
    return {source: position for source, position in moved.items() if position is not None}


def _is_same(before: int | str | None, position: int | str | None) -> bool:
    return before == position and isinstance(before, bool) == isinstance(position, bool)
