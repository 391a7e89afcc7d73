"""Findings, their examples, and an overview of the events or links: plain, frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Severity(IntEnum):
    """The severity of a finding. Its numbers order findings: the most severe first.

    Examples:
        >>> from idmerge import doctor
        >>> diagnosis = doctor.examine("examples/shop.ndjson")
        >>> found = diagnosis.findings
        >>> [finding.code for finding in found if finding.severity is doctor.Severity.ERROR]
        ['shared-device', 'anon-format', 'malformed-event']
    """

    ERROR = 0
    """Data is lost, or two people are one."""
    WARNING = 1
    """Reports are likely to be wrong."""
    NOTE = 2
    """Worth knowing, and often intended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One case of a finding.

    Examples:
        >>> from idmerge import doctor
        >>> diagnosis = doctor.examine("examples/shop.ndjson")
        >>> example = diagnosis.findings[0].examples[0]
        >>> example.ids, example.place
        (('c4fbb6e1-897e-4d81-9099-60b1226d4170', 'user-1028b'), 'examples/shop.ndjson:209')
    """

    ids: tuple[str, ...] = ()
    """The IDs concerned, as they were sent; the finding is about the first."""
    note: str = ""
    """The fault in words. IDs and names in it are quoted where they are not printable."""
    file: str | None = None
    """The file, as messages name it."""
    line: int | None = None
    """The line; a JSON array's item, or a row of columns."""
    position: int | None = None
    """The link's position in its journal."""

    @property
    def place(self) -> str | None:
        """``file:line``, or the position in the journal; None if it is not known."""
        if self.position is not None:
            return f"position {self.position}"
        if self.file is None:
            return None
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault of an implementation, or a possible one.

    Examples:
        >>> from idmerge import doctor
        >>> diagnosis = doctor.examine("examples/shop.ndjson")
        >>> finding = diagnosis.findings[0]
        >>> finding.code, finding.severity, finding.count
        ('shared-device', <Severity.ERROR: 0>, 1)
        >>> print(finding.title)
        1 anonymous ID that a user had claimed came up with further users
    """

    code: str
    """Its name, which stays: docs/doctor.md lists them."""
    severity: Severity
    title: str
    """The finding in one sentence."""
    count: int
    """The number that the title states, of IDs, links, events or lines; at least 1."""
    links: int
    """The number of links concerned."""
    events: int | None
    """The number of events touched; None where no events were read."""
    share: float | None
    """The share of all events that is touched, from 0 to 1; None where no events were read."""
    examples: tuple[Example, ...]
    """Up to three, in the order in which they occurred or the largest first."""
    change: str
    """The remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLookedFor:
    """A finding that the files or the journal cannot show.

    Examples:
        >>> from idmerge import doctor
        >>> diagnosis = doctor.examine("examples/shop.ndjson")
        >>> diagnosis.not_looked_for[0]
        NotLookedFor(code='anonymous-profile', reason='no profile updates were given
        (--profiles FILE)')
    """

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The files or the journal in numbers.

    Examples:
        >>> from idmerge import doctor
        >>> diagnosis = doctor.examine("examples/shop.ndjson")
        >>> overview = diagnosis.overview
        >>> overview.events, overview.ids, overview.clusters, overview.rejected
        (600, 158, 76, 6)
    """

    sources: tuple[str, ...]
    """The files, or the journal."""
    events: int | None
    """Events, identity events among them; None where no events were read."""
    ids: int
    """Known IDs."""
    clusters: int
    links: int
    accepted: int
    rejected: int
    outcomes: Mapping[str, int]
    """Links by the name of their outcome; those that did not occur are left out."""
    cluster_sizes: Mapping[int, int]
    """The number of clusters of each size, by ascending size."""
    max_cluster_size: int | None
    """The largest cluster allowed; None for no limit."""
