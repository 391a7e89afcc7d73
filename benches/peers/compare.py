"""Ours and the peers on the same links, in turns, each run a process of its own, answers compared.

    python -m benches.peers.compare [--ids 1e5,1e6] [--rounds 3] [--only NAME,NAME] [--json FILE]
    python -m benches.peers.compare run NAME IDS
    python -m benches.peers.compare list

Machines are noisy, so the peers take turns and the median over the rounds counts. A process first
answers for a thousand IDs, which loads the libraries; then it loads the links, makes what the peer
is given, and the clock runs. Who would be too slow or too large at one N, by the figures of the
last, is left out and the reason noted. Any two that answer the same question must agree, or the run
fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.peers import by_columns, by_components, by_rules, by_sql
from benches.peers.peer import count_of
from benches.support.process import StoppedError, in_own_process, measured
from benches.support.workload import cached_columns, columns
from idmerge import Resolver

if TYPE_CHECKING:
    from benches.peers.peer import Peer

PEERS = {peer.name: peer for module in (by_rules, by_components, by_sql, by_columns) for peer in module.PEERS}
PRESIZED = "idmerge-arrow-presized"
WARM_UP = 1000
RUN_SECONDS = 300.0
MEMORY_SHARE = 0.8
Row = dict[str, Any]


def can_be_presized() -> bool:
    """Return whether a resolver can be told how many IDs will come."""
    try:
        Resolver(capacity=1)
    except TypeError:
        return False
    return True


def run(peer: Peer, ids: int) -> Row:
    """Return what one run took, and the digests of its answer."""
    peer.work(peer.prepare(columns(WARM_UP)))
    stated = cached_columns(ids)
    given = peer.prepare(stated)
    result, cost = measured(lambda: peer.work(given))
    return {
        "seconds": cost.seconds,
        "peak_bytes": cost.peak_bytes,
        "links": len(stated.kinds),
        "ids": len(stated.ids),
        "answer": dict(peer.answer(result, stated)),
    }


def compare(
    sizes: Sequence[int], rounds: int, peers: Sequence[Peer], run_seconds: float = RUN_SECONDS
) -> list[Row]:
    """Return a row for each peer and size: its runs, or why there are none."""
    rows: list[Row] = []
    for ids in sizes:
        cached_columns(ids)
        at_this_size: dict[str, Row] = {}
        for peer in peers:
            last = next((row for row in reversed(rows) if row["peer"] == peer.name), None)
            reason = _why_not(peer, ids, last, run_seconds)
            at_this_size[peer.name] = {"peer": peer.name, "ids": ids, "skipped": reason, "runs": []}
        for turn in range(rounds):
            for peer in peers:
                row = at_this_size[peer.name]
                if row["skipped"] is None:
                    _take_turn(peer, row, run_seconds)
                    _show(f"{ids:,} IDs, round {turn + 1} of {rounds}", row)
        rows += at_this_size.values()
        check(at_this_size.values())
    return rows


def _take_turn(peer: Peer, row: Row, seconds: float) -> None:
    try:
        answer = in_own_process(
            "benches.peers.compare",
            *("run", peer.name, row["ids"]),
            environment=peer.environment,
            seconds=3 * seconds,  # What is not timed takes its time too.
            memory_bytes=_most_memory(),
        )
    except StoppedError as error:
        row["skipped"] = str(error)
        return
    row["runs"].append(answer)


def _why_not(peer: Peer, ids: int, last: Row | None, run_seconds: float) -> str | None:
    """Return why ``peer`` is not tried with ``ids``."""
    missing = [name for name in peer.needs if find_spec(name) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    if peer.name == PRESIZED and not can_be_presized():
        return "this version has no capacity"
    if peer.most_ids is not None and ids > peer.most_ids:
        return f"not beyond {peer.most_ids:,} IDs"
    if last is None:
        return None
    if not last["runs"]:
        return f"{last['skipped']} at {last['ids']:,} IDs"
    growth = ids / last["ids"]
    seconds = growth * median(last, "seconds")
    if seconds > run_seconds:
        return f"would take about {seconds:,.0f} s"
    memory = growth * median(last, "peak_bytes")
    if memory > _most_memory():
        return f"would take about {memory / 2**30:,.0f} GiB"
    return None


def _most_memory() -> int:
    return int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def median(row: Row, what: str) -> float:
    """Return the median over the row's runs."""
    return statistics.median(run[what] for run in row["runs"])


def check(rows: Iterable[Row]) -> None:
    """Stop if two peers that answer the same question differ."""
    answers: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in rows:
        for done in row["runs"]:
            for what, digest in done["answer"].items():
                question = PEERS[row["peer"]].question
                answers.setdefault((question, what), {}).setdefault(digest, []).append(row["peer"])
    for (question, what), by_digest in answers.items():
        if len(by_digest) > 1:
            sides = " against ".join(", ".join(sorted(set(names))) for names in by_digest.values())
            sys.exit(f"{question}: the {what} differ: {sides}")


def _show(turn: str, row: Row) -> None:
    peer = PEERS[row["peer"]]
    label = peer.name
    if row["skipped"] is not None:
        print(f"{turn}: {label}: {row['skipped']}", file=sys.stderr)
        return
    done = row["runs"][-1]
    rate, size = _rate(peer, done, done["seconds"]), done["peak_bytes"] / done["ids"]
    print(f"{turn}: {label}: {rate:.2f} M a second, {size:.0f} bytes an ID", file=sys.stderr)


def _rate(peer: Peer, done: Row, seconds: float) -> float:
    """Return millions of links, look-ups or IDs a second."""
    return count_of(peer.question, done["links"]) / seconds / 1e6


def sizes_of(text: str) -> list[int]:
    """Return the numbers in ``1e5,1_000_000``."""
    return [int(float(size)) for size in text.split(",")]


def main(arguments: Sequence[str]) -> None:
    """Do what the command line says."""
    if arguments[:1] == ["run"]:
        print(json.dumps(run(PEERS[arguments[1]], int(float(arguments[2])))))
        return
    if arguments[:1] == ["list"]:
        for peer in PEERS.values():
            print(f"{peer.name:26}{peer.question:20}{peer.given:9}{peer.until}")
        return
    parser = argparse.ArgumentParser(
        prog="python -m benches.peers.compare", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--ids", type=sizes_of, default=sizes_of("1e5,1e6"), help="default: 1e5,1e6")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--only", help="names of peers, with commas between them; default: all")
    parser.add_argument("--seconds", type=float, default=RUN_SECONDS, help="most that a run may take")
    parser.add_argument("--json", type=Path, help="write the rows here")
    chosen = parser.parse_args(arguments)
    names = chosen.only.split(",") if chosen.only else list(PEERS)
    print(f"Python {platform.python_version()}, {platform.platform()}", file=sys.stderr)
    rows = compare(chosen.ids, chosen.rounds, [PEERS[name] for name in names], chosen.seconds)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        if row["runs"]:
            rate = _rate(PEERS[row["peer"]], row["runs"][0], median(row, "seconds"))
            size = median(row, "peak_bytes") / row["runs"][0]["ids"]
            print(f"{row['peer']:26}{row['ids']:>12,}{rate:>9.3f} M a second{size:>9.0f} bytes an ID")
        else:
            print(f"{row['peer']:26}{row['ids']:>12,}  {row['skipped']}")


if __name__ == "__main__":
    main(sys.argv[1:])
