"""Stitching of tables: columns of IDs are replaced or added, the others stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.events import operand_names
from idmerge.files.arrow import check_intact, is_text
from idmerge.files.choosing import ANY, Choice
from idmerge.files.duplicates import Duplicates
from idmerge.files.frames import pandas_columns, repeated_column
from idmerge.files.names import BEFORE, EVENT, ID, INSERT_ID, PROPERTIES, TIME
from idmerge.files.recognition import OnDialect, no_matter
from idmerge.files.rows import Rows, without_views
from idmerge.resolver import Resolver
from idmerge.stitching.columns import AS_KNOWN
from idmerge.stitching.following import followed_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from idmerge.files import Piece


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
    def column_names(self) -> list[str]:
        """The names of the columns that may be looked at."""
        links = [EVENT, PROPERTIES, *operand_names()] if self.apply or self.as_known else [PROPERTIES]
        duplicates = [EVENT, TIME, INSERT_ID] if self.dedupe else []
        return list(dict.fromkeys([ID, BEFORE, *links, *duplicates]))


class Answers(NamedTuple):
    """The columns of IDs of a stitched table, and which of its rows stay (None: all)."""

    columns: dict[str, Any]
    stays: Any


class Stitcher:
    """Stitches tables, one after another as if they were one."""

    def __init__(self, wanted: Wanted, duplicates: Duplicates | None = None) -> None:
        self.wanted = wanted
        self._duplicates = (duplicates or Duplicates()) if wanted.dedupe else None
        self._follower = (
            Resolver(wanted.resolver.policy, wanted.resolver.canonical) if wanted.as_known else None
        )

    def follow(self, piece: Piece) -> None:
        """Take links that came between two tables."""
        if self._follower is not None:
            piece.apply_to(self._follower)

    def rows(self, table: pa.Table, path: str = "", first_line: int = 1) -> Rows:
        """Return the rows of ``table`` with the columns that may matter; ``path``: see `Rows`."""
        names = [name for name in self.wanted.column_names if name in table.column_names]
        for name in names:
            if table.column_names.count(name) > 1:
                raise repeated_column(name)
        return Rows(table.select(names), path, first_line)

    def answers(self, table: pa.Table) -> Answers:
        """Return the columns of IDs of ``table``."""
        import pyarrow as pa  # noqa: PLC0415

        rows = self.rows(table)
        sent = rows.sent()
        columns = {ID: self.wanted.resolver.resolve_many(sent), BEFORE: rows.before(sent)}
        if self._follower is not None:
            ids = sent.to_pylist()
            columns[AS_KNOWN] = pa.array(followed_events(self._follower, ids, rows.events(ids)), pa.string())
        stays = None
        if self._duplicates is not None:
            stays = self._duplicates.are_new(
                rows.column(EVENT), rows.column(TIME), sent, rows.column(INSERT_ID)
            )
        return Answers(columns, stays)

    def stitched(self, table: pa.Table) -> pa.Table:
        """Return ``table`` with its columns of IDs, and without its duplicates."""
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


def _filtered(table: pa.Table, stays: Any) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415

    return without_views(table).filter(pa.array(stays)).cast(table.schema)


def stitched_table(events: Any, wanted: Wanted) -> Any:
    """Return the table ``events``, stitched, in its own family.

    Raises:
        TypeError: It is no table of pyarrow, polars, pandas or DuckDB, or its IDs are no text.
        ValueError: A column is missing.
        ColumnError: A column is there twice or cannot be read, or the table is damaged.
    """
    import pyarrow as pa  # noqa: PLC0415

    families = {cls.__module__.lstrip("_").partition(".")[0] for cls in type(events).__mro__}
    kind = type(events).__name__
    if "polars" in families and hasattr(events, "collect_schema"):
        is_lazy = not hasattr(events, "to_arrow")
        return _polars(events.collect(), wanted).lazy() if is_lazy else _polars(events, wanted)
    if "pandas" in families and hasattr(events, "columns"):
        return _pandas(events, wanted)
    if "duckdb" in families and hasattr(events, "to_arrow_table"):
        idmerge_stitched = _arrow(events.to_arrow_table(), wanted)  # noqa: F841 - the query names it
        return events.query("idmerge_events", "SELECT * FROM idmerge_stitched")
    if isinstance(events, (pa.Table, pa.RecordBatch)):
        check_intact(events, full=False)  # On the way to a table the sizes of buffers may be lost.
    if isinstance(events, pa.RecordBatchReader):
        return _arrow(events.read_all(), wanted).to_reader()
    if isinstance(events, pa.RecordBatch):
        table = _arrow(pa.Table.from_batches([events]), wanted).combine_chunks()
        batches = table.to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)
    if hasattr(events, "__arrow_c_stream__") and not families & {"polars", "pandas"}:
        # A table that is pyarrow's already keeps names that the interface would cut at a NUL.
        return _arrow(events if isinstance(events, pa.Table) else pa.table(events), wanted)
    raise TypeError(
        "events must be a table of pyarrow, polars, pandas or DuckDB, or paths, "
        f"got {type(events).__module__}.{kind}"
    )


def _stitcher(wanted: Wanted, table: pa.Table) -> Stitcher:
    """Return what stitches ``table``, whose links it has taken if they count."""
    stitcher = Stitcher(wanted)
    if wanted.apply:
        stitcher.rows(table).apply_to(wanted.resolver)
    return stitcher


def _arrow(table: pa.Table, wanted: Wanted) -> pa.Table:
    check_intact(table)
    return _stitcher(wanted, table).stitched(table)


def _like(kind: pa.DataType, column: Any) -> Any:
    """Return a column of text in the type ``kind``, if that is one of text."""
    return column.cast(kind) if is_text(kind) else column


def _polars(frame: Any, wanted: Wanted) -> Any:
    import polars as pl  # noqa: PLC0415

    names = [name for name in wanted.column_names if name in frame.columns]
    table = frame.select(names).to_arrow()
    answers = _stitcher(wanted, table).answers(table)
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


def _pandas(frame: Any, wanted: Wanted) -> Any:
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415

    names = [name for name in wanted.column_names if name in frame.columns]
    table = pandas_columns(frame, names)
    answers = _stitcher(wanted, table).answers(table)
    stitched = frame.copy(deep=False)
    order = _in_order(list(frame.columns), answers.columns)
    for name, column in answers.columns.items():
        like = frame[name].dtype if name in names else frame[ID].dtype if ID in names else "object"
        kind = like if pd.api.types.is_string_dtype(like) else "object"
        values = pd.Series(column.to_pylist(), frame.index, dtype=kind)
        if name in frame.columns:
            stitched[name] = values
        else:
            stitched.insert(order.index(name), name, values)
    return stitched if answers.stays is None else stitched[answers.stays]
