"""The order in which Mixpanel processed events (SPEC 2), by the moments that it notes on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from idmerge.files.names import PROCESSED, PROPERTIES, RECEIVED

CLOCKS = (PROCESSED, RECEIVED)
"""The properties that hold such a moment; of several the first counts."""
LAST = 253_402_300_799_999
"""The last millisecond of the year 9999; numbers beyond it are no moments."""


def moment_of(event: Mapping[str, Any], clocks: Sequence[str] = CLOCKS) -> tuple[str, int] | None:
    """Return the first of ``clocks`` that ``event`` has, and its moment in milliseconds; else None.

    A moment is a whole number from 0 to `LAST`, or its digits.
    """
    properties = event.get(PROPERTIES)
    if not isinstance(properties, Mapping):
        return None
    for clock in clocks:
        moment = _whole(properties.get(clock))
        if moment is not None:
            return clock, moment
    return None


def _whole(value: object) -> int | None:
    if isinstance(value, str):
        value = int(value) if len(value) <= _MOST_DIGITS and value.isascii() and value.isdigit() else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LAST:
        return None
    return round(value)


_MOST_DIGITS = 18


class Order:
    """Compares moments of events, one after another, each with those of its own clock."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}

    def is_backward(self, event: Mapping[str, Any]) -> bool:
        """Take the next event; return whether it was processed before one in front of it."""
        found = moment_of(event)
        if found is None:
            return False
        clock, moment = found
        latest = self._latest.get(clock, 0)
        self._latest[clock] = max(latest, moment)
        return moment < latest
