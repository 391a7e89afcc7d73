"""The rooms of tests and benches: where things are, and that helpers are helpers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from import_statements import imported_names
from paths import ROOT

ROOMS = {
    "resolver",
    "journal",
    "files",
    "stitching",
    "profiles",
    "questions",
    "doctor",
    "migration",
    "reporting",
    "sinks",
    "spark",
    "client",
    "server",
    "cli",
    "project",
}
MODULES = sorted((ROOT / "tests").rglob("test_*.py"))
HELPERS = sorted((ROOT / "tests" / "support").glob("*.py"))
BENCHES = sorted((ROOT / "benches").rglob("*.py"))


@cache
def test_every_test_is_in_a_room_and_every_helper_in_support() -> None:
    assert {path.parent.name for path in MODULES} == ROOMS
    assert {path.parent.parent for path in MODULES} == {ROOT / "tests"}
    outside = {path.name for path in (ROOT / "tests").rglob("*.py")} - {p.name for p in [*MODULES, *HELPERS]}
    assert outside == {"conftest.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_test_module_imports_another_one(path: Path) -> None:
    assert [name for name in imported_names(path) if name.split(".")[-1].startswith("test_")] == []


@pytest.mark.parametrize("path", HELPERS, ids=lambda path: path.stem)
def test_each_helper_is_used(path: Path) -> None:
    others = [*MODULES, *HELPERS, ROOT / "tests" / "conftest.py"]
    assert any(path.stem in imported_names(other) for other in others if other != path)


def test_only_suites_of_benches_are_collected() -> None:
    assert {path.parent.name for path in BENCHES if path.name.startswith(("test_", "conftest"))} == {"suites"}


def test_no_bench_imports_a_suite_and_support_imports_no_other_room() -> None:
    for path in BENCHES:
        names = {name for name in imported_names(path) if name.startswith("benches.")}
        assert not {name for name in names if name.startswith("benches.suites")}, path
        if path.parent.name == "support":
            assert {name.split(".")[1] for name in names} <= {"support"}, path


def test_the_product_needs_neither_tests_nor_benches() -> None:
    roots = {"tests", "benches", *(path.stem for path in HELPERS)}
    for path in (ROOT / "python").rglob("*.py"):
        assert not {name.partition(".")[0] for name in imported_names(path)} & roots, path
