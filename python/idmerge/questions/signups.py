"""The share of visitors that signs up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from idmerge.questions.columns import VERSIONS, Key, Measure, looks_like
from idmerge.questions.question import Question
from idmerge.questions.sql import EVENT, TIME, facts, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idmerge.files.dialects import Dialect
    from idmerge.questions.answer import Answer
    from idmerge.questions.source import Events
    from idmerge.questions.sql import Columns

Period = Literal["day", "week", "month"]
"""The length of the periods of an answer, in the zone ``timezone``.

Examples:
    >>> from idmerge.questions import Period, SignupRate
    >>> by: Period = "week"
    >>> SignupRate(by=by).title
    'Visitors who did "Sign Up", by week of the first event'
"""


@dataclass(frozen=True, kw_only=True)
class SignupRate(Question):
    """The number of persons with any event, and of those among them with the event ``signup``.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> for row in questions.SignupRate(by="month").ask(events):
        ...     print(row["month"], row["visitors"], row["visitors_unstitched"])
        2024-01-01 76 108
    """

    measures: ClassVar = (
        Measure("visitors", "count"),
        Measure("sign_ups", "count"),
        Measure("rate", "share", part="sign_ups", whole="visitors"),
    )
    charted: ClassVar = measures[2]

    signup: str = "Sign Up"
    by: Period | None = None
    """Count persons apart by the day, week (from Monday) or month of their first event."""

    def __post_init__(self) -> None:
        """Check the period."""
        super().__post_init__()
        if self.by is not None and self.by not in get_args(Period):
            raise ValueError(f"by must be 'day', 'week', 'month' or None, got {self.by!r}")

    def finding(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return the share of all visitors in a sentence."""
        rates = []
        for suffix, _ in VERSIONS:
            visitors = sum(row[f"visitors{suffix}"] for row in rows)
            signed_up = sum(row[f"sign_ups{suffix}"] for row in rows)
            rates.append(self.charted.shown(signed_up / visitors) if visitors else None)
        stitched, unstitched = rates
        if stitched is None:
            return "There are no visitors"
        return looks_like(f"{stitched} of visitors sign up", stitched, unstitched)

    @property
    def title(self) -> str:
        """The question in a line."""
        by = "" if self.by is None else f", by {self.by} of the first event"
        return f'Visitors who did "{self.signup}"{by}'

    @property
    def events(self) -> tuple[str, ...]:
        """The events that it is about."""
        return (self.signup,)

    @property
    def properties(self) -> tuple[str, ...]:
        """None are needed."""
        return ()

    @property
    def _needs_times(self) -> bool:
        """Whether events without a time make the answer nothing."""
        return self.by is not None

    @property
    def key(self) -> Key | None:
        """The period, if there is one."""
        return None if self.by is None else Key(self.by, self.by, "date")

    def statement(self, columns: Columns) -> str:
        """Return the statement."""
        chosen = [f"{columns.text(EVENT)} = {literal(self.signup)} AS is_signup"]
        period, first, grouped = "", "", ""
        if self.by is not None:
            chosen.append(f"{columns.local(TIME)} AS time")
            period = f"    CAST(date_trunc('{self.by}', first_time) AS DATE) AS {self.by},\n"
            first = ", min(time) AS first_time"
            grouped = f"\nGROUP BY {self.by}\nORDER BY {self.by} NULLS LAST"
        return f"""\
{facts(columns, chosen, self.blocked_ids, self._conditions(columns))},
people AS (
    SELECT stitched, person, bool_or(is_signup) AS signed_up{first}
    FROM facts
    WHERE person IS NOT NULL
    GROUP BY stitched, person
)
SELECT
{period}\
    count(*) FILTER (WHERE stitched) AS visitors,
    count(*) FILTER (WHERE stitched AND signed_up) AS sign_ups,
    sign_ups / nullif(visitors, 0) AS rate,
    count(*) FILTER (WHERE NOT stitched) AS visitors_unstitched,
    count(*) FILTER (WHERE NOT stitched AND signed_up) AS sign_ups_unstitched,
    sign_ups_unstitched / nullif(visitors_unstitched, 0) AS rate_unstitched
FROM people{grouped}"""


def signup_rate(
    events: Events,
    *,
    signup: str = "Sign Up",
    by: Period | None = None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> Answer:
    """Return the share of visitors in ``events`` with ``signup``; see `SignupRate` for the options.

    Raises what `Question.ask` raises.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> print(questions.signup_rate(events))
        Visitors who did "Sign Up"
        <BLANKLINE>
          -------------with stitching-------------  -----------without stitching------------
          visitors  sign ups   rate   95% interval  visitors  sign ups   rate   95% interval
                76        39  51.3%  40.3 to 62.2%       108        39  36.1%  27.7 to 45.5%
    """
    return SignupRate(signup=signup, by=by, **options).ask(events, dialect=dialect, columns=columns)
