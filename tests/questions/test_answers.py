"""Answers to questions: those of plain Python, wherever the events come from."""

from __future__ import annotations

import pickle
from datetime import date, timedelta
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import answers_by_hand as by_hand
from answers_by_hand import COLUMNS, MODELS, revenue, rows_of, that_knows
from idmerge import Policy, questions
from idmerge.questions.answer import Answer
from idmerge.questions.columns import Key, Measure
from idmerge.testing import events as workload
from stitched_by_hand import BEFORE, stitched_table

VERSIONS = ((True, ""), (False, "_unstitched"))
NAMES = ("spring", "it's", '"x"', "été\n", "", "(none)", "a\0b", "Spring", "𝄞")
IDS = ("ada", "bea", "cay", "dan", "", "null", "NULL", "$device:null", "$device:ada", None)
HALF_DAY = 43_200
MONDAY = 1_704_067_200


@st.composite
def told(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(
        st.sampled_from(("Page View", "Read Post", "Read Post", "Sign Up", "Purchase", "Purchase", "$merge"))
    )
    if name == "$merge":
        both = draw(st.lists(st.sampled_from(IDS[:4]), min_size=2, max_size=2))
        return {"event": name, "properties": {"$distinct_ids": both}}
    properties = {
        "time": draw(st.none() | st.integers(0, 30).map(lambda step: MONDAY + step * HALF_DAY)),
        "distinct_id": draw(st.sampled_from(IDS)),
        "utm_campaign": draw(st.none() | st.sampled_from(NAMES)),
        "amount": draw(
            st.sampled_from((None, 5, 0.1, 12.25, "7", " 8.5 ", "1e2", "seven", "nan", "-3", 1e30))
        ),
        "post": draw(st.none() | st.sampled_from(NAMES)),
    }
    return {"event": name, "properties": properties}


def table_of(events: list[dict[str, Any]]) -> pa.Table:
    """Stitch ``events``; each column is there, whatever they have, and amounts are as they came."""
    every = {"time": None, "utm_campaign": None, "amount": None, "post": None}
    table = stitched_table([*events, {"event": "None", "properties": every}], policy=Policy.unrestricted())
    for name, kind in COLUMNS.items():
        if pa.types.is_null(table[name].type):
            table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    return that_knows(table, "Sign Up", "Read Post", "Purchase")


# That the answers are right


@settings(max_examples=60)
@given(st.lists(told(), max_size=14))
def test_the_signup_rate_is_that_of_plain_python(events: list[dict[str, Any]]) -> None:
    table = table_of(events)
    weekly, whole = questions.signup_rate(table, by="week"), questions.signup_rate(table)
    for stitched, suffix in VERSIONS:
        expected = by_hand.signup_rate(table.to_pylist(), stitched=stitched)
        found = {
            row["week"]: {name: row[name + suffix] for name in ("visitors", "sign_ups")}
            for row in weekly
            if row["visitors" + suffix]
        }
        assert found == expected
        (row,) = whole
        assert row["visitors" + suffix] == sum(week["visitors"] for week in expected.values())
        assert row["sign_ups" + suffix] == sum(week["sign_ups"] for week in expected.values())
        check_rates([*weekly, row], "sign_ups", "visitors", suffix)


@settings(max_examples=60)
@given(st.lists(told(), max_size=14), st.sampled_from(MODELS))
def test_attribution_is_that_of_plain_python_and_adds_up(events: list[dict[str, Any]], model: Any) -> None:
    table = table_of(events)
    answer = questions.attribution(table, model=model)
    rows = table.to_pylist()
    total = sum(by_hand.number(row["amount"]) for row in rows if row["event"] == "Purchase")
    for stitched, suffix in VERSIONS:
        expected = by_hand.attribution(rows, stitched=stitched, model=model)
        found = {row["campaign"]: row["revenue" + suffix] for row in answer}
        assert set(expected) <= set(found)
        for name, paid in found.items():
            assert paid == pytest.approx(float(expected[name]), abs=1e-5)
        assert sum(found.values()) == pytest.approx(float(total), abs=1e-5)
        if sum(found.values()):
            assert sum(row["share" + suffix] for row in answer) == pytest.approx(1)


@settings(max_examples=60)
@given(st.lists(told(), max_size=14), st.integers(0, 6))
def test_conversion_is_that_of_plain_python(events: list[dict[str, Any]], half_days: int) -> None:
    table = table_of(events)
    within = timedelta(seconds=half_days * HALF_DAY)
    answer = questions.conversion(table, within=within)
    for stitched, suffix in VERSIONS:
        found = {
            row["value"]: {name: row[name + suffix] for name in ("persons", "converted")}
            for row in answer
            if row["persons" + suffix]
        }
        assert found == by_hand.conversion(table.to_pylist(), stitched=stitched, within=within)
        check_rates(answer, "converted", "persons", suffix)


def check_rates(rows: Any, part: str, whole: str, suffix: str) -> None:
    for row in rows:
        of = row[whole + suffix]
        assert row["rate" + suffix] == (row[part + suffix] / of if of else None)


@pytest.fixture(scope="module")
def shop() -> pa.Table:
    return stitched_table(workload(3000, seed=4))


def test_the_answers_of_a_shop_are_those_of_plain_python(shop: pa.Table) -> None:
    rows = shop.to_pylist()
    week = {row["week"]: row for row in questions.signup_rate(shop, by="week")}
    posts = {row["value"]: row for row in questions.conversion(shop)}
    for stitched, suffix in VERSIONS:
        for monday, counts in by_hand.signup_rate(rows, stitched=stitched).items():
            assert {name: week[monday][name + suffix] for name in counts} == counts
        for post, counts in by_hand.conversion(rows, stitched=stitched, within=timedelta(days=30)).items():
            assert {name: posts[post][name + suffix] for name in counts} == counts
        for model in MODELS:
            found = {
                row["campaign"]: row["revenue" + suffix]
                for row in questions.attribution(shop, model=model)  # type: ignore[arg-type]
            }
            expected = by_hand.attribution(rows, stitched=stitched, model=model)
            assert found == pytest.approx({name: float(revenue) for name, revenue in expected.items()})


def test_stitching_connects_what_people_did_before_they_signed_up(shop: pa.Table) -> None:
    (rate,) = questions.signup_rate(shop)
    assert rate["sign_ups"] == rate["sign_ups_unstitched"] > 50
    assert rate["rate"] > 1.2 * rate["rate_unstitched"]
    posts = list(questions.conversion(shop))
    assert all(row["rate"] > 0.1 and row["converted_unstitched"] == 0 for row in posts)
    (untouched,) = (row for row in questions.attribution(shop) if row["campaign"] is None)
    assert untouched["revenue"] < 0.8 * untouched["revenue_unstitched"]


# What is decided


def test_a_touch_at_the_time_of_the_purchase_counts_and_a_later_one_does_not() -> None:
    table = rows_of(
        ("Purchase", 5, "ada", None, "10"), ("Visit", 5, "ada", "same"), ("Visit", 6, "ada", "late")
    )
    for model in MODELS:
        assert revenue(table, model) == {"same": 10}


def test_a_goal_at_the_time_of_the_start_counts_and_an_earlier_one_does_not() -> None:
    post = ("Read Post", 5, "ada", None, None, "p")
    for hour, converted in ((4, 0), (5, 1), (6, 1)):
        for rows in ((post, ("Sign Up", hour, "ada")), (("Sign Up", hour, "ada"), post)):
            (row,) = questions.conversion(rows_of(*rows))
            assert (row["persons"], row["converted"]) == (1, converted)


def test_a_purchase_can_be_its_own_touch() -> None:
    assert revenue(rows_of(("Purchase", 5, "ada", "own", "10"))) == {"own": 10}


def test_touches_at_one_time_stand_in_the_order_of_their_names() -> None:
    visits = [("Visit", 1, "ada", name) for name in ("b", "ß", "a", "Z")]
    table = rows_of(*visits, ("Purchase", 2, "ada", None, "10"))
    assert revenue(table, "last-touch") == {"ß": 10}
    assert revenue(table, "first-touch") == {"Z": 10}
    assert revenue(table, "linear") == dict.fromkeys(("Z", "a", "b", "ß"), 2.5)


def test_what_nobody_pays_stays_in_the_total_but_touches_nobody() -> None:
    table = rows_of(
        ("Visit", 1, None, "x"), ("Visit", 1, "null", "y"), ("Purchase", 2, None, None, "1"),
        ("Purchase", 2, "null", None, "2"), ("Purchase", 2, "", "z", "4"),
    )  # fmt: skip
    table = that_knows(table, "Sign Up")
    for model in MODELS:
        assert revenue(table, model) == {None: 7}
    (row,) = questions.signup_rate(table)
    assert (row["visitors"], row["rate"]) == (0, None)
    assert revenue(table, blocked_ids=()) == {"y": 2, None: 5}


def test_blocked_ids_are_told_without_regard_to_case_and_may_be_any_text() -> None:
    table = rows_of(
        ("Visit", 1, "Élan vital"), ("Visit", 1, "it's"), ("Visit", 1, "$device:it's"), ("Visit", 1, "x")
    )
    table = that_knows(table, "Sign Up")
    (row,) = questions.signup_rate(table, blocked_ids=["Élan Vital", "It's"])
    assert row["visitors"] == 1
    with pytest.raises(TypeError, match="blocked_ids must be an iterable of str, got 'null'"):
        questions.signup_rate(table, blocked_ids="null")


def test_an_event_without_a_time_touches_nothing_and_follows_nothing() -> None:
    table = rows_of(
        ("Visit", None, "ada", "x"), ("Purchase", 2, "ada", None, "1"), ("Visit", 1, "bea", "y"),
        ("Purchase", None, "bea", "z", "2"), ("Sign Up", 3, "ada"),
        ("Read Post", None, "ada", None, None, "p"), ("Read Post", 1, "bea", None, None, "q"),
        ("Sign Up", None, "bea"),
    )  # fmt: skip
    for model in MODELS:
        assert revenue(table, model) == {None: 3}
    assert {row["value"]: (row["persons"], row["converted"]) for row in questions.conversion(table)} == {
        "p": (1, 0),
        "q": (1, 0),
    }
    (row,) = questions.signup_rate(table)
    assert (row["visitors"], row["sign_ups"]) == (2, 2)


def test_persons_whose_events_all_lack_a_time_stand_in_the_last_row() -> None:
    table = rows_of(("Visit", None, "ada"), ("Visit", 1, "bea"), ("Sign Up", None, "bea"))
    found = [(row["day"], row["visitors"], row["sign_ups"]) for row in questions.signup_rate(table, by="day")]
    assert found == [(date(2024, 3, 4), 1, 1), (None, 1, 0)]


@pytest.mark.parametrize(
    ("by", "first"), [("day", date(2024, 3, 3)), ("week", date(2024, 2, 26)), ("month", date(2024, 3, 1))]
)
def test_days_weeks_and_months_are_those_of_utc(by: Any, first: date) -> None:
    for zone in ("Pacific/Auckland", "America/New_York"):
        table = rows_of(("Sign Up", -1, "ada"))
        moved = table.set_column(1, "time", table["time"].cast(pa.timestamp("ns", tz=zone)))
        naive = table.set_column(1, "time", table["time"].cast(pa.timestamp("ms")))
        for events in (moved, naive):
            answer = questions.signup_rate(events, by=by)
            assert [row[by] for row in answer] == [first]
            connection = duckdb.connect()
            connection.execute(f"SET TimeZone = '{zone}'")
            connection.register("events", events)
            assert connection.execute(answer.sql).fetchall()[0][0] == first


def test_thirty_days_are_720_hours_where_the_clock_is_changed() -> None:
    table = rows_of(
        ("Read Post", 0, "ada", None, None, "p"), ("Sign Up", 720, "ada"),
        ("Read Post", 0, "bea", None, None, "p"), ("Sign Up", 721, "bea"),
    )  # fmt: skip
    answer = questions.conversion(table)
    (row,) = answer
    assert (row["persons"], row["converted"]) == (2, 1)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'America/New_York'")
    connection.register("events", table)
    assert connection.execute(answer.sql).fetchall()[0][:3] == ("p", 2, 1)


@pytest.mark.parametrize(
    "within", [timedelta(0), timedelta(microseconds=1), timedelta(seconds=90), timedelta(days=9999)]
)
def test_any_length_of_time_can_be_given(within: timedelta) -> None:
    table = rows_of(("Read Post", 0, "ada", None, None, "p"), ("Sign Up", 1, "ada"))
    (row,) = questions.conversion(table, within=within)
    assert row["converted"] == (within >= timedelta(hours=1))


@pytest.mark.parametrize(
    ("amount", "paid"),
    [
        ("12.5", 12.5),
        (" 7 ", 7),
        ("1e3", 1000),
        ("-4", -4),
        ("twelve", 0),
        ("", 0),
        (None, 0),
        ("nan", 0),
        ("inf", 0),
    ],
)
def test_amounts_as_text_count_if_they_are_numbers(amount: str | None, paid: float) -> None:
    assert revenue(rows_of(("Purchase", 1, "ada", None, amount))) == {None: paid}


@pytest.mark.parametrize("amount", [3, 2.5, float("nan"), float("inf"), None])
def test_amounts_as_numbers_count_if_they_are_finite(amount: float | None) -> None:
    table = rows_of(("Purchase", 1, "ada", None))
    column = pa.array([amount], pa.float64())
    paid = amount if amount in (3, 2.5) else 0
    assert revenue(table.set_column(4, "amount", column)) == {None: paid}


def test_a_campaign_called_none_is_not_the_revenue_without_a_touch() -> None:
    table = rows_of(("Purchase", 1, "ada", "(none)", "1"), ("Purchase", 1, "bea", None, "2"))
    assert revenue(table) == {"(none)": 1, None: 2}


# What an answer is


@settings(max_examples=20)
@given(st.lists(told(), max_size=8), st.text(max_size=4), st.text(max_size=4))
def test_the_statement_shown_gives_the_same_rows_again(
    events: list[dict[str, Any]], one: str, other: str
) -> None:
    connection = duckdb.connect()
    table = that_knows(table_of(events), one, other)
    connection.register("events", table)
    asked: list[questions.Question] = [questions.Attribution(model=model) for model in MODELS]  # type: ignore[arg-type]
    asked += [questions.SignupRate(signup=one, by="month"), questions.Attribution(purchase=other)]
    if one != other:
        asked.append(questions.Conversion(start=one, goal=other, blocked_ids=[one, other]))
    for question in asked:
        answer = question.ask(table)
        assert connection.execute(answer.sql).fetchall() == [tuple(row.values()) for row in answer]
        assert question.sql(table) == answer.sql


def test_without_events_the_statement_is_that_of_stitched_ones(shop: pa.Table) -> None:
    for question in (questions.SignupRate(by="week"), questions.Attribution(), questions.Conversion()):
        assert question.sql() == question.ask(shop).sql


def test_the_statement_is_made_without_reading_a_row() -> None:
    def batches() -> Any:
        raise AssertionError("read")
        yield

    table = rows_of(("Visit", 1, "ada"))
    stream = pa.RecordBatchReader.from_batches(table.schema, batches())
    assert questions.SignupRate().sql(stream) == questions.SignupRate().sql()


def test_an_answer_opens_in_arrow_libraries_and_pickles(shop: pa.Table) -> None:
    answer = questions.attribution(shop)
    assert pa.table(answer).equals(answer.table)
    assert pl.DataFrame(answer).to_dicts() == list(answer)
    assert len(answer) == 7
    copy = pickle.loads(pickle.dumps(answer))
    assert (copy, str(copy)) == (answer, str(answer))
    with pytest.raises(AttributeError):
        answer.sql = ""  # type: ignore[misc]


def test_an_answer_prints_as_a_table() -> None:
    table = rows_of(
        ("Visit", 1, "ada", "sp\x1bring"),
        ("Purchase", 2, "ada", None, "1234.5"),
        ("Purchase", 3, "b", None, "0"),
    )
    table = table.set_column(6, BEFORE, pa.array(["anon", "ada", "b"]))
    assert str(questions.attribution(table)) == (
        'Revenue of "Purchase" by utm_campaign, last-touch\n'
        "\n"
        "                -with stitching-  without stitching\n"
        "  utm_campaign   revenue   share   revenue    share\n"
        "  'sp\\x1bring'  1,234.50  100.0%      0.00     0.0%\n"
        "  (none)            0.00    0.0%  1,234.50   100.0%"
    )
    assert str(questions.signup_rate(that_knows(table, "Sign Up"))) == (
        'Visitors who did "Sign Up"\n'
        "\n"
        "  ------------with stitching------------  ----------without stitching-----------\n"
        "  visitors  sign ups  rate  95% interval  visitors  sign ups  rate  95% interval\n"
        "         2         0  0.0%  0.0 to 65.8%         2         0  0.0%  0.0 to 65.8%"
    )
    table = that_knows(table, "Sign Up", "Read Post")
    assert str(questions.conversion(table, by="utm_campaign")).endswith("  0 rows")


def test_nothing_that_an_answer_prints_is_long_or_steers_a_terminal() -> None:
    table = rows_of(("Visit", 1, "ada", "a" * 50 + "b" * 50), ("\x1b[2J", 2, "ada", None, "1"))
    text = str(questions.attribution(table, purchase="\x1b[2J"))
    assert f"  {'a' * 39}…{'b' * 20}  " in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 110


def test_versions_stand_below_one_another_where_the_text_would_be_too_wide() -> None:
    rows = [(f"campaign {'x' * 70}", 9.5, 0.75, 10.0, 0.8), ("(none)", 1_000_000.0, 0.25, 2.0, 0.2)]
    measures = (Measure("revenue", "sum"), Measure("share", "share"))
    answer = Answer.of_rows(
        rows, "", title="t", key=Key("campaign", "campaign"), measures=measures, charted=measures[0]
    )
    wide = str(answer).splitlines()
    assert max(map(len, wide)) > 60
    assert answer.text(width=120) == str(answer)
    narrow = answer.text(width=60).splitlines()
    assert max(map(len, narrow)) <= 60
    labels = [line.strip(" -") for line in narrow if "stitching" in line]
    assert labels == ["with stitching", "without stitching"]
    for shown in ("1,000,000.00", "25.0%", "2.00", "20.0%"):
        assert sum(shown in line for line in narrow) == 1
    assert sum("…" in line for line in narrow) == 2
