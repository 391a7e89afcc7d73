"""Event times and sources of links on the command line, and moments by the times of events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import error_of, run


@pytest.fixture(autouse=True)
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    days = [("crm-5", "2024-05-01"), ("crm-6", "2024-05-03"), ("crm-5", "2024-05-04")]
    lines = [
        json.dumps({"event": "$merge", "properties": {"$distinct_ids": ["eve", other], "time": day}})
        for other, day in days
    ]
    Path("logins.ndjson").write_text("\n".join(lines), encoding="utf-8")
    Path("links.csv").write_text("kind,first,second\nmerge,eve,crm-7\n", encoding="utf-8")
    run("resolve", "logins.ndjson", "links.csv", "--journal", "ids", "-o", "out.csv")


def test_show_and_why_have_the_time_and_the_line_of_each_event() -> None:
    shown = run("show", "eve", "ids").stdout
    assert "eve  crm-6  (event of 2024-05-03 00:00:00Z; logins.ndjson:2)" in shown
    assert "eve  crm-5  (event of 2024-05-04 00:00:00Z; logins.ndjson:3)" in shown  # A copy.
    assert "eve  crm-7\n" in shown
    chain = run("why", "crm-5", "crm-6", "ids").stdout
    assert "(event of 2024-05-01 00:00:00Z; logins.ndjson:1)" in chain
    page = run("show", "eve", "ids", "--html", "eve.html") and Path("eve.html").read_text("utf-8")
    assert "event time" in page
    assert "logins.ndjson:2" in page


def test_json_has_them_as_they_are() -> None:
    answer = json.loads(run("show", "eve", "ids", "--json").stdout)
    found = [(link["event_time"], link["origin"]) for link in answer["links"]]
    assert found == [
        ("2024-05-01T00:00:00Z", "logins.ndjson:1"),
        ("2024-05-03T00:00:00Z", "logins.ndjson:2"),
        (None, None),
    ]
    assert [one["origin"] for one in answer["copies"]] == ["logins.ndjson:3"]


def test_a_moment_by_events_has_what_had_happened_then() -> None:
    assert "3 links" in run("show", "eve", "ids").stdout
    shown = run("show", "eve", "ids", "--as-of", "2024-05-02", "--by", "event").stdout
    assert "1 link built" in shown
    assert "crm-6" not in shown
    rows = run("mapping", "ids", "--as-of", "2024-05-03", "--by", "event").stdout.splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["eve", "crm-5", "crm-6"]
    assert run("mapping", "ids", "--as-of", "2024-05-03").stdout.splitlines()[1:] == []


@pytest.mark.parametrize("command", [["show", "eve", "ids"], ["mapping", "ids"]])
def test_events_are_compared_with_a_time_alone(command: list[str]) -> None:
    assert "--by event needs a time" in error_of(*command, "--by", "event", code=2)
    assert "--by event needs a time" in error_of(*command, "--as-of", "2", "--by", "event", code=2)


def test_files_have_no_moments() -> None:
    assert "need a journal" in error_of("show", "eve", "logins.ndjson", "--by", "event", code=2)
