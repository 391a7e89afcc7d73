"""Links as columns ``kind``, ``first`` and ``second``, in CSV, Parquet and Arrow files.

Other columns are passed over. An empty cell of a CSV is an empty ID, which no ID may be; a null of
Parquet or Arrow is a missing operand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge.errors import FileFormatError
from idmerge.files.arrow import is_bytes, is_text
from idmerge.files.kinds import kind_named
from idmerge.files.pieces import BATCH, BadLine, LinkBatch
from idmerge.files.renaming import LINKS
from idmerge.files.rows import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from idmerge.files.arrow import ColumnFile
    from idmerge.files.csvrows import CsvRows

COLUMNS = LINKS
KINDS = "identify, alias, merge, mapping, association, $identify, $create_alias, $merge, 0, 1, 2, 8 or 13"


def csv_links(path: str, rows: CsvRows, names: list[str]) -> Iterator[LinkBatch | BadLine]:
    """Read links from a CSV whose header has ``names``.

    Raises:
        FileFormatError: A column is missing, a kind unknown, or the text no CSV in UTF-8.
    """
    for batch in rows.batches(_places(path, names)):
        if isinstance(batch, BadLine):
            yield batch
            continue
        kinds = [_kind_number(path, *row) for row in zip(batch.lines, batch.columns[0], strict=True)]
        yield LinkBatch(path, batch.lines, np.array(kinds, dtype=np.uint8), *batch.columns[1:])


def column_links(
    path: str, file: ColumnFile, size: int, on_bytes: Callable[[int], object]
) -> Iterator[LinkBatch]:
    """Read links from a Parquet or Arrow file; ``on_bytes`` gets its ``size``.

    Raises:
        FileFormatError: It is damaged, a column is missing or holds no text, or a kind is unknown.
    """
    _places(path, file.schema.names)
    row = 1
    for batch in file.batches(COLUMNS, BATCH, size, on_bytes):
        lines = range(row, row + batch.num_rows)
        kinds = _kind_numbers(path, row, batch.column("kind"))
        first, second = (_texts(path, name, batch.column(name), lines) for name in COLUMNS[1:])
        yield LinkBatch(path, lines, kinds, first, second)
        row += batch.num_rows


def _kind_numbers(path: str, row: int, column: Any) -> Any:
    """Return the numbers of the kinds in ``column``, each distinct value looked up once."""
    import pyarrow as pa  # noqa: PLC0415

    is_encoded = pa.types.is_dictionary(column.type)
    kind = column.type.value_type if is_encoded else column.type
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise FileFormatError(f"{path}:{row}: kind must be {KINDS}, got {column.type}")
    if pa.types.is_string_view(kind):
        column = column.cast(pa.string())
        is_encoded = False
    encoded = column if is_encoded else column.dictionary_encode()
    if not encoded.null_count:
        used, value_of_row = np.unique(encoded.indices.to_numpy(), return_inverse=True)
        numbers = [kind_named(encoded.dictionary[place].as_py()) for place in used.tolist()]
        if None not in numbers:
            return np.array(numbers, dtype=np.uint8)[value_of_row]
    names = enumerate(encoded.to_pylist())
    index, unknown = next((index, name) for index, name in names if kind_named(name) is None)
    raise _unknown_kind(path, row + index, unknown)


def _texts(path: str, name: str, column: Any, lines: Sequence[int]) -> Any:
    """Return ``column`` as text: that of its IDs (SPEC 3)."""
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_text(kind):
        return column
    try:
        # Bytes that are no UTF-8 are damage, as text is that is none.
        return column.cast(pa.string()) if is_bytes(kind) else as_text(name, column, lines)
    except (TypeError, pa.ArrowException) as error:
        raise FileFormatError(f"{path}: {error}") from error


def _places(path: str, names: list[str]) -> list[int]:
    """Return where each of `COLUMNS` stands among ``names``."""
    missing = [name for name in COLUMNS if names.count(name) != 1]
    if missing:
        found = ", ".join(name if name.isprintable() else ascii(name) for name in names) or "none"
        raise FileFormatError(
            f"{path}: needs the columns {', '.join(COLUMNS)}, each once; wrong or missing: "
            f"{', '.join(missing)}; found: {found:.200}; rename the columns that hold the kinds and the IDs"
        )
    return [names.index(name) for name in COLUMNS]


def _kind_number(path: str, line: int, name: str) -> int:
    kind = kind_named(name)
    if kind is None:
        raise _unknown_kind(path, line, name)
    return kind


def _unknown_kind(path: str, line: int, name: object) -> FileFormatError:
    return FileFormatError(f"{path}:{line}: kind must be {KINDS}, got {name!r:.100}")
