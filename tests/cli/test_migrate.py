"""``idmerge migrate``: a directory written whole or not at all, a report, and the check of both."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from command_line import error_of, ndjson, run
from idmerge.testing import events
from strategies import D1, D2

FILES = ["associations.ndjson", "events.ndjson", "mapping.ndjson", "plan.json", "report.html"]


def view(distinct_id: Any, **properties: Any) -> dict[str, Any]:
    return {"event": "View", "properties": {"distinct_id": distinct_id, "time": 1_700_000_000, **properties}}


def identify(user: str, device: str) -> dict[str, Any]:
    return {**view(user, **{"$anon_distinct_id": device}), "event": "$identify"}


def merge(*ids: str) -> dict[str, Any]:
    return {"event": "$merge", "properties": {"$distinct_ids": [*ids]}}


@pytest.fixture(autouse=True)
def in_a_folder_with_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.ndjson").write_bytes(ndjson([view(D1), identify("ana", D1), view("ana"), view(D2)]))


def names(directory: str) -> list[str]:
    return sorted(path.name for path in Path(directory).iterdir())


def test_a_migration_is_written_and_verified() -> None:
    result = run("migrate", "e.ndjson", "-o", "new")
    assert names("new") == FILES
    assert "recovery    100.0 % of events, 100.0 % of IDs\n" in result.stdout
    assert result.stderr.splitlines() == ["written     1 association and 3 events to new"]
    plan = json.loads(Path("new/plan.json").read_text(encoding="utf-8"))
    assert (plan["format"], plan["settings"]["ambiguous"], plan["report"]["associations"]) == (1, "split", 1)
    assert plan["settings"]["policy"]["max_cluster_size"] == 500
    verified = run("migrate", "--verify", "new")
    assert verified.stdout == (
        "verified    4 events, 3 IDs and 2 people of the plan: each ID is its person's\n"
    )


def test_what_is_written_is_read_by_the_other_commands() -> None:
    run("migrate", "e.ndjson", "-o", "new")
    written = ["new/associations.ndjson", "new/events.ndjson"]
    mapping = run("resolve", *written, "--api", "simplified", "-o", "-").stdout
    assert mapping.splitlines()[1:] == [f"$device:{D1},ana,2", "ana,ana,2", f"$device:{D2},$device:{D2},1"]


def test_the_options_of_the_plan_reach_it() -> None:
    Path("e.ndjson").write_bytes(
        ndjson([identify("17", D1), identify("18", D2), merge("17", "18"), view("18"), view("x")])
    )
    run("migrate", "e.ndjson", "-o", "new", "--user-id", r"\d+", "--ambiguous", "most-events",
        "--floor", "2020-01-01", "--max-cluster-size", "none")  # fmt: skip
    rows = map(json.loads, Path("new/mapping.ndjson").read_text(encoding="utf-8").splitlines())
    assert {row["distinct_id"]: row["person"] for row in rows} == {
        **dict.fromkeys([D1, "17", D2, "18"], "18"),
        "x": "$device:x",
    }
    lines = Path("new/associations.ndjson").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["properties"]["time"] for line in lines} == {1_577_836_800_000}
    assert run("migrate", "--verify", "new")


def test_profiles_are_written_under_the_user() -> None:
    rows = [{"$distinct_id": D1, "$set": {"a": 1}}, {"$distinct_id": "null", "$set": {"a": 1}}]
    Path("u.ndjson").write_bytes(ndjson(rows) + b"{\n")
    result = run("migrate", "e.ndjson", "-o", "new", "--profiles", "u.ndjson")
    assert names("new") == sorted([*FILES, "profiles.ndjson"])
    assert json.loads(Path("new/profiles.ndjson").read_text(encoding="utf-8")) == {
        "$distinct_id": "ana",
        "$set": {"a": 1},
    }
    assert "malformed: u.ndjson:3: " in result.stderr
    assert "profiles    1 written, 1 nobody's in u.ndjson" in result.stderr


def test_a_dry_run_writes_the_report_alone() -> None:
    before = names(".")
    report = run("migrate", "e.ndjson", "--dry-run").stdout
    assert names(".") == before
    assert "written     1 association" in report
    run("migrate", "e.ndjson", "--dry-run", "--report", "r.json")
    run("migrate", "e.ndjson", "--dry-run", "--report", "r.html")
    assert json.loads(Path("r.json").read_text(encoding="utf-8"))["clusters"] == 1
    assert "<h1>Migration to Simplified ID Merge</h1>" in Path("r.html").read_text(encoding="utf-8")
    assert names(".") == sorted([*before, "r.json", "r.html"])


def test_a_report_on_hostile_ids_is_printable_and_escaped() -> None:
    hostile = ["<script>\x1b[31m", "\u202e" + "x" * 200]
    Path("e.ndjson").write_bytes(
        ndjson([identify(hostile[0], D1), identify(hostile[1], D2), merge(*hostile)])
    )
    result = run("migrate", "e.ndjson", "-o", "new")
    assert "\x1b[31m" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) < 250
    assert "<script>" not in Path("new/report.html").read_text(encoding="utf-8")
    assert run("migrate", "--verify", "new")


def test_too_little_recovery_writes_nothing() -> None:
    Path("e.ndjson").write_bytes(ndjson([view(D1), view(D2), merge(D1, D2), view("ana")]))
    result = run("migrate", "e.ndjson", "-o", "new", "--min-recovery", "0.9", code=1)
    assert result.stderr.splitlines()[-1] == (
        "idmerge: error: the recovery is 66.6 % of events, and 90.0 % are wanted; nothing was written"
    )
    assert "recovery    66.6 % of events, 66.6 % of IDs" in result.stdout
    assert not Path("new").exists()
    assert run("migrate", "e.ndjson", "--dry-run", "--min-recovery", "0.6")
    assert run("migrate", "e.ndjson", "--dry-run", "--min-recovery", "0.7", code=1)


def test_several_users_can_be_an_error() -> None:
    Path("e.ndjson").write_bytes(ndjson([identify("ana", D1), identify("ben", D2), merge("ana", "ben")]))
    message = error_of("migrate", "e.ndjson", "-o", "new", "--ambiguous", "error")
    assert message.startswith("a cluster of 4 IDs has 2 users (ana, ben), and Simplified joins no users")
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda _lines: [], f"differing   $device:{D1} is planned as ana, and is shown as $device:{D1}"),
        (
            lambda lines: [line.replace(D1, D2) for line in lines],
            f"differing   $device:{D1} is planned as ana, and is shown as $device:{D1}",
        ),
        (
            lambda lines: [*lines, json.dumps(view("eve"))],
            "differing   eve is not in the plan, and is shown as eve",
        ),
        (
            lambda lines: [*lines, json.dumps(identify("ana", D2))],
            "refused     1 identity event, with the whole batch",
        ),
    ],
    ids=["left out", "another device", "an ID too many", "an identity event"],
)
def test_a_difference_is_found(change: Any, line: str) -> None:
    run("migrate", "e.ndjson", "-o", "new")
    place = Path("new/associations.ndjson")
    lines = change(place.read_text(encoding="utf-8").splitlines())
    place.write_text("".join(f"{each}\n" for each in lines), encoding="utf-8")
    result = run("migrate", "--verify", "new", code=1)
    assert line in result.stdout.splitlines()
    assert result.stderr == "idmerge: error: new: the events do not show the people of the plan\n"


def test_an_event_that_is_missing_is_found() -> None:
    run("migrate", "e.ndjson", "-o", "new")
    place = Path("new/events.ndjson")
    place.write_text(
        "".join(place.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8"
    )
    assert run("migrate", "--verify", "new", code=1).stdout.splitlines() == [
        "read        3 events, 3 IDs and 2 people of the plan",
        "planned     4 events",
        "altered     events.ndjson: not as written",
    ]


def test_what_is_no_migration_is_not_verified() -> None:
    assert "plan.json is missing" in error_of("migrate", "--verify", ".")
    assert "plan.json is missing" in error_of("migrate", "--verify", "no-such-place")
    run("migrate", "e.ndjson", "-o", "new")
    Path("new/mapping.ndjson").write_text("{}\n", encoding="utf-8")
    assert error_of("migrate", "--verify", "new") == (
        "new/mapping.ndjson:1: the line is no row of a planned mapping"
    )
    Path("new/plan.json").write_text('{"format": 1}', encoding="utf-8")
    assert "the report lacks events" in error_of("migrate", "--verify", "new")
    Path("new/plan.json").write_text('{"format": 9}', encoding="utf-8")
    assert "format 9, and this version reads 1" in error_of("migrate", "--verify", "new")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'FILE...'."),
        (["e.ndjson"], "name a directory by -o, or give --dry-run; one of the two"),
        (["e.ndjson", "-o", "new", "--dry-run"], "name a directory by -o, or give --dry-run; one of the two"),
        (["e.ndjson", "--verify", "new"], "--verify checks a directory alone; leave files and outputs out"),
        (["e.ndjson", "--dry-run", "--report", "r.txt"], "'r.txt' must end with .json or .html"),
        (["e.ndjson", "--dry-run", "--user-id", "("], "user_id is no regular expression: "),
        (["e.ndjson", "--dry-run", "--floor", "soon"], "floor must be a time such as "),
        (
            ["e.ndjson", "--dry-run", "--min-recovery", "90"],
            "Invalid value for '--min-recovery': '90' is no number",
        ),
        (["in/e.ndjson", "-o", "in"], "'in/e.ndjson' is in in, which would be replaced"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_says_what_is_wrong(arguments: list[str], message: str) -> None:
    Path("in").mkdir()
    Path("in/plan.json").write_text("{}", encoding="utf-8")
    Path("in/events.ndjson").write_bytes(Path("e.ndjson").read_bytes())
    arguments = ["in/events.ndjson" if each == "in/e.ndjson" else each for each in arguments]
    assert error_of("migrate", *arguments, code=2).startswith(message.replace("in/e.", "in/events."))
    assert not Path("new").exists()


def test_bad_lines_are_named_with_file_and_line() -> None:
    with Path("e.ndjson").open("ab") as file:
        file.write(b'{\n{"event": "$identify", "properties": {"distinct_id": "ana"}}\n')
    result = run("migrate", "e.ndjson", "-o", "new")
    assert [line for line in result.stderr.splitlines() if line.startswith("malformed: ")] == [
        (
            "malformed: e.ndjson:5: the event is no JSON: Expecting property name enclosed in double "
            "quotes (column 2)"
        ),
        "malformed: e.ndjson:6: $identify has no $anon_id or $anon_distinct_id",
    ]
    assert "malformed   2 lines passed over" in result.stderr
    assert error_of("migrate", "e.ndjson", "-o", "strict", "--strict").startswith("e.ndjson:5: ")
    assert not Path("strict").exists()


def test_nothing_to_migrate_is_said_in_one_line() -> None:
    for content in (b"", b"\n\n"):
        Path("e.ndjson").write_bytes(content)
        result = run("migrate", "e.ndjson", "-o", "new")
        assert result.stdout == ""
        [line] = [line for line in result.stderr.splitlines() if "nothing" in line]
        assert line.endswith("nothing to migrate: there is no event and no ID; nothing was written")
        assert not Path("new").exists()


def test_events_without_links_or_ids_are_said_in_one_line() -> None:
    Path("e.ndjson").write_bytes(ndjson([view("ana"), view(D1)]))
    assert "no event states a link" in run("migrate", "e.ndjson", "--dry-run").stderr
    Path("e.ndjson").write_bytes(ndjson([view(None), view("")]))
    assert "none of 2 events has an ID (distinct_id)" in run("migrate", "e.ndjson", "--dry-run").stderr


def test_a_directory_of_a_migration_is_replaced_and_no_other_one() -> None:
    run("migrate", "e.ndjson", "-o", "new")
    Path("e.ndjson").write_bytes(ndjson([view("ben")]))
    run("migrate", "e.ndjson", "-o", "new")
    assert Path("new/associations.ndjson").read_text(encoding="utf-8") == ""
    Path("new/mine.txt").touch()
    for _ in range(2):
        message = error_of("migrate", "e.ndjson", "-o", "new")
        assert message.endswith("the directory holds other files; name a new one, or empty it first")
    assert "mine.txt" in names("new")
    Path("file").touch()
    assert error_of("migrate", "e.ndjson", "-o", "file").endswith("there is a file; name a new directory")


def test_a_run_that_is_interrupted_leaves_nothing() -> None:
    Path("e.ndjson").write_bytes(ndjson(events(60_000)))
    command = [sys.executable, "-m", "idmerge", "migrate", "e.ndjson", "-o", "new"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and not any(name.startswith(".") for name in names(".")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert names(".") == ["e.ndjson"]


def test_a_migration_of_generated_events_verifies() -> None:
    Path("e.ndjson").write_bytes(ndjson(events(20_000, seed=7)))
    result = run("migrate", "e.ndjson", "-o", "new", "--sort")
    assert re.search(r"recovery +\d+\.\d %", result.stdout)
    assert run("migrate", "--verify", "new").stdout.startswith("verified ")
