"""Funnels: the persons who did one event after another, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from idmerge.policy import is_unicode
from idmerge.questions.columns import Key, Measure, looks_like, quoted
from idmerge.questions.lengths import length_of
from idmerge.questions.question import Question
from idmerge.questions.sql import EVENT, TIME, facts, in_words, interval, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idmerge.files.dialects import Dialect
    from idmerge.questions.answer import Answer
    from idmerge.questions.source import Events
    from idmerge.questions.sql import Columns

MOST_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Funnel(Question):
    """The numbers of persons who did each of the ``steps`` after the one before it.

    A step is done at the time of the one before it or later; later, if an earlier step is the same
    event. A person may do other events between them, and start anew.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> asked = questions.Funnel(steps=["Read Post", "Sign Up", "Purchase"], within="14d")
        >>> asked.title
        'Persons who did "Read Post", then "Sign Up", then "Purchase" within 14 days'
        >>> for row in asked.ask(events):
        ...     print(row["step"], row["event"], row["persons"], row["persons_unstitched"])
        1 Read Post 45 51
        2 Sign Up 14 0
        3 Purchase 4 0
    """

    measures: ClassVar = (
        Measure("persons", "count"),
        Measure("rate", "share", part="persons", whole="persons", of_first=True),
        Measure("of_previous", "share"),
    )
    charted: ClassVar = measures[1]

    steps: Sequence[str]
    """The events, in their order; at least two."""
    within: timedelta | str | None = None
    """The longest time from the first step to the last, inclusive; text such as ``"7d"`` becomes a
    timedelta. By default any."""

    def __post_init__(self) -> None:
        """Check the steps."""
        if isinstance(self.steps, str) or not all(isinstance(step, str) for step in self.steps):
            raise TypeError(f"steps must be names of events, got {self.steps!r:.100}")
        object.__setattr__(self, "steps", tuple(self.steps))
        super().__post_init__()
        if not 2 <= len(self.steps) <= MOST_STEPS:  # noqa: PLR2004 - a way has two ends
            raise ValueError(f"a funnel has 2 to {MOST_STEPS} steps, got {len(self.steps)}")
        for step in self.steps:
            if not is_unicode(step):
                raise ValueError(f"steps must be Unicode text, got {step!r}")
        if self.within is not None:
            object.__setattr__(self, "within", length_of(self.within))
            if length_of(self.within) < timedelta(0):
                raise ValueError(f"within must be no less than 0, got {self.within}")

    def finding(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return how many get to the last step in a sentence."""
        first, last = rows[0], rows[-1]
        if not first["persons"]:
            return f"Nobody did {quoted(self.steps[0])}"
        number = f"{last['persons']:,} of {first['persons']:,}, {self.charted.shown(last['rate'])}"
        unstitched = (
            f"{last['persons_unstitched']:,} of {first['persons_unstitched']:,}, "
            f"{self.charted.shown(last['rate_unstitched'])}"
        )
        said = f"From {quoted(self.steps[0])} to {quoted(self.steps[-1])} got {number}"
        return looks_like(said, number, unstitched if first["persons_unstitched"] else None)

    @property
    def title(self) -> str:
        """The question in a line."""
        names = ", then ".join(f'"{step}"' for step in self.steps)
        length = "" if self.within is None else f" within {in_words(length_of(self.within))}"
        return f"Persons who did {names}{length}"

    @property
    def events(self) -> tuple[str, ...]:
        """The events that it is about."""
        return tuple(dict.fromkeys(self.steps))

    @property
    def properties(self) -> tuple[str, ...]:
        """None are needed."""
        return ()

    @property
    def key(self) -> Key:
        """The number of the step."""
        return Key("step", "step", "number")

    @property
    def _more_keys(self) -> tuple[Key, ...]:
        return (Key("event", "event"),)

    def statement(self, columns: Columns) -> str:
        """Return the statement."""
        listed = ", ".join(map(literal, self.events))
        chosen = [f"{columns.text(EVENT)} AS event", f"{columns[TIME]} AS time"]
        conditions = [f"{columns.text(EVENT)} IN ({listed})", *self._conditions(columns)]
        names = ",\n        ".join(
            f"({number}, {literal(step)})" for number, step in enumerate(self.steps, 1)
        )
        return f"""\
{facts(columns, chosen, self.blocked_ids, conditions)},
steps (step, event) AS (
    VALUES
        {names}
),
{self._starts()}
people AS (
    SELECT stitched, person, {self._reached()} AS reached
    FROM starts_{len(self.steps)}
    GROUP BY stitched, person
),
counted AS (
    SELECT
        step,
        steps.event,
        count(person) FILTER (WHERE stitched) AS persons,
        count(person) FILTER (WHERE NOT stitched) AS persons_unstitched
    FROM steps LEFT JOIN people ON people.reached >= steps.step
    GROUP BY step, steps.event
)
SELECT
    step,
    event,
    persons,
    persons / nullif(first_value(persons) OVER by_step, 0) AS rate,
    persons / nullif(lag(persons) OVER by_step, 0) AS of_previous,
    persons_unstitched,
    persons_unstitched / nullif(first_value(persons_unstitched) OVER by_step, 0) AS rate_unstitched,
    persons_unstitched / nullif(lag(persons_unstitched) OVER by_step, 0) AS of_previous_unstitched
FROM counted
WINDOW by_step AS (ORDER BY step)
ORDER BY step"""

    def _starts(self) -> str:
        """Return the part of the statement that finds the latest start of each way to an event.

        Of the ways to an event as one of the steps, that with the latest first step is the
        shortest, and no way beyond the event is made longer by it.
        """
        parts = [
            "starts_1 AS (  -- The time of the latest first step on the way to an event, by its step.",
            f"    SELECT *, CASE WHEN event = {literal(self.steps[0])} THEN time END AS start_1",
            "    FROM facts",
            "    WHERE person IS NOT NULL",
            "),",
        ]
        for number, step in enumerate(self.steps[1:], 2):
            later = " EXCLUDE GROUP" if step in self.steps[: number - 1] else ""
            parts += [
                f"starts_{number} AS (",
                f"    SELECT *, CASE WHEN event = {literal(step)} THEN max(start_{number - 1}) OVER (",
                "        PARTITION BY stitched, person ORDER BY time NULLS FIRST",
                f"        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW{later}",
                f"    ) END AS start_{number}",
                f"    FROM starts_{number - 1}",
                "),",
            ]
        return "\n".join(parts)

    def _reached(self) -> str:
        """Return the term for the last step that a person reached."""
        reached = []
        for number in range(len(self.steps), 1, -1):
            within = "" if self.within is None else f" AND time <= start_{number} + {self._interval}"
            reached.append(f"WHEN bool_or(start_{number} IS NOT NULL{within}) THEN {number}")
        reached.append(f"WHEN bool_or(event = {literal(self.steps[0])}) THEN 1")
        cases = "\n        ".join(reached)
        return f"CASE\n        {cases}\n    END"

    @property
    def _interval(self) -> str:
        return interval(length_of(self.within or timedelta(0)))


def funnel(
    events: Events,
    steps: Sequence[str],
    *,
    within: timedelta | str | None = None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> Answer:
    """Return how many persons did each of the ``steps`` after the one before; options: `Funnel`.

    Raises what `Question.ask` raises, too.

    Raises:
        ValueError: There are too few steps, or ``within`` is no length of time.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> answer = questions.funnel(events, ["Page View", "Sign Up", "Purchase"])
        >>> print(answer.finding)
        From "Page View" to "Purchase" got 8 of 63, 12.7%; without stitching it looks like 0
        of 80, 0.0%
    """
    return Funnel(steps=steps, within=within, **options).ask(events, dialect=dialect, columns=columns)
