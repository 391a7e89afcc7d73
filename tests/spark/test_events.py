"""`idmerge.spark.links` and `stitch`: links and canonical IDs of tables of every shape."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import idmerge
from idmerge import Kind, Policy, Resolver
from idmerge._steps import EVIDENCE, code_of
from idmerge.errors import ColumnError, MalformedEventError
from idmerge.events import SENT_ID, VERDICTS, ids_of, operand_names, parse
from idmerge.policy import is_unicode
from idmerge.testing import events as shop
from spark_session import SKIPPED_WARNINGS, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.filterwarnings(text) for text in SKIPPED_WARNINGS]

DEVICE = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
NAMES = list(dict.fromkeys(["distinct_id", SENT_ID, *operand_names()]))
SHOP_NAMES = [name for name in NAMES if name not in VERDICTS]


@pytest.fixture
def spark() -> SparkSession:
    return session()


def odd_events() -> list[Any]:
    """Events of any form, well-formed or not."""
    draw = random.Random(4)
    names = ["$identify", "$create_alias", "$merge", "Page View", None, 7]
    keys = ["distinct_id", "$anon_id", "$anon_distinct_id", "$identified_id", "alias", "$device_id"]
    keys += [SENT_ID, *VERDICTS]
    values = [DEVICE, "U1", "U2", "null", "", 12, 1.5, None, True, ["U1"], "\ud800", {"a": 1}]
    events: list[Any] = []
    for _ in range(400):
        properties: Any = {key: draw.choice(values) for key in draw.sample(keys, draw.randint(0, 6))}
        if draw.random() < 0.3:
            properties["$distinct_ids"] = draw.choice([["U1", "U2"], ["U1"], ["U3", 4], "U1", None])
        events.append({"event": draw.choice(names), "properties": draw.choice([properties] * 9 + [None])})
    refused = {"alias": "A1", "distinct_id": "U1", VERDICTS[0]: "errAliasAlreadyExists"}
    return [*events, {"event": "$create_alias", "properties": refused}, {"event": "x"}, {}]


def said(event: Any) -> tuple[int, str, str] | None:
    """The statement of an event, in words of the columns."""
    try:
        link = parse(event)
    except MalformedEventError:
        return None
    own, sent = ids_of(event)
    if link is not None:
        step = code_of(link.kind, link.source, link.refused), link.first, link.second
    else:
        is_evidence = sent is not None and is_unicode(sent)
        step = (EVIDENCE, own, sent) if is_evidence else (Kind.MERGE, own, own)
    return None if not all(isinstance(i, int) or (i and is_unicode(i)) or i == "" for i in step) else step  # type: ignore[return-value]


def test_lines_of_json_state_what_parse_says(spark: SparkSession) -> None:
    from idmerge.spark import links

    events = odd_events()
    lines = [json.dumps(event) for event in events]
    lines += ["", "no JSON", "[1]", '{"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]']
    frame = spark.createDataFrame(list(enumerate(lines)), "at long, value string").repartition(3)
    found = {row.at: (row.kind, row.first, row.second) for row in links(frame, order="at").collect()}
    expected = {at: said(event) for at, event in enumerate(events)}
    assert found == {at: step for at, step in expected.items() if step is not None}
    assert {kind for kind, _, _ in found.values()} == {0, 1, 2, 9, 10, 11, EVIDENCE}


def columns_of(events: list[dict[str, Any]]) -> pa.Table:
    rows = [
        {"at": at, "event": event["event"], **{name: event["properties"].get(name) for name in SHOP_NAMES}}
        for at, event in enumerate(events)
    ]
    return pa.Table.from_pylist(rows)


def nested(events: list[dict[str, Any]], make: Callable[[dict[str, Any]], Any], kind: Any) -> pa.Table:
    properties = [make({name: event["properties"].get(name) for name in SHOP_NAMES}) for event in events]
    return pa.table(
        {
            "at": range(len(events)),
            "event": [event["event"] for event in events],
            "properties": pa.array(properties, kind),
        }
    )


def as_map(properties: dict[str, Any]) -> list[tuple[str, str]]:
    texts = {name: json.dumps(v) if isinstance(v, list) else v for name, v in properties.items()}
    return [(name, value) for name, value in texts.items() if value is not None]


@pytest.mark.parametrize("form", ["columns", "struct", "map", "JSON"])
def test_events_are_stitched_as_on_one_machine(spark: SparkSession, form: str) -> None:
    from idmerge.spark import stitch

    events = list(shop(300, seed=3))
    if form == "columns":
        table = columns_of(events)
    elif form == "struct":
        table = nested(events, dict, None)
    elif form == "map":
        table = nested(events, as_map, pa.map_(pa.string(), pa.string()))
    else:
        table = nested(events, json.dumps, pa.string())
    expected = idmerge.stitch(table, policy=Policy(max_cluster_size=4), canonical="identified")
    frame: DataFrame = spark.createDataFrame(table).repartition(3)
    stitched = stitch(
        frame, order="at", policy=Policy(max_cluster_size=4), canonical="identified", components="stars"
    )
    on_one_machine = list(expected.column_names)
    if form in {"map", "JSON"}:
        on_one_machine.remove("time")  # It stays among the properties.
    assert stitched.columns == on_one_machine
    ids = ["at", "distinct_id", "$distinct_id_before_identity"]
    found = sorted(map(tuple, stitched.select(ids).collect()))
    assert found == [tuple(row.values()) for row in expected.select(ids).to_pylist()]
    assert any(row[1] != row[2] for row in found)


def test_lines_of_json_get_two_columns_from_a_mapping_that_is_there(spark: SparkSession) -> None:
    from idmerge.spark import links, resolve, stitch

    events = [
        {"event": "View", "properties": {"distinct_id": DEVICE, "a.b": "c"}},
        {"event": "$identify", "properties": {"distinct_id": "ana", "$anon_id": DEVICE}},
        {"event": "View", "properties": {"distinct_id": "x", "$distinct_id_before_identity": DEVICE}},
        {"event": "View", "properties": {"distinct_id": "\ud800"}},
        {"event": "View", "properties": {"distinct_id": "null"}},
    ]
    lines = [*map(json.dumps, events), "no JSON"]
    frame = spark.createDataFrame(list(enumerate(lines)), "at long, value string")
    mapping = resolve(links(frame, order="at"), order="at", components="stars")
    stitched = stitch(frame, mapping)
    assert stitched.columns == ["distinct_id", "$distinct_id_before_identity", "at", "value"]
    assert sorted(map(tuple, stitched.collect()), key=lambda row: row[2]) == [
        ("x", DEVICE, 0, lines[0]),
        ("x", "ana", 1, lines[1]),
        ("x", DEVICE, 2, lines[2]),
        (None, None, 3, lines[3]),
        ("null", "null", 4, lines[4]),
        (None, None, 5, lines[5]),
    ]
    resolver = Resolver()
    resolver.apply_events(lines[:-1])
    rows = pa.table(resolver.mapping()).to_pylist()
    assert sorted(map(tuple, mapping.collect())) == sorted(tuple(row.values()) for row in rows)


def test_events_in_no_known_shape_are_refused(spark: SparkSession) -> None:
    from idmerge.spark import links, stitch

    frame = spark.createDataFrame([(1, "x")], "at long, distinct_id string")
    with pytest.raises(ColumnError, match=r"events need the column value .* got at, distinct_id"):
        links(frame, order="at")
    with pytest.raises(ValueError, match="needs a mapping, or the order of the events"):
        stitch(frame)


@pytest.mark.parametrize("form", ["columns", "JSON"])
@pytest.mark.parametrize(
    "policy", [Policy(), Policy(verdicts="ignore", max_cluster_size=3), Policy(evidence=False)]
)
def test_evidence_and_verdicts_count_as_on_one_machine(
    spark: SparkSession, form: str, policy: Policy
) -> None:
    from idmerge.spark import links, resolve

    draw = random.Random(8)
    ids = [*"abcdefgh", "null", "", "x" * 256]
    names = ["distinct_id", SENT_ID, "alias", VERDICTS[0]]
    rows: list[Any] = []
    for _ in range(120):
        values = [draw.choice(ids), draw.choice([*ids, None]), draw.choice(ids), draw.choice([None, "late"])]
        rows.append((draw.choice(["Buy", "Buy", "$create_alias"]), dict(zip(names, values, strict=True))))
    rows.append(("Buy", {"distinct_id": "lone", SENT_ID: "lonely", "alias": "z", VERDICTS[0]: "of nothing"}))
    table: dict[str, Any] = {"at": range(len(rows)), "event": [name for name, _ in rows]}
    if form == "columns":
        table |= {name: [properties[name] for _, properties in rows] for name in names}
    else:
        table["properties"] = [json.dumps(properties) for _, properties in rows]
    frame = spark.createDataFrame(pa.table(table)).repartition(3)
    mapping = resolve(links(frame, order="at"), order="at", policy=policy, components="stars")
    resolver = Resolver(policy)
    resolver.apply_events({"event": name, "properties": properties} for name, properties in rows)
    expected = [tuple(row.values()) for row in pa.table(resolver.mapping()).to_pylist()]
    assert sorted(map(tuple, mapping.collect())) == sorted(expected)
