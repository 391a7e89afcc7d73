"""Findings on what Mixpanel made of links: its own verdicts, and IDs that it took."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from idmerge._formatting import counted, printable
from idmerge.doctor.evidence import groups
from idmerge.doctor.links import EXAMPLES
from idmerge.events import Kind
from idmerge.outcome import Outcome
from idmerge.policy import ANON_FORMATS
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from idmerge.doctor.evidence import Evidence
    from idmerge.doctor.findings import Finding


def old_web_ids(evidence: Evidence) -> Iterator[Finding]:
    """Find anonymous IDs of the form that the web SDK made until March 2025."""
    links = evidence.links
    rows = np.flatnonzero(links.of_kind(Kind.IDENTIFY) & links.counted)
    form, strict = (re.compile(ANON_FORMATS[name]).fullmatch for name in ("mixpanel", "uuid4"))
    found = [
        (device, own)
        for device, own in groups(links.first, rows)
        if form(evidence.text(device)) and not strict(evidence.text(device))
    ]
    if not found:
        return
    identifies = np.concatenate([own for _, own in found])
    refused = int(np.count_nonzero(links.outcomes[identifies] == Outcome.ANON_FORMAT))
    examples = []
    for device, own in found[:EXAMPLES]:
        ids = evidence.texts([device, *dict.fromkeys(links.second[own].tolist())])
        examples.append(links.example(int(own[0]), ids, Outcome(int(links.outcomes[own[0]])).name))
    yield evidence.finding(
        "old-web-id",
        f"{counted(len(found), 'anonymous ID has', 'anonymous IDs have')} the form that the web SDK made "
        f"until March 2025; {refused:,} of {counted(len(identifies), 'identify', 'identifies')} refused "
        "for it",
        len(found),
        examples,
        links=len(identifies),
        touched=(device for device, _ in found),
    )


def differing_verdicts(evidence: Evidence) -> Iterator[Finding]:
    """Find links that Mixpanel refused itself and the other rules accept."""
    count = evidence.resolver.stats().differing
    if not count:
        return
    links = evidence.links
    refused = np.flatnonzero(links.was_refused | np.equal(links.outcomes, Outcome.REFUSED_BEFORE))
    passing = _passing(evidence, refused)
    examples = []
    for row in (passing if len(passing) else refused)[:EXAMPLES].tolist():
        ids = evidence.texts(dict.fromkeys((int(links.first[row]), int(links.second[row]))))
        kind, outcome = Kind(int(links.kinds[row])).name.lower(), Outcome(int(links.outcomes[row])).name
        reason = evidence.verdicts.get(row)
        by = f"refused by Mixpanel with {printable(reason)}" if reason else "refused by Mixpanel"
        examples.append(links.example(row, ids, f"{kind}, {outcome}: {by}"))
    yield evidence.finding(
        "verdicts-differ",
        f"{counted(count, 'link')} that Mixpanel refused {'passes' if count == 1 else 'pass'} the other "
        f'rules (verdicts="{evidence.policy.verdicts}")',
        count,
        examples,
        links=count,
        touched=[*links.first[passing].tolist(), *links.second[passing].tolist()],
    )


def _passing(evidence: Evidence, refused: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those links that Mixpanel refused and that are accepted, or would be if judged."""
    links = evidence.links
    passing = refused[links.accepted[refused]]
    if len(passing) or evidence.is_journal:  # A journal lacks texts of what was refused.
        return passing
    first, second = (
        [evidence.text(number) if number >= 0 else None for number in operands.tolist()]
        for operands in (links.first, links.second)
    )
    again = Resolver(replace(evidence.policy, verdicts="ignore")).link_many(links.kinds, first, second)
    return refused[again.outcomes[refused] <= Outcome.UNCHANGED]
