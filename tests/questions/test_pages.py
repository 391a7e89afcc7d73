"""An answer in a sentence, the events behind it, and its page."""

from __future__ import annotations

import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

from idmerge import questions

if TYPE_CHECKING:
    import pytest

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


def test_the_campaign_that_brought_most_is_named() -> None:
    rows = [("Purchase", "u", "u", DAY), ("Purchase", "v", "v", DAY), ("View", "v", "d", timedelta(0))]
    sales = stitched(*rows, amount=[30, 70, None], utm_campaign=["mail", None, "ads\n"])
    answer = questions.attribution(sales)
    assert (
        answer.finding
        == "\"'ads\\n'\" brought most: 70.0% of the revenue; without stitching it looks like 0.0%"
    )
    none = questions.attribution(sales, purchase="Never")
    assert none.finding == "No campaign brought revenue"


def test_what_leads_most_persons_to_the_goal_is_named() -> None:
    rows = [("Read Post", person, f"d{person}", timedelta(0)) for person in "abc"]
    rows += [("Sign Up", person, person, DAY) for person in "ac"]
    posts = stitched(*rows, post=["x", "y", "x", None, None])
    finding = questions.conversion(posts).finding
    said = '"x" leads most persons to "Sign Up": 2 of 2, 100.0%; without stitching it looks like 0.0%'
    assert finding == said
    assert questions.conversion(posts, goal="Never").finding == 'Nothing leads to "Never"'


def test_an_answer_knows_the_events_that_it_is_about(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    parquet.write_table(visits([0, 9]), path)
    scope = questions.signup_rate(path).scope
    assert scope == (4, date(2024, 1, 1), date(2024, 1, 10), "s.parquet")
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
