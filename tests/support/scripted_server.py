"""A server that answers requests as a test says, and keeps what they held."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Said(NamedTuple):
    """An answer: its status, its body, and further headers."""

    status: int
    body: bytes = b'{"status":1,"error":null}'
    headers: tuple[tuple[str, str], ...] = ()


class Asked(NamedTuple):
    """A request: its target, its headers in lower case, and its items."""

    target: str
    headers: dict[str, str]
    items: list[dict[str, Any]]

    @property
    def credentials(self) -> str:
        return base64.b64decode(self.headers.get("authorization", "").removeprefix("Basic ")).decode()


OK = Said(200)


class Scripted:
    """What a server was asked, and how it answers.

    Args:
        answer: Returns the answer to a request; None closes the connection without one. By default
            all are taken.
    """

    def __init__(self, answer: Callable[[Asked], Said | None] = lambda _: OK) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.taken: list[dict[str, Any]] = []
        """The items of the requests that were answered by 200."""
        self.connections = 0
        self.url = ""

    def names(self) -> list[str]:
        """The names of the events that were taken."""
        return [item["event"] for item in self.taken]


@contextmanager
def scripted(answer: Callable[[Asked], Said | None] = lambda _: OK) -> Iterator[Scripted]:
    """Run a server while the block runs."""
    script = Scripted(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            script.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.path, headers, json.loads(body))
            script.asked.append(asked)
            said = script.answer(asked)
            if said is None:
                self.close_connection = True
                return
            if said.status == 200:
                script.taken += asked.items
            self.send_response(said.status)
            for name, value in said.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield script
        finally:
            server.shutdown()
