"""The client against ``idmerge serve``: every event once, whatever happens to the server meanwhile."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from idmerge.client import Client, Loss, Sending, delivery
from idmerge.testing.local import started
from live_server import PATIENCE, serving

if TYPE_CHECKING:
    from pathlib import Path

    from live_server import Served

pytest.importorskip("uvicorn")


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_LONGEST_PAUSE", 0.2)


def once(server: Served, wanted: list[str]) -> None:
    """Check that these events are there, each once; identity events apart."""
    found = Counter(event["event"] for event in server.events() if not event["event"].startswith("$"))
    assert found == Counter(wanted)


def test_the_guides_flows(tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        with Client(server.url, server.token, credentials=(server.secret, "")) as client:
            phone, laptop, shared = client.bound({}), client.bound({}), client.bound({})
            devices = [visitor.distinct_id for visitor in (phone, laptop, shared)]
            phone.track("Viewed page")
            phone.people.set_once("source", "newsletter")
            phone.identify("ana")
            phone.alias("ana@example.com")
            phone.people.set({"$name": "Ana", "plan": "free"})
            phone.people.increment("visits", 2)
            laptop.track("Viewed page")
            laptop.identify("ana")
            shared.identify("ben")
            shared.reset()
            after = shared.distinct_id
            shared.identify("carla")
            shared.reset()
            client.merge("ana", "crm-17")
            assert client.flush(PATIENCE)
        assert server.cluster("ana") == sorted([*devices[:2], "ana", "ana@example.com", "crm-17"])
        assert server.cluster("ben") == sorted([devices[2], "ben"])
        assert server.cluster("carla") == sorted([after, "carla"])
        profile = {"source": "newsletter", "$name": "Ana", "plan": "free", "visits": 2}
        assert server.profile("crm-17") == profile


def test_imports_of_old_events_are_taken(tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        losses: list[Loss] = []
        sending = Sending(on_loss=losses.append)
        keys = {"source": "import", "credentials": (server.secret, ""), "sending": sending}
        with Client(server.url, server.token, **keys) as client:  # type: ignore[arg-type]
            for number in range(2500):
                client.track(f"E{number}", {"time": 1_700_000_000_000 + number})
            client.identify("ana")
            client.track("Too old", {"time": 1})
            assert not client.flush(PATIENCE)
        once(server, [f"E{number}" for number in range(2500)])
        assert [(loss.count, loss.route) for loss in losses] == [(1, "import")]


def test_a_wrong_token_is_told_of(tmp_path: Path) -> None:
    losses: list[Loss] = []
    sending = Sending(on_loss=losses.append)
    with serving(tmp_path / "served") as server, Client(server.url, "another", sending=sending) as client:
        client.track("E0")
        assert not client.flush(PATIENCE)
    [loss] = losses
    assert loss.reason.startswith("the server answered 400: ")
    assert "another" not in loss.reason


def test_what_comes_too_fast_comes_again(tmp_path: Path) -> None:
    settings = tmp_path / "served" / "idmerge.toml"
    settings.parent.mkdir()
    settings.write_text('[[project]]\nname = "main"\ntoken = "t"\nsecret = "s"\nmax-rate = 1\n')
    with serving(tmp_path / "served") as server:
        with Client(server.url, "t", sending=Sending(batch_size=5)) as client:
            for number in range(65):
                client.track(f"E{number}")
            assert client.flush(PATIENCE)
        once(server, [f"E{number}" for number in range(65)])


def test_bodies_beyond_the_servers_limit_come_in_parts(tmp_path: Path) -> None:
    losses: list[Loss] = []
    sending = Sending(batch_size=2000, max_bytes=2**30, max_items=10**5, on_loss=losses.append)
    texts = {f"p{number}": "x" * 255 for number in range(200)}
    with serving(tmp_path / "served") as server:
        with Client(server.url, server.token, sending=sending) as client:
            client.track("Too large", {"nested": [[["x" * 255] * 1000] * 5]})
            for number in range(400):
                client.track(f"E{number}", texts)
            assert not client.flush(PATIENCE)
        once(server, [f"E{number}" for number in range(400)])
    assert [loss.count for loss in losses] == [1]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_each_event_is_there_once_after_the_server_was_ended_again_and_again(
    tmp_path: Path, how: signal.Signals
) -> None:
    directory, count = tmp_path / "served", 0
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = directory / "idmerge.toml"
        directory.mkdir()
        settings.write_text('[[project]]\nname = "main"\ntoken = "t"\nsecret = "s"\n')
        sending = Sending(interval=0, batch_size=7, timeout=3, max_items=10**6)
        client = stack.enter_context(Client(url, "t", sending=sending))
        stop = threading.Event()

        def work() -> None:
            nonlocal count
            while not stop.is_set():
                client.track(f"E{count}")
                count += 1
                time.sleep(0.001)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            for _ in range(3):
                with started(directory, descriptor=listener.fileno()) as (process, _):
                    time.sleep(0.7)
                    process.send_signal(how)
                    process.communicate(timeout=PATIENCE)
            stop.set()
        finally:
            stop.set()
            worker.join()
        with serving(directory, descriptor=listener.fileno()) as server:
            assert client.flush(PATIENCE)
            once(server, [f"E{number}" for number in range(count)])
