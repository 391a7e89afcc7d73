"""Revenue by the campaigns that led to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from idmerge._formatting import beginning, counted
from idmerge.errors import QuestionError
from idmerge.questions.columns import (
    MOST_NAMED,
    NOTHING,
    VERSIONS,
    Key,
    Measure,
    Most,
    all_quoted,
    most_compared,
    quoted,
)
from idmerge.questions.credits import Model, credited
from idmerge.questions.execution import run
from idmerge.questions.ranking import RankedQuestion
from idmerge.questions.sql import EVENT, TIME, facts, literal, where

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from idmerge.files.dialects import Dialect
    from idmerge.questions.answer import Answer
    from idmerge.questions.source import Events
    from idmerge.questions.sql import Columns

LEAST_SHARE = 0.0005
"""A smaller share is written as 0.0%."""

CURRENCIES = ("currency", "$currency", "Currency", "currency_code", "currencyCode", "Currency Code")
"""Properties that name the currency of an amount, where nobody says which one does."""
MOST_CURRENCIES = 200
"""Values of a property that names currencies; there are some 180."""


@dataclass(frozen=True, kw_only=True)
class Attribution(RankedQuestion):
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
    currency: str | None = None
    """The property that names the currency of an amount; each currency has rows of its own."""

    def __post_init__(self) -> None:
        """Check the model."""
        super().__post_init__()
        if self.model not in get_args(Model):
            expected = ", ".join(map(repr, get_args(Model)))
            raise ValueError(f"model must be one of {expected}, got {self.model!r}")

    def finding(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return which campaign brought most in a sentence."""
        if self.currency is None:
            return self._finding(rows)
        names = [*dict.fromkeys(row["currency"] for row in rows)]
        of_each = (
            (name, self._finding([row for row in rows if row["currency"] == name]))
            for name in names[:MOST_NAMED]
        )
        said = [f"{NOTHING if name is None else beginning(name)}: {finding}" for name, finding in of_each]
        return "; ".join(said) or self._finding(rows)

    def _finding(self, rows: Sequence[Mapping[str, Any]]) -> str:
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
        apart = "" if self.currency is None else f", apart by {self.currency}"
        return f'Revenue of "{self.purchase}" by {self._label(self.campaign)}, {self.model}{apart}'

    @property
    def events(self) -> tuple[str, ...]:
        """The events that it is about."""
        return (self.purchase,)

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties of events that it needs."""
        return (self.amount, self.campaign, *([] if self.currency is None else [self.currency]))

    @property
    def _perhaps(self) -> tuple[str, ...]:
        """Properties that may name a currency."""
        return CURRENCIES if self.currency is None else ()

    @property
    def key(self) -> Key:
        """The campaign; null for revenue without a touch."""
        return Key("campaign", self._label(self.campaign))

    @property
    def _more_keys(self) -> tuple[Key, ...]:
        """The currency, if it tells rows apart."""
        return () if self.currency is None else (Key("currency", self.currency),)

    def _check(self, connection: duckdb.DuckDBPyConnection, columns: Columns) -> None:
        """Check that few enough currencies occur: the statement joins each event to each of them.

        Raises:
            QuestionError: The property that is to name currencies has too many values.
        """
        if self.currency is None:
            return
        [count] = self._currency_counts(connection, columns, [self.currency])
        if count > MOST_CURRENCIES:
            raise QuestionError(
                f"{self.currency!r} has {count:,} values in {quoted(self.purchase)}; "
                f"expected {MOST_CURRENCIES} currencies at most"
            )

    def _notes(self, connection: duckdb.DuckDBPyConnection, columns: Columns) -> tuple[str, ...]:
        """Return a note on purchases without a number, and one on currencies that are added up."""
        return (*self._unpaid(connection, columns), *self._mixed(connection, columns))

    def _unpaid(self, connection: duckdb.DuckDBPyConnection, columns: Columns) -> tuple[str, ...]:
        """Return a note where amounts count as nothing."""
        chosen = f"count(*), count(*) - count({columns.number(self.amount)})"
        [(purchases, missing)] = self._run(
            connection, columns, f"SELECT {chosen} FROM events{where(self._purchases(columns))}"
        )
        if not missing:
            return ()
        return (
            (
                f"{missing:,} of {counted(purchases, 'event')} {quoted(self.purchase)} "
                f"{'has' if missing == 1 else 'have'} no number as {self.amount!r}, and "
                f"{'counts' if missing == 1 else 'count'} as no revenue"
            ),
        )

    def _mixed(self, connection: duckdb.DuckDBPyConnection, columns: Columns) -> tuple[str, ...]:
        """Return a note where amounts of several currencies are added up."""
        names = [name for name in CURRENCIES if name in columns] if self.currency is None else []
        if not names:
            return ()
        counts = self._currency_counts(connection, columns, names)
        name = next((name for name, count in zip(names, counts, strict=True) if count > 1), None)
        if name is None:
            return ()
        value = columns.text(name)
        named = where([*self._purchases(columns), f"{value} <> ''"])
        order = "GROUP BY ALL ORDER BY count(*) DESC, 1"
        seen = run(connection, f"SELECT {value} FROM events{named} {order} LIMIT {MOST_CURRENCIES}")
        return (
            (
                f"the revenue adds up amounts whose {name!r} is {all_quoted([of for (of,) in seen])}; "
                f"currency={name!r} (--currency) tells them apart"
            ),
        )

    def _currency_counts(
        self, connection: duckdb.DuckDBPyConnection, columns: Columns, names: Sequence[str]
    ) -> tuple[int, ...]:
        """Return how many values each of the properties ``names`` has among the purchases."""
        counts = ", ".join(f"count(DISTINCT nullif({columns.text(name)}, ''))" for name in names)
        [found] = self._run(
            connection, columns, f"SELECT {counts} FROM events{where(self._purchases(columns))}"
        )
        return found

    def _purchases(self, columns: Columns) -> list[str]:
        """Return the conditions of the purchases that count."""
        return [self._is_purchase(columns), *self._conditions(columns)]

    def _is_purchase(self, columns: Columns) -> str:
        return f"{columns.text(EVENT)} = {literal(self.purchase)}"

    def statement(self, columns: Columns) -> str:
        """Return the statement."""
        is_purchase, limits = self._is_purchase(columns), self._conditions(columns)
        amount = f"coalesce({columns.number(self.amount)}, 0)"
        apart, across, is_counted = "", {}, is_purchase
        if self.currency is not None:
            own = columns.text(self.currency)
            apart = "currency, purchases, "
            across["currencies"] = (
                f"    SELECT {own} AS currency, count(*) AS purchases\n"
                f"    FROM events{where(self._purchases(columns))}\n    GROUP BY ALL"
            )
            is_counted = f"{is_purchase} AND {own} IS NOT DISTINCT FROM currencies.currency"
        chosen = [
            *(f"currencies.{name}" for name in apart.split(", ")[:-1]),
            f"{columns[TIME]} AS time",
            f"CASE WHEN {is_counted} THEN {amount} END AS amount",
            f"nullif({self._value(columns, self.campaign)}, '') AS campaign",
        ]
        names = ["campaign", *["currency"] * bool(apart), *["others"] * self._has_others]
        order = "campaign IS NULL, others IS NULL, sums.revenue DESC, sums.revenue_unstitched DESC, campaign"
        if apart:
            order = f"purchases DESC, currency NULLS LAST, {order}"
        conditions = [f"({is_purchase} OR {columns[self.campaign]} IS NOT NULL)", *limits]
        return f"""\
{facts(columns, chosen, self.blocked_ids, conditions, across)},
facts_by_touch AS (  -- Nobody's events, and those without a time, are no touches.
    SELECT
        stitched,
        {apart}person,
        time,
        amount,
        CASE WHEN person IS NOT NULL AND time IS NOT NULL THEN campaign END AS touch
    FROM facts
),
{credited(self.model, f"stitched, {apart}person")},
campaigns AS (
    SELECT
        {apart}campaign,
        count(DISTINCT person) FILTER (WHERE stitched) AS persons,
        CAST(coalesce(sum(revenue) FILTER (WHERE stitched), 0) AS DECIMAL(38, 6)) AS revenue,
        CAST(coalesce(sum(revenue) FILTER (WHERE NOT stitched), 0) AS DECIMAL(38, 6)) AS revenue_unstitched
    FROM credits
    WHERE revenue IS NOT NULL
    GROUP BY {apart}campaign
),
{self._sums(apart)}
SELECT
    {", ".join(names)},
    CAST(sums.revenue AS DOUBLE) AS revenue,
    sums.revenue / nullif(sum(sums.revenue) OVER apart, 0) AS share,
    CAST(sums.revenue_unstitched AS DOUBLE) AS revenue_unstitched,
    sums.revenue_unstitched / nullif(sum(sums.revenue_unstitched) OVER apart, 0) AS share_unstitched
FROM sums
WINDOW apart AS ({"PARTITION BY currency" if apart else ""})
ORDER BY {order}"""

    def _sums(self, apart: str) -> str:
        """Return the part of the statement with a row for each row of the answer."""
        is_other = "FALSE"
        if self._has_others:
            order = "revenue DESC, revenue_unstitched DESC, campaign"
            is_other = f"campaign IS NOT NULL AND ({self._is_other(order, f'{apart}campaign IS NULL')})"
        return f"""\
sums AS (
    SELECT
        {apart}CASE WHEN NOT is_other THEN campaign END AS campaign,
        CASE WHEN is_other THEN count(*) END AS others,
        CAST(sum(revenue) AS DECIMAL(38, 6)) AS revenue,
        CAST(sum(revenue_unstitched) AS DECIMAL(38, 6)) AS revenue_unstitched
    FROM (SELECT *, {is_other} AS is_other FROM campaigns) AS ranked
    GROUP BY {apart}is_other, CASE WHEN NOT is_other THEN campaign END
)"""


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
