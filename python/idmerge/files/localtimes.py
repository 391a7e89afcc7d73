"""Local times of events, told by the moments at which Mixpanel received these.

Mixpanel notes when it received an event, beside the ``time`` that the sender gave it. Where the two
differ by whole quarter hours on most events, ``time`` is that of a zone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from idmerge.files.names import PROCESSED, RECEIVED

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUARTER = 15 * 60 * 1000
"""A quarter of an hour, in milliseconds."""
QUARTERS = 14 * 4
"""The largest distance of a zone from UTC, in quarter hours."""
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


def are_local(ahead: int, events: int) -> bool:
    """Return whether times are local if so many of ``events`` with a receipt are ``ahead``."""
    return 2 * ahead > events


def zone_of(quarters: int) -> str:
    """Return a distance from UTC in quarter hours as it is written: ``+05:30``."""
    hours, minutes = divmod(abs(quarters) * 15, 60)
    return f"{'-' if quarters < 0 else '+'}{hours:02d}:{minutes:02d}"


def local_times(offset: str, timezone: str | None = None) -> str:
    """Return in words that times, read as those of ``timezone``, are at this ``offset``."""
    under = f"read as times of {timezone}, " if timezone else ""
    return (
        f"{under}the times of most events are {offset} from when Mixpanel received these "
        f"({RECEIVED}, else {PROCESSED}), so they look local"
    )
