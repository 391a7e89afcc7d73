"""Events as lines of JSON, read by the core: the way for large files.

The core finds what each line states and says which lines it left alone; those are read here as
`idmerge.files.jsontext` reads all of them, so that both ways give the same answers and messages.

Reading, scanning and what the caller does with a piece go on at the same time (`idmerge.files.blocks`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from idmerge import _core
from idmerge.errors import FileFormatError
from idmerge.events import Kind, Link, operand_keys
from idmerge.files.blocks import blocks_of, each_block
from idmerge.files.jsontext import event_or_bad_line
from idmerge.files.pieces import MAX_LINE, BadLine
from idmerge.files.shape import Shape, line_of
from idmerge.jsondecoding import decoded_for_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from idmerge.files.jsontext import Text

OnColumns = Callable[[_core.Scan], bool]
"""Takes events as columns; returns whether it takes more."""


@dataclass(frozen=True, slots=True, eq=False)
class StepBatch:
    """Events that stand one after another in a file, as what they state.

    An event that the core left to Python is in ``events``; of the others only the IDs are kept.
    """

    path: str
    """The file as messages name it."""
    events: Mapping[int, dict[str, Any]]
    """The events that Python read, by their index."""
    _scan: _core.Scan
    _first_line: int
    _rows: range

    @property
    def rows(self) -> tuple[_core.Scan, tuple[int, int]]:
        """What `Resolver.apply_steps` takes: a scan, and which of its rows."""
        return self._scan, (self._rows.start, self._rows.stop)

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self._rows)

    def row(self, index: int) -> int:
        """Return the row of the event at ``index`` in its scan."""
        return self._rows[index]

    def line(self, index: int) -> int:
        """Return the line of the event at ``index``."""
        return self._first_line + self._scan.line(self._rows[index])

    def link(self, index: int) -> Link | None:
        """Return the link at ``index``; None where the event is an ordinary one, or in ``events``."""
        link = self._scan.link(self._rows[index])
        return None if link is None else Link(Kind(link[0]), link[1], link[2])

    def distinct_id(self, index: int) -> str | None:
        """Return the ID of the ordinary event at ``index``; None where it has none, or is in ``events``."""
        return self._scan.observed(self._rows[index])


def read_steps(
    path: str,
    text: Text,
    *,
    ahead: bool,
    shape: Shape | None = None,
    on_columns: OnColumns | None = None,
) -> Iterator[StepBatch | BadLine]:
    """Read the lines of ``text``, in another thread if ``ahead``.

    A ``shape`` learns which properties the events have; with one, ``on_columns`` is called with each scan, as
    columns too, when its pieces have been yielded, until it returns False.

    Raises:
        FileFormatError: The stream is cut off or damaged; the message names the line.
    """
    line = text.passed + 1
    scanner = _scanner(shape, columns=on_columns is not None)
    try:
        with closing(
            each_block(blocks_of(text.stream, text.head), partial(_scan, path, scanner), ahead=ahead)
        ) as scans:
            for scan in scans:
                pieces = list(pieces_of(path, line, scan))
                if shape is not None and shape.learn(
                    path, [*scan.properties(), *_properties_of_holes(path, scan)]
                ):
                    scanner.expect(shape.kinds())
                yield from pieces
                if on_columns is not None and not on_columns(scan):
                    on_columns = None
                    scanner.end_columns()
                line += scan.lines
    except FileFormatError as error:
        raise FileFormatError(f"{path}:{line}: {error}") from error


def _scanner(shape: Shape | None, *, columns: bool = False) -> _core.Scanner:
    if shape is None:
        return _core.Scanner(operand_keys(), MAX_LINE)
    scanner = _core.Scanner(operand_keys(), MAX_LINE, shape=True, columns=columns, chosen=shape.chosen)
    scanner.expect(shape.kinds())
    return scanner


def _scan(path: str, scanner: _core.Scanner, head: bytes, text: bytes, end: int) -> _core.Scan:
    """Scan a block; where columns are wanted, lines that the core leaves alone are read here for them."""
    scan = scanner.scan(head, text, end)
    unread = scan.unread()
    return scanner.scan(head, text, end, plain_lines(path, unread)) if unread else scan


def plain_lines(path: str, lines: Iterable[tuple[int, bytes]]) -> list[bytes | None]:
    """Return lines that the core leaves alone as lines that it reads; None for what is no event."""
    items = [event_or_bad_line(path, line, text, decoded_for_tables) for line, text in lines]
    return [None if isinstance(item, BadLine) else line_of(item[1]) for item in items]


def pieces_of(path: str, first_line: int, scan: _core.Scan) -> Iterator[StepBatch | BadLine]:
    """Yield the rows of ``scan``, cut where a line is bad."""
    start = 0
    events: dict[int, dict[str, Any]] = {}
    for row, text in scan.holes():
        item = event_or_bad_line(path, first_line + scan.line(row), text)
        if not isinstance(item, BadLine):
            events[row - start] = item[1]
            continue
        if row > start:
            yield StepBatch(path, events, scan, first_line, range(start, row))
        yield item
        start, events = row + 1, {}
    if len(scan) > start:
        yield StepBatch(path, events, scan, first_line, range(start, len(scan)))


def _properties_of_holes(path: str, scan: _core.Scan) -> Iterator[tuple[str, int, int]]:
    """Yield the properties of those events of ``scan`` of which Python alone knows them."""
    rows = set(scan.rows_without_properties())
    if not rows:
        return
    holes = [(row, text) for row, text in scan.holes() if row in rows]
    plain = zip((row for row, _ in holes), plain_lines(path, holes), strict=True)
    lines = {row: line for row, line in plain if line is not None}
    text = b"\n".join(lines.values())
    found = _scanner(Shape()).scan(b"", text, len(text))
    chosen = [*lines]
    for name, kinds, place in found.properties():
        yield name, kinds, chosen[place]
