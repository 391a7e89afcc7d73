"""Ways in beside the engine: each against what it cannot be faster than, in pairs in one run.

    python -m benches.reports.doors [ROW …]

Rows:

- ``dicts``: `apply_events` of dicts, against a bare loop that looks up two keys of each;
- ``texts``: `apply_events` of JSON text, against ``json.loads`` of each;
- ``start``: ``idmerge --version`` and ``idmerge resolve`` of ten events, in seconds behind
  ``python -c pass``, by the clock and of the processor.

The two take turns; the ratio counts: its median and its range over the pairs. Answers are compared
with those of the plain parse in Python.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import idmerge
from idmerge import Report, Resolver
from idmerge._steps import states_link, step_columns
from idmerge.events import event_mappings
from idmerge.testing import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

EVENTS = 500_000
PAIRS = 9
STARTS = 15
TEN = 10


def dicts() -> None:
    """Print the row of dicts, each from a ``json.loads`` of its own as a consumer has them."""
    given = [json.loads(text) for text in _texts()]

    def loop() -> None:
        for event in given:
            event["event"]
            event["properties"]

    _print_pairs("dicts", given, loop, "a loop that looks up two keys")


def texts() -> None:
    """Print the row of JSON text."""
    given = _texts()

    def loop() -> None:
        for text in given:
            json.loads(text)

    _print_pairs("texts", given, loop, "json.loads of each")


def _texts() -> list[str]:
    return [json.dumps(event) for event in events(EVENTS, seed=7)]


def _print_pairs(row: str, given: Sequence[Any], loop: Callable[[], None], bar: str) -> None:
    plain_seconds, expected = _timed(lambda: _applied_plainly(given))
    ours, bare = [], []
    for _ in range(PAIRS):
        bare.append(_timed(loop)[0])
        seconds, answer = _timed(lambda: _applied(given))
        ours.append(seconds)
        if _shown(*answer) != _shown(*expected):
            sys.exit("the answers differ")
    ratios = [of_bar / own for of_bar, own in zip(bare, ours, strict=True)]
    print(
        f"{row}: {EVENTS / statistics.median(ours) / 1e6:.1f} M events/s, {_spread(ratios)} of {bar}; "
        f"the plain parse {EVENTS / plain_seconds / 1e6:.2f} M events/s"
    )


def _applied(given: Iterable[Any]) -> tuple[Resolver, Report]:
    resolver = Resolver()
    return resolver, resolver.apply_events(given)


def _applied_plainly(given: Iterable[Any]) -> tuple[Resolver, Report]:
    resolver = Resolver()
    codes, first, second = step_columns(event_mappings(given))
    rows = [row for row, code in enumerate(codes) if states_link(code)]
    return resolver, Report(resolver._take_steps(codes, first, second, 0), rows)


def _shown(resolver: Resolver, report: Report) -> tuple[Any, ...]:
    return report, resolver.mapping().to_pydict(), resolver.stats()


def start() -> None:
    """Print the row of the command line's start."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ten.ndjson")
        path.write_text("".join(f"{json.dumps(event)}\n" for event in events(TEN, seed=7)), "utf-8")
        commands = {"--version": ["--version"], "resolve of ten events": ["resolve", str(path)]}
        clock: dict[str, list[float]] = {name: [] for name in commands}
        processor: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(STARTS + 1):
            seconds_of_nothing, used_by_nothing, _ = _started("-c", "pass")
            for name, arguments in commands.items():
                seconds, used, answer = _started("-m", "idmerge", *arguments)
                if not answer:
                    sys.exit(f"{name} printed nothing")
                if turn:  # The first run compiles the modules.
                    clock[name].append(seconds - seconds_of_nothing)
                    processor[name].append(used - used_by_nothing)
    for name in commands:
        print(f"start, {name}: {_spread(clock[name])} s, {_spread(processor[name])} s of the processor")


def _started(*arguments: str) -> tuple[float, float, bytes]:
    """Run Python and return the seconds, those of the processor, and what it printed."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = _used()
    seconds, run = _timed(
        lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=True, env=environment)
    )
    return seconds, _used() - before, run.stdout


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    started = perf_counter()
    answer = work()
    return perf_counter() - started, answer


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


ROWS = {"dicts": dicts, "texts": texts, "start": start}


def main(arguments: Sequence[str]) -> None:
    """Print the machine and the rows."""
    print(f"idmerge {idmerge.__version__}, Python {platform.python_version()}, {platform.platform()}")
    for row in arguments or ROWS:
        ROWS[row]()


if __name__ == "__main__":
    main(sys.argv[1:])
