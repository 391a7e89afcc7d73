"""Stitched tables of events, in their own family: IDs as by plain Python, all else as it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import idmerge
from idmerge import Policy, Resolver, reference
from idmerge._ids import as_id
from idmerge.errors import CanonicalError, ColumnError
from idmerge.events import distinct_id_of
from idmerge.files.rows import Rows
from stitched_by_hand import AS_KNOWN, BEFORE, sent, unicode
from strategies import BLOCKED, D1, D2, D3, original_policies, strategies

Row = dict[str, Any]
IDS = [D1, D2, D3, f"$device:{D1}", "U1", "U2", "ünï", BLOCKED[0], "", "x" * 256]
ids = st.one_of(st.none(), st.sampled_from(IDS))
OPERANDS = ["$anon_id", "$anon_distinct_id", "$identified_id", "alias"]


def present(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


rows = st.lists(
    st.fixed_dictionaries(
        {
            "event": st.sampled_from(["$identify", "$create_alias", "$merge", "Page View", None]),
            "time": st.integers(1, 2),
            "distinct_id": ids,
            "page": st.sampled_from(["/", None, "/ünï"]),
            "$insert_id": st.sampled_from(["i1", "i2", None]),
            "$distinct_ids": st.one_of(st.none(), st.lists(ids, max_size=3), st.just(["U1", D1])),
            **dict.fromkeys(OPERANDS, ids),
        },
        optional={BEFORE: ids},
    ),
    min_size=1,
    max_size=12,
)
NAMES = ["event", "time", "distinct_id", "page", "$insert_id", "$distinct_ids", *OPERANDS]
FLAT = pa.schema(
    [(name, pa.list_(pa.string()) if name == "$distinct_ids" else pa.string()) for name in NAMES]
).set(1, pa.field("time", pa.int64()))


def by_hand(events: list[dict[str, Any]], **wanted: Any) -> tuple[dict[str, list[Any]], list[int]]:
    """Return the columns of IDs, and which of the rows stay."""
    resolver = reference.Resolver(wanted.get("policy"), wanted.get("canonical", "stable"))
    known, stays, seen = [], [], set()
    for event in events:
        own = sent(event, "original")
        known.append(None if own is None else resolver.resolve(own))
        resolver.apply(event)
    columns: dict[str, list[Any]] = {"distinct_id": [], BEFORE: [], AS_KNOWN: []}
    for place, (event, thought) in enumerate(zip(events, known, strict=True)):
        own, properties = sent(event, "original"), event["properties"]
        before = as_id(properties.get(BEFORE))
        as_sent = before if before is not None else own
        key = (event["event"], properties.get("time"), as_sent, properties.get("$insert_id"))
        if wanted.get("dedupe") and key[-1] is not None and key in seen:
            continue
        seen.add(key)
        stays.append(place)
        whole = distinct_id_of(event)
        columns["distinct_id"].append(None if own is None else resolver.resolve(own))
        columns[BEFORE].append(before if before is not None else None if whole is None else unicode(whole))
        columns[AS_KNOWN].append(thought)
    if not wanted.get("as_known"):
        del columns[AS_KNOWN]
    return columns, stays


def as_events(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"event": row["event"], "properties": present(row) | {"event": None}} for row in table]


def as_columns(frame: Any) -> dict[str, list[Any]]:
    """Return the columns of a table of any family, missing values as None."""
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pd.DataFrame):
        return {
            name: [None if not isinstance(v, list) and pd.isna(v) else v for v in frame[name]]
            for name in frame.columns
        }
    if isinstance(frame, pa.RecordBatchReader):
        frame = frame.read_all()
    if isinstance(frame, duckdb.DuckDBPyRelation):
        frame = frame.to_arrow_table()
    if isinstance(frame, pl.DataFrame):
        return frame.to_dict(as_series=False)
    columns: dict[str, list[Any]] = frame.to_pydict()
    return columns


def pandas(table: pa.Table, dtype: Any) -> pd.DataFrame:
    frame = table.to_pandas()
    for name in frame.columns:
        if name not in {"$distinct_ids", "time"}:
            frame[name] = pd.Series([None if pd.isna(v) else v for v in frame[name]], dtype=dtype)
    frame["$distinct_ids"] = [None if v is None else list(v) for v in frame["$distinct_ids"]]
    frame.index = pd.Index([7] * len(frame))
    return frame


class Shop(pd.DataFrame):
    @property
    def _constructor(self) -> type[Shop]:
        return Shop


FAMILIES: dict[str, Any] = {
    "table": lambda table: table,
    "chunks": lambda table: pa.concat_tables([table.slice(0, 1), table.slice(1)]),
    "sliced": lambda table: pa.concat_tables([table, table]).slice(len(table)),
    "batch": lambda table: table.combine_chunks().to_batches()[0],
    "reader": lambda table: table.to_reader(2),
    "polars": pl.from_arrow,
    "lazy": lambda table: pl.from_arrow(table).lazy(),
    "pandas objects": lambda table: pandas(table, object),
    "pandas strings": lambda table: pandas(table, "str"),
    "pandas python strings": lambda table: pandas(table, "string"),
    "pandas arrow": lambda table: pandas(table, pd.ArrowDtype(pa.string())),
    "pandas categories": lambda table: pandas(table, "category"),
    "pandas subclass": lambda table: Shop(pandas(table, "str")),
    "duckdb": duckdb.from_arrow,
    "duckdb of its own": lambda table: duckdb.connect().from_arrow(table),
}
options = st.fixed_dictionaries(
    {},
    optional={
        "as_known": st.booleans(),
        "dedupe": st.booleans(),
        "canonical": strategies,
        "policy": original_policies,
    },
)


@pytest.mark.rule("9.tables")
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40)
@given(rows, options)
def test_flat_columns_in_every_family(
    family: str, table: list[dict[str, Any]], wanted: dict[str, Any]
) -> None:
    has_before = any(BEFORE in row for row in table)
    schema = FLAT.append(pa.field(BEFORE, pa.string())) if has_before else FLAT
    flat = pa.Table.from_pylist(table, schema)
    frame = FAMILIES[family](flat)
    kept = None if family == "reader" else as_columns(frame)
    stitched = idmerge.stitch(frame, **wanted)
    columns, stays = by_hand(as_events(table), **wanted)
    expected = {
        name: column.to_pylist() for name, column in zip(NAMES, flat.take(stays).columns, strict=False)
    }
    expected["time"] = [datetime.fromtimestamp(seconds, UTC) for seconds in expected["time"]]
    names = list(flat.column_names)
    place = names.index("distinct_id")
    if not has_before:
        names.insert(place + 1, BEFORE)
    if wanted.get("as_known"):
        names.insert(names.index(BEFORE) + 1, AS_KNOWN)
    found = as_columns(stitched)
    assert found == {name: (expected | columns)[name] for name in names}
    assert list(found) == names
    assert isinstance(stitched, type(frame))
    if kept is not None:
        assert as_columns(frame) == kept
    if isinstance(frame, pd.DataFrame):
        assert list(stitched.index) == [7] * len(stays)
        if "categories" not in family:
            assert set(map(str, stitched.dtypes[["distinct_id", BEFORE]])) == {
                str(frame["distinct_id"].dtype)
            }


STRUCT = pa.struct([field for field in FLAT if field.name != "event"] + [pa.field(BEFORE, pa.string())])
MAP = pa.map_(pa.string(), pa.string())


@pytest.mark.rule("9.tables")
@pytest.mark.parametrize("flat_id", [False, True])
@pytest.mark.parametrize("form", ["struct", "map", "text", "binary"])
@settings(max_examples=50)
@given(table=rows, wanted=options)
def test_a_column_of_properties(
    form: str, table: list[dict[str, Any]], wanted: dict[str, Any], *, flat_id: bool
) -> None:
    properties = [{name: value for name, value in present(row).items() if name != "event"} for row in table]
    values: Any = properties
    if form == "map":
        values = [
            [(name, v if isinstance(v, str) else json.dumps(v)) for name, v in row.items()]
            for row in properties
        ]
    elif form in ("text", "binary"):
        values = [json.dumps(row, ensure_ascii=False) for row in properties]
    kind = {"struct": STRUCT, "map": MAP, "text": pa.string(), "binary": pa.binary()}[form]
    columns = {"event": pa.array([row["event"] for row in table], pa.string()), "n": list(range(len(table)))}
    if flat_id:
        columns["distinct_id"] = pa.array([row["distinct_id"] for row in table], pa.string())
    columns["properties"] = pa.array(values, kind)
    whole = pa.table(columns)
    stitched = idmerge.stitch(whole, **wanted)
    expected, stays = by_hand(as_events(table), **wanted)
    assert {name: stitched[name].to_pylist() for name in expected} == expected
    assert stitched.select(["event", "n", "properties"]).equals(
        whole.take(stays).select(["event", "n", "properties"])
    )


TEXTS = st.sampled_from(
    [
        *['{"distinct_id": 7}', '{"distinct_id": 7.0}', '{"distinct_id": null}', '{"distinct_id": true}'],
        *[
            '{"distinct_id": ["x"]}',
            '{"distinct_id": "\\ud800"}',
            "{}",
            "[1]",
            "null",
            "7",
            '"text"',
            "{",
            "",
        ],
        '{"$distinct_id_before_identity": "B", "distinct_id": "U1"}',
        '{"$anon_id": "\\ud800", "$identified_id": "U1"}',
        f'{{"$anon_id": null, "$anon_distinct_id": "{D1}", "distinct_id": "U1"}}',
        f'{{"$anon_distinct_id": "{D1}", "distinct_id": "U1"}}',
        '{"$distinct_ids": "[1]"}',
        f'{{"$distinct_ids": ["{D1}", "U1"], "distinct_id": "{D2}"}}',
        '{"distinct_id": 123456789012345678901234567890}',
    ]
)


@given(st.lists(st.tuples(st.sampled_from(["$identify", "$merge", "$create_alias", "x"]), TEXTS), max_size=8))
def test_properties_as_json_text_are_what_a_file_of_them_states(table: list[tuple[str, str]]) -> None:
    events = []
    for name, text in table:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        events.append({"event": name, "properties": value if isinstance(value, dict) else {}})
    whole = pa.table(
        {
            "event": pa.array([name for name, _ in table], pa.string()),
            "properties": pa.array([text for _, text in table], pa.string()),
        }
    )
    expected, _ = by_hand(events, as_known=True)
    stitched = idmerge.stitch(whole, as_known=True)
    assert {name: stitched[name].to_pylist() for name in expected} == expected


def small(**columns: Any) -> pa.Table:
    return pa.table({"event": ["$identify", "x"], **columns})


LINKED = {"distinct_id": ["U1", D1], "$anon_id": [D1, None]}


def test_the_type_of_text_stays() -> None:
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        table = small(distinct_id=pa.array(["U1", D1], kind), **{"$anon_id": [D1, None]})
        dup = {"time": [1, 1], "$insert_id": pa.array(["i", "i"], kind)}
        table = table.append_column("time", [dup["time"]]).append_column("$insert_id", dup["$insert_id"])
        stitched = idmerge.stitch(table, dedupe=True)
        assert stitched["distinct_id"].to_pylist() == ["U1", "U1"]
        assert stitched.schema.field("distinct_id").type == kind


@pytest.mark.rule("9.ids")
def test_integers_are_ids_by_their_digits() -> None:
    frame = pd.DataFrame({"event": ["$create_alias", "x"], "distinct_id": [7, 8], "alias": ["U1", None]})
    stitched = idmerge.stitch(frame, canonical="smallest")
    assert stitched["distinct_id"].tolist() == ["7", "8"]
    assert idmerge.stitch(pl.from_pandas(frame), canonical="smallest")["distinct_id"].to_list() == ["7", "8"]


@pytest.mark.parametrize("family", ["batch", "table", "polars", "pandas objects", "duckdb", "reader", "lazy"])
def test_no_rows_have_the_columns_all_the_same(family: str) -> None:
    table = pa.Table.from_pylist([], FLAT)
    if family == "batch":
        frame: Any = pa.RecordBatch.from_pylist([], FLAT)
    else:
        frame = FAMILIES[family](table)
    found = as_columns(idmerge.stitch(frame, as_known=True, dedupe=True))
    assert list(found)[2:5] == ["distinct_id", BEFORE, AS_KNOWN]
    assert set(map(len, found.values())) == {0}


def test_a_stitched_relation_opens_in_its_connection_again_and_again() -> None:
    own, other = duckdb.connect(), duckdb.connect()
    table = small(**LINKED)
    first = idmerge.stitch(own.from_arrow(table))
    second = idmerge.stitch(own.from_arrow(small(distinct_id=["A", "B"])))
    third = idmerge.stitch(other.from_arrow(small(distinct_id=["C", "D"])))
    for _ in range(2):
        assert first.fetchall() == [("$identify", "U1", "U1", D1), ("x", "U1", D1, None)]
        assert [row[1] for row in second.fetchall()] == ["A", "B"]
        assert [row[1] for row in third.fetchall()] == ["C", "D"]
        assert own.sql("SELECT count(DISTINCT distinct_id) FROM first").fetchall() == [(1,)]
        assert own.sql("SELECT count(*) FROM first a JOIN first b USING (distinct_id)").fetchall() == [(4,)]
    assert first.filter("event = 'x'").fetchall() == [("x", "U1", D1, None)]


def test_a_resolver_that_is_given_decides_alone_and_stays_as_it_was() -> None:
    resolver = Resolver()
    resolver.identify(D2, "U2")
    table = small(distinct_id=["U1", D2], **{"$anon_id": [D1, None]})
    stitched = idmerge.stitch(table, resolver)
    assert stitched["distinct_id"].to_pylist() == ["U1", "U2"]
    assert (len(resolver), D1 in resolver) == (2, False)


def test_a_callable_chooses_in_tables_too() -> None:
    stitched = idmerge.stitch(small(**LINKED), canonical=lambda members: members[0], as_known=True)
    assert stitched["distinct_id"].to_pylist() == [D1, D1]
    assert stitched[AS_KNOWN].to_pylist() == ["U1", D1]


WRONG: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "a number": (7, {}, TypeError, "a table of pyarrow, polars, pandas or DuckDB, or paths"),
    "none": (None, {}, TypeError, "got builtins.NoneType"),
    "events": ([{"event": "x"}], {}, TypeError, "got builtins.list"),
    "a series": (pd.Series(["x"]), {}, TypeError, "got pandas"),
    "a polars series": (pl.Series(["x"]), {}, TypeError, "got polars"),
    "no ID": (pa.table({"event": ["x"]}), {}, ValueError, "events need the column distinct_id or properties"),
    "no columns": (
        pa.table({}),
        {},
        ValueError,
        "events need the columns event, and distinct_id or properties",
    ),
    "no event": (pa.table({"distinct_id": ["x"]}), {}, ValueError, "events need the column event"),
    "no time": (small(**LINKED), {"dedupe": True}, ValueError, "events need the column time"),
    "IDs twice": (
        pa.table([["x"], ["a"], ["b"]], names=["event", "distinct_id", "distinct_id"]),
        {},
        ColumnError,
        "the column 'distinct_id' more than once",
    ),
    "IDs twice in pandas": (
        pd.DataFrame([["x", "a", "b"]], columns=["event", "distinct_id", "distinct_id"]),
        {},
        ColumnError,
        "the column 'distinct_id' more than once",
    ),
    "fractions": (
        small(distinct_id=[1.0, 2.5]),
        {},
        TypeError,
        "distinct_id must hold text, integers or UUIDs, got .* in row 1",
    ),
    "mixed": (
        pd.DataFrame({"event": ["x", "y"], "distinct_id": ["a", True]}, dtype=object),
        {},
        TypeError,
        "distinct_id must hold text, integers or UUIDs, got bool in row 1",
    ),
    "properties": (
        small(properties=[1, 2]),
        {},
        TypeError,
        "properties must be a struct, a map or JSON text",
    ),
    "lists": (small(properties=[[1], [2]]), {}, TypeError, "properties must be a struct, a map or JSON text"),
    "a choice": (
        small(**LINKED),
        {"properties": ["x"]},
        ValueError,
        "a table keeps its columns",
    ),
    "two rules": (
        small(**LINKED),
        {"resolver": Resolver(), "policy": Policy()},
        ValueError,
        "a resolver has",
    ),
    "as known": (
        small(**LINKED),
        {"resolver": Resolver(), "as_known": True},
        ValueError,
        "leave the resolver",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_stitched_is_said(case: str) -> None:
    events, wanted, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        idmerge.stitch(events, **wanted)


def test_a_column_of_nothing_is_no_reason_to_refuse() -> None:
    frame = pd.DataFrame({"event": ["x"], "distinct_id": [float("nan")], BEFORE: [None]})
    assert idmerge.stitch(frame)["distinct_id"].isna().all()


def test_steps_are_followed_one_after_another(tmp_path: Any) -> None:
    from idmerge.files import StepBatch, scan

    path = tmp_path / "e.ndjson"
    link = {"event": "$identify", "properties": {"$anon_id": D1, "distinct_id": "U1"}}
    page = {"event": "x", "properties": {"distinct_id": D1}}
    path.write_text(
        "".join(f"{json.dumps(e)}\n" for e in [page, link, page, {"event": "x"}]), encoding="utf-8"
    )
    (piece,) = scan(path)
    assert isinstance(piece, StepBatch)
    resolver = Resolver()
    own = pa.array([D1, "U1", D1, None])
    assert piece.follow(resolver, own).to_pylist() == [D1, "U1", "U1", None]
    assert resolver.identify(D1, "U1").name == "UNCHANGED"
    with pytest.raises(ValueError, match="1 ids came for the rows"):
        piece.follow(Resolver(), own.slice(0, 1))
    with pytest.raises(TypeError, match="utf8"):
        piece.follow(Resolver(), pa.array([1, 2, 3, 4]))
    with pytest.raises(CanonicalError, match="named strategy"):
        piece.follow(Resolver(canonical=min), own)


def test_distinct_rows_differ_in_any_of_their_columns() -> None:
    from idmerge._core import DistinctRows

    rows = DistinctRows()
    columns = [pa.array(["a", "ab", "a", None, "a"]), pa.array(["bc", "c", "bc", "i", None])]
    assert rows.add(columns).tolist() == [True, True, False, True, True]
    assert rows.add(columns).tolist() == [False, False, False, False, True]
    assert len(rows) == 3
    assert rows.add([pa.array([], pa.string())]).tolist() == []
    with pytest.raises(ValueError, match="no columns"):
        rows.add([])
    with pytest.raises(ValueError, match="same length"):
        rows.add([pa.array(["a"]), pa.array(["a", "b"])])
    with pytest.raises(TypeError, match="must be utf8"):
        rows.add([pa.array([1])])


def test_rows_are_applied_in_order() -> None:
    resolver = Resolver()
    table = pa.table(
        {
            "event": ["view", "$identify", "view", "$merge"],
            "distinct_id": [D1, None, "", "U2"],
            "$anon_id": [None, D1, None, None],
            "$identified_id": [None, "U1", None, None],
        }
    )
    rows = Rows(table, "f.parquet", range(11, 15))
    report = rows.apply_to(resolver)
    assert len(rows) == 4
    assert [
        (outcome.name, int(row))
        for outcome, row in zip(map(idmerge.Outcome, report.outcomes), report.rows, strict=True)
    ] == [("MERGED", 1), ("MALFORMED", 3)]
    assert resolver.members(D1) == [D1, "U1"]
    assert [(link.path, link.line, link.first, link.message) for link in rows.judged(report)] == [
        ("f.parquet", 12, D1, None),
        ("f.parquet", 14, None, "$merge needs exactly two $distinct_ids, got None"),
    ]
