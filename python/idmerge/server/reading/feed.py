"""The activity feed: the newest events of some people, as Mixpanel's query API has them.

A person's IDs are those of the cluster at the moment. Of each sealed file the rows of these IDs are
read alone, which its index knows; what is not sealed is searched. Time: a look-up a file and an ID,
and some thousands of rows for each place in a file where the IDs are. Memory: twice the limit, and
16 bytes for each event with an insert ID, by which repeated ones are left out.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

import pyarrow as pa
import pyarrow.compute as pc

from idmerge._json_columns import unicode_text
from idmerge._json_decoding import decoded_or_none
from idmerge.errors import MalformedEventError
from idmerge.files.duplicates import Duplicates
from idmerge.server.http.requests import MAX_FIELDS, TooLongError
from idmerge.server.reading.exporting import Days, Stored, days_of, limit_of, of_time
from idmerge.server.reading.shown import shown
from idmerge.server.store.columns import SCHEMA
from idmerge.server.store.index import hashes_of
from idmerge.server.store.sealing import without_repeated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from idmerge.resolver import Resolver
    from idmerge.server.http.requests import Request

MOST_EVENTS = 10_000
"""Events of an answer, at most, and if a request states no limit."""
MOST_IDS = 1000
"""IDs that a request may ask for; those of their clusters are not counted."""
FEED_COLUMNS = [name for name in SCHEMA.names if name != "canonical_id"]
"""The columns of events that are shown."""
_ORDER: Any = [(name, "ascending") for name in ("time", "record", "place")]


class FeedQuery(NamedTuple):
    """The people and the days that are wanted."""

    ids: Sequence[str]
    days: Days | None
    """The days; None for all."""
    limit: int
    """The most events that are wanted."""


def feed_query_of(request: Request) -> FeedQuery:
    """Return what a request wants.

    Raises:
        ValueError: A field is missing or wrong; the text names it.
    """
    ids = decoded_or_none(_long_field(request, "distinct_ids") or "")
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) for one in ids):
        raise ValueError('distinct_ids must be a JSON list of IDs, as in ["ada@example.com"]')
    if len(ids) > MOST_IDS:
        raise ValueError(f"distinct_ids must have at most {MOST_IDS} IDs, got {len(ids)}")
    has_days = request.field("from_date") is not None or request.field("to_date") is not None
    days = days_of(request) if has_days else None
    return FeedQuery(ids, days, limit_of(request, MOST_EVENTS) or MOST_EVENTS)


def _long_field(request: Request, name: str) -> str | None:
    """Return a field of the query, else of the form, however long it is."""
    try:
        for text in (request.query, request.content()):
            fields = parse_qsl(text.decode("latin-1"), max_num_fields=MAX_FIELDS)
            if (found := dict(fields).get(name)) is not None:
                return found
    except (MalformedEventError, TooLongError, ValueError) as error:
        raise ValueError(f"the form is not read: {error}") from None
    return None


def feed(snapshot: Stored, resolver: Resolver, zone: str | None, query: FeedQuery) -> list[dict[str, Any]]:
    """Return the newest events of some people, the newest first.

    Args:
        snapshot: The events of the project.
        resolver: Its resolver.
        zone: Its time zone, in which days begin; None for UTC.
        query: The people and the days that are wanted.
    """
    clusters = [resolver.members(one) if one in resolver else [one] for one in dict.fromkeys(query.ids)]
    ids = list(dict.fromkeys(unicode_text(one) for cluster in clusters for one in cluster))
    tables = _sent_under(snapshot, ids)
    if query.days is not None:
        begin, end = query.days.bounds(zone)
        tables = (of_time(table, begin, end) for table in tables)
    before = Duplicates()
    newest = _newest((without_repeated(table, before) for table in tables), query.limit)
    return list(shown(newest, resolver))[::-1]


def _sent_under(snapshot: Stored, ids: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the events that were sent under some IDs."""
    wanted = pa.array(ids, pa.string())
    hashes = hashes_of(ids)
    sealed = (table for file in snapshot.files for table in file.of(hashes, wanted))
    tail = (table.filter(pc.is_in(table.column("distinct_id"), wanted)) for table in snapshot.tail())
    return (table.select(FEED_COLUMNS) for table in itertools.chain(sealed, tail) if len(table))


def _newest(tables: Iterable[pa.Table], limit: int) -> pa.Table:
    """Return the last events by time, then by the log, in that order."""
    kept: list[pa.Table] = [SCHEMA.empty_table().select(FEED_COLUMNS)]
    for table in tables:
        kept.append(table)
        if sum(map(len, kept)) > 2 * limit:
            kept = [_last(pa.concat_tables(kept), limit)]
    return _last(pa.concat_tables(kept), limit)


def _last(events: pa.Table, limit: int) -> pa.Table:
    order = pc.sort_indices(events, sort_keys=_ORDER)
    return events.take(order[max(0, len(order) - limit) :])
