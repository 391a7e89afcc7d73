"""Facts about Simplified ID Merge that a migration builds on, one by one, by stitched events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from command_line import ndjson
from idmerge import Outcome, Policy, Resolver, stitch
from strategies import D1

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400
DEVICE = {"$device_id": D1}
ANA, BEN = {"$user_id": "ana"}, {"$user_id": "ben"}


def event(properties: dict[str, Any], *, time: int = 0, name: str = "View") -> dict[str, Any]:
    return {"event": name, "properties": {"time": 1_700_000_000 + time, **properties}}


@pytest.fixture
def people(tmp_path: Path) -> Any:
    def shown(*events: dict[str, Any]) -> list[str]:
        path = tmp_path / "e.ndjson"
        path.write_bytes(ndjson(events))
        table = pa.table(stitch(str(path), policy=Policy.simplified(), on_report=lambda _: None))
        found: list[str] = table["distinct_id"].to_pylist()
        return found

    return shown


@pytest.mark.rule("2.verbs")
@pytest.mark.parametrize("name", ["$identify", "$create_alias", "$merge"])
def test_an_identity_event_is_refused(name: str) -> None:
    properties = {"$anon_id": D1, "$identified_id": "ana", "alias": "a", "$distinct_ids": ["a", "b"]}
    resolver = Resolver(Policy.simplified())
    assert resolver.apply(event({**properties, "distinct_id": "ana"}, name=name)) is Outcome.VERB_NOT_ALLOWED
    assert len(resolver) == 0


@pytest.mark.parametrize("name", ["View", "Identity Association", "$any_name"])
def test_an_event_of_any_name_joins_its_device_and_its_user(people: Any, name: str) -> None:
    assert people(event(DEVICE | ANA, name=name), event(DEVICE)) == ["ana", "ana"]


def test_the_earlier_events_of_the_device_follow(people: Any) -> None:
    assert people(event(DEVICE), event(DEVICE | ANA, time=60)) == ["ana", "ana"]


def test_of_two_users_the_first_has_the_device(people: Any) -> None:
    assert people(event(DEVICE | ANA), event(DEVICE | BEN), event(DEVICE)) == ["ana", "ben", "ana"]


def test_the_event_of_the_second_user_stays_the_second_users(people: Any) -> None:
    assert people(event(DEVICE | ANA), event(DEVICE | BEN), event(BEN)) == ["ana", "ben", "ben"]


def test_a_bare_id_with_the_prefix_is_a_device(people: Any) -> None:
    assert people(event({"distinct_id": f"$device:{D1}"}), event(DEVICE | ANA)) == ["ana", "ana"]


def test_a_bare_uuid_is_a_user(people: Any) -> None:
    assert people(event({"distinct_id": D1}), event(DEVICE | ANA)) == [D1, "ana"]


def test_one_prefix_of_a_device_is_stripped(people: Any) -> None:
    prefixed = {"$device_id": f"$device:{D1}"}
    assert people(event(prefixed), event(DEVICE | ANA)) == ["ana", "ana"]


def test_an_association_of_thirty_days_before_joins_all_the_same(people: Any) -> None:
    association = event(DEVICE | ANA, time=-30 * DAY)
    assert people(association, event(DEVICE)) == people(event(DEVICE), association) == ["ana", "ana"]


def test_an_association_that_comes_last_joins_all_the_same(people: Any) -> None:
    assert people(event(DEVICE), event(DEVICE, time=DAY), event(DEVICE | ANA, time=2 * DAY)) == ["ana"] * 3
