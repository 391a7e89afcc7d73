"""Links as columns: CSV, Parquet and Arrow files with the columns ``kind``, ``left`` and ``right``.

Other columns are passed over. An empty cell of a CSV is an empty ID, which no ID may be; a null of
Parquet or Arrow is a missing operand.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge.errors import FileFormatError
from idmerge.files.jsontext import UTF16, numbered_lines
from idmerge.files.opening import ARROW, BUFFER, import_pyarrow
from idmerge.files.pieces import BATCH, BATCH_BYTES, MAX_LINE, BadLine, LinkBatch, kind_named

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    import pyarrow as pa

COLUMNS = ("kind", "left", "right")
CSV = (".csv", ".csv.gz", ".csv.zst")
"""What CSV files are called; nothing in them tells."""
KINDS = "identify, alias, merge, $identify, $create_alias, $merge, 0, 1 or 2"


def read_csv(path: str, stream: io.BufferedReader) -> Iterator[LinkBatch | BadLine]:
    """Read links from a CSV with a header.

    Raises:
        FileFormatError: A column is missing, a kind unknown, or the text no CSV in UTF-8.
    """
    rows = _CsvRows(path, stream)
    places = _places(path, rows.header())
    lines: list[int] = []
    columns: tuple[list[int], list[str], list[str]] = ([], [], [])
    length = 0
    for line, cells in rows:
        bad = None if len(cells) == rows.width else _wrong_width(path, line, cells, rows.width)
        if lines and (bad or len(lines) >= BATCH or length >= BATCH_BYTES):
            yield _link_batch(path, lines, *columns)
            lines, columns, length = [], ([], [], []), 0
        if bad:
            yield bad
            continue
        kind, left, right = (cells[place] for place in places)
        lines.append(line)
        columns[0].append(_kind_number(path, line, kind))
        columns[1].append(left)
        columns[2].append(right)
        length += len(left) + len(right)
    if lines:
        yield _link_batch(path, lines, *columns)


class _CsvRows:
    """The rows of a CSV, each with the line on which it ends; blank lines are passed over."""

    def __init__(self, path: str, stream: io.BufferedReader) -> None:
        self._path = path
        self._line = 0
        self._rows = csv.reader(self._texts(stream), strict=True)
        self.width = 0

    def header(self) -> list[str]:
        """Return the first row, or nothing where the file is empty."""
        _, names = next(iter(self), (0, []))
        self.width = len(names)
        return names

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        try:
            for cells in self._rows:
                if cells:
                    yield self._line, cells
        except csv.Error as error:
            raise FileFormatError(f"{self._path}:{self._line}: the row is no CSV: {error}") from error

    def _texts(self, stream: io.BufferedReader) -> Iterator[str]:
        for line, text in numbered_lines(self._path, stream):
            self._line = line
            if len(text) > MAX_LINE:
                raise FileFormatError(f"{self._path}:{line}: the line is longer than {MAX_LINE} bytes")
            if line == 1 and text.startswith(UTF16):
                raise FileFormatError(f"{self._path}:{line}: the text is UTF-16; convert it to UTF-8")
            try:
                yield text.decode("utf-8-sig" if line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise FileFormatError(f"{self._path}:{line}: the text is no UTF-8: {error}") from error


def read_parquet(
    path: str, source: str | BinaryIO, size: int, on_bytes: Callable[[int], object]
) -> Iterator[LinkBatch]:
    """Read links from a Parquet file; ``on_bytes`` gets its ``size`` in proportion to the rows read.

    Raises:
        FileFormatError: It is no Parquet, a column is missing or holds no text, or a kind is unknown.
    """
    pyarrow = import_pyarrow("reading Parquet")
    from pyarrow import parquet  # noqa: PLC0415

    try:
        # Pages are read as they are needed: the default would hold whole row groups.
        with parquet.ParquetFile(source, pre_buffer=False, buffer_size=BUFFER) as file:
            _places(path, file.schema_arrow.names)
            batches = file.iter_batches(batch_size=BATCH, columns=list(COLUMNS))
            yield from _arrow_links(path, with_share(batches, file.metadata.num_rows, size, on_bytes))
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(path, "Parquet", error) from error


def read_arrow(
    path: str, source: str | BinaryIO, magic: bytes, size: int, on_bytes: Callable[[int], object]
) -> Iterator[LinkBatch]:
    """Read links from an Arrow file, or from an Arrow stream in a file.

    Raises:
        FileFormatError: It is no Arrow, a column is missing or holds no text, or a kind is unknown.
    """
    pyarrow = import_pyarrow("reading Arrow files")
    try:
        file = pyarrow.OSFile(source) if isinstance(source, str) else pyarrow.PythonFile(source, "r")
        if magic.startswith(ARROW):
            reader = pyarrow.ipc.open_file(file)
            batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        else:
            reader = pyarrow.ipc.open_stream(file)
            batches = iter(reader)
        _places(path, reader.schema.names)
        yield from _arrow_links(path, (batch.select(list(COLUMNS)) for batch in batches))
        on_bytes(size)
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(path, "Arrow", error) from error


def with_share(
    batches: Iterable[pa.RecordBatch], rows: int, size: int, on_bytes: Callable[[int], object]
) -> Iterator[pa.RecordBatch]:
    """Yield ``batches``, and tell ``on_bytes`` of ``size`` bytes in proportion to their ``rows``."""
    done = 0
    for batch in batches:
        yield batch
        told, done = size * done // rows, done + batch.num_rows
        on_bytes(size * done // rows - told)


def _arrow_links(path: str, batches: Iterable[pa.RecordBatch]) -> Iterator[LinkBatch]:
    row = 1
    for whole in batches:
        for offset in range(0, whole.num_rows, BATCH):
            batch = whole.slice(offset, BATCH)
            lines = range(row, row + batch.num_rows)
            kinds = _kind_numbers(path, row, batch.column("kind"))
            left, right = (_texts(path, name, batch.column(name)) for name in COLUMNS[1:])
            yield LinkBatch(path, lines, kinds, left, right)
            row += batch.num_rows


def _kind_numbers(path: str, row: int, column: Any) -> Any:
    """Return the numbers of the kinds in ``column``, each distinct value looked up once."""
    import pyarrow as pa  # noqa: PLC0415

    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    places = encoded.indices.to_pylist()
    numbers = [kind_named(value) for value in encoded.dictionary.to_pylist()]
    for index, place in enumerate(places):
        if place is None or numbers[place] is None:
            raise _unknown_kind(path, row + index, column[index].as_py())
    return np.array([numbers[place] for place in places], dtype=np.uint8)


def _texts(path: str, name: str, column: Any) -> Any:
    """Return ``column`` as text: integers by their decimal digits, as in an event."""
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column
    if pa.types.is_integer(column.type) or pa.types.is_null(column.type):
        return column.cast(pa.string())
    raise FileFormatError(f"{path}: the column {name} must hold text, got {column.type}; cast it to string")


def _places(path: str, names: list[str]) -> list[int]:
    """Return where each of `COLUMNS` stands among ``names``."""
    missing = [name for name in COLUMNS if names.count(name) != 1]
    if missing and "event" in names and {"distinct_id", "properties"} & {*names}:
        raise FileFormatError(
            f"{path}: holds events as columns, of which only links ({', '.join(COLUMNS)}) can be read; give "
            "the events as JSON, Parquet or Arrow to idmerge stitch"
        )
    if missing:
        found = ", ".join(name if name.isprintable() else ascii(name) for name in names) or "none"
        raise FileFormatError(
            f"{path}: needs the columns {', '.join(COLUMNS)}, each once; wrong or missing: "
            f"{', '.join(missing)}; found: {found:.200}"
        )
    return [names.index(name) for name in COLUMNS]


def _link_batch(
    path: str, lines: list[int], kinds: list[int], left: list[str], right: list[str]
) -> LinkBatch:
    return LinkBatch(path, lines, np.array(kinds, dtype=np.uint8), left, right)


def _kind_number(path: str, line: int, name: str) -> int:
    kind = kind_named(name)
    if kind is None:
        raise _unknown_kind(path, line, name)
    return kind


def _unknown_kind(path: str, line: int, name: object) -> FileFormatError:
    return FileFormatError(f"{path}:{line}: kind must be {KINDS}, got {name!r:.100}")


def _wrong_width(path: str, line: int, cells: list[str], width: int) -> BadLine:
    return BadLine(path, line, f"the row must have {width} cells like the header, got {len(cells)}")


def unreadable(path: str, format_name: str, error: Exception) -> FileFormatError:
    """Return what says that a file is damaged."""
    reason = str(error).partition("\n")[0]
    return FileFormatError(f"{path}: no readable {format_name} ({reason}); get a whole copy of the file")
