"""Raw export: the events of a project as Mixpanel's export API has them.

Events are read from the log, in its order, and are under the canonical ID of their sender at the
moment of the export. Time and memory: the whole log is read for each export, and the digest of each
event with an insert ID is kept, by which repeated ones are left out.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from idmerge._json_decoding import decoded_or_none
from idmerge.events import SENT_ID, ids_of
from idmerge.files.times import LAST
from idmerge.server import moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from idmerge.policy import Api
    from idmerge.resolver import Resolver
    from idmerge.server.http.requests import Request
    from idmerge.server.log.records import Record

CHUNK = 1 << 16
"""Bytes of lines that are sent at once, and few more."""
MOST_EVENTS = 100_000
"""The largest limit of events that a request may state."""
_NOT_SHOWN = frozenset({"token", "time", "distinct_id", SENT_ID})


class Query(NamedTuple):
    """The events that are wanted."""

    first: date
    """The first day, in the project's time zone."""
    last: date
    """The last day, which is wanted too."""
    events: frozenset[str] | None
    """The names of events; None for all."""
    limit: int | None


def query_of(request: Request) -> Query:
    """Return the events that a request wants.

    Raises:
        ValueError: A field is missing or wrong; the text names it.
    """
    first, last = (_day(request, name) for name in ("from_date", "to_date"))
    if last < first:
        raise ValueError("to_date must be no earlier than from_date")
    names = request.field("event")
    wanted = None
    if names is not None:
        found = decoded_or_none(names)
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise ValueError('event must be a JSON list of names, as in ["Log In"]')
        wanted = frozenset(found)
    stated, limit = request.field("limit"), None
    if stated is not None:
        if not (stated.isascii() and stated.isdigit() and 1 <= int(stated[:9]) <= MOST_EVENTS):
            raise ValueError(f"limit must be a number from 1 to {MOST_EVENTS}")
        limit = int(stated[:9])
    return Query(first, last, wanted, limit)


def _day(request: Request, name: str) -> date:
    stated = request.field(name)
    try:
        return date.fromisoformat(stated or "")
    except ValueError:
        raise ValueError(f"{name} must be a date, as in 2026-11-30") from None


def exported(
    records: Iterable[Record], resolver: Resolver, api: Api, zone: str | None, query: Query
) -> Iterator[bytes]:
    """Yield the events among ``records`` of a project, as lines of JSON, some at a time.

    Args:
        records: Records of one project, in the order of the log.
        resolver: The resolver that has applied them.
        api: Its API.
        zone: The project's time zone, in which days begin; None for UTC.
        query: The events that are wanted.
    """
    begin, end = (_beginning(day, zone) for day in (query.first, query.last + timedelta(days=1)))
    seen: set[bytes] = set()
    lines: list[bytes] = []
    size, left = 0, query.limit
    for event, record in _events(records):
        if query.events is not None and event.get("event") not in query.events:
            continue
        moment = _moment(event["properties"].get("time"), record.received)
        if not begin <= moment < end or _is_repeated(event, moment, seen):
            continue
        line = _line(event, moment, record, resolver, api)
        lines.append(line)
        size += len(line)
        if left is not None:
            left -= 1
            if not left:
                break
        if size >= CHUNK:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def _events(records: Iterable[Record]) -> Iterator[tuple[dict[str, Any], Record]]:
    for record in records:
        if record.stream == "events":
            for line in record.lines.split(b"\n"):
                event = decoded_or_none(line) if line else None
                if isinstance(event, dict) and isinstance(event.get("properties"), dict):
                    yield event, record


def _beginning(day: date, zone: str | None) -> float:
    """Return the first moment of a day in milliseconds since 1970."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC if zone is None else ZoneInfo(zone))
    return midnight.timestamp() * 1000


def _moment(time: object, received: int) -> int:
    """Return the time of an event in milliseconds since 1970; that of its receipt without one."""
    if isinstance(time, str):
        try:
            time = moments.of_text(time)
        except ValueError:
            return received
    if isinstance(time, bool) or not isinstance(time, (int, float)) or not 0 <= time <= LAST:
        return received
    return int(moments.of_number(time))


def _is_repeated(event: dict[str, Any], moment: int, seen: set[bytes]) -> bool:
    """Return whether an event with the same name, time, ID as sent and insert ID was there."""
    properties = event["properties"]
    insert_id = properties.get("$insert_id")
    if insert_id is None:
        return False
    key = json.dumps([event.get("event"), moment // 1000, properties.get("distinct_id"), insert_id])
    digest = blake2b(key.encode(), digest_size=16).digest()
    if digest in seen:
        return True
    seen.add(digest)
    return False


def _line(event: dict[str, Any], moment: int, record: Record, resolver: Resolver, api: Api) -> bytes:
    distinct_id, before = ids_of(event, api)
    sent = before if before is not None else distinct_id
    properties: dict[str, Any] = {"time": moment // 1000}
    if sent is not None:
        canonical = resolver.resolve(sent)
        properties["distinct_id"] = canonical
        if canonical != sent:
            properties[SENT_ID] = sent
    properties |= {name: value for name, value in event["properties"].items() if name not in _NOT_SHOWN}
    properties["mp_processing_time_ms"] = record.received
    if record.source == "import":
        properties["$import"] = True
    shown = {"event": event.get("event"), "properties": properties}
    return json.dumps(shown, separators=(",", ":")).encode() + b"\n"
