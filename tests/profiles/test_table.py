"""Profiles as columns: types, names, and joins (SPEC 10)."""

from __future__ import annotations

import json
import sys
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given

from idmerge import Profiles, Resolver
from idmerge.errors import MissingExtraError
from profiles_by_hand import modes, played, steps


def columns(*people: dict[str, Any]) -> pa.Table:
    profiles = Profiles(Resolver())
    profiles.update_many({"$distinct_id": f"u{n}", "$set": person} for n, person in enumerate(people))
    return profiles.table()


@pytest.mark.rule("10.in columns")
@pytest.mark.parametrize(
    ("values", "kind", "shown"),
    [
        ([1, None, -(2**63)], pa.int64(), [1, None, -(2**63)]),
        ([1, 0.5, None], pa.float64(), [1.0, 0.5, None]),
        ([2**53, 0.5], pa.float64(), [2.0**53, 0.5]),
        ([2**53 + 1, 0.5], pa.string(), ["9007199254740993", "0.5"]),
        ([2**63, 1], pa.string(), ["9223372036854775808", "1"]),
        ([True, None, False], pa.bool_(), [True, None, False]),
        (["x", "", None], pa.string(), ["x", "", None]),
        ([True, 1], pa.string(), ["true", "1"]),
        (["x", 1, None], pa.string(), ["x", "1", None]),
        ([["ü", 1.5], {"a": None}], pa.string(), ['["ü",1.5]', '{"a":null}']),
        ([None, None], pa.string(), [None, None]),
        (["lone \ud83d", ["\udfff"]], pa.string(), ["lone \ufffd", '["\ufffd"]']),
    ],
    ids=str,
)
def test_a_column_has_the_type_that_its_values_share(values: list[Any], kind: Any, shown: list[Any]) -> None:
    table = columns(*({"p": value} for value in values))
    assert table.schema.field("p").type == kind
    assert table["p"].to_pylist() == shown


@pytest.mark.rule("10.in columns")
def test_a_table_has_a_column_a_property_as_they_first_appear() -> None:
    table = columns(
        {"$email": "a@b", "n": 1},
        {"distinct_id": "other", "n": 2},
        {"properties.distinct_id": True},
        dict.fromkeys(["lone \ud800", "lone \ufffd"], 1),
    )
    assert table.column_names == [
        "distinct_id",
        "$email",
        "n",
        "properties.distinct_id",
        "properties.properties.distinct_id",
        "lone \ufffd",
        "properties.lone \ufffd",
    ]
    assert table["distinct_id"].to_pylist() == ["u0", "u1", "u2", "u3"]
    assert table["n"].to_pylist() == [1, 2, None, None]
    assert pl.DataFrame(table)["n"].sum() == 3


def test_a_table_of_nobody_has_no_rows() -> None:
    assert columns().to_pydict() == {"distinct_id": []}
    assert columns({}).to_pydict() == {"distinct_id": ["u0"]}


@given(steps, modes)
def test_a_table_shows_what_get_shows(story: list[Any], mode: str) -> None:
    profiles, _, _ = played(story, mode)
    rows = profiles.table().to_pylist()
    assert [row["distinct_id"] for row in rows] == list(profiles)
    for row in rows:
        shown = profiles.get(row["distinct_id"]) or {}
        for name in row.keys() - {"distinct_id"}:
            value = shown.get(name)
            expected = value if isinstance(value, (str, bool, int, float)) or value is None else None
            if isinstance(row[name], str) and not isinstance(value, str):
                expected = json.dumps(value, separators=(",", ":"))
            assert row[name] == expected


def test_a_table_is_filled_from_the_ids_that_became_known_first_whatever_came_first() -> None:
    resolver = Resolver(canonical="smallest")  # The canonical ID, "first", is the one known last.
    profiles = Profiles(resolver, merge_profiles="fill")
    for own in ("third", "second", "first"):
        profiles.update({"$distinct_id": own, "$set": {"all": own, own: True}})
    for own in ("third", "second"):
        profiles.update({"$distinct_id": own, "$set": {"two": own}})
    resolver.merge("second", "third")
    resolver.merge("second", "first")
    row = {
        "distinct_id": "first",
        "all": "first",
        "two": "second",
        "first": True,
        "second": True,
        "third": True,
    }
    assert profiles.table().to_pylist() == [row]
    assert {"distinct_id": "first", **(profiles.get("third") or {})} == row


def test_a_table_joins_with_resolved_events_in_duckdb() -> None:
    resolver = Resolver()
    profiles = Profiles(resolver)
    profiles.update({"$distinct_id": "ana", "$set": {"plan": "pro", "tags": ["a", "b"]}})
    profiles.update({"$distinct_id": "ben", "$set": {"plan": "free"}})
    resolver.merge("ana", "phone")
    events = pa.table({"event": ["buy", "buy", "view"], "distinct_id": ["phone", "ana", "ben"]})
    events = events.set_column(1, "distinct_id", resolver.resolve_many(events["distinct_id"]))
    people = profiles.table()
    assert len(events) == len(people) + 1
    rows = duckdb.sql(
        "select plan, count(*), any_value(tags->>1) from events join people using (distinct_id) "
        "group by plan order by plan"
    ).fetchall()
    assert rows == [("free", 1, None), ("pro", 2, "b")]


def test_without_pyarrow_a_table_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = Profiles(Resolver())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"a table of profiles needs pyarrow: pip install pyarrow"):
        profiles.table()
