"""The first reading of the events: their links as Original judges them, and counts by ID.

Memory grows with the IDs and with the different links that Original refuses, not with the events.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.errors import FileFormatError
from idmerge.events import DEVICE, SENT_ID, USER, Kind, device_of, ids_of, is_verb, original_of, user_of
from idmerge.files import BadLine, EventBatch, LinkBatch, read
from idmerge.files.names import ID, PROPERTIES, TIME
from idmerge.migration.moments import moments_of
from idmerge.outcome import Outcome
from idmerge.policy import DEVICE_PREFIX, can_be_id
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from idmerge.files import JudgedLink, Piece, RereadableFile
    from idmerge.outcome import Report
    from idmerge.policy import Policy

    OnPiece = Callable[[Piece | BadLine, Report | None], object]
    """Called with each piece that was read, and the report on its links."""

FORGIVABLE = ("errManyIDs", "errAnonDistinctIdNonGUIDForm")
"""The reasons of Mixpanel's that name a limit of Original: Simplified has neither."""
REASONS = {outcome.failure_reason for outcome in Outcome}
OTHER = "another reason"


class RefusedLink(NamedTuple):
    """A link that Original refused."""

    kind: Kind
    first: str
    second: str
    outcome: Outcome
    reason: str | None
    """Mixpanel's own reason, if it refused the link itself; one of `REASONS`, `OTHER` or None."""

    @property
    def is_limited(self) -> bool:
        """True if a limit that Simplified does not have is the reason: the size, or the format."""
        if self.outcome is Outcome.REFUSED_BEFORE:
            return self.reason in FORGIVABLE
        return self.outcome in {Outcome.TOO_MANY_IDS, Outcome.ANON_FORMAT}


class FirstReading:
    """What the events state, and how many each ID sent."""

    def __init__(self, policy: Policy, *, with_times: bool) -> None:
        self.original = Resolver(policy, history=True)
        self.events = self.verbs = 0
        self.events_of: Counter[str] = Counter()
        """Ordinary events by the ID that was sent; IDs that can be none are left out."""
        self.claims: dict[str, str] = {}
        """The user of each anonymous ID that an accepted `$identify` claimed, in their order."""
        self.aliases: dict[str, str] = {}
        """What each alias value stands for."""
        self.identified: dict[str, None] = {}
        """The users whom an accepted `$identify`, or the `$user_id` of their own event, names."""
        self.refused: Counter[RefusedLink] = Counter()
        """Links that were refused, in the order in which each came first."""
        self.pairs: dict[str, str] = {}
        """The first user of each device that ordinary events name together, by the device's ID."""
        self.outcomes: Counter[Outcome] = Counter()
        self._first_times: dict[str, int] = {}
        self._with_times = with_times

    def read(
        self,
        files: Sequence[RereadableFile],
        arguments: Mapping[str, Any],
        on_bytes: Callable[[int], object],
        on_piece: OnPiece,
    ) -> None:
        """Read ``files``; ``arguments`` are those of `idmerge.files.read`.

        Raises:
            FileFormatError: A file is damaged, or a table.
            OSError: A file cannot be opened.
        """
        for file in files:
            for piece in pieces_of(file, arguments, on_bytes):
                report = None if isinstance(piece, BadLine) else self._take(piece)
                on_piece(piece, report)

    def sender(self, event: Mapping[str, Any]) -> str | None:
        """Return the ID under which the ordinary ``event`` was sent; None if it is nobody's."""
        stated = event.get(PROPERTIES)
        if isinstance(stated, dict) and SENT_ID not in stated and type(stated.get(ID)) is str:
            own: str = stated[ID]  # Nearly every event.
            return own if self._can_be(own) else None
        distinct_id, sent = ids_of(event)
        if distinct_id is None or not self._can_be(distinct_id):
            return None
        if sent is not None and self.original.policy.evidence and self._can_be(sent):
            return sent
        return distinct_id

    def first_time(self, ids: Iterable[str]) -> int | None:
        """Return the time of the first event that names one of ``ids``, in milliseconds.

        If none of them has a time, that of the first event of all.
        """
        times = [time for each in ids if (time := self._first_times.get(each)) is not None]
        return min(times or self._first_times.values(), default=None)

    def _can_be(self, text: str) -> bool:
        return text in self.events_of or can_be_id(text, self.original.policy)

    def _take(self, piece: EventBatch | LinkBatch) -> Report:
        report = piece.apply_to(self.original)
        self.outcomes.update(report.counts)
        named: list[tuple[int, str]] = []
        for row, link in zip(report.rows.tolist(), piece.judged(report), strict=True):
            self._take_link(link)
            named += [(row, each) for each in (link.first, link.second) if each]
        if isinstance(piece, EventBatch):
            self.events += len(piece)
            named += self._take_events(piece.events)
            if self._with_times:
                self._take_times(piece.events, named)
        return report

    def _take_link(self, link: JudgedLink) -> None:
        if link.first is None or link.second is None:
            return
        if not link.outcome.accepted:
            if link.outcome not in {Outcome.INVALID_ID, Outcome.MALFORMED, Outcome.SAME_IDS}:
                reason = link.reason if link.reason in REASONS else OTHER
                refused = RefusedLink(link.kind, link.first, link.second, link.outcome, reason)
                self.refused[refused] += 1
        elif link.kind is Kind.IDENTIFY:
            self.claims.setdefault(link.first, link.second)
            self.identified.setdefault(link.second)
        elif link.kind is Kind.ALIAS:
            self.aliases.setdefault(link.first, link.second)

    def _take_events(self, events: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
        """Count ordinary events; yield the row and the ID of each."""
        for row, given in enumerate(events):
            event = original_of(given)
            if is_verb(event, "original"):
                self.verbs += 1
                continue
            sent = self.sender(event)
            if sent is None:
                continue
            self.events_of[sent] += 1
            yield row, sent
            properties = event[PROPERTIES]
            if USER in properties:
                self._take_pair(properties, sent)

    def _take_pair(self, properties: Mapping[str, Any], sent: str) -> None:
        """Keep the user whom an event names beside the device, if one of the two sent it."""
        user = user_of(properties)
        device = device_of(properties) if DEVICE in properties else None
        if user is None or not self._can_be(user):
            return
        if sent == user:
            self.identified.setdefault(user)
        if device is not None and sent in {user, device, device.removeprefix(DEVICE_PREFIX)}:
            self.pairs.setdefault(device, user)

    def _take_times(self, events: Sequence[Mapping[str, Any]], named: list[tuple[int, str]]) -> None:
        properties = [event.get(PROPERTIES) for event in events]
        moments = moments_of([each.get(TIME) if isinstance(each, dict) else None for each in properties])
        times = self._first_times
        for row, each in named:
            moment = moments[row]
            if moment is not None and moment < times.get(each, moment + 1):
                times[each] = moment


def pieces_of(
    file: RereadableFile, arguments: Mapping[str, Any], on_bytes: Callable[[int], object]
) -> Iterator[EventBatch | LinkBatch | BadLine]:
    """Yield the pieces of a file of events of JSON, or of links.

    Raises:
        FileFormatError: It is damaged, or has events in columns.
    """
    for piece in read(file.path, name=file.name, on_bytes=on_bytes, **arguments):
        if not isinstance(piece, (EventBatch, LinkBatch, BadLine)):
            raise FileFormatError(
                f"{file.name}: a migration reads events of JSON, and these are in columns; export them as "
                "JSON, an object a line"
            )
        yield piece
