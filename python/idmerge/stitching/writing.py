"""Stitched events as files: one file, or a directory of Parquet files, there whole or not at all.

What is written is encoded by other threads, while the next events are read.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idmerge.errors import FileFormatError
from idmerge.files import replacing
from idmerge.threads import threads_allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from typing import BinaryIO

    import pyarrow as pa

SUFFIXES = (".parquet", ".arrow", ".csv")
PARTITIONS = ("date", "event")
ROWS = 2**17
"""Rows of a row group, which is what is encoded at once."""
PART_ROWS = 2**18
"""Rows of a file of a directory that is not partitioned."""
MOST_THREADS = 4
"""Threads that write a directory's files."""
MOST_PARTITIONS = 10_000
OWN = "_idmerge"
"""An empty file in each directory that was written here: such a directory is replaced, no other one."""


def write_events(
    output: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], partition_by: str | None
) -> int:
    """Write ``batches`` to ``output``, a file or a directory, and return the number of rows.

    Raises:
        FileFormatError: A directory holds what was not written here.
        OSError: There is no room, or no permission.
    """
    if output.endswith(SUFFIXES) and partition_by is None:
        with replacing(output) as stream:
            return _write_file(output, stream, schema, batches)
    with _replacing_directory(output) as directory:
        if partition_by is None:
            return _write_parts(directory, schema, batches)
        return _write_partitions(directory, schema, batches, partition_by)


def _write_file(output: str, stream: BinaryIO, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    with _writer(output, stream, schema) as write:
        return _each_encoded(1, schema, batches, ROWS, write)


def _write_parts(directory: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    from pyarrow import parquet  # noqa: PLC0415

    numbers = iter(range(10**9))

    def write(table: pa.Table) -> None:
        path = directory / f"part-{next(numbers):05}.parquet"
        parquet.write_table(table, path, row_group_size=ROWS, **_options(schema))

    rows = _each_encoded(min(threads_allowed(), MOST_THREADS), schema, batches, PART_ROWS, write)
    if not rows:
        write(schema.empty_table())
    return rows


def _write_partitions(
    directory: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], partition_by: str
) -> int:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import dataset  # noqa: PLC0415

    rows = 0
    by_date = partition_by == "date"

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            rows += batch.num_rows
            yield batch.append_column("date", batch.column("time").cast(pa.date32())) if by_date else batch

    whole = schema.append(pa.field("date", pa.date32())) if by_date else schema
    key = pa.schema([whole.field(partition_by)])
    dataset.write_dataset(
        pa.RecordBatchReader.from_batches(whole, counted()),
        directory,
        format="parquet",
        partitioning=dataset.partitioning(key, flavor="hive"),
        max_partitions=MOST_PARTITIONS,
        min_rows_per_group=2**14,
        max_rows_per_group=ROWS,
        existing_data_behavior="overwrite_or_ignore",
        use_threads=False,  # The events of a partition stay in their order.
    )
    return rows


def _each_encoded(
    threads: int,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    most: int,
    write: Callable[[pa.Table], object],
) -> int:
    """Gather ``batches`` into tables of ``most`` rows or more, let ``threads`` write them, count the rows.

    Memory holds a table for each of the threads, and the one that is gathered.
    """
    import pyarrow as pa  # noqa: PLC0415

    rows = 0
    written: deque[Future[object]] = deque()
    gathered: list[pa.RecordBatch] = []
    pending = 0
    with ThreadPoolExecutor(threads, "idmerge-write") as pool:
        for batch in batches:
            gathered.append(batch)
            pending += batch.num_rows
            if pending >= most:
                if len(written) == threads:
                    written.popleft().result()
                written.append(pool.submit(write, pa.Table.from_batches(gathered, schema)))
                rows, gathered, pending = rows + pending, [], 0
        if gathered:
            written.append(pool.submit(write, pa.Table.from_batches(gathered, schema)))
        for future in written:
            future.result()
    return rows + pending


@contextmanager
def _writer(output: str, stream: Any, schema: pa.Schema) -> Iterator[Callable[[pa.Table], object]]:
    """Open a writer of the format that ``output`` names, which takes table after table."""
    import pyarrow as pa  # noqa: PLC0415

    if output.endswith(".parquet"):
        from pyarrow import parquet  # noqa: PLC0415

        with parquet.ParquetWriter(stream, schema, **_options(schema)) as writer:
            yield lambda table: writer.write_table(table, row_group_size=2 * ROWS)
    elif output.endswith(".arrow"):
        with pa.ipc.new_file(stream, schema) as writer:
            yield writer.write_table
    else:
        from pyarrow import csv  # noqa: PLC0415

        with csv.CSVWriter(stream, schema) as writer:
            yield writer.write_table


def _options(schema: pa.Schema) -> dict[str, Any]:
    """Return how Parquet is written.

    Times go on and insert IDs never repeat, so they have no dictionary; the least and greatest value
    of an ID in a row group says nothing. Together that is a quarter of the time, and a tenth of the file.
    """
    apart = {"time", "$insert_id"}
    return {
        "use_dictionary": [name for name in schema.names if name not in apart],
        "column_encoding": {"time": "DELTA_BINARY_PACKED"},
        "write_statistics": ["event", "time", "distinct_id"],
        "write_batch_size": 2**16,
    }


@contextmanager
def _replacing_directory(path: str) -> Iterator[Path]:
    """Make a new directory that takes the place of ``path`` once the block ends without an error.

    Raises:
        FileFormatError: There is a directory that was not written here.
        OSError: It cannot be made.
    """
    target = Path(path).resolve()
    if target.is_dir() and any(target.iterdir()) and not (target / OWN).exists():
        raise FileFormatError(f"{path}: the directory holds other files; name a new one, or empty it first")
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    beside.mkdir()
    try:
        yield beside
        (beside / OWN).touch()
        if target.is_dir():
            old = target.with_name(f".{target.name}.{os.getpid()}.old")
            target.rename(old)
            beside.rename(target)
            shutil.rmtree(old)
        else:
            beside.rename(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
