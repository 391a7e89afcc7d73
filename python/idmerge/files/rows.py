"""Rows of a table of events: their IDs as sent, and the links that they state (SPEC 3 and 9)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from idmerge._core import _utf8_of_ids
from idmerge._ids import as_id, id_texts
from idmerge._json_columns import unicode_text
from idmerge._json_decoding import decoded
from idmerge._steps import EVIDENCE, OBSERVE, states_link, step_of
from idmerge.events import IDENTITY_EVENTS, operand_names
from idmerge.files.arrow import is_bytes, is_text
from idmerge.files.judging import judged_event, outcomes_by_row
from idmerge.files.names import BEFORE, EVENT, ID, PROPERTIES
from idmerge.outcome import Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from idmerge._steps import StepColumns
    from idmerge.files.judging import JudgedLink
    from idmerge.resolver import Resolver


PAIR = "$distinct_ids"
"""The column with a list of both operands of a `$merge`."""


class Rows:
    """A piece of a table of events.

    Args:
        table: The columns that may matter.
        path: The table as messages name it.
        first_line: The number of the first row in it.
    """

    def __init__(self, table: pa.Table, path: str = "", first_line: int = 1) -> None:
        self.path = path
        self._first_line = first_line
        self._table = without_views(table).combine_chunks()
        names = table.column_names
        self._nested = PROPERTIES if PROPERTIES in names else None
        self._operands = [name for name in operand_names() if name in names]
        if ID not in names and self._nested is None:
            raise ValueError(
                f"events need the column {ID} or {PROPERTIES}, got {', '.join(names) or 'neither'}"
            )
        if self._nested is not None:
            _check_properties(self._table.schema.field(PROPERTIES).type)

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
        """
        codes, first, second = self.steps()
        stated = [row for row in self.links if states_link(codes[row])]
        return Report(resolver._take_steps(codes, first, second, 0), stated)

    def steps(self) -> StepColumns:
        """Return the step that each row states; a malformed identity event has no operands."""
        first: list[str | None] = self.sent().to_pylist()
        second: list[str | None] = [None] * len(first)
        codes = bytearray([OBSERVE]) * len(first)
        for row, sent in self._rewritten(first):
            codes[row], second[row] = EVIDENCE, sent
        for row, event in self.links.items():
            codes[row], first[row], second[row] = step_of(event, "import")
        return bytes(codes), first, second

    def judged(self, report: Report, links: Iterable[int] | None = None) -> Iterator[JudgedLink]:
        """Yield links of the ``report`` (`Piece.judged`)."""
        for row, outcome in outcomes_by_row(report, links):
            yield judged_event(self.path, self._first_line + row, self.links[row], outcome)

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
        """Return the ID of each row as it was sent, as utf8; text that is no Unicode is null."""
        import pyarrow as pa  # noqa: PLC0415

        if not self._is_nested(ID):
            return as_text(ID, self.column(ID))
        ids = (as_id(row.get(ID)) for row in self._properties)
        return pa.array(
            [own if own is None or unicode_text(own) == own else None for own in ids], pa.string()
        )

    def before(self, sent: Any) -> Any:
        """Return the ID of each row before any stitching."""
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

    def _rewritten(self, ids: Sequence[str | None]) -> Iterator[tuple[int, str]]:
        """Yield the rows that were sent under another ID than theirs, with that one."""
        if BEFORE in self._table.column_names:
            named = as_text(BEFORE, self.column(BEFORE)).to_pylist()
        elif self._nested is not None:
            named = [as_id(row.get(BEFORE)) for row in self._properties]
        else:
            return
        for row, (sent, own) in enumerate(zip(named, ids, strict=True)):
            if sent is not None and own is not None and sent != own:
                yield row, sent

    @cached_property
    def links(self) -> dict[int, dict[str, Any]]:
        """The events that may state links, by row."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        names = as_text(EVENT, self.column(EVENT))
        is_link = pc.is_in(names, pa.array(IDENTITY_EVENTS))
        places = pc.indices_nonzero(is_link)
        rows = self._with_ids(self._table.take(places), places.to_pylist()).to_pylist()
        return {
            place: {"event": row[EVENT], "properties": self._properties_of(row)}
            for place, row in zip(places.to_pylist(), rows, strict=True)
        }

    def events(self, ids: Sequence[str | None]) -> Iterator[Mapping[str, Any]]:
        """Yield each row as an event: in full where it may state a link."""
        links = self.links
        for row, own in enumerate(ids):
            yield links.get(row) or {"event": None, "properties": {ID: own}}

    def _properties_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties of a row that state links, without nulls of columns or structs."""
        properties: dict[str, Any] = {}
        if self._nested is not None:
            value = row[self._nested]
            properties |= _object(value)
            if isinstance(value, Mapping):
                properties = {name: item for name, item in properties.items() if item is not None}
            elif isinstance(value, (str, bytes)):
                return properties | self._flat(row)
        properties |= self._flat(row)
        pair = properties.get(PAIR)
        if isinstance(pair, str):
            properties[PAIR] = _parsed(pair)
        return properties

    def _with_ids(self, links: pa.Table, lines: Sequence[int]) -> pa.Table:
        """Return the rows ``links`` with the texts of their operands; ``lines`` has their numbers.

        Raises:
            TypeError: An operand can be no ID; the message names column, row and type.
        """
        for name in self._operands:
            column = links.column(name).combine_chunks()
            if name != PAIR and not is_bytes(column.type):  # Bytes may be no Unicode: an invalid ID.
                links = links.set_column(links.column_names.index(name), name, as_text(name, column, lines))
            elif name == PAIR and not is_text(column.type):
                for line, pair in zip(lines, column.to_pylist(), strict=True):
                    if isinstance(pair, list):
                        id_texts(pair, f"row {line} of the column {name}")
        return links

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


def as_text(name: str, column: Any, lines: Sequence[int] | None = None) -> Any:
    """Return the column of IDs called ``name`` as utf8: their texts (SPEC 3), null for none.

    Raises:
        TypeError: A value can be no ID; the message names its row, or its line in ``lines``.
    """
    import pyarrow as pa  # noqa: PLC0415

    if is_text(column.type):
        return column.cast(pa.string())
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.string())
    texts = pa.chunked_array(_utf8_of_ids(column, f"the column {name}", lines))  # type: ignore[call-overload]
    return texts if isinstance(column, pa.ChunkedArray) else pa.concat_arrays(texts.chunks)


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


def without_views(table: pa.Table) -> pa.Table:
    """Return ``table`` with plain text for views of text, which pyarrow cannot filter or take."""
    import pyarrow as pa  # noqa: PLC0415

    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.large_string()))
    return table
