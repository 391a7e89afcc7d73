"""Findings on devices and what users lose there: shared ones, resets, full clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from idmerge._formatting import counted
from idmerge.doctor.evidence import groups
from idmerge.doctor.findings import Example
from idmerge.doctor.links import EXAMPLES, UNKNOWN_TIME
from idmerge.doctor.traffic import DAY
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from idmerge.doctor.evidence import Evidence
    from idmerge.doctor.findings import Finding


def shared_devices(evidence: Evidence) -> Iterator[Finding]:
    """Find anonymous IDs that several users tried to claim.

    A claim by another anonymous ID is none of a user's: `anonymous_claims` finds these.
    """
    links = evidence.links
    refused = np.flatnonzero(np.equal(links.outcomes, Outcome.ANON_CLAIMED) & ~evidence.is_between_devices)
    devices = groups(links.first, refused)
    if not devices:
        return
    examples = []
    for device, rows in devices[:EXAMPLES]:
        users = np.unique(links.second[rows])
        note = f"{evidence.claims_in_words(len(rows))} of {counted(len(users), 'further user')} refused"
        ids = evidence.texts([device, *dict.fromkeys(links.second[rows].tolist())])
        examples.append(links.example(int(rows[0]), ids, note))
    yield evidence.finding(
        "shared-device",
        f"{counted(len(devices), 'anonymous ID')} that a user had claimed came up with further users",
        len(devices),
        examples,
        links=len(refused),
        touched=(device for device, _ in devices),
    )


def reset_storms(evidence: Evidence) -> Iterator[Finding]:
    """Find users with many anonymous IDs in a short time."""
    links, limit = evidence.links, evidence.limits.anon_ids_a_day
    rows = np.flatnonzero(links.claiming & links.counted & (links.times != UNKNOWN_TIME))
    storms = []
    for user, of_user in groups(links.second, rows):
        if len(of_user) <= limit:
            break
        firsts = _first_of_each(links.first, of_user[np.argsort(links.times[of_user], kind="stable")])
        times = links.times[firsts]
        within = np.arange(1, len(times) + 1) - np.searchsorted(times, times - DAY, side="right")
        if len(within) and within.max() > limit:
            storms.append((int(within.max()), user, int(firsts[within.argmax()]), len(firsts)))
    if not storms:
        return
    storms.sort(key=lambda storm: (-storm[0], storm[2]))
    examples = []
    for most, user, row, ever in storms[:EXAMPLES]:
        note = f"{most:,} anonymous IDs within 24 hours, {ever:,} in all{_fill(evidence, user)}"
        examples.append(links.example(row, evidence.texts([user]), note))
    users = np.array([user for _, user, _, _ in storms])
    of_users = rows[np.isin(links.second[rows], users)]
    yield evidence.finding(
        "reset-storm",
        f"{counted(len(storms), 'user')} came under more than {limit:,} anonymous IDs within 24 hours",
        len(storms),
        examples,
        links=len(of_users),
        touched=[*users, *links.first[of_users]],
    )


def _first_of_each(keys: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return of ``rows`` those in which a key comes for the first time."""
    _, firsts = np.unique(keys[rows], return_index=True)
    return rows[np.sort(firsts)]


def _fill(evidence: Evidence, member: int) -> str:
    """Return how full the cluster of an ID is."""
    most, canonical = evidence.policy.max_cluster_size, evidence.cluster[member]
    if most is None or canonical < 0:
        return ""
    return f"; {evidence.size[canonical]:,} of the {most:,} IDs allowed"


def too_many_ids(evidence: Evidence) -> Iterator[Finding]:
    """Find users whose clusters are full."""
    links = evidence.links
    refused = links.where(Outcome.TOO_MANY_IDS)
    users = groups(links.second, refused)
    if not users:
        return
    examples = [
        links.example(
            int(rows[0]),
            evidence.texts([user, *dict.fromkeys(links.first[rows].tolist())]),
            f"{counted(len(rows), 'link')} refused{_fill(evidence, user)}",
        )
        for user, rows in users[:EXAMPLES]
    ]
    yield evidence.finding(
        "too-many-ids",
        f"{counted(len(refused), 'link')} of {counted(len(users), 'user')} refused, for the cluster is full",
        len(users),
        examples,
        links=len(refused),
        touched=links.first[refused].tolist(),
    )


def near_limit(evidence: Evidence) -> Iterator[Finding]:
    """Find clusters that are nearly full, or full."""
    most = evidence.policy.max_cluster_size
    if most is None:
        return
    full = np.flatnonzero(evidence.size * 10 >= most * 9)
    if len(full) == 0:
        return
    full = full[np.argsort(-evidence.size[full], kind="stable")]
    examples = [
        Example(ids=evidence.texts([int(canonical)]), note=_fill(evidence, int(canonical)).removeprefix("; "))
        for canonical in full[:EXAMPLES]
    ]
    yield evidence.finding(
        "near-limit",
        f"{counted(len(full), 'cluster')} {'has' if len(full) == 1 else 'have'} at least nine tenths "
        f"of the {most:,} IDs allowed",
        len(full),
        examples,
        touched=evidence.in_clusters(full).tolist(),
    )
