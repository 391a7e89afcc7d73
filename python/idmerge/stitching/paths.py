"""Files of events, stitched: two passes over them, however large they are."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Literal

from idmerge.errors import FileFormatError
from idmerge.files import BadLine, EventBatch, LinkBatch, rereadable, scan
from idmerge.files.flattening import Flattening, flattener_of
from idmerge.files.reading import flatten
from idmerge.files.shape import Shape
from idmerge.resolver import Resolver
from idmerge.stitching.columns import (
    AS_KNOWN,
    BEFORE,
    ID,
    Duplicates,
    import_pyarrow,
    record_batch,
    resolved,
    with_column,
)
from idmerge.stitching.following import followed
from idmerge.stitching.writing import write_events

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pyarrow as pa

    from idmerge._core import Table
    from idmerge.files import Piece, Source, StepBatch
    from idmerge.outcome import Outcome, Report


class StitchedEvents:
    """The events of files under one ID a person.

    Any library that speaks Arrow opens it, as often as it likes; the files are then read once more, in
    pieces. Memory grows with the IDs, not with the events. The files must stay as they are.

    The columns are ``event``, ``time`` (milliseconds, UTC), ``distinct_id`` (the canonical ID),
    ``$distinct_id_before_identity`` (as it was sent), and the properties in the order in which they first
    appear: integers, floats, truth values, and text; nested values, and those of properties whose values
    differ in type, as JSON text. SPEC 9 says more.
    """

    def __init__(  # noqa: PLR0913 - what is read, and what is wanted of it
        self,
        paths: Sequence[Source],
        resolver: Resolver,
        *,
        apply: bool = True,
        as_known: bool = False,
        dedupe: bool = False,
        properties: Collection[str] | None = None,
    ) -> None:
        """Name the files; `learn` reads them for the first time."""
        self._resolver = resolver
        self._applied = apply
        self._follows = as_known
        self._dedupes = dedupe
        self._files = [rereadable(path) for path in paths]
        self._shape = Shape(properties, reserved=[AS_KNOWN] if as_known else [])
        self._schema: pa.Schema | None = None
        self.events = 0
        """How many events the files hold."""
        self.duplicates = 0
        """How many events were dropped as duplicates when the files were read the last time."""
        self.outcomes: Counter[Outcome] = Counter()
        """The links in the files by outcome; none if the resolver was given."""

    @property
    def resolver(self) -> Resolver:
        """Who knows which IDs are one person."""
        return self._resolver

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns, as pyarrow has them."""
        if self._schema is None:
            raise ValueError("learn the events first: which properties they have is not known yet")
        return self._schema

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return list(self.schema.names)

    def learn(
        self,
        on_bytes: Callable[[int], object] = lambda _count: None,
        on_piece: Callable[[Piece | StepBatch, Report | None], object] = lambda _piece, _report: None,
    ) -> None:
        """Read the files for the first time: their links, and which properties their events have.

        ``on_piece`` is called with each piece and the report on its links, None for a bad line.

        Raises:
            FileFormatError: A file is damaged, has no line that is an event, or more properties than a table
                can have.
            OSError: A file cannot be opened.
        """
        for file in self._files:
            bad: BadLine | None = None
            is_read = False
            for piece in scan(file.path, name=file.name, on_bytes=on_bytes, shape=self._shape):
                report = None
                if isinstance(piece, BadLine):
                    bad = bad or piece
                else:
                    is_read = True
                    self.events += event_count(piece)
                    if self._applied:
                        report = self._resolver.apply_piece(piece)
                        self.outcomes.update(report.counts)
                on_piece(piece, report)
            if bad is not None and not is_read:
                raise FileFormatError(
                    f"{bad.path}: no line is an event (line {bad.line}: {bad.message}); give events, a JSON "
                    "object a line or in an array"
                )
        schema = import_pyarrow().schema(flattener_of(self._shape))
        if self._follows:
            place = schema.get_field_index(BEFORE) + 1
            schema = schema.insert(place, schema.field(ID).with_name(AS_KNOWN))
        self._schema = schema

    def batches(self, on_bytes: Callable[[int], object] = lambda _count: None) -> Iterator[pa.RecordBatch]:
        """Read the files once more and yield their events, stitched.

        Raises:
            FileFormatError: A file is damaged or has changed.
            OSError: A file cannot be opened.
        """
        duplicates = Duplicates() if self._dedupes else None
        follower = Resolver(self._resolver.policy, self._resolver.canonical) if self._follows else None
        is_late = follower is not None or duplicates is not None
        finish = record_batch if is_late else partial(_resolved_batch, self._resolver)
        flattening = Flattening(flattener_of(self._shape), finish, with_steps=follower is not None)
        for file in self._files:
            for piece in flatten(file.path, flattening, name=file.name, on_bytes=on_bytes):
                if isinstance(piece, LinkBatch):
                    if follower is not None:
                        follower.apply_piece(piece)
                    continue
                batch = piece.table
                if is_late:
                    sent = batch.column(ID)
                    if follower is not None:
                        known = followed(follower, sent, piece.steps)
                        batch = with_column(batch, AS_KNOWN, known, BEFORE)
                    if duplicates is not None:
                        batch = duplicates.dropped_from(batch, sent)
                        self.duplicates = duplicates.count
                    batch = resolved(self._resolver, batch)
                if batch.num_rows:
                    yield batch

    def write(
        self,
        output: str | os.PathLike[str],
        *,
        partition_by: Literal["date", "event"] | None = None,
        on_bytes: Callable[[int], object] = lambda _count: None,
    ) -> int:
        """Read the files once more and write their events, stitched; return how many there are.

        Args:
            output: A file (``.parquet``, ``.arrow``, ``.csv``), or a directory, which gets Parquet files. It
                is there whole or not at all. A directory that this has written is replaced, no other one.
            partition_by: Make a directory for each day (UTC) or for each event's name, in Hive's manner.
            on_bytes: Called with the number of bytes read since its last call.

        Raises:
            FileFormatError: A file is damaged or has changed, or the directory holds something else.
            OSError: There is no room, or no permission.
        """
        return write_events(os.fspath(output), self.schema, self.batches(on_bytes), partition_by)

    def __arrow_c_schema__(self) -> object:
        """Export the schema (Arrow PyCapsule interface)."""
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export the events as a stream of record batches (Arrow PyCapsule interface)."""
        reader = import_pyarrow().RecordBatchReader.from_batches(self.schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        """Name the number of events and of columns."""
        columns = "not read yet" if self._schema is None else f"{len(self._schema)} columns"
        return f"StitchedEvents({self.events:,} events, {columns})"


def event_count(piece: Piece | StepBatch) -> int:
    """Return how many events a piece of a file has."""
    if isinstance(piece, EventBatch):
        return len(piece.events)
    return 0 if isinstance(piece, (BadLine, LinkBatch)) else len(piece)


def _resolved_batch(resolver: Resolver, table: Table) -> pa.RecordBatch:
    return resolved(resolver, record_batch(table))
