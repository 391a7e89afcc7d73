"""Imports within the package: no cycle, and rooms import downwards only."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import idmerge
from import_statements import statements

PACKAGE = Path(idmerge.__file__).parent

CORE = "idmerge._core"
RESOLVER = "the resolver"
"""The room of the modules that lie beside `resolver` itself."""
FACADE = "idmerge"
"""The room of the package's ``__init__``: the public names."""
ADD_ONS = {"stitching", "profiles", "questions", "doctor", "migration", "sinks", "spark", "client"}
BELOW_ADD_ONS = {RESOLVER, "journal", "files"}

MAY_IMPORT = {
    RESOLVER: set[str](),
    "pages": {RESOLVER},
    "testing": {RESOLVER},
    "files": {RESOLVER},
    "journal": {RESOLVER, "files"},
    **dict.fromkeys(sorted(ADD_ONS), BELOW_ADD_ONS),
    **dict.fromkeys(("doctor", "questions", "migration"), BELOW_ADD_ONS | {"pages"}),
    "client": {RESOLVER},
    "reporting": BELOW_ADD_ONS | {"stitching", "questions", "doctor", "pages"},
    "server": BELOW_ADD_ONS | {"profiles", "pages", "sinks"},
    FACADE: BELOW_ADD_ONS | ADD_ONS | {"reporting", "testing"},
    "_benchmark": {RESOLVER, "files", "testing", FACADE},
    "cli": BELOW_ADD_ONS | ADD_ONS | {"reporting", "server", FACADE, "pages", "testing", "_benchmark"},
    "__main__": {"cli"},
}
"""The rooms that each room may import, besides itself."""

Graph = dict[str, set[str]]


def module_name(package: Path, path: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def graph(package: Path) -> Graph:
    """Return the modules of ``package`` that each one imports, wherever in the file it does.

    The core is a module that imports nothing: what it asks of Python modules it asks when it is
    called.
    """
    paths = {module_name(package, path): path for path in package.rglob("*.py")}
    modules = {*paths, CORE}
    return {name: imported(path, modules - {name}) for name, path in paths.items()} | {CORE: set()}


def imported(path: Path, modules: set[str]) -> set[str]:
    found: set[str] = set()
    for module, members in statements(path):
        found |= members & modules or {module}
        if not members <= modules:
            found.add(module)
    return found & modules


def cycle(imports: Graph) -> list[str]:
    """Return the modules of an import cycle, or nothing."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def room(module: str) -> str:
    name = module.split(".")[1:2]
    if not name:
        return FACADE
    is_beside = name[0] != "__main__" and not (PACKAGE / name[0]).is_dir()
    return RESOLVER if is_beside and module.count(".") == 1 and name[0] not in MAY_IMPORT else name[0]


def upward(imports: Graph) -> list[str]:
    """Return the imports that the table of rooms does not allow."""
    return sorted(
        f"{module} imports {other}"
        for module, others in imports.items()
        for other in others
        if room(other) not in MAY_IMPORT[room(module)] | {room(module)}
    )


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert cycle(graph(PACKAGE)) == []


def test_each_room_imports_only_those_below_it() -> None:
    imports = graph(PACKAGE)
    unplaced = {room(module) for module in imports} - MAY_IMPORT.keys()
    assert not unplaced, f"give {unplaced} their place in MAY_IMPORT"
    assert upward(imports) == []


def test_no_add_on_imports_another_one() -> None:
    assert {name for name in ADD_ONS if MAY_IMPORT[name] & ADD_ONS} == set()
    assert cycle({name: set(others) for name, others in MAY_IMPORT.items()}) == []


def test_the_server_is_imported_by_the_command_line_alone() -> None:
    assert {name for name, others in MAY_IMPORT.items() if "server" in others} == {"cli"}


@pytest.mark.parametrize(
    "hidden",
    [
        "from idmerge.journal import durable",
        "def door():\n    from idmerge.journal.durable import DurableResolver\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import idmerge.journal.durable\n",
    ],
)
def test_a_cycle_is_found_wherever_an_import_hides(hidden: str, tmp_path: Path) -> None:
    package = tmp_path / "idmerge"
    (package / "journal").mkdir(parents=True)
    for name in ("__init__", "journal/__init__"):
        (package / f"{name}.py").write_text("", encoding="utf-8")
    (package / "journal/durable.py").write_text("from idmerge.resolver import Resolver", encoding="utf-8")
    (package / "resolver.py").write_text("", encoding="utf-8")
    assert cycle(graph(package)) == []
    assert upward(graph(package)) == []
    (package / "resolver.py").write_text(hidden, encoding="utf-8")
    assert set(cycle(graph(package))) == {"idmerge.resolver", "idmerge.journal.durable"}
    assert upward(graph(package)) == ["idmerge.resolver imports idmerge.journal.durable"]


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("idmerge.spark.events", "idmerge.stitching.tables"),
        ("idmerge.doctor.traffic", "idmerge.stitching"),
        ("idmerge.files.judging", "idmerge"),
        ("idmerge.files.pieces", "idmerge.journal.batch"),
        ("idmerge.questions.answer", "idmerge.cli"),
    ],
)
def test_an_import_against_the_direction_is_found(module: str, other: str) -> None:
    assert upward({module: {other}}) == [f"{module} imports {other}"]
