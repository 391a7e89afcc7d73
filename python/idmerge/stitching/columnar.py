"""Stitching of Parquet and Arrow files: the first and the second reading."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from idmerge._json_columns import column_names
from idmerge.errors import CapacityError, FileFormatError
from idmerge.files import BadLine, scan
from idmerge.files.names import BEFORE, EVENT, ID, TIME
from idmerge.files.renaming import holds_events
from idmerge.files.rows import as_text, plain
from idmerge.files.tablefiles import format_of, names_of, schema_of, table_pieces
from idmerge.files.tables import check_names
from idmerge.files.tabular import renamed_in
from idmerge.files.textrows import read_ahead
from idmerge.files.times import in_utc
from idmerge.stitching.columns import AS_KNOWN, import_pyarrow
from idmerge.stitching.tables import Stitcher, Wanted, blocks_of
from idmerge.stitching.unchanged import Marks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pyarrow as pa

    from idmerge.files import Piece, RereadableFile
    from idmerge.files.choosing import Choice
    from idmerge.files.duplicates import Duplicates
    from idmerge.outcome import Report

TEXTS = (ID, BEFORE)
"""Columns that are text, whatever they are in a file."""


def has_columns_of_events(file: RereadableFile, choice: Choice) -> bool:
    """Return whether ``file`` is a table, and neither of links nor of identity mappings.

    Raises:
        FileFormatError: It is damaged.
        OSError: It cannot be opened.
    """
    return format_of(file) is not None and holds_events(names_of(file), choice)


class Columns:
    """Files of events in columns, and of links beside them."""

    def __init__(
        self, files: Sequence[RereadableFile], wanted: Wanted, properties: Collection[str] | None
    ) -> None:
        self._files = files
        self._wanted = wanted
        self._marks = Marks()
        self._schemas: dict[str, pa.Schema] = {}
        """The columns of each file of events, under raw names."""
        self._own_names: dict[str, dict[str, str]] = {}
        """The name of each of these columns in the file."""
        self._names_link: dict[str, bool] = {}
        """Whether the names of a file's events state links."""
        for file in files:
            if has_columns_of_events(file, wanted.choice):
                schema = schema_of(file)
                needs_event = wanted.needs_event
                dialect, raw = renamed_in(file.name, schema.names, wanted.choice, needs_event=needs_event)
                wanted.on_dialect(file.name, dialect)
                check_names(file.name, raw)
                self._own_names[file.path] = dict(zip(raw, schema.names, strict=True))
                self._names_link[file.path] = dialect.names_link
                self._schemas[file.path] = _with_types(schema, raw, wanted.timezone)
                _told(file, self._check_columns, self._schemas[file.path])
            elif format_of(file) is None:
                raise FileFormatError(
                    f"{file.name}: events as JSON cannot be stitched together with events in columns; "
                    "write all of them in one way"
                )
        self._whole = _unified([*self._schemas.values()])
        self._looked_at = [name for name in self._whole.names if name in wanted.column_names]
        self._kept = [
            name
            for name in self._whole.names
            if properties is None
            or name in {EVENT, TIME, *TEXTS}
            or {name, *(own.get(name) for own in self._own_names.values())} & {*properties}
        ]

    def learn(self, on_bytes: Callable[[int], object]) -> Iterator[tuple[Piece, Report | None]]:
        """Read the files; yield each piece and the report on its links, None if not counted."""
        stitcher = Stitcher(self._wanted)
        for file in self._files:
            self._marks.take(file)
            if file.path not in self._schemas:
                for piece in self._links(file, on_bytes):
                    yield piece, piece.apply_to(self._wanted.resolver) if self._wanted.apply else None
            else:
                stitcher.names_link = self._names_link[file.path]
                resolver = self._wanted.resolver if self._wanted.apply else None
                tables = self._tables(file, self._looked_at, on_bytes)
                rows = (
                    table
                    if isinstance(table, BadLine)
                    else _told(file, stitcher.rows, table, file.name, lines)
                    for table, lines in tables
                )
                for piece in read_ahead(rows, lambda piece: [piece]):
                    if isinstance(piece, BadLine) or resolver is None:
                        yield piece, None
                    else:
                        yield piece, _told(file, piece.apply_to, resolver)
            self._marks.check(file)

    def column_names(self) -> list[str]:
        """Return the names of the columns of the stitched events."""
        return list(self.schema().names)

    @property
    def has_times(self) -> bool:
        """Whether the events have a column of times, or may have them among their properties."""
        return TIME in self.schema().names

    def renamed(self) -> dict[str, str]:
        """Return the new name of each column whose own one has a NUL, which cannot be handed on."""
        columns = column_names([name for name in self._whole.names if name in self._kept])
        return {name: column for name, column in columns.items() if "\0" in name}

    def schema(self) -> pa.Schema:
        """Return the columns of the stitched events, with their types."""
        pa = import_pyarrow()
        wanted = self._wanted._replace(apply=False)
        looked_at = pa.schema([field for field in self._whole if field.name in self._read])
        return self._shown_of(Stitcher(wanted).stitched(looked_at.empty_table())).schema

    def batches(
        self, on_bytes: Callable[[int], object], duplicates: Duplicates | None
    ) -> Iterator[pa.RecordBatch]:
        """Read the files once more and yield their events, stitched."""
        stitcher = Stitcher(self._wanted, duplicates)
        for file in self._files:
            if file.path not in self._schemas:
                for piece in self._marks.checked(file, self._links(file, on_bytes)):
                    stitcher.follow(piece)
                continue
            stitcher.names_link = self._names_link[file.path]
            tables = self._marks.checked(file, self._tables(file, self._read, on_bytes))
            pieces = (
                (table, [rows for _, rows in _told(file, list, stitcher.pieces(table))])
                for table, _ in tables
                if not isinstance(table, BadLine)
            )
            for table, rows in read_ahead(pieces, lambda piece: piece[1]):
                stitcher.keep(table, [*map(blocks_of, rows)])
                shown = self._shown_of(_told(file, stitcher.stitched, table))
                yield from (batch for batch in shown.to_batches() if batch.num_rows)

    @property
    def _read(self) -> list[str]:
        return [name for name in self._whole.names if name in {*self._kept, *self._looked_at}]

    def _shown_of(self, stitched: pa.Table) -> pa.Table:
        """Return the wanted columns of ``stitched``, under names that Arrow can export."""
        wanted = {*self._kept, TIME, ID, BEFORE, *([AS_KNOWN] if self._wanted.as_known else [])}
        shown = stitched.select([name for name in stitched.column_names if name in wanted])
        return shown.rename_columns([*column_names(shown.column_names).values()])

    def _links(self, file: RereadableFile, on_bytes: Callable[[int], object]) -> Iterator[Piece]:
        yield from scan(file.path, name=file.name, on_bytes=on_bytes, **self._wanted.choice.arguments)

    def _tables(
        self, file: RereadableFile, names: list[str], on_bytes: Callable[[int], object]
    ) -> Iterator[tuple[pa.Table | BadLine, Sequence[int]]]:
        """Yield the columns ``names`` of ``file`` in the types that fit all files together."""
        pa = import_pyarrow()
        own = self._own_names[file.path]
        there = [name for name in names if name in own]
        fields = [self._whole.field(name) for name in names]
        size = os.stat(file.path).st_size  # noqa: PTH116
        for piece in table_pieces(file, [own[name] for name in there], size, on_bytes):
            if isinstance(piece, BadLine):
                yield piece, ()
                continue
            batch, lines = piece
            columns = [
                _told(
                    file,
                    _as_field,
                    field,
                    batch.column(there.index(field.name)),
                    lines,
                    self._wanted.timezone,
                )
                if field.name in there
                else pa.nulls(batch.num_rows, field.type)
                for field in fields
            ]
            yield pa.Table.from_arrays(columns, schema=pa.schema(fields)), lines

    def _check_columns(self, schema: pa.Schema) -> None:
        """Raise ValueError if a file has not the columns that all must have."""
        stitcher = Stitcher(self._wanted)
        if self._wanted.apply:
            stitcher.rows(schema.empty_table()).apply_to(self._wanted.resolver)
        stitcher.answers(schema.empty_table())


def _with_types(schema: pa.Schema, names: Sequence[str], zone: str | None) -> Any:
    """Return the columns under their raw ``names``; IDs are text, and times moments."""
    pa = import_pyarrow()
    fields = []
    for field, name in zip(schema, names, strict=True):
        kind = field.type
        if name in TEXTS:
            kind = pa.string()
        elif name == TIME:
            kind = in_utc(plain(pa.table({TIME: pa.array([], kind)})).column(0), zone).type
        fields.append(pa.field(name, kind))
    return pa.schema(fields)


def _unified(schemas: Sequence[pa.Schema]) -> Any:
    pa = import_pyarrow()
    try:
        unified = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise FileFormatError(f"the columns of the files differ in type: {error}") from error
    return unified


def _as_field(field: pa.Field[Any], column: Any, lines: Sequence[int], zone: str | None) -> Any:
    if field.name in (*TEXTS, TIME):
        given = plain(import_pyarrow().table({field.name: column})).column(0).combine_chunks()
        column = in_utc(given, zone) if field.name == TIME else as_text(field.name, given, lines)
    return column if column.type == field.type else column.cast(field.type, safe=False)


def _told(file: RereadableFile, work: Callable[..., Any], *given: Any) -> Any:
    """Return what ``work`` makes of ``given``; what is wrong with these is wrong with ``file``."""
    try:
        return work(*given)
    except (CapacityError, FileFormatError):
        raise
    except (TypeError, ValueError, OverflowError, KeyError, import_pyarrow().ArrowException) as error:
        raise FileFormatError(f"{file.name}: {error}") from error
