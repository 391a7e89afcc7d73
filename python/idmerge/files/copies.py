"""Sources for two readings: paths as they are, temporary copies of pipes."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from idmerge._naming import check_local
from idmerge.files.reading import STDIN, Source, name_of, opened

PIECE = 2**20


class RereadableFile(NamedTuple):
    """A file that can be read as often as one likes.

    Examples:
        >>> from idmerge.files import rereadable
        >>> file = rereadable("examples/shop.ndjson")
        >>> file.path == file.name, file.copy
        (True, None)
    """

    path: str
    name: str
    """Its name in messages."""
    copy: Any = None
    """The copy that stands in for what can be read only once; it goes when this does."""


def rereadable(source: Source | RereadableFile) -> RereadableFile:
    """Return ``source``, or a copy of it in a temporary file if it is no regular file.

    Raises:
        OSError: It cannot be opened, or there is no room for the copy.

    Examples:
        >>> import io
        >>> from idmerge.files import read, rereadable
        >>> event = b'{"event": "Login", "properties": {"distinct_id": "ana"}}'
        >>> file = rereadable(io.BytesIO(event))
        >>> [len(batch) for _ in range(2) for batch in read(file.path)]
        [1, 1]
    """
    if isinstance(source, RereadableFile):
        return source
    name = name_of(source)
    if isinstance(source, (str, os.PathLike)) and source != STDIN:
        check_local(source)
        path = Path(source)
        if path.is_file() or not path.exists():  # To open a missing one raises.
            return RereadableFile(os.fspath(source), name)
    with ExitStack() as stack:
        stream = opened(source, stack)
        import tempfile  # noqa: PLC0415 - few calls need it, and it loads hashlib

        copy = tempfile.NamedTemporaryFile(prefix="idmerge-")  # noqa: SIM115
        while piece := stream.read(PIECE):
            copy.write(piece)
        copy.flush()
    return RereadableFile(copy.name, name, copy)
