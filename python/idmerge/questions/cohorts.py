"""Retention: the persons who come back in the weeks after the week of their first event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idmerge.questions.columns import VERSIONS, Key, Measure, looks_like
from idmerge.questions.question import Question
from idmerge.questions.sql import EVENT, TIME, facts, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idmerge.files.dialects import Dialect
    from idmerge.questions.answer import Answer
    from idmerge.questions.source import Events
    from idmerge.questions.sql import Columns

WEEKS, MOST_WEEKS = 8, 104


@dataclass(frozen=True, kw_only=True)
class Retention(Question):
    """The persons of each week, by that of their first event, and the shares that came back later.

    Weeks begin on Monday in the zone ``timezone``. A week has a share if it was over when the last
    event came, and none before. ``from_date`` is of the first events: who had one before that day
    is in no row.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> asked = questions.Retention(then="Purchase", weeks=2)
        >>> asked.title
        'Persons by week of the first event, who did "Purchase" in the weeks after it'
        >>> [measure.name for measure in asked.measures]
        ['persons', 'week_1', 'week_2']
        >>> asked.charted.name
        'week_1'
        >>> len(asked.ask(idmerge.stitch("examples/shop.ndjson")))
        1
    """

    first: str | None = None
    """The event whose first one makes a person count; by default any."""
    then: str | None = None
    """The event of coming back; by default any."""
    weeks: int = WEEKS
    """The number of weeks after the first."""

    def __post_init__(self) -> None:
        """Check the number of weeks."""
        super().__post_init__()
        if not 1 <= self.weeks <= MOST_WEEKS:
            raise ValueError(f"weeks must be 1 to {MOST_WEEKS}, got {self.weeks!r}")

    @property
    def measures(self) -> tuple[Measure, ...]:  # type: ignore[override]
        """The number of persons, and the share that came back in each week."""
        return (
            Measure("persons", "count"),
            *(Measure(f"week_{number}", "share") for number in range(1, self.weeks + 1)),
        )

    @property
    def charted(self) -> Measure:  # type: ignore[override]
        """The share that came back in the week after the first."""
        return self.measures[1]

    def finding(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return the share of all persons that came back in the week after in a sentence."""
        shares = []
        for suffix, _ in VERSIONS:
            known = [row for row in rows if row[f"week_1{suffix}"] is not None and row[f"persons{suffix}"]]
            persons = sum(row[f"persons{suffix}"] for row in known)
            back = sum(row[f"persons{suffix}"] * row[f"week_1{suffix}"] for row in known)
            shares.append(self.charted.shown(back / persons) if persons else None)
        stitched, unstitched = shares
        if stitched is None:
            return "No week is followed by another whole one"
        return looks_like(f"{stitched} of persons came back in the week after", stitched, unstitched)

    @property
    def title(self) -> str:
        """The question in a line."""
        first = "the first event" if self.first is None else f'the first "{self.first}"'
        back = "came back" if self.then is None else f'did "{self.then}"'
        return f"Persons by week of {first}, who {back} in the weeks after it"

    @property
    def events(self) -> tuple[str, ...]:
        """The events that it is about."""
        return tuple(dict.fromkeys(name for name in (self.first, self.then) if name is not None))

    @property
    def properties(self) -> tuple[str, ...]:
        """None are needed."""
        return ()

    @property
    def key(self) -> Key:
        """The Monday of the week of the first event."""
        return Key("week", "week", "date")

    def statement(self, columns: Columns) -> str:
        """Return the statement."""
        event, day = columns.text(EVENT), columns.day(TIME)
        chosen = [
            f"{day} AS day",
            f"CAST(date_trunc('week', {day}) AS DATE) AS week",
            f"{self._is(event, self.first)} AS is_first",
            f"{self._is(event, self.then)} AS is_back",
        ]
        counts = []
        for suffix, version in ((suffix, "" if not suffix else "NOT ") for suffix, _ in VERSIONS):
            counts.append(f"count(*) FILTER (WHERE {version}stitched AND week = cohort) AS persons{suffix}")
            counts += [
                f"count(*) FILTER (WHERE {version}stitched AND is_back AND week = cohort + {7 * number}) "
                f"AS back_{number}{suffix}"
                for number in range(1, self.weeks + 1)
            ]
        counted = ",\n        ".join(counts)
        shares = []
        for suffix, _ in VERSIONS:
            shares.append(f"persons{suffix}")
            shares += [
                f"CASE WHEN cohort + {7 * number + 6} <= last_day "
                f"THEN back_{number}{suffix} / nullif(persons{suffix}, 0) END AS week_{number}{suffix}"
                for number in range(1, self.weeks + 1)
            ]
        shown = ",\n    ".join(shares)
        since = "" if self.from_date is None else f"\n    WHERE cohort_day >= DATE '{self.from_date}'"
        return f"""\
{facts(columns, chosen, self.blocked_ids, self._conditions(columns, is_begun=False))},
last AS (
    SELECT max(day) AS last_day FROM facts
),
weeks AS (
    SELECT
        stitched,
        person,
        week,
        bool_or(is_back) AS is_back,
        min(CASE WHEN is_first THEN day END) AS first_day
    FROM facts
    WHERE person IS NOT NULL AND day IS NOT NULL
    GROUP BY stitched, person, week
),
cohorts AS (
    SELECT
        *,
        min(first_day) OVER (PARTITION BY stitched, person) AS cohort_day,
        CAST(date_trunc('week', cohort_day) AS DATE) AS cohort
    FROM weeks
),
counted AS (
    SELECT
        cohort,
        {counted}
    FROM cohorts{since}
    GROUP BY cohort
)
SELECT
    cohort AS week,
    {shown}
FROM counted CROSS JOIN last
WHERE cohort IS NOT NULL
ORDER BY cohort"""

    @staticmethod
    def _is(event: str, name: str | None) -> str:
        return "TRUE" if name is None else f"coalesce({event} = {literal(name)}, FALSE)"


def retention(  # noqa: PLR0913 - each by its name
    events: Events,
    *,
    first: str | None = None,
    then: str | None = None,
    weeks: int = WEEKS,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> Answer:
    """Return the shares of persons that came back, by the week of the first event: `Retention`.

    Raises what `Question.ask` raises.

    Examples:
        >>> import idmerge
        >>> import pyarrow as pa
        >>> from idmerge import questions
        >>> times = pa.array(["2024-01-01", "2024-01-09", "2024-01-03", "2024-01-29"])
        >>> people = ["ana", "ana", "bo", "bo"]
        >>> events = pa.table({"event": ["Visit"] * 4, "distinct_id": people, "time": times})
        >>> answer = questions.retention(idmerge.stitch(events), weeks=2)
        >>> [(row["persons"], row["week_1"], row["week_2"]) for row in answer]
        [(2, 0.5, 0.0)]
    """
    return Retention(first=first, then=then, weeks=weeks, **options).ask(
        events, dialect=dialect, columns=columns
    )
