"""Delivery: what is tried again, what is lost and told of, and how much waits."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idmerge.client import AsyncClient, Client, Loss, Sending, delivery
from scripted_server import OK, Asked, Said, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripted_server import Scripted

QUICK = Sending(interval=0.05)
NOWHERE = "http://127.0.0.1:9"
IMPORTED = Said(200, b'{"code":200,"num_records_imported":1,"status":"OK"}')


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_LONGEST_PAUSE", 0.05)


def losing(**settings: Any) -> tuple[Sending, list[Loss]]:
    losses: list[Loss] = []
    return Sending(**{"interval": 0.05, **settings}, on_loss=losses.append), losses


def first(*answers: Said | None) -> Callable[[Asked], Said | None]:
    """Give these answers, then take everything."""
    left = list(answers)
    return lambda _: left.pop(0) if left else OK


def send(script: Scripted, count: int, sending: Sending = QUICK, **settings: Any) -> bool:
    with Client(script.url, "t0ken", sending=sending, **settings) as client:
        for number in range(count):
            client.track(f"E{number}")
        return client.flush(60)


def names(count: int) -> list[str]:
    return [f"E{number}" for number in range(count)]


def test_events_come_in_batches_in_their_order_on_one_connection() -> None:
    with scripted() as script:
        assert send(script, 120, Sending(interval=30))
    assert script.names() == names(120)
    assert [len(asked.items) for asked in script.asked] == [50, 50, 20]
    assert script.connections == 1
    asked = script.asked[0]
    assert asked.target == "/track?verbose=1&ip=0"
    assert asked.headers["content-encoding"] == "gzip"
    assert asked.headers["content-type"] == "application/json"
    assert "authorization" not in asked.headers


def test_a_few_events_wait_for_others_for_the_interval_only() -> None:
    with scripted() as script, Client(script.url, "t", sending=Sending(interval=1.5)) as client:
        client.track("E0")
        client.track("E1")
        time.sleep(0.1)
        assert script.asked == []
        deadline = time.monotonic() + 60
        while not script.asked and time.monotonic() < deadline:
            time.sleep(0.01)
        assert script.names() == names(2)
        assert "content-encoding" not in script.asked[0].headers, "so few bytes are not worth it"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    answers=st.lists(
        st.sampled_from(["taken", "taken, unsaid", "unsaid", "413", "429", "503", "400", "refused"]),
        max_size=25,
    ),
    count=st.integers(0, 30),
    batch_size=st.integers(1, 12),
)
def test_whatever_a_server_answers_each_event_is_taken_in_order_or_told_of(
    answers: list[str], count: int, batch_size: int
) -> None:
    left, first_taken = iter(answers), dict[str, None]()
    sending, losses = losing(interval=0, batch_size=batch_size)

    def answer(asked: Asked) -> Said | None:
        how = next(left, "taken")
        if how.startswith("taken"):
            first_taken.update(dict.fromkeys(item["event"] for item in asked.items))
        if how == "refused":
            return Said(200, b'{"status":0,"error":"no"}')
        return OK if how == "taken" else None if "unsaid" in how else Said(int(how))

    with patch.object(delivery, "_LONGEST_PAUSE", 0.001), scripted(answer) as script:
        is_whole = send(script, count, sending)
    lost = {json.loads(item)["event"] for loss in losses for item in loss.items}
    assert is_whole == (not lost)
    assert {*first_taken} | lost == {*names(count)}
    assert [*first_taken] == sorted(first_taken, key=lambda name: int(name[1:]))
    assert not lost or {"413", "400", "refused"} & {*answers}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_is_refused_for_now_comes_again_as_it_was(status: int) -> None:
    with scripted(first(Said(status), Said(status))) as script:
        assert send(script, 3)
    assert script.names() == names(3)
    assert len(script.asked) == 3
    assert script.asked[0].items == script.asked[1].items == script.asked[2].items


def test_a_connection_that_breaks_is_made_anew() -> None:
    with scripted(first(None, OK, None, OK)) as script, Client(script.url, "t", sending=QUICK) as client:
        for number in range(3):
            client.track(f"E{number}")
            assert client.flush(60)
    assert sorted({*script.names()}) == names(3)


def test_a_connection_that_the_server_closed_meanwhile_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with scripted(first(OK, None)) as script, Client(script.url, "t", sending=QUICK) as client:
        for number in range(2):
            client.track(f"E{number}")
            assert client.flush(60)
    assert script.names() == names(2)
    assert caplog.text == ""


def test_a_server_that_does_not_answer_in_time_is_asked_again() -> None:
    late = threading.Event()

    def answer(_: Asked) -> Said:
        if not late.is_set():
            late.set()
            time.sleep(0.6)
        return OK

    with scripted(answer) as script:
        assert send(script, 1, Sending(interval=0, timeout=0.2))
        assert len(script.asked) == 2
        assert script.asked[0].items == script.asked[1].items


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_is_left_alone_for_as_long_as_it_asks(form: str) -> None:
    moment = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
    said = Said(429, headers=(("Retry-After", "1" if form == "seconds" else moment),))
    with scripted(first(said)) as script, Client(script.url, "t", sending=Sending(interval=0)) as client:
        began = time.monotonic()
        client.track("E0")
        while not script.taken and time.monotonic() < began + 60:
            time.sleep(0.02)
        assert script.names() == ["E0"]
        assert 0.9 < time.monotonic() - began < 40


@pytest.mark.parametrize("text", ["", "soon", "Mon, 99 Foo", "-1", "9" * 5000])
def test_a_time_to_wait_that_is_none_is_passed_over(text: str) -> None:
    seconds = delivery._seconds(text)
    assert seconds is None or 0 <= seconds < 10**9


def test_a_batch_that_is_too_long_comes_in_halves() -> None:
    with scripted(lambda asked: Said(413) if len(asked.items) > 7 else OK) as script:
        assert send(script, 50)
    assert script.names() == names(50)


def test_an_item_that_is_too_long_by_itself_is_lost_and_told_of() -> None:
    def answer(asked: Asked) -> Said:
        return Said(413) if any(item["event"] == "E3" for item in asked.items) else OK

    sending, losses = losing()
    with scripted(answer) as script:
        assert not send(script, 8, sending)
    assert script.names() == [name for name in names(8) if name != "E3"]
    assert [(loss.route, loss.count) for loss in losses] == [("track", 1)]
    assert "413" in losses[0].reason
    assert b'"E3"' in losses[0].items[0]


@pytest.mark.parametrize(
    "said",
    [
        Said(400, b'{"status":0,"error":"some data points in the request failed validation"}'),
        Said(401, b"no"),
        Said(403, b"[" * 100_000),
        Said(404),
        Said(301, headers=(("Location", "https://example.com/"),)),
        Said(200, b'{"status":0,"error":"token, missing or empty"}'),
        Said(200, b"0"),
    ],
)
def test_what_is_refused_for_good_is_lost_and_told_of_once(said: Said) -> None:
    sending, losses = losing()
    with scripted(first(said)) as script, Client(script.url, "t", sending=sending) as client:
        client.track("E0")
        assert not client.flush(60)
        assert client.flush(60), "the loss was told of"
        client.track("E1")
        assert client.flush(60), "and what follows is sent"
    assert [loss.count for loss in losses] == [1]
    assert str(said.status) in losses[0].reason
    assert ("redirects" in losses[0].reason) == (said.status == 301)
    assert len(script.asked) == 2


def test_the_events_for_which_a_batch_is_refused_are_found() -> None:
    refusal = Said(200, b'{"status":0,"error":"one of them"}')
    sending, losses = losing()
    with scripted() as script:
        script.answer = lambda asked: refusal if {"E7", "E31"} & {e["event"] for e in asked.items} else OK
        assert not send(script, 50, sending)
        assert {*names(50)} - {"E7", "E31"} <= {*script.names()}
        assert [loss.count for loss in losses] == [1, 1]
        assert len(script.asked) < 30


def test_a_server_that_refuses_all_is_not_asked_for_each() -> None:
    sending, losses = losing()
    with scripted(lambda _: Said(400, b'{"status":0,"error":"no token"}')) as script:
        assert not send(script, 500, sending)
        assert sum(loss.count for loss in losses) == 500
        assert len(script.asked) < 10 * 30


def test_updates_are_not_sent_again_for_one_that_is_refused() -> None:
    sending, losses = losing()
    with scripted(lambda _: Said(200, b"0")) as script, Client(script.url, "t", sending=sending) as client:
        client.identify(client.distinct_id)
        for _ in range(5):
            client.people.increment("visits")
        assert not client.flush(60)
        assert [len(asked.items) for asked in script.asked] == [5]
    assert [(loss.route, loss.count) for loss in losses] == [("engage", 5)]


def test_imports_name_who_imports_and_lose_what_failed_alone() -> None:
    failed = b'{"code":400,"failed_records":[{"index":1,"message":"no time"},{"index":9},3]}'
    sending, losses = losing()
    with scripted(first(Said(400, failed), IMPORTED)) as script:
        client = Client(
            script.url, "t0ken", source="import", credentials=("s3cret", ""), project_id=7, sending=sending
        )
        for number in range(3):
            client.track(f"E{number}")
        assert not client.flush(60)
        client.merge("ana", "ben")
        assert client.close()
    assert script.asked[0].target == "/import?strict=1&project_id=7"
    assert script.asked[0].credentials == "s3cret:"
    assert [(loss.route, loss.count, loss.reason) for loss in losses] == [
        ("import", 1, "the server answered 400: no time")
    ]
    assert b'"E1"' in losses[0].items[0]
    assert all(isinstance(item["properties"]["time"], int) for item in script.asked[0].items)


def test_a_merge_goes_by_import_between_the_events_around_it() -> None:
    with scripted() as script, Client(script.url, "t", sending=QUICK) as client:
        client.track("E0")
        client.merge("ana", "ben")
        client.track("E1")
        client.identify("ana")
        client.people.set("plan", "free")
        assert client.flush(60)
        paths = [asked.target.partition("?")[0] for asked in script.asked]
        assert paths == ["/track", "/import", "/track", "/engage"]
        assert script.asked[1].credentials == "t:"


def test_what_waits_is_bounded_by_number_and_the_first_stay() -> None:
    sending, losses = losing(max_items=10)
    with scripted() as script:
        gate = threading.Event()
        script.answer = lambda _: OK if gate.wait(60) else None
        with Client(script.url, "t", sending=sending) as client:
            taken = [client.track(f"E{number}") for number in range(25)]
            gate.set()
            assert not client.flush(60)
    assert taken == [True] * 10 + [False] * 15
    assert script.names() == names(10)
    assert {(loss.count, loss.reason) for loss in losses} == {(1, "the queue is full")}
    assert len(losses) == 15


def test_what_waits_is_bounded_by_bytes() -> None:
    sending, losses = losing(max_bytes=10_000, interval=60)
    client = Client(NOWHERE, "t", sending=sending)
    taken = [client.track("E", {"text": ["x" * 200] * 10}) for _ in range(10)]
    assert taken == [True] * 4 + [False] * 6
    assert not client.close(timeout=0)
    assert sum(loss.count for loss in losses) == 10
    assert losses[-1] == Loss("track", 4, "it was not sent before the end", losses[-1].items)


def test_losses_are_in_the_log_once_in_a_while_without_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    said = Said(401, b'{"error":"t0ken of s3cret is wrong"}')
    with caplog.at_level(logging.DEBUG), scripted(lambda _: said) as script:
        for _ in range(3):
            assert not send(script, 1, QUICK, credentials=("me", "s3cret"))
        with Client(script.url, "t0ken", credentials=("s3cret", ""), sending=QUICK) as client:
            for number in range(5):
                client.track(f"E{number}")
                client.flush(60)
    lost = [record for record in caplog.records if "lost" in record.getMessage()]
    assert len(lost) == 4, "one of each client"
    assert "t0ken" not in caplog.text
    assert "s3cret" not in caplog.text
    assert "… of … is wrong" in caplog.text


def test_a_callback_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Loss) -> None:
        raise RuntimeError("ours")

    sending = Sending(interval=0, on_loss=fail)
    with scripted(first(Said(400))) as script, Client(script.url, "t", sending=sending) as client:
        client.track("E0")
        client.flush(60)
        client.track("E1")
        assert client.flush(60)
    assert script.names() == ["E1"]
    assert "on_loss failed" in caplog.text


def test_a_flush_ends_in_time_and_a_close_takes_no_more() -> None:
    sending, losses = losing()
    client = Client(NOWHERE, "t", sending=sending)
    client.track("E0")
    began = time.monotonic()
    assert not client.flush(0.2)
    assert not client.close(0.2)
    assert time.monotonic() - began < 20
    assert not client.track("E1")
    assert [(loss.count, loss.reason) for loss in losses] == [
        (1, "it was not sent before the end"),
        (1, "the client is closed"),
    ]
    assert not client.close(), "a second one only says what was lost"
    assert client.close()


def test_a_flush_waits_for_what_was_given_before_it_alone() -> None:
    with scripted() as script:
        answered = threading.Event()
        script.answer = lambda asked: OK if asked.items[0]["event"] == "E0" or answered.wait(60) else None
        with Client(script.url, "t", sending=QUICK) as client:
            client.track("E0")
            threading.Timer(0.02, lambda: client.track("E1")).start()
            assert client.flush(60)
            answered.set()


def test_threads_send_each_event_once() -> None:
    with scripted() as script, Client(script.url, "t", sending=QUICK) as client:

        def work(worker: int) -> None:
            visitor = client.bound({})
            for number in range(100):
                visitor.track(f"E{worker}.{number}")

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(60)
    found = script.names()
    assert sorted(found) == sorted(f"E{worker}.{number}" for worker in range(8) for number in range(100))
    for worker in range(8):
        own = [name for name in found if name.startswith(f"E{worker}.")]
        assert own == [f"E{worker}.{number}" for number in range(100)]


def test_threads_of_one_visitor_keep_its_state_whole() -> None:
    with scripted() as script, Client(script.url, "t", sending=QUICK) as client:
        threads = [
            threading.Thread(target=lambda: [client.people.increment("n") for _ in range(200)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.identify("ana")
        assert client.flush(60)
        [update] = [item for item in script.taken if "$add" in item]
        assert update["$add"] == {"n": 1600}


def test_the_thread_ends_when_there_is_nothing_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    from idmerge.client import outbox

    monkeypatch.setattr(outbox, "_IDLE", 0.1)
    others = {*threading.enumerate()}
    with scripted() as script, Client(script.url, "t", sending=Sending(interval=0)) as client:
        for number in range(3):
            client.track(f"E{number}")
            assert client.flush(60)
            deadline = time.monotonic() + 60
            while any(thread.name == "idmerge client" for thread in {*threading.enumerate()} - others):
                assert time.monotonic() < deadline
                time.sleep(0.02)
    assert script.names() == names(3)


def test_the_asynchronous_client_never_holds_the_loop() -> None:
    async def visit(url: str) -> tuple[list[bool], float]:
        ticks = [time.monotonic()]

        async def tick() -> None:
            while True:
                await asyncio.sleep(0.01)
                ticks.append(time.monotonic())

        ticking = asyncio.create_task(tick())
        async with AsyncClient(url, "t", sending=QUICK) as client:
            for number in range(5):
                client.track(f"E{number}")
            answers = [await client.flush(0.1), await client.flush(60)]
        ticking.cancel()
        longest = max(after - before for before, after in pairwise(ticks))
        return answers, longest

    with scripted() as script:
        script.answer = lambda _: time.sleep(3) or OK
        answers, longest = asyncio.run(visit(script.url))
    assert answers == [False, True]
    assert longest < 2.5, "the loop waited for an answer"
    assert script.names() == names(5)


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_what_waits_at_the_end_of_the_process_is_sent() -> None:
    code = """
import sys
from idmerge.client import Client, Sending
client = Client(sys.argv[1], "t", sending=Sending(interval=60, at_exit=60))
for number in range(70):
    client.track(f"E{number}")
"""
    with scripted() as script:
        done = run(code, script.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert script.names() == names(70)


def test_the_end_of_the_process_does_not_wait_for_long_and_says_what_is_lost() -> None:
    code = """
import sys
from idmerge.client import Client, Sending
client = Client(sys.argv[1], "t0ken", sending=Sending(at_exit=0.5))
client.track("E0")
"""
    began = time.monotonic()
    done = run(code, NOWHERE)
    assert time.monotonic() - began < 40
    assert done.returncode == 0
    assert "1 events or updates are lost" in done.stderr
    assert "t0ken" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_of_a_fork_sends_its_own_events_and_the_parent_the_others() -> None:
    code = """
import os, sys, threading, time
from idmerge.client import Client, Sending
client = Client(sys.argv[1], "t", sending=Sending(interval=0.2))
client.track("before")
client.flush(60)
stop = threading.Event()
def work():
    number = 0
    while not stop.is_set():
        client.track(f"parent{number}")
        number += 1
        time.sleep(0.0005)
    print(number)
worker = threading.Thread(target=work)
worker.start()
children = []
for child in range(5):
    time.sleep(0.02)
    pid = os.fork()
    if pid == 0:
        for number in range(20):
            client.track(f"child{child}.{number}")
        assert client.flush(60)
        os._exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
worker.join()
assert client.flush(60)
"""
    with scripted() as script:
        done = run(code, script.url)
        assert (done.returncode, done.stderr) == (0, "")
        found = script.names()
    wanted = ["before", *(f"parent{number}" for number in range(int(done.stdout)))]
    wanted += [f"child{child}.{number}" for child in range(5) for number in range(20)]
    assert sorted(found) == sorted(wanted)


def test_the_standard_library_is_all_that_is_loaded() -> None:
    code = """
import sys
before = {*sys.modules}
import idmerge.client, idmerge.client.asgi, idmerge.client.wsgi
with idmerge.client.Client(sys.argv[1], "t") as client:
    client.track("E0")
    client.people.set("plan", "free")
    client.identify("ana")
    assert client.flush(60)
roots = {name.partition(".")[0] for name in {*sys.modules} - before}
print(sorted(roots - sys.stdlib_module_names - {"idmerge"}), "idmerge._core" in sys.modules)
"""
    with scripted() as script:
        done = run(code, script.url)
        assert (done.stdout, done.stderr) == ("[] False\n", "")


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"batch_size": 2001}, {"max_items": 0}, {"timeout": 0}, {"interval": -1}],
)
def test_settings_out_of_their_range_are_refused(wrong: dict[str, Any]) -> None:
    [name] = wrong
    with pytest.raises(ValueError, match=name):
        Sending(**wrong)
