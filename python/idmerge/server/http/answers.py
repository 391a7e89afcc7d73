"""Answers: what contents each client, and the shapes that Mixpanel documents."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

JSON, TEXT, GIF = "application/json", "text/plain; charset=utf-8", "image/gif"
HTML = "text/html; charset=utf-8"
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent image of one pixel."""
_REQUESTED_METHOD, _REQUESTED_HEADERS = b"access-control-request-method", b"access-control-request-headers"
_PREFLIGHT_SECONDS = "7200"
STATUSES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Answer(NamedTuple):
    """A response."""

    status: int
    """The status of HTTP."""
    body: bytes | Iterator[bytes] = b""
    """All of the body, or its parts, which may take a while to be made."""
    content_type: str = TEXT
    headers: Sequence[tuple[str, str]] = ()
    """Headers beside the body's type and length."""


class Failure(NamedTuple):
    """A reason for which an item is not taken."""

    place: int
    """The item's place in the request, counted from 0."""
    field: str
    """The name of the wrong part, as in ``properties.time``; ``event`` for the whole."""
    message: str
    insert_id: str = ""

    def __str__(self) -> str:
        """Return the message with its place."""
        return f"item {self.place}: {self.message}"


def in_json(value: object, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """Return an answer of JSON."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    return Answer(status, body, JSON, headers)


def taken(*, verbose: bool, image: bool = False) -> Answer:
    """Return that everything was taken, as SDKs want to hear it."""
    if image:
        return Answer(200, PIXEL, GIF)
    return in_json({"status": 1, "error": None}) if verbose else Answer(200, b"1")


def not_taken(error: str, status: int = 400, *, verbose: bool) -> Answer:
    """Return that something was not taken, to an SDK."""
    return in_json({"status": 0, "error": error}, status) if verbose else Answer(status, b"0")


def imported(count: int) -> Answer:
    """Return that an import took so many events."""
    return in_json({"code": 200, "num_records_imported": count, "status": "OK"})


def partly_imported(count: int, failures: Sequence[Failure]) -> Answer:
    """Return that an import took so many events, and what is wrong with the others."""
    failed = [
        {
            "index": failure.place,
            "insert_id": failure.insert_id,
            "field": failure.field,
            "message": failure.message,
        }
        for failure in failures
    ]
    content: dict[str, Any] = {
        "code": 400,
        "error": "some data points in the request failed validation",
        "failed_records": failed,
        "num_records_imported": count,
        "status": STATUSES[400],
    }
    return in_json(content, 400)


def failed(status: int, error: str) -> Answer:
    """Return that nothing was taken, with Mixpanel's shape of errors."""
    return in_json({"code": status, "error": error, "status": STATUSES[status]}, status)


def headers_of(
    answer: Answer, request: Mapping[bytes, bytes], *, is_for_pages: bool
) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer; if it ``is_for_pages``, those of any origin see it."""
    own = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
    headers = [(b"content-type", answer.content_type.encode())]
    if all(name != b"cache-control" for name, _ in own):
        headers.append((b"cache-control", b"no-store"))
    if isinstance(answer.body, bytes):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    headers += own
    origin = request.get(b"origin")
    if origin and is_for_pages:
        # Browsers send credentials, for which they accept no "*". They may have kept the secret
        # too, so no page of another origin sees what reading answers.
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", b"Retry-After"),
            (b"vary", b"Origin"),
        ]
        if _REQUESTED_HEADERS in request or _REQUESTED_METHOD in request:
            headers += [
                (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
                (b"access-control-allow-headers", request.get(_REQUESTED_HEADERS, b"*")),
                (b"access-control-max-age", _PREFLIGHT_SECONDS.encode()),
            ]
    return headers
