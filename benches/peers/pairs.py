"""Ours against a union-find in Python dicts with the same rules, in pairs in one run.

    python -m benches.peers.pairs [DISTINCT_IDS [PAIRS]]

Machines are noisy, so the two take turns, each on the same links, and the ratio counts: its median
and its range over the pairs. The outcomes are compared link by link each time.
"""

from __future__ import annotations

import gc
import platform
import statistics
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import idmerge
from benches.support.workload import links
from idmerge import Report, Resolver
from idmerge._benchmark.plain_dict import DictResolver

if TYPE_CHECKING:
    from collections.abc import Callable


def timed(make: Callable[[], Any], *columns: Any) -> tuple[float, Any]:
    """Return the seconds that a new resolver takes for ``columns``, and its answer."""
    gc.collect()
    resolver = make()
    started = perf_counter()
    answer = resolver.link_many(*columns)
    return perf_counter() - started, answer


def main(distinct_ids: int, pairs: int) -> None:
    """Print the machine, each pair's ratios, and their medians."""
    stated = links(distinct_ids)
    count = len(stated.kinds)
    kinds = np.array(stated.kinds, np.uint8)
    left, right = pa.array(stated.left), pa.array(stated.right)
    print(f"idmerge {idmerge.__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(f"{count:,} links between about {distinct_ids:,} IDs; million links a second, and ours / dict")
    ratios: dict[str, list[float]] = {"Arrow": [], "list": []}
    for _ in range(pairs):
        arrow, report = timed(Resolver, kinds, left, right)
        plain, outcomes = timed(DictResolver, *stated)
        lists, again = timed(Resolver, kinds, stated.left, stated.right)
        if not report == again == Report(outcomes):
            sys.exit("the outcomes differ")
        ratios["Arrow"].append(plain / arrow)
        ratios["list"].append(plain / lists)
        rates = (
            f"{name} {count / seconds / 1e6:.2f}"
            for name, seconds in (("Arrow", arrow), ("list", lists), ("dict", plain))
        )
        print("  ".join(rates), f" Arrow {plain / arrow:.1f} x  list {plain / lists:.1f} x")
    for name, values in ratios.items():
        middle, least, most = statistics.median(values), min(values), max(values)
        print(f"{name}: median {middle:.1f} x the dict ({least:.1f} to {most:.1f})")


if __name__ == "__main__":
    arguments = [int(argument.replace("_", "")) for argument in sys.argv[1:]]
    main(*(arguments + [666_667, 5][len(arguments) :]))
