"""The three questions answered in plain Python over stitched rows: obviously right, and slow."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from idmerge import questions
from idmerge.policy import DEFAULT_BLOCKED_IDS, DEVICE_PREFIX, ascii_lower
from stitched_by_hand import BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = dict[str, Any]

MODELS = ("last-touch", "first-touch", "linear")
MOST = 10**22
"""Numbers from here on are no amounts."""


def person_of(row: Row, *, stitched: bool) -> str | None:
    own: str | None = row["distinct_id" if stitched else BEFORE]
    if own is None or ascii_lower(own.removeprefix(DEVICE_PREFIX)) in {"", *DEFAULT_BLOCKED_IDS}:
        return None
    return own


def local_day(row: Row, zone: str = "UTC") -> date | None:
    """Return the day of an event in a zone."""
    return None if row["time"] is None else row["time"].astimezone(ZoneInfo(zone)).date()


def counted(rows: Iterable[Row], zone: str, first: date | None, last: date | None) -> list[Row]:
    """Return the rows whose day is among those asked about."""
    days = [(row, local_day(row, zone)) for row in rows]
    return [
        row
        for row, day in days
        if (first is None or (day is not None and day >= first))
        and (last is None or (day is not None and day <= last))
    ]


def signup_rate(
    rows: Iterable[Row], *, stitched: bool, signup: str = "Sign Up", zone: str = "UTC"
) -> dict[date | None, Row]:
    """Return visitors and sign-ups by the Monday of the first event."""
    theirs = defaultdict(list)
    for row in rows:
        person = person_of(row, stitched=stitched)
        if person is not None:
            theirs[person].append(row)
    weeks: dict[date | None, Row] = defaultdict(lambda: {"visitors": 0, "sign_ups": 0})
    for own in theirs.values():
        days = [day for row in own if (day := local_day(row, zone)) is not None]
        monday = min(days) - timedelta(days=min(days).weekday()) if days else None
        weeks[monday]["visitors"] += 1
        weeks[monday]["sign_ups"] += any(row["event"] == signup for row in own)
    return weeks


def attribution(
    rows: list[Row], *, stitched: bool, model: str, campaign: str = "utm_campaign"
) -> dict[str | None, Fraction]:
    """Return the revenue of each campaign that is credited with a purchase."""
    revenue: dict[str | None, Fraction] = defaultdict(Fraction)
    for purchase in rows:
        if purchase["event"] != "Purchase":
            continue
        person, paid = person_of(purchase, stitched=stitched), number(purchase["amount"])
        touches = sorted(
            (row["time"], row[campaign].encode(), row[campaign])
            for row in rows
            if row[campaign]
            and person is not None
            and person_of(row, stitched=stitched) == person
            and row["time"] is not None
            and purchase["time"] is not None
            and row["time"] <= purchase["time"]
        )
        if not touches:
            revenue[None] += paid
            continue
        credited = {"last-touch": touches[-1:], "first-touch": touches[:1], "linear": touches}[model]
        for *_, name in credited:
            revenue[name] += paid / len(credited)
    return revenue


def number(amount: float | str | None) -> Fraction:
    """Return what was paid; what is no number is nothing."""
    try:
        value = Decimal(str(amount).strip())
    except InvalidOperation:
        return Fraction(0)
    return Fraction(round(value, 6)) if value.is_finite() and abs(value) < MOST else Fraction(0)


def conversion(
    rows: list[Row], *, stitched: bool, within: timedelta, by: str = "post"
) -> dict[str | None, Row]:
    """Return persons and those who converted, by the value of ``by``."""
    persons, converted = defaultdict(set), defaultdict(set)
    for start in rows:
        person = person_of(start, stitched=stitched)
        if start["event"] != "Read Post" or person is None:
            continue
        persons[start[by]].add(person)
        if any(
            goal["event"] == "Sign Up"
            and person_of(goal, stitched=stitched) == person
            and None not in (goal["time"], start["time"])
            and timedelta(0) <= goal["time"] - start["time"] <= within
            for goal in rows
        ):
            converted[start[by]].add(person)
    return {
        value: {"persons": len(them), "converted": len(converted[value])} for value, them in persons.items()
    }


def funnel(rows: list[Row], steps: tuple[str, ...], *, stitched: bool, within: timedelta | None) -> list[int]:
    """Return how many persons reached each step, by trying every way through their events."""
    theirs = defaultdict(list)
    for row in rows:
        if (person := person_of(row, stitched=stitched)) is not None:
            theirs[person].append(row)
    depths = [_depth(own, steps, within) for own in theirs.values()]
    return [sum(depth >= number for depth in depths) for number in range(1, len(steps) + 1)]


def _depth(own: list[Row], steps: tuple[str, ...], within: timedelta | None) -> int:
    """Return the number of the last step that a person reached."""

    def furthest(number: int, start: datetime, time: datetime) -> int:
        is_again = number < len(steps) and steps[number] in steps[:number]
        return max(
            (
                furthest(number + 1, start, row["time"])
                for row in own
                if number < len(steps)
                and row["event"] == steps[number]
                and row["time"] is not None
                and (row["time"] > time if is_again else row["time"] >= time)
                and (within is None or row["time"] - start <= within)
            ),
            default=number,
        )

    starts = [row["time"] for row in own if row["event"] == steps[0]]
    return max((1 if time is None else furthest(1, time, time) for time in starts), default=0)


def retention(  # noqa: PLR0913 - the options of the question
    rows: list[Row],
    *,
    stitched: bool,
    first: str | None,
    then: str | None,
    weeks: int,
    zone: str,
    since: date | None = None,
) -> dict[date, list[Any]]:
    """Return for each Monday the number of persons, and the shares back in the weeks after it."""
    dated = [(row, day) for row in rows if (day := local_day(row, zone)) is not None]
    theirs = defaultdict(list)
    for row, day in dated:
        if (person := person_of(row, stitched=stitched)) is not None:
            theirs[person].append((row["event"], day))
    cohorts = defaultdict(list)
    for own in theirs.values():
        begun = min((day for event, day in own if first in {None, event}), default=None)
        if begun is not None and (since is None or begun >= since):
            cohorts[begun - timedelta(days=begun.weekday())].append(own)
    answer: dict[date, list[Any]] = {}
    for monday, people in cohorts.items():
        answer[monday] = [len(people)]
        for number in range(1, weeks + 1):
            begin = monday + timedelta(weeks=number)
            end = begin + timedelta(days=6)
            back = sum(
                any(begin <= day <= end and then in {None, event} for event, day in own) for own in people
            )
            is_over = end <= max(day for _, day in dated)
            answer[monday].append(back / len(people) if is_over else None)
    return answer


# Rows to ask about


COLUMNS = {
    name: pa.string() for name in ("event", "distinct_id", BEFORE, "utm_campaign", "amount", "post")
} | {"time": pa.timestamp("us", tz="UTC")}


def rows_of(*rows: tuple[Any, ...]) -> pa.Table:
    """Stitched rows: event, hour, person, campaign, amount, post."""
    columns = ("event", "time", "distinct_id", "utm_campaign", "amount", "post")
    made = []
    for row in rows:
        named = dict(zip(columns, (*row, *[None] * 6), strict=False))
        if isinstance(named["time"], int):
            named["time"] = datetime(2024, 3, 4, tzinfo=UTC) + timedelta(hours=named["time"])
        made.append({**named, BEFORE: named["distinct_id"]})
    schema = pa.schema([(name, COLUMNS[name]) for name in columns] + [(BEFORE, pa.string())])
    return pa.Table.from_pylist(made, schema=schema)


def that_knows(table: pa.Table, *names: str) -> pa.Table:
    """Return ``table`` with events called ``names`` that are nobody's and of no time."""
    rows = [dict.fromkeys(table.column_names) | {"event": name} for name in names]
    return pa.concat_tables([table, pa.Table.from_pylist(rows, schema=table.schema)])


def revenue(table: Any, model: Any = "last-touch", **options: Any) -> dict[str | None, float]:
    return {row["campaign"]: row["revenue"] for row in questions.attribution(table, model=model, **options)}
