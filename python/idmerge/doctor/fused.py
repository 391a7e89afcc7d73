"""Findings on devices that join people: by a merge or an alias, or for want of a claim."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from idmerge._formatting import counted
from idmerge.doctor.evidence import groups
from idmerge.doctor.links import EXAMPLES
from idmerge.events import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.doctor.evidence import Evidence
    from idmerge.doctor.findings import Finding

JOINING = (Kind.IDENTIFY, Kind.ALIAS, Kind.MERGE)


def fused_users(evidence: Evidence) -> Iterator[Finding]:
    """Find devices through which `$merge` or `$create_alias` made several users one person."""
    links, is_device = evidence.links, evidence.is_device
    rows = np.flatnonzero(links.accepted & links.counted & np.isin(links.kinds, JOINING))
    rows = rows[is_device[links.first[rows]] != is_device[links.second[rows]]]
    swapped = is_device[links.second[rows]]
    devices = np.full(len(links), -1, np.int64)
    users = devices.copy()
    devices[rows] = np.where(swapped, links.second[rows], links.first[rows])
    users[rows] = np.where(swapped, links.first[rows], links.second[rows])
    fusing = [
        (device, own, tuple(dict.fromkeys(users[own].tolist())))
        for device, own in groups(devices, rows)
        if len(np.unique(users[own])) > 1 and (links.kinds[own] != Kind.IDENTIFY).any()
    ]
    if not fusing:
        return
    fusing.sort(key=lambda found: (-len(found[2]), int(found[1][0])))
    examples = []
    for device, own, fused in fusing[:EXAMPLES]:
        kinds = Counter(Kind(int(kind)).name.lower() for kind in links.kinds[own])
        by = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
        note = f"{counted(len(fused), 'user')} became one person through this device (by {by})"
        # The second link joined the second user to the first.
        second = int(own[users[own] != fused[0]][0])
        examples.append(links.example(second, evidence.texts([device, *fused]), note))
    people = {user for _, _, fused in fusing for user in fused}
    yield evidence.finding(
        "fused-users",
        f"{counted(len(people), 'user')} became one person with others through "
        f"{counted(len(fusing), 'device')}, by $merge or $create_alias",
        len(people),
        examples,
        links=sum(len(own) for _, own, _ in fusing),
        touched=evidence.in_clusters({int(evidence.cluster[user]) for user in people}).tolist(),
    )


def anonymous_claims(evidence: Evidence) -> Iterator[Finding]:
    """Find identifies that were refused for a claim by an anonymous ID, or made one."""
    links = evidence.links
    rows = np.flatnonzero(evidence.is_between_devices)
    devices = groups(links.first, rows)
    if not devices:
        return
    claimants = evidence.claimants
    examples = []
    for device, own in devices[:EXAMPLES]:
        ids = [device, int(claimants[device]), *dict.fromkeys(links.second[own].tolist())]
        note = f"{evidence.claims_in_words(len(own))} refused; one of the users is an anonymous ID"
        examples.append(links.example(int(own[0]), evidence.texts(dict.fromkeys(ids)), note))
    yield evidence.finding(
        "anonymous-claim",
        f"{counted(len(devices), 'anonymous ID')} {'was' if len(devices) == 1 else 'were'} identified as "
        "another anonymous ID and as a user",
        len(devices),
        examples,
        links=len(rows),
        touched=(device for device, _ in devices),
    )
