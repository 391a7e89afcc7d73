"""Files that are read twice: paths as they are, pipes as copies, directories as what they hold."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.errors import FileFormatError
from idmerge.files import STDIN, name_of
from idmerge.files.reading import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.files import Source

COLUMNS = (".parquet", ".arrow")
SUFFIXES = (
    *(f"{kind}{packed}" for kind in (".ndjson", ".jsonl", ".json") for packed in ("", ".gz", ".zst")),
    *COLUMNS,
)
"""What files of events are called; others in a directory are passed over."""
PIECE = 2**20


class File(NamedTuple):
    """A file that can be read as often as one likes."""

    path: str
    name: str
    """What messages call it."""
    copy: Any = None
    """The copy that stands in for what can be read only once; it goes when this does."""


def rereadable(source: Source) -> File:
    """Return ``source``, or a copy of it in a temporary file if it is no regular file.

    Raises:
        OSError: It cannot be opened, or there is no room for the copy.
    """
    name = name_of(source)
    if isinstance(source, (str, os.PathLike)) and source != STDIN:
        path = Path(source)
        if path.is_file() or not path.exists():  # Whoever opens it says that it is not there.
            return File(os.fspath(source), name)
    with ExitStack() as stack:
        stream = opened(source, stack)
        copy = tempfile.NamedTemporaryFile(prefix="idmerge-", suffix=".copy")  # noqa: SIM115
        while piece := stream.read(PIECE):
            copy.write(piece)
        copy.flush()
    return File(copy.name, name, copy)


def expanded(paths: Sequence[Source]) -> Iterator[Source]:
    """Yield ``paths``, and for a directory the files of events in it and below, by name.

    Raises:
        FileFormatError: A directory holds none.
    """
    for path in paths:
        if not isinstance(path, (str, os.PathLike)) or not Path(path).is_dir():
            yield path
            continue
        found = sorted(
            file
            for file in Path(path).rglob("*")
            if file.name.endswith(SUFFIXES) and not file.name.startswith((".", "_")) and file.is_file()
        )
        if not found:
            raise FileFormatError(f"{path}: the directory holds no events: {', '.join(SUFFIXES)}")
        yield from found
