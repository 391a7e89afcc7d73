"""Connections: a request that comes whole and one that comes in parts have the same answer."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("httptools", reason="the extra serve is not installed")

import uvicorn
from uvicorn.server import ServerState

from idmerge.errors import BusyError
from idmerge.server.app import LARGE, LARGE_CALLS, App
from idmerge.server.counts import Counts
from idmerge.server.http import connections
from idmerge.server.http.connections import BoundedProtocol
from idmerge.server.pipeline import Lag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from idmerge.journal import DurableResolver
    from idmerge.server.log.records import Record

PATIENCE = 30


class Project(NamedTuple):
    name: str = "shop"
    token: str = "TOKEN"  # noqa: S105 - of a test
    secret: str = "SECRET"  # noqa: S105 - of a test
    accounts: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    api: Any = "original"
    timezone: str | None = None


class Host:
    """A server that keeps what it is given, a moment later, and fails as it is told to."""

    def __init__(self) -> None:
        self.projects = [Project()]
        self.draining = False
        self.kept: list[Record] = []
        self.fault: Exception | None = None
        self.admitting = True
        self.asked = asyncio.Event()
        self.counts = Counts()
        self.monitors = ()

    def admits(self, _records: Sequence[Record]) -> bool:
        return self.admitting

    def append_then(
        self,
        records: Sequence[Record],
        then: Callable[[int, Exception | None], None],
        _loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.asked.set()
        if isinstance(self.fault, BusyError):
            raise self.fault

        def settle() -> None:
            if self.fault is None:
                self.kept.extend(records)
            then(len(self.kept), self.fault)

        asyncio.get_running_loop().call_later(0.01, settle)

    def records(self, _project: str) -> Iterator[Record]:
        return iter(self.kept)

    def resolver(self, project: str) -> DurableResolver:
        raise AssertionError(project)

    def problem(self) -> str | None:
        return None

    @property
    def failing_sinks(self) -> list[str]:
        return []

    def lag(self) -> Lag:
        return Lag(0, 0.0)


class Live(NamedTuple):
    """A server at an address, and the applications that have had a task of uvicorn's."""

    address: tuple[str, int]
    host: Host
    state: ServerState
    called: list[str]

    async def answers(self, *parts: bytes) -> bytes:
        """Send parts one by one, and return what is answered until the connection ends."""
        reader, writer = await asyncio.open_connection(*self.address)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)
        found = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        return b"\r\n".join(line for line in found.split(b"\r\n") if not line.startswith(b"date: "))


@asynccontextmanager
async def live() -> AsyncIterator[Live]:
    host, called = Host(), []

    class Noted(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            called.append(scope["path"])
            await super().__call__(scope, receive, send)

    config = uvicorn.Config(
        Noted(host, clock=lambda: 1.0),
        http=BoundedProtocol,
        lifespan="off",
        proxy_headers=False,
        log_level="critical",
        timeout_keep_alive=0.1,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: BoundedProtocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        yield Live(server.sockets[0].getsockname(), host, state, called)


def post(path: str, body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path.encode(), b"Host: h", *headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def event(name: str = "a", **properties: Any) -> bytes:
    return json.dumps({"event": name, "properties": {"token": "TOKEN", **properties}}).encode()


REQUESTS = {
    "taken": post("/track/", event()),
    "verbose": post("/track?verbose=1", event()),
    "a form": post(
        "/track", b"verbose=1&data=" + event(), b"Content-Type: application/x-www-form-urlencoded"
    ),
    "a browser's": post("/track", event(), b"Origin: https://shop.example"),
    "percent": post("/%74rack", event()),
    "wrong": post("/track", b"{}"),
    "an import": post(
        "/import", event(), b"Authorization: Basic U0VDUkVUOg==", b"Content-Type: application/json"
    ),
    "nobody's": post("/import", event()),
    "flags": post("/flags", b""),
    "nothing there": post("/nothing", b""),
    "a pixel": b"GET /track?img=1 HTTP/1.1\r\nHost: h\r\n\r\n",
    "in the query": b"GET /track?data=" + event().replace(b" ", b"") + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    "chunked": b"POST /track HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (len(event()), event()),
    "the last one": post("/track", event(), b"Connection: close"),
    "an old client's": b"GET /track?data={} HTTP/1.0\r\n\r\n",
    "asks for HTTP/2": post("/track/", event(), b"Connection: Upgrade", b"Upgrade: h2c"),
    "a method": b"DELETE /track HTTP/1.1\r\nHost: h\r\n\r\n",
    "asked before": b"OPTIONS /track HTTP/1.1\r\nHost: h\r\nOrigin: https://shop.example\r\n\r\n",
    "health": b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n",
    "large": post("/track", event() + b" " * LARGE),
    "a URL without a path": b"POST http://h HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123456789",
    "broken": b"POST /track HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
def test_the_answer_does_not_depend_on_the_parts_in_which_a_request_comes(request_: bytes) -> None:
    async def run() -> None:
        async with live() as server:
            whole = await server.answers(request_)
            kept = [*server.host.kept]
            server.host.kept.clear()
            assert whole.startswith(b"HTTP/1.1 ")
            counted = {*server.host.counts.requests}
            head = request_.index(b"\r\n\r\n") + 4
            for cut in (10, head - 2, head, head + 5):
                assert await server.answers(request_[:cut], request_[cut:]) == whole
                assert server.host.kept == kept
                server.host.kept.clear()
            assert server.host.counts.requests == dict.fromkeys(counted, 5)

    asyncio.run(run())


def test_a_small_request_that_comes_whole_has_no_task_of_its_own() -> None:
    async def run() -> None:
        async with live() as server:
            await server.answers(REQUESTS["taken"])
            assert server.called == []
            await server.answers(REQUESTS["health"])
            await server.answers(REQUESTS["taken"][:-5], REQUESTS["taken"][-5:])
            assert server.called == ["/health", "/track/"]
            assert server.state.total_requests == 3

    asyncio.run(run())


@pytest.mark.parametrize(
    "order",
    [
        "taken health taken verbose",
        "health taken",
        "wrong flags taken wrong",
        "verbose asks_for_HTTP/2 asks_for_HTTP/2 verbose",
    ],
)
def test_requests_that_come_together_are_answered_in_their_order(order: str) -> None:
    async def run() -> None:
        async with live() as server:
            requests = [REQUESTS[name.replace("_", " ")] for name in order.split()]
            apart = [await server.answers(one) for one in requests]
            server.host.kept.clear()
            assert await server.answers(b"".join(requests)) == b"".join(apart)
            assert len(server.host.kept) == len(requests) - order.count("wrong") - order.count(
                "flags"
            ) - order.count("health")

    asyncio.run(run())


def test_what_may_be_much_more_than_its_bytes_has_a_task() -> None:
    async def run() -> None:
        async with live() as server:
            plain = b"[" + b",".join([event(x="y" * 500)] * 9) + b"]"
            packed = gzip.compress(plain) + gzip.compress(b"") * 220
            assert LARGE_CALLS < len(packed) < len(plain) < LARGE
            for body in (plain, packed, b"data=" + base64.b64encode(packed)):
                await server.answers(post("/track", body))
            query = base64.urlsafe_b64encode(packed)
            await server.answers(b"GET /track?data=%b HTTP/1.1\r\nHost: h\r\n\r\n" % query)
            assert server.called == ["/track"] * 3
            assert len(server.host.kept) == 4

    asyncio.run(run())


def test_a_request_that_asks_for_another_protocol_is_answered_in_this_one() -> None:
    async def run() -> None:
        async with live() as server:
            plain = await server.answers(REQUESTS["taken"])
            assert await server.answers(REQUESTS["asks for HTTP/2"]) == plain
            assert len(server.host.kept) == 2

    asyncio.run(run())


def test_a_connection_takes_many_requests_one_after_another() -> None:
    async def run() -> None:
        async with live() as server:
            reader, writer = await asyncio.open_connection(*server.address)
            for number in range(20):
                whole = REQUESTS["taken"]
                for part in [whole] if number % 3 else [whole[:-3], whole[-3:]]:
                    writer.write(part)
                    await asyncio.sleep(0.005)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
                assert head.startswith(b"HTTP/1.1 200 ")
                assert await reader.readexactly(1) == b"1"
            writer.close()
            assert len(server.host.kept) == 20

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "status"), [(BusyError("busy"), 503), (OSError(28, "full"), 503), (ValueError("odd"), 503)]
)
def test_what_is_not_on_disk_is_not_acknowledged(fault: Exception, status: int) -> None:
    async def run() -> None:
        async with live() as server:
            server.host.fault = fault
            for parts in ([REQUESTS["taken"]], [REQUESTS["taken"][:50], REQUESTS["taken"][50:]]):
                answer = await server.answers(*parts)
                assert answer.startswith(b"HTTP/1.1 %d " % status)

    asyncio.run(run())


def test_too_much_is_429_and_a_draining_server_answers_503() -> None:
    async def run() -> None:
        async with live() as server:
            server.host.admitting = False
            assert (await server.answers(REQUESTS["taken"])).startswith(b"HTTP/1.1 429 ")
            server.host.draining = True
            assert (await server.answers(REQUESTS["taken"])).startswith(b"HTTP/1.1 503 ")
            assert server.host.kept == []

    asyncio.run(run())


def test_a_client_that_goes_away_before_its_answer_harms_nobody() -> None:
    async def run() -> None:
        async with live() as server:
            faults: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
            for _ in range(5):
                _, writer = await asyncio.open_connection(*server.address)
                writer.write(REQUESTS["taken"])
                await writer.drain()
                writer.transport.abort()
            await asyncio.sleep(0.1)
            assert (await server.answers(REQUESTS["taken"])).endswith(b"\r\n\r\n1")
            assert faults == []

    asyncio.run(run())


@pytest.mark.parametrize(
    "parts",
    [
        (REQUESTS["taken"], b"\r\n"),
        (REQUESTS["health"], b"\r\n"),
        (b"OPTIONS /track HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", b"1"),
    ],
    ids=["blanks", "blanks behind a task", "a body behind its answer"],
)
def test_a_connection_without_a_request_ends(
    parts: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.5)

    async def run() -> None:
        async with live() as server:
            assert (await server.answers(*parts)).startswith(b"HTTP/1.1 200 ")

    asyncio.run(run())


@pytest.mark.parametrize("name", ["taken", "health", "large"])
def test_a_client_that_sends_no_more_is_answered(name: str) -> None:
    async def run() -> None:
        async with live() as server:
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(REQUESTS[name])
            writer.write_eof()
            assert (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"HTTP/1.1 200 ")
            writer.close()

    asyncio.run(run())


def test_a_connection_that_is_shut_down_answers_first_and_says_that_it_is_closed() -> None:
    async def run() -> None:
        async with live() as server:
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(REQUESTS["taken"])
            await asyncio.wait_for(server.host.asked.wait(), PATIENCE)
            for connection in [*server.state.connections]:
                connection.shutdown()
            answer = await asyncio.wait_for(reader.read(), PATIENCE)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"\r\nconnection: close\r\n" in answer
            writer.close()

    asyncio.run(run())


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not there")
def test_the_same_by_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop", reason="the extra serve is not installed")

    async def run() -> None:
        async with live() as server:
            apart = [await server.answers(REQUESTS[name]) for name in ("taken", "verbose")]
            assert await server.answers(REQUESTS["taken"] + REQUESTS["verbose"]) == b"".join(apart)

    uvloop.run(run())
