"""Conversion to a goal by a property of an earlier event, such as the post that a person read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from idmerge.questions.columns import VERSIONS, Key, Measure, Most, all_quoted, most_compared, quoted
from idmerge.questions.lengths import length_of
from idmerge.questions.ranking import RankedQuestion
from idmerge.questions.sql import EVENT, TIME, facts, in_words, interval, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idmerge.files.dialects import Dialect
    from idmerge.questions.answer import Answer
    from idmerge.questions.source import Events
    from idmerge.questions.sql import Columns

MONTH = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Conversion(RankedQuestion):
    """The numbers of persons with the event ``start``, and with ``goal``, by the property ``by``.

    The goal counts if it comes ``within`` that time after the start, or at the same time.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> asked = questions.Conversion(goal="Purchase", within="7d")
        >>> asked.title
        'Persons who did "Purchase" within 7 days after "Read Post", by post'
        >>> print(asked.ask(events).finding)
        "wet-socks" leads most persons to "Purchase": 6 of 17, 35.3%; without stitching it
        looks like 5 of 18, 27.8%
    """

    measures: ClassVar = (
        Measure("persons", "count"),
        Measure("converted", "count"),
        Measure("rate", "share", part="converted", whole="persons"),
    )
    charted: ClassVar = measures[2]

    start: str = "Read Post"
    goal: str = "Sign Up"
    by: str = "post"
    within: timedelta | str = MONTH
    """The longest time from the start to the goal, inclusive; text such as ``"30d"`` becomes a
    timedelta."""

    def __post_init__(self) -> None:
        """Check that the goal can come after the start."""
        object.__setattr__(self, "within", length_of(self.within))
        super().__post_init__()
        if self.start == self.goal:
            raise ValueError(f"start and goal must be two events, got {self.start!r} twice")
        if self._length < timedelta(0):
            raise ValueError(f"within must be no less than 0, got {self.within}")

    @property
    def _length(self) -> timedelta:
        return length_of(self.within)

    def finding(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what leads most persons to the goal in a sentence."""
        stitched, unstitched = (self._most(rows, suffix) for suffix, _ in VERSIONS)
        names, number = stitched
        goal = quoted(self.goal)
        if not names:
            reached = any(row["converted"] for row in rows)
            if reached and self._has_others:
                return f"No {self.by} with a row leads to {goal}"
            return f"What leads to {goal} has no {self.by}" if reached else f"Nothing leads to {goal}"
        verb = "leads" if len(names) == 1 else "lead"
        said = f"{all_quoted(names)} {verb} most persons to {goal}: {number}"
        return most_compared(said, stitched, unstitched, "nothing does")

    def _most(self, rows: Sequence[Mapping[str, Any]], suffix: str) -> Most:
        """Return the values with most persons who reached the goal, and how many of how many."""
        persons, converted, rate = (measure.name + suffix for measure in self.measures)
        best = max((row[converted] for row in rows if row["value"] is not None), default=0)
        if not best:
            return [], ""
        chosen = [row for row in rows if row["value"] is not None and row[converted] == best]
        if len(chosen) > 1:
            return [row["value"] for row in chosen], f"{best:,} each"
        [row] = chosen
        return [row["value"]], f"{best:,} of {row[persons]:,}, {self.charted.shown(row[rate])}"

    @property
    def title(self) -> str:
        """The question in a line."""
        length = in_words(self._length)
        return (
            f'Persons who did "{self.goal}" within {length} after "{self.start}", by {self._label(self.by)}'
        )

    @property
    def events(self) -> tuple[str, ...]:
        """The events that it is about."""
        return (self.start, self.goal)

    @property
    def properties(self) -> tuple[str, ...]:
        """The property of events that it needs."""
        return (self.by,)

    @property
    def key(self) -> Key:
        """The value of ``by``; null where a start has none."""
        return Key("value", self._label(self.by))

    def statement(self, columns: Columns) -> str:
        """Return the statement."""
        event, start, goal = columns.text(EVENT), literal(self.start), literal(self.goal)
        chosen = [
            f"{event} = {start} AS is_start",
            f"{columns[TIME]} AS time",
            f"{self._value(columns, self.by)} AS value",
        ]
        grouped = "is_other, value" if self._has_others else "value"
        order = "value IS NULL, is_other DESC" if self._has_others else "value IS NULL"
        counted = "(SELECT count(*) FROM ranked WHERE is_other)"
        others = f"\n    CASE WHEN is_other THEN {counted} END AS others," if self._has_others else ""
        conditions = [f"{event} IN ({start}, {goal})", *self._conditions(columns)]
        return f"""\
{facts(columns, chosen, self.blocked_ids, conditions)},
followed AS (
    SELECT
        *,
        min(CASE WHEN NOT is_start THEN time END) OVER (
            PARTITION BY stitched, person ORDER BY time NULLS LAST
            RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS goal_time
    FROM facts
    WHERE person IS NOT NULL
),
people AS (
    SELECT stitched, value, person, bool_or(goal_time <= time + {interval(self._length)}) AS reached_goal
    FROM followed
    WHERE is_start
    GROUP BY stitched, value, person
){self._others}
SELECT
    value,{others}
    count(*) FILTER (WHERE stitched) AS persons,
    count(*) FILTER (WHERE stitched AND reached_goal) AS converted,
    converted / nullif(persons, 0) AS rate,
    count(*) FILTER (WHERE NOT stitched) AS persons_unstitched,
    count(*) FILTER (WHERE NOT stitched AND reached_goal) AS converted_unstitched,
    converted_unstitched / nullif(persons_unstitched, 0) AS rate_unstitched
FROM {"shown" if self._has_others else "people"}
GROUP BY {grouped}
ORDER BY {order}, persons DESC, rate DESC NULLS LAST, value"""

    @property
    def _others(self) -> str:
        """The part of the statement that sums up the values without a row of their own."""
        if not self._has_others:
            return ""
        order = "persons DESC, converted DESC, value"
        return f""",
ranked AS (
    SELECT value, {self._is_other(order)} AS is_other
    FROM (
        SELECT
            value,
            count(*) FILTER (WHERE stitched) AS persons,
            count(*) FILTER (WHERE stitched AND reached_goal) AS converted
        FROM people
        WHERE value IS NOT NULL
        GROUP BY value
    )
),
shown AS (  -- A person counts once in the row of the others.
    SELECT
        stitched,
        CASE WHEN is_other THEN NULL ELSE people.value END AS value,
        coalesce(is_other, FALSE) AS is_other,
        person,
        bool_or(reached_goal) AS reached_goal
    FROM people LEFT JOIN ranked ON people.value = ranked.value
    GROUP BY ALL
)"""


def conversion(  # noqa: PLR0913 - each by its name
    events: Events,
    *,
    start: str = "Read Post",
    goal: str = "Sign Up",
    by: str = "post",
    within: timedelta | str = MONTH,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> Answer:
    """Return the share of persons that reached ``goal``, by ``by``; options: `Conversion`.

    ``within`` is a timedelta, or a number and a unit (``"30d"``; w, d, h, m or min, s). Raises what
    `Question.ask` raises, too.

    Raises:
        ValueError: ``within`` is no length of time.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> answer = questions.conversion(events, within="30d")
        >>> [(row["value"], row["persons"], row["converted"]) for row in answer][:2]
        [('wet-socks', 17, 7), ('first-overnighter', 15, 3)]
    """
    return Conversion(start=start, goal=goal, by=by, within=within, **options).ask(
        events, dialect=dialect, columns=columns
    )
