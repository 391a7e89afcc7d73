"""The help of the whole, the colours of messages, and what a shell completes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from command_line import run
from every_command import leaves
from idmerge.cli.completion import FileName
from idmerge.cli.group import COMMANDS, GROUPS, commands

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


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_the_terminal(command: str, width: int) -> None:
    call = [command, "--help"] if command else ["--help"]
    shown = CliRunner().invoke(commands, call, prog_name="idmerge", terminal_width=width).stdout
    wide = [line for line in shown.splitlines() if len(line) > width]
    # An option with its metavariable stands on a line of its own, and examples are not broken.
    unbroken = r"  -(\S| (?! ))*$|    idmerge |Usage:"
    assert [line for line in wide if not re.match(unbroken, line)] == []


def test_an_error_is_red_unless_colours_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    call = ["resolve", "no-such-file.ndjson"]
    told = CliRunner().invoke(commands, call, prog_name="idmerge", color=True).stderr
    assert told.startswith("\x1b[31midmerge: error:\x1b[0m ")
    monkeypatch.setenv("NO_COLOR", "1")
    told = CliRunner().invoke(commands, call, prog_name="idmerge", color=True).stderr
    assert told.startswith("idmerge: error: ")


def test_a_shell_completes_commands_options_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    complete = BashComplete(commands, {}, "idmerge", "_IDMERGE_COMPLETE")
    assert {item.value for item in complete.get_completions([], "re")} == {"resolve", "retract"}
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
