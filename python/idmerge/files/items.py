"""Blocks of a JSON array, whose items are read where they stand.

An array has nothing to cut it at but commas, and whether one of them stands between two items shows
only what is before it. So a block ends where an item seems to begin: behind a comma, with the text
that the first item begins with. Whoever reads the block finds whether it is whole items. Where one
is not, all from there on is read as lines, which takes longer; so the answer does not depend on it.
"""

from __future__ import annotations

import io
from collections import deque
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from idmerge.errors import FileFormatError
from idmerge.files.blocks import each_of, size_of, texts_of
from idmerge.files.containers import BEHIND_COMMA, ItemLines, Rejoined
from idmerge.files.opening import BUFFER
from idmerge.files.pieces import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")

BLANK = b" \t\r\n"
LONGEST_START = 64
"""The most bytes of an item up to its first value."""
LOOKS = 8
"""Places, from the end of a text, at which an item that seems to begin is looked at."""


class Array(NamedTuple):
    """The text of an array behind its opening bracket."""

    head: bytes
    """Its beginning, which is read."""
    stream: io.BufferedReader
    """The text behind that."""


class ItemBlock(NamedTuple):
    """Items of an array, up to its end or to the comma behind one."""

    text: bytes
    is_last: bool


class _ItemBlocks:
    """The blocks of an array, as far as ends are found for them."""

    def __init__(self, array: Array, size: int) -> None:
        self._stream = array.stream
        self._size = size
        self._texts = texts_of(array.stream, array.head, size)
        self._waiting: deque[bytes] = deque()
        """Blocks that were handed out, and not read yet."""
        self._rest = b""
        self._start = b""
        self._is_over = self._has_begun = False
        self._fault: FileFormatError | None = None

    def __iter__(self) -> _ItemBlocks:
        return self

    def __next__(self) -> ItemBlock:
        """Return the next block; there is none where its end is not found."""
        while not self._is_over:
            try:
                text = next(self._texts)
            except FileFormatError as error:
                self._fault, self._is_over = error, True
                break
            self._rest += text
            self._start = self._start or _start_of(self._rest)
            is_last = len(text) < self._size and self._ends_well()
            end = len(self._rest) if is_last else self._end()
            self._is_over |= is_last or not self._start or (not end and len(self._rest) > MAX_LINE)
            if self._fault is None and end and self._start:
                block, self._rest = self._rest[:end], self._rest[end:]
                self._waiting.append(block)
                return ItemBlock(block, is_last)
        raise StopIteration

    def _ends_well(self) -> bool:
        """Return whether nothing is wrong with the stream behind its last text."""
        try:
            next(self._texts, None)
        except FileFormatError as error:
            self._fault, self._is_over = error, True
        return self._fault is None

    def confirm(self) -> None:
        """Take the next of the blocks that were handed out as read."""
        self._waiting.popleft()
        self._has_begun = True

    def left(self) -> io.BufferedReader | None:
        """Return what is not read, as lines; None if that is nothing.

        Raises:
            FileFormatError: It is nothing but the stream's fault.
        """
        text = b"".join([*self._waiting, self._rest])
        if text:
            # A stream that is damaged is not asked again.
            stream, wrong = self._stream, None
            if self._fault is not None:
                stream, wrong = io.BufferedReader(io.BytesIO()), str(self._fault)
            raw: Any = io.BufferedReader(Rejoined(text, stream, wrong), BUFFER)
            return io.BufferedReader(ItemLines(b"", raw, BEHIND_COMMA if self._has_begun else None), BUFFER)
        if self._fault is not None:
            raise self._fault
        return None

    def _end(self) -> int:
        """Return the last place where an item seems to begin, or 0."""
        place = len(self._rest)
        for _ in range(LOOKS):
            place = self._rest.rfind(self._start, 0, place)
            if place <= 0:
                break
            if self._rest[max(0, place - LONGEST_START) : place].rstrip(BLANK).endswith(b","):
                return place
        return 0


def _start_of(items: bytes) -> bytes:
    """Return the text of the first item up to its first value, by which others are found."""
    start = items.lstrip(BLANK)[:LONGEST_START]
    end = start.find(b":") + 1
    return start[:end] if start.startswith(b"{") else b""


def each_part(
    array: Array, work: Callable[[bytes, bool], T | None], *, ahead: bool, parts: int
) -> Generator[T, None, io.BufferedReader | None]:
    """Yield the results of ``work`` for blocks of ``array`` in order, as `each_block` does.

    Args:
        array: The array.
        work: Takes a block, and whether it is the last one; returns None if it is not whole items.
        ahead: Whether another thread reads the blocks.
        parts: The number of parts that a block of `BLOCK` bytes is worked on in.

    Returns:
        What is left of the array, as lines; None if nothing is.

    Raises:
        FileFormatError: The stream is cut off or damaged.
    """
    blocks = _ItemBlocks(array, size_of(parts))
    results = each_of(
        blocks, lambda block: work(*block), lambda block: block.is_last, ahead=ahead, parts=parts
    )
    with closing(results):
        for result in results:
            if result is None:
                break
            blocks.confirm()
            yield result
    return blocks.left()
