"""Tables as files, in the format that the suffix names, or as CSV on standard output."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from idmerge._formatting import printable
from idmerge._naming import named, visible
from idmerge.cli.messages import labelled
from idmerge.errors import MissingExtraError
from idmerge.files import STDIN, replacing
from idmerge.files.arrow import is_text
from idmerge.files.csvtext import write_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pyarrow as pa

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

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
    # `pa.table` would first import pandas, where it is installed, to ask whether this is a frame of
    # its.
    return pa.RecordBatchReader.from_stream(mapping).read_all()


csv_safe_option = click.option(
    "--csv-safe",
    is_flag=True,
    help="In CSV put ' before each cell that a spreadsheet would take for a formula (docs/csv.md).",
)


def check_csv_safe(*outputs: str | None, csv_safe: bool) -> None:
    """Raise a usage error if ``csv_safe`` is wanted without CSV; None is standard output."""
    if csv_safe and not any(path is None or path.endswith(".csv") for path in outputs):
        raise click.UsageError("--csv-safe is for CSV, and none is written")


def print_csv(table: pa.Table, *, csv_safe: bool) -> None:
    """Write ``table`` to standard output: byte for byte into a pipe, with escapes on a terminal."""
    write_csv(_visible(table) if sys.stdout.isatty() else table, sys.stdout.buffer, csv_safe=csv_safe)


def _visible(table: pa.Table) -> pa.Table:
    """Return ``table`` with escapes for the characters by which a text could steer a terminal."""
    import pyarrow as pa  # noqa: PLC0415

    columns = [
        pa.array([text if text is None else visible(text) for text in column.to_pylist()], pa.large_string())
        if is_text(column.type)
        else column
        for column in table.columns
    ]
    return pa.table(columns, names=[*map(visible, table.column_names)])


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
    raise click.BadParameter(f"'{named(path)}' has no suffix that names a format; expected one of {expected}")


def write_table(table: pa.Table, path: str, stream: BinaryIO, *, csv_safe: bool) -> None:
    """Write ``table`` to ``stream`` in the format that ``path`` names."""
    suffix = next(suffix for suffix in WRITERS if path.endswith(suffix))
    if suffix == ".csv":
        write_csv(table, stream, csv_safe=csv_safe)
    else:
        WRITERS[suffix](table, stream)


def file_option(*names: str, suffixes: Iterable[str], text: str) -> Decorator:
    """Return the option of a file to write, whose name must end with one of ``suffixes``."""
    allowed = tuple(suffixes)
    return click.option(
        *names,
        metavar="FILE",
        callback=lambda _context, _option, path: check_suffix(path, allowed),
        help=text,
    )


def output_option(wording: str) -> Decorator:
    """Return the option of a file for a table; its help says to write ``wording``."""
    text = f"Write {wording}; the suffix names the format: {', '.join(WRITERS)}."
    return file_option("-o", "--output", suffixes=WRITERS, text=text)


table_option = output_option("here instead of standard output")


def write_or_print(table: pa.Table, output: str | None, *, csv_safe: bool) -> None:
    """Write ``table`` to the file ``output``, or as CSV to standard output if there is none."""
    if output is None:
        print_csv(table, csv_safe=csv_safe)
        return
    with replacing(output) as stream:
        write_table(table, output, stream, csv_safe=csv_safe)


def check_overwriting(read: Iterable[str], written: Iterable[str | None]) -> None:
    """Raise a usage error if a path in ``read`` is, holds or lies in one in ``written``.

    Standard input and output (``-`` or None) are passed over, and so is an empty path, which no
    file has.
    """
    outputs = [os.path.realpath(path) + os.sep for path in written if path]
    for path in read:
        real = os.path.realpath(path) + os.sep
        if path in ("", STDIN):
            continue
        if any(real.startswith(of) or of.startswith(real) for of in outputs):
            raise click.UsageError(f"'{named(path)}' would be read and written over; name another file")


def check_distinct(outputs: Mapping[str, str | None]) -> None:
    """Raise a usage error if two options in ``outputs`` name the same file."""
    written: dict[str, str] = {}
    for option, path in outputs.items():
        if path and (before := written.setdefault(os.path.realpath(path), option)) != option:
            raise click.UsageError(f"{before} and {option} name the same file")


def tell_renamed(renamed: Mapping[str, str]) -> None:
    """Print that a NUL in a property's name was replaced; ``renamed`` has the columns."""
    for name, column in list(renamed.items())[:1]:
        more = f", and {len(renamed) - 1:,} more likewise" if len(renamed) > 1 else ""
        text = (
            f"the property {printable(name)} has a NUL in its name; its column is {printable(column)}{more}"
        )
        click.echo(labelled("note", text), err=True)
