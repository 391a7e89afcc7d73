"""The feed of one person in pages: the events under all of the IDs, the newest first.

First only what orders events is read of each, and then the whole of those on the page. So a page
far back costs what the first one costs. Time: some columns of the person's events, of which the
index of each sealed file knows the rows, and some thousands of rows for each place where events of
the page are. Memory: some 100 bytes for each event of the person.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from idmerge._json_columns import unicode_text
from idmerge.files.duplicates import Duplicates
from idmerge.server.store.columns import SCHEMA
from idmerge.server.store.index import hashes_of
from idmerge.server.store.sealing import without_repeated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idmerge.server.reading.exporting import Stored

ORDERING = ["event", "time", "distinct_id", "insert_id", "record", "place"]
"""The columns by which events are ordered, and repeated ones are found."""
SHOWN = [name for name in SCHEMA.names if name != "canonical_id"]
_KEYS: Any = [(name, "descending") for name in ("time", "record", "place")]


class Cursor(NamedTuple):
    """An event's place in a feed: its time, and its place in the log."""

    time: int
    record: int
    place: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the place that a URL states.

        Raises:
            ValueError: It states none.
        """
        parts = text.split(".")
        if len(parts) != len(cls._fields) or not all(_is_number(part) for part in parts):
            raise ValueError(f"before must be a place in the feed, got {text!r:.100}")
        return cls(*map(int, parts))

    def __str__(self) -> str:
        """Return the place as a URL states it."""
        return ".".join(map(str, self))


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 18  # noqa: PLR2004 - 64 bits


class Range(NamedTuple):
    """A range of days in a project's time zone."""

    first: date | None
    """The first day; None for no bound."""
    last: date | None
    """The last day, which is within; likewise."""

    @classmethod
    def of(cls, first: str | None, last: str | None) -> Self:
        """Return the range that two fields state, each of which may be missing or empty.

        Raises:
            ValueError: One is no day, or the last day is before the first one.
        """
        found = cls(_day("from", first), _day("to", last))
        if found.first is not None and found.last is not None and found.first > found.last:
            raise ValueError(f"the range ends on {found.last}, before it begins on {found.first}")
        return found

    def bounds(self, zone: str | None) -> tuple[int, int]:
        """Return the milliseconds since 1970 with which the range begins, and those behind it."""
        begin = -(2**62) if self.first is None else _midnight(self.first, zone)
        end = 2**62
        if self.last is not None and self.last < date.max:
            end = _midnight(self.last + timedelta(days=1), zone)
        return begin, end


def _day(name: str, text: str | None) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} must be a day as 2026-11-30, got {text!r:.100}") from None


def _midnight(day: date, zone: str | None) -> int:
    moment = datetime.combine(day, time(), ZoneInfo(zone) if zone else UTC)
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


class Feed(NamedTuple):
    """A page of a feed."""

    events: pa.Table
    """The events of the page with the columns `SHOWN`, the newest first."""
    total: int
    """The number of events in the range."""
    place: int
    """The number of events in the range that are newer than the page's."""
    all: int
    """The number of the person's events."""
    seen: Mapping[str, tuple[int, int]]
    """The first and the last time of an event of each ID, in milliseconds since 1970."""
    newer: Cursor | None
    """The cursor of the page before; None if that is the first one, or there is none."""
    older: Cursor | None
    """The cursor of the next page; None if there is none."""
    oldest: Cursor | None
    """The cursor of the last page; likewise."""


def feed_of(
    snapshot: Stored,
    ids: Sequence[str],
    *,
    most: int,
    before: Cursor | None = None,
    between: tuple[int, int] | None = None,
) -> Feed:
    """Return a page of the feed of a person.

    Args:
        snapshot: The events.
        ids: The person's IDs.
        most: The most events on the page.
        before: The place of the event behind which the page begins; None for the newest.
        between: The range of times in milliseconds; None for all.
    """
    light, tail = _ordered(snapshot, ids)
    seen = _seen(light)
    count = len(light)
    if between is not None:
        times = light.column("time").cast(pa.int64())
        since, until = (pa.scalar(one, pa.int64()) for one in between)
        light = light.filter(pc.and_(pc.greater_equal(times, since), pc.less(times, until)))
    order = pc.sort_indices(light, sort_keys=_KEYS)
    start = 0 if before is None else _behind(light, before)
    chosen = light.take(order.slice(start, most))

    def cursor(number: int) -> Cursor | None:
        """Return the cursor of the page that begins with the event of this number."""
        if not 0 < number < len(light):
            return None
        row = order[number - 1].as_py()
        return Cursor(*(light.column(name).cast(pa.int64())[row].as_py() for name in Cursor._fields))

    end = start + len(chosen)
    return Feed(
        events=_whole(snapshot, chosen, tail),
        total=len(light),
        place=start,
        all=count,
        seen=seen,
        newer=cursor(start - most),
        older=cursor(end),
        oldest=cursor(len(light) - most) if end < len(light) else None,
    )


def _ordered(snapshot: Stored, ids: Sequence[str]) -> tuple[pa.Table, list[pa.Table]]:
    """Return what orders the events of a person, and the tables that are in no file.

    The columns ``file`` and ``row`` say where each event is; the files come first, and then the
    tables of the tail.
    """
    names = [unicode_text(one) for one in ids]
    wanted, hashes = pa.array(names, pa.string()), hashes_of(names)
    before = Duplicates()
    found: list[pa.Table] = []

    def add(number: int, table: pa.Table) -> None:
        if len(table):
            place = pa.array(np.full(len(table), number, np.int32))
            columns = [*ORDERING, "row", "file"]
            placed = table.append_column("file", place).select(columns)
            found.append(without_repeated(placed, before))

    for number, file in enumerate(snapshot.files):
        for table in file.rows_of(hashes, wanted, ORDERING):
            add(number, table)
    tail: list[pa.Table] = []
    for table in snapshot.tail():
        own = table.filter(pc.is_in(table.column("distinct_id"), wanted))
        add(
            len(snapshot.files) + len(tail),
            own.append_column("row", pa.array(np.arange(len(own), dtype=np.int64))),
        )
        tail.append(own)
    fields = [SCHEMA.field(name) for name in ORDERING]
    schema = pa.schema([*fields, pa.field("row", pa.int64()), pa.field("file", pa.int32())])
    return pa.concat_tables([schema.empty_table(), *found]).combine_chunks(), tail


def _seen(light: pa.Table) -> dict[str, tuple[int, int]]:
    grouped = light.select(["distinct_id", "time"]).group_by("distinct_id").aggregate([("time", "min_max")])
    spans: Any = grouped.column("time_min_max").combine_chunks()
    first, last = (spans.field(name).cast(pa.int64()).to_pylist() for name in ("min", "max"))
    senders: Any = grouped.column("distinct_id").to_pylist()
    return dict(zip(senders, zip(first, last, strict=True), strict=True))


def _behind(light: pa.Table, before: Cursor) -> int:
    """Return how many events are up to the place ``before``."""
    columns = (light.column("time").cast(pa.int64()), light.column("record"), light.column("place"))
    time_, record, place = (column.to_numpy() for column in columns)
    is_newer = (
        (time_ > before.time)
        | ((time_ == before.time) & (record > before.record))
        | ((time_ == before.time) & (record == before.record) & (place >= before.place))
    )
    return int(is_newer.sum())


def _whole(snapshot: Stored, chosen: pa.Table, tail: Sequence[pa.Table]) -> pa.Table:
    """Return the whole of some events, in their order."""
    tables = [SCHEMA.empty_table().select(SHOWN)]
    files, rows = chosen.column("file").to_numpy(), chosen.column("row").to_numpy()
    places = []
    for number in np.unique(files).tolist():
        at = np.flatnonzero(files == number)
        at = at[np.argsort(rows[at], kind="stable")]
        is_sealed = number < len(snapshot.files)
        own = (
            snapshot.files[number].at(rows[at])
            if is_sealed
            else tail[number - len(snapshot.files)].take(pa.array(rows[at]))
        )
        tables.append(own.select(SHOWN))
        places.append(at)
    found = pa.concat_tables(tables)
    back: Any = pa.array(np.argsort(np.concatenate([np.array([], np.int64), *places]), kind="stable"))
    return found.take(back)
