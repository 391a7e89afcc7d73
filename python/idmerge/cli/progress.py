"""The progress of reading: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from idmerge.cli.messages import shown, tell
from idmerge.files import STDIN, RereadableFile, sorted_by_processing_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


LEAST_SECONDS = 0.5
"""Seconds from which on a speed is shown."""


class Progress(Protocol):
    """Shows how many bytes are read, and lines of text in between."""

    def advance(self, count: int) -> None:
        """Count ``count`` more bytes as read."""

    def note(self, text: str) -> None:
        """Print ``text`` to standard error."""


class NoBar:
    """Shows the notes alone."""

    def advance(self, count: int) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Print ``text`` to standard error."""
        tell(text)


class Bar:
    """A bar of rich's, above which the notes scroll."""

    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def advance(self, count: int) -> None:
        """Count ``count`` more bytes as read."""
        self._bar.advance(self._task, count)

    def note(self, text: str) -> None:
        """Print ``text`` above the bar, as it is."""
        self._bar.console.print(shown(text), markup=False, emoji=False, highlight=False, soft_wrap=True)


def in_order(
    files: Sequence[str], arguments: Mapping[str, Any], *, is_sorted: bool
) -> list[RereadableFile] | list[str]:
    """Return ``files``, or if ``is_sorted`` a copy of their events in the order of processing.

    ``arguments`` are those of readers; the copy is of the raw shape.
    """
    if not is_sorted:
        return list(files)
    with progress("sorting", total_size(files)) as bar:
        return sorted_by_processing_time(files, on_bytes=bar.advance, **arguments)


def path_of(source: str | RereadableFile) -> tuple[str, str | None]:
    """Return the path of ``source``, and its name in messages if that is another one."""
    return (source.path, source.name) if isinstance(source, RereadableFile) else (source, None)


@contextmanager
def progress(description: str, total: int | None) -> Iterator[Progress]:
    """Show the progress through ``total`` bytes (None: unknown) while the block runs."""
    if not sys.stderr.isatty() or find_spec("rich") is None:
        yield NoBar()
        return
    from rich import progress as rich  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Speed(rich.TransferSpeedColumn):
        """The speed, once there is time enough to tell it."""

        def render(self, task: rich.Task) -> Text:
            """Return nothing at first: a block in the first instant is no speed."""
            return super().render(task) if (task.elapsed or 0) > LEAST_SECONDS else Text("")

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.DownloadColumn(),
        Speed(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Bar(bar, bar.add_task(description, total=total))


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
