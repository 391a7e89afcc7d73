"""Stitching a file of events to Parquet: ours, and DuckDB with a mapping that is ready already.

    python -m benches.peers.stitching [EVENTS [ROUNDS]]

5,000,000 events of `idmerge.testing` are about 1 GB; the file is made first. Machines are noisy, so
all take turns, each in a process of its own, and the ratios within a round count:

- *file*, *directory*: the process ``idmerge stitch FILE -o OUT``, which reads the links first.
- *twice*: ``idmerge.stitch(FILE).write(OUT)``, which knows the output too late to read the file
  once.
- *DuckDB*: `read_json`, a join with the mapping that ``idmerge resolve`` wrote before, the same
  columns into Parquet. It resolves nothing and has the mapping given.
- *DuckDB in memory*: the same, kept as a table in memory rather than written.
- *DuckDB counts*: read and joined too, but of each event only its ID, for nothing else is asked
  for.

DuckDB's statements are made beforehand; its processes load nothing but DuckDB.

The answers are compared: one row in a hundred of the file with what a plain loop over
`idmerge.reference.Resolver` says, the number of rows, and the canonical IDs with DuckDB's join.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from pyarrow import parquet

import idmerge
from idmerge import reference, testing
from idmerge.events import distinct_id_of

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLED = 100
"""One row in so many is compared with the reference."""
BEFORE = "$distinct_id_before_identity"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
JOIN = """
    FROM read_json('{events}', format='newline_delimited') AS e
    LEFT JOIN '{mapping}' AS m ON e.properties.distinct_id = m.distinct_id
"""


def write_events(path: Path, count: int) -> None:
    """Write ``count`` events to ``path``, one a line."""
    with path.open("w", encoding="utf-8") as file:
        for event in testing.events(count):
            file.write(json.dumps(event, separators=(",", ":")) + "\n")


def run(*arguments: str) -> str:
    """Return what the command prints to standard error."""
    command = [sys.executable, "-m", "idmerge", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def by_two_passes(events: Path, output: Path) -> None:
    """Let a process of its own stitch the events, and write them afterwards."""
    code = "import idmerge, sys; idmerge.stitch(sys.argv[1]).write(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, str(events), str(output)], check=True)


def statements(events: Path, mapping: Path, output: Path) -> dict[str, str]:
    """Return DuckDB's tasks: to read the events and join them with the mapping, in three ways."""
    join = JOIN.format(events=events, mapping=mapping)
    canonical = "coalesce(m.canonical_id, e.properties.distinct_id)"
    names = duckdb.sql(
        f"DESCRIBE SELECT unnest(properties) FROM read_json('{events}', format='newline_delimited')"  # noqa: S608
    ).fetchall()
    others = ", ".join(f'e.properties."{name}"' for name, *_ in names if name != "distinct_id")
    rows = f"SELECT e.event, {canonical} AS distinct_id, e.properties.distinct_id AS sent, {others} {join}"
    return {
        "DuckDB": f"COPY ({rows}) TO '{output}' (FORMAT parquet)",
        "DuckDB in memory": f"CREATE TABLE stitched AS {rows}",
        "DuckDB counts": f"SELECT count(*), count(DISTINCT {canonical}) {join}",
    }


def by_duckdb(statement: str) -> None:
    """Let a process of its own, as ours are, answer ``statement``."""
    code = "import duckdb, sys; duckdb.execute('SET enable_progress_bar = false').execute(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, statement], check=True)


def sampled(path: Path) -> list[dict[str, Any]]:
    """Return one row in `SAMPLED`, as a plain loop over the reference makes it."""
    resolver = reference.Resolver()
    chosen = []
    with path.open("rb") as file:
        for number, line in enumerate(file):
            event = json.loads(line)
            resolver.apply(event)
            if number % SAMPLED == 0:
                chosen.append(event)
    rows = []
    for event in chosen:
        own = distinct_id_of(event)
        properties = dict(event["properties"])
        row = {
            "event": event["event"],
            "time": EPOCH + timedelta(seconds=properties.pop("time")),
            "distinct_id": None if own is None else resolver.resolve(own),
            BEFORE: properties.pop(BEFORE, None) or own,
        }
        properties.pop("distinct_id", None)
        if "$distinct_ids" in properties:
            properties["$distinct_ids"] = json.dumps(properties["$distinct_ids"], separators=(",", ":"))
        rows.append(row | properties)
    return rows


def check(events: Path, count: int, outputs: list[Path], joined: Path) -> None:
    """Exit unless all agree."""
    expected = sampled(events)
    theirs = sorted(parquet.read_table(joined, columns=["distinct_id"]).column(0).to_pylist(), key=str)
    for output in outputs:
        table = parquet.read_table(output)
        if table.num_rows != count:
            sys.exit(f"{output}: {table.num_rows} rows, expected {count}")
        rows = table.take(pa.array(range(0, count, SAMPLED))).to_pylist()
        for ours, row in zip(rows, expected, strict=True):
            if {name: value for name, value in ours.items() if value is not None} != {
                name: value for name, value in row.items() if value is not None
            }:
                sys.exit(f"{output}: {ours}\nthe reference: {row}")
        if sorted(table.column("distinct_id").to_pylist(), key=str) != theirs:
            sys.exit(f"{output}: other canonical IDs than DuckDB joins")
    print(f"{len(expected):,} rows as the reference has them, all canonical IDs as DuckDB joins them")


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that ``work`` takes."""
    started = perf_counter()
    work()
    return perf_counter() - started


def main(count: int, rounds: int) -> None:
    """Print the machine, each round's seconds, and the medians of the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        events, mapping, joined = place / "events.ndjson", place / "mapping.parquet", place / "joined.parquet"
        file, directory, twice = place / "stitched.parquet", place / "stitched", place / "twice.parquet"
        write_events(events, count)
        print(f"idmerge {idmerge.__version__}, DuckDB {duckdb.__version__}, pyarrow {pa.__version__}")
        print(f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} processors")
        print(f"{count:,} events, {events.stat().st_size / 1e6:,.0f} MB")
        run("resolve", str(events), "-o", str(mapping))
        works: dict[str, Callable[[], Any]] = {
            "file": lambda: run("stitch", str(events), "-o", str(file)),
            "directory": lambda: run("stitch", str(events), "-o", str(directory)),
            "twice": lambda: by_two_passes(events, twice),
        }
        for name, statement in statements(events, mapping, joined).items():
            works[name] = partial(by_duckdb, statement)
        seconds: dict[str, list[float]] = {name: [] for name in works}
        for number in range(rounds + 1):
            this_round = {name: timed(work) for name, work in works.items()}
            if number == 0:  # The first round fills the page cache, and is for the answers.
                check(events, count, [file, directory, twice], joined)
                continue
            print("  ".join(f"{name} {took:.2f} s" for name, took in this_round.items()))
            for name, took in this_round.items():
                seconds[name].append(took)
        for name in works:
            ratios = [theirs / ours for ours, theirs in zip(seconds[name], seconds["DuckDB"], strict=True)]
            median, ratio = statistics.median(seconds[name]), statistics.median(ratios)
            span = f"({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"{name}: median {median:.2f} s, {ratio:.2f} times as fast as DuckDB {span}")


if __name__ == "__main__":
    numbers = [int(argument.replace("_", "")) for argument in sys.argv[1:]]
    main(*(numbers + [5_000_000, 5][len(numbers) :]))
