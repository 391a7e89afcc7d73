"""The first rows of an answer, all others in one, paths of URLs, currencies, and intervals."""

from __future__ import annotations

import csv
import json
import math
from datetime import date
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

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
from idmerge.questions import wilson
from stitched_by_hand import BEFORE

if TYPE_CHECKING:
    from collections.abc import Callable

PEOPLE = ("ada", "bea", "cay", "dan", None)
VALUES = ("p", "q", "r", "s", "(2 others)", None)


@st.composite
def row(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "event": draw(st.sampled_from(("Visit", "Read Post", "Read Post", "Sign Up", "Purchase"))),
        "time": draw(st.none() | st.integers(0, 5)),
        "distinct_id": draw(st.sampled_from(PEOPLE)),
        "utm_campaign": draw(st.sampled_from(VALUES)),
        "amount": draw(st.sampled_from(("1", "2.5", "-1", None))),
        "post": draw(st.sampled_from(VALUES)),
        "currency": draw(st.sampled_from(("EUR", "USD", None))),
        BEFORE: draw(st.sampled_from(PEOPLE)),
    }


def table_of(told: list[dict[str, Any]]) -> pa.Table:
    names = ("event", "time", "distinct_id", "utm_campaign", "amount", "post")
    table = rows_of(*[tuple(one[name] for name in names) for one in told])
    table = table.set_column(table.column_names.index(BEFORE), BEFORE, strings(told, BEFORE))
    table = table.append_column("currency", strings(told, "currency"))
    return that_knows(table, "Sign Up", "Read Post", "Purchase")


def strings(told: list[dict[str, Any]], name: str) -> pa.Array:
    return pa.array([one[name] for one in told], pa.string())


@settings(max_examples=30)
@given(st.lists(row(), max_size=20), st.none() | st.integers(1, 4), st.integers(0, 3))
def test_the_others_are_one_row_in_which_a_person_counts_once(
    told: list[dict[str, Any]], top: int | None, least: int
) -> None:
    table = table_of(told)
    whole = [*questions.conversion(table)]
    answer = questions.conversion(table, top=top, min_persons=least)
    kept = [one["value"] for one in whole if one["value"] is not None and one["persons"] >= least][:top]
    others = {one["value"] for one in whole} - {*kept, None}
    expected = [one for one in whole if one["value"] in kept]
    rows = table.to_pylist()
    if others and answer.has_others:
        summed: dict[str, Any] = {"value": None, "others": len(others)}
        relabelled = [
            {**one, "post": "\0"} if one["post"] in others and one["event"] == "Read Post" else one
            for one in rows
        ]
        for stitched, suffix in ((True, ""), (False, "_unstitched")):
            found = by_hand.conversion(relabelled, stitched=stitched, within=by_hand.timedelta(days=30))
            counts = found.get("\0", {"persons": 0, "converted": 0})
            summed |= {name + suffix: count for name, count in counts.items()}
            summed[f"rate{suffix}"] = counts["converted"] / counts["persons"] if counts["persons"] else None
        expected.append(summed)
    expected += [one for one in whole if one["value"] is None]
    if answer.has_others:
        expected = [{"others": None, **one} for one in expected]
    assert [*answer] == expected


@settings(max_examples=30)
@given(
    st.lists(row(), max_size=20),
    st.sampled_from(by_hand.MODELS),
    st.none() | st.integers(1, 3),
    st.integers(0, 2),
)
def test_the_others_of_campaigns_bring_what_each_of_them_brings(
    told: list[dict[str, Any]], model: Any, top: int | None, least: int
) -> None:
    table = table_of(told)
    whole = [*questions.attribution(table, model=model)]
    answer = questions.attribution(table, model=model, top=top, min_persons=least)
    named = [one for one in answer if one["campaign"] is not None]
    assert [{**one, "others": None} for one in whole][: len(named) if least == 0 else 0] == (
        [{**one, "others": None} for one in named] if least == 0 else []
    )
    assert top is None or len(named) <= top
    others = [one for one in answer if answer.has_others and one["others"]]
    assert len(others) <= 1
    assert len(named) + sum(one["others"] for one in others) == sum(
        one["campaign"] is not None for one in whole
    )
    for suffix in ("", "_unstitched"):
        assert sum(one["revenue" + suffix] for one in answer) == pytest.approx(
            sum(one["revenue" + suffix] for one in whole), abs=1e-5
        )


@settings(max_examples=30)
@given(st.lists(row(), max_size=20), st.sampled_from(by_hand.MODELS))
def test_each_currency_is_answered_as_if_no_other_had_been_paid(
    told: list[dict[str, Any]], model: Any
) -> None:
    table = table_of(told)
    answer = questions.attribution(table, model=model, currency="currency")
    rows = table.to_pylist()
    for currency in {one["currency"] for one in rows if one["event"] == "Purchase"}:
        of_others = [
            {**one, "event": "Other"} if one["event"] == "Purchase" and one["currency"] != currency else one
            for one in rows
        ]
        expected = by_hand.attribution(of_others, stitched=True, model=model)
        found = {one["campaign"]: one["revenue"] for one in answer if one["currency"] == currency}
        assert {*expected} <= {*found}
        assert found == pytest.approx({name: float(expected[name]) for name in found}, abs=1e-5)
        shares = [one["share"] for one in answer if one["currency"] == currency]
        if sum(found.values()):
            assert sum(shares) == pytest.approx(1)
    connection = duckdb.connect()
    connection.register("events", table)
    assert connection.execute(answer.sql).fetchall() == [tuple(one.values()) for one in answer]


def paid(*currencies: str | None, name: str = "currency") -> pa.Table:
    table = rows_of(*[("Purchase", hour, "ada", "x", "10") for hour in range(len(currencies))])
    return table.append_column(name, pa.array(currencies, pa.string()))


@pytest.mark.parametrize("name", ["currency", "$currency", "Currency", "currency_code"])
def test_amounts_of_several_currencies_are_not_added_up_without_a_word(name: str, tmp_path: Path) -> None:
    table = paid("EUR", "USD", "EUR", None, "", name=name)
    answer = questions.attribution(table)
    note = (
        f'the revenue adds up amounts whose {name!r} is "EUR" and "USD"; '
        f"currency={name!r} (--currency) tells them apart"
    )
    assert answer.notes == (note,)
    assert str(answer).endswith(f"\n\n{note}")
    assert note.replace('"', "&quot;").replace("'", "&#x27;") in answer._repr_html_()
    parquet.write_table(table, tmp_path / "p.parquet")
    said = command_line.run("ask", "attribution", tmp_path / "p.parquet")
    assert said.stderr == f"note        {note}\n"
    assert note not in said.stdout
    assert questions.attribution(table, where=f"\"{name}\" = 'EUR'").notes == ()
    assert questions.attribution(table, currency=name).notes == ()
    assert questions.attribution(paid("EUR", "EUR", None, "", name=name)).notes == ()
    assert questions.attribution(paid("EUR", "USD", name="shop")).notes == ()
    together = table.drop_columns([name, "utm_campaign", "amount"])
    own = ("utm_campaign", "amount", name)
    texts = [json.dumps({key: one[key] for key in own}) for one in table.to_pylist()]
    for cells in (pa.array(texts), pa.array([*map(json.loads, texts)])):
        assert questions.attribution(together.append_column("properties", cells)).notes == (note,)


@pytest.mark.parametrize("model", ["last-touch", "first-touch", "linear"])
def test_an_empty_campaign_is_no_touch(model: Any) -> None:
    table = rows_of(
        ("Visit", 1, "ada", ""), ("Visit", 2, "ada", "spring"), ("Visit", 3, "ada", ""),
        ("Purchase", 4, "ada", "", "8"), ("Purchase", 4, "bea", "", "1"),
    )  # fmt: skip
    answer = questions.attribution(table, model=model)
    assert [(row["campaign"], row["revenue"]) for row in answer] == [("spring", 8.0), (None, 1.0)]


def test_events_without_any_time_lead_to_nothing_and_a_note_says_so() -> None:
    table = rows_of(("Read Post", None, "ada", "x"), ("Purchase", None, "ada", None, "8"))
    note = "no event that counts has a time, so none comes before or after another"
    assert questions.attribution(table).notes == (note,)
    assert questions.conversion(table, goal="Purchase").notes == (note,)
    assert questions.signup_rate(table, signup="Purchase").notes == ()
    timed = pa.concat_tables([table, rows_of(("Visit", 1, "ada"))])
    assert questions.attribution(timed).notes == ()


@pytest.mark.parametrize(
    ("amounts", "revenue", "note"),
    [
        ([5, 0, -2], 3.0, None),
        ([0.5, -2.5, 9e21], 9e21, None),
        (["5", " 1.5 ", "-3"], 3.5, None),
        ([5.0, None, None], 5.0, "2 of 3 events \"Purchase\" have no number as 'amount', and count"),
        (["5 EUR"], 0.0, "1 of 1 event \"Purchase\" has no number as 'amount', and counts as no revenue"),
        (["1,000", "", "NaN", "7"], 7.0, "3 of 4 events"),
        ([math.nan, math.inf, 1e22, 3.0], 3.0, "3 of 4 events"),
        ([True, True, False], 0.0, "3 of 3 events"),
        ([date(2024, 1, 1)], 0.0, "1 of 1 event"),
        ([[5.0], [6.0, 7.0]], 0.0, "2 of 2 events"),
        ([{"value": 5}], 0.0, "1 of 1 event"),
    ],
)
def test_what_is_no_number_is_no_revenue_and_never_without_a_word(
    amounts: list[Any], revenue: float, note: str | None
) -> None:
    table = rows_of(*[("Purchase", hour, "ada", "x") for hour in range(len(amounts))])
    place = table.schema.get_field_index("amount")
    table = table.set_column(place, "amount", pa.array(amounts))
    [row] = answer = questions.attribution(table)
    assert row["revenue"] == pytest.approx(revenue)
    assert len(answer.notes) == (note is not None)
    assert all(said.startswith(note or "") for said in answer.notes)
    assert questions.attribution(table.slice(0, 0)).notes == ("there are no events",)


def test_currencies_stand_in_the_order_of_their_purchases_and_both_names_are_columns(tmp_path: Path) -> None:
    table = paid("USD", "EUR", "EUR", None)
    answer = questions.attribution(table, currency="currency")
    assert [(one["campaign"], one["currency"], one["revenue"], one["share"]) for one in answer] == [
        ("x", "EUR", 20, 1),
        ("x", "USD", 10, 1),
        ("x", None, 10, 1),
    ]
    assert answer.title == 'Revenue of "Purchase" by utm_campaign, last-touch, apart by currency'
    assert answer.finding.startswith(
        'EUR: "x" brought most: 100.0% of the revenue, with stitching and without; '
    )
    assert "  x             EUR  " in str(answer)
    parquet.write_table(table, tmp_path / "p.parquet")
    command_line.run(
        "ask", "attribution", tmp_path / "p.parquet", "--currency", "currency", "-o", tmp_path / "a.csv"
    )
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        assert [one["currency"] for one in csv.DictReader(file)] == ["EUR", "USD", ""]
    many = paid(*map(str, range(201)))
    with pytest.raises(
        QuestionError, match="'currency' has 201 values in \"Purchase\"; expected 200 currencies"
    ):
        questions.attribution(many, currency="currency")


def test_the_row_of_the_others_says_how_many_they_are(tmp_path: Path) -> None:
    told = [("Purchase", 1, f"u{number}", f"c{number}", str(number)) for number in range(9)]
    table = rows_of(*told, ("Purchase", 1, "u", None, "1"))
    parquet.write_table(table, tmp_path / "p.parquet")
    said = command_line.run("ask", "attribution", tmp_path / "p.parquet", "--top", 2)
    assert [line.split("  ")[1] for line in said.stdout.splitlines()[4:]] == [
        "c8",
        "c7",
        "(7 others)",
        "(none)",
    ]
    command_line.run("ask", "attribution", tmp_path / "p.parquet", "--top", 2, "-o", tmp_path / "a.ndjson")
    lines = [json.loads(line) for line in (tmp_path / "a.ndjson").read_text().splitlines()]
    assert [(line["campaign"], line["others"], line["revenue"]) for line in lines] == [
        ("c8", None, 8), ("c7", None, 7), (None, 7, 21), (None, None, 1),
    ]  # fmt: skip
    command_line.run(
        "ask", "attribution", tmp_path / "p.parquet", "--min-persons", 2, "--chart", tmp_path / "a.html"
    )
    assert "(9 others)" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_rows_are_in_the_order_of_persons_then_of_rates() -> None:
    reads = [("Read Post", 1, f"{post}{n}", None, None, post) for post, n in
             (("few", 1), ("many", 1), ("many", 2), ("good", 1), ("good", 2), ("same", 1))]  # fmt: skip
    table = rows_of(*reads, *[("Sign Up", 2, name) for name in ("few1", "good1")])
    assert [one["value"] for one in questions.conversion(table)] == ["good", "many", "few", "same"]


def test_of_very_many_rows_a_text_has_the_first_and_the_answer_has_all() -> None:
    table = rows_of(*[("Purchase", 1, f"u{number}", f"c{number}", "1") for number in range(150)])
    text = str(questions.attribution(table))
    assert text.count("\n  c") == 100
    assert text.endswith("\n\n50 more rows; top= (--top) sums them up, files have all")
    days = rows_of(*[("Sign Up", 24 * number, f"u{number}") for number in range(403)])
    assert str(questions.signup_rate(days, by="day")).endswith("\n\n3 more rows; files have all")
    assert len(questions.attribution(table)) == 150


ADDRESSES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(("", "https://x.io", "HTTP://x.io:80", "//x.io", "app+web.1://x")),
    st.lists(st.sampled_from(("/", "/a", "/B", "/ä%20", "/a.html")), max_size=3).map("".join),
    st.sampled_from(("", "?", "?q=/a/", "?q=1\n2")),
    st.sampled_from(("", "#", "#/a?b", "#z/")),
)


@settings(max_examples=40)
@given(st.lists(ADDRESSES.filter(lambda address: not address.startswith("///")), min_size=1, max_size=8))
def test_urls_of_one_path_are_one_row(addresses: list[str]) -> None:
    table = rows_of(*[("Read Post", 1, f"u{n}", None, None, url) for n, url in enumerate(addresses)])
    answer = questions.conversion(that_knows(table, "Sign Up"), by_path=True)

    def path(address: str) -> str:
        return urlsplit(address.replace("\n", "")).path.rstrip("/") or "/" if address else ""

    expected: dict[str, int] = {}
    for address in addresses:
        expected[path(address)] = expected.get(path(address), 0) + 1
    assert {one["value"]: one["persons"] for one in answer} == expected


def test_paths_are_said_and_what_is_missing_stays_so() -> None:
    table = rows_of(
        ("Purchase", 1, "ada", "https://x.io/a/?q=1", "1"), ("Purchase", 1, "bea", "/a#z", "2"),
        ("Purchase", 1, "cay", None, "4"),
    )  # fmt: skip
    answer = questions.attribution(table, by_path=True)
    assert [(one["campaign"], one["revenue"]) for one in answer] == [("/a", 3), (None, 4)]
    assert answer.title == 'Revenue of "Purchase" by path of utm_campaign, last-touch'


# Intervals


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_an_interval_is_where_the_share_is_as_far_as_chance_allows(whole: int, share: float) -> None:
    part = round(share * whole)
    low, high = wilson(part, whole)
    assert 0 <= low <= part / whole <= high <= 1
    z = NormalDist().inv_cdf(0.975)
    for bound in (low, high):
        if 0 < bound < 1:  # Where the share is z standard deviations off, as the bound has them.
            deviation = z * (bound * (1 - bound) / whole) ** 0.5
            assert abs(part / whole - bound) == pytest.approx(deviation, rel=1e-6, abs=1e-9)
    assert wilson(whole - part, whole) == pytest.approx((1 - high, 1 - low))


def test_intervals_are_those_of_tables() -> None:
    for part, whole, low, high in ((0, 10, 0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)):
        assert wilson(part, whole) == pytest.approx((low, high), abs=5e-5)
    for wrong in ((1, 0), (2, 1), (-1, 1)):
        with pytest.raises(ValueError, match="a share must be of at least 1"):
            wilson(*wrong)


@pytest.mark.parametrize(("visitors", "interval"), [(1, "0.0 to 79.3%"), (999, "0.0 to 0.4%"), (1000, None)])
def test_a_share_of_few_persons_has_its_interval_behind_it(visitors: int, interval: str | None) -> None:
    answer = questions.signup_rate(
        that_knows(rows_of(*[("Visit", 1, f"u{number}") for number in range(visitors)]), "Sign Up")
    )
    assert ("95% interval" in answer.headings()) is (interval is not None)
    assert (interval in answer.cells()[0]) if interval else len(answer.cells()[0]) == 6
    assert answer.table.column_names[:3] == ["visitors", "sign_ups", "rate"]


WRONG: tuple[tuple[Callable[[], Any], str], ...] = (
    (lambda: questions.Attribution(top=0), "top must be at least 1 or None, got 0"),
    (lambda: questions.Conversion(min_persons=-1), "min_persons must be at least 0, got -1"),
)


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_a_wrong_number_is_refused(wrong: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()


def test_with_too_few_persons_everywhere_the_sentence_says_so() -> None:
    table = rows_of(("Read Post", 1, "ada", None, None, "p"), ("Sign Up", 2, "ada"))
    answer = questions.conversion(table, min_persons=5)
    assert answer.finding == 'No post with a row leads to "Sign Up"'
    assert [(one["value"], one["others"], one["converted"]) for one in answer] == [(None, 1, 1)]


def test_too_many_currencies_are_refused_before_each_event_is_joined_to_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = rows_of(*[("Purchase", hour, "ada", "x", "1", f"order {hour}") for hour in range(201)])
    monkeypatch.setattr(questions.Attribution, "statement", lambda *_: "SELECT error('it ran')")
    with pytest.raises(
        QuestionError, match=r"'post' has 201 values in \"Purchase\"; expected 200 currencies"
    ):
        questions.attribution(table, currency="post")
    with pytest.raises(ColumnError, match="it ran"):
        questions.attribution(table.slice(1), currency="post")
