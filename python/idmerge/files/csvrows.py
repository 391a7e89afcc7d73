"""Rows of CSV in UTF-8, each with the line on which it ends."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.errors import FileFormatError
from idmerge.files.jsontext import UTF16, numbered_lines
from idmerge.files.pieces import BATCH, BATCH_BYTES, MAX_LINE, BadLine

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Sequence

CSV = (".csv", ".csv.gz", ".csv.zst")
"""The suffixes of CSV files; their content does not show it."""
NO_CELL = re.compile(rb"[\r\n]*")
"""A line without a cell."""
NO_LINE = re.compile(rb"(?!)")


class CsvBatch(NamedTuple):
    """Rows of a CSV one after another, with some of their cells in columns."""

    lines: list[int]
    columns: list[list[str]]


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

    def batches(self, places: Sequence[int]) -> Iterator[CsvBatch | BadLine]:
        """Yield the cells at ``places`` in columns, and rows of another width than the header."""
        lines: list[int] = []
        columns: list[list[str]] = [[] for _ in places]
        length = 0
        for line, cells in self:
            bad = self.wrong_width(line, cells)
            if lines and (bad or len(lines) >= BATCH or length >= BATCH_BYTES):
                yield CsvBatch(lines, columns)
                lines, columns, length = [], [[] for _ in places], 0
            if bad:
                yield bad
                continue
            lines.append(line)
            for column, place in zip(columns, places, strict=True):
                column.append(cells[place])
                length += len(cells[place])
        if lines:
            yield CsvBatch(lines, columns)

    def wrong_width(self, line: int, cells: list[str]) -> BadLine | None:
        """Return the fault of a row that has more or fewer cells than the header."""
        if len(cells) == self.width:
            return None
        message = f"the row must have {self.width} cells like the header, got {len(cells)}"
        return BadLine(self._path, line, message)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row with the line on which it ends."""
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
