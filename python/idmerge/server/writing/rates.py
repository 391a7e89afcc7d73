"""The rate at which a project takes items."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BURST_SECONDS = 60
"""Seconds of the rate that may come at once, after a pause as long."""


class Rates:
    """Limits of items a second, each project by itself.

    A project that has sent nothing for `BURST_SECONDS` may send the items of as many seconds at
    once; then it is held to its rate. Of a request that is too much nothing is counted. One of more
    items than that is admitted after such a pause, and those behind it wait as long as it takes.

    Args:
        limits: The most items a second of each project; one that is not there has no limit.

    Examples:
        >>> from idmerge.server.writing.rates import Rates
        >>> rates = Rates({"shop": 10})
        >>> rates.admits("shop", 600, 0.0), rates.admits("shop", 1, 0.0)
        (True, False)
        >>> rates.admits("shop", 10, 1.0)
        True
        >>> rates.admits("news", 10**9, 0.0)
        True
        >>> rates.admits_all({"shop": 10, "news": 1}, 1.0), rates.admits_all({}, 1.0)
        (False, True)
    """

    def __init__(self, limits: Mapping[str, float]) -> None:
        self._limits = limits
        self._left: dict[str, tuple[float, float]] = {}

    def admits(self, project: str, count: int, now: float) -> bool:
        """Return whether a project may send some items at this second, and count them if so."""
        return self.admits_all({project: count}, now)

    def admits_all(self, counts: Mapping[str, int], now: float) -> bool:
        """Return whether each project may send its items at this second; only then count any."""
        left: dict[str, tuple[float, float]] = {}
        for project, count in counts.items():
            limit = self._limits.get(project)
            if limit is None:
                continue
            most = limit * BURST_SECONDS
            before, since = self._left.get(project, (most, now))
            available = min(most, before + max(0.0, now - since) * limit)
            if min(count, most) > available:
                return False
            left[project] = available - count, now
        self._left |= left
        return True
