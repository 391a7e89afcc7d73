"""Files of events, stitched: two passes over them, however large they are."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Literal

from idmerge.errors import CanonicalError
from idmerge.files import rereadable
from idmerge.stitching.columnar import Columns, has_columns_of_events
from idmerge.stitching.columns import Duplicates, import_pyarrow
from idmerge.stitching.lines import Lines
from idmerge.stitching.tables import Wanted
from idmerge.stitching.writing import write_events

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pyarrow as pa

    from idmerge.files import Piece, Source, StepBatch
    from idmerge.outcome import Outcome, Report
    from idmerge.resolver import Resolver


class StitchedEvents:
    """The events of files under one ID a person.

    Any library that speaks Arrow opens it, as often as it likes; the files are then read once more, in
    pieces. Memory grows with the IDs, not with the events. The files must stay as they are.

    Of events as JSON the columns are ``event``, ``time`` (milliseconds, UTC), ``distinct_id`` (the canonical
    ID), ``$distinct_id_before_identity`` (as it was sent), and the properties in the order in which they
    first appear: integers, floats, truth values, and text; nested values, and those of properties whose
    values differ in type, as JSON text. Of Parquet and Arrow files they stay as they are, but for the IDs.
    SPEC 9 says more.
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
        """Name the files; `learn` reads them for the first time.

        Raises:
            CanonicalError: ``as_known`` is wanted, and the canonical strategy is a callable.
            FileFormatError: Some files hold events as JSON and others in columns.
            OSError: A file cannot be opened.
        """
        if isinstance(properties, str):
            raise TypeError(f"properties must be a collection of names, got the text {properties!r:.100}")
        if as_known and callable(resolver.canonical):
            raise CanonicalError("who was who at each event can be told under a named strategy only")
        self._wanted = Wanted(resolver, apply, as_known, dedupe)
        files = [rereadable(path) for path in paths]
        kind = Columns if any(map(has_columns_of_events, files)) else Lines
        self._source = kind(files, self._wanted, properties)
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
        return self._wanted.resolver

    @property
    def applies(self) -> bool:
        """Whether the links in the files say who is one person."""
        return self._wanted.apply

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
        for count, piece, report in self._source.learn(on_bytes):
            self.events += count
            if report is not None:
                self.outcomes.update(report.counts)
            on_piece(piece, report)
        self._schema = self._source.schema()

    def batches(self, on_bytes: Callable[[int], object] = lambda _count: None) -> Iterator[pa.RecordBatch]:
        """Read the files once more and yield their events, stitched.

        Raises:
            FileFormatError: A file is damaged or has changed.
            OSError: A file cannot be opened.
        """
        duplicates = Duplicates() if self._wanted.dedupe else None
        yield from self._source.batches(on_bytes, duplicates)
        if duplicates is not None:
            self.duplicates = duplicates.count

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
