"""The help of the whole, the colours of messages, and what a shell completes."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from command_line import run
from every_command import leaves
from idmerge.cli.completion import FileName
from idmerge.cli.group import COMMANDS, GROUPS, commands
from idmerge.cli.sections import SECTIONS

if TYPE_CHECKING:
    from pathlib import Path


def test_the_help_lists_every_command_under_what_it_is_about() -> None:
    shown = run("--help").stdout
    places = [shown.index(f"\n{title}:\n") for title in GROUPS]
    assert places == sorted(places)
    for title, names in GROUPS.items():
        section = shown.split(f"\n{title}:\n")[1].split("\n\n")[0]
        assert re.findall(r"^  ([\w-]+) ", section, flags=re.MULTILINE) == [*names]
    assert len({*COMMANDS}) == len(COMMANDS)


CALLS = [[], *([name] for name in COMMANDS), *([*path] for path, _ in leaves() if len(path) > 1)]


def help_of(call: list[str], width: int) -> str:
    return CliRunner().invoke(commands, [*call, "--help"], prog_name="idmerge", terminal_width=width).stdout


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_help_fits_the_terminal(call: list[str], width: int) -> None:
    assert [line for line in help_of(call, width).splitlines() if len(line) > width] == []


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_an_example_that_is_continued_is_the_same_for_a_shell(call: list[str]) -> None:
    def examples(width: int) -> list[list[str]]:
        text = help_of(call, width).partition("Example:\n")[2].partition("\n\n")[0]
        return [shlex.split(line) for line in text.replace("\\\n", "").splitlines()]

    assert examples(60) == examples(200)


@pytest.mark.parametrize("path", [path for path, _ in leaves()], ids=" ".join)
def test_the_options_of_a_command_stand_before_those_that_commands_share(path: tuple[str, ...]) -> None:
    sections = dict(re.findall(r"^(\w+):\n((?:  .*\n)+)", help_of([*path], 200) + "\n", flags=re.MULTILINE))
    titles = [*dict.fromkeys(SECTIONS.values())]
    assert [*sections] == ["Options", *(title for title in titles if title in sections)]
    (command,) = (command for name, command in leaves() if name == path)
    for option in command.params:
        if isinstance(option, click.Option):
            title = SECTIONS.get(option.name or "", "Options")
            assert option.opts[-1] in sections[title], option.name


def test_a_question_lists_its_own_options_first() -> None:
    own = help_of(["ask", "attribution"], 80).partition("Options:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  (--\w+)", own, flags=re.MULTILINE) == [
        "--purchase",
        "--amount",
        "--campaign",
        "--model",
        "--currency",
        "--top",
        "--min",
        "--by",
    ]


def test_every_section_is_of_options_that_there_are() -> None:
    names = {one.name for _, command in leaves() for one in command.params}
    assert not SECTIONS.keys() - names


def test_an_error_is_red_unless_colours_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    call = ["resolve", "no-such-file.ndjson"]
    told = CliRunner().invoke(commands, call, prog_name="idmerge", color=True).stderr
    assert told.startswith("\x1b[31midmerge: error:\x1b[0m ")
    monkeypatch.setenv("NO_COLOR", "1")
    told = CliRunner().invoke(commands, call, prog_name="idmerge", color=True).stderr
    assert told.startswith("idmerge: error: ")


def test_an_error_of_the_call_is_red_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for call in (["resolve"], ["resolve", "--no-such"], ["dissolve"], ["generate", "--events", "x"]):
        told = CliRunner().invoke(commands, call, prog_name="idmerge", color=True)
        assert told.exit_code == 2
        assert told.stderr.splitlines()[-1].startswith("\x1b[31mError:\x1b[0m ")
        assert told.stderr.startswith("Usage: idmerge")


def test_a_shell_completes_commands_options_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    complete = BashComplete(commands, {}, "idmerge", "_IDMERGE_COMPLETE")
    assert {item.value for item in complete.get_completions([], "re")} == {"report", "resolve", "retract"}
    options = {item.value for item in complete.get_completions(["resolve"], "--ou")}
    assert options == {"--output"}
    for before in (["resolve"], ["stitch", "e.ndjson", "-o"], ["profiles", "--events"], ["verify"]):
        (item,) = complete.get_completions(before, "ev")
        assert (item.type, item.value) == ("file", "ev"), before


def test_whatever_is_called_a_file_completes_files() -> None:
    names = {"FILE", "FILE...", "EVENTS...", "UPDATES...", "PATH", "OUT", "NEW"}
    found = [(path, one) for path, command in leaves() for one in command.params if one.metavar in names]
    assert len(found) > 40
    assert [(path, one.name) for path, one in found if not isinstance(one.type, FileName)] == []
