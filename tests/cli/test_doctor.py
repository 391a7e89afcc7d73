"""``idmerge doctor``: formats and exit codes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import command_line
from command_line import ndjson
from idmerge import DurableResolver
from paths import DOCS

D1 = "5f0c1e2a-7b3d-4c58-9a61-2e8f4d7b9c03"
D2 = "b81d64f7-0a92-4e3b-8c5d-71f6a3e0d294"


def identify(anonymous: str, user: str, number: int) -> dict[str, Any]:
    properties = {"time": 1_704_067_200 + number, "$insert_id": str(number)}
    return {
        "event": "$identify",
        "properties": {**properties, "distinct_id": user, "$anon_distinct_id": anonymous},
    }


HEALTHY = [identify(D1, "ada", 1), identify(D2, "grace", 2)]
SHARED = [*HEALTHY, identify(D1, "grace", 3)]
ANSWER = f"""\
read        f.ndjson
events      3
IDs         4 in 2 clusters
links       3, of which 1 rejected
                    2  MERGED
                    1  ANON_CLAIMED

ERROR   shared-device
  1 anonymous ID that a user had claimed came up with further users
  0 events touched (0.0 %), 1 link
    f.ndjson:3  {D1}  grace  (1 identify of 1 further user refused)
  change: Call reset() when a user logs out, so that the next user has an anonymous ID of their own;
          until then only the first user of the device gets its anonymous events.

not looked for
  anonymous-profile: no profile updates were given (--profiles FILE)
  merge-by-track: links in files count as imported; a journal knows the route of each
"""


run = partial(command_line.run, "doctor")


@pytest.fixture(autouse=True)
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.ndjson").write_bytes(ndjson(SHARED))
    Path("healthy.ndjson").write_bytes(ndjson(HEALTHY))


def test_text_is_readable_without_colour() -> None:
    assert run("f.ndjson").stdout == ANSWER


def test_standard_input_is_read_twice_too() -> None:
    assert run("-", stdin=ndjson(SHARED)).stdout == ANSWER.replace("f.ndjson", "<stdin>")


def test_a_healthy_file_is_told_so() -> None:
    assert "Nothing is wrong here: every link holds" in run("healthy.ndjson").stdout


def test_json_holds_what_the_document_lists() -> None:
    told = json.loads(run("f.ndjson", "--format", "json").stdout)
    assert list(told) == ["overview", "findings", "not_looked_for"]
    document = (DOCS / "doctor.md").read_text(encoding="utf-8")
    table = document[document.index("## As JSON") :]
    (finding,) = told["findings"]
    for field in [*told, *told["overview"], *finding, *finding["examples"][0]]:
        assert f"`{field}`" in table, field
    assert finding["examples"] == [
        {
            "ids": [D1, "grace"],
            "note": "1 identify of 1 further user refused",
            "file": "f.ndjson",
            "line": 3,
            "position": None,
        }
    ]


@pytest.mark.parametrize(
    ("file", "grade", "code"),
    [("f.ndjson", "error", 1), ("f.ndjson", "warning", 1), ("healthy.ndjson", "warning", 0)],
)
def test_fail_on_makes_a_finding_an_exit_code(file: str, grade: str, code: int) -> None:
    assert run(file, "--fail-on", grade, code=code).stdout.startswith(f"read        {file}\n")


def test_a_warning_does_not_fail_where_only_errors_should() -> None:
    Path("f.ndjson").write_bytes(ndjson([*HEALTHY, HEALTHY[0]]))
    run("f.ndjson", "--fail-on", "error")
    run("f.ndjson", "--fail-on", "warning", code=1)


def test_a_file_takes_the_answer_and_is_whole_or_not_there() -> None:
    assert run("f.ndjson", "-o", "answer.txt").stdout == ""
    assert Path("answer.txt").read_text(encoding="utf-8") == ANSWER
    run("missing.ndjson", "-o", "other.txt", code=1)
    assert not Path("other.txt").exists()


def test_what_is_read_is_not_written_over() -> None:
    assert "would be read and written over" in run("f.ndjson", "-o", "f.ndjson", code=2).stderr
    assert Path("f.ndjson").read_bytes() == ndjson(SHARED)


def test_a_directory_is_read_as_its_files_are() -> None:
    place = Path("exports/2024/b.ndjson")
    place.parent.mkdir(parents=True)
    place.write_bytes(ndjson(SHARED))
    Path("exports/notes.txt").write_text("no events")
    assert run("exports").stdout == ANSWER.replace("f.ndjson", str(place))
    assert "would be read and written over" in run("exports", "-o", place, code=2).stderr
    Path("none").mkdir()
    assert "none: the directory holds no events" in run("none", code=1).stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "the files hold no events"), ("kind,first,second\nmerge,a,b\n", "links and no events")],
)
def test_what_holds_nothing_is_not_said_to_hold_links(text: str, reason: str) -> None:
    name = "links.csv" if text else "empty.ndjson"
    Path(name).write_text(text)
    told = run(name).stdout
    assert f"{reason}; read the files of events" in told
    assert ("hold links" in told) == bool(text)


def test_the_policy_and_the_limits_are_options() -> None:
    assert "shared-device" not in run("f.ndjson", "--anon-guard", "off").stdout
    assert "hub-id" in run("f.ndjson", "--partners", "1").stdout
    run("f.ndjson", "--events-a-day", "0", code=2)


def test_profiles_are_an_option() -> None:
    Path("engage.json").write_text(
        json.dumps([{"$distinct_id": f"$device:{D1}", "$set": {}}]), encoding="utf-8"
    )
    stdout = run("f.ndjson", "--profiles", "engage.json").stdout
    assert f"engage.json:1  $device:{D1}  (by $set)" in stdout


def test_a_journal_is_looked_at_alone() -> None:
    with DurableResolver.open("ids.idmerge") as resolver:
        resolver.identify(D1, "ada")
        resolver.identify(D1, "grace")
        resolver.commit()
    assert f"  position 1  {D1}  grace  (" in run("ids.idmerge").stdout
    assert "alone" in run("ids.idmerge", "f.ndjson", code=2).stderr
    assert "leave out their options" in run("ids.idmerge", "--anon-guard", "off", code=2).stderr
    assert "--profiles goes with files" in run("ids.idmerge", "--profiles", "f.ndjson", code=2).stderr
