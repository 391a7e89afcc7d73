"""Events as JSON text: one object a line, or the items of one array, which are read as lines.

A line stands for itself, so a bad one is passed over. In an array the next item begins where the
last one ended, so an item that is no JSON ends the reading.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from idmerge._core import Items
from idmerge._json_decoding import decoded
from idmerge.errors import FileFormatError, MalformedEventError
from idmerge.events import event_mapping
from idmerge.files.pieces import MAX_LINE, BadLine, EventBatch, event_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer

P = TypeVar("P")

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
BLANK = b" \t\r\n"
BLANK_TEXT = re.compile(rb"\s*")
CHUNK = 64 * 2**10
MANY_BLANK = 16
"""Blank lines in a row, after which more are passed over at once, as many as the stream has at
hand."""


def read_json(path: str, stream: io.BufferedReader) -> Iterator[EventBatch | BadLine]:
    """Read ``stream`` as a JSON array if its first byte but blanks is ``[``, else as lines."""
    text = text_of(path, stream)
    events = _events(path, numbered_lines(path, text.stream, text.passed, text.head))
    yield from checked(text, event_batches(path, events))


class Text(NamedTuple):
    """Lines of JSON, some of which are read already."""

    stream: io.BufferedReader
    passed: int
    """The number of blank lines at its beginning."""
    head: bytes
    """The beginning of the line behind them."""
    is_array: bool
    """True if the lines are the items of an array, and their numbers these items'."""


def text_of(path: str, stream: io.BufferedReader) -> Text:
    """Return the lines that ``stream`` holds, or the items of its array as lines.

    Raises:
        FileFormatError: The text is UTF-16, or the stream cut off or damaged.
    """
    passed, head = beginning(path, stream)
    if not is_array(head):
        return Text(stream, passed, head, is_array=False)
    lines = ItemLines(head.lstrip(BLANK)[1:], stream)
    return Text(io.BufferedReader(lines, CHUNK), 0, b"", is_array=True)


def checked(text: Text, pieces: Iterable[P]) -> Iterator[P]:
    """Yield ``pieces`` of ``text``.

    Raises:
        FileFormatError: An item of an array is no JSON.
    """
    for piece in pieces:
        if text.is_array and isinstance(piece, BadLine) and piece.is_no_json:
            raise FileFormatError(str(piece).replace("the event is no JSON", "the item is no JSON", 1))
        yield piece


def is_array(head: bytes) -> bool:
    """Return whether the text that begins with ``head`` is an array."""
    return head.lstrip(BLANK).startswith(b"[")


def beginning(path: str, stream: io.BufferedReader) -> tuple[int, bytes]:
    """Return how many blank lines the text begins with, and the beginning of the line behind them.

    Raises:
        FileFormatError: The text is UTF-16, or the stream cut off or damaged.
    """
    passed = 0
    try:
        head = stream.readline(CHUNK).removeprefix(codecs.BOM_UTF8)
        while head.isspace():
            passed += head.endswith(b"\n") + _pass_blank_lines(stream, BLANK_TEXT)
            head = stream.readline(CHUNK)
    except FileFormatError as error:
        raise FileFormatError(f"{path}:{passed + 1}: {error}") from error
    if head.startswith(UTF16):
        raise FileFormatError(f"{path}:1: the text is UTF-16; convert it to UTF-8")
    return passed, head


def numbered_lines(
    path: str,
    stream: io.BufferedReader,
    passed: int = 0,
    head: bytes = b"",
    blank: Callable[[], re.Pattern[bytes]] = lambda: BLANK_TEXT,
) -> Iterator[tuple[int, bytes]]:
    """Yield the numbered lines of ``stream``; one beyond `MAX_LINE` is cut there.

    ``passed`` lines came before, and the first line begins with ``head``, read already. Of many
    blank lines in a row not all are yielded; ``blank`` returns a pattern of them, once the last
    line was taken.

    Raises:
        FileFormatError: The stream is cut off or damaged; the message names the line.
    """
    line = passed
    blanks = 0
    try:
        text = head if head.endswith(b"\n") else head + stream.readline(MAX_LINE + 1 - len(head))
        while text:
            line += 1
            yield line, text
            if len(text) > MAX_LINE:
                _pass_over(text, stream)
            blanks = blanks + 1 if text.isspace() and blank().fullmatch(text) else 0
            if blanks >= MANY_BLANK:
                line += _pass_blank_lines(stream, blank())
            text = stream.readline(MAX_LINE + 1)
    except FileFormatError as error:
        raise FileFormatError(f"{path}:{line + 1}: {error}") from error


def _pass_blank_lines(stream: io.BufferedReader, blank: re.Pattern[bytes]) -> int:
    """Pass over the blank lines that come next, and return how many they were.

    Some may be left, also where one goes beyond what ``stream`` has at hand.
    """
    passed = 0
    while True:
        text = stream.peek()
        match = blank.match(text)
        end = text.rfind(b"\n", 0, match.end() if match else 0) + 1
        if not end:
            return passed
        passed += text.count(b"\n", 0, end)
        stream.read(end)


def _pass_over(text: bytes, stream: io.BufferedReader) -> None:
    """Read on behind ``text`` until its line ends."""
    while text and not text.endswith(b"\n"):
        text = stream.readline(CHUNK)


def _events(
    path: str, lines: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, dict[str, Any], int] | BadLine]:
    for line, text in lines:
        if not text.isspace():
            yield event_or_bad_line(path, line, text)


def event_or_bad_line(
    path: str, line: int, text: bytes, decode: Callable[[bytes], Any] = decoded
) -> tuple[int, dict[str, Any], int] | BadLine:
    """Return the event of a line with its number and length, or the line's fault."""
    if len(text) > MAX_LINE:
        return BadLine(path, line, f"the line is longer than {MAX_LINE} bytes")
    try:
        return line, cast("dict[str, Any]", event_mapping(text.removesuffix(b"\n"), decode)), len(text)
    except MalformedEventError as error:
        return BadLine(path, line, _reason(error), isinstance(error.__cause__, ValueError))


def _reason(error: MalformedEventError) -> str:
    """Return the message, with the column alone where ``json`` counts a line of its own."""
    cause = error.__cause__
    if isinstance(cause, json.JSONDecodeError):
        return f"the event is no JSON: {cause.msg} (column {cause.pos + 1})"
    return str(error)


class ItemLines(io.RawIOBase):
    """The items of one JSON array, each as a line: ``head``, behind its bracket, then ``stream``.

    What is wrong with the array itself is a `FileFormatError`, once all before it is read.
    """

    def __init__(self, head: bytes, stream: io.BufferedReader) -> None:
        super().__init__()
        self._head = head
        self._stream = stream
        self._items = Items()
        self._lines = memoryview(b"")
        self._is_ended = False
        self._wrong: str | None = None

    def readable(self) -> bool:
        """Return that bytes can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill ``buffer`` as far as one read goes and return the number of bytes."""
        while not self._lines:
            if self._wrong is not None:
                raise FileFormatError(self._wrong)
            if self._is_ended:
                return 0
            text, self._head = self._head or self._stream.read1(CHUNK), b""
            self._is_ended = not text
            lines, self._wrong = self._items.cut(text)
            self._lines = memoryview(lines)
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._lines))
        view[:count], self._lines = self._lines[:count], self._lines[count:]
        return count
