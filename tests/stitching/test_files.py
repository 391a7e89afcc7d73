"""Stitched files of events: the table is that of plain Python, however the events are written."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from idmerge import Outcome, Resolver, StitchedEvents, doctor
from idmerge.errors import CanonicalError, FileFormatError
from idmerge.files import BadLine, blocks
from idmerge.questions import source
from json_events import as_array, written, zstd
from stitched_by_hand import ALWAYS, BEFORE, as_read, lack_ids, loaded, stitched_table
from strategies import D1, D2, policies, strategies

options = st.fixed_dictionaries(
    {},
    optional={
        "as_known": st.booleans(),
        "dedupe": st.booleans(),
        "canonical": strategies,
        "policy": policies,
        "properties": st.just(["page", "$insert_id", "event"]),
    },
)


@pytest.mark.rule("6", "9.ids", "9.as known", "9.duplicates", "9.events as json")
@settings(max_examples=300)
@given(written(), options, st.sampled_from([1, 2]), st.integers(1, 400))
def test_the_table_is_that_of_plain_python(
    tmp_path_factory: pytest.TempPathFactory,
    given_file: tuple[list[str], str, bytes],
    wanted: dict[str, Any],
    threads: int,
    block: int,
) -> None:
    texts, suffix, content = given_file
    path = tmp_path_factory.getbasetemp() / f"events.json{suffix}"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDMERGE_THREADS", str(threads))
        patch.setattr(blocks, "BLOCK", block)
        try:
            stitched = idmerge.stitch(path, **wanted)
        except FileFormatError as error:
            assert lack_ids(texts)
            without = "events need the column" if texts else "name of an event", "no line is an event"
            assert any(reason in str(error) for reason in without)  # noqa: PT017
            return
        table = pa.table(stitched)
    expected = stitched_table(as_read(texts), **wanted)
    assert table.schema == expected.schema
    assert table.to_pylist() == expected.to_pylist()
    assert stitched.events == len(texts)


@pytest.mark.rule("9.events as json")
def test_properties_stand_in_the_order_of_the_first_event_that_could_be_read(tmp_path: Path) -> None:
    texts = [
        '{"event":1,"properties":{"c":1,"b":1',
        '{"event":1,"properties":{"b":1},"properties":{"a":1,"b":2,"c":3,"a":4}}',
    ]
    (tmp_path / "e").write_text("\n".join([*texts, ""]), encoding="utf-8")
    assert idmerge.stitch(tmp_path / "e").column_names == [*ALWAYS, "a", "b", "c"]


EDGES = [
    "1e400",
    "-1e400",
    "NaN",
    "-Infinity",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "-0.0",
    "1.0",
    "1E5",
    "1e16",
    "1e22",
    "0.00001234",
    "1.5e-7",
    "0.1",
    '"\\ud800"',
    '"\\ud83e\\udd8a"',
    '"\\u0001\\u007f/\\/"',
    "true",
    "null",
    "[]",
    "{}",
    '{"a":1,"\\udc00":2}',
    '"1"',
]


@pytest.mark.parametrize("form", ["{}", "[{}]", '{{"a":[{}]}}'])
def test_every_value_is_the_same_in_lines_and_in_an_array(form: str, tmp_path: Path) -> None:
    for other in ("7", '"text"', "0.5"):
        for value in EDGES:
            texts = [f'{{"event":1,"properties":{{"x":{x}}}}}' for x in (form.format(value), other)]
            (tmp_path / "lines").write_text("\n".join(texts), encoding="utf-8")
            (tmp_path / "array").write_bytes(as_array(texts))
            expected = stitched_table(map(loaded, texts))
            for name in ("lines", "array"):
                assert pa.table(idmerge.stitch(tmp_path / name)).equals(expected), (name, texts)


# Who reads them


LINK = {"event": "$identify", "properties": {"$anon_id": D1, "$identified_id": "U1", "time": 1}}


def page(own: Any, **properties: Any) -> dict[str, Any]:
    return {"event": "Page View", "properties": {"distinct_id": own, **properties}}


def write(path: Path, *events: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    return path


@pytest.fixture
def stitched(tmp_path: Path) -> idmerge.StitchedEvents:
    path = write(tmp_path / "e.ndjson", page(D1, time=1_600_000_000, n=1), LINK, page("U1", n=2), page("x"))
    found: idmerge.StitchedEvents = idmerge.stitch(path)
    return found


IDS = ["U1", None, "U1", "x"]


def test_every_library_opens_the_events_and_as_often_as_it_likes(stitched: idmerge.StitchedEvents) -> None:
    for _ in range(2):
        assert pa.table(stitched)["distinct_id"].to_pylist() == IDS
        assert pl.DataFrame(stitched)["distinct_id"].to_list() == IDS
        assert pl.from_arrow(pa.RecordBatchReader.from_stream(stitched))["distinct_id"].to_list() == IDS
        assert pd.DataFrame.from_arrow(stitched)["distinct_id"].dropna().tolist() == ["U1", "U1", "x"]
        assert duckdb.sql("SELECT count(*), count(DISTINCT distinct_id) FROM stitched").fetchall() == [(4, 2)]
        twice = "SELECT count(*) FROM stitched a JOIN stitched b ON a.distinct_id = b.distinct_id"
        assert duckdb.sql(twice).fetchall() == [(5,)]
    assert repr(stitched) == "StitchedEvents(4 events, 7 columns)"
    assert stitched.column_names == [*ALWAYS, "n", "$anon_id", "$identified_id"]


def test_two_streams_go_on_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 64)
    path = write(tmp_path / "e.ndjson", *(page(f"u{n % 3}", n=n, **{"$insert_id": "i"}) for n in range(50)))
    stitched = idmerge.stitch(path, dedupe=True)
    streams = [pa.RecordBatchReader.from_stream(stitched) for _ in range(2)]
    found: list[list[int]] = [[], []]
    while True:
        batches = [next(stream, None) for stream in streams]
        if batches == [None, None]:
            break
        for own, batch in zip(found, batches, strict=True):
            own.extend(batch["n"].to_pylist() if batch is not None else [])
    assert found == [[0, 1, 2], [0, 1, 2]]
    assert stitched.duplicates == 47


def test_nothing_is_known_before_the_events_are_learned(tmp_path: Path) -> None:
    events = idmerge.StitchedEvents([write(tmp_path / "e.ndjson")], Resolver())
    assert repr(events) == "StitchedEvents(0 events, not read yet)"
    with pytest.raises(ValueError, match="learn the events first"):
        _ = events.schema


def test_a_resolver_that_is_given_decides_alone_and_stays_as_it_was(tmp_path: Path) -> None:
    resolver = Resolver()
    resolver.identify("x", "x2")
    resolver.merge("x", "x3")
    path = write(tmp_path / "e.ndjson", page(D1), LINK, page("x"))
    stitched = idmerge.stitch(path, resolver)
    assert pa.table(stitched)["distinct_id"].to_pylist() == [D1, None, resolver.resolve("x")]
    assert (len(resolver), D1 in resolver, dict(stitched.outcomes)) == (3, False, {})


def test_links_of_other_files_count_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "links.csv").write_text(f"kind,first,second\nidentify,{D1},U1\n", encoding="utf-8")
    table = pa.table({"kind": ["identify"], "first": [D2], "second": ["U1"]})
    parquet.write_table(table, tmp_path / "links.parquet")
    before = write(tmp_path / "before.ndjson", page(D1), page(D2))
    after = write(tmp_path / "after.ndjson", page(D1), page(D2))
    paths = [before, tmp_path / "links.csv", tmp_path / "links.parquet", after]
    stitched = pa.table(idmerge.stitch(paths, as_known=True, canonical="identified"))
    assert stitched["distinct_id"].to_pylist() == ["U1"] * 4
    assert stitched["distinct_id_as_known"].to_pylist() == [D1, D2, "U1", "U1"]
    for links in ("links.csv", "links.parquet"):
        only = idmerge.stitch(tmp_path / links)
        assert (only.events, only.column_names, pa.table(only).num_rows) == (0, [*ALWAYS], 0)


@pytest.mark.parametrize("text", [b"", b"\n \n", b"[]", b"[ ]\n", gzip.compress(b"", mtime=0)])
def test_no_events_are_a_table_without_rows(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "e.json").write_bytes(text)
    stitched = idmerge.stitch(tmp_path / "e.json", as_known=True, dedupe=True)
    assert pa.table(stitched).to_pydict() == {name: [] for name in [*ALWAYS, "distinct_id_as_known"]}


@pytest.mark.rule("9.duplicates")
def test_a_description_counts_the_events_that_come_out(tmp_path: Path) -> None:
    properties = {"distinct_id": "u", "$insert_id": "i", "time": 1}
    (tmp_path / "f.ndjson").write_text("\n".join([json.dumps({"event": "A", "properties": properties})] * 3))
    parquet.write_table(pa.Table.from_pylist([{"event": "A", **properties}] * 3), tmp_path / "f.parquet")
    columns = 5
    for name in ("f.ndjson", "f.parquet"):
        stitched = idmerge.stitch(tmp_path / name, dedupe=True)
        assert repr(stitched) == f"StitchedEvents(3 events and duplicates, {columns} columns)"
        assert pa.table(stitched).num_rows == 1
        assert repr(stitched) == f"StitchedEvents(1 event, {columns} columns)"
        written = idmerge.stitch(tmp_path / name, dedupe=True, output=tmp_path / "out.parquet")
        assert repr(written) == f"StitchedEvents(1 event, {columns} columns)"
        stitched.learn()
        assert repr(stitched) == f"StitchedEvents(3 events and duplicates, {columns} columns)"
        assert repr(idmerge.stitch(tmp_path / name)) == f"StitchedEvents(3 events, {columns} columns)"


def test_only_chosen_properties_become_columns_and_duplicates_are_told_all_the_same(tmp_path: Path) -> None:
    event = page("x", a=1, b=2, event="e", **{"$insert_id": "i"})
    stitched = idmerge.stitch(write(tmp_path / "e", event, event), properties=["b", "none"], dedupe=True)
    assert pa.table(stitched).to_pylist() == [
        dict.fromkeys(["event"], "Page View")
        | {
            "time": None,
            "distinct_id": "x",
            BEFORE: "x",
            "b": 2,
        }
    ]
    with pytest.raises(TypeError, match="properties must be a collection of names, got the text 'page'"):
        idmerge.stitch(tmp_path / "e", properties="page")


@pytest.mark.rule("9.events as json")
def test_a_table_has_no_more_columns_than_a_table_can_have(tmp_path: Path) -> None:
    most = write(tmp_path / "most", page("x", **{f"p{n}": n for n in range(1999)}))
    assert len(idmerge.stitch(most).column_names) == 2003
    more = write(tmp_path / "more", page("x", **{f"p{n}": n for n in range(2001)}))
    with pytest.raises(
        FileFormatError, match=r"more: more than 2,000 different properties; name the properties"
    ):
        idmerge.stitch(more)
    assert "p7" in idmerge.stitch(more, properties=["p7"]).column_names
    assert "n" * 1000 in idmerge.stitch(write(tmp_path / "e", page("x", **{"n" * 1000: 1}))).column_names
    with pytest.raises(FileFormatError, match=r"a property whose name has 1,001 characters"):
        idmerge.stitch(write(tmp_path / "e", page("x", **{"n" * 1001: 1})))


@pytest.mark.rule("9.as known")
def test_no_callable_is_asked_who_was_who(tmp_path: Path) -> None:
    path = write(tmp_path / "e", page(D1), LINK)
    with pytest.raises(CanonicalError, match="under a named strategy only"):
        idmerge.stitch(path, canonical=min, as_known=True)
    chosen = idmerge.stitch(path, canonical=min)
    assert pa.table(chosen)["distinct_id"].to_pylist() == [D1, None]


CHANGES = {
    "another property": page("x", n=1, m=2),
    "another type": page("x", n="one"),
    "the same again": page("x", n=1),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("suffix", ["", ".parquet"])
def test_a_file_that_changes_between_the_passes_gives_no_answer(
    change: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"e{suffix}"

    def write_again(*events: dict[str, Any]) -> None:
        if suffix:
            rows = [{"event": event["event"], **event["properties"]} for event in events]
            parquet.write_table(pa.Table.from_pylist(rows), path)
        else:
            write(path, *events)

    write_again(page("x", n=1))
    stitched = idmerge.stitch(path)
    write_again(*[CHANGES[change]] * 2)
    with pytest.raises(FileFormatError, match="the file was changed while it was read"):
        list(stitched.batches())
    with pytest.raises(FileFormatError, match="the file was changed while it was read"):
        stitched.write(tmp_path / "out.parquet")
    with pytest.raises(FileFormatError, match="the file was changed while it was read"):
        stitched.write(tmp_path / "out", partition_by="event")
    with pytest.raises(pa.ArrowException, match="the file was changed while it was read"):
        pa.table(stitched)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        list(stitched.batches())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_grows_while_it_is_written_gives_no_answer(tmp_path: Path) -> None:
    path = write(tmp_path / "e", page("x"))
    batches = idmerge.stitch(path).batches()
    assert next(batches).num_rows == 1
    with path.open("a") as file:
        file.write(json.dumps(page("y")) + "\n")
    with pytest.raises(FileFormatError, match="was changed"):
        next(batches)


def test_what_another_writer_has_not_finished_in_a_directory_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "raw" / "e.ndjson"
    (path.parent / ".raw.new").mkdir(parents=True)
    path.write_text('{"event": "x", "properties": {"distinct_id": "u", "time": 1}}\n', encoding="utf-8")
    whole = tmp_path / "lake" / "out"
    whole.parent.mkdir()
    stitched = idmerge.stitch(path)
    stitched.write(whole, partition_by="event")
    for name in (".out.idmerge-0.new", ".out.idmerge-0.old", "_temporary"):
        shutil.copytree(whole, whole.with_name(name))
    assert len(pa.table(idmerge.stitch(whole.parent, idmerge.Resolver()))) == 1
    shutil.copy(path, path.parent / ".raw.new")
    assert doctor.examine(path.parent).overview.events == 1
    with source.opened(whole.parent, source.Wanted(("event", "time"))) as (connection, _):
        assert connection.sql("SELECT count(*) FROM events").fetchall() == [(1,)]


def test_directories_stand_for_the_files_of_events_in_them(tmp_path: Path) -> None:
    events = tmp_path / "events"
    (events / "b" / "deep").mkdir(parents=True)
    write(events / "b" / "deep" / "2.jsonl", page("2"))
    write(events / "a.ndjson", page("1"))
    (events / "c.json.gz").write_bytes(gzip.compress(json.dumps(page("3")).encode()))
    (events / "d.json.zst").write_bytes(zstd(json.dumps([page("4")]).encode()))
    for hidden in (".hidden.ndjson", "_later.ndjson", "notes.txt", "links.csv"):
        write(events / hidden, page("hidden"))
    assert pa.table(idmerge.stitch(events))["distinct_id"].to_pylist() == ["1", "2", "3", "4"]
    both = [str(events / "b"), events / "a.ndjson"]
    assert pa.table(idmerge.stitch(both))["distinct_id"].to_pylist() == ["2", "1"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFormatError, match=r"empty: the directory holds no events: \.ndjson"):
        idmerge.stitch(tmp_path / "empty")


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        idmerge.stitch("nowhere.ndjson")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        idmerge.stitch(["nowhere.parquet"])


def test_a_pipe_is_read_once_and_stitched(tmp_path: Path) -> None:
    fifo = tmp_path / "events.ndjson"
    os.mkfifo(fifo)
    text = "".join(f"{json.dumps(event)}\n" for event in [page(D1), LINK]).encode()
    writer = threading.Thread(target=fifo.write_bytes, args=[text])
    writer.start()
    stitched = idmerge.stitch(fifo)
    writer.join()
    for _ in range(2):
        assert pa.table(stitched)["distinct_id"].to_pylist() == ["U1", None]


# Hostile input


def test_values_of_megabytes_and_thousands_of_levels_pass_in_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "e"
    deep = "[" * 5000 + "]" * 5000
    many = ",".join(f'"k{n % 100}":{n}' for n in range(100_000))
    long = "x" * (10 * 2**20)
    lines = [
        f'{{"event":"deep","properties":{{"a":{deep}}}}}',
        f'{{"event":"many","properties":{{{many}}}}}',
        f'{{"event":"long","properties":{{"a":"{long}","b":["{long[: 2**20]}"]}}}}',
        '{"event":"too long","properties":{"a":"' + "y" * (17 * 2**20) + '"}}',
        '{"event":"last"}',
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    started = perf_counter()
    bad: list[Any] = []
    events = idmerge.StitchedEvents([path], Resolver())
    events.learn(on_piece=lambda piece, _: bad.append(piece) if isinstance(piece, BadLine) else None)
    table = pa.table(events)
    assert perf_counter() - started < 20
    assert [line.line for line in bad] in ([1, 4], [4])  # How deep Python reads is its own affair.
    assert table["event"].to_pylist()[-3:] == ["many", "long", "last"]
    row = table.filter(pc.equal(table["event"], "many")).to_pylist()[0]
    assert (row["k0"], row["k99"]) == (99_900, 99_999)
    assert len(table["a"].to_pylist()[-2]) == len(long)


def test_wide_and_sparse_events_are_cheap(tmp_path: Path) -> None:
    path = write(tmp_path / "e", *(page("x", **{f"p{n % 1900}": n}) for n in range(4000)))
    started = perf_counter()
    table = pa.table(idmerge.stitch(path))
    assert (table.num_rows, table.num_columns) == (4000, 1904)
    assert perf_counter() - started < 10


# Events in columns


def columns_of(*events: dict[str, Any]) -> pa.Table:
    rows = [{"event": event["event"], **event["properties"]} for event in events]
    return pa.Table.from_pylist([dict.fromkeys(name for row in rows for name in row) | row for row in rows])


FLAT = [
    page(D1, n=1, **{"$insert_id": "i"}),
    page(D1, n=1, **{"$insert_id": "i"}),
    LINK,
    page("U1", n=2),
    page(None, n=3),
]


@pytest.mark.rule("9.tables")
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".stream.arrow"])
@pytest.mark.parametrize(
    "wanted", [{}, {"as_known": True}, {"dedupe": True}, {"as_known": True, "dedupe": True}]
)
def test_events_in_columns_are_stitched_as_their_table(
    suffix: str, wanted: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idmerge.files.tables.ROWS", 2)
    table = columns_of(*FLAT)
    path = tmp_path / f"e{suffix}"
    write_columns(table, path)
    stitched = idmerge.stitch(path, **wanted)
    expected = idmerge.stitch(table, **wanted)
    for _ in range(2):
        assert pa.table(stitched).equals(expected)
    assert stitched.schema == expected.schema
    assert (stitched.events, stitched.duplicates) == (5, int(wanted.get("dedupe", False)))
    assert dict(stitched.outcomes) == {Outcome.MERGED: 1}


def write_columns(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=3)
    else:
        make = pa.ipc.new_stream if ".stream" in path.name else pa.ipc.new_file
        with make(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)


@pytest.mark.parametrize("form", ["struct", "text"])
def test_properties_in_one_column_are_stitched_too(form: str, tmp_path: Path) -> None:
    table = pa.table(
        {"event": [event["event"] for event in FLAT], "properties": [e["properties"] for e in FLAT]}
    )
    if form == "text":
        texts = [json.dumps(event["properties"]) for event in FLAT]
        table = table.set_column(1, "properties", [texts])
    parquet.write_table(table, tmp_path / "e.parquet")
    assert pa.table(idmerge.stitch(tmp_path / "e.parquet", as_known=True)).equals(
        idmerge.stitch(table, as_known=True)
    )


@pytest.mark.rule("9.tables")
def test_files_with_different_columns_are_one_table(tmp_path: Path) -> None:
    parquet.write_table(columns_of(page(7, n=1)), tmp_path / "1.parquet")
    parquet.write_table(columns_of(page("U1"), LINK, page(D1, n=1.5, m="m")), tmp_path / "2.parquet")
    (tmp_path / "links.csv").write_text("kind,first,second\nmerge,7,U1\n", encoding="utf-8")
    paths = [tmp_path / "1.parquet", tmp_path / "links.csv", tmp_path / "2.parquet"]
    table = pa.table(idmerge.stitch(paths, canonical="smallest", as_known=True))
    assert table["distinct_id"].to_pylist() == [D1, D1, None, D1]
    assert table["distinct_id_as_known"].to_pylist() == ["7", "7", None, D1]
    assert table["n"].to_pylist() == [1.0, None, None, 1.5]
    assert table["m"].to_pylist() == [None, None, None, "m"]
    assert pa.table(idmerge.stitch(tmp_path, canonical="smallest"))["n"].to_pylist() == [1.0, None, None, 1.5]
    chosen = idmerge.stitch(paths, properties=["m"])
    assert chosen.column_names == ["event", "distinct_id", BEFORE, "time", "m"]
    assert pa.table(chosen)["distinct_id"].to_pylist() == ["7", "7", None, "7"]


def test_what_columns_cannot_say_is_told_with_the_file(tmp_path: Path) -> None:
    def refused(message: str, *tables: Any, **wanted: Any) -> None:
        paths = []
        for number, table in enumerate(tables):
            paths.append(tmp_path / f"{number}.parquet")
            if isinstance(table, bytes):
                paths[-1].write_bytes(table)
            else:
                parquet.write_table(table, paths[-1])
        with pytest.raises(FileFormatError, match=message):
            idmerge.stitch(paths, **wanted)

    refused("0.parquet: events need the column event", pa.table({"distinct_id": ["x"]}))
    refused(
        "0.parquet: events need the column time",
        pa.table({"event": ["x"], "distinct_id": ["x"]}),
        dedupe=True,
    )
    refused("0.parquet: events need the column distinct_id", pa.table({"event": ["x"]}))
    refused(
        "0.parquet: the column distinct_id must hold text", pa.table({"event": ["x"], "distinct_id": [0.5]})
    )
    refused("0.parquet: events need the columns event, and distinct_id or properties", pa.table({"x": ["x"]}))
    refused("differ in type", columns_of(page("x", n=1)), columns_of(page("x", n="n")))
    refused("0.parquet: no readable Parquet", b"PAR1 nonsense")
    write(tmp_path / "e.ndjson", page("x"))
    parquet.write_table(columns_of(page("x")), tmp_path / "0.parquet")
    with pytest.raises(FileFormatError, match=r"e.ndjson: events as JSON cannot be stitched together"):
        idmerge.stitch(tmp_path)
    twice = pa.table([["x"], ["a"], ["b"]], names=["event", "distinct_id", "distinct_id"])
    refused("has the column 'distinct_id' more than once", twice)


# Memory


MEASURE = """
import resource, sys, idmerge, pyarrow as pa
import pyarrow.parquet
def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = most()
print(idmerge.stitch(sys.argv[1]).write(sys.argv[2]), most() - before)
"""


def growth(path: Path, output: Path) -> tuple[int, int]:
    """Return how many events were stitched, and how many MB that took at most."""
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, path, output], check=True, capture_output=True, text=True
    ).stdout
    rows, kilobytes = map(int, told.split())
    return rows, kilobytes // 1024


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    line = json.dumps(page(D1, time=1_600_000_000, text="x" * 1000, n=1)) + "\n"
    piece = (json.dumps(LINK) + "\n" + line * 999) * 10
    with (tmp_path / "e.ndjson").open("w") as file:
        for _ in range(27):
            file.write(piece)
    assert (tmp_path / "e.ndjson").stat().st_size > 290 * 10**6
    rows, grown = growth(tmp_path / "e.ndjson", tmp_path / "out.parquet")
    assert rows == 270_000
    assert grown < 150


def test_memory_does_not_grow_with_a_file_of_columns(tmp_path: Path) -> None:
    text = [f"{n:01000}" for n in range(10_000)]
    piece = pa.table({"event": ["x"] * 10_000, "distinct_id": [D1] * 10_000, "text": text})
    with parquet.ParquetWriter(tmp_path / "e.parquet", piece.schema, use_dictionary=False) as writer:
        for _ in range(40):
            writer.write_table(piece)
    rows, grown = growth(tmp_path / "e.parquet", tmp_path / "out.parquet")
    assert rows == 400_000
    assert grown < 300


def test_row_groups_with_dictionaries_of_their_own_become_a_file_of_arrow(tmp_path: Path) -> None:
    def table(*values: str) -> pa.Table:
        known = {"event": ["x", "y"], "time": [1, 2], "distinct_id": ["a", "b"]}
        return pa.table({**known, "plan": pa.array(values).dictionary_encode()})

    path, output = tmp_path / "e.parquet", tmp_path / "s.arrow"
    with parquet.ParquetWriter(path, table("p", "q").schema) as writer:
        writer.write_table(table("p", "q"))
        writer.write_table(table("r", "s"))
    events = StitchedEvents([path], Resolver())
    events.learn()
    assert events.write(output) == 4
    with pa.OSFile(str(output)) as file, pa.ipc.open_file(file) as reader:
        assert reader.read_all()["plan"].to_pylist() == ["p", "q", "r", "s"]
