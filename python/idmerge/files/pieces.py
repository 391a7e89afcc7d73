"""Batches of a file's events or links, with one protocol and bounded sizes.

A piece has its number of events, applies itself to a resolver, and has the links of the report on
it with their lines. So callers treat all pieces alike, but for a `BadLine` that is to be reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from idmerge.errors import PolicyError
from idmerge.events import Kind
from idmerge.files.ids import has_id, has_odd_id
from idmerge.files.judging import JudgedLink, judged_event, outcomes_by_row
from idmerge.outcome import Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from idmerge.policy import Api
    from idmerge.resolver import Resolver

BATCH = 8192
r"""Events or links in a batch, at most.

Examples:
    >>> import json
    >>> from pathlib import Path
    >>> from idmerge import testing
    >>> from idmerge.files import BATCH, read
    >>> lines = (json.dumps(event) + "\n" for event in testing.events(BATCH + 1))
    >>> _ = Path("e.ndjson").write_text("".join(lines))
    >>> [len(batch) for batch in read("e.ndjson")]
    [8192, 1]
"""
BATCH_BYTES = 16 * 2**20
"""Text in a batch, beyond which it ends early.

Examples:
    >>> from idmerge.files import BATCH_BYTES
    >>> BATCH_BYTES // 2**20
    16
"""
MAX_LINE = 16 * 2**20
"""Longest line, or item of a JSON array, in bytes, its end included.

Examples:
    >>> from idmerge.files import MAX_LINE
    >>> MAX_LINE // 2**20
    16
"""


class Piece(Protocol):
    """Events or links that stand one after another in a file; true, also without events.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.files import scan
        >>> [piece] = scan("examples/flow-4-shared-device-without-reset.ndjson")
        >>> report = piece.apply_to(Resolver())
        >>> piece.path[-12:], len(piece), piece.has_ids(), piece.odd_ids()
        ('reset.ndjson', 5, True, [])
        >>> for link in piece.judged(report):
        ...     print(link.line, link.kind, link.outcome)
        2 IDENTIFY MERGED
        4 IDENTIFY ANON_CLAIMED
    """

    @property
    def path(self) -> str:
        """The file as messages name it."""

    def __len__(self) -> int:
        """Return the number of events; the rows of a file of links are none."""

    def __bool__(self) -> bool:
        """Return True: a piece without events is one all the same."""

    def apply_to(self, resolver: Resolver) -> Report:
        """Apply the piece to ``resolver``, in order, and report on its links.

        Raises:
            CapacityError: The resolver is full; the message names the row, and those before it are
                applied.
        """

    def has_ids(self) -> bool:
        """Return whether some event has an ID or states a link."""

    def odd_ids(self) -> Sequence[int]:
        """Return the lines of ordinary events whose value for an ID can be none (SPEC 3)."""

    def judged(self, report: Report, links: Iterable[int] | None = None) -> Iterator[JudgedLink]:
        """Yield links of the piece with their lines and their outcomes.

        Args:
            report: The report that `apply_to` returned.
            links: The links wanted, as indices of the report; by default all.
        """


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events as dicts, from lines or items of JSON.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.files import read
        >>> [batch] = read("examples/flow-1-new-user.ndjson")
        >>> len(batch), batch.lines[1], batch.events[1]["event"], batch.has_ids(), batch.odd_ids()
        (5, 2, 'Page View', True, [])
        >>> report = batch.apply_to(Resolver())
        >>> [link.outcome for link in batch.judged(report)]
        [<Outcome.MERGED: 0>]
    """

    path: str
    """The file as messages name it."""
    lines: Sequence[int]
    """The line of each event."""
    events: Sequence[dict[str, Any]]
    api: Api = "original"
    """The API whose links they state; that of the resolver which takes them."""

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.events)

    def __bool__(self) -> bool:
        """Return True: a piece without events is one all the same."""
        return True

    def apply_to(self, resolver: Resolver) -> Report:
        """Apply the events to ``resolver`` (`Piece.apply_to`)."""
        check_same_api(self.api, resolver)
        return resolver._apply_events(self.events, "import", (self.path, self.lines))

    def has_ids(self) -> bool:
        """Return whether some event has an ID or states a link."""
        return any(has_id(event, self.api) for event in self.events)

    def odd_ids(self) -> list[int]:
        """Return the lines of ordinary events whose value for an ID can be none."""
        events = zip(self.lines, self.events, strict=True)
        return [line for line, event in events if has_odd_id(event, self.api)]

    def judged(self, report: Report, links: Iterable[int] | None = None) -> Iterator[JudgedLink]:
        """Yield links of the ``report`` (`Piece.judged`)."""
        for row, outcome in outcomes_by_row(report, links):
            yield judged_event(self.path, self.lines[row], self.events[row], outcome, self.api)


@dataclass(frozen=True, slots=True, eq=False)
class LinkBatch:
    r"""Links as columns, from CSV, Parquet or Arrow.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge import Resolver
        >>> from idmerge.files import read
        >>> _ = Path("links.csv").write_text("kind,first,second\nmerge,ana,crm-17\nmerge,ana,ana\n")
        >>> [batch] = read("links.csv")
        >>> batch.link(0), batch.has_ids(), batch.odd_ids()
        ((<Kind.MERGE: 2>, 'ana', 'crm-17'), True, [])
        >>> report = batch.apply_to(Resolver())
        >>> [(link.line, link.outcome) for link in batch.judged(report)]
        [(2, <Outcome.MERGED: 0>), (3, <Outcome.SAME_IDS: 2>)]
    """

    path: str
    """The file as messages name it."""
    lines: Sequence[int]
    """The line of each link."""
    kinds: NDArray[np.uint8]
    """The number of each link's `Kind`."""
    first: list[str] | pa.Array[Any]
    """The first operand of each link; null where the file has none."""
    second: list[str] | pa.Array[Any]
    """The second operand of each link; null where the file has none."""

    def __len__(self) -> int:
        """Return 0: rows of links are no events."""
        return 0

    def __bool__(self) -> bool:
        """Return True: a piece without events is one all the same."""
        return True

    def link(self, index: int) -> tuple[Kind, str | None, str | None]:
        """Return the link at ``index``; an operand that the file lacks is None."""
        return Kind(int(self.kinds[index])), _text(self.first[index]), _text(self.second[index])

    def apply_to(self, resolver: Resolver) -> Report:
        """Apply the links to ``resolver`` (`Piece.apply_to`)."""
        return resolver.link_many(self.kinds, self.first, self.second)

    def has_ids(self) -> bool:
        """Return True: links have IDs."""
        return True

    def odd_ids(self) -> list[int]:
        """Return none."""
        return []

    def judged(self, report: Report, links: Iterable[int] | None = None) -> Iterator[JudgedLink]:
        """Yield links of the ``report`` (`Piece.judged`)."""
        for row, outcome in outcomes_by_row(report, links):
            kind, first, second = self.link(row)
            message = None
            if outcome is Outcome.MALFORMED:
                operands = (("first", first), ("second", second))
                missing = " and ".join(name for name, value in operands if value is None)
                message = f"{missing} of {kind.name.lower()} must be a string, got null"
            yield JudgedLink(self.path, self.lines[row], kind, first, second, outcome, message)


@dataclass(frozen=True, slots=True)
class BadLine:
    r"""A line that cannot be read: a piece without events or links.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge import Resolver
        >>> from idmerge.files import read
        >>> _ = Path("e.ndjson").write_text('{"event": "Login", "properties": {}}\n{"event": \n')
        >>> _, bad = read("e.ndjson")
        >>> print(bad)
        e.ndjson:2: the event is no JSON: Expecting value (column 11)
        >>> report = bad.apply_to(Resolver())
        >>> bad.line, len(bad), bad.has_ids(), bad.odd_ids(), list(bad.judged(report))
        (2, 0, False, [], [])
    """

    path: str
    """The file as messages name it."""
    line: int
    message: str
    """The reason, without file and line."""
    is_no_json: bool = field(default=False, compare=False, repr=False)
    """True if it is no JSON at all, so that what follows it in an array cannot be trusted."""

    def __len__(self) -> int:
        """Return 0."""
        return 0

    def __bool__(self) -> bool:
        """Return True: a piece without events is one all the same."""
        return True

    def apply_to(self, resolver: Resolver) -> Report:  # noqa: ARG002 - every piece takes one
        """Apply nothing."""
        return Report([])

    def has_ids(self) -> bool:
        """Return False."""
        return False

    def odd_ids(self) -> list[int]:
        """Return none."""
        return []

    def judged(self, report: Report, links: Iterable[int] | None = None) -> Iterator[JudgedLink]:  # noqa: ARG002
        """Yield nothing."""
        return iter(())

    def __str__(self) -> str:
        """Return ``path:line: message``."""
        return f"{self.path}:{self.line}: {self.message}"


def event_batches(
    path: str, events: Iterable[tuple[int, dict[str, Any], int] | BadLine], api: Api = "original"
) -> Iterator[EventBatch | BadLine]:
    """Gather ``events`` (line, event, length of its text) into batches.

    A bad line ends a batch early.
    """
    lines: list[int] = []
    batch: list[dict[str, Any]] = []
    length = 0
    for item in events:
        full = len(batch) >= BATCH or length >= BATCH_BYTES
        if batch and (full or isinstance(item, BadLine)):
            yield EventBatch(path, lines, batch, api)
            lines, batch, length = [], [], 0
        if isinstance(item, BadLine):
            yield item
            continue
        line, event, event_length = item
        lines.append(line)
        batch.append(event)
        length += event_length
    if batch:
        yield EventBatch(path, lines, batch, api)


def _text(value: Any) -> str | None:
    text: str | None = value if isinstance(value, str) or value is None else value.as_py()
    return text


def check_same_api(api: Api, resolver: Resolver) -> None:
    """Raise PolicyError unless ``resolver`` takes the links of ``api``."""
    if resolver.policy.api != api:
        raise PolicyError(
            f"the events were read with api={api!r}, and the resolver's policy has "
            f"api={resolver.policy.api!r}: give both the same"
        )
