"""Times of events, read from Python's objects as from JSON text (SPEC 9)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from idmerge import _core
from idmerge.events import mapping_or_none

if TYPE_CHECKING:
    from idmerge.events import Event

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(event: Event) -> int | None:
    """Return the time of an item among events in milliseconds since 1970; None if it has none."""
    mapping = mapping_or_none(event)
    properties = None if mapping is None else mapping.get("properties")
    time = properties.get("time") if isinstance(properties, Mapping) else None
    if isinstance(time, datetime):
        moment = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    return _core.milliseconds_of(time)
