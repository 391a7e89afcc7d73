"""Records of a log as columns of a table: an event a row, as it is stored.

| column | type | what |
|---|---|---|
| `event` | text | the name |
| `distinct_id` | text | the ID as it was sent (SPEC 3, `idmerge.events.ids_of`) |
| `canonical_id` | text | the ID's canonical ID when the file was written; in files alone |
| `time` | milliseconds, UTC | the event's time (SPEC 9), or that of its receipt without one |
| `insert_id` | text | `$insert_id`, of another type as JSON |
| `received` | milliseconds, UTC | the moment of receipt |
| `source` | text | the route: `track` or `import` |
| `outcome` | text | the name of the `Outcome` by which the event's link was refused; else null |
| `properties` | text | the properties as JSON, as they stood in the request |
| `record` | integer | the offset of the log behind the event's record |
| `place` | integer | the event's place in its record; the two give the order of the log |

The core cuts the lines, without the interpreter. What it is not certain of is read here, by the
rules of `idmerge.events`; the JSON of its properties is written anew. Text that is no Unicode has
U+FFFD in the columns, and escapes in the properties.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from idmerge import _core
from idmerge._json_columns import unicode_text
from idmerge._json_decoding import decoded_or_none
from idmerge.events import ids_of
from idmerge.files.tables import record_batch
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idmerge.policy import Api
    from idmerge.server.log.records import Record

LONGEST = 1 << 21
"""Bytes of a line, from which on Python reads it; none that is admitted has as many."""
MOMENT: pa.DataType = pa.timestamp("ms", "UTC")
SCHEMA = pa.schema(
    [
        ("event", pa.string()),
        ("distinct_id", pa.string()),
        ("canonical_id", pa.string()),
        ("time", MOMENT),
        ("insert_id", pa.string()),
        ("received", MOMENT),
        ("source", pa.string()),
        ("outcome", pa.string()),
        ("properties", pa.string()),
        ("record", pa.int64()),
        ("place", pa.int32()),
    ]
)
"""The columns of a sealed file."""
SENT = pa.schema([field for field in SCHEMA if field.name not in {"canonical_id", "outcome"}])
"""The columns of an event as it came."""


class Event(NamedTuple):
    """An event as its line states it."""

    event: str | None
    distinct_id: str | None
    time: int | None
    insert_id: str | None
    properties: str


def event_of(line: bytes, api: Api) -> Event | None:
    r"""Return the event of a line; None for what is none.

    Examples:
        >>> from idmerge.server.store.columns import event_of
        >>> line = b'{"event": "Buy", "properties": {"distinct_id": 17, "time": 1700000000}}\n'
        >>> event_of(line, "original")[:4]
        ('Buy', '17', 1700000000000, None)
    """
    try:
        event = decoded_or_none(line.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return None
    properties = event.get("properties") if isinstance(event, dict) else None
    if not isinstance(event, dict) or not isinstance(properties, dict):
        return None
    name, insert_id = event.get("event"), properties.get("$insert_id")
    distinct_id, before = ids_of(event, api)
    sender = distinct_id if before is None else before
    if insert_id is not None and not isinstance(insert_id, str):
        insert_id = json.dumps(insert_id)
    return Event(
        unicode_text(name) if isinstance(name, str) else None,
        None if sender is None else unicode_text(sender),
        _time(properties.get("time")),
        None if insert_id is None else unicode_text(insert_id),
        json.dumps(properties, separators=(",", ":")),
    )


def _time(value: object) -> int | None:
    """Return a time in milliseconds, as the core reads it."""
    if not isinstance(value, (str, int, float)):
        return None
    line = json.dumps({"event": "", "properties": {"time": value}}).encode()
    columns, _ = _core.stored_columns(line, LONGEST, simplified=False)
    time: int | None = record_batch(columns).column("time")[0].as_py()
    return time


def columns_of(records: Sequence[tuple[Record, int]], api: Api) -> pa.Table:
    r"""Return the events of records as columns, in the order of the log.

    Args:
        records: Records of one project, each with the offset behind it.
        api: The project's API.

    Examples:
        >>> from idmerge.server.log.records import Record
        >>> from idmerge.server.store.columns import columns_of
        >>> line = b'{"event": "Buy", "properties": {"distinct_id": "ana", "$insert_id": "i"}}\n'
        >>> record = Record("main", "events", "track", 1_700_000_000_000, line)
        >>> table = columns_of([(record, 99)], "original")
        >>> table.column("distinct_id").to_pylist(), table.column("record").to_pylist()
        (['ana'], [99])
    """
    lines = b"".join(record.lines for record, _ in records)
    table, declined = _core.stored_columns(lines, LONGEST, simplified=api == "simplified")
    batch = record_batch(table)
    counts = [record.lines.count(b"\n") for record, _ in records]
    ends = np.cumsum(counts)
    number = np.searchsorted(ends, batch.column("line").to_numpy(), side="right")  # Of each row's record.
    is_first = np.flatnonzero(np.diff(number, prepend=-1))
    place = np.arange(len(number)) - np.repeat(is_first, np.diff(is_first, append=len(number)))
    columns: dict[str, Any] = {name: batch.column(name) for name in batch.schema.names}
    if declined:
        columns = _filled(columns, lines, declined, api)
    received = pa.array(np.array([record.received for record, _ in records], np.int64)[number])
    sources: Any = pa.array([record.source for record, _ in records], pa.string())
    columns["time"] = pc.coalesce(columns["time"], received).cast(MOMENT)
    columns["received"] = received.cast(MOMENT)
    columns["source"] = sources.take(pa.array(number))
    columns["record"] = pa.array(np.array([end for _, end in records], np.int64)[number])
    columns["place"] = pa.array(place.astype(np.int32))
    found = pa.table([columns[name] for name in SENT.names], schema=SENT)
    is_event = columns["properties"].is_valid()
    return found if pc.all(is_event).as_py() is not False else found.filter(is_event)


def _filled(columns: dict[str, Any], lines: bytes, declined: Sequence[int], api: Api) -> dict[str, Any]:
    """Return columns in which the rows are filled that Python must read."""
    texts = lines.split(b"\n")
    numbers = columns["line"].to_numpy()
    events = [event_of(texts[numbers[row]], api) for row in declined]
    is_declined = np.zeros(len(numbers), np.bool_)
    is_declined[declined] = True
    filled = dict(columns)
    for name in Event._fields:
        values = [None if event is None else getattr(event, name) for event in events]
        column = columns[name]
        filled[name] = pc.replace_with_mask(column, pa.array(is_declined), pa.array(values, column.type))
    return filled


def with_outcomes(table: pa.Table, outcomes: Mapping[int, Mapping[int, int]]) -> pa.Table:
    """Return a table of `columns_of` with the column ``outcome``.

    Args:
        table: The table.
        outcomes: Codes of `Outcome` by the offset behind a record, and the place in that.
    """
    names = pa.array([one.name for one in Outcome])
    chosen = np.full(len(table), -1, np.int8)
    if outcomes and len(table):
        behind = table.column("record").to_numpy()
        places = table.column("place").to_numpy()
        for row in np.flatnonzero(np.isin(behind, np.fromiter(outcomes, np.int64, len(outcomes)))):
            chosen[row] = outcomes[int(behind[row])].get(int(places[row]), -1)
    codes: Any = pa.array(chosen, mask=chosen < 0)
    return table.append_column("outcome", names.take(codes))
