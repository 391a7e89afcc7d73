"""Findings on IDs that stand for no single person: blocked ones, invalid ones, hubs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from idmerge._formatting import counted
from idmerge.doctor.evidence import groups
from idmerge.doctor.findings import Example
from idmerge.doctor.ids import NOBODY
from idmerge.doctor.links import EXAMPLES
from idmerge.outcome import Outcome
from idmerge.policy import is_unicode
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from idmerge.doctor.evidence import Evidence
    from idmerge.doctor.findings import Finding
    from idmerge.doctor.links import Links
    from idmerge.policy import Policy


def junk_ids(evidence: Evidence) -> Iterator[Finding]:
    """Find blocked IDs, and other IDs that can be none."""
    links, refused = evidence.links, evidence.links.where(Outcome.INVALID_ID)
    unknown = set(np.flatnonzero(evidence.cluster < 0).tolist())
    blocked = _blocked(evidence, sorted(unknown))
    both = np.concatenate([links.first[refused], links.second[refused]])
    named = np.isin(both, blocked) & (both >= 0)
    of_blocked = refused[named[: len(refused)] | named[len(refused) :]]
    yield from _blocked_finding(evidence, blocked, both, np.tile(refused, 2))
    yield from _invalid_finding(evidence, np.setdiff1d(refused, of_blocked), unknown - set(blocked.tolist()))


def _blocked(evidence: Evidence, numbers: list[int]) -> NDArray[np.int64]:
    """Return those of ``numbers`` that are no ID only because they are blocked."""
    texts = [evidence.text(number) for number in numbers]
    unblocked = _valid(replace(evidence.policy, blocked_ids=frozenset()), texts)
    valid = _valid(evidence.policy, texts)
    return np.array(
        [number for number, a, b in zip(numbers, valid, unblocked, strict=True) if b and not a], int
    )


def _valid(policy: Policy, texts: list[str]) -> list[bool]:
    resolver = Resolver(policy)
    resolver.observe_many(texts)
    return [text in resolver for text in texts]


def _blocked_finding(
    evidence: Evidence, blocked: NDArray[np.int64], operands: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[Finding]:
    links, traffic = evidence.links, evidence.traffic
    linked = dict(groups(operands, np.flatnonzero(np.isin(operands, blocked) & (operands >= 0))))
    sent = [n for n in blocked.tolist() if traffic is not None and traffic.events_of[n]]
    junk = [*linked, *(number for number in sent if number not in linked)]
    if not junk:
        return
    examples, all_rows = [], [rows[places] for places in linked.values()]
    for number in junk[:EXAMPLES]:
        events = 0 if traffic is None else int(traffic.events_of[number])
        sent_by = f"sent by {counted(events, 'event')}"
        if number not in linked:
            examples.append(Example(ids=evidence.texts([number]), note=sent_by))
            continue
        own = np.unique(rows[linked[number]])
        fused = _partners(links, own, number)
        note = (
            f"{counted(len(own), 'link')} would have made {counted(len(fused), 'ID')} one person; {sent_by}"
        )
        examples.append(links.example(int(own[0]), evidence.texts([number]), note))
    of_junk = len(np.unique(np.concatenate(all_rows))) if all_rows else 0
    yield evidence.finding(
        "blocked-id",
        f"{counted(len(junk), 'blocked ID')} came, in {counted(of_junk, 'link')} that would fuse people",
        len(junk),
        examples,
        links=of_junk,
        touched=junk,
    )


def _partners(links: Links, rows: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Return the other IDs that the links in ``rows`` name."""
    both = np.concatenate([links.first[rows], links.second[rows]])
    return np.setdiff1d(both, (NOBODY, number))


def _invalid_finding(evidence: Evidence, rows: NDArray[np.int64], unknown: set[int]) -> Iterator[Finding]:
    links, traffic = evidence.links, evidence.traffic
    sent = [
        number
        for number in sorted(unknown)
        # An event that belongs to nobody has an empty ID.
        if traffic is not None and traffic.events_of[number] and _wrong(evidence, number, "")
    ]
    if len(rows) == 0 and not sent:
        return
    examples = []
    for row in rows[:EXAMPLES].tolist():
        operands = [int(links.first[row]), int(links.second[row])]
        wrong = [_wrong(evidence, number, "is empty") for number in operands if number >= 0]
        note = f"an ID {' and '.join(filter(None, wrong)) or 'can be none'}"
        examples.append(links.example(row, evidence.texts(operands), note))
    examples += [
        Example(ids=evidence.texts([number]), note=f"an event's ID {_wrong(evidence, number, '')}")
        for number in sent[:EXAMPLES]
    ]
    yield evidence.finding(
        "invalid-id",
        f"{counted(len(rows), 'link')} and {counted(len(sent), 'ID')} of events cannot count: "
        "an ID is empty, too long or no text",
        len(rows) + len(sent),
        examples,
        links=len(rows),
        touched=sent,
    )


def _wrong(evidence: Evidence, number: int, if_empty: str) -> str:
    """Return what is wrong with an ID; nothing for a valid one."""
    text, longest = evidence.text(number), evidence.policy.max_id_length
    if not text:
        return if_empty
    if longest is not None and len(text) > longest:
        return f"is {len(text):,} characters long"
    return "" if is_unicode(text) else "is no Unicode text"


def hub_ids(evidence: Evidence) -> Iterator[Finding]:
    """Find IDs that are not blocked and were linked with very many others."""
    links, most = evidence.links, evidence.limits.partners
    rows = np.flatnonzero(links.counted)
    first, second = links.first[rows], links.second[rows]
    ends = np.concatenate([np.stack([first, second], 1), np.stack([second, first], 1)])
    pairs = np.unique(ends, axis=0)
    partners = np.bincount(pairs[:, 0], minlength=len(evidence.ids))
    hubs = np.flatnonzero(partners > most)
    if len(hubs) == 0:
        return
    hubs = hubs[np.argsort(-partners[hubs], kind="stable")]
    is_hub = np.zeros(len(evidence.ids), np.bool_)
    is_hub[hubs] = True
    own = rows[is_hub[first] | is_hub[second]]
    examples = []
    for hub in hubs[:EXAMPLES].tolist():
        of_hub = own[(links.first[own] == hub) | (links.second[own] == hub)]
        refused = int(np.count_nonzero(~links.accepted[of_hub]))
        note = f"linked with {partners[hub]:,} other IDs; {counted(refused, 'link')} refused"
        examples.append(links.example(int(of_hub[0]), evidence.texts([hub]), note))
    yield evidence.finding(
        "hub-id",
        f"{counted(len(hubs), 'ID')} {'was' if len(hubs) == 1 else 'were'} linked with more than "
        f"{most:,} others",
        len(hubs),
        examples,
        links=len(own),
        touched=hubs.tolist(),
    )
