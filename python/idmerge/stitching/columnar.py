"""Stitching of Parquet and Arrow files: the first and the second reading."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from idmerge._json_columns import column_names
from idmerge.errors import CapacityError, FileFormatError
from idmerge.files import scan
from idmerge.files.columns import COLUMNS, CSV
from idmerge.files.names import BEFORE, EVENT, ID, PROPERTIES, TIME
from idmerge.files.rows import as_text
from idmerge.files.tables import check_names, format_of, record_batches, schema_of
from idmerge.stitching.columns import AS_KNOWN, import_pyarrow
from idmerge.stitching.tables import Stitcher, Wanted
from idmerge.stitching.unchanged import Marks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pyarrow as pa

    from idmerge.files import Piece, RereadableFile
    from idmerge.files.duplicates import Duplicates
    from idmerge.outcome import Report

TEXTS = (ID, BEFORE)
"""Columns that are text, whatever they are in a file."""


def has_columns_of_events(file: RereadableFile) -> bool:
    """Return whether ``file`` holds events in columns.

    Raises:
        FileFormatError: It is damaged.
        OSError: It cannot be opened.
    """
    if format_of(file) is None:
        return False
    names = schema_of(file).names
    return not set(COLUMNS) <= set(names) and bool({EVENT, ID, PROPERTIES} & set(names))


class Columns:
    """Files of events in columns, and of links beside them."""

    def __init__(
        self, files: Sequence[RereadableFile], wanted: Wanted, properties: Collection[str] | None
    ) -> None:
        self._files = files
        self._wanted = wanted
        self._marks = Marks()
        self._schemas: dict[str, pa.Schema] = {}
        for file in files:
            if has_columns_of_events(file):
                schema = schema_of(file)
                check_names(file.name, schema)
                _told(file, self._check_columns, schema)
                self._schemas[file.path] = schema
            else:
                self._check_links(file)
        self._whole = _unified([_with_texts(schema) for schema in self._schemas.values()])
        self._looked_at = [name for name in self._whole.names if name in wanted.column_names]
        self._kept = [
            name
            for name in self._whole.names
            if properties is None or name in {*properties, EVENT, TIME, *TEXTS}
        ]

    def learn(self, on_bytes: Callable[[int], object]) -> Iterator[tuple[Piece, Report | None]]:
        """Read the files; yield each piece and the report on its links, None if not counted."""
        stitcher = Stitcher(self._wanted)
        for file in self._files:
            self._marks.take(file)
            if file.path not in self._schemas:
                for piece in scan(file.path, name=file.name, on_bytes=on_bytes):
                    yield piece, piece.apply_to(self._wanted.resolver) if self._wanted.apply else None
            else:
                row = 1
                resolver = self._wanted.resolver if self._wanted.apply else None
                for table in self._tables(file, self._looked_at, on_bytes):
                    piece = _told(file, stitcher.rows, table, file.name, row)
                    yield piece, None if resolver is None else _told(file, piece.apply_to, resolver)
                    row += len(piece)
            self._marks.check(file)

    def column_names(self) -> list[str]:
        """Return the names of the columns of the stitched events."""
        return list(self.schema().names)

    @property
    def has_times(self) -> bool:
        """Whether there is a column of times."""
        return TIME in self._whole.names

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
                for piece in self._marks.checked(file, scan(file.path, name=file.name, on_bytes=on_bytes)):
                    stitcher.follow(piece)
                continue
            for table in self._marks.checked(file, self._tables(file, self._read, on_bytes)):
                shown = self._shown_of(_told(file, stitcher.stitched, table))
                yield from (batch for batch in shown.to_batches() if batch.num_rows)

    @property
    def _read(self) -> list[str]:
        return [name for name in self._whole.names if name in {*self._kept, *self._looked_at}]

    def _shown_of(self, stitched: pa.Table) -> pa.Table:
        """Return the wanted columns of ``stitched``, under names that Arrow can export."""
        wanted = {*self._kept, ID, BEFORE, *([AS_KNOWN] if self._wanted.as_known else [])}
        shown = stitched.select([name for name in stitched.column_names if name in wanted])
        return shown.rename_columns([*column_names(shown.column_names).values()])

    def _tables(
        self, file: RereadableFile, names: list[str], on_bytes: Callable[[int], object]
    ) -> Iterator[pa.Table]:
        """Yield the columns ``names`` of ``file`` in the types that fit all files together."""
        pa = import_pyarrow()
        there = [name for name in self._schemas[file.path].names if name in names]
        fields = [self._whole.field(name) for name in names]
        size = os.stat(file.path).st_size  # noqa: PTH116
        for batch in record_batches(file, there, size, on_bytes):
            columns = [
                _told(file, _as_field, field, batch.column(field.name))
                if field.name in there
                else pa.nulls(batch.num_rows, field.type)
                for field in fields
            ]
            yield pa.Table.from_arrays(columns, schema=pa.schema(fields))

    def _check_columns(self, schema: pa.Schema) -> None:
        """Raise ValueError if a file has not the columns that all must have."""
        stitcher = Stitcher(self._wanted)
        if self._wanted.apply:
            stitcher.rows(schema.empty_table()).apply_to(self._wanted.resolver)
        stitcher.answers(schema.empty_table())

    def _check_links(self, file: RereadableFile) -> None:
        """Raise FileFormatError if ``file`` holds events as JSON."""
        if format_of(file) is None and not file.name.lower().endswith(CSV):
            raise FileFormatError(
                f"{file.name}: events as JSON cannot be stitched together with events in columns; "
                "write all of them in one way"
            )


def _with_texts(schema: pa.Schema) -> Any:
    pa = import_pyarrow()
    for name in TEXTS:
        place = schema.get_field_index(name)
        if place >= 0:
            schema = schema.set(place, pa.field(name, pa.string()))
    return schema.remove_metadata()


def _unified(schemas: Sequence[pa.Schema]) -> Any:
    pa = import_pyarrow()
    try:
        unified = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise FileFormatError(f"the columns of the files differ in type: {error}") from error
    return unified


def _as_field(field: pa.Field[Any], column: Any) -> Any:
    if field.name in TEXTS:
        return as_text(field.name, column)
    return column if column.type == field.type else column.cast(field.type, safe=False)


def _told(file: RereadableFile, work: Callable[..., Any], *given: Any) -> Any:
    """Return what ``work`` makes of ``given``; what is wrong with these is wrong with ``file``."""
    try:
        return work(*given)
    except CapacityError:
        raise
    except (TypeError, ValueError, OverflowError, KeyError, import_pyarrow().ArrowException) as error:
        raise FileFormatError(f"{file.name}: {error}") from error
