"""Stitching of event files of any size: in two readings, or one from JSON to Parquet."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack, closing
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Literal

from idmerge._formatting import counted
from idmerge.canonical import check_can_be_followed
from idmerge.files import rereadable
from idmerge.files.choosing import choice_of
from idmerge.files.duplicates import Duplicates
from idmerge.files.names import TIME
from idmerge.files.opening import check_pyarrow
from idmerge.files.recognition import OnDialect, no_matter
from idmerge.files.zones import check_zone
from idmerge.stitching.columnar import Columns, has_columns_of_events
from idmerge.stitching.columns import import_pyarrow
from idmerge.stitching.lines import Lines
from idmerge.stitching.partitioning import Partitioning
from idmerge.stitching.tables import Wanted
from idmerge.stitching.writing import (
    can_encode,
    check_output,
    check_partitioning,
    nulls_in,
    write_encoded,
    write_events,
    write_partitioned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from idmerge.files import Piece, RereadableFile, Source
    from idmerge.files.dialects import Dialect
    from idmerge.outcome import Outcome, Report
    from idmerge.resolver import Resolver
    from idmerge.stitching.encoding import Encoding


class StitchedEvents:
    """The events of files under one ID a person.

    Any library that speaks Arrow opens it, as often as it likes; the files are then read once more,
    in pieces. Memory grows with the IDs, not with the events. The files must stay as they are.

    Of events as JSON the columns are ``event``, ``time`` (milliseconds, UTC), ``distinct_id`` (the
    canonical ID), ``$distinct_id_before_identity`` (as it was sent), and the properties in the
    order in which they first appear: integers, floats, truth values, and text; nested values, and
    those of properties whose values differ in type, as JSON text. Of Parquet and Arrow files they
    stay as they are, but for the IDs. SPEC 9 says more.

    Examples:
        >>> import idmerge
        >>> events = idmerge.stitch("examples/shop.ndjson", dedupe=True, properties=["amount"])
        >>> events.column_names
        ['event', 'time', 'distinct_id', '$distinct_id_before_identity', 'amount']
        >>> str(events.schema.field("amount").type), events.applies, events.renamed
        ('double', True, {})
        >>> [batch.num_rows for batch in events.batches()], events.duplicates, events.without_time
        ([595], 5, 0)
        >>> events.write("stitched.parquet"), events.resolver
        (595, Resolver(158 IDs in 76 clusters))
    """

    def __init__(  # noqa: PLR0913 - what is read, and what is wanted of it
        self,
        paths: Sequence[Source | RereadableFile],
        resolver: Resolver,
        *,
        apply: bool = True,
        as_known: bool = False,
        dedupe: bool = False,
        properties: Collection[str] | None = None,
        dialect: str | Dialect | None = None,
        columns: Mapping[str, str] | None = None,
        on_dialect: OnDialect = no_matter,
        timezone: str | None = None,
    ) -> None:
        """Name the files; `learn` reads them for the first time.

        Raises:
            CanonicalError: ``as_known`` is wanted, and the canonical strategy is a callable.
            DialectError: There is no such dialect or role.
            FileFormatError: Some files hold events as JSON and others in columns.
            OSError: A file cannot be opened.
            ValueError: No time zone is called ``timezone``.
        """
        if isinstance(properties, str):
            raise TypeError(f"properties must be a collection of names, got the text {properties!r:.100}")
        if as_known:
            check_can_be_followed(resolver.canonical)
        choice = choice_of(dialect, columns, resolver.policy.api)
        self._wanted = Wanted(resolver, apply, as_known, dedupe, choice, on_dialect, check_zone(timezone))
        files = [rereadable(path) for path in paths]
        is_columnar = any(has_columns_of_events(file, self._wanted.choice) for file in files)
        kind = Columns if is_columnar else Lines
        self._source = kind(files, self._wanted, properties)
        self._schema: pa.Schema | None = None
        self._is_learned = False
        self._once: Encoding | Partitioning | None = None
        self._bytes = 0
        self.events = 0
        """The number of events in the files."""
        self.duplicates = 0
        """The number of events dropped as duplicates when the files were read the last time."""
        self._is_deduped = False
        self._without_time: int | str = 0
        """The number, or the Parquet whose footers have it."""
        self.outcomes: Counter[Outcome] = Counter()
        """The links in the files by outcome; none if the resolver was given."""

    @property
    def resolver(self) -> Resolver:
        """The resolver that gives each sender's canonical ID."""
        return self._wanted.resolver

    @property
    def applies(self) -> bool:
        """True if the links in the files are applied, False if the resolver was given."""
        return self._wanted.apply

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns, as pyarrow has them."""
        self._check_learned()
        if self._schema is None:
            self._schema = self._source.schema()
        return self._schema

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        self._check_learned()
        return self._source.column_names()

    @property
    def renamed(self) -> dict[str, str]:
        """The properties with a NUL in their names, and their columns, with U+FFFD instead."""
        self._check_learned()
        return self._source.renamed()

    def _check_learned(self) -> None:
        if not self._is_learned:
            raise ValueError("learn the events first: which properties they have is not known yet")

    def learn(
        self,
        on_bytes: Callable[[int], object] = lambda _count: None,
        on_piece: Callable[[Piece, Report | None], object] = lambda _piece, _report: None,
        *,
        output: str | os.PathLike[str] | None = None,
        partition_by: Literal["date", "event"] | None = None,
    ) -> None:
        """Read the files for the first time: their links, and which properties their events have.

        A second call reads them anew. ``on_piece`` is called with each piece and the report on its
        links, None if a resolver was given. Given the ``output``, and how `write` will partition
        it, events of JSON that become Parquet are encoded meanwhile, or wait, in a file without a
        name beside it, and `write` seldom has to read the files once more.

        Raises:
            FileFormatError: A file is damaged, has no line that is an event, or more properties
                than a table can have; there are more than 10,000 partitions; or the output is a
                directory of other files.
            MissingExtraError: pyarrow is not installed.
            OSError: A file cannot be opened, the output cannot be made, or there is no room beside
                it.
            ValueError: ``partition_by`` is no way to partition, or there is no output.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.stitching import StitchedEvents
            >>> events = StitchedEvents(["examples/flow-1-new-user.ndjson"], Resolver())
            >>> events.learn(on_piece=lambda piece, report: print(len(piece), report))
            5 Report(1 link: 1 MERGED)
            >>> events
            StitchedEvents(5 events, 9 columns)
        """
        check_pyarrow("stitching")
        check_partitioning(partition_by, output)
        if output is not None:
            check_output(os.fspath(output), partition_by)
        self._schema, self._once, self._is_learned, self._bytes = None, None, False, 0
        self.events, self.outcomes = 0, Counter()
        self.duplicates, self._is_deduped = 0, False

        def on_these(count: int) -> None:
            self._bytes += count
            on_bytes(count)

        with ExitStack() as stack:
            once, learning = None, self._source.learn(on_these)
            if isinstance(self._source, Lines) and output is not None:
                once = self._source.once(os.fspath(output), partition_by)
                learning = self._source.learn(on_these, once)
            if once is not None:
                stack.enter_context(closing(once))
            for piece, report in learning:
                self.events += len(piece)
                if report is not None:
                    self.outcomes.update(report.counts)
                on_piece(piece, report)
            if once is not None and once.finish():
                self._once = once
        self._is_learned = True

    def batches(self, on_bytes: Callable[[int], object] = lambda _count: None) -> Iterator[pa.RecordBatch]:
        """Read the files once more and yield their events, stitched.

        Raises:
            FileFormatError: A file is damaged or has changed.
            OSError: A file cannot be opened.
        """
        duplicates = Duplicates() if self._wanted.dedupe else None
        without_time = 0
        for batch in self._source.batches(on_bytes, duplicates):
            if self._source.has_times and TIME in batch.schema.names:
                without_time += batch.column(TIME).null_count
            yield batch
        self._without_time = without_time
        if duplicates is not None:
            self.duplicates, self._is_deduped = duplicates.count, True

    def write(
        self,
        output: str | os.PathLike[str],
        *,
        partition_by: Literal["date", "event"] | None = None,
        csv_safe: bool = False,
        on_bytes: Callable[[int], object] = lambda _count: None,
    ) -> int:
        """Read the files once more and write their events, stitched; return how many there are.

        If `learn` was given the output, the files are seldom read again: docs/stitching.md says
        when.

        Args:
            output: A file (``.parquet``, ``.arrow``, ``.csv``), or a directory, which gets Parquet
                files. It is there whole or not at all. A directory that this has written is
                replaced, no other one.
            partition_by: Make a directory for each day (UTC) or for each event's name, in Hive's
                manner.
            csv_safe: In CSV put an apostrophe before each cell that a spreadsheet would take for a
                formula; docs/csv.md says how to undo it.
            on_bytes: Called with the number of bytes read since its last call.

        Raises:
            FileFormatError: A file is damaged or has changed, or the directory holds something
                else.
            OSError: There is no room, or no permission.
            ValueError: ``partition_by`` is none of these, or ``csv_safe`` is wanted and the output
                is no CSV.
        """
        path = os.fspath(output)
        check_partitioning(partition_by, output)
        if csv_safe and (partition_by is not None or not path.endswith(".csv")):
            raise ValueError("csv_safe is for CSV; name an output that ends with .csv, without partition_by")
        once = self._once
        if once is not None and once.is_current:
            count = self._write_once(once, path, partition_by, on_bytes)
            if count is not None:
                return count
        self._once = None  # What waits for another output would only take room.
        return write_events(path, self.schema, self.batches(on_bytes), partition_by, csv_safe=csv_safe)

    def _write_once(
        self,
        once: Encoding | Partitioning,
        path: str,
        partition_by: str | None,
        on_bytes: Callable[[int], object],
    ) -> int | None:
        """Write events that were taken while they were read; return None if not to this output."""
        if isinstance(once, Partitioning):
            if partition_by != once.partition_by:
                return None
            self._once = None  # It can be written once.
            on_partition = partial(on_bytes, self._bytes // max(once.count, 1))
            count = write_partitioned(path, once, self.schema, on_partition)
            self._without_time = once.without_time if self._source.has_times else 0
        else:
            if partition_by is not None or not can_encode(path):
                return None
            self._once = None
            on_group = partial(on_bytes, self._bytes // max(once.group_count, 1))
            count = write_encoded(path, once, on_group)
            self._without_time = path if self._source.has_times else 0
        self.duplicates, self._is_deduped = once.duplicates, self._wanted.dedupe
        return count

    @property
    def without_time(self) -> int:
        """The number of events whose time is missing or cannot be read.

        Counted when the files were last read to their end; 0 if no event has a time. Of Parquet
        that was written while it was read, the footers are asked.
        """
        if isinstance(self._without_time, str):
            self._without_time = nulls_in(self._without_time, TIME)
        return self._without_time

    def __arrow_c_schema__(self) -> object:
        """Export the schema (Arrow PyCapsule interface)."""
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export the events as a stream of record batches (Arrow PyCapsule interface)."""
        reader = import_pyarrow().RecordBatchReader.from_batches(self.schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        """Return the first events, with the types of the columns, as a notebook shows them."""
        from idmerge._notebook import ROWS, shown_table  # noqa: PLC0415 - for notebooks alone

        if not self._is_learned:
            return escape(repr(self))
        types = {field.name: str(field.type) for field in self.schema}
        first = next(self.batches(), None)
        rows = [] if first is None else [[*row.values()] for row in first.slice(0, ROWS).to_pylist()]
        return shown_table(types, rows, self.events - self.duplicates, repr(self))

    def __repr__(self) -> str:
        """Name the number of events that come out, and of columns."""
        columns = counted(len(self.column_names), "column") if self._is_learned else "not read yet"
        # How many duplicates are dropped is known when the files have been read once more.
        unknown = " and duplicates" if self._wanted.dedupe and not self._is_deduped else ""
        return f"StitchedEvents({counted(self.events - self.duplicates, 'event')}{unknown}, {columns})"
