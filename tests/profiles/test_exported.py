"""Rows of exported profiles: one profile a person, by every way in (SPEC 11)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pytest
from pyarrow import parquet

from command_line import run
from idmerge import Profiles, Resolver, UpdateOutcome
from idmerge.errors import DialectError, FileFormatError
from idmerge.files import BadLine, read_updates
from paths import DATA

FIELD = DATA / "field"
EVENTS = FIELD / "mp_master_event.ndjson"
DEVICE = "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
PHONE = "$device:0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
ROWS: list[dict[str, Any]] = [
    {"$distinct_id": "ana", "$properties": {"plan": "pro", "n": None}},
    {"$distinct_id": DEVICE, "$properties": {"plan": "free", "os": "iOS", "n": 1}},
    {"$distinct_id": "ben", "$properties": {"plan": "free"}},
]
ANA = {"plan": "pro", "n": None, "os": "iOS"}


def known() -> Resolver:
    resolver = Resolver()
    resolver.identify(DEVICE, "ana")
    return resolver


def read(path: Path, **options: Any) -> Profiles:
    profiles = Profiles(known())
    for piece in read_updates(path, **options):
        assert not isinstance(piece, BadLine)
        assert not profiles.update_many(piece.events).malformed
    return profiles


@pytest.mark.rule("11.rows of people")
@pytest.mark.parametrize("rows", [*permutations(ROWS)])
def test_the_row_of_the_canonical_id_wins_whatever_the_order(rows: tuple[dict[str, Any], ...]) -> None:
    profiles = Profiles(known())
    report = profiles.update_many(rows)
    assert profiles.get("ana") == ANA
    assert profiles.get("ben") == {"plan": "free"}
    assert report.folded == {"ana": 1}
    assert report.outcomes == {UpdateOutcome.APPLIED: 3}
    one_by_one = Profiles(known())
    for row in rows:
        one_by_one.update(json.dumps(row))
    assert one_by_one.get("ana") == ANA


def test_updates_of_other_ids_still_set_what_they_say() -> None:
    profiles = Profiles(known())
    report = profiles.update_many([ROWS[0], {"$distinct_id": DEVICE, "$set": {"plan": "free"}}])
    assert profiles.get("ana") == {"plan": "free", "n": None}
    assert not report.folded


def test_of_rows_of_other_ids_the_first_fills_in() -> None:
    resolver = known()
    resolver.identify(PHONE, "ana")
    profiles = Profiles(resolver)
    report = profiles.update_many(
        [{"$distinct_id": own, "$properties": {"os": own}} for own in (PHONE, DEVICE)]
    )
    assert profiles.get("ana") == {"os": PHONE}
    assert report.folded == {"ana": 2}


def flat(row: dict[str, Any]) -> dict[str, Any]:
    return {"$distinct_id": row["$distinct_id"], **row["$properties"]}


FORMS: dict[str, Any] = {
    "people.ndjson": lambda rows: rows,
    "upper.ndjson": lambda rows: [
        {"DISTINCT_ID": row["$distinct_id"], "PROPERTIES": row["$properties"]} for row in rows
    ],
    "text.ndjson": lambda rows: [
        {"distinct_id": row["$distinct_id"], "properties": json.dumps(row["$properties"])} for row in rows
    ],
    "flat.csv": lambda rows: [flat(row) for row in rows],
    "upper.csv": lambda rows: [
        {"DISTINCT_ID": row["$distinct_id"], "PROPERTIES": json.dumps(row["$properties"])} for row in rows
    ],
    "flat.parquet": lambda rows: [flat(row) for row in rows],
    "upper.parquet": lambda rows: [
        {"DISTINCT_ID": row["$distinct_id"], "PROPERTIES": json.dumps(row["$properties"])} for row in rows
    ],
    "struct.parquet": lambda rows: rows,
    "text.arrow": lambda rows: [
        {"distinct_id": row["$distinct_id"], "$properties": json.dumps(row["$properties"])} for row in rows
    ],
}


def written(name: str, rows: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / name
    if name.endswith(".ndjson"):
        path.write_text("\n".join(map(json.dumps, rows)))
        return path
    names = dict.fromkeys(name for row in rows for name in row)
    table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
    if name.endswith(".csv"):
        pa.csv.write_csv(table, path)
    elif name.endswith(".arrow"):
        pyarrow.feather.write_feather(table, path, compression="uncompressed")
    else:
        parquet.write_table(table, path)
    return path


@pytest.mark.rule("11.rows of people")
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_export_gives_the_same_people(form: str, tmp_path: Path) -> None:
    rows = [{**row, "$properties": {k: v for k, v in row["$properties"].items() if k != "n"}} for row in ROWS]
    path = written(form, FORMS[form](rows), tmp_path)
    profiles = read(path)
    assert profiles.get("ana") == {"plan": "pro", "os": "iOS"}
    assert profiles.get("ben") == {"plan": "free"}
    result = run("profiles", path, "--events", EVENTS)
    header, *people = result.stdout.splitlines()
    assert sorted(header.split(",")) == ["distinct_id", "os", "plan"]
    assert {tuple(sorted(row.split(","))) for row in people} == {("ana", "iOS", "pro"), ("", "ben", "free")}
    said = [line for line in result.stderr.splitlines() if line.startswith("folded")]
    assert len(said) == 1
    assert "1 row of other IDs of 1 person" in said[0]


def test_exports_without_links_fold_nothing() -> None:
    result = run("profiles", FIELD / "engage.ndjson", "--events", FIELD / "ist.ndjson")
    assert "folded" not in result.stderr
    assert len(result.stdout.splitlines()) == 4


def test_keys_of_other_names_are_given_as_in_stitching(tmp_path: Path) -> None:
    rows = [{"uid": "ana", "traits": {"plan": "pro"}}, {"uid": DEVICE, "traits": '{"plan": "free", "os": 1}'}]
    columns = {"distinct_id": "uid", "properties": "traits"}
    profiles = Profiles(known())
    assert len(profiles.update_many(rows).malformed) == 2
    report = profiles.update_many(rows, columns=columns)
    assert report.folded == {"ana": 1}
    assert profiles.get("ana") == {"plan": "pro", "os": 1}
    beside = [{"uid": DEVICE, "plan": "free", "age": 3}, {"uid": "ana", "plan": "pro"}]
    for name in ("f.ndjson", "f.csv", "f.parquet"):
        profiles = read(written(name, beside, tmp_path), columns={"distinct_id": "uid"})
        assert str((profiles.get("ana") or {}).pop("age")) == "3"
        said = run("profiles", tmp_path / name, "--column", "distinct_id=uid", "--events", EVENTS).stdout
        assert "ana" in said
        assert "pro" in said
        assert "free" not in said


def test_the_dialect_of_people_reads_properties_beside_the_id(tmp_path: Path) -> None:
    rows = [{"distinct_id": "ana", "plan": "pro"}, {"Distinct ID": "ben", "plan": "free"}]
    profiles = Profiles(known())
    assert len(profiles.update_many(rows).malformed) == 2
    profiles.update_many(rows, dialect="people")
    assert profiles.get("ben") == {"plan": "free"}
    path = written("f.ndjson", rows, tmp_path)
    said = run("profiles", path, "--dialect", "people", "--events", EVENTS).stdout
    assert said.splitlines() == ["distinct_id,plan", "ana,pro", "ben,free"]
    for dialect in ("pipeline", "mappings"):
        with pytest.raises(DialectError, match=f"profiles have the dialect 'people', got '{dialect}'"):
            profiles.update_many(rows, dialect=dialect)
    with pytest.raises(DialectError, match="'x' is no role"):
        list(read_updates(path, columns={"x": "y"}))


def test_values_of_tables_become_those_of_json(tmp_path: Path) -> None:
    row = {
        "$distinct_id": [b"ana"],
        "seen": [datetime(2024, 1, 2, 10, tzinfo=UTC)],
        "spent": [Decimal("12.50")],
        "visits": [Decimal(3)],
        "score": [float("nan")],
        "tags": [["a", None]],
        "traits": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        "missing": pa.array([None], pa.string()),
    }
    parquet.write_table(pa.table(row), tmp_path / "f.parquet")
    assert read(tmp_path / "f.parquet").get("ana") == {
        "seen": "2024-01-02T10:00:00+00:00",
        "spent": 12.5,
        "visits": 3,
        "tags": ["a", None],
        "traits": {"a": 1},
    }


@pytest.mark.parametrize("name", ["f.csv", "f.parquet"])
def test_a_table_without_ids_is_refused_with_the_option_that_names_them(name: str, tmp_path: Path) -> None:
    path = written(name, [{"uid": "ana", "plan": "pro"}], tmp_path)
    with pytest.raises(FileFormatError, match=r"needs a column .* 'uid', 'plan'.*--column distinct_id="):
        list(read_updates(path))
    links = written("l.parquet", [{"kind": "merge", "first": "a", "second": "b"}], tmp_path)
    with pytest.raises(FileFormatError, match="holds links in columns, no profiles"):
        list(read_updates(links))


def test_updates_in_the_columns_of_a_table_are_applied(tmp_path: Path) -> None:
    rows = [{"$distinct_id": "ana", "$set": {"plan": "pro"}}, {"$distinct_id": DEVICE, "$set": {"plan": "x"}}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "f.parquet")
    assert read(tmp_path / "f.parquet").get("ana") == {"plan": "x"}


@pytest.mark.rule("11.rows of people")
@pytest.mark.parametrize("nested", ["properties", "Properties", "$properties"])
def test_properties_inside_and_beside_are_both_of_the_profile(nested: str, tmp_path: Path) -> None:
    inside = json.dumps({"a": "1", "plan": "free"})
    rows: list[dict[str, Any]] = [
        {"$distinct_id": "ana", "$email": "a@x", nested: inside, "plan": "pro"},
        {"$distinct_id": "ben", "$email": "b@x", nested: "text", "plan": "pro"},
    ]
    ana, ben = {"$email": "a@x", "a": "1", "plan": "pro"}, {"$email": "b@x", nested: "text", "plan": "pro"}
    for name in ("f.csv", "f.parquet", "f.arrow"):
        profiles = read(written(name, rows, tmp_path))
        assert (profiles.get("ana"), profiles.get("ben")) == (ana, ben)
    assert read(written("f.ndjson", rows[:1], tmp_path)).get("ana") == ana
    rows[0][nested] = json.loads(inside)
    in_memory = Profiles(known())
    rows[0]["a"] = None
    in_memory.update_many(rows, dialect="people")
    assert (in_memory.get("ana"), in_memory.get("ben")) == (ana, ben)
