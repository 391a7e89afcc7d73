"""A diagnosis as an HTML page; `idmerge.pages` has its look."""

from __future__ import annotations

from collections import Counter
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from idmerge._formatting import counted
from idmerge.doctor.findings import Severity
from idmerge.doctor.text import healthy, percent, touched
from idmerge.outcome import Outcome
from idmerge.pages.document import document
from idmerge.pages.parts import Bar, Bin, Card, bar_chart, cards, histogram, isolated, pill, share_bar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from idmerge.doctor.findings import Example, Finding, NotLookedFor, Overview
    from idmerge.pages.parts import Tone

TITLE = "Identity check-up"
SIZES = (1, 2, 3, 5, 10, 20, 50, 100, 250, 500, 1000)
"""The smallest cluster of each column."""
TONES: dict[Severity, Tone] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "note",
}


def html(overview: Overview, findings: Sequence[Finding], not_looked_for: Sequence[NotLookedFor]) -> str:
    """Return a diagnosis as HTML."""
    header = (
        f"<p class=sources>{', '.join(map(isolated, overview.sources))}</p>",
        f"<p class=verdict>{verdict(findings)}</p>",
    )
    return "\n".join(document(TITLE, main(overview, findings, not_looked_for), header=header)) + "\n"


def main(
    overview: Overview, findings: Sequence[Finding], not_looked_for: Sequence[NotLookedFor]
) -> Iterator[str]:
    """Yield a diagnosis as HTML, for a part of a page."""
    yield from cards(_cards(overview))
    yield '<div class="charts">'
    outcomes = [
        Bar(name, count, is_bad=not Outcome[name].accepted) for name, count in overview.outcomes.items()
    ]
    yield from bar_chart("Links by outcome", outcomes, "no links")
    limit = "no limit" if overview.max_cluster_size is None else f"{overview.max_cluster_size:,} IDs allowed"
    yield from histogram("Clusters by size", limit, _bins(overview.cluster_sizes), "no clusters")
    yield "</div>"
    yield "<h2>Findings</h2>"
    if not findings:
        yield f'<p class="healthy">{escape(healthy(overview))}</p>'
    for finding in findings:
        yield from _finding(finding)
    yield from _not_looked_for(not_looked_for)


def verdict(findings: Sequence[Finding]) -> str:
    """Return the number of findings of each severity as HTML."""
    found = Counter(finding.severity for finding in findings)
    if not found:
        return pill("fine", "nothing found")
    return " ".join(
        pill(TONES[severity], counted(found[severity], TONES[severity]))
        for severity in Severity
        if found[severity]
    )


def _cards(overview: Overview) -> Iterator[Card]:
    yield Card("events", overview.events)
    yield Card("IDs", overview.ids)
    yield Card("clusters", overview.clusters)
    yield Card("links", overview.links)
    for label, count in (("accepted", overview.accepted), ("rejected", overview.rejected)):
        share = f"{percent(count / overview.links)} of links" if overview.links else ""
        yield Card(label, count, share)


def _bins(sizes: Mapping[int, int]) -> list[Bin]:
    """Return the sizes in steps that grow, up to the last that is not empty."""
    largest = max(sizes, default=0)
    bins = []
    for first, after in pairwise((*SIZES, None)):
        if first is None or first > largest:
            break
        last = None if after is None else after - 1
        inside = (size for size in sizes if size >= first and (last is None or size <= last))
        bins.append(Bin(first, last, sum(sizes[size] for size in inside)))
    return bins


def _finding(finding: Finding) -> Iterator[str]:
    tone = TONES[finding.severity]
    yield f'<article class="{tone}" id="{escape(finding.code)}">'
    yield f'<p class="head">{pill(tone, tone)} <code>{escape(finding.code)}</code></p>'
    yield f"<h3>{escape(finding.title)}</h3>"
    facts = [touched(finding), counted(finding.links, "link") if finding.links else ""]
    if any(facts):
        yield f'<p class="facts">{escape(" · ".join(filter(None, facts)))}</p>'
    if finding.share is not None:
        yield share_bar(finding.share)
    if finding.examples:
        yield '<ul class="examples">'
        yield from map(_example, finding.examples)
        yield "</ul>"
    yield f'<p class="change"><b>What to change</b> {escape(finding.change)}</p>'
    yield "</article>"


def _example(example: Example) -> str:
    parts: Iterable[str] = (
        "" if example.place is None else f'<span class="place">{isolated(example.place)}</span>',
        " ".join(f"<code>{isolated(text)}</code>" for text in example.ids),
        f'<span class="note">{escape(example.note)}</span>' if example.note else "",
    )
    return f"<li>{' '.join(filter(None, parts))}</li>"


def _not_looked_for(not_looked_for: Sequence[NotLookedFor]) -> Iterator[str]:
    if not not_looked_for:
        return
    yield '<section class="missing">'
    yield "<h2>Not looked for</h2>"
    yield "<dl>"
    for missing in not_looked_for:
        yield f"<dt><code>{escape(missing.code)}</code></dt><dd>{escape(missing.reason)}</dd>"
    yield "</dl>"
    yield "</section>"
