"""Killed deliveries to sinks: after each kill the next delivery makes the target equal the mapping.

    python -m benches.campaigns.sinks [KILLS] [--seed SEED] [--postgres URL]    default 300 kills

A process takes some steps, commits them, and delivers them to a target: NDJSON, Parquet, a file of
DuckDB, and a schema of PostgreSQL if its URL is given. At a line of the delivery, drawn among all of
them, it kills itself by SIGKILL. Whatever the target then says of itself must be so: its rows are
the mapping of the commit that its cursor names. After one more delivery they are the mapping of the
journal.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from benches.support.campaign import campaign_options, run_campaign
from benches.support.sink_rows import mapping, rows_of
from idmerge import DurableResolver
from idmerge.errors import RetractionError, UnknownIdError
from idmerge.sinks import Delivery, open_sink

KILLS = 300
_ROOM = f"idmerge{os.sep}sinks{os.sep}"
"""The modules whose lines are counted."""
_IDS = 60


def kill(kills: int, directory: Path, seed: int = 0, postgres: str | None = None) -> Counter[str]:
    """Kill so many deliveries; return how many were killed by kind, and how many came through.

    Raises:
        AssertionError: A target did not hold what it should.
    """
    drawn = random.Random(seed)
    counts: Counter[str] = Counter()
    targets = {kind: f"{kind}:{directory / kind}" for kind in ("ndjson", "parquet", "duckdb")}
    if postgres:
        targets["postgresql"] = postgres
    lines: dict[str, int] = {}
    while counts["kills"] < kills:
        kind = drawn.choice([*targets])
        journal, target = directory / f"{kind}.idmerge", targets[kind]
        count = directory / "lines"
        if kind not in lines:
            status = _forked(lambda: _deliver(journal, target, 0, count))  # noqa: B023 - called here
            assert status == 0
            lines[kind] = int(count.read_text("ascii")) + 20
        own, place = drawn.getrandbits(32), drawn.randint(1, lines[kind])
        status = _forked(lambda: _deliver(journal, target, place, count, own))  # noqa: B023
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        counts["kills" if was_killed else "came through"] += 1
        counts[kind] += was_killed
        if _forked(lambda: _check(journal, target)):  # noqa: B023
            raise AssertionError(f"{kind}: wrong after kill {counts['kills']}, at line {place}")
    return counts


def _forked(work: Callable[[], None]) -> int:
    """Do some work in a child, which leaves no connection behind; return its status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - the status says it
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def _deliver(journal: Path, target: str, place: int, count: Path, seed: int = 0) -> None:
    """Commit some steps and deliver them; die at a line of the delivery, or note how many it has."""
    passed = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal passed
        if _ROOM not in frame.f_code.co_filename:
            return None
        if event == "line":
            passed += 1
            if passed == place:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    with DurableResolver.open(journal) as resolver:
        _take_steps(resolver, random.Random(seed))
        resolver.commit()
        sys.settrace(trace)
        try:
            sink = open_sink(target)
            Delivery(resolver, sink).run()
            sink.close()
        finally:
            sys.settrace(None)
    count.write_text(str(passed), "ascii")


def _take_steps(resolver: DurableResolver, drawn: random.Random) -> None:
    for _ in range(drawn.randint(1, 20)):
        one, other = (f"ID {drawn.randrange(_IDS)}" for _ in range(2))
        act = drawn.random()
        try:
            if act < 0.7:
                resolver.merge(one, other)
            elif act < 0.85:
                resolver.observe(f"new {drawn.getrandbits(40)}")
            elif act < 0.95 and resolver.position:
                resolver.retract(drawn.randrange(resolver.position))
            else:
                resolver.forget(one)
        except (RetractionError, UnknownIdError):
            pass


def _check(journal: Path, target: str) -> None:
    """Make sure that a target holds what its cursor says, and the mapping after one more delivery."""
    with DurableResolver.open(journal, read_only=True) as resolver:
        sink = open_sink(target)
        cursor = sink.cursor(restart=False)
        if cursor is not None:
            with DurableResolver.open(journal, read_only=True, as_of=cursor.position) as then:
                rows, expected = rows_of(target), mapping(then)
                # No moment names the IDs that were forgotten later; one may have later observations.
                if rows.keys() <= expected.keys():
                    assert rows == {own: expected[own] for own in rows}
                    lacking = expected.keys() - rows.keys()
                    assert {own for own in lacking if not own.startswith("new ")} == set()
        Delivery(resolver, sink).run()
        sink.close()
        assert rows_of(target) == mapping(resolver)


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    options = campaign_options("sinks", __doc__, "kills", KILLS)
    options.add_argument("--postgres", metavar="URL", help="a schema of its own; without it none is tried")
    chosen = options.parse_args(arguments)
    return run_campaign(lambda folder: (kill(chosen.kills, folder, chosen.seed, chosen.postgres), []), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
