"""The application that a web server calls (ASGI), and the headers that browsers need."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from idmerge.errors import BusyError, LogError
from idmerge.server.http import answers
from idmerge.server.http.answers import Answer, headers_of
from idmerge.server.http.requests import MAX_BYTES, Request
from idmerge.server.inspector.routing import is_page
from idmerge.server.reading.routes import READ, State, is_read, read
from idmerge.server.writing.calls import is_call
from idmerge.server.writing.handling import ROUTES, Handled, handled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from idmerge.server.inspector.routing import Inspector
    from idmerge.server.log.records import Record

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

_LOGGER = logging.getLogger("uvicorn.error")  # Its lines go where those of the web server go.
RETRY_AFTER = ("Retry-After", "1")
"""Clients that heed it come again after a second."""
UNFINISHED_BYTES = 128 << 20
"""The most bytes of bodies whose rest has not come, of all clients together."""
LARGE = 64 << 10
"""Bytes of a body from which on a thread reads it, so that no other client waits for that."""
LARGE_CALLS = 4 << 10
"""The same of calls, to read which takes longer, and of what may be gzip, which may be a thousand
times as many bytes."""


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

    def append_then(
        self,
        records: Sequence[Record],
        then: Callable[[int, Exception | None], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Append records; ``then`` is called when they are on disk, or cannot be written.

        Raises:
            BusyError: Too much is waiting to be written.
        """


class App:
    """The ASGI application of a server.

    Args:
        host: What keeps and reads.
        routes: The known route that each route of a request stands for.
        clock: Returns the seconds since 1970.
        inspector: Answers the requests of people with browsers; None for no pages.
    """

    def __init__(
        self,
        host: Host,
        routes: Mapping[str, str] = ROUTES,
        clock: Callable[[], float] = time.time,
        *,
        inspector: Inspector | None = None,
    ) -> None:
        self._host = host
        self._inspector = inspector
        self._routes = routes
        self._clock = clock
        self._unfinished = _Unfinished()
        host.counts.tell_apart({**routes, **READ})
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        try:
            done = await self._answer(scope, headers, receive)
        except DisconnectedError:
            return  # A part of a body is no request.
        except asyncio.CancelledError:
            done = Handled(_ending())  # The server has waited for this client for long enough.
        except Exception:
            self._host.counts.add(scope["path"], Handled(Answer(500)))  # What uvicorn answers.
            raise
        self._host.counts.add(scope["path"], done)
        answer = done.answer
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": headers_of(answer, headers, is_for_pages=not self._is_private(scope["path"])),
            }
        )
        if isinstance(answer.body, bytes):
            await send({"type": "http.response.body", "body": answer.body})
        else:
            await _send_parts(answer.body, receive, send)

    def at_once(self, request: Request, answer: Callable[[Answer], None]) -> bool:
        """Answer a request without a task of its own, now or later, if that takes no time.

        Returns False, and does not answer, if it takes some.
        """
        if self._host.draining or request.method not in {"GET", "POST"} or self._is_large(request):
            return False
        if request.route not in self._routes and self._is_private(request.path):
            return False

        def then(done: Handled) -> None:
            self._host.counts.add(request.path, done)
            answer(done.answer)

        self._keep(self._handled(request), then)
        return True

    def count_unread(self, status: int) -> None:
        """Count a request that its connection has answered, for it never came whole."""
        self._host.counts.add("", Handled(Answer(status)))

    def _is_private(self, path: str) -> bool:
        """Return whether no page of another origin may see the answer."""
        return is_read(path) or (self._inspector is not None and is_page(path))

    def _read(self, request: Request) -> Answer:
        """Answer a request for which `_is_private` holds."""
        if self._inspector is None or is_read(request.path):
            return read(request, self._host)
        return self._inspector.answer(request)

    def _running(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, and remember it: to find it costs a call of the system."""
        self._loop = asyncio.get_running_loop()
        return self._loop

    @staticmethod
    def _is_large(request: Request) -> bool:
        size = len(request.items[0])
        return size > LARGE or (size > LARGE_CALLS and (is_call(request.route) or request.may_be_packed))

    def _handled(self, request: Request) -> Handled:
        return handled(request, self._host.projects, round(self._clock() * 1000), self._routes)

    def _keep(self, done: Handled, then: Callable[[Handled], None]) -> None:
        """Append what a request has written; call ``then`` with its answer when that is on disk."""
        if not done.records:
            then(done)
            return
        if not self._host.admits(done.records):
            then(done._replace(answer=_later(429, "the project sends more events than it may")))
            return

        def settle(_end: int, error: Exception | None) -> None:
            then(done if error is None else done._replace(answer=_unwritten(error)))

        try:
            self._host.append_then(done.records, settle, self._loop or self._running())
        except BusyError:
            then(done._replace(answer=_later(503, "too much is waiting to be written")))

    async def _answer(
        self, scope: dict[str, Any], headers: Mapping[bytes, bytes], receive: Receive
    ) -> Handled:
        if scope["method"] == "OPTIONS":
            return Handled(Answer(200))
        if self._host.draining:
            return Handled(_ending())
        try:
            body = await _body(headers, receive, self._unfinished)
        except _TooManyError:
            return Handled(_later(503, "too many requests are coming at once"))
        if body is None:
            return Handled(answers.failed(413, f"request exceeds max limit of {MAX_BYTES} bytes"))
        request = Request(scope["method"], scope["path"], scope["query_string"], headers, body)
        if self._is_private(request.path):
            # A long step of the pipeline may keep the reader waiting, but no other client.
            return Handled(await asyncio.to_thread(self._read, request))
        if self._is_large(request):
            done = await asyncio.to_thread(self._handled, request)
        else:
            done = self._handled(request)
        kept: asyncio.Future[Handled] = asyncio.get_running_loop().create_future()
        self._keep(done, lambda found: None if kept.done() else kept.set_result(found))
        return await kept


async def _send_parts(parts: Iterator[bytes], receive: Receive, send: Send) -> None:
    """Send a body as its parts are made, by another thread, unless the client goes away."""
    gone = asyncio.ensure_future(receive())
    try:
        while not gone.done():
            try:
                part = await asyncio.to_thread(next, parts, None)
            except (LogError, OSError) as error:
                # Without its end the client sees that the body is cut off.
                _LOGGER.error("the events cannot be read, and an answer is cut off: %s", error)  # noqa: TRY400
                return
            if part is None:
                await send({"type": "http.response.body", "body": b""})
                return
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
    finally:
        gone.cancel()


def _unwritten(error: Exception) -> Answer:
    why = error.strerror if isinstance(error, OSError) else type(error).__name__
    return _later(503, f"the events could not be written: {why}")


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
