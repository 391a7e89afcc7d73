"""``idmerge stitch``: files in, files or directories out, whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyarrow import csv, dataset, feather, parquet

import command_line
import idmerge
from idmerge import Policy
from idmerge.cli.group import commands
from idmerge.stitching import encoding, writing
from idmerge.stitching.encoding import Encoding
from idmerge.testing import events as workload
from stitched_by_hand import stitched_table
from strategies import D1, D2

EVENTS = [
    event for event in workload(1501, seed=3) if event["properties"].get("$identified_id", "") is not None
]
SHOP = "events.ndjson"


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(SHOP, *EVENTS)


def write(path: str, *events: dict[str, Any]) -> None:
    Path(path).write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")


def run(*arguments: object, code: int = 0, stdin: bytes = b"") -> Result:
    result = command_line.run("stitch", *arguments, stdin=stdin, code=code)
    assert result.stdout == ""
    return result


def error_of(*arguments: object) -> str:
    before = everything()
    message = run(*arguments, code=1).stderr.splitlines()[-1]
    assert everything() == before
    return message


def everything() -> dict[str, bytes | None]:
    """Return what there is under the working directory."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in Path().rglob("*")}


def names_in(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_parquet_has_the_events_of_plain_python() -> None:
    stderr = run(SHOP, "-o", "out.parquet").stderr
    assert parquet.read_table("out.parquet").equals(stitched_table(EVENTS))
    assert "1,500 events from 1 file" in stderr
    assert "to out.parquet" in stderr
    assert names_in(".") == [SHOP, "out.parquet"]


def test_arrow_and_csv_have_them_too() -> None:
    expected = stitched_table(EVENTS)
    run(SHOP, "-o", "out.arrow")
    assert feather.read_table("out.arrow").equals(expected)
    run(SHOP, "-o", "out.csv")
    strings = csv.ConvertOptions(
        column_types={name: pa.string() for name in expected.column_names},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    found = csv.read_csv("out.csv", convert_options=strings)
    assert found["distinct_id"].to_pylist() == expected["distinct_id"].to_pylist()
    assert found.column_names == expected.column_names


def test_a_directory_gets_parts_in_the_order_of_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PART_ROWS", 400)
    monkeypatch.setattr(encoding, "ROWS", 200)
    monkeypatch.setattr("idmerge.files.blocks.BLOCK", 10_000)
    run(SHOP, "-o", "out")
    parts = sorted(Path("out").glob("*.parquet"))
    assert len(parts) > 2
    assert pa.concat_tables(map(parquet.read_table, parts)).equals(stitched_table(EVENTS))
    assert dataset.dataset("out").count_rows() == 1500
    assert duckdb.sql("SELECT count(*) FROM 'out/*.parquet'").fetchall() == [(1500,)]


def test_wide_events_are_written_in_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_BYTES", 50_000)
    monkeypatch.setattr(encoding, "MOST_BYTES", 50_000)
    monkeypatch.setattr("idmerge.files.blocks.BLOCK", 10_000)
    run(SHOP, "-o", "out.parquet")
    assert parquet.read_metadata("out.parquet").num_row_groups > 2
    assert parquet.read_table("out.parquet").equals(stitched_table(EVENTS))
    idmerge.stitch(SHOP, dedupe=True).write("out")  # These are read twice.
    assert len(list(Path("out").glob("*.parquet"))) > 2
    assert dataset.dataset("out").to_table().equals(stitched_table(EVENTS, dedupe=True))


def test_options_mean_what_they_mean_in_python() -> None:
    twice = [*EVENTS[:300], *EVENTS[:300]]
    write(SHOP, *twice)
    stderr = run(SHOP, "-o", "out.parquet", "--as-known", "--dedupe", "--canonical", "smallest").stderr
    expected = stitched_table(twice, as_known=True, dedupe=True, canonical="smallest")
    assert parquet.read_table("out.parquet").equals(expected)
    assert f"{600 - expected.num_rows} events dropped" in stderr
    run(SHOP, "-o", "out.parquet", "--property", "page", "--property", "$insert_id", "--anon-guard", "off")
    expected = stitched_table(twice, properties=["page", "$insert_id"], policy=Policy(anon_guard="off"))
    assert parquet.read_table("out.parquet").equals(expected)


def test_standard_input_is_read_twice() -> None:
    run("-", "-o", "out.parquet", stdin=Path(SHOP).read_bytes())
    assert parquet.read_table("out.parquet").equals(stitched_table(EVENTS))


def test_events_in_parquet_are_stitched_as_they_are() -> None:
    rows = [{"event": event["event"], **event["properties"]} for event in EVENTS]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.Table.from_pylist([dict.fromkeys(names) | row for row in rows])
    parquet.write_table(table, "raw.parquet")
    run("raw.parquet", "-o", "out.parquet")
    expected = stitched_table(EVENTS)
    found = parquet.read_table("out.parquet")
    for name in ("distinct_id", "$distinct_id_before_identity", "page"):
        assert found[name].to_pylist() == expected[name].to_pylist()
    assert found["time"].to_pylist() == expected["time"].to_pylist()
    run("raw.parquet", "-o", "x", "--partition-by", "date")
    assert [folder.name for folder in Path("x").glob("date=*")] == ["date=2024-01-01"]


def test_a_malformed_event_in_parquet_is_told_with_its_row() -> None:
    table = pa.table({"event": ["x", "$identify"], "distinct_id": ["a", "b"]})
    parquet.write_table(table, "raw.parquet")
    assert "raw.parquet:2: $identify has no $anon_id" in run("raw.parquet", "-o", "out.parquet").stderr


def test_no_events_make_an_empty_directory_or_file() -> None:
    write("none.ndjson")
    run("none.ndjson", "-o", "out", "--partition-by", "date")
    run("none.ndjson", "-o", "parts")
    run("none.ndjson", "-o", "out.parquet")
    run("none.ndjson", "-o", "out.csv")
    assert names_in("out") == [writing.OWN]
    assert names_in("parts") == [writing.OWN, "part-00000.parquet"]
    assert parquet.read_table("out.parquet").num_columns == parquet.read_table("parts").num_columns == 4


# Journals


def test_a_journal_says_who_is_who_and_stays_as_it_was() -> None:
    known = CliRunner().invoke(commands, ["resolve", SHOP, "--journal", "ids.idmerge", "-o", "mapping.csv"])
    assert known.exit_code == 0, known.output
    before = Path("ids.idmerge").read_bytes()
    ordinary = [event for event in EVENTS if not event["event"].startswith("$")]
    write("ordinary.ndjson", *ordinary, {"event": "$merge", "properties": {"$distinct_ids": [D1, D2]}})
    stderr = run("ordinary.ndjson", "--journal", "ids.idmerge", "-o", "out.parquet").stderr
    expected = stitched_table(EVENTS)
    stays = [not event["event"].startswith("$") for event in EVENTS]
    assert (
        parquet.read_table("out.parquet")["distinct_id"].to_pylist()[:-1]
        == expected.filter(pa.array(stays))["distinct_id"].to_pylist()
    )
    assert Path("ids.idmerge").read_bytes() == before
    assert "links " not in stderr
    for more in (["--as-known"], ["--canonical", "smallest"], ["--max-cluster-size", "3"]):
        assert (
            "--journal has a policy of its own"
            in run(SHOP, "--journal", "ids.idmerge", "-o", "x.parquet", *more, code=2).stderr
        )
    assert "is a journal" in run("ids.idmerge", "-o", "x.parquet", code=2).stderr
    for output in ("ids.idmerge", "./ids.idmerge"):
        assert "written over" in run(SHOP, "--journal", "ids.idmerge", "-o", output, code=2).stderr
    assert Path("ids.idmerge").read_bytes() == before


# What goes wrong


def test_strict_stops_at_the_first_malformed_line_and_writes_nothing() -> None:
    with Path(SHOP).open("a") as file:
        file.write("nonsense\n")
    Path("out.parquet").write_bytes(b"old")
    assert f"{SHOP}:1501: the event is no JSON" in error_of(SHOP, "-o", "out.parquet", "--strict")
    stderr = run(SHOP, "-o", "out.parquet").stderr
    assert f"malformed: {SHOP}:1501:" in stderr
    assert parquet.read_metadata("out.parquet").num_rows == 1500


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([SHOP, "-o", SHOP], 2, "would be read and written over"),
        (["in", "-o", "in"], 2, "would be read and written over"),
        (["in", "-o", "in/e.ndjson"], 2, "would be read and written over"),
        ([SHOP, "-o", "out.xlsx"], 2, "no suffix that names a format"),
        ([SHOP, "-o", "notes"], 1, "notes: the directory holds other files; name a new one"),
        ([SHOP, "-o", "file"], 1, "file: there is a file; name a directory, or a file with a suffix"),
        ([SHOP, "-o", "nowhere/out.parquet"], 1, "nowhere/out.parquet: No such file or directory"),
        ([SHOP, "-o", "nowhere/out"], 1, "nowhere/out: No such file or directory"),
        ([SHOP, "-o", "in.parquet"], 1, "in.parquet: Is a directory"),
        (["nowhere.ndjson", "-o", "out.parquet"], 1, "nowhere.ndjson: No such file or directory"),
        (["empty", "-o", "out.parquet"], 1, "empty: the directory holds no events"),
        ([SHOP], 2, "Missing option '-o'"),
        (["raw.parquet", SHOP, "-o", "out.parquet"], 1, "events as JSON cannot be stitched together"),
        (["nested.parquet", "-o", "out.csv"], 1, "out.csv: cannot be written (Unsupported Type:struct"),
    ],
)
def test_what_cannot_be_written_is_said_and_nothing_is_touched(
    arguments: list[str], code: int, message: str
) -> None:
    for folder in ("in", "notes", "empty", "in.parquet"):
        Path(folder).mkdir()
    write("in/e.ndjson", *EVENTS[:3])
    Path("file").write_text("mine", encoding="utf-8")
    Path("notes/mine.txt").write_text("mine", encoding="utf-8")
    parquet.write_table(pa.table({"event": ["x"], "distinct_id": ["x"]}), "raw.parquet")
    parquet.write_table(pa.table({"event": ["x"], "properties": [{"distinct_id": "x"}]}), "nested.parquet")
    before = everything()
    assert message in run(*arguments, code=code).stderr
    assert everything() == before


def test_a_directory_that_was_written_here_is_replaced_whole_and_no_other_one() -> None:
    run(SHOP, "-o", "out", "--partition-by", "event")
    assert len(list(Path("out").rglob("*.parquet"))) > 2
    run(SHOP, "-o", "out")
    assert names_in("out") == [writing.OWN, "part-00000.parquet"]
    Path("out/notes.txt").write_text("mine", encoding="utf-8")
    assert "the directory holds other files" in error_of(SHOP, "-o", "out")


def test_a_file_that_is_replaced_is_there_at_every_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    run(SHOP, "-o", "out")
    run(SHOP, "-o", "out.parquet")
    before = everything()
    seen = []
    original = Encoding.write

    def watched(*given: Any) -> Any:
        seen.append({name: content for name, content in everything().items() if name in before})
        return original(*given)

    monkeypatch.setattr(Encoding, "write", watched)
    run(SHOP, "-o", "out")
    run(SHOP, "-o", "out.parquet")
    assert [set(found) == set(before) for found in seen] == [True, True]
    assert seen[0] == before


def test_a_directory_that_cannot_take_its_place_leaves_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    run(SHOP, "-o", "out")
    original = Path.rename

    def failing(self: Path, target: Any) -> Path:
        if self.name.endswith(".new"):
            raise KeyboardInterrupt
        return original(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    monkeypatch.setattr("idmerge.files.writing.exchange", lambda *_: False)
    before = everything()
    done = CliRunner().invoke(commands, ["stitch", SHOP, "-o", "out"])
    assert done.exit_code == 130
    assert everything() == before


SLOW = """
import sys, time
from idmerge.files import blocks
from idmerge.stitching import encoding, lines, partitions
blocks.BLOCK = 2000
encoding.ROWS = 20
from idmerge.cli import main
def slow(original):
    def slowed(*given, **named):
        for piece in original(*given, **named):
            yield piece
            print("writing", flush=True)
            time.sleep(0.3)
    return slowed
lines.flatten = slow(lines.flatten)
encoding.Encoding.named = slow(encoding.Encoding.named)
name_of = partitions._escaped
def named_slowly(*given):
    print("writing", flush=True)
    time.sleep(0.3)
    return name_of(*given)
partitions._escaped = named_slowly
sys.argv = ["idmerge", "stitch", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("output", [["out.parquet"], ["out"], ["out", "--partition-by", "event"]])
def test_an_interrupted_run_leaves_the_old_output(how: signal.Signals, output: list[str]) -> None:
    run(SHOP, "-o", *output)
    before = everything()
    command = [sys.executable, "-c", SLOW, SHOP, "-o", *output]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(how)
        _, stderr = process.communicate(timeout=20)
    after = everything()
    assert {name: after[name] for name in before} == before
    if how != signal.SIGKILL:
        assert process.returncode == 128 + how
        assert len(stderr.splitlines()) == 1
        assert after == before
        return
    assert len(after) > len(before)
    run(SHOP, "-o", *output)
    assert set(everything()) == set(before)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_no_copy_of_its_standard_input(how: signal.Signals) -> None:
    Path("copies").mkdir()
    command = [sys.executable, "-c", SLOW, "-", "-o", "out.parquet"]
    with (
        Path(SHOP).open("rb") as shop,
        subprocess.Popen(
            command,
            stdin=shop,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": str(Path("copies").resolve())},
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        assert len(names_in("copies")) == 1
        process.send_signal(how)
        process.communicate(timeout=20)
    assert (names_in("copies"), names_in(".")) == ([], ["copies", SHOP])


FULL = """
import resource, signal, sys
from idmerge.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
sys.argv = ["idmerge", "stitch", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    "output", [["out.parquet"], ["out.arrow"], ["out.csv"], ["out"], ["out", "--partition-by", "event"]]
)
def test_a_full_disk_is_one_line_and_leaves_nothing(output: list[str]) -> None:
    before = everything()
    command = [sys.executable, "-c", FULL, SHOP, "-o", *output]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "File too large" in done.stderr
    assert everything() == before


def test_a_full_disk_is_told_with_the_output() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, SHOP, "-o", "out.parquet"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "idmerge: error: out.parquet: File too large"
    assert names_in(".") == [SHOP]


def test_times_are_written_as_times() -> None:
    write("e.ndjson", {"event": "x", "properties": {"time": 1_600_000_000.5}})
    run("e.ndjson", "-o", "out.parquet")
    (row,) = duckdb.sql("SELECT epoch_ms(time) FROM 'out.parquet'").fetchall()
    assert row == (1_600_000_000_500,)
    assert parquet.read_table("out.parquet")["time"].to_pylist() == [
        datetime.fromtimestamp(1_600_000_000.5, UTC)
    ]
