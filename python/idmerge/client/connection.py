"""A connection to a server that is kept open between requests."""

from __future__ import annotations

import http.client
import io
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

_MAX_ANSWER = 2**20
"""Bytes of an answer that are read."""
_PATH = re.compile(r"[!-~]*")
_HOST = re.compile(r"[^\x00-\x20\x7f]+")


class _Timely(io.RawIOBase):
    """What comes from a socket until a moment; a socket's own time-out counts from each byte."""

    def __init__(self, open_socket: socket.socket, until: float) -> None:
        self._socket = open_socket
        self._raw = open_socket.makefile("rb", buffering=0)
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer is not whole in time")
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


@dataclass(frozen=True)
class Answer:
    """What a server answered to a request."""

    status: int
    body: bytes
    retry_after: str | None


class Connection:
    """Requests to one server, one at a time.

    A request on a connection that was kept open and that the server has closed meanwhile is sent
    once more on a new one.

    Args:
        url: The server's address; requests go to paths below it.
        timeout: Seconds for an answer.

    Raises:
        ValueError: ``url`` is no address, or has more than a server and a path.
    """

    def __init__(self, url: str, timeout: float) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if parts.scheme not in {"http", "https"} or not host or not _can_be_sent(host, parts.path):
            raise ValueError("the address must be that of a server, such as https://api.mixpanel.com")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("the address must have neither a user nor a query; see credentials=")
        self._is_encrypted = parts.scheme == "https"
        self._host, self._port = host, port
        self._path = parts.path.rstrip("/")
        self.timeout = timeout
        self._open: http.client.HTTPConnection | None = None
        self.address = urlunsplit((parts.scheme, parts.netloc, self._path, "", ""))

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a request and return its answer.

        Raises:
            OSError: The server cannot be reached, or does not answer in time.
            http.client.HTTPException: The answer is not one of HTTP.
        """
        is_kept = self._open is not None
        try:
            return self._posted(path, body, headers)
        except (ConnectionError, http.client.RemoteDisconnected):
            if not is_kept:
                raise
        return self._posted(path, body, headers)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _posted(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if self._open is None:
            kind = http.client.HTTPSConnection if self._is_encrypted else http.client.HTTPConnection
            self._open = kind(self._host, self._port, timeout=self.timeout)
        if self._open.sock is not None:
            self._open.sock.settimeout(self.timeout)
        self._open.response_class = cast("Any", self._response)
        try:
            self._open.request("POST", self._path + path, body, dict(headers))
            response = self._open.getresponse()
            content = response.read(_MAX_ANSWER)
            if not response.isclosed():  # There is more, for which nobody has a use.
                self.close()
            return Answer(response.status, content, response.getheader("Retry-After"))
        except BaseException:
            self.close()
            raise

    def _response(
        self, open_socket: socket.socket, *arguments: Any, **options: Any
    ) -> http.client.HTTPResponse:
        """Return the answer that comes, all of which has to come before the time is over."""
        response = http.client.HTTPResponse(open_socket, *arguments, **options)
        response.fp.close()
        response.fp = io.BufferedReader(_Timely(open_socket, time.monotonic() + self.timeout))
        return response


def _can_be_sent(host: str, path: str) -> bool:
    """Return whether DNS and the first line of a request can have these texts."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return bool(_HOST.fullmatch(host) and _PATH.fullmatch(path))
