"""The costs of a journal: commits, reopening, checkpoints, and looking back, beside memory alone.

    python -m benches.reports.journal [DISTINCT_IDS [ROUNDS [LINKS_A_COMMIT]]]

The links of `benches.support.workload` come in batches, as from a stream. Each round resolves them
in memory, once in one call and once in these batches; then with a journal and a commit for each
batch; reopens the journal by reading it back and by its checkpoint; and looks back. Machines are
noisy, so all take turns, and the ratios within a round count. The answers are compared: outcomes,
mapping, and what is taken back.
"""

from __future__ import annotations

import gc
import platform
import sqlite3
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

import idmerge
from benches.support.workload import cached_columns
from idmerge import DurableResolver, Outcome, Report, Resolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.support.workload import Columns

FIGURES = {
    "in one call": "M links/s",
    "in batches": "M links/s",
    "committed": "M links/s",
    "read back": "M links/s",
    "by checkpoint": "ms to open",
    "bytes": "bytes a link in the journal",
    "explain": "ms",
    "explain without history": "ms",
    "retract": "ms",
    "changes": "ms, the first time",
    "changes again": "ms, after one more link",
}
RATIOS = {
    "committed / in batches": ("committed", "in batches"),
    "committed / in one call": ("committed", "in one call"),
    "read back / in one call": ("read back", "in one call"),
}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that ``work`` takes, and its answer."""
    gc.collect()
    started = perf_counter()
    answer = work()
    return perf_counter() - started, answer


def in_batches(resolver: Resolver, links: Columns, size: int, after: Callable[[], Any]) -> list[Report]:
    """Link in batches, call ``after`` behind each, and return the reports."""
    reports = []
    for start in range(0, len(links.kinds), size):
        rows = slice(start, start + size)
        reports.append(resolver.link_many(links.kinds[rows], links.left[rows], links.right[rows]))
        after()
    return reports


def one_round(links: Columns, size: int, folder: Path) -> dict[str, float]:
    """Return the figures of one round.

    Raises:
        ValueError: Two answers differ.
    """
    count, path = len(links.kinds), folder / "journal"
    at_once, report = timed(lambda: Resolver().link_many(links.kinds, links.left, links.right))
    memory = Resolver()
    batches, reports = timed(lambda: in_batches(memory, links, size, lambda: None))
    lasting = DurableResolver.open(path)
    committed, lasting_reports = timed(lambda: in_batches(lasting, links, size, lasting.commit))
    expected = memory.mapping().to_pydict()
    _check(reports == lasting_reports, "outcomes")
    _check(sum(len(each) for each in reports) == len(report), "number of links")
    lasting.checkpoint()
    lasting.close()
    checkpoint = path.with_name("journal-checkpoint")
    loading, loaded = timed(lambda: DurableResolver.open(path))
    _check(loaded.mapping().to_pydict() == expected, "mapping by the checkpoint")
    loaded.close()
    checkpoint.unlink()
    reading, lasting = timed(lambda: DurableResolver.open(path))
    _check(lasting.mapping().to_pydict() == expected, "mapping that was read back")
    return {
        "in one call": count / at_once / 1e6,
        "in batches": count / batches / 1e6,
        "committed": count / committed / 1e6,
        "read back": count / reading / 1e6,
        "by checkpoint": loading * 1e3,
        "checkpoint / reading back": reading / loading,
        "bytes": path.stat().st_size / count,
        **looking_back(lasting, links, path),
    }


def looking_back(lasting: DurableResolver, links: Columns, path: Path) -> dict[str, float]:
    """Return what hindsight takes, on a journal that it leaves as it was."""
    # A link that is not sent again: if one that is were taken back, the other would do what it did.
    stated_once = np.flatnonzero(np.bincount(links.left_numbers)[links.left_numbers] == 1)
    joined = (
        row for row in stated_once[len(stated_once) // 2 :] if _is_link_of_two(lasting, links, int(row))
    )
    merged = int(next(joined))
    left, right = links.left[merged].as_py(), links.right[merged].as_py()
    explaining, chain = timed(lambda: lasting.explain(left, right))
    position = chain[0].position
    retracting, changes = timed(lambda: lasting.retract(position))
    _check(len(changes) > 0, "what is taken back")
    feeding, feed = timed(lambda: lasting.changes(len(links.kinds)))
    _check(feed.to_pydict() == changes.to_pydict(), "feed")
    lasting.retract(len(links.kinds))
    lasting.commit()
    lasting.changes(lasting.position)
    seq = lasting.position
    lasting.merge("somebody new", "and a new name")
    following, feed = timed(lambda: lasting.changes(seq))
    _check(len(feed) == 1, "next feed")
    lasting.commit()
    lasting.close()
    with DurableResolver.open(path, read_only=True, history=False) as bare:
        reading, again = timed(lambda: bare.explain(left, right))
    _check(again == chain, "explanation without history")
    return {
        "explain": explaining * 1e3,
        "explain without history": reading * 1e3,
        "retract": retracting * 1e3,
        "changes": feeding * 1e3,
        "changes again": following * 1e3,
    }


def _is_link_of_two(lasting: DurableResolver, links: Columns, row: int) -> bool:
    """Return whether what stands in a row joined its two IDs."""
    left, right = links.left[row].as_py(), links.right[row].as_py()
    chain = lasting.explain(left, right)
    return chain is not None and len(chain) == 1 and chain[0].outcome is Outcome.MERGED


def _check(right: bool, what: str) -> None:  # noqa: FBT001 - it reads as a sentence
    if not right:
        raise ValueError(f"wrong: the {what}")


def main(distinct_ids: int, rounds: int, size: int) -> None:
    """Print the machine, each round, and the medians."""
    links = cached_columns(distinct_ids)
    print(f"idmerge {idmerge.__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(f"SQLite {sqlite3.sqlite_version}; {len(links.kinds):,} links, a commit for each {size:,}")
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            found.append(one_round(links, size, Path(folder)))
        print("  ".join(f"{name} {value:.4g}" for name, value in found[-1].items()))
    for name, unit in FIGURES.items():
        values = [figures[name] for figures in found]
        print(f"{name}: {statistics.median(values):.4g} {unit} ({min(values):.4g} to {max(values):.4g})")
    ratios = {
        name: [figures[over] / figures[under] for figures in found] for name, (over, under) in RATIOS.items()
    }
    ratios["reading back / checkpoint"] = [figures["checkpoint / reading back"] for figures in found]
    for name, values in ratios.items():
        print(f"{name}: median {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    arguments = [int(argument.replace("_", "")) for argument in sys.argv[1:]]
    main(*(arguments + [666_667, 5, 10_000][len(arguments) :]))
