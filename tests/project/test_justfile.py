"""The justfile: each recipe's command exists, and has what CONTRIBUTING.md lists."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib.util import find_spec

import pytest

from documents import blocks
from paths import ROOT

JUSTFILE = (ROOT / "justfile").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CAMPAIGNS = {path.stem for path in (ROOT / "benches" / "campaigns").glob("*.py")}
INSTALLED = {"pip", "maturin", "pytest", "ruff", "mypy", "cargo", "just", "mkdocs"}
"""Programs that come with Python, Rust or '.[dev]'."""


def recipes() -> dict[str, list[str]]:
    """The commands of each recipe, by its name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in JUSTFILE.splitlines():
        if begun := re.match(r"([a-z][a-z-]*)\b[^#:=]*:$", line):
            name = begun[1]
            found[name] = []
        elif line.startswith(" "):
            found[name].append(line.strip().removeprefix("@"))
        else:
            assert not line or line.startswith("#"), line
    return found


def listed() -> list[str]:
    """Every command in CONTRIBUTING.md, without its comment."""
    lines = [
        line.partition("#")[0].strip() for block in blocks("sh", CONTRIBUTING) for line in block.splitlines()
    ]
    return [command.strip() for line in lines for command in line.split("&&") if command.strip()]


def essence(command: str) -> str:
    """A command without what can be chosen: its program, and the module, script or subcommand."""
    words = shlex.split(command)
    if words[:2] == ["python", "-m"]:
        return f"python -m {words[2]}"
    return " ".join(words[:2]) if words[0] in ("python", "pip", "cargo", "maturin") else words[0]


COMMANDS = sorted({command for commands in recipes().values() for command in commands})


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_of_each_recipe_exists(command: str) -> None:
    program, *rest = shlex.split(command)
    if program == "python" and rest[0] == "-m":
        module = rest[1].replace("{{NAME}}", "crashes")
        assert module.partition(".")[0] in INSTALLED or find_spec(module), command
    elif program == "python":
        assert (ROOT / rest[0]).is_file(), command
    elif program not in INSTALLED:
        assert (ROOT / program).is_file(), command
    for word in rest:
        if "/" in word and "{{" not in word:
            assert (ROOT / word).exists(), word


def test_each_command_that_contributing_lists_is_a_recipe() -> None:
    run = {essence(command) for command in COMMANDS}
    once = {"python -m venv", ". .venv/bin/activate"}  # What a virtual environment needs to be there.
    missing = [
        c for c in listed() if essence(c) not in run and c.rpartition(" ")[0] not in once and c not in once
    ]
    assert missing == []
    assert len(listed()) > 30


def test_each_recipe_that_contributing_names_is_in_the_justfile() -> None:
    named = set(re.findall(r"`just ([a-z][a-z-]*)", CONTRIBUTING))
    assert named
    assert named <= set(recipes())


def test_each_recipe_has_a_comment_that_just_lists() -> None:
    for name in recipes():
        assert re.search(rf"^# [A-Z].*\n{name}\b", JUSTFILE, flags=re.MULTILINE), name


def test_all_campaigns_are_run_by_their_recipe_and_listed() -> None:
    run = {command.split()[2].rpartition(".")[2] for command in recipes()["campaigns"]}
    assert run == CAMPAIGNS - {"__init__", "journal_writer", "mutated_files"}
    counts = {essence(command): command.split()[-1] for command in recipes()["campaigns"]}
    assert {essence(c): c.split()[-1].replace("_", "") for c in listed() if ".campaigns." in c} == counts


def test_ci_runs_the_lints_of_the_recipe() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in [*recipes()["lint"], *recipes()["site"], *recipes()["test-core"]]:
        assert command in ci.splitlines(), command


def test_the_extras_that_recipes_install_are_declared() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    installed = {extra for command in COMMANDS for extra in re.findall(r"'\.\[(\w+)\]'", command)}
    assert installed == {"dev", "bench"}
    assert installed <= set(extras)
