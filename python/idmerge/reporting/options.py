"""Options of a report: names of events and properties, each of which is guessed if it is None."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from idmerge.policy import is_unicode
from idmerge.questions.campaigns import Attribution
from idmerge.questions.conversions import Conversion
from idmerge.questions.sql import UTC

if TYPE_CHECKING:
    from datetime import date, timedelta

    from idmerge.questions.credits import Model

TOP = 15
"""Rows of a table of campaigns or of content, by default."""
NAMES = ("signup", "purchase", "amount", "currency", "campaign", "content_event", "content")
"""The names that are guessed, in the order in which they are said."""
NAMES_OF_EVENTS = ("signup", "purchase", "content_event")
"""Those of them that are events; all others are properties."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """The names that the three questions need, and which events count.

    Raises:
        TypeError: ``where`` is no text, or a day none.
        ValueError: A name is empty or no Unicode text, or an option is none of its question.

    Examples:
        >>> from idmerge.reporting import ReportOptions
        >>> options = ReportOptions(signup="Registered", within="7d")
        >>> options.named
        {'signup': 'Registered'}
    """

    signup: str | None = None
    """The event of signing up."""
    purchase: str | None = None
    """The event of buying."""
    amount: str | None = None
    """The property of a purchase that holds what was paid."""
    currency: str | None = None
    """The property of a purchase that names the currency of the amount."""
    campaign: str | None = None
    """The property that names a campaign."""
    content_event: str | None = None
    """The event of reading or viewing something."""
    content: str | None = None
    """The property of that event that says what."""
    by_path: bool | None = None
    """Whether ``content`` holds URLs, of which the paths count; guessed if it is None."""
    within: timedelta | str = "30d"
    """The longest time from content to a sign-up."""
    model: Model = "last-touch"
    top: int = TOP
    """The number of campaigns, and of values of ``content``, with a row; others are summed up."""
    min_persons: int = 0
    where: str | None = None
    from_date: date | str | None = None
    to_date: date | str | None = None
    timezone: str = UTC

    def __post_init__(self) -> None:
        """Check the names, and by the questions themselves all other options."""
        for name, value in self.named.items():
            if not isinstance(value, str) or not value or not is_unicode(value):
                raise ValueError(f"{name} must be Unicode text, got {value!r:.100}")
        which: dict[str, Any] = {
            name: getattr(self, name) for name in ("where", "from_date", "to_date", "timezone")
        }
        which |= {"top": self.top, "min_persons": self.min_persons, "within": self.within}
        Conversion(start="read", goal="sign up", **which)
        Attribution(model=self.model)

    @property
    def named(self) -> dict[str, str]:
        """The names that were given."""
        stated = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: stated[name] for name in NAMES if stated[name] is not None}
