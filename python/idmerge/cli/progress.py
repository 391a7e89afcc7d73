"""Progress on a terminal: a bar where the total is known, else a spinner; nothing elsewhere.

1. A bar or a spinner is there after `DELAY` seconds: short work shows neither, and loads no rich.
2. A thread shows it, which reads the numbers of a `Progress` whenever it draws. So the work never
   waits for it, and a signal finds nothing half done.
3. Messages go above it (`idmerge.cli.messages`), together in the next frame. It leaves no trace.
4. There is one at a time: work within other work is shown in the place of the outer work. There is
   none while data go to a terminal or into a pipe (`without_display`).
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections import deque
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import click

from idmerge._formatting import display_width, middle_cut
from idmerge.cli.messages import is_quiet, printed_above, shown
from idmerge.cli.wrapping import is_terminal, width_of
from idmerge.files import STDIN, RereadableFile, sorted_by_processing_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from rich.console import Console, RenderableType
    from rich.live import Live

Unit = Literal["bytes", "things"]

DELAY = 0.5
"""Seconds of work after which its progress is shown, and its speed."""
LONGEST_BAR, SHORTEST_BAR = 40, 8
WIDE = 76
"""Columns of a terminal from which on a speed stands beside a bar."""
FRAMES, PLAIN_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/"
"""A spinner, and that of an encoding that lacks it."""
FRAMES_A_SECOND = 5
_displays: list[_Display | None] = []
"""What shows the work that is going on, the last one; None while nothing may be shown."""


class Progress:
    """Counts how far some work has come."""

    def __init__(self, description: str, total: int | None, unit: Unit, then: str) -> None:
        self.begin(description, total, unit, then)

    def begin(
        self, description: str, total: int | None = None, unit: Unit = "things", then: str = ""
    ) -> None:
        """Go on to other work: so many bytes, so many things, or None for an unknown number."""
        self.description, self.total, self.unit, self._then = description, total, unit, then
        self.count, self.started = 0, monotonic()

    def turn(self, description: str, turns: int) -> None:
        """Begin the first, or go on to the next, of so many turns of some work."""
        if (self.description, self.total) == (description, turns):
            self.advance()
        else:
            self.begin(description, turns)

    def advance(self, count: int = 1) -> None:
        """Count ``count`` more bytes or things as done."""
        self.count += count
        if self._then and self.total is not None and self.count >= self.total:
            self.begin(self._then)


@contextmanager
def progress(
    description: str, total: int | None, *, unit: Unit = "bytes", then: str = ""
) -> Iterator[Progress]:
    """Show the progress through ``total`` bytes or things (None: unknown) while the block runs.

    ``then`` describes the rest of the work, which begins when the total is reached.
    """
    if _displays and _displays[-1] is not None:
        work = _displays[-1].work
        before = work.description
        work.begin(description, total, unit, then)
        yield work
        work.begin(before)
        return
    work = Progress(description, total, unit, then)
    if _displays or is_quiet() or not is_terminal(sys.stderr) or find_spec("rich") is None:
        yield work
        return
    display = _Display(work)
    _displays.append(display)
    with printed_above(display.print):
        try:
            display.start()
            yield work
        finally:
            _displays.pop()
            display.stop()


def working(description: str) -> AbstractContextManager[Progress]:
    """Show that some work of unknown length goes on while the block runs; see `progress`."""
    return progress(description, None, unit="things")


@contextmanager
def without_display() -> Iterator[None]:
    """Show no progress while the block runs, nor afterwards of work that is going on already."""
    if _displays and _displays[-1] is not None:
        _displays[-1].stop()
    _displays.append(None)
    try:
        yield
    finally:
        _displays.pop()


class _Display:
    """Shows the progress of ``work`` on standard error, from `DELAY` seconds on."""

    def __init__(self, work: Progress) -> None:
        self.work = work
        self._is_shown = False
        self._lines: deque[str] = deque()
        """Messages that the next frame prints."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        try:
            self._join()
        finally:
            self._join()  # Of which a signal may have ended the first.
            self._is_shown = False
            if self._lines:
                click.echo(self._waiting(), err=True)

    def _join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()

    def print(self, line: str) -> None:
        """Print a line, which may be styled, above the bar."""
        if self._is_shown:
            self._lines.append(line)
        else:
            click.echo(line, err=True)

    def _waiting(self) -> str:
        """Take the lines that wait: together, as each time that lines are printed is a frame."""
        return "\n".join(self._lines.popleft() for _ in range(len(self._lines)))

    def _show(self) -> None:
        """Draw frames until the work is done."""
        if self._stopped.wait(DELAY):
            return
        live = _live(self.work)
        if self._stopped.is_set():  # While rich was loaded.
            return
        self._is_shown = True
        live.start(refresh=True)
        try:
            while not self._stopped.wait(1 / FRAMES_A_SECOND):
                self._print_waiting(live.console)
                live.refresh()
            self._print_waiting(live.console)
        finally:
            live.stop()

    def _print_waiting(self, console: Console) -> None:
        from rich.segment import Segment, Segments  # noqa: PLC0415

        if self._lines:
            # As they are: each has been wrapped and coloured.
            console.print(Segments([Segment(f"{self._waiting()}\n")]), soft_wrap=True, end="")


def _live(work: Progress) -> Live:
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    console = Console(stderr=True, width=width_of(sys.stderr))
    return Live(
        console=console,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
        get_renderable=lambda: _drawn(work, console),
    )


def _drawn(work: Progress, console: Console) -> RenderableType:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    seconds, width = monotonic() - work.started, console.width
    numbers = numbers_of(work, seconds, is_wide=width >= WIDE)
    if work.total is None:
        frames = FRAMES if console.encoding.startswith("utf") else PLAIN_FRAMES
        before = f"{frames[int(seconds * FRAMES_A_SECOND) % len(frames)]} "
        room = width - len(before) - len(numbers) - 1
    else:
        before, room = "", width - len(numbers) - SHORTEST_BAR - 2
    description = middle_cut(shown(work.description), room)
    line = Table.grid(padding=(0, 1))
    if work.total is None:
        line.add_row(Text(f"{before}{description}"), numbers)
        return line
    longest = min(LONGEST_BAR, width - display_width(description) - len(numbers) - 2)
    line.add_row(Text(description), ProgressBar(work.total, work.count, longest), numbers)
    return line


def numbers_of(work: Progress, seconds: float, *, is_wide: bool = True) -> str:
    """Return what stands beside a bar or a description: counts, speed, and time."""
    if work.total is None:
        parts = [_size(work.count)] if work.unit == "bytes" and work.count else []
        return "  ".join([*parts, _time(seconds)])
    of, total = work.count, work.total
    parts = [_size(of, total) if work.unit == "bytes" else f"{of:,} of {total:,}"]
    if of and seconds > DELAY:
        if is_wide and work.unit == "bytes":
            parts.append(f"{_size(round(of / seconds))}/s")
        parts.append(f"{_time((total - of) * seconds / of)} left")
    return "  ".join(parts)


def _size(count: int, total: int | None = None) -> str:
    """Return a number of bytes, of ``total`` if that is given, in the unit of the larger one."""
    scale, unit = 1, "bytes"
    for larger, name in ((10**3, "kB"), (10**6, "MB"), (10**9, "GB"), (10**12, "TB")):
        if (count if total is None else total) >= larger:
            scale, unit = larger, name
    sizes = [count] if total is None else [count, total]
    return f"{'/'.join(f'{size / scale:,.{int(scale > 1)}f}' for size in sizes)} {unit}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def in_order(
    files: Sequence[str], arguments: Mapping[str, Any], *, is_sorted: bool
) -> list[RereadableFile] | list[str]:
    """Return ``files``, or if ``is_sorted`` a copy of their events in the order of processing.

    ``arguments`` are those of readers; the copy is of the raw shape.
    """
    if not is_sorted:
        return list(files)
    with progress("sorting", total_size(files), then="sorting") as bar:
        return sorted_by_processing_time(files, on_bytes=bar.advance, **arguments)


def path_of(source: str | RereadableFile) -> tuple[str, str | None]:
    """Return the path of ``source``, and its name in messages if that is another one."""
    return (source.path, source.name) if isinstance(source, RereadableFile) else (source, None)


def total_size(paths: Sequence[str]) -> int | None:
    """Return the bytes of all files together, or None where one is no regular file.

    Raises:
        OSError: A file is not there; better now than after the others were read.
    """
    total = 0
    regular = True
    for path in paths:
        if path == STDIN:
            regular = False
            continue
        status = os.stat(path)  # noqa: PTH116
        regular = regular and stat.S_ISREG(status.st_mode)
        total += status.st_size
    return total if regular else None
