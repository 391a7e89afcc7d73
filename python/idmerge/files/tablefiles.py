"""Files that are tables and can be read twice: their format, their columns, their rows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from idmerge.files.arrow import opened, read_schema
from idmerge.files.csvrows import CsvRows
from idmerge.files.opening import MAGIC_LENGTH, CountedBytes, import_pyarrow, unpacked
from idmerge.files.tables import column_pieces, csv_pieces, format_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from idmerge.files.copies import RereadableFile
    from idmerge.files.pieces import BadLine
    from idmerge.files.tables import Format, TablePiece


def format_of(file: RereadableFile) -> Format | None:
    """Return the format of ``file``, if it is that of a table.

    Raises:
        OSError: It cannot be opened.
    """
    with open(file.path, "rb") as stream:  # noqa: PTH123
        return format_named(file.name, stream.read(MAGIC_LENGTH))


def schema_of(file: RereadableFile) -> pa.Schema:
    """Return the columns of a file that is a table.

    Raises:
        FileFormatError: It cannot be read.
    """
    file_format = format_of(file) or "Arrow"
    if file_format != "CSV":
        return read_schema(file.name, file.path, file_format)
    arrow = import_pyarrow("CSV of events")
    with _opened_csv(file, lambda _count: None) as rows:
        schema: pa.Schema = arrow.schema([(name, arrow.string()) for name in rows.header()])
        return schema


def names_of(file: RereadableFile) -> list[str]:
    """Return the names of the columns of a file that is a table; CSV needs no pyarrow for that.

    Raises:
        FileFormatError: It cannot be read.
    """
    file_format = format_of(file) or "Arrow"
    if file_format != "CSV":
        return list(read_schema(file.name, file.path, file_format).names)
    with _opened_csv(file, lambda _count: None) as rows:
        return rows.header()


def table_pieces(
    file: RereadableFile, columns: Sequence[str], size: int, on_bytes: Callable[[int], object]
) -> Iterator[TablePiece | BadLine]:
    """Yield the rows of a file that is a table, at most `ROWS` at once, and its bad lines.

    ``on_bytes`` gets the file's ``size``.

    Raises:
        FileFormatError: It is damaged.
    """
    file_format = format_of(file) or "Arrow"
    if file_format == "CSV":
        with _opened_csv(file, on_bytes) as rows:
            yield from csv_pieces(rows, rows.header(), columns)
        return
    with opened(file.name, file.path, file_format) as columns_of_file:
        yield from column_pieces(columns_of_file, columns, size, on_bytes)


@contextmanager
def _opened_csv(file: RereadableFile, on_bytes: Callable[[int], object]) -> Iterator[CsvRows]:
    with open(file.path, "rb", buffering=0) as stream:  # noqa: PTH123
        yield CsvRows(file.name, unpacked(CountedBytes(stream, on_bytes)))
