"""The plan of a migration: users, devices, clusters with several users, and links that hold again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import ndjson
from idmerge import Policy, migration
from idmerge.errors import FileFormatError, MigrationError, MissingExtraError, PolicyError
from strategies import D1, D2, D3

OLD, NEW = D1, f"$device:{D1}"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def view(distinct_id: Any, **properties: Any) -> dict[str, Any]:
    stated = {key.replace("__", "$"): value for key, value in properties.items()}
    return {"event": "View", "properties": {"distinct_id": distinct_id, **stated}}


def identify(user: str, device: str, **properties: Any) -> dict[str, Any]:
    return {**view(user, __anon_distinct_id=device, **properties), "event": "$identify"}


def alias(distinct_id: str, other: str) -> dict[str, Any]:
    return {"event": "$create_alias", "properties": {"distinct_id": distinct_id, "alias": other}}


def merge(*ids: str) -> dict[str, Any]:
    return {"event": "$merge", "properties": {"$distinct_ids": [*ids]}}


def planned(*events: dict[str, Any], **arguments: Any) -> migration.Migration:
    Path("e.ndjson").write_bytes(ndjson(events))
    return migration.plan("e.ndjson", **arguments)


def people(migrated: migration.Migration) -> dict[str | None, str | None]:
    return {row.distinct_id: row.person for row in migrated.mapping()}


# Users and devices


def test_users_are_those_that_original_saw_as_identified() -> None:
    migrated = planned(identify("ana", D1), merge("ana", "crm-17"), view("ben", __user_id="ben"), view(D2))
    assert people(migrated) == {D1: "ana", "ana": "ana", "crm-17": "ana", "ben": "ben", D2: f"$device:{D2}"}


def test_where_nobody_was_identified_users_are_those_that_do_not_look_anonymous() -> None:
    migrated = planned(alias(D1, "ana"), view("ben"), view(D2))
    assert people(migrated) == {D1: "ana", "ana": "ana", "ben": "ben", D2: f"$device:{D2}"}


def test_an_id_that_was_given_as_anonymous_is_a_device_whatever_it_looks_like() -> None:
    migrated = planned(identify("ana", D1), identify("ben", D1), identify("cem", "phone"), view("phone"))
    assert people(migrated)["phone"] == "cem"
    refused = planned(view("phone"), identify("ana", "phone", __failure_reason="errSameIDs"))
    assert people(refused)["phone"] == "$device:phone"


@pytest.mark.parametrize("rule", [r"\d+", lambda each: each.isdigit()], ids=["expression", "callable"])
def test_a_rule_decides_which_ids_are_users(rule: Any) -> None:
    migrated = planned(identify("ana", D1), merge("ana", "17"), view("ben"), view("18"), user_id=rule)
    assert people(migrated) == {D1: "17", "ana": "17", "17": "17", "ben": "$device:ben", "18": "18"}


def test_an_expression_matches_the_whole_id() -> None:
    assert people(planned(view("17a"), view("17"), user_id=r"\d+")) == {"17a": "$device:17a", "17": "17"}


def test_no_id_with_the_prefix_of_devices_is_a_user() -> None:
    migrated = planned(view("$device:x"), identify("$device:y", D1), user_id=".*")
    assert {person for person in people(migrated).values() if person} == {"$device:x", D1}


def test_two_ids_that_are_one_device_in_simplified_are_reported() -> None:
    migrated = planned(identify("ana", OLD), identify("ben", NEW), view(OLD), view(NEW))
    assert people(migrated) == {OLD: "ana", "ana": "ana", "ben": "ben", NEW: "ana"}
    assert migrated.report.taken_ids == 1
    assert "the device of another user" in migrated.report.text()
    assert "1 ID is the device of another user" in migrated.report.html()


def test_an_id_that_simplified_takes_from_nobody_is_reported() -> None:
    long = "x" * 250
    migrated = planned(view(long, time=1), view("guest"), user_id="ana", policy=Policy(blocked_ids=["guest"]))
    assert people(migrated) == {long: None}
    assert (migrated.report.lost_ids, migrated.report.nobodys_events) == (1, 1)
    assert migrated.report.recovery == 0
    assert "1 ID that Simplified takes from nobody" in migrated.report.text()


# Links that Original refused


def test_a_refused_link_never_undoes_an_accepted_one() -> None:
    few = Policy(max_cluster_size=2)
    events = [identify("ana", D1), identify("ana", D2), identify("ben", D2)]
    assert people(planned(*events, policy=few)) == {D1: "ana", "ana": "ana", D2: "ben", "ben": "ben"}
    [refused] = planned(*events, policy=few).report.refused
    assert refused == migration.Refusal(reason="TOO_MANY_IDS", links=1, recovered=0)


@pytest.mark.parametrize(
    ("reason", "person"),
    [("errManyIDs", "ana"), ("errAnonDistinctIdNonGUIDForm", "ana"), ("errAliasAlreadyExists", NEW)],
)
def test_a_link_that_mixpanel_refused_holds_if_its_reason_is_a_limit(reason: str, person: str) -> None:
    migrated = planned(view(D1), identify("ana", D1, __failure_reason=reason))
    assert people(migrated)[D1] == person
    [refused] = migrated.report.refused
    assert refused.reason == f"REFUSED_BEFORE ({reason})"
    assert refused.recovered == int(person == "ana")


def test_a_reason_that_is_not_mixpanels_is_counted_with_all_others() -> None:
    events = [identify("ana", D1, __failure_reason=f"{place}" * 5000) for place in range(9)]
    [refused] = planned(*events).report.refused
    assert refused == migration.Refusal(reason="REFUSED_BEFORE (another reason)", links=9, recovered=0)


def test_an_alias_that_stands_for_another_id_is_not_recovered() -> None:
    events = [view("a"), alias("a", "x"), alias("b", "x"), merge("a", "c"), merge("a", "d")]
    migrated = planned(*events, policy=Policy(max_cluster_size=3), user_id="a|b|c|d")
    assert people(migrated)["x"] == "a"
    assert {each.reason: each.recovered for each in migrated.report.refused} == {
        "ALIAS_TAKEN": 0,
        "TOO_MANY_IDS": 0,
    }


def test_a_user_who_was_given_as_anonymous_stays_a_user() -> None:
    migrated = planned(identify("ana", D1), identify("ben", D2), identify("ben", "ana"))
    assert people(migrated) == {D1: "ana", "ana": "ana", D2: "ben", "ben": "ben"}
    assert migrated.report.ambiguous == 0


# Devices that events name beside a user


def test_a_device_beside_a_user_is_associated_unless_it_has_a_user() -> None:
    pair = view("ben", __device_id=D1, __user_id="ben")
    assert people(planned(view(D1), pair))[D1] == "ben"
    for first in (identify("ana", D1), merge("ana", D1)):
        migrated = planned(first, view("ana", __user_id="ana"), pair)
        assert people(migrated) == {D1: "ana", "ana": "ana", "ben": "ben"}
        assert migrated.report.ambiguous == 0


def test_a_device_that_is_no_id_of_original_has_a_row_without_one() -> None:
    migrated = planned(view("ana", __device_id="tv", __user_id="ana"))
    assert [*migrated.mapping()] == [
        migration.Planned("ana", "ana", "ana"),
        migration.Planned(None, "$device:tv", "ana"),
    ]
    [event] = migrated.events()
    assert {key: event["properties"][key] for key in ("$device_id", "$user_id")} == {
        "$device_id": "tv",
        "$user_id": "ana",
    }


def test_a_user_and_a_device_beside_the_id_of_another_link_nothing() -> None:
    migrated = planned(view("ben", __device_id="tv", __user_id="ana"), view("ana"))
    assert people(migrated) == {"ben": "ben", "ana": "ana"}
    [event, _] = migrated.events()
    assert event["properties"].keys() == {"distinct_id", "$user_id", "$insert_id"}
    assert migrated.cut == 1


# Several users

TWO = [identify("ana", D1), identify("ben", D2), view("ben"), view("ben"), view("ana"), merge("ana", "ben")]


@pytest.mark.parametrize(
    ("ambiguous", "expected"),
    [
        ("split", ["ana", "ana", "ben", "ben", "ana"]),
        ("first", ["ana", "ana", "ana", "ana", "ana"]),
        ("last", ["ben", "ben", "ben", "ben", "ben"]),
        ("most-events", ["ben", "ben", "ben", "ben", "ben"]),
    ],
)
def test_what_becomes_of_several_users(ambiguous: Any, expected: list[str]) -> None:
    migrated = planned(*TWO, alias("ana", D3), ambiguous=ambiguous)
    assert [migrated.person(each) for each in (D1, "ana", D2, "ben", D3)] == expected
    persons = {event["properties"]["$user_id"] for event in migrated.events()}
    assert persons == {*expected}
    assert migrated.report.ambiguous == 1
    assert (migrated.report.recovery == 1) == (ambiguous != "split")


@pytest.mark.parametrize("busy", ["ana", "ben"])
def test_the_part_with_most_events_keeps_the_person(busy: str) -> None:
    report = planned(*TWO[:2], *[view(busy)] * 4, view("ana"), view("ben"), view("cem"), TWO[-1]).report
    assert (report.recovery, report.recovery_by_original) == (6 / 7, 1)
    assert (report.recovery_of_ids, report.changed_events, report.changed) == (3 / 5, 1, 1 / 7)


def test_several_users_can_be_an_error() -> None:
    with pytest.raises(MigrationError, match="of 4 IDs has 2 users .*ana.*, and Simplified joins no users"):
        planned(*TWO, ambiguous="error")
    assert planned(*TWO[:-1], ambiguous="error").report.ambiguous == 0


def test_a_claim_counts_before_the_other_links_of_a_device() -> None:
    events = [identify("ben", D2), merge(D1, D2), identify("ana", D1)]
    assert people(planned(*events)) == {D2: "ben", "ben": "ben", D1: "ana", "ana": "ana"}


def test_a_refused_claim_parts_no_cluster_of_original() -> None:
    refused = identify("ben", D1, __failure_reason="errManyIDs")
    for first in (merge("ana", D1), view("ana", __distinct_id_before_identity=D1)):
        migrated = planned(first, refused, view("ben"), user_id="ana|ben")
        assert people(migrated) == {"ana": "ana", D1: "ana", "ben": "ben"}
        assert migrated.report.ambiguous == 1


def test_what_nobody_claimed_follows_the_first_link_that_reaches_a_user() -> None:
    events = [identify("ana", D1), identify("ben", D2), merge(D3, D2), merge(D3, D1)]
    assert people(planned(*events))[D3] == "ben"


def test_a_rewritten_event_counts_behind_every_link() -> None:
    rewritten = view(D1, __distinct_id_before_identity=D3)
    events = [rewritten, identify("ana", D1), identify("ben", D2), merge(D3, D2)]
    assert people(planned(*events))[D3] == "ben"


# Events


def test_originals_own_properties_are_left_out() -> None:
    rewritten = view(D1, __distinct_id_before_identity="ana", __failure_reason="x", color="red")
    [event] = planned(rewritten, identify("ana", D1)).events()
    assert event["properties"] == {
        "color": "red",
        "distinct_id": "ana",
        "$user_id": "ana",
        "$insert_id": event["properties"]["$insert_id"],
    }


def test_an_event_of_a_hot_shard_is_the_one_that_was_sent() -> None:
    hot = {"mp_original_event_name": "Buy", "mp_original_distinct_id": "ana", "distinct_id": "shard"}
    [event] = planned({"event": "$hotshard_events", "properties": hot}).events()
    assert event["event"] == "Buy"
    assert event["properties"].keys() == {"distinct_id", "$user_id", "$insert_id"}


def test_an_event_of_nobody_stays_nobodys() -> None:
    for nobody in (view("null"), view(None), view([1]), {"event": "View"}):
        [event] = planned(nobody).events()
        assert event["properties"].keys() == {"distinct_id", "$insert_id"}
        assert event["properties"]["distinct_id"] == ""


def test_an_insert_id_is_made_only_where_mixpanel_would_refuse_it() -> None:
    values = ["kept-1", "not_kept", "not_kept", "x" * 37, None, None]
    found = [
        event["properties"]["$insert_id"]
        for event in planned(*(view("ana", __insert_id=value) for value in values)).events()
    ]
    assert found[0] == "kept-1"
    assert found[1] == found[2] != found[3]
    assert len({*found[3:]}) == 3
    assert all(len(each) <= 36 for each in found)


def test_an_association_has_the_time_of_the_first_event_of_its_device_or_the_floor() -> None:
    events = [
        view("ana", time=1_700_000_000),
        view(D1, time=1_700_000_300),
        view(D1, time="2023-11-14T22:13:21Z"),
        identify("ana", D2),
        identify("ana", D1, time=1_700_000_500),
    ]
    times = {
        each["properties"]["$device_id"]: each["properties"]["time"]
        for each in planned(*events).associations()
    }
    assert times == {D1: 1_700_000_001_000, D2: 1_700_000_000_000}
    for floor in ("2020-01-01", 1_577_836_800, 1_577_836_800_000):
        migrated = planned(*events, floor=floor)
        assert {each["properties"]["time"] for each in migrated.associations()} == {1_577_836_800_000}
    [timeless] = planned(identify("ana", D1)).associations()
    assert "time" not in timeless["properties"]


# What is refused


def test_wrong_values_are_refused_before_anything_is_read() -> None:
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"ambiguous": "all"}, ValueError, "ambiguous must be one of 'split', .*got 'all'"),
        ({"floor": "yesterday"}, ValueError, "floor must be a time such as .*got 'yesterday'"),
        ({"user_id": "("}, ValueError, "user_id is no regular expression"),
        ({"user_id": 7}, TypeError, "user_id must be a regular expression or a callable, got int"),
        ({"policy": Policy.simplified()}, PolicyError, "a migration begins at the Original API"),
    ]
    for arguments, kind, message in wrong:
        with pytest.raises(kind, match=message):
            planned(view("ana"), **arguments)


def test_a_table_of_events_is_refused_with_a_way_out() -> None:
    Path("e.csv").write_text("event,distinct_id\nView,ana\n", encoding="utf-8")
    with pytest.raises(
        FileFormatError, match=r"^e.csv: a migration reads events of JSON, .*export them as JSON"
    ):
        migration.plan("e.csv")


def test_without_pyarrow_a_floor_in_milliseconds_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="unless a floor in milliseconds gives it, needs pyarrow"):
        planned(identify("ana", D1, time=1))
    [association] = planned(identify("ana", D1, time=1), floor=1_700_000_000_000).associations()
    assert association["properties"]["time"] == 1_700_000_000_000


def test_a_file_of_links_counts() -> None:
    Path("links.csv").write_text(f"kind,first,second\nidentify,{D1},ana\n", encoding="utf-8")
    Path("e.ndjson").write_bytes(ndjson([view(D1)]))
    migrated = migration.plan(["links.csv", "e.ndjson"])
    assert people(migrated) == {D1: "ana", "ana": "ana"}
    assert len([*migrated.events()]) == 1


# Profiles


def updates(migrated: migration.Migration, *rows: Any) -> list[dict[str, Any]]:
    Path("u.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [*migrated.updates(["u.ndjson"])]


def test_updates_go_to_the_user_without_the_token_of_the_old_project() -> None:
    migrated = planned(identify("ana", D1), view(D2))
    rows = [
        {"$token": "t", "$distinct_id": D1, "$set": {"plan": "pro"}},
        {"$distinct_id": "ana", "$add": {"n": 1}},
        {"$distinct_id": D2, "$unset": ["n"]},
        {"$distinct_id": "new", "$set": {"n": 1}},
    ]
    assert updates(migrated, *rows) == [
        {"$distinct_id": "ana", "$set": {"plan": "pro"}},
        {"$distinct_id": "ana", "$add": {"n": 1}},
        {"$distinct_id": f"$device:{D2}", "$unset": ["n"]},
        {"$distinct_id": "new", "$set": {"n": 1}},
    ]
    assert migrated.update_counts == {"written": 4}


def test_what_simplified_has_no_profile_for_is_left_out_and_counted() -> None:
    migrated = planned(identify("ana", D1))
    rows = [
        {"$distinct_id": D1, "$ignore_alias": True, "$delete": ""},
        {"$distinct_id": "null", "$set": {"n": 1}},
        {"$distinct_id": "ana", "$ignore_alias": True, "$set": {"n": 1}},
        {"$set": {"n": 1}},
    ]
    assert updates(migrated, *rows) == [{"$distinct_id": "ana", "$set": {"n": 1}}]
    assert migrated.update_counts == {"hidden": 1, "nobody's": 1, "written": 1, "malformed": 1}


def test_of_an_export_the_row_of_the_canonical_id_counts() -> None:
    migrated = planned(identify("ana", D1))
    rows = [
        {"$distinct_id": D1, "$properties": {"plan": "free", "city": "Oslo"}},
        {"$distinct_id": "ana", "$properties": {"plan": "pro"}},
    ]
    expected = [
        {"$distinct_id": "ana", "$set_once": {"plan": "free", "city": "Oslo"}},
        {"$distinct_id": "ana", "$set": {"plan": "pro"}},
    ]
    assert updates(migrated, *rows) == expected
    assert updates(migrated, *rows[::-1]) == expected[::-1]


def test_of_a_split_cluster_each_user_keeps_its_own_row() -> None:
    migrated = planned(*TWO)
    rows = [{"$distinct_id": each, "$properties": {"n": each}} for each in ("ana", "ben", D2)]
    assert updates(migrated, *rows) == [
        {"$distinct_id": "ana", "$set": {"n": "ana"}},
        {"$distinct_id": "ben", "$set": {"n": "ben"}},
        {"$distinct_id": "ben", "$set_once": {"n": D2}},
    ]
