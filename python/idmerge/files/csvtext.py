"""A CSV writer whose values are read back as they were, and optionally never as a formula.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, and one that
begins with a tab or an end of line for what stands behind it; so do programs that read full-width
marks. ``csv_safe`` puts an apostrophe before such a cell, and before one in which apostrophes stand
before such a beginning already. So the rule can be undone: take the first apostrophe away from each
cell that begins with apostrophes and one of these characters. Numbers and times stay as they are.
"""

from __future__ import annotations

import csv as csv_rows
import io
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge.files.arrow import is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import BinaryIO

    import pyarrow as pa

FORMULA = r"\A('*[=+\-@\t\r\n＝＋－＠])"  # noqa: RUF001 - full-width marks are meant
"""The beginning of a cell that ``csv_safe`` changes, as Python and RE2 read it."""
_BEGINS_A_FORMULA = re.compile(FORMULA)
ENDING = "\r\n"
"""That of rows as Python's csv makes them."""
_STRUCTURE = b'",\r\n'
"""Characters that a value must be quoted for."""


def safe(text: str) -> str:
    """Return ``text`` as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _BEGINS_A_FORMULA.match(text) else text


def write_csv(
    table: pa.Table,
    stream: BinaryIO,
    *,
    csv_safe: bool = False,
    pieces: Callable[[pa.Table], Iterable[pa.Table]] = lambda table: [table],
) -> None:
    """Write ``table`` as CSV in UTF-8; all texts are quoted if one of them must be.

    ``pieces`` returns the table in the pieces that are written one after the other.
    """
    table = _plain(table)
    needs_quotes = csv_safe or any(_has_structure(column) for column in table.columns)
    quoting = "needed" if needs_quotes else "none"
    with _writer(stream, table.schema, quoting, csv_rows.QUOTE_MINIMAL, csv_safe=csv_safe) as write:
        for piece in pieces(table):
            write(piece)


def write_few(columns: Mapping[str, list[str | int]], stream: BinaryIO, *, csv_safe: bool = False) -> None:
    """Write columns without missing values as `write_csv` does, byte for byte, without pyarrow."""
    cells: list[list[Any]] = [*columns.values()]
    if csv_safe:
        cells = [[safe(cell) if isinstance(cell, str) else cell for cell in column] for column in cells]
    texts = "".join(cell for column in cells for cell in column if isinstance(cell, str)).encode()
    quotes = csv_safe or _holds_structure(texts)
    rows = io.StringIO()
    quoting: Any = csv_rows.QUOTE_NONNUMERIC if quotes else csv_rows.QUOTE_NONE
    csv_rows.writer(rows, quoting=quoting, lineterminator="\n").writerows(zip(*cells, strict=True))
    stream.write(_header([*columns], csv_rows.QUOTE_MINIMAL, csv_safe=csv_safe) + rows.getvalue().encode())


@contextmanager
def csv_writer(
    stream: BinaryIO, schema: pa.Schema, *, csv_safe: bool = False
) -> Iterator[Callable[[pa.Table], None]]:
    """Open a writer of CSV in UTF-8 that takes table after table; names and texts are quoted."""
    with _writer(
        stream, _plain(schema.empty_table()).schema, "needed", csv_rows.QUOTE_ALL, csv_safe=csv_safe
    ) as write:
        yield lambda table: write(_plain(table))


@contextmanager
def _writer(
    stream: BinaryIO, schema: pa.Schema, quoting: Any, names_quoting: Any, *, csv_safe: bool
) -> Iterator[Callable[[pa.Table], None]]:
    from pyarrow import csv  # noqa: PLC0415

    stream.write(_header(schema.names, names_quoting, csv_safe=csv_safe))
    options = csv.WriteOptions(include_header=False, quoting_style=quoting)
    with csv.CSVWriter(stream, schema, write_options=options) as writer:
        yield lambda table: writer.write_table(_safe(table) if csv_safe else table)


def _header(names: Iterable[str], quoting: Any, *, csv_safe: bool) -> bytes:
    header = io.StringIO()
    shown = [safe(name) if csv_safe else name for name in names]
    csv_rows.writer(header, quoting=quoting).writerow(shown)  # It quotes what ends lines as it does.
    return f"{header.getvalue().removesuffix(ENDING)}\n".encode()


def _holds_structure(texts: bytes) -> bool:
    return any(mark in texts for mark in _STRUCTURE)


def _plain(table: pa.Table) -> pa.Table:
    """Return ``table`` with text in the only two layouts of which pyarrow makes CSV."""
    import pyarrow as pa  # noqa: PLC0415

    for place, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string_view(kind):
            kind = pa.large_string()
        if kind != field.type:
            column = table.column(place).cast(kind)
            table = table.set_column(place, field.with_type(kind), column)
    return table


def _safe(table: pa.Table) -> pa.Table:
    """Return ``table`` with no formulas in its texts."""
    import pyarrow.compute as pc  # noqa: PLC0415

    for place, field in enumerate(table.schema):
        if is_text(field.type):
            column = pc.replace_substring_regex(table.column(place), pattern=FORMULA, replacement=r"'\1")
            table = table.set_column(place, field, column)
    return table


def _has_structure(column: Any) -> bool:
    """Return whether a text or binary column holds a character that must be quoted.

    Its bytes are compared, which takes half as long as to search the values.
    """
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        width: Any = np.int32
    elif pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        width = np.int64
    else:
        return pa.types.is_fixed_size_binary(kind)
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        if not len(chunk) or data is None:
            continue
        ends = np.frombuffer(offsets, width)[chunk.offset : chunk.offset + len(chunk) + 1]
        values = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
        if any((values == mark).any() for mark in _STRUCTURE):
            return True
    return False
