"""Findings on events and lines: too many, duplicate, incomplete or malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import counted, printable
from idmerge.doctor.findings import Example
from idmerge.doctor.links import EXAMPLES
from idmerge.doctor.traffic import day_of
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.doctor.evidence import Evidence
    from idmerge.doctor.findings import Finding
    from idmerge.doctor.links import Reason


def busy_ids(evidence: Evidence) -> Iterator[Finding]:
    """Find IDs with more events on a day than Mixpanel takes."""
    if evidence.traffic is None or not evidence.traffic.busy:
        return
    busy, most = evidence.traffic.busy, evidence.limits.events_a_day
    ids = list(dict.fromkeys(number for number, _, _ in busy))
    examples = [
        Example(ids=evidence.texts([number]), note=f"{counted(count, 'event')} on {day_of(day)}")
        for number, day, count in busy[:EXAMPLES]
    ]
    yield evidence.finding(
        "busy-id",
        f"{counted(len(ids), 'ID')} {'has' if len(ids) == 1 else 'have'} more than {most:,} events on a day",
        len(ids),
        examples,
        touched=ids,
    )


def events_without(evidence: Evidence) -> Iterator[Finding]:
    """Find duplicates, and events without a $insert_id or without a distinct_id."""
    traffic = evidence.traffic
    if traffic is None:
        return
    missing, examples = traffic.without_distinct_id, traffic.examples["no-distinct-id"]
    unread = evidence.unread
    if unread is not None and unread.ids.count:  # A table has null for IDs of other types as well.
        missing, examples = unread.missing.count, unread.missing.examples
    counts = (
        (
            "duplicate-events",
            traffic.duplicates,
            "{} came before, with the same $insert_id",
            ("event", "events"),
            traffic.examples["duplicate-events"],
        ),
        (
            "no-insert-id",
            traffic.without_insert_id,
            "{} no $insert_id",
            ("event has", "events have"),
            traffic.examples["no-insert-id"],
        ),
        ("no-distinct-id", missing, "{} no distinct_id", ("event has", "events have"), examples),
    )
    for code, count, title, nouns, found in counts:
        if count:
            yield evidence.finding(code, title.format(counted(count, *nouns)), count, found, events=count)


def malformed(evidence: Evidence) -> Iterator[Finding]:
    """Find identity events that lack an operand, and lines that cannot be read."""
    rows = evidence.links.where(Outcome.MALFORMED)
    links = len(rows)
    if links:
        reasons = sorted(evidence.reasons.items(), key=lambda pair: -pair[1].count)
        examples = [
            Example(
                ids=reason.examples[0].ids,
                file=reason.examples[0].file,
                line=reason.examples[0].line,
                note=f"{printable(message)}{_came(reason)}: {counted(reason.count, 'event')}",
            )
            for message, reason in reasons[:EXAMPLES]
        ]
        why = f", in {counted(len(reasons), 'way')}" if reasons else ""
        yield evidence.finding(
            "malformed-event",
            f"{counted(links, 'identity event lacks', 'identity events lack')} an ID that is text{why}",
            links,
            examples,
            links=links,
            events=int(evidence.links.is_event[rows].sum()),
        )
    bad = evidence.bad_lines
    if bad.count:
        examples = [
            Example(file=line.path, line=line.line, note=printable(line.message)) for line in bad.first
        ]
        yield evidence.finding(
            "malformed-line",
            f"{counted(bad.count, 'line')} cannot be read",
            bad.count,
            examples,
            is_of_events=False,
        )


def _came(reason: Reason) -> str:
    return f", got {printable(reason.value)}" if reason.value else ""
