"""Events as JSON text: one object a line, or the items of one array.

A line stands for itself, so a bad one is passed over. In an array the next item begins where the last
one ended, so an item that is no JSON ends the reading.
"""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any, cast

from idmerge.errors import FileFormatError, MalformedEventError
from idmerge.events import event_mapping
from idmerge.files.pieces import MAX_LINE, BadLine, EventBatch, event_batches

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
BLANK = b" \t\r\n"
CHUNK = 64 * 2**10


def read_json(path: str, stream: io.BufferedReader) -> Iterator[EventBatch | BadLine]:
    """Read ``stream`` as a JSON array if its first byte that is not blank is ``[``, else as lines."""
    passed, head = beginning(path, stream)
    if is_array(head):
        yield from read_array(path, stream, head)
    else:
        yield from event_batches(path, _events(path, numbered_lines(path, stream, passed, head)))


def read_array(path: str, stream: io.BufferedReader, head: bytes) -> Iterator[EventBatch | BadLine]:
    """Read an array that begins with ``head``, read already, and goes on in ``stream``."""
    yield from event_batches(path, ArrayItems(path, head.lstrip(BLANK)[1:], stream).read())


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
            passed += head.endswith(b"\n")
            head = stream.readline(CHUNK)
    except FileFormatError as error:
        raise FileFormatError(f"{path}:{passed + 1}: {error}") from error
    if head.startswith(UTF16):
        raise FileFormatError(f"{path}:1: the text is UTF-16; convert it to UTF-8")
    return passed, head


def numbered_lines(
    path: str, stream: io.BufferedReader, passed: int = 0, head: bytes = b""
) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of ``stream`` with their numbers; one beyond `MAX_LINE` is cut, its rest passed over.

    ``passed`` lines came before, and the first line begins with ``head``, read already.

    Raises:
        FileFormatError: The stream is cut off or damaged; the message names the line.
    """
    line = passed
    try:
        text = head if head.endswith(b"\n") else head + stream.readline(MAX_LINE + 1 - len(head))
        while text:
            line += 1
            yield line, text
            if len(text) > MAX_LINE:
                _pass_over(text, stream)
            text = stream.readline(MAX_LINE + 1)
    except FileFormatError as error:
        raise FileFormatError(f"{path}:{line + 1}: {error}") from error


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


def event_or_bad_line(path: str, line: int, text: bytes) -> tuple[int, dict[str, Any], int] | BadLine:
    """Return the event of a line that is not blank, with its number and length, or what is wrong with it."""
    if len(text) > MAX_LINE:
        return BadLine(path, line, f"the line is longer than {MAX_LINE} bytes")
    try:
        return line, cast("dict[str, Any]", event_mapping(text)), len(text)
    except MalformedEventError as error:
        return BadLine(path, line, _reason(error))


def _reason(error: MalformedEventError) -> str:
    """Return the message, with the column alone where ``json`` counts a line of its own."""
    cause = error.__cause__
    if isinstance(cause, json.JSONDecodeError):
        return f"the event is no JSON: {cause.msg} (column {cause.pos + 1})"
    return str(error)


class ArrayItems:
    """The items of one JSON array, parsed out of a window of its text.

    The window grows until an item fits, up to `MAX_LINE` characters, and each time to twice its size:
    an item is then parsed in time proportional to its length.
    """

    def __init__(self, path: str, head: bytes, stream: io.BufferedReader) -> None:
        """Begin behind the opening bracket: ``head``, then what ``stream`` still has."""
        self._path = path
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogatepass").decode
        self._parse = json.JSONDecoder().raw_decode
        self._item = 1
        self._at_end = False
        self._position = 0
        self._window = ""
        self._window = self._decoded(head)

    def read(self) -> Iterator[tuple[int, dict[str, Any], int] | BadLine]:
        """Yield each item with its number and length, or what is wrong with it.

        Raises:
            FileFormatError: The array is no JSON from some item on, or cut off.
        """
        if self._next_character() != "]":
            while True:
                yield self._next_item()
                separator = self._next_character()
                self._position += 1
                if separator == "]":
                    break
                if separator != ",":
                    raise self._error(f"expected a comma or the end of the array, got {separator!r}")
                self._item += 1
        else:
            self._position += 1
        if self._next_character():
            raise self._error("the file goes on behind the end of its JSON array")

    def _next_item(self) -> tuple[int, dict[str, Any], int] | BadLine:
        self._next_character()
        value, end = self._parsed()
        length = end - self._position
        self._position = end
        if not isinstance(value, dict):
            message = f"the event must be a JSON object, got {type(value).__name__}"
            return BadLine(self._path, self._item, message)
        return self._item, value, length

    def _parsed(self) -> tuple[Any, int]:
        """Parse the item at the position; a text that ends with it may go on in the next piece."""
        while True:
            try:
                value, end = self._parse(self._window, self._position)
            except RecursionError as error:
                raise self._error("the item is nested too deeply") from error
            except ValueError as error:
                if not self._grow():
                    raise self._error(f"the item is no JSON: {getattr(error, 'msg', error)}") from error
            else:
                if end < len(self._window) or not self._grow():
                    return value, end

    def _grow(self) -> bool:
        """Add text to the window and return whether there was any.

        Raises:
            FileFormatError: The item is longer than `MAX_LINE` characters.
        """
        self._window = self._window[self._position :]
        self._position = 0
        if len(self._window) > MAX_LINE:
            raise self._error(f"the item is longer than {MAX_LINE} characters or no JSON")
        before = len(self._window)
        wanted = min(max(CHUNK, 2 * before), MAX_LINE + CHUNK)
        self._window += self._decoded(self._read(wanted - before))
        return len(self._window) > before

    def _next_character(self) -> str:
        """Pass over blanks and return the character behind them, or nothing at the end of the file."""
        while True:
            rest = len(self._window)
            while self._position < rest and self._window[self._position] in " \t\r\n":
                self._position += 1
            if self._position < rest:
                return self._window[self._position]
            if not self._grow():
                return ""

    def _read(self, size: int) -> bytes:
        try:
            text = self._stream.read(size)
        except FileFormatError as error:
            raise self._error(str(error)) from error
        self._at_end = not text
        return text

    def _decoded(self, text: bytes) -> str:
        try:
            return self._decode(text, self._at_end)
        except UnicodeDecodeError as error:
            raise self._error(f"here or a little later the text is no UTF-8: {error}") from error

    def _error(self, message: str) -> FileFormatError:
        return FileFormatError(f"{self._path}:{self._item}: {message}")
