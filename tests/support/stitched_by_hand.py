"""Events stitched in plain Python over the reference resolver: obviously right, and slow (SPEC 9).

An event is what `loaded` makes of its text: that of ``json.loads``, but for two kinds of integers.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from idmerge import reference
from idmerge._ids import as_id
from idmerge._json_decoding import WrittenInteger
from idmerge.events import distinct_id_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from idmerge import Policy

BEFORE = "$distinct_id_before_identity"
AS_KNOWN = "distinct_id_as_known"
ALWAYS = ("event", "time", "distinct_id", BEFORE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = ((10**11, 1000, 1), (10**14, 1, 1), (10**17, 1, 1000), (math.inf, 1, 10**6))
"""The bounds of numbers that count seconds, milliseconds, microseconds and nanoseconds, and what
they are multiplied with and divided by to be milliseconds."""
TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def lack_ids(texts: Iterable[str]) -> bool:
    """Return whether none of the events in ``texts`` has properties, and so an ID."""
    return not any("properties" in loaded(text) for text in texts)


def as_read(texts: Sequence[str]) -> list[Any]:
    """Return the events in ``texts`` as files of them are read: flat if none has properties."""
    events = [loaded(text) for text in texts]
    return [_flat(event) for event in events] if lack_ids(texts) else events


def _flat(event: dict[str, Any]) -> dict[str, Any]:
    properties = {key: value for key, value in event.items() if key != "event" and value is not None}
    return {"event": event["event"], "properties": properties}


def loaded(text: str | bytes) -> Any:
    """Return the value of JSON text; ``-0`` is a float, and an integer has any number of digits."""
    return json.loads(text, parse_int=_integer)


def _integer(text: str) -> float:
    if text == "-0":
        return WrittenInteger(-0.0, "0")
    return int(text) if len(text) < 600 else WrittenInteger(math.copysign(math.inf, float(text[:9])), text)


def stitched_by_hand(
    events: Iterable[Mapping[str, Any]],
    *,
    dedupe: bool = False,
    as_known: bool = False,
    properties: Collection[str] | None = None,
    **rules: Any,
) -> list[dict[str, Any]]:
    """Return ``events`` as rows: the same keys in the same order in each."""
    return stitched_table(
        events, dedupe=dedupe, as_known=as_known, properties=properties, **rules
    ).to_pylist()


def stitched_table(  # noqa: PLR0913 - as `idmerge.stitch`
    events: Iterable[Mapping[str, Any]],
    *,
    policy: Policy | None = None,
    canonical: Any = "stable",
    dedupe: bool = False,
    as_known: bool = False,
    properties: Collection[str] | None = None,
) -> pa.Table:
    """Return ``events``, stitched, as a table with a column a property.

    Nested values, and properties whose values differ in type, are JSON text.
    """
    events = list(events)
    resolver = reference.Resolver(policy, canonical)
    api = resolver.policy.api
    known: list[str | None] = []
    for event in events:
        own = sent(event, api)
        known.append(None if own is None else resolver.resolve(own))
        resolver.apply(event)
    rows = [properties_of(event) for event in events]
    columns = column_names(rows, as_known=as_known, chosen=properties)
    types = {name: type_of([row.get(name) for row in rows]) for name in columns}
    always = [pa.field(name, pa.timestamp("ms", "UTC") if name == "time" else pa.string()) for name in ALWAYS]
    if as_known:
        always.append(pa.field(AS_KNOWN, pa.string()))
    schema = pa.schema([*always, *(pa.field(columns[name], types[name]) for name in columns)])
    type_of_insert_ids = type_of([row.get("$insert_id") for row in rows])
    stitched: list[dict[str, Any]] = []
    seen = set()
    for event, row, thought in zip(events, rows, known, strict=True):
        own = sent(event, api)
        before = row.get(BEFORE)
        name = event.get("event")
        whole = {
            "event": unicode(name) if isinstance(name, str) else None,
            "time": time_of(row.get("time")),
            "distinct_id": None if own is None else resolver.resolve(own),
            BEFORE: distinct_text(event, before, api),
            AS_KNOWN: thought,
        }
        insert_id = as_text(as_typed(row.get("$insert_id"), type_of_insert_ids))
        key = (whole["event"], whole["time"], whole[BEFORE] if before is not None else own, insert_id)
        if dedupe and insert_id is not None:
            if key in seen:
                continue
            seen.add(key)
        whole |= {columns[name]: as_typed(row.get(name), types[name]) for name in columns}
        stitched.append({field.name: whole[field.name] for field in schema})
    return pa.Table.from_pylist(stitched, schema)


def properties_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties with values that a table can have: finite numbers, and Unicode."""
    properties = event.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {unicode(name): plain(value) for name, value in properties.items()}


def plain(value: Any) -> Any:
    """Return what a table or JSON text has for a value."""
    if isinstance(value, str):
        return unicode(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {unicode(name): plain(item) for name, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def unicode(text: str) -> str:
    """Return ``text`` with each lone surrogate replaced."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def sent(event: Mapping[str, Any], api: str) -> str | None:
    """Return the ID that was sent, if it can be one."""
    own = sender(event, api)
    return None if own is None or unicode(own) != own else own


def sender(event: Mapping[str, Any], api: str) -> str | None:
    """Return the ID of an event, by the rules of its API."""
    own = distinct_id_of(event)
    properties = event.get("properties")
    if api != "simplified" or not isinstance(properties, dict):
        return own
    device = (as_id(properties.get("$device_id")) or "").removeprefix("$device:")
    user = as_id(properties.get("$user_id")) or ""
    user = "" if user.startswith("$device:") else user
    before = as_id(properties.get(BEFORE))
    if user and device:
        return user
    if own is not None and before is not None and own != before:
        return own
    return user or (f"$device:{device}" if device else own)


def distinct_text(event: Mapping[str, Any], before: Any, api: str) -> str | None:
    """Return the text of the ID as sent: an ID by its rule, and anything else as JSON."""
    properties = event.get("properties")
    own = as_id(properties.get(BEFORE)) if isinstance(properties, dict) else None
    if own is not None:
        return unicode(own)
    return as_text(sender(event, api) if before is None else before)


def column_names(
    rows: Iterable[Mapping[str, Any]], *, as_known: bool, chosen: Collection[str] | None
) -> dict[str, str]:
    """Return the column of each property, in the order of their first appearance."""
    taken = {*ALWAYS, "properties", *([AS_KNOWN] if as_known else [])}
    columns: dict[str, str] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        if name not in ALWAYS[1:] and (chosen is None or name in chosen):
            column = name.replace("\0", "\ufffd")
            while column in taken:
                column = f"properties.{column}"
            taken.add(column)
            columns[name] = column
    return columns


def type_of(values: Iterable[Any]) -> pa.DataType:
    """Return the type that holds all of the values exactly; text holds any."""
    values = list(values)
    kinds = {type(value) for value in values} - {type(None)}
    integers = [value for value in values if type(value) is int]
    if any(integer >= 2**63 for integer in integers):
        return pa.string()
    if kinds == {int, float}:
        return pa.float64() if all(abs(integer) <= 2**53 for integer in integers) else pa.string()
    return TYPES.get(*kinds, pa.string()) if len(kinds) == 1 else pa.string()


def as_typed(value: Any, kind: pa.DataType | None) -> Any:
    """Return a value as its column has it."""
    if value is None or kind is None:
        return None
    if kind == pa.string():
        return as_text(value)
    return float(value) if kind == pa.float64() else value


def as_text(value: Any) -> str | None:
    """Return text as it is, anything else as JSON: the shortest form of numbers and no blanks."""
    if value is None or isinstance(value, str):
        return None if value is None else unicode(value)
    return json_text(value)


def json_text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_text(key)}:{json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, float):
        if 1e-5 <= abs(value) < 1e-4:  # Here Python has an exponent.
            return f"{Decimal(repr(value)):f}"
        return re.sub(r"e([+-])0*", r"e\1", repr(value or 0.0))  # Zero has no sign.
    return json.dumps(value, ensure_ascii=False)


def time_of(value: Any) -> datetime | None:
    """Return the time that a number, in a unit told by its size, or ISO 8601 means."""
    if isinstance(value, str):
        try:
            value = int(value) if re.fullmatch("[+-]?[0-9]{1,18}", value) else float(value)
        except ValueError:
            try:
                time = datetime.fromisoformat(value)
            except ValueError:
                return None
            time = time if time.tzinfo else time.replace(tzinfo=UTC)
            since = time - EPOCH
            return EPOCH + timedelta(milliseconds=since // timedelta(milliseconds=1))
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    factor, divisor = next((factor, divisor) for bound, factor, divisor in UNITS if abs(value) < bound)
    parts = Decimal(value * factor) / divisor if isinstance(value, int) else value * factor / divisor
    milliseconds = value if factor == divisor else parts
    try:
        return EPOCH + timedelta(milliseconds=int(Decimal(milliseconds).quantize(0, ROUND_HALF_UP)))
    except (OverflowError, ArithmeticError):
        return None
