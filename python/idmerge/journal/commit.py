"""A commit: the pending steps in batches of bounded size, and the check that they were stored.

A batch is made when the one before it is written, so a commit takes the memory of a block beyond
what is pending. All batches of a commit are written in one transaction and state one time; the last
one states the offsets, and each of the others that the commit goes on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from idmerge.journal.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from idmerge.resolver import Resolver

BLOCK = 16 * 2**20
"""Bytes of texts and steps in a batch, unless a single step has more."""
AT_ONCE = 100_000
"""Pending steps that are worth writing while there are more to come."""


class Commit:
    """A commit, written batch by batch, and the batches that it has written.

    Args:
        resolver: The resolver whose steps are pending.
        before: The last batch of the journal.
        written_at: When it is committed.
        version: The journal's format.
    """

    def __init__(self, resolver: Resolver, before: Batch | None, *, written_at: int, version: int) -> None:
        self._resolver = resolver
        self._before = before
        self._written_at = written_at
        self._version = version
        self.heads: list[Batch] = []
        """The batches, without their blocks."""
        self.steps = 0
        """The number of pending steps that they hold."""
        self.is_whole = False
        """True if the last batch is among them; until then the commit cannot be in the journal."""

    def batches(self, offsets: str | None) -> Iterator[Batch]:
        """Yield what is pending at this moment; the last batch states these offsets."""
        yield from self._cut(offsets, goes_on=False)
        if not self.is_whole and (self.heads or offsets is not None):
            yield self._add(self._empty(offsets))

    def batches_of(self, work: Iterable[object], offsets: Callable[[], str | None]) -> Iterator[Batch]:
        """Yield what ``work`` applies while it is iterated; what was yielded is pending no more."""
        for _ in work:
            if self._resolver._pending_count() >= AT_ONCE:
                yield from self._cut(None, goes_on=True)
                last = self.heads[-1]
                self._resolver._written(last.number, self.steps, last.end_id)
                self.steps = 0
        yield from self.batches(offsets())

    def _cut(self, offsets: str | None, *, goes_on: bool) -> Iterator[Batch]:
        steps, ids = self._resolver._pending()
        while self.steps < steps:
            number, position, first_id = self._next()
            texts, block, count, end_id, end_position, retractions = self._resolver._pending_blocks(
                (self.steps, steps), (first_id, ids), position, BLOCK
            )
            is_last = self.steps + count == steps and not goes_on
            yield self._add(
                Batch(
                    number=number,
                    position=position,
                    end_position=end_position,
                    first_id=first_id,
                    end_id=end_id,
                    steps=count,
                    written_at=self._written_at,
                    offsets=offsets if is_last else None,
                    retractions=json.dumps(retractions) if retractions else None,
                    goes_on=int(not is_last),
                    texts=texts,
                    block=block,
                )
            )

    def _next(self) -> tuple[int, int, int]:
        """Return the number, the position and the first ID of the next batch."""
        last = self.heads[-1] if self.heads else self._before
        return (0, 0, 0) if last is None else (last.number + 1, last.end_position, last.end_id)

    def _empty(self, offsets: str | None) -> Batch:
        """Return the next batch, without steps."""
        number, position, first_id = self._next()
        return Batch(
            number=number,
            position=position,
            end_position=position,
            first_id=first_id,
            end_id=first_id,
            steps=0,
            written_at=self._written_at,
            offsets=offsets,
            retractions=None,
            texts=b"",
            block=b"",
        )

    def _add(self, batch: Batch) -> Batch:
        sealed = batch.sealed(self._version)
        self.heads.append(sealed.without_blocks())
        self.steps += batch.steps
        self.is_whole = not batch.goes_on
        return sealed
