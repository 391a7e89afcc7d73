"""Findings of the doctor in files of the shapes that people have, and in journals that forgot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from idmerge import DurableResolver, Policy
from idmerge.doctor import Diagnosis, Finding, Severity, examine, examine_journal
from idmerge.doctor.placeholders import is_placeholder
from paths import DATA

FIELD = DATA / "field"
DEVICE = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"


def device(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


D1, D2, D3 = device(1), device(2), device(3)


def found_in(name: str) -> dict[str, Finding]:
    return {finding.code: finding for finding in examine(FIELD / name).findings}


def found_of(path: Path, events: list[tuple[str, dict[str, Any]]]) -> dict[str, Finding]:
    lines = [
        json.dumps(
            {"event": name, "properties": {"time": 1_704_103_200, "$insert_id": str(row)} | properties}
        )
        for row, (name, properties) in enumerate(events)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return {finding.code: finding for finding in examine(path).findings}


def merge(first: str, second: str) -> tuple[str, dict[str, Any]]:
    return "$merge", {"$distinct_ids": [first, second]}


def identify(anonymous: str, user: str) -> tuple[str, dict[str, Any]]:
    return "$identify", {"$anon_id": anonymous, "$identified_id": user}


@pytest.mark.parametrize(
    ("name", "users", "ids"),
    [
        ("rudder.ndjson", 4, (DEVICE, "1@abc.example", "111", "2@abc.example")),
        ("alias_shared.ndjson", 2, ("0B0F7D52-55A8-4BE5-A1F0-67C1C7A7A1F2", "101", "102")),
    ],
)
def test_users_that_one_device_fused_are_an_error(name: str, users: int, ids: tuple[str, ...]) -> None:
    finding = found_in(name)["fused-users"]
    assert (finding.severity, finding.count, finding.links) == (Severity.ERROR, users, users)
    assert finding.examples[0].ids == ids
    assert f"{users} users became one person" in finding.examples[0].note
    assert finding.examples[0].line in {2, 4}  # The link that brought the second user.
    assert finding.share is not None
    assert finding.share > 0


def test_a_device_is_known_as_one_by_the_events_that_name_it(tmp_path: Path) -> None:
    stated = [merge("hw-77", "ada"), merge("hw-77", "ben")]
    assert "fused-users" not in found_of(tmp_path / "a.ndjson", stated)
    named = [*stated, ("View", {"distinct_id": "ada", "$device_id": "hw-77", "$user_id": "ada"})]
    assert found_of(tmp_path / "b.ndjson", named)["fused-users"].count == 2


def test_users_whose_ids_are_uuids_share_a_device_all_the_same(tmp_path: Path) -> None:
    stated = [identify(f"$device:{D1}", device(8)), identify(f"$device:{D1}", device(9))]
    found = found_of(tmp_path / "f.ndjson", stated)
    assert "shared-device" in found
    assert "anonymous-claim" not in found
    found = found_of(
        tmp_path / "g.ndjson", [merge(f"$device:{D1}", device(8)), merge(f"$device:{D1}", device(9))]
    )
    assert "fused-users" not in found  # Any of the three may be the device's.
    named = [("View", {"distinct_id": user, "$user_id": user}) for user in (device(8), device(9))]
    found = found_of(
        tmp_path / "h.ndjson",
        [*named, merge(f"$device:{D1}", device(8)), merge(f"$device:{D1}", device(9))],
    )
    assert found["fused-users"].count == 2


@pytest.mark.parametrize("order", [(device(9), "ana"), ("ana", device(9)), ("ana", f"$device:{D3}")])
def test_a_claim_by_an_anonymous_id_accuses_no_shared_device(order: tuple[str, str], tmp_path: Path) -> None:
    stated = [*(identify(D1, user) for user in order), identify(D2, "ben")]
    found = found_of(tmp_path / "f.ndjson", stated)
    assert "shared-device" not in found
    finding = found["anonymous-claim"]
    assert (finding.count, finding.links) == (1, 1)
    assert finding.examples[0].ids == (D1, *order)


PLACEHOLDERS = [
    *("[object Object]", "nan", "NaN", "<NA>", "(null)", "'undefined'", " null", "guest", "distinct_id"),
    *('"null"', "None ", "$device:nan", "NULL\n", "undefined_undefined", "[null]", "#N/A", "NaT", "b'null'"),
    *(
        "user_id",
        "$user_id",
        "User ID",
        "{{user.id}}",
        "${userId}",
        "%USER_ID%",
        "%s",
        "<%= id %>",
        "-",
        '""',
    ),
    *("0.0", "-1.0", "0" * 32, "ffffffff-ffff-ffff-ffff-ffffffffffff", "Not Set", "(not set)", "visitor"),
]
IDS = [
    "ana",
    "0x1",
    "101",
    "101.0",
    " 366 ",
    "ben@null.example",
    "nancy",
    "guest-1",
    "user_1",
    "None-1",
    "x",
    "%a",
]
IDS += [DEVICE, f"$device:{DEVICE}", "deadbeef", "10000000-0000-0000-0000-000000000000", "Ünal", "中文", "😀"]


def test_placeholders_are_known_in_whatever_dress_and_ids_are_left_alone(tmp_path: Path) -> None:
    assert [text for text in PLACEHOLDERS if not is_placeholder(text)] == []
    assert [text for text in IDS if is_placeholder(text)] == []
    found = found_of(tmp_path / "f.ndjson", [("View", {"distinct_id": text}) for text in PLACEHOLDERS + IDS])
    assert found["placeholder-id"].count == len(PLACEHOLDERS)
    assert found["placeholder-id"].severity is Severity.WARNING


def test_a_placeholder_is_warned_of_and_not_blocked(tmp_path: Path) -> None:
    finding = found_of(tmp_path / "f.ndjson", [identify(D1, "guest"), identify(D2, "guest")])[
        "placeholder-id"
    ]
    assert finding.links == 2
    assert finding.examples[0].ids == ("guest",)
    assert finding.examples[0].note == "in one cluster with 2 other IDs; sent by 0 events"


def test_an_id_of_another_type_is_kept_in_the_finding() -> None:
    found = found_in("ids.ndjson")
    notes = [example.note for example in found["odd-id"].examples]
    assert "distinct_id is {'$oid': '63eeff7715a42d0d5c99dc66'}" in notes
    assert found["odd-id"].examples[-1].line is not None
    assert "no-distinct-id" not in found
    assert found["float-id"].examples[0].ids == ("366.0", "366")
    assert {"placeholder-id", "look-alike-ids"} < set(found)
    assert found["placeholder-id"].count == 2


def test_a_number_that_is_none_is_a_missing_id_and_no_odd_one(tmp_path: Path) -> None:
    ids: list[Any] = [{"a": 1}, float("nan"), float("inf"), "ana"]
    found = found_of(tmp_path / "f.ndjson", [("A", {"distinct_id": value}) for value in ids])
    assert (found["odd-id"].count, found["no-distinct-id"].count) == (2, 1)


def test_the_value_of_an_operand_that_is_no_id_is_kept_in_the_finding(tmp_path: Path) -> None:
    stated = [("$identify", {"$anon_id": D1, "$identified_id": {"$oid": "63ee"}})]
    finding = found_of(tmp_path / "f.ndjson", stated)["malformed-event"]
    assert "got {'$oid': '63ee'}" in finding.examples[0].note


def test_times_that_cannot_be_read_are_shown_with_their_values(tmp_path: Path) -> None:
    times: list[Any] = [1_704_103_200, "2024-01-01 10:00:00", "soon", [1], 10**15, None, "1704103200"]
    found = found_of(tmp_path / "f.ndjson", [("A", {"distinct_id": "ana", "time": time}) for time in times])
    finding = found["unreadable-time"]
    assert finding.count == finding.events
    shown = {example.line: example.note for example in finding.examples}
    assert shown[3] == "time is 'soon'"
    assert shown[4] == "time is [1]"
    assert not {1, 2, 6, 7} & set(shown)


def test_an_order_that_runs_backwards_is_found() -> None:
    finding = found_in("order.ndjson")["backward-order"]
    assert (finding.severity, finding.count) == (Severity.WARNING, 2)
    assert "mp_processing_time_ms 2024-01-01 10:00:05.000Z" in finding.examples[0].note
    assert "--sort" in finding.change


def test_each_clock_is_compared_with_itself_alone(tmp_path: Path) -> None:
    rows = [{"mp_processing_time_ms": 2000, "$mp_api_timestamp_ms": 1000}, {"$mp_api_timestamp_ms": 1500}]
    rows += [{"mp_processing_time_ms": "2500"}, {}, {"$mp_api_timestamp_ms": 1600.0}]
    events = [("A", {"distinct_id": "ana", **row}) for row in rows]
    assert "backward-order" not in found_of(tmp_path / "f.ndjson", events)
    events += [("A", {"distinct_id": "ana", "$mp_api_timestamp_ms": 1599})]
    assert found_of(tmp_path / "f.ndjson", events)["backward-order"].count == 1


def test_local_times_are_found_with_their_distance_from_utc() -> None:
    finding = found_in("ist.ndjson")["time-zone"]
    assert "+05:30" in finding.title
    assert finding.examples[0].ids == ("ana",)
    assert "--timezone" in finding.change


@pytest.mark.parametrize(("hours", "zone"), [(-8, "-08:00"), (5.75, "+05:45"), (14, "+14:00")])
def test_a_zone_is_told_from_events_that_came_late(hours: float, zone: str, tmp_path: Path) -> None:
    now = 1_704_103_200
    delays = [1, 20, 170, 5000, -30]  # Seconds until the receipt; clocks differ.
    events = [
        ("A", {"time": now + int(hours * 3600) - delay + step, "$mp_api_timestamp_ms": (now + step) * 1000})
        for step in range(0, 20 * 37, 37)
        for delay in delays
    ]
    finding = found_of(tmp_path / "f.ndjson", events)["time-zone"]
    assert (finding.count, finding.share) == (80, 0.8)
    assert f"({zone} of 80)" in finding.title


def test_imports_of_old_events_are_in_no_zone(tmp_path: Path) -> None:
    now = 1_704_103_200
    events = [("A", {"time": now - 86_400 * day, "$mp_api_timestamp_ms": now * 1000}) for day in range(9)]
    assert "time-zone" not in found_of(tmp_path / "f.ndjson", events)


def test_a_project_on_simplified_id_merge_is_found_and_not_blamed_for_its_users() -> None:
    found = found_in("simplified.ndjson")
    assert set(found) == {"simplified"}
    assert (found["simplified"].count, found["simplified"].examples[0].ids) == (2, ("ana",))


@pytest.mark.parametrize("anon_format", ["mixpanel", "uuid4"])
def test_old_web_ids_get_no_advice_that_cannot_be_followed(anon_format: Any) -> None:
    policy = Policy(anon_format=anon_format)
    found = {
        finding.code: finding for finding in examine(FIELD / "old_web_ids.ndjson", policy=policy).findings
    }
    assert (found["old-web-id"].count, found["old-web-id"].severity) == (3, Severity.NOTE)
    assert ("anon-format" in found) == (anon_format == "uuid4")
    assert all("update them" not in finding.change for finding in found.values())
    if anon_format == "uuid4":
        assert "3 more links would be accepted" in found["anon-format"].title
        assert 'anon_format="mixpanel"' in found["anon-format"].title


@pytest.mark.parametrize("verdicts", ["respect", "ignore"])
def test_a_verdict_that_differs_is_found_under_either_switch(verdicts: Any) -> None:
    diagnosis = examine(FIELD / "failure_reason.ndjson", policy=Policy(verdicts=verdicts))
    (finding,) = (finding for finding in diagnosis.findings if finding.code == "verdicts-differ")
    assert (finding.count, finding.links) == (1, 1)
    assert finding.examples[0].ids == (DEVICE, "ben")
    assert finding.examples[0].line == 2
    assert "refused by Mixpanel with errAnonDistinctIdAssignedAlready" in finding.examples[0].note


SECRETS = ("secret-bob", "secret-ann", "secret-guest")


def _secrets_in(diagnosis: Diagnosis) -> list[str]:
    told = diagnosis.text() + json.dumps(diagnosis.to_dict()) + diagnosis.html()
    return [secret for secret in SECRETS if secret in told]


@pytest.mark.parametrize("how", ["committed", "checkpoint", "compact"])
def test_a_journal_names_nothing_that_was_forgotten_in_any_finding(how: str, tmp_path: Path) -> None:
    path = tmp_path / "ids.idmerge"
    bob, ann, guest = SECRETS
    with DurableResolver.open(path, Policy(max_cluster_size=4)) as resolver:
        resolver.identify(D1, bob)
        resolver.identify(D1, ann)  # A shared device.
        resolver.merge(bob, D2)  # Fused users.
        resolver.merge(guest, D2)
        resolver.merge(guest, D3)  # Too many IDs.
        resolver.identify("visitor-1", bob)  # Another format.
        resolver.identify(bob, bob)
        resolver.alias(ann, "zed")
        resolver.alias(ann, D3)
        resolver.observe(f"{bob} ")
        resolver.commit()
        assert set(_secrets_in(examine_journal(path))) == set(SECRETS)
        for secret in (*SECRETS, f"{bob} "):
            resolver.forget(secret)
        resolver.commit()
        if how != "committed":
            getattr(resolver, how)()
        resolver.identify(device(4), "eve")
        resolver.commit()
    diagnosis = examine_journal(path)
    assert len(diagnosis.findings) > 3
    assert _secrets_in(diagnosis) == []
