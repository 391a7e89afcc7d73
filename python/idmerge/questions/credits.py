"""The touches that are credited with a purchase, as parts of a statement."""

from __future__ import annotations

from typing import Literal

Model = Literal["last-touch", "first-touch", "linear"]
"""The touches that are credited with a purchase: the last, the first, or all in equal parts.

Examples:
    >>> from idmerge.questions import Attribution, Model
    >>> model: Model = "linear"
    >>> Attribution(model=model).title
    'Revenue of "Purchase" by utm_campaign, linear'
"""

# Touches at one time stand in the order of their campaigns' names, as UTF-8 bytes.
ONE_TOUCH = """\
moments AS (  -- What a person did at one time.
    SELECT {keys}, time, sum(amount) AS revenue, {nearest}(touch) AS touch
    FROM facts_by_touch
    GROUP BY {keys}, time
),
credits AS (
    SELECT
        {keys},
        revenue,
        {which}_value(touch IGNORE NULLS) OVER (
            PARTITION BY {keys} ORDER BY time NULLS FIRST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS campaign
    FROM moments
)"""
LINEAR = """\
counted AS (
    SELECT
        *,
        count(touch) OVER (
            PARTITION BY {keys} ORDER BY time NULLS FIRST
            RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS touches
    FROM facts_by_touch
),
earned AS (  -- What a touch at this time gets of the purchases then and later.
    SELECT
        *,
        sum(CAST(amount / nullif(touches, 0) AS DECIMAL(38, 12))) OVER (
            PARTITION BY {keys} ORDER BY time NULLS FIRST
            RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS share
    FROM counted
),
credits AS (
    SELECT {keys}, share AS revenue, touch AS campaign FROM earned WHERE touch IS NOT NULL
    UNION ALL
    SELECT {keys}, amount AS revenue, NULL AS campaign FROM earned WHERE touches = 0
)"""


def credited(model: Model, keys: str) -> str:
    """Return the part of a statement that credits touches; ``keys`` tell persons apart."""
    if model == "linear":
        return LINEAR.format(keys=keys)
    nearest, which = ("max", "last") if model == "last-touch" else ("min", "first")
    return ONE_TOUCH.format(keys=keys, nearest=nearest, which=which)
