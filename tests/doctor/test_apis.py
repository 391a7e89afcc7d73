"""The doctor under Simplified ID Merge and legacy aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import DurableResolver, reference
from idmerge.doctor import Diagnosis, Severity, examine, examine_journal
from sent_events import D1, Event, by_code, examined, send
from strategies import events as any_events

if TYPE_CHECKING:
    from pathlib import Path


def both(user: str, device_id: str, **properties: Any) -> Event:
    return send("Log In", __user_id=user, __device_id=device_id, **properties)


SIMPLIFIED = [send("View", __device_id="d"), both("ana", "d"), send("View", __user_id="ana")]


def codes(diagnosis: Diagnosis) -> set[str]:
    return set(by_code(diagnosis))


def test_a_sound_project_on_simplified_id_merge_has_no_finding(tmp_path: Path) -> None:
    diagnosis = examined(tmp_path / "e.ndjson", SIMPLIFIED, api="simplified")
    assert diagnosis.findings == ()
    assert (diagnosis.overview.links, diagnosis.overview.clusters) == (1, 1)
    assert "simplified" in codes(examined(tmp_path / "e.ndjson", SIMPLIFIED))


def test_a_verb_under_simplified_id_merge_is_found_alone(tmp_path: Path) -> None:
    verbs = [send.identify(D1, "ana"), send.merge("ana", "ben"), send.alias("crm", "ana"), send("$identify")]
    diagnosis = examined(tmp_path / "e.ndjson", [*SIMPLIFIED, *verbs], api="simplified")
    assert codes(diagnosis) == {"verb-not-allowed"}
    (finding,) = diagnosis.findings
    assert (finding.severity, finding.count, finding.links) == (Severity.ERROR, 4, 4)
    assert "alias 1, identify 2, merge 1" in finding.title
    assert "$device_id" in finding.change


def test_devices_of_several_users_are_found_under_simplified_id_merge(tmp_path: Path) -> None:
    storm = [both("zoe", f"z{number}") for number in range(25)]
    stated = [*SIMPLIFIED, both("ben", "d"), send("View", __user_id="eva"), *storm]
    found = by_code(examined(tmp_path / "e.ndjson", stated, api="simplified"))
    assert set(found) == {"shared-device", "no-anonymous-history", "reset-storm"}
    assert found["shared-device"].examples[0].ids == ("$device:d", "ben")
    assert "1 event of a device and a user of 1 further user" in found["shared-device"].examples[0].note
    assert found["no-anonymous-history"].count == 2
    assert found["reset-storm"].examples[0].ids == ("zoe",)


def test_an_event_of_a_user_lacks_no_distinct_id_under_simplified_id_merge(tmp_path: Path) -> None:
    stated = [
        *SIMPLIFIED,
        send("View", __user_id="ana", distinct_id=True),
        send("View", distinct_id=[1]),
        send("View"),
    ]
    found = by_code(examined(tmp_path / "e.ndjson", stated, api="simplified"))
    assert (found["odd-id"].count, found["no-distinct-id"].count) == (1, 1)


def test_aliases_alone_link_under_legacy(tmp_path: Path) -> None:
    stated = [send.view("ana"), send.alias("crm", "ana"), send.alias("crm", "ben"), send.identify(D1, "ana")]
    diagnosis = examined(tmp_path / "e.ndjson", stated, api="legacy")
    assert (diagnosis.overview.links, "alias-taken" in codes(diagnosis)) == (2, True)


@pytest.mark.parametrize("api", ["simplified", "legacy"])
@given(stated=st.lists(any_events, max_size=12))
@settings(max_examples=40)
def test_the_overview_under_each_api_is_the_reference_s(
    api: Any, tmp_path_factory: pytest.TempPathFactory, stated: list[Event]
) -> None:
    expected = reference.Resolver(api=api)
    expected.apply_events(stated)
    diagnosis = examined(tmp_path_factory.mktemp("doctor") / "e.ndjson", stated, api=api, dialect="mixpanel")
    stats = expected.stats()
    assert diagnosis.overview.cluster_sizes == stats.cluster_sizes
    assert diagnosis.overview.outcomes == {one.name: count for one, count in stats.outcomes.items() if count}


def test_a_journal_and_a_table_are_examined_by_their_api(tmp_path: Path) -> None:
    with DurableResolver.open(tmp_path / "j.idmerge", api="simplified") as r:
        r.apply_events([*SIMPLIFIED, both("ben", "d"), send.merge("a", "b")])
        r.commit()
    found = by_code(examine_journal(tmp_path / "j.idmerge"))
    assert {"shared-device", "verb-not-allowed"} <= set(found)
    table = tmp_path / "e.csv"
    table.write_text(
        "event,time,insert_id,user_id,device_id\nView,1,a,,d\nLog In,2,b,ana,d\nLog In,3,c,ben,d\n"
    )
    assert codes(examine(table, api="simplified")) == {"shared-device", "no-anonymous-history"}


@pytest.mark.rule("11.columns")
def test_names_of_another_products_events_in_columns_are_no_links(tmp_path: Path) -> None:
    names = ["$identify", "Paid", "$merge"]
    columns = {"event_type": names, "device_id": ["d", "d", None], "user_id": ["ana", None, "ben"]}
    pq.write_table(pa.table({**columns, "event_time": ["2024-05-02 10:00:00"] * 3}), tmp_path / "t.parquet")
    diagnosis = examine(tmp_path / "t.parquet", api="simplified")
    assert (diagnosis.overview.events, diagnosis.overview.links) == (3, 1)
    assert "verb-not-allowed" not in codes(diagnosis)
