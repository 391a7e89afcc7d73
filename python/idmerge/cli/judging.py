"""What became of the links of a file, told with file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from idmerge import Kind, Outcome, Report, Resolver, parse
from idmerge.errors import FileFormatError, MalformedEventError
from idmerge.files import EventBatch, LinkBatch, kind_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Batch = EventBatch | LinkBatch


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


def judge(resolver: Resolver, batch: Batch) -> Report:
    """Give the links of ``batch`` to ``resolver``."""
    if isinstance(batch, EventBatch):
        return resolver.apply_events(batch.events)
    return resolver.link_many(batch.kinds, batch.left, batch.right)


def judged_links(batch: Batch, report: Report, indices: Iterable[int]) -> Iterator[JudgedLink]:
    """Yield the links at ``indices`` of the ``report`` on ``batch``."""
    outcomes, positions = report.outcomes, report.positions
    for index in indices:
        outcome = Outcome(int(outcomes[index]))
        if isinstance(batch, EventBatch):
            yield _of_event(batch, int(positions[index]), outcome)
        else:
            yield _of_row(batch, int(positions[index]), outcome)


def _of_event(batch: EventBatch, position: int, outcome: Outcome) -> JudgedLink:
    event, line = batch.events[position], batch.lines[position]
    try:
        link = parse(event)
    except MalformedEventError as error:
        return JudgedLink(batch.path, line, _kind_of(event), *error.operands, outcome, str(error))
    if link is None:
        raise AssertionError(f"{batch.path}:{line}: an ordinary event has no outcome")
    return JudgedLink(batch.path, line, link.kind, link.first, link.second, outcome, None)


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
