"""The application that a web server calls (ASGI), and the headers that browsers need."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

from idmerge.errors import BusyError
from idmerge.server.http import answers
from idmerge.server.http.answers import Answer
from idmerge.server.http.requests import MAX_BYTES, Request
from idmerge.server.reading.routes import READ, State, is_read, read
from idmerge.server.writing.handling import ROUTES, Handled, handled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from idmerge.server.log.records import Record

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

RETRY_AFTER = ("Retry-After", "1")
"""Clients that heed it come again after a second."""
UNFINISHED_BYTES = 128 << 20
"""The most bytes of bodies whose rest has not come, of all clients together."""
_REQUESTED = b"access-control-request-headers"
_PREFLIGHT_SECONDS = "7200"


class DisconnectedError(Exception):
    """The client went away before its request had come."""


class _TooManyError(Exception):
    """So many bodies are coming at once that this one has to come later."""


class _Unfinished:
    """The bytes of all bodies whose rest has not come."""

    def __init__(self) -> None:
        self.bytes = 0


class Host(State, Protocol):
    """What an application needs of the server that it is a part of."""

    draining: bool
    """Whether no more requests are taken."""

    def admits(self, records: Sequence[Record]) -> bool:
        """Return whether the projects may write these records at this moment."""

    async def append(self, records: Sequence[Record]) -> object:
        """Return when the records are on disk.

        Raises:
            OSError: They could not be written.
            BusyError: Too much is waiting to be written.
        """


def app(host: Host, routes: Mapping[str, str] = ROUTES, clock: Callable[[], float] = time.time) -> App:
    """Return the ASGI application of a server."""
    unfinished = _Unfinished()
    host.counts.tell_apart({**routes, **READ})

    def handle(request: Request) -> Handled:
        return handled(request, host.projects, round(clock() * 1000), routes)

    async def answered(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        try:
            done = await _answer(host, scope, headers, lambda: _body(headers, receive, unfinished), handle)
        except DisconnectedError:
            return  # A part of a body is no request.
        except asyncio.CancelledError:
            done = Handled(_ending())  # The server has waited for this client for long enough.
        except Exception:
            host.counts.add(scope["path"], Handled(Answer(500)))  # What uvicorn answers.
            raise
        host.counts.add(scope["path"], done)
        answer = done.answer
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": _headers(answer, headers, is_for_pages=not is_read(scope["path"])),
            }
        )
        if isinstance(answer.body, bytes):
            await send({"type": "http.response.body", "body": answer.body})
        else:
            await _send_parts(answer.body, receive, send)

    return answered


async def _send_parts(parts: Iterator[bytes], receive: Receive, send: Send) -> None:
    """Send a body as its parts are made, by another thread, unless the client goes away."""
    gone = asyncio.ensure_future(receive())
    try:
        while not gone.done():
            part = await asyncio.to_thread(next, parts, None)
            if part is None:
                await send({"type": "http.response.body", "body": b""})
                return
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
    finally:
        gone.cancel()


async def _answer(  # noqa: PLR0911 - an answer a reason
    host: Host,
    scope: dict[str, Any],
    headers: Mapping[bytes, bytes],
    read_body: Callable[[], Awaitable[bytes | None]],
    handle: Callable[[Request], Handled],
) -> Handled:
    if scope["method"] == "OPTIONS":
        return Handled(Answer(200))
    if host.draining:
        return Handled(_ending())
    try:
        body = await read_body()
    except _TooManyError:
        return Handled(_later(503, "too many requests are coming at once"))
    if body is None:
        return Handled(answers.failed(413, f"request exceeds max limit of {MAX_BYTES} bytes"))
    request = Request(scope["method"], scope["path"], scope["query_string"], headers, body)
    if is_read(request.path):
        # A long step of the pipeline may keep the reader waiting, but no other client.
        return Handled(await asyncio.to_thread(read, request, host))
    done = handle(request)
    if not host.admits(done.records):
        return done._replace(answer=_later(429, "the project sends more events than it may"))
    if done.records:
        try:
            await host.append(done.records)
        except BusyError:
            return done._replace(answer=_later(503, "too much is waiting to be written"))
        except OSError as error:
            wrong = f"the events could not be written: {error.strerror}"
            return done._replace(answer=_later(503, wrong))
    return done


def _ending() -> Answer:
    return _later(503, "the server is about to stop")


def _later(status: int, error: str) -> Answer:
    return answers.failed(status, error)._replace(headers=[RETRY_AFTER])


async def _body(headers: Mapping[bytes, bytes], receive: Receive, unfinished: _Unfinished) -> bytes | None:
    """Return the body of a request; None if it is too long, of which no more is read.

    Raises:
        DisconnectedError: The client went away.
        _TooManyError: The bodies that are coming are too long together.
    """
    stated = headers.get(b"content-length", b"0")
    if stated.isdigit() and int(stated[:20]) > MAX_BYTES:
        return None
    body = bytearray()  # A list of its parts may need a multiple of their bytes.
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            part = message.get("body", b"")
            body += part
            unfinished.bytes += len(part)
            if len(body) > MAX_BYTES:
                return None
            if not message.get("more_body", False):
                return bytes(body)
            if unfinished.bytes > UNFINISHED_BYTES:
                raise _TooManyError
    finally:
        unfinished.bytes -= len(body)


def _headers(
    answer: Answer, request: Mapping[bytes, bytes], *, is_for_pages: bool
) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer; if it ``is_for_pages``, those of any origin see it."""
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"cache-control", b"no-store"),
    ]
    if isinstance(answer.body, bytes):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    headers += [(name.lower().encode(), value.encode()) for name, value in answer.headers]
    origin = request.get(b"origin")
    if origin and is_for_pages:
        # Browsers send credentials, for which they accept no "*". They may have kept the secret
        # too, so no page of another origin sees what reading answers.
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]
        if _REQUESTED in request or b"access-control-request-method" in request:
            headers += [
                (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
                (b"access-control-allow-headers", request.get(_REQUESTED, b"*")),
                (b"access-control-max-age", _PREFLIGHT_SECONDS.encode()),
            ]
    return headers
