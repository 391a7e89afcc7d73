"""Reading and reporting instruction counts; the counting itself needs valgrind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benches.reports import instructions
from benches.reports.instructions import (
    KERNELS,
    RECORD,
    ROOT,
    UNITS,
    UncountedError,
    executable,
    grown,
    total,
    units,
)

PROFILE = """\
# callgrind format
version: 1
cmd:  instructions settle 100000

positions: line
events: Ir
summary: 26280912

fn=(1) kernel_settle
16 12

totals: 26280912
"""


def test_the_total_of_a_profile_is_its_last_line() -> None:
    assert total(PROFILE) == 26_280_912


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (PROFILE.replace("totals:", "total:"), "no total"),
        (PROFILE.replace("Ir", "Dr Ir"), "no total"),
        ("", "no total"),
        (PROFILE.replace("totals: 26280912", "totals: 0"), "no function has the kernel's name"),
    ],
)
def test_a_profile_without_instructions_is_refused(profile: str, message: str) -> None:
    with pytest.raises(UncountedError, match=message):
        total(profile)


def test_the_program_is_the_one_that_cargo_names() -> None:
    messages: list[dict[str, Any]] = [
        {"reason": "compiler-artifact", "target": {"name": "idmerge_core"}, "executable": None},
        {"reason": "compiler-artifact", "target": {"name": "resolver"}, "executable": "/target/resolver-1"},
        {"reason": "compiler-artifact", "target": {"name": "instructions"}, "executable": "/target/it-2"},
        {"reason": "build-finished", "success": True},
    ]
    assert executable("\n".join(map(json.dumps, messages))) == "/target/it-2"
    with pytest.raises(UncountedError, match="no program 'instructions'"):
        executable("\n".join(map(json.dumps, messages[:2])))


@pytest.mark.parametrize("printed", ["", "settle", "settle 0\n", "settle many\n", "receive 3\n"])
def test_a_program_that_does_not_say_what_it_handled_is_refused(printed: str) -> None:
    assert units("settle 150003\n", "settle") == 150_003
    with pytest.raises(UncountedError, match="should print 'settle' and a number"):
        units(printed, "settle")


def test_only_what_grew_by_more_than_the_bound_is_named() -> None:
    recorded = {"receive": 200.0, "settle": 800.0, "ask": 100.0}
    assert grown(recorded, {"receive": 209.9, "settle": 400.0, "ask": 100.1, "resolve": 300.0}) == []
    assert grown(recorded, {"receive": 200.0, "settle": 841.0, "ask": 100.0}) == [
        "settle grew by 5.1%, from 800.0 to 841.0 instructions a link: more than 5%"
    ]


def test_growth_ends_the_command_with_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = {"machine": "this", "rustc": "rustc 1", "instructions": {"settle": 800.0, "ask": 100.0}}
    results = tmp_path / "instructions.json"
    results.write_text(json.dumps(recorded), "utf-8")
    monkeypatch.setattr(instructions, "RECORD", results)
    monkeypatch.setattr(instructions, "ROOT", tmp_path)
    monkeypatch.setattr(instructions, "conditions", lambda: {"machine": "this", "rustc": "rustc 2"})

    monkeypatch.setattr(instructions, "count", lambda: {"settle": 810.0, "ask": 99.0})
    instructions.main([])
    printed = capsys.readouterr()
    assert "+1.25%" in printed.out
    assert printed.err == "rustc: recorded rustc 1, now rustc 2\n"

    monkeypatch.setattr(instructions, "count", lambda: {"settle": 900.0, "ask": 100.0})
    with pytest.raises(SystemExit, match="^settle grew by 12.5%"):
        instructions.main([])

    instructions.main(["--record"])
    instructions.main([])
    results.unlink()
    with pytest.raises(SystemExit, match="record it first"):
        instructions.main([])


def test_without_valgrind_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda tool: None if tool == "valgrind" else tool)
    with pytest.raises(SystemExit, match="^valgrind is not installed [^\n]*$"):
        instructions.main([])


def test_every_kernel_has_a_recorded_figure_and_a_function_of_its_own() -> None:
    recorded = json.loads(RECORD.read_text("utf-8"))
    assert set(recorded["instructions"]) == set(UNITS)
    for crate, kernels in KERNELS.items():
        source = (ROOT / "rust" / crate / "benches" / "instructions.rs").read_text("utf-8")
        assert set(re.findall(r"#\[inline\(never\)\]\nfn kernel_(\w+)\(", source)) == set(kernels)
