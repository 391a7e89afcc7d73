"""Links on Spark: their cost by number and by partitions, and whether the answer is right.

    python -m benches.reports.spark [LINKS] [--components NAME] [--runs N] [--partitions N]
        [--junk SHARE [--open]] [--record]

The links are those of `benches/reports/large.py`, 5 million by default, in Parquet. Two processes
resolve them: `idmerge.spark` on ``local[2]``, and one `Resolver` in this machine's memory. Both
write their mapping, and the two must agree row for row. The memory of Spark is that of all its
processes, the JVM and the Python workers, looked at five times a second; a page that two of them
share counts twice. Of several runs in one session (``--runs``) the first one compiles the JVM's
code, and the others are warm.

``--junk 0.02`` names the ID ``null`` in so many of the links, as broken clients do. It is blocked,
unless ``--open`` lets it in: then one component of stated links holds everybody whom it touches.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import dataset, parquet

from benches.reports.large import Population, mixed
from benches.reports.machine import machine, versions
from benches.support.paths import RESULTS
from idmerge import Outcome, Policy, Resolver, connected_components

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import SparkSession

RECORD = RESULTS / "spark.json"
LINKS = 5_000_000
HEAP = "3g"
_PIECE = 500_000
_JUNK = "null"


def write_links(folder: Path, links: int, junk: float) -> int:
    """Write about so many links and return how many there are."""
    folder.mkdir()
    population, first = Population(round(links / 1.5)), 0
    for number, piece in enumerate(population.pieces(_PIECE)):
        order = np.arange(first, first + len(piece.kinds))
        is_junk = pa.array(mixed(order.astype(np.uint64), 9) % 10_000 < round(junk * 10_000))
        right = pc.if_else(is_junk, _JUNK, piece.right)
        columns = {"order": order, "kind": piece.kinds.astype(np.int8), "first": piece.left, "second": right}
        parquet.write_table(pa.table(columns), folder / f"{number:05}.parquet")
        first += len(order)
    return first


def policy_of(chosen: argparse.Namespace) -> Policy:
    """Return Mixpanel's rules, with the junk let in if so chosen."""
    return Policy(blocked_ids=frozenset()) if chosen.open else Policy()


def on_one_machine(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Resolve with one `Resolver` and write the mapping."""
    started = perf_counter()
    resolver = Resolver(policy_of(chosen))
    for batch in dataset.dataset(folder / "links").to_batches(columns=["kind", "first", "second"]):
        resolver.link_many(*batch.columns)
    mapping = pa.table(resolver.mapping())
    parquet.write_table(mapping, folder / "alone.parquet")
    return {"seconds": round(perf_counter() - started, 1), "ids": len(resolver)}


def on_spark(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Resolve with `idmerge.spark` and write the mapping, so many times in one session."""
    from pyspark.sql import SparkSession

    from idmerge.spark import components

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    found: dict[str, Any] = {}
    for name in ("by_one_task", "by_stars"):
        setattr(components, name, _timed(getattr(components, name), found))
    components._large_stars = _counted(components._large_stars, found)
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", HEAP).config("spark.log.level", "ERROR")
    builder = builder.config("spark.local.dir", str(folder / "spark"))
    if chosen.partitions is not None:
        builder = builder.config("spark.sql.shuffle.partitions", str(chosen.partitions))
    started = perf_counter()
    spark = builder.getOrCreate()
    spark.range(1).count()
    start = round(perf_counter() - started, 1)
    runs = [_run(spark, folder, number, chosen, found) for number in range(chosen.runs)]
    spark.stop()
    return {"seconds_of_start": start, **runs[0], "warm": runs[1:]}


def _run(
    spark: SparkSession, folder: Path, number: int, chosen: argparse.Namespace, found: dict[str, Any]
) -> dict[str, Any]:
    """Return what one run took; ``found`` is filled by what it calls."""
    from idmerge.spark import resolve

    store = spark.sparkContext._jsc.sc().statusStore()
    found |= {"rounds": 0, "seconds_of_components": 0.0}
    before = Family.of(os.getpid())
    shuffled = store.executorSummary("driver").totalShuffleWrite()
    started, target = perf_counter(), folder / ("mapping" if number == 0 else f"mapping-{number}")
    links = spark.read.parquet(str(folder / "links"))
    mapping = resolve(links, order="order", policy=policy_of(chosen), components=chosen.components)
    mapping.write.parquet(str(target))
    seconds, after = perf_counter() - started, Family.of(os.getpid())
    return {
        "rounds": found["rounds"],
        "seconds_of_components": round(found["seconds_of_components"], 1),
        "seconds": round(seconds, 1),
        "processor_seconds": round(after.worked - before.worked, 1),
        "compiler_seconds": round(after.compiled - before.compiled, 1),
        "shuffled_bytes": store.executorSummary("driver").totalShuffleWrite() - shuffled,
        "files": len(list(target.glob("*.parquet"))),
    }


def _timed(work: Callable[[Any], Any], found: dict[str, Any]) -> Callable[[Any], Any]:
    def timed(edges: Any) -> Any:
        started = perf_counter()
        answer = work(edges)
        found["seconds_of_components"] += perf_counter() - started
        return answer

    return timed


def _counted(work: Callable[[Any], Any], found: dict[str, Any]) -> Callable[[Any], Any]:
    def counted(hung: Any) -> Any:
        found["rounds"] += 1
        return work(hung)

    return counted


def watched(arguments: Sequence[str]) -> dict[str, Any]:
    """Run this module in a process of its own; its peak is that of the process and all below it."""
    peak = 0
    command = [sys.executable, "-m", "benches.reports.spark", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        while running.poll() is None:
            peak = max(peak, Family.of(running.pid).resident)
            sleep(0.2)
        assert running.stdout is not None
        printed = running.stdout.read()
    if running.returncode:
        raise RuntimeError(f"{shlex.join(arguments)} failed with code {running.returncode}")
    return {**json.loads(printed.splitlines()[-1]), "peak_bytes": peak}


class Family(NamedTuple):
    """A process and all below it: bytes in memory, and seconds that processors worked for them.

    Those depend less than a clock on what else the machine does. ``compiled`` are those of Java's
    compilers.
    """

    resident: int
    worked: float
    compiled: float

    @classmethod
    def of(cls, process: int) -> Family:
        """Look at them now."""
        found: dict[int, Family] = {}
        parents: dict[int, int] = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                fields = dict(line.split(":", 1) for line in (path / "status").read_text().splitlines())
                resident = int(fields["VmRSS"].split()[0]) * 1024
                found[int(path.name)] = cls(resident, _worked(path), _compiled(path, fields["Name"].strip()))
                parents[int(path.name)] = int(fields["PPid"])
            except (OSError, KeyError):
                continue  # It ended meanwhile, or is the kernel's own.
        family, reached = set[int](), {process}
        while reached:
            family |= reached
            reached = {number for number, parent in parents.items() if parent in reached}
        members = [found[number] for number in family & found.keys()]
        return cls(*(sum(member[field] for member in members) for field in range(3)))  # type: ignore[arg-type]


def _worked(path: Path) -> float:
    ticks = (path / "stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _compiled(path: Path, name: str) -> float:
    if name != "java":
        return 0.0
    threads = [thread for thread in path.glob("task/*") if "Compiler" in (thread / "comm").read_text()]
    return sum(map(_worked, threads))


def check(folder: Path) -> int:
    """Raise `ValueError` unless both mappings agree row for row; return how many rows there are."""
    alone, spark = (
        dataset.dataset(folder / name).to_table().sort_by("distinct_id")
        for name in ("alone.parquet", "mapping")
    )
    if not alone.equals(spark.cast(alone.schema)):
        raise ValueError(f"the mappings differ: {len(spark)} rows, expected {len(alone)}")
    return len(alone)


def largest_component(folder: Path, policy: Policy) -> int:
    """Return how many IDs the largest component of stated links has, but for those with no ID."""
    left, right = [], []
    for batch in dataset.dataset(folder / "links").to_batches(columns=["kind", "first", "second"]):
        outcomes = Resolver(policy).link_many(*batch.columns).outcomes
        batch = batch.filter(pa.array(outcomes != Outcome.INVALID_ID))  # noqa: PLW2901 - what is left of it
        left.append(batch.column("first"))
        right.append(batch.column("second"))
    labels = connected_components(pa.chunked_array(left), pa.chunked_array(right)).labels
    return int(np.bincount(labels).max())


def run(chosen: argparse.Namespace, arguments: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return what both took, once their answers are compared."""
    count = write_links(folder / "links", chosen.links, chosen.junk)
    passed = [*arguments, "--folder", str(folder)]
    spark = watched([*passed, "--part", "spark"])
    alone = watched([*passed, "--part", "alone"])
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": shlex.join(["python", "-m", "benches.reports.spark", *arguments]),
        "links": count,
        "ids": check(folder),
        "largest_component": largest_component(folder, policy_of(chosen)),
        "partitions": chosen.partitions,
        "spark": spark,
        "alone": alone,
    }


def main(arguments: Sequence[str]) -> None:
    """Print the figures as JSON, and record them if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benches.reports.spark", description=__doc__.splitlines()[0]
    )
    parser.add_argument("links", nargs="?", type=lambda text: int(float(text)), default=LINKS)
    parser.add_argument("--partitions", type=int, help="of a shuffle; by default Spark's own, 200")
    parser.add_argument("--components", default="auto")
    parser.add_argument("--runs", type=int, default=1, help="runs in one session: the first one is cold")
    parser.add_argument("--junk", type=float, default=0.0, help="share of the links that name junk")
    parser.add_argument("--open", action="store_true", help="do not block it")
    parser.add_argument("--record", action="store_true", help="add the run to benches/results/spark.json")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=["spark", "alone"], help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.part:
        print(json.dumps({"spark": on_spark, "alone": on_one_machine}[chosen.part](chosen.folder, chosen)))
        return
    folder = Path(tempfile.mkdtemp(prefix="idmerge-spark-"))
    try:
        figures = run(chosen, arguments, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if chosen.record:
        recorded = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
        recorded |= {"machine": machine(), "versions": {**versions(), "pyspark": metadata.version("pyspark")}}
        kept = [other for other in recorded.get("runs", []) if other["command"] != figures["command"]]
        recorded["runs"] = [*kept, figures]
        RECORD.write_text(json.dumps(recorded, indent=1) + "\n", "utf-8")
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
