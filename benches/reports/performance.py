"""A recorded run: every figure, the tables in docs/performance.md, and the charts.

    python -m benches.reports.performance [--ids 1e5,1e6,1e7] [--rounds 3]   measure, record, draw
    python -m benches.reports.performance --draw                             draw the last record

Results go to `benches/results/VERSION.json` with the machine, the versions and the command. Nothing
else may run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import idmerge
from benches.peers import compare as peers
from benches.peers.compare import PEERS, can_be_presized, sizes_of
from benches.reports import tables
from benches.reports.machine import machine, random_access, versions
from benches.support.paths import RESULTS, ROOT
from benches.support.process import StoppedError, in_own_process

RECORD = RESULTS / f"{idmerge.__version__}.json"
DOCUMENT = ROOT / "docs" / "performance.md"
CHARTS = ROOT / "docs" / "charts"


def measure(sizes: Sequence[int], rounds: int, seconds: float) -> dict[str, Any]:
    """Return every figure of a recorded run."""
    largest = max(sizes)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": shlex.join(["python", "-m", "benches.reports.performance", *sys.argv[1:]]),
        "machine": machine(),
        "versions": versions(),
        "limits": random_access(),
        "memory": [
            _alone("benches.reports.memory", *arguments) for ids in sizes for arguments in _presizings(ids)
        ],
        "growth": [_alone("benches.reports.growth", *arguments) for arguments in _presizings(largest)],
        "single": _alone("benches.reports.single", 1000, min(1_000_000, largest)),
        "peers": [_short(row) for row in peers.compare(sizes, rounds, list(PEERS.values()), seconds)],
    }


def _presizings(ids: int) -> list[tuple[int, ...]]:
    return [(ids,), (ids, ids)] if can_be_presized() else [(ids,)]


def _alone(module: str, *arguments: int) -> dict[str, Any]:
    print(f"{module} {' '.join(f'{argument:,}' for argument in arguments)}", file=sys.stderr)
    try:
        return in_own_process(module, *arguments)
    except StoppedError as error:
        sys.exit(f"{module}: {error}")


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of `peers.compare` with each peer's words, and each figure once."""
    peer, runs = PEERS[row["peer"]], row["runs"]
    short = {
        "peer": peer.name,
        "label": peer.label,
        "question": peer.question,
        "given": peer.given,
        "until": peer.until,
        "ours": peer.ours,
        "ids": row["ids"],
    }
    if not runs:
        return {**short, "skipped": row["skipped"]}
    return {
        **short,
        "links": runs[0]["links"],
        "distinct": runs[0]["ids"],
        "seconds": [round(run["seconds"], 4) for run in runs],
        "peak_bytes": [run["peak_bytes"] for run in runs],
        "answer": runs[0]["answer"],
    }


def draw(figures: dict[str, Any]) -> None:
    """Write the tables into the document, and the charts beside it."""
    from benches.reports import charts

    DOCUMENT.write_text(tables.filled(DOCUMENT.read_text("utf-8"), figures), "utf-8")
    CHARTS.mkdir(exist_ok=True)
    charts.draw_all(figures, CHARTS)


def main(arguments: Sequence[str]) -> None:
    """Measure, unless told not to, and draw."""
    parser = argparse.ArgumentParser(
        prog="python -m benches.reports.performance", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--ids", type=sizes_of, default=sizes_of("1e5,1e6,1e7"), help="default: 1e5,1e6,1e7")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--seconds", type=float, default=peers.RUN_SECONDS, help="most that a run may take")
    parser.add_argument("--draw", action="store_true", help="draw the last recorded run")
    chosen = parser.parse_args(arguments)
    if not chosen.draw:
        figures = measure(chosen.ids, chosen.rounds, chosen.seconds)
        RECORD.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    draw(json.loads(RECORD.read_text("utf-8")))


if __name__ == "__main__":
    main(sys.argv[1:])
