"""Rows of a table whose properties are JSON text, read by the core as lines of files are.

Under Simplified ID Merge, where nearly every row may link, it reads those in columns too.

The core reads blocks of rows on several threads, without a Python object a row. The rows of which
it is not certain are read by `Rows`, whose answers it has to give.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from idmerge import _core
from idmerge.errors import FileFormatError
from idmerge.events import operand_keys, operand_names
from idmerge.files.arrow import is_bytes, is_text
from idmerge.files.blocks import BLOCK, in_order
from idmerge.files.names import BEFORE, EVENT, ID, PROPERTIES
from idmerge.files.pieces import MAX_LINE, check_same_api
from idmerge.files.rows import PAIR, Rows, as_text_of_any
from idmerge.files.tables import ROWS, record_batch
from idmerge.outcome import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    import pyarrow as pa

    from idmerge._steps import StepColumns
    from idmerge.policy import Api
    from idmerge.resolver import Resolver

P = TypeVar("P")

MOST_ROWS = 2**16
"""Rows of a block, at most."""


def rows_of(  # noqa: PLR0913 - each says what the rows are
    table: pa.Table,
    path: str = "",
    lines: Sequence[int] | None = None,
    values: Sequence[str] = (),
    api: Api = "original",
    *,
    names_link: bool = True,
) -> Rows:
    """Return the rows of ``table``; the rest: see `Rows`.

    ``values`` are the properties that will be asked for beside the IDs and the links.
    """
    if not _are_texts(table.schema, api):
        return Rows(table, path, lines, api, names_link=names_link)
    return TextRows(table, path, lines, values, api, names_link=names_link)


def _are_texts(schema: pa.Schema, api: Api) -> bool:
    """Return whether properties are JSON text, and all that may be IDs beside them is text too.

    Under Simplified ID Merge there may be no such properties, or those of a struct, and IDs that
    become text.
    """
    import pyarrow as pa  # noqa: PLC0415

    beside = [schema.field(name).type for name in _names_of_ids(api) if name in schema.names]
    is_simplified = api == "simplified"
    if PROPERTIES not in schema.names:
        return is_simplified and not any(map(is_bytes, beside))
    kind = schema.field(PROPERTIES).type
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if is_simplified and pa.types.is_struct(kind):
        inner = [field for field in kind if field.name in _names_of_ids(api)]
        are_apart = len({field.name for field in inner}) == len(inner)
        become_text = all(
            is_text(field.type) or pa.types.is_integer(field.type) or pa.types.is_null(field.type)
            for field in inner
        )
        return are_apart and become_text and not any(map(is_bytes, beside))
    if not is_text(value) and not is_bytes(value):
        return False
    if is_simplified:
        return not any(map(is_bytes, beside))
    return PAIR not in schema.names and all(map(is_text, beside))


def lacks(table: pa.Table, names: Sequence[str]) -> bool:
    """Return whether certainly no row of ``table`` has one of the properties ``names``."""
    if not _are_texts(table.schema, "original") or any(name in table.column_names for name in names):
        return False
    rows = TextRows(table, "", None, names)
    rows.read_alone()
    return all(
        block.unread is None and not block.mixed and all(_is_null(block.properties, name) for name in names)
        for block in rows.read or ()
    )


def _names_of_ids(api: Api) -> list[str]:
    names = dict.fromkeys([ID, BEFORE, *operand_names(api)])
    return [name for name in names if name != PAIR or api != "simplified"]


def read_ahead(pieces: Iterator[P], rows_in: Callable[[P], Iterable[object]]) -> Generator[P]:
    """Yield ``pieces`` of a file; before that the core reads the rows in them, on threads.

    No thread is started for a short file, or one whose rows the core does not read.
    """

    def texts_in(piece: P) -> list[TextRows]:
        return [rows for rows in rows_in(piece) if isinstance(rows, TextRows)]

    def with_texts_read(piece: P) -> P:
        for rows in texts_in(piece):
            rows.read_alone()
        return piece

    for first in pieces:
        is_short = sum(map(len, texts_in(first))) < ROWS
        yield from in_order(chain([first], pieces), with_texts_read, is_short=is_short)


class Block(NamedTuple):
    """Rows that the core has read."""

    start: int
    """The number of the first one."""
    scan: _core.Scan
    """The steps that they state."""
    properties: pa.RecordBatch
    """The IDs, and the values that were wanted, as far as the core has them."""
    mixed: list[str]
    """The names of the values of which it has no column."""
    declined: Rows | None
    """The rows whose steps the core leaves to Python, if there are any."""
    unread: Rows | None
    """Those of them of whose properties it has nothing, if there are any."""
    places: Any
    """The numbers of these, counted from the first row."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.scan)

    def steps(self) -> StepColumns:
        """Return the steps of the rows that are declined."""
        return (b"", [], []) if self.declined is None else self.declined.steps()

    def filled(self, column: Any, of_unread: Callable[[Rows], Any]) -> Any:
        """Return ``column``, which has all rows, with what the unread ones have in their places."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        if self.unread is None:
            return column
        is_unread = np.zeros(len(self), bool)
        is_unread[self.places] = True
        return pc.replace_with_mask(column, pa.array(is_unread), of_unread(self.unread).cast(column.type))


class TextRows(Rows):
    """A piece of a table of events whose properties are JSON text, or texts in columns or a struct.

    Args:
        table: As for `Rows`; columns that may hold IDs are text, or become it.
        path: As for `Rows`.
        lines: As for `Rows`.
        values: The properties that will be asked for beside the IDs and the links.
        api: As for `Rows`.
        names_link: As for `Rows`.
    """

    def __init__(  # noqa: PLR0913 - each says what the rows are
        self,
        table: pa.Table,
        path: str,
        lines: Sequence[int] | None,
        values: Sequence[str],
        api: Api = "original",
        *,
        names_link: bool = True,
    ) -> None:
        super().__init__(table, path, lines, api, names_link=names_link)
        names = self._table.column_names
        self._inner = _names_in_struct(self._table.schema)
        self._beside = [name for name in _names_of_ids(api) if name in names or name in self._inner]
        has_texts = self._nested is not None and not self._inner
        self._wanted = [name for name in values if name not in names and has_texts]
        self._reader = _core.RowReader(
            operand_keys(api), MAX_LINE, self._beside, self._wanted, api == "simplified"
        )
        self._columns: dict[str, Any] = {}
        self.read: list[Block] | None = None
        """The rows as the core has read them; None if it has not read all of them."""

    def apply_to(self, resolver: Resolver) -> Report:
        """Apply the rows to ``resolver`` (`Rows.apply_to`)."""
        check_same_api(self.api, resolver)
        try:
            self._check(EVENT)
        except ValueError as error:
            if not self.path:
                raise
            raise FileFormatError(f"{self.path}: {error}") from error
        outcomes, rows = [np.empty(0, np.uint8)], [np.empty(0, np.int64)]
        for block in self._blocks():
            taken = resolver._take_scan(block.scan, (0, len(block)), *block.steps(), block.start)
            outcomes.append(taken[0])
            rows.append(taken[1] + block.start)
        return Report(np.concatenate(outcomes), np.concatenate(rows))

    def follow(self, resolver: Resolver, sent: Any) -> Any:
        """Apply the rows to ``resolver``; return the senders as known (`Rows.follow`)."""
        import pyarrow as pa  # noqa: PLC0415

        if callable(resolver.canonical) or not pa.types.is_string(sent.type):
            return super().follow(resolver, sent)
        known = []
        for block in self._blocks():
            ids = sent.slice(block.start, len(block))
            column: Any = resolver._follow_scan(ids, block.scan, (0, len(block)), *block.steps())
            known.extend(pa.chunked_array(column).chunks)
        return pa.concat_arrays(known) if known else sent

    def sent(self) -> Any:
        """Return the ID that each row is stitched under (`Rows.sent`)."""
        if not self._is_nested(ID) and self.api != "simplified":
            return super().sent()
        return self._joined(lambda block: block.filled(block.properties.column(ID), lambda rows: rows.sent()))

    def before(self, sent: Any) -> Any:
        """Return the ID of each row before any stitching."""
        import pyarrow.compute as pc  # noqa: PLC0415

        if not self._is_nested(BEFORE) and self.api != "simplified":
            return super().before(sent)

        def of_block(block: Block) -> Any:
            ids = sent.slice(block.start, len(block))
            ids = pc.coalesce(block.properties.column(BEFORE).cast(ids.type), ids)
            return block.filled(ids, lambda rows: rows.before(rows.sent()))

        if all(block.unread is None and _is_null(block.properties, BEFORE) for block in self._blocks()):
            return sent
        return self._joined(of_block)

    def value_column(self, name: str) -> Any:
        """Return a column, or a property as one (`Rows.value_column`)."""
        if name not in self._wanted:
            return super().value_column(name)
        if name not in self._columns:
            column = self._read_values(name)
            self._columns[name] = super().value_column(name) if column is None else column
        return self._columns[name]

    def _read_values(self, name: str) -> Any:
        """Return the values of a property; None if `Rows` has to find their type."""
        import pyarrow as pa  # noqa: PLC0415

        blocks = [*self._blocks()]
        if any(name in block.mixed for block in blocks):
            return None
        read = [block.properties.column(name) for block in blocks]
        others = [block.unread.value_column(name) for block in blocks if block.unread is not None]
        kinds = {column.type for column in (*read, *others)} - {pa.null()}
        if not kinds:
            return pa.nulls(len(self))
        if len(kinds) > 1 or not kinds <= {pa.bool_(), pa.int64(), pa.float64(), pa.string()}:
            return None
        kind = kinds.pop()
        columns = zip(blocks, read, strict=True)
        return pa.concat_arrays(
            [
                block.filled(column.cast(kind), lambda rows: rows.value_column(name))
                for block, column in columns
            ]
        )

    # Blocks

    def _joined(self, of_block: Callable[[Block], Any]) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        columns = [of_block(block) for block in self._blocks()]
        return pa.concat_arrays(columns) if columns else pa.array([], pa.string())

    def read_alone(self) -> None:
        """Have the core read the rows on the caller's thread."""
        for _ in self._blocks(is_alone=True):
            pass

    def _blocks(self, *, is_alone: bool = False) -> Iterator[Block]:
        """Yield the rows as the core reads or has read them: on threads, unless ``is_alone``."""
        if self.read is not None:
            yield from self.read
            return
        read = []
        rows = max(1, min(MOST_ROWS, len(self) * BLOCK // max(1, self._size())))
        slices = ((start, self._table.slice(start, rows)) for start in range(0, len(self), rows))
        is_short = is_alone or len(self) <= rows
        for start, answer in in_order(slices, self._read_slice, is_short=is_short):
            scan, properties, mixed, declined, unread = answer
            declined_rows, unread_rows = self._rows_at(start, declined), self._rows_at(start, unread)
            read.append(
                Block(start, scan, record_batch(properties), mixed, declined_rows, unread_rows, unread)
            )
            yield read[-1]
        self.read = read

    def _rows_at(self, start: int, places: list[int]) -> Rows | None:
        """Return the rows at ``places`` behind ``start``; None for none."""
        if not places:
            return None
        rows = np.array(places, np.int64) + start
        lines = [self._lines[row] for row in rows]
        return Rows(self._table.take(rows), self.path, lines, self.api, names_link=self._names_link)

    def _size(self) -> int:
        """Return the bytes of the rows, or more."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        if self._nested is None:
            return int(sum(self._table.column(name).nbytes for name in self._beside))
        properties: Any = self._table.column(PROPERTIES)
        if not pa.types.is_dictionary(properties.type):
            return int(properties.nbytes)
        longest = [pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0 for chunk in properties.chunks]
        return len(self) * max(longest, default=0)

    def _read_slice(
        self, piece: tuple[int, pa.Table]
    ) -> tuple[int, tuple[_core.Scan, _core.Table, list[str], list[int], list[int]]]:
        """Return the number of the first row, and what the core makes of the rows."""
        start, table = piece
        names, properties = (
            _bytes_of(table, name) if name in table.column_names else _no_texts(table.num_rows)
            for name in (EVENT if self._names_link else "", PROPERTIES)
        )
        if self.api == "simplified":
            table = self._with_texts(start, table)
        beside = [_bytes_of(table, name) for name in self._beside]
        return start, self._reader.read(names, properties, beside)

    def _with_texts(self, start: int, table: pa.Table) -> pa.Table:
        """Return the rows from ``start`` on with the texts of all that may be IDs."""
        import pyarrow.compute as pc  # noqa: PLC0415

        lines = self._lines[start : start + table.num_rows]
        try:
            for name in self._beside:
                given = [table.column(name)] if name in table.column_names else []
                given += [pc.struct_field(table.column(PROPERTIES), name)] if name in self._inner else []
                columns = [as_text_of_any(name, column, lines) for column in given]
                texts = columns[0] if len(columns) == 1 else pc.coalesce(*map(_large, columns))
                place = table.schema.get_field_index(name)
                if place < 0:
                    table = table.append_column(name, texts)
                else:
                    table = table.set_column(place, name, texts)
        except TypeError as error:
            if not self.path:
                raise
            raise FileFormatError(f"{self.path}: {error}") from error
        return table


def _names_in_struct(schema: pa.Schema) -> list[str]:
    """Return the names of the properties if these are a struct."""
    import pyarrow as pa  # noqa: PLC0415

    kind = schema.field(PROPERTIES).type if PROPERTIES in schema.names else None
    return [field.name for field in kind] if isinstance(kind, pa.StructType) else []


def _large(column: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return column.cast(pa.large_string())


def _bytes_of(table: pa.Table, name: str) -> Any:
    """Return a column of text as one array of large binary; of another type, nulls."""
    import pyarrow as pa  # noqa: PLC0415

    column: Any = table.column(name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not is_text(kind) and not (name == PROPERTIES and is_bytes(kind)):
        return _no_texts(table.num_rows)
    chunks = column.cast(kind).cast(pa.large_binary()).chunks
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays([_no_texts(0), *chunks])


def _is_null(batch: pa.RecordBatch, name: str) -> bool:
    return batch.column(name).null_count == batch.num_rows


def _no_texts(rows: int) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return pa.nulls(rows, pa.large_binary())
