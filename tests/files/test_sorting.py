"""Events in the order in which Mixpanel processed them: sorted, in bounded memory, and stably."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from command_line import run
from idmerge import Resolver, files
from idmerge.errors import FileFormatError
from idmerge.files import sorting, tablesorting
from idmerge.files.processing import moment_of
from idmerge.files.sources import expanded
from paths import DATA

ORDER = DATA / "field" / "order.ndjson"
DEVICE = "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"


def event(number: int, processed: Any = None, received: Any = None) -> dict[str, Any]:
    properties = {"n": number, "mp_processing_time_ms": processed, "$mp_api_timestamp_ms": received}
    return {
        "event": "A",
        "properties": {name: value for name, value in properties.items() if value is not None},
    }


def text_of(events: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in events).encode()


def numbers_in(sources: list[files.RereadableFile]) -> list[int]:
    lines = [line for source in sources for line in Path(source.path).read_text().splitlines()]
    return [json.loads(line)["properties"]["n"] for line in lines]


MOMENTS = st.none() | st.integers(0, 9) | st.integers(0, 9).map(str) | st.sampled_from([True, -1, "x", 1.4])


@given(st.lists(st.tuples(MOMENTS, MOMENTS), max_size=30), st.integers(1, 500), st.integers(2, 4))
def test_the_sort_is_that_of_plain_python_whatever_the_runs(
    tmp_path_factory: pytest.TempPathFactory, clocks: list[tuple[Any, Any]], size: int, most: int
) -> None:
    events = [event(number, *clock) for number, clock in enumerate(clocks)]
    path = tmp_path_factory.getbasetemp() / "sorted.ndjson"
    path.write_bytes(text_of(events))
    keys, latest = [], -1
    for one in events:
        found = moment_of(one)
        latest = latest if found is None else found[1]
        keys.append(latest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "RUN_BYTES", size)
        patch.setattr(sorting, "MOST_RUNS", most)
        answer = numbers_in(files.sorted_by_processing_time([path]))
    assert answer == sorted(range(len(events)), key=lambda number: keys[number])


def test_files_are_sorted_together_and_files_of_links_stay(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(text_of([event(1, 10), event(2, 30)]))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps([event(3, 20), event(4, 5)]).encode()))
    (tmp_path / "links.csv").write_text("kind,first,second\nmerge,a,b\n")
    paths = [tmp_path / name for name in ("links.csv", "a.ndjson", "b.json.gz")]
    links, whole = files.sorted_by_processing_time(paths)
    assert links.path == str(paths[0])
    assert whole.name == f"{paths[1]} and 1 more, sorted"
    assert numbers_in([whole]) == [4, 1, 3, 2]
    only = files.sorted_by_processing_time([paths[0]])
    assert [file.path for file in only] == [str(paths[0])]


def test_the_text_of_an_event_stays_as_it_is_and_bad_lines_stay_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    lines = [
        b'{"event":"A","properties":{"mp_processing_time_ms":2,"n":1.10,"n":12345678901234567890123}}\n',
        b"{no json\n",
        b'{"event":"A","properties":{"mp_processing_time_ms":1,"u":"\\u00e9"}}',
    ]
    path.write_bytes(b"\n".join([lines[0].rstrip(), b"", lines[1].rstrip(), lines[2]]))
    (whole,) = files.sorted_by_processing_time([path])
    assert Path(whole.path).read_bytes() == lines[2] + b"\n" + lines[0] + lines[1]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_csv_is_sorted_as_the_same_events_in_other_columns_are(suffix: str, tmp_path: Path) -> None:
    rows = [
        {"event": "A", "distinct_id": "a", "n": "1", "mp_processing_time_ms": "30", "odd": 'x,"y"'},
        {"event": "$merge", "distinct_id": "", "n": "2", "$distinct_ids": '["a", "b"]'},
        {"event": "A", "distinct_id": "b", "n": "3", "mp_processing_time_ms": "10", "odd": "é"},
        {"event": "A", "distinct_id": "c", "n": "4", "mp_processing_time_ms": "", "odd": ""},
        {"event": "A", "distinct_id": "d", "n": "5", "mp_processing_time_ms": "20"},
    ]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    path = tmp_path / f"f{suffix}"
    packed = gzip.compress(text.getvalue().encode()) if suffix.endswith(".gz") else text.getvalue().encode()
    path.write_bytes(packed)
    stitched = pa.table(idmerge.stitch(path, sort=True, canonical="smallest"))
    assert stitched["n"].to_pylist() == ["3", "4", "5", "1", "2"]
    plain = pa.table(idmerge.stitch(path, canonical="smallest"))
    assert stitched.schema == plain.schema
    assert sorted(map(str, stitched.to_pylist())) == sorted(map(str, plain.to_pylist()))
    assert stitched["distinct_id"].to_pylist() == ["a", "c", "d", "a", None]
    assert "a,a,2" in run("resolve", path, "--sort", "--canonical", "smallest").stdout
    (tmp_path / "bad.csv").write_text("event,distinct_id,mp_processing_time_ms\nA,a,1\nA,b\n")
    with pytest.raises(FileFormatError, match=r"bad.csv:3: the row must have 3 cells .*: mend the row"):
        files.sorted_by_processing_time([tmp_path / "bad.csv"])


def test_an_array_with_an_item_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"event": "A"}, {no}]')
    with pytest.raises(FileFormatError, match=r"a\.json:2: the item is no JSON"):
        files.sorted_by_processing_time([path])


def test_sorted_links_are_judged_in_mixpanels_order(tmp_path: Path) -> None:
    def owner(sources: list[Any]) -> str:
        resolver = Resolver()
        for source in sources:
            for piece in files.scan(getattr(source, "path", source)):
                piece.apply_to(resolver)
        return resolver.resolve(DEVICE)

    assert owner([ORDER]) == "ben"
    assert owner(files.sorted_by_processing_time([ORDER])) == "ana"
    stitched = idmerge.stitch(str(ORDER), sort=True)
    rows = pa.table(stitched).to_pylist()
    assert [row["distinct_id"] for row in rows] == ["ana", "ana", "ben"]
    output = tmp_path / "stitched.parquet"
    idmerge.stitch(ORDER, sort=True, output=output)
    assert output.exists()
    with pytest.raises(ValueError, match="a table keeps its order"):
        idmerge.stitch(pa.table(stitched), sort=True)


def test_parts_of_a_directory_are_read_by_their_numbers(tmp_path: Path) -> None:
    names = [
        "part-10.ndjson",
        "part-9.ndjson",
        "part-1.ndjson",
        "part.ndjson",
        "part-009.ndjson",
        "a/2/x.json",
    ]
    names += ["a/10/x.json", "a/1/x.json", "part-9b.ndjson", "2024-01-02.ndjson", "2024-01-10.ndjson"]
    for name in names:
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"")
    found = [str(Path(str(path)).relative_to(tmp_path)) for path in expanded([tmp_path])]
    assert found == [
        *("2024-01-02.ndjson", "2024-01-10.ndjson", "a/1/x.json", "a/2/x.json", "a/10/x.json"),
        *("part-1.ndjson", "part-009.ndjson", "part-9.ndjson", "part-9b.ndjson", "part-10.ndjson"),
        "part.ndjson",
    ]


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("nested", ["columns", "struct", "text"])
@settings(max_examples=30)
@given(st.lists(st.tuples(MOMENTS, MOMENTS), min_size=1, max_size=20), st.integers(1, 8), st.integers(1, 20))
def test_columns_are_sorted_as_lines_are(  # noqa: PLR0913, PLR0917 - two forms and drawn values
    tmp_path_factory: pytest.TempPathFactory,
    form: str,
    nested: str,
    clocks: list[tuple[Any, Any]],
    rows: int,
    half: int,
) -> None:
    clocks = [tuple(one if type(one) is int else None for one in pair) for pair in clocks]  # type: ignore[misc]
    events = [event(number, *clock) for number, clock in enumerate(clocks)]
    base = tmp_path_factory.getbasetemp()
    (base / "lines.ndjson").write_bytes(text_of(events))
    expected = numbers_in(files.sorted_by_processing_time([base / "lines.ndjson"]))
    table = pa.table(
        {
            "event": pa.array(["A"] * len(events)).dictionary_encode(),
            "distinct_id": ["ana"] * len(events),
            "n": range(len(events)),
        }
    )
    if nested == "columns":
        for place, name in enumerate(("mp_processing_time_ms", "$mp_api_timestamp_ms")):
            table = table.append_column(name, pa.array([clock[place] for clock in clocks], pa.int64()))
    else:
        cells = [one["properties"] for one in events]
        texts = pa.array(map(json.dumps, cells)) if nested == "text" else pa.array(cells)
        table = table.append_column("properties", texts)
    paths = [base / f"a.{form}", base / f"b.{form}"]
    for path, part in zip(paths, (table.slice(0, half), table.slice(half)), strict=True):
        if form == "parquet":
            parquet.write_table(part, path)
        else:
            with pa.ipc.new_file(path, part.schema) as writer:
                writer.write_table(part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tablesorting, "RUN_ROWS", rows)
        patch.setattr(tablesorting, "ROWS", 2)
        (whole,) = files.sorted_by_processing_time(paths)
    answer = parquet.read_table(whole.path)
    assert answer["n"].to_pylist() == expected
    assert answer.schema.names == table.schema.names
    assert answer["distinct_id"].to_pylist() == ["ana"] * len(events)


def test_columns_and_lines_are_not_sorted_together(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"event": ["A"], "distinct_id": ["ana"]}), tmp_path / "a.parquet")
    with pytest.raises(FileFormatError, match="write all of them in one way"):
        files.sorted_by_processing_time([ORDER, tmp_path / "a.parquet"])


def test_sorted_columns_are_stitched_in_mixpanels_order(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in ORDER.read_text().splitlines()]
    flat = [{"event": row["event"], **row["properties"]} for row in rows]
    parquet.write_table(pa.Table.from_pylist(flat), tmp_path / "a.parquet")
    stitched = pa.table(idmerge.stitch(tmp_path / "a.parquet", sort=True)).to_pylist()
    assert [row["distinct_id"] for row in stitched] == ["ana", "ana", "ben"]
