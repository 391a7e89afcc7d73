"""Events stitched in plain Python over the reference resolver: obviously right, and slow (SPEC 9)."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from idmerge import reference
from idmerge.events import distinct_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from idmerge import Policy

BEFORE = "$distinct_id_before_identity"
AS_KNOWN = "distinct_id_as_known"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS_FROM = 10**11
"""Numbers from here on are milliseconds: as seconds they would be beyond the year 5000."""


def stitched_by_hand(
    events: Iterable[Mapping[str, Any]],
    *,
    policy: Policy | None = None,
    canonical: str = "stable",
    dedupe: bool = False,
    as_known: bool = False,
) -> list[dict[str, Any]]:
    """Return ``events`` as rows: the same keys in the same order in each."""
    events = list(events)
    resolver = reference.Resolver(policy, canonical)
    known: list[str | None] = []
    for event in events:
        own = distinct_id_of(event)
        known.append(None if own is None else resolver.resolve(own))
        resolver.apply(event)
    rows, seen = [], set()
    names = _names(events, as_known=as_known)
    for event, thought in zip(events, known, strict=True):
        own = distinct_id_of(event)
        properties = dict(event["properties"])
        before = properties.pop(BEFORE, None)
        row = dict.fromkeys(names) | {
            "event": event["event"],
            "time": _time(properties.pop("time", None)),
            "distinct_id": None if own is None else resolver.resolve(own),
            BEFORE: own if before is None else before,
        }
        if as_known:
            row[AS_KNOWN] = thought
        properties.pop("distinct_id", None)
        row |= {_column(name): value for name, value in properties.items()}
        key = (row["event"], row["time"], own, row.get("$insert_id"))
        if dedupe and row.get("$insert_id") is not None and key in seen:
            continue
        seen.add(key)
        rows.append(row)
    return rows


def stitched_table(events: Iterable[Mapping[str, Any]], **options: Any) -> pa.Table:
    """Return ``events``, stitched, as a table with a column a property.

    Nested values, and properties whose values differ in type, are JSON text.
    """
    rows = stitched_by_hand(events, **options)
    for name in rows[0] if rows else ():
        kinds = {type(row[name]) for row in rows} - {type(None)}
        if kinds - {int, float} and kinds not in ({str}, {bool}, {datetime}):
            for row in rows:
                if row[name] is not None and not isinstance(row[name], str):
                    row[name] = json.dumps(row[name], ensure_ascii=False, separators=(",", ":"))
        elif float in kinds:
            for row in rows:
                row[name] = None if row[name] is None or math.isnan(row[name]) else float(row[name])
    return pa.Table.from_pylist(rows)


def _names(events: Iterable[Mapping[str, Any]], *, as_known: bool) -> dict[str, None]:
    """Return the columns: what every event has, then the properties as they first appear."""
    names = dict.fromkeys(("event", "time", "distinct_id", BEFORE, *([AS_KNOWN] if as_known else [])))
    for event in events:
        names |= dict.fromkeys(map(_column, event["properties"]))
    return names


def _column(name: str) -> str:
    """Return the column of a property; the event's name has the one called ``event``."""
    return "properties.event" if name == "event" else name


def _time(value: object) -> datetime | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return EPOCH + timedelta(milliseconds=value if abs(value) >= MILLISECONDS_FROM else value * 1000)
