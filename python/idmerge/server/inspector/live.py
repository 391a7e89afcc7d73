"""Links as they come, the newest first, each with its outcome."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import counted
from idmerge.outcome import Outcome
from idmerge.pages.parts import pill
from idmerge.pages.rules import RULES
from idmerge.server.http.answers import Answer
from idmerge.server.inspector.frame import HEADERS, framed
from idmerge.server.inspector.markup import id_link, link, section, table, url
from idmerge.server.inspector.moments import time_html, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from idmerge.journal import DurableResolver
    from idmerge.pages.parts import Tone
    from idmerge.recorded import RecordedLink
    from idmerge.server.inspector.visits import Visit

MOST = 50
"""Links that are shown."""
POLL_SECONDS = 2
BATCHES_AT_ONCE = 16
TONES: dict[Outcome, Tone] = {Outcome.MERGED: "fine", Outcome.UNCHANGED: "note"}
"""The colours of outcomes; those of all others are an error's."""


def page(visit: Visit) -> Answer:
    """Return the newest links, or that there are none beyond those that are shown."""
    resolver = visit.subject.resolver()
    position = resolver.position
    only_refused = visit.query.get("refused") == "1"
    # Refused links are read on for a while by each question: what is shown may be behind.
    shown = visit.subject.overview.read_on(resolver).position if only_refused else position
    if visit.is_of_htmx and visit.query.get("since") == str(shown):
        return Answer(204, b"", headers=HEADERS)
    return framed(visit, "Live", _main(visit, resolver, position, shown))


def newest_links(resolver: DurableResolver, most: int) -> list[RecordedLink]:
    """Return the newest links, as they were judged when they came, the newest first."""
    found: list[RecordedLink] = []
    end = resolver.batch_count
    while end > 0 and len(found) < most:
        start = max(0, end - BATCHES_AT_ONCE)
        for batch in reversed(resolver.judged_links(start, end, most=most)):
            found += reversed(batch.links)
        end = start
    return found[:most]


def outcome_html(link: RecordedLink) -> str:
    """Return the outcome of a link, with the reason of a refusal."""
    tone = TONES.get(link.outcome, "error")
    shown = pill(tone, link.outcome.name)
    return (
        shown if link.outcome.accepted else f'{shown} <span class="soft">{escape(RULES[link.outcome])}</span>'
    )


def _main(visit: Visit, resolver: DurableResolver, position: int, shown: int) -> Iterator[str]:
    only_refused, is_paused = visit.query.get("refused") == "1", visit.query.get("paused") == "1"
    links = visit.subject.overview.newest_refused(MOST) if only_refused else newest_links(resolver, MOST)
    refused, paused = ("1" if one else None for one in (only_refused, is_paused))
    poll = url("live", refused=refused, since=shown)
    swap = f'hx-get="{escape(poll)}" hx-trigger="every {POLL_SECONDS}s" hx-select="#live" hx-swap="outerHTML"'
    yield f'<div id="live"{"" if is_paused else f" {swap}"}>'
    yield '<p class="choices">'
    yield _choice("All links", url("live", paused=paused), is_chosen=not only_refused)
    yield _choice("Refused ones", url("live", paused=paused, refused="1"), is_chosen=only_refused)
    go_on = url("live", refused=refused)
    yield link(go_on, "Go on") if is_paused else link(url("live", refused=refused, paused="1"), "Pause")
    yield f'<span class="soft">{counted(position, "link or act", "links and acts")} so far</span></p>'
    if shown < position:
        yield f'<p class="soft">As of position {shown:,}; the rest is being read.</p>'
    yield from section(
        "Newest links", _links(links, resolver, zone_of(visit.subject.timezone)), name="newest"
    )
    yield "</div>"


def _choice(label: str, target: str, *, is_chosen: bool) -> str:
    return f'<b aria-current="true">{label}</b>' if is_chosen else link(target, label)


def _links(links: Sequence[RecordedLink], resolver: DurableResolver, zone: tzinfo) -> Iterator[str]:
    if not links:
        yield '<p class="empty">No links yet.</p>'
        return

    def ends(one: RecordedLink) -> list[str]:
        texts = (one.first, one.second)
        return [id_link(end if end is not None and end in resolver else None) for end in texts]

    rows = (
        [
            f'<span class="nowrap">{time_html(one.time and one.time.astimezone(zone))}</span>',
            escape(one.kind.name.lower()),
            *ends(one),
            outcome_html(one),
            f"{one.position:,}",
        ]
        for one in links
    )
    yield from table(
        "Newest links", ["committed", "kind", "first ID", "second ID", "outcome", "position"], rows
    )
