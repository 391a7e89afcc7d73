"""A copy of a server's directory as of one moment is a backup, whatever the server does then."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from idmerge import DurableResolver, Resolver
from live_server import PATIENCE, Served, serving

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the server is held by Linux")


def load(server: Served, acknowledged: list[int], is_over: threading.Event) -> None:
    """Send links, one after the other, and note which were acknowledged."""
    number = 0
    with suppress(OSError, HTTPException):
        while not is_over.is_set():
            properties = {"token": server.token, "distinct_id": f"user {number % 7}", "alias": f"a {number}"}
            event = {"event": "$create_alias", "properties": {**properties, "$insert_id": f"i-{number}"}}
            body = json.dumps([event]).encode()
            with urlopen(Request(f"{server.url}/track", body), timeout=PATIENCE) as answer:  # noqa: S310
                assert answer.read() == b"1"
            acknowledged.append(number)
            number += 1


def hold(server: Served) -> None:
    """Stop the process where it is; what it writes afterwards is not there yet."""
    os.kill(server.process.pid, signal.SIGSTOP)
    threads = Path(f"/proc/{server.process.pid}/task")
    deadline = time.monotonic() + PATIENCE
    while any((task / "stat").read_text().rpartition(")")[2].split()[0] != "T" for task in threads.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_was_acknowledged_before_the_moment_is_in_the_copy(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    is_over = threading.Event()
    with serving(tmp_path / "served") as server:
        sender = threading.Thread(target=load, args=(server, acknowledged, is_over))
        sender.start()
        while len(acknowledged) < 300:
            assert sender.is_alive()
            time.sleep(0.01)
        hold(server)
        before = len(acknowledged)
        shutil.copytree(tmp_path / "served", tmp_path / "copy")
        os.kill(server.process.pid, signal.SIGCONT)
        is_over.set()
        sender.join(PATIENCE)
    with serving(tmp_path / "copy") as restored:
        events = restored.events()
    times = Counter(event["properties"]["$insert_id"] for event in events)
    assert {f"i-{number}" for number in range(before)} <= times.keys()
    assert set(times.values()) == {1}
    twin = Resolver()
    for number in range(len(events)):
        twin.alias(f"a {number}", f"user {number % 7}")
    with DurableResolver.open(tmp_path / "copy" / "ids.idmerge", read_only=True) as resolver:
        assert resolver.mapping().to_pydict() == twin.mapping().to_pydict()
