"""Expansion of directories to the files of events in them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from idmerge.errors import FileFormatError
from idmerge.files.csvrows import CSV

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from idmerge.files.copies import RereadableFile
    from idmerge.files.reading import Source

    S = TypeVar("S", bound=Source | RereadableFile)

COLUMNS = (".parquet", ".arrow")
_NUMBERS = re.compile(r"([0-9]{1,600})")
ASIDE = (".toml",)
"""The suffixes of files that stand beside events and are no data."""
SUFFIXES = (
    *(f"{kind}{packed}" for kind in (".ndjson", ".jsonl", ".json") for packed in ("", ".gz", ".zst")),
    *COLUMNS,
)
"""The suffixes of files of events; other files in a directory are passed over."""


def expanded(
    paths: Sequence[S],
    *,
    with_csv: bool = False,
    on_passed_over: Callable[[str, Sequence[str]], object] = lambda _directory, _names: None,
) -> Iterator[S | Path]:
    """Yield ``paths``, and for a directory the files of events that `files_in` finds there.

    ``with_csv`` says whether CSV files count beside others; in a directory without others they do.
    ``on_passed_over`` is called with each directory that holds other files too, and their paths in
    it.

    Raises:
        FileFormatError: A directory holds none.
    """
    both = (*SUFFIXES, *CSV)
    for path in paths:
        if not isinstance(path, (str, os.PathLike)) or not os.path.isdir(path):  # noqa: PTH112 - '' is none
            yield path
            continue
        passed_over: list[Path] = []
        found = files_in(Path(path), both if with_csv else SUFFIXES, passed_over)
        if not found:
            passed_over = []
            found = files_in(Path(path), both, passed_over)
        if passed_over:
            on_passed_over(str(path), [str(file.relative_to(path)) for file in passed_over])
        if not found:
            raise FileFormatError(f"{path}: the directory holds no events: {', '.join(both)}")
        yield from found


def files_in(directory: Path, suffixes: tuple[str, ...], passed_over: list[Path] | None = None) -> list[Path]:
    """Return the files in ``directory`` and below that end with one of ``suffixes``, sorted.

    Numbers in names count as numbers: ``part-10`` comes after ``part-9``. Other files are added to
    ``passed_over``.

    Files and directories whose names begin with ``.`` or ``_`` are passed over: what others are
    just writing has such names.
    """
    found: list[Path] = []
    for place, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if _counts(name)]
        found += [Path(place, name) for name in names if _counts(name)]
    files = sorted(filter(Path.is_file, found), key=natural)
    if passed_over is not None:
        passed_over += (file for file in files if not file.name.lower().endswith((*suffixes, *ASIDE)))
    return [file for file in files if file.name.lower().endswith(suffixes)]


def natural(path: Path) -> list[list[str | int]]:
    """Return a key by which paths are sorted: each number in a name as a number."""
    return [
        [int(part) if place % 2 else part for place, part in enumerate(_NUMBERS.split(name))]
        for name in path.parts
    ]


def _counts(name: str) -> bool:
    return not name.startswith((".", "_"))
