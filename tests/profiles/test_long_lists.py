"""Long lists in profiles: the same as short ones, and no dearer to update (SPEC 10)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Profiles, Resolver
from idmerge.profiles import indexedlist, updates
from idmerge.profiles.indexedlist import IndexedList, likeness

_scalars = st.sampled_from(
    [0, 1, -0.0, 1.0, True, False, None, "1", "a", "", "\ud83d\ude00", "😀", 2**60, 2.0**60]
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=4,
)
_changes = st.lists(
    st.one_of(
        st.tuples(st.just("$append"), _values),
        st.tuples(st.just("$union"), st.lists(_values, max_size=3)),
        st.tuples(st.just("$remove"), _values),
    ),
    max_size=40,
)


def equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, by comparing them part by part."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return bool(one == other)


def changed(values: list[Any], change: tuple[str, Any]) -> list[Any]:
    """A list after a change, by comparing every value."""
    name, operand = change
    if name == "$append":
        return [*values, operand]
    if name == "$remove":
        return [value for value in values if not equal(value, operand)]
    for value in operand:
        if not any(equal(value, held) for held in values):
            values = [*values, value]
    return values


@given(st.lists(_values, max_size=20), _changes)
def test_a_list_of_any_length_is_changed_as_by_comparing_every_value(
    values: list[Any], changes: list[tuple[str, Any]]
) -> None:
    profiles = Profiles(Resolver())
    profiles.update({"$distinct_id": "u", "$set": {"list": values}})
    for change in changes:
        values = changed(values, change)
        profiles.update({"$distinct_id": "u", change[0]: {"list": change[1]}})
        assert repr(profiles.get("u")) == repr({"list": values})
        assert profiles.update({"$distinct_id": "u", "$add": {"list": 1}}).name == "MISMATCHED"


@given(_values, _values)
def test_values_are_alike_exactly_when_they_are_equal(one: Any, other: Any) -> None:
    assert (likeness(one) == likeness(other)) == equal(one, other)


def test_nobody_can_choose_numbers_whose_likenesses_have_one_hash() -> None:
    numbers = [number * (2**61 - 1) for number in range(100)]
    assert len(set(map(hash, numbers))) == 1
    assert len({hash(likeness(number)) for number in numbers}) > 90


@pytest.mark.parametrize(
    "value", [lambda n: n, lambda n: f"{n}", lambda n: {"n": [n]}, lambda n: n * (2**61 - 1)]
)
@pytest.mark.parametrize("operation", ["$union", "$append", "$remove"])
def test_an_update_of_a_list_costs_the_update_and_not_the_list(
    value: Any, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0

    def counting(given: Any) -> Any:
        nonlocal looked_at
        looked_at += 1
        return likeness(given)

    monkeypatch.setattr(indexedlist, "likeness", counting)
    monkeypatch.setattr(updates, "likeness", counting)
    profiles = Profiles(Resolver())
    count = 2000
    for number in range(count):
        profiles.update({"$distinct_id": "u", "$union": {"list": [value(number)]}})
    for number in range(count):
        operand = [value(number)] if operation == "$union" else value(number)
        profiles.update({"$distinct_id": "u", operation: {"list": operand}})
    expected = {"$union": count, "$append": 2 * count, "$remove": 0}[operation]
    assert len((profiles.get("u") or {})["list"]) == expected
    assert looked_at < 4 * count


def test_a_list_that_was_emptied_costs_no_more_than_an_empty_one() -> None:
    held = IndexedList(range(1000))
    for number in range(995):
        held.remove(number)
    assert list(held) == [995, 996, 997, 998, 999]
    assert len(held) == 5
    assert max(held._values.__sizeof__(), held._places.__sizeof__()) < 20_000
