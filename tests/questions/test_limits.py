"""Limits of the events that count: a condition, days, and the zone of days."""

from __future__ import annotations

import json
import os
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
from idmerge.errors import ColumnError, QuestionError
from idmerge.questions.scope import Scope

if TYPE_CHECKING:
    from pathlib import Path

ZONES = ("UTC", "Europe/Berlin", "America/Havana", "Pacific/Auckland", "Africa/Cairo", "Asia/Kathmandu")
"""Clocks are set forward and back at 2 o'clock, at midnight, south of the equator, or never."""
CHANGES = [datetime(2024, month, day, 12, tzinfo=UTC) for month, day in ((3, 10), (3, 31), (4, 6), (10, 31))]
KNOWN = ("Sign Up", "Read Post", "Purchase")


@st.composite
def rows(draw: st.DrawFn) -> tuple[Any, ...]:
    """Draw an event within two days of a change of clocks, or of no time."""
    around = st.builds(
        lambda change, minutes: change + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-2880, 2880),
    )
    return (
        draw(st.sampled_from(("Visit", *KNOWN))),
        draw(st.none() | around),
        draw(st.sampled_from(("ada", "bea", "cay", None))),
        draw(st.sampled_from(("x", "y", None))),
        draw(st.sampled_from(("1", "2.5", None))),
        draw(st.sampled_from(("p", "q", None))),
    )


def days() -> st.SearchStrategy[date | None]:
    return st.none() | st.builds(
        lambda change, number: change.date() + timedelta(days=number),
        st.sampled_from(CHANGES),
        st.integers(-2, 2),
    )


@settings(max_examples=30)
@given(st.lists(rows(), max_size=12), st.sampled_from(ZONES), days(), days())
def test_days_and_weeks_are_those_of_the_zone_whatever_its_clocks_do(
    told: list[tuple[Any, ...]], zone: str, first: date | None, last: date | None
) -> None:
    if first is not None and last is not None and first > last:
        first, last = last, first
    table = that_knows(rows_of(*told), *KNOWN)
    counted = by_hand.counted(table.to_pylist(), zone, first, last)
    limits: dict[str, Any] = {"from_date": first, "to_date": last, "timezone": zone}
    answer = questions.signup_rate(table, by="week", **limits)
    expected = by_hand.signup_rate(counted, stitched=True, zone=zone)
    assert {row["week"]: row["visitors"] for row in answer} == {
        week: row["visitors"] for week, row in expected.items()
    }
    assert {row["week"]: row["sign_ups"] for row in answer} == {
        week: row["sign_ups"] for week, row in expected.items()
    }
    own = [day for row in counted if (day := by_hand.local_day(row, zone)) is not None]
    assert answer.scope == Scope(
        len(counted), min(own, default=None), max(own, default=None), source="", zone=zone
    )
    found = {row["value"]: row["converted"] for row in questions.conversion(table, **limits)}
    assert found == {
        value: row["converted"]
        for value, row in by_hand.conversion(counted, stitched=True, within=timedelta(days=30)).items()
    }


@settings(max_examples=25)
@given(st.lists(rows(), max_size=12), st.sampled_from(ZONES), st.integers(0, 23))
def test_a_condition_keeps_the_events_that_meet_it(told: list[tuple[Any, ...]], zone: str, hour: int) -> None:
    table = that_knows(rows_of(*told), *KNOWN)
    where = f"hour(time) >= {hour} AND (amount IS NULL OR TRY_CAST(amount AS DOUBLE) > 2) -- both"
    kept = [
        row
        for row in table.to_pylist()
        if row["time"] is not None
        and row["time"].astimezone(by_hand.ZoneInfo(zone)).hour >= hour
        and (row["amount"] is None or float(row["amount"]) > 2)
    ]
    limits: dict[str, Any] = {"where": where, "timezone": zone}
    (row,) = questions.signup_rate(table, **limits)
    expected = by_hand.signup_rate(kept, stitched=True, zone=zone)
    assert row["visitors"] == sum(week["visitors"] for week in expected.values())
    for model in by_hand.MODELS:
        revenue = by_hand.attribution(kept, stitched=True, model=model)
        found = by_hand.revenue(table, model, **limits)
        assert found == pytest.approx({name: float(paid) for name, paid in revenue.items()}, abs=1e-5)


def shop(folder: Path) -> dict[str, Any]:
    """Return events with the properties ``plan`` and ``Plan``, in columns and together."""
    table = rows_of(*[("Sign Up", hour, name) for hour, name in enumerate("abcd")]).select(
        ["event", "time", "distinct_id", "$distinct_id_before_identity"]
    )
    plans, others = ["pro", "pro", None, 'it\'s "free"'], ["1", "2", "3", "4"]
    together = [
        {"plan": plan, "Plan": other, "level": plan} for plan, other in zip(plans, others, strict=True)
    ]
    in_columns = table.append_column("plan", pa.array(plans)).append_column("Plan", pa.array(others))
    parquet.write_table(in_columns, folder / "plans.parquet")
    return {
        "table": in_columns,
        "file": folder / "plans.parquet",
        "text": table.append_column("properties", pa.array(map(json.dumps, together))),
        "struct": table.append_column("properties", pa.array(together)),
    }


@pytest.mark.parametrize("way", ["table", "file", "text", "struct"])
@pytest.mark.parametrize(
    ("where", "visitors"),
    [
        ("plan = 'pro'", 2),
        ("\"plan\" = 'it''s \"free\"'", 1),
        ("plan IS NULL", 1),
        ("\"Plan\" IN ('2', '3') OR false", 2),
        ("time >= '2024-03-04 02:00'", 2),
        ("plan = 'pro' OR /* café */ Plan = '3'", 3),
        ("list_contains(list_transform(['PRO'], lambda plan: lower(plan)), plan)", 2),
        ("current_date > DATE '2020-01-01'", 4),
        ("event = 'sign up' COLLATE NOCASE", 4),
        ("true", 4),
        ("NULL", 0),
    ],
)
def test_a_condition_names_columns_and_properties_wherever_they_are(
    way: str, where: str, visitors: int, tmp_path: Path
) -> None:
    if way == "struct" and "Plan" in where:
        with pytest.raises(ColumnError, match="'Plan' and 'plan', which SQL does not tell apart in one"):
            questions.signup_rate(shop(tmp_path)[way], where=where)
        return
    if way == "struct":
        where = where.replace("plan", "level")
    answer = questions.signup_rate(shop(tmp_path)[way], where=where)
    (row,) = answer
    assert row["visitors"] == row["visitors_unstitched"] == visitors
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    events = shop(tmp_path)[way]
    connection.register("events", parquet.read_table(events) if way == "file" else events)
    assert connection.execute(answer.sql).fetchall()[0][0] == visitors


def test_a_column_in_a_condition_may_differ_in_case_if_no_other_does(tmp_path: Path) -> None:
    table = rows_of(("Sign Up", 1, "ada", "x"), ("Sign Up", 1, "bea", "y"))
    parquet.write_table(table, tmp_path / "f.parquet")
    for events in (table, tmp_path / "f.parquet", table.to_pandas()):
        (row,) = questions.signup_rate(events, where="UTM_Campaign = 'x'")
        assert row["visitors"] == 1


OUTSIDE = "one expression, without subqueries and parameters"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "is no SQL expression"),
        ("-- nothing", "is no SQL expression"),
        ("amount >", "is no SQL expression: syntax error at or near|at end of input"),
        ("true) OR (true", "is no SQL expression"),
        ("true; DROP VIEW events", "is no SQL expression"),
        ("true, false", OUTSIDE),
        ("true AS t", "is no SQL expression|" + OUTSIDE),
        ("true FROM events", OUTSIDE),
        ("true UNION SELECT true", OUTSIDE + "|is no SQL expression"),
        ("true ORDER BY 1", OUTSIDE),
        ("true LIMIT 1", OUTSIDE),
        ("(SELECT true)", OUTSIDE),
        ("EXISTS (FROM read_csv('/etc/passwd'))", OUTSIDE),
        ("'x' IN (SELECT content FROM read_text('/etc/passwd'))", OUTSIDE),
        ("list_filter([1], lambda x: x IN (SELECT 1)) IS NULL", OUTSIDE),
        ("amount = ?", OUTSIDE),
        ("amount = $secret", OUTSIDE),
        ("*", OUTSIDE),
        ("COLUMNS('a') IS NULL", OUTSIDE),
        ("read_text('/etc/passwd') IS NULL", "cannot be computed: .*read_text.*; the events have 'event'"),
        ("getenv('HOME') IS NULL", "cannot be computed: .*getenv.*; the events have 'event', 'time', "),
        ("sum(1) > 0", "cannot be computed: WHERE clause cannot contain aggregates; the events have"),
        ("row_number() OVER () > 0", "cannot be computed: WHERE clause cannot contain window functions; "),
        ("event", "cannot be computed: Could not convert string 'Sign Up' to BOOL"),
        ("NOT " * 4000 + "true", "where"),
        ("random() < 0.5", r"random\(\) depends on more than the event"),
        ("event = 'x' OR len(list_transform([1], lambda x: main.RANDOM())) = 1", "random"),
        ("sleep_ms(5000) IS NULL", "sleep_ms"),
        ("x" * 10_001, "of 10,000 characters at most, got 10,001"),
    ],
)
def test_what_is_no_condition_is_one_clear_error(where: str, message: str) -> None:
    table = rows_of(("Sign Up", 1, "ada", "x", "1"))
    with pytest.raises(QuestionError, match=message) as raised:
        questions.signup_rate(table, where=where)
    assert len(str(raised.value)) < 1000
    assert "\n" not in str(raised.value)


def test_an_event_that_no_condition_can_compute_is_not_quoted_whole() -> None:
    table = rows_of(("Sign Up", 1, "ada", "x" * 1_000_000))
    with pytest.raises(
        QuestionError, match=r"Could not convert string .* characters\); the events have"
    ) as raised:
        questions.signup_rate(table, where="CAST(utm_campaign AS INT) > 1")
    assert len(str(raised.value)) < 3000


def test_a_column_that_a_condition_lacks_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    for events in shop(tmp_path).values():
        with pytest.raises(ColumnError, match="'paln'"):
            questions.signup_rate(events, where="paln = 'pro'")
        with pytest.raises(ColumnError, match="'paln'"):
            questions.SignupRate(where="event = 'x' and paln = 'pro'").ask(events)
    with pytest.raises(ColumnError, match=r"they have 'event', .* 'plan', 'Plan'\. Did you mean 'plan'"):
        questions.signup_rate(shop(tmp_path)["table"], where="paln = 'pro'")


def test_a_statement_reads_no_other_file_than_those_of_the_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tmp_path / "p[1]*"
    parts.mkdir()
    table = rows_of(("Sign Up", 1, "ada", "x", "1"))
    parquet.write_table(table, parts / "a?.parquet")
    parquet.write_table(table, tmp_path / "secret.parquet")

    secret = f"SELECT * FROM read_parquet('{tmp_path}/secret.parquet')"  # noqa: S608 - to be refused
    monkeypatch.setattr(questions.SignupRate, "statement", lambda *_: secret)
    for events in (parts, table):
        with pytest.raises(ValueError, match="disabled by configuration"):
            questions.signup_rate(events)
    monkeypatch.undo()
    assert len(questions.signup_rate(parts, where="true")) == 1


def test_files_may_be_named_in_any_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    parquet.write_table(rows_of(("Sign Up", 1, "ada", "x", "1")), tmp_path / "deep" / "a.parquet")
    (tmp_path / "link.parquet").symlink_to(tmp_path / "deep" / "a.parquet")
    monkeypatch.chdir(tmp_path / "deep")
    for name in ("a.parquet", "./a.parquet", "../deep/a.parquet", "../link.parquet", "..", "~/a.parquet"):
        monkeypatch.setenv("HOME", os.fspath(tmp_path / "deep"))
        if name.startswith("~"):
            with pytest.raises(FileNotFoundError):
                questions.signup_rate(name)
        else:
            assert next(iter(questions.signup_rate(name, where="true")))["visitors"] == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"from_date": "1 March"}, "from_date must be a date such as 2024-01-31, got '1 March'"),
        ({"to_date": "2024-02-30"}, "to_date must be a date such as"),
        ({"to_date": datetime(2024, 1, 1, tzinfo=UTC)}, "to_date must be a date or text such as"),
        (
            {"from_date": "2024-02-02", "to_date": "2024-02-01"},
            "from_date must be no later than to_date, got 2024-02-02 and 2024-02-01",
        ),
        ({"timezone": "Berlin"}, "no time zone is called 'Berlin'; expected a name such as"),
        ({"timezone": None}, "timezone must be the name of a zone, got None"),
        ({"where": "\ud800"}, "where must be Unicode text"),
        ({"where": 5}, "where must be text, got 5"),
    ],
)
def test_a_wrong_limit_is_refused_before_anything_is_read(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        questions.SignupRate(**wrong)


def test_a_title_says_which_events_count_and_an_empty_answer_that_there_are_none(tmp_path: Path) -> None:
    table = rows_of(("Sign Up", 1, "ada", "x", "1"))
    answer = questions.signup_rate(
        table,
        from_date=date(2024, 3, 4),
        to_date="2024-03-31",
        timezone="Asia/Tokyo",
        where="true\n and true",
    )
    assert answer.title == (
        'Visitors who did "Sign Up", from 2024-03-04 to 2024-03-31, days of Asia/Tokyo, where true and true'
    )
    assert str(answer.scope) == "1 event of 2024-03-04 (Asia/Tokyo)"
    assert answer.notes == ()
    empty = questions.signup_rate(table, to_date="2024-03-03")
    assert empty.notes == ("no event is among those that count",)
    parquet.write_table(table, tmp_path / "s.parquet")
    said = command_line.run("ask", "signup-rate", tmp_path / "s.parquet", "--to-date", "2024-03-03")
    assert said.stdout == f"{empty.text()}\n"
    assert said.stderr == "note        no event is among those that count\n"
    asked = ("--from-date", "2024-03-04", "--timezone", "Asia/Tokyo", "--where", "true", "--by", "day")
    said = command_line.run("ask", "signup-rate", tmp_path / "s.parquet", *asked)
    expected = questions.signup_rate(
        table, by="day", from_date="2024-03-04", timezone="Asia/Tokyo", where="true"
    )
    assert said.stdout == f"{expected}\n"
