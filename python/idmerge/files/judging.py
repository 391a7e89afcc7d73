"""Judged links with their file, line and outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.errors import MalformedEventError
from idmerge.events import Kind, Link, parse, verb_of
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from idmerge.outcome import Report
    from idmerge.policy import Api


class JudgedLink(NamedTuple):
    """A link where it stands in a file, and its outcome.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.files import scan
        >>> [piece] = scan("examples/flow-4-shared-device-without-reset.ndjson")
        >>> *_, link = piece.judged(piece.apply_to(Resolver()))
        >>> link.line, link.outcome, link.failure_reason
        (4, <Outcome.ANON_CLAIMED: 4>, 'errAnonDistinctIdAssignedAlready')
    """

    path: str
    line: int
    kind: Kind
    first: str | None
    """The first operand; None where a malformed link has none."""
    second: str | None
    """The second operand; None where a malformed link has none."""
    outcome: Outcome
    message: str | None
    """The fault of a malformed link; None for every other outcome."""
    reason: str | None = None
    """Mixpanel's reason, if it refused the link itself, whatever the outcome is."""

    @property
    def failure_reason(self) -> str | None:
        """Mixpanel's code for the rejection; its own reason where it refused the link itself."""
        return self.reason if self.outcome is Outcome.REFUSED_BEFORE else self.outcome.failure_reason


def outcomes_by_row(report: Report, links: Iterable[int] | None) -> Iterator[tuple[int, Outcome]]:
    """Yield row and outcome of each of ``links``, which are indices of ``report``; None for all."""
    outcomes, rows = report.outcomes, report.rows
    for index in range(len(report)) if links is None else links:
        yield int(rows[index]), Outcome(int(outcomes[index]))


def judged_event(
    path: str, line: int, event: Mapping[str, Any], outcome: Outcome, api: Api = "original"
) -> JudgedLink:
    """Return the link that ``event`` states under ``api``; a malformed one has what it has."""
    try:
        return judged_link(path, line, parse(event, api=api), outcome)
    except MalformedEventError as error:
        message = str(error) if outcome is Outcome.MALFORMED else None
        return JudgedLink(path, line, verb_of(event), *error.operands, outcome, message)


def judged_link(path: str, line: int, link: Link | None, outcome: Outcome) -> JudgedLink:
    """Return ``link`` with its place and its outcome."""
    if link is None:
        raise AssertionError(f"{path}:{line}: an ordinary event has no outcome")
    return JudgedLink(path, line, link.kind, link.first, link.second, outcome, None, link.refused)
