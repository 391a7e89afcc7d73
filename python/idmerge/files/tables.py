"""Tables in files: Parquet, Arrow and CSV, their columns as record batches of pyarrow's.

In CSV all columns are text, and an empty cell is a missing value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from idmerge.errors import FileFormatError
from idmerge.files.csvrows import CSV
from idmerge.files.opening import ARROW, PARQUET, import_pyarrow
from idmerge.files.pieces import BadLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from idmerge._core import Table
    from idmerge.files.arrow import ColumnFile
    from idmerge.files.csvrows import CsvRows

Format = Literal["Parquet", "Arrow", "CSV"]

ROWS = 2**14
"""Rows of a batch, at most."""


class TablePiece(NamedTuple):
    """Rows of a table one after another."""

    batch: pa.RecordBatch
    lines: Sequence[int]
    """The line or the number of each row."""


def record_batch(table: Table | pa.RecordBatch) -> pa.RecordBatch:
    """Return a table of the core's, which has one batch, as pyarrow has it."""
    arrow: Any = import_pyarrow("tables of events")
    batch: Any = table
    if not isinstance(batch, arrow.RecordBatch):
        batch = arrow.RecordBatchReader.from_stream(batch).read_next_batch()
    return cast("pa.RecordBatch", batch)


def format_named(name: str, magic: bytes) -> Format | None:
    """Return the format of a table by its file's name and first bytes; else None."""
    name = name.lower()
    if name.endswith(".parquet") or magic.startswith(PARQUET):
        return "Parquet"
    if name.endswith(".arrow") or magic.startswith(ARROW):
        return "Arrow"
    return "CSV" if name.endswith(CSV) else None


def column_pieces(
    file: ColumnFile, columns: Sequence[str], size: int, on_bytes: Callable[[int], object]
) -> Iterator[TablePiece]:
    """Yield ``columns`` of a Parquet or Arrow file; ``on_bytes`` gets the file's ``size``."""
    row = 1
    for batch in file.batches(columns, ROWS, size, on_bytes):
        yield TablePiece(batch, range(row, row + batch.num_rows))
        row += batch.num_rows


def csv_pieces(rows: CsvRows, names: Sequence[str], columns: Sequence[str]) -> Iterator[TablePiece | BadLine]:
    """Yield ``columns`` of a CSV whose header has ``names``, as text."""
    pa = import_pyarrow("CSV of events")
    for batch in rows.batches([names.index(name) for name in columns]):
        if isinstance(batch, BadLine):
            yield batch
            continue
        cells = [pa.array([cell or None for cell in column], pa.string()) for column in batch.columns]
        # Without columns a batch has no rows; that of a table which needs none is never looked at.
        yield TablePiece(pa.RecordBatch.from_arrays(cells, names=list(columns)), batch.lines)


def check_names(name: str, names: Sequence[str]) -> None:
    """Raise FileFormatError if two columns of the file called ``name`` have the same name."""
    twice = [column for column in names if names.count(column) > 1]
    if twice:
        raise FileFormatError(f"{name}: has the column {twice[0]!r:.100} more than once")
