"""Findings on IDs that look wrong by themselves: placeholders, and one ID in two spellings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from idmerge._formatting import counted
from idmerge.doctor.findings import Example
from idmerge.doctor.links import EXAMPLES
from idmerge.doctor.placeholders import is_placeholder
from idmerge.policy import DEVICE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from idmerge.doctor.evidence import Evidence
    from idmerge.doctor.findings import Finding

_WHOLE_FLOAT = re.compile(r"(-?[0-9]+)\.0+")


def placeholder_ids(evidence: Evidence) -> Iterator[Finding]:
    """Find known IDs that look like placeholders, and so join whoever is sent under them."""
    known = np.flatnonzero(evidence.cluster >= 0).tolist()
    found = np.array([number for number in known if is_placeholder(evidence.text(number))], np.int64)
    if len(found) == 0:
        return
    events = np.zeros(len(found), np.int64)
    if evidence.traffic is not None:
        events = evidence.traffic.events_of[found]
    found = found[np.lexsort((found, -events, -evidence.size[evidence.cluster[found]]))]
    examples = []
    for number in found[:EXAMPLES].tolist():
        sent = 0 if evidence.traffic is None else int(evidence.traffic.events_of[number])
        others = int(evidence.size[evidence.cluster[number]]) - 1
        note = f"in one cluster with {counted(others, 'other ID')}; sent by {counted(sent, 'event')}"
        examples.append(Example(ids=evidence.texts([number]), note=note))
    yield evidence.finding(
        "placeholder-id",
        f"{counted(len(found), 'ID')} {'looks' if len(found) == 1 else 'look'} like a placeholder, "
        "and no rule blocks it",
        len(found),
        examples,
        links=int(np.count_nonzero(_names(evidence, found))),
        touched=found.tolist(),
    )


def _names(evidence: Evidence, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    links = evidence.links
    return links.counted & (np.isin(links.first, numbers) | np.isin(links.second, numbers))


def float_ids(evidence: Evidence) -> Iterator[Finding]:
    """Find integers that are IDs in two spellings: by their digits, and as a float."""

    def plain(text: str) -> str | None:
        match = _WHOLE_FLOAT.fullmatch(text)
        return None if match is None else match[1]

    yield from _twins(
        evidence,
        "float-id",
        plain,
        "{} as a float and as an integer, which count as two people",
        note="the same number, as a float and as an integer",
        nouns=("ID is there", "IDs are there"),
    )


def doubled_prefixes(evidence: Evidence) -> Iterator[Finding]:
    """Find IDs with `$device:` twice, beside the one with the prefix once or without it."""

    def plain(text: str) -> str | None:
        return text.removeprefix(DEVICE_PREFIX) if text.startswith(2 * DEVICE_PREFIX) else None

    yield from _twins(
        evidence,
        "doubled-prefix",
        plain,
        f"{{}} {DEVICE_PREFIX} twice, and so count as other people",
        note=f"{DEVICE_PREFIX} twice",
        nouns=("ID has", "IDs have"),
        alone=True,
    )


def _twins(  # noqa: PLR0913 - what differs from finding to finding
    evidence: Evidence,
    code: str,
    plain: Callable[[str], str | None],
    title: str,
    *,
    note: str,
    nouns: tuple[str, str],
    alone: bool = False,
) -> Iterator[Finding]:
    """Yield a finding of IDs whose ``plain`` form is an ID of another cluster.

    With ``alone`` those count too whose plain form is not known.
    """
    pairs: list[tuple[int, ...]] = []
    for number in np.flatnonzero(evidence.cluster >= 0).tolist():
        text = plain(evidence.text(number))
        if text is None:
            continue
        twin = int(evidence.ids.known([text])[0])
        is_known = twin >= 0 and evidence.cluster[twin] >= 0
        if is_known and evidence.cluster[twin] != evidence.cluster[number]:
            pairs.append((number, twin))
        elif not is_known and alone:
            pairs.append((number,))
    if not pairs:
        return
    yield evidence.finding(
        code,
        title.format(counted(len(pairs), *nouns)),
        len(pairs),
        [Example(ids=evidence.texts(pair), note=note) for pair in pairs[:EXAMPLES]],
        touched=(number for pair in pairs for number in pair),
    )
