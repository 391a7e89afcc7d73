"""Connections that hold no more than their share of memory and time; uvicorn's have no limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

MAX_HEAD = 64 << 10
"""Bytes of a request's line and headers, or of what else is no body; one read may bring more."""
REQUEST_SECONDS = 120.0
"""Seconds that a client may take for a whole request."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed when a request's head is too long, or the request too slow."""

    _without_body = 0
    """Bytes since the last part of a body, or since the last whole head."""
    _is_awaited = True
    """Whether a request, or its rest, has to come."""
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._is_awaited = False
        self._wait()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, and close the connection if it is too much."""
        self._without_body += len(data)
        super().data_received(data)
        if self._without_body > MAX_HEAD:
            self._end(431)
        self._wait()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_awaited = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End its head."""
        self._without_body = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of its body."""
        self._without_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._is_awaited = False
        self._without_body = 0
        super().on_message_complete()

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
        self.transport.close()
