"""Requests as they come, and their parts: route, fields, credentials and the content of a body."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from idmerge import _core

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 10 * 2**20
"""Bytes of a body, also when it is inflated; more are answered by 413."""
MAX_FIELDS = 100
"""Fields of a query or of a form, beside the one that holds events."""
MAX_FIELD = 2048
"""Bytes of such a field with its name; longer ones are passed over."""


class TooLongError(Exception):
    """A request has more bytes, or more items, than are taken."""


class Request:
    r"""A request whose body is read. Nothing changes it.

    Args:
        method: The method, in upper case.
        path: The path, decoded.
        query: The query string, without its question mark.
        headers: The headers, by their names in lower case.
        body: The body, as it came.

    Examples:
        >>> from idmerge.server.http.requests import Request
        >>> request = Request("POST", "/track/", b"verbose=1", {}, b"data=%7B%7D")
        >>> request.route, request.is_set("verbose"), request.field("data"), request.items
        ('track', True, None, (b'data=%7B%7D', ''))
        >>> request.content(), request.content_type, request.is_json, request.credentials()
        (b'data=%7B%7D', '', False, None)
        >>> request.may_be_packed
        True
    """

    __slots__ = ("_found", "body", "content_type", "headers", "method", "path", "query")

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes = b"",
        headers: Mapping[bytes, bytes] | None = None,
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = {} if headers is None else headers
        self.body = body
        self.content_type = self.headers.get(b"content-type", b"").decode("latin-1").lower()
        """The type of the body, in lower case; empty if none is stated."""
        self._found: dict[str, str] | None = None

    @property
    def route(self) -> str:
        """The path without slashes around it."""
        return self.path.strip("/")

    @property
    def is_json(self) -> bool:
        """Whether the body is called JSON, or lines of it."""
        return "json" in self.content_type

    @property
    def may_be_packed(self) -> bool:
        """Whether the items are no plain JSON: gzip, or a form or a query, in which gzip may be."""
        return self.items[0][:64].lstrip()[:1] not in {b"[", b"{"}

    def field(self, name: str) -> str | None:
        """Return the value of a field of the query, else of the form; None if neither has it."""
        if self._found is None:
            asked = _fields(self.query) if self.query else {}
            has_form = self.body and not self._begins_with_json()
            self._found = _fields(self.body) | asked if has_form else asked
        return self._found.get(name)

    def is_set(self, name: str) -> bool:
        """Return whether a field is 1, as clients write a switch that is on."""
        value = self.field(name)
        return value is not None and (value == "1" or value.lower() in {"1", "true"})

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

    @property
    def items(self) -> tuple[bytes, str]:
        """The text that holds the items, and its type: the body, or the query if there is none."""
        return (self.body, self.content_type) if self.body else (self.query, "")

    def content(self) -> bytes:
        """Return the body without its gzip, which need not be announced.

        Raises:
            MalformedEventError: The gzip is damaged.
            TooLongError: The content has more than `MAX_BYTES`.
        """
        try:
            return _core.inflated_body(self.body, MAX_BYTES)
        except OverflowError as error:
            raise TooLongError(f"request exceeds max limit of {MAX_BYTES} bytes") from error

    def _begins_with_json(self) -> bool:
        return self.is_json or self.body[:64].lstrip()[:1] in {b"[", b"{", b"\x1f"}


def _fields(form: bytes) -> dict[str, str]:
    """Return the first field of each name in a query or a form, but not the one with the events."""
    fields: dict[str, str] = {}
    for part in form.split(b"&", MAX_FIELDS)[:MAX_FIELDS]:
        if part.startswith(b"data=") or not 0 < len(part) <= MAX_FIELD:
            continue
        text = part.decode("utf-8", "replace")
        if b"%" not in part and b"+" not in part:  # Most: to have them parsed takes four times as long.
            name, _, value = text.partition("=")
            fields.setdefault(name, value)
            continue
        for name, value in parse_qsl(text, keep_blank_values=True):
            fields.setdefault(name, value)
    return fields
