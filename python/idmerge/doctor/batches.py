"""Events of a file as record batches: the columns that `idmerge.doctor.traffic` counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge.doctor.traffic import AS_SENT, INSERT_ID
from idmerge.events import distinct_id_of
from idmerge.files import EventBatch, read
from idmerge.files.opening import import_pyarrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from idmerge.files import Source

LATEST = 10**15
"""Milliseconds, some 30,000 years; no NaN is less."""
MILLISECONDS_FROM = 10**11
"""Numbers from here on are milliseconds: as seconds they would be beyond the year 5000."""


def record_batches(
    source: Source, *, name: str, on_bytes: Callable[[int], object]
) -> Iterator[pa.RecordBatch]:
    """Yield the events of ``source`` in their order; what is no event is passed over."""
    arrow = import_pyarrow("counting events")
    schema = arrow.schema(
        {
            "event": arrow.string(),
            "time": arrow.timestamp("us", "UTC"),
            AS_SENT: arrow.string(),
            INSERT_ID: arrow.string(),
        }
    )
    for piece in read(source, name=name, on_bytes=on_bytes):
        if isinstance(piece, EventBatch):
            columns = zip(*map(_row, piece.events), strict=True)
            arrays = [arrow.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            yield arrow.record_batch(arrays, schema=schema)


def _row(event: dict[str, Any]) -> tuple[str | None, int | None, str | None, str | None]:
    properties = event.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    sent = properties.get(AS_SENT)
    sent = distinct_id_of(event) if sent is None else sent
    return (
        _text(event.get("event")),
        _time(properties.get("time")),
        _text(sent),
        _text(properties.get(INSERT_ID)),
    )


def _text(value: object) -> str | None:
    """Return text as Arrow can hold it: a lone surrogate appears as an escape."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    return None if value is None else str(value)


def _time(value: object) -> int | None:
    """Return microseconds since 1970; None for what is no time, or beyond what a timestamp can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < LATEST:
        return None
    return int(value * (1000 if abs(value) >= MILLISECONDS_FROM else 1_000_000))
