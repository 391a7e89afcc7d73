"""Updates that wait for `identify`: in a state of any content, and so many at most."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Resolver
from idmerge.client import Client, pending
from idmerge.client.pending import QUEUES

names = st.sampled_from(["plan", "tags"])
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names
stored = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2),
    max_leaves=5,
)
states = st.dictionaries(st.sampled_from([*QUEUES.values(), "distinct_id", "$device_id"]), stored) | stored
CALLS: dict[str, Any] = {
    "set": lambda people: people.set("plan", "free"),
    "set_once": lambda people: people.set_once("plan", "free"),
    "increment": lambda people: people.increment({"plan": 1.5, "tags": 10**400}),
    "append": lambda people: people.append("tags", "new"),
    "union": lambda people: people.union("tags", ["new", 1]),
    "remove": lambda people: people.remove("tags", "new"),
    "unset": lambda people: people.unset(["plan", "tags"]),
}


@given(state=states, calls=st.lists(st.sampled_from([*CALLS]), max_size=6))
def test_no_content_of_a_state_breaks_a_call_or_what_is_sent(state: Any, calls: list[str]) -> None:
    sent: list[Any] = []
    client = Client(Resolver(), "t", state={"mp_t_mixpanel": state}, sink=lambda *item: sent.append(item))
    for call in calls:
        assert CALLS[call](client.people)
    client.identify("ana")
    for _, item in sent:
        json.dumps(item, allow_nan=False)


def test_a_sum_beyond_all_numbers_is_none_as_in_javascript() -> None:
    sent: list[Any] = []
    client = Client(Resolver(), "t", sink=lambda _, item: sent.append(item))
    for _ in range(3):
        client.people.increment("credits", 1e308)
    assert client.identify("ana")
    assert sent[0]["$add"] == {"credits": None}


@pytest.mark.parametrize("call", ["set", "set_once", "increment", "append", "union", "remove", "unset"])
def test_a_visitor_who_is_never_identified_does_not_fill_the_state(
    call: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MAX_WAITING", 60)
    state: dict[str, Any] = {}
    people = Client(Resolver(), "t", state=state).people
    taken = 0
    for number in range(100):
        name = f"p{number}"
        made = {
            "unset": [[name]],
            "union": ["tags", [name]],
            "append": ["tags", name],
            "remove": ["tags", name],
        }
        taken += getattr(people, call)(*made.get(call, [name, number]))
    assert 59 <= taken <= 60
    assert len(json.dumps(state)) < 4000
    assert "wait for an identify" in caplog.text
