"""``--json`` and ``--quiet`` of every command: one object with the documented keys, and silence."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import click
import pytest

from command_line import ndjson, run
from every_command import leaves
from idmerge import DurableResolver
from idmerge.cli.messages import give
from idmerge.server.server import Server
from paths import DOCS

CALLS: dict[str, list[str]] = {
    "resolve": ["resolve", "e.ndjson", "-o", "m.csv"],
    "stitch": ["stitch", "e.ndjson", "-o", "s.parquet"],
    "ask signup-rate": ["ask", "signup-rate", "e.ndjson"],
    "ask attribution": ["ask", "attribution", "e.ndjson"],
    "ask conversion": ["ask", "conversion", "e.ndjson"],
    "ask funnel": ["ask", "funnel", "e.ndjson", "--step", "Read Post", "--step", "Sign Up"],
    "ask retention": ["ask", "retention", "e.ndjson"],
    "doctor": ["doctor", "e.ndjson"],
    "report": ["report", "e.ndjson"],
    "init": ["init", "e.ndjson"],
    "profiles": ["profiles", "u.ndjson", "--events", "e.ndjson", "-o", "p.csv"],
    "migrate": ["migrate", "e.ndjson", "-o", "simplified"],
    "show": ["show", "a", "ids.idmerge"],
    "why": ["why", "a", "b", "ids.idmerge"],
    "journal": ["journal", "ids.idmerge"],
    "mapping": ["mapping", "ids.idmerge", "-o", "m.csv"],
    "changes": ["changes", "ids.idmerge", "--since", "0", "-o", "c.csv"],
    "sink": ["sink", "ids.idmerge", "ndjson:copy"],
    "verify": ["verify", "ids.idmerge"],
    "retract": ["retract", "0", "ids.idmerge"],
    "keep-apart": ["keep-apart", "a", "z", "ids.idmerge"],
    "forget": ["forget", "a", "ids.idmerge", "--confirm"],
    "compact": ["compact", "ids.idmerge"],
    "serve": ["serve", "served", "--port", "0"],
    "inspect": ["inspect", "e.ndjson"],
    "generate": ["generate", "--events", "3", "-o", "g.ndjson"],
    "bench": ["bench", "--ids", "100"],
}
"""A call of each command that leaves standard output to its object, if the command can."""
TO_STDOUT = {"retract", "forget"}
"""Commands whose data always go to standard output, so that their object goes to standard error."""
PAGE = (DOCS / "json.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    merge = {"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}}
    asked = {"distinct_id": "b", "time": 1_700_000_000, "amount": 5, "utm_campaign": "x", "post": "y"}
    acts = [{"event": name, "properties": asked} for name in ("Read Post", "Sign Up", "Purchase")]
    Path("e.ndjson").write_bytes(ndjson([merge, *acts]))
    Path("u.ndjson").write_bytes(ndjson([{"$distinct_id": "a", "$set": {"plan": "free"}}]))
    with DurableResolver.open("ids.idmerge") as resolver:
        resolver.merge("a", "b")
        resolver.commit()


def documented(name: str) -> set[str]:
    """Return the keys that the page lists for a command."""
    name = "ask signup-rate" if name.startswith("ask ") else name
    (section,) = re.findall(rf"^### {name}\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}


def the_object(text: str) -> dict[str, Any]:
    (line,) = text.splitlines()
    assert line.isascii()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def test_every_command_is_called() -> None:
    assert {" ".join(name) for name, _ in leaves()} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_json_is_one_object_with_the_documented_keys(name: str) -> None:
    result = run(*CALLS[name], "--json", "--quiet")
    found = the_object(result.stderr if name in TO_STDOUT else result.stdout)
    assert (found.pop("command"), found.pop("notes")) == (name, [])
    assert set(found) == documented(name)
    if name not in TO_STDOUT:
        assert result.stderr == ""


@pytest.mark.parametrize("name", CALLS)
def test_quiet_leaves_standard_output_as_it_is_and_says_nothing_else(name: str) -> None:
    result = run(*CALLS[name], "--quiet")
    assert result.stderr == ""
    assert (result.stdout != "") == (
        name
        not in {
            "resolve",
            "stitch",
            "profiles",
            "mapping",
            "changes",
            "sink",
            "keep-apart",
            "compact",
            "generate",
            "init",
        }
    )


@pytest.mark.parametrize(
    "call",
    [
        ["resolve", "e.ndjson"],
        ["stitch", "e.ndjson", "-o", "-"],
        ["ask", "signup-rate", "e.ndjson", "-o", "-"],
        ["profiles", "u.ndjson", "--events", "e.ndjson"],
        ["mapping", "ids.idmerge"],
        ["changes", "ids.idmerge", "--since", "0"],
        ["generate", "--events", "3"],
    ],
    ids=lambda call: call[0],
)
def test_beside_data_the_object_goes_to_standard_error(call: list[str]) -> None:
    plain = run(*call, "--quiet")
    result = run(*call, "--json", "--quiet")
    assert result.stdout == plain.stdout != ""
    assert the_object(result.stderr)["output"] is None


ON_DIRECTORY = [
    ["profiles", "served", "-o", "p.csv"],
    ["stitch", "served", "-o", "s.parquet"],
    ["ask", "signup-rate", "served"],
    ["doctor", "served"],
    ["report", "served"],
    ["journal", "served"],
    ["mapping", "served", "-o", "m.csv"],
    ["changes", "served", "--since", "0", "-o", "c.csv"],
    ["sink", "served", "ndjson:copy"],
    ["show", "a", "served"],
    ["why", "a", "b", "served"],
    ["compact", "served"],
    ["forget", "b", "served", "--confirm"],
]
"""Calls of the commands that take a server's directory."""


@pytest.mark.parametrize("call", ON_DIRECTORY, ids=lambda call: call[0])
def test_a_servers_directory_gives_the_same_keys(call: list[str]) -> None:
    Path("served").mkdir()
    Path("served/idmerge.toml").write_text('[[project]]\nname = "shop"\ntoken = "t"\nsecret = "s"\n')
    Server("served").close()
    Path("ids.idmerge").replace("served/ids.idmerge")
    quiet = run(*call, "--quiet")
    assert quiet.stderr == ""
    if call[0] == "forget":
        call = ["forget", "a", *call[2:]]
    result = run(*call, "--json", "--quiet")
    found = the_object(result.stdout)
    assert result.stderr == ""
    assert set(found) - {"command", "notes"} == documented(found["command"])


def test_notes_and_warnings_are_in_the_object() -> None:
    Path("e.ndjson").write_bytes(ndjson([{"event": "x", "properties": {"distinct_id": "b"}}]))
    result = run("resolve", "e.ndjson", "--json", "-o", "m.csv")
    (note,) = the_object(result.stdout)["notes"]
    assert note == "no event states a link, so each ID is a person of its own"
    assert note in result.stderr


def test_an_error_is_printed_under_quiet_and_gives_no_object() -> None:
    result = run("show", "nobody", "ids.idmerge", "--json", "--quiet", code=1)
    assert (result.stdout, result.stderr) == ("", "idmerge: error: 'nobody' is not known\n")
    assert "Usage" in run("show", "--quiet", code=2).stderr


def test_a_damaged_journal_is_described_before_the_error() -> None:
    content = bytearray(Path("ids.idmerge").read_bytes())
    place = content.index(b"first")  # A column of the block of steps.
    content[place] ^= 1
    Path("ids.idmerge").write_bytes(content)
    result = run("verify", "ids.idmerge", "--json", "--salvage", "new.idmerge", "--quiet", code=1)
    found = the_object(result.stdout)
    assert (found["whole"], found["salvaged"]) == (False, "new.idmerge")
    assert found["damage"] in result.stderr


def test_the_statement_of_a_question_has_the_keys_of_its_answer() -> None:
    found = the_object(run("ask", "signup-rate", "--sql", "--json").stdout)
    assert set(found) - {"command", "notes"} == documented("ask signup-rate")
    assert "SELECT" in found["sql"].upper()
    assert found["rows"] is None


def test_a_verified_migration_has_the_keys_of_a_migration() -> None:
    run("migrate", "e.ndjson", "-o", "simplified")
    found = the_object(run("migrate", "--verify", "simplified", "--json").stdout)
    assert set(found) - {"command", "notes"} == documented("migrate")
    assert found["verified"]["is_right"] is True


def test_doctor_takes_no_other_format_beside_json() -> None:
    assert "leave --format out" in run("doctor", "e.ndjson", "--json", "--format", "html", code=2).stderr
    found = the_object(run("doctor", "e.ndjson", "--json", "--format", "html", "-o", "c.html").stdout)
    assert found["overview"]["events"] == 4
    assert "<html" in Path("c.html").read_text(encoding="utf-8")


def test_ids_that_could_steer_a_terminal_are_escaped() -> None:
    with DurableResolver.open("ids.idmerge") as resolver:
        resolver.merge("a", "\x1b[2J\u202eé")
        resolver.commit()
    result = run("show", "a", "ids.idmerge", "--json")
    assert the_object(result.stdout)["members"] == ["a", "b", "\x1b[2J\u202eé"]


def test_a_name_that_is_no_unicode_gives_text_that_every_parser_takes() -> None:
    Path(os.fsdecode(b"caf\xe9")).mkdir()
    result = run("resolve", "e.ndjson", "-o", os.fsdecode(b"caf\xe9/m.csv"), "--json")
    assert the_object(result.stdout)["output"] == "caf\ufffd/m.csv"
    assert Path(os.fsdecode(b"caf\xe9/m.csv")).exists()
    assert the_object(run("show", "b", "ids.idmerge", "--json").stdout)["canonical_id"] == "a"


def test_a_number_that_json_has_not_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    context = click.Context(click.Command("x"), info_name="idmerge")
    with click.Context(click.Command("ask"), parent=context, info_name="ask") as asked:
        asked.meta["idmerge.json"] = True
        give({"rows": [{"rate": float("nan"), "most": float("inf"), "name": "NaN"}]})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "command": "ask",
        "rows": [{"rate": None, "most": None, "name": "NaN"}],
        "notes": [],
    }
