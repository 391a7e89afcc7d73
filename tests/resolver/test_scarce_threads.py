"""A system without a thread to spare: every call answers as with many."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import csv, parquet

import idmerge
from idmerge import Kind, Resolver
from idmerge._threads import Pool
from idmerge.files.syncing import WORTH_THREADS
from idmerge.questions import SignupRate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

if sys.platform == "win32":
    pytest.skip("the system limits no processes", allow_module_level=True)

NO_MORE_THREADS = """
import os, resource, sys, threading, warnings
import numpy as np, pyarrow as pa
import pkgutil, pandas
import pyarrow.compute, pyarrow.csv
from importlib import import_module
import duckdb, idmerge, idmerge.files, idmerge.questions, idmerge.stitching
from pyarrow import parquet
from idmerge import DurableResolver, Kind, Resolver, connected_components
from idmerge.journal import durable
from idmerge.compat import DisjointSet
from idmerge.errors import CheckpointWarning
from idmerge.files import blocks
# The other user may not be allowed to read the home in which modules lie that are imported later.
for package in (idmerge.files, idmerge.questions, idmerge.stitching):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        import_module(module.name)
def allow_no_more_threads():
    if os.getuid() == 0:  # Whom no limit binds.
        os.setgid(65534)
        os.setuid(65534)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        return
    print("skip")
    sys.exit()
rows = 40_000
left = [f"a{row}" for row in range(rows)]
right = [f"b{row // 3}" for row in range(rows)]
"""


def run(code: str, *arguments: object) -> list[str]:
    """Return the lines that a child without threads prints."""
    command = [sys.executable, "-c", NO_MORE_THREADS + code, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert ran.returncode == 0, ran.stderr
    if ran.stdout == "skip\n":
        pytest.skip("the limit binds nobody here")
    return ran.stdout.splitlines()


@pytest.fixture
def for_all() -> Iterator[Path]:
    """A directory that any user can write to; pytest's own are the tester's alone."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        path.chmod(0o777)
        yield path


@pytest.mark.parametrize("family", ["list", "np.array", "pa.array"])
def test_columns_are_linked_and_resolved_without_other_threads(family: str) -> None:
    code = f"""
allow_no_more_threads()
r = Resolver(threads=4)
print(r.link_many(Kind.MERGE, {family}(left), {family}(right)))
print(list(map(str, r.resolve_many({family}(left))))[::5000])
print(r.cluster_count, r.same("a0", "a2"), r.merge("x", "y").name)
"""
    rows = 40_000
    expected = Resolver()
    report = expected.link_many(
        Kind.MERGE, [f"a{row}" for row in range(rows)], [f"b{row // 3}" for row in range(rows)]
    )
    names = [expected.resolve(f"a{row}") for row in range(0, rows, 5000)]
    assert run(code) == [repr(report), repr(names), f"{expected.cluster_count} True MERGED"]


def test_what_is_connected_is_found_without_other_threads() -> None:
    code = """
allow_no_more_threads()
sets = DisjointSet([*left, *dict.fromkeys(right)])
print(sum(sets.merge_many(left, right)))
print(idmerge.connected_components(left, right).component_count)
"""
    assert run(code) == ["40000", "13334"]


def test_a_file_is_read_without_other_threads(for_all: Path) -> None:
    path = for_all / "events.ndjson"
    line = '{"event": "$merge", "properties": {"$distinct_ids": ["a%d", "b%d"], "padding": "%s"}}\n'
    path.write_text("".join(line % (row, row // 3, "." * 500) for row in range(12_000)))
    code = """
path = sys.argv[1]
assert os.path.getsize(path) > blocks.BLOCK
allow_no_more_threads()
r = Resolver(threads=4)
for piece in idmerge.files.scan(path):
    piece.apply_to(r)
print(len(r), r.cluster_count)
print(idmerge.stitch(path))
"""
    path.chmod(0o644)
    assert run(code, path) == ["16000 4000", "StitchedEvents(12,000 events, 6 columns)"]


def events_in(directory: Path) -> Path:
    path = directory / "events.ndjson"
    line = '{"event": "%s", "properties": {"distinct_id": "a%d", "time": %d}}\n'
    path.write_text("".join(line % (("Sign Up", "View")[row % 2], row, row * 4000) for row in range(900)))
    path.chmod(0o644)
    return path


@pytest.mark.parametrize(
    ("name", "partition_by"), [("s.csv", None), ("s.parquet", None), ("s", None), ("s", "date")]
)
def test_stitched_events_are_written_without_other_threads(
    for_all: Path, name: str, partition_by: str | None
) -> None:
    events, output = events_in(for_all), for_all / name
    code = f"""
events, output = sys.argv[1:]
allow_no_more_threads()
stitched = idmerge.StitchedEvents([events], Resolver())
stitched.learn(output=output)
stitched.write(output, partition_by={partition_by!r})
"""
    run(code, events, output)
    if output.is_file():
        rows = csv.read_csv(output) if output.suffix == ".csv" else parquet.ParquetFile(output).read()
        assert rows.num_rows == 900
    else:
        files = list(output.rglob("*.parquet"))
        assert sum(parquet.ParquetFile(file).metadata.num_rows for file in files) == 900
        assert (len(files) >= WORTH_THREADS) == (partition_by is not None)


@pytest.mark.parametrize("is_file", [True, False])
def test_a_question_is_answered_without_other_threads(for_all: Path, *, is_file: bool) -> None:
    events = for_all / "stitched.parquet"
    idmerge.stitch(events_in(for_all), output=events)
    code = f"""
events = sys.argv[1]
table = parquet.ParquetFile(events).read()
allow_no_more_threads()
print(list(idmerge.questions.SignupRate().ask(events if {is_file} else table)))
"""
    events.chmod(0o644)
    assert run(code, events) == [repr(list(SignupRate().ask(events)))]


def test_a_journal_and_its_checkpoint_are_read_without_other_threads(for_all: Path) -> None:
    path = for_all / "journal"
    code = """
path = sys.argv[1]
with DurableResolver.open(path) as r:
    for start in range(0, rows, 2000):
        r.link_many(Kind.MERGE, left[start:start + 2000], right[start:start + 2000])
        r.commit()
    r.checkpoint()
for directory, _, files in os.walk(os.path.dirname(path)):
    os.chmod(directory, 0o777)
    for file in files:
        os.chmod(os.path.join(directory, file), 0o666)
warnings.simplefilter("error", CheckpointWarning)
allow_no_more_threads()
for _ in range(2):
    with DurableResolver.open(path) as r:
        print(len(r), r.cluster_count, r.merge("a0", "a3").name)
    os.path.exists(path + "-checkpoint") and os.unlink(path + "-checkpoint")
"""
    assert run(code, path) == ["53334 13334 MERGED"] * 2


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_a_pool_does_all_work_in_order_with_the_threads_that_start(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def start(self: Any, original: Any = threading.Thread.start) -> None:
        if len(started) == threads:
            raise RuntimeError("can't start new thread")
        started.append(self)
        original(self)

    monkeypatch.setattr("threading.Thread.start", start)
    done = []

    def work(number: int) -> int:
        done.append(number)
        if number == 7:
            raise KeyError(number)
        return number * number

    with Pool(4, "test") as pool:
        futures: list[Future[int]] = [pool.submit(work, number) for number in range(50)]
        assert [future.result() for future in futures if future is not futures[7]] == [
            number * number for number in range(50) if number != 7
        ]
        with pytest.raises(KeyError):
            futures[7].result()
    assert sorted(done) == list(range(50))  # Nothing twice.


def test_a_pool_that_was_shut_down_takes_no_work() -> None:
    pool = Pool(1, "test")
    pool.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(os.getpid)
