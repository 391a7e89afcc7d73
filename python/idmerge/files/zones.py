"""Times of a zone: events whose ``time`` is local become events in UTC (SPEC 9).

A time is local if it names no zone: a number, digits, or ISO 8601 without a zone, which are read as
if they were in UTC. A time that names one, and a timestamp of a zone, is not shifted. A time that
the zone has twice, when its clocks are set back, is the earlier one; one that it lacks is the
moment at which its clocks are set forward.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from idmerge.files.names import PROPERTIES, TIME

_NAMES_ZONE = re.compile(r"\s*[0-9]{4}-?[0-9]{2}-?[0-9]{2}[Tt ].*[A-Za-z+\-\u2212]", re.DOTALL)
"""A date and a time with a letter or a sign behind it."""

_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)


def check_zone(name: str | None) -> str | None:
    """Return ``name`` if it is a time zone's, such as ``Asia/Kolkata``, or None.

    Raises:
        TypeError: It is no text.
        ValueError: No zone has that name.

    Examples:
        >>> from idmerge.files import check_zone
        >>> check_zone("Asia/Kolkata")
        'Asia/Kolkata'
        >>> try:
        ...     check_zone("Kolkata")
        ... except ValueError as error:
        ...     print(error)
        no time zone is called 'Kolkata'; expected a name such as Asia/Kolkata or
        Europe/Berlin
    """
    if name is None:
        return None
    if not isinstance(name, str):
        raise TypeError(f"timezone must be the name of a zone, got {name!r:.100}")
    try:
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - few calls name a zone

        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(
            f"no time zone is called {name!r:.100}; expected a name such as Asia/Kolkata or Europe/Berlin"
        ) from error
    return name


def names_zone(time: object) -> bool:
    """Return whether ``time``, the value of an event, names a zone."""
    return isinstance(time, str) and _NAMES_ZONE.match(time) is not None


def time_of(event: Mapping[str, Any]) -> object:
    """Return the time of ``event`` as it was sent, None where it has none."""
    properties = event.get(PROPERTIES)
    return properties.get(TIME) if isinstance(properties, Mapping) else None


def as_utc(times: Any, zone: str, names_zone: Any = None) -> Any:
    """Return timestamps in UTC, local ones shifted from ``zone``.

    Args:
        times: Timestamps in Arrow, which are in UTC, or were read as if they were.
        zone: The name of the zone.
        names_zone: A truth value for each, True where it is in UTC already; None if all are local.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    unit = times.type.unit
    in_utc = pa.timestamp(unit, "UTC")
    moments = pc.assume_timezone(
        times.cast(pa.timestamp(unit)), zone, ambiguous="earliest", nonexistent="latest"
    ).cast(in_utc)
    ends = [pa.scalar(end, in_utc) for end in (_FIRST, _LAST)]
    is_date = pc.and_(pc.greater_equal(moments, ends[0]), pc.less_equal(moments, ends[1]))
    moments = pc.if_else(is_date, moments, pa.scalar(None, in_utc))
    return moments if names_zone is None else pc.if_else(names_zone, times.cast(in_utc), moments)


def with_utc(batch: Any, zone: str, names_zone: Any = None) -> Any:
    """Return a batch or table of events whose times are in UTC (`as_utc`)."""
    place = batch.schema.get_field_index(TIME)
    return batch.set_column(place, TIME, as_utc(batch.column(place), zone, names_zone))
