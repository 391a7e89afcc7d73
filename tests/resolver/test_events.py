"""The links that events state: each row of SPEC 3."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Kind, Link, Outcome, Resolver, parse, reference
from idmerge._steps import OBSERVE
from idmerge.errors import MalformedEventError
from parameter_names import stable
from resolver_state import state
from strategies import D1, D2, events


def event(name: Any, **properties: Any) -> dict[str, Any]:
    return {
        "event": name,
        "properties": {key.replace("__", "$", 1): value for key, value in properties.items()},
    }


@pytest.mark.rule("3.identify", "3.create_alias", "3.merge")
@pytest.mark.parametrize(
    ("stated", "link"),
    [
        (event("$identify", __anon_id=D1, __identified_id="U1"), (Kind.IDENTIFY, D1, "U1")),
        (event("$identify", __anon_distinct_id=D1, distinct_id="U1"), (Kind.IDENTIFY, D1, "U1")),
        (event("$identify", __anon_id=D1, distinct_id="U1"), (Kind.IDENTIFY, D1, "U1")),
        (
            event("$identify", __anon_id=D1, __anon_distinct_id=D2, __identified_id="U1", distinct_id="U2"),
            (Kind.IDENTIFY, D1, "U1"),
        ),
        (event("$create_alias", alias="A", distinct_id="U1"), (Kind.ALIAS, "A", "U1")),
        (
            event("$create_alias", alias="A", distinct_id="canonical", __distinct_id_before_identity="U1"),
            (Kind.ALIAS, "A", "U1"),
        ),
        (event("$merge", __distinct_ids=["A", "B"]), (Kind.MERGE, "A", "B")),
        (event("$merge", __distinct_ids=("A", "B"), distinct_id="ignored"), (Kind.MERGE, "A", "B")),
        (event("$identify", __anon_id=D1, __identified_id=12345), (Kind.IDENTIFY, D1, "12345")),
        (event("$merge", __distinct_ids=[-7, 10**40]), (Kind.MERGE, "-7", str(10**40))),
        (event("$identify", __anon_id="", __identified_id="U1"), (Kind.IDENTIFY, "", "U1")),
    ],
)
def test_an_identity_event_states_a_link(stated: dict[str, Any], link: tuple[Kind, str, str]) -> None:
    assert parse(stated) == Link(*link)
    assert parse(json.dumps(stated)) == Link(*link)
    assert parse(json.dumps(stated).encode(), source="track") == Link(*link, "track")


@pytest.mark.rule("2.1", "3")
@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (event("$identify", __identified_id="U1"), r"\$identify has no \$anon_id or \$anon_distinct_id"),
        (
            event("$identify", __anon_id=D1),
            r"has no \$identified_id, \$distinct_id_before_identity or distinct_id",
        ),
        (
            event("$identify", __anon_id=D1, __identified_id=None, distinct_id="U1"),
            r"\$identified_id .* got None",
        ),
        (event("$identify", __anon_id=D1, distinct_id=None), r"distinct_id of \$identify .* got None"),
        (
            event("$identify", __anon_id=True, __identified_id="U1"),
            r"must be a string or an integer, got True",
        ),
        (event("$identify", __anon_id=1.5, __identified_id="U1"), r"got 1\.5"),
        (event("$identify", __anon_id=["x"], __anon_distinct_id=D1, distinct_id="U1"), r"got \['x'\]"),
        (event("$create_alias", distinct_id="U1"), r"\$create_alias has no alias"),
        (event("$create_alias", alias="A"), r"has no \$distinct_id_before_identity or distinct_id"),
        (event("$merge"), r"exactly two \$distinct_ids, got None"),
        (event("$merge", __distinct_ids=["A"]), r"got \['A'\]"),
        (event("$merge", __distinct_ids=["A", "B", "C"]), r"exactly two"),
        (event("$merge", __distinct_ids="AB"), r"got 'AB'"),
        (event("$merge", __distinct_ids=["A", None]), r"\$distinct_ids of \$merge .* got None"),
        ({"event": "$identify"}, r"has no"),
        ({"event": "$identify", "properties": "text"}, r"has no"),
    ],
)
def test_an_identity_event_without_two_ids_is_malformed(stated: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedEventError, match=message):
        parse(stated)
    for resolver in (Resolver(), reference.Resolver()):
        assert resolver.apply(stated) is Outcome.MALFORMED
        assert len(resolver) == 0
        assert resolver.stats().outcomes == {Outcome.MALFORMED: 1}


@pytest.mark.rule("3")
@pytest.mark.parametrize(
    "stated",
    [
        event(
            "Sign Up", distinct_id="U1", __device_id=D1, __user_id="U9", __anon_id=D2, __identified_id="U8"
        ),
        event("$Identify", __anon_id=D1, __identified_id="U2", distinct_id="U1"),
        event(None, distinct_id="U1"),
        event(["$identify"], distinct_id="U1"),
        {"properties": {"distinct_id": "U1"}},
    ],
)
def test_an_ordinary_event_links_nothing_and_makes_its_distinct_id_known(stated: dict[str, Any]) -> None:
    assert parse(stated) is None
    for resolver in (Resolver(), reference.Resolver()):
        assert resolver.apply(stated) is None
        assert (len(resolver), "U1" in resolver) == (1, True)


@pytest.mark.rule("3")
@pytest.mark.parametrize("distinct_id", ["", "null", None, 1.5, ["U1"], True, "x" * 256])
def test_an_event_of_nobody_makes_nothing_known(distinct_id: Any) -> None:
    resolver = Resolver()
    assert resolver.apply(event("Page View", distinct_id=distinct_id)) is None
    assert resolver.apply({"event": "Page View"}) is None
    assert len(resolver) == 0


@pytest.mark.rule("3")
def test_an_integer_distinct_id_is_its_decimal_text() -> None:
    resolver = Resolver()
    resolver.apply(b'{"event": "Page View", "properties": {"distinct_id": 12345}}')
    assert "12345" in resolver


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the event is no JSON"),
        ("{", "the event is no JSON"),
        (b'{"event": "\xff"}', "the event is no JSON"),
        ("[" * 100_000, "the event is no JSON"),
        ("[]", "the event must be a JSON object, got list"),
        ('"text"', "got str"),
    ],
    ids=["empty", "cut off", "no UTF-8", "too deep", "an array", "a string"],
)
def test_text_that_is_no_json_object_raises(text: str | bytes, message: str) -> None:
    for call in (parse, Resolver().apply, reference.Resolver().apply):
        with pytest.raises(MalformedEventError, match=message):
            call(text)


NO_EVENTS: list[Any] = [
    "", "{", "[]", '"text"', "5", "null", b'{"event": "\xff"}', b"\xff\xfe{", "[" * 100_000,
    5, None, 1.5, ["$merge"], ("event", "$merge"), object(), memoryview(b"{}"),
]  # fmt: skip
"""Items that are no JSON object, of a wrong type, or text that cannot be decoded."""


@pytest.mark.parametrize("item", NO_EVENTS)
def test_an_item_that_is_no_event_is_malformed_at_its_index_and_the_batch_goes_on(item: Any) -> None:
    stated = [
        event("Page View", distinct_id="C"),
        event("$merge", __distinct_ids=["A", "B"]),
        item,
        event("$merge", __distinct_ids=["B", "C"]),
        item,
    ]
    for resolver in (Resolver(), reference.Resolver()):
        report = resolver.apply_events(stated)
        assert report.rows.tolist() == [1, 2, 3, 4]
        assert [Outcome(code).name for code in report.outcomes] == [
            "MERGED", "MALFORMED", "MERGED", "MALFORMED"
        ]  # fmt: skip
        assert resolver.members("A") == ["C", "A", "B"]
        assert resolver.stats().outcomes == {Outcome.MERGED: 2, Outcome.MALFORMED: 2}


@given(st.lists(st.one_of(events, st.sampled_from(NO_EVENTS), st.binary(max_size=20)), max_size=12))
def test_a_batch_with_items_that_are_no_events_is_answered_as_by_the_reference(stated: list[Any]) -> None:
    ours, theirs = Resolver(), reference.Resolver()
    assert ours.apply_events(stated) == theirs.apply_events(stated)
    assert state(ours) == state(theirs)


@pytest.mark.parametrize(
    "given",
    [
        event("$merge", __distinct_ids=["A", "B"]),
        '{"event": "$merge"}',
        b'{"event": "$merge"}',
        bytearray(b"{"),
    ],
    ids=["mapping", "text", "bytes", "bytearray"],
)
def test_one_event_in_place_of_many_is_a_wrong_call(given: Any) -> None:
    for resolver in (Resolver(), reference.Resolver()):
        with pytest.raises(TypeError, match=r"^events must be an iterable of events, got one .*: use apply"):
            resolver.apply_events(given)
        with pytest.raises(TypeError, match=r"^events must be .*, got a DataFrame: use stitch for a table"):
            resolver.apply_events(pd.DataFrame({"event": ["$merge"]}))
        assert resolver.stats().outcomes == {}


@pytest.mark.rule("3.merge")
def test_a_merge_from_the_track_route_is_not_allowed() -> None:
    for resolver in (Resolver(), reference.Resolver()):
        stated = event("$merge", __distinct_ids=["A", "B"])
        assert resolver.apply(stated, source="track") is Outcome.MERGE_NOT_ALLOWED
        assert resolver.apply(stated) is Outcome.MERGED


def test_a_source_that_is_no_route_is_refused() -> None:
    for call in (parse, Resolver().apply, reference.Resolver().apply):
        with pytest.raises(ValueError, match="source must be 'import' or 'track', got 'export'"):
            call(event("x"), "export")  # type: ignore[operator]


def test_a_report_on_events_says_which_event_each_outcome_answers() -> None:
    stated = [
        event("Page View", distinct_id=D1),
        event("$identify", __anon_id=D1, __identified_id="U1"),
        event("Page View", distinct_id="U1"),
        event("$identify"),
        event("$merge", __distinct_ids=["U1", D1]),
    ]
    for resolver in (Resolver(), reference.Resolver()):
        report = resolver.apply_events(iter(stated))
        assert report.rows.tolist() == [1, 3, 4]
        assert report.outcomes.tolist() == [Outcome.MERGED, Outcome.MALFORMED, Outcome.UNCHANGED]
        assert resolver.members(D1) == [D1, "U1"]


def test_more_events_than_are_applied_at_once_keep_their_positions() -> None:
    stated = [
        event("$merge", __distinct_ids=[f"A{n}", f"B{n}"]) if n % 7 == 0 else event("x")
        for n in range(70_000)
    ]
    report = Resolver().apply_events(stated)
    assert report.rows.tolist() == list(range(0, 70_000, 7))
    assert report.merged == 10_000


def test_the_core_takes_an_observation_by_its_code_in_python_and_no_code_that_no_step_has() -> None:
    resolver = Resolver()
    assert resolver._take_steps(bytes([OBSERVE]), ["U1"], [None], 0).size == 0
    assert "U1" in resolver
    with pytest.raises(ValueError, match=f"no step has the code {OBSERVE + 1}"):
        resolver._take_steps(bytes([OBSERVE + 1]), ["U2"], [None], 0)


@pytest.mark.rule("3")
@pytest.mark.parametrize("missing", [None, "", float("nan"), pd.NA, pd.NaT], ids=stable)
def test_a_missing_reason_for_refusing_is_none(missing: Any) -> None:
    stated = event("$identify", __anon_id=D1, __identified_id="U1", __failure_reason=missing)
    assert parse(stated) == Link(Kind.IDENTIFY, D1, "U1")
    for resolver in (Resolver(), reference.Resolver()):
        assert resolver.apply_events([stated]).outcomes.tolist() == [Outcome.MERGED]


@pytest.mark.parametrize("name", [pd.NA, pd.NaT, np.array(["$merge", "x"]), float("nan")], ids=stable)
def test_a_name_that_cannot_be_compared_is_that_of_an_ordinary_event(name: Any) -> None:
    for resolver in (Resolver(), reference.Resolver()):
        assert len(resolver.apply_events([event(name, distinct_id="U1")])) == 0
        assert "U1" in resolver
