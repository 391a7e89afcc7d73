"""Tables of events, stitched: their columns of IDs are replaced or added, the others stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.events import IDENTITY_EVENTS, as_id, operand_names
from idmerge.files.arrow import check_intact, is_text
from idmerge.jsoncolumns import unicode_text
from idmerge.jsondecoding import decoded
from idmerge.resolver import Resolver
from idmerge.stitching.columns import AS_KNOWN, BEFORE, ID, INSERT_ID, Duplicates
from idmerge.stitching.following import followed_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from idmerge.outcome import Report

EVENT, TIME, PROPERTIES = "event", "time", "properties"


class Wanted(NamedTuple):
    """What is wanted of events."""

    resolver: Resolver
    apply: bool
    """Whether the events' own links are applied first."""
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


class Stitcher:
    """Stitches tables, one after another as if they were one."""

    def __init__(self, wanted: Wanted, duplicates: Duplicates | None = None) -> None:
        self.wanted = wanted
        self._duplicates = (duplicates or Duplicates()) if wanted.dedupe else None
        self._follower = (
            Resolver(wanted.resolver.policy, wanted.resolver.canonical) if wanted.as_known else None
        )

    def learn(self, table: pa.Table) -> tuple[Report, dict[int, dict[str, Any]]]:
        """Apply the links of ``table``; return what became of them, and the events that state them by row."""
        rows = self._looked_at(table)
        links = rows.links()
        return self.wanted.resolver.apply_rows(rows.sent().to_pylist(), links), links

    def follow(self, piece: Any) -> None:
        """Take links that came between two tables."""
        if self._follower is not None:
            self._follower.apply_piece(piece)

    def _looked_at(self, table: pa.Table) -> Rows:
        """Return the rows of ``table``, of which only the columns that may matter are looked at."""
        names = [name for name in self.wanted.column_names if name in table.column_names]
        for name in names:
            if table.column_names.count(name) > 1:
                raise ValueError(f"events have the column {name} more than once")
        return Rows(table.select(names))

    def answers(self, table: pa.Table) -> Answers:
        """Return the columns of IDs of ``table``."""
        import pyarrow as pa  # noqa: PLC0415

        rows = self._looked_at(table)
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

    return _without_views(table).filter(pa.array(stays)).cast(table.schema)


def _without_views(table: pa.Table) -> pa.Table:
    """Return ``table`` with plain text for its views of text, which pyarrow neither filters nor takes."""
    import pyarrow as pa  # noqa: PLC0415

    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.large_string()))
    return table


def stitched_table(events: Any, wanted: Wanted) -> Any:
    """Return the table ``events``, stitched, in its own family.

    Raises:
        TypeError: It is no table of pyarrow, polars, pandas or DuckDB, or its IDs are no text.
        ValueError: A column is missing, or the table is damaged.
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
        stitcher.learn(table)
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
    import pyarrow as pa  # noqa: PLC0415

    names = [name for name in wanted.column_names if name in frame.columns]
    columns = {}
    for name in names:
        if getattr(frame[name], "ndim", 1) > 1:
            raise ValueError(f"events have the column {name} more than once")
        try:
            columns[name] = pa.array(frame[name], from_pandas=True)
        except (pa.ArrowException, UnicodeEncodeError) as error:
            raise TypeError(f"the column {name} must hold text, got other values: {error}") from error
    table = pa.table(columns)
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


class Rows:
    """The rows of a table of events: what they are called, who sent them, which links they state."""

    def __init__(self, table: pa.Table) -> None:
        self._table = _without_views(table).combine_chunks()
        names = table.column_names
        self._nested = PROPERTIES if PROPERTIES in names else None
        self._operands = [name for name in operand_names() if name in names]
        if ID not in names and self._nested is None:
            raise ValueError(
                f"events need the column {ID} or {PROPERTIES}, got {', '.join(names) or 'neither'}"
            )
        if self._nested is not None:
            _check_properties(self._table.schema.field(PROPERTIES).type)

    def column(self, name: str) -> Any:
        """Return a column that must be there, or that all events have as a property."""
        if name in self._table.column_names:
            return self._table.column(name).combine_chunks()
        if self._nested is not None and name != EVENT:
            import pyarrow as pa  # noqa: PLC0415

            return pa.array([_text(row.get(name)) for row in self._properties], pa.string())
        raise ValueError(f"events need the column {name}, got {', '.join(self._table.column_names)}")

    def _is_nested(self, name: str) -> bool:
        return name not in self._table.column_names and self._nested is not None

    def sent(self) -> Any:
        """Return the ID of each row as it was sent, a utf8 array; what is no Unicode text is none."""
        import pyarrow as pa  # noqa: PLC0415

        if not self._is_nested(ID):
            return as_text(ID, self.column(ID))
        ids = (as_id(row.get(ID)) for row in self._properties)
        return pa.array(
            [own if own is None or unicode_text(own) == own else None for own in ids], pa.string()
        )

    def before(self, sent: Any) -> Any:
        """Return the ID of each row before anybody stitched it."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        if BEFORE in self._table.column_names:
            return pc.coalesce(as_text(BEFORE, self.column(BEFORE)), sent)
        if self._nested is None:
            return sent
        named = [_unicode_id(row, BEFORE) for row in self._properties]
        own = (
            sent.to_pylist()
            if not self._is_nested(ID)
            else [_unicode_id(row, ID) for row in self._properties]
        )
        return pa.array(
            [one if one is not None else other for one, other in zip(named, own, strict=True)], pa.string()
        )

    def links(self) -> dict[int, dict[str, Any]]:
        """Return the events that may state links, by row."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        names = as_text(EVENT, self.column(EVENT))
        is_link = pc.is_in(names, pa.array(IDENTITY_EVENTS))
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
        """Return the properties of a row that state links; a null of a column or a struct is none."""
        properties: dict[str, Any] = {}
        if self._nested is not None:
            value = row[self._nested]
            properties |= _object(value)
            if isinstance(value, Mapping):
                properties = {name: item for name, item in properties.items() if item is not None}
            elif isinstance(value, (str, bytes)):
                return properties | self._flat(row)
        properties |= self._flat(row)
        pair = properties.get("$distinct_ids")
        if isinstance(pair, str):
            properties["$distinct_ids"] = _parsed(pair)
        return properties

    def _flat(self, row: Mapping[str, Any]) -> dict[str, Any]:
        names = dict.fromkeys((ID, BEFORE, *self._operands))
        return {name: row[name] for name in names if row.get(name) is not None}

    @cached_property
    def _properties(self) -> list[Mapping[str, Any]]:
        return [_object(value) for value in self._table.column(PROPERTIES).to_pylist()]


def _check_properties(kind: pa.DataType) -> None:
    import pyarrow as pa  # noqa: PLC0415

    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_nested = pa.types.is_struct(kind) or pa.types.is_map(kind) or pa.types.is_null(kind)
    if not is_nested and not is_text(value) and not pa.types.is_binary(value):
        raise TypeError(f"the column {PROPERTIES} must be a struct, a map or JSON text, got {kind}")


def as_text(name: str, column: Any) -> Any:
    """Return the column called ``name`` as utf8: text, or integers by their digits.

    Raises:
        TypeError: It is neither.
    """
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_empty = column.null_count == len(column)
    if is_empty and not is_text(kind):
        return pa.nulls(len(column), pa.string())
    if is_text(kind) or pa.types.is_integer(kind):
        return column.cast(pa.string())
    raise TypeError(f"the column {name} must hold text, got {column.type}; cast it to string")


def _object(value: Any) -> Mapping[str, Any]:
    value = (
        _parsed(value) if isinstance(value, (str, bytes)) else dict(value or ())
    )  # A map is a list of pairs.
    return value if isinstance(value, Mapping) else {}


def _parsed(text: str | bytes) -> Any:
    try:
        return decoded(text)
    except (ValueError, RecursionError):
        return None


def _unicode_id(properties: Mapping[str, Any], name: str) -> str | None:
    own = as_id(properties.get(name))
    return None if own is None else unicode_text(own)


def _text(value: Any) -> str | None:
    """Return a time or an insert ID as text; what is nested is none."""
    return None if value is None or isinstance(value, (list, dict)) else unicode_text(str(value))
