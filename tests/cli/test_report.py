"""``idmerge report`` and ``idmerge init``: what they write and say, and the settings between them."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import idmerge
from command_line import error_of, ndjson, run
from idmerge.cli.settings import QUESTIONS, Settings, read_settings, settings_text
from paths import ROOT

SHOP = ROOT / "examples" / "shop.ndjson"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(SHOP, "shop.ndjson")


def guessed(stderr: str) -> list[str]:
    return [
        line.removeprefix("guessed").strip() for line in stderr.splitlines() if line.startswith("guessed")
    ]


def answers(*arguments: str) -> Any:
    return json.loads(run("report", *arguments, "--json", "--quiet").stdout)["answers"]


def test_the_suffix_names_the_format_and_every_guess_is_said() -> None:
    for name in ("r.html", "r.txt", "r.json"):
        result = run("report", "shop.ndjson", "-o", name)
        assert result.stdout == ""
        assert f"written     the report to {name}" in result.stderr
    assert Path("r.html").read_text().startswith("<!doctype html>")
    assert Path("r.txt").read_text() == run("report", "shop.ndjson").stdout
    assert json.loads(Path("r.json").read_text())["answers"] == answers("shop.ndjson")
    assert guessed(result.stderr)[:2] == [
        'sign-up "Sign Up": by its name; 39 events of 39 persons (--signup names another)',
        'purchase "Purchase": by its name; 28 events of 21 persons (--purchase names another)',
    ]
    assert len(guessed(result.stderr)) == 6


def test_the_python_door_writes_the_same_page() -> None:
    run("report", "shop.ndjson", "-o", "r.html", "--within", "7d", "--model", "linear")
    assert Path("r.html").read_text() == idmerge.report("shop.ndjson", within="7d", model="linear").html()


def test_what_cannot_be_answered_is_a_note() -> None:
    shutil.copy(ROOT / "examples" / "flow-3-shared-device.ndjson", "flow.ndjson")
    result = run("report", "flow.ndjson")
    notes = [line for line in result.stderr.splitlines() if "Not answered" in line]
    assert len(notes) == 3
    assert notes[0] == (
        "note        Which share of visitors signs up? Not answered: no event is called a sign-up, and none "
        "comes with the first user ID of many persons (--signup names one)"
    )


def test_the_settings_that_init_writes_give_the_report_of_the_guesses() -> None:
    before = answers("shop.ndjson")
    result = run("init", "shop.ndjson")
    assert "written     the settings to idmerge.toml" in result.stderr
    stated = tomllib.loads(Path("idmerge.toml").read_text())["questions"]
    assert stated == {
        "signup": "Sign Up",
        "purchase": "Purchase",
        "amount": "amount",
        "campaign": "utm_campaign",
        "content_event": "Read Post",
        "content": "post",
        "by_path": False,
        "within": "30d",
        "timezone": "UTC",
    }
    assert answers("shop.ndjson") == before
    assert guessed(run("report", "shop.ndjson").stderr) == []
    Path("elsewhere").mkdir()
    shutil.move("idmerge.toml", "elsewhere/mine.toml")
    assert answers("shop.ndjson", "--config", "elsewhere/mine.toml") == before


def test_every_command_takes_the_settings_and_its_options_win() -> None:
    Path("idmerge.toml").write_text(
        '[questions]\nsignup = "Purchase"\ncontent_event = "Page View"\ncontent = "page"\nwithin = "7d"\n'
        'purchase = "Add to Cart"\nby_path = true\ntimezone = "Asia/Tokyo"\n'
    )

    def title(*arguments: str) -> str:
        found = json.loads(run("ask", *arguments, "shop.ndjson", "--json").stdout)["title"]
        return str(found).removesuffix(", days of Asia/Tokyo")

    assert title("signup-rate") == 'Visitors who did "Purchase"'
    assert title("signup-rate", "--signup", "Sign Up") == 'Visitors who did "Sign Up"'
    assert title("attribution") == 'Revenue of "Add to Cart" by utm_campaign, last-touch'
    assert (
        title("conversion") == 'Persons who did "Purchase" within 7 days after "Page View", by path of page'
    )
    assert title("conversion", "--from", "Read Post", "--by", "post", "--within", "1d") == (
        'Persons who did "Purchase" within 1 day after "Read Post", by post'
    )
    assert title("conversion", "--from", "Read Post", "--by", "post").endswith('"Read Post", by post')
    found = answers("shop.ndjson", "--content-event", "Read Post", "--content", "post")
    assert ", by post, " in found["conversion"]["title"]
    assert title("retention") == "Persons by week of the first event, who came back in the weeks after it"
    for command in (["resolve"], ["stitch", "-o", "s.csv"], ["doctor"]):
        run(*command, "shop.ndjson")
    titles = {name: answer["title"] for name, answer in answers("shop.ndjson", "--signup", "Sign Up").items()}
    assert titles["signup_rate"] == 'Visitors who did "Sign Up", days of Asia/Tokyo'
    assert titles["conversion"] == (
        'Persons who did "Sign Up" within 7 days after "Page View", by path of page, days of Asia/Tokyo'
    )


def test_init_replaces_nothing_unless_it_is_told_to_and_keeps_the_spelling() -> None:
    rows = [{"action": "Joined", "uid": "ana", "time": 1_700_000_000}]
    Path("e.ndjson").write_bytes(ndjson(rows))
    Path("idmerge.toml").write_text('dialect = "flat"\n[columns]\nevent = "action"\ndistinct_id = "uid"\n')
    before = Path("idmerge.toml").read_bytes()
    assert error_of("init", "e.ndjson", code=2) == (
        "'idmerge.toml' is there already; --force replaces it, -o names another file"
    )
    assert Path("idmerge.toml").read_bytes() == before
    run("init", "e.ndjson", "--force")
    found = read_settings("idmerge.toml")
    assert (found.dialect, found.columns) == ("flat", {"event": "action", "distinct_id": "uid"})
    assert found.questions["signup"] == "Joined"
    assert "# The events were read as " in Path("idmerge.toml").read_text()
    assert answers("e.ndjson")["signup_rate"]["rows"][0]["visitors"] == 1


def test_init_prints_its_file_and_reads_standard_input() -> None:
    printed = run("init", "-", "-o", "-", stdin=SHOP.read_bytes()).stdout
    assert tomllib.loads(printed)["questions"]["signup"] == "Sign Up"
    assert not Path("idmerge.toml").exists()


def test_a_servers_settings_are_never_replaced() -> None:
    Path("served").mkdir()
    text = '[[project]]\nname = "shop"\ntoken = "t"\nsecret = "s"\n'
    Path("served/idmerge.toml").write_text(text)
    assert "has a server's settings; name another file by -o" in error_of("init", "served", "--force", code=2)
    assert "has a server's settings" in error_of(
        "init", "shop.ndjson", "-o", "served/idmerge.toml", "--force", code=2
    )
    Path("link.toml").symlink_to("served/idmerge.toml")
    assert "has a server's settings" in error_of("init", "shop.ndjson", "-o", "link.toml", "--force", code=2)
    assert Path("served/idmerge.toml").read_text() == text


def test_a_report_never_replaces_the_settings_that_it_read() -> None:
    text = '[questions]\nwithin = "7d"\n'
    Path("idmerge.toml").write_text(text)
    said = error_of("report", "shop.ndjson", "-o", "idmerge.toml", "--format", "text", code=2)
    assert said == "'idmerge.toml' would be read and written over; name another file"
    assert Path("idmerge.toml").read_text() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[questions]\nsign_up = 'x'\n", "unknown: 'sign_up'; known are signup, purchase"),
        ("[questions]\nsignup = 7\n", "questions.signup: expected a text, got 7"),
        ("[questions]\nsignup = ''\n", "questions.signup: expected a text, got ''"),
        ("[questions]\nby_path = 'yes'\n", "questions.by_path: expected true or false, got 'yes'"),
        ("[questions]\nwithin = 'soon'\n", "questions.within: 'soon' is no length of time"),
        ("[questions]\ntimezone = 'Mars'\n", "questions.timezone: "),
        ("questions = 3\n", "questions must be a table, got 3"),
    ],
)
def test_wrong_settings_are_named(text: str, message: str) -> None:
    Path("idmerge.toml").write_text(text)
    assert message in error_of("report", "shop.ndjson", code=2)


NAME = st.text(st.characters(codec="utf-8"), min_size=1)


@given(st.dictionaries(st.sampled_from([*QUESTIONS][:7]), NAME), st.dictionaries(NAME, NAME), NAME)
def test_settings_are_read_as_they_were_written(
    names: dict[str, str], columns: dict[str, str], reason: str
) -> None:
    settings = Settings(dialect=reason, columns=columns, questions={**names, "by_path": True})
    path = Path("written.toml")
    path.write_text(
        settings_text(settings, dict.fromkeys(QUESTIONS, reason), read_as=[reason]), encoding="utf-8"
    )
    found = read_settings(str(path))
    assert (found.dialect, found.columns, found.questions) == (reason, columns, settings.questions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shop.ndjson", "-o", "r.pdf"], "'r.pdf' has no suffix that names a format; expected one of .html"),
        (["shop.ndjson", "-o", "shop.ndjson", "--format", "html"], "would be read and written over"),
        (["shop.ndjson", "--json", "--format", "html"], "--json prints the report itself"),
        (["ids.idmerge"], "is a journal and holds no events"),
        (["s.parquet", "--sort"], "leave --sort out"),
        (["s.parquet", "--api", "simplified"], "leave the policy's options out"),
        (["s.parquet", "shop.ndjson"], "stitch all of them together"),
        (["shop.ndjson", "--from-date", "soon"], "from_date must be a date such as 2024-01-31"),
    ],
)
def test_wrong_calls_are_usage_errors(arguments: list[str], message: str) -> None:
    run("resolve", "shop.ndjson", "--journal", "ids.idmerge", "-o", "m.csv")
    run("stitch", "shop.ndjson", "-o", "s.parquet")
    assert message in error_of("report", *arguments, code=2)


def test_stitched_events_have_answers_and_no_check_up() -> None:
    run("stitch", "shop.ndjson", "-o", "s.parquet")
    found = json.loads(run("report", "s.parquet", "--json").stdout)
    assert found["check_up"] is None
    assert [answer["rows"] for answer in found["answers"].values()] == [
        answer["rows"] for answer in answers("shop.ndjson").values()
    ]
    assert "a check-up needs the raw ones" in run("report", "s.parquet").stdout


def test_sorted_events_and_malformed_lines_are_read_as_by_other_commands() -> None:
    with Path("shop.ndjson").open("a") as file:
        file.write("{broken\n")
    result = run("report", "shop.ndjson", "--sort", "-o", "r.html")
    assert "malformed: shop.ndjson, sorted:601: " in result.stderr
    assert "1 malformed line passed over" in Path("r.html").read_text()
