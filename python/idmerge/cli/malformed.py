"""Counts malformed lines, prints ten, and ends the run at the first under ``--strict``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.errors import FileFormatError

if TYPE_CHECKING:
    from idmerge.cli.progress import Progress

SHOWN = 10


class MalformedLines:
    """Counts malformed lines and shows the first `SHOWN`; with ``strict`` the first is an error."""

    def __init__(self, shown_by: Progress, *, strict: bool = False) -> None:
        self._progress = shown_by
        self._strict = strict
        self.count = 0

    def add(self, path: str, line: int, message: str) -> None:
        """Count one line.

        Raises:
            FileFormatError: Under ``strict``.
        """
        text = f"{path}:{line}: {message}"
        if self._strict:
            raise FileFormatError(text)
        self.count += 1
        if self.count <= SHOWN:
            self._progress.note(f"malformed: {text}")
        elif self.count == SHOWN + 1:
            self._progress.note("malformed: further lines are counted, not shown")
