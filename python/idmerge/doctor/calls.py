"""Findings on identity events: by the wrong name, the wrong way round, with the wrong ID."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from idmerge._formatting import counted
from idmerge.doctor.evidence import groups
from idmerge.doctor.links import EXAMPLES
from idmerge.events import Kind
from idmerge.outcome import Outcome
from idmerge.policy import ANON_FORMATS, DEVICE_PREFIX
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from idmerge.doctor.evidence import Evidence
    from idmerge.doctor.findings import Finding

Looser = Literal["mixpanel", "sdk", "any"]
LOOSER: dict[str, tuple[Looser, ...]] = {
    "uuid4": ("mixpanel", "sdk", "any"),
    "mixpanel": ("sdk", "any"),
    "sdk": ("any",),
}
"""The looser formats of each, the strictest first."""


def anon_format(evidence: Evidence) -> Iterator[Finding]:
    """Find anonymous IDs in another format, and what a looser one would change."""
    links = evidence.links
    refused = links.where(Outcome.ANON_FORMAT)
    devices = groups(links.first, refused)
    if not devices:
        return
    formats = LOOSER[evidence.policy.anon_format]
    texts = [evidence.text(device) for device, _ in devices]
    helping = (form for form in formats if any(re.fullmatch(ANON_FORMATS[form], text) for text in texts))
    looser: Looser = next(helping, formats[-1])
    examples = [
        links.example(
            int(rows[0]),
            evidence.texts([device, *dict.fromkeys(links.second[rows].tolist())]),
            f"{counted(len(rows), 'identify', 'identifies')} refused",
        )
        for device, rows in devices[:EXAMPLES]
    ]
    title = (
        f"{counted(len(devices), 'anonymous ID')} {'is' if len(devices) == 1 else 'are'} in no format "
        f'that counts; {_effect_of(evidence, looser)} with anon_format="{looser}"'
    )
    yield evidence.finding(
        "anon-format",
        title,
        len(devices),
        examples,
        links=len(refused),
        touched=(device for device, _ in devices),
    )


def _effect_of(evidence: Evidence, looser: Looser) -> str:
    """Return what judging all links again by a looser format would change."""
    links, texts = evidence.links, evidence.ids.texts
    if evidence.is_journal:  # It keeps no text of what was refused, and some of what it kept was taken back.
        return "more links might be accepted"
    first, second = (
        [texts[number] if number >= 0 else None for number in operands.tolist()]
        for operands in (links.first, links.second)
    )
    # The same IDs become known, so each merge more is a cluster fewer.
    again = Resolver(replace(evidence.policy, anon_format=looser)).link_many(links.kinds, first, second)
    accepted = int(np.count_nonzero(again.outcomes <= Outcome.UNCHANGED)) - int(links.accepted.sum())
    merged = again.merged - len(links.where(Outcome.MERGED))
    if not accepted and not merged:
        return "nothing would change"
    return f"{_more(accepted, 'link')} would be accepted, and there would be {_more(-merged, 'cluster')}"


def _more(count: int, noun: str) -> str:
    """Return how many more or fewer there would be."""
    word = "more" if count >= 0 else "fewer"
    return counted(abs(count), f"{word} {noun}")


def swapped_identifies(evidence: Evidence) -> Iterator[Finding]:
    """Find identifies whose operands are the other way round."""
    links = evidence.links
    looks, texts = evidence.looks_anonymous, evidence.ids.texts
    rows = np.flatnonzero(links.of_kind(Kind.IDENTIFY) & links.counted)
    rows = rows[looks[links.second[rows]]]
    user_elsewhere = np.zeros(len(evidence.ids), np.bool_)
    others = np.flatnonzero(links.of_kind(Kind.IDENTIFY) & links.counted)
    user_elsewhere[links.second[others]] = True
    # Where users' IDs look like anonymous ones too, only the prefix distinguishes them.
    prefixed = np.array([texts[number].startswith(DEVICE_PREFIX) for number in links.second[rows]], np.bool_)
    swapped = rows[user_elsewhere[links.first[rows]] & (~looks[links.first[rows]] | prefixed)]
    yield from _each(
        evidence,
        "swapped-identify",
        swapped,
        "{} the anonymous ID and the user's own the other way round",
        note="the first is a user elsewhere, the second looks anonymous",
        nouns=("identify has", "identifies have"),
    )


def aliases_for_identify(evidence: Evidence) -> Iterator[Finding]:
    """Find aliases of which one operand looks anonymous and the other does not."""
    links = evidence.links
    rows = _between_anonymous_and_user(evidence, Kind.ALIAS)
    # Once claimed, an anonymous ID can be given further names.
    rows = rows[~_claimed_before(evidence, rows)]
    yield from _each(
        evidence,
        "alias-for-identify",
        rows[links.counted[rows]],
        "{} an anonymous ID with a user, as an identify should",
        note="one of the two looks anonymous",
        nouns=("alias links", "aliases link"),
    )


def merges_for_identify(evidence: Evidence) -> Iterator[Finding]:
    """Find merges of an unclaimed anonymous ID with a user."""
    rows = _between_anonymous_and_user(evidence, Kind.MERGE)
    rows = rows[
        (evidence.links.outcomes[rows] != Outcome.MERGE_NOT_ALLOWED) & ~_claimed_before(evidence, rows)
    ]
    yield from _each(
        evidence,
        "merge-for-identify",
        rows,
        "{} an anonymous ID that nobody had claimed to a user, as an identify should",
        note="one of the two looks anonymous",
        nouns=("merge joins", "merges join"),
    )


def _between_anonymous_and_user(evidence: Evidence, kind: Kind) -> NDArray[np.int64]:
    links, looks = evidence.links, evidence.looks_anonymous
    rows = np.flatnonzero(links.of_kind(kind) & links.counted)
    return np.compress(looks[links.first[rows]] != looks[links.second[rows]], rows)


def _claimed_before(evidence: Evidence, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether an earlier identify claimed the anonymous operand of each of ``rows``."""
    links = evidence.links
    first = np.full(len(evidence.ids), len(links))
    claims = np.flatnonzero(links.of_kind(Kind.IDENTIFY) & links.accepted & (links.first >= 0))
    first[links.first[claims[::-1]]] = claims[::-1]
    anonymous = np.where(evidence.looks_anonymous[links.first[rows]], links.first[rows], links.second[rows])
    before: NDArray[np.bool_] = first[anonymous] < rows
    return before


def refused_verbs(evidence: Evidence) -> Iterator[Finding]:
    """Find links that the API has not."""
    api, rows = evidence.policy.api, evidence.links.where(Outcome.VERB_NOT_ALLOWED)
    kinds = Counter(Kind(kind).name.lower() for kind in evidence.links.kinds[rows].tolist())
    by = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
    yield from _each(
        evidence,
        "verb-not-allowed",
        rows,
        f'{{}} of a kind that api="{api}" has not ({by})',
        nouns=("link is", "links are"),
    )


def merges_by_track(evidence: Evidence) -> Iterator[Finding]:
    """Find merges that came by another route than the import."""
    rows = evidence.links.where(Outcome.MERGE_NOT_ALLOWED)
    yield from _each(
        evidence,
        "merge-by-track",
        rows,
        "{} refused, for they did not come by the import",
        nouns=("merge was", "merges were"),
    )


def taken_aliases(evidence: Evidence) -> Iterator[Finding]:
    """Find aliases that were given twice."""
    links = evidence.links
    refused = links.where(Outcome.ALIAS_TAKEN)
    aliases = groups(links.first, refused)
    if not aliases:
        return
    examples = [
        links.example(
            int(rows[0]),
            evidence.texts([alias, *dict.fromkeys(links.second[rows].tolist())]),
            f"{counted(len(rows), 'further alias', 'further aliases')} refused",
        )
        for alias, rows in aliases[:EXAMPLES]
    ]
    yield evidence.finding(
        "alias-taken",
        f"{counted(len(aliases), 'alias', 'aliases')} {'was' if len(aliases) == 1 else 'were'} given to "
        "one ID and then to another",
        len(aliases),
        examples,
        links=len(refused),
        touched=links.second[refused].tolist(),
    )


def same_ids(evidence: Evidence) -> Iterator[Finding]:
    """Find links of an ID with itself."""
    rows = evidence.links.where(Outcome.SAME_IDS)
    yield from _each(evidence, "same-ids", rows, "{} an ID with itself", nouns=("link joins", "links join"))


def _each(  # noqa: PLR0913 - what differs from finding to finding
    evidence: Evidence,
    code: str,
    rows: NDArray[np.int64],
    title: str,
    *,
    note: str = "",
    nouns: tuple[str, str],
) -> Iterator[Finding]:
    """Yield a finding that counts links, if there are ``rows``."""
    if len(rows) == 0:
        return
    links = evidence.links
    examples = []
    for row in rows[:EXAMPLES].tolist():
        operands = dict.fromkeys((int(links.first[row]), int(links.second[row])))
        kind = Kind(int(links.kinds[row])).name.lower()
        outcome = Outcome(int(links.outcomes[row])).name
        note_ = f"{kind}, {outcome}" + (f": {note}" if note else "")
        examples.append(links.example(row, evidence.texts(operands), note_))
    yield evidence.finding(
        code,
        title.format(counted(len(rows), *nouns)),
        len(rows),
        examples,
        links=len(rows),
        touched=[*links.first[rows].tolist(), *links.second[rows].tolist()],
    )
