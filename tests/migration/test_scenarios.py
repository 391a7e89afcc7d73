"""Migrations of small Original projects: the people whom Simplified shows afterwards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from command_line import ndjson
from idmerge import Policy, migration, stitch
from migration_scenarios import SCENARIOS, Event, exported

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from migration_scenarios import Scenario

POLICY = Policy(max_cluster_size=501)
RULES: dict[str, Any] = {"as identified": None, "of digits": r"[0-9]+"}
rules = pytest.mark.parametrize("user_id", RULES.values(), ids=[*RULES])
shapes = pytest.mark.parametrize("shape", [list, exported], ids=["as sent", "exported"])


def unique_users(path: Path | list[Path], policy: Policy) -> int:
    """Return the number of unique users, by the stitched ordinary events."""
    table = pa.table(
        stitch([str(each) for each in (path if isinstance(path, list) else [path])], policy=policy)
    )
    is_ordinary = [not (name or "").startswith("$") for name in table["event"].to_pylist()]
    people = table["distinct_id"].to_pylist()
    return len({person for person, counts in zip(people, is_ordinary, strict=True) if counts})


@rules
@shapes
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=[*SCENARIOS])
def test_unique_users_before_and_after(
    scenario: Scenario, shape: Callable[[list[Event]], list[Event]], user_id: Any, tmp_path: Path
) -> None:
    events, new = tmp_path / "events.ndjson", tmp_path / "new"
    events.write_bytes(ndjson(shape(scenario.events)))
    assert unique_users(events, POLICY) == scenario.original
    migrated = migration.plan(events, policy=POLICY, user_id=user_id)
    migrated.write(new)
    written = [new / "associations.ndjson", new / "events.ndjson"]
    assert unique_users(written, Policy.simplified()) == scenario.simplified
    assert unique_users(written[1:], Policy.simplified()) >= scenario.simplified
    assert migration.verify(str(new))


@rules
@shapes
def test_the_report_on_all_of_them(
    shape: Callable[[list[Event]], list[Event]], user_id: Any, tmp_path: Path
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson([event for each in SCENARIOS.values() for event in shape(each.events)]))
    report = migration.plan(path, policy=POLICY, user_id=user_id).report
    assert (report.clusters, report.resolved, report.anonymous_only) == (13, 12, 1)
    assert (report.associations, report.ambiguous, report.anonymous_ids) == (569, 2, 2)
    assert [example.size for example in report.ambiguous_examples] == [4, 2]
    refused = {each.reason: each for each in report.refused}
    assert {reason: each.links == each.recovered > 0 for reason, each in refused.items()} == {
        "TOO_MANY_IDS": True,
        "ANON_FORMAT": True,
    }
    ordinary = sum(event["event"] == "View" for each in SCENARIOS.values() for event in each.events)
    lost = 1 + 2 + 1  # A device of two, a user with a device, a user of two.
    assert report.recovery == pytest.approx((ordinary - lost) / ordinary)
    joined = 10 + 1  # The devices that a limit kept from their users.
    assert report.changed_events == lost + joined
    assert (report.people_before, report.people_after) == (
        sum(each.original for each in SCENARIOS.values()),
        sum(each.simplified for each in SCENARIOS.values()),
    )


def test_the_default_limit_of_500_ids_leaves_out_one_more(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(SCENARIOS["more devices than Original takes"].events))
    assert unique_users(path, Policy()) == 12
    report = migration.plan(path).report
    assert (report.people_before, report.people_after) == (12, 1)
    assert report.refused == (migration.Refusal(reason="TOO_MANY_IDS", links=11, recovered=11),)


def test_what_is_written_has_no_identity_event_and_each_association_once(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson([event for each in SCENARIOS.values() for event in exported(each.events)]))
    migrated = migration.plan(path, policy=POLICY)
    assert {event["event"] for event in migrated.events()} == {"View"}
    associations = [event["properties"] for event in migrated.associations()]
    pairs = {(each["$device_id"], each["$user_id"]) for each in associations}
    insert_ids = {each["$insert_id"] for each in associations}
    assert len(pairs) == len(insert_ids) == len(associations) == 569
    assert all(re.fullmatch(r"[a-zA-Z0-9-]{1,36}", each) for each in insert_ids)
    assert not any(each["$device_id"].startswith("$device:") for each in associations)
    again = [event["properties"] for event in migration.plan(path, policy=POLICY).associations()]
    assert again == associations
