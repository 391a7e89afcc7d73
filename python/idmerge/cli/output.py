"""A table as a file, such as the mapping: in the format that the file's suffix names."""

from __future__ import annotations

import csv as csv_rows
import io
import json
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from idmerge.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

NDJSON_ROWS = 8192
"""Rows that are turned into Python objects at a time."""


def arrow_table(mapping: Any) -> pa.Table:
    """Return ``mapping`` as a table of pyarrow's, without copying its columns.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("writing the mapping needs pyarrow: pip install 'idmerge[cli]'") from error
    # `pa.table` would first import pandas, where it is installed, to ask whether this is a frame of its.
    return pa.RecordBatchReader.from_stream(mapping).read_all()


def write_csv(table: pa.Table, stream: BinaryIO, texts: tuple[str, ...] | None = None) -> None:
    """Write ``table`` as CSV in UTF-8; values are quoted, all of them, only if one of them must be.

    ``texts`` are the columns that hold every text: in a mapping ``distinct_id``, for canonical IDs are among
    the IDs; elsewhere, by default, all columns of text.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415
    from pyarrow import csv  # noqa: PLC0415

    header = io.StringIO()
    csv_rows.writer(header, lineterminator="\n").writerow(table.column_names)
    if texts is None:
        names = [field.name for field in table.schema if pa.types.is_string(field.type)]
        texts = ("distinct_id",) if "distinct_id" in table.column_names else tuple(names)
    special = any(pc.any(pc.match_substring_regex(table[name], '[",\r\n]')).as_py() for name in texts)
    quoting: Literal["needed", "none"] = "needed" if special else "none"
    stream.write(header.getvalue().encode())
    csv.write_csv(table, stream, csv.WriteOptions(include_header=False, quoting_style=quoting))


def write_ndjson(table: pa.Table, stream: BinaryIO) -> None:
    """Write ``table`` as one JSON object a line, in UTF-8, dates as text."""
    for batch in table.to_batches(max_chunksize=NDJSON_ROWS):
        lines = [json.dumps(row, ensure_ascii=False, default=str) for row in batch.to_pylist()]
        stream.write("".join(f"{line}\n" for line in lines).encode())


def write_parquet(table: pa.Table, stream: BinaryIO) -> None:
    """Write ``table`` as Parquet."""
    from pyarrow import parquet  # noqa: PLC0415

    parquet.write_table(table, stream)


def write_arrow(table: pa.Table, stream: Any) -> None:
    """Write ``table`` as an Arrow file."""
    import pyarrow as pa  # noqa: PLC0415

    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


WRITERS: dict[str, Callable[[pa.Table, BinaryIO], None]] = {
    ".parquet": write_parquet,
    ".csv": write_csv,
    ".ndjson": write_ndjson,
    ".jsonl": write_ndjson,
    ".arrow": write_arrow,
}


def check_suffix(path: str | None, suffixes: tuple[str, ...]) -> str | None:
    """Return ``path`` if it ends with one of ``suffixes``.

    Raises:
        click.BadParameter: It does not.
    """
    if path is None or path.endswith(suffixes):
        return path
    expected = ", ".join(suffixes)
    raise click.BadParameter(f"{path!r} has no suffix that names a format; expected one of {expected}")


def write_mapping(table: pa.Table, path: str, stream: BinaryIO) -> None:
    """Write ``table`` to ``stream`` in the format that ``path`` names."""
    suffix = next(suffix for suffix in WRITERS if path.endswith(suffix))
    WRITERS[suffix](table, stream)
