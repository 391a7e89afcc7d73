"""The documents: their code runs and prints what they show."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from documents import README, blocks, promised_by
from idmerge.cli.group import commands
from paths import ROOT


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_each_block_of_python_runs_and_prints_what_its_comment_says(
    number: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    block = blocks("python")[number]
    exec(compile(block, f"README.md, block {number}", "exec"), {})  # noqa: S102
    promised = promised_by(block)
    assert capsys.readouterr().out.splitlines() == promised


@pytest.mark.parametrize("page", ["journal.md", "profiles.md", "stitching.md"])
def test_a_page_does_what_it_shows(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    shown = blocks("python", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    for number, block in enumerate(shown):
        exec(compile(block, f"{page}, block {number}", "exec"), names)  # noqa: S102
        assert capsys.readouterr().out.splitlines() == promised_by(block), block
    assert len(shown) >= 6


def test_the_page_on_migration_does_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    page = re.sub(r"^ {3}(?=\S)", "", page, flags=re.MULTILINE)  # Blocks within the list of steps.
    calls = [shlex.split(line)[1:] for block in blocks("sh", page) for line in block.splitlines()]
    shown = [CliRunner().invoke(commands, call) for call in calls]
    assert [result.exit_code for result in shown] == [0, 0, 0, 0]
    assert [shown[1].stdout, shown[3].stdout] == blocks("text", page)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks("python", page)):
        exec(compile(block, f"migration.md, block {number}", "exec"), names)  # noqa: S102
        assert capsys.readouterr().out.splitlines() == promised_by(block), block


def test_the_page_on_questions_does_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    for command in blocks("sh", page)[0].splitlines():
        assert CliRunner().invoke(commands, shlex.split(command)[1:]).exit_code == 0
    asked, shown = blocks("sh", page)[1:], blocks("(?:text|sql)", page)
    for command, promised in zip(asked, shown, strict=True):
        name, *arguments = shlex.split(command)
        assert name == "idmerge"
        assert CliRunner().invoke(commands, arguments).stdout == promised, command
    assert len(asked) >= 5
    names: dict[str, object] = {}
    for number, block in enumerate(blocks("python", page)):
        exec(compile(block, f"questions.md, block {number}", "exec"), names)  # noqa: S102
        assert capsys.readouterr().out.splitlines() == promised_by(block), block


def test_the_page_on_reports_does_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    calls = [shlex.split(line)[1:] for block in blocks("sh", page) for line in block.splitlines()]
    (generate,) = (call for call in calls if call[0] == "generate")
    first, *others = (call for call in calls if call != generate)
    assert CliRunner().invoke(commands, generate).exit_code == 0
    (told,) = blocks("text", page)
    said = CliRunner().invoke(commands, first).stderr
    assert [line for line in said.splitlines() if line.startswith("guessed")] == told.splitlines()
    assert [CliRunner().invoke(commands, call).exit_code for call in others] == [0, 0, 0, 0]
    (settings,) = blocks("toml", page)
    assert tomllib.loads(Path("idmerge.toml").read_text(encoding="utf-8")) == tomllib.loads(settings)
    (block,) = blocks("python", page)
    exec(compile(block, "report.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.splitlines() == promised_by(block)


def test_each_command_of_the_page_on_stitching_does_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("sh", (ROOT / "docs" / "stitching.md").read_text(encoding="utf-8"))
    for command in block.splitlines():
        name, *arguments = shlex.split(command)
        assert name == "idmerge"
        assert CliRunner().invoke(commands, arguments).exit_code == 0, command
        assert Path(arguments[arguments.index("-o") + 1]).exists()


def test_the_first_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    install, command = blocks("sh")[0].splitlines()[0].split(" && ")
    assert install == "pip install '.[cli]'"
    name, *arguments = shlex.split(command)
    assert name == "idmerge"
    run = subprocess.run(
        [sys.executable, "-m", "idmerge", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == ""
    written = (tmp_path / arguments[-1]).read_text(encoding="utf-8")
    assert written.startswith("distinct_id,canonical_id,cluster_size\n")
    # The number of seconds is the machine's.
    printed = re.sub(r"[\d.]+ s\b", "# s", run.stderr).splitlines()
    shown = re.sub(r"[\d.]+ s\b", "# s", blocks("text")[0]).splitlines()
    assert [line for line in shown if line.strip() != "…" and line not in printed] == []


def test_the_second_command_runs_these_tests() -> None:
    assert blocks("sh")[0].splitlines()[1:] == ["pip install '.[test]' && pytest"]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for block in blocks("sh"):
        for command in block.strip().replace("\n", " && ").split(" && "):
            assert command in ci, f"{command!r} is not what CI runs"


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120
