"""Clocks of events: the order in which Mixpanel processed them, and the zone of their times.

Mixpanel notes when it received and when it processed an event, beside the ``time`` that the sender
gave it. Where the moments of processing run backwards, links are judged in another order than
Mixpanel judged them. Where ``time`` and the moment of receipt, or of processing where that is
missing, differ by the distance of a zone on most events, ``time`` looks local (`files.localtimes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge.doctor.links import EXAMPLES, UNKNOWN_TIME
from idmerge.files.localtimes import Offsets
from idmerge.files.names import PROCESSED, RECEIVED
from idmerge.files.opening import import_pyarrow

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from numpy.typing import NDArray

    from idmerge.doctor.findings import Example

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = 1000
LAST = 253_402_300_799_999
"""The last millisecond of the year 9999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocked:
    """The clocks of all events, summed up."""

    backward: int
    """Events that were processed before one that stands in front of them."""
    backward_examples: tuple[Example, ...]
    offsets: tuple[tuple[int, int], ...]
    """Quarter hours by which a time is ahead of the receipt, and its events; the most first.

    Without those that agree, or differ by no whole number of quarter hours.
    """
    offset_examples: tuple[Example, ...]

    is_local: bool
    """Whether the times of most events look like those of a zone that is not UTC."""


class Clocks:
    """Takes the clocks of events, batch by batch.

    Args:
        is_zoned: Whether their times were read as those of a zone.
    """

    def __init__(self, *, is_zoned: bool = False) -> None:
        self._latest = {PROCESSED: UNKNOWN_TIME, RECEIVED: UNKNOWN_TIME}
        self._backward = 0
        self._backward_examples: list[Example] = []
        self._offsets = Offsets(is_zoned=is_zoned)
        self._offset_examples: list[Example] = []

    def add(
        self, batch: pa.RecordBatch, times: NDArray[np.int64], example: Callable[[int, str], Example]
    ) -> None:
        """Take the events of ``batch``, whose ``times`` are in microseconds.

        ``example`` makes an example of a row, with a note of what is wrong.
        """
        received = moments(batch, RECEIVED)
        processed = moments(batch, PROCESSED)
        self._order(PROCESSED, processed, example)
        self._order(RECEIVED, np.where(processed == UNKNOWN_TIME, received, UNKNOWN_TIME), example)
        self._zone(times, np.where(received == UNKNOWN_TIME, processed, received), example)

    def _order(self, clock: str, moment: NDArray[np.int64], example: Callable[[int, str], Example]) -> None:
        before = np.maximum.accumulate(np.concatenate([[self._latest[clock]], moment]))
        self._latest[clock] = int(before[-1])
        rows = np.flatnonzero((moment != UNKNOWN_TIME) & (moment < before[:-1]))
        self._backward += len(rows)
        for row in rows[: EXAMPLES - len(self._backward_examples)].tolist():
            note = f"{clock} {_shown(int(moment[row]))}, behind one of {_shown(int(before[row]))}"
            self._backward_examples.append(example(row, note))

    def _zone(
        self, times: NDArray[np.int64], received: NDArray[np.int64], example: Callable[[int, str], Example]
    ) -> None:
        rows = np.flatnonzero((times != UNKNOWN_TIME) & (received != UNKNOWN_TIME))
        is_whole = self._offsets.take(times[rows] // MILLISECOND, received[rows]) != 0
        for row in rows[is_whole][: EXAMPLES - len(self._offset_examples)].tolist():
            note = f"received {_shown(int(received[row]))}"
            self._offset_examples.append(example(row, note))

    def finish(self) -> Clocked:
        """Return the sums."""
        return Clocked(
            backward=self._backward,
            backward_examples=tuple(self._backward_examples),
            offsets=tuple(self._offsets.counts.most_common()),
            offset_examples=tuple(self._offset_examples),
            is_local=self._offsets.local() is not None,
        )


def moments(batch: pa.RecordBatch, name: str) -> NDArray[np.int64]:
    """Return a column of whole numbers, or of their digits; `UNKNOWN_TIME` for any other value."""
    if name not in batch.schema.names:
        return np.full(batch.num_rows, UNKNOWN_TIME)
    pa = import_pyarrow("counting events")
    import pyarrow.compute as pc  # noqa: PLC0415 - it is there, as the line above says

    column: Any = batch.column(name)
    if pa.types.is_boolean(column.type) or pa.types.is_null(column.type):
        return np.full(batch.num_rows, UNKNOWN_TIME)
    if not pa.types.is_integer(column.type) and not pa.types.is_floating(column.type):
        text = column.cast(pa.large_string())
        is_number = pc.match_substring_regex(text, r"^[0-9]{1,18}$")
        column = pc.if_else(is_number, text, pa.scalar(None, pa.large_string())).cast(pa.int64())
    if pa.types.is_floating(column.type):
        largest: Any = pa.scalar(float(LAST), column.type)
        column = pc.round(pc.if_else(pc.less_equal(column, largest), column, pa.scalar(None, column.type)))
    whole = column.cast(pa.int64(), safe=False).fill_null(UNKNOWN_TIME)
    numbers: NDArray[np.int64] = whole.to_numpy(zero_copy_only=False)
    return np.where((numbers >= 0) & (numbers <= LAST), numbers, UNKNOWN_TIME)


def _shown(milliseconds: int) -> str:
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(" ", "milliseconds").replace("+00:00", "Z")
