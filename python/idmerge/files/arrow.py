"""Parquet and Arrow files as record batches, each validated in full before a value of it is read.

Neither format protects its offsets, indices and lengths, and pyarrow follows them wherever they
lead: one changed bit would make foreign memory an ID, or end the process. So every batch of a file
comes from here. Damage is a `FileFormatError` that names the file, and the record batch or row
group.

Validation costs time in proportion to what is read: a dictionary that many batches share is
validated once.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import ExitStack, contextmanager
from itertools import accumulate, count
from typing import TYPE_CHECKING, Any, Literal, Protocol

from idmerge.errors import ColumnError, FileFormatError, IdmergeError
from idmerge.files.opening import ARROW, BUFFER, MAGIC_LENGTH, import_pyarrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    import pyarrow as pa

Format = Literal["Parquet", "Arrow"]

ROWS_WITHOUT_BITS = 2**20
"""Rows of a batch, at most, for which no column has at least a bit: columns of nulls have none."""


@contextmanager
def opened(name: str, source: str | BinaryIO, file_format: Format) -> Iterator[ColumnFile]:
    """Open the Parquet or Arrow file ``source``, which messages call ``name``.

    Raises:
        FileFormatError: It is damaged.
        MissingExtraError: pyarrow is not installed.
    """
    import_pyarrow(f"reading {file_format}")
    with ExitStack() as stack:
        with _damage(name, file_format):
            reader: _Reader = (_Parquet if file_format == "Parquet" else _Arrow)(source, stack)
            reader.schema.names  # noqa: B018 - one that is no UTF-8 raises.
        yield ColumnFile(name, file_format, reader)


class ColumnFile:
    """The columns of a Parquet or Arrow file."""

    def __init__(self, name: str, file_format: Format, reader: _Reader) -> None:
        self.schema: pa.Schema = reader.schema
        """The names and types of the columns."""
        self._name = name
        self._format = file_format
        self._reader = reader
        self._dictionaries: dict[str, Any] = {}

    def batches(
        self, columns: Sequence[str], rows: int, size: int, on_bytes: Callable[[int], object]
    ) -> Iterator[pa.RecordBatch]:
        """Yield ``columns``, validated, at most ``rows`` of their rows at once.

        ``on_bytes`` gets the file's ``size`` in proportion to the rows read, where their number is
        known.

        Raises:
            FileFormatError: The file is damaged.
        """
        done = reported = 0
        total = self._reader.rows
        batches = self._reader.batches(list(columns), rows)
        for number in count():
            with _damage(self._name, f"{self._format} in {self._reader.part(number, done, rows)}"):
                whole = next(batches, None)
                if whole is None:
                    break
                # A name may have been taken for the beginning of another one.
                whole = whole.select(list(columns))
                self._validate(whole)
            for start in range(0, whole.num_rows, rows):
                yield whole.slice(start, rows)
            done += whole.num_rows
            if total:
                on_bytes(size * done // total - reported)
                reported = size * done // total
        on_bytes(size - reported)

    def _validate(self, batch: pa.RecordBatch) -> None:
        """Raise an exception of pyarrow's if ``batch`` is damaged."""
        batch.validate()
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if not self._is_validated_dictionary(name, column):
                column.validate(full=_needs_all(column.type))
        if batch.num_rows > 8 * batch.nbytes + ROWS_WITHOUT_BITS:
            raise ValueError(f"{batch.num_rows} rows in {batch.nbytes} bytes")

    def _is_validated_dictionary(self, name: str, column: Any) -> bool:
        """Return whether ``column`` has valid indices of the dictionary of the batch before."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        if not pa.types.is_dictionary(column.type):
            return False
        dictionary, before = column.dictionary, self._dictionaries.get(name)
        self._dictionaries[name] = dictionary
        if before is None or not _is_same(before, dictionary):
            return False
        column.indices.validate(full=True)
        ends: Any = pc.min_max(column.indices).as_py()
        return ends["min"] is None or 0 <= ends["min"] <= ends["max"] < len(dictionary)


def read_schema(name: str, path: str, file_format: Format) -> pa.Schema:
    """Return the names and types of the columns of the file at ``path``.

    Raises what `opened` raises.
    """
    with opened(name, path, file_format) as file:
        return file.schema


# The two formats


class _Reader(Protocol):
    schema: pa.Schema
    rows: int
    """The number of rows; 0 where the file does not tell."""

    def batches(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Return an iterator of batches with at least ``columns``, as they are in the file."""

    def part(self, number: int, row: int, rows: int) -> str:
        """Return the name of batch ``number`` in messages, with ``rows`` rows from ``row`` on."""


class _Parquet:
    def __init__(self, source: str | BinaryIO, stack: ExitStack) -> None:
        from pyarrow import parquet  # noqa: PLC0415

        # Pages are read as they are needed: the default would hold whole row groups.
        file = parquet.ParquetFile(
            source, pre_buffer=False, buffer_size=BUFFER, page_checksum_verification=True
        )
        self._file = stack.enter_context(file)
        self.schema = self._file.schema_arrow
        metadata = self._file.metadata
        self.rows = metadata.num_rows
        groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
        self._ends = list(accumulate(group.num_rows for group in groups))

    def batches(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        return iter(self._file.iter_batches(batch_size=rows, columns=columns))

    def part(self, number: int, row: int, rows: int) -> str:  # noqa: ARG002 - a batch is no part of the file
        count = len(self._ends)
        first, last = (min(bisect_right(self._ends, place) + 1, count) for place in (row, row + rows - 1))
        return (
            f"row group {first} of {count}" if first == last else f"row groups {first} to {last} of {count}"
        )


class _Arrow:
    rows = 0

    def __init__(self, source: Any, stack: ExitStack) -> None:
        import pyarrow as pa  # noqa: PLC0415

        file = (
            stack.enter_context(pa.OSFile(source, "r"))
            if isinstance(source, str)
            else pa.PythonFile(source, "r")
        )
        magic = file.read(MAGIC_LENGTH)
        file.seek(0)
        self._is_file = magic.startswith(ARROW)
        self._reader: Any = pa.ipc.open_file(file) if self._is_file else pa.ipc.open_stream(file)
        self.schema = self._reader.schema

    def batches(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        if not self._is_file:
            return iter(self._reader)
        return (self._reader.get_batch(index) for index in range(self._reader.num_record_batches))

    def part(self, number: int, row: int, rows: int) -> str:  # noqa: ARG002
        total = f" of {self._reader.num_record_batches}" if self._is_file else ""
        return f"record batch {number + 1}{total}"


# Damage


@contextmanager
def _damage(name: str, part: str) -> Iterator[None]:
    """Turn errors of pyarrow into a `FileFormatError` about ``part`` of the file ``name``."""
    from pyarrow import ArrowException  # noqa: PLC0415

    try:
        yield
    except IdmergeError:
        raise
    except (
        ArrowException,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        MemoryError,
    ) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise FileFormatError(
            f"{name}: no readable {part} ({reason}); get a whole copy of the file"
        ) from error


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two arrays of text lie in the same memory, which both of them keep."""
    import pyarrow as pa  # noqa: PLC0415

    if not (pa.types.is_string(one.type) or pa.types.is_large_string(one.type)) or one.type != other.type:
        return False
    places = [
        (len(array), array.offset, *(buffer and (buffer.address, buffer.size) for buffer in array.buffers()))
        for array in (one, other)
    ]
    return places[0] == places[1]


def check_intact(events: Any, *, full: bool = True) -> None:
    """Raise ColumnError if a table or batch of pyarrow's is damaged.

    Without ``full``, only its sizes are checked.
    """
    from pyarrow import ArrowException  # noqa: PLC0415

    try:
        events.validate()
        for column in events.columns if full else ():
            column.validate(full=_needs_all(column.type))
    except ArrowException as error:
        raise ColumnError(f"the events are damaged ({error}); get them from an intact source") from error


def _needs_all(kind: pa.DataType) -> bool:
    """Return whether values of type ``kind`` must be checked before they are read.

    Of the others pyarrow refuses what many write, such as a date of 64 bits with a time of day.
    """
    import pyarrow as pa  # noqa: PLC0415

    return not (pa.types.is_date64(kind) or pa.types.is_time(kind) or pa.types.is_decimal(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether ``kind`` is a type of text, whatever the width of its offsets."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether ``kind`` is a type of bytes of any length, which can be text as UTF-8."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
