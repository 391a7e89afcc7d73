"""The cost of one more ID while a resolver grows: every call timed, the worst ones named.

    python -m benches.reports.growth [IDS [CAPACITY]]

IDs come one by one: `identify` with a new device each time, for users of four devices. Each call is
timed by itself, so each figure holds the clock's own cost, printed beside it. A pause, such as that
of an array that moves to a larger place, shows as the slowest call of its stretch. Then the same
links arrive again, in chunks of a thousand to a new resolver, as a stream would bring them.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benches.support.workload import uuids4
from idmerge import Kind, Resolver

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 1000
STRETCHES = 50
"""Stretches of equally many calls that the growth is cut into; each keeps its slowest call."""
DEVICES_A_USER = 4
SHARES = (50, 99, 99.9, 100)


def new_links(ids: int) -> tuple[pa.Array, pa.Array]:
    """Return links of devices to users that make ``ids`` IDs known, or one user's fewer."""
    devices = ids * DEVICES_A_USER // (DEVICES_A_USER + 1)
    users = [f"user_{number // DEVICES_A_USER}" for number in range(devices)]
    return uuids4(np.random.default_rng(0), devices), pa.array(users)


def grow(ids: int, **settings: Any) -> dict[str, Any]:
    """Return what single calls and chunks cost while ``ids`` IDs become known."""
    left, right = new_links(ids)
    single, by_call = _one_by_one(Resolver(**settings), left, right)
    chunked, by_chunk = _in_chunks(Resolver(**settings), left, right)
    if not len(single) == len(chunked) == len(left) + -(-len(left) // DEVICES_A_USER):
        raise ValueError(f"{len(single)} and {len(chunked)} IDs are known, not those that were sent")
    stretches = np.array_split(by_call, STRETCHES)
    return {
        "ids": len(single),
        "settings": settings,
        "clock_ns": _clock_ns(),
        "call_ns": _quantiles(by_call),
        "chunk_ns": _quantiles(by_chunk),
        "slowest_ns": [int(stretch.max()) for stretch in stretches],
        "median_ns": [int(np.median(stretch)) for stretch in stretches],
    }


def _one_by_one(resolver: Resolver, left: pa.Array, right: pa.Array) -> tuple[Resolver, NDArray[np.int64]]:
    took = np.zeros(len(left), np.int64)
    identify, clock = resolver.identify, perf_counter_ns
    row = 0
    for start in range(0, len(left), CHUNK * CHUNK):
        pairs = zip(
            left[start : start + CHUNK * CHUNK].to_pylist(),
            right[start : start + CHUNK * CHUNK].to_pylist(),
            strict=True,
        )
        gc.collect()
        for anon_id, identified_id in pairs:
            started = clock()
            identify(anon_id, identified_id)
            took[row] = clock() - started
            row += 1
    return resolver, took


def _in_chunks(resolver: Resolver, left: pa.Array, right: pa.Array) -> tuple[Resolver, NDArray[np.int64]]:
    took = []
    for start in range(0, len(left), CHUNK):
        chunk = left[start : start + CHUNK], right[start : start + CHUNK]
        started = perf_counter_ns()
        resolver.link_many(Kind.IDENTIFY, *chunk)
        took.append(perf_counter_ns() - started)
    return resolver, np.array(took)


def _clock_ns() -> int:
    """Return the least that two looks at the clock are apart."""
    return min(-perf_counter_ns() + perf_counter_ns() for _ in range(CHUNK))


def _quantiles(took: NDArray[np.int64]) -> dict[str, int]:
    return {
        f"{share:g}": int(value) for share, value in zip(SHARES, np.percentile(took, SHARES), strict=True)
    }


def main(arguments: Sequence[str]) -> None:
    """Print the costs for people to standard error, and as JSON to standard output."""
    ids, *capacity = (int(float(argument)) for argument in arguments or ["1e6"])
    grown = grow(ids, **({"capacity": capacity[0]} if capacity else {}))
    for what, unit in (("call", 1e3), ("chunk", 1e3)):
        shown = "  ".join(f"{share} % {value / unit:,.1f}" for share, value in grown[f"{what}_ns"].items())
        print(f"µs a {what}: {shown}", file=sys.stderr)
    print(f"of each call the clock took {grown['clock_ns']} ns", file=sys.stderr)
    print(json.dumps(grown))


if __name__ == "__main__":
    main(sys.argv[1:])
