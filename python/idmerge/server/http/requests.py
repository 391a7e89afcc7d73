"""Requests as they come, and their parts: route, fields, credentials and the lines of a body."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from idmerge import _core
from idmerge.errors import MalformedEventError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 10 * 2**20
"""Bytes of a body, also when it is inflated; more are answered by 413."""
MAX_FIELDS = 100
"""Fields of a query or of a form, beside the one that holds events."""
MAX_FIELD = 2048
"""Bytes of such a field with its name; longer ones are passed over."""
_GZIP = b"\x1f\x8b"


class TooLongError(Exception):
    """A request has more bytes, or more items, than are taken."""


class Request(NamedTuple):
    r"""A request whose body is read.

    Examples:
        >>> from idmerge.server.http.requests import Request
        >>> request = Request("POST", "/track/", b"verbose=1", {}, b"data=%7B%7D")
        >>> request.route, request.is_set("verbose"), request.lines()
        ('track', True, b'{}\n')
    """

    method: str
    """The method, in upper case."""
    path: str
    """The path, decoded."""
    query: bytes = b""
    """The query string, without its question mark."""
    headers: Mapping[bytes, bytes] = {}
    """The headers, by their names in lower case."""
    body: bytes = b""
    """The body, as it came."""

    @property
    def route(self) -> str:
        """The path without slashes around it."""
        return self.path.strip("/")

    @property
    def content_type(self) -> str:
        """The type of the body, in lower case; empty if none is stated."""
        return self.headers.get(b"content-type", b"").decode("latin-1").lower()

    @property
    def is_json(self) -> bool:
        """Whether the body is called JSON, or lines of it."""
        return "json" in self.content_type

    def field(self, name: str) -> str | None:
        """Return the value of a field of the query, else of the form; None if neither has it."""
        found = _fields(self.query).get(name)
        if found is None and self.body and not self._begins_with_json():
            found = _fields(self.body).get(name)
        return found

    def is_set(self, name: str) -> bool:
        """Return whether a field is 1, as clients write a switch that is on."""
        value = self.field(name)
        return value is not None and value.lower() in {"1", "true"}

    def credentials(self) -> tuple[str, str] | None:
        """Return the user and the password of Basic authorization; None without it."""
        kind, _, text = self.headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"basic":
            return None
        try:
            user, _, password = base64.b64decode(text.strip(), validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user, password

    def lines(self) -> bytes:
        """Return the items that the request holds, each as a line of JSON.

        They are in the body, or in a request without one in the field ``data`` of the query.

        Raises:
            MalformedEventError: There are none.
            TooLongError: There are more than `MAX_BYTES`.
        """
        body = self.body or self.query
        kind = self.content_type if self.body else ""
        try:
            lines = _core.body_lines(body, kind or None, MAX_BYTES)
        except MalformedEventError as error:
            if str(error) == f"the body has more than {MAX_BYTES} bytes":
                raise TooLongError(f"request exceeds max limit of {MAX_BYTES} bytes") from error
            raise
        return lines if not lines or lines.endswith(b"\n") else lines + b"\n"

    def content(self) -> bytes:
        """Return the body without its gzip, which need not be announced.

        Raises:
            MalformedEventError: The gzip is damaged.
            TooLongError: The content has more than `MAX_BYTES`.
        """
        if not self.body.startswith(_GZIP):
            return self.body
        inflation = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            content = inflation.decompress(self.body, MAX_BYTES + 1)
        except zlib.error as error:
            raise MalformedEventError("the body's gzip is damaged") from error
        if len(content) > MAX_BYTES:
            raise TooLongError(f"request exceeds max limit of {MAX_BYTES} bytes")
        if not inflation.eof:
            raise MalformedEventError("the body's gzip is cut off")
        return content

    def _begins_with_json(self) -> bool:
        return self.is_json or self.body[:64].lstrip()[:1] in {b"[", b"{", b"\x1f"}


def _fields(text: bytes) -> dict[str, str]:
    """Return the first field of each name in a query or a form, but not the one with the events."""
    fields: dict[str, str] = {}
    for part in text.split(b"&", MAX_FIELDS)[:MAX_FIELDS]:
        if 0 < len(part) <= MAX_FIELD and not part.startswith(b"data="):
            for name, value in parse_qsl(part.decode("latin-1"), keep_blank_values=True):
                fields.setdefault(name, value)
    return fields
