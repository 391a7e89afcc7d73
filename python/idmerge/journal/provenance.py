"""Event times and sources of links, read by position from the blocks of a journal.

No resolver keeps them: a block is read when a link of it is asked about. They are as the event was
read (SPEC 8, event time), and stand in the block of the batch's steps; links that are not committed
yet have theirs in the core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.errors import JournalError
from idmerge.journal.batch import moment
from idmerge.recorded import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from idmerge.journal.outline import Times
    from idmerge.journal.protocol import Journal
    from idmerge.resolver import Resolver

AT_ONCE = 16
"""Batches that are read at once where they follow each other."""

Origin = tuple[int | None, str | None, int] | None
"""An origin as the core returns it: the event's time, its source, and its number there."""


def provenance(
    journal: Journal | None, times: Times, resolver: Resolver, positions: Iterable[int]
) -> dict[int, Provenance]:
    """Return what is known about ``positions``; without a journal the times of commits alone.

    Raises:
        JournalError: A batch with one of them is damaged.
        OSError: The journal cannot be read.
    """
    wanted = sorted(set(positions))
    places = {position: times.batch_of(position) for position in wanted}
    origins: dict[int, Origin] = {}
    pending = [position for position, place in places.items() if place is None]
    if pending:
        origins |= zip(pending, resolver._pending_origins(pending), strict=True)
    if journal is not None:
        batches: dict[tuple[int, int], list[int]] = {}
        for position, place in places.items():
            if place is not None:
                batches.setdefault(place, []).append(position)
        for block, start, among in _blocks(journal, batches):
            origins |= zip(among, resolver._block_origins(block, start, among), strict=True)
    return {position: _provenance(times, position, origins.get(position)) for position in wanted}


def provenance_in(
    block: bytes, start: int, times: Times, resolver: Resolver, positions: Iterable[int]
) -> dict[int, Provenance]:
    """Return the same about positions in a block of steps that begins at the position ``start``.

    Raises:
        JournalError: The block is damaged.
    """
    wanted = sorted(set(positions))
    origins = resolver._block_origins(block, start, wanted) if wanted else []
    return {
        position: _provenance(times, position, origin)
        for position, origin in zip(wanted, origins, strict=True)
    }


def _blocks(
    journal: Journal, batches: Mapping[tuple[int, int], list[int]]
) -> Iterator[tuple[bytes, int, list[int]]]:
    """Yield the blocks of batches, each with its first position and the positions wanted."""
    run: list[tuple[int, int]] = []
    for place in [*batches, None]:
        if run and (place is None or place[0] != run[-1][0] + 1 or len(run) == AT_ONCE):
            blocks = journal.blocks(run[0][0], run[-1][0] + 1)
            for block, one in zip(blocks, run, strict=True):
                yield block, one[1], batches[one]
            run = []
        if place is not None:
            run.append(place)


def _provenance(times: Times, position: int, origin: Origin) -> Provenance:
    committed = times.of(position)
    if origin is None:
        return Provenance(committed)
    milliseconds, source, number = origin
    try:
        event_time = None if milliseconds is None else moment(1000 * milliseconds)
    except OverflowError as error:
        raise JournalError(f"the event time at position {position} is damaged: {milliseconds}") from error
    return Provenance(committed, event_time, None if source is None else f"{source}:{number}")
