"""Rows of profile updates."""

from __future__ import annotations

import gc
import json
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from benches.reports.doors import turns
from benches.reports.doors.row import Row, Spread
from idmerge import Profiles, Resolver, files, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from idmerge.profiles import WhoIsWho

UPDATES = 1_000_000
PEOPLE = 100_000
CLOCKS = ("by the clock", "by the processor's time")


def profiles() -> Iterator[Row]:
    """Yield the rows of profile updates."""
    texts = [
        json.dumps(
            {
                "$token": "0123456789abcdef",
                "$distinct_id": f"user-{row * 7_919 % PEOPLE}",
                "$set": {"plan": "pro", "logins": row % 50, "city": "Oslo"},
            }
        ).encode()
        for row in range(UPDATES)
    ]
    dicts = [json.loads(text) for text in texts]
    plain_seconds, plain_used, expected = _clocked(partial(_updated, texts, reference.Resolver()))

    def loop() -> None:
        for text in texts:
            json.loads(text)

    ways = {
        "bytes": "`Profiles.update_many` of updates as bytes",
        "dicts": "`Profiles.update_many` of dicts",
        "a file": "`Profiles.update_many` of a file, by `read_updates`",
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "updates.ndjson")
        file.write_bytes(b"\n".join(texts))
        for (name, way), given in zip(ways.items(), (texts, dicts, file), strict=True):
            ours, bars = [], []
            for _ in range(turns.PAIRS):
                bars.append(_clocked(loop))
                ours.append(_clocked(partial(_updated, given, Resolver())))
                if list(ours[-1][2].items()) != list(expected.items()):
                    sys.exit("the answers differ")
            for clock, by in enumerate(CLOCKS):
                yield Row(
                    f"profiles, {name}, {by}",
                    f"{way}, {by}",
                    rate=UPDATES / statistics.median(own[clock] for own in ours) / 1e6,
                    unit="M updates",
                    ratio=Spread.of(bar[clock] / own[clock] for bar, own in zip(bars, ours, strict=True)),
                    against="json.loads of each",
                )
    plain = zip(CLOCKS, (plain_seconds, plain_used), strict=True)
    more: dict[str, float | Spread] = {
        f"M updates a second {by}": UPDATES / seconds / 1e6 for by, seconds in plain
    }
    yield Row("profiles, in Python", more=more)


def _clocked(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return the seconds by the clock and of all threads on a processor, and the answer."""
    gc.collect()
    used, started = process_time(), perf_counter()
    answer = work()
    return perf_counter() - started, process_time() - used, answer


def _updated(given: Any, resolver: WhoIsWho) -> dict[str, Any]:
    """Return the profiles after all updates, in their order."""
    people = Profiles(resolver)
    if not isinstance(given, Path):
        people.update_many(given)
    else:
        for piece in files.read_updates(given):
            if isinstance(piece, files.BadLine):
                sys.exit(str(piece))
            people.update_many(piece.events)
    return people._stored
