"""``idmerge bench``: its charts, its files, and its check that a fast answer is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import command_line
import idmerge
from idmerge import Kind, Outcome, reference
from idmerge._benchmark import measuring
from idmerge._benchmark.plain_dict import DictResolver
from idmerge.cli.commands import bench

FEW = ["--ids", "500"]


run = partial(command_line.run, "bench")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "ROUNDS", 1)


@pytest.mark.usefixtures("quick")
def test_it_draws_every_way_with_its_rate_and_a_bar() -> None:
    lines = run(*FEW).stdout.splitlines()
    assert lines[0].startswith(f"versions    idmerge {idmerge.__version__}, python ")
    assert lines[-1] == "answers     all agree"
    bars = [line for line in lines if "█" in line or "#" in line]
    assert [line.split("  ")[1] for line in bars] == [
        "idmerge link_many, Arrow",
        "idmerge link_many, lists",
        "idmerge one call a link",
        "dict with the same rules",
        "idmerge resolve_many, Arrow",
        "idmerge resolve_many, list",
        "idmerge one call a look-up",
        "dict with the same rules",
        "dict of the finished mapping",
    ]


def test_nothing_but_the_drawing_is_printed_into_a_pipe() -> None:
    command = [sys.executable, "-m", "idmerge", "bench", *FEW]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout


def test_a_terminal_without_blocks_gets_bars_of_another_mark() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "idmerge", "bench", *FEW]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "####" in printed
    assert "\\u" not in printed


@pytest.mark.usefixtures("quick")
def test_the_file_holds_what_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    drawn = run(*FEW, "-o", path).stdout
    figures = json.loads(path.read_text(encoding="utf-8"))
    assert figures["versions"]["idmerge"] == idmerge.__version__
    assert f"{figures['links']:,} links, {figures['rejected']:,} rejected, {figures['ids']:,} IDs" in drawn
    for row in figures["links_a_second"] + figures["look_ups_a_second"]:
        assert f"{row['rate'] / 1e6:.2f}  " in drawn


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_drawing_keeps_to_the_width_of_the_terminal(width: int) -> None:
    rows = [
        {"way": "dict of the finished mapping", "ours": False, "rate": 1},
        {"way": "x", "ours": True, "rate": 999_999_999},
    ]
    figures: dict[str, Any] = {
        "versions": {"idmerge": "0"},
        "system": "Linux",
        "cores": 1,
        "links": 1,
        "rejected": 0,
        "ids": 2,
        "links_a_second": rows,
        "look_ups_a_second": rows,
        "bytes_an_id": None,
    }
    lines = list(bench.drawing(figures, width))
    assert max(map(len, (line for line in lines if "\x1b" not in line))) <= width


@pytest.mark.usefixtures("quick")
def test_a_wrong_answer_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: DictResolver, kind: Kind, first: str, second: str) -> Outcome:
        del self, kind, first, second
        return Outcome.MERGED

    monkeypatch.setattr(DictResolver, "link", wrong)
    result = run(*FEW, code=1)
    assert result.stderr == (
        "idmerge: error: 'dict with the same rules' and 'link_many, Arrow' differ in their answers\n"
    )


def test_without_pyarrow_lists_alone_are_measured() -> None:
    program = (
        "import importlib.util as u, sys; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'pyarrow' else find(name, *rest)\n"
        "from idmerge.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "bench", *FEW]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "link_many, lists" in printed
    assert "rrow" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--ids", "99"], "is not in the range"), (["--ids", "many"], "is not a valid integer")],
)
def test_a_wrong_call_is_refused(arguments: list[str], message: str) -> None:
    assert message in run(*arguments, code=2).output


def test_the_links_are_the_same_each_time_and_of_every_kind() -> None:
    links = measuring.made_links(2000)
    assert links == measuring.made_links(2000)
    assert {link.kind for link in links} == {Kind.IDENTIFY, Kind.ALIAS, Kind.MERGE}


def test_the_dict_resolver_answers_as_the_reference_does() -> None:
    links = measuring.made_links(5000)
    plain, judge = DictResolver(), reference.Resolver()
    columns = [link.kind for link in links], [link.first for link in links], [link.second for link in links]
    answered = plain.link_many(*columns)
    assert answered == judge.link_many(*columns).outcomes.tolist()
    assert len(set(answered)) >= 5
    known = judge.mapping()
    assert list(plain.parent) == known["distinct_id"]
    assert [plain.resolve(text) for text in plain.parent] == known["canonical_id"]
