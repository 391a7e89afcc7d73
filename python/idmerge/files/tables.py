"""Parquet and Arrow files as record batches, whatever their columns are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge.errors import FileFormatError
from idmerge.files.columns import unreadable, with_share
from idmerge.files.opening import ARROW, BUFFER, MAGIC_LENGTH, PARQUET, import_pyarrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from idmerge.files.twice import RereadableFile

ROWS = 2**14
"""Rows of a batch, at most."""


def format_of(file: RereadableFile) -> str | None:
    """Return whether ``file`` is ``"Parquet"`` or ``"Arrow"``, as `idmerge.files.read` tells; else None.

    Raises:
        OSError: It cannot be opened.
    """
    with open(file.path, "rb") as stream:  # noqa: PTH123
        magic = stream.read(MAGIC_LENGTH)
    name = file.name.lower()
    if name.endswith(".parquet") or magic.startswith(PARQUET):
        return "Parquet"
    return "Arrow" if name.endswith(".arrow") or magic.startswith(ARROW) else None


def schema_of(file: RereadableFile) -> pa.Schema:
    """Return the columns of a Parquet or Arrow file.

    Raises:
        FileFormatError: It cannot be read.
    """
    pyarrow = import_pyarrow("reading columns")
    kind = format_of(file)
    schema: pa.Schema
    try:
        if kind == "Parquet":
            from pyarrow import parquet  # noqa: PLC0415

            schema = parquet.read_schema(file.path)
        else:
            with pyarrow.OSFile(file.path) as stream:
                schema = _arrow_reader(pyarrow, stream).schema
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(file.name, str(kind), error) from error
    return schema


def record_batches(
    file: RereadableFile, columns: list[str], size: int, on_bytes: Callable[[int], object]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet or Arrow file in batches of `ROWS`; ``on_bytes`` gets its ``size``.

    Raises:
        FileFormatError: It is damaged.
    """
    pyarrow = import_pyarrow("reading columns")
    kind = format_of(file)
    try:
        if kind == "Parquet":
            from pyarrow import parquet  # noqa: PLC0415

            # Pages are read as they are needed: the default would hold whole row groups.
            with parquet.ParquetFile(file.path, pre_buffer=False, buffer_size=BUFFER) as whole:
                batches = whole.iter_batches(batch_size=ROWS, columns=columns)
                for batch in with_share(batches, whole.metadata.num_rows, size, on_bytes):
                    yield batch.select(
                        columns
                    )  # A name may have been taken for the beginning of another one.
        else:
            with pyarrow.OSFile(file.path) as stream:
                for batch in _arrow_batches(_arrow_reader(pyarrow, stream)):
                    for start in range(0, batch.num_rows, ROWS):
                        yield batch.slice(start, ROWS).select(columns)
            on_bytes(size)
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(file.name, str(kind), error) from error


def _arrow_reader(pyarrow: Any, stream: Any) -> Any:
    magic = stream.read(MAGIC_LENGTH)
    stream.seek(0)
    return pyarrow.ipc.open_file(stream) if magic.startswith(ARROW) else pyarrow.ipc.open_stream(stream)


def _arrow_batches(reader: Any) -> Iterator[pa.RecordBatch]:
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(index) for index in range(reader.num_record_batches))
    return iter(reader)


def check_names(name: str, schema: pa.Schema) -> None:
    """Raise FileFormatError if two columns of the file called ``name`` have the same name."""
    twice = [column for column in schema.names if schema.names.count(column) > 1]
    if twice:
        raise FileFormatError(f"{name}: has the column {twice[0]!r:.100} more than once")
