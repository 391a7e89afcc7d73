"""A diagram of clusters and a table of their links as one HTML page."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from idmerge._formatting import counted, full, shortened, utc
from idmerge._html import cell, row, table
from idmerge.pages.diagram import svg
from idmerge.pages.document import document_bytes, figure
from idmerge.pages.graph import Role
from idmerge.pages.parts import Bar, bar_chart
from idmerge.pages.tables import MOST_ROWS, count_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from idmerge.outcome import Outcome
    from idmerge.pages.graph import Graph
    from idmerge.recorded import RecordedLink

HEADINGS = ("position", "committed", "kind", "first ID", "second ID", "outcome")


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
    hub, leaves = _star(graph)
    if hub is None:
        yield drawing
    else:
        yield from _summed_up(graph, hub, leaves)
        yield f"<details><summary>The picture, with all {len(graph.nodes):,} IDs</summary>{drawing}</details>"
    yield '<section class="sheet">'
    yield count_line(len(graph.links), "link")
    headings = row(f"<th>{heading}</th>" for heading in HEADINGS)
    rows = (_row(link, rules, is_in_chain=link.position in graph.chain) for link in graph.links[:MOST_ROWS])
    yield from table([headings, *rows], "links")
    yield "</section>"


def _star(graph: Graph) -> tuple[int | None, list[int]]:
    """Return the node with most neighbours that have no other, and these; None if they are few."""
    beside: dict[int, set[int]] = {}
    for edge in graph.edges:
        beside.setdefault(edge.first, set()).add(edge.second)
        beside.setdefault(edge.second, set()).add(edge.first)
    leaves: dict[int, list[int]] = {}
    for node, others in beside.items():
        if len(others) == 1:
            leaves.setdefault(next(iter(others)), []).append(node)
    hub = max(leaves, key=lambda node: len(leaves[node]), default=None)
    return (hub, leaves[hub]) if hub is not None and len(leaves[hub]) >= STAR else (None, [])


def _summed_up(graph: Graph, hub: int, leaves: Sequence[int]) -> Iterator[str]:
    """Yield what the IDs around ``hub`` are, and a chart of when their links were committed."""
    roles = Counter(graph.nodes[leaf].role for leaf in leaves)
    around = " and ".join(f"{count:,} {NOUNS[role]}" for role, count in roles.most_common())
    title = f"{shortened(graph.nodes[hub].text)} and {around}, by the time of their links"
    times = [edge.link.time for edge in graph.edges if hub in {edge.first, edge.second}]
    days = Counter("in no journal" if time is None else f"{time:%Y-%m-%d}" for time in sorted(times, key=str))
    if len(days) > MOST_DAYS:
        days = Counter(
            "in no journal" if time is None else f"{time:%Y-%m}" for time in sorted(times, key=str)
        )
    yield '<div class="charts">'
    yield from bar_chart(title, [Bar(day, count, is_bad=False) for day, count in days.items()], "no links")
    yield "</div>"


def _row(link: RecordedLink, rules: Mapping[Outcome, str], *, is_in_chain: bool) -> str:
    accepted = link.outcome.accepted
    cells = (
        str(link.position),
        utc(link.time),
        link.kind.name.lower(),
        full(link.first),
        full(link.second),
        link.outcome.name if accepted else _rejection(link.outcome, rules),
    )
    mark = "chain" if is_in_chain else "accepted" if accepted else "rejected"
    return row((cell("td", text) for text in cells), mark)


def _rejection(outcome: Outcome, rules: Mapping[Outcome, str]) -> str:
    code = "" if outcome.failure_reason is None else f" ({outcome.failure_reason})"
    return f"{outcome.name}: {rules[outcome]}{code}"
