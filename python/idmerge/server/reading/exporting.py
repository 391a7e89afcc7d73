"""Raw export: the events of a project as Mixpanel's export API has them.

Events are under the canonical ID of their sender at the moment of the export. They come a sealed
file after the other, each sorted by the person of when it was written and time, and then as they
are in the log. Of the files those are read that have events of the days. Memory: 16 bytes for each
event of the days with an insert ID, by which repeated ones are left out, and some thousands of
events.
"""

from __future__ import annotations

import itertools
import json
import math
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from idmerge._json_columns import unicode_text
from idmerge._json_decoding import decoded_or_none
from idmerge.files.duplicates import Duplicates
from idmerge.server.reading.numbers import number_of
from idmerge.server.reading.shown import shown
from idmerge.server.store.sealing import without_repeated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from idmerge.resolver import Resolver
    from idmerge.server.http.requests import Request
    from idmerge.server.store.files import SealedFile

CHUNK = 1 << 16
"""Bytes of lines that are sent at once, and few more."""
MOST_EVENTS = 100_000
"""The largest limit of events that a request may state."""


class Stored(Protocol):
    """The events of a project at a moment."""

    @property
    def files(self) -> Sequence[SealedFile]:
        """The sealed files."""

    def tail(self) -> Iterator[pa.Table]:
        """Yield the events that are in no file."""


class Days(NamedTuple):
    """Some days in a project's time zone."""

    first: date
    last: date
    """The last day, which is one of them."""

    def bounds(self, zone: str | None) -> tuple[float, float]:
        """Return their beginning and their end, in milliseconds since 1970."""
        has_next = self.last < date.max
        end = _beginning(self.last + timedelta(days=1), zone) if has_next else math.inf
        return _beginning(self.first, zone), end


class Query(NamedTuple):
    """The events that are wanted."""

    days: Days
    events: frozenset[str] | None
    """The names of events; None for all."""
    limit: int | None


def query_of(request: Request) -> Query:
    """Return the events that a request wants.

    Raises:
        ValueError: A field is missing or wrong; the text names it.
    """
    days = days_of(request)
    names = request.field("event")
    wanted = None
    if names is not None:
        found = decoded_or_none(names)
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise ValueError('event must be a JSON list of names, as in ["Log In"]')
        wanted = frozenset(found)
    return Query(days, wanted, limit_of(request, MOST_EVENTS))


def days_of(request: Request) -> Days:
    """Return the days that a request states.

    Raises:
        ValueError: One is missing or wrong; the text names it.
    """
    first, last = (_day(request, name) for name in ("from_date", "to_date"))
    if last < first:
        raise ValueError("to_date must be no earlier than from_date")
    return Days(first, last)


def limit_of(request: Request, most: int) -> int | None:
    """Return the most events that a request wants; None if it does not say.

    Raises:
        ValueError: It is no number from 1 to ``most``.
    """
    stated = request.field("limit")
    return None if stated is None else number_of("limit", stated, 1, most)


def _day(request: Request, name: str) -> date:
    stated = request.field(name)
    try:
        return date.fromisoformat(stated or "")
    except ValueError:
        raise ValueError(f"{name} must be a date, as in 2026-11-30") from None


def exported(snapshot: Stored, resolver: Resolver, zone: str | None, query: Query) -> Iterator[bytes]:
    """Yield the events of a project as lines of JSON, some at a time.

    Args:
        snapshot: The events of the project.
        resolver: Its resolver.
        zone: Its time zone, in which days begin; None for UTC.
        query: The events that are wanted.
    """
    lines: list[bytes] = []
    size, left = 0, query.limit
    for table in _wanted(snapshot, *query.days.bounds(zone), query.events):
        for event in shown(table, resolver):
            line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
            lines.append(line)
            size += len(line)
            if size >= CHUNK:
                yield b"".join(lines)
                lines, size = [], 0
            if left is not None:
                left -= 1
                if not left:
                    yield b"".join(lines)
                    return
    yield b"".join(lines)


def _wanted(snapshot: Stored, begin: float, end: float, names: Iterable[str] | None) -> Iterator[pa.Table]:
    """Yield the events from ``begin`` on and before ``end`` that have one of some names."""
    files = (table for file in snapshot.files if file.holds_between(begin, end) for table in file.tables())
    before = Duplicates()
    wanted = None if names is None else pa.array(sorted(map(unicode_text, names)), pa.string())
    for table in itertools.chain(files, snapshot.tail()):
        found = of_time(table, begin, end)
        if wanted is not None:
            found = found.filter(pc.is_in(found.column("event"), wanted))
        yield without_repeated(found, before)


def of_time(table: pa.Table, begin: float, end: float) -> pa.Table:
    """Return the events from ``begin`` on and before ``end``, in milliseconds since 1970."""
    times = table.column("time").cast(pa.int64()).to_numpy()
    return table.filter(pa.array((times >= begin) & (times < end)))


def _beginning(day: date, zone: str | None) -> float:
    """Return the first moment of a day in milliseconds since 1970."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC if zone is None else ZoneInfo(zone))
    return midnight.timestamp() * 1000
