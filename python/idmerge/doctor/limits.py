"""Thresholds for reporting a finding."""

from __future__ import annotations

from dataclasses import dataclass, fields

DAY_LIMIT = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds for reporting a finding; each at least 1.

    Raises:
        ValueError: One is less than 1.

    Examples:
        >>> from idmerge import doctor
        >>> strict = doctor.Limits(anon_ids_a_day=3)
        >>> found = doctor.examine("examples/shop.ndjson", limits=strict).findings
        >>> [finding.title for finding in found if finding.code == "reset-storm"]
        ['6 users came under more than 3 anonymous IDs within 24 hours']
    """

    events_a_day: int = DAY_LIMIT
    """Most events of one ID on one day in UTC: Mixpanel's limit for a distinct_id."""
    anon_ids_a_day: int = 20
    """Most anonymous IDs that a user may reasonably come under within 24 hours."""
    partners: int = 100
    """Most other IDs that an ID may reasonably be linked with."""

    def __post_init__(self) -> None:
        """Check every limit."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{field.name} must be an int, got {value!r}")
            if value < 1:
                raise ValueError(f"{field.name} must be at least 1, got {value}")
