"""Events as JSON text: one object a line, or the items of an array or the like as lines.

A line stands for itself, so a bad one is passed over. In an array the next item begins where the
last one ended, so an item that is no JSON ends the reading.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from idmerge import _core
from idmerge._json_decoding import decoded, decoded_or_none
from idmerge.errors import FileFormatError, MalformedEventError
from idmerge.events import event_mapping
from idmerge.files.choosing import ANY, Choice
from idmerge.files.containers import CHUNK, PASSED_ON, TOO_LONG, ItemLines, PassedOn, RawLines, Rejoined
from idmerge.files.dialects import MIXPANEL, NOT_EVENTS, RESOLVED, Dialect, listed
from idmerge.files.ids import NeededIds
from idmerge.files.items import BLANK, Array
from idmerge.files.mappings import mapping_batches
from idmerge.files.names import ID
from idmerge.files.opening import BUFFER
from idmerge.files.pieces import MAX_LINE, BadLine, EventBatch, LinkBatch, event_batches
from idmerge.files.recognition import (
    OnDialect,
    dialect_of_rows,
    is_recognised,
    is_row,
    is_telling,
    keys_without_ids,
    no_matter,
    settled,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from idmerge.files.pieces import Piece
    from idmerge.policy import Api

P = TypeVar("P", bound="Piece")
Read = tuple[int, dict[str, Any], int]
"""The number of a line, its content, and its length."""

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
BLANK_TEXT = re.compile(rb"\s*")
NO_LIST = b"\x03"
"""The first byte of a line with the keys of an object among pages that has no list."""
LOOKED_AT = 2**20
"""Bytes at the beginning of a text by which its form and its dialect are found, at most."""
MOST_ROWS = 100
"""Objects by which a dialect is found, at most."""
MANY_BLANK = 16
"""Blank lines in a row, after which more are passed over at once, as many as the stream has at
hand."""


def read_json(
    path: str, stream: io.BufferedReader, choice: Choice = ANY, on_dialect: OnDialect = no_matter
) -> Iterator[EventBatch | LinkBatch | BadLine]:
    """Read the events or mappings in ``stream``, JSON text of any form and dialect.

    Raises:
        FileFormatError: As `text_of`, or the rows are people's profiles.
    """
    text = text_of(path, stream, choice, on_dialect, as_raw=False)
    if text.dialect.content == "events":
        yield from checked(text, event_batches(path, _rows(path, text), choice.api))
    else:
        yield from mappings_in(path, text)


def mappings_in(path: str, text: Text) -> Iterator[LinkBatch | BadLine]:
    """Read ``text`` as mappings.

    Raises:
        FileFormatError: It holds people's profiles, or an item of an array is no JSON.
    """
    check_no_people(path, text)
    yield from checked(text, mapping_batches(path, _rows(path, text)))


def check_no_people(path: str, text: Text) -> None:
    """Raise FileFormatError if ``text`` holds people's profiles."""
    if text.dialect.content == "people":
        raise FileFormatError(f"{path}: {NOT_EVENTS}")


class LineReader(NamedTuple):
    """The reader of single lines: all of a file, or those of it that the core leaves to Python."""

    path: str
    """The file as messages name it."""
    dialect: Dialect = MIXPANEL
    is_transcoded: bool = False
    """Whether the lines are of the raw shape, but for those that are passed on."""
    api: Api = "original"
    """The API whose links the events state."""

    def __call__(
        self, line: int, text: bytes, decode: Callable[[bytes], Any] = decoded
    ) -> Read | BadLine | None:
        """Return what a line states with its number and its length, or its fault.

        Returns:
            None for a message that states nothing.
        """
        dialect = self.dialect
        if self.is_transcoded:
            if text.startswith(PASSED_ON):
                text = text[1:]
            else:
                dialect = MIXPANEL
        if len(text) > MAX_LINE or (self.is_transcoded and text.startswith(TOO_LONG)):
            return BadLine(self.path, line, f"the line is longer than {MAX_LINE} bytes")
        if text.startswith(NO_LIST) and isinstance(keys := decoded_or_none(text[1:]), list):
            return BadLine(
                self.path, line, f"the object has no list of rows as the first one has; it has {listed(keys)}"
            )
        try:
            row = dialect.row_of(event_mapping(text.removesuffix(b"\n"), decode))
            if row is None:
                return None
            content = _CONTENTS[dialect.content](dialect, row)
        except MalformedEventError as error:
            return BadLine(self.path, line, _reason(error), isinstance(error.__cause__, ValueError))
        return line, cast("dict[str, Any]", content), len(text)


_CONTENTS: dict[str, Callable[[Dialect, Mapping[str, Any]], Mapping[str, Any]]] = {
    "events": lambda dialect, row: dialect.event_of(row),
    "mappings": lambda dialect, row: dict(zip((ID, RESOLVED), dialect.mapping_of(row), strict=True)),
    "people": lambda _dialect, row: row,
}


class Text(NamedTuple):
    """Lines of JSON, some of which are read already."""

    stream: io.BufferedReader
    passed: int
    """The number of blank lines at its beginning."""
    head: bytes
    """The beginning of the line behind them."""
    is_array: bool
    """True if the lines are items of an array or the like, and their numbers these items'."""
    reader: LineReader
    """The reader of a line."""
    keys: tuple[str, ...] = ()
    """The keys of its first events, if none of these has a place for an ID."""
    array: Array | None = None
    """The same text as an array, if it is one whose items are of the raw shape; one of the two ways
    is to be read."""

    @property
    def needed_ids(self) -> NeededIds:
        """Make sure that some event has an ID."""
        return NeededIds(self.reader.path, self.keys, self.reader.api)

    @property
    def dialect(self) -> Dialect:
        """The dialect of the file."""
        return self.reader.dialect


def text_of(
    path: str,
    stream: io.BufferedReader,
    choice: Choice = ANY,
    on_dialect: OnDialect = no_matter,
    *,
    as_raw: bool = True,
) -> Text:
    """Return the lines that ``stream`` holds, or the items of its array as lines.

    Args:
        path: The file as messages name it.
        stream: JSON text of any form: lines, an array, objects one after another, pages.
        choice: The dialect that the caller wants.
        on_dialect: Called with the path and the dialect.
        as_raw: Whether lines of another dialect become lines of the raw shape.

    Raises:
        FileFormatError: The text is UTF-16, the stream cut off or damaged, or its rows have no
            known dialect.
    """
    passed, head = beginning(path, stream)
    form, head = _form(path, stream, head, choice)
    is_array = form != "lines"
    raw, items = stream, None
    if is_array:
        bare = head.lstrip(BLANK)
        if form == "array":
            items = ItemLines(bare[1:], stream, is_kept=True)
        stream = io.BufferedReader(items or ItemLines(bare, stream, form), CHUNK)
        passed, head = 0, b""
    rows, head, wrong = _first_rows(path, stream, passed, head, choice)
    array = None if items is None or wrong is not None else Array(items.taken(), raw)
    dialect = dialect_of_rows(path, rows, choice) if choice.dialect is None else choice.of(())
    dialect = None if dialect is None else settled(dialect, rows)
    on_dialect(path, dialect or (MIXPANEL if head else None))
    reader = LineReader(path, dialect or MIXPANEL, api=choice.api)
    if wrong is not None:  # All that stands before the fault is read first.
        stream, head = io.BufferedReader(Rejoined(head, stream, wrong), BUFFER), b""
    if as_raw and dialect is not None and (dialect.is_flat or dialect.record) and dialect.content == "events":
        lines = PassedOn(head, stream) if dialect.reaches else RawLines(head, stream, dialect)
        stream = io.BufferedReader(lines, BUFFER)
        reader, head, array = reader._replace(is_transcoded=True), b"", None
    elif head.find(b"\n") not in {-1, len(head) - 1}:
        stream, head = io.BufferedReader(Rejoined(head, stream), BUFFER), b""
    return Text(stream, passed, head, is_array, reader, keys_without_ids(rows, choice), array)


def _form(path: str, stream: io.BufferedReader, head: bytes, choice: Choice) -> tuple[str, bytes]:
    """Return the form of the text that begins with ``head``, and what was read to find it out."""
    if is_array(head):
        return "array", head
    if not head.lstrip(BLANK).startswith(b"{"):
        return "lines", head
    pieces, length, known = [head], len(head), _core.Beginning()
    try:
        form = known.take(head)
        # The name of an event may stand behind a list that looks like a page's.
        while form is None and length < (LOOKED_AT if known.page() is None else MAX_LINE):
            piece = stream.readline(CHUNK)
            pieces.append(piece)
            length += len(piece)
            form = known.take(piece)
    except FileFormatError as error:
        raise FileFormatError(f"{path}:1: {error}") from error
    head, page = b"".join(pieces), known.page()
    if page is not None and not is_row(known.first_keys(), _keys_of_item(head, page), choice):
        return page, head
    if form is None:
        form = "objects" if b"\n" in head.strip() else "lines"
    return form, head


def _keys_of_item(head: bytes, page: str) -> list[str]:
    """Return the keys of the first item of the list ``page`` in the object that begins ``head``."""
    items, _ = _core.Items(page).cut(head.lstrip(BLANK))
    known = _core.Beginning()
    known.take(items.partition(b"\n")[0])
    return known.first_keys()


def _first_rows(
    path: str, stream: io.BufferedReader, passed: int, head: bytes, choice: Choice
) -> tuple[list[Mapping[str, Any]], bytes, str | None]:
    """Return the first objects among the lines, up to one that is telling; and their text.

    Returns:
        The objects, the text, and the fault of the stream behind that, if it has one.

    Raises:
        FileFormatError: The stream is cut off or damaged before an object of a known dialect.
    """
    rows: list[Mapping[str, Any]] = []
    ready, pieces, length = io.BytesIO(head), [head], 0
    try:
        while len(rows) < MOST_ROWS and length < LOOKED_AT:
            line = ready.readline()
            if not line.endswith(b"\n"):
                rest = stream.readline(MAX_LINE + 1)
                pieces.append(rest)
                line += rest
            if not line:
                break
            length += len(line)
            row = _object_of(line)
            if row is not None:
                rows.append(row)
                if is_telling(row, choice):
                    break
    except FileFormatError as error:
        if any(is_recognised(row, choice) for row in rows):
            return rows, b"".join(pieces), str(error)
        line_number = passed + 1 + sum(piece.count(b"\n") for piece in pieces)
        raise FileFormatError(f"{path}:{line_number}: {error}") from error
    return rows, b"".join(pieces), None


def _object_of(line: bytes) -> dict[str, Any] | None:
    row = decoded_or_none(line)
    return row if isinstance(row, dict) else None


def checked(text: Text, pieces: Iterable[P]) -> Iterator[P]:
    """Yield ``pieces`` of ``text``.

    Raises:
        FileFormatError: An item of an array is no JSON, or none of the events has an ID.
    """
    needed = text.needed_ids
    for piece in pieces:
        if text.is_array and isinstance(piece, BadLine) and piece.is_no_json:
            raise FileFormatError(str(piece).replace("the event is no JSON", "the item is no JSON", 1))
        if not isinstance(piece, BadLine):
            needed.take(piece.has_ids)
        yield piece
    needed.check()


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


def _rows(path: str, text: Text) -> Iterator[Read | BadLine]:
    for line, row in numbered_lines(path, text.stream, text.passed, text.head):
        if not row.isspace():
            read = text.reader(line, row)
            if read is not None:
                yield read


def _reason(error: MalformedEventError) -> str:
    """Return the message, with the column alone where ``json`` counts a line of its own."""
    cause = error.__cause__
    if isinstance(cause, json.JSONDecodeError):
        return f"the event is no JSON: {cause.msg} (column {cause.pos + 1})"
    return str(error)
