"""Single calls, in nanoseconds: ours beside a dict's, and a batch of every size.

    python -m benches.reports.single

Each figure is the median of rounds of many calls in a loop, with the loop's own cost in it, and the
floor is a method in C that reads two str. One resolver fits the caches, the other does not. Small
batches show from how many links on a column pays.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np
import pyarrow as pa

from benches.support.workload import cached_columns
from idmerge import Kind, Outcome, Report, Resolver
from idmerge._benchmark.plain_dict import DictResolver

SMALL, LARGE = 1000, 1_000_000
CALLS = 20_000
ROUNDS = 7
BATCHES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)


def calls(ids: int) -> dict[str, float]:
    """Return the nanoseconds of each call on resolvers with ``ids`` IDs; answers are compared."""
    stated = cached_columns(ids)
    links = stated.links()
    ours, plain = Resolver(), DictResolver()
    ours.link_many(stated.kinds, stated.left, stated.right)
    plain.link_many(*links)
    names = {text: ours.resolve(text) for text in stated.ids.to_pylist()}
    known = [(a, b) for kind, a, b in zip(*links, strict=True) if kind is Kind.IDENTIFY][:CALLS]
    texts = [a for a, _ in known]

    def each(call: Callable[[str], Any]) -> Callable[[], list[Any]]:
        return lambda: [call(text) for text in texts]

    def both(call: Callable[[str, str], Any]) -> Callable[[], list[Any]]:
        return lambda: [call(a, b) for a, b in known]

    def by_dict(anon_id: str, identified_id: str) -> Outcome:
        return plain.link(Kind.IDENTIFY, anon_id, identified_id)

    floor, _ = timed(both(str.startswith), len(known))
    took = {"floor": floor}
    took["resolve"], ours_names = timed(each(ours.resolve), len(texts))
    took["dict.get of the mapping"], names_again = timed(each(names.get), len(texts))
    took["resolve, dict with the rules"], plain_names = timed(each(plain.resolve), len(texts))
    took["identify, known"], outcomes = timed(both(ours.identify), len(known))
    took["identify, known, dict with the rules"], plain_outcomes = timed(both(by_dict), len(known))
    if not (ours_names == names_again == plain_names and outcomes == plain_outcomes):
        raise ValueError("the answers differ")
    return took


def batches(ids: int) -> list[dict[str, float]]:
    """Return nanoseconds a link of `link_many` and of `identify`, for batches of each size."""
    stated = cached_columns(ids)
    ours = Resolver()
    ours.link_many(stated.kinds, stated.left, stated.right)
    known = pa.array(np.resize(np.flatnonzero(stated.kinds == Kind.IDENTIFY), max(BATCHES)))
    left, right = stated.left.take(known), stated.right.take(known)
    pairs = list(zip(left.to_pylist(), right.to_pylist(), strict=True))
    by_call, outcomes = timed(lambda: [ours.identify(*pair) for pair in pairs], len(pairs))
    rows = []
    for size in BATCHES:
        arrow = [
            (left[start : start + size], right[start : start + size]) for start in range(0, len(pairs), size)
        ]
        lists = [(first.to_pylist(), second.to_pylist()) for first, second in arrow]
        row = {"links": size, "call": by_call}
        for name, given in (("arrow", arrow), ("list", lists)):
            row[name], reports = timed(partial(_link_all, ours, given), len(pairs))
            if np.concatenate([report.outcomes for report in reports]).tolist() != outcomes:
                raise ValueError("the answers differ")
        rows.append(row)
    return rows


def _link_all(resolver: Resolver, columns: Sequence[tuple[Any, Any]]) -> list[Report]:
    return [resolver.link_many(Kind.IDENTIFY, left, right) for left, right in columns]


def timed(work: Callable[[], Any], count: int) -> tuple[float, Any]:
    """Return the median nanoseconds for each of ``count``, and the last answer."""
    took = []
    for _ in range(ROUNDS):
        started = perf_counter_ns()
        answer = work()
        took.append((perf_counter_ns() - started) / count)
    return round(median(took), 1), answer


def main(arguments: Sequence[str]) -> None:
    """Print the figures as JSON."""
    small, large = (int(float(argument)) for argument in arguments or (SMALL, LARGE))
    figures = {"calls": {str(ids): calls(ids) for ids in (small, large)}, "batches": batches(small)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
