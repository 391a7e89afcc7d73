"""An answer in a sentence, the events behind it, and its page."""

from __future__ import annotations

import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from idmerge import questions

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def stitched(*rows: tuple[str, str, str, timedelta], **properties: list[Any]) -> pa.Table:
    """Events as stitching leaves them: name, person, ID as sent, time since the start."""
    names, persons, sent, times = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        {
            "event": pa.array(names, pa.string()),
            "time": pa.array([START + time for time in times], pa.timestamp("ms", "UTC")),
            "distinct_id": pa.array(persons, pa.string()),
            "$distinct_id_before_identity": pa.array(sent, pa.string()),
            **properties,
        }
    )


def visits(days: list[int]) -> pa.Table:
    """On each day an event of a person who signs up under another ID."""
    rows = []
    for day in days:
        rows.append(("View", f"u{day}", f"d{day}", day * DAY))
        rows.append(("Sign Up", f"u{day}", f"u{day}", day * DAY))
    return stitched(*rows)


def test_the_share_of_visitors_is_said_in_a_sentence() -> None:
    answer = questions.signup_rate(visits([0, 1]))
    assert answer.finding == "100.0% of visitors sign up; without stitching it looks like 50.0%"
    assert questions.signup_rate(visits([0, 1]), by="day").finding == answer.finding
    assert questions.signup_rate(stitched()).finding == "There are no visitors"
    same = stitched(("Sign Up", "u", "u", DAY))
    finding = questions.signup_rate(same).finding
    assert finding == "100.0% of visitors sign up, with stitching and without"


def sold(*sales: tuple[str, float, str | None, str | None]) -> pa.Table:
    """Purchases: of whom, for how much, the campaign by person, the campaign of the ID as sent.

    A campaign comes before the purchase, under the ID as sent, or under another one of the person.
    """
    rows, amounts, campaigns = [], [], []
    for number, (person, amount, stitched_campaign, sent_campaign) in enumerate(sales):
        for campaign, sent in (
            (stitched_campaign, f"{person}-{number}-d"),
            (sent_campaign, f"{person}-{number}"),
        ):
            if campaign is not None:
                is_own = sent.endswith("-d")
                rows.append(("View", f"{person}-{number}", sent, (1 if is_own else 0) * DAY))
                amounts.append(None)
                campaigns.append(campaign)
        rows.append(("Purchase", f"{person}-{number}", f"{person}-{number}", 2 * DAY))
        amounts.append(amount)
        campaigns.append(None)
    return stitched(*rows, amount=amounts, utm_campaign=campaigns)


@pytest.mark.parametrize(
    ("sales", "finding"),
    [
        (
            [("u", 30, "mail", None), ("v", 70, "ads\n", None)],
            "'ads\\n' brought most: 70.0% of the revenue; without stitching no campaign did",
        ),
        (
            [("u", 5, "mail", "mail")],
            '"mail" brought most: 100.0% of the revenue, with stitching and without',
        ),
        (
            [("u", 40, "A", "B"), ("v", 35, "B", "B"), ("w", 25, None, None)],
            (
                '"A" brought most: 40.0% of the revenue; '
                'without stitching it looks like "B" with 75.0% of the revenue'
            ),
        ),
        (
            [("u", 50, "A", None), ("v", 50, "B", None)],
            '"A" and "B" brought most: 50.0% of the revenue each; without stitching no campaign did',
        ),
        (
            [("u", 100, "A", "A"), ("v", -150, "B", "B")],
            '"A" brought most: 100.00, with stitching and without',
        ),
        (
            [("u", 0.01, "A", "A"), ("v", 1000, None, None)],
            '"A" brought most: 0.01, with stitching and without',
        ),
        ([("u", -5, "A", "A")], "No campaign brought revenue"),
        ([("u", 1, None, None)], "No campaign brought revenue"),
        ([], "No campaign brought revenue"),
    ],
)
def test_the_campaign_that_brought_most_is_named(sales: Any, finding: str) -> None:
    assert questions.attribution(sold(*sales)).finding == finding


def read(*posts: tuple[str, str | None, bool, bool]) -> pa.Table:
    """Readers of posts: the person, the post, whether she signs up, whether under the ID as sent."""
    rows, read_posts = [], []
    if posts:  # A sign-up of nobody.
        rows.append(("Sign Up", "", "", DAY))
        read_posts.append(None)
    for person, post, signs_up, is_same in posts:
        rows.append(("Read Post", person, person if is_same else f"d-{person}", timedelta(0)))
        read_posts.append(post)
        if signs_up:
            rows.append(("Sign Up", person, person, DAY))
            read_posts.append(None)
    return stitched(*rows, post=read_posts)


@pytest.mark.parametrize(
    ("posts", "finding"),
    [
        (
            [("a", "x", True, False), ("b", "y", False, True), ("c", "x", True, True)],
            (
                '"x" leads most persons to "Sign Up": 2 of 2, 100.0%; '
                "without stitching it looks like 1 of 2, 50.0%"
            ),
        ),
        (
            [("a", "x", True, False), ("b", "y", True, True), ("c", "x", True, False)],
            (
                '"x" leads most persons to "Sign Up": 2 of 2, 100.0%; '
                'without stitching it looks like "y" with 1 of 1, 100.0%'
            ),
        ),
        (
            [("a", "x", True, True), ("b", "y", True, True)],
            '"x" and "y" lead most persons to "Sign Up": 1 each, with stitching and without',
        ),
        (
            [("a", "x", True, False)],
            '"x" leads most persons to "Sign Up": 1 of 1, 100.0%; without stitching nothing does',
        ),
        ([("a", None, True, True)], 'What leads to "Sign Up" has no post'),
        ([("a", "x", False, True)], 'Nothing leads to "Sign Up"'),
        ([], 'Nothing leads to "Sign Up"'),
    ],
)
def test_what_leads_most_persons_to_the_goal_is_named(posts: Any, finding: str) -> None:
    assert questions.conversion(read(*posts)).finding == finding


def test_a_share_that_nobody_has_without_stitching_is_not_told() -> None:
    unsent = stitched(("Sign Up", "u", "null", DAY))
    assert questions.signup_rate(unsent).finding == "100.0% of visitors sign up"


def test_an_answer_knows_the_events_that_it_is_about(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    parquet.write_table(visits([0, 9]), path)
    scope = questions.signup_rate(path).scope
    assert scope == (4, date(2024, 1, 1), date(2024, 1, 10), "s.parquet", "UTC")
    assert str(scope) == "4 events from 2024-01-01 to 2024-01-10 (UTC) in s.parquet"
    assert str(questions.signup_rate([path, path]).scope).endswith(" in 2 files")
    assert str(questions.signup_rate(visits([3])).scope) == "2 events of 2024-01-04 (UTC)"
    assert str(questions.signup_rate(stitched()).scope) == "0 events"
    strange = visits([0]).set_column(1, "time", pa.array([None, 2**52], pa.timestamp("ms", "UTC")))
    assert str(questions.signup_rate(strange).scope) == "2 events"  # Beyond the dates of Python.


def test_a_page_has_the_answer_as_its_heading_and_the_statement_folded_away(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    parquet.write_table(visits([0, 1]), path)
    content = questions.signup_rate(path).drawn("html").decode()
    assert "<h1>100.0% of visitors sign up; without stitching it looks like 50.0%</h1>" in content
    said = "Visitors who did &quot;Sign Up&quot; · 4 events from 2024-01-01 to 2024-01-02 (UTC) in s.parquet"
    assert f'<p class="sources">{said}</p>' in content
    assert re.search(r"<details>\s*<summary>SQL</summary>\s*<pre>WITH", content)
    assert "<small>n = 2</small>" in content
    assert "<small>n = 4</small>" in content


def test_days_without_events_have_their_place_on_the_axis() -> None:
    answer = questions.signup_rate(visits([0, 1, 5]), by="day")
    wells = re.findall(r'<span class="well"( title="[^"]*")?>', answer.drawn("html").decode())
    assert [bool(well) for well in wells] == [True, True, False, False, False, True]
    months = questions.signup_rate(visits([0, 31, 60, 152]), by="month").drawn("html").decode()
    wells = re.findall(r'<span class="well"( title="[^"]*")?>', months)
    assert [bool(well) for well in wells] == [True, True, True, False, False, True]
    far = questions.signup_rate(visits([0, 1, 1_000_000]), by="day").drawn("html").decode()
    assert len(re.findall(r'<span class="well"', far)) == 3


def test_a_day_is_a_column_of_its_own_in_a_picture() -> None:
    svg = questions.signup_rate(visits([*range(50)]), by="day").drawn("svg").decode()
    assert svg.count("<title>") == 100
    assert "2024-01-31, with stitching: 100.0% (n = 1)" in svg
    unknown = visits([0]).set_column(1, "time", pa.array([None, None], pa.timestamp("ms", "UTC")))
    assert "(none), with stitching" in questions.signup_rate(unknown, by="day").drawn("svg").decode()


def test_a_page_needs_no_library_of_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert questions.signup_rate(visits([0]), by="week").drawn("html")


def test_a_notebook_shows_the_sentence_and_the_table() -> None:
    shown = questions.signup_rate(visits([0]))._repr_html_()
    assert "<b>100.0% of visitors sign up; without stitching it looks like 50.0%</b>" in shown
    assert "2 events of 2024-01-01 (UTC)" in shown
    assert "<table " in shown
