"""Who may import whom among the commands, what they share, and the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import idmerge
import idmerge.cli
from idmerge.cli.group import COMMANDS
from import_statements import statements

PACKAGE = Path(idmerge.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}

ADD_ONS = ("doctor", "questions", "profiles", "stitching", "migration", "sinks", "spark", "reporting")
USED = {"idmerge", "idmerge._formatting", "idmerge._naming", "idmerge.testing"}
USED |= {f"idmerge.{name}" for name in ("canonical", "doctor", "errors", "policy", "questions")}
USED |= {f"idmerge.files{name}" for name in ("", ".arrow", ".csvtext", ".judging", ".rereadable", ".sources")}
USED |= {f"idmerge.journal{name}" for name in ("", ".batch", ".protocol", ".verify")}
USED |= {
    "idmerge.profiles",
    "idmerge.profiles.store",
    "idmerge.sinks",
    "idmerge.sinks.following",
    "idmerge.questions.cohorts",
    "idmerge.reporting",
    "idmerge.stitching.writing",
}
USED |= {f"idmerge.server{name}" for name in ("", ".app", ".server", ".http", ".http.serving")}
USED |= {"idmerge.server.directory", "idmerge.server.people.directory", "idmerge.server.store.following"}
USED |= {
    f"idmerge.server.inspector.{name}"
    for name in ("alone", "doors", "examined", "routing", "served", "subject")
}
USED |= {"idmerge.server.loading", "idmerge.server.pages", "idmerge.doctor.page"}
USED |= {f"idmerge.migration{name}" for name in ("", ".directory", ".splitting", ".text")}
USED |= {
    "idmerge._benchmark.measuring",
    "idmerge.pages.clusters",
    "idmerge.pages.diagram",
    "idmerge.pages.figures",
    "idmerge.pages.graph",
    "idmerge.pages.rules",
}
"""The modules that the command line may use: none that works inside the resolver or an add-on."""


def imports(module: str) -> set[str]:
    """Every module of the package that ``module`` imports, wherever it does."""
    names: set[str] = set()
    for name, members in statements(MODULES[module]):
        names |= members & {*MODULES} or {name}
    return {name for name in names if name.partition(".")[0] == "idmerge"}


def rooms(*names: str) -> list[str]:
    """The modules in the rooms (packages) with these names."""
    return sorted(
        module
        for module in MODULES
        if any(module == f"idmerge.{name}" or module.startswith(f"idmerge.{name}.") for name in names)
    )


def is_in(module: str, room: str) -> bool:
    return module == f"idmerge.{room}" or module.startswith(f"idmerge.{room}.")


def test_each_command_has_a_module_of_its_name_and_no_module_is_left_over() -> None:
    files = {path.stem for path in (PACKAGE / "cli" / "commands").glob("*.py")} - {"__init__"}
    assert sorted(name.replace("-", "_") for name in COMMANDS) == sorted(files)


def test_the_summary_of_the_command_line_names_every_command() -> None:
    text = (idmerge.cli.__doc__ or "").partition("Data goes")[0]
    assert set(re.findall(r"``([a-z-]+)``", text)) == set(COMMANDS)


@pytest.mark.parametrize("module", rooms("cli.commands"))
def test_a_command_knows_no_other_command(module: str) -> None:
    assert not {other for other in imports(module) if is_in(other, "cli.commands")} - {module}


@pytest.mark.parametrize("module", [name for name in rooms("cli") if not is_in(name, "cli.commands")])
def test_what_commands_share_knows_no_command(module: str) -> None:
    assert not {other for other in imports(module) if is_in(other, "cli.commands")}


@pytest.mark.parametrize("module", rooms("cli"))
def test_the_command_line_uses_public_modules_and_those_for_the_whole_package(module: str) -> None:
    assert not {name for name in imports(module) if not is_in(name, "cli")} - USED


def test_nothing_but_its_command_uses_the_benchmark() -> None:
    users = {module for module in MODULES if any(is_in(of, "_benchmark") for of in imports(module))}
    assert users - {*rooms("_benchmark")} == {"idmerge.cli.commands.bench"}


@pytest.mark.parametrize("module", rooms("pages"))
def test_pages_know_neither_the_commands_nor_an_add_on(module: str) -> None:
    above = ("cli", *ADD_ONS)
    assert not {other for other in imports(module) if any(is_in(other, room) for room in above)}


@pytest.mark.parametrize("module", sorted({*MODULES} - {*rooms("cli")} - {"idmerge.__main__"}))
def test_nothing_below_the_command_line_knows_it(module: str) -> None:
    assert not {other for other in imports(module) if is_in(other, "cli")}


def test_there_is_one_style_sheet_and_one_head_of_a_page() -> None:
    found = {
        mark: [module for module, path in MODULES.items() if mark in path.read_text(encoding="utf-8")]
        for mark in ("color-scheme", "<!doctype", "ui-monospace")
    }
    assert found == {
        "color-scheme": ["idmerge.pages.style"],
        "<!doctype": ["idmerge.pages.document"],
        "ui-monospace": ["idmerge.pages.style"],
    }
