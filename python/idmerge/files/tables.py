"""Reading Parquet and Arrow files of events as record batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.errors import FileFormatError
from idmerge.files.arrow import opened, read_schema
from idmerge.files.opening import ARROW, MAGIC_LENGTH, PARQUET, import_pyarrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from idmerge._core import Table
    from idmerge.files.arrow import Format
    from idmerge.files.rereadable import RereadableFile

ROWS = 2**14
"""Rows of a batch, at most."""


def record_batch(table: Table) -> pa.RecordBatch:
    """Return a table of the core's, which has one batch, as pyarrow has it."""
    reader = import_pyarrow("tables of events").RecordBatchReader
    batch: pa.RecordBatch = reader.from_stream(table).read_next_batch()
    return batch


def format_of(file: RereadableFile) -> Format | None:
    """Return the format of ``file``, ``"Parquet"`` or ``"Arrow"``, by its content; else None.

    Raises:
        OSError: It cannot be opened.
    """
    with open(file.path, "rb") as stream:  # noqa: PTH123
        magic = stream.read(MAGIC_LENGTH)
    name = file.name.lower()
    if name.endswith(".parquet") or magic.startswith(PARQUET):
        return "Parquet"
    return "Arrow" if name.endswith(".arrow") or magic.startswith(ARROW) else None


def schema_of(file: RereadableFile) -> pa.Schema:
    """Return the columns of a Parquet or Arrow file.

    Raises:
        FileFormatError: It cannot be read.
    """
    return read_schema(file.name, file.path, format_of(file) or "Arrow")


def record_batches(
    file: RereadableFile, columns: list[str], size: int, on_bytes: Callable[[int], object]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet or Arrow file in batches of `ROWS`.

    ``on_bytes`` gets the file's ``size``.

    Raises:
        FileFormatError: It is damaged.
    """
    with opened(file.name, file.path, format_of(file) or "Arrow") as columns_of_file:
        yield from columns_of_file.batches(columns, ROWS, size, on_bytes)


def check_names(name: str, schema: pa.Schema) -> None:
    """Raise FileFormatError if two columns of the file called ``name`` have the same name."""
    twice = [column for column in schema.names if schema.names.count(column) > 1]
    if twice:
        raise FileFormatError(f"{name}: has the column {twice[0]!r:.100} more than once")
