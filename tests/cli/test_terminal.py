"""Control characters in input: every character of a message is one that is printed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from every_command import Parameter, parameters
from idmerge import DurableResolver
from idmerge._naming import named, visible
from idmerge.cli.group import commands
from idmerge.errors import FileFormatError, IdmergeError, UnknownIdError
from idmerge.files import read

HOSTILE = "x\x1b]0;t\x07\x1b[31m\x9b1m\u202eb\u2066\n\r\x7f\u200b\x08y"
"""A title, colours by C0 and C1, overrides of direction, ends of line, DEL, no width, backspace."""
SHOWN = r"x\x1b]0;t\x07\x1b[31m\x9b1m\u202eb\u2066\n\r\x7f\u200b\x08y"
PLAIN = {"\n"}


@pytest.fixture(autouse=True)
def in_a_folder_with_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    events = [
        {"event": "$merge", "properties": {"$distinct_ids": ["a", HOSTILE], "time": 1}},
        {"event": "$identify", "properties": {"$anon_id": HOSTILE, "$identified_id": "b", "time": 1}},
        {"event": "$merge", "properties": {"$distinct_ids": [HOSTILE, {HOSTILE: 1}], "time": 1}},
        {"event": HOSTILE, "properties": {"distinct_id": HOSTILE, "time": 2, f"p{HOSTILE}": HOSTILE}},
        {"event": "Sign Up", "properties": {"distinct_id": "a", "time": 2, "$insert_id": HOSTILE}},
    ]
    text = "".join(f"{json.dumps(event)}\n" for event in events) + f'{{"{HOSTILE}"\n'
    for name in ("e.ndjson", f"{HOSTILE}.ndjson"):
        Path(name).write_text(text, encoding="utf-8", newline="")
    updates = [{"$distinct_id": HOSTILE, "$set": {f"p{HOSTILE}": HOSTILE}}, {"$distinct_id": HOSTILE}]
    Path("u.ndjson").write_text("".join(f"{json.dumps(update)}\n" for update in updates), encoding="utf-8")
    with DurableResolver.open("ids.idmerge") as resolver:
        resolver.merge("a", HOSTILE)
        resolver.merge(HOSTILE, "b")
        resolver.identify(HOSTILE, "c")
        resolver.commit({HOSTILE: HOSTILE})


def run(call: list[str]) -> Result:
    return CliRunner().invoke(commands, call, prog_name="idmerge")


def unprinted(text: str) -> set[str]:
    return {one for one in text if not one.isprintable()} - PLAIN


def test_an_escape_stands_for_each_character_that_is_not_printed() -> None:
    assert visible(HOSTILE) == SHOWN
    assert visible("Zoë \N{FOX FACE} 東京") == "Zoë \N{FOX FACE} 東京"
    assert named(f"{HOSTILE}.csv") == f"{SHOWN}.csv"
    assert named(b"a\xff") == r"a\udcff"


def test_errors_show_names_and_ids_with_escapes() -> None:
    for error in (IdmergeError(HOSTILE), UnknownIdError(HOSTILE), FileFormatError(f"{HOSTILE}: x")):
        assert not unprinted(str(error))
        assert "\n" not in str(error)
    Path(f"{HOSTILE}.csv").write_text("left\n", encoding="utf-8")
    with pytest.raises(FileFormatError) as raised:
        list(read(f"{HOSTILE}.csv"))
    assert str(raised.value).startswith(f"{SHOWN}.csv: ")
    with pytest.raises(FileNotFoundError) as missing:
        DurableResolver.open(f"no {HOSTILE}", read_only=True)
    assert str(missing.value) == f"no {SHOWN}: there is no such journal"


@pytest.mark.parametrize("parameter", [*parameters()], ids=str)
@pytest.mark.parametrize("value", [HOSTILE, f"{HOSTILE}.ndjson"])
def test_no_message_steers_the_terminal_whatever_a_parameter_is(parameter: Parameter, value: str) -> None:
    result = run(parameter.calls(value)[-1])
    assert not unprinted(result.stderr), result.stderr
    assert isinstance(result.exception, SystemExit | None), result.exception


@pytest.mark.parametrize(
    "call",
    [
        ["show", "a", "e.ndjson", f"{HOSTILE}.ndjson"],
        ["show", "a", "ids.idmerge"],
        ["why", "a", HOSTILE, "ids.idmerge"],
        ["journal", "ids.idmerge"],
        ["doctor", f"{HOSTILE}.ndjson"],
        ["doctor", f"{HOSTILE}.ndjson", "--format", "json"],
        ["doctor", f"{HOSTILE}.ndjson", "--format", "html"],
        ["doctor", "ids.idmerge"],
        ["ask", "conversion", "e.ndjson", "--from", HOSTILE, "--to", HOSTILE, "--by", f"p{HOSTILE}"],
        ["ask", "attribution", "e.ndjson", "--purchase", HOSTILE, "--campaign", f"p{HOSTILE}", "--sql"],
    ],
    ids=lambda call: " ".join(call[:2]),
)
def test_no_report_steers_the_terminal(call: list[str]) -> None:
    result = run(call)
    assert not unprinted(result.stdout), result.stdout
    assert not unprinted(result.stderr), result.stderr


CSV_CALLS = [
    ["resolve", "e.ndjson"],
    ["mapping", "ids.idmerge"],
    ["changes", "ids.idmerge", "--since", "0"],
    ["retract", "--dry-run", "0", "ids.idmerge"],
    ["profiles", "u.ndjson", "--events", "e.ndjson"],
]


@pytest.mark.parametrize("call", CSV_CALLS, ids=lambda call: call[0])
def test_csv_is_shown_with_escapes_on_a_terminal_and_exact_in_a_pipe(call: list[str]) -> None:
    command = [sys.executable, "-m", "idmerge", *call]
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # How Linux says that nobody writes any more.
            pass
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode().replace("\r\n", "\n")  # Which the terminal's driver makes of each.
    assert SHOWN in text
    assert not unprinted(text), text
    piped = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    assert HOSTILE in piped
