"""A diagram of clusters and a table of their links as one HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import full, utc
from idmerge.pages.diagram import svg
from idmerge.pages.document import document_bytes, figure
from idmerge.pages.tables import MOST_ROWS, cell, count_line, row, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from idmerge.outcome import Outcome
    from idmerge.pages.graph import Graph
    from idmerge.recorded import RecordedLink

HEADINGS = ("position", "committed", "kind", "first ID", "second ID", "outcome")


def page(graph: Graph, rules: Mapping[Outcome, str]) -> bytes:
    """Return ``graph`` as HTML; ``rules`` are the reasons of the outcomes that reject a link.

    Raises:
        MissingExtraError: matplotlib or scipy is not installed.
    """
    return document_bytes(graph.title, _main(graph, rules), is_wide=True)


def _main(graph: Graph, rules: Mapping[Outcome, str]) -> Iterator[str]:
    yield figure(svg(graph))
    yield count_line(len(graph.links), "link")
    headings = row(f"<th>{heading}</th>" for heading in HEADINGS)
    rows = (_row(link, rules, is_in_chain=link.position in graph.chain) for link in graph.links[:MOST_ROWS])
    yield from table([headings, *rows], "links")


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
