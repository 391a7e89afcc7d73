"""Servers that answer anything: no answer ends delivery, holds it for ever, or writes into the log."""

from __future__ import annotations

import base64
import logging
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge.client import Client, Loss, Sending, delivery
from scripted_server import OK, Said, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_LONGEST_PAUSE", 0.05)


@contextmanager
def answering(answer: Callable[[socket.socket, int], object]) -> Iterator[str]:
    """Run a server that has each connection's first request answered by bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            number = 0
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection, number), daemon=True).start()
                number += 1

        def one(connection: socket.socket, number: int) -> None:
            with connection, suppress(OSError):
                connection.recv(65536)
                answer(connection, number)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


DRIPS = {
    "a header": lambda: b"H",
    "further answers": lambda: b"HTTP/1.1 100 Continue\r\n\r\n",
    "a body": lambda: b"1",
}


@pytest.mark.parametrize("what", DRIPS)
def test_an_answer_that_never_ends_is_given_up_when_its_time_is_over(what: str) -> None:
    def answer(connection: socket.socket, number: int) -> None:
        if number:
            connection.sendall(WHOLE)
            return
        if what == "a body":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while True:
            connection.sendall(DRIPS[what]())
            time.sleep(0.05)

    with answering(answer) as url:
        client = Client(url, "t", sending=Sending(interval=0, timeout=0.5))
        client.track("E0")
        assert client.flush(20)
        assert client.close()


def test_an_answer_without_a_length_is_read_to_its_end() -> None:
    losses: list[Loss] = []
    body = b'HTTP/1.1 400 No\r\nConnection: close\r\n\r\n{"error":"the whole of it"}'
    with answering(lambda connection, _: connection.sendall(body)) as url:
        client = Client(url, "t0ken", sending=Sending(interval=0, on_loss=losses.append))
        client.track("E0")
        assert not client.close(20)
    assert [loss.reason for loss in losses] == ["the server answered 400: the whole of it"]


@pytest.mark.parametrize(
    "text",
    [
        "\xb2",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
        "-1",
    ],
)
def test_a_time_to_wait_of_any_text_loses_nothing(text: str) -> None:
    answers = [Said(503, headers=(("Retry-After", text),))]
    with scripted(lambda _: answers.pop() if answers else OK) as script:
        client = Client(script.url, "t", sending=Sending(interval=0))
        client.track("E0")
        assert client.close(20)
        assert script.names() == ["E0"]


@given(
    st.text(max_size=40)
    | st.from_regex(r"Mon, \d{1,30} Jan \d{1,30} \d+:\d+:\d+ [+-]\d{1,30}", fullmatch=True)
)
def test_any_time_to_wait_is_a_number_or_none(text: str) -> None:
    seconds = delivery._seconds(text)
    assert seconds is None or seconds >= 0


def test_what_a_server_says_begins_no_line_of_the_log_and_has_no_credentials(
    caplog: pytest.LogCaptureFixture,
) -> None:
    basic = base64.b64encode(b"me:s3cret").decode()
    said = Said(400, b'{"error":"no\\nCRITICAL root \\u001b[2J of Basic %s"}' % basic.encode())
    with caplog.at_level(logging.DEBUG), scripted(lambda _: said) as script:
        client = Client(script.url, "t0ken", source="import", credentials=("me", "s3cret"))
        client.track("E0")
        assert not client.close(20)
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert message.isprintable()
    assert basic not in message


@pytest.mark.parametrize(
    "address",
    ["http://h/a b", "http://h/é", "http://a..b", f"http://{'x' * 70}.com", "http://h\x00x", "http://h h"],
)
def test_an_address_to_which_nothing_can_be_sent_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="the address must be that of a server"):
        Client(address, "t")
