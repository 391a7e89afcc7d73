"""An index of a journal from its batches' heads: times of commits, and retractions."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from contextlib import closing
from typing import TYPE_CHECKING, Any

from idmerge.errors import JournalError
from idmerge.journal.batch import moment
from idmerge.journal.offsets import offsets_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from idmerge.journal.batch import Batch
    from idmerge.journal.offsets import Offsets
    from idmerge.journal.protocol import Journal


class Times:
    """The time at which each position was committed: 16 bytes a batch."""

    def __init__(self) -> None:
        self._ends = array("q")
        self._written = array("q")

    def add(self, number: int, end_position: int, written_at: int) -> None:
        """Take note of the batch ``number``, which may be noted already."""
        for column, value in ((self._ends, end_position), (self._written, written_at)):
            if len(column) == number:
                column.append(value)

    def end_of(self, number: int) -> int:
        """Return the position behind the batch ``number``; 0 for the one before the first."""
        return self._ends[number] if number >= 0 else 0

    def of(self, position: int) -> datetime | None:
        """Return when a position was committed, or None if it was not."""
        number = bisect_right(self._ends, position)
        return moment(self._written[number]) if number < len(self._written) else None

    def batch_of(self, position: int) -> tuple[int, int] | None:
        """Return the batch of a position and the batch's first position, or None, likewise."""
        number = bisect_right(self._ends, position)
        if number >= len(self._written):
            return None
        return number, self._ends[number - 1] if number else 0


class Outline:
    """The statements of the heads of a journal's batches, each of which was checked.

    Args:
        journal: The journal of these batches.
        latest: The time by which a batch must have been committed; None for all.
        known: The last batch that a checkpoint spares reading, if there is one.
    """

    def __init__(self, journal: Journal, latest: int | None = None, known: Batch | None = None) -> None:
        self.batches = 0
        """The number of batches."""
        self.end_position = 0
        """The position behind them."""
        self.times = Times()
        """The times of the commits up to ``known``."""
        self.offsets: Offsets = {}
        """The positions in the sources after ``known``."""
        self._retractions: list[tuple[int, int]] = []
        with closing(journal.heads()) as heads:
            for head in heads:
                if latest is not None and head["written_at"] > latest:
                    return
                self._retractions += _retractions(journal.name, head)
                self.batches += 1
                self.end_position = head["end_position"]
                if known and head["number"] <= known.number:
                    self.times.add(head["number"], head["end_position"], head["written_at"])
                    self.offsets = offsets_after(self.offsets, head["offsets"], journal.version)

    def retracted(self, until: int | None = None) -> set[int]:
        """Return the positions that retractions before the position ``until`` took back."""
        return in_effect((by, of) for by, of in self._retractions if until is None or by < until)


def _retractions(name: str, head: Mapping[str, Any]) -> list[tuple[int, int]]:
    try:
        pairs = [(int(by), int(of)) for by, of in json.loads(head["retractions"] or "[]")]
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise JournalError(f"{name}: batch {head['number']} is damaged: {error}") from error
    return [(by, of) for by, of in pairs if 0 <= of < by]


def in_effect(retractions: Iterable[tuple[int, int]]) -> set[int]:
    """Return the positions that are retracted in the end: a retraction may be retracted too."""
    taken_back: set[int] = set()
    for by, of in sorted(retractions, reverse=True):
        if by not in taken_back:
            taken_back.add(of)
    return taken_back
