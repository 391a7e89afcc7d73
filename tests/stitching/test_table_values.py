"""Values of tables, read as those of files: times, duplicates, properties of every type."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from command_line import run
from idmerge.errors import ColumnError, FileFormatError, StitchWarning
from idmerge.files import scan
from idmerge.files.times import as_times, milliseconds
from idmerge.questions import signup_rate
from idmerge.stitching import StitchReport, tables
from stitched_by_hand import BEFORE
from strategies import D1

FIELD = Path(__file__).parents[1] / "data" / "field"
DEVICE = "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"


def in_json(values: list[Any], path: Path) -> list[datetime | None]:
    """The times of events in lines of JSON."""
    events = [{"event": "x", "properties": {"distinct_id": "a", "time": value}} for value in values]
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    times: list[datetime | None] = pa.table(idmerge.stitch(path))["time"].to_pylist()
    return times


def in_table(column: Any) -> list[datetime | None]:
    table = pa.table({"event": ["x"] * len(column), "distinct_id": ["a"] * len(column), "time": column})
    times: list[datetime | None] = idmerge.stitch(table)["time"].to_pylist()
    return times


BOUNDS = [10**exponent for exponent in (11, 14, 17)]
NEAR = sorted(
    {sign * (bound + by) for bound in BOUNDS for by in (-1, 0, 1, 499, 500, 501) for sign in (1, -1)}
)


# Times


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("times") / "e.ndjson"


@pytest.mark.rule("9.events as json")
@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from(NEAR)), min_size=1, max_size=8))
def test_integers_are_times_as_in_a_file(lines: Path, values: list[int]) -> None:
    assert in_table(pa.array(values, pa.int64())) == in_json(values, lines)


@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False),
            st.floats(-2e18, 2e18),
            st.integers(-(10**14), 10**14).map(lambda half: half / 2),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_floats_are_times_as_in_a_file(lines: Path, values: list[float]) -> None:
    assert in_table(pa.array(values, pa.float64())) == in_json(values, lines)


TEXTS = st.one_of(
    st.text(max_size=5),
    st.integers(-(2**63), 2**63).map(str),
    st.floats(-2e18, 2e18).map(str),
    st.sampled_from(
        [
            "2020-10-13T17:48:31",
            "2020-10-13T17:48:31Z",
            "2020-10-13T19:48:31+02:00",
            "2020-10-13",
            "1e9",
            "inf",
            'a"b\\',
            "\n",
            "",
            "0" * 200,
        ]
    ),
)


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_texts_are_times_as_in_a_file(lines: Path, values: list[str]) -> None:
    assert in_table(pa.array(values, pa.string())) == in_json(values, lines)


TEN = datetime(2024, 1, 1, 10, tzinfo=UTC)
WRITTEN = {
    "2024-01-01 10:00": TEN,
    "2024-01-01T10:00Z": TEN,
    "2024-01-01t10:00z": TEN,
    "2024-01-01 10:00 UTC": TEN,
    "2024-01-01T15:30+05:30": TEN,
    "2024-01-01 15:30 +0530": TEN,
    "2024-01-01 10:00:00.000 Z": TEN,
    "2024-01-01 10:00:00  Z": TEN,
    "2024-01-01 10:00:00 UTC": TEN,
    "2024-01-01T15:30:00+0530": TEN,
    "2024-01-01T15:00:00+05": TEN,
    "2024-01-01T10:00:00.5 Z": TEN.replace(microsecond=500_000),
    "2024-01-01T10:60": None,
    "2024-01-01T10:00:": None,
    "2024-01-01T10:0é": None,
    "2024-01-01 10:00x": None,
    "2024-01-01 Z": None,
}


@pytest.mark.rule("9.events as json")
@pytest.mark.parametrize("text", WRITTEN)
def test_times_without_seconds_or_with_blanks_before_their_zone_are_read(text: str, lines: Path) -> None:
    expected = [WRITTEN[text]]
    assert in_json([text], lines) == expected
    assert in_table(pa.array([text])) == expected
    assert in_table(pa.array([text]).dictionary_encode()) == expected


MIXED = [1_704_103_200, "2024-01-01T10:00:00", "soon", None, 10**18, True, [1], 1_704_103_200.5]
"""Values of `time`, of which objects of properties hold one each."""


def nested(times: list[Any]) -> list[dict[str, Any]]:
    return [{"distinct_id": "a", "$insert_id": str(place), "time": time} for place, time in enumerate(times)]


def in_texts(times: list[Any]) -> Any:
    return pa.array(map(json.dumps, nested(times)))


LAYOUTS: dict[str, Any] = {
    "text": in_texts,
    "bytes": lambda times: in_texts(times).cast(pa.large_binary()),
    "dictionary": lambda times: in_texts(times).dictionary_encode(),
    "struct": lambda times: pa.array(
        [{**one, "time": None if one["time"] is None else str(one["time"])} for one in nested(times)]
    ),
    "map": lambda times: pa.array(
        [[("distinct_id", "a"), ("time", None if time is None else str(time))] for time in times],
        pa.map_(pa.string(), pa.string()),
    ),
}


@pytest.mark.rule("9.tables")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_times_among_properties_become_the_column_that_they_are_in_a_file(
    layout: str, lines: Path, tmp_path: Path
) -> None:
    plain = [1_704_103_200, "2024-01-01T10:00:00", "soon", None]
    times = MIXED if "text" in layout or layout in {"bytes", "dictionary"} else plain
    expected = in_json(times, lines)
    table = pa.table({"event": ["x"] * len(times), "properties": LAYOUTS[layout](times)})
    parquet.write_table(table, tmp_path / "f.parquet")
    reports: list[StitchReport] = []
    frames = [table] if layout == "map" else [table, pl.from_arrow(table), table.to_pandas()]
    for events in (*frames, tmp_path / "f.parquet"):
        stitched = pa.table(idmerge.stitch(events, on_report=reports.append))
        assert stitched["time"].to_pylist() == expected
        assert stitched["time"].type == pa.timestamp("ms", "UTC")
        assert set(stitched.column_names) == {"event", "time", "distinct_id", BEFORE, "properties"}
    missing = times.count(None)
    assert {report.unreadable_times for report in reports[:-1]} == {expected.count(None) - missing}
    lone = pa.table(idmerge.stitch(tmp_path / "f.parquet", properties=[]))
    assert lone["time"].to_pylist() == expected


def test_a_table_that_holds_no_times_gets_none() -> None:
    for properties in (pa.array([{"page": "/"}]), pa.nulls(1)):
        table = pa.table({"event": ["x"], "distinct_id": ["a"], "properties": properties})
        assert "time" not in idmerge.stitch(table).column_names
    own = pa.table({"event": ["x"], "distinct_id": ["a"], "time": [1], "properties": ['{"time": 2}']})
    assert idmerge.stitch(own)["time"].to_pylist() == [datetime.fromtimestamp(1, UTC)]


def test_times_among_properties_serve_partitions_questions_and_duplicates(tmp_path: Path) -> None:
    times = [1_704_103_200, "2024-01-01T10:00:00Z", "2024-01-02T10:00:00+05:30"]
    texts = [json.dumps({"distinct_id": "a", "$insert_id": "1", "time": time}) for time in times]
    table = pa.table({"event": ["x"] * 3, "properties": texts})
    path = tmp_path / "f.parquet"
    parquet.write_table(table, path)
    run("stitch", path, "-o", tmp_path / "days", "--partition-by", "date")
    assert {place.name for place in (tmp_path / "days").glob("date=*")} == {
        "date=2024-01-01",
        "date=2024-01-02",
    }
    assert "2024-01-01" in run("ask", "signup-rate", path, "--by", "day", "--signup", "x").stdout
    assert idmerge.stitch(table, dedupe=True).num_rows == 2
    zoned = table.slice(0, 2)
    for events in (zoned, pl.from_arrow(zoned), zoned.to_pandas()):
        kept = idmerge.stitch(events, dedupe=True, timezone="Asia/Kolkata")
        assert pa.table(kept)["time"].cast(pa.int64()).to_pylist() == [1_704_083_400_000, 1_704_103_200_000]


SECONDS = datetime.fromtimestamp(1602611311, UTC)


@pytest.mark.rule("9.tables")
@pytest.mark.parametrize(
    "column",
    [
        pa.array([1602611311], pa.int64()),
        pa.array([1602611311000], pa.uint64()),
        pa.array([1602611311000000]),
        pa.array([1602611311000000000]),
        pa.array([1602611311.0]),
        pa.array([Decimal("1602611311.000")]),
        pa.array(["1602611311"]),
        pa.array(["2020-10-13T17:48:31Z"], pa.string_view()),
        pa.array(["2020-10-13T17:48:31"]).dictionary_encode(),
        pa.array([datetime(2020, 10, 13, 17, 48, 31, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
        pa.array([1602611311]).cast(pa.timestamp("s")),
    ],
    ids=str,
)
def test_a_moment_is_the_same_in_every_type(column: pa.Array[Any]) -> None:
    assert milliseconds(column).to_pylist() == [1602611311000]
    times = as_times(column)
    assert times.cast(pa.timestamp("ms", "UTC")).to_pylist() == [SECONDS]
    is_kept = pa.types.is_timestamp(column.type)
    assert times.type == (column.type if is_kept else pa.timestamp("ms", "UTC"))


def test_what_is_no_time_is_null_and_counted() -> None:
    reports: list[StitchReport] = []
    table = pa.table({"event": ["x"] * 4, "distinct_id": ["a"] * 4, "time": ["soon", None, "1", "1e300"]})
    stitched = idmerge.stitch(table, on_report=reports.append)
    assert stitched["time"].to_pylist() == [None, None, datetime.fromtimestamp(1, UTC), None]
    assert reports[0].unreadable_times == 2
    assert as_times(pa.array([True, None])).to_pylist() == [None, None]
    assert as_times(pa.array([2**64 - 1], pa.uint64())).to_pylist() == [None]
    assert as_times(pa.array([-(2**63)])).to_pylist()[0].year == 1677
    assert as_times(pa.array([date(2020, 1, 1)])).type == pa.date32()


def test_times_of_frames_become_those_of_their_family() -> None:
    columns = {"event": ["x"], "distinct_id": ["a"], "time": [1602611311]}
    assert idmerge.stitch(pl.DataFrame(columns))["time"].to_list() == [SECONDS]
    frame = idmerge.stitch(pd.DataFrame(columns, index=[7]))
    assert frame["time"].tolist() == [pd.Timestamp(SECONDS)]
    mixed = pd.DataFrame({**columns, "time": pd.Series(["2020-10-13T17:48:31"], dtype=object)})
    assert idmerge.stitch(mixed)["time"].tolist() == [pd.Timestamp(SECONDS)]


def test_times_of_both_types_are_asked_about() -> None:
    stitched = idmerge.stitch(FIELD / "int_time.parquet")
    answer = signup_rate(stitched)
    assert [row["visitors"] for row in answer] == [1]
    naive = pa.table(stitched)
    naive = naive.set_column(naive.column_names.index("time"), "time", naive["time"].cast(pa.timestamp("us")))
    assert list(signup_rate(naive, by="day")) == list(signup_rate(stitched, by="day"))


# Duplicates

MOMENTS: list[Any] = [
    1602611311,
    1602611311000,
    1602611311.0,
    "2020-10-13T17:48:31Z",
    "2020-10-13T17:48:31+00:00",
]


def duplicate_events() -> list[dict[str, Any]]:
    return [
        {"event": "x", "properties": {"distinct_id": "ana", "time": moment, "$insert_id": "i", BEFORE: D1}}
        for moment in MOMENTS
    ] + [{"event": "x", "properties": {"distinct_id": D1, "time": 1602611311, "$insert_id": "i"}}]


@pytest.mark.rule("9.duplicates")
@pytest.mark.parametrize("way", ["lines", "array", "JSON text", "columns", "pandas objects"])
def test_times_that_read_alike_are_one_row_by_every_way_in(way: str, tmp_path: Path) -> None:
    events = duplicate_events()
    path = tmp_path / "e.json"
    given: Any = path
    if way == "lines":
        path.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    elif way == "array":
        path.write_text(json.dumps(events), encoding="utf-8")
    elif way == "JSON text":
        texts = [json.dumps(event["properties"]) for event in events]
        given = pa.table({"event": ["x"] * len(events), "properties": texts})
    elif way == "columns":
        rows = [{"event": "x", **event["properties"]} for event in events]
        given = pa.Table.from_pylist([{**row, "time": str(row["time"])} for row in rows])
    else:
        given = pd.DataFrame([{"event": "x", **event["properties"]} for event in events], dtype=object)
    stitched = idmerge.stitch(given, dedupe=True)
    table = stitched if isinstance(stitched, pd.DataFrame) else pa.table(stitched)
    assert len(table) == 1


# Properties

TEXT = [json.dumps({"distinct_id": "U1", "$anon_id": D1}), json.dumps({"distinct_id": D1})]


@pytest.mark.rule("9.tables")
@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.binary()),
        pa.json_(),
        pa.json_(pa.large_string()),
    ],
    ids=str,
)
def test_json_text_of_every_layout_is_read(kind: Any, tmp_path: Path) -> None:
    base = pa.array(TEXT, pa.string())
    if isinstance(kind, pa.BaseExtensionType):
        column: Any = base.cast(kind.storage_type).cast(kind)
    elif pa.types.is_dictionary(kind):
        column = base.cast(kind.value_type).dictionary_encode().cast(kind)
    else:
        column = base.cast(pa.binary()).cast(kind) if pa.types.is_binary_view(kind) else base.cast(kind)
    table = pa.table(
        {"event": ["$identify", "x"], "time": [1, 1], "$insert_id": ["i", "j"], "properties": column}
    )
    stitched = idmerge.stitch(table, dedupe=True)
    assert stitched["distinct_id"].to_pylist() == ["U1", "U1"]
    assert stitched.schema.field("properties").type == kind
    path = tmp_path / "e.arrow"
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    assert pa.table(idmerge.stitch(path))["distinct_id"].to_pylist() == ["U1", "U1"]


def test_json_of_duckdb_is_read() -> None:
    relation = duckdb.sql(f"SELECT '$identify' AS event, '{TEXT[0]}'::JSON AS properties")
    assert idmerge.stitch(relation).fetchall()[0][:2] == ("U1", "U1")


@pytest.mark.rule("9.tables")
def test_objects_of_pandas_whose_property_changes_type_are_as_in_a_file(tmp_path: Path) -> None:
    properties: list[Any] = [
        {"distinct_id": D1, "plan": 1},
        {"distinct_id": "U1", "$anon_id": D1, "plan": "free", "at": np.int64(3), "on": date(2020, 1, 1)},
        {"distinct_id": 7, "plan": [1]},
        {"distinct_id": None, "plan": None, "$insert_id": 1.5},
        None,
    ]
    names = ["x", "$identify", "x", "x", "x"]
    frame = pd.DataFrame({"event": names, "properties": properties})
    path = tmp_path / "e.ndjson"
    events = [{"event": e, "properties": p or {}} for e, p in zip(names, properties, strict=True)]
    path.write_text("".join(f"{json.dumps(e, default=str)}\n" for e in events), encoding="utf-8")
    expected = pa.table(idmerge.stitch(path))
    stitched = idmerge.stitch(frame)
    for name in ("distinct_id", BEFORE):
        assert [None if pd.isna(v) else v for v in stitched[name]] == expected[name].to_pylist()
    assert stitched["properties"].tolist() == properties
    objects = pl.DataFrame({"event": names, "properties": pl.Series(properties, dtype=pl.Object)})
    assert idmerge.stitch(objects)["distinct_id"].to_list() == expected["distinct_id"].to_pylist()


def test_ids_of_mixed_types_in_a_frame_are_ids_by_one_rule() -> None:
    frame = pd.DataFrame({"event": ["x"] * 3, "distinct_id": pd.Series(["a", 7, None], dtype=object)})
    assert [None if pd.isna(v) else v for v in idmerge.stitch(frame)["distinct_id"]] == ["a", "7", None]


# Streams and size


def test_a_stream_that_was_read_is_an_error() -> None:
    table = pa.table({"event": ["x"], "distinct_id": ["a"], "time": [SECONDS], BEFORE: ["a"]})
    reader = table.to_reader()
    idmerge.stitch(reader)
    with pytest.raises(ColumnError, match="was read already, and has nothing left"):
        idmerge.stitch(reader)
    with pytest.raises(ColumnError, match="was read already, and has nothing left"):
        signup_rate(reader, signup="x")
    other = table.to_reader()
    signup_rate(other, signup="x")
    with pytest.raises(ColumnError, match="was read already, and has nothing left"):
        idmerge.stitch(other)


def test_a_relation_over_a_stream_that_was_read_is_an_error() -> None:
    relation = duckdb.from_arrow(pa.table({"event": ["x"], "distinct_id": ["a"]}).to_reader())
    idmerge.stitch(relation)
    with pytest.raises(duckdb.Error, match="already been consumed"):
        idmerge.stitch(relation)


def test_an_open_file_that_was_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    path.write_text('{"event": "x", "properties": {"distinct_id": "a"}}\n', encoding="utf-8")
    with path.open("rb") as stream:
        assert [len(piece) for piece in scan(stream)] == [1]
        with pytest.raises(FileFormatError, match="nothing is left of the open file, which was read already"):
            list(scan(stream))


@pytest.mark.parametrize(("rows", "size"), [(3, 2**30), (2**20, 64), (1, 1)])
def test_pieces_of_a_table_are_stitched_as_one(rows: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 10
    table = pa.table(
        {
            "event": ["x", "$identify"] * count,
            "distinct_id": [D1, "U1"] * count,
            "$anon_id": pa.array([None, D1] * count).dictionary_encode(),
            "time": [1, 2] * count,
            "$insert_id": [f"i{place % 7}" for place in range(2 * count)],
        }
    )
    table = pa.concat_tables([table.slice(0, 5), table.slice(5)])
    expected = idmerge.stitch(table, dedupe=True, as_known=True)
    monkeypatch.setattr(tables, "PIECE_ROWS", rows)
    monkeypatch.setattr(tables, "PIECE_BYTES", size)
    assert len(list(tables.pieces_of(table))) > 3
    found = idmerge.stitch(table, dedupe=True, as_known=True)
    assert found.equals(expected)
    assert found.num_rows == 14


# Reports


def warned(table: pa.Table) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        idmerge.stitch(table)
    assert all(warning.category is StitchWarning for warning in caught)
    assert all(warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


def test_links_that_came_to_nothing_are_warned_of() -> None:
    columns = {"event": ["$identify"] * 2, "distinct_id": ["U1", "U2"]}
    assert warned(pa.table({**columns, "$anon_id": [D1, D1]})) == []
    assert warned(pa.table({**columns, "$anon_id": ["x", "y"]})) == [
        "all 2 links were refused (2 ANON_FORMAT), so no IDs were joined; on_report= gets the counts"
    ]
    assert warned(pa.table({**columns, "event": ["$identify", "A"], "$anon_id": ["x", "y"]})) == [
        "the only link was refused (1 ANON_FORMAT), so no IDs were joined; on_report= gets the counts"
    ]
    assert warned(pa.table({**columns, "$anon_id": [D1, None]})) == [
        "1 of 2 links is malformed (1 MERGED, 1 MALFORMED); on_report= gets the counts"
    ]


def test_who_takes_the_report_is_not_warned() -> None:
    table = pa.table({"event": ["$identify"], "distinct_id": ["U1"], "$anon_id": ["x"]})
    reports: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        idmerge.stitch(table, on_report=reports.append)
    assert reports[0].links == 1
    with pytest.warns(StitchWarning, match="the only link was refused"):
        idmerge.stitch(table)


def test_times_that_look_local_are_warned_of(tmp_path: Path) -> None:
    steps = range(0, 24 * 37, 37)
    time = {
        "time": [1_746_097_970 + step for step in steps],
        "$mp_api_timestamp_ms": [1_746_078_175_363 + 1000 * step for step in steps],
    }
    table = pa.table({"event": ["A"] * 24, "distinct_id": ["a"] * 24, **time})
    parquet.write_table(table, tmp_path / "f.parquet")
    frames: list[Any] = [table, pl.from_arrow(table), table.to_pandas(), duckdb.from_arrow(table)]
    for events in [*frames, tmp_path / "f.parquet", FIELD / "ist.ndjson"]:
        reports: list[Any] = []
        idmerge.stitch(events, on_report=reports.append)
        assert reports[0].offset == "+05:30"
        with pytest.warns(StitchWarning, match=r"are \+05:30 from when Mixpanel received .* timezone= names"):
            idmerge.stitch(events)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            idmerge.stitch(events, timezone="Asia/Kolkata")


# Field files


@pytest.mark.parametrize(
    ("name", "rows", "links"),
    [
        ("mp_master_event_struct.parquet", 6, 2),
        ("mp_master_event_json.parquet", 6, 2),
        ("dups.parquet", 6, 4),
        ("fivetran_event.parquet", 3, 1),
        ("int_time.parquet", 3, 1),
    ],
)
def test_tables_that_people_hold_have_one_person(name: str, rows: int, links: int) -> None:
    stitched = idmerge.stitch(FIELD / name, dedupe="dups" in name)
    table = pa.table(stitched)
    assert set(table["distinct_id"].to_pylist()) == {"ana"}
    assert (table.num_rows, stitched.outcomes.total()) == (rows, links)
    assert pa.types.is_timestamp(table.schema.field("time").type)
    assert {"event", "distinct_id", BEFORE} <= {*table.column_names}
    frame = idmerge.stitch(parquet.read_table(FIELD / name), dedupe="dups" in name)
    assert frame.equals(table.cast(frame.schema))
    assert stitched.resolver.resolve(DEVICE) == "ana"


def test_a_table_without_dollars_states_its_300_links() -> None:
    stitched = idmerge.stitch(FIELD / "airbyte.parquet")
    assert {outcome.name: count for outcome, count in stitched.outcomes.items()} == {"MERGED": 300}
