"""Lengths of time as text: a whole number and its unit, such as ``30d``."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "min": "minutes", "s": "seconds"}
EXPECTED = "a number and w, d, h, m (or min) or s, such as 30d"

_LENGTH = re.compile(rf"([0-9]{{1,6}})({'|'.join(UNITS)})")


def length_of(given: timedelta | str) -> timedelta:
    """Return the length of time that ``given`` is, or states as text.

    Raises:
        TypeError: It is neither a timedelta nor text.
        ValueError: The text is no number and unit.

    Examples:
        >>> from idmerge.questions import length_of
        >>> length_of("30d"), length_of("90min")
        (datetime.timedelta(days=30), datetime.timedelta(seconds=5400))
    """
    if isinstance(given, timedelta):
        return given
    if not isinstance(given, str):
        raise TypeError(f"a length of time must be a timedelta or text, {EXPECTED}, got {given!r}")
    found = _LENGTH.fullmatch(given)
    if found is None:
        raise ValueError(f"{given!r} is no length of time; expected {EXPECTED}")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
