"""A receiver of a webhook, as docs/sinks.md describes one, that can be told to fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Keeps a copy of the mapping."""

    def __init__(self) -> None:
        self.copy: dict[str, str] = {}
        self.position = 0
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.failing: tuple[int, bool] | None = None
        """Requests until one fails, and whether it takes the rows all the same."""
        self.url = ""
        self._new: dict[str, str] = {}
        self._taken: set[str] = set()

    def take(self, key: str, body: dict[str, Any]) -> int:
        """Take a part; return the status of the answer."""
        is_taken, status = True, 204
        if self.failing is not None:
            left, is_taken_all_the_same = self.failing
            self.failing = (left - 1, is_taken_all_the_same) if left else None
            if not left:
                is_taken, status = is_taken_all_the_same, 503
        if is_taken and key not in self._taken:
            self._taken.add(key)
            self._take(body)
        return status

    def _take(self, body: dict[str, Any]) -> None:
        self.requests.append(body)
        rows = {row["distinct_id"]: row["canonical_id"] for row in body["rows"]}
        if body["kind"] == "changes":
            self.copy |= rows
        else:
            self._new = {} if body["part"] == 1 else self._new
            self._new |= rows
            if body["part"] == body["parts"]:
                self.copy = self._new
        self.position = body["position"]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver until the end of the ``with``."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.headers.append(dict(self.headers))
            status = receiver.take(self.headers["Idempotency-Key"], body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hooks/ids"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
