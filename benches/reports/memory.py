"""Bytes an ID: what a resolver holds, what it held at most on the way there, and its answers.

    python -m benches.reports.memory [IDS [CAPACITY]]

The links are given as Arrow columns. Held is the resident size afterwards, at most the peak while
it grew, both less the resident size before; the outcomes are not counted. For comparison the text
of the IDs alone, as Arrow keeps it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from benches.support.process import give_back, measured, resident_bytes
from benches.support.workload import cached_columns, columns
from idmerge import Resolver

WARM_UP = 1000


def hold(ids: int, **settings: Any) -> dict[str, Any]:
    """Return the bytes an ID of a resolver that takes the workload of ``ids`` IDs."""
    small = columns(WARM_UP)
    Resolver(**settings).link_many(small.kinds, small.left, small.right)
    stated = cached_columns(ids)

    def work() -> Resolver:
        resolver = Resolver(**settings)
        resolver.link_many(stated.kinds, stated.left, stated.right)
        return resolver

    resolver, grown = measured(work)
    give_back()
    held = max(0, resident_bytes() - grown.before_bytes)
    mapping, mapped = measured(lambda: pa.table(resolver.mapping()))
    if mapping.num_rows != len(stated.ids):
        raise ValueError(f"{mapping.num_rows} IDs are known, not {len(stated.ids)}")
    count = len(stated.ids)
    return {
        "ids": count,
        "settings": settings,
        "held": held / count,
        "peak": grown.peak_bytes / count,
        "mapping": mapped.peak_bytes / count,
        "text": stated.ids.nbytes / count,
    }


def main(arguments: Sequence[str]) -> None:
    """Print the bytes as JSON."""
    ids, *capacity = (int(float(argument)) for argument in arguments or ["1e6"])
    print(json.dumps(hold(ids, **({"capacity": capacity[0]} if capacity else {}))))


if __name__ == "__main__":
    main(sys.argv[1:])
