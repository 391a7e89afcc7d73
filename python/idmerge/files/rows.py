"""Rows of a table of events: their IDs as sent, and the links that they state (SPEC 3 and 9).

The columns have raw names. Each has one of few layouts behind `plain`: views, dictionaries of
bytes, and the extension types of Arrow become what pyarrow can filter and take.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge._core import _utf8_of_ids
from idmerge._ids import as_id, id_texts
from idmerge._json_columns import json_column, unicode_text
from idmerge._json_decoding import decoded_or_none
from idmerge._steps import EVIDENCE, OBSERVE, step_columns, step_of
from idmerge.errors import FileFormatError
from idmerge.events import (
    DEVICE,
    IDENTITY_EVENTS,
    ORIGINALS,
    USER,
    VERDICTS,
    is_verb,
    operand_names,
    sender_of,
    shown,
)
from idmerge.files.arrow import is_bytes, is_text
from idmerge.files.hotshards import unsharded
from idmerge.files.ids import has_odd_id, is_odd
from idmerge.files.judging import judged_event, outcomes_by_row
from idmerge.files.names import BEFORE, EVENT, ID, INSERT_ID, PROPERTIES, TIME, places_of_ids
from idmerge.files.pieces import check_same_api
from idmerge.files.properties import properties_in
from idmerge.files.shape import BOOL, FLOAT, INTEGER, TEXT
from idmerge.files.times import as_moments, in_utc, milliseconds
from idmerge.files.vendors import VERBS
from idmerge.outcome import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from idmerge._steps import StepColumns
    from idmerge.files.judging import JudgedLink
    from idmerge.policy import Api
    from idmerge.resolver import Resolver


PAIR = "$distinct_ids"
"""The column with a list of both operands of a `$merge`."""


def link_columns(api: Api = "original") -> list[str]:
    """Return the names of the columns that say which IDs rows have, and which links they state."""
    return list(dict.fromkeys([EVENT, ID, BEFORE, PROPERTIES, *ORIGINALS, *operand_names(api)]))


class Rows:
    """A piece of a table of events.

    Args:
        table: The columns that may matter, in one chunk each.
        path: The file as messages name it; empty for a table in memory.
        lines: The line or the number of each row; from 1 on if they are not given.
        api: The API whose links the rows state. Under Simplified ID Merge a row is read as the
            event that it is, and a null in a column is a field that is not there (SPEC 11).
        names_link: Whether the names of the events state links.
    """

    def __init__(
        self,
        table: pa.Table,
        path: str = "",
        lines: Sequence[int] | None = None,
        api: Api = "original",
        *,
        names_link: bool = True,
    ) -> None:
        self.path = path
        self.api = api
        self._names_link = names_link
        self._lines = range(1, table.num_rows + 1) if lines is None else lines
        self._table = unsharded(plain(table)).combine_chunks()
        names = table.column_names
        self._nested = PROPERTIES if PROPERTIES in names else None
        self._operands = [name for name in operand_names(api) if name in names]
        if not {*places_of_ids(api)} & {*names}:
            wanted = " or ".join(places_of_ids(api))
            raise ValueError(f"events need the column {wanted}, got {', '.join(names) or 'neither'}")
        if self._nested is not None:
            _check_properties(table.schema.field(PROPERTIES).type, self._table.schema.field(PROPERTIES).type)

    def __len__(self) -> int:
        """Return the number of events."""
        return self._table.num_rows

    def __bool__(self) -> bool:
        """Return True: a piece without events is one all the same."""
        return True

    def apply_to(self, resolver: Resolver) -> Report:
        """Apply the rows to ``resolver``, in order; those that state no link make their IDs known.

        Raises:
            CapacityError: The resolver is full; the message names the row, and those before it are
                applied.
            FileFormatError: A column of a file lacks, or holds no IDs.
        """
        check_same_api(self.api, resolver)
        try:
            codes, first, second = self.steps()
        except (TypeError, ValueError) as error:
            if not self.path or isinstance(error, FileFormatError):
                raise
            raise FileFormatError(f"{self.path}: {error}") from error
        stated = np.flatnonzero(~np.isin(np.frombuffer(codes, np.uint8), (OBSERVE, EVIDENCE)))
        return Report(resolver._take_steps(codes, first, second, 0), stated)

    def steps(self) -> StepColumns:
        """Return the step that each row states; a malformed identity event has no operands."""
        if self.api == "simplified":
            self._check(EVENT)
            return step_columns(self._events, self.api)
        first: list[str | None] = self.sent().to_pylist()
        second: list[str | None] = [None] * len(first)
        codes = bytearray([OBSERVE]) * len(first)
        for row, sent in self._rewritten(first):
            codes[row], second[row] = EVIDENCE, sent
        for row, event in self.links.items():
            codes[row], first[row], second[row] = step_of(event, "import", self.api)
        return bytes(codes), first, second

    def has_ids(self) -> bool:
        """Return whether some event has an ID or states a link."""
        sent = self.sent()
        return sent.null_count < len(sent) or bool(self.links) or bool(self.odd_ids())

    def odd_ids(self) -> list[int]:
        """Return the rows of ordinary events among whose properties an ID can be none.

        In a column of IDs such a value is an error.
        """
        if not self._is_nested(ID):
            return []
        odd = [row for row, properties in enumerate(self._properties) if is_odd(properties.get(ID))]
        events = zip(odd, self._events_at(odd), strict=True)
        return [self._lines[row] for row, event in events if has_odd_id(event, self.api)]

    def judged(self, report: Report, links: Iterable[int] | None = None) -> Iterator[JudgedLink]:
        """Yield links of the ``report`` (`Piece.judged`)."""
        outcomes = list(outcomes_by_row(report, links))
        events = self._events_at([row for row, _ in outcomes])
        for (row, outcome), event in zip(outcomes, events, strict=True):
            yield judged_event(self.path, self._lines[row], event, outcome, self.api)

    # IDs

    def sent(self) -> Any:
        """Return the ID that each row is stitched under as utf8; what is no Unicode is null."""
        import pyarrow as pa  # noqa: PLC0415

        if self.api == "simplified":
            return pa.array(
                [own if own is None or unicode_text(own) == own else None for own in self._senders],
                pa.string(),
            )
        if not self._is_nested(ID):
            return as_text(ID, self._column(ID), self._lines)
        return pa.array(
            [own if own is None or unicode_text(own) == own else None for own in self._ids(ID)], pa.string()
        )

    def before(self, sent: Any) -> Any:
        """Return the ID of each row before any stitching."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        if self.api == "simplified":
            events = zip(self._events, self._senders, strict=True)
            given = ((as_id(event[PROPERTIES].get(BEFORE)), own) for event, own in events)
            ids = [own if before is None else before for before, own in given]
            return pa.array([None if one is None else unicode_text(one) for one in ids], pa.string())
        if BEFORE in self._table.column_names:
            return pc.coalesce(as_text(BEFORE, self._column(BEFORE), self._lines), sent)
        if self._nested is None:
            return sent
        own = self._ids(ID) if self._is_nested(ID) else sent.to_pylist()
        ids = [one if one is not None else other for one, other in zip(self._ids(BEFORE), own, strict=True)]
        return pa.array([None if one is None else unicode_text(one) for one in ids], pa.string())

    # Other columns

    def duplicate_key(self, sent: Any, zone: str | None = None) -> list[Any]:
        """Return the four columns by which duplicates are told, as utf8 (SPEC 9).

        Times that name no zone are of ``zone``, by default of UTC.

        Raises:
            ValueError: The rows have no column of one of them.
        """
        import pyarrow as pa  # noqa: PLC0415

        for name in (EVENT, TIME, INSERT_ID):
            self._check(name)
        time = milliseconds(in_utc(self.value_column(TIME), zone)).cast(pa.string())
        return [self._names(), time, self.before(sent), self._texts(INSERT_ID)]

    def times(self, zone: str | None = None) -> Any:
        """Return the times of the rows, if these are in a column or may be in the properties.

        Those that name no zone are of ``zone``, by default of UTC. Times in properties are in
        milliseconds; those in a column stay as they are if they are timestamps or dates (SPEC 9).
        """
        if not self._is_nested(TIME):
            return in_utc(self._column(TIME), zone) if TIME in self._table.column_names else None
        kind = self._table.schema.field(PROPERTIES).type
        if not may_hold(kind, TIME):
            return None
        return as_moments(milliseconds(in_utc(self.value_column(TIME), zone)))

    def unreadable(self, times: Any) -> int:
        """Return how many rows have a time that is null among ``times``."""
        return int(times.null_count - self.value_column(TIME).null_count)

    def batch(self, schema: pa.Schema, zone: str | None = None) -> pa.RecordBatch:
        """Return the rows with the columns of ``schema``, as events of JSON have them.

        Times that name no zone are those of ``zone``, by default of UTC.
        """
        import pyarrow as pa  # noqa: PLC0415

        sent = self.sent()
        fields: dict[str, Callable[[], Any]] = {
            EVENT: self._names,
            ID: lambda: sent,
            BEFORE: lambda: self.before(sent),
            TIME: lambda: in_utc(self.value_column(TIME), zone),
        }
        columns = []
        for field in schema:
            if field.name in fields:
                column = fields[field.name]()
            else:
                column = (self._texts if is_text(field.type) else self.value_column)(field.name)
            columns.append(column.cast(field.type, safe=False))
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def kinds(self, names: Iterable[str]) -> Iterator[tuple[str, int, int]]:
        """Yield those of ``names`` that rows have, each with its values' kinds and a first row."""
        import pyarrow as pa  # noqa: PLC0415

        for name in sorted(names):
            if name not in {ID, BEFORE, TIME} and (name in self._table.column_names or self._nested):
                kind = self.value_column(name).type
                if not pa.types.is_null(kind):
                    yield name, _kind_of_values(kind), 0

    def _check(self, name: str) -> None:
        if name == EVENT and self.api == "simplified":
            return  # Any row may link there; whether one needs a name, its dialect says (SPEC 11).
        if name not in self._table.column_names and (self._nested is None or name == EVENT):
            raise ValueError(f"events need the column {name}, got {', '.join(self._table.column_names)}")

    def _is_nested(self, name: str) -> bool:
        return name not in self._table.column_names and self._nested is not None

    def _column(self, name: str) -> Any:
        column: Any = self._table.column(name).combine_chunks()
        return column

    def value_column(self, name: str) -> Any:
        """Return a column, or a property of the objects as one; nulls where rows have neither."""
        import pyarrow as pa  # noqa: PLC0415

        if name in self._table.column_names:
            return self._column(name)
        if self._nested is None:
            return pa.nulls(len(self))
        values = [row.get(name) for row in self._properties]
        if all(value is None for value in values):
            return pa.nulls(len(self))
        try:
            return pa.array(values)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            return json_column(values).combine_chunks()

    def _texts(self, name: str) -> Any:
        """Return values as text: as JSON, among which text stays as it is."""
        import pyarrow as pa  # noqa: PLC0415

        column = self.value_column(name)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind) or pa.types.is_boolean(kind):
            return column.cast(pa.large_string())
        return pa.array([_value_text(value) for value in column.to_pylist()], pa.large_string())

    def _names(self) -> Any:
        """Return the names of the events; one that is no text is null."""
        import pyarrow as pa  # noqa: PLC0415

        self._check(EVENT)
        if EVENT not in self._table.column_names:
            return pa.nulls(len(self), pa.large_string())
        names = self._column(EVENT) if self._names_link else ordinary_names(self._column(EVENT))
        kind = names.type.value_type if pa.types.is_dictionary(names.type) else names.type
        return names.cast(pa.large_string()) if is_text(kind) else pa.nulls(len(self), pa.large_string())

    # Links

    def _rewritten(self, ids: Sequence[str | None]) -> Iterator[tuple[int, str]]:
        """Yield the rows that were sent under another ID than theirs, with that one."""
        if BEFORE not in self._table.column_names and self._nested is None:
            return
        for row, (sent, own) in enumerate(zip(self._named_before(), ids, strict=True)):
            if sent is not None and own is not None and sent != own:
                yield row, sent

    @cached_property
    def links(self) -> dict[int, dict[str, Any]]:
        """The events that may state links by their names, by row."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        if not self._names_link:
            return {}
        verbs = [name for name in IDENTITY_EVENTS if is_verb({EVENT: name}, self.api)]
        is_link = pc.is_in(self._names(), pa.array(verbs, pa.large_string()))
        places = pc.indices_nonzero(is_link).to_pylist()
        return dict(zip(places, self._events_at(places), strict=True))

    def _events_at(self, places: Sequence[int]) -> list[dict[str, Any]]:
        """Return rows as events, with the properties that say which IDs they have and link."""
        # Of the other columns Python cannot hold every value, such as a time beyond the year 9999.
        counting = [name for name in link_columns(self.api) if name in self._table.column_names]
        table = self._table.select(counting)
        if len(places) < len(self):
            table = table.take(np.array(places, np.int64))
        rows = self._with_ids(table, [self._lines[place] for place in places]).to_pylist()
        return [
            {EVENT: row.get(EVENT) if self._names_link else None, PROPERTIES: self._properties_of(row)}
            for row in rows
        ]

    @cached_property
    def _events(self) -> list[dict[str, Any]]:
        return self._events_at(range(len(self)))

    @cached_property
    def _senders(self) -> list[str | None]:
        return [sender_of(event, self.api) for event in self._events]

    def follow(self, resolver: Resolver, sent: Any) -> Any:
        """Apply the rows to ``resolver``; return the senders as known when each came (SPEC 6).

        ``sent`` has the IDs of the rows. The answer has for each the canonical ID before its own
        link, and those behind it, were applied.
        """
        import pyarrow as pa  # noqa: PLC0415

        known: list[str | None] = []
        if self.api == "simplified":
            for event, own in zip(self._events, sent.to_pylist(), strict=True):
                known.append(None if own is None else resolver.resolve(own))
                resolver.apply(event)
            return pa.array(known, pa.string())
        links, before = self.links, self._named_before()
        for row, own in enumerate(sent.to_pylist()):
            known.append(None if own is None else resolver.resolve(own))
            resolver.apply(links.get(row) or {"event": None, "properties": {ID: own, BEFORE: before[row]}})
        return pa.array(known, pa.string())

    def _named_before(self) -> list[str | None]:
        """Return the ID that each row has as the one before any stitching."""
        if BEFORE in self._table.column_names:
            named: list[str | None] = as_text(BEFORE, self._column(BEFORE), self._lines).to_pylist()
            return named
        return [None] * len(self) if self._nested is None else self._ids(BEFORE)

    def _properties_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties of a row that state links, without nulls of columns or structs."""
        properties: dict[str, Any] = {}
        if self._nested is not None:
            value = row[self._nested]
            properties |= properties_in(value)
            if isinstance(value, Mapping):
                properties = {name: item for name, item in properties.items() if item is not None}
            elif isinstance(value, (str, bytes)):
                return properties | self._flat(row)
        properties |= self._flat(row)
        pair = properties.get(PAIR)
        if isinstance(pair, str):
            properties[PAIR] = decoded_or_none(pair)
        return properties

    def _with_ids(self, links: pa.Table, lines: Sequence[int]) -> pa.Table:
        """Return the rows ``links`` with the texts of their operands; ``lines`` has their numbers.

        Raises:
            TypeError: An operand can be no ID; the message names column, row and type.
        """
        is_simplified = self.api == "simplified"
        for name in [*([ID, BEFORE] if is_simplified else []), *self._operands]:
            if name not in links.column_names:
                continue
            column = links.column(name).combine_chunks()
            if name != PAIR and not is_bytes(column.type):  # Bytes may be no Unicode: an invalid ID.
                texts = (as_text_of_any if is_simplified else as_text)(name, column, lines)
                links = links.set_column(links.column_names.index(name), name, texts)
            elif name == PAIR and not is_text(column.type):
                for line, pair in zip(lines, column.to_pylist(), strict=True):
                    if isinstance(pair, list):
                        id_texts(pair, f"row {line} of the column {name}")
        return links

    def _flat(self, row: Mapping[str, Any]) -> dict[str, Any]:
        names = dict.fromkeys((ID, BEFORE, *self._operands))
        return {name: row[name] for name in names if row.get(name) is not None}

    def _ids(self, name: str) -> list[str | None]:
        """Return the IDs that the objects of properties have under ``name``."""
        return [as_id(row.get(name)) for row in self._properties]

    @cached_property
    def _properties(self) -> list[Mapping[str, Any]]:
        return [properties_in(value) for value in self._table.column(PROPERTIES).to_pylist()]


def may_hold(kind: pa.DataType, name: str) -> bool:
    """Return whether properties of type ``kind`` may have one called ``name``."""
    import pyarrow as pa  # noqa: PLC0415

    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_struct(value):
        return value.get_field_index(name) >= 0
    return not pa.types.is_null(value)


def _check_properties(kind: pa.DataType, stored: pa.DataType) -> None:
    import pyarrow as pa  # noqa: PLC0415

    value = stored.value_type if pa.types.is_dictionary(stored) else stored
    is_nested = pa.types.is_struct(value) or pa.types.is_map(value) or pa.types.is_null(value)
    if not is_nested and not is_text(value) and not is_bytes(value):
        raise TypeError(f"the column {PROPERTIES} must be a struct, a map or JSON text, got {kind}")


def ordinary_names(names: Any) -> Any:
    """Return a column of names of another product's events, of which none looks as if it linked.

    One that means a link, or another event, to Mixpanel loses its ``$`` (SPEC 11).
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    kind = names.type.value_type if pa.types.is_dictionary(names.type) else names.type
    if not is_text(kind):
        return names
    texts = names.cast(pa.large_string())
    are_verbs = pc.is_in(texts, pa.array(sorted(VERBS), pa.large_string()))
    return pc.if_else(are_verbs, pc.utf8_slice_codeunits(texts, 1), texts).cast(names.type)


def as_text(name: str, column: Any, lines: Sequence[int] | None = None) -> Any:
    """Return the column of IDs called ``name`` as utf8: their texts (SPEC 3), null for none.

    Raises:
        TypeError: A value can be no ID; the message names its row, or its line in ``lines``.
    """
    import pyarrow as pa  # noqa: PLC0415

    if is_text(column.type):
        try:
            return column.cast(pa.string())
        except pa.ArrowInvalid:  # 2 GiB and more.
            return column.cast(pa.large_string())
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.string())
    texts = pa.chunked_array(_utf8_of_ids(column, f"the column {name}", lines))  # type: ignore[call-overload]
    return texts if isinstance(column, pa.ChunkedArray) else pa.concat_arrays(texts.chunks)


def as_text_of_any(name: str, column: Any, lines: Sequence[int] | None = None) -> Any:
    """Return the column called ``name`` of events of Simplified ID Merge as utf8.

    There an operand counts for nothing, so that its column may be of any type, as one of another
    meaning is (``alias``); what can be no ID is null. A reason for refusing is text in any case.

    Raises:
        TypeError: A value says whose an event is, and can be no ID.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        return as_text(name, column, lines)
    except TypeError:
        if name in {ID, BEFORE, DEVICE, USER}:
            raise
    if name not in VERDICTS:
        return pa.nulls(len(column), pa.string())
    values = column.to_pylist()
    return pa.array(
        [None if value is None else as_id(value) or shown(value) for value in values], pa.string()
    )


def _value_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError):
        return str(value)


def _kind_of_values(kind: pa.DataType) -> int:
    """Return the kinds of the values of a column, as `idmerge.files.shape` sums them."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_boolean(kind):
        return BOOL
    if pa.types.is_integer(kind):
        return INTEGER
    return FLOAT if pa.types.is_floating(kind) else TEXT


def plain(table: pa.Table) -> pa.Table:
    """Return ``table`` without views, which pyarrow cannot filter or take, and without extensions.

    UUIDs become their usual text.
    """
    for place, field in enumerate(table.schema):
        column = table.column(place)
        plain_column = _plain(column, field.type)
        if plain_column is not column:
            table = table.set_column(place, field.name, plain_column)
    return table


def _plain(column: Any, kind: pa.DataType) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if isinstance(kind, pa.UuidType):
        texts = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(column.cast(kind.storage_type), kind.storage_type)
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_binary_view(kind):
        return column.cast(pa.large_binary())
    if pa.types.is_dictionary(kind) and (
        pa.types.is_string_view(kind.value_type) or pa.types.is_binary_view(kind.value_type)
    ):
        is_view_of_text = pa.types.is_string_view(kind.value_type)
        return column.cast(pa.large_string() if is_view_of_text else pa.large_binary())
    return column
