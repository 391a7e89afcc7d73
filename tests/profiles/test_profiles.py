"""Profiles: kept per ID, shown per person, and nothing lost by a merge (SPEC 10)."""

from __future__ import annotations

import json
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import DurableResolver, Kind, Outcome, Policy, Profiles, Resolver, UpdateOutcome, reference
from profiles_by_hand import OPERATIONS, PEOPLE, deep, merges, modes, played, steps, updates
from strategies import friendly_ids, ids, kinds, policies


def kept(profiles: Profiles, path: Path) -> dict[str, str]:
    """The stored profiles by ID, as text, which tells 1, 1.0 and true apart."""
    profiles.save(path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:-1]]
    return {line["$distinct_id"]: json.dumps(line["$set"], sort_keys=True) for line in lines}


# The laws


@pytest.mark.rule("10.owner", "10.shown and hidden")
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


@pytest.mark.rule("10.shown and hidden")
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


@pytest.mark.rule("10.owner")
@given(st.one_of(ids, friendly_ids), policies)
def test_an_update_belongs_to_nobody_exactly_when_a_link_would(own: str, policy: Policy) -> None:
    profiles = Profiles(Resolver(policy))
    outcome = profiles.update({"$distinct_id": own, "$set": {"a": 1}})
    refused = Resolver(policy).link(Kind.MAPPING, own, "7" if policy.max_id_length == 1 else "other")
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


@pytest.mark.rule("10.owner")
def test_an_alias_can_be_passed_over() -> None:
    resolver = Resolver()
    profiles = Profiles(resolver)
    profiles.update_many({"$distinct_id": own, "$set": {"own": own}} for own in ("U", "old"))
    resolver.merge("U", "old")
    profiles.update({"$distinct_id": "old", "$ignore_alias": True, "$delete": ""})
    assert (profiles.get("old"), profiles.hidden("old")) == ({"own": "U"}, {})
    profiles.update({"$distinct_id": "old", "$ignore_alias": False, "$delete": ""})
    assert profiles.get("U") is None


# Who is nobody, and wrong calls


def test_what_is_neither_a_mapping_nor_text_is_a_wrong_call() -> None:
    profiles = Profiles(Resolver())
    with pytest.raises(TypeError, match="an update must be a mapping, str or bytes, got list"):
        profiles.update([])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="update 1: an update must be"):
        profiles.update_many([{"$distinct_id": "u", "$set": {}}, None])  # type: ignore[list-item]
    assert list(profiles) == ["u"]
    for call in (profiles.get, profiles.hidden, profiles.forget, profiles.__contains__):
        with pytest.raises(TypeError, match="an ID must be text, an integer or a UUID, got NoneType"):
            call(None)  # type: ignore[arg-type]
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


@pytest.mark.rule("10.shown and hidden")
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
    resolver = DurableResolver.open(":memory:")
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
