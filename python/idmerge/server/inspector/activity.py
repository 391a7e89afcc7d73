"""The feed of a person as HTML: each event with the ID it was sent under, and what became of it."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from idmerge._formatting import counted, cut, full, printable
from idmerge._json_decoding import decoded_or_none
from idmerge.errors import MalformedEventError
from idmerge.events import VERDICTS, Kind, link_of
from idmerge.outcome import Outcome
from idmerge.pages.parts import Tone, pill
from idmerge.pages.rules import RULES
from idmerge.server.inspector.feed import Cursor, Range, feed_of
from idmerge.server.inspector.markup import hidden, id_link, id_text, link, section, url
from idmerge.server.inspector.moments import moment_of, time_html, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from idmerge.events import Link
    from idmerge.policy import Api
    from idmerge.recorded import RecordedLink
    from idmerge.server.inspector.feed import Feed
    from idmerge.server.inspector.visits import Visit

PAGE = 50
"""Events on a page."""
MOST_PROPERTIES = 255
_NOT_SHOWN = frozenset({"token", "distinct_id", "time"})

Equal = tuple[Kind, str | None, str | None]


class Linked(NamedTuple):
    """What is known of the links of a person's cluster."""

    api: Api
    built: Mapping[Equal, RecordedLink]
    """The links that built it."""
    is_together: Callable[[str, str], bool]
    """Returns whether two IDs are one person."""


class _Became(NamedTuple):
    """What became of an identity event."""

    tone: Tone
    word: str
    sentence: str
    """HTML."""


class _Shown(NamedTuple):
    """The state of the section."""

    distinct_id: str
    days: Range
    only: str | None
    """The ID whose events alone are shown; None for all of the person's."""

    def url(self, before: Cursor | None = None) -> str:
        """Return the URL of a page of the feed."""
        first, last = (None if day is None else day.isoformat() for day in self.days)
        place = None if before is None else str(before)
        return (
            url("person", id=self.distinct_id, from_=first, to=last, only=self.only, before=place) + "#feed"
        )


def feed_parts(visit: Visit, ids: Sequence[str], linked: Linked) -> tuple[Feed | None, list[str]]:
    """Return a page of the feed, None if there are no events, and its section as HTML.

    Args:
        visit: The visit to the page of the person.
        ids: The person's IDs.
        linked: What is known of the links.

    Raises:
        LogError: The events are damaged.
        OSError: They cannot be read.
        ValueError: A field of the URL is wrong.
    """
    snapshot = visit.subject.events()
    if snapshot is None:
        return None, []
    query, timezone = visit.query, visit.subject.timezone
    days = Range.of(query.get("from"), query.get("to"))
    before = Cursor.of(query["before"]) if query.get("before") else None
    only = query.get("only")
    shown = _Shown(query["id"], days, only if only in {*ids} else None)
    wanted = ids if shown.only is None else [shown.only]
    feed = feed_of(snapshot, wanted, most=PAGE, before=before, between=days.bounds(timezone))
    content = _content(shown, feed, linked, zone_of(timezone))
    lines = section("Activity", content, name="feed", note=f"times in {timezone or 'UTC'}")
    return feed, [*lines]


def _content(shown: _Shown, feed: Feed, linked: Linked, zone: tzinfo) -> Iterator[str]:
    yield from _range_form(shown)
    if shown.only is not None:
        all_of = link(url("person", id=shown.distinct_id), "Show those of all IDs")
        yield f"<p>Only events that were sent under {id_text(shown.only)}. {all_of}</p>"
    if not feed.total:
        yield f'<p class="empty">No events{" in this range" if feed.all else ""}.</p>'
        return
    yield from _pager(shown, feed, "Newer and older events")
    yield from _events(feed, linked, zone)
    yield from _pager(shown, feed, "Newer and older events, below them")


def _range_form(shown: _Shown) -> Iterator[str]:
    days = shown.days
    yield f'<form class="range" method="get" action="{escape(url("person"))}#feed">'
    yield hidden("id", shown.distinct_id)
    if shown.only is not None:
        yield hidden("only", shown.only)
    for name, label, value in (("from", "From", days.first), ("to", "To", days.last)):
        stated = "" if value is None else f' value="{value.isoformat()}"'
        yield f'<label>{label} <input type="date" name="{name}"{stated}></label>'
    yield '<button class="quiet">Show</button>'
    if days.first is not None or days.last is not None:
        yield link(url("person", id=shown.distinct_id, only=shown.only) + "#feed", "All days")
    yield "</form>"


def _pager(shown: _Shown, feed: Feed, label: str) -> Iterator[str]:
    """Yield which events these are, and links to newer and older ones."""
    count = len(feed.events)
    first, last = feed.place + 1, feed.place + count
    where = f"{first:,}&ndash;{last:,} of {counted(feed.total, 'event')}" if count else "No older events"
    yield f'<nav class="pager" aria-label="{label}"><span>{where}</span>'

    def to(before: Cursor | None, text: str, name: str) -> str:
        target = escape(shown.url(before))
        swap = 'hx-select="#feed" hx-target="#feed" hx-swap="outerHTML show:#feed:top" hx-push-url="true"'
        return f'<a href="{target}" rel="{name}" hx-get="{target}" {swap}>{text}</a>'

    if feed.place > PAGE:
        yield to(None, "Newest", "first")
    if feed.place:
        yield to(feed.newer, "Newer", "prev")
    if feed.older is not None:
        yield to(feed.older, "Older", "next")
        yield to(feed.oldest, "Oldest", "last")
    yield "</nav>"


def _events(feed: Feed, linked: Linked, zone: tzinfo) -> Iterator[str]:
    events = feed.events
    columns = [
        events.column(name).to_pylist()
        for name in (
            "event",
            "distinct_id",
            "source",
            "outcome",
            "properties",
            "insert_id",
            "record",
            "place",
        )
    ]
    times = [events.column(name).cast(pa.int64()).to_pylist() for name in ("time", "received")]
    rows = [_Row(*values) for values in zip(*columns, *times, strict=True)]
    joined = _joining(rows, linked)
    day: str | None = None
    for place, row in enumerate(rows):
        moment = moment_of(row.time, zone)
        own_day = "(no day of a calendar)" if moment is None else moment.strftime("%A, %Y-%m-%d")
        if own_day != day:
            if day is not None:
                yield "</ol>"
            day = own_day
            yield f'<h3 class="day">{escape(own_day)}</h3><ol class="events">'
        yield from _event(row, _became(row, linked, joined.get(place)), zone)
    yield "</ol>"


class _Row(NamedTuple):
    event: str | None
    distinct_id: str | None
    source: str
    outcome: str | None
    properties: str
    insert_id: str | None
    record: int
    place: int
    time: int
    received: int

    @property
    def stated(self) -> dict[str, Any]:
        found = decoded_or_none(self.properties)
        return found if isinstance(found, dict) else {}

    def link(self, api: Api) -> Link | None:
        source: Any = self.source
        try:
            return link_of({"event": self.event, "properties": self.stated}, source, api)
        except MalformedEventError:
            return None


def _joining(rows: Sequence[_Row], linked: Linked) -> dict[int, RecordedLink]:
    """Return the links that joined IDs, by the rows of the events that stated them.

    Of equal events the first one did, and it had come before the link was committed.
    """
    first: dict[int, tuple[tuple[int, int], int, RecordedLink]] = {}
    for number, row in enumerate(rows):
        stated = None if row.outcome is not None else row.link(linked.api)
        built = None if stated is None else linked.built.get((stated.kind, stated.first, stated.second))
        if built is None or (built.time is not None and row.received > built.time.timestamp() * 1000 + 1):
            continue
        place = (row.record, row.place)
        if built.position not in first or place < first[built.position][0]:
            first[built.position] = (place, number, built)
    return {number: built for _, number, built in first.values()}


def _became(row: _Row, linked: Linked, joined: RecordedLink | None) -> _Became | None:
    """Return what became of an identity event; None for an ordinary one."""
    if row.outcome is not None:
        outcome = Outcome[row.outcome]
        reason = outcome.failure_reason or next(
            (str(row.stated[key]) for key in VERDICTS if row.stated.get(key)), ""
        )
        code = f" <code>{escape(full(reason))}</code>" if reason else ""
        return _Became("error", outcome.name, f"Refused: {escape(RULES[outcome])}{code}")
    stated = row.link(linked.api)
    if stated is None:
        return None
    ends = f"{id_link(stated.first)} and {id_link(stated.second)}"
    if joined is not None:
        return _Became("fine", "MERGED", f"Joined {ends}, at position {joined.position:,}")
    if linked.is_together(stated.first, stated.second):
        if stated.kind is Kind.ASSOCIATION:
            return None  # Each event behind a login is one.
        return _Became("note", "UNCHANGED", f"{ends} were together already")
    return _Became("warning", "apart", f"{ends} are apart: it was taken back, or is not applied yet")


def _event(row: _Row, became: _Became | None, zone: tzinfo) -> Iterator[str]:
    name = "(no name)" if row.event is None else cut(printable(row.event))
    pills = "" if became is None else pill(became.tone, became.word)
    sender = "no ID" if row.distinct_id is None else id_link(row.distinct_id)
    yield "<li>"
    yield f'<div class="event">{time_html(moment_of(row.time, zone), "%H:%M:%S")}'
    yield f"<span><b><bdi>{escape(name)}</bdi></b> {pills}</span>"
    yield f'<span class="sender">as {sender}</span></div>'
    if became is not None:
        yield f'<p class="became">{became.sentence}</p>'
    yield from _properties(row, zone)
    yield "</li>"


def _properties(row: _Row, zone: tzinfo) -> Iterator[str]:
    shown = [(key, value) for key, value in row.stated.items() if key not in _NOT_SHOWN]
    yield f"<details><summary>{counted(len(shown), 'property', 'properties')}</summary>"
    yield from values_list(shown[:MOST_PROPERTIES])
    received = time_html(moment_of(row.received, zone))
    yield f'<p class="soft">received {received} by {escape(row.source)}</p></details>'


def values_list(values: Sequence[tuple[str, Any]]) -> Iterator[str]:
    """Yield names with values of JSON."""
    yield '<dl class="values">'
    for key, value in values:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield (
            f"<dt><bdi>{escape(cut(printable(key)))}</bdi></dt>"
            f"<dd><bdi>{escape(cut(printable(text)))}</bdi></dd>"
        )
    yield "</dl>"
