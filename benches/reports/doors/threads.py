"""Rows of threads."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from benches.reports.doors import turns
from benches.reports.doors.row import Row, Spread
from benches.reports.doors.turns import compared, read, texts_of_events, timed
from idmerge import Kind, Resolver, files
from idmerge._threads import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LINKS = 1_000_000


def threads() -> Iterator[Row]:
    """Yield the rows of threads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events.ndjson")
        path.write_text("\n".join(texts_of_events()), "utf-8")
        size = path.stat().st_size
        kinds: dict[str, Callable[[], Any]] = {
            "scanned": partial(_scanned, path),
            "applied": partial(read, path),
        }
        seconds: dict[tuple[str, int], list[float]] = {}
        shares = []
        for _ in range(turns.PAIRS):
            for name, work in kinds.items():
                answers = []
                for count in (1, 2):
                    with _threads(count):
                        spent, answer = timed(work)
                    seconds.setdefault((name, count), []).append(spent)
                    answers.append(answer.mapping().to_pydict() if isinstance(answer, Resolver) else answer)
                if answers[0] != answers[1]:
                    sys.exit("the answers differ")
            with _threads(1):
                whole = _used_by(partial(read, path))
                shares.append(_used_by(partial(_applied_pieces, [*files.scan(path)])) / whole)
    for name in kinds:
        yield Row(
            f"threads, {name}",
            f"a file of lines, {name}, on two threads",
            ratio=Spread.of(one / two for one, two in zip(seconds[name, 1], seconds[name, 2], strict=True)),
            against="one thread",
            more={"MB a second on one thread": size / statistics.median(seconds[name, 1]) / 1e6},
        )
    more: dict[str, float | Spread] = {
        "of the processor's time on one thread": Spread.of(shares),
        "times as fast on 16 processors": _amdahl(statistics.median(shares), 16),
    }
    yield Row("threads, applying", more=more)


def _scanned(path: Path) -> int:
    return sum(map(len, files.scan(path)))


def _applied_pieces(pieces: Iterable[files.Piece]) -> Resolver:
    resolver = Resolver()
    for piece in pieces:
        piece.apply_to(resolver)
    return resolver


def _amdahl(serial: float, processors: int) -> float:
    """Return how many times as fast so many processors are if a share is serial (Amdahl 1967)."""
    return 1 / (serial + (1 - serial) / processors)


def _used_by(work: Callable[[], Any]) -> float:
    """Return the seconds of the processor that ``work`` takes, whatever else the machine does."""
    gc.collect()
    before = process_time()
    work()
    return process_time() - before


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def busy() -> Iterator[Row]:
    """Yield the row of links on two threads."""
    device = "{:08x}-9a1f-4c39-8f8e-000000000000".format
    first = pa.array([device(row * 2_654_435_761 % 2**32) for row in range(LINKS)])
    second = pa.array([f"user-{row * 40_503 % (LINKS // 2)}" for row in range(LINKS)])

    def linked(threads: int) -> Resolver:
        resolver = Resolver(threads=threads)
        resolver.link_many(Kind.IDENTIFY, first, second)
        return resolver

    with _kept_busy():
        seconds, ratio = compared(partial(linked, 2), partial(linked, 1))
    way = "`link_many` on two threads, while another process keeps a processor busy"
    yield Row("busy", way, LINKS / seconds / 1e6, "M links", ratio, "one thread")


@contextmanager
def _kept_busy() -> Iterator[None]:
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        hog.kill()
        hog.wait()
