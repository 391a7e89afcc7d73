"""The start of the command line: modules that a call loads, which is what its time goes to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from command_line import ndjson, run
from idmerge.cli import resolved
from idmerge.testing import events
from parameter_names import stable

SLOW = {"numpy", "pyarrow", "pandas", "polars", "duckdb", "rich", "sqlite3", "psycopg", "pyspark"}
"""What takes longer to load than the command's own modules, or is for a part of the runs."""

CODE = """
import sys
sys.argv = ["idmerge", *sys.argv[1:]]
from idmerge.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def loaded(code: str, *arguments: str) -> set[str]:
    """Return the modules that a new process has loaded in the end."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return {*run.stderr.splitlines()[-1].split()}


def written(path: Path) -> str:
    path.write_bytes(ndjson(events(10, seed=7)))
    return str(path)


def test_importing_idmerge_loads_none_of_its_modules() -> None:
    modules = loaded("import sys, idmerge; print(*sys.modules, file=sys.stderr)")
    assert {name for name in modules if name.partition(".")[0] == "idmerge"} == {"idmerge"}
    assert modules & SLOW == set()


def test_asking_for_the_version_loads_no_slow_library_and_not_the_core() -> None:
    modules = loaded(CODE, "--version")
    assert modules & SLOW == set()
    assert "idmerge._core" not in modules
    assert len({name for name in modules if name.startswith("idmerge")}) < 15


def test_resolving_lines_loads_numpy_alone(tmp_path: Path) -> None:
    for more in ([], ["-o", str(tmp_path / "mapping.csv")]):
        modules = loaded(CODE, "resolve", written(tmp_path / "e.ndjson"), *more)
        assert modules & SLOW == {"numpy"}
        assert not {name for name in modules if name.startswith("idmerge.journal")}


def test_resolving_into_parquet_loads_no_computing_of_pyarrows(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    path.write_bytes(ndjson(events(60_000, seed=7)))
    modules = loaded(CODE, "resolve", str(path), "-o", str(tmp_path / "mapping.parquet"))
    assert "pyarrow.parquet" in modules
    assert "pyarrow.compute" not in modules


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no list of threads")
def test_resolving_starts_no_threads_for_matrices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("IDMERGE_THREADS", "1")
    code = CODE.replace("*sys.modules", "*__import__('os').listdir('/proc/self/task')")
    assert len(loaded(code, "resolve", written(tmp_path / "e.ndjson"))) == 1


PLAIN = [["b", "c"], ["d", "e"], ["é", "d"]]
QUOTED = [["=a", 'with "quotes"'], ["x, y", "+7"], ["new\nline", "b"], *PLAIN]


@pytest.mark.parametrize("options", [[], ["--csv-safe"], ["--format", "ndjson"]], ids=stable)
@pytest.mark.parametrize("merges", [PLAIN, QUOTED, []], ids=["plain", "quoted", "none"])
def test_a_small_mapping_is_written_as_a_large_one_is(
    merges: list[list[str]], options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "e.ndjson"
    stated = [{"event": "$merge", "properties": {"$distinct_ids": both}} for both in merges]
    path.write_bytes(ndjson([*stated, {"event": "x", "properties": {}}]))
    answers = []
    for most in (resolved.FEW, -1):
        monkeypatch.setattr(resolved, "FEW", most)
        printed = run("resolve", path, *options)
        if "--format" not in options:
            run("resolve", path, "-o", tmp_path / "mapping.csv", *options)
            assert (tmp_path / "mapping.csv").read_bytes() == printed.stdout_bytes
        answers.append((printed.stdout_bytes, printed.stderr.partition("links ")[2]))
    assert answers[0] == answers[1]
