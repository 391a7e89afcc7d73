"""JSON text of any form as lines: arrays, objects over several lines, pages, other dialects."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from idmerge import _core
from idmerge.errors import FileFormatError
from idmerge.files.dialects import RESERVED_PREFIX
from idmerge.files.pieces import MAX_LINE
from idmerge.files.vendors import VendorDialect

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from idmerge.files.dialects import Dialect

CHUNK = 64 * 2**10
PASSED_ON, TOO_LONG = b"\x01", b"\x02"
"""The first bytes of lines among those of the raw shape that the core leaves to Python, or cannot
hold."""
BEHIND_COMMA = "rest"
"""The form of an array behind a comma between its items."""
_BEGINNING = re.compile(rb"^(?=[ \t\r]*[^ \t\r\n])", re.MULTILINE)
"""The beginning of a line that is not blank."""


class _Converted(io.RawIOBase):
    """Bytes made of ``head`` and of ``stream`` behind it."""

    def __init__(self, head: bytes, stream: io.BufferedReader) -> None:
        super().__init__()
        self._head = head
        self._stream = stream
        self._ready = memoryview(b"")
        self._is_ended = False
        self._wrong: str | None = None

    def readable(self) -> bool:
        """Return that bytes can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill ``buffer`` as far as one read goes and return the number of bytes."""
        while not self._ready:
            if self._wrong is not None:
                raise FileFormatError(self._wrong)
            if self._is_ended:
                return 0
            text, self._head = self._head or self._stream.read1(CHUNK), b""
            self._is_ended = not text
            made, self._wrong = self._made_of(text)
            self._ready = memoryview(made)
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._ready))
        view[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _made_of(self, text: bytes) -> tuple[bytes, str | None]:
        """Return what the next ``text`` becomes, and what is wrong behind that, if anything is."""
        return text, None


class Rejoined(_Converted):
    """``head``, read already, and ``stream`` behind it, or the fault ``wrong`` of that."""

    def __init__(self, head: bytes, stream: io.BufferedReader, wrong: str | None = None) -> None:
        super().__init__(head, stream)
        self._fault = wrong

    def _made_of(self, text: bytes) -> tuple[bytes, str | None]:
        return text, self._fault


class ItemLines(_Converted):
    """The items of one JSON array, behind its bracket, or of another ``form``, each as a line.

    What is wrong with the array itself is a `FileFormatError`, once all before it is read. The text
    is kept until `taken` is asked for, if it ``is_kept``.
    """

    def __init__(
        self, head: bytes, stream: io.BufferedReader, form: str | None = None, *, is_kept: bool = False
    ) -> None:
        super().__init__(head, stream)
        self._items = _core.Items(form)
        self._taken: list[bytes] | None = [] if is_kept else None

    def taken(self) -> bytes:
        """Return the text that was read so far, which is kept no more."""
        taken, self._taken = self._taken or [], None
        return b"".join(taken)

    def _made_of(self, text: bytes) -> tuple[bytes, str | None]:
        if self._taken is not None:
            self._taken.append(text)
        return self._items.cut(text)


class RawLines(_Converted):
    """Lines of a dialect as lines of the raw shape, as far as the core is certain of them."""

    def __init__(self, head: bytes, stream: io.BufferedReader, dialect: Dialect) -> None:
        super().__init__(head, stream)
        names = list(dialect.names.items())
        vendor = dialect.for_core if isinstance(dialect, VendorDialect) else None
        self._cut: Callable[[bytes], bytes] = _core.Transcoder(
            dialect.event,
            dialect.properties,
            dialect.is_flat,
            dialect.record,
            names,
            RESERVED_PREFIX,
            MAX_LINE,
            vendor,
        ).cut

    def _made_of(self, text: bytes) -> tuple[bytes, str | None]:
        return self._cut(text), None


class PassedOn(_Converted):
    """Lines of a dialect that the core shall leave to Python, all of them."""

    def _made_of(self, text: bytes) -> tuple[bytes, str | None]:
        wrong: str | None = None
        if text and not text.endswith(b"\n"):
            try:
                text += self._stream.readline(MAX_LINE)  # What goes on behind that is too long anyway.
            except FileFormatError as error:
                wrong = str(error)

        def mark(beginning: re.Match[bytes]) -> bytes:
            end = text.find(b"\n", beginning.start()) + 1 or len(text)
            return TOO_LONG if end - beginning.start() > MAX_LINE else PASSED_ON

        return _BEGINNING.sub(mark, text), wrong
