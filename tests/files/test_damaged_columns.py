"""Damaged columns, in files and in memory, are errors: no byte outside their buffers is read."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import idmerge
from idmerge import Kind, Resolver, connected_components, questions
from idmerge.errors import ColumnError, FileFormatError
from idmerge.files import LinkBatch, read
from idmerge.files.arrow import opened
from paths import ROOT

TEXT = b"aaaabbbbccccddddeeeeffffgggghhhh"


def column(offsets: list[int], kind: Any = None, text: bytes = TEXT) -> pa.Array[Any]:
    """Return a column of text with such offsets, right or wrong."""
    kind = kind or pa.string()
    form = f"<{len(offsets)}{'q' if kind == pa.large_string() else 'i'}"
    memory = bytearray(struct.calcsize(form))
    buffers = [None, pa.py_buffer(memory), pa.py_buffer(text)]
    array = pa.Array.from_buffers(kind, len(offsets) - 1, buffers)
    memory[:] = struct.pack(form, *offsets)  # Behind the back of pyarrow, which looks at some of them.
    return array


def indexed(indices: list[int | None], values: list[str]) -> pa.Array[Any]:
    """Return a dictionary with such indices, right or wrong."""
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, pa.int8()), pa.array(values, pa.string()), safe=False
    )


def view(length: int, buffer: int, offset: int) -> pa.Array[Any]:
    """Return a column of one view of text."""
    memory = bytearray(16)
    buffers = [None, pa.py_buffer(memory), pa.py_buffer(TEXT)]
    array = pa.Array.from_buffers(pa.string_view(), 1, buffers)
    memory[:] = struct.pack("<i4sii", length, TEXT[:4], buffer, offset)
    return array


DAMAGED = {
    "an offset beyond the text": lambda: column([0, 4, 4000]),
    "an offset beyond the text in the middle": lambda: column([0, 4000, 8]),
    "an offset that goes back": lambda: column([0, 8, 4, 12]),
    "a negative offset": lambda: column([0, -4, 8]),
    "a negative first offset": lambda: column([-4, 4, 8]),
    "a negative last offset": lambda: column([0, 4, -8]),
    "a wide offset beyond the text": lambda: column([0, 2**40, 8], pa.large_string()),
    "a wide last offset beyond the text": lambda: column([0, 4, 2**40], pa.large_string()),
    "an index beyond the dictionary": lambda: indexed([0, 7], ["a", "b"]),
    "a negative index": lambda: indexed([0, -1], ["a", "b"]),
    "an index into an empty dictionary": lambda: indexed([0], []),
    "a dictionary with an offset that goes back": lambda: pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2]), column([0, 8, 4, 12])
    ),
    "a long dictionary with an offset that goes back": lambda: pa.DictionaryArray.from_arrays(
        pa.array([1]), column([0, 8, 4, 12])
    ),
    "a view beyond its buffer": lambda: view(20, 0, 30),
    "a view of a buffer that is not there": lambda: view(20, 9, 0),
    "a view of a negative length": lambda: view(-20, 0, 0),
}


class Stranger:
    """A column that exports itself and nothing else, as those of other libraries do."""

    def __init__(self, array: pa.Array[Any]) -> None:
        self._array = array

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        return self._array.__arrow_c_array__(requested_schema)


def seen_by_strangers() -> list[str]:
    """Return the faults that show without sizes of buffers, which the C data interface omits."""
    return [
        name
        for name in DAMAGED
        if not name.endswith(("an offset beyond the text", "last offset beyond the text"))
    ]


# In memory


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_column_is_refused_by_whatever_takes_columns(name: str) -> None:
    damaged = DAMAGED[name]()
    _check_refused(damaged, len(damaged))
    _check_refused(pa.chunked_array([pa.array(["x"], damaged.type), damaged]), len(damaged) + 1)


@pytest.mark.parametrize("name", seen_by_strangers())
def test_a_damaged_column_of_another_library_is_refused_too(name: str) -> None:
    damaged = DAMAGED[name]()
    _check_refused(Stranger(damaged), len(damaged))


def _check_refused(damaged: Any, rows: int) -> None:
    resolver = Resolver()
    whole = pa.array([f"whole-{row}" for row in range(rows)])
    for take in (
        lambda: resolver.link_many(Kind.MERGE, damaged, whole),
        lambda: resolver.link_many(Kind.MERGE, whole, damaged),
        lambda: resolver.observe_many(damaged),
        lambda: resolver.resolve_many(damaged),
        lambda: connected_components(damaged, whole),
    ):
        with pytest.raises(ValueError, match="damaged Arrow column"):
            take()
    assert len(resolver) == 0


def test_integers_with_an_index_beyond_their_dictionary_are_refused() -> None:
    damaged = pa.DictionaryArray.from_arrays(pa.array([0, 9]), pa.array([1, 2]), safe=False)
    with pytest.raises(ValueError, match="first is a damaged Arrow column: row 1 has an index beyond"):
        connected_components(damaged, pa.array([1, 2]))


def test_what_a_null_leaves_in_its_place_is_no_damage() -> None:
    indices = pa.array([0, 99], pa.int8(), mask=__import__("numpy").array([False, True]))
    encoded = pa.DictionaryArray.from_arrays(indices, pa.array(["a"]), safe=False)
    assert Resolver().resolve_many(encoded).to_pylist() == ["a", None]


@pytest.mark.parametrize(
    "name",
    [
        "an offset beyond the text in the middle",
        "an offset that goes back",
        "a negative offset",
        "a wide offset beyond the text",
        "an index beyond the dictionary",
        "a dictionary with an offset that goes back",
        "a view beyond its buffer",
    ],
)
def test_a_damaged_table_is_refused_by_stitch_and_by_questions(name: str) -> None:
    damaged = DAMAGED[name]()
    times = pa.array(range(len(damaged)), pa.timestamp("s", "UTC"))
    whole = pa.array(["Visit"] * len(damaged))
    events = {"event": whole, "time": times, "distinct_id": damaged}
    with pytest.raises(ColumnError, match="the events are damaged"):
        idmerge.stitch(pa.table(events))
    with pytest.raises(ColumnError, match="the events are damaged"):
        questions.signup_rate(pa.table({**events, "$distinct_id_before_identity": whole}))


# Files


def write_arrow(path: Path, table: pa.Table, *, way: str = "file") -> Path:
    with (pa.ipc.new_file if way == "file" else pa.ipc.new_stream)(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return path


def links_with(damaged: pa.Array[Any]) -> pa.Table:
    """Return links of which the last batch is damaged."""
    whole = pa.table(
        {"kind": ["merge"] * 3, "first": pa.array(["x", "y", "z"], damaged.type), "second": ["r"] * 3}
    )
    rows = len(damaged)
    return pa.concat_tables(
        [whole, pa.table({"kind": ["merge"] * rows, "first": damaged, "second": ["r"] * rows})]
    )


def edited(path: Path, before: list[int], after: list[int]) -> Path:
    """Replace the last of such offsets in a file; pyarrow writes none that are wrong."""
    content = path.read_bytes()
    place = content.rindex(struct.pack(f"<{len(before)}i", *before))
    path.write_bytes(
        content[:place] + struct.pack(f"<{len(after)}i", *after) + content[place + 4 * len(after) :]
    )
    return path


@pytest.mark.parametrize("way", ["file", "stream"])
@pytest.mark.parametrize("after", [[0, 4, 4000], [0, 4000, 8], [0, -4, 8], [-4, 4, 8]])
def test_an_arrow_file_with_a_wrong_offset_is_an_error_that_names_the_record_batch(
    way: str, after: list[int], tmp_path: Path
) -> None:
    links = write_arrow(tmp_path / "links.arrow", links_with(column([0, 4, 8])), way=way)
    of = " of 2" if way == "file" else ""
    message = f"links.arrow: no readable Arrow in record batch 2{of} .*; get a whole copy of the file"
    with pytest.raises(FileFormatError, match=message):
        list(read(edited(links, [0, 4, 8], after)))
    events = pa.table({"event": ["Visit"] * 5, "distinct_id": ["x", "y", "z", "aaaa", "bbbb"]})
    path = write_arrow(tmp_path / "events.arrow", events, way=way)
    with pytest.raises(FileFormatError, match="events.arrow: no readable Arrow in record batch 2"):
        idmerge.stitch(edited(path, [0, 4, 8], after))


def test_text_in_parquet_that_is_no_utf8_is_an_error_that_names_the_row_group(tmp_path: Path) -> None:
    links = tmp_path / "links.parquet"
    damaged = links_with(column([0, 1, 2], text=b"\xff\xfe"))
    for rows, part in ((5, "row group 1 of 1"), (3, "row groups 1 to 2 of 2")):
        parquet.write_table(damaged, links, row_group_size=rows)
        with pytest.raises(FileFormatError, match=f"links.parquet: no readable Parquet in {part} .*UTF8"):
            list(read(links))
    events = tmp_path / "events.parquet"
    broken = column([0, 1, 2], text=b"\xff\xfe")
    for name, damaged in (("event", broken), ("distinct_id", broken), ("properties", broken)):
        columns: dict[str, Any] = {"event": ["$merge"] * 2, "distinct_id": ["a", "b"], name: damaged}
        parquet.write_table(pa.table(columns), events)
        with pytest.raises(FileFormatError, match="events.parquet: no readable Parquet in row group 1 of 1"):
            idmerge.stitch(events)


def test_a_wrong_index_is_found_also_in_a_batch_that_shares_its_dictionary(tmp_path: Path) -> None:
    values = pa.array([f"id-{number}" for number in range(5)])
    table = pa.table(
        {
            "kind": ["merge"] * 9,
            "first": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2] * 3), values),
            "second": ["r"] * 9,
        }
    )
    path = write_arrow(tmp_path / "f.arrow", table)
    content = path.read_bytes()
    place = content.rindex(struct.pack("<3q", 0, 1, 2))
    path.write_bytes(content[:place] + struct.pack("<3q", 0, 1, 5) + content[place + 24 :])
    with pytest.raises(FileFormatError, match="f.arrow: no readable Arrow in record batch 3 of 3"):
        list(read(path))


def test_a_dictionary_that_batches_share_is_validated_once(tmp_path: Path) -> None:
    values = pa.array([f"id-{number}" for number in range(5)])
    table = pa.table({"first": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2] * 3), values)})
    path = write_arrow(tmp_path / "f.arrow", table)
    with opened("f", str(path), "Arrow") as file:
        remembered = [
            file._is_validated_dictionary("first", batch["first"]) for batch in file._reader.batches([], 9)
        ]
    assert remembered == [False, True, True]


def test_a_date_that_python_has_not_is_an_error_about_the_file(tmp_path: Path) -> None:
    times = pa.array([2**62, 0], pa.timestamp("us"))
    table = pa.table(
        {"event": ["$merge"] * 2, "properties": pa.StructArray.from_arrays([times], ["distinct_id"])}
    )
    parquet.write_table(table, tmp_path / "f.parquet")
    with pytest.raises(FileFormatError, match="f.parquet: "):
        idmerge.stitch(tmp_path / "f.parquet")


def test_rows_that_no_column_has_a_bit_for_are_refused(tmp_path: Path) -> None:
    path = write_arrow(tmp_path / "f.arrow", pa.table({"distinct_id": pa.nulls(3), "event": pa.nulls(3)}))
    content = path.read_bytes()
    assert content.count(struct.pack("<q", 3)) == 5  # The rows, and each column's length and nulls.
    path.write_bytes(content.replace(struct.pack("<q", 3), struct.pack("<q", 2**40)))
    with pytest.raises(
        FileFormatError, match="f.arrow: .* in record batch 1 of 1 .1099511627776 rows in 0 bytes"
    ):
        idmerge.stitch(path)


# Campaign


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be forked there")
def test_no_damaged_file_ends_a_process_or_shows_memory(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benches.campaigns.mutations",
        "16",
        "--seed",
        "3",
        "--keep",
        str(tmp_path),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    counts = json.loads(run.stdout)
    assert counts["files"] == 16
    assert counts["answered"] > 2
    assert counts["refused"] > 10


def test_a_value_beyond_its_type_that_leads_nowhere_is_no_damage(tmp_path: Path) -> None:
    days = pa.array([1, None], pa.date64())  # With a time of day.
    times = pa.array([-1, None], pa.time64("us"))
    links = {"kind": ["merge", "merge"], "first": ["a", "c"], "second": ["b", "d"]}
    events = pa.table(
        {"event": ["x", "y"], "time": [1, 2], "distinct_id": ["a", "b"], "day": days, "at": times}
    )
    assert idmerge.stitch(events)["day"].cast(pa.int64()).to_pylist() == [1, None]
    path = tmp_path / "links.arrow"
    with (
        pa.OSFile(str(path), "w") as file,
        pa.ipc.new_file(file, pa.table({**links, "day": days}).schema) as out,
    ):
        out.write_table(pa.table({**links, "day": days}))
    assert [len(piece.lines) for piece in read(str(path)) if isinstance(piece, LinkBatch)] == [2]
