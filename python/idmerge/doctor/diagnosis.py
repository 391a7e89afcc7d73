"""What was found: plain, frozen, and told as text, JSON or HTML."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Severity(IntEnum):
    """How much a finding matters. The numbers order findings: the gravest first."""

    ERROR = 0
    """Data is lost, or two people are one."""
    WARNING = 1
    """Reports are likely to be wrong."""
    NOTE = 2
    """Worth to know, and often meant so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One case of a finding."""

    ids: tuple[str, ...] = ()
    """The IDs concerned, as they were sent; the first is the one that it is about."""
    note: str = ""
    """What is the matter with them. IDs and names in it are quoted where they could not be shown."""
    file: str | None = None
    """The file, as messages name it."""
    line: int | None = None
    """The line; a JSON array's item, or a row of columns."""
    position: int | None = None
    """The link's position in its journal."""

    @property
    def place(self) -> str | None:
        """Where it stands: ``file:line``, or the position in the journal; None where nobody knows."""
        if self.position is not None:
            return f"position {self.position}"
        if self.file is None:
            return None
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with an implementation, or may be."""

    code: str
    """Its name, which stays: docs/doctor.md lists them."""
    severity: Severity
    title: str
    """What was found, in one sentence."""
    count: int
    """How many of what the title counts: IDs, links, events or lines, at least 1."""
    links: int
    """How many links are concerned."""
    events: int | None
    """How many events are touched; None where no events were read."""
    share: float | None
    """The share of all events that is touched, from 0 to 1; None where no events were read."""
    examples: tuple[Example, ...]
    """Up to three, in the order in which they occurred or the largest first."""
    change: str
    """What to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLookedFor:
    """A finding that what was read cannot show."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What was read, in numbers."""

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
    """How many clusters have each size, by ascending size."""
    max_cluster_size: int | None
    """The largest cluster allowed; None for no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All findings, the gravest first."""

    overview: Overview
    findings: tuple[Finding, ...]
    """By severity, then by what they touch."""
    not_looked_for: tuple[NotLookedFor, ...]

    def worst(self) -> Severity | None:
        """Return the gravest severity found; None if nothing was found."""
        return min((finding.severity for finding in self.findings), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as what `json.dumps` takes; docs/doctor.md lists the fields."""
        return {
            "overview": {**asdict(self.overview), "sources": list(self.overview.sources)},
            "findings": [
                {
                    **asdict(finding),
                    "severity": finding.severity.name.lower(),
                    "examples": [
                        {**asdict(example), "ids": list(example.ids)} for example in finding.examples
                    ],
                }
                for finding in self.findings
            ],
            "not_looked_for": [asdict(missing) for missing in self.not_looked_for],
        }

    def _repr_html_(self) -> str:
        """Return the text as a notebook shows it."""
        return f"<pre>{escape(self.text())}</pre>"

    def text(self) -> str:
        """Return the diagnosis for a terminal, without colour."""
        from idmerge.doctor.text import lines  # noqa: PLC0415 - it reads what is defined here

        return "\n".join(lines(self)) + "\n"

    def html(self) -> str:
        """Return the diagnosis as one HTML page that needs nothing else and runs nothing."""
        from idmerge.doctor.page import page  # noqa: PLC0415 - it reads what is defined here

        return page(self)
