"""An `$identify` that cannot be sent: a full queue, a sink that fails, a state that cannot be written."""

from __future__ import annotations

from typing import Any

import pytest

from idmerge import Resolver
from idmerge.client import Client, Sending
from scripted_server import scripted


def test_an_identify_for_which_there_was_no_room_is_sent_by_the_next_one() -> None:
    with scripted() as script:
        client = Client(script.url, "t", sending=Sending(max_items=1, interval=60))
        assert client.track("E0")
        assert not client.identify("ana")
        assert client.distinct_id == f"$device:{client.device_id}"
        assert client.user_id is None
        assert client.flush(60) is False
        assert client.identify("ana")
        assert client.user_id == "ana"
        assert client.close(60)
        assert script.names() == ["E0", "$identify"]


def test_a_sink_that_fails_leaves_the_identify_to_the_next_call() -> None:
    sent: list[dict[str, Any]] = []
    fails = True

    def sink(_: str, item: dict[str, Any]) -> None:
        if fails:
            raise OSError("no space is left")
        sent.append(item)

    client = Client(Resolver(), "t", sink=sink)
    with pytest.raises(OSError, match="no space"):
        client.identify("ana")
    fails = False
    assert client.identify("ana")
    assert [item["event"] for item in sent] == ["$identify"]


class Full(dict[str, Any]):
    """A state that cannot be written at times."""

    is_full = False

    def __setitem__(self, name: str, stored: Any) -> None:
        if self.is_full:
            raise OSError("no space is left")
        super().__setitem__(name, stored)


def test_a_state_that_cannot_be_written_identifies_nobody() -> None:
    state, sent = Full(), list[Any]()
    client = Client(Resolver(), "t", state=state, sink=lambda route, item: sent.append((route, item)))
    client.people.set("plan", "free")
    state.is_full = True
    with pytest.raises(OSError, match="no space"):
        client.identify("ana")
    state.is_full = False
    client.people.set("plan", "pro")
    assert sent == [], "updates still wait"
    assert client.identify("ana")
    assert [item["$set"] for route, item in sent if route == "engage"] == [{"plan": "pro"}]
