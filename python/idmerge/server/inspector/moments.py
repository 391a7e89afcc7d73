"""Times on pages, in the time zone of a subject."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from datetime import tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone_of(timezone: str | None) -> tzinfo:
    """Return a time zone by its name; None is UTC."""
    return ZoneInfo(timezone) if timezone else UTC


def moment_of(milliseconds: int, zone: tzinfo) -> datetime | None:
    """Return a time since 1970; None if no calendar has it."""
    try:
        return (_EPOCH + timedelta(milliseconds=milliseconds)).astimezone(zone)
    except (OverflowError, ValueError):
        return None


def time_html(moment: datetime | None, form: str = "%Y-%m-%d %H:%M:%S", otherwise: str = "&ndash;") -> str:
    """Return a time as HTML; ``otherwise`` is the HTML if there is none."""
    if moment is None:
        return otherwise
    stated = escape(moment.isoformat(timespec="milliseconds"))
    return f'<time datetime="{stated}">{escape(moment.strftime(form))}</time>'
