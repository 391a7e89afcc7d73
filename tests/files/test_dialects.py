"""Dialects: rows of every known spelling become events of the raw shape (SPEC 11)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from idmerge.errors import DialectError, MalformedEventError
from idmerge.files import BUILT_IN, dialects
from idmerge.files.catalogue import found
from paths import DOCS, ROOT

FIELD = Path(__file__).parents[1] / "data" / "field"
RAW = {
    "event": "$identify",
    "properties": {
        "time": 1704103260,
        "distinct_id": "ana",
        "$anon_distinct_id": "$device:d",
        "$insert_id": "i",
        "$device_id": "d",
        "plan": "free",
    },
}
FIELDS = RAW["properties"]
BARE = {name.removeprefix("$"): value for name, value in FIELDS.items()}
SPELT = {
    "mixpanel": RAW,
    "pipeline": {"event_name": "$identify", **BARE},
    "connector": {"name": "$identify", **BARE},
    "flat": {"event": "$identify", **FIELDS},
    "warehouse": {
        "EVENT_NAME": "$identify",
        "PROPERTIES": '{"plan": "free"}',
        **{name.upper(): value for name, value in BARE.items() if name != "plan"},
    },
    "singer": {
        "type": "RECORD",
        "record": {
            "event": "$identify",
            **{name.replace("$", "mp_reserved_"): value for name, value in FIELDS.items()},
        },
    },
}


@pytest.mark.parametrize("name", SPELT)
def test_a_spelling_is_recognised_and_becomes_the_raw_shape(name: str) -> None:
    row = SPELT[name]
    dialect = found(row, row.get)
    assert dialect is not None
    assert dialect.name == name
    event = dialect.event_of(row["record"] if dialect.record else row)
    assert event["event"] == RAW["event"]
    assert event["properties"] == RAW["properties"]


def test_properties_that_are_json_text_are_read() -> None:
    row = {"event": "A", "properties": json.dumps(FIELDS)}
    assert dialects.MIXPANEL.event_of(row) == {"event": "A", "properties": FIELDS}


def test_a_field_beside_the_name_counts_before_a_property_and_its_null_does_not() -> None:
    row = {
        "event_name": "A",
        "distinct_id": "a",
        "user_id": None,
        "properties": {"distinct_id": "b", "$user_id": "u"},
    }
    event = dialects.PIPELINE.event_of(row)
    assert event["properties"] == {"distinct_id": "a", "$user_id": "u"}


def test_the_raw_spelling_counts_before_another_whatever_their_order() -> None:
    for row in (
        {"event": "A", "$insert_id": "raw", "insert_id": "x"},
        {"event": "A", "insert_id": "x", "$insert_id": "raw"},
    ):
        assert dialects.FLAT.event_of(row)["properties"] == {"$insert_id": "raw", "insert_id": "x"}


def test_an_object_without_the_name_of_an_event_is_refused_with_its_keys() -> None:
    with pytest.raises(MalformedEventError, match=r"event_name.*'action'"):
        dialects.PIPELINE.event_of({"action": "A"})


@pytest.mark.rule("11.found")
def test_a_column_with_two_roles_is_an_error() -> None:
    for dialect in (dialects.FLAT, BUILT_IN["segment"]):
        with pytest.raises(DialectError, match="'uid' is given two roles; .* leave user_id out"):
            dialect.with_columns({"distinct_id": "uid", "user_id": "uid"})


def test_roles_given_by_the_caller_count_before_the_known_spellings() -> None:
    columns = {"event": "action", "distinct_id": "user_id", "time": "at"}
    dialect = dialects.FLAT.with_columns(columns)
    event = dialect.event_of({"action": "A", "user_id": "ana", "at": 1, "insert_id": "i"})
    assert event == {"event": "A", "properties": {"distinct_id": "ana", "time": 1, "$insert_id": "i"}}
    with pytest.raises(DialectError, match="'who' is no role"):
        dialects.FLAT.with_columns({"who": "x"})


def test_keys_of_no_dialect_are_none() -> None:
    assert found(("anonymous_id", "user_id")) is None
    assert found(()) is None


def test_mappings_and_people_are_told_from_events() -> None:
    assert found(("distinct_id", "resolved_distinct_id")) is dialects.MAPPINGS
    for name in ("engage.ndjson", "mp_people_data.ndjson"):
        row = json.loads((FIELD / name).read_text().splitlines()[0])
        assert found(row, row.get) is dialects.PEOPLE
    assert found((FIELD / "people.csv").read_text().splitlines()[0].split(",")) is dialects.PEOPLE
    assert found(("DISTINCT_ID", "PROPERTIES")) is dialects.PEOPLE
    assert found(("DISTINCT_ID", "RESOLVED_DISTINCT_ID")) is dialects.MAPPINGS
    assert found(("DISTINCT_ID", "PROPERTIES", "EVENT_NAME", "TIME")) is dialects.WAREHOUSE


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mp_master_event.ndjson", "pipeline"),
        ("singer_flat.ndjson", "flat"),
        ("props_text.ndjson", "mixpanel"),
        ("order.ndjson", "mixpanel"),
        ("ids.ndjson", "mixpanel"),
    ],
)
def test_files_of_the_field_are_recognised(file: str, name: str) -> None:
    row = json.loads((FIELD / file).read_text().splitlines()[0])
    dialect = found(row, row.get)
    assert dialect is not None
    assert dialect.name == name


def test_the_specification_lists_every_dialect() -> None:
    section = (DOCS / "SPEC.md").read_text("utf-8").partition("## 11. ")[2]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(BUILT_IN)


def test_each_shape_of_the_page_on_data_has_its_test() -> None:
    rows = re.findall(
        r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)", (DOCS / "your-data.md").read_text("utf-8")
    )
    assert len(rows) > 8
    for test, path in rows:
        assert f"def {test}(" in (ROOT / path).read_text("utf-8"), test
