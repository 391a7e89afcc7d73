"""Stitched events as a directory for each day, or for each event's name, in Hive's manner.

Events wait until all are there, then each partition is written, a file each. So however many partitions
there are, only a few files are open. What waits is held in memory up to `MOST_WAITING` bytes; beyond that it
is spilled, without columns that have no value, into a file without a name in the output's directory.

The key of a partition is a column of its own, ``date`` or ``event_name``, which only the names of the
directories hold; a property of that name gives way. The files keep every column of the events, ``event`` too:
a directory's name tells neither a null from some texts, nor can it be of any length.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from datetime import date
from itertools import pairwise
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import numpy as np

from idmerge.errors import FileFormatError
from idmerge.jsoncolumns import free_name
from idmerge.stitching.encoding import MOST_BYTES, MOST_THREADS, ROWS, parquet_options
from idmerge.threads import Pool, threads_allowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    import pyarrow as pa

KEYS = {"date": "date", "event": "event_name"}
"""What a partition is made for, and the column that the names of its directories hold."""
MOST_PARTITIONS = 10_000
MOST_WAITING = 2**28
"""Bytes of events in memory from which on they are spilled."""
LONGEST_NAME = 255
"""Bytes of the name of a directory."""
NULL = "__HIVE_DEFAULT_PARTITION__"
"""What stands for a null in the name of a directory."""

Key = date | str | None


def write_partitions(
    directory: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], partition_by: str
) -> int:
    """Write ``batches`` as partitions into ``directory``, and return the number of rows.

    Raises:
        FileFormatError: There are more than `MOST_PARTITIONS`.
        OSError: There is no room, or no permission.
    """
    import pyarrow as pa  # noqa: PLC0415

    key = KEYS[partition_by]
    names = [free_name(name, {key, *schema.names}) if name == key else name for name in schema.names]
    whole = pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])
    rows = 0
    with tempfile.TemporaryFile(dir=directory) as file:
        waiting = _Waiting(file, whole)
        for batch in batches:
            rows += batch.num_rows
            keys = _dates(batch.column("time")) if key == "date" else batch.column("event")
            waiting.take(pa.RecordBatch.from_arrays(batch.columns, names=names), keys)
        _write_each(directory, key, waiting)
    return rows


def check_key(schema: pa.Schema, partition_by: str) -> None:
    """Raise FileFormatError if events cannot be told apart by day, or by name."""
    import pyarrow as pa  # noqa: PLC0415

    name = "time" if partition_by == "date" else "event"
    kind = schema.field(name).type if name in schema.names else None
    is_time = kind is not None and (pa.types.is_timestamp(kind) or pa.types.is_date(kind))
    if kind is None or (name == "time" and not is_time):
        wanted = "timestamps" if name == "time" else "names"
        raise FileFormatError(
            f"partitioning by {partition_by} needs the column {name} of {wanted}, got {kind}"
        )


def _dates(times: Any) -> Any:
    """Return the day of each time, in UTC."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_timestamp(times.type):
        times = times.cast(pa.timestamp(times.type.unit))
    return times.cast(pa.date32())


# Events that wait


class _Partition(NamedTuple):
    """The events of a partition, in their order: those that are spilled first."""

    number: int
    spilled: list[tuple[int, int]]
    """Where each piece stands in the file, and how many bytes it has."""
    waiting: list[pa.RecordBatch]


class _Waiting:
    """Events that wait to be written, by partition, in memory and in ``file``.

    Nothing keeps columns without a value; `tables` brings them back.
    """

    def __init__(self, file: Any, schema: pa.Schema) -> None:
        self._file = file
        self._lock = Lock()
        self._end = self._bytes = 0
        self.schema = schema
        self.partitions: dict[Key, _Partition] = {}

    def take(self, batch: pa.RecordBatch, keys: Any) -> None:
        """Take events, each with the key of its partition.

        Raises:
            FileFormatError: There are more than `MOST_PARTITIONS`.
            OSError: There is no room.
        """
        import pyarrow as pa  # noqa: PLC0415

        if pa.types.is_dictionary(keys.type):
            keys = keys.dictionary_decode()
        encoded: Any = keys.dictionary_encode("encode")
        values = encoded.dictionary.to_pylist()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        batch = _without_nulls(batch)
        if len(values) > 1:
            order = np.argsort(codes, kind="stable")
            batch, codes = batch.take(order), codes[order]
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        for start, end in pairwise([*starts.tolist(), len(codes)]):
            self._partition(values[codes[start]]).waiting.append(batch.slice(start, end - start))
        self._bytes += batch.nbytes
        if self._bytes >= MOST_WAITING:
            self._spill()

    def _partition(self, key: Any) -> _Partition:
        if key is not None and not isinstance(key, date):
            key = str(key)
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
            table = _together(partition.waiting)
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

    def tables(self, partition: _Partition) -> Iterator[tuple[pa.Table, int]]:
        """Yield the events of ``partition``, with all columns, and the bytes of those that have values.

        Any thread may read them.
        """
        import pyarrow as pa  # noqa: PLC0415

        for start, size in partition.spilled:
            with self._lock:
                self._file.seek(start)
                text = self._file.read(size)
            table = pa.ipc.open_stream(text).read_all()
            yield self._whole(table), table.nbytes
        if partition.waiting:
            table = _together(partition.waiting)
            whole = self._whole(table)
            for start in range(0, table.num_rows, ROWS):
                yield whole.slice(start, ROWS), table.slice(start, ROWS).nbytes

    def _whole(self, table: pa.Table) -> pa.Table:
        """Return ``table`` with the columns that it lacks; those of one type share their nulls."""
        import pyarrow as pa  # noqa: PLC0415

        there = {*table.column_names}
        missing = {field.type for field in self.schema if field.name not in there}
        nulls = {kind: pa.chunked_array([pa.nulls(table.num_rows, kind)]) for kind in missing}
        columns = [
            _cast(table.column(field.name), field.type) if field.name in there else nulls[field.type]
            for field in self.schema
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)


def _cast(column: Any, kind: pa.DataType) -> Any:
    return column if column.type == kind else column.cast(kind)


def _without_nulls(events: Any) -> Any:
    """Return a batch or a table without columns that have no value, if it has others."""
    chosen = [place for place, column in enumerate(events.columns) if column.null_count < len(column)]
    return events.select(chosen or [0])


def _together(batches: list[pa.RecordBatch]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415

    return pa.concat_tables(
        map(pa.Table.from_batches, ([batch] for batch in batches)), promote_options="default"
    )


def _packed(table: pa.Table) -> pa.Buffer:
    """Return ``table`` as a stream of Arrow, without dictionaries, for each piece would have all of them."""
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


def _write_each(directory: Path, key: str, waiting: _Waiting) -> None:
    """Write each partition to a file of its own.

    The caller's thread waits for others, so it can be interrupted; they end after the row group at hand.
    """
    threads = min(threads_allowed(), MOST_THREADS)
    is_over = Event()
    written: deque[Future[None]] = deque()
    with Pool(threads, "idmerge-write") as pool:
        try:
            for value, partition in waiting.partitions.items():
                place = directory / f"{key}={_escaped(value, LONGEST_NAME - len(key) - 1)}"
                place.mkdir(exist_ok=True)  # Some file systems know no case.
                path = place / f"part-{partition.number:05}.parquet"
                written.append(pool.submit(_write, path, waiting, partition, is_over))
                if len(written) > threads:
                    written.popleft().result()
            while written:
                written.popleft().result()
        finally:
            is_over.set()


def _write(path: Path, waiting: _Waiting, partition: _Partition, is_over: Event) -> None:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    with parquet.ParquetWriter(path, waiting.schema, **parquet_options(waiting.schema)) as writer:
        gathered: list[pa.Table] = []
        rows = size = 0
        for table, added in waiting.tables(partition):
            if is_over.is_set():
                return
            gathered.append(table)
            rows += table.num_rows
            size += added
            if rows >= ROWS or size >= MOST_BYTES:
                writer.write_table(pa.concat_tables(gathered), row_group_size=ROWS)
                gathered, rows, size = [], 0, 0
        if gathered:
            writer.write_table(pa.concat_tables(gathered), row_group_size=ROWS)


def _escaped(key: Key, longest: int) -> str:
    """Return what the name of a directory has for a key.

    No two keys have the same, and every character is one that any file system takes. A text that is too long
    ends in a hash.
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
    escaped = quote(name, safe="")
    if escaped == NULL:
        return f"%{ord(NULL[0]):02X}{NULL[1:]}"
    return f"{escaped[:-1]}%2E" if escaped.endswith(".") else escaped  # Windows drops it.
