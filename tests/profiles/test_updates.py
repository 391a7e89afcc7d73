"""Updates of profiles: what each operation does at its edges, and what is no update (SPEC 10)."""

from __future__ import annotations

from typing import Any

import pytest

from idmerge import Profiles, Resolver, UpdateOutcome
from idmerge.errors import IdmergeError, MalformedUpdateError
from parameter_names import stable
from profiles_by_hand import OPERATIONS, deep


def made(profile: dict[str, Any] | None, operation: str, value: Any) -> tuple[Any, str]:
    """The profile after an operation, and the outcome."""
    profiles = Profiles(Resolver())
    if profile is not None:
        profiles.update({"$distinct_id": "u", "$set": profile})
    outcome = profiles.update({"$distinct_id": "u", operation: value})
    return profiles.get("u"), outcome.name


@pytest.mark.rule(
    "10.set", "10.set_once", "10.add", "10.append", "10.union", "10.remove", "10.unset", "10.delete"
)
@pytest.mark.parametrize(
    ("before", "operation", "value", "after"),
    [
        ({"a": 1}, "$set", {"a": "x", "b": None}, {"a": "x", "b": None}),
        (None, "$set", {}, {}),
        ({"a": 1}, "$set_once", {"a": 2, "b": 2}, {"a": 1, "b": 2}),
        ({"a": None}, "$set_once", {"a": 2}, {"a": None}),
        (None, "$add", {"a": 2, "b": -0.5}, {"a": 2, "b": -0.5}),
        ({"a": 1}, "$add", {"a": 2}, {"a": 3}),
        ({"a": 2**60}, "$add", {"a": 2**60}, {"a": 2**61}),
        (None, "$append", {"a": "x"}, {"a": ["x"]}),
        ({"a": ["x"]}, "$append", {"a": ["x"]}, {"a": ["x", ["x"]]}),
        (None, "$union", {"a": ["x", "x", 1, 1.0, True]}, {"a": ["x", 1, True]}),
        ({"a": ["x", "x"]}, "$union", {"a": ["y", "x", "y"]}, {"a": ["x", "x", "y"]}),
        ({"a": [{"b": [1], "c": 2}]}, "$union", {"a": [{"c": 2, "b": [1.0]}]}, {"a": [{"b": [1], "c": 2}]}),
        (None, "$union", {"a": []}, {"a": []}),
        ({"a": [1, "x", 1.0, True]}, "$remove", {"a": 1}, {"a": ["x", True]}),
        ({"a": [1]}, "$remove", {"a": 2, "b": 3}, {"a": [1]}),
        ({"a": ["x"]}, "$remove", {"a": "x"}, {"a": []}),
        (None, "$remove", {"a": "x"}, None),
        ({"a": 1, "b": 2}, "$unset", ["a", "c"], {"b": 2}),
        ({"a": 1}, "$unset", ["a"], {}),
        (None, "$unset", ["a"], None),
        ({"a": 1}, "$delete", "", None),
        ({"a": 1}, "$delete", {"any": "value"}, None),
        (None, "$delete", None, None),
    ],
)
def test_an_operation_does_what_is_documented(before: Any, operation: str, value: Any, after: Any) -> None:
    shown, outcome = made(before, operation, value)
    assert (repr(shown), outcome) == (repr(after), "APPLIED")


@pytest.mark.rule("10")
@pytest.mark.parametrize("stays", ["x", True, None, {"b": 1}, 1e308])
@pytest.mark.parametrize(
    ("operation", "value", "before", "after"),
    [
        ("$add", 1e308, 0, 1e308),
        ("$append", 1, [], [1]),
        ("$union", [1], [2], [2, 1]),
        ("$remove", 1, [1, 2], [2]),
    ],
)
def test_a_value_of_another_type_is_not_lost_and_the_rest_is_applied(
    stays: Any, operation: str, value: Any, before: Any, after: Any
) -> None:
    shown = made({"a": stays, "n": before}, operation, {"a": value, "n": value})
    assert repr(shown) == repr(({"a": stays, "n": after}, "MISMATCHED"))


def test_a_list_is_no_number_and_a_sum_beyond_every_double_is_not_made() -> None:
    assert made({"a": [1]}, "$add", {"a": 1}) == ({"a": [1]}, "MISMATCHED")
    assert made({"a": 2**1023}, "$add", {"a": 2**1022}) == ({"a": 2**1023 + 2**1022}, "APPLIED")
    assert made({"a": 2**1023}, "$add", {"a": 2**1023}) == ({"a": 2**1023}, "MISMATCHED")


@pytest.mark.rule("10.operations")
def test_the_operations_of_one_update_have_an_order_that_is_not_theirs() -> None:
    profiles = Profiles(Resolver())
    both = [
        '{"$add": {"n": 1}, "$set": {"n": 5}, "$distinct_id": "u"}',
        '{"$delete": 0, "$set": {}, "$distinct_id": "v"}',
    ]
    assert [profiles.update(update) for update in both] == [UpdateOutcome.APPLIED] * 2
    assert (profiles.get("u"), profiles.get("v")) == ({"n": 6}, None)


@pytest.mark.rule("10")
def test_what_is_no_operation_is_passed_over() -> None:
    profiles = Profiles(Resolver())
    update = {"$token": 1, "$time": 0, "$ip": "0", "$ignore_time": True, "mp_lib": "web", "$device_id": "d"}
    profiles.update({**update, "$distinct_id": 17, "$set": {"$email": "a@b"}})
    assert profiles.get("17") == {"$email": "a@b"}


# What is no update


@pytest.mark.rule("10")
@pytest.mark.parametrize(
    ("update", "message"),
    [
        ("{", "the update is no JSON"),
        ("[]", "the update must be a JSON object, got list"),
        ("[" * 100_000, "the update is no JSON"),
        ({"$set": {}}, "$distinct_id must be a string or an integer, got None"),
        ({"$distinct_id": None, "$set": {}}, "got None"),
        ({"$distinct_id": True, "$set": {}}, "got True"),
        ({"$distinct_id": "u"}, "the update has no operation; expected one of $set, "),
        ({"$distinct_id": "u", "$setOnce": {"a": 1}}, "the update has no operation"),
        ({"$distinct_id": "u", "$set": []}, "$set must be an object of properties, got []"),
        ({"$distinct_id": "u", "$set": None}, "$set must be an object of properties, got None"),
        ({"$distinct_id": "u", "$set": {1: 2}}, "a property must be a JSON value, got {1: 2}"),
        ({"$distinct_id": "u", "$set": {"a": {1}}}, "a property must be a JSON value, got {1}"),
        ({"$distinct_id": "u", "$set": {"a": float("nan")}}, "a number must be finite"),
        ('{"$distinct_id": "u", "$set": {"a": 1e999}}', "a number must be finite"),
        ({"$distinct_id": "u", "$set": {"a": 2**1024}}, "a number must be finite"),
        ({"$distinct_id": "u", "$set": {"a": [deep]}}, "nested no more than 100 deep"),
        ({"$distinct_id": "u", "$append": {"a": deep}}, "nested no more than 100 deep"),
        ({"$distinct_id": "u", "$add": {"n": "1"}}, "$add of 'n' must be a number, got '1'"),
        ({"$distinct_id": "u", "$add": {"n": True}}, "$add of 'n' must be a number, got True"),
        ({"$distinct_id": "u", "$union": {"n": "x"}}, "$union of 'n' must be a list, got 'x'"),
        ({"$distinct_id": "u", "$unset": "n"}, "$unset must be a list of property names, got 'n'"),
        ({"$distinct_id": "u", "$unset": [1]}, "$unset must be a list of property names, got [1]"),
    ],
    ids=stable,
)
def test_a_malformed_update_says_what_is_wrong_and_changes_nothing(update: Any, message: str) -> None:
    profiles = Profiles(Resolver())
    profiles.update({"$distinct_id": "u", "$set": {"a": 0}})
    others = isinstance(update, dict) and set(update) & set(OPERATIONS) - {"$set"}
    wrong = {"$set": {"a": 1}, **update} if others else update
    with pytest.raises(MalformedUpdateError) as caught:
        profiles.update(wrong)
    assert message in str(caught.value)
    assert isinstance(caught.value, IdmergeError)
    assert isinstance(caught.value, ValueError)
    report = profiles.update_many([wrong, {"$distinct_id": "u", "$add": {"a": 5}}])
    assert report.malformed == {0: str(caught.value)}
    assert report.outcomes == {UpdateOutcome.MALFORMED: 1, UpdateOutcome.APPLIED: 1}
    assert profiles.get("u") == {"a": 5}
