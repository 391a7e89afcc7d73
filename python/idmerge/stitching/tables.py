"""Stitching of tables: columns of IDs are replaced or added, the others stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from idmerge.errors import DialectError
from idmerge.events import ORIGINALS
from idmerge.files.arrow import check_intact, is_text
from idmerge.files.choosing import ANY, Choice
from idmerge.files.duplicates import Duplicates
from idmerge.files.frames import pandas_columns, polars_columns, read_once, repeated_column
from idmerge.files.hotshards import unsharded
from idmerge.files.names import (
    BEFORE,
    EVENT,
    ID,
    INSERT_ID,
    PROCESSED,
    PROPERTIES,
    RECEIVED,
    TIME,
    places_of_ids,
)
from idmerge.files.recognition import OnDialect, no_matter
from idmerge.files.renaming import renamed
from idmerge.files.rows import Rows, link_columns, plain
from idmerge.files.sampling import offset_in
from idmerge.files.textrows import Block, TextRows, rows_of
from idmerge.resolver import Resolver
from idmerge.stitching.columns import AS_KNOWN
from idmerge.stitching.report import StitchReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from idmerge.files import Piece


PIECE_ROWS = 2**20
"""Rows of a table that are stitched at once, at most."""
PIECE_BYTES = 2**30
"""Bytes of them: text of 2 GiB fits no column whose offsets have 32 bits."""


class Wanted(NamedTuple):
    """The wishes of a caller of `idmerge.stitch`."""

    resolver: Resolver
    apply: bool
    """True if the events' own links are applied first."""
    as_known: bool
    dedupe: bool
    choice: Choice = ANY
    """The dialect of the events."""
    on_dialect: OnDialect = no_matter
    """Called with each file and the dialect that was read."""
    timezone: str | None = None
    """The zone of times that name none; None for UTC."""

    @property
    def needs_event(self) -> bool:
        """Whether rows need the name of an event."""
        return self.apply or self.as_known or self.dedupe

    @property
    def column_names(self) -> list[str]:
        """The names of the columns that may be looked at."""
        api = self.choice.api
        own = [EVENT, PROPERTIES, *places_of_ids(api), *ORIGINALS]
        links = link_columns(api) if self.apply or self.as_known else own
        duplicates = [EVENT, INSERT_ID] if self.dedupe else []
        return list(dict.fromkeys([ID, BEFORE, TIME, *links, *duplicates]))


def frame_columns(names: Sequence[Any], wanted: Wanted) -> list[str]:
    """Return those of a frame's columns called ``names`` that may be looked at."""
    clocks = [name for name in (PROCESSED, RECEIVED) if names.count(name) == 1]
    return [name for name in wanted.column_names if name in names] + clocks


class Answers(NamedTuple):
    """The columns of a stitched table that are new or replaced, and which of its rows stay."""

    columns: dict[str, Any]
    stays: Any
    """A truth value for each row; None if all stay."""


def pieces_of(table: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows of ``table`` in pieces, each in one chunk; at least one, be it empty."""
    import pyarrow as pa  # noqa: PLC0415

    gathered: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in _slices(table):
        if gathered and (rows + batch.num_rows > PIECE_ROWS or size + batch.nbytes > PIECE_BYTES):
            yield pa.Table.from_batches(gathered).combine_chunks()
            gathered, rows, size = [], 0, 0
        gathered.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
    yield pa.Table.from_batches(gathered, table.schema).combine_chunks()


def _slices(table: pa.Table) -> Iterator[pa.RecordBatch]:
    for batch in table.to_batches(PIECE_ROWS):
        most = max(1, batch.num_rows * PIECE_BYTES // max(batch.nbytes, PIECE_BYTES))
        for start in range(0, batch.num_rows, most):
            yield batch.slice(start, most)


class Stitcher:
    """Stitches tables, one after another as if they were one."""

    def __init__(self, wanted: Wanted, duplicates: Duplicates | None = None) -> None:
        self.wanted = wanted
        self.report = StitchReport()
        self._duplicates = (duplicates or Duplicates()) if wanted.dedupe else None
        self._follower = (
            Resolver(wanted.resolver.policy, wanted.resolver.canonical) if wanted.as_known else None
        )

        self.names_link = True
        """Whether the names of the events in the next table state links."""
        self._kept: pa.Table | None = None
        self._read: list[list[Block] | None] = []

    def follow(self, piece: Piece) -> None:
        """Take links that came between two tables."""
        if self._follower is not None:
            piece.apply_to(self._follower)

    def rows(self, table: pa.Table, path: str = "", lines: Sequence[int] | None = None) -> Rows:
        """Return the rows of ``table`` with the columns that may matter; the rest: see `Rows`."""
        names = [name for name in self.wanted.column_names if name in table.column_names]
        for name in names:
            if table.column_names.count(name) > 1:
                raise repeated_column(name)
        values = (TIME, INSERT_ID) if self.wanted.dedupe else (TIME,)
        api, names_link = self.wanted.choice.api, self.names_link
        return rows_of(table.select(names), path, lines, values, api, names_link=names_link)

    def learn(self, table: pa.Table) -> None:
        """Apply the links of ``table`` to the resolver, if they count; look at its first times."""
        self.report.offset = offset_in(table, self.wanted.timezone)
        read = []
        for _, rows in self.pieces(table) if self.wanted.apply else ():
            self.report.outcomes.update(rows.apply_to(self.wanted.resolver).counts)
            read.append(blocks_of(rows))
        self.keep(table, read)

    def keep(self, table: pa.Table, read: list[list[Block] | None]) -> None:
        """Keep the blocks that the core has read of each of the `pieces` of ``table``.

        They are used when that is stitched next, so that no text is read twice.
        """
        self._kept, self._read = table, read

    def pieces(self, table: pa.Table) -> Iterator[tuple[pa.Table, Rows]]:
        """Yield the pieces of ``table``, and their rows."""
        row = 0
        for piece in pieces_of(table):
            yield piece, self.rows(piece, lines=range(row, row + piece.num_rows))
            row += piece.num_rows

    def answers(self, table: pa.Table) -> Answers:
        """Return the columns of ``table`` that are new or replaced."""
        import numpy as np  # noqa: PLC0415

        sent = self._unsharded(table)
        read = iter(self._read if sent is self._kept else [])
        self._kept, self._read = None, []
        answers = []
        for piece, rows in self.pieces(sent):
            if isinstance(rows, TextRows):
                rows.read = next(read, None)
            answers.append(self._answers(rows, piece))
        columns = {name: _joined([piece.columns[name] for piece in answers]) for name in answers[0].columns}
        if sent is not table:
            columns[EVENT] = sent.column(EVENT)
        self.report.events += table.num_rows
        if self._duplicates is None:
            return Answers(columns, None)
        self.report.duplicates = self._duplicates.count
        return Answers(columns, np.concatenate([piece.stays for piece in answers]))

    def _answers(self, rows: Rows, table: pa.Table) -> Answers:
        sent = rows.sent()
        columns = {ID: self.wanted.resolver.resolve_many(sent), BEFORE: rows.before(sent)}
        if self._follower is not None:
            columns[AS_KNOWN] = rows.follow(self._follower, sent)
        zone, stays = self.wanted.timezone, None
        if self._duplicates is not None:
            stays = self._duplicates.are_new(*rows.duplicate_key(sent, zone))
        times = rows.times(zone)
        if times is not None:
            self.report.unreadable_times += rows.unreadable(times)
            if TIME not in table.column_names or times.type != table.schema.field(TIME).type:
                columns[TIME] = times
        return Answers(columns, stays)

    @staticmethod
    def _unsharded(table: pa.Table) -> pa.Table:
        """Return ``table`` with the names and the IDs of the events in hot shards."""
        looked_at = [name for name in (EVENT, ID, PROPERTIES, *ORIGINALS) if name in table.column_names]
        before = plain(table.select(looked_at))
        after = unsharded(before)
        if after is before:
            return table
        for name in (EVENT, ID):
            place = table.schema.get_field_index(name)
            if place < 0:
                table = table.add_column(0, name, after.column(name))
            else:
                kind = table.schema.field(place).type
                column = after.column(name)
                table = table.set_column(place, name, column if name == ID else column.cast(kind))
        return table

    def stitched(self, table: pa.Table) -> pa.Table:
        """Return ``table`` with its columns of IDs and times, and without its duplicates."""
        answers = self.answers(table)
        after = ID
        for name, column in answers.columns.items():
            place = table.schema.get_field_index(name)
            if place >= 0:
                table = table.set_column(place, name, _like(table.schema.field(place).type, column))
            else:
                table = table.add_column(table.schema.get_field_index(after) + 1, name, column)
            after = name
        return table if answers.stays is None else _filtered(table, answers.stays)


def blocks_of(rows: Rows) -> list[Block] | None:
    """Return the blocks of ``rows`` that the core has read, if it has read them."""
    return rows.read if isinstance(rows, TextRows) else None


def _joined(columns: Sequence[Any]) -> Any:
    """Return the columns of pieces as one of many chunks."""
    import pyarrow as pa  # noqa: PLC0415

    kinds = {column.type for column in columns}
    kind = pa.large_string() if len(kinds) > 1 else columns[0].type
    return pa.chunked_array([column.cast(kind) for column in columns], kind)


def _filtered(table: pa.Table, stays: Any) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415

    plain_table = plain(table)
    kept = plain_table.filter(pa.array(stays))
    for place, field in enumerate(table.schema):
        kind = kept.schema.field(place).type
        if kind != field.type:
            kept = kept.set_column(place, field, _as_before(kept.column(place), field.type))
    return kept.cast(table.schema)


def stitched_table(events: Any, wanted: Wanted) -> tuple[Any, StitchReport]:
    """Return the table ``events``, stitched, in its own family, and the report on it.

    Raises:
        TypeError: It is no table of pyarrow, polars, pandas or DuckDB, or its IDs are none.
        DialectError: No column is known to be what events need.
        ColumnError: A column is there twice or cannot be read, the table is damaged, or a stream
            that was read already.
    """
    import pyarrow as pa  # noqa: PLC0415

    families = {cls.__module__.lstrip("_").partition(".")[0] for cls in type(events).__mro__}
    kind = type(events).__name__
    stitcher = Stitcher(wanted)
    if "polars" in families and hasattr(events, "collect_schema"):
        is_lazy = not hasattr(events, "to_arrow")
        stitched = _polars(events.collect() if is_lazy else events, stitcher)
        return stitched.lazy() if is_lazy else stitched, stitcher.report
    if "pandas" in families and hasattr(events, "columns"):
        return _pandas(events, stitcher), stitcher.report
    if "duckdb" in families and hasattr(events, "to_arrow_table"):
        idmerge_stitched = _arrow(events.to_arrow_table(), stitcher)  # noqa: F841 - the query names it
        return events.query("idmerge_events", "SELECT * FROM idmerge_stitched"), stitcher.report
    if isinstance(events, (pa.Table, pa.RecordBatch)):
        check_intact(events, full=False)  # On the way to a table the sizes of buffers may be lost.
    if isinstance(events, pa.RecordBatchReader):
        table = read_once(events).read_all()
        return _arrow(table, stitcher).to_reader(), stitcher.report
    if isinstance(events, pa.RecordBatch):
        table = _arrow(pa.Table.from_batches([events]), stitcher).combine_chunks()
        batches = table.to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema), stitcher.report
    if hasattr(events, "__arrow_c_stream__") and not families & {"polars", "pandas"}:
        # A table that is pyarrow's already keeps names that the interface would cut at a NUL.
        table = events if isinstance(events, pa.Table) else pa.table(events)
        return _arrow(table, stitcher), stitcher.report
    raise TypeError(
        "events must be a table of pyarrow, polars, pandas or DuckDB, or paths, "
        f"got {type(events).__module__}.{kind}"
    )


def _raw_names(names: Sequence[Any], stitcher: Stitcher) -> list[Any]:
    """Return the raw names of columns; what is no text names no field, and stays."""
    wanted = stitcher.wanted
    texts = [name for name in names if isinstance(name, str)]
    given = renamed(texts, wanted.choice, needs_event=wanted.needs_event)
    if given.dialect.content == "mappings":
        raise DialectError("these are identity mappings, not events; give them to Resolver.link_many")
    stitcher.report.dialect = given.dialect.title
    stitcher.names_link = given.dialect.names_link
    raw = dict(zip(texts, given.names, strict=True))
    return [raw.get(name, name) if isinstance(name, str) else name for name in names]


def _arrow(table: pa.Table, stitcher: Stitcher) -> pa.Table:
    check_intact(table)
    names = _raw_names(table.column_names, stitcher)
    table = table if names == table.column_names else table.rename_columns(names)
    stitcher.learn(table)
    return stitcher.stitched(table)


def _like(kind: pa.DataType, column: Any) -> Any:
    """Return a column of text in the type ``kind``, if that is one of text."""
    return column.cast(kind) if is_text(kind) and is_text(column.type) else column


def _as_before(column: Any, kind: pa.DataType) -> Any:
    """Return a filtered column in the type that it had before it was made plain."""
    import pyarrow as pa  # noqa: PLC0415

    if isinstance(kind, pa.UuidType):
        values = [None if text is None else UUID(text).bytes for text in column.to_pylist()]
        storage = pa.chunked_array([pa.array(values, kind.storage_type)])
        return storage.cast(kind)
    return column.cast(kind)


def _polars(frame: Any, stitcher: Stitcher) -> Any:
    import polars as pl  # noqa: PLC0415

    raw = _raw_names(frame.columns, stitcher)
    frame = frame if raw == frame.columns else frame.rename(dict(zip(frame.columns, raw, strict=True)))
    table = polars_columns(frame, frame_columns(frame.columns, stitcher.wanted))
    stitcher.learn(table)
    answers = stitcher.answers(table)
    stitched = frame.with_columns(pl.Series(name, column) for name, column in answers.columns.items())
    stitched = stitched.select(_in_order(frame.columns, answers.columns))
    return stitched if answers.stays is None else stitched.filter(pl.Series(answers.stays))


def _in_order(names: Sequence[str], added: Iterable[str]) -> list[str]:
    """Return ``names`` with the columns of IDs that are new, each behind the one before it."""
    ordered = list(names)
    for before, name in zip([None, *added], added, strict=False):
        if name not in ordered:
            ordered.insert(0 if before is None else ordered.index(before) + 1, name)
    return ordered


def _pandas(frame: Any, stitcher: Stitcher) -> Any:
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415

    raw = _raw_names(list(frame.columns), stitcher)
    frame = frame if raw == list(frame.columns) else frame.set_axis(raw, axis="columns")
    names = frame_columns(list(frame.columns), stitcher.wanted)
    table = pandas_columns(frame, names)
    stitcher.learn(table)
    answers = stitcher.answers(table)
    stitched = frame.copy(deep=False)
    order = _in_order(list(frame.columns), answers.columns)
    for name, column in answers.columns.items():
        if is_text(column.type):
            like = frame[name].dtype if name in names else frame[ID].dtype if ID in names else "object"
            kind = like if pd.api.types.is_string_dtype(like) else "object"
            values = pd.Series(column.to_pylist(), frame.index, dtype=kind)
        else:
            values = column.to_pandas().set_axis(frame.index)
        if name in frame.columns:
            stitched[name] = values
        else:
            stitched.insert(order.index(name), name, values)
    return stitched if answers.stays is None else stitched[answers.stays]
