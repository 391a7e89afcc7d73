"""`idmerge serve` as a process: its start, its end by a signal, and its death under load."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

import served
from command_line import error_of
from idmerge import DurableResolver, Resolver
from idmerge.server.log.log import Log
from log_records import kept
from paths import ROOT

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("httptools", reason="the extra serve is not installed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals end the server")

PATIENCE = 30
CLIENTS = 4


class Running:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), (line, process.communicate())
        self.port = int(line.rpartition(":")[2])

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, path: str = "/", body: bytes | None = None) -> tuple[int, Any]:
        with closing(self.connection()) as connection:
            return asked(connection, path, body)

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        _, stderr = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, stderr


def asked(connection: HTTPConnection, path: str, body: bytes | None) -> tuple[int, Any]:
    connection.request("GET" if body is None else "POST", path, body)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@contextmanager
def running(*arguments: object, module: str = served.__name__, **options: Any) -> Iterator[Running]:
    command = [sys.executable, "-m", *module.split(), *map(str, arguments), "--port", "0"]
    if "pass_fds" in options:
        command = command[:-2]
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests' / 'support'}:{os.environ.get('PYTHONPATH', '')}"}
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, env=env, **pipes, **options) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


def merge(first: str, second: str) -> bytes:
    return json.dumps({"event": "$merge", "properties": {"$distinct_ids": [first, second]}}).encode() + b"\n"


def test_a_first_start_tells_the_token_and_where_the_secret_is_and_not_the_secret(tmp_path: Path) -> None:
    with running(tmp_path / "shop", module="idmerge serve") as server:
        status, health = server.ask("/health")
        assert (status, health["status"], health["lag_bytes"]) == (200, "ok", 0)
        assert server.ask("/nothing")[0] == 404
        code, stderr = server.end(signal.SIGTERM)
    settings = (tmp_path / "shop" / "idmerge.toml").read_text()
    token, secret = (settings.partition(f'\n{key} = "')[2].partition('"')[0] for key in ("token", "secret"))
    assert code == 0
    for client in ("browser", "mobile", "Node", "Python", "Segment", "RudderStack"):
        [line] = [line for line in stderr.splitlines() if line.startswith(f"{client} ")]
        assert f'"{token}"' in line or f"token {token}" in line
        assert f"127.0.0.1:{server.port}" in line or f'"127.0.0.1", port: {server.port}' in line
    assert f"which is in {tmp_path / 'shop' / 'idmerge.toml'}" in stderr
    assert secret
    assert secret not in stderr
    with running(tmp_path / "shop", module="idmerge serve") as server:
        assert server.end(signal.SIGINT) == (0, "")


def test_the_line_that_a_first_start_prints_for_python_sends_to_it(tmp_path: Path) -> None:
    mixpanel = pytest.importorskip("mixpanel")
    with running(tmp_path / "shop", module="idmerge serve") as server:
        assert server.process.stderr is not None
        lines = iter(server.process.stderr.readline, "")
        line = next(line for line in lines if line.startswith("Python "))
        client = eval(line.removeprefix("Python "), vars(mixpanel))  # noqa: S307 - our own line
        client.track("ana", "Viewed page")
        client.people_set("ana", {"plan": "pro"})
        server.end(signal.SIGTERM)
    with closing(Log(tmp_path / "shop" / "log")) as log:
        assert [record.stream for record, _ in log.read(0)] == ["events", "updates"]


def test_renamed_routes_are_taken_with_the_settings(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text(
        '[[project]]\nname = "a"\ntoken = "t-t"\nsecret = "s-s"\n[routes]\n"x/t" = "track"\n', "utf-8"
    )
    event = json.dumps({"event": "View", "properties": {"token": "t-t", "distinct_id": "ana"}}).encode()
    with running(tmp_path, module="idmerge serve") as server:
        assert server.ask("/x/t/", event) == (200, 1)
        assert server.ask("/x/other", event)[0] == 404
        server.end(signal.SIGTERM)
    with closing(Log(tmp_path / "log")) as log:
        assert [record.lines.count(b"View") for record, _ in log.read(0)] == [1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_the_server_when_all_that_was_acknowledged_is_applied(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path) as server:
        for person in range(50):
            status, _ = server.ask(body=merge(f"u{person}", f"v{person}"))
            assert status == 200
        assert server.end(number)[0] == 0
    with DurableResolver.open(tmp_path / "ids.idmerge", read_only=True) as resolver:
        assert len(resolver) == 100
        end = resolver.offsets["log"]
    with closing(Log(tmp_path / "log")) as log:
        assert log.end == end


def test_while_the_server_drains_its_port_answers_503_and_an_end_in_time_is_not_promised(
    tmp_path: Path,
) -> None:
    (tmp_path / "ids.idmerge").mkdir()
    assert "ids.idmerge" in error_of("serve", tmp_path, "--port", "0")
    (tmp_path / "ids.idmerge").rmdir()
    with running(tmp_path, "--grace", "1.5", module=f"{served.__name__} full") as server:
        assert server.ask(body=merge("ana", "crm-17"))[0] == 200
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while (answer := server.ask())[0] == 200:
            assert time.monotonic() < deadline
        assert answer[0] == 503
        _, stderr = server.process.communicate(timeout=PATIENCE)
    assert server.process.returncode == 1
    assert stderr.splitlines()[-1].startswith("idmerge: error: ")
    assert "of the log were not applied within 1.5 seconds: [Errno 28] No space left on device; " in stderr
    with running(tmp_path) as server:
        assert server.end(signal.SIGTERM)[0] == 0
    with DurableResolver.open(tmp_path / "ids.idmerge", read_only=True) as resolver:
        assert resolver.resolve("crm-17") == "ana"


def test_a_slow_client_neither_closes_the_port_to_others_nor_delays_the_end(tmp_path: Path) -> None:
    with running(tmp_path, "--grace", "25", module="idmerge serve") as server:
        with closing(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)) as slow:
            slow.sendall(b"POST /track HTTP/1.1\r\nContent-Length: 100\r\n\r\n[")
            server.ask("/health")
            server.process.send_signal(signal.SIGTERM)
            begin = time.monotonic()
            while time.monotonic() < begin + 3:
                assert server.ask("/health")[0] in ({200, 503} if time.monotonic() < begin + 1 else {503})
                time.sleep(0.05)
            assert slow.recv(100).startswith(b"HTTP/1.1 503 ")
        _, stderr = server.process.communicate(timeout=PATIENCE)
    assert time.monotonic() < begin + 15
    assert server.process.returncode == 0
    assert "Traceback" not in stderr


def test_a_socket_can_be_handed_in_and_outlives_the_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = listener.fileno()
        for person in ("ana", "ben"):
            with running(tmp_path, "--fd", descriptor, pass_fds=[descriptor]) as server:
                assert server.port == listener.getsockname()[1]
                assert server.ask(body=merge(person, f"{person}-2"))[0] == 200
                assert server.end(signal.SIGTERM)[0] == 0
    with DurableResolver.open(tmp_path / "ids.idmerge", read_only=True) as resolver:
        assert len(resolver) == 4


def test_wrong_calls_are_errors_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert "nowhere.invalid:8123: " in error_of("serve", tmp_path, "--host", "nowhere.invalid")
        assert error_of("serve", tmp_path, "--port", port) == f"127.0.0.1:{port}: Address already in use"
    with open(os.devnull) as file:  # noqa: PTH123
        assert "file descriptor" in error_of("serve", tmp_path, "--fd", file.fileno())
    message = error_of("serve", tmp_path, "--fd", 3, "--port", 1, code=2)
    assert message == "--fd hands in a socket that has its address; leave out --host and --port"
    (tmp_path / "idmerge.toml").write_text("[[project]]\nname = 5\n")
    assert "project 1: name must be" in error_of("serve", tmp_path, "--port", 0)


@pytest.mark.parametrize(
    "endless",
    [
        (b"GET /track HTTP/1.1\r\n", b"X: " + b"y" * 500 + b"\r\n"),
        (b"GET /track HTTP/1.1\r\nX: ", b"y" * 500),
        (b"GET /track?", b"y" * 500),
        (b"POST /track HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: yyyyyyyy\r\n"),
    ],
    ids=["headers", "header", "line", "trailers"],
)
def test_a_head_without_an_end_is_431(tmp_path: Path, endless: tuple[bytes, bytes]) -> None:
    beginning, more = endless
    with running(tmp_path, module="idmerge serve") as server:
        with closing(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)) as client:
            client.sendall(beginning)
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                client.sendall(more * (50_000_000 // len(more)))
            with suppress(ConnectionResetError):
                assert client.recv(1000)[:13] in {b"HTTP/1.1 431 ", b""}
        assert server.ask("/health")[0] == 200
        code, stderr = server.end(signal.SIGTERM)
    assert (code, "Traceback" in stderr) == (0, False)


def test_a_client_that_is_too_slow_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn
    from uvicorn.server import ServerState

    from idmerge.server.http import connections

    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)

    async def ended_after(sends: bytes) -> bytes:
        config = uvicorn.Config(
            never,
            http=connections.BoundedProtocol,
            lifespan="off",
            log_level="critical",
            proxy_headers=False,
            interface="asgi3",
        )
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: connections.BoundedProtocol(config, state, {}), "127.0.0.1", 0
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(sends)
            answer = await asyncio.wait_for(reader.read(), PATIENCE)
            writer.close()
        return answer

    async def never(_scope: Any, receive: Any, _send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    counted: list[int] = []
    never.count_unread = counted.append  # type: ignore[attr-defined]
    for sends in (b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12"):
        assert asyncio.run(ended_after(sends)).startswith(b"HTTP/1.1 408 ")
    assert asyncio.run(ended_after(b"no HTTP\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert asyncio.run(ended_after(b"GET /" + b"a" * 100_000)).startswith(b"HTTP/1.1 431 ")
    assert counted == [408, 408, 408, 400, 431]


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httptools", None)
    assert error_of("serve", tmp_path).endswith("pip install 'idmerge[serve]'")
    assert list(tmp_path.iterdir()) == []


def test_two_servers_cannot_have_one_directory(tmp_path: Path) -> None:
    with running(tmp_path):
        assert "is open for writing by process" in error_of("serve", tmp_path, "--port", 0)


def load(server: Running, client: int, life: int, acknowledged: list[bytes]) -> None:
    with suppress(OSError, HTTPException), closing(server.connection()) as connection:
        for number in range(10_000):
            line = merge(f"person {number % 7}", f"{life}-{client}-{number}")
            status, _ = asked(connection, "/", line)
            assert status == 200
            acknowledged.append(line)


def test_a_server_that_is_killed_under_load_has_kept_what_it_acknowledged(tmp_path: Path) -> None:
    by_client: list[list[bytes]] = []
    for life in range(6):
        with running(tmp_path) as server:
            mine: list[list[bytes]] = [[] for _ in range(CLIENTS)]
            threads = [
                threading.Thread(target=load, args=(server, client, life, mine[client]))
                for client in range(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            time.sleep(0.15 + 0.1 * life)
            server.process.kill()
            for thread in threads:
                thread.join()
            by_client += mine
    with running(tmp_path) as server:
        assert server.end(signal.SIGTERM)[0] == 0
    with closing(Log(tmp_path / "log")) as log:
        lines = [one.lines for one in kept(log)]
    assert sum(map(len, by_client)) > 100
    places = {line: place for place, line in enumerate(lines)}
    assert max(Counter(lines).values()) == 1
    for acknowledged in by_client:
        found = [places[line] for line in acknowledged]
        assert found == sorted(found)
    twin = Resolver()
    for line in lines:
        twin.apply_body(line, "application/x-ndjson")
    with DurableResolver.open(tmp_path / "ids.idmerge", read_only=True) as resolver:
        assert resolver.mapping().to_pydict() == twin.mapping().to_pydict()
        assert resolver.position == twin.position
