"""Stitching in one pass: events are encoded while their links are read, and come out as by hand."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from pathlib import Path
from time import process_time
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from idmerge import DurableResolver, Resolver, StitchedEvents, _core
from idmerge.errors import FileFormatError
from idmerge.files import blocks, scan
from idmerge.files.shape import Shape
from idmerge.stitching import encoding, lines, writing
from idmerge.testing import events as workload
from json_events import as_array
from stitched_by_hand import ALWAYS, as_read, lack_ids, stitched_table
from stitched_once import in_any_way, page, write, written_once
from strategies import D1, D2


@pytest.mark.rule("6", "9")
@settings(max_examples=400)
@given(
    *in_any_way,
    st.integers(1, 8),
    st.sampled_from(["once.parquet", "once"]),
)
def test_the_parquet_is_that_of_plain_python(  # noqa: PLR0913, PLR0917 - all that it must not depend on
    tmp_path_factory: pytest.TempPathFactory,
    given_file: tuple[list[str], str, bytes],
    wanted: dict[str, Any],
    known: tuple[Any, Any],
    threads: int,
    block: int,
    rows: int,
    name: str,
) -> None:
    texts, suffix, content = given_file
    path, output = tmp_path_factory.getbasetemp() / f"e.json{suffix}", tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDMERGE_THREADS", str(threads))
        patch.setattr(blocks, "BLOCK", block)
        patch.setattr(encoding, "ROWS", rows)
        patch.setattr(writing, "PART_ROWS", 2 * rows)
        try:
            stitched, is_once = written_once(path, output, Resolver(*known), **wanted)
        except FileFormatError as error:
            assert lack_ids(texts)
            without = "events need the column" if texts else "name of an event", "no line is an event"
            assert any(reason in str(error) for reason in without)  # noqa: PT017
            return
        event(f"read once: {is_once}, {[name for name in wanted if wanted[name]]}")
        dropped = stitched.duplicates
        twice = pa.table(stitched)
    expected = stitched_table(as_read(texts), policy=known[0], canonical=known[1], **wanted)
    files = sorted(output.glob("*.parquet")) if output.is_dir() else [output]
    for table in (pa.concat_tables([parquet.ParquetFile(file).read() for file in files]), twice):
        assert table.schema == expected.schema
        assert table.to_pylist() == expected.to_pylist()
    assert stitched.events == len(texts)
    assert stitched.duplicates == dropped == len(texts) - expected.num_rows
    assert stitched.column_names == expected.column_names


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("form", ["lines", "array"])
def test_usual_events_are_read_once(form: str, tmp_path: Path) -> None:
    events = list(workload(1501, seed=3))
    path = write(tmp_path / "e", *events)
    if form == "array":
        path.write_bytes(as_array([json.dumps(event) for event in events]))
    output = tmp_path / "out.parquet"
    _, is_once = written_once(path, output)
    assert is_once
    expected = stitched_table(events)
    assert parquet.read_table(output).equals(expected)
    assert pl.read_parquet(output).to_arrow().to_pylist() == expected.to_pylist()
    told = duckdb.read_parquet(str(output)).aggregate("count(*), count(DISTINCT distinct_id)").fetchall()
    assert told == [(expected.num_rows, len(set(expected["distinct_id"].to_pylist()) - {None}))]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("first", "then", "is_once"),
    [
        ([1], [2], True),
        ([1, 1.5], [2], True),
        ([1], [1.5], False),
        ([1.5], [1], True),
        ([1.5], [2**60], False),
        ([2**60], [1.5], False),
        (["a"], [1], True),
        ([1], ["a"], False),
        ([True], ["a"], False),
        ([True, "a"], [True], True),
        ([1, 1.5, "a"], [1.5, 1], True),
        ([None], [1], True),
        ([], [1.5], True),
        ([1.5], [], True),
        ([{"a": 1}], ["x", 1, 1.5, None], True),
        ([1], [None], True),
    ],
)
def test_a_property_that_is_wider_than_was_encoded_is_read_twice(
    first: list[Any],
    then: list[Any],
    is_once: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    def about(values: list[Any]) -> list[dict[str, Any]]:
        return [page(x=value) for value in values] + [page()] * 300

    events = about(first) + about(then)
    found = written_once(write(tmp_path / "e", *events), tmp_path / "out.parquet")[1]
    assert parquet.read_table(tmp_path / "out.parquet").equals(stitched_table(events))
    assert found == is_once


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("early", "late", "is_once"),
    [
        ([1, 1.5], [], True),
        ([1], [1.5], True),
        ([1], ["a"], True),
        ([True], ["a"], True),
        ([1.5], ["a"], False),
        ([1.5], [2**60], False),
    ],
)
def test_what_differs_within_a_row_group_is_widened_where_that_loses_nothing(
    early: list[Any],
    late: list[Any],
    is_once: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoding, "ROWS", 1000)
    events = [page(x=value) for value in early] + [page()] * 300 + [page(x=value) for value in late]
    found = written_once(write(tmp_path / "e", *events), tmp_path / "out.parquet")[1]
    assert parquet.read_table(tmp_path / "out.parquet").equals(stitched_table(events))
    assert found == is_once


def test_the_encoded_events_are_written_once_and_then_read(tmp_path: Path) -> None:
    events = list(workload(300, seed=1))
    path = write(tmp_path / "e", *events)
    stitched = StitchedEvents([path], Resolver())
    stitched.learn(output=tmp_path / "a.parquet")
    path.write_bytes(b"changed")
    assert stitched.write(tmp_path / "a.parquet") == len(events)
    assert parquet.read_table(tmp_path / "a.parquet").equals(stitched_table(events))
    with pytest.raises(FileFormatError, match="was changed while it was read"):
        stitched.write(tmp_path / "b.parquet")
    assert not (tmp_path / "b.parquet").exists()


def test_who_was_given_names_the_events(tmp_path: Path) -> None:
    resolver = Resolver()
    resolver.identify(D1, "U1")
    path = write(tmp_path / "e", page(), page(distinct_id=D2), page(distinct_id=None))
    _, is_once = written_once(path, tmp_path / "out.parquet", resolver, apply=False)
    assert is_once
    assert parquet.read_table(tmp_path / "out.parquet")["distinct_id"].to_pylist() == ["U1", D2, None]
    chosen = Resolver(canonical=min)
    written_once(path, tmp_path / "out.parquet", chosen)
    assert parquet.read_table(tmp_path / "out.parquet")["distinct_id"].to_pylist() == [D1, D2, None]


@pytest.mark.parametrize("output", ["out.arrow", "out.csv"])
def test_only_parquet_is_encoded_ahead(output: str, tmp_path: Path) -> None:
    _, is_once = written_once(write(tmp_path / "e", page()), tmp_path / output)
    assert not is_once


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("wanted", [{"as_known": True}, {"dedupe": True}, {"as_known": True, "dedupe": True}])
@pytest.mark.parametrize("output", ["out.parquet", "out"])
def test_senders_as_known_and_duplicates_are_found_in_one_pass(
    wanted: dict[str, bool], output: str, tmp_path: Path
) -> None:
    events = [*workload(700, seed=4), *workload(900, seed=4), page(), page()]
    stitched, is_once = written_once(write(tmp_path / "e", *events), tmp_path / output, **wanted)
    assert is_once
    expected = stitched_table(events, **wanted)
    assert parquet.read_table(tmp_path / output).equals(expected)
    assert stitched.duplicates == len(events) - expected.num_rows
    assert (stitched.duplicates > 500) is wanted.get("dedupe", False)
    assert f"{expected.num_rows:,} events, " in repr(stitched)


def test_no_events_are_a_file_without_rows(tmp_path: Path) -> None:
    for output in (tmp_path / "out.parquet", tmp_path / "out"):
        _, is_once = written_once(write(tmp_path / "e"), output)
        assert is_once
    for path in (tmp_path / "out.parquet", tmp_path / "out" / "part-00000.parquet"):
        assert parquet.read_table(path).num_rows == 0
        assert parquet.read_schema(path).names == [*ALWAYS]


def test_times_have_differences_and_insert_ids_no_dictionary(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    written_once(write(tmp_path / "e", *workload(3000, seed=1)), output)
    group = parquet.read_metadata(output).row_group(0)
    columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
    assert "DELTA_BINARY_PACKED" in columns["time"].encodings
    assert not columns["$insert_id"].has_dictionary_page
    assert columns["page"].has_dictionary_page
    assert columns["time"].is_stats_set
    assert {column.compression for column in columns.values()} == {"SNAPPY"}


def test_the_core_takes_no_events_without_their_names_and_no_file_twice(tmp_path: Path) -> None:
    scanner = _core.Scanner([], 1000, columns=True)
    text = b'{"event":1,"properties":{"distinct_id":"a"}}\n{"event":1,"properties":{"distinct_id":"b","x":1}}'
    first, second, third = (scanner.scan(b"", text, len(text)) for _ in range(3))
    assert first.columns_size() is not None
    spool = _core.Spool(str(tmp_path), [], [])
    kinds = [("distinct_id", "distinct_id", 16), ("x", "x", 4)]
    events = spool.encode([first, second], kinds, None)
    assert events is not None
    assert len(events) == 4
    assert spool.sent(events).texts().to_pylist() == ["a", "b", "a", "b"]
    assert events.fits(kinds)
    assert not events.fits([("x", "x", 8)])
    assert first.columns_size() is None
    with pytest.raises(ValueError, match="a scan has no columns, or they were taken"):
        spool.encode([first], kinds, None)
    assert spool.encode([third], [("x", "x", 2)], None) is None
    file = _core.EncodedFile(spool, str(tmp_path / "f"), kinds)
    with pytest.raises(ValueError, match="not named, or were copied before"):
        file.append(events)
    with pytest.raises(ValueError, match="3 ids came for 4 events"):
        spool.name(pa.array(["a"] * 3), events)
    with pytest.raises(TypeError, match="utf8"):
        spool.name(pa.array([1] * 4), events)
    spool.name(pa.array(["u", "u", None, "b"]), events)
    file.append(events)
    with pytest.raises(ValueError, match="not named, or were copied before"):
        file.append(events)
    file.close()
    with pytest.raises(ValueError, match="the file is closed"):
        file.close()
    table = parquet.read_table(tmp_path / "f")
    assert table["distinct_id"].to_pylist() == ["u", "u", None, "b"]
    assert table["x"].to_pylist() == [None, 1, None, 1]
    scanner.end_columns()
    bare = scanner.scan(b"", text, len(text))
    assert bare.columns_size() is None
    with pytest.raises(ValueError, match="a scan has no columns"):
        spool.encode([bare], kinds, None)
    with pytest.raises(FileNotFoundError, match="No such file or directory"):
        _core.Spool(str(tmp_path / "nowhere"), [], [])


def test_ids_that_a_resolver_took_wait_as_its_numbers(tmp_path: Path) -> None:
    resolver = Resolver()
    text = b"\n".join(
        json.dumps({"event": name, "properties": properties}).encode()
        for name, properties in [
            ("view", {"distinct_id": D1}),
            ("$identify", {"$anon_id": D1, "$identified_id": "U1", "distinct_id": "U2"}),
            ("view", {"distinct_id": "U1"}),
            ("view", {"distinct_id": ""}),
            ("view", {}),
        ]
    )
    shape = Shape()
    scans: list[_core.Scan] = []
    for piece in scan(io.BytesIO(text), shape=shape, on_columns=lambda found: scans.append(found) or True):
        piece.apply_to(resolver)
    spool = _core.Spool(str(tmp_path), [], [])
    events = spool.encode(scans, shape.columns(), resolver._era())
    assert events is not None
    sent = spool.sent(events)
    assert sent.texts().to_pylist() == [None, "U2", None, "", None]
    assert resolver._resolve_sent(sent).to_pylist() == ["U1", "U2", "U1", "", None]
    other = Resolver()
    with pytest.raises(ValueError, match="numbers of an earlier era"):
        other._resolve_sent(sent)
    resolver.forget("U1")
    with pytest.raises(ValueError, match="numbers of an earlier era"):
        resolver._resolve_sent(sent)


USERS = [page(distinct_id="u0"), page(distinct_id="u1"), page(distinct_id="u2")]


def test_a_piece_that_another_resolver_takes_too_names_nobody_otherwise(tmp_path: Path) -> None:
    own, other = Resolver(), Resolver()
    for name in ("a", "b", "c"):
        own.observe(name)
    own.identify(D1, "a")
    stitched = StitchedEvents([write(tmp_path / "e", *USERS)], own)
    stitched.learn(on_piece=lambda piece, _report: piece.apply_to(other), output=tmp_path / "out.parquet")
    stitched.write(tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet")["distinct_id"].to_pylist() == ["u0", "u1", "u2"]


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_resolver_that_forgets_names_the_events_all_the_same(when: str, tmp_path: Path) -> None:
    resolver = Resolver()
    resolver.observe("old")
    resolver.identify(D2, "old")
    if when == "before":
        resolver.forget("old")
    stitched = StitchedEvents([write(tmp_path / "e", *USERS, page(distinct_id=D2))], resolver)
    stitched.learn(output=tmp_path / "out.parquet")
    if when == "between":
        resolver.forget("old")
        resolver.forget("u0")
        resolver.observe("new")
    stitched.write(tmp_path / "out.parquet")
    expected = pa.table(stitched)["distinct_id"].to_pylist()
    assert parquet.read_table(tmp_path / "out.parquet")["distinct_id"].to_pylist() == expected
    assert expected == ["u0", "u1", "u2", D2]


def test_links_between_learning_and_writing_count(tmp_path: Path) -> None:
    resolver = Resolver()
    stitched = StitchedEvents([write(tmp_path / "e", page())], resolver)
    stitched.learn(output=tmp_path / "out.parquet")
    resolver.identify(D1, "later")
    stitched.write(tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet")["distinct_id"].to_pylist() == ["later"]


@pytest.mark.usefixtures("small")
def test_files_of_events_and_of_links_are_read_once_in_their_order(tmp_path: Path) -> None:
    events = list(workload(600, seed=8))
    (tmp_path / "b.csv").write_text("kind,first,second\nmerge,x,y\n", encoding="utf-8")
    write(tmp_path / "a", *events[:300])
    write(tmp_path / "c", page(distinct_id="x"), *events[300:])
    (tmp_path / "c").write_text("{}\n7\n" * 50 + (tmp_path / "c").read_text())
    files = [tmp_path / name for name in ("a", "b.csv", "c")]
    stitched = StitchedEvents(files, Resolver())
    stitched.learn(output=tmp_path / "out.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "flatten", None)
        stitched.write(tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet").equals(pa.table(stitched))


def test_bad_lines_by_the_thousand_take_their_time_once(tmp_path: Path) -> None:
    (tmp_path / "e").write_text("{}\n7\n" * 100_000 + '{"event": 1}\n')
    started = process_time()
    _, is_once = written_once(tmp_path / "e", tmp_path / "out.parquet")
    assert is_once
    assert process_time() - started < 60


def test_sparse_events_are_read_once(tmp_path: Path) -> None:
    sparse, out = tmp_path / "sparse", tmp_path / "out.parquet"
    write(sparse, *(page(**{f"p{n % 1900}": n if n % 3 else f"t{n}"}) for n in range(5000)))
    _, is_once = written_once(sparse, out)
    assert is_once
    once = parquet.read_table(out)
    assert once.num_columns == 1904
    assert once.equals(pa.table(idmerge.stitch(sparse)))


@pytest.mark.parametrize("way", ["once", "twice"])
def test_sparse_events_take_the_memory_of_their_values(way: str, tmp_path: Path) -> None:
    sparse, out = tmp_path / "sparse", tmp_path / "out.parquet"
    write(sparse, *(page(**{f"p{n % 1900}": n}) for n in range(100_000)))
    learning = "" if way == "once" else ".replace('output=sys.argv[2]', '')"
    command = [sys.executable, "-c", f"exec({MEASURE!r}{learning})", sparse, out]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert told[0] == "100000"
    assert int(told[1]) // 1024 < (200 if way == "once" else 800)  # With all cells 1.5 GiB and more.


def test_properties_without_end_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    sparse = write(tmp_path / "sparse", *(page(**{f"p{n}": n}) for n in range(60_000)))
    limited = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30,) * 2)\n" + MEASURE
    command = [sys.executable, "-c", limited, sparse, tmp_path / "out.parquet"]
    told = subprocess.run(command, check=False, capture_output=True, text=True).stderr
    assert "more than 2,000 different properties" in told


@pytest.mark.parametrize("fails", [False, True])
def test_no_thread_outlives_learning(fails: bool, tmp_path: Path) -> None:  # noqa: FBT001
    def on_piece(_piece: Any, _report: Any) -> None:
        if fails:
            raise KeyboardInterrupt

    stitched = StitchedEvents([write(tmp_path / "e", *workload(300, seed=1))], Resolver())
    try:
        stitched.learn(on_piece=on_piece, output=tmp_path / "out.parquet")
    except KeyboardInterrupt:
        assert fails
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("idmerge")] == []


def test_files_can_be_learned_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "e", page(a=1))
    stitched = StitchedEvents([path], Resolver())
    stitched.learn(output=tmp_path / "out.parquet")
    assert stitched.schema.names == [*ALWAYS, "a"]
    write(path, page(a=1), page(b=1))
    stitched.learn(output=tmp_path / "out.parquet")
    assert stitched.schema.names == stitched.column_names == [*ALWAYS, "a", "b"]
    assert stitched.events == 2
    stitched.write(tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet").equals(pa.table(stitched))


def test_a_journal_names_the_events_that_it_took(tmp_path: Path) -> None:
    events = list(workload(1000, seed=5))
    path = write(tmp_path / "e", *events)
    with DurableResolver.open(tmp_path / "j.idmerge") as resolver:
        _, is_once = written_once(path, tmp_path / "out.parquet", resolver)
        resolver.commit()
    assert is_once
    assert parquet.read_table(tmp_path / "out.parquet").equals(stitched_table(events))


def test_a_table_takes_no_output(tmp_path: Path) -> None:
    path = write(tmp_path / "e", page())
    stitched = idmerge.stitch(path, output=tmp_path / "out.parquet")
    assert pa.table(stitched).equals(parquet.read_table(tmp_path / "out.parquet"))
    idmerge.stitch(path, output=tmp_path / "out.arrow")
    assert (tmp_path / "out.arrow").exists()
    with pytest.raises(ValueError, match="leave output out"):
        idmerge.stitch(pa.table(stitched), output=tmp_path / "other.parquet")


MEASURE = """
import resource, sys, idmerge
def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
events = idmerge.StitchedEvents([sys.argv[1]], idmerge.Resolver())
before = most()
events.learn(output=sys.argv[2])
print(events.write(sys.argv[2]), most() - before, "pyarrow" in sys.modules)
"""


def test_memory_does_not_grow_with_the_file_and_pyarrow_is_not_needed(tmp_path: Path) -> None:
    link = {"event": "$identify", "properties": {"$identified_id": "U1", "$anon_id": D1}}
    line = json.dumps(page(text="x" * 1000, n=1)) + "\n"
    piece = (json.dumps(link) + "\n" + line * 999) * 10
    with (tmp_path / "e.ndjson").open("w") as file:
        for _ in range(27):
            file.write(piece)
    command = [sys.executable, "-c", MEASURE, tmp_path / "e.ndjson", tmp_path / "out.parquet"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert told[0] == "270000"
    assert int(told[1]) // 1024 < 250
    assert told[2] == "False"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "out"))] == ["out.parquet"]
    assert idmerge.stitch(tmp_path / "e.ndjson").events == 270_000
