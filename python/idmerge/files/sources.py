"""Expansion of directories to the files of events in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from idmerge.errors import FileFormatError
from idmerge.files.columns import CSV

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.files.reading import Source

COLUMNS = (".parquet", ".arrow")
SUFFIXES = (
    *(f"{kind}{packed}" for kind in (".ndjson", ".jsonl", ".json") for packed in ("", ".gz", ".zst")),
    *COLUMNS,
)
"""The suffixes of files of events; other files in a directory are passed over."""


def expanded(paths: Sequence[Source], *, with_csv: bool = False) -> Iterator[Source]:
    """Yield ``paths``, and for a directory the files of events that `files_in` finds there.

    ``with_csv`` says whether CSV files count, which hold links only.

    Raises:
        FileFormatError: A directory holds none.
    """
    suffixes = (*SUFFIXES, *CSV) if with_csv else SUFFIXES
    for path in paths:
        if not isinstance(path, (str, os.PathLike)) or not os.path.isdir(path):  # noqa: PTH112 - '' is none
            yield path
            continue
        found = files_in(Path(path), suffixes)
        if not found:
            raise FileFormatError(f"{path}: the directory holds no events: {', '.join(suffixes)}")
        yield from found


def files_in(directory: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files in ``directory`` and below that end with one of ``suffixes``, sorted.

    Files and directories whose names begin with ``.`` or ``_`` are passed over: what others are
    just writing has such names.
    """
    found: list[Path] = []
    for place, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if _counts(name)]
        found += [Path(place, name) for name in names if name.endswith(suffixes) and _counts(name)]
    return sorted(filter(Path.is_file, found))


def _counts(name: str) -> bool:
    return not name.startswith((".", "_"))
