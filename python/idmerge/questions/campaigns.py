"""Revenue by the campaigns that led to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from idmerge.questions.columns import VERSIONS, Key, Measure, Most, all_quoted, most_compared
from idmerge.questions.question import Question
from idmerge.questions.sql import EVENT, TIME, facts, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idmerge.files.dialects import Dialect
    from idmerge.questions.answer import Answer
    from idmerge.questions.source import Events
    from idmerge.questions.sql import Columns

Model = Literal["last-touch", "first-touch", "linear"]
"""The touches that are credited with a purchase: the last, the first, or all in equal parts.

Examples:
    >>> from idmerge.questions import Attribution, Model
    >>> model: Model = "linear"
    >>> Attribution(model=model).title
    'Revenue of "Purchase" by utm_campaign, linear'
"""

LEAST_SHARE = 0.0005
"""A smaller share is written as 0.0%."""

# Touches at one time stand in the order of their campaigns' names, as UTF-8 bytes.
ONE_TOUCH = """\
moments AS (  -- What a person did at one time.
    SELECT stitched, person, time, sum(amount) AS revenue, {nearest}(touch) AS touch
    FROM facts_by_touch
    GROUP BY stitched, person, time
),
credits AS (
    SELECT
        stitched,
        revenue,
        {which}_value(touch IGNORE NULLS) OVER (
            PARTITION BY stitched, person ORDER BY time NULLS FIRST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS campaign
    FROM moments
)"""
LINEAR = """\
counted AS (
    SELECT
        *,
        count(touch) OVER (
            PARTITION BY stitched, person ORDER BY time NULLS FIRST
            RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS touches
    FROM facts_by_touch
),
earned AS (  -- What a touch at this time gets of the purchases then and later.
    SELECT
        *,
        sum(CAST(amount / nullif(touches, 0) AS DECIMAL(38, 12))) OVER (
            PARTITION BY stitched, person ORDER BY time NULLS FIRST
            RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS share
    FROM counted
),
credits AS (
    SELECT stitched, share AS revenue, touch AS campaign FROM earned WHERE touch IS NOT NULL
    UNION ALL
    SELECT stitched, amount AS revenue, NULL AS campaign FROM earned WHERE touches = 0
)"""
MODELS: dict[Model, str] = {
    "last-touch": ONE_TOUCH.format(nearest="max", which="last"),
    "first-touch": ONE_TOUCH.format(nearest="min", which="first"),
    "linear": LINEAR,
}


@dataclass(frozen=True, kw_only=True)
class Attribution(Question):
    """The sum of ``amount`` over the events ``purchase``, by the campaigns credited.

    A touch is an event of the same person that has a campaign, before the purchase or at the same
    time.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> for row in questions.Attribution(model="first-touch").ask(events):
        ...     print(row["campaign"], row["revenue"], row["revenue_unstitched"])
        week_14 1189.72 568.09
        abandoned_cart 338.52 173.4
        creators 221.11 130.59
        launch 218.22 218.22
        spring_sale 189.71 48.41
        brand 75.64 75.64
        None 1270.84 2289.41
    """

    measures: ClassVar = (Measure("revenue", "sum"), Measure("share", "share"))
    charted: ClassVar = measures[0]

    purchase: str = "Purchase"
    amount: str = "amount"
    """The property that holds what was paid, as a number or a text that is one."""
    campaign: str = "utm_campaign"
    """The property that names a campaign."""
    model: Model = "last-touch"
    """The touches that are credited with a purchase: the last, the first, or all in equal parts."""

    def __post_init__(self) -> None:
        """Check the model."""
        super().__post_init__()
        if self.model not in MODELS:
            expected = ", ".join(map(repr, get_args(Model)))
            raise ValueError(f"model must be one of {expected}, got {self.model!r}")

    def finding(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return which campaign brought most in a sentence."""
        stitched, unstitched = (self._most(rows, suffix) for suffix, _ in VERSIONS)
        names, number = stitched
        if not names:
            return "No campaign brought revenue"
        said = f"{all_quoted(names)} brought most: {number}"
        return most_compared(said, stitched, unstitched, "no campaign did")

    def _most(self, rows: Sequence[Mapping[str, Any]], suffix: str) -> Most:
        """Return the campaigns with most revenue, none without any, and what each of them brought.

        That is its share, unless refunds or its smallness make that say nothing.
        """
        revenue, share = (measure.name + suffix for measure in self.measures)
        best = max((row[revenue] or 0 for row in rows if row["campaign"] is not None), default=0)
        if best <= 0:
            return [], ""
        chosen = [row for row in rows if row["campaign"] is not None and row[revenue] == best]
        of_all = chosen[0][share]
        is_told = (
            of_all is not None and of_all >= LEAST_SHARE and all((row[revenue] or 0) >= 0 for row in rows)
        )
        number = (
            f"{self.measures[1].shown(of_all)} of the revenue" if is_told else self.measures[0].shown(best)
        )
        return [row["campaign"] for row in chosen], number if len(chosen) == 1 else f"{number} each"

    @property
    def title(self) -> str:
        """The question in a line."""
        return f'Revenue of "{self.purchase}" by {self.campaign}, {self.model}'

    @property
    def events(self) -> tuple[str, ...]:
        """The events that it is about."""
        return (self.purchase,)

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties of events that it needs."""
        return (self.amount, self.campaign)

    @property
    def key(self) -> Key:
        """The campaign; null for revenue without a touch."""
        return Key("campaign", self.campaign)

    def statement(self, columns: Columns) -> str:
        """Return the statement."""
        is_purchase = f"{columns.text(EVENT)} = {literal(self.purchase)}"
        amount = f"coalesce(TRY_CAST({columns[self.amount]} AS DECIMAL(28, 6)), 0)"
        chosen = [
            f"{columns[TIME]} AS time",
            f"CASE WHEN {is_purchase} THEN {amount} END AS amount",
            f"{columns.text(self.campaign)} AS campaign",
        ]
        conditions = [f"({is_purchase} OR {columns[self.campaign]} IS NOT NULL)", *self._conditions(columns)]
        return f"""\
{facts(columns, chosen, self.blocked_ids, conditions)},
facts_by_touch AS (  -- Nobody's events, and those without a time, are no touches.
    SELECT
        stitched,
        person,
        time,
        amount,
        CASE WHEN person IS NOT NULL AND time IS NOT NULL THEN campaign END AS touch
    FROM facts
),
{MODELS[self.model]},
campaigns AS (
    SELECT
        campaign,
        CAST(coalesce(sum(revenue) FILTER (WHERE stitched), 0) AS DECIMAL(38, 6)) AS revenue,
        CAST(coalesce(sum(revenue) FILTER (WHERE NOT stitched), 0) AS DECIMAL(38, 6)) AS revenue_unstitched
    FROM credits
    WHERE revenue IS NOT NULL
    GROUP BY campaign
)
SELECT
    campaign,
    CAST(revenue AS DOUBLE) AS revenue,
    campaigns.revenue / nullif(sum(campaigns.revenue) OVER (), 0) AS share,
    CAST(revenue_unstitched AS DOUBLE) AS revenue_unstitched,
    campaigns.revenue_unstitched / nullif(sum(campaigns.revenue_unstitched) OVER (), 0) AS share_unstitched
FROM campaigns
ORDER BY campaign IS NULL, revenue DESC, revenue_unstitched DESC, campaign"""


def attribution(  # noqa: PLR0913 - each by its name
    events: Events,
    *,
    purchase: str = "Purchase",
    amount: str = "amount",
    campaign: str = "utm_campaign",
    model: Model = "last-touch",
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> Answer:
    """Return the revenue in ``events`` by campaign; see `Attribution` for the options.

    Raises what `Question.ask` raises.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> print(questions.attribution(events, model="linear").finding)
        "week_14" brought most: 34.0% of the revenue; without stitching it looks like 16.2%
        of the revenue
    """
    return Attribution(purchase=purchase, amount=amount, campaign=campaign, model=model, **options).ask(
        events, dialect=dialect, columns=columns
    )
