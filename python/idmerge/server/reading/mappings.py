"""Identity mappings as lines of JSON: all of a project, or what changed since a position.

An answer is of one state, whose position is in the header `POSITION`: what is asked from there next
begins where it ends. Memory: a snapshot of the IDs of the answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge._core import Table
    from idmerge.journal import DurableResolver

POSITION = "X-Idmerge-Position"
"""The header with the position of the state that an answer shows."""
ROWS = 1000
"""Rows that are sent at once."""
DIGITS = 19
"""The most digits of a position."""


class Mapping(NamedTuple):
    """A mapping, or a part of it, as it was at a position."""

    table: Table
    position: int
    columns: tuple[str, ...]

    def lines(self) -> Iterator[bytes]:
        """Yield the rows as lines of JSON, some at a time."""
        for batch in self.table.to_arrow().select(self.columns).to_batches(ROWS):
            rows = batch.to_pylist()
            yield "".join(f"{json.dumps(row, separators=(',', ':'))}\n" for row in rows).encode()


def mapping_of(resolver: DurableResolver, since: str | None) -> Mapping:
    """Return the canonical ID of each ID, or the feed of changes since a position.

    Args:
        resolver: A resolver to which nothing is applied meanwhile.
        since: The position as a request states it; None for the whole mapping.

    Raises:
        ValueError: ``since`` is no position up to now.
    """
    position = resolver.position
    if since is None:
        return Mapping(resolver.mapping(), position, ("distinct_id", "canonical_id"))
    if not (since.isascii() and since.isdigit() and len(since) <= DIGITS and int(since) <= position):
        raise ValueError(f"since must be a position from 0 to {position}, where the mapping is")
    changes = resolver.changes(int(since))
    return Mapping(changes, position, tuple(changes.column_names))
