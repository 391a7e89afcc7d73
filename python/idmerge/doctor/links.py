"""A compact table of all links, as columns of numbers: some thirty bytes a link.

`Ledger` takes links one by one as they were judged; `Links` is its finished form.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge.doctor.findings import Example
from idmerge.events import Kind
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from idmerge.doctor.ids import Ids
    from idmerge.files.judging import JudgedLink

EXAMPLES = 3
VERDICTS = 1000
"""Links of which Mixpanel's reason is kept."""
CLAIMING = (Kind.IDENTIFY, Kind.ASSOCIATION)
UNKNOWN_TIME = np.iinfo(np.int64).min


@dataclass(slots=True)
class Reason:
    """One way in which identity events are malformed."""

    value: str
    """The value that came the first time, or nothing where none did."""
    count: int = 0
    examples: list[Example] = field(default_factory=list)


class Ledger:
    """Takes links in their order."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._kinds, self._outcomes = array("B"), array("B")
        self._first, self._second, self._lines = array("q"), array("q"), array("q")
        self._is_event = array("B")
        self._files: list[str] = []
        self._starts: list[int] = []
        self._was_refused = array("B")
        self.reasons: dict[str, Reason] = {}
        self.verdicts: dict[int, str] = {}
        """Mixpanel's reasons for refusing links itself, of the first `VERDICTS`."""

    def begin(self, file: str) -> None:
        """Begin a file, in which the links that follow stand."""
        self._files.append(file)
        self._starts.append(len(self._kinds))

    def add(self, link: JudgedLink, *, is_event: bool) -> None:
        """Take a link of a file."""
        if link.reason is not None and len(self.verdicts) < VERDICTS:
            self.verdicts[len(self._kinds)] = link.reason
        self._append(link.kind, link.first, link.second, link.outcome, link.line, is_event=is_event)
        self._was_refused[-1] = link.reason is not None
        if link.message is not None:
            # What came instead differs from event to event, and may hold anything.
            wrong, _, value = link.message.partition(", got ")
            reason = self.reasons.setdefault(wrong, Reason(value))
            reason.count += 1
            if len(reason.examples) < EXAMPLES:
                ids = tuple(text for text in (link.first, link.second) if text is not None)
                reason.examples.append(Example(ids=ids, file=link.path, line=link.line))

    def add_recorded(
        self, kind: Kind, first: str | None, second: str | None, outcome: Outcome, position: int
    ) -> None:
        """Take a link of a journal."""
        self._append(kind, first, second, outcome, position, is_event=False)

    def _append(  # noqa: PLR0913 - a row
        self,
        kind: Kind,
        first: str | None,
        second: str | None,
        outcome: Outcome,
        place: int,
        *,
        is_event: bool,
    ) -> None:
        self._kinds.append(kind)
        self._first.append(self._ids.number(first))
        self._second.append(self._ids.number(second))
        self._outcomes.append(outcome)
        self._lines.append(place)
        self._is_event.append(is_event)
        self._was_refused.append(False)

    def finish(self, event_times: NDArray[np.int64] | None) -> Links:
        """Return the links; ``event_times`` are those of all events that link, in their order."""
        is_event = np.array(self._is_event, np.bool_)
        times = np.full(len(is_event), UNKNOWN_TIME, np.int64)
        if event_times is not None:
            times[is_event] = event_times
        return Links(
            kinds=np.array(self._kinds, np.uint8),
            first=np.array(self._first, np.int64),
            second=np.array(self._second, np.int64),
            outcomes=np.array(self._outcomes, np.uint8),
            times=times,
            is_event=is_event,
            was_refused=np.array(self._was_refused, np.bool_),
            lines=np.array(self._lines, np.int64),
            files=tuple(self._files),
            starts=tuple(self._starts),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Links:
    """All links in their order; each array has a row a link."""

    kinds: NDArray[np.uint8]
    first: NDArray[np.int64]
    """The number of the first operand; `NOBODY` where a link has none, or it was forgotten."""
    second: NDArray[np.int64]
    outcomes: NDArray[np.uint8]
    times: NDArray[np.int64]
    """Microseconds since 1970 in UTC, from the event; `UNKNOWN_TIME` where it has none."""
    is_event: NDArray[np.bool_]
    """True for each link that an event stated, rather than a row of columns or a journal."""
    was_refused: NDArray[np.bool_]
    """True for each link whose event says that Mixpanel refused it."""
    lines: NDArray[np.int64]
    """The line, or the position in a journal."""
    files: tuple[str, ...]
    """No file is a journal's."""
    starts: tuple[int, ...]
    """The first link of each file."""

    def __len__(self) -> int:
        """Return how many links there are."""
        return len(self.kinds)

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """True for each link that was accepted."""
        return np.less_equal(self.outcomes, Outcome.UNCHANGED)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """True for each link between two different valid IDs that its API has, also if rejected."""
        nothing = (Outcome.MALFORMED, Outcome.INVALID_ID, Outcome.SAME_IDS, Outcome.VERB_NOT_ALLOWED)
        refused = np.isin(self.outcomes, nothing)
        return ~refused & (self.first >= 0) & (self.second >= 0)

    def of_kind(self, kind: Kind) -> NDArray[np.bool_]:
        """Return whether each link is of ``kind``."""
        return np.equal(self.kinds, kind)

    @property
    def claiming(self) -> NDArray[np.bool_]:
        """True for each link that claims a device for a user."""
        is_allowed = np.not_equal(self.outcomes, Outcome.VERB_NOT_ALLOWED)
        return np.logical_and(np.isin(self.kinds, CLAIMING), is_allowed)

    def where(self, outcome: Outcome) -> NDArray[np.int64]:
        """Return the links with ``outcome``."""
        return np.flatnonzero(self.outcomes == outcome)

    def example(self, index: int, ids: tuple[str, ...], note: str) -> Example:
        """Return an example that stands where the link at ``index`` does."""
        place: dict[str, Any] = {"position": int(self.lines[index])}
        if self.files:
            file = self.files[bisect_right(self.starts, index) - 1]
            place = {"file": file, "line": int(self.lines[index])}
        return Example(ids=ids, note=note, **place)
