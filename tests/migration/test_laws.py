"""A migration of any events: Simplified ID Merge shows exactly the people of the plan."""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import ndjson
from idmerge import Policy, Resolver, migration, reference
from idmerge.events import sender_of
from idmerge.files import read
from strategies import D1, D2, D3, INVALID, USERS, policies
from strategies import events as any_events

DEVICES = [D1, D2, D3, f"$device:{D1}", f"$device:$device:{D2}", "session_1", "y" * 255]
few = st.sampled_from([*DEVICES, "ana", "ben", "cem", *USERS[:4], *INVALID[:2]])
_ordinary = st.fixed_dictionaries(
    {"distinct_id": few},
    optional={
        "$device_id": st.one_of(few, st.none(), st.just([1])),
        "$user_id": st.one_of(few, st.none(), st.integers(0, 3)),
        "$distinct_id_before_identity": st.one_of(few, st.none()),
        "$insert_id": st.sampled_from(["a-1", "a_1", "", 7, None]),
        "time": st.sampled_from([1_700_000_000, "1700000001", 1_600_000_000_000, "2024-01-31", None, True]),
        "$failure_reason": st.just("errManyIDs"),
    },
)
_identify = st.fixed_dictionaries(
    {"$anon_id": few, "$identified_id": few},
    optional={"$failure_reason": st.sampled_from(["errManyIDs", "errAnonDistinctIdAssignedAlready"])},
)
_alias = st.fixed_dictionaries({"distinct_id": few, "alias": few})
_merge = st.fixed_dictionaries({"$distinct_ids": st.tuples(few, few)})
_hot = st.fixed_dictionaries(
    {"mp_original_event_name": st.sampled_from(["View", "$identify"]), "mp_original_distinct_id": few}
)
one_event = st.one_of(
    *[st.tuples(st.sampled_from(["View", "Purchase"]), _ordinary)] * 3,
    *[st.tuples(st.just("$identify"), _identify)] * 2,
    st.tuples(st.just("$create_alias"), _alias),
    st.tuples(st.just("$merge"), _merge),
    st.tuples(st.just("$hotshard_events"), _hot),
).map(lambda pair: {"event": pair[0], "properties": pair[1]})
histories = st.lists(st.one_of(*[one_event] * 4, any_events), max_size=25)
original = policies.filter(lambda policy: policy.api == "original")
rules = st.sampled_from([None, r"ana|ben|U\d", lambda each: "-" not in each])
ways: Any = st.sampled_from(["split", "first", "last", "most-events"])


def planned(events: list[dict[str, Any]], **arguments: Any) -> migration.Migration:
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        file.write(b'{"event": "View", "properties": {"distinct_id": ""}}\n' + ndjson(events))
        file.flush()
        migrated = migration.plan(file.name, **arguments)
        written = [json.loads(json.dumps(event)) for event in migrated.events()]
    migrated.events = lambda *_: iter(written)  # type: ignore[method-assign]  # The file is gone.
    return migrated


def people_of(resolver: Any, known: Any) -> dict[str, str]:
    return {each: resolver.resolve(each) for each in known}


@settings(deadline=None, max_examples=300)
@given(events=histories, policy=original, rule=rules, ambiguous=ways)
def test_simplified_shows_the_people_of_the_plan(
    events: list[dict[str, Any]], policy: Policy, rule: Any, ambiguous: Any
) -> None:
    migrated = planned(events, policy=policy, user_id=rule, ambiguous=ambiguous)
    written = [*migrated.associations(), *migrated.events()]
    rows = [row for row in migrated.mapping() if row.migrated_id is not None]
    for make in (Resolver, reference.Resolver):
        resolver: Any = make(Policy.simplified(), "identified")
        outcomes = Counter(
            outcome.name for event in written if (outcome := resolver.apply(event)) is not None
        )
        assert {*outcomes} <= {"MERGED", "UNCHANGED"}, "no link is refused"
        assert outcomes["MERGED"] == sum(1 for _ in migrated.associations())
        people = {row.migrated_id: row.person for row in rows}
        assert people_of(resolver, people) == people
        assert {*resolver.mapping().to_pydict()["distinct_id"]} <= {*people} if make is Resolver else True


@settings(deadline=None, max_examples=200)
@given(events=histories, policy=original, rule=rules, ambiguous=ways)
def test_each_event_is_shown_under_the_person_of_the_id_that_was_sent(
    events: list[dict[str, Any]], policy: Policy, rule: Any, ambiguous: Any
) -> None:
    migrated = planned(events, policy=policy, user_id=rule, ambiguous=ambiguous)
    resolver = Resolver(Policy.simplified(), "identified")
    resolver.apply_events([*migrated.associations(), *migrated.events()])
    before = Resolver(policy)
    before.apply_events(events)
    senders = [sender for event in events if (sender := _sender(event, policy)) != "a link"]
    written = list(migrated.events())[1:]
    assert len(written) == len(senders)
    for sender, event in zip(senders, written, strict=True):
        own = sender_of(event, "simplified")
        found = None if own is None or own not in resolver else resolver.resolve(own)
        assert found == (None if sender is None else migrated.person(sender))


def _sender(event: dict[str, Any], policy: Policy) -> str | None:
    """Return the ID under which an event was sent, by the reference; None if it is nobody's."""
    judge = reference.Resolver(policy)
    if judge.apply(event) is not None:
        return "a link"
    known = [each for each in _texts(event) if each in judge]
    properties = event.get("properties") or {}
    before = properties.get("$distinct_id_before_identity")
    if len(known) == 2 and str(before) in known:
        return str(before)
    return known[0] if known else None


def _texts(event: dict[str, Any]) -> list[str]:
    properties = event.get("properties") or {}
    keys = ("distinct_id", "$distinct_id_before_identity", "mp_original_distinct_id")
    values = [properties[key] for key in keys if key in properties]
    texts = [
        str(int(value)) if isinstance(value, float) and value == value // 1 else str(value)
        for value in values
        if not isinstance(value, bool)
        and not (isinstance(value, float) and value != value)  # noqa: PLR0124
        and value not in (float("inf"), float("-inf"))
    ]
    return list(dict.fromkeys(texts))


@settings(deadline=None, max_examples=200)
@given(events=histories, policy=original)
def test_original_is_parted_only_where_simplified_cannot_join(
    events: list[dict[str, Any]], policy: Policy
) -> None:
    migrated = planned(events, policy=policy)
    before = Resolver(policy)
    before.apply_events(events)
    known = {row.distinct_id for row in migrated.mapping()} - {None}
    assert known == {*before.mapping().to_pydict()["distinct_id"]}
    people: dict[str, set[str | None]] = defaultdict(set)
    for each in known:
        people[before.resolve(str(each))].add(migrated.person(str(each)))
    report = migrated.report
    if not report.ambiguous and not report.anonymous_only and not report.lost_ids and not report.taken_ids:
        assert all(len(each) == 1 for each in people.values())
        assert report.recovery == report.recovery_of_ids == 1


@settings(deadline=None, max_examples=200)
@given(events=histories, policy=original)
def test_a_cluster_of_original_with_one_user_is_never_parted(
    events: list[dict[str, Any]], policy: Policy
) -> None:
    migrated = planned(events, policy=policy, user_id="ana|ben|cem")
    before = Resolver(policy)
    before.apply_events(events)
    rows = {row.distinct_id: row for row in migrated.mapping() if row.migrated_id is not None}
    for _, members in before.clusters():
        users = {"ana", "ben", "cem"} & {*members}
        if len(users) == 1 and not migrated.report.taken_ids:
            assert {rows[each].person for each in members if each in rows} == users


@settings(deadline=None, max_examples=100)
@given(events=histories)
def test_a_directory_holds_what_was_planned(events: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        path, new = Path(place, "e.ndjson"), Path(place, "new")
        path.write_bytes(b'{"event": "View", "properties": {"distinct_id": "ana"}}\n' + ndjson(events))
        migrated = migration.plan(path)
        migrated.write(new)
        verdict = migration.verify(str(new))
        assert verdict, verdict.differences
        read_back = [
            event for batch in read(new / "events.ndjson", api="simplified") for event in batch.events
        ]
        assert read_back == [json.loads(json.dumps(event)) for event in migrated.events()]


def test_a_second_migration_changes_nothing() -> None:
    events = [
        {"event": "View", "properties": {"distinct_id": D1, "time": 1}},
        {"event": "$identify", "properties": {"distinct_id": "ana", "$anon_distinct_id": D1, "time": 2}},
        {"event": "View", "properties": {"distinct_id": "ana", "time": 3}},
    ]
    first = planned(events)
    second = planned([*first.associations(), *first.events()])
    assert second.report.links == 0
    assert second.person(f"$device:{D1}") == first.person(D1) == "ana"
