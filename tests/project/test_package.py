"""The package as a whole: the cost of importing it, and the direction of its imports."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import idmerge
from import_statements import imported_names
from paths import ROOT

PACKAGE = Path(idmerge.__file__).parent
CORE = ROOT / "rust" / "core"

PLAIN = ["errors", "outcome", "policy", "canonical", "events", "recorded", "reference"]
PLAIN += ["profiles/indexedlist", "profiles/store", "profiles/updates"]
FRAMES = {"pyarrow", "polars", "pandas", "duckdb"}
ORIGINALS = {"scipy", "networkx"}


def test_the_version_is_one() -> None:
    assert idmerge.__version__ == metadata.version("idmerge")


def test_what_resolves_loads_no_library_but_numpy() -> None:
    heavy = sorted(FRAMES | ORIGINALS | {"click", "graphframes", "psycopg", "pyspark", "rich"})
    code = (
        "import sys; from idmerge import Profiles, DurableResolver, reference, compat, connected_components; "
    )
    code += f"print([name for name in {heavy} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_plain_python_imports_neither_the_core_nor_a_frame_library(name: str) -> None:
    found = imported_names(PACKAGE / f"{name}.py")
    assert not {module for module in found if module.partition(".")[0] in FRAMES}
    assert not {module for module in found if module.startswith(("idmerge._core", "idmerge.resolver"))}


def test_the_facades_and_the_scanner_are_the_only_doors_to_the_core() -> None:
    core = {"idmerge._core"}
    doors = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if core & imported_names(path)}
    # __init__ passes on its names; _columns, _scanned_updates, _tables, lines and mappings name a type of
    # it, and _event_times has it read times. Of the doors in files, containers has it cut JSON text into
    # lines, rows asks it for the texts of IDs, and times has it read times: what the core reads of JSON has
    # no second reader in Python. The server has it take bodies out of their wrappings, cut batches, admit
    # items, read and write frames of its log, and cut their lines into columns.
    facades = {"__init__.py", "resolver.py", "compat.py", "components.py"}
    facades |= {"journal/cursor.py", "journal/durable.py", "journal/explaining.py"}
    files = {"scanning", "jsontext", "shape", "flattening", "duplicates", "tables"}
    files |= {"containers", "rows", "textrows", "times", "updates"}
    stitching = {"encoding", "lines", "once", "partitioning"}
    assert doors == {
        "_columns.py",
        "_event_times.py",
        "_scanned_updates.py",
        "_tables.py",
        "profiles/profiles.py",
        "server/http/requests.py",
        "server/log/segments.py",
        "server/reading/mappings.py",
        "server/store/columns.py",
        "server/writing/admission.py",
        "server/writing/calls.py",
        *facades,
        *(f"files/{name}.py" for name in files),
        *(f"stitching/{name}.py" for name in stitching),
    }


def test_the_commands_load_what_draws_only_to_draw(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("kind,first,second\nmerge,a,b\n", encoding="utf-8")
    calls = [["resolve", "f.csv", "--journal", "j"], ["show", "a", "j"], ["why", "a", "b", "j"]]
    code = "import sys; from idmerge.cli.group import commands\n"
    code += f"for call in {calls}: commands(call, standalone_mode=False)\n"
    code += "print([name for name in ('matplotlib', 'scipy') if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.endswith("\n[]\n")


def test_the_core_names_no_python() -> None:
    for path in [*CORE.rglob("*.rs"), CORE / "Cargo.toml"]:
        assert "pyo3" not in path.read_text(encoding="utf-8"), path.name


def rust_files() -> list[Path]:
    return [
        path
        for folder in ("src", "tests", "benches", "fuzz_targets")
        for path in ROOT.glob(f"rust/*/{folder}/**/*.rs")
    ]


def test_no_file_is_longer_than_a_reader_bears() -> None:
    paths = [*rust_files(), *ROOT.glob("rust/*.py")]
    paths += [path for folder in ("python", "tests", "benches") for path in (ROOT / folder).rglob("*.py")]
    too_long = {
        path.name: lines for path in paths if (lines := len(path.read_text("utf-8").splitlines())) > 600
    }
    assert too_long == {}
    # One file, so that the rules can be read in one go; verdicts, mappings and evidence are among them.
    assert len((PACKAGE / "reference.py").read_text("utf-8").splitlines()) < 390


def test_comments_of_the_crates_wrap_at_100_as_ruff_demands_of_python() -> None:
    too_long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in rust_files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if len(line) > 100 and (line.lstrip().startswith("//") or " // " in line)
    ]
    assert too_long == []
