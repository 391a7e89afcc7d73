"""Tables as files, in the format that the suffix names, or on standard output; checks of outputs.

`-` is standard output (`STDOUT`), as is no output at all where a command says so. There a table is
CSV unless ``--format`` names another format.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from idmerge._formatting import counted, printable
from idmerge._naming import named, visible
from idmerge.cli.completion import FILE
from idmerge.cli.messages import is_json, sum_up, tell, tell_note, tell_written
from idmerge.cli.progress import progress, without_display, working
from idmerge.cli.wrapping import is_terminal
from idmerge.errors import MissingExtraError
from idmerge.files import STDIN, check_replaceable, replacing
from idmerge.files.arrow import is_text
from idmerge.files.csvtext import write_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

STDOUT = "-"
NDJSON_ROWS = 8192
"""Rows that are turned into Python objects at a time."""
CSV_ROWS = 2**17
"""Rows of CSV that are written at a time."""
PARQUET_ROWS = 2**20
"""Rows of a row group, as pyarrow makes them by itself."""
_FORMAT = "idmerge.format"


def arrow_table(mapping: Any) -> pa.Table:
    """Return ``mapping`` as a table of pyarrow's, without copying its columns.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("writing the mapping needs pyarrow: pip install pyarrow") from error
    # `pa.table` would first import pandas, where it is installed, to ask whether this is a frame of
    # its.
    return pa.RecordBatchReader.from_stream(mapping).read_all()


csv_safe_option = click.option(
    "--csv-safe",
    is_flag=True,
    help="In CSV put ' before each cell that a spreadsheet would take for a formula (docs/csv.md).",
)


def check_csv_safe(*suffixes: str, csv_safe: bool) -> None:
    """Raise a usage error if ``csv_safe`` is wanted and none of the formats is CSV."""
    if csv_safe and not any(suffix.endswith(".csv") for suffix in suffixes):
        raise click.UsageError("--csv-safe is for CSV, and none is written")


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Open standard output for bytes; what it cannot take is an error within the block.

    No bar is shown meanwhile on a terminal, or over a pager, which a pipe may lead to.

    Raises:
        OSError: Standard output is closed or full.
    """
    if sys.stdout is None:
        raise OSError("standard output is closed; name a file by -o")
    sys.stdout.flush()
    try:
        with without_display() if _may_be_looked_at() else nullcontext():
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
    except OSError:
        _discard_unwritten()
        raise


def _may_be_looked_at() -> bool:
    """Return whether standard output is a terminal or a pipe."""
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except OSError:  # A stream of Python's own has no number.
        return False
    return is_terminal(sys.stdout) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _discard_unwritten() -> None:
    """Discard what standard output could not take: at the process's end it would fail again."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def print_table(table: pa.Table, *, csv_safe: bool, suffix: str = ".csv") -> None:
    """Write ``table`` to standard output: byte for byte into a pipe, with escapes on a terminal."""
    with standard_output() as stream:
        write_table(shown_table(table), suffix, stream, csv_safe=csv_safe)


def shown_table(table: pa.Table) -> pa.Table:
    """Return ``table`` as standard output gets it: with escapes if that is a terminal."""
    return _visible(table) if is_terminal(sys.stdout) else table


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


def _in_pieces(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    """Yield ``table`` in pieces of so many rows, and show how many have been written."""
    with progress("writing", table.num_rows, unit="things") as work:
        for start in range(0, table.num_rows, rows):
            piece = table.slice(start, rows)
            yield piece
            work.advance(piece.num_rows)


def write_ndjson(table: pa.Table, stream: BinaryIO) -> None:
    """Write ``table`` as one JSON object a line, in UTF-8, dates as text."""
    stream.writelines("".join(f"{line}\n" for line in lines).encode() for lines in _objects(table))


def write_json(table: pa.Table, stream: BinaryIO) -> None:
    """Write ``table`` as a JSON array with an object a line, in UTF-8, dates as text."""
    before = "[\n"
    for lines in _objects(table):
        stream.write((before + ",\n".join(lines)).encode())
        before = ",\n"
    stream.write(b"\n]\n" if before == ",\n" else b"[]\n")


def _objects(table: pa.Table) -> Iterator[list[str]]:
    """Yield the rows of ``table`` as texts of JSON, some at a time."""
    for piece in _in_pieces(table, NDJSON_ROWS):
        yield [json.dumps(row, ensure_ascii=False, default=str) for row in piece.to_pylist()]


def write_parquet(table: pa.Table, stream: BinaryIO) -> None:
    """Write ``table`` as Parquet."""
    from pyarrow import parquet  # noqa: PLC0415

    with parquet.ParquetWriter(stream, table.schema) as writer:
        for piece in _in_pieces(table, PARQUET_ROWS):
            writer.write_table(piece)


def write_arrow(table: pa.Table, stream: Any) -> None:
    """Write ``table`` as an Arrow file."""
    import pyarrow as pa  # noqa: PLC0415

    with working("writing"), pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


BINARY = (".parquet", ".arrow")
"""Formats that a terminal does not get."""
WRITERS: dict[str, Callable[[pa.Table, BinaryIO], None]] = {
    ".parquet": write_parquet,
    ".csv": write_csv,
    ".ndjson": write_ndjson,
    ".jsonl": write_ndjson,
    ".json": write_json,
    ".arrow": write_arrow,
}


def check_suffix(path: str | None, suffixes: tuple[str, ...], *, stdout: bool = False) -> str | None:
    """Return ``path`` if it ends with one of ``suffixes``, or is standard output and may be.

    Raises:
        click.BadParameter: It does not.
    """
    if path is None or path.endswith(suffixes) or (stdout and path == STDOUT):
        return path
    expected = ", ".join(suffixes)
    raise click.BadParameter(f"'{named(path)}' has no suffix that names a format; expected one of {expected}")


def write_table(table: pa.Table, suffix: str, stream: BinaryIO, *, csv_safe: bool) -> None:
    """Write ``table`` to ``stream`` in the format of the ``suffix``."""
    if suffix == ".csv":
        write_csv(table, stream, csv_safe=csv_safe, pieces=lambda whole: _in_pieces(whole, CSV_ROWS))
    else:
        WRITERS[suffix](table, stream)


def file_option(*names: str, suffixes: Iterable[str], text: str, stdout: bool = False) -> Decorator:
    """Return the option of a file to write, whose name must end with one of ``suffixes``.

    With ``stdout`` it may be standard output.
    """
    allowed = tuple(suffixes)
    return click.option(
        *names,
        type=FILE,
        metavar="FILE",
        callback=lambda _context, _option, path: check_suffix(path, allowed, stdout=stdout),
        help=text,
    )


def output_option(wording: str) -> Decorator:
    """Return the options of a file for a table and its format; the help says what is written."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        suffixes = ", ".join(WRITERS)
        output = click.option(
            "-o",
            "--output",
            type=FILE,
            metavar="FILE",
            callback=_checked_output,
            help=f"Write {wording}; the suffix names the format: {suffixes}. - is standard output.",
        )
        return output(format_option(WRITERS, "")(command))

    return add


def format_option(suffixes: Iterable[str], more: str) -> Decorator:
    """Return the option that names the format of a table; it is read before the file's."""
    return click.option(
        "--format",
        "table_format",
        type=click.Choice([suffix.removeprefix(".") for suffix in suffixes]),
        is_eager=True,
        expose_value=False,
        callback=_remember_format,
        help=f"The format, where no suffix names it; csv by default.{more}",
    )


def _remember_format(context: click.Context, _option: click.Parameter, name: str | None) -> None:
    context.meta[_FORMAT] = None if name is None else f".{name}"


def given_format() -> str | None:
    """Return the suffix of the format that the running command was given, if it was."""
    suffix: str | None = click.get_current_context().meta.get(_FORMAT)
    return suffix


def _checked_output(_context: click.Context, _option: click.Parameter, path: str | None) -> str | None:
    """Return the path of a table; standard output, if a format alone is given."""
    chosen = given_format()
    if chosen is None:
        return check_suffix(path, tuple(WRITERS), stdout=True)
    return STDOUT if path is None else path


def is_printed(output: str | None) -> bool:
    """Return whether ``output``, None if it was not given, is standard output."""
    return output is None or output == STDOUT


def suffix_of(output: str | None) -> str:
    """Return the suffix of the format in which a table goes to ``output``."""
    named_by_path = (suffix for suffix in WRITERS if output is not None and output.endswith(suffix))
    return given_format() or next(named_by_path, ".csv")


table_option = output_option("here instead of standard output")


def write_or_print(
    table: pa.Table,
    output: str | None,
    *,
    csv_safe: bool,
    summary: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write ``table`` to the file ``output``, or to standard output; then print the summary.

    It is the text ``summary``, or under --json an object of ``facts``, if there are some.
    """
    to_file = None if output is None or output == STDOUT else output
    if to_file is None:
        print_table(table, csv_safe=csv_safe, suffix=suffix_of(output))
    else:
        with replacing(to_file) as stream:
            write_table(table, suffix_of(output), stream, csv_safe=csv_safe)
    if facts is not None and is_json():
        sum_up({**facts, "rows": table.num_rows, "output": to_file}, beside_data=to_file is None)
        return
    if summary is not None:
        tell(summary)
    if to_file is not None:
        tell_written(counted(table.num_rows, "row"), to_file)


def check_outputs(read: Iterable[str], outputs: Mapping[str, str | None]) -> None:
    """Check, before anything is read, that the files ``outputs``, by option, can be written.

    Raises:
        click.UsageError: One is among the files ``read``, the list of blocked IDs and the
            configuration, or named twice.
        OSError: One cannot be made.
    """
    given = click.get_current_context().params
    settings = [path for path in (given.get("blocked_ids"), given.get("config")) if path]
    check_distinct(outputs)
    check_overwriting([*read, *settings], outputs.values())
    for path in outputs.values():
        if path and path != STDOUT:
            check_replaceable(path)


def check_table_output(read: Iterable[str], output: str | None, *, csv_safe: bool) -> None:
    """Check, before anything is read, that a table can go to ``output``; see `check_outputs`."""
    suffix = suffix_of(output)
    check_csv_safe(suffix, csv_safe=csv_safe)
    check_outputs(read, {"--output": output})
    if is_printed(output):
        check_printed(suffix)


def check_printed(suffix: str) -> None:
    """Raise a usage error if standard output is a terminal and the format is no text."""
    if suffix in BINARY and is_terminal(sys.stdout):
        raise click.UsageError(
            f"{suffix.removeprefix('.')} is no text, and standard output is a terminal; name a file by -o"
        )


def check_overwriting(read: Iterable[str], written: Iterable[str | None]) -> None:
    """Raise a usage error if a path in ``read`` is, holds or lies in one in ``written``.

    Standard input and output (``-`` or None) are passed over, and so is an empty path, which no
    file has.
    """
    outputs = [os.path.realpath(path) + os.sep for path in written if path and path != STDOUT]
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
        tell_note(text)
