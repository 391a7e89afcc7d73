"""Tables in files as pieces: links, identity mappings, events, or rows as objects.

The columns say which (SPEC 11). Their names are made raw here, once; nothing behind this knows
another spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from idmerge.errors import ColumnError, DialectError, FileFormatError
from idmerge.events import Kind
from idmerge.files.choosing import ANY, Choice
from idmerge.files.columns import column_links, csv_links
from idmerge.files.dialects import RESOLVED
from idmerge.files.names import ID
from idmerge.files.opening import import_pyarrow
from idmerge.files.pieces import BadLine, LinkBatch
from idmerge.files.recognition import OnDialect, no_matter
from idmerge.files.renaming import Renamed, is_links, renamed
from idmerge.files.rows import Rows, as_text, link_columns
from idmerge.files.tables import TablePiece, check_names, column_pieces, csv_pieces
from idmerge.files.textrows import read_ahead, rows_of

if TYPE_CHECKING:
    from idmerge.files.arrow import ColumnFile
    from idmerge.files.csvrows import CsvRows

Pieces = Callable[[list[str]], Iterator[TablePiece | BadLine]]
"""A function that yields the columns of these names."""


class TableReader(NamedTuple):
    """The reader of a table in the file at ``path``."""

    path: str
    choice: Choice = ANY
    """The dialect of its events."""
    on_dialect: OnDialect = no_matter
    """Called with the path and the dialect that was read."""
    columns: Sequence[str] = ()
    """Columns of events that are wanted beside those of links, by their raw names."""

    def of_csv(self, rows: CsvRows) -> Iterator[Rows | LinkBatch | BadLine]:
        """Read a CSV.

        Raises:
            FileFormatError: It is damaged, or its columns are none that can be read.
        """
        names = rows.header()
        if not names or is_links(names):
            yield from csv_links(self.path, rows, names)
        else:
            yield from self._rows(names, lambda wanted: csv_pieces(rows, names, wanted))

    def of_columns(
        self, file: ColumnFile, size: int, on_bytes: Callable[[int], object]
    ) -> Iterator[Rows | LinkBatch | BadLine]:
        """Read a Parquet or Arrow file; ``on_bytes`` gets its ``size``.

        Raises what `of_csv` raises.
        """
        names = list(file.schema.names)
        if not names or is_links(names):
            yield from column_links(self.path, file, size, on_bytes)
        else:
            yield from self._rows(names, lambda wanted: column_pieces(file, wanted, size, on_bytes))

    def _rows(self, names: list[str], pieces: Pieces) -> Iterator[Rows | LinkBatch | BadLine]:
        dialect, raw = renamed_in(self.path, names, self.choice)
        self.on_dialect(self.path, dialect)
        is_mapping = dialect.content == "mappings"
        wanted = {ID, RESOLVED} if is_mapping else {*link_columns(self.choice.api), *self.columns}
        chosen = [(own, name) for own, name in zip(names, raw, strict=True) if name in wanted]
        check_names(self.path, [name for _, name in chosen])
        pa = import_pyarrow("tables of events")

        def each() -> Iterator[Rows | LinkBatch | BadLine]:
            for piece in pieces([own for own, _ in chosen]):
                if isinstance(piece, BadLine):
                    yield piece
                    continue
                table = pa.Table.from_batches([piece.batch]).rename_columns([name for _, name in chosen])
                if is_mapping:
                    yield _mapping(self.path, table, piece.lines)
                else:
                    yield rows_of(
                        table, self.path, piece.lines, api=self.choice.api, names_link=dialect.names_link
                    )

        yield from read_ahead(each(), lambda piece: [piece])


def renamed_in(path: str, names: Sequence[str], choice: Choice, *, needs_event: bool = True) -> Renamed:
    """Return the raw names of the columns of the file at ``path``.

    Raises:
        FileFormatError: They are no columns of events or mappings.
    """
    try:
        return renamed(names, choice, needs_event=needs_event)
    except (ColumnError, DialectError) as error:
        raise FileFormatError(f"{path}: {error}") from error


def _mapping(path: str, table: Any, lines: Sequence[int]) -> LinkBatch:
    first, second = (as_text(name, table.column(name).combine_chunks(), lines) for name in (ID, RESOLVED))
    return LinkBatch(path, lines, np.full(len(lines), Kind.MAPPING, np.uint8), first, second)
