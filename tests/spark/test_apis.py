"""Spark under each API: the mapping and the IDs that one machine has."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import idmerge
from idmerge import Policy, Resolver
from idmerge.errors import PolicyError
from spark_session import SKIPPED_WARNINGS, session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.filterwarnings(text) for text in SKIPPED_WARNINGS]

POLICIES = {
    "original": Policy(anon_format="any"),
    "simplified": Policy.simplified(),
    "legacy": Policy.legacy(),
}
FIELDS = ["distinct_id", "$device_id", "$user_id", "$distinct_id_before_identity", "alias", "$failure_reason"]
IDS = ["at", "distinct_id", "$distinct_id_before_identity"]


@pytest.fixture
def spark() -> SparkSession:
    return session()


def rows() -> list[dict[str, Any]]:
    """Rows of events with both, one or no ID, prefixes, verbs, verdicts and rewritten IDs."""
    draw = random.Random(7)
    names = ["View", "Log In", "$create_alias", "$identify", "$merge"]
    ids = [None, "", "ana", "ben", "d", "e", "$device:d", "$device:", "crm"]
    made = [{name: draw.choice(ids) for name in FIELDS} for _ in range(250)]
    for row in made:
        row["$failure_reason"] = draw.choice([None, None, None, "errX"])
    return [{"at": at, "event": draw.choice(names), **row} for at, row in enumerate(made)]


def lines_of(stated: list[dict[str, Any]]) -> list[str]:
    inner = [{name: row[name] for name in FIELDS if row[name] is not None} for row in stated]
    pairs = zip(stated, inner, strict=True)
    return [json.dumps({"event": row["event"], "properties": properties}) for row, properties in pairs]


@pytest.mark.parametrize("api", POLICIES)
@pytest.mark.parametrize("form", ["lines", "columns", "texts"])
def test_events_have_the_mapping_and_the_ids_of_one_machine(spark: SparkSession, api: Any, form: str) -> None:
    from idmerge.spark import links, resolve, stitch

    stated, policy = rows(), POLICIES[api]
    lines = lines_of(stated)
    resolver = Resolver(policy)
    resolver.apply_events(lines)
    if form == "columns":
        table = pa.Table.from_pylist(stated)
    elif form == "texts":
        texts = [json.dumps(json.loads(line)["properties"]) for line in lines]
        columns = {name: [row[name] for row in stated] for name in ("at", "event")}
        table = pa.table({**columns, "properties": texts})
    else:
        table = pa.table({"at": range(len(lines)), "value": lines})
    frame = spark.createDataFrame(table).repartition(3)
    mapping = resolve(links(frame, order="at", api=api), order="at", policy=policy, components="stars")
    expected = {tuple(row.values()) for row in pa.table(resolver.mapping()).to_pylist()}
    assert {tuple(row) for row in mapping.collect()} == expected
    assert any(size > 1 for *_, size in expected)
    of_columns = idmerge.stitch(pa.Table.from_pylist(stated), resolver, on_report=lambda _report: None)
    found = stitch(frame, order="at", policy=policy).select(IDS).collect()
    assert sorted(map(tuple, found)) == [tuple(row.values()) for row in of_columns.select(IDS).to_pylist()]
    again = stitch(frame, mapping, api=api).select(IDS).collect()
    assert sorted(map(tuple, again)) == sorted(map(tuple, found))


def test_columns_of_users_and_devices_need_no_distinct_id(spark: SparkSession) -> None:
    from idmerge.spark import stitch

    users = [(0, "View", "d", None), (1, "Log In", "d", "ana"), (2, "Log In", "d", "ben")]
    frame = spark.createDataFrame(users, "at int, event string, device_id string, user_id string")
    found = sorted(map(tuple, stitch(frame, order="at", api="simplified").select(IDS).collect()))
    assert found == [(0, "ana", "$device:d"), (1, "ana", "ana"), (2, "ben", "ben")]


def test_names_of_another_products_events_state_no_links_in_columns(spark: SparkSession) -> None:
    from idmerge.spark import links, stitch

    rows = [(0, "$identify", "d", "ana"), (1, "Paid", "d", None), (2, "$merge", None, "ben")]
    frame = spark.createDataFrame(rows, "at int, event_type string, device_id string, user_id string")
    stated = links(frame, order="at", api="simplified").collect()
    assert sorted(map(tuple, stated)) == [
        (0, 13, "$device:d", "ana"),
        (1, 8, "$device:d", "$device:d"),
        (2, 8, "ben", "ben"),
    ]
    found = stitch(frame, order="at", api="simplified").select("at", "distinct_id").collect()
    assert sorted(map(tuple, found)) == [(0, "ana"), (1, "ana"), (2, "ben")]


def test_links_that_the_api_has_not_are_as_if_never_sent(spark: SparkSession) -> None:
    from idmerge.spark import resolve

    links = [(0, "association", "$device:d", "ana"), (1, "merge", "ana", "ben"), (2, "alias", "b", "c")]
    frame = spark.createDataFrame(links, "at int, kind string, first string, second string")
    for api, known in (
        ("simplified", {"$device:d", "ana"}),
        ("legacy", {"b", "c"}),
        ("original", {"ana", "ben", "b", "c"}),
    ):
        mapping = resolve(frame, order="at", api=api)
        assert {row.distinct_id for row in mapping.collect()} == known, api


def test_a_policy_of_another_api_is_an_error(spark: SparkSession) -> None:
    from idmerge.spark import resolve, stitch

    frame = spark.createDataFrame(
        [(0, "merge", "a", "b")], "at int, kind string, first string, second string"
    )
    with pytest.raises(PolicyError, match="api is 'legacy', and the policy's is 'original'"):
        resolve(frame, order="at", policy=Policy(), api="legacy")
    with pytest.raises(PolicyError, match="api is 'legacy'"):
        stitch(frame, order="at", policy=Policy(), api="legacy")


def test_a_saved_state_keeps_its_api(spark: SparkSession, tmp_path: Any) -> None:
    from idmerge.errors import FullRunError
    from idmerge.spark import resolve

    schema = "at int, kind string, first string, second string"
    first = spark.createDataFrame([(0, "association", "$device:d", "ana")], schema)
    second = spark.createDataFrame([(1, "association", "$device:d", "ben")], schema)
    saved = str(tmp_path / "state")
    resolve(first, order="at", policy=Policy(api="simplified", anon_format="any"), save=saved).collect()
    mapping = resolve(second, order="at", api="simplified", previous=saved)
    found = {row.distinct_id: row.canonical_id for row in mapping.collect()}
    assert found == {"$device:d": "ana", "ana": "ana", "ben": "ben"}
    with pytest.raises(FullRunError):
        resolve(second, order="at", api="legacy", previous=saved)
