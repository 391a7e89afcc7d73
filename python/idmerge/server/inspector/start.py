"""The start page: numbers, links by day, the largest people, and what the doctor has found."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import counted
from idmerge.outcome import Outcome
from idmerge.pages.bars import BarChart, Series
from idmerge.pages.parts import Card, cards, pill, share_bar
from idmerge.pages.rules import RULES
from idmerge.pages.series import series_chart
from idmerge.server.inspector.checkup import brief
from idmerge.server.inspector.frame import framed
from idmerge.server.inspector.markup import id_link, link, section, table, url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.outcome import Stats
    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.overview import Seen
    from idmerge.server.inspector.visits import Visit

MOST_DAYS = 60
"""Days of the chart, the last ones that have links."""
LARGEST = 10
"""People that are listed by their size."""


ACCEPTED = {Outcome.MERGED: "two people are one now", Outcome.UNCHANGED: "both IDs were one person already"}


def page(visit: Visit) -> Answer:
    """Return the start page."""
    subject = visit.subject
    resolver = subject.resolver()
    stats, largest = resolver.stats(), subject.overview.largest(resolver, LARGEST)
    seen = subject.overview.read_on(resolver)
    limit = resolver.policy.max_cluster_size
    main = _main(stats, largest, seen, resolver.position, limit)
    return framed(visit, "Who is who", (*main, *_check_up(visit)))


def _check_up(visit: Visit) -> Iterator[str]:
    if visit.check_up is not None:
        yield from section("Check-up", brief(visit.check_up), name="check-up")


def _main(
    stats: Stats, largest: Sequence[tuple[str, int]], seen: Seen, position: int, limit: int | None
) -> Iterator[str]:
    refused = sum(count for outcome, count in stats.outcomes.items() if not outcome.accepted)
    yield from cards(
        (
            Card("IDs", stats.ids),
            Card("people", stats.clusters, "those of one ID too"),
            Card("people of several IDs", stats.clusters - stats.cluster_sizes.get(1, 0)),
            Card("links", sum(stats.outcomes.values())),
            Card("refused links", refused),
            Card("people near the limit", None if limit is None else stats.near_limit, _limit_note(limit)),
        )
    )
    yield from section("Links by day", _chart(seen, position), name="days", note=_as_of(seen, position))
    yield '<div class="beside even"><div>'
    yield from section("Outcomes", _outcomes(stats), name="outcomes")
    yield "</div><div>"
    yield from section("Largest people", _largest(largest, limit), name="largest")
    yield "</div></div>"


def _limit_note(limit: int | None) -> str:
    return "no limit" if limit is None else f"90 % of {limit:,} IDs"


def _as_of(seen: Seen, position: int) -> str:
    if seen.is_whole:
        return f"as of position {position:,}"
    return f"as of position {seen.position:,} of {position:,}; the rest is being read"


def _chart(seen: Seen, position: int) -> Iterator[str]:
    target = url("")
    more = f' hx-get="{target}" hx-trigger="load delay:300ms" hx-select="#chart" hx-swap="outerHTML"'
    yield f'<div id="chart"{"" if seen.is_whole else more}>'
    days = [*seen.days][-MOST_DAYS:]
    if not days:
        yield '<p class="empty">No links yet.</p></div>'
        return
    accepted, refused = (
        [sum(n for outcome, n in seen.days[day].items() if outcome.accepted is wanted) for day in days]
        for wanted in (True, False)
    )
    series = [
        Series(label, suffix, counts, [f"{count:,}" for count in counts])
        for label, suffix, counts in (("accepted", "-a", accepted), ("refused", "-r", refused))
    ]
    yield from series_chart(BarChart("Links by day", [f"{day}" for day in days], series, len(days), days))
    if not seen.is_whole:
        yield f'<p class="soft">{_as_of(seen, position)}</p>'
    yield "</div>"


def _outcomes(stats: Stats) -> Iterator[str]:
    if not stats.outcomes:
        yield '<p class="empty">No links yet.</p>'
        return
    rows = (
        [
            pill("fine" if outcome.accepted else "error", outcome.name),
            f'<span class="number">{count:,}</span>',
            escape(RULES.get(outcome) or ACCEPTED[outcome]),
        ]
        for outcome, count in sorted(stats.outcomes.items())
    )
    yield from table("Links by outcome", ["outcome", "links", "why"], rows)
    yield f"<p>{link(url('live', refused='1'), 'The newest refused links')}</p>"


def _largest(largest: Sequence[tuple[str, int]], limit: int | None) -> Iterator[str]:
    if not largest or largest[0][1] == 1:
        yield '<p class="empty">Nobody has several IDs yet.</p>'
        return

    def rows() -> Iterator[list[str]]:
        for canonical, size in largest:
            share = "" if limit is None else share_bar(min(1.0, size / limit))
            kind = "warning" if limit is not None and size * 10 >= limit * 9 else "note"
            yield [id_link(canonical), f'<span class="near {kind}">{counted(size, "ID")}{share}</span>']

    yield from table("The people with most IDs", ["person", "IDs"], rows())
