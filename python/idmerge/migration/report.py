"""A report on a migration: counts, shares and examples, as text, JSON or an HTML page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from idmerge._formatting import counted
from idmerge.migration import page, text
from idmerge.migration.facts import Facts


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MigrationReport(Facts):
    """Counts, shares and examples of a migration.

    A *cluster* is one of the closure with two IDs or more: those of Original, joined by the links
    that it refused for a limit and by events of both a device and a user. docs/migration.md defines
    each share.

    Examples:
        >>> from idmerge import migration
        >>> report = migration.plan("examples/shop.ndjson").report
        >>> report
        MigrationReport(85 associations, 45 of 45 clusters have a user, recovery 100.0 %)
        >>> report.events, report.identity_events, report.clusters, report.ambiguous
        (600, 89, 45, 0)
        >>> print(report.text().splitlines()[0])
        read        examples/shop.ndjson
        >>> report.to_dict()["associations"], "Migration" in report.html()
        (85, True)
    """

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`; docs/migration.md lists its fields."""
        return asdict(self)

    def text(self) -> str:
        """Return the report for a terminal."""
        return "\n".join(text.lines(self)) + "\n"

    def html(self) -> str:
        """Return the report as one HTML page that needs nothing else and runs nothing."""
        return page.html(self)

    def __repr__(self) -> str:
        """Name the associations, the clusters with a user, and the recovery."""
        return (
            f"MigrationReport({counted(self.associations, 'association')}, {self.resolved:,} of "
            f"{counted(self.clusters, 'cluster')} have a user, recovery {text.percent(self.recovery)})"
        )

    def _repr_html_(self) -> str:
        """Return the text as HTML for a notebook."""
        return f"<pre>{escape(self.text())}</pre>"
