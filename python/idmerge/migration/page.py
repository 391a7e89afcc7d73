"""A report on a migration as an HTML page; `idmerge.pages` has its look."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import counted
from idmerge.migration.text import NOTHING, facts_of, percent, shown_of
from idmerge.pages.document import document
from idmerge.pages.parts import Bar, Card, bar_chart, cards, isolated, pill, share_bar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from idmerge.migration.facts import ClusterExample, Facts
    from idmerge.pages.parts import Tone

TITLE = "Migration to Simplified ID Merge"


def html(report: Facts) -> str:
    """Return a report as HTML."""
    header = (
        f"<p class=sources>{', '.join(map(isolated, report.sources))}</p>",
        f"<p class=verdict>{_verdict(report)}</p>",
    )
    return "\n".join(document(TITLE, _main(report), header=header)) + "\n"


def _verdict(report: Facts) -> str:
    if not report.events and not report.ids:
        return pill("note", NOTHING)
    pills = [pill("fine" if report.recovery == 1 else "warning", f"recovery {percent(report.recovery)}")]
    if report.ambiguous:
        pills.append(pill("warning", counted(report.ambiguous, "ambiguous cluster")))
    if report.anonymous_only:
        pills.append(pill("note", f"{report.anonymous_only:,} anonymous only"))
    return " ".join(pills)


def _main(report: Facts) -> Iterator[str]:
    yield from cards(_cards(report))
    yield '<div class="charts">'
    bars = [
        Bar("one user", report.resolved - report.ambiguous, is_bad=False),
        Bar("several users", report.ambiguous, is_bad=True),
        Bar("anonymous only", report.anonymous_only, is_bad=True),
    ]
    bars = [bar for bar in bars if bar.count]
    yield from bar_chart("Clusters by class", bars, "no clusters of two IDs or more")
    refused = [
        bar
        for each in report.refused
        for bar in (
            Bar(f"{each.reason}, recovered", each.recovered, is_bad=False),
            Bar(f"{each.reason}, not recovered", each.links - each.recovered, is_bad=True),
        )
        if bar.count
    ]
    yield from bar_chart("Links that Original refused", refused, "none")
    yield "</div>"
    yield "<h2>Shares</h2>"
    yield from _shares(report)
    yield "<h2>What cannot be kept</h2>"
    yield from _losses(report)


def _cards(report: Facts) -> Iterator[Card]:
    yield Card("events", report.events, f"{report.identity_events:,} not written")
    yield Card("IDs", report.ids)
    yield Card("people before", report.people_before, "in Original")
    yield Card("people after", report.people_after, "in Simplified")
    yield Card("clusters", report.clusters, "of two IDs or more")
    yield Card("associations", report.associations)


def _shares(report: Facts) -> Iterator[str]:
    yield from _article(
        pill("note", "recovery"),
        f"{percent(report.recovery)} of events keep the person of the closure",
        f"{percent(report.recovery_of_ids)} of IDs · {percent(report.recovery_by_original)} of events by "
        "Original's own clusters",
        [share_bar(report.recovery)],
    )
    changed = counted(report.changed_events, "event has", "events have")
    yield from _article(
        pill("note", "changed"),
        f"{changed} another person than Original showed",
        f"{percent(report.changed)} of events with an ID",
        [share_bar(report.changed)] if report.changed_events else [],
    )


def _losses(report: Facts) -> Iterator[str]:
    anonymous = counted(report.anonymous_ids, "ID")
    losses = [
        (
            "ambiguous",
            counted(report.ambiguous, "cluster has several users", "clusters have several users"),
            "Users are never joined.",
            report.ambiguous_examples,
        ),
        (
            "anonymous only",
            counted(report.anonymous_only, "cluster has no user", "clusters have no user"),
            f"{anonymous}. Nothing joins two devices without a user.",
            report.anonymous_examples,
        ),
        (
            "one device",
            counted(report.taken_ids, "ID is", "IDs are") + " the device of another user's ID",
            "X and $device:X are one device.",
            (),
        ),
        (
            "lost",
            counted(report.lost_ids, "ID belongs", "IDs belong") + " to nobody",
            "They are blocked, or too long behind $device:.",
            (),
        ),
        (
            "nobody",
            counted(report.nobodys_events, "event belongs", "events belong") + " to nobody, as in Original",
            "",
            (),
        ),
    ]
    counts = (
        report.ambiguous,
        report.anonymous_only,
        report.taken_ids,
        report.lost_ids,
        report.nobodys_events,
    )
    if not any(counts):
        yield '<p class="healthy">Simplified shows every person of the closure.</p>'
    for count, (name, title, facts, examples) in zip(counts, losses, strict=True):
        if count:
            yield from _article(pill("warning", name), title, facts, _examples(examples), tone="warning")


def _article(
    head: str, title: str, facts: str, content: Iterable[str], *, tone: Tone = "note"
) -> Iterator[str]:
    yield f'<article class="{tone}">'
    yield f'<p class="head">{head}</p>'
    yield f"<h3>{escape(title)}</h3>"
    if facts:
        yield f'<p class="facts">{escape(facts)}</p>'
    yield from content
    yield "</article>"


def _examples(examples: Sequence[ClusterExample]) -> Iterator[str]:
    if not examples:
        return
    yield '<ul class="examples">'
    for example in examples:
        ids = " ".join(f"<code>{isolated(text)}</code>" for text in shown_of(example))
        yield f'<li>{ids} <span class="note">{escape(facts_of(example))}</span></li>'
    yield "</ul>"
