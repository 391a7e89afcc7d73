"""A diagnosis as one HTML page that needs nothing else.

Every text in it is escaped, and a policy in its head keeps a browser from running or loading anything. Bars
are boxes whose width or height is in their style.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import beginning, counted
from idmerge.doctor.diagnosis import Severity
from idmerge.doctor.style import STYLE
from idmerge.doctor.text import healthy, percent, touched
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from idmerge.doctor.diagnosis import Diagnosis, Example, Finding, Overview

TITLE = "Identity check-up"
SIZES = (1, 2, 3, 5, 10, 20, 50, 100, 250, 500, 1000)
"""Where the bars of the cluster sizes begin."""
MANY = 6
"""Bars beyond which there is no room for their sizes side by side."""
LONG = 10
"""Characters of a number beyond which it is written smaller."""


def page(diagnosis: Diagnosis) -> str:
    """Return ``diagnosis`` as HTML."""
    return "\n".join(_lines(diagnosis)) + "\n"


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    overview = diagnosis.overview
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield (
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{TITLE}</title>"
    yield f"<style>{STYLE}</style>"
    yield "</head>"
    yield "<body>"
    yield "<header>"
    yield f"<h1>{TITLE}</h1>"
    yield f"<p class=sources>{', '.join(map(_text, overview.sources))}</p>"
    yield f"<p class=verdict>{_verdict(diagnosis)}</p>"
    yield "</header>"
    yield "<main>"
    yield from _cards(overview)
    yield '<div class="charts">'
    yield from _outcomes(overview)
    yield from _sizes(overview)
    yield "</div>"
    yield "<h2>Findings</h2>"
    if not diagnosis.findings:
        yield f'<p class="healthy">{escape(healthy(diagnosis))}</p>'
    for finding in diagnosis.findings:
        yield from _finding(finding)
    yield from _not_looked_for(diagnosis)
    yield "</main>"
    yield "</body>"
    yield "</html>"


def _text(text: str) -> str:
    """Return a text that came from outside: shown as it would be printed, and apart from its surroundings."""
    return f"<bdi>{escape(beginning(text))}</bdi>"


def _verdict(diagnosis: Diagnosis) -> str:
    found = Counter(finding.severity for finding in diagnosis.findings)
    if not found:
        return '<span class="pill fine">nothing found</span>'
    return " ".join(
        f'<span class="pill {severity.name.lower()}">{counted(found[severity], severity.name.lower())}</span>'
        for severity in Severity
        if found[severity]
    )


def _cards(overview: Overview) -> Iterator[str]:
    cards = [("events", overview.events), ("IDs", overview.ids), ("clusters", overview.clusters)]
    cards += [("links", overview.links), ("accepted", overview.accepted), ("rejected", overview.rejected)]
    yield '<section class="cards">'
    for label, count in cards:
        share = ""
        if label in ("accepted", "rejected") and overview.links and count is not None:
            share = f"<small>{percent(count / overview.links)} of links</small>"
        number = "&ndash;" if count is None else f"{count:,}"
        long = ' class="long"' if len(number) > LONG else ""
        yield f'<div class="card {label}"><b{long}>{number}</b><span>{label}</span>{share}</div>'
    yield "</section>"


def _outcomes(overview: Overview) -> Iterator[str]:
    yield '<section class="chart">'
    yield "<h2>Links by outcome</h2>"
    most = max(overview.outcomes.values(), default=0)
    if not most:
        yield '<p class="none">no links</p>'
    yield '<div class="rows">'
    for name, count in overview.outcomes.items():
        mark = "good" if Outcome[name].accepted else "bad"
        yield (
            f'<span class="name">{escape(name)}</span>'
            f'<span class="track"><i class="{mark}" style="width:{_percent(count, most)}"></i></span>'
            f'<span class="number">{count:,}</span>'
        )
    yield "</div>"
    yield "</section>"


def _sizes(overview: Overview) -> Iterator[str]:
    yield '<section class="chart">'
    limit = "no limit" if overview.max_cluster_size is None else f"{overview.max_cluster_size:,} IDs allowed"
    yield f"<h2>Clusters by size <small>{limit}</small></h2>"
    bins = _binned(overview.cluster_sizes)
    most = max((count for _, count in bins), default=0)
    if not most:
        yield '<p class="none">no clusters</p>'
        yield "</section>"
        return
    yield f'<div class="columns{" many" if len(bins) > MANY else ""}">'
    for label, count in bins:
        # A cluster of a kind is seen, however many there are of another.
        height = f"max({'3px' if count else '0px'}, {_percent(count, most)})"
        yield (
            f'<div><span class="number">{_short(count)}</span>'
            f'<span class="well"><i style="height:{height}"></i></span>'
            f'<span class="name">{label}</span></div>'
        )
    yield "</div>"
    yield "</section>"


def _binned(sizes: Mapping[int, int]) -> list[tuple[str, int]]:
    """Return the sizes in steps that grow: from the smallest bar to the last that is not empty."""
    largest = max(sizes, default=0)
    starts = [start for start in SIZES if start <= largest]
    bins = []
    for place, start in enumerate(starts):
        end = SIZES[place + 1] - 1 if place + 1 < len(SIZES) else None
        count = sum(count for size, count in sizes.items() if size >= start and (end is None or size <= end))
        label = f"{start:,}+" if end is None else f"{start:,}" if start == end else f"{start:,}&ndash;{end:,}"
        bins.append((label, count))
    return bins


def _percent(count: int, most: int) -> str:
    return f"{100 * count / most:.2f}%" if most else "0"


def _short(count: int) -> str:
    """Return a count that fits over a narrow bar."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.{1 if count < 10 * size else 0}f}{letter}"
    return f"{count:,}"


def _finding(finding: Finding) -> Iterator[str]:
    severity = finding.severity.name.lower()
    yield f'<article class="{severity}" id="{escape(finding.code)}">'
    pill = f'<span class="pill {severity}">{severity}</span>'
    yield f'<p class="head">{pill} <code>{escape(finding.code)}</code></p>'
    yield f"<h3>{escape(finding.title)}</h3>"
    facts = [touched(finding), counted(finding.links, "link") if finding.links else ""]
    if any(facts):
        yield f'<p class="facts">{escape(" · ".join(filter(None, facts)))}</p>'
    if finding.share is not None:
        yield f'<div class="share"><i style="width:{100 * finding.share:.2f}%"></i></div>'
    if finding.examples:
        yield '<ul class="examples">'
        yield from map(_example, finding.examples)
        yield "</ul>"
    yield f'<p class="change"><b>What to change</b> {escape(finding.change)}</p>'
    yield "</article>"


def _example(example: Example) -> str:
    parts: Iterable[str] = (
        "" if example.place is None else f'<span class="place">{_text(example.place)}</span>',
        " ".join(f"<code>{_text(text)}</code>" for text in example.ids),
        f'<span class="note">{escape(example.note)}</span>' if example.note else "",
    )
    return f"<li>{' '.join(filter(None, parts))}</li>"


def _not_looked_for(diagnosis: Diagnosis) -> Iterator[str]:
    if not diagnosis.not_looked_for:
        return
    yield '<section class="missing">'
    yield "<h2>Not looked for</h2>"
    yield "<dl>"
    for missing in diagnosis.not_looked_for:
        yield f"<dt><code>{escape(missing.code)}</code></dt><dd>{escape(missing.reason)}</dd>"
    yield "</dl>"
    yield "</section>"
