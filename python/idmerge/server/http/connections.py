"""Connections that hold no more than their share of memory and time; uvicorn's have no limits."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HEADER_VALUE_RE, STATUS_LINE, HttpToolsProtocol

from idmerge.server.http.answers import Answer, headers_of
from idmerge.server.http.requests import Request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping

MAX_HEAD = 64 << 10
"""Bytes of a request's line and headers, or of what else is no body; one read may bring more."""
REQUEST_SECONDS = 120.0
"""Seconds that a client may take for a whole request."""


class Cycle:
    """A request that is answered without a task of its own, as uvicorn's connections see it."""

    __slots__ = ("disconnected", "headers", "keep_alive", "response_complete", "response_started")

    def __init__(self, headers: Mapping[bytes, bytes]) -> None:
        self.headers = headers
        self.disconnected = self.response_complete = self.response_started = False
        self.keep_alive = True

    @property
    def message_event(self) -> Cycle:
        """What is set when the client has gone: nothing waits for that."""
        return self

    def set(self) -> None:
        """Do nothing."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed when a request's head is too long, or the request too slow.

    A small request that has come as a whole is answered by the application's `at_once`, without a
    task of its own: tasks, and the events between them, are half of what uvicorn takes for one. Any
    other is uvicorn's.
    """

    _without_body = 0
    """Bytes since the last part of a body, or since the last whole head."""
    _is_awaited = True
    """Whether a request, or its rest, has to come."""
    _timer: asyncio.TimerHandle | None = None
    _idle_since = 0.0
    """The moment of the last answer to a request without a task."""
    _idle_timer: asyncio.TimerHandle | None = None
    """Closes the connection when that is long ago. There is one for many answers: to begin and to
    cancel one for each takes longer than to write the answer."""
    _at_once: Callable[[Request, Callable[[Answer], None]], bool] | None = None
    """The application's, if it has one."""
    _held: list[bytes] | None = None
    """The parts of the body of a request whose head is held back until the rest has come; None if
    there is none."""
    _head: bytes = b""
    """The head of a request that asks for another protocol, without that wish."""
    _target: tuple[str, bytes] = ("", b"")
    """The path and the query of that request. They are read while the parser runs, which answers
    400 to what is no URL."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._at_once = getattr(self.app, "at_once", None)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._is_awaited = False
        self._wait()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, and close the connection if it is too much."""
        if self.cycle is None or self.cycle.response_complete:
            # Blanks begin no request, and uvicorn does not wait for one any more.
            self._is_awaited = True
        self._without_body += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(memoryview(data))
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if self._held is not None:
            self._release()
        if self._without_body > MAX_HEAD:
            self._end(431)
        self._wait()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a request that has come as a whole before the end: the client may still read."""
        if self._is_awaited or self.cycle is None or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_awaited = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End its head."""
        self._without_body = 0
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._head = self._head_without_upgrade()
        elif self._may_be_at_once():
            self._target = _target_of(self.url)
            self._held = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of its body."""
        self._without_body = 0
        if self._held is not None:
            self._held.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request, or what has come of one behind its answer."""
        if self._head:
            return
        self._is_awaited = self._held is None and self.cycle.response_complete
        self._without_body = 0
        if self._held is not None:
            if self._is_answered(b"".join(self._held)):
                self._held = None
                return
            self._release()
        super().on_message_complete()

    def _parse(self, data: memoryview) -> None:
        """Parse requests, and those that ask for another protocol as if they did not.

        A server may pass over the wish (RFC 9110, 7.8), which Java's client has in each first
        request. The parser would take the body for another protocol, and uvicorn drops it.

        Raises:
            HttpParserError: Something is no request.
        """
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as error:
                if not self._head:
                    return
                data = data[error.args[0] :]
                head, self._head = self._head, b""
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(head)
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        line = b"%b %b HTTP/%b\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        return line + _joined(header for header in self.headers if header[0] != b"upgrade") + b"\r\n"

    def _may_be_at_once(self) -> bool:
        """Return whether a request whose head has come needs nothing of uvicorn's."""
        return (
            self._at_once is not None
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.expect_100_continue
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
        )

    def _release(self) -> None:
        """Leave the request that is held back to uvicorn."""
        parts, self._held = self._held or (), None
        if self.transport.is_closing():
            return
        super().on_headers_complete()
        for part in parts:
            super().on_body(part)

    def _is_answered(self, body: bytes) -> bool:
        """Answer a request, now or when what it wrote is on disk; return whether that can be."""
        path, query = self._target
        headers = dict(self.headers)
        if b"origin" in headers and any(map(HEADER_VALUE_RE.search, headers.values())):
            return False  # It is echoed.
        method = self.parser.get_method().decode("ascii")
        before, cycle = self.cycle, Cycle(headers)
        self.cycle = cycle  # type: ignore[assignment]
        try:
            request = Request(method, path, query, headers, body)
            if self._at_once is not None and self._at_once(request, partial(self._answer, cycle)):
                return True
        except Exception:
            if cycle.response_complete:
                raise
            # In uvicorn's task it happens again, and is reported.
        self.cycle = before
        return False

    def _answer(self, cycle: Cycle, answer: Answer) -> None:
        """Send an answer."""
        if cycle.disconnected or self.transport.is_closing():
            return
        assert isinstance(answer.body, bytes)  # noqa: S101 - parts take a while, and so a task
        cycle.response_started = cycle.response_complete = True
        head = [STATUS_LINE[answer.status]]
        for name, value in self.server_state.default_headers:
            head += (name, b": ", value, b"\r\n")
        if answer.headers or b"origin" in cycle.headers:
            head.append(_joined(headers_of(answer, cycle.headers, is_for_pages=True)))
        else:
            head.append(_usual_headers(answer.content_type, len(answer.body)))
        head += (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", answer.body)
        self.transport.write(b"".join(head))
        if not cycle.keep_alive:
            self.transport.close()
        if self.pipeline:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_idle)

    def _end_idle(self) -> None:
        """Close the connection, unless it was not idle for long enough, or is not."""
        self._idle_timer = None
        if self._is_awaited or not self.cycle.response_complete or self.timeout_keep_alive_task is not None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._end_idle)
        else:
            self.timeout_keep_alive_handler()

    def _wait(self) -> None:
        """Wait for a request from now on, or no longer; one that comes whole needs no timer."""
        if self._is_awaited and self._timer is None:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self._end, 408)
        elif not self._is_awaited and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, status: int) -> None:
        """Close the connection with an answer, unless one was sent to what has come."""
        if self.transport.is_closing():
            return
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            head = b"content-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head)
            self._count_unread(status)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Close the connection with an answer to what is no HTTP."""
        self._count_unread(400)
        super().send_400_response(msg)

    def _count_unread(self, status: int) -> None:
        """Count a request that is answered though it never came whole."""
        count = getattr(self.app, "count_unread", None)
        if count is not None:
            count(status)


def _target_of(url: bytes) -> tuple[str, bytes]:
    """Return the path, decoded, and the query of a URL, as uvicorn reads them."""
    parts = httptools.parse_url(url)
    path = parts.path.decode("ascii")
    return unquote(path) if "%" in path else path, parts.query or b""


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(part for name, value in headers for part in (name, b": ", value, b"\r\n"))


@lru_cache(maxsize=256)
def _usual_headers(content_type: str, length: int) -> bytes:
    """Return the headers of an answer that has none of its own, to a client that is no browser."""
    return _joined(headers_of(Answer(200, bytes(length), content_type), {}, is_for_pages=True))
