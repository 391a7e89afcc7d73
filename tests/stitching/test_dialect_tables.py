"""Tables of every dialect, container and frame family: the same events give the same answer."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from idmerge import Outcome, Resolver, reference
from idmerge.errors import ColumnError, DialectError, FileFormatError
from idmerge.files import BadLine, scan
from stitched_by_hand import BEFORE
from strategies import D1, D2, D3

if TYPE_CHECKING:
    from pathlib import Path

    from idmerge.stitching import StitchReport

Row = dict[str, Any]

FIELDS = ["distinct_id", "time", "$insert_id", "$anon_distinct_id", "$identified_id"]
ids = st.sampled_from([D1, D2, D3, "U1", "U2"])
events = st.lists(
    st.fixed_dictionaries(
        {
            "event": st.sampled_from(["$identify", "Page View"]),
            "distinct_id": ids,
            "time": st.sampled_from([1602611311, 1602611312000]),
            "$insert_id": st.sampled_from(["i1", "i2", None]),
            "$anon_distinct_id": st.one_of(st.none(), ids),
            "$identified_id": st.one_of(st.none(), ids),
        }
    ),
    min_size=1,
    max_size=6,
)


def without_nulls(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def nested(row: Row, event: str, properties: str, outside: list[str], spelt: Any = lambda name: name) -> Row:
    """The row with some fields as columns, and the others in JSON text."""
    inside = {name: row[name] for name in FIELDS if name not in outside}
    return {
        event: row["event"],
        **{spelt(name): row[name] for name in outside},
        properties: json.dumps(without_nulls(inside)),
    }


OUTSIDE = ["distinct_id", "time", "$insert_id"]
DIALECTS: dict[str, Any] = {
    "flat": lambda row: {"event": row["event"], **{name: row[name] for name in FIELDS}},
    "bare": lambda row: {"event": row["event"], **{name.removeprefix("$"): row[name] for name in FIELDS}},
    "reserved": lambda row: {
        "event": row["event"],
        **{name.replace("$", "mp_reserved_"): row[name] for name in FIELDS},
    },
    "prefixed": lambda row: {
        "mp_event_name": row["event"],
        **{f"mp_{name.removeprefix('$')}": row[name] for name in FIELDS},
    },
    "pipeline": lambda row: nested(row, "event_name", "properties", OUTSIDE, lambda n: n.removeprefix("$")),
    "connector": lambda row: nested(row, "name", "properties", OUTSIDE, lambda n: n.removeprefix("$")),
    "warehouse": lambda row: nested(
        row, "EVENT_NAME", "PROPERTIES", OUTSIDE, lambda n: n.removeprefix("$").upper()
    ),
    "own": lambda row: nested(
        row,
        "action",
        "more",
        OUTSIDE,
        {"distinct_id": "uid", "time": "at", "$insert_id": "row_id"}.__getitem__,
    ),
}
OWN = {"event": "action", "properties": "more", "distinct_id": "uid", "time": "at", "insert_id": "row_id"}


def table_of(rows: list[Row]) -> pa.Table:
    kinds = {"time": pa.int64(), "TIME": pa.int64(), "mp_time": pa.int64(), "at": pa.int64()}
    names = list(rows[0])
    return pa.table({n: pa.array([r[n] for r in rows], kinds.get(n, pa.string())) for n in names})


FAMILIES: dict[str, Any] = {
    "table": lambda table: table,
    "batch": lambda table: table.combine_chunks().to_batches()[0],
    "reader": lambda table: table.to_reader(2),
    "polars": pl.from_arrow,
    "lazy": lambda table: pl.from_arrow(table).lazy(),
    "pandas": lambda table: table.to_pandas(),
    "duckdb": duckdb.from_arrow,
}


def csv_text(table: pa.Table) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table.column_names)
    writer.writerows([["" if v is None else v for v in row.values()] for row in table.to_pylist()])
    return text.getvalue().encode()


def write(path: Path, table: pa.Table) -> Path:
    if path.name.endswith(".parquet"):
        parquet.write_table(table, path)
    elif path.name.endswith(".arrow"):
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    elif path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(csv_text(table)))
    elif path.name.endswith(".zst"):
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(csv_text(table))
    else:
        path.write_bytes(csv_text(table))
    return path


def plain(answer: Any) -> dict[str, list[Any]]:
    """The columns of a stitched table that all dialects have."""
    if isinstance(answer, pl.LazyFrame):
        answer = answer.collect()
    if isinstance(answer, pd.DataFrame):
        answer = pa.Table.from_pandas(answer, preserve_index=False)
    elif isinstance(answer, duckdb.DuckDBPyRelation):
        answer = answer.to_arrow_table()
    elif not isinstance(answer, (pa.Table, pa.RecordBatch)):
        answer = pa.table(answer)
    columns = {name: answer.column(name) for name in ("event", "time", "distinct_id", BEFORE, "$insert_id")}
    columns["time"] = columns["time"].cast(pa.timestamp("ms", "UTC"))
    return {name: column.to_pylist() for name, column in columns.items()}


def by_hand(rows: list[Row]) -> tuple[dict[str, list[Any]], Counter[Outcome]]:
    resolver = reference.Resolver()
    outcomes: Counter[Outcome] = Counter()
    for row in rows:
        properties = without_nulls({name: row[name] for name in FIELDS})
        outcome = resolver.apply({"event": row["event"], "properties": properties})
        if outcome is not None:
            outcomes[outcome] += 1
    seconds = [row["time"] / (1000 if row["time"] > 10**11 else 1) for row in rows]
    return {
        "event": [row["event"] for row in rows],
        "time": [datetime.fromtimestamp(moment, UTC) for moment in seconds],
        "distinct_id": [resolver.resolve(row["distinct_id"]) for row in rows],
        BEFORE: [row["distinct_id"] for row in rows],
        "$insert_id": [row["$insert_id"] for row in rows],
    }, outcomes


@pytest.mark.rule("9.tables")
@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=12)
@given(events)
def test_frames_of_every_family_give_the_same_rows_and_outcomes(dialect: str, rows: list[Row]) -> None:
    table = table_of([DIALECTS[dialect](row) for row in rows])
    expected, outcomes = by_hand(rows)
    for family, make in FAMILIES.items():
        reports: list[StitchReport] = []
        columns = OWN if dialect == "own" else None
        answer = idmerge.stitch(make(table), columns=columns, on_report=reports.append)
        assert plain(answer) == expected, family
        assert (reports[0].outcomes, reports[0].events) == (outcomes, len(rows)), family


@pytest.mark.rule("9.tables")
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["e.parquet", "e.arrow", "e.csv", "e.csv.gz", "e.csv.zst"])
def test_files_of_every_format_give_the_same_mapping_rows_and_outcomes(
    dialect: str, name: str, tmp_path: Path
) -> None:
    rows = [
        {"event": "Page View", "distinct_id": D1, "time": 1602611311, "$insert_id": "a"},
        {"event": "$identify", "distinct_id": "U1", "time": 1602611312000, "$anon_distinct_id": D1},
        {"event": "$identify", "distinct_id": "U2", "time": 1602611312000, "$anon_distinct_id": D1},
        {"event": "$identify", "distinct_id": "U2", "time": 1602611312000, "$insert_id": "b"},
        {"event": "$identify", "distinct_id": "U3", "time": 1602611313, "$anon_distinct_id": "x"},
    ]
    rows = [dict.fromkeys(FIELDS) | row for row in rows]
    path = write(tmp_path / name, table_of([DIALECTS[dialect](row) for row in rows]))
    columns = OWN if dialect == "own" else None
    expected, outcomes = by_hand(rows)
    resolver = Resolver()
    found: Counter[Outcome] = Counter()
    for piece in scan(path, columns=columns):
        report = piece.apply_to(resolver)
        found.update(report.counts)
        lines = [link.line for link in piece.judged(report)]
    assert found == outcomes
    first = 2 if ".csv" in name else 1  # A CSV has its header on line 1.
    assert lines == [first + row for row in (1, 2, 3, 4)]
    assert [resolver.resolve(row["distinct_id"]) for row in rows] == expected["distinct_id"]
    stitched = idmerge.stitch(path, columns=columns)
    assert plain(stitched) == expected
    assert stitched.outcomes == outcomes


def test_a_table_says_in_which_dialect_it_was_read() -> None:
    reports: list[StitchReport] = []
    table = pa.table({"event_name": ["x"], "distinct_id": ["a"], "time": [1]})
    idmerge.stitch(table, on_report=reports.append)
    idmerge.stitch(pa.table({"event": ["x"], "distinct_id": ["a"]}), on_report=reports.append)
    assert [report.dialect for report in reports] == ["Mixpanel pipeline", "Mixpanel export"]


def test_other_columns_stay_and_the_raw_spelling_of_two_wins() -> None:
    table = pa.table(
        {"event": ["x"], "insert_id": ["bare"], "distinct_id": ["a"], "$insert_id": ["raw"], "page": ["/"]}
    )
    stitched = idmerge.stitch(table)
    assert stitched.column_names == ["event", "insert_id", "distinct_id", BEFORE, "$insert_id", "page"]
    assert stitched["$insert_id"].to_pylist() == ["raw"]


def test_a_dialect_can_be_forced() -> None:
    table = pa.table({"event_name": ["$identify"], "name": ["Ana"], "distinct_id": ["U1"], "anon_id": [D1]})
    assert idmerge.stitch(table, dialect="pipeline").column_names[:2] == ["event", "name"]
    named = idmerge.stitch(table, dialect="connector")
    assert named.column_names[:2] == ["event_name", "event"]
    with pytest.raises(DialectError, match="no dialect is called 'x'; there are mixpanel, pipeline"):
        idmerge.stitch(table, dialect="x")
    with pytest.raises(DialectError, match="'x' is no role"):
        idmerge.stitch(table, columns={"x": "name"})
    with pytest.raises(ColumnError, match=r"time=at: there is no such column; there are 'event_name', "):
        idmerge.stitch(table, columns={"time": "at"})


@pytest.mark.parametrize("family", FAMILIES)
def test_columns_of_no_dialect_are_an_error_with_the_option_that_reads_them(family: str) -> None:
    table = pa.table({"event": ["$identify", "x"], "anonymous_id": [D1, D1], "user_id": ["U1", None]})
    with pytest.raises(DialectError) as caught:
        idmerge.stitch(FAMILIES[family](table))
    message = str(caught.value)
    assert "'event', 'anonymous_id', 'user_id'" in message
    assert 'columns={"distinct_id": "anonymous_id"}, or --column distinct_id=anonymous_id' in message
    stitched = plain_ids(idmerge.stitch(FAMILIES[family](table), columns={"distinct_id": "anonymous_id"}))
    assert stitched == [D1, D1]


def plain_ids(answer: Any) -> list[str]:
    if isinstance(answer, pl.LazyFrame):
        answer = answer.collect()
    if isinstance(answer, duckdb.DuckDBPyRelation):
        answer = answer.to_arrow_table()
    if isinstance(answer, pa.RecordBatchReader):
        answer = answer.read_all()
    return (
        list(pa.array(answer["distinct_id"].to_numpy(zero_copy_only=False)).to_pylist())
        if isinstance(answer, (pa.Table, pa.RecordBatch))
        else list(answer["distinct_id"])
    )


def test_another_products_table_is_refused_by_its_name_but_for_the_api_that_joins_it() -> None:
    table = pa.table({"anonymousId": ["a"], "userId": ["u"], "type": ["track"], "messageId": ["m"]})
    with pytest.raises(DialectError, match=r"rows of Segment in columns have no calls .*--api simplified"):
        idmerge.stitch(table)
    assert plain_ids(idmerge.stitch(table, api="simplified")) == ["u"]


def test_people_and_mappings_are_no_events() -> None:
    with pytest.raises(DialectError, match="profiles of people, not events"):
        idmerge.stitch(pa.table({"$distinct_id": ["a"], "$email": ["a@b"]}))
    with pytest.raises(DialectError, match="identity mappings, not events"):
        idmerge.stitch(pa.table({"distinct_id": ["a"], "resolved_distinct_id": ["b"]}))


def test_a_file_of_no_dialect_is_an_error_with_the_option_that_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", pa.table({"action": ["x"], "uid": ["a"]}))
    option = r'e.csv: events need .* columns={"event": "action", "distinct_id": "uid"}, or --column'
    for read in (scan, idmerge.stitch):
        with pytest.raises(FileFormatError, match=option):
            list(read(path))  # type: ignore[call-overload, operator]


def test_a_row_of_another_width_is_passed_over_and_named(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text(f"event,distinct_id,$anon_id\nx,{D1},\nx,y\n$identify,U1,{D1}\n", encoding="utf-8")
    pieces = list(scan(path))
    assert [str(piece) for piece in pieces if isinstance(piece, BadLine)] == [
        f"{path}:3: the row must have 3 cells like the header, got 2"
    ]
    assert pa.table(idmerge.stitch(path))["distinct_id"].to_pylist() == ["U1", "U1"]


def test_tables_of_several_dialects_are_one(tmp_path: Path) -> None:
    one = write(tmp_path / "a.parquet", pa.table({"event": ["x"], "distinct_id": [D1], "time": [1602611311]}))
    other = pa.table(
        {"event_name": ["$identify"], "distinct_id": ["U1"], "anon_id": [D1], "insert_id": ["i"]}
    )
    stitched = idmerge.stitch([one, write(tmp_path / "b.csv", other)])
    table = pa.table(stitched)
    assert table["distinct_id"].to_pylist() == ["U1", "U1"]
    assert table.column_names == ["event", "distinct_id", BEFORE, "time", "$anon_id", "$insert_id"]
