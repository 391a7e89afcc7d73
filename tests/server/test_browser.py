"""mixpanel-browser in Chromium against a server that runs: the guide's flows, and what it refuses."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from live_server import PATIENCE, Served, serving
from real_clients import node_command, node_environment, of_npm, run_node
from web_page import CHROMIUM, PACKAGES, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("uvicorn")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return of_npm(tmp_path_factory.mktemp("npm"), PACKAGES)


@pytest.fixture
def page(node_modules: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a page with mixpanel-browser, of another origin than the server's."""
    folder = tmp_path / "page"
    folder.mkdir()
    with page_of(node_modules, folder) as address:
        yield address


def test_the_guides_flows(server: Served, node_modules: Path, page: str, tmp_path: Path) -> None:
    answer = run_node("browser.js", node_modules, page, server.address, server.token, str(CHROMIUM))
    assert answer["complaints"] == []
    server.settled()
    found = answer["found"]
    ana = server.cluster("ana")
    assert {found["phone"], found["laptop"], "ana", "ana@example.com"} <= {
        member.removeprefix("$device:") for member in ana
    }
    ben, carla = server.cluster("ben"), server.cluster("carla")
    assert not {*ben} & {*carla}
    assert found["shared"] in {member.removeprefix("$device:") for member in ben}
    assert found["after"] in {member.removeprefix("$device:") for member in carla}
    # Without a reset the device stays the first user's, and the second one has the events since.
    dan, eva = server.cluster("dan"), server.cluster("eva")
    assert found["careless"] in {member.removeprefix("$device:") for member in dan}
    assert not {*dan} & {*eva}
    assert server.read(f"/api/ids/$device:{found['leaving']}")["known"]
    log = b"".join(path.read_bytes() for path in tmp_path.glob("served/log/*.log"))
    assert log.count(b"Left the page") > 1, "the page was to send the event by a beacon and again"
    assert Counter(event["event"] for event in server.events())["Left the page"] == 1


class Sender:
    """A page that sends events to a server that refuses some."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.answers: list[int | str] = []
        """The statuses of the answers that it got, at the end."""
        self._process = process

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("send\n")
        self._process.stdin.flush()

    def end(self) -> None:
        said, _ = self._process.communicate(timeout=PATIENCE)
        self.answers += json.loads(said)


@contextmanager
def sender(page: str, node_modules: Path, served: Served, *, count: int, size: int) -> Iterator[Sender]:
    """Open a page that is to send so many events, each of some characters and more."""
    command = node_command(
        "recovery.js", page, served.url, served.token, str(CHROMIUM), str(count), str(size)
    )
    pipes: Any = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, env=node_environment(node_modules), **pipes) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            opened = Sender(process)
            yield opened
            opened.end()
        finally:
            process.kill()


def all_taken(server: Served, count: int) -> None:
    """Wait until each of so many events has come."""
    deadline = time.monotonic() + 2 * PATIENCE
    while len(events := server.events()) < count:
        assert time.monotonic() < deadline, f"{len(events)} of {count} events have come"
        time.sleep(0.3)
    assert Counter(event["event"] for event in events) == Counter(f"E{number}" for number in range(count))


def test_a_batch_that_is_too_long_comes_in_parts(tmp_path: Path, node_modules: Path, page: str) -> None:
    answers = []
    for attempt in range(4):  # A page that is slow to make events sends them in shorter batches.
        with (
            serving(tmp_path / f"served {attempt}") as server,
            sender(page, node_modules, server, count=50, size=80_000) as opened,
        ):
            opened.begin()
            all_taken(server, 50)
        answers.append(opened.answers)
        if 413 in opened.answers:
            return
    pytest.fail(f"no batch was too long: {answers}")


def test_what_comes_too_fast_comes_again(tmp_path: Path, node_modules: Path, page: str) -> None:
    settings = tmp_path / "served" / "idmerge.toml"
    settings.parent.mkdir()
    settings.write_text('[[project]]\nname = "main"\ntoken = "t"\nsecret = "s"\nmax-rate = 1\n')
    with serving(tmp_path / "served") as server:
        with sender(page, node_modules, server, count=70, size=10) as opened:
            opened.begin()
            all_taken(server, 70)
        assert 429 in opened.answers


def test_what_a_server_that_ends_refuses_comes_to_the_next_one(
    tmp_path: Path, node_modules: Path, page: str
) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        descriptor, directory = listener.fileno(), tmp_path / "served"
        server = stack.enter_context(serving(directory, descriptor=descriptor))
        opened = stack.enter_context(sender(page, node_modules, server, count=20, size=10))
        slow = stack.enter_context(socket.create_connection(listener.getsockname()))
        slow.sendall(b"POST /track HTTP/1.1\r\nContent-Length: 100\r\n\r\n[")  # It delays the end.
        server.settled()
        server.process.send_signal(signal.SIGTERM)
        while server.status("/health") != 503:
            time.sleep(0.02)
        opened.begin()
        assert server.process.wait(PATIENCE) == 0
        all_taken(stack.enter_context(serving(directory, descriptor=descriptor)), 20)
    assert 503 in opened.answers
