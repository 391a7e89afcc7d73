"""Events as lines of JSON, read by the core: the way for large files.

The core finds what each line states and says which lines it left alone; those are read here as
`idmerge.files.jsontext` reads all of them, so that both ways give the same answers and messages.

Reading, scanning and what the caller does with a piece go on at the same time: a thread reads a
regular file ahead, others scan, and the pieces come in the order of the file. What may keep its reader
waiting, such as a pipe, is read in the caller's thread, where it can be interrupted. The answer depends
on none of this. The environment's ``IDMERGE_THREADS`` says how many threads scan, by default one a
processor up to `MOST_THREADS`; with 1, and for a short file, no thread is started.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge import _core
from idmerge.errors import FileFormatError
from idmerge.events import Kind, Link, operand_keys
from idmerge.files.jsontext import event_or_bad_line
from idmerge.files.pieces import MAX_LINE, BadLine
from idmerge.threads import threads_allowed

if TYPE_CHECKING:
    import io
    from collections.abc import Generator, Iterator, Mapping
    from concurrent.futures import Future

BLOCK = 2**20
"""Bytes that are scanned at once."""
AHEAD = 4
"""Blocks that are read, and blocks that are scanned, before they are asked for."""
MOST_THREADS = 8


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


class _Block(NamedTuple):
    """Whole lines; only the last block of a file, or of a line beyond the limit, ends without its end."""

    head: bytes
    """The beginning of the first line."""
    text: bytes
    """What follows the head."""
    end: int
    """How much of the text counts."""


def read_steps(
    path: str, stream: io.BufferedReader, passed: int, head: bytes, *, ahead: bool
) -> Iterator[StepBatch | BadLine]:
    """Read the lines of ``stream``, in another thread if ``ahead``.

    ``passed`` lines came before, and the first line begins with ``head``, read already.

    Raises:
        FileFormatError: The stream is cut off or damaged; the message names the line.
    """
    line = passed + 1
    try:
        with closing(_scans(_blocks(_texts(stream, head)), ahead=ahead)) as scans:
            for scan in scans:
                yield from _pieces(path, line, scan)
                line += scan.lines
    except FileFormatError as error:
        raise FileFormatError(f"{path}:{line}: {error}") from error


def _pieces(path: str, first_line: int, scan: _core.Scan) -> Iterator[StepBatch | BadLine]:
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


# Blocks


def _texts(stream: io.BufferedReader, head: bytes) -> Iterator[bytes]:
    """Yield ``head`` and the rest of ``stream`` in texts of `BLOCK` bytes, also what came before damage."""
    pieces, length = [head], len(head)
    while True:
        if length >= BLOCK:
            yield b"".join(pieces)
            pieces, length = [], 0
        try:
            piece = stream.read1(BLOCK - length)
        except FileFormatError:
            yield b"".join(pieces)
            raise
        if not piece:
            yield b"".join(pieces)
            return
        pieces.append(piece)
        length += len(piece)


def _blocks(texts: Iterator[bytes]) -> Iterator[_Block]:
    """Cut ``texts`` at the ends of lines; of a line beyond `MAX_LINE` a beginning longer than that."""
    head = b""
    passing_over = False
    for text in texts:
        if passing_over:
            _, newline, text = text.partition(b"\n")  # noqa: PLW2901
            passing_over = not newline
        end = text.rfind(b"\n") + 1
        if end:
            yield _Block(head, text, end)
            head = text[end:]
        else:
            head += text
        if len(head) > MAX_LINE:
            yield _Block(b"", head, len(head))
            head = b""
            passing_over = True
    if head:
        yield _Block(b"", head, len(head))


# Threads


def _scans(blocks: Iterator[_Block], *, ahead: bool) -> Generator[_core.Scan]:
    """Scan ``blocks``, on several threads unless the file is short, and yield the scans in order."""
    scanner = _core.Scanner(operand_keys(), MAX_LINE)
    threads = min(threads_allowed(), MOST_THREADS)
    first = next(blocks, None)
    if first is None:
        return
    if threads == 1 or len(first.text) < BLOCK:
        yield scanner.scan(*first)
        for block in blocks:
            yield scanner.scan(*block)
        return
    with ExitStack() as stack:
        if ahead:
            blocks = stack.enter_context(closing(_read_ahead(blocks)))
        pool = stack.enter_context(_Pool(threads, "idmerge-scan"))
        scans = deque([pool.submit(scanner.scan, *first)])
        damage = None
        try:
            for block in blocks:
                scans.append(pool.submit(scanner.scan, *block))
                if len(scans) > threads + AHEAD:
                    yield scans.popleft().result()
        except FileFormatError as error:
            damage = error
        while scans:
            yield scans.popleft().result()
        if damage is not None:
            raise damage


def _read_ahead(blocks: Iterator[_Block]) -> Generator[_Block]:
    """Yield ``blocks``, which another thread reads ahead."""
    with _Pool(1, "idmerge-read") as pool:
        waiting: deque[Future[_Block | None]] = deque(pool.submit(next, blocks, None) for _ in range(AHEAD))
        while (block := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, blocks, None))
            yield block


class _Pool(ThreadPoolExecutor):
    """Threads that, at the end of a ``with``, begin nothing more."""

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, name)

    def __exit__(self, *_: object) -> None:
        self.shutdown(wait=True, cancel_futures=True)
