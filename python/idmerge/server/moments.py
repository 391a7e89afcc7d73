"""Times as events state them, in milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime

from idmerge.files.times import MILLISECONDS_FROM


def of_number(time: float) -> float:
    """Return a time that counts seconds, or milliseconds if it is large, in milliseconds."""
    return time if abs(time) >= MILLISECONDS_FROM else time * 1000


def of_text(time: str) -> float:
    """Return a time of ISO 8601 in milliseconds; one without a zone is in UTC.

    Raises:
        ValueError: It is none.
    """
    stated = datetime.fromisoformat(time)
    return (stated if stated.tzinfo else stated.replace(tzinfo=UTC)).timestamp() * 1000
