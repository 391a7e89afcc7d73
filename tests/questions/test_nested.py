"""Properties within properties: in structs, maps and JSON text, of any depth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import command_line
from answers_by_hand import rows_of, that_knows
from idmerge import questions
from idmerge.errors import ColumnError
from idmerge.questions.nested import ways

if TYPE_CHECKING:
    from pathlib import Path

STANDARD = ["event", "time", "distinct_id", "$distinct_id_before_identity"]
PAGES: list[dict[str, Any] | None] = [
    {"page": {"path": "/a", "utm": {"campaign": "x"}}, "paid": {"amount": 2.5}},
    {"page": {"path": "/b", "utm": {"campaign": "y"}}, "paid": {"amount": 4}},
    {"page": {"path": "/a", "utm": {"campaign": None}}, "paid": {"amount": None}},
    {"page": None, "paid": {"amount": 8}},
    None,
]


def purchases() -> pa.Table:
    told = [(name, hour, f"u{hour}") for hour, name in enumerate(["Purchase"] * 5)]
    return rows_of(*told).select(STANDARD)


def layouts() -> dict[str, pa.Table]:
    table = purchases()
    texts = [None if row is None else json.dumps(row) for row in PAGES]
    pages = [None if row is None else row["page"] for row in PAGES]
    paid = [None if row is None else row["paid"] for row in PAGES]
    page_texts, paid_texts = (
        [None if one is None else json.dumps(one) for one in of] for of in (pages, paid)
    )
    in_parts = [
        None if row is None else {"page": page, "paid": pay}
        for row, page, pay in zip(PAGES, page_texts, paid_texts, strict=True)
    ]
    return {
        "text": table.append_column("properties", pa.array(texts)),
        "bytes": table.append_column("properties", pa.array(texts).cast(pa.binary())),
        "struct": table.append_column("properties", pa.array(PAGES)),
        "struct of texts": table.append_column("properties", pa.array(in_parts)),
        "map of texts": table.append_column(
            "properties",
            pa.array(
                [None if row is None else [*row.items()] for row in in_parts],
                pa.map_(pa.string(), pa.string()),
            ),
        ),
        "columns of structs": table.append_column("page", pa.array(pages)).append_column(
            "paid", pa.array(paid)
        ),
        "columns of texts": table.append_column("page", pa.array(page_texts)).append_column(
            "paid", pa.array(paid_texts)
        ),
    }


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("way", ["table", "file", "pandas"])
def test_a_property_within_a_property_is_found_by_its_way(layout: str, way: str, tmp_path: Path) -> None:
    table = layouts()[layout]
    parquet.write_table(table, tmp_path / "f.parquet")
    if way == "pandas" and layout == "map of texts":
        pytest.skip("a frame has no maps")
    events = {"table": table, "file": tmp_path / "f.parquet", "pandas": table.to_pandas()}[way]
    answer = questions.attribution(events, amount="paid.amount", campaign="page.utm.campaign")
    assert [(row["campaign"], row["revenue"]) for row in answer] == [("y", 4), ("x", 2.5), (None, 8)]
    table = that_knows(table, "Sign Up")
    counted = questions.conversion(table, start="Purchase", by="page.path")
    assert [(row["value"], row["persons"]) for row in counted] == [("/a", 2), ("/b", 1), (None, 2)]
    for where in ("page.path = '/a'", "\"page.path\" = '/a'", "Page.Path = '/a' OR page . path = '/a'"):
        if where.startswith("P") and not layout.startswith("columns"):
            continue
        (row,) = questions.signup_rate(
            events, signup="Purchase", where=where.replace("Page.Path", "page.path")
        )
        assert row["visitors"] == 2
    connection = duckdb.connect()
    connection.register("events", layouts()[layout])
    assert connection.execute(answer.sql).fetchall() == [tuple(row.values()) for row in answer]


def test_a_property_of_the_whole_name_comes_first() -> None:
    texts = [json.dumps({"a.b": "own", "a": {"b": "inner"}}), json.dumps({"a": {"b": "inner"}})]
    table = that_knows(rows_of(("Read Post", 1, "ada"), ("Read Post", 1, "bea")).select(STANDARD), "Sign Up")
    table = table.append_column("properties", pa.array([*texts, None]))
    assert sorted(row["value"] for row in questions.conversion(table, by="a.b")) == ["inner", "own"]
    column = table.append_column("a.b", pa.array(["column", "column", None]))
    assert [row["value"] for row in questions.conversion(column, by="a.b")] == ["column"]
    for where, visitors in (
        ("properties.a.b = 'inner'", 1),
        ("\"a.b\" = 'own'", 1),
        ("events.event = 'x'", 0),
    ):
        (row,) = questions.signup_rate(table, where=where)
        assert row["visitors"] == visitors


@pytest.mark.parametrize("layout", layouts())
def test_a_way_that_leads_nowhere_is_an_error(layout: str, tmp_path: Path) -> None:
    parquet.write_table(layouts()[layout], tmp_path / "f.parquet")
    for events in (layouts()[layout], tmp_path / "f.parquet"):
        for name in ("page.paht", "page.path.deeper", "paeg.path", "distinct_id.path"):
            with pytest.raises(ColumnError, match=f"'{name}'"):
                questions.attribution(events, amount="paid.amount", campaign=name)


@pytest.mark.parametrize("layout", ["text", "struct", "map of texts"])
def test_the_nearest_property_is_named(layout: str, tmp_path: Path) -> None:
    parquet.write_table(layouts()[layout], tmp_path / "f.parquet")
    said = command_line.run("ask", "attribution", tmp_path / "f.parquet", "--amount", "Pade", code=1)
    assert said.stderr.endswith(". Did you mean 'paid' or 'page'?\n")


def test_items_of_lists_in_json_are_counted_from_0() -> None:
    table = that_knows(rows_of(("Purchase", 1, "ada", "x")).drop_columns(["amount"]), "Sign Up")
    table = table.append_column("items", pa.array([json.dumps([{"price": 3}, {"price": 4}]), None]))
    assert [row["revenue"] for row in questions.attribution(table, amount="items.1.price")] == [4]


@settings(max_examples=50)
@given(st.lists(st.sampled_from(("a", "b~", "c/d", "", "é", '"')), min_size=1, max_size=4))
def test_any_name_is_split_at_each_of_its_dots(parts: list[str]) -> None:
    name = ".".join(parts)
    found = [*ways(name)]
    assert all(f"{first}.{rest}" == name for first, rest in found)
    assert [first for first, _ in found] == sorted((first for first, _ in found), key=len, reverse=True)
    assert len(found) == sum(character == "." for character in name[1:])
    value: Any = "found"
    for part in reversed(parts):
        value = {part: value}
    table = that_knows(rows_of(("Read Post", 1, "ada")).select(STANDARD), "Sign Up")
    table = table.append_column("properties", pa.array([json.dumps(value), None]))
    assert [row["value"] for row in questions.conversion(table, by=name)] == ["found"]
