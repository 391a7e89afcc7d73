"""Reading text in blocks of whole lines, and parsing them on several threads.

A thread reads a regular file ahead, others work, and the answers come in the order of the file,
while the caller does something with them. What may keep its reader waiting, such as a pipe, is read
in the caller's thread, where it can be interrupted. The answer depends on none of this. The
environment's ``IDMERGE_THREADS`` says how many threads work, by default one a processor up to
`MOST_THREADS`; with 1, and for a short file, no thread is started.
"""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack, closing
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from idmerge._memory import keep_freed_memory
from idmerge._threads import Pool, threads_allowed
from idmerge.errors import FileFormatError
from idmerge.files.pieces import MAX_LINE

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Future

A = TypeVar("A")
T = TypeVar("T")

BLOCK = 2**22
"""Bytes that are worked on at once; with a quarter of it stitching takes a tenth longer."""
PARTS = 2
"""Parts of a block, each of which is one where no columns are made: a file of few megabytes then
occupies all threads. Measured: 1 to 4 take the same time for large files."""
AHEAD = 4
"""Blocks that are read, and blocks that are worked on, before they are asked for."""
MOST_THREADS = 8
WIDE = 250
"""Columns of a table from which on its blocks are smaller."""


class Block(NamedTuple):
    """Whole lines; only the last block, or one of a line beyond the limit, may lack its newline."""

    head: bytes
    """The beginning of the first line."""
    text: bytes
    """The bytes behind the head."""
    end: int
    """The length of the text that counts."""


def block_parts(columns: int) -> int:
    """Return in how many parts a block becomes tables: these have all cells, empty ones too."""
    return 1 if columns < WIDE else columns // 160


def size_of(parts: int) -> int:
    """Return the bytes of a part of a block."""
    return max(1, BLOCK // parts)


def texts_of(stream: io.BufferedReader, head: bytes, size: int) -> Iterator[bytes]:
    """Yield ``head`` and the rest of ``stream`` in texts of ``size`` bytes, up to any damage.

    The last one alone is shorter, and so may be empty.
    """
    pieces, length = [head], len(head)
    while True:
        if length >= size:
            yield b"".join(pieces)
            pieces, length = [], 0
        try:
            piece = stream.read1(size - length)
        except FileFormatError:
            yield b"".join(pieces)
            raise
        if not piece:
            yield b"".join(pieces)
            return
        pieces.append(piece)
        length += len(piece)


def _cut(texts: Iterator[bytes]) -> Iterator[Block]:
    """Cut ``texts`` at the ends of lines; a line beyond `MAX_LINE` is cut after that limit."""
    head = b""
    passing_over = False
    for text in texts:
        if passing_over:
            _, newline, text = text.partition(b"\n")  # noqa: PLW2901
            passing_over = not newline
        end = text.rfind(b"\n") + 1
        if end:
            yield Block(head, text, end)
            head = text[end:]
        else:
            head += text
        if len(head) > MAX_LINE:
            yield Block(b"", head, len(head))
            head = b""
            passing_over = True
    if head:
        yield Block(b"", head, len(head))


# Threads


def each_block(
    stream: io.BufferedReader,
    head: bytes,
    work: Callable[[bytes, bytes, int], T],
    *,
    ahead: bool,
    parts: int = 1,
) -> Generator[T]:
    """Yield the results of ``work`` for blocks in order, on threads unless the file is short.

    Args:
        stream: The text; its beginning, ``head``, is read already.
        head: That beginning.
        work: Takes a block.
        ahead: Whether another thread reads the blocks.
        parts: The number of parts that a block of `BLOCK` bytes is worked on in.

    Raises:
        FileFormatError: The stream is cut off or damaged; the results before that are yielded.
    """
    size = size_of(parts)
    blocks = _cut(texts_of(stream, head, size))
    return each_of(
        blocks, lambda block: work(*block), lambda block: len(block.text) < size, ahead=ahead, parts=parts
    )


def each_of(
    blocks: Iterator[A],
    work: Callable[[A], T],
    is_short: Callable[[A], bool],
    *,
    ahead: bool,
    parts: int,
) -> Generator[T]:
    """Yield the results of ``work`` for ``blocks`` in order, on threads unless the first is short.

    Args:
        blocks: The blocks.
        work: Takes a block.
        is_short: Returns whether no block is behind the first one.
        ahead: Whether another thread reads the blocks.
        parts: The number of parts that a block of `BLOCK` bytes is worked on in.

    Raises:
        FileFormatError: As ``blocks`` raises it; the results before that are yielded.
    """
    first = next(blocks, None)
    if first is None:
        return
    is_alone = is_short(first)
    with ExitStack() as stack:
        if ahead and not is_alone and _threads() > 1:
            blocks = stack.enter_context(closing(_read_ahead(blocks)))
        results = in_order(chain([first], blocks), work, is_short=is_alone, ahead=parts * AHEAD)
        yield from stack.enter_context(closing(results))


def in_order(
    items: Iterator[A], work: Callable[[A], T], *, is_short: bool, ahead: int = AHEAD
) -> Generator[T]:
    """Yield the results of ``work`` for ``items`` in their order, on threads unless ``is_short``.

    So many as are ``ahead`` wait for the caller.

    Raises:
        FileFormatError: What yields the items raises it; the results before that are yielded.
    """
    threads = _threads()
    if is_short or threads == 1:
        yield from map(work, items)
        return
    keep_freed_memory()
    with Pool(threads, "idmerge-scan") as pool:
        answers: deque[Future[T]] = deque()
        damage = None
        try:
            for item in items:
                answers.append(pool.submit(work, item))
                if len(answers) > threads + ahead:
                    yield answers.popleft().result()
        except FileFormatError as error:
            damage = error
        while answers:
            yield answers.popleft().result()
        if damage is not None:
            raise damage


def _threads() -> int:
    return min(threads_allowed(), MOST_THREADS)


def _read_ahead(blocks: Iterator[A]) -> Generator[A]:
    """Yield ``blocks``, which another thread reads ahead."""
    with Pool(1, "idmerge-read") as pool:
        waiting: deque[Future[A | None]] = deque(pool.submit(next, blocks, None) for _ in range(AHEAD))
        while (block := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, blocks, None))
            yield block
