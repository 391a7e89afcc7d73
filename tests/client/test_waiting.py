"""Those who wait for delivery: none is kept who left, and none waits for itself or for another server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from idmerge import Resolver
from idmerge.client import AsyncClient, Client, Loss, Sending
from idmerge.client.outbox import Outbox
from scripted_server import OK, Said, scripted

NOWHERE = "http://127.0.0.1:9"


def waiters(client: Client | AsyncClient) -> int:
    assert isinstance(client._target, Outbox)
    return len(client._target._waiters)


def test_who_waits_no_more_is_forgotten() -> None:
    client = Client(NOWHERE, "t")
    client.track("E0")
    for _ in range(100):
        assert not client.flush(0)
    assert waiters(client) == 0
    client.close(0)


def test_a_task_that_is_cancelled_or_whose_loop_is_closed_is_forgotten() -> None:
    client = AsyncClient(NOWHERE, "t")

    async def visit() -> None:
        client.track("E0")
        task = asyncio.create_task(client.flush(60))
        await asyncio.sleep(0.01)
        assert waiters(client) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await client.flush(0.01)

    for _ in range(3):  # Each in a loop of its own.
        asyncio.run(visit())
    assert waiters(client) == 0
    assert not asyncio.run(client.close(0))


def test_a_flush_that_has_no_time_is_true_if_nothing_waits() -> None:
    for to in (Resolver(), NOWHERE):
        assert Client(to, "t").flush(0)
        assert asyncio.run(AsyncClient(to, "t").flush(0))


@pytest.mark.parametrize("call", ["flush", "close"])
def test_a_callback_that_waits_for_delivery_does_not_wait_for_itself(call: str) -> None:
    answers: list[tuple[bool, float]] = []
    done = threading.Event()

    def on_loss(_: Loss) -> None:
        if not done.is_set():
            done.set()
            began = time.monotonic()
            answers.append((getattr(client, call)(30), time.monotonic() - began))

    with scripted(lambda _: Said(400)) as script:
        client = Client(script.url, "t", sending=Sending(interval=0, on_loss=on_loss))
        client.track("E0")
        assert done.wait(60)
        client.close(60)
    [(is_delivered, seconds)] = answers
    assert not is_delivered
    assert seconds < 15


def test_at_the_end_of_the_process_a_server_that_is_down_takes_no_time_of_another() -> None:
    code = """
import sys
from idmerge.client import Client, Sending
sending = Sending(interval=60, at_exit=1.5)
clients = [Client(url, "t", sending=sending) for url in [sys.argv[1], *[sys.argv[2]] * 8]]
for client in clients:
    client.track("E0")
"""
    with scripted() as script:
        command = [sys.executable, "-W", "ignore", "-c", code, NOWHERE, script.url]
        subprocess.run(command, capture_output=True, timeout=120, check=True)
        assert script.names() == ["E0"] * 8


def test_a_flush_does_not_ask_a_server_that_wants_to_be_left_alone() -> None:
    answers = [Said(429, headers=(("Retry-After", "60"),))]
    with scripted(lambda _: answers.pop() if answers else OK) as script:
        client = Client(script.url, "t", sending=Sending(interval=0))
        for number in range(10):
            client.track(f"E{number}")
            assert not client.flush(0.05 if script.asked else 5)
        assert len(script.asked) == 1
        assert client.close(60), "the end tries once more"
        assert script.names() == [f"E{number}" for number in range(10)]


def test_an_end_without_a_thread_does_not_wait_for_longer_than_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = threading.Event()
    with scripted(lambda _: OK if held.wait(30) else None) as script:
        client = Client(script.url, "t", sending=Sending(timeout=30))
        began = time.monotonic()
        with monkeypatch.context() as patched:
            patched.setattr(Outbox, "_start", lambda _: None)
            assert client.track("E0")
            assert not client.close(0.2)
        assert time.monotonic() - began < 15
        held.set()
