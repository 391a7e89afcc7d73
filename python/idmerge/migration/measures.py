"""The numbers of a report: how much of the closure, and of Original, a plan keeps.

Recovery: of each cluster of the closure, an ID on its own being one too, the person of the plan
with most of its events keeps the person, and what its other IDs sent is lost. The share of events
that are kept is the recovery; an ID that Simplified takes from nobody keeps nothing.

Change: a person of Original and one of the plan are the same if each has most of the other's
events; of several with as many, the first. Events of all other pairs change person.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from idmerge.migration.facts import ClusterExample, Refusal
from idmerge.migration.report import MigrationReport
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from idmerge.migration.first_reading import RefusedLink
    from idmerge.migration.planning import Cluster, Plan

EXAMPLES = 5
"""Clusters of each class that are shown."""
SHOWN = 3
"""IDs of each that are shown."""


def reported(plan: Plan, sources: Sequence[str]) -> MigrationReport:
    """Return the report on ``plan``."""
    reading = plan.reading
    with_user = [cluster for cluster in plan.clusters if cluster.users]
    without = [cluster for cluster in plan.clusters if not cluster.users]
    ambiguous = [cluster for cluster in with_user if len(cluster.users) > 1]
    total = reading.events_of.total()
    known = [each for each in plan.targets if not plan.closure.is_added(each)]
    changed = _changed(plan, known)
    recovery_of_ids = _recovery(plan, known, dict.fromkeys(known, 1), plan_people(plan, known))
    of_events = reading.events_of if total else dict.fromkeys(known, 1)
    originals = {each: reading.original.resolve(each) for each in known}
    return MigrationReport(
        sources=tuple(sources),
        events=reading.events,
        identity_events=reading.verbs,
        nobodys_events=reading.events - reading.verbs - total,
        ids=len(known),
        clusters=len(plan.clusters),
        resolved=len(with_user),
        anonymous_only=len(without),
        ambiguous=len(ambiguous),
        anonymous_ids=sum(len(cluster.members) for cluster in without),
        associations=len(plan.users),
        links=reading.outcomes.total(),
        refused=tuple(_refusals(plan)),
        people_before=reading.original.cluster_count,
        people_after=len({*plan_people(plan, known).values()} - {None}),
        recovery=_recovery(plan, known, of_events, plan_people(plan, known)),
        recovery_of_ids=recovery_of_ids,
        recovery_by_original=_recovery(plan, known, of_events, originals),
        changed_events=changed,
        changed=changed / total if total else 0.0,
        taken_ids=len(plan.taken),
        lost_ids=sum(target is None for target in plan.targets.values()),
        ambiguous_examples=tuple(_examples(plan, ambiguous)),
        anonymous_examples=tuple(_examples(plan, without)),
    )


def plan_people(plan: Plan, ids: Iterable[str]) -> dict[str, str | None]:
    """Return the person of each ID in Simplified."""
    return {each: plan.person(plan.targets[each]) for each in ids}


def _recovery(
    plan: Plan, ids: Iterable[str], weights: Mapping[str, int], people: Mapping[str, str | None]
) -> float:
    """Return the share of ``weights`` of IDs whose person of the closure ``people`` keep."""
    parts: Counter[tuple[Hashable, str | None]] = Counter()
    total = 0
    for each in ids:
        weight = weights.get(each, 0)
        total += weight
        if weight and people[each] is not None:
            parts[plan.closure.root(each), people[each]] += weight
    kept: dict[Hashable, int] = {}
    for (cluster, _), weight in parts.items():
        kept[cluster] = max(weight, kept.get(cluster, 0))
    return sum(kept.values()) / total if total else 1.0


def _changed(plan: Plan, ids: Iterable[str]) -> int:
    """Return the number of events whose person is another one than Original showed."""
    both: Counter[tuple[str, str | None]] = Counter()
    for each in ids:
        if events := plan.reading.events_of.get(each, 0):
            both[plan.reading.original.resolve(each), plan.person(plan.targets[each])] += events
    main: dict[tuple[bool, str | None], tuple[int, str | None]] = {}
    for (before, after), events in both.items():
        for side, other in (((False, before), after), ((True, after), before)):
            if events > main.get(side, (0, None))[0]:
                main[side] = events, other
    return sum(
        events
        for (before, after), events in both.items()
        if after is None or main[False, before][1] != after or main[True, after][1] != before
    )


def _refusals(plan: Plan) -> Iterator[Refusal]:
    """Yield the links that Original refused, by reason, the most frequent first."""
    recovered: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for link, count in plan.reading.refused.items():
        reason = _reason(link)
        counts[reason] += count
        people = {plan.person(plan.targets.get(each)) for each in (link.first, link.second)}
        recovered[reason] += count if len(people) == 1 and None not in people else 0
    stored = {Outcome.MERGED, Outcome.UNCHANGED, *(link.outcome for link in plan.reading.refused)}
    for outcome, count in plan.reading.outcomes.items():
        if outcome not in stored:
            counts[outcome.name] += count
    for reason, count in counts.most_common():
        yield Refusal(reason=reason, links=count, recovered=recovered[reason])


def _reason(link: RefusedLink) -> str:
    name = link.outcome.name
    return f"{name} ({link.reason})" if link.outcome is Outcome.REFUSED_BEFORE and link.reason else name


def _examples(plan: Plan, clusters: Sequence[Cluster]) -> Iterator[ClusterExample]:
    """Yield the largest of ``clusters``."""
    for cluster in sorted(clusters, key=lambda cluster: -len(cluster.members))[:EXAMPLES]:
        people = {plan.person(plan.targets[each]) for each in cluster.members} - {None}
        yield ClusterExample(
            members=tuple(cluster.members[:SHOWN]),
            size=len(cluster.members),
            users=tuple(cluster.users[:SHOWN]),
            user_count=len(cluster.users),
            events=sum(plan.reading.events_of.get(each, 0) for each in cluster.members),
            people=len(people),
        )
