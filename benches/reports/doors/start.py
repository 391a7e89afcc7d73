"""Rows of the command line's start."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benches.reports.doors.row import Row, Spread
from benches.reports.doors.turns import timed
from benches.support.process import compiling
from idmerge.testing import events

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTS = 15
TEN = 10
BY_CLOCK, OF_PROCESSOR = "s by the clock", "s of the processor"


def start() -> Iterator[Row]:
    """Yield the rows of the command line's start."""
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
        more: dict[str, float | Spread] = {
            BY_CLOCK: Spread.of(clock[name]),
            OF_PROCESSOR: Spread.of(processor[name]),
        }
        command, _, rest = name.partition(" ")
        yield Row(f"start, {name}", f"`idmerge {command}` {rest}".strip(), more=more)


def _started(*arguments: str) -> tuple[float, float, bytes]:
    """Run Python and return the seconds, those of the processor, and what it printed."""
    before = _used()
    seconds, run = timed(
        lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=True, env=compiling())
    )
    return seconds, _used() - before, run.stdout


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
