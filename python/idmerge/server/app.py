"""The answers to requests: so far those of ``/health`` alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from idmerge.server.server import Server

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]


def app(server: Server) -> App:
    """Return the ASGI application that answers with what ``server`` keeps."""

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        status, content = _health(server) if scope["path"].rstrip("/") == "/health" else (404, {"status": 0})
        body = json.dumps(content).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


def _health(server: Server) -> tuple[int, Mapping[str, Any]]:
    problem = "the server is ending" if server.draining else server.problem()
    if problem is not None:
        return 503, {"status": "failing", "reason": problem}
    lag = server.pipeline.lag()
    return 200, {"status": "ok", "lag_bytes": lag.bytes, "lag_seconds": lag.seconds}
