"""Deliveries to sinks: all IDs at first, then what 1,000 more links changed.

    python -m benches.reports.sinks [IDS [POSTGRES]]

IDs are 1 million by default; the URL of a schema of PostgreSQL adds that target. Each target is
read back and compared with the mapping.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

from benches.support.sink_rows import mapping, rows_of
from idmerge import DurableResolver, Kind
from idmerge.sinks import Delivery, open_sink

IDS = 1_000_000
CHANGES = 1000
_A_PERSON = 4
"""IDs of a person."""


def measured(ids: int, postgres: str | None, directory: Path) -> list[tuple[str, int, float, int, float]]:
    """Return each target with rows and seconds of its two deliveries."""
    resolver = DurableResolver.open(directory / "ids.idmerge")
    people = ids // _A_PERSON
    firsts = [f"person-{number}@example.com" for number in range(people)]
    for other in range(1, _A_PERSON):
        resolver.link_many(Kind.MERGE, firsts, [f"device-{other}-{number:08x}" for number in range(people)])
    resolver.commit()
    targets = [f"{kind}:{directory / kind}" for kind in ("parquet", "ndjson", "duckdb")]
    deliveries = {
        target: Delivery(resolver, open_sink(target))
        for target in [*targets, *([postgres] if postgres else [])]
    }
    first = {target: delivery.run() for target, delivery in deliveries.items()}
    resolver.link_many(Kind.MERGE, firsts[:CHANGES], firsts[CHANGES : 2 * CHANGES])
    resolver.commit()
    rows = []
    for target, delivery in deliveries.items():
        second = delivery.run()
        assert (first[target].is_whole, second.is_whole) == (True, False)
        assert rows_of(target) == mapping(resolver)
        kind = target.partition(":")[0]
        rows.append((kind, first[target].rows, first[target].seconds, second.rows, second.seconds))
    return rows


def main(arguments: list[str]) -> None:
    """Print a row for each target."""
    ids = int(float(arguments[0])) if arguments else IDS
    with tempfile.TemporaryDirectory() as directory:
        rows = measured(ids, arguments[1] if arguments[1:] else None, Path(directory))
    print("| target | all IDs | | changes | |\n|---|--:|--:|--:|--:|")
    for kind, first, seconds, second, later in rows:
        print(f"| {kind} | {first:,} rows | {seconds:.1f} s | {second:,} rows | {later * 1000:,.0f} ms |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"peak memory of the process, its checks included: {peak:,} MiB")


if __name__ == "__main__":
    main(sys.argv[1:])
