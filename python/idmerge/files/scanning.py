"""NDJSON scanned by the core for the steps that its events state: the way for large files.

The core finds the step that each line states, and lists the lines that it leaves to Python; those
are read here as `idmerge.files.jsontext` reads all of them, so that both ways give the same answers
and messages.

Reading, scanning and the caller's work on a piece go on at the same time (`idmerge.files.blocks`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from idmerge import _core
from idmerge._event_times import time_of
from idmerge._json_decoding import decoded_for_tables
from idmerge._steps import kind_of, step_columns
from idmerge.canonical import check_can_be_followed
from idmerge.errors import FileFormatError
from idmerge.events import Link, operand_keys
from idmerge.files.blocks import PARTS, each_block
from idmerge.files.ids import has_id, has_odd_id
from idmerge.files.items import each_part
from idmerge.files.judging import judged_event, judged_link, outcomes_by_row
from idmerge.files.pieces import MAX_LINE, BadLine, check_same_api
from idmerge.files.shape import Shape, line_of
from idmerge.outcome import Report

if TYPE_CHECKING:
    import io
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from idmerge.files.jsontext import LineReader, Text
    from idmerge.files.judging import JudgedLink
    from idmerge.policy import Api
    from idmerge.resolver import Resolver

OnColumns = Callable[[_core.Scan], bool]
"""Takes events as columns; returns whether it takes more."""


@dataclass(frozen=True, slots=True, eq=False)
class StepBatch:
    """Events as the steps that they state, from lines of JSON.

    An event that the core left to Python is in ``events``; of the others only the IDs are kept.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.files import scan
        >>> [batch] = scan("examples/flow-1-new-user.ndjson")
        >>> len(batch), batch.line(2), batch.row(2), batch.has_ids(), batch.odd_ids()
        (5, 3, 2, True, [])
        >>> batch.link(2).second, batch.distinct_id(4)
        ('ada@example.com', 'ada@example.com')
        >>> report = batch.apply_to(Resolver())
        >>> [(link.line, link.outcome) for link in batch.judged(report)]
        [(3, <Outcome.MERGED: 0>)]
    """

    path: str
    """The file as messages name it."""
    events: Mapping[int, dict[str, Any]]
    """The events that Python read, by their index."""
    api: Api
    """The API whose links they state; that of the resolver which takes them."""
    _scan: _core.Scan
    _first_line: int
    _rows: range

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self._rows)

    def __bool__(self) -> bool:
        """Return True: a piece without events is one all the same."""
        return True

    def row(self, index: int) -> int:
        """Return the row of the event at ``index`` in its scan."""
        return self._rows[index]

    def line(self, index: int) -> int:
        """Return the line of the event at ``index``."""
        return self._first_line + self._scan.line(self._rows[index])

    def link(self, index: int) -> Link | None:
        """Return the link at ``index``; None for an ordinary event, and for one in ``events``."""
        row = self._rows[index]
        link = self._scan.link(row)
        if link is None:
            return None
        code, first, second = link
        return Link(kind_of(code)[0], first, second, refused=self._scan.reason(row))

    def apply_to(self, resolver: Resolver) -> Report:
        """Apply the events to ``resolver`` (`Piece.apply_to`)."""
        check_same_api(self.api, resolver)
        return Report(*resolver._take_scan(*self._steps(), **self._origin(resolver)))

    def apply_and_follow(self, resolver: Resolver) -> Report:
        """Apply the events as `apply_to` does, and note who each sender was before (SPEC 6).

        The notes are for the columns of the same events, while they wait to be written.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.files import scan
            >>> [batch] = scan("examples/flow-1-new-user.ndjson")
            >>> batch.apply_and_follow(Resolver())
            Report(1 link: 1 MERGED)
        """
        check_same_api(self.api, resolver)
        return Report(*resolver._take_scan(*self._steps(), follows=True, **self._origin(resolver)))

    def has_ids(self) -> bool:
        """Return whether some event has an ID or states a link."""
        stated = (self._scan.observed(row) or self._scan.link(row) for row in self._rows)
        return (
            any(has_id(event, self.api) for event in self.events.values())
            or any(stated)
            or bool(self.odd_ids())
        )

    def odd_ids(self) -> list[int]:
        """Return the lines of ordinary events whose value for an ID can be none."""
        rows = self._scan.odd_ids(self._rows.start, self._rows.stop)
        read = (self._rows[index] for index, event in self.events.items() if has_odd_id(event, self.api))
        return [self._first_line + self._scan.line(row) for row in sorted([*rows, *read])]

    def judged(self, report: Report, links: Iterable[int] | None = None) -> Iterator[JudgedLink]:
        """Yield links of the ``report`` (`Piece.judged`)."""
        for row, outcome in outcomes_by_row(report, links):
            if row in self.events:
                yield judged_event(self.path, self.line(row), self.events[row], outcome, self.api)
            else:
                yield judged_link(self.path, self.line(row), self.link(row), outcome)

    def follow(self, resolver: Resolver, ids: Any) -> _core.Column:
        """Apply the events to ``resolver``; return the senders as known when each came (SPEC 6).

        Args:
            resolver: A resolver that has the links before this piece.
            ids: The ``distinct_id`` of each event, in an Arrow column of utf8.

        Returns:
            For each event the canonical ID before its own link, and those behind it, were applied.

        Raises:
            CapacityError: The resolver is full; those before the event that did not fit are
                applied.
            CanonicalError: The canonical strategy is a callable, which cannot be followed.

        Examples:
            >>> import pyarrow as pa
            >>> from idmerge import Resolver
            >>> from idmerge.files import scan
            >>> [batch] = scan("examples/flow-1-new-user.ndjson")
            >>> ids = pa.array(map(batch.distinct_id, range(len(batch))), pa.string())
            >>> batch.follow(Resolver(), ids).to_pylist()[3:]
            ['ada@example.com', 'ada@example.com']
        """
        check_same_api(self.api, resolver)
        check_can_be_followed(resolver.canonical)
        return resolver._follow_scan(ids, *self._steps())

    def _steps(self) -> tuple[_core.Scan, tuple[int, int], bytes, list[str | None], list[str | None]]:
        """Return the scan, its rows, and the steps of those that Python read."""
        read = step_columns((self.events[index] for index in sorted(self.events)), self.api)
        return self._scan, (self._rows.start, self._rows.stop), *read

    def _origin(self, resolver: Resolver) -> dict[str, Any]:
        """Return what the journal of ``resolver`` keeps of the links' origins, if it has one."""
        if not resolver._notes_origins:
            return {}
        times = [time_of(self.events[index]) for index in sorted(self.events)]
        return {"origin": (self.path, self._first_line), "times": times}

    def distinct_id(self, index: int) -> str | None:
        """Return the ID of the ordinary event at ``index``; None without one, or in ``events``."""
        return self._scan.observed(self._rows[index])


def read_steps(  # noqa: PLR0913 - each says what is wanted
    path: str,
    text: Text,
    *,
    ahead: bool,
    shape: Shape | None = None,
    on_columns: OnColumns | None = None,
    with_times: bool = False,
) -> Iterator[StepBatch | BadLine]:
    """Read the lines of ``text``, in another thread if ``ahead``; those of links ``with_times``.

    A ``shape`` learns which properties the events have; with one, ``on_columns`` is called with
    each scan, as columns too, when its pieces have been yielded, until it returns False.

    Raises:
        FileFormatError: The stream is cut off or damaged; the message names the line.
    """
    line = text.passed + 1
    scanner = _scanner(shape, text.reader.api, columns=on_columns is not None, times=with_times)
    try:
        with closing(_scans(text, scanner, ahead=ahead, with_properties=shape is not None)) as scans:
            for scan in scans:
                pieces = list(pieces_of(text.reader, line, scan))
                if shape is not None and shape.learn(
                    path, [*scan.properties(), *_properties_of_holes(text.reader, scan)]
                ):
                    scanner.expect(shape.kinds())
                yield from pieces
                if on_columns is not None and not on_columns(scan):
                    on_columns = None
                    scanner.end_columns()
                line += scan.lines
    except FileFormatError as error:
        raise FileFormatError(f"{path}:{line}: {error}") from error


def _scans(
    text: Text, scanner: _core.Scanner, *, ahead: bool, with_properties: bool
) -> Generator[_core.Scan]:
    """Yield the scans of a text: of an array's items where they stand, as far as that goes."""
    stream: io.BufferedReader | None = text.stream
    head, parts = text.head, 1 if with_properties else PARTS
    if text.array is not None and not with_properties:
        stream, head = (yield from each_part(text.array, scanner.scan_items, ahead=ahead, parts=parts)), b""
    if stream is not None:
        work = partial(_scan, text.reader, scanner)
        yield from each_block(stream, head, work, ahead=ahead, parts=parts)


def scanner_of(api: Api, **wanted: Any) -> _core.Scanner:
    """Return a scanner of events whose links are those of ``api``."""
    return _core.Scanner(operand_keys(api), MAX_LINE, simplified=api == "simplified", **wanted)


def _scanner(shape: Shape | None, api: Api, *, columns: bool = False, times: bool = False) -> _core.Scanner:
    if shape is None:
        return scanner_of(api, times=times)
    scanner = scanner_of(api, shape=True, columns=columns, chosen=shape.chosen, times=times)
    scanner.expect(shape.kinds())
    return scanner


def _scan(reader: LineReader, scanner: _core.Scanner, head: bytes, text: bytes, end: int) -> _core.Scan:
    """Scan a block; for columns, the lines that the core leaves alone are read here."""
    scan = scanner.scan(head, text, end)
    unread = scan.unread()
    return scanner.scan(head, text, end, plain_lines(reader, unread)) if unread else scan


def plain_lines(reader: LineReader, lines: Iterable[tuple[int, bytes]]) -> list[bytes | None]:
    """Return lines that the core leaves alone as lines that it reads; None for what is no event."""
    items = [reader(line, text, decoded_for_tables) for line, text in lines]
    return [
        None if item is None or isinstance(item, BadLine) else line_of(item[1], reader.api) for item in items
    ]


def pieces_of(reader: LineReader, first_line: int, scan: _core.Scan) -> Iterator[StepBatch | BadLine]:
    """Yield the rows of ``scan``, cut where a line is bad or states nothing."""
    for item in read_rows(reader, first_line, scan):
        if isinstance(item, BadLine):
            yield item
        else:
            rows, events = item
            yield StepBatch(reader.path, events, reader.api, scan, first_line, rows)


def read_rows(
    reader: LineReader, first_line: int, scan: _core.Scan | _core.UpdateRows
) -> Iterator[tuple[range, dict[int, dict[str, Any]]] | BadLine]:
    """Read the lines that the core leaves to Python, and yield them with the rows around them.

    Returns:
        Ranges of rows, cut where a line is bad or states nothing, each with the objects that were
        read by their index in it; and the bad lines between.
    """
    start = 0
    objects: dict[int, dict[str, Any]] = {}
    for row, text in scan.holes():
        item = reader(first_line + scan.line(row), text)
        if item is not None and not isinstance(item, BadLine):
            objects[row - start] = item[1]
            continue
        if row > start:
            yield range(start, row), objects
        if item is not None:
            yield item
        start, objects = row + 1, {}
    if len(scan) > start:
        yield range(start, len(scan)), objects


def _properties_of_holes(reader: LineReader, scan: _core.Scan) -> Iterator[tuple[str, int, int]]:
    """Yield the properties of those events of ``scan`` of which Python alone knows them."""
    rows = set(scan.rows_without_properties())
    if not rows:
        return
    holes = [(row, text) for row, text in scan.holes() if row in rows]
    plain = zip((row for row, _ in holes), plain_lines(reader, holes), strict=True)
    lines = {row: line for row, line in plain if line is not None}
    text = b"\n".join(lines.values())
    found = _scanner(Shape(), "original").scan(b"", text, len(text))
    chosen = [*lines]
    for name, kinds, place in found.properties():
        yield name, kinds, chosen[place]
