"""A report on a migration as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import beginning, counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.migration.facts import ClusterExample, Facts

NOTHING = "nothing to migrate: there is no event and no ID"
"""The line in place of the counts if nothing was read."""
INDENT = " " * 12


def percent(share: float) -> str:
    """Return a share as a percentage, rounded down: only 1 itself reads as 100 %."""
    return f"{int(1000 * share + 1e-9) / 10:.1f} %"


def lines(report: Facts) -> Iterator[str]:
    """Yield the lines of a report."""
    yield f"{'read':<12}{', '.join(map(printable, report.sources))}"
    if not report.events and not report.ids:
        yield NOTHING
        return
    state = "states a link and is" if report.identity_events == 1 else "state links and are"
    identity = f", of which {report.identity_events:,} {state} not written"
    yield f"{'events':<12}{report.events:,}{identity if report.identity_events else ''}"
    if report.nobodys_events:
        belong = "belongs" if report.nobodys_events == 1 else "belong"
        yield f"{INDENT}{report.nobodys_events:>9,}  {belong} to nobody: no ID that Original takes"
    yield f"{'IDs':<12}{report.ids:,}"
    yield f"{'people':<12}{report.people_before:,} in Original, {report.people_after:,} in Simplified"
    yield from _clusters(report)
    yield f"{'written':<12}{counted(report.associations, 'association')}"
    yield f"{'recovery':<12}{percent(report.recovery)} of events, {percent(report.recovery_of_ids)} of IDs"
    yield f"{INDENT}{percent(report.recovery_by_original):>9}  of events by Original's own clusters"
    changed = counted(report.changed_events, "event changes", "events change")
    yield f"{'changed':<12}{changed} person ({percent(report.changed)})"
    yield from _refused(report)
    if report.taken_ids:
        yield f"{'one device':<12}{counted(report.taken_ids, 'ID')} with the device of another user's ID"
    if report.lost_ids:
        yield f"{'lost':<12}{counted(report.lost_ids, 'ID')} that Simplified takes from nobody"
    yield from _examples("ambiguous", report.ambiguous_examples, report.ambiguous)
    yield from _examples("anonymous", report.anonymous_examples, report.anonymous_only)


def _clusters(report: Facts) -> Iterator[str]:
    yield f"{'clusters':<12}{report.clusters:,} of two IDs or more"
    yield f"{INDENT}{report.resolved:>9,}  with a user"
    if report.ambiguous:
        yield f"{INDENT}{report.ambiguous:>9,}  of them ambiguous: with several users"
    if report.anonymous_only:
        ids = counted(report.anonymous_ids, "ID")
        yield f"{INDENT}{report.anonymous_only:>9,}  anonymous only ({ids}): nothing joins two devices"


def _refused(report: Facts) -> Iterator[str]:
    refused = sum(each.links for each in report.refused)
    if not refused:
        return
    yield f"{'refused':<12}{refused:,} of {counted(report.links, 'link')} by Original"
    for each in report.refused:
        recovered = f", {each.recovered:,} recovered" if each.recovered else ""
        yield f"{INDENT}{each.links:>9,}  {printable(each.reason)}{recovered}"


def _examples(label: str, examples: tuple[ClusterExample, ...], total: int) -> Iterator[str]:
    for place, each in enumerate(examples):
        yield f"{'' if place else label:<12}{facts_of(each)}: {'  '.join(map(beginning, shown_of(each)))}"
    if total > len(examples) > 0:
        yield f"{INDENT}and {counted(total - len(examples), 'more cluster')}"


def facts_of(example: ClusterExample) -> str:
    """Return the size of a cluster in words."""
    users = f", {counted(example.user_count, 'user')}" if example.user_count else ""
    people = "person" if example.people == 1 else "people"
    events = counted(example.events, "event")
    return f"{counted(example.size, 'ID')}{users}, {events}, {example.people:,} {people}"


def shown_of(example: ClusterExample) -> tuple[str, ...]:
    """Return the IDs that are shown for a cluster: its first users, or else its first members."""
    return example.users or example.members
