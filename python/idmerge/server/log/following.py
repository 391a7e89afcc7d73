"""A log that another process may write, read without its lock."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from idmerge.server.log.segments import records_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import FileIO

    from idmerge.server.log.records import Record


def records_from(directory: str | os.PathLike[str], offset: int) -> Iterator[tuple[Record, int]]:
    r"""Yield the records of a log from ``offset`` on, each with the offset behind it.

    What the log has dropped is passed over. It ends before what is not written to its end; who
    opens the log to write says if that is damage. The files are opened at once.

    Raises:
        OSError: They cannot be read.

    Examples:
        >>> from idmerge.server.log.following import records_from
        >>> from idmerge.server.log.log import Log
        >>> from idmerge.server.log.records import Record
        >>> log = Log("log")
        >>> line = b'{"event": "Log In", "properties": {"distinct_id": "ana"}}\n'
        >>> end = log.append_now([Record("main", "events", "track", 1_700_000_000_000, line)])
        >>> [behind == end for _, behind in records_from("log", 0)]
        [True]
        >>> log.close()
    """
    with ExitStack() as stack:
        paths = sorted(path for path in Path(directory).glob("*.log") if path.stem.isdecimal())
        files = [(int(path.stem), stack.enter_context(path.open("rb", buffering=0))) for path in paths]
        return _records(files, max(offset, files[0][0] if files else 0), stack.pop_all())


def _records(
    files: Sequence[tuple[int, FileIO]], offset: int, stack: ExitStack
) -> Iterator[tuple[Record, int]]:
    with stack:
        for base, file in files:
            if not base <= offset <= base + file.seek(0, os.SEEK_END):
                continue
            size = file.seek(0, os.SEEK_END)
            for record, behind in records_in(file, base, offset, base + size):
                yield record, behind
                offset = behind
            if offset < base + size:
                return
