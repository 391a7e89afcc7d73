"""Files that are read twice: what comes through a pipe is kept meanwhile."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from idmerge.files.reading import STDIN

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

PIECE = 2**20


@contextmanager
def twice_readable(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open ``path``; what comes through a pipe is kept in a temporary file."""
    with ExitStack() as stack:
        if path != STDIN:
            stream: Any = stack.enter_context(open(path, "rb", buffering=0))  # noqa: PTH123
            if stream.seekable():
                yield stream
                return
        else:
            stream = sys.stdin.buffer
        copy = stack.enter_context(tempfile.TemporaryFile())
        while piece := stream.read(PIECE):
            copy.write(piece)
        yield copy
