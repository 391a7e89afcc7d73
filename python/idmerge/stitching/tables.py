"""Tables of events, stitched: their columns of IDs are replaced or added, the others stay as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.events import IDENTITY_EVENTS, as_id, operand_names
from idmerge.policy import is_unicode
from idmerge.stitching.columns import AS_KNOWN, BEFORE, ID, INSERT_ID, Duplicates
from idmerge.stitching.following import followed_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from idmerge.resolver import Resolver

EVENT, TIME, PROPERTIES = "event", "time", "properties"


class Wanted(NamedTuple):
    """What is wanted of a table."""

    resolver: Resolver
    apply: bool
    """Whether the table's own links are applied first."""
    as_known: bool
    dedupe: bool

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


def stitched_table(events: Any, wanted: Wanted) -> Any:
    """Return the table ``events``, stitched, in its own family.

    Raises:
        TypeError: It is no table of pyarrow, polars, pandas or DuckDB, or its IDs are no text.
        ValueError: A column is missing.
    """
    library = type(events).__module__.lstrip("_").partition(".")[0]
    kind = type(events).__name__
    if library == "polars":
        return _polars(events.collect(), wanted).lazy() if kind == "LazyFrame" else _polars(events, wanted)
    if library == "pandas":
        return _pandas(events, wanted)
    if library == "duckdb":
        idmerge_stitched = _arrow(events.to_arrow_table(), wanted)  # noqa: F841 - the query names it
        return events.query("idmerge_events", "SELECT * FROM idmerge_stitched")
    import pyarrow as pa  # noqa: PLC0415

    if isinstance(events, pa.RecordBatchReader):
        return _arrow(events.read_all(), wanted).to_reader()
    if isinstance(events, pa.RecordBatch):
        table = _arrow(pa.Table.from_batches([events]), wanted).combine_chunks()
        return table.to_batches()[0] if len(table) else events.slice(0, 0)
    if hasattr(events, "__arrow_c_stream__"):
        return _arrow(pa.table(events), wanted)
    raise TypeError(
        "events must be a table of pyarrow, polars, pandas or DuckDB, or paths, "
        f"got {type(events).__module__}.{kind}"
    )


def _arrow(table: pa.Table, wanted: Wanted) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415

    names = [name for name in wanted.column_names if name in table.column_names]
    answers = _answers(table.select(names), wanted)
    after = ID
    for name, column in answers.columns.items():
        place = table.schema.get_field_index(name)
        if place >= 0:
            table = table.set_column(place, name, column)
        else:
            table = table.add_column(table.schema.get_field_index(after) + 1, name, column)
        after = name
    return table if answers.stays is None else table.filter(pa.array(answers.stays))


def _polars(frame: Any, wanted: Wanted) -> Any:
    import polars as pl  # noqa: PLC0415

    names = [name for name in wanted.column_names if name in frame.columns]
    answers = _answers(frame.select(names).to_arrow(), wanted)
    stitched = frame.with_columns(pl.Series(name, column) for name, column in answers.columns.items())
    return stitched if answers.stays is None else stitched.filter(pl.Series(answers.stays))


def _pandas(frame: Any, wanted: Wanted) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    names = [name for name in wanted.column_names if name in frame.columns]
    table = pa.table({name: pa.array(frame[name], from_pandas=True) for name in names})
    answers = _answers(table, wanted)
    stitched = frame.copy(deep=False)
    for name, column in answers.columns.items():
        like = frame[name].dtype if name in names else frame[ID].dtype if ID in names else "object"
        stitched[name] = column.to_pandas().to_numpy()
        stitched[name] = stitched[name].astype("object" if like == "category" else like)
    return stitched if answers.stays is None else stitched[answers.stays]


def _answers(table: pa.Table, wanted: Wanted) -> Answers:
    """Return the columns of IDs of ``table``, of which only the columns that may matter are left."""
    import pyarrow as pa  # noqa: PLC0415

    rows = Rows(table)
    sent = rows.sent()
    known: list[str | None] = []
    if wanted.as_known:
        from idmerge.resolver import Resolver  # noqa: PLC0415

        follower = Resolver(wanted.resolver.policy, wanted.resolver.canonical)
        known = followed_events(follower, rows.events(sent.to_pylist()))
    if wanted.apply:
        wanted.resolver.apply_rows(sent.to_pylist(), rows.links())
    stays = None
    if wanted.dedupe:
        stays = Duplicates().are_new(rows.column(EVENT), rows.column(TIME), sent, rows.column(INSERT_ID))
    columns = {ID: wanted.resolver.resolve_many(sent), BEFORE: rows.before(sent)}
    if wanted.as_known:
        columns[AS_KNOWN] = pa.array(known, pa.string())
    return Answers(columns, stays)


class Rows:
    """The rows of a table of events: what they are called, who sent them, which links they state."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.combine_chunks()
        names = table.column_names
        self._nested = PROPERTIES if PROPERTIES in names else None
        self._operands = [name for name in operand_names() if name in names]
        if ID not in names and self._nested is None:
            raise ValueError(
                f"events need the column {ID} or {PROPERTIES}, got {', '.join(names) or 'neither'}"
            )

    def column(self, name: str) -> Any:
        """Return a column that must be there, or that all events have as a property."""
        if name in self._table.column_names:
            return self._table.column(name).combine_chunks()
        if self._nested is not None and name != EVENT:
            import pyarrow as pa  # noqa: PLC0415

            return pa.array([_text(row.get(name)) for row in self._properties], pa.string())
        raise ValueError(f"events need the column {name}, got {', '.join(self._table.column_names)}")

    def sent(self) -> Any:
        """Return the ID of each row as it was sent, a utf8 array."""
        return self._ids(ID)

    def before(self, sent: Any) -> Any:
        """Return the ID of each row before anybody stitched it."""
        import pyarrow.compute as pc  # noqa: PLC0415

        if BEFORE not in self._table.column_names and self._nested is None:
            return sent
        return pc.coalesce(self._ids(BEFORE), sent)

    def _ids(self, name: str) -> Any:
        """Return a column of IDs; among properties, what is no text (SPEC 3) and no Unicode is none."""
        if name in self._table.column_names or self._nested is None:
            return _as_text(name, self.column(name))
        import pyarrow as pa  # noqa: PLC0415

        ids = [as_id(row.get(name)) for row in self._properties]
        return pa.array([own if own is not None and is_unicode(own) else None for own in ids], pa.string())

    def links(self) -> dict[int, dict[str, Any]]:
        """Return the events that may state links, by row."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        names = self.column(EVENT)
        is_link = pc.is_in(names.cast(pa.string()), pa.array(IDENTITY_EVENTS))
        places = pc.indices_nonzero(is_link)
        rows = self._table.take(places).to_pylist()
        return {
            place: {"event": row[EVENT], "properties": self._properties_of(row)}
            for place, row in zip(places.to_pylist(), rows, strict=True)
        }

    def events(self, ids: Sequence[str | None]) -> Iterator[Mapping[str, Any]]:
        """Yield each row as an event: in full where it may state a link."""
        links = self.links()
        for row, own in enumerate(ids):
            yield links.get(row) or {"event": None, "properties": {ID: own}}

    def _properties_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a row has of the properties that state links; a null is none."""
        properties = {} if self._nested is None else dict(_object(row[self._nested]))
        for name in (ID, BEFORE, *self._operands):
            if name in row:
                properties[name] = row[name]
        pair = properties.get("$distinct_ids")
        if isinstance(pair, str):
            properties["$distinct_ids"] = _parsed(pair)
        return {name: value for name, value in properties.items() if value is not None}

    @cached_property
    def _properties(self) -> list[Mapping[str, Any]]:
        return [_object(value) for value in self._table.column(PROPERTIES).to_pylist()]


def _as_text(name: str, column: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if is_text or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    raise TypeError(f"the column {name} must hold text, got {column.type}; cast it to string")


def _object(value: Any) -> Mapping[str, Any]:
    value = _parsed(value) if isinstance(value, (str, bytes)) else value
    if isinstance(value, list):  # A map of Arrow's.
        value = dict(value)
    return value if isinstance(value, Mapping) else {}


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str | None:
    """Return an ID or a time as text; what is neither text nor a number is none."""
    if value is None or isinstance(value, (bool, list, dict)):
        return None
    return str(value)
