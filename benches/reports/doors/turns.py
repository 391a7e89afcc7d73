"""Measurements in turns: a way in and what it is compared with, pair by pair."""

from __future__ import annotations

import gc
import json
import statistics
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from benches.reports.doors.row import Spread
from idmerge import Policy, Resolver, files
from idmerge.events import SENT_ID
from idmerge.testing import events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVENTS = 500_000
PAIRS = 9


def texts_of_events() -> list[str]:
    """Return generated events, each as JSON text."""
    return [json.dumps(event) for event in events(EVENTS, seed=7)]


def read(path: Path, policy: Policy | None = None) -> Resolver:
    """Return a resolver that has read a file."""
    resolver = Resolver(policy)
    for piece in files.scan(path, api=resolver.policy.api):
        if isinstance(piece, files.BadLine):
            sys.exit(str(piece))
        piece.apply_to(resolver)
    return resolver


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds by the clock, and the answer."""
    gc.collect()
    started = perf_counter()
    answer = work()
    return perf_counter() - started, answer


def compared(
    ours: Callable[[], Any], other: Callable[[], Any], *, is_compared: bool = True
) -> tuple[float, Spread]:
    """Return the median seconds of ``ours``, and how many times as fast as ``other`` it is."""
    times: list[tuple[float, float]] = []
    for pair in range(PAIRS):
        first, second = (ours, other) if pair % 2 else (other, ours)
        (first_seconds, answer), (second_seconds, expected) = timed(first), timed(second)
        if is_compared and _answer_of(answer) != _answer_of(expected):
            sys.exit("the answers differ")
        times.append((first_seconds, second_seconds) if pair % 2 else (second_seconds, first_seconds))
    own = statistics.median(seconds for seconds, _ in times)
    return own, Spread.of(of_other / of_ours for of_ours, of_other in times)


def _answer_of(given: Any) -> Any:
    """Return what a resolver has come to know, or the IDs of stitched events, to be compared."""
    if isinstance(given, Resolver):
        return given.mapping().to_pydict(), given.stats()
    return pa.table(given).select(["event", "distinct_id", SENT_ID]).to_pydict()
