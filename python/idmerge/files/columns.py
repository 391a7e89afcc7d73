"""Links as columns ``kind``, ``first`` and ``second``, in CSV, Parquet and Arrow files.

Other columns are passed over. An empty cell of a CSV is an empty ID, which no ID may be; a null of
Parquet or Arrow is a missing operand.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge.errors import FileFormatError
from idmerge.files.arrow import is_bytes, is_text, opened
from idmerge.files.jsontext import UTF16, numbered_lines
from idmerge.files.kinds import kind_named
from idmerge.files.pieces import BATCH, BATCH_BYTES, MAX_LINE, BadLine, LinkBatch
from idmerge.files.rows import as_text

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from idmerge.files.arrow import Format

COLUMNS = ("kind", "first", "second")
CSV = (".csv", ".csv.gz", ".csv.zst")
"""The suffixes of CSV files; their content does not show it."""
NO_CELL = re.compile(rb"[\r\n]*")
"""A line without a cell."""
NO_LINE = re.compile(rb"(?!)")
KINDS = "identify, alias, merge, mapping, $identify, $create_alias, $merge, 0, 1, 2 or 8"


def read_csv(path: str, stream: io.BufferedReader) -> Iterator[LinkBatch | BadLine]:
    """Read links from a CSV with a header.

    Raises:
        FileFormatError: A column is missing, a kind unknown, or the text no CSV in UTF-8.
    """
    rows = CsvRows(path, stream)
    places = _places(path, rows.header())
    lines: list[int] = []
    columns: tuple[list[int], list[str], list[str]] = ([], [], [])
    length = 0
    for line, cells in rows:
        bad = None if len(cells) == rows.width else wrong_width(path, line, cells, rows.width)
        if lines and (bad or len(lines) >= BATCH or length >= BATCH_BYTES):
            yield _link_batch(path, lines, *columns)
            lines, columns, length = [], ([], [], []), 0
        if bad:
            yield bad
            continue
        kind, first, second = (cells[place] for place in places)
        lines.append(line)
        columns[0].append(_kind_number(path, line, kind))
        columns[1].append(first)
        columns[2].append(second)
        length += len(first) + len(second)
    if lines:
        yield _link_batch(path, lines, *columns)


class CsvRows:
    """The rows of a CSV, each with the line on which it ends; blank lines are passed over."""

    def __init__(self, path: str, stream: io.BufferedReader) -> None:
        self._path = path
        self._line = 0
        self._csv = _own_csv()
        self._rows = self._csv.reader(self._texts(stream), strict=True)
        self._row_bytes = 0
        """Bytes of the lines since the last row."""
        self.width = 0

    def header(self) -> list[str]:
        """Return the first row, or nothing where the file is empty."""
        _, names = next(iter(self), (0, []))
        self.width = len(names)
        return names

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows with the lines on which they end."""
        try:
            for cells in self._rows:
                self._row_bytes = 0
                if cells:
                    yield self._line, cells
        except self._csv.Error as error:
            raise FileFormatError(f"{self._path}:{self._line}: the row is no CSV: {error}") from error

    def _texts(self, stream: io.BufferedReader) -> Iterator[str]:
        for line, text in numbered_lines(self._path, stream, blank=self._blank):
            self._line = line
            self._row_bytes += len(text)
            if self._row_bytes > MAX_LINE:
                part = "line" if len(text) > MAX_LINE else "row"
                raise FileFormatError(f"{self._path}:{line}: the {part} is longer than {MAX_LINE} bytes")
            if line == 1 and text.startswith(UTF16):
                raise FileFormatError(f"{self._path}:{line}: the text is UTF-16; convert it to UTF-8")
            try:
                yield text.decode("utf-8-sig" if line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise FileFormatError(f"{self._path}:{line}: the text is no UTF-8: {error}") from error

    def _blank(self) -> re.Pattern[bytes]:
        """Return what a line is that no row has a part of: within a row, none."""
        return NO_LINE if self._row_bytes else NO_CELL


@cache
def _own_csv() -> Any:
    """Return an instance of `csv`'s reader of its own, whose longest cell is as long as a line.

    The limit belongs to the module: to set it in `csv` itself would change it for the whole
    process.
    """
    spec = find_spec("_csv")
    assert spec is not None  # noqa: S101
    assert spec.loader is not None  # noqa: S101
    own = module_from_spec(spec)
    spec.loader.exec_module(own)
    own.field_size_limit(MAX_LINE)
    return own


def read_columns(
    path: str, source: str | BinaryIO, file_format: Format, size: int, on_bytes: Callable[[int], object]
) -> Iterator[LinkBatch]:
    """Read links from a Parquet or Arrow file; ``on_bytes`` gets its ``size``.

    Raises:
        FileFormatError: It is damaged, a column is missing or holds no text, or a kind is unknown.
    """
    with opened(path, source, file_format) as file:
        _places(path, file.schema.names)
        row = 1
        for batch in file.batches(COLUMNS, BATCH, size, on_bytes):
            lines = range(row, row + batch.num_rows)
            kinds = _kind_numbers(path, row, batch.column("kind"))
            first, second = (_texts(path, name, batch.column(name), lines) for name in COLUMNS[1:])
            yield LinkBatch(path, lines, kinds, first, second)
            row += batch.num_rows


def _kind_numbers(path: str, row: int, column: Any) -> Any:
    """Return the numbers of the kinds in ``column``, each distinct value looked up once."""
    import pyarrow as pa  # noqa: PLC0415

    is_encoded = pa.types.is_dictionary(column.type)
    kind = column.type.value_type if is_encoded else column.type
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise FileFormatError(f"{path}:{row}: kind must be {KINDS}, got {column.type}")
    if pa.types.is_string_view(kind):
        column = column.cast(pa.string())
        is_encoded = False
    encoded = column if is_encoded else column.dictionary_encode()
    if not encoded.null_count:
        used, value_of_row = np.unique(encoded.indices.to_numpy(), return_inverse=True)
        numbers = [kind_named(encoded.dictionary[place].as_py()) for place in used.tolist()]
        if None not in numbers:
            return np.array(numbers, dtype=np.uint8)[value_of_row]
    names = enumerate(encoded.to_pylist())
    index, unknown = next((index, name) for index, name in names if kind_named(name) is None)
    raise _unknown_kind(path, row + index, unknown)


def _texts(path: str, name: str, column: Any, lines: Sequence[int]) -> Any:
    """Return ``column`` as text: that of its IDs (SPEC 3)."""
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_text(kind):
        return column
    try:
        # Bytes that are no UTF-8 are damage, as text is that is none.
        return column.cast(pa.string()) if is_bytes(kind) else as_text(name, column, lines)
    except (TypeError, pa.ArrowException) as error:
        raise FileFormatError(f"{path}: {error}") from error


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
            f"{', '.join(missing)}; found: {found:.200}; rename the columns that hold the kinds and the IDs"
        )
    return [names.index(name) for name in COLUMNS]


def _link_batch(
    path: str, lines: list[int], kinds: list[int], first: list[str], second: list[str]
) -> LinkBatch:
    return LinkBatch(path, lines, np.array(kinds, dtype=np.uint8), first, second)


def _kind_number(path: str, line: int, name: str) -> int:
    kind = kind_named(name)
    if kind is None:
        raise _unknown_kind(path, line, name)
    return kind


def _unknown_kind(path: str, line: int, name: object) -> FileFormatError:
    return FileFormatError(f"{path}:{line}: kind must be {KINDS}, got {name!r:.100}")


def wrong_width(path: str, line: int, cells: list[str], width: int) -> BadLine:
    """Return the fault of a row that has another number of cells than the header."""
    return BadLine(path, line, f"the row must have {width} cells like the header, got {len(cells)}")
