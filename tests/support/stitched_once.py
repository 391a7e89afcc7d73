"""Files that are stitched into an output that is known when they are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from pyarrow import parquet

from idmerge import Resolver, StitchedEvents
from idmerge.stitching import lines
from json_events import usual_texts, written
from strategies import D1, policies, strategies

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

original = lines.flatten

options = st.fixed_dictionaries(
    {
        "as_known": st.booleans(),
        "dedupe": st.booleans(),
        "properties": st.sampled_from([None, None, ["page", "event", "\ud800"]]),
    }
)
"""What is wanted of stitched events."""
in_any_way = (
    written(repeats=True) | written(usual_texts(), repeats=True),
    options,
    st.tuples(policies, strategies),
    st.sampled_from([1, 2]),
    st.integers(1, 400),
)
"""A file, what is wanted of it, the rules and the strategy, threads, and the bytes of a block."""


def written_once(
    path: Path,
    output: Path,
    resolver: Resolver | None = None,
    partition_by: Any = None,
    **wanted: Any,
) -> tuple[StitchedEvents, bool]:
    """Stitch ``path`` to ``output``; return the events, and whether they were read once."""
    events = StitchedEvents([path], Resolver() if resolver is None else resolver, **wanted)
    events.learn(output=output, partition_by=partition_by)
    passes: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "flatten", lambda *given, **named: passes.append(1) or original(*given, **named))
        events.write(output, partition_by=partition_by)
    return events, not passes


def tables_of(directory: Path) -> dict[str, pa.Table]:
    """Return each file of partitions, by its path."""
    files = sorted(directory.rglob("*.parquet"))
    return {str(file.relative_to(directory)): parquet.ParquetFile(file).read() for file in files}


def page(**properties: Any) -> dict[str, Any]:
    return {"event": "Page View", "properties": {"distinct_id": D1, "time": 1_600_000_000, **properties}}


def write(path: Path, *events: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    return path
