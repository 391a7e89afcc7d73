"""Reading a file of events into a resolver: ours, DuckDB that merely reads it, and a Python loop.

    python -m benches.peers.files [EVENTS [ROUNDS]]

1,290,000 events are about 500 MB; the file is made first, in the shape of Mixpanel's raw export
with the properties that its web SDK adds. Machines are noisy, so all take turns, and the ratios
within a round count. Each reads the file from the page cache:

- *idmerge*: `idmerge.files.scan` into a `Resolver`;
  *resolve*: the process ``idmerge resolve FILE -o``, its modules compiled before.
- *DuckDB*: `read_json` told the few fields that matter, which it counts. It resolves nothing;
  *DuckDB's process*: a process that does so, and counts the distinct IDs.
- *Python*: `orjson.loads` of each line into `idmerge.reference.Resolver`, on the first lines only,
  and so is compared by bytes a second.

The answers are compared: with DuckDB the fields counted, with the loop the whole mapping.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import duckdb
import orjson

import idmerge
from benches.support.process import compiling
from idmerge import Resolver, reference, testing
from idmerge.events import operand_keys
from idmerge.files import scan

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPED = 50_000
"""Events that the Python loop takes."""
KEYS = {key for _, _, groups in operand_keys() for group in groups for key in group}
"""The properties that make links."""
WEB = {
    "$browser": "Chrome",
    "$browser_version": 126,
    "$city": "Zürich",
    "$os": "Mac OS X",
    "mp_country_code": "CH",
    "$screen_height": 1080,
    "$screen_width": 1920,
    "mp_lib": "web",
}


def write_events(path: Path, count: int) -> None:
    """Write ``count`` events to ``path``, one a line."""
    with path.open("w", encoding="utf-8") as file:
        for event in testing.events(count):
            shown = {**event, "properties": {**event["properties"], **WEB}}
            file.write(json.dumps(shown, separators=(",", ":"), ensure_ascii=False) + "\n")


def ours(path: Path) -> tuple[Resolver, int]:
    """Return a resolver of the file's events, and how many they are."""
    resolver = Resolver()
    count = 0
    for piece in scan(path):
        if not len(piece):
            sys.exit(f"not expected: {piece}")
        piece.apply_to(resolver)
        count += len(piece)
    return resolver, count


def process(path: Path) -> str:
    """Return what ``idmerge resolve`` says of the file."""
    command = [sys.executable, "-m", "idmerge", "resolve", str(path), "-o", f"{path}.parquet"]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=compiling()).stderr


def read_by_duckdb(path: Path) -> tuple[Any, ...]:
    """Return how many events DuckDB reads, and how many of each field that matters."""
    counts = ", ".join(f'count(properties."{key}")' for key in sorted(KEYS))
    (row,) = duckdb.execute(query(f"count(event), {counts}"), [str(path)]).fetchall()
    return tuple(row)


def query(counted: str) -> str:
    """Return the query of DuckDB's that counts a file's events, and what is ``counted``."""
    fields = ", ".join(
        f'"{key}" JSON' if key == "$distinct_ids" else f'"{key}" VARCHAR' for key in sorted(KEYS)
    )
    columns = f"{{event: 'VARCHAR', properties: 'STRUCT({fields})'}}"
    source = f"read_json(?, format='newline_delimited', columns={columns})"
    return f"SELECT count(*), {counted} FROM {source}"  # noqa: S608


def process_of_duckdb(path: Path) -> int:
    """Return how many events a process of DuckDB's reads, which counts the distinct IDs too."""
    program = "import duckdb, sys; print(*duckdb.execute(sys.argv[1], [sys.argv[2]]).fetchone())"
    counting = query("count(DISTINCT properties.distinct_id)")
    command = [sys.executable, "-c", program, counting, str(path)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=compiling()).stdout
    return int(answer.split()[0])


def looped(path: Path) -> tuple[reference.Resolver, int]:
    """Return the reference's resolver of the first `LOOPED` events, and their bytes."""
    resolver = reference.Resolver()
    length = 0
    with path.open("rb") as file:
        for line in islice(file, LOOPED):
            resolver.apply(orjson.loads(line))
            length += len(line)
    return resolver, length


def timed(work: Callable[[Path], Any], path: Path) -> tuple[float, Any]:
    """Return the seconds that ``work`` takes, and its answer."""
    gc.collect()
    started = perf_counter()
    answer = work(path)
    return perf_counter() - started, answer


def check(path: Path, count: int, read: tuple[Any, ...], loop: reference.Resolver) -> None:
    """Exit unless all agree; ``read`` begins with the events of DuckDB and of its process."""
    if read[:3] != (count, count, count):
        sys.exit(f"DuckDB reads {read[:3]} events, idmerge {count}")
    prefix = path.with_name("prefix.ndjson")
    with path.open("rb") as file:
        prefix.write_bytes(b"".join(islice(file, LOOPED)))
    if ours(prefix)[0].mapping().to_pydict() != loop.mapping():
        sys.exit("the mappings differ")


def main(events: int, rounds: int) -> None:
    """Print the machine, each round's rates, and the medians of the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.ndjson"
        write_events(path, events)
        size = path.stat().st_size
        print(f"idmerge {idmerge.__version__}, DuckDB {duckdb.__version__}, orjson {orjson.__version__}")
        print(f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} processors")
        print(f"{events:,} events, {size / 1e6:,.0f} MB, {size / events:.0f} bytes each; MB a second")
        rates: dict[str, list[float]] = {}
        for number in range(rounds + 1):
            seconds, (_, count) = timed(ours, path)
            whole, _ = timed(process, path)
            duck, read = timed(read_by_duckdb, path)
            whole_of_duckdb, count_of_process = timed(process_of_duckdb, path)
            loop, (looping, length) = timed(looped, path)
            if number == 0:  # The first round fills the page cache, and is for the answers.
                check(path, count, (count_of_process, *read), looping)
                continue
            this_round = {
                "idmerge": size / seconds / 1e6,
                "resolve": size / whole / 1e6,
                "DuckDB": size / duck / 1e6,
                "DuckDB's process": size / whole_of_duckdb / 1e6,
                "Python": length / loop / 1e6,
            }
            for name, rate in this_round.items():
                rates.setdefault(name, []).append(rate)
            print("  ".join(f"{name} {rate:,.0f}" for name, rate in this_round.items()))
        print("medians: " + "  ".join(f"{name} {statistics.median(rates[name]):,.0f}" for name in rates))
        pairs = [(name, peer) for name in ("idmerge", "resolve") for peer in ("DuckDB", "Python")]
        for name, peer in [*pairs, ("resolve", "DuckDB's process")]:
            ratios = [a / b for a, b in zip(rates[name], rates[peer], strict=True)]
            middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
            print(f"{name} / {peer}: median {middle:.2f} ({least:.2f} to {most:.2f})")


if __name__ == "__main__":
    arguments = [int(argument.replace("_", "")) for argument in sys.argv[1:]]
    main(*(arguments + [300_000, 5][len(arguments) :]))
