"""Events as objects of Python: `apply_events` is held to the plain parse of each of them.

The core reads exact dicts of plain values itself and leaves every other event to
`idmerge.events`; the reference parses all of them in Python.
"""

from __future__ import annotations

import json
from collections import OrderedDict, UserDict, UserString, defaultdict
from decimal import Decimal
from fractions import Fraction
from threading import Event, Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import Outcome, Policy, Resolver, _core, _steps, reference
from idmerge.errors import CapacityError
from resolver_state import state
from strategies import BLOCKED, D1, D2, INVALID, policies
from strategies import events as plain_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from idmerge.events import Source
    from idmerge.policy import Api


class OtherDict(dict[str, Any]):
    """A dict that shows other values than it holds."""

    def get(self, key: str, default: Any = None) -> Any:
        return "$merge" if key == "event" else super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        return "U3" if key == "distinct_id" else super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return key != "$anon_id" and super().__contains__(key)


class OtherText(str):
    """A text that is equal to none, and shows another one."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 7

    def __str__(self) -> str:
        return "U2"


class OtherNumber(int):
    """An integer that shows another one."""

    def __repr__(self) -> str:
        return "U2"

    __str__ = __repr__


class Unshown:
    """An object without a `repr`."""

    def __repr__(self) -> str:
        raise ValueError("nothing to be shown")


class Key(str):
    """A key that is found like the text that it holds."""

    __slots__ = ()


class EqualKey:
    """A key of another type that is equal to a text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return other == self.text


TEXTS = [D1, D2, f"$device:{D1}", "U1", "U2", "é", "\ud800", "", "1", "7" * 600, "x" * 70_000]
NUMBERS = [0, 1, -7, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**40, 10**5000]
FLOATS = [1.0, -0.0, 1.5, 2.0**53, 2.0**53 + 2, 1e300, float("nan"), float("inf"), float("-inf")]
OBJECTS = [
    None,
    True,
    False,
    b"U1",
    b"\xff",
    bytearray(b"U2"),
    UUID(D1),
    Decimal(1),
    Decimal("1.0"),
    Decimal("1E+2"),
    Decimal("NaN"),
    Fraction(1),
    1j,
    np.int64(1),
    np.uint8(1),
    np.float32(1),
    np.float64(1.5),
    np.str_("U1"),
    np.bytes_(b"U1"),
    np.bool_(True),  # noqa: FBT003 - numpy takes no keyword
    np.datetime64("2024-01-01"),
    pd.NA,
    pd.NaT,
    OtherText("U1"),
    OtherNumber(1),
    UserString("U1"),
    Unshown(),
    object(),
    {},
    {"a": "b"},
    [],
    ["U1"],
    ("U1",),
]
usual = st.sampled_from([D1, D2, f"$device:{D1}", "U1", "U2", 1])
ALL = [*TEXTS, *BLOCKED, *INVALID, *NUMBERS, *FLOATS, *OBJECTS]
anything = st.sampled_from(ALL)
values = usual | usual | anything
of_two = st.tuples(values, values)
pairs = of_two.map(list) | of_two | st.lists(values, max_size=3) | anything
PROPERTIES = [
    "distinct_id",
    "alias",
    "$anon_id",
    "$anon_distinct_id",
    "$identified_id",
    "$distinct_id_before_identity",
    "$failure_reason",
    "$identity_failure_reason",
    "mp_original_event_name",
    "mp_original_distinct_id",
]
NAMES = ["$identify", "$create_alias", "$merge", "$hotshard_events"]
names = (
    st.sampled_from([*NAMES, *NAMES, "Page View", *map(OtherText, NAMES), *map(np.str_, NAMES)]) | anything
)


def _of_class(plain: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A mapping of some class with these values, an exact dict first."""
    return st.sampled_from(
        [
            plain,
            plain,
            plain,
            OtherDict(plain),
            OrderedDict(plain),
            defaultdict(lambda: "U1", plain),
            UserDict(plain),
            MappingProxyType(plain),
            {Key(key): value for key, value in plain.items()},
            {EqualKey(key): value for key, value in plain.items()},
        ]
    )


properties: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {}, optional={"$distinct_ids": pairs, **dict.fromkeys(PROPERTIES, values)}
).flatmap(_of_class)
mappings: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "event": names,
        "properties": properties | properties | properties | anything | st.just('{"distinct_id": "U1"}'),
        "distinct_id": anything,
    },
).flatmap(_of_class)


def _in_json(event: Any, encode: str | None) -> Any:
    text = json.dumps(event)
    return text if encode is None else text.encode(encode)


texts = st.builds(_in_json, plain_events, st.sampled_from([None, "utf-8", "utf-16", "utf-8-sig"]))
items = (
    mappings
    | mappings
    | plain_events
    | texts
    | anything
    | st.sampled_from(["{", "[]", b"{}", '{"event": 1e999}'])
)


@pytest.mark.rule("3")
@settings(max_examples=600)
@given(st.lists(items, min_size=3, max_size=20), st.sampled_from(["import", "track"]), policies)
def test_events_of_any_objects_are_answered_as_the_plain_parse_of_each_answers(
    given_events: list[Any], source: Source, policy: Policy
) -> None:
    ours, plain = Resolver(policy), reference.Resolver(policy)
    assert ours.apply_events(given_events, source) == plain.apply_events(given_events, source)
    assert state(ours) == state(plain)


def _with_each_value() -> Iterator[dict[str, Any]]:
    """Yield an event with each value in each place, beside operands that can be IDs."""
    for value in ALL:
        yield {"event": value, "properties": {"distinct_id": "U1"}}
        yield {"event": "$identify", "properties": value}
        for name in [*NAMES, "Page View"]:
            usual: dict[str, Any] = {"alias": "A", "$anon_id": D1, "distinct_id": "U1"}
            if name == "$hotshard_events":
                usual |= {"mp_original_event_name": "$create_alias", "mp_original_distinct_id": "U2"}
            usual["$distinct_ids"] = ["U2", "U3"]
            for key in PROPERTIES:
                yield {"event": name, "properties": {**usual, key: value}}
        for both in ([value, "U4"], ("U4", value), [value, value], [value], value):
            yield {"event": "$merge", "properties": {"$distinct_ids": both}}


@pytest.mark.rule("3")
@pytest.mark.parametrize("source", ["import", "track"])
def test_each_value_in_each_place_is_answered_as_the_plain_parse_answers(source: Source) -> None:
    ours, plain = Resolver(), reference.Resolver()
    stated = list(_with_each_value())
    assert ours.apply_events(stated, source) == plain.apply_events(stated, source)
    assert state(ours) == state(plain)
    for event in stated:
        assert Resolver().apply(event, source) == reference.Resolver().apply(event, source)


def test_the_core_leaves_no_event_of_plain_values_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    left = _events_left_to_python(monkeypatch)
    of_the_core: list[Any] = [
        {"event": "Page View", "properties": {"distinct_id": "U1", "$distinct_id_before_identity": "U2"}},
        {"event": "Größe", "properties": {"distinct_id": 12}},
        {"event": None, "properties": {"distinct_id": None}},
        {"properties": {"distinct_id": True, "list": [1], "object": {}}},
        {"event": "$identify", "properties": {"$anon_id": D1, "distinct_id": 2.0}},
        {
            "event": "$create_alias",
            "properties": {"alias": "A", "distinct_id": "U1", "$failure_reason": "no"},
        },
        {"event": "$merge", "properties": {"$distinct_ids": ["U1", 12]}},
        {"event": "x"},
        {},
        json.dumps({"event": "x", "properties": {"distinct_id": "U1"}}),
        json.dumps({"event": "$merge", "properties": {"$distinct_ids": ["U1", "U2"]}}).encode(),
    ]
    resolver = Resolver()
    assert len(resolver.apply_events(of_the_core)) == 4
    assert left == []
    of_python = [OtherDict(), {"event": "x", "properties": UserDict()}, {"event": 1}, "{"]
    assert resolver.apply_events(of_python).outcomes.tolist() == [Outcome.MALFORMED] * 2
    assert left == of_python[:3], "the last one is no event"


def _events_left_to_python(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    left: list[Any] = []
    plain = _steps.step_of

    def noted(event: Mapping[str, Any], source: Source, api: Api) -> _steps.Step:
        left.append(event)
        return plain(event, source, api)

    monkeypatch.setattr(_steps, "step_of", noted)
    return left


class Unfortunate(UserDict[str, Any]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> Any:
        raise ZeroDivisionError(key)

    def __contains__(self, key: object) -> bool:
        return True


class UnequalKey(EqualKey):
    """A key that cannot be compared."""

    __hash__ = EqualKey.__hash__

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError(self.text)


def observed(distinct_id: Any) -> dict[str, Any]:
    return {"event": "x", "properties": {"distinct_id": distinct_id}}


def _after_three() -> Iterator[Any]:
    yield from map(observed, ["U1", "U2", "U3"])
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "given_events",
    [
        _after_three,
        lambda: [*map(observed, ["U1", "U2", "U3"]), Unfortunate(), observed("U4")],
        lambda: [*map(observed, ["U1", "U2", "U3"]), {UnequalKey("event"): "x"}, observed("U4")],
        lambda: [
            *map(observed, ["U1", "U2", "U3"]),
            {"event": "x", "properties": {UnequalKey("distinct_id"): 1}},
            observed("U4"),
        ],
    ],
    ids=["iterator", "mapping", "key", "property"],
)
def test_what_an_iterator_or_an_event_raises_comes_after_the_events_before_it(given_events: Any) -> None:
    for resolver in (Resolver(), reference.Resolver()):
        with pytest.raises(ZeroDivisionError) as raised:
            resolver.apply_events(given_events())
        assert raised.value.__context__ is None
        if isinstance(resolver, Resolver):
            assert resolver.mapping().to_pydict()["distinct_id"] == ["U1", "U2", "U3"]


def test_an_iterator_may_use_the_resolver_that_takes_its_events() -> None:
    resolver = Resolver()

    def stated() -> Iterator[Any]:
        for number in range(3):
            resolver.apply_events([observed(f"inner {number}")])
            yield observed(f"outer {number}")

    resolver.apply_events(stated())
    known = [f"inner {number}" for number in range(3)] + [f"outer {number}" for number in range(3)]
    assert resolver.mapping().to_pydict()["distinct_id"] == known


def test_a_full_resolver_names_the_event_and_keeps_what_an_iterator_raised() -> None:
    small = _core.Resolver.__new__(Resolver, Policy(), "stable", 0, 1, 2)
    small._policy = Policy()
    with pytest.raises(CapacityError, match="2") as raised:
        small.apply_events(_after_three())
    assert isinstance(raised.value.__context__, ZeroDivisionError)
    assert len(small) == 2


def test_no_event_is_kept_until_it_is_applied() -> None:
    alive, most = 0, 0

    class Counted:
        def __init__(self) -> None:
            nonlocal alive, most
            alive += 1
            most = max(alive, most)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    Resolver().apply_events({**observed("U1"), "large": Counted()} for _ in range(1_000))
    assert alive == 0
    assert most <= 2


def test_dicts_may_change_in_other_threads_while_they_are_read() -> None:
    event = observed("U1")
    properties, stop = event["properties"], Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            properties[f"key {number % 100}"] = number
            properties["distinct_id"] = f"U{number % 3}"
            properties.pop(f"key {(number + 50) % 100}", None)

    thread = Thread(target=change)
    thread.start()
    try:
        resolver = Resolver()
        for _ in range(20):
            resolver.apply_events([event] * 5_000)
    finally:
        stop.set()
        thread.join()
    assert set(resolver.mapping().to_pydict()["distinct_id"]) <= {"U0", "U1", "U2"}


def test_a_list_that_grows_while_it_is_read_is_read_to_its_end() -> None:
    stated: list[Any] = [observed("U0")]

    class Growing(UserDict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            if key == "event" and len(stated) < 5:
                stated.append(observed(f"U{len(stated)}"))
            return self.data.get(key, default)

    stated.append(Growing(observed("U1")))
    resolver = Resolver()
    resolver.apply_events(stated)
    assert len(resolver) == 4
