"""Directories of events, as the files that they hold."""

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
"""What files of events are called; others in a directory are passed over."""


def expanded(paths: Sequence[Source], *, with_csv: bool = False) -> Iterator[Source]:
    """Yield ``paths``, and for a directory the files of events in it and below, by name.

    ``with_csv`` says whether CSV files count, which hold links only.

    Raises:
        FileFormatError: A directory holds none.
    """
    suffixes = (*SUFFIXES, *CSV) if with_csv else SUFFIXES
    for path in paths:
        if not isinstance(path, (str, os.PathLike)) or not os.path.isdir(path):  # noqa: PTH112 - '' is none
            yield path
            continue
        found = sorted(
            file
            for file in Path(path).rglob("*")
            if file.name.endswith(suffixes) and not file.name.startswith((".", "_")) and file.is_file()
        )
        if not found:
            raise FileFormatError(f"{path}: the directory holds no events: {', '.join(suffixes)}")
        yield from found
