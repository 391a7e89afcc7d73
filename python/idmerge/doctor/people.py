"""Findings on clusters: several users in one, no anonymous events, one user in several."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from idmerge._formatting import counted
from idmerge.doctor.findings import Example
from idmerge.doctor.links import EXAMPLES
from idmerge.events import Kind
from idmerge.policy import DEVICE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.doctor.evidence import Evidence
    from idmerge.doctor.findings import Finding


def several_users(evidence: Evidence) -> Iterator[Finding]:
    """Find clusters that hold several identified IDs, and the links that brought these together."""
    users = np.flatnonzero(evidence.identified & (evidence.cluster >= 0))
    clusters, counts = np.unique(evidence.cluster[users], return_counts=True)
    several = clusters[counts > 1]
    if len(several) == 0:
        return
    links = evidence.links
    joining = _joining(evidence)
    kinds = Counter(Kind(int(links.kinds[row])).name.lower() for row in joining)
    by_cluster: dict[int, list[int]] = {}
    for row in joining:
        by_cluster.setdefault(int(evidence.cluster[links.first[row]]), []).append(row)
    in_order = sorted(by_cluster.items(), key=lambda pair: (-len(pair[1]), pair[1][0]))
    examples = []
    for canonical, rows in in_order[:EXAMPLES]:
        row = rows[0]
        kind = Kind(int(links.kinds[row])).name.lower()
        held = users[evidence.cluster[users] == canonical]
        note = f"joined by this {kind}; {counted(len(held), 'identified ID')} in the cluster"
        examples.append(links.example(row, evidence.texts([links.first[row], links.second[row]]), note))
    by = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
    yield evidence.finding(
        "several-users",
        f"{counted(len(several), 'cluster')} {'holds' if len(several) == 1 else 'hold'} several identified "
        f"IDs (joined by: {by or 'unknown links'})",
        len(several),
        examples,
        links=len(joining),
        touched=evidence.in_clusters(several).tolist(),
    )


def _joining(evidence: Evidence) -> list[int]:
    """Return the links that joined two clusters which each held an identified ID.

    An ID counts if it is identified now.
    """
    links = evidence.links
    parent: dict[int, int] = {}
    has_user = set(np.flatnonzero(evidence.identified).tolist())

    def root(number: int) -> int:
        while (above := parent.get(number, number)) != number:
            parent[number] = parent.get(above, above)
            number = above
        return number

    joining = []
    rows = np.flatnonzero(links.accepted & (links.first >= 0) & (links.second >= 0))
    for row, first, second in zip(
        rows.tolist(), links.first[rows].tolist(), links.second[rows].tolist(), strict=True
    ):
        a, b = root(first), root(second)
        if a == b:
            continue
        if a in has_user and b in has_user:
            joining.append(row)
        elif a in has_user:
            has_user.add(b)
        parent[a] = b
    return joining


def no_anonymous_history(evidence: Evidence) -> Iterator[Finding]:
    """Find users who sent events, and whose clusters hold no anonymous ID."""
    if evidence.traffic is None or evidence.is_simplified:  # There, no link would help.
        return
    is_anonymous = evidence.looks_anonymous | evidence.was_anonymous
    has_past = np.zeros(len(evidence.ids), np.bool_)
    has_past[evidence.cluster[is_anonymous & (evidence.cluster >= 0)]] = True
    events_of = evidence.traffic.events_of
    known = evidence.cluster >= 0
    without = np.flatnonzero(known & (events_of > 0) & ~is_anonymous & ~has_past[evidence.cluster])
    if len(without) == 0:
        return
    by_events = without[np.argsort(-events_of[without], kind="stable")]
    examples = [
        Example(ids=evidence.texts([int(user)]), note=counted(int(events_of[user]), "event"))
        for user in by_events[:EXAMPLES]
    ]
    people = len(np.unique(evidence.cluster[without]))
    yield evidence.finding(
        "no-anonymous-history",
        f"{counted(people, 'user')} sent events and {'has' if people == 1 else 'have'} no anonymous ID",
        people,
        examples,
        touched=without.tolist(),
    )


def look_alike_ids(evidence: Evidence) -> Iterator[Finding]:
    """Find IDs of different clusters that differ in case, outer spaces or `$device:` alone."""
    alike: dict[str, list[int]] = {}
    known = np.flatnonzero(evidence.cluster >= 0).tolist()
    for number in known:
        alike.setdefault(_plain(evidence.text(number)), []).append(number)
    several = (numbers for numbers in alike.values() if len(numbers) > 1)
    pairs = [numbers for numbers in several if len(np.unique(evidence.cluster[numbers])) > 1]
    if not pairs:
        return
    examples = [
        Example(ids=evidence.texts(numbers), note=_difference(evidence, numbers)) for numbers in pairs
    ]
    yield evidence.finding(
        "look-alike-ids",
        f"{counted(len(pairs), 'ID')} {'is' if len(pairs) == 1 else 'are'} written in several ways "
        "that count as several people",
        len(pairs),
        examples,
        touched=(number for numbers in pairs for number in numbers),
    )


def _plain(text: str) -> str:
    return text.strip().removeprefix(DEVICE_PREFIX).strip().casefold()


def _difference(evidence: Evidence, numbers: list[int]) -> str:
    texts = [evidence.text(number) for number in numbers]
    differing = []
    if len({text.strip().removeprefix(DEVICE_PREFIX).strip() for text in texts}) > 1:
        differing.append("case")
    if any(text != text.strip() for text in texts):
        differing.append("spaces")
    if len({text.strip().startswith(DEVICE_PREFIX) for text in texts}) > 1:
        differing.append(f"the prefix {DEVICE_PREFIX}")
    return f"differ in {' and '.join(differing)}"


def anonymous_profiles(evidence: Evidence) -> Iterator[Finding]:
    """Find profile updates for anonymous IDs in clusters without an identified one."""
    if not evidence.profiles:
        return
    numbers = np.array(list(evidence.profiles), np.int64)
    anonymous = numbers[(evidence.looks_anonymous | evidence.was_anonymous)[numbers]]
    has_user = np.zeros(len(evidence.ids) + 1, np.bool_)  # The last row stands for `NOBODY`.
    has_user[evidence.cluster[evidence.identified]] = True
    has_user[-1] = False
    lost = anonymous[~has_user[evidence.cluster[anonymous]]]
    if len(lost) == 0:
        return
    yield evidence.finding(
        "anonymous-profile",
        f"{counted(len(lost), 'anonymous ID')} of nobody known got a profile",
        len(lost),
        [evidence.profiles[int(number)] for number in lost[:EXAMPLES]],
        touched=lost.tolist(),
    )
