"""Events written as partitions come back as those without, whatever their names and number."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from time import monotonic
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyarrow import dataset, parquet

import idmerge
from idmerge import questions
from idmerge.cli.group import commands
from idmerge.errors import FileFormatError
from idmerge.files import blocks
from idmerge.stitching import partitions
from idmerge.testing import events as workload
from json_events import event_texts
from stitched_by_hand import lack_ids, loaded, stitched_table

NAMES = [
    *[
        "a/b",
        "a=b",
        "..",
        ".",
        "x.",
        "",
        "ünï\U0001f98a",
        "with space",
        "100%",
        "a%2Fb",
        "%2F",
        "null",
        "con",
    ],
    *["q'\"\\", "\n", "a\0b", "a\0c", "x" * 200, "é" * 100, "é" * 100 + "x", "1", "2024-01-01", "A", "a"],
    *[None, "__HIVE_DEFAULT_PARTITION__", "%5F_HIVE_DEFAULT_PARTITION__", "__hive_default_partition__"],
]
KEYS = {"date": "date", "event": "event_name"}


def write(path: Path, *events: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    return path


def odd_events() -> list[dict[str, Any]]:
    times = [1_600_000_000, None, 1_600_086_400_000, "2020-09-13T23:59:59.999Z", -1, 253402300799]
    return [
        {
            "event": name,
            "properties": {
                "distinct_id": f"u{place}",
                "time": times[place % 6],
                "date": "d",
                "event_name": place,
            },
        }
        for place, name in enumerate(NAMES * 2)
    ]


def renamed(table: pa.Table, by: str) -> pa.Table:
    """``table`` with the name that a property gets if it has the name of the partitions' key."""
    return table.rename_columns(
        [f"properties.{name}" if name == KEYS[by] else name for name in table.column_names]
    )


def rows(table: pa.Table) -> list[str]:
    return sorted(map(repr, table.to_pylist()))


def files_in(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.parquet"))


@settings(max_examples=150)
@given(
    st.lists(event_texts, min_size=1, max_size=12),
    st.lists(st.sampled_from(NAMES), min_size=12, max_size=12),
    st.sampled_from(["date", "event"]),
    st.sampled_from([1, 2**10, 2**28]),
    st.integers(1, 400),
)
def test_partitions_are_read_back_as_what_was_not_partitioned(  # noqa: PLR0913, PLR0917 - all that it must not depend on
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    names: list[str | None],
    by: Any,
    most: int,
    block: int,
) -> None:
    assume(not lack_ids(texts))
    directory = Path(tmp_path_factory.mktemp("partitions", numbered=True))
    named = [
        text[:-1] + f'{"," if loaded(text) else ""}"event":{json.dumps(name)}}}'
        for text, name in zip(texts, names, strict=False)
    ]
    path = directory / "e.json"
    path.write_text("\n".join(named), encoding="utf-8")
    stitched = idmerge.stitch(path)
    expected = renamed(pa.table(stitched), by)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", block)
        patch.setattr(partitions, "MOST_WAITING", most)
        patch.setattr(partitions, "ROWS", 3)
        assert stitched.write(directory / "out", partition_by=by) == len(texts)
    files = files_in(directory / "out")
    assert len(files) == len({file.parent for file in files}) == len({file.name for file in files})
    read = pa.concat_tables([parquet.ParquetFile(file).read() for file in files])
    assert read.schema == expected.schema
    assert rows(read) == rows(expected)
    key = pa.schema([(KEYS[by], pa.date32() if by == "date" else pa.string())])
    part = dataset.partitioning(key, flavor="hive")
    found = dataset.dataset(directory / "out", partitioning=part).to_table()
    assert rows(found.select(expected.column_names)) == rows(expected)
    again = pa.table(idmerge.stitch(directory / "out", idmerge.Resolver()))
    assert rows(again) == rows(expected)
    asked = [name for name in expected["event"].to_pylist() if name is not None]
    assert sorted(questions.event_names(directory / "out")) == sorted(set(asked))


def test_each_reader_finds_the_events_and_the_key_of_their_partition(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.ndjson", *odd_events())
    idmerge.stitch(path).write(tmp_path / "out", partition_by="event")
    expected = sorted((repr(event["event"]), event["properties"]["distinct_id"]) for event in odd_events())
    pattern = f"{tmp_path}/out/**/*.parquet"
    for table in (
        parquet.read_table(tmp_path / "out"),
        dataset.dataset(tmp_path / "out", partitioning="hive").to_table(),
        pl.read_parquet(pattern, hive_partitioning=True).to_arrow(),
        duckdb.read_parquet(pattern, hive_partitioning=True).to_arrow_table(),
    ):
        told = [(repr(row["event"]), row["distinct_id"]) for row in table.to_pylist()]
        assert sorted(told) == expected
        keys = {row["event"]: row["event_name"] for row in table.to_pylist()}
        assert {name: keys[name] for name in ("a/b", "100%", "x.", None)} == {
            "a/b": "a/b",
            "100%": "100%",
            "x.": "x.",
            None: None,
        }
    assert {file.parent.parent for file in files_in(tmp_path / "out")} == {tmp_path / "out"}


def test_the_names_of_directories_are_those_that_any_file_system_takes(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.ndjson", *odd_events())
    idmerge.stitch(path).write(tmp_path / "out", partition_by="event")
    names = [file.parent.name for file in files_in(tmp_path / "out")]
    assert len(names) == len(set(names)) == len(set(NAMES))
    for name in names:
        assert len(name) <= 255
        assert name.isascii()
        assert not set(name) & set('<>:"/\\|?*\0\n')
        assert not name.endswith((".", " "))
    assert "event_name=__HIVE_DEFAULT_PARTITION__" in names
    assert "event_name=%5F_HIVE_DEFAULT_PARTITION__" in names
    assert sum("~" in name for name in names) == 2  # Those that are too long.
    numbers = {file.name for file in files_in(tmp_path / "out")}
    assert len(numbers) == len(names)  # Also where "A" and "a" are one directory.


def test_partitions_by_date_are_read_back_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.ndjson", *odd_events())
    idmerge.stitch(path).write(tmp_path / "out", partition_by="date")
    expected = stitched_table(odd_events())
    part = dataset.partitioning(pa.schema([("date", pa.date32())]), flavor="hive")
    found = dataset.dataset(tmp_path / "out", partitioning=part).to_table()
    assert found.num_rows == len(odd_events())
    days: dict[str, date | None] = dict(
        zip(found["distinct_id"].to_pylist(), found["date"].to_pylist(), strict=True)
    )
    for row in expected.to_pylist():
        assert days[row["distinct_id"]] == (row["time"].date() if row["time"] else None)
    assert set(found["properties.date"].to_pylist()) == {"d"}


def test_a_partition_or_a_csv_that_cannot_be_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    stitched = idmerge.stitch(write(tmp_path / "e", {"event": "x", "properties": {}}))
    with pytest.raises(ValueError, match="partition_by must be 'date', 'event' or None, got 'week'"):
        stitched.write(tmp_path / "out", partition_by="week")  # type: ignore[arg-type]
    for name, by in (("x.parquet", None), ("x.csv", "date"), ("out", None)):
        with pytest.raises(ValueError, match="csv_safe is for CSV"):
            stitched.write(tmp_path / name, partition_by=by, csv_safe=True)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["e"]


def test_days_beyond_the_years_of_python_have_partitions(tmp_path: Path) -> None:
    day = 86_400
    times = [316_000_000_000, 316_000_000_000 + day, -70_000_000_000, -1, 0, None, 2**52]
    column = pa.array(times, pa.timestamp("s", tz="UTC"))
    ids = [f"u{n}" for n in range(len(times))]
    table = pa.table({"event": ["x"] * len(times), "distinct_id": ids, "time": column})
    names = {}
    for suffix, write_table in (("parquet", parquet.write_table), ("arrow", write_arrow)):
        chosen = table.slice(0, 6) if suffix == "parquet" else table  # Parquet has milliseconds at least.
        write_table(chosen, tmp_path / f"e.{suffix}")
        idmerge.stitch(tmp_path / f"e.{suffix}").write(tmp_path / suffix, partition_by="date")
        files = files_in(tmp_path / suffix)
        read = [parquet.ParquetFile(file).read()["distinct_id"].to_pylist() for file in files]
        assert sorted(map(tuple, read)) == sorted((own,) for own in chosen["distinct_id"].to_pylist())
        names[suffix] = {file.parent.name for file in files}
    assert names["parquet"] == {
        "date=11983-08-23",
        "date=11983-08-24",
        "date=-249-10-15",
        "date=1969-12-31",
        "date=1970-01-01",
        "date=__HIVE_DEFAULT_PARTITION__",
    }
    assert names["parquet"] < names["arrow"]


def write_arrow(table: pa.Table, path: Path, rows: int | None = None) -> None:
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


def test_no_name_has_the_directory_of_another_that_is_too_long(tmp_path: Path) -> None:
    long = "x" * 400
    idmerge.stitch(write(tmp_path / "a", {"event": long, "properties": {}})).write(
        tmp_path / "one", partition_by="event"
    )
    (file,) = files_in(tmp_path / "one")
    short = file.parent.name.removeprefix("event_name=")
    path = write(tmp_path / "b", *({"event": name, "properties": {}} for name in (long, short, "a~b")))
    idmerge.stitch(path).write(tmp_path / "two", partition_by="event")
    assert len({file.parent for file in files_in(tmp_path / "two")}) == 3
    assert (tmp_path / "two" / "event_name=a%7Eb").is_dir()


@pytest.mark.parametrize("most", [1, 2**28])
def test_the_events_of_a_partition_stay_in_their_order(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 300)
    monkeypatch.setattr(partitions, "MOST_WAITING", most)
    path = write(
        tmp_path / "e.ndjson", *({"event": "ab"[n % 2], "properties": {"n": n}} for n in range(3000))
    )
    idmerge.stitch(path).write(tmp_path / "out", partition_by="event")
    (file,) = files_in(tmp_path / "out" / "event_name=b")
    assert parquet.read_table(file)["n"].to_pylist() == list(range(1, 3000, 2))
    assert parquet.ParquetFile(file).num_row_groups == 1


def test_more_partitions_than_a_file_system_bears_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "MOST_PARTITIONS", 3)
    path = write(tmp_path / "e", *({"event": f"e{n}", "properties": {}} for n in range(5)))
    with pytest.raises(FileFormatError, match="more partitions than 3; partition by date, or not at all"):
        idmerge.stitch(path).write(tmp_path / "out", partition_by="event")
    assert [path.name for path in tmp_path.iterdir()] == ["e"]


def test_columns_of_any_type_are_spilled_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "MOST_WAITING", 1)
    count = 300
    table = pa.table(
        {
            "event": pa.array([f"e{n % 7}" for n in range(count)]).dictionary_encode(),
            "distinct_id": [f"u{n}" for n in range(count)],
            "words": pa.array(["xyz"[n % 3] if n % 5 else None for n in range(count)]).dictionary_encode(),
            "tags": pa.array([[{"k": n}] * (n % 3) for n in range(count)]),
            "nested": pa.array([{"a": n, "b": {"c": str(n)}} if n % 2 else None for n in range(count)]),
            "nothing": pa.nulls(count),
            "amount": pa.array([n if n % 7 == 1 else None for n in range(count)], pa.decimal128(10, 2)),
            "bytes": pa.array([b"%d" % n for n in range(count)], pa.large_binary()),
        }
    )
    parquet.write_table(table, tmp_path / "raw.parquet", row_group_size=40)
    stitched = idmerge.stitch(tmp_path / "raw.parquet")
    stitched.write(tmp_path / "out", partition_by="event")
    read = pa.concat_tables([parquet.ParquetFile(file).read() for file in files_in(tmp_path / "out")])
    assert read.schema == pa.table(stitched).schema
    assert rows(read) == rows(pa.table(stitched))


def test_questions_to_partitions_have_the_same_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "shop.ndjson", *workload(1500, seed=3))
    answers = set()
    for output in (
        ["whole.parquet"],
        ["by_event", "--partition-by", "event"],
        ["by_date", "--partition-by", "date"],
    ):
        assert CliRunner().invoke(commands, ["stitch", "shop.ndjson", "-o", *output]).exit_code == 0
        done = CliRunner().invoke(commands, ["ask", "signup-rate", output[0]])
        assert done.exit_code == 0, done.output
        answers.add(done.stdout)
    assert len(answers) == 1
    assert "%" in answers.pop()


# Limits

CHILD = """
import resource, sys, threading
import idmerge
from idmerge.stitching import partitions
source, output, by, most, limit = sys.argv[1:]
partitions.MOST_WAITING = int(most)
if int(limit):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), int(limit)))
stitched = idmerge.stitch(source)
assert sum(batch.num_rows for batch in stitched.batches()) == stitched.events
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print("writing", flush=True)
count = stitched.write(output, partition_by=by)
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def in_a_child(*arguments: object) -> list[int]:
    """Return how many events a child wrote, and by how many KiB its peak memory grew."""
    command = [sys.executable, "-c", CHILD, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return [int(figure) for figure in done.stdout.split()[-2:]]


def test_more_partitions_than_files_may_be_open_are_written(tmp_path: Path) -> None:
    path = write(
        tmp_path / "e",
        *({"event": f"e{n % 300}", "properties": {"n": n, "distinct_id": "u"}} for n in range(900)),
    )
    assert in_a_child(path, tmp_path / "out", "event", 2**28, 60)[0] == 900
    assert len(files_in(tmp_path / "out")) == 300


def test_memory_grows_neither_with_the_partitions_nor_with_the_events(tmp_path: Path) -> None:
    """300 properties on 60 days take some 200 MB as columns; 8 MiB may wait."""
    shuffled = random.Random(1)
    path = write(
        tmp_path / "e",
        *(
            {
                "event": "x",
                "properties": {
                    "time": 1_600_000_000 + 86_400 * shuffled.randrange(60),
                    "distinct_id": "u",
                    **{f"p{shuffled.randrange(300)}": n for _ in range(5)},
                },
            }
            for n in range(60_000)
        ),
    )
    count, grown = in_a_child(path, tmp_path / "out", "date", 2**23, 0)
    assert count == 60_000
    assert grown < 150 * 2**10


WAITING = """
import resource
import pyarrow as pa
from idmerge.stitching import partitions

def batches(count):
    for number in range(count):
        columns = {f"p{n}": pa.array([number] * 300, pa.int32()) for n in range(100)}
        yield pa.RecordBatch.from_pydict({"event": [f"e{n}" for n in range(300)], **columns})

kept = []
partitions.write_waiting = lambda directory, waiting, form: kept.append(waiting)
partitions.write_partitions(".", next(batches(1)).schema, batches(1), "event")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
partitions.write_partitions(".", next(batches(1)).schema, batches(80), "event")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_events_that_wait_take_no_more_memory_where_their_partitions_are_many(tmp_path: Path) -> None:
    """80 batches of 300 names and 100 properties hold 10 MB; to slice them would take hundreds."""
    command = [sys.executable, "-c", WAITING]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100 * 2**10, done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_interrupt_ends_the_writing_soon_and_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "e", *({"event": f"e{n % 3000}", "properties": {"n": n}} for n in range(100_000)))
    command = [sys.executable, "-c", CHILD, path, tmp_path / "out", "event", "1000000", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        while not any(file.suffix == ".parquet" for file in tmp_path.rglob("*")):
            assert process.poll() is None
        sent = monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode != 0
    assert monotonic() - sent < 10  # It is a second on a machine that has nothing else to do.
    assert [path.name for path in tmp_path.iterdir()] == ["e"]
