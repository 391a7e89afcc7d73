"""A diagram of clusters and a table of their links as one HTML page."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from idmerge._formatting import counted, full, shortened, utc
from idmerge._html import cell, row, table
from idmerge.pages.diagram import svg
from idmerge.pages.document import document_bytes, figure
from idmerge.pages.graph import Role, role_of
from idmerge.pages.parts import Bar, bar_chart
from idmerge.pages.tables import MOST_ROWS, count_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from idmerge.outcome import Outcome
    from idmerge.pages.graph import Graph
    from idmerge.recorded import RecordedLink

HEADINGS = ("position", "committed", "kind", "first ID", "second ID", "outcome")
EVENT_HEADINGS = ("event time", "source")
"""Those of a further two columns, where they are known of some link."""


NOUNS = {
    Role.IDENTIFIED: "identified IDs",
    Role.ANONYMOUS: "devices",
    Role.ALIAS: "aliases",
    Role.OTHER: "other IDs",
    Role.FORGOTTEN: "forgotten IDs",
}
STAR = 40
"""IDs with one link each, to the same other ID, from which on they are summed up."""
MOST_DAYS = 31
"""Days of a chart; of more, the months."""


def page(graph: Graph, rules: Mapping[Outcome, str]) -> bytes:
    """Return ``graph`` as HTML; ``rules`` are the reasons of the outcomes that reject a link.

    Raises:
        MissingExtraError: matplotlib or scipy is not installed.
    """
    return document_bytes(graph.title, _main(graph, rules), about=_about(graph))


def _about(graph: Graph) -> str:
    """Return the number of IDs and links, and when these were committed."""
    rejected = sum(not link.outcome.accepted for link in graph.links)
    ids = counted(len(graph.nodes) + graph.hidden, "ID")
    links = counted(len(graph.links), "link")
    parts = [*([] if ids in graph.title else [ids]), links]
    if rejected:
        parts[-1] += f", {rejected:,} of them rejected"
    times = sorted(link.time for link in graph.links if link.time is not None)
    if times:
        first, last = utc(times[0]), utc(times[-1])
        parts.append(f"committed {first}" if first == last else f"committed {first} to {last}")
    return " · ".join([*parts, *(f"drawn without {left_out}" for left_out in graph.left_out)])


def _main(graph: Graph, rules: Mapping[Outcome, str]) -> Iterator[str]:
    drawing = figure(svg(graph, has_title=False))
    star = _star(graph)
    if star is None:
        yield drawing
    else:
        yield from _summed_up(graph, *star)
        drawn, ids = len(graph.nodes), len(graph.nodes) + graph.hidden
        of = f"all {ids:,}" if drawn == ids else f"{drawn:,} of {ids:,}"
        yield f"<details><summary>The picture, with {of} IDs</summary>{drawing}</details>"
    yield '<section class="sheet">'
    yield count_line(len(graph.links), "link")
    links = graph.links[:MOST_ROWS]
    with_events = any(link.event_time is not None or link.origin is not None for link in links)
    headings = row(f"<th>{heading}</th>" for heading in HEADINGS + EVENT_HEADINGS * with_events)
    rows = (
        _row(link, rules, is_in_chain=link.position in graph.chain, with_event=with_events) for link in links
    )
    yield from table([headings, *rows], "links")
    yield "</section>"


def _star(graph: Graph) -> tuple[str, list[RecordedLink]] | None:
    """Return the ID with most others that one link alone joins, and these links; None if few."""
    beside: dict[str | None, list[RecordedLink]] = {}
    for link in graph.links:
        if link.outcome.accepted:
            for end in {link.first, link.second}:
                beside.setdefault(end, []).append(link)
    arms: dict[str | None, list[RecordedLink]] = {}
    for end, links in beside.items():
        if end is not None and len(links) == 1:
            hub = links[0].second if links[0].first == end else links[0].first
            arms.setdefault(hub, []).append(links[0])
    hub = max(arms, key=lambda end: len(arms[end]), default=None)
    return None if hub is None or len(arms[hub]) < STAR else (hub, arms[hub])


def _summed_up(graph: Graph, hub: str, arms: Sequence[RecordedLink]) -> Iterator[str]:
    """Yield what the IDs around ``hub`` are, and a chart of when their links were committed."""
    ends = (link.second if link.first == hub else link.first for link in arms)
    roles = Counter(role_of(end, graph.roles) for end in ends if end is not None)
    around = " and ".join(f"{count:,} {NOUNS[role]}" for role, count in roles.most_common())
    title = f"{shortened(hub)} and {around}, by the time of their links"
    times = sorted((link.time for link in arms), key=str)
    days = Counter("in no journal" if time is None else f"{time:%Y-%m-%d}" for time in times)
    if len(days) > MOST_DAYS:
        days = Counter("in no journal" if time is None else f"{time:%Y-%m}" for time in times)
    yield '<div class="charts">'
    yield from bar_chart(title, [Bar(day, count, is_bad=False) for day, count in days.items()], "no links")
    yield "</div>"


def _row(link: RecordedLink, rules: Mapping[Outcome, str], *, is_in_chain: bool, with_event: bool) -> str:
    accepted = link.outcome.accepted
    cells: tuple[str, ...] = (
        str(link.position),
        utc(link.time),
        link.kind.name.lower(),
        full(link.first),
        full(link.second),
        link.outcome.name if accepted else _rejection(link.outcome, rules),
    )
    if with_event:
        time = "" if link.event_time is None else utc(link.event_time)
        cells += (time, "" if link.origin is None else full(link.origin))
    mark = "chain" if is_in_chain else "accepted" if accepted else "rejected"
    return row((cell("td", text) for text in cells), mark)


def _rejection(outcome: Outcome, rules: Mapping[Outcome, str]) -> str:
    code = "" if outcome.failure_reason is None else f" ({outcome.failure_reason})"
    return f"{outcome.name}: {rules[outcome]}{code}"
