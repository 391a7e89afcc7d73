"""A report: its answers, its check-up and how it was computed, as a page, as text or as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idmerge._formatting import counted
from idmerge.reporting import page, text
from idmerge.reporting.method import method_of

if TYPE_CHECKING:
    from idmerge.doctor import Diagnosis
    from idmerge.reporting.guessing import Guess
    from idmerge.reporting.options import ReportOptions
    from idmerge.reporting.sections import Reading, Section


@dataclass(frozen=True, kw_only=True, repr=False)
class IdentityReport:
    """The three questions answered with and without stitching, and a check-up.

    Examples:
        >>> import idmerge
        >>> report = idmerge.report("examples/shop.ndjson")
        >>> report
        IdentityReport(600 events, 3 of 3 questions answered, 8 findings)
        >>> for section in report.sections:
        ...     print(section.headline.sentence)
        51.3% of visitors sign up; without stitching it looks like 36.1%
        "week_14" brought most: 34.0% of the revenue; without stitching it looks like 16.2%
        of the revenue
        "wet-socks" leads most persons to "Sign Up": 7 of 17, 41.2%; without stitching nothing
        does
        >>> "week_14" in report.html(), report.text().splitlines()[0], [*report.to_dict()][:3]
        (True, 'Identity report', ['sources', 'events', 'malformed'])
    """

    sections: tuple[Section, ...]
    guesses: tuple[Guess, ...]
    """The names of events and properties, guessed or given."""
    options: ReportOptions
    """The same and all other options, as they were used."""
    check_up: Diagnosis | None
    """None if the events were stitched before."""
    reading: Reading

    def html(self) -> str:
        """Return the report as one HTML page that needs nothing else and runs nothing."""
        return page.html(self.sections, self.check_up, self.method())

    def text(self, *, width: int | None = None) -> str:
        """Return the report as text, of ``width`` columns if it can be."""
        return "\n".join(text.lines(self.sections, self.check_up, self.method(), width=width)) + "\n"

    def method(self) -> tuple[tuple[str, str], ...]:
        """Return how the report was computed: labels, and what stands behind each.

        Examples:
            >>> import idmerge
            >>> report = idmerge.report("examples/shop.ndjson", signup="Sign Up")
            >>> dict(report.method())["sign-up"], dict(report.method())["canonical ID"]
            ('"Sign Up": given', 'stable')
        """
        return tuple(method_of(self.reading, self.guesses, self.options))

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`; docs/report.md lists its fields."""
        reading = self.reading
        return {
            "sources": [*reading.sources],
            "events": reading.events,
            "malformed": reading.malformed,
            "ids": reading.ids,
            "clusters": reading.clusters,
            "outcomes": {outcome.name: count for outcome, count in sorted(reading.outcomes.items()) if count},
            "guesses": [guess.to_dict() for guess in self.guesses],
            "answers": {section.name: _answered(section) for section in self.sections},
            "check_up": None if self.check_up is None else self.check_up.to_dict(),
        }

    def __repr__(self) -> str:
        """Name the number of events, of answers and of findings."""
        answered = sum(section.answer is not None for section in self.sections)
        said = f"{answered} of {counted(len(self.sections), 'question')} answered"
        found = "" if self.check_up is None else f", {counted(len(self.check_up.findings), 'finding')}"
        return f"IdentityReport({counted(self.reading.events, 'event')}, {said}{found})"


def _answered(section: Section) -> dict[str, Any]:
    """Return a section as `IdentityReport.to_dict` has it."""
    answer = section.answer
    stated: dict[str, Any] = {"finding": section.headline.sentence}
    if answer is None:
        return {**stated, "title": None, "about": None, "rows": None, "sql": None, "notes": []}
    return {
        **stated,
        "title": answer.title,
        "about": answer.about,
        "rows": [*answer],
        "sql": answer.sql,
        "notes": [*answer.notes],
    }
