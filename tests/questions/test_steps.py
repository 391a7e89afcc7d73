"""Funnels of several steps, and retention by week: the answers of plain Python."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import answers_by_hand as by_hand
import command_line
from answers_by_hand import rows_of, that_knows
from idmerge import questions
from idmerge.errors import QuestionError
from idmerge.testing import events as workload
from stitched_by_hand import BEFORE, stitched_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PEOPLE = ("ada", "bea", "cay", "null", None)
STEPS = ("A", "B", "C")
VERSIONS = ((True, ""), (False, "_unstitched"))


def table_of(told: list[tuple[str, Any, str | None, str | None]]) -> pa.Table:
    """Return events: name, time, person, and the ID that was sent."""
    table = rows_of(*[(name, time, person) for name, time, person, _ in told])
    sent = pa.array([one[3] for one in told], pa.string())
    return that_knows(table.set_column(table.column_names.index(BEFORE), BEFORE, sent), *STEPS)


hours = st.none() | st.integers(0, 6)
people = st.sampled_from(PEOPLE)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), hours, people, people), max_size=14),
    st.lists(st.sampled_from(STEPS), min_size=2, max_size=4).map(tuple),
    st.none() | st.integers(0, 5).map(lambda hours: timedelta(hours=hours)),
)
def test_a_funnel_is_that_of_plain_python(
    told: list[Any], steps: tuple[str, ...], within: timedelta | None
) -> None:
    table = table_of(told)
    answer = questions.funnel(table, steps, within=within)
    assert [(row["step"], row["event"]) for row in answer] == [*enumerate(steps, 1)]
    for stitched, suffix in VERSIONS:
        counts = [row["persons" + suffix] for row in answer]
        assert counts == by_hand.funnel(table.to_pylist(), steps, stitched=stitched, within=within)
        for row, count, before in zip(answer, counts, [None, *counts], strict=False):
            assert row["rate" + suffix] == (count / counts[0] if counts[0] else None)
            assert row["of_previous" + suffix] == (count / before if before else None)
    connection = duckdb.connect()
    connection.register("events", table)
    assert connection.execute(answer.sql).fetchall() == [tuple(row.values()) for row in answer]


def persons(steps: tuple[str, ...], *told: tuple[str, int | None], within: str | None = None) -> list[int]:
    table = table_of([(name, time, "ada", "ada") for name, time in told])
    return [row["persons"] for row in questions.funnel(table, steps, within=within)]


def test_a_step_is_at_the_time_of_the_one_before_or_later_and_a_repeated_one_later() -> None:
    assert persons(("A", "B"), ("B", 1), ("A", 1)) == [1, 1]
    assert persons(("A", "B"), ("B", 0), ("A", 1)) == [1, 0]
    assert persons(("A", "A"), ("A", 1), ("A", 1)) == [1, 0]
    assert persons(("A", "A"), ("A", 1), ("A", 2)) == [1, 1]
    assert persons(("A", "B", "A"), ("A", 1), ("B", 2), ("C", 3), ("A", 4)) == [1, 1, 1]
    assert persons(("A", "B"), ("A", None), ("B", 5)) == [1, 0]


def test_who_starts_anew_has_time_from_the_later_start() -> None:
    told = (("A", 0), ("B", 1), ("A", 10), ("B", 11), ("C", 12))
    assert persons(("A", "B", "C"), *told, within="2h") == [1, 1, 1]
    assert persons(("A", "B", "C"), *told, within="1h") == [1, 1, 0]
    assert persons(("A", "B", "C"), ("A", 0), ("B", 1), ("A", 10), ("C", 12), within="2h") == [1, 1, 0]


WEEK_ZONES = ("UTC", "Europe/Berlin", "Asia/Tokyo")
MOMENTS = st.none() | st.integers(0, 5 * 7 * 24).map(
    lambda hours: datetime(2024, 3, 11, tzinfo=UTC) + timedelta(hours=hours)
)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), MOMENTS, people, people), max_size=14),
    st.sampled_from((None, *STEPS)),
    st.sampled_from((None, *STEPS)),
    st.sampled_from(WEEK_ZONES),
    st.none() | st.integers(0, 30).map(lambda days: date(2024, 3, 11) + timedelta(days=days)),
)
def test_retention_is_that_of_plain_python(
    told: list[Any], first: str | None, then: str | None, zone: str, since: date | None
) -> None:
    table = table_of(told)
    answer = questions.retention(table, first=first, then=then, weeks=3, timezone=zone, from_date=since)
    for stitched, suffix in VERSIONS:
        names = [name + suffix for name in ("persons", "week_1", "week_2", "week_3")]
        found = {row["week"]: [row[name] for name in names] for row in answer if row[names[0]]}
        expected = by_hand.retention(
            table.to_pylist(), stitched=stitched, first=first, then=then, weeks=3, zone=zone, since=since
        )
        assert found == expected
    assert [row["week"] for row in answer] == sorted(row["week"] for row in answer)
    connection = duckdb.connect()
    connection.register("events", table)
    connection.execute("SET TimeZone = 'America/New_York'")
    assert connection.execute(answer.sql).fetchall() == [tuple(row.values()) for row in answer]


def test_a_week_that_is_not_over_has_no_share_and_the_first_day_is_of_first_events() -> None:
    monday = datetime(2024, 3, 4, 12, tzinfo=UTC)
    told = [("A", monday, "ada", "ada"), ("A", monday + timedelta(days=7), "ada", "ada")]
    for last, share in ((12, None), (13, 1.0)):
        end = ("B", monday + timedelta(days=last), "bea", "bea")
        rows = [*questions.retention(table_of([*told, end]), weeks=1)]
        assert rows[0]["week_1"] == share
    late = questions.retention(table_of(told), from_date="2024-03-05")
    assert len(late) == 0
    assert late.finding == "No week is followed by another whole one"
    early = questions.retention(table_of(told), to_date="2024-03-10")
    assert [(row["persons"], row["week_1"]) for row in early] == [(1, None)]


def test_funnels_and_retention_are_told_in_a_sentence_and_drawn(tmp_path: Path) -> None:
    shop = stitched_table(workload(3000, seed=4))
    funnel = questions.funnel(shop, ["Read Post", "Sign Up", "Purchase"])
    first, _, last = funnel
    assert funnel.finding == (
        f'From "Read Post" to "Purchase" got {last["persons"]} of {first["persons"]}, {last["rate"]:.1%}; '
        f"without stitching it looks like {last['persons_unstitched']} of {first['persons_unstitched']}, "
        f"{last['rate_unstitched']:.1%}"
    )
    assert last["persons"] > 10 * last["persons_unstitched"]
    assert funnel.headings()[:5] == ["step", "event", "persons", "rate", "95% interval"]
    assert funnel.cells()[0][4] == ""
    assert " to " in funnel.cells()[1][4]
    parquet.write_table(shop, tmp_path / "s.parquet")
    asked = ("--step", "Read Post", "--step", "Sign Up", "--step", "Purchase")
    said = command_line.run("ask", "funnel", tmp_path / "s.parquet", *asked, "--chart", tmp_path / "f.svg")
    assert said.stdout == f"{funnel}\n"
    assert "2 Sign Up" in (tmp_path / "f.svg").read_text(encoding="utf-8")
    command_line.run("ask", "funnel", tmp_path / "s.parquet", *asked, "-o", tmp_path / "f.ndjson")
    lines = (tmp_path / "f.ndjson").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [*funnel]
    told = [(name, datetime(2024, 3, day, tzinfo=UTC), "ada", "ada") for name, day in (("A", 4), ("B", 17))]
    weeks = table_of(told)
    parquet.write_table(weeks, tmp_path / "w.parquet")
    kept = questions.retention(weeks, first="A", then="B", weeks=2)
    assert kept.finding == "100.0% of persons came back in the week after, with stitching and without"
    asked = ("--first", "A", "--then", "B", "--weeks", "2")
    for picture in ("svg", "html"):
        chart = tmp_path / f"w.{picture}"
        said = command_line.run("ask", "retention", tmp_path / "w.parquet", *asked, "--chart", chart)
        assert said.stdout == f"{kept}\n"
        assert chart.stat().st_size > 1000
    command_line.run("ask", "retention", tmp_path / "w.parquet", *asked, "-o", tmp_path / "w.csv")
    assert (tmp_path / "w.csv").read_text(encoding="utf-8").splitlines()[1].startswith("2024-03-04,1,1,")


def test_of_no_events_there_is_nothing_to_tell() -> None:
    nothing = rows_of()
    funnel = questions.funnel(nothing, ["A", "B"])
    assert [(row["event"], row["persons"], row["rate"]) for row in funnel] == [("A", 0, None), ("B", 0, None)]
    assert funnel.finding == 'Nobody did "A"'
    assert len(questions.retention(nothing)) == 0
    assert funnel.notes == questions.retention(nothing).notes == ("there are no events",)
    for answer in (funnel, questions.retention(nothing)):
        assert answer.drawn("svg")
        assert answer.drawn("html")


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: questions.Funnel(steps=["A"]), ValueError, "a funnel has 2 to 20 steps, got 1"),
        (lambda: questions.Funnel(steps=["A"] * 21), ValueError, "a funnel has 2 to 20 steps, got 21"),
        (lambda: questions.Funnel(steps="AB"), TypeError, "steps must be names of events, got 'AB'"),
        (lambda: questions.Funnel(steps=["A", 5]), TypeError, "steps must be names of events"),  # type: ignore[list-item]
        (lambda: questions.Funnel(steps=["A", "\ud800"]), ValueError, "steps must be Unicode text"),
        (lambda: questions.Funnel(steps=["A", "B"], within="soon"), ValueError, "no length of time"),
        (
            lambda: questions.Funnel(steps=["A", "B"], within=-timedelta(1)),
            ValueError,
            "within must be no less than 0",
        ),
        (lambda: questions.Retention(weeks=0), ValueError, "weeks must be 1 to 104, got 0"),
        (lambda: questions.Retention(weeks=105), ValueError, "weeks must be 1 to 104, got 105"),
    ],
)
def test_a_wrong_question_is_refused(wrong: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()


def test_steps_that_do_not_occur_are_an_error() -> None:
    table = table_of([("A", 1, "ada", "ada")])
    with pytest.raises(QuestionError, match='no event is called "D"; no event is called "b"; there are'):
        questions.funnel(table, ["A", "D", "b", "D"])
    with pytest.raises(QuestionError, match='no event is called "D"; there are'):
        questions.retention(table, first="D")
