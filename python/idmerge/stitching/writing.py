"""Writers of stitched events: one file or a directory of Parquet files, atomically.

What is written is encoded by other threads, while the next events are read.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from idmerge._threads import Pool, threads_allowed
from idmerge.errors import FileFormatError
from idmerge.files import check_replaceable, check_replaceable_directory, replacing, replacing_directory
from idmerge.files.csvtext import csv_writer
from idmerge.stitching.encoding import MOST_BYTES, MOST_THREADS, ROWS, parquet_options
from idmerge.stitching.partitions import KEYS, check_key, write_partitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sized
    from concurrent.futures import Future
    from typing import BinaryIO

    import pyarrow as pa

    from idmerge.stitching.encoding import Encoding
    from idmerge.stitching.partitioning import Partitioning

S = TypeVar("S", bound="Sized")

SUFFIXES = (".parquet", ".arrow", ".csv")
PARTITIONS = tuple(KEYS)
PART_ROWS = 2 * ROWS
"""Rows of a file of a directory that is not partitioned."""
OWN = "_idmerge"
"""An empty file in each directory that was written here: such a directory is replaced, no other
one."""


def write_events(
    output: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    partition_by: str | None,
    *,
    csv_safe: bool,
) -> int:
    """Write ``batches`` to ``output``, a file or a directory, and return the number of rows.

    Raises:
        FileFormatError: A directory holds what was not written here, or the format has no place for
            a column.
        OSError: There is no room, or no permission.
    """
    if partition_by is not None:
        check_key(schema, partition_by)
    with _naming_of(output):
        if output.endswith(SUFFIXES) and partition_by is None:
            with replacing(output) as stream:
                return _write_file(output, stream, schema, batches, csv_safe=csv_safe)
        with _replacing_directory(output) as directory:
            if partition_by is None:
                return _write_parts(directory, schema, batches)
            return write_partitions(directory, schema, batches, partition_by)


@contextmanager
def _naming_of(output: str) -> Iterator[None]:
    """Let errors of a format that has no place for a column name ``output``."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        yield
    except pa.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise FileFormatError(f"{output}: cannot be written ({reason})") from error


def write_to_stream(
    stream: BinaryIO,
    suffix: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    csv_safe: bool = False,
) -> int:
    """Write ``batches`` to ``stream`` in the format of `SUFFIXES`, and return the number of rows.

    Raises:
        FileFormatError: The format has no place for a column.
        OSError: There is no room, or the reader of a pipe is gone.
    """
    with _naming_of("the output"):
        return _write_file(suffix, stream, schema, batches, csv_safe=csv_safe)


def check_partitioning(partition_by: str | None, output: object) -> None:
    """Raise ValueError if there is no such way to partition, or no ``output`` for it."""
    if partition_by not in {None, *PARTITIONS}:
        raise ValueError(f"partition_by must be 'date', 'event' or None, got {partition_by!r}")
    if partition_by is not None and output is None:
        raise ValueError("partition_by is for an output; name a directory by output=")


def check_output(output: str, partition_by: str | None = None) -> None:
    """Raise, before anything is read, what `write_events` would raise of the place ``output``.

    Raises:
        FileFormatError: A directory holds what was not written here.
        OSError: Nothing can be made there.
    """
    if output.endswith(SUFFIXES) and partition_by is None:
        check_replaceable(output)
    else:
        check_replaceable_directory(output, partial(_check_own, output))


def can_encode(output: str) -> bool:
    """Return whether events that are encoded already can become the unpartitioned ``output``."""
    target = Path(output)
    if target.exists() and not target.is_file():
        return target.is_dir() and not output.endswith(SUFFIXES)  # Nothing is copied into a pipe.
    return output.endswith(".parquet") or not output.endswith(SUFFIXES)


def write_encoded(output: str, encoding: Encoding, on_group: Callable[[], object]) -> int:
    """Write events that are encoded already to ``output``, and return the number of rows.

    ``on_group`` is called after each row group.

    Raises:
        FileFormatError: A directory holds what was not written here.
        OSError: There is no room.
    """

    def each(named: Iterable[S]) -> Iterator[S]:
        for events in named:
            yield events
            on_group()

    with closing(encoding.named()) as named:
        if output.endswith(".parquet"):
            with replacing(output) as stream:
                return encoding.write(stream.name, each(named))
        with _replacing_directory(output) as directory:
            parts = enumerate(_parts_of(each(named)))
            return sum(encoding.write(_part(directory, number), groups) for number, groups in parts)


def write_partitioned(
    output: str, partitioning: Partitioning, schema: pa.Schema, on_partition: Callable[[], object]
) -> int:
    """Write events that wait as partitions to ``output``, and return the number of rows.

    ``on_partition`` is called after each partition.

    Raises:
        FileFormatError: A directory holds what was not written here.
        OSError: There is no room, or no permission.
    """
    with _naming_of(output), _replacing_directory(output) as directory:
        return partitioning.write(directory, schema, on_partition)


def nulls_in(output: str, column: str) -> int:
    """Return how many nulls a column has in Parquet that `write_encoded` wrote, by its footers."""
    from pyarrow import parquet  # noqa: PLC0415

    paths = sorted(Path(output).glob("*.parquet")) if Path(output).is_dir() else [output]
    nulls = 0
    for path in paths:
        metadata = parquet.read_metadata(path)
        place = metadata.schema.names.index(column)
        groups = (metadata.row_group(group).column(place) for group in range(metadata.num_row_groups))
        nulls += sum(group.statistics.null_count or 0 for group in groups if group.statistics is not None)
    return nulls


def _parts_of(named: Iterable[S]) -> Iterator[list[S]]:
    """Yield row groups in lists of `PART_ROWS` rows or more, and at least one list."""
    groups: list[S] = []
    number = 0
    for events in named:
        groups.append(events)
        if sum(map(len, groups)) >= PART_ROWS:
            yield groups
            groups, number = [], number + 1
    if groups or not number:
        yield groups


def _part(directory: Path, number: int) -> str:
    return os.fspath(directory / f"part-{number:05}.parquet")


def _write_file(
    output: str, stream: BinaryIO, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, csv_safe: bool
) -> int:
    with _writer(output, stream, schema, csv_safe=csv_safe) as write:
        return _each_encoded(1, schema, batches, ROWS, write)


def _write_parts(directory: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    from pyarrow import parquet  # noqa: PLC0415

    numbers = count()

    def write(table: pa.Table) -> None:
        path = _part(directory, next(numbers))
        parquet.write_table(table, path, row_group_size=ROWS, **parquet_options(schema))

    rows = _each_encoded(min(threads_allowed(), MOST_THREADS), schema, batches, PART_ROWS, write)
    if not rows:
        write(schema.empty_table())
    return rows


def _each_encoded(
    threads: int,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    most: int,
    write: Callable[[pa.Table], object],
) -> int:
    """Gather ``batches`` into tables of ``most`` rows or more for ``threads``; count the rows.

    Memory holds a table for each of the threads, and the one that is gathered.
    """
    import pyarrow as pa  # noqa: PLC0415

    rows = 0
    written: deque[Future[object]] = deque()
    gathered: list[pa.RecordBatch] = []
    pending = size = 0
    with Pool(threads, "idmerge-write") as pool:
        for batch in batches:
            gathered.append(batch)
            pending += batch.num_rows
            size += batch.nbytes
            if pending >= most or size >= MOST_BYTES:
                if len(written) == threads:
                    written.popleft().result()
                written.append(pool.submit(write, pa.Table.from_batches(gathered, schema)))
                rows += pending
                gathered, pending, size = [], 0, 0
        if gathered:
            written.append(pool.submit(write, pa.Table.from_batches(gathered, schema)))
        for future in written:
            future.result()
    return rows + pending


@contextmanager
def _writer(
    output: str, stream: Any, schema: pa.Schema, *, csv_safe: bool
) -> Iterator[Callable[[pa.Table], object]]:
    """Open a writer of the format that ``output`` names, which takes table after table."""
    import pyarrow as pa  # noqa: PLC0415

    if output.endswith(".parquet"):
        from pyarrow import parquet  # noqa: PLC0415

        with parquet.ParquetWriter(stream, schema, **parquet_options(schema)) as writer:
            yield lambda table: writer.write_table(table, row_group_size=2 * ROWS)
    elif output.endswith(".arrow"):
        # A file of Arrow has one dictionary a column, and each row group of Parquet may have its
        # own.
        plain = schema
        for place, field in enumerate(schema):
            if pa.types.is_dictionary(field.type):
                plain = plain.set(place, field.with_type(field.type.value_type))
        with pa.ipc.new_file(stream, plain) as writer:
            yield lambda table: writer.write_table(table if plain.equals(table.schema) else table.cast(plain))
    else:
        with csv_writer(stream, schema, csv_safe=csv_safe) as write:
            yield write


@contextmanager
def _replacing_directory(path: str) -> Iterator[Path]:
    """Make a new directory that takes the place of ``path``, which must be none or one of these.

    Raises:
        FileFormatError: There is a file, or a directory that was not written here.
        OSError: It cannot be made.
    """
    with replacing_directory(path, partial(_check_own, path)) as directory:
        yield directory
        (directory / OWN).touch()


def _check_own(path: str, target: Path) -> None:
    """Raise FileFormatError if ``target`` is a file, or has contents not written here."""
    if not target.is_dir():
        raise FileFormatError(f"{path}: there is a file; name a directory, or a file with a suffix")
    files = [file for file in target.rglob("*") if not file.is_dir()]
    others = [file for file in files if file.name != OWN and file.suffix != ".parquet"]
    if files and (others or not (target / OWN).exists()):
        raise FileFormatError(f"{path}: the directory holds other files; name a new one, or empty it first")
