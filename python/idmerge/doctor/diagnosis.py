"""A diagnosis: all findings, as text for a terminal, as an HTML page or as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from idmerge._formatting import counted
from idmerge.doctor import page, text

if TYPE_CHECKING:
    from idmerge.doctor.findings import Finding, NotLookedFor, Overview, Severity


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Diagnosis:
    """All findings, the most severe first.

    Examples:
        >>> from idmerge import doctor
        >>> diagnosis = doctor.examine("examples/shop.ndjson")
        >>> diagnosis, diagnosis.worst()
        (Diagnosis(3 errors, 4 warnings, 1 note in 600 events, .text() has all),
        <Severity.ERROR: 0>)
        >>> print(diagnosis.text().splitlines()[0])
        read        examples/shop.ndjson
        >>> diagnosis.findings[0].code in diagnosis.html(), [*diagnosis.to_dict()]
        (True, ['overview', 'findings', 'not_looked_for'])
    """

    overview: Overview
    findings: tuple[Finding, ...]
    """The findings by severity, then by the share of events that they touch."""
    not_looked_for: tuple[NotLookedFor, ...]

    def worst(self) -> Severity | None:
        """Return the highest severity found; None if nothing was found."""
        return min((finding.severity for finding in self.findings), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`; docs/doctor.md lists its fields."""
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

    def __repr__(self) -> str:
        """Name the number of findings of each severity, and what was examined."""
        found = Counter(finding.severity.name.lower() for finding in self.findings)
        said = ", ".join(counted(count, severity) for severity, count in found.items()) or "nothing found"
        events, links = self.overview.events, self.overview.links
        examined = counted(links, "link") if events is None else counted(events, "event")
        return f"Diagnosis({said} in {examined}, .text() has all)"

    def _repr_html_(self) -> str:
        """Return the text as HTML for a notebook."""
        return f"<pre>{escape(self.text())}</pre>"

    def text(self, *, width: int | None = None, styled: text.Styled = text.unstyled) -> str:
        """Return the diagnosis for a terminal.

        Args:
            width: Columns at which sentences are wrapped, 100 at most and by default.
            styled: Returns the word of a severity as it is shown; without colour by default.
        """
        wide = min(width or text.WIDTH, text.WIDTH)
        found = text.lines(self.overview, self.findings, self.not_looked_for, width=wide, styled=styled)
        return "\n".join(found) + "\n"

    def html(self) -> str:
        """Return the diagnosis as one HTML page that needs nothing else and runs nothing."""
        return page.html(self.overview, self.findings, self.not_looked_for)
