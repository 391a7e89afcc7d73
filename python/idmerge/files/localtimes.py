"""Local times of events, told by the moments at which Mixpanel received these.

Mixpanel notes when it received an event, beside the ``time`` that the sender gave it. Where the two
differ by the distance of a zone from UTC on most events, ``time`` is that of a zone, unless it
names its own.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from idmerge.files.names import PROCESSED, RECEIVED

if TYPE_CHECKING:
    from numpy.typing import NDArray

LATE_TOO = ", or the events came that late"
"""The other reading of times that are behind the moments of receipt."""
QUARTER = 15 * 60 * 1000
"""A quarter of an hour, in milliseconds."""
QUARTERS = 14 * 4
"""The largest distance of a zone from UTC, in quarter hours."""
ZONES = frozenset(
    [
        *range(-12 * 4, QUARTERS + 1, 4),
        *(-38, -14, -10, 14, 18, 22, 23, 26, 35, 38, 42, 51, 55),
    ]
)
"""The distances of zones from UTC, in quarter hours."""
LEAST = 20
"""Events that must be at one distance behind, at least."""
SPREAD = 10
"""Seconds of the hour that their times must have, at least: those of a job have one or few."""
EARLY, LATE = 60_000, 180_000
"""Milliseconds by which an event's own clock may be ahead, and by which the event may come late."""


def quarters_ahead(times: NDArray[np.int64], received: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the quarter hours by which each of ``times`` is ahead of the moment of its receipt.

    Both are in milliseconds. 0 where they agree, or differ by no whole number of quarter hours.
    """
    ahead = times - received
    quarters: NDArray[np.int64] = np.round((ahead + (LATE - EARLY) / 2) / QUARTER).astype(np.int64)
    late = quarters * QUARTER - ahead
    is_whole = (np.abs(quarters) <= QUARTERS) & (late >= -EARLY) & (late <= LATE)
    return np.where(is_whole, quarters, 0)


class Offsets:
    """Counts the distances of times from the moments of their receipt.

    Args:
        is_zoned: Whether the times were read as those of a zone, so that a distance is that of one
            zone from another.
    """

    def __init__(self, *, is_zoned: bool = False) -> None:
        self._is_zoned = is_zoned
        self._events = 0
        self._seconds: dict[int, set[int]] = {}
        """The seconds of the hour of the times at each distance."""
        self.counts: Counter[int] = Counter()
        """Events by the quarter hours by which their time is ahead, without those that agree."""

    def take(self, times: NDArray[np.int64], received: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count some events and return their `quarters_ahead`."""
        quarters = quarters_ahead(times, received)
        self._events += len(times)
        found, counts = np.unique(quarters[quarters != 0], return_counts=True)
        for distance, count in zip(found.tolist(), counts.tolist(), strict=True):
            self.counts[distance] += count
            seconds = np.unique(times[quarters == distance] // 1000 % 3600)
            self._seconds.setdefault(distance, set()).update(seconds.tolist())
        return quarters

    def local(self) -> int | None:
        """Return the distance of the times if they look local, None if they do not.

        Where some are of summer and some of winter, it is the more frequent one. No event comes
        before it happened, so a time ahead of its receipt is local. One behind may have come late:
        events of an import do, all by the same time, or are of the same second.
        """
        if not self.counts:
            return None
        ((most, count),) = self.counts.most_common(1)
        other = max(self.counts[most - 4], self.counts[most + 4])
        is_zone = self._is_zoned or most in ZONES
        is_sure = most > 0 or (count >= LEAST and len(self._seconds[most]) >= SPREAD)
        return most if is_zone and is_sure and 2 * (count + other) > self._events else None


def zone_of(quarters: int) -> str:
    """Return a distance from UTC in quarter hours as it is written: ``+05:30``."""
    hours, minutes = divmod(abs(quarters) * 15, 60)
    return f"{'-' if quarters < 0 else '+'}{hours:02d}:{minutes:02d}"


def local_times(offset: str, timezone: str | None = None) -> str:
    """Return in words that times, read as those of ``timezone``, are at this ``offset``.

    Examples:
        >>> from idmerge.files import local_times
        >>> print(local_times("+05:30"))
        the times of most events are +05:30 from when Mixpanel received these
        ($mp_api_timestamp_ms, else mp_processing_time_ms), so they look local
    """
    under = f"read as times of {timezone}, " if timezone else ""
    late = LATE_TOO if offset.startswith("-") else ""
    return (
        f"{under}the times of most events are {offset} from when Mixpanel received these "
        f"({RECEIVED}, else {PROCESSED}), so they look local{late}"
    )
