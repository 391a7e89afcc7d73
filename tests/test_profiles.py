"""Profiles: kept per ID, shown per person, and nothing lost by a merge (SPEC 10)."""

from __future__ import annotations

import json
import pickle
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Kind, Outcome, Policy, Profiles, Resolver, UpdateOutcome, reference
from idmerge.engage import DEEPEST
from idmerge.errors import (
    FileFormatError,
    IdmergeError,
    MalformedUpdateError,
    MissingExtraError,
    RetractionError,
)
from strategies import friendly_ids, ids, kinds, policies

# A twin that is obviously right: dicts of dicts, and the reference resolver


def alike(a: Any, b: Any) -> bool:
    """JSON's equality: 1 is 1.0, but not true."""
    return json.dumps(a) == json.dumps(b) or (type(a) in (int, float) and type(b) in (int, float) and a == b)


def change(profile: dict[str, Any], operation: str, name: str, value: Any) -> None:
    old = profile.get(name)
    if operation == "$set" or (operation == "$set_once" and name not in profile):
        profile[name] = value
    elif operation == "$add" and (name not in profile or type(old) in (int, float)):
        profile[name] = (old or 0) + value
    elif operation == "$append" and (name not in profile or type(old) is list):
        profile[name] = [*(old or []), value]
    elif operation == "$union" and (name not in profile or type(old) is list):
        profile[name] = [*(old or [])]
        for item in value:
            if not any(alike(item, other) for other in profile[name]):
                profile[name].append(item)
    elif operation == "$remove" and type(old) is list:
        profile[name] = [item for item in old if not alike(item, value)]
    elif operation == "$unset":
        profile.pop(name, None)


class Twin:
    def __init__(self) -> None:
        self.resolver = reference.Resolver()
        self.stored: dict[str, dict[str, Any]] = {}

    def update(self, update: dict[str, Any]) -> None:
        own = update["$distinct_id"]
        place = own if update.get("$ignore_alias") else self.resolver.resolve(own)
        for operation in OPERATIONS:
            if operation not in update:
                continue
            if operation == "$delete":
                self.stored.pop(place, None)
            elif operation in ("$unset", "$remove"):
                for name in update[operation]:
                    if place in self.stored:
                        value = None if operation == "$unset" else update[operation][name]
                        change(self.stored[place], operation, name, value)
            else:
                profile = self.stored.setdefault(place, {})
                for name, value in update[operation].items():
                    change(profile, operation, name, value)

    def hidden(self, own: str) -> dict[str, dict[str, Any]]:
        canonical = self.resolver.resolve(own)
        members = self.resolver.members(canonical) if canonical in self.resolver else []
        return {m: self.stored[m] for m in members if m in self.stored and m != canonical}

    def get(self, own: str, mode: str) -> dict[str, Any] | None:
        canonical = self.resolver.resolve(own)
        shown = [self.stored[canonical]] if canonical in self.stored else []
        if mode == "fill":
            shown += self.hidden(own).values()
        filled: dict[str, Any] = {}
        for profile in shown:
            filled = {**filled, **{name: profile[name] for name in profile if name not in filled}}
        return filled if shown else None


# What comes: few IDs, few properties, so that types clash and people meet

OPERATIONS = ["$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete"]
PEOPLE = ["U1", "U2", "U3", "D", "unheard of"]
numbers = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.25]))
scalars = st.one_of(st.sampled_from(["a", "b", ""]), numbers, st.booleans(), st.none())
lists = st.lists(scalars, max_size=3)
names = st.sampled_from(["plan", "$email", "n", "list"])


def of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, values, max_size=3)


several = st.fixed_dictionaries(
    {"$distinct_id": st.sampled_from(PEOPLE)},
    optional={
        "$set": of(st.one_of(scalars, lists)),
        "$set_once": of(scalars),
        "$add": of(numbers),
        "$append": of(scalars),
        "$union": of(lists),
        "$remove": of(scalars),
        "$unset": st.lists(names, max_size=2),
        "$ignore_alias": st.booleans(),
        "$token": st.just("t"),
    },
).filter(lambda update: set(update) & set(OPERATIONS))
deletions = st.builds(lambda own: {"$distinct_id": own, "$delete": ""}, st.sampled_from(PEOPLE))
updates = st.one_of(several, several, several, several, deletions)
merges = st.tuples(st.just("merge"), st.sampled_from(PEOPLE[:4]), st.sampled_from(PEOPLE[:4]))
retractions = st.tuples(st.just("retract"), st.integers(0, 12))
steps = st.lists(st.one_of(updates, updates, merges, retractions), max_size=25)
modes = st.sampled_from(["hide", "fill"])


def take(resolver: Any, step: tuple[Any, ...]) -> None:
    """Give a link or a retraction to a resolver; what cannot be taken back is passed over."""
    call, *arguments = step
    with suppress(RetractionError):
        getattr(resolver, call)(*arguments)


def played(story: list[Any], mode: Any) -> tuple[Profiles, Resolver, Twin]:
    resolver, twin = Resolver.open(":memory:"), Twin()
    profiles = Profiles(resolver, merge_profiles=mode)
    for step in story:
        if isinstance(step, dict):
            profiles.update(step)
            twin.update(step)
        else:
            take(resolver, step)
            take(twin.resolver, step)
    return profiles, resolver, twin


def kept(profiles: Profiles, path: Path) -> dict[str, str]:
    """What is stored, by ID, as text: text tells 1, 1.0 and true apart."""
    profiles.save(path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line["$distinct_id"]: json.dumps(line["$set"], sort_keys=True) for line in lines}


# The laws


@given(steps, modes)
def test_what_is_shown_is_what_the_twin_shows(story: list[Any], mode: str) -> None:
    profiles, resolver, twin = played(story, mode)
    for own in PEOPLE:
        assert repr(profiles.get(own)) == repr(twin.get(own, mode))
        assert repr(profiles.hidden(own)) == repr(twin.hidden(own))
        assert (own in profiles) == (twin.get(own, mode) is not None)
    people = {twin.resolver.resolve(own) for own in PEOPLE if twin.get(own, mode) is not None}
    assert sorted(profiles) == sorted(people)
    assert len(profiles) == len(people)
    assert profiles.hidden_count == len(twin.stored) - len(
        set(twin.stored) & set(map(resolver.resolve, PEOPLE))
    )


@given(steps, modes)
def test_when_every_merge_is_taken_back_each_profile_is_what_was_stored_under_its_id(
    story: list[Any], mode: str
) -> None:
    profiles, resolver, twin = played(story, mode)
    while links := [
        link.position for own in PEOPLE if own in resolver for link in resolver.explain(own) or []
    ]:
        resolver.retract(*set(links))
    for own in PEOPLE:
        assert repr(profiles.get(own)) == repr(twin.stored.get(own))
        assert profiles.hidden(own) == {}


@given(st.lists(updates, max_size=12), st.lists(merges, max_size=6), st.randoms(), modes)
def test_the_order_of_merges_changes_nothing_that_is_stored(
    tmp_path_factory: pytest.TempPathFactory, sent: list[Any], linked: list[Any], random: Any, mode: str
) -> None:
    path = tmp_path_factory.mktemp("order") / "p"
    shuffled = random.sample(linked, len(linked))
    alone, *merged = [played([*sent, *links], mode)[0] for links in ([], linked, shuffled)]
    assert kept(merged[0], path) == kept(merged[1], path) == kept(alone, path)


@given(steps)
def test_filling_only_fills_gaps_and_hiding_never_mixes(story: list[Any]) -> None:
    hiding, _, twin = played(story, "hide")
    filling, resolver, _ = played(story, "fill")
    for own in PEOPLE:
        canonical = resolver.resolve(own)
        hide, fill = hiding.get(own), filling.get(own)
        assert repr(hide) == repr(twin.stored.get(canonical))
        for name, value in (hide or {}).items():
            assert fill is not None
            assert repr(fill[name]) == repr(value)
        for name in (fill or {}).keys() - (hide or {}).keys():
            first = next(profile for profile in filling.hidden(own).values() if name in profile)
            assert repr(first[name]) == repr((fill or {})[name])


@given(steps, modes)
def test_saved_profiles_are_loaded_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, story: list[Any], mode: Any
) -> None:
    profiles, resolver, _ = played(story, mode)
    path = tmp_path_factory.mktemp("saved") / "profiles.ndjson"
    profiles.save(path)
    loaded = Profiles.load(path, resolver, merge_profiles=mode)
    assert [(own, repr(loaded.get(own)), loaded.hidden(own)) for own in loaded] == [
        (own, repr(profiles.get(own)), profiles.hidden(own)) for own in profiles
    ]
    again = Profiles(resolver, merge_profiles=mode)  # A file of profiles is one of updates.
    again.update_many(path.read_text(encoding="utf-8").splitlines())
    assert kept(again, path) == kept(profiles, path)


@given(st.lists(updates, max_size=20))
def test_many_updates_are_one_after_another(sent: list[Any]) -> None:
    one_by_one, at_once = Profiles(Resolver()), Profiles(reference.Resolver())
    outcomes = [one_by_one.update(json.dumps(update)) for update in sent]
    report = at_once.update_many(iter(sent))
    assert [(own, repr(one_by_one.get(own))) for own in one_by_one] == [
        (own, repr(at_once.get(own))) for own in at_once
    ]
    assert report.outcomes == {outcome: outcomes.count(outcome) for outcome in set(outcomes)}
    assert len(report) == len(sent)
    assert report.operations == {
        name: count for name in OPERATIONS if (count := sum(name in update for update in sent))
    }


@given(st.one_of(ids, friendly_ids), policies)
def test_an_update_belongs_to_nobody_exactly_when_a_link_would(own: str, policy: Policy) -> None:
    profiles = Profiles(Resolver(policy))
    outcome = profiles.update({"$distinct_id": own, "$set": {"a": 1}})
    refused = Resolver(policy).link(Kind.MERGE, own, "7" if policy.max_id_length == 1 else "other")
    assert (outcome is UpdateOutcome.INVALID_ID) == (refused is Outcome.INVALID_ID)
    assert len(profiles) == (outcome is not UpdateOutcome.INVALID_ID)


@given(kinds, friendly_ids, friendly_ids)
def test_profiles_never_change_the_resolver(kind: Kind, first: str, second: str) -> None:
    resolver = Resolver()
    resolver.link(kind, first, second)
    before = resolver.mapping().to_pydict()
    profiles = Profiles(resolver, merge_profiles="fill")
    profiles.update({"$distinct_id": "new", "$set": {"a": 1}})
    assert (profiles.get("new"), profiles.get("other"), profiles.hidden("new")) == ({"a": 1}, None, {})
    assert resolver.mapping().to_pydict() == before


# Each operation, at its edges


def made(profile: dict[str, Any] | None, operation: str, value: Any) -> tuple[Any, str]:
    """What an operation makes of a profile, and its outcome."""
    profiles = Profiles(Resolver())
    if profile is not None:
        profiles.update({"$distinct_id": "u", "$set": profile})
    outcome = profiles.update({"$distinct_id": "u", operation: value})
    return profiles.get("u"), outcome.name


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


def test_the_operations_of_one_update_have_an_order_that_is_not_theirs() -> None:
    profiles = Profiles(Resolver())
    both = [
        '{"$add": {"n": 1}, "$set": {"n": 5}, "$distinct_id": "u"}',
        '{"$delete": 0, "$set": {}, "$distinct_id": "v"}',
    ]
    assert [profiles.update(update) for update in both] == [UpdateOutcome.APPLIED] * 2
    assert (profiles.get("u"), profiles.get("v")) == ({"n": 6}, None)


def test_what_is_no_operation_is_passed_over() -> None:
    profiles = Profiles(Resolver())
    update = {"$token": 1, "$time": 0, "$ip": "0", "$ignore_time": True, "mp_lib": "web", "$device_id": "d"}
    profiles.update({**update, "$distinct_id": 17, "$set": {"$email": "a@b"}})
    assert profiles.get("17") == {"$email": "a@b"}


def test_an_alias_can_be_passed_over() -> None:
    resolver = Resolver()
    profiles = Profiles(resolver)
    profiles.update_many({"$distinct_id": own, "$set": {"own": own}} for own in ("U", "old"))
    resolver.merge("U", "old")
    profiles.update({"$distinct_id": "old", "$ignore_alias": True, "$delete": ""})
    assert (profiles.get("old"), profiles.hidden("old")) == ({"own": "U"}, {})
    profiles.update({"$distinct_id": "old", "$ignore_alias": False, "$delete": ""})
    assert profiles.get("U") is None


# What is no update, and who is nobody

deep: Any = "x"
for _ in range(DEEPEST):
    deep = [deep]


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
    ids=str,
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


def test_what_is_neither_a_mapping_nor_text_is_a_wrong_call() -> None:
    profiles = Profiles(Resolver())
    with pytest.raises(TypeError, match="an update must be a mapping, str or bytes, got list"):
        profiles.update([])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="update 1: an update must be"):
        profiles.update_many([{"$distinct_id": "u", "$set": {}}, None])  # type: ignore[list-item]
    assert list(profiles) == ["u"]
    for call in (profiles.get, profiles.hidden, profiles.forget, profiles.__contains__):
        with pytest.raises(TypeError, match="an ID must be a str, got int"):
            call(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="resolver must be a resolver, got dict"):
        Profiles({})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="merge_profiles must be 'hide' or 'fill', got 'mix'"):
        Profiles(Resolver(), merge_profiles="mix")  # type: ignore[arg-type]


def test_junk_fuses_no_profiles() -> None:
    profiles = Profiles(Resolver())
    junk = ["null", "", 0, "$device:null", "x" * 256, "\ud800"]
    report = profiles.update_many({"$distinct_id": own, "$set": {"a": 1}} for own in junk)
    assert report.outcomes == {UpdateOutcome.INVALID_ID: len(junk)}
    assert report.operations == {}
    assert (len(profiles), profiles.get("null")) == (0, None)
    assert not UpdateOutcome.INVALID_ID.accepted
    allowed = Profiles(Resolver(Policy.unrestricted()))
    assert allowed.update({"$distinct_id": "null", "$set": {}}).accepted


def test_whatever_resolves_is_a_resolver() -> None:
    class Upper:
        def resolve(self, own: str) -> str:
            return own.upper()

        def members(self, own: str) -> list[str]:
            return [own, own.lower()]

        def __contains__(self, own: str) -> bool:
            return True

    profiles = Profiles(Upper())
    profiles.update({"$distinct_id": "ana", "$set": {"a": 1}})
    assert list(profiles) == ["ANA"]
    assert profiles.update({"$distinct_id": "null", "$set": {}}) is UpdateOutcome.INVALID_ID


# What is shown, kept and forgotten


def test_nothing_is_shared_with_the_caller() -> None:
    resolver = Resolver()
    given = {"list": [1], "object": {"a": [1]}}
    profiles = Profiles(resolver)
    profiles.update({"$distinct_id": "u", "$set": given})
    given["list"].append(2)  # type: ignore[attr-defined]
    shown = profiles.get("u")
    assert shown == {"list": [1], "object": {"a": [1]}}
    shown["object"]["a"].append(2)
    shown["list"].append(2)
    resolver.merge("v", "w")
    resolver.merge("v", "u")
    profiles.hidden("u")["u"]["list"].append(3)
    assert profiles.hidden("u") == {"u": {"list": [1], "object": {"a": [1]}}}


def test_a_person_whose_canonical_id_has_no_profile_shows_none_or_what_fills_it() -> None:
    resolver = Resolver()
    resolver.merge("U", "late")
    hiding, filling = Profiles(resolver), Profiles(resolver, merge_profiles="fill")
    for profiles in (hiding, filling):
        for own, plan in (("late", "free"), ("early", "pro")):
            profiles.update({"$distinct_id": own, "$ignore_alias": True, "$set": {"plan": plan, own: 1}})
    resolver.merge("U", "early")
    assert (hiding.get("U"), len(hiding), hiding.hidden_count, "U" in hiding) == (None, 0, 2, False)
    assert filling.get("early") == {"plan": "free", "late": 1, "early": 1}
    assert (list(filling), len(filling), list(filling.hidden("U"))) == (["U"], 1, ["late", "early"])
    assert repr(filling) == "Profiles(1 shown, 2 hidden, merge_profiles='fill')"
    assert (filling.resolver, filling.merge_profiles) == (resolver, "fill")


def test_to_forget_an_id_is_to_forget_it_twice() -> None:
    resolver = Resolver.open(":memory:")
    profiles = Profiles(resolver, merge_profiles="fill")
    for own in ("ana", "ana@example.com"):
        profiles.update({"$distinct_id": own, "$set": {own: 1}})
    resolver.merge("ana", "ana@example.com")
    resolver.forget("ana@example.com")
    assert profiles.get("ana") == {"ana": 1}
    assert profiles.get("ana@example.com") == {"ana@example.com": 1}, (
        "now it is somebody else, with a profile"
    )
    assert profiles.forget("ana@example.com")
    assert not profiles.forget("ana@example.com")
    assert (profiles.get("ana@example.com"), list(profiles)) == (None, ["ana"])


def test_threads_lose_no_update_while_links_come() -> None:
    resolver = Resolver(Policy(max_cluster_size=None))
    profiles = Profiles(resolver)

    def count(thread: int) -> None:
        for number in range(500):
            profiles.update({"$distinct_id": f"id {(number + thread) % 20}", "$add": {"n": 1}})
            resolver.merge(f"id {number % 20}", f"id {(number * 7 + thread) % 20}")
            len(profiles)

    threads = [threading.Thread(target=count, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (one,) = {resolver.resolve(f"id {number}") for number in range(20)}
    counted = [profiles.get(one) or {}, *profiles.hidden(one).values()]
    assert sum(profile.get("n", 0) for profile in counted) == 2000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"$distinct_id": "u", "$ignore_alias": true, "$set": {}}', ":1: the file is cut off here"),
        ('{"$distinct_id": "u", "$ignore_alias": true, "$set": {}}\n{"$dis', ":2: the file is cut off here"),
        ('\n{"$distinct_id": "u", "$ignore_alias": true, "$set": {}}\n', ":1: the update is no JSON"),
        ('{"$distinct_id": "u", "$set": {}}\n', ":1: the line is an update, and no profile that was saved"),
        ('{"$distinct_id": "u", "$ignore_alias": true, "$add": {}}\n', ":1: the line is an update"),
        (
            '{"$distinct_id": "u", "$ignore_alias": true, "$set": {}}\n' * 2,
            ":2: 'u' has a profile above already",
        ),
        ('{"$distinct_id": "u", "$ignore_alias": true, "$set": 5}\n', ":1: $set must be an object"),
    ],
)
def test_a_file_that_is_damaged_is_not_loaded(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "profiles.ndjson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match="^" + str(path)) as caught:
        Profiles.load(path, Resolver())
    assert message in str(caught.value)


def test_an_old_file_stays_where_a_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "profiles.ndjson"
    profiles = Profiles(Resolver())
    profiles.update({"$distinct_id": "u", "$set": {"text": "lone \ud83d", "list": [deep[0]]}})
    profiles.save(path)
    old = path.read_bytes()
    profiles.update({"$distinct_id": "v", "$set": {}})

    def fail(_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            profiles.save(path)
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    loaded = Profiles.load(path, Resolver())
    assert list(loaded) == ["u"]
    assert loaded.get("u") == profiles.get("u")


def test_the_deepest_value_that_is_taken_is_shown_saved_and_loaded(tmp_path: Path) -> None:
    profiles = Profiles(Resolver())
    profiles.update(
        {"$distinct_id": "u", "$set": {"a": deep}, "$append": {"b": deep[0]}, "$union": {"c": deep}}
    )
    profiles.save(tmp_path / "p")
    loaded = Profiles.load(tmp_path / "p", Resolver())
    assert loaded.get("u") == profiles.get("u") == {"a": deep, "b": [deep[0]], "c": deep}


def test_a_saved_id_that_is_blocked_meanwhile_is_kept(tmp_path: Path) -> None:
    profiles = Profiles(Resolver(Policy.unrestricted()))
    profiles.update({"$distinct_id": "none", "$set": {"name": "Mr None"}})
    profiles.save(tmp_path / "p")
    assert Profiles.load(tmp_path / "p", Resolver()).get("none") == {"name": "Mr None"}


def test_profiles_do_not_pickle_and_say_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"save\(path\) keeps them"):
        pickle.dumps(Profiles(Resolver()))


# The table


def columns(*people: dict[str, Any]) -> pa.Table:
    profiles = Profiles(Resolver())
    profiles.update_many({"$distinct_id": f"u{n}", "$set": person} for n, person in enumerate(people))
    return profiles.table()


@pytest.mark.parametrize(
    ("values", "kind", "shown"),
    [
        ([1, None, -(2**63)], pa.int64(), [1, None, -(2**63)]),
        ([1, 0.5, None], pa.float64(), [1.0, 0.5, None]),
        ([2**53, 0.5], pa.float64(), [2.0**53, 0.5]),
        ([2**53 + 1, 0.5], pa.string(), ["9007199254740993", "0.5"]),
        ([2**63, 1], pa.string(), ["9223372036854775808", "1"]),
        ([True, None, False], pa.bool_(), [True, None, False]),
        (["x", "", None], pa.string(), ["x", "", None]),
        ([True, 1], pa.string(), ["true", "1"]),
        (["x", 1, None], pa.string(), ["x", "1", None]),
        ([["ü", 1.5], {"a": None}], pa.string(), ['["ü",1.5]', '{"a":null}']),
        ([None, None], pa.string(), [None, None]),
        (["lone \ud83d", ["\udfff"]], pa.string(), ["lone \ufffd", '["\ufffd"]']),
    ],
    ids=str,
)
def test_a_column_has_the_type_that_its_values_share(values: list[Any], kind: Any, shown: list[Any]) -> None:
    table = columns(*({"p": value} for value in values))
    assert table.schema.field("p").type == kind
    assert table["p"].to_pylist() == shown


def test_a_table_has_a_column_a_property_as_they_first_appear() -> None:
    table = columns(
        {"$email": "a@b", "n": 1},
        {"distinct_id": "other", "n": 2},
        {"properties.distinct_id": True},
        dict.fromkeys(["lone \ud800", "lone \ufffd"], 1),
    )
    assert table.column_names == [
        "distinct_id",
        "$email",
        "n",
        "properties.distinct_id",
        "properties.properties.distinct_id",
        "lone \ufffd",
        "properties.lone \ufffd",
    ]
    assert table["distinct_id"].to_pylist() == ["u0", "u1", "u2", "u3"]
    assert table["n"].to_pylist() == [1, 2, None, None]
    assert pl.DataFrame(table)["n"].sum() == 3


def test_a_table_of_nobody_has_no_rows() -> None:
    assert columns().to_pydict() == {"distinct_id": []}
    assert columns({}).to_pydict() == {"distinct_id": ["u0"]}


@given(steps, modes)
def test_a_table_shows_what_get_shows(story: list[Any], mode: str) -> None:
    profiles, _, _ = played(story, mode)
    rows = profiles.table().to_pylist()
    assert [row["distinct_id"] for row in rows] == list(profiles)
    for row in rows:
        shown = profiles.get(row["distinct_id"]) or {}
        for name in row.keys() - {"distinct_id"}:
            value = shown.get(name)
            expected = value if isinstance(value, (str, bool, int, float)) or value is None else None
            if isinstance(row[name], str) and not isinstance(value, str):
                expected = json.dumps(value, separators=(",", ":"))
            assert row[name] == expected


def test_a_table_joins_with_resolved_events_in_duckdb() -> None:
    resolver = Resolver()
    profiles = Profiles(resolver)
    profiles.update({"$distinct_id": "ana", "$set": {"plan": "pro", "tags": ["a", "b"]}})
    profiles.update({"$distinct_id": "ben", "$set": {"plan": "free"}})
    resolver.merge("ana", "phone")
    events = pa.table({"event": ["buy", "buy", "view"], "distinct_id": ["phone", "ana", "ben"]})
    events = events.set_column(1, "distinct_id", resolver.resolve_many(events["distinct_id"]))
    people = profiles.table()
    assert len(events) == len(people) + 1
    rows = duckdb.sql(
        "select plan, count(*), any_value(tags->>1) from events join people using (distinct_id) "
        "group by plan order by plan"
    ).fetchall()
    assert rows == [("free", 1, None), ("pro", 2, "b")]


def test_without_pyarrow_a_table_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = Profiles(Resolver())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        MissingExtraError, match=r"a table of profiles needs pyarrow: pip install 'idmerge\[cli\]'"
    ):
        profiles.table()
