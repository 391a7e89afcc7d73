"""What became of the links of a file, told with file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from idmerge import Kind, Link, Outcome, Report, parse
from idmerge.errors import FileFormatError, MalformedEventError
from idmerge.files import EventBatch, LinkBatch, StepBatch, kind_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Batch = EventBatch | LinkBatch | StepBatch


class JudgedLink(NamedTuple):
    """One link where it stands in a file, and what became of it."""

    path: str
    line: int
    kind: Kind
    left: str | None
    """The first operand; None where a malformed link has none."""
    right: str | None
    """The second operand; None where a malformed link has none."""
    outcome: Outcome
    message: str | None
    """Why the link is malformed; None for every other outcome."""


def judged_links(batch: Batch, report: Report, indices: Iterable[int]) -> Iterator[JudgedLink]:
    """Yield the links at ``indices`` of the ``report`` on ``batch``."""
    outcomes, positions = report.outcomes, report.positions
    for index in indices:
        outcome, position = Outcome(int(outcomes[index])), int(positions[index])
        if isinstance(batch, LinkBatch):
            yield _of_row(batch, position, outcome)
        elif isinstance(batch, EventBatch):
            yield _of_event(batch.path, batch.lines[position], batch.events[position], outcome)
        elif position in batch.events:
            yield _of_event(batch.path, batch.line(position), batch.events[position], outcome)
        else:
            yield _of_link(batch.path, batch.line(position), batch.link(position), outcome)


def _of_event(path: str, line: int, event: dict[str, object], outcome: Outcome) -> JudgedLink:
    try:
        return _of_link(path, line, parse(event), outcome)
    except MalformedEventError as error:
        return JudgedLink(path, line, _kind_of(event), *error.operands, outcome, str(error))


def _of_link(path: str, line: int, link: Link | None, outcome: Outcome) -> JudgedLink:
    if link is None:
        raise AssertionError(f"{path}:{line}: an ordinary event has no outcome")
    return JudgedLink(path, line, link.kind, link.first, link.second, outcome, None)


def _kind_of(event: dict[str, object]) -> Kind:
    kind = kind_named(event["event"])
    if kind is None:
        raise FileFormatError(f"{event['event']!r} is no identity event")
    return kind


def _of_row(batch: LinkBatch, index: int, outcome: Outcome) -> JudgedLink:
    kind, left, right = batch.link(index)
    message = None
    if outcome is Outcome.MALFORMED:
        missing = " and ".join(name for name, value in (("left", left), ("right", right)) if value is None)
        message = f"{missing} of {kind.name.lower()} must be a string, got null"
    return JudgedLink(batch.path, batch.lines[index], kind, left, right, outcome, message)
