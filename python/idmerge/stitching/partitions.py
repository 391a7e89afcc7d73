"""Hive-style partitions of stitched events, by day or by event name.

Events wait until all are there, then each partition is written, a file each. So however many
partitions there are, only a few files are open. What waits is held in memory up to `MOST_WAITING`
bytes; beyond that it is spilled, without columns that have no value, into a file without a name in
the output's directory.

The key of a partition is a column of its own, ``date`` or ``event_name``, which only the names of
the directories hold; a property of that name gives way. The files keep every column of the events,
``event`` too: a directory's name cannot be of any length, and is the same for a null and some
texts.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from itertools import pairwise
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import numpy as np

from idmerge._json_columns import free_name
from idmerge._threads import Pool, threads_allowed
from idmerge.errors import FileFormatError
from idmerge.stitching.encoding import MOST_BYTES, MOST_THREADS, ROWS, parquet_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    import pyarrow as pa

KEYS = {"date": "date", "event": "event_name"}
"""The ways to partition, each with the column that the names of its directories hold."""
MOST_PARTITIONS = 10_000
MOST_WAITING = 2**28
"""Bytes of events in memory from which on they are spilled."""
LONGEST_NAME = 255
"""Bytes of the name of a directory."""
NULL = "__HIVE_DEFAULT_PARTITION__"
"""The name of a directory for null."""
COLUMN_BYTES = 256
"""Bytes that a column of a batch takes in memory beside its values."""
PIECE_BYTES = 128
"""Bytes that a partition takes in memory for each batch that has events of it."""
A_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}

Key = np.datetime64 | str | None


class Form(NamedTuple):
    """How events that wait become those of a file."""

    waiting: pa.Schema
    """All columns of the events that wait."""
    written: pa.Schema
    finish: Callable[[pa.Table], pa.Table]
    """A function from the first to the second, in any thread."""


def write_partitions(
    directory: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], partition_by: str
) -> int:
    """Write ``batches`` as partitions into ``directory``, and return the number of rows.

    Raises:
        FileFormatError: There are more than `MOST_PARTITIONS`.
        OSError: There is no room, or no permission.
    """
    names = names_beside_key(schema.names, partition_by)
    written = schema_of_names(schema, names)
    rows = 0
    with tempfile.TemporaryFile(dir=directory) as file:
        waiting = Waiting(file, partition_by)
        for batch in batches:
            rows += batch.num_rows
            waiting.take(batch)
        write_waiting(directory, waiting, Form(schema, written, lambda table: table.rename_columns(names)))
    return rows


def names_beside_key(names: list[str], partition_by: str) -> list[str]:
    """Return ``names`` of columns in which the one that has the key's name has another."""
    key = KEYS[partition_by]
    return [free_name(name, {key, *names}) if name == key else name for name in names]


def schema_of_names(schema: pa.Schema, names: list[str]) -> pa.Schema:
    """Return ``schema`` with other names."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])


def check_key(schema: pa.Schema, partition_by: str) -> None:
    """Raise FileFormatError if events cannot be divided by day, or by name."""
    import pyarrow as pa  # noqa: PLC0415

    name = "time" if partition_by == "date" else "event"
    kind = schema.field(name).type if name in schema.names else None
    is_time = kind is not None and (pa.types.is_timestamp(kind) or pa.types.is_date(kind))
    if kind is None or (name == "time" and not is_time):
        wanted = "timestamps" if name == "time" else "names"
        raise FileFormatError(
            f"partitioning by {partition_by} needs the column {name} of {wanted}, got {kind}"
        )


def _keys(batch: pa.RecordBatch, key: str) -> tuple[list[Key], Any]:
    """Return the keys of the partitions of ``batch``, and the index of each event's key."""
    column: Any = _days(batch.column("time")) if key == "date" else _names(batch.column("event"))
    encoded = column.dictionary_encode("encode")
    values = encoded.dictionary.to_pylist()
    keys: list[Key]
    if key == "date":
        keys = [None if day is None else np.datetime64(day, "D") for day in values]
    else:
        keys = [None if name is None else str(name) for name in values]
    return keys, encoded.indices.to_numpy(zero_copy_only=False)


def _days(times: Any) -> Any:
    """Return each time's day in UTC, in days since 1970: dates of Python end with the year 9999."""
    import pyarrow as pa  # noqa: PLC0415

    if times.type == pa.date32():
        return times.cast(pa.int32())
    unit = times.type.unit if pa.types.is_timestamp(times.type) else "ms"
    days = times.cast(pa.int64()).fill_null(0).to_numpy() // A_DAY[unit]
    return pa.array(days, mask=times.is_null().to_numpy(zero_copy_only=False))


def _names(names: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_dictionary(names.type):
        names = names.dictionary_decode()
    is_time = pa.types.is_date(names.type) or pa.types.is_timestamp(names.type)
    return names.cast(pa.string()) if is_time else names


# Events that wait


class _Piece(NamedTuple):
    """Events that stand one after another in a batch.

    To slice it takes `COLUMN_BYTES` a column, and there may be thousands of pieces, so that waits.
    """

    batch: pa.RecordBatch
    start: int
    end: int


class _Partition(NamedTuple):
    """The events of a partition, in their order: those that are spilled first."""

    number: int
    spilled: list[tuple[int, int]]
    """The place of each piece in the file, and its number of bytes."""
    waiting: list[_Piece]

    def batches(self) -> list[pa.RecordBatch]:
        """Return the events that wait in memory."""
        return [piece.batch.slice(piece.start, piece.end - piece.start) for piece in self.waiting]


class Waiting:
    """Events that wait to be written, by partition, in memory and in ``file``.

    Nothing keeps columns without a value; `tables` brings them back.

    ``types`` returns the types in which columns come together, by name, where they differ.
    """

    def __init__(
        self,
        file: Any,
        partition_by: str,
        types: Callable[[], Mapping[str, pa.DataType]] = dict,
    ) -> None:
        self._file = file
        self._types = types
        self._lock = Lock()
        self._end = self._bytes = 0
        self.key = KEYS[partition_by]
        """The column that the names of directories hold."""
        self.partitions: dict[Key, _Partition] = {}

    def take(self, batch: pa.RecordBatch) -> None:
        """Take events.

        Raises:
            FileFormatError: There are more than `MOST_PARTITIONS`.
            OSError: There is no room.
        """
        keys, places = _keys(batch, self.key)
        batch = _without_nulls(batch)
        if len(keys) > 1:
            order = np.argsort(places, kind="stable")
            batch, places = batch.take(order), places[order]
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        for start, end in pairwise([*starts.tolist(), len(places)]):
            self._partition(keys[places[start]]).waiting.append(_Piece(batch, start, end))
        self._bytes += batch.nbytes + batch.num_columns * COLUMN_BYTES + len(starts) * PIECE_BYTES
        if self._bytes >= MOST_WAITING:
            self._spill()

    def _partition(self, key: Key) -> _Partition:
        if key not in self.partitions:
            if len(self.partitions) == MOST_PARTITIONS:
                raise FileFormatError(
                    f"there are more partitions than {MOST_PARTITIONS:,}; partition by date, or not at all"
                )
            self.partitions[key] = _Partition(len(self.partitions), [], [])
        return self.partitions[key]

    def _spill(self) -> None:
        for partition in self.partitions.values():
            if not partition.waiting:
                continue
            table = _together(partition.batches(), self._types())
            step = max(1, table.num_rows * MOST_BYTES // max(table.nbytes, 1))
            for start in range(0, table.num_rows, step):
                partition.spilled.append(self._append(_packed(table.slice(start, step))))
            partition.waiting.clear()
        self._bytes = 0

    def _append(self, text: pa.Buffer) -> tuple[int, int]:
        self._file.seek(self._end)
        self._file.write(text)
        place = (self._end, text.size)
        self._end += text.size
        return place

    def tables(self, partition: _Partition, schema: pa.Schema) -> Iterator[tuple[pa.Table, int]]:
        """Yield the events of ``partition`` with all columns, and the bytes of those with values.

        Any thread may read them.
        """
        import pyarrow as pa  # noqa: PLC0415

        for start, size in partition.spilled:
            with self._lock:
                self._file.seek(start)
                text = self._file.read(size)
            table = pa.ipc.open_stream(text).read_all()
            yield _whole(table, schema), table.nbytes
        if partition.waiting:
            table = _together(partition.batches(), self._types())
            whole = _whole(table, schema)
            for start in range(0, table.num_rows, ROWS):
                yield whole.slice(start, ROWS), table.slice(start, ROWS).nbytes


def _whole(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return ``table`` with the columns that it lacks; those of one type share their nulls."""
    import pyarrow as pa  # noqa: PLC0415

    there = {*table.column_names}
    missing = {field.type for field in schema if field.name not in there}
    nulls = {kind: pa.chunked_array([pa.nulls(table.num_rows, kind)]) for kind in missing}
    columns = [
        _cast(table.column(field.name), field.type) if field.name in there else nulls[field.type]
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(column: Any, kind: pa.DataType) -> Any:
    return column if column.type == kind else column.cast(kind)


def _without_nulls(events: Any) -> Any:
    """Return a batch or a table without columns that have no value, if it has others."""
    chosen = [place for place, column in enumerate(events.columns) if column.null_count < len(column)]
    return events.select(chosen or [0])


def _together(batches: list[pa.RecordBatch], types: Mapping[str, pa.DataType]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415

    tables = (_typed(pa.Table.from_batches([batch]), types) for batch in batches)
    return pa.concat_tables(tables, promote_options="default")


def _typed(table: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return ``table`` with columns of these ``types``."""
    for place, field in enumerate(table.schema):
        kind = types.get(field.name, field.type)
        if kind != field.type:
            table = table.set_column(place, field.with_type(kind), table.column(place).cast(kind))
    return table


def _packed(table: pa.Table) -> pa.Buffer:
    """Return ``table`` as an Arrow stream without dictionaries, which each piece would repeat."""
    import pyarrow as pa  # noqa: PLC0415

    table = _without_nulls(table).combine_chunks()
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            plain = field.with_type(field.type.value_type)
            table = table.set_column(place, plain, table.column(place).cast(plain.type))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


# Files


def write_waiting(
    directory: Path, waiting: Waiting, form: Form, on_partition: Callable[[], object] = lambda: None
) -> None:
    """Write each partition to a file of its own; call ``on_partition`` after each.

    The caller's thread waits for others, so it can be interrupted; they end after the row group at
    hand.

    Raises:
        OSError: There is no room, or no permission.
    """
    threads = min(threads_allowed(), MOST_THREADS)
    is_over = Event()
    written: deque[Future[None]] = deque()
    with Pool(threads, "idmerge-write") as pool:
        try:
            for value, partition in waiting.partitions.items():
                name = f"{waiting.key}={_escaped(value, LONGEST_NAME - len(waiting.key) - 1)}"
                (directory / name).mkdir(exist_ok=True)  # Some file systems know no case.
                path = directory / name / f"part-{partition.number:05}.parquet"
                written.append(pool.submit(_write, path, waiting, partition, form, is_over))
                if len(written) > threads:
                    written.popleft().result()
                    on_partition()
            while written:
                written.popleft().result()
                on_partition()
        finally:
            is_over.set()


def _write(path: Path, waiting: Waiting, partition: _Partition, form: Form, is_over: Event) -> None:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    with parquet.ParquetWriter(path, form.written, **parquet_options(form.written)) as writer:
        gathered: list[pa.Table] = []
        rows = size = 0

        def write() -> None:
            writer.write_table(form.finish(pa.concat_tables(gathered)), row_group_size=ROWS)

        for table, added in waiting.tables(partition, form.waiting):
            if is_over.is_set():
                return
            gathered.append(table)
            rows += table.num_rows
            size += added + table.num_columns * COLUMN_BYTES
            if rows >= ROWS or size >= MOST_BYTES:
                write()
                gathered, rows, size = [], 0, 0
        if gathered:
            write()


def _escaped(key: Key, longest: int) -> str:
    """Return what the name of a directory has for a key.

    No two keys have the same, but for a collision of hashes, and every character is one that any
    file system takes. A text that is too long ends in a hash.
    """
    if key is None:
        return NULL
    name = str(key)
    escaped = _quoted(name)
    if len(escaped) <= longest:
        return escaped
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    beginning = name[:longest]
    while len(escaped := f"{_quoted(beginning)}~{digest}") > longest:
        beginning = beginning[:-1]
    return escaped


def _quoted(name: str) -> str:
    escaped = quote(name, safe="").replace("~", "%7E")  # Which stands before a hash only.
    if escaped == NULL:
        return f"%{ord(NULL[0]):02X}{NULL[1:]}"
    return f"{escaped[:-1]}%2E" if escaped.endswith(".") else escaped  # Windows drops it.
