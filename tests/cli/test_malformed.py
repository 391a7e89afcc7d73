"""Malformed lines on standard error: few are listed, all are counted, and the summary is last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from command_line import ndjson, run
from idmerge.cli import malformed

DEVICE = "5f0c1e2a-7b3d-4c58-9a61-2e8f4d7b9c03"
LINK = ndjson([{"event": "$identify", "properties": {"$anon_id": DEVICE, "$identified_id": "ana"}}])
NO_JSON = b"{\n"
NO_OPERAND = ndjson([{"event": "$identify", "properties": {"$anon_id": None, "$identified_id": "x"}}])
UPDATE = ndjson([{"$distinct_id": "ana", "$set": {"plan": "pro"}}])

COMMANDS: dict[str, list[str]] = {
    "resolve": ["resolve", "bad", "-o", "mapping.csv"],
    "stitch": ["stitch", "bad", "-o", "out.parquet"],
    "ask": ["ask", "signup-rate", "bad", "--signup", "$identify"],
    "profiles": ["profiles", "updates", "--events", "bad", "-o", "people.csv"],
    "show": ["show", "ana", "bad"],
}
"""A call of each command that lists malformed lines."""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("updates").write_bytes(UPDATE)


def told(call: list[str], lines: list[bytes], *more: str) -> tuple[list[str], list[str]]:
    """Return the malformed lines that a command lists, and what it prints behind them."""
    Path("bad").write_bytes(b"".join(lines))
    printed = run(*call, *more).stderr.splitlines()
    listed = [line for line in printed if line.startswith("malformed: ")]
    assert printed[: len(listed)] == listed, "the lines stand before all else"
    return listed, printed[len(listed) :]


def block(lines: list[str]) -> list[str]:
    """Return the lines of a summary on what is malformed."""
    start = next(place for place, line in enumerate(lines) if line.startswith("malformed"))
    end = start + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return lines[start:end]


@pytest.mark.parametrize("call", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("links", [0, 1])
def test_ten_thousand_malformed_lines_are_three_and_a_count(call: list[str], links: int) -> None:
    event = "$identify" if call[0] == "ask" else "x"
    link = LINK if links else ndjson([{"event": event, "properties": {"distinct_id": "ana"}}])
    listed, after = told(call, [link, *[NO_JSON] * 10_000])
    assert [line.split(":")[2] for line in listed] == ["2", "3", "4"]
    assert block(after) == [
        "malformed   10,000 lines passed over, 9,997 of them not listed (--list-malformed lists all)",
        "             10,000  the event is no JSON",
    ]
    assert len(after) < 20


@pytest.mark.parametrize("command", ["resolve", "stitch", "profiles"])
def test_each_kind_is_listed_and_counted_by_itself(command: str) -> None:
    listed, after = told(COMMANDS[command], [LINK, *[NO_JSON] * 12, *[NO_OPERAND] * 8])
    if command == "profiles":  # Which counts a link that is none among the links.
        assert block(after)[1:] == ["                 12  the event is no JSON"]
        return
    assert [line.split(":")[2] for line in listed] == ["2", "3", "4", "14", "15", "16"]
    assert block(after) == [
        "malformed   20 lines passed over, 14 of them not listed (--list-malformed lists all)",
        "                 12  the event is no JSON",
        "                  8  $anon_id of $identify must be a string or an integer",
    ]


@pytest.mark.parametrize("call", COMMANDS.values(), ids=COMMANDS)
def test_what_is_listed_whole_is_counted_in_one_line(call: list[str]) -> None:
    listed, after = told(call, [LINK, NO_JSON])
    assert listed == [
        "malformed: bad:2: the event is no JSON: Expecting property name enclosed in double quotes (column 2)"
    ]
    assert block(after) == ["malformed   1 line passed over"]


@pytest.mark.parametrize("call", COMMANDS.values(), ids=COMMANDS)
def test_all_are_listed_if_that_is_wanted(call: list[str]) -> None:
    listed, after = told(call, [LINK, *[NO_JSON] * 50], "--list-malformed")
    assert [line.split(":")[2] for line in listed] == [str(line) for line in range(2, 52)]
    assert block(after) == ["malformed   50 lines passed over"]


def test_many_kinds_list_ten_lines_and_name_the_most_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(malformed, "OF_A_KIND", 2)
    kinds: list[bytes] = []
    for number, name in enumerate(("$identify", "$create_alias")):
        for key in ("$anon_id", "alias"):
            kinds += ndjson([{"event": name, "properties": {key: number}}]).splitlines(keepends=True)
    rows: list[Any] = [[1], "text", 7, None]
    kinds += ndjson(rows).splitlines(keepends=True)
    kinds.append(NO_JSON)
    listed, after = told(COMMANDS["resolve"], [LINK, *[kind for kind in kinds for _ in range(9)]])
    assert len(listed) <= malformed.SHOWN + len(kinds)
    counts = [int(line.split()[0].replace(",", "")) for line in block(after)[1:]]
    assert sum(counts) == 9 * len(kinds)
    assert len(counts) <= malformed.KINDS + 1


def test_the_first_line_of_each_kind_is_listed_up_to_twenty_kinds() -> None:
    with click.Context(click.Command("resolve")):
        lines = malformed.MalformedLines()
        for number in range(3 * 25):
            lines.add("bad", number + 1, f"kind {number // 3}: such")
        told = [*lines.lines()]
    assert lines.count == 75
    hidden = 75 - (3 * 3 + 1 + 16)
    assert f"{hidden} of them not listed" in told[0]


def test_a_kind_that_comes_late_keeps_its_file_and_line() -> None:
    kinds = [ndjson([row]) for row in ([1], "text", 7, None)]
    assert len(kinds) == 4
    names = ("$identify", "$create_alias", "$merge")
    kinds += [ndjson([{"event": name, "properties": {}}]) for name in names]
    lines = [kind for kind in [NO_JSON, *kinds] for _ in range(5)]
    listed, after = told(COMMANDS["resolve"], [LINK, *lines])
    counted = [int(line.split()[0].replace(",", "")) for line in block(after)[1:]]
    assert sum(counted) == len(lines)
    messages = {
        line.split(":", 3)[3].split(",")[0]
        for line in run("resolve", "bad", "--list-malformed").stderr.splitlines()
        if line.startswith("malformed: ")
    }
    assert {line.split(":", 3)[3].split(",")[0] for line in listed} == messages


def test_the_summary_is_the_last_thing_and_its_last_line_the_output() -> None:
    odd = ndjson([{"event": "x", "properties": {"distinct_id": ["no", "ID"]}}])
    for command, label in (("resolve", "written"), ("stitch", "written"), ("profiles", "written")):
        _, after = told(COMMANDS[command], [LINK, odd, *[NO_OPERAND] * 30])
        notes = [place for place, line in enumerate(after) if line.startswith("note ")]
        read = next(place for place, line in enumerate(after) if line.startswith("read "))
        assert notes, command
        assert max(notes) < read
        assert after[-1].startswith(label), command


def test_empty_files_are_named_up_to_three() -> None:
    names = [f"empty{number}.ndjson" for number in range(30)]
    for name in names:
        Path(name).write_bytes(b"")
    Path("bad").write_bytes(LINK)
    printed = run("resolve", "bad", *names).stderr
    assert printed.count("is empty: there is no event in it") == 3
    assert "note        27 more files likewise\n" in printed
