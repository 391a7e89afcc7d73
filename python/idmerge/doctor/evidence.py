"""Evidence for findings: the links, the clusters, and the number of events of each ID."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from idmerge._formatting import counted
from idmerge.doctor.catalogue import CATALOGUE
from idmerge.doctor.findings import Example, Finding
from idmerge.doctor.ids import NOBODY
from idmerge.doctor.links import EXAMPLES
from idmerge.outcome import Outcome
from idmerge.policy import ANON_FORMATS, DEVICE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from idmerge.doctor.ids import Ids
    from idmerge.doctor.limits import Limits
    from idmerge.doctor.links import Links, Reason
    from idmerge.doctor.traffic import Traffic
    from idmerge.doctor.unread import Unread
    from idmerge.files import BadLine
    from idmerge.policy import Policy
    from idmerge.resolver import Resolver

SHOWN_IDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLines:
    """Lines that could not be read."""

    count: int
    first: tuple[BadLine, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Everything that was read. Arrays have a row an ID, by its number, or a row a link."""

    ids: Ids
    links: Links
    policy: Policy
    limits: Limits
    resolver: Resolver
    cluster: NDArray[np.int64]
    """The number of the canonical ID of each ID's cluster; `NOBODY` for an ID that is not known."""
    traffic: Traffic | None
    """None where no events were read."""
    unread: Unread | None
    """None where no events were read."""
    verdicts: Mapping[int, str]
    """Mixpanel's reasons for refusing the first few links that it refused itself, by link."""
    reasons: Mapping[str, Reason]
    bad_lines: BadLines
    profiles: Mapping[int, Example] | None
    """The first profile update of each ID; None where none were given."""
    is_journal: bool
    times_name_zones: bool = False
    """Whether times that look local name their zone, as far as the first events show."""

    @cached_property
    def looks_anonymous(self) -> NDArray[np.bool_]:
        """A mask of the IDs that look anonymous, by the policy's format or by their prefix.

        In Simplified ID Merge the prefix alone makes a device's ID (SPEC 3).
        """
        if self.policy.api == "simplified":
            return np.fromiter(
                (text.startswith(DEVICE_PREFIX) for text in self.ids.texts), np.bool_, len(self.ids)
            )
        # Where any ID may be an anonymous one, only the formats of SDKs look anonymous.
        form = "sdk" if self.policy.anon_format == "sdk" else "mixpanel"
        matches = re.compile(ANON_FORMATS[form]).fullmatch
        found = (text.startswith(DEVICE_PREFIX) or matches(text) is not None for text in self.ids.texts)
        return np.fromiter(found, np.bool_, len(self.ids))

    @cached_property
    def was_anonymous(self) -> NDArray[np.bool_]:
        """A mask of the IDs that a claim on two IDs, accepted or not, named as anonymous."""
        return self._named(self.links.first, self.links.claiming & self.links.counted)

    @cached_property
    def identified(self) -> NDArray[np.bool_]:
        """A mask of the identified IDs: those that an accepted claim named as the user's."""
        return self._named(self.links.second, self.links.claiming & self.links.accepted)

    @cached_property
    def is_device(self) -> NDArray[np.bool_]:
        """Whether each ID is a device's: by its prefix, as links or events name it, or by looks.

        Where users' IDs look like anonymous ones too, looks count only for IDs that no link or
        event names as a user.
        """
        prefixed = np.fromiter(
            (text.startswith(DEVICE_PREFIX) for text in self.ids.texts), np.bool_, len(self.ids)
        )
        as_user = self._named(self.links.second, self.links.claiming & self.links.counted)
        claimed = self._named(self.links.first, self.links.claiming & self.links.accepted)
        is_device = prefixed | claimed | (self.was_anonymous & ~as_user)
        if self.traffic is not None:
            is_device |= self._sized(self.traffic.as_device) & ~self._sized(self.traffic.as_user)
            as_user |= self._sized(self.traffic.as_user)
        users = as_user & ~is_device
        look_alike = int(np.count_nonzero(users & self.looks_anonymous))
        if 2 * look_alike > np.count_nonzero(users):
            return is_device | (self.looks_anonymous & ~users)
        return is_device | self.looks_anonymous

    @cached_property
    def claimants(self) -> NDArray[np.int64]:
        """The first user whose identify claimed each ID; `NOBODY` for one that is not claimed."""
        rows = np.flatnonzero(self.links.claiming & self.links.accepted & self.links.counted)
        claimants = np.full(len(self.ids), NOBODY, np.int64)
        claimants[self.links.first[rows[::-1]]] = self.links.second[rows[::-1]]
        return claimants

    @cached_property
    def is_between_devices(self) -> NDArray[np.bool_]:
        """Whether each link is refused for a claim, and claims or is claimed for a device."""
        links = self.links
        rows = links.where(Outcome.ANON_CLAIMED)
        rows = rows[(links.first[rows] >= 0) & (links.second[rows] >= 0)]
        claimants = self.claimants[links.first[rows]]
        by_device = self.is_device[links.second[rows]] | ((claimants >= 0) & self.is_device[claimants])
        between = np.zeros(len(links), np.bool_)
        between[rows[by_device]] = True
        return between

    @property
    def is_simplified(self) -> bool:
        """Whether events name a device and a user, and none states a link."""
        return self.traffic is not None and self.traffic.with_device_and_user > 0 and not len(self.links)

    def claims_in_words(self, count: int) -> str:
        """Return in words so many links that claim devices."""
        if self.policy.api == "simplified":
            return counted(count, "event of a device and a user", "events of a device and a user")
        return counted(count, "identify", "identifies")

    def _sized(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return ``flags``, also of IDs that came after they were taken: of none of them true."""
        return np.pad(flags, (0, len(self.ids) - len(flags)))

    def _named(self, operands: NDArray[np.int64], which: NDArray[np.bool_]) -> NDArray[np.bool_]:
        named = np.zeros(len(self.ids), np.bool_)
        named[operands[which & (operands >= 0)]] = True
        return named

    @cached_property
    def size(self) -> NDArray[np.int64]:
        """The number of known IDs in the cluster of each ID; 0 for an ID that names none."""
        return np.bincount(self.cluster[self.cluster >= 0], minlength=len(self.ids)).astype(np.int64)

    def in_clusters(self, canonical: Iterable[int]) -> NDArray[np.int64]:
        """Return all members of the clusters that ``canonical`` name."""
        return np.flatnonzero(np.isin(self.cluster, list(canonical)) & (self.cluster >= 0))

    def text(self, number: int) -> str:
        """Return the text of an ID."""
        return self.ids.texts[number]

    def texts(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """Return the texts of the first few IDs; an operand that is not there has none."""
        return tuple(self.ids.texts[number] for number in numbers if number >= 0)[:SHOWN_IDS]

    def finding(  # noqa: PLR0913 - what differs from finding to finding
        self,
        code: str,
        title: str,
        count: int,
        examples: Sequence[Example],
        *,
        links: int = 0,
        touched: Iterable[int] = (),
        events: int | None = None,
        is_of_events: bool = True,
    ) -> Finding:
        """Return a finding; it touches ``events``, or those that the IDs ``touched`` sent."""
        total = None if self.traffic is None else self.traffic.events
        if self.traffic is None or not is_of_events:
            events = None
        elif events is None:
            numbers = np.unique(np.fromiter(touched, np.int64))
            events = int(self.traffic.events_of[numbers[numbers >= 0]].sum())
        severity, change = CATALOGUE[code]
        return Finding(
            code=code,
            severity=severity,
            title=title,
            count=count,
            links=links,
            events=events,
            share=None if events is None else events / total if total else 0.0,
            examples=tuple(examples[:EXAMPLES]),
            change=change,
        )


def groups(keys: NDArray[np.int64], rows: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
    """Return ``rows`` by their keys, the largest group first, then by the first row."""
    order = np.argsort(keys[rows], kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.diff(keys[ordered], prepend=np.iinfo(np.int64).min))
    gathered = [(int(keys[group[0]]), group) for group in np.split(ordered, starts) if len(group)]
    return sorted(gathered, key=lambda pair: (-len(pair[1]), int(pair[1][0])))
