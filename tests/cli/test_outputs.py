"""Outputs: standard output as ``-``, formats by name, and what is checked before anything is read."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from command_line import error_of, ndjson, run
from idmerge import DurableResolver, Resolver, StitchedEvents
from idmerge.cli import output as module
from idmerge.cli.output import NDJSON_ROWS, WRITERS, write_json, write_table
from idmerge.testing import events

EVENTS = list(events(300, seed=3, identity_share=0.3))
SHOP = "shop.ndjson"


@pytest.fixture(autouse=True)
def in_a_folder_with_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(SHOP).write_bytes(ndjson(EVENTS))
    Path("u.ndjson").write_text('{"$distinct_id": "a", "$set": {"plan": "free"}}\n', encoding="utf-8")
    with DurableResolver.open("ids.idmerge") as resolver:
        resolver.merge("a", "b")
        resolver.commit()


TABLES = [
    ["resolve", SHOP],
    ["mapping", "ids.idmerge"],
    ["changes", "ids.idmerge", "--since", "0"],
    ["profiles", "u.ndjson", "--events", SHOP],
    ["ask", "signup-rate", SHOP],
]
"""Commands whose output is a table."""


def without_times(summary: str) -> str:
    return re.sub(r" in [0-9.]+ s", "", summary)


def read(suffix: str, content: bytes) -> list[dict[str, Any]]:
    source = pa.BufferReader(content)
    if suffix == "ndjson":
        return [json.loads(line) for line in content.splitlines()]
    if suffix == "json":
        array: list[dict[str, Any]] = json.loads(content)
        return array
    table = parquet.read_table(source) if suffix == "parquet" else feather.read_table(source)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


@pytest.mark.parametrize("call", TABLES, ids=lambda call: call[0])
def test_a_hyphen_as_output_is_standard_output_in_the_format_of_a_file(call: list[str]) -> None:
    run(*call, "-o", "t.csv")
    to_file = run(*call, "-o", "t.ndjson")
    printed = run(*call, "-o", "-")
    assert printed.stdout_bytes == Path("t.csv").read_bytes()
    told, written = without_times(to_file.stderr), r"^written +(\d+ rows?|the mapping) to t\.ndjson\n"
    assert re.findall(written, told, flags=re.MULTILINE)
    assert without_times(printed.stderr) == re.sub(written, "", told, flags=re.MULTILINE)
    for suffix in ("ndjson", "json", "parquet", "arrow"):
        content = run(*call, "-o", "-", "--format", suffix).stdout_bytes
        assert read(suffix, content) == read("ndjson", Path("t.ndjson").read_bytes())
    assert run(*call, "--format", "ndjson").stdout_bytes == Path("t.ndjson").read_bytes()


def test_stitched_events_go_to_standard_output_whole() -> None:
    run("stitch", SHOP, "-o", "out.csv")
    printed = run("stitch", SHOP, "-o", "-")
    assert printed.stdout_bytes == Path("out.csv").read_bytes()
    assert printed.stderr.splitlines()[-1] == "written     300 events in 17 columns to standard output"
    run("stitch", SHOP, "-o", "out.parquet")
    for suffix in ("parquet", "arrow"):
        content = run("stitch", SHOP, "-o", "-", "--format", suffix).stdout_bytes
        assert read(suffix, content) == parquet.read_table("out.parquet").to_pylist()
    assert sorted(path.name for path in Path().glob("out*")) == ["out.csv", "out.parquet"]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_pipe_gets_parquet_and_arrow_whole(suffix: str) -> None:
    command = [sys.executable, "-m", "idmerge", "stitch", SHOP, "-o", "-", "--format", suffix]
    piped = subprocess.run(command, capture_output=True, check=True)
    assert len(read(suffix, piped.stdout)) == 300
    assert piped.stderr.endswith(b"columns to standard output\n")


def test_a_terminal_gets_text_only_and_no_control_characters() -> None:
    Path("e.ndjson").write_bytes(
        ndjson([{"event": "x", "properties": {"distinct_id": "a\x1b[2J", "time": 1}}])
    )
    ours, theirs = pty.openpty()
    for call, code in (
        (["stitch", "e.ndjson", "-o", "-"], 0),
        (["resolve", "e.ndjson", "-o", "-", "--format", "ndjson"], 0),
        (["stitch", "e.ndjson", "-o", "-", "--format", "parquet"], 2),
        (["resolve", "e.ndjson", "--format", "arrow"], 2),
        (["mapping", "ids.idmerge", "-o", "-", "--format", "parquet"], 2),
    ):
        command = [sys.executable, "-m", "idmerge", *call]
        result = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=False)
        assert result.returncode == code, result.stderr
        assert (b"is no text, and standard output is a terminal" in result.stderr) == (code == 2)
    os.close(theirs)
    shown = os.read(ours, 10_000)
    assert b"\\x1b[2J" in shown
    assert b"\x1b[2J" not in shown
    assert not {b"PAR1", b"ARROW1"} & {shown[place : place + 6] for place in range(len(shown))}
    os.close(ours)


def test_generated_events_and_reports_go_to_standard_output_too() -> None:
    assert run("generate", "--events", "20", "-o", "-").stdout == run("generate", "--events", "20").stdout
    for name in ("text", "json", "html"):
        plain = run("doctor", SHOP, "--format", name)
        assert run("doctor", SHOP, "--format", name, "-o", "-").stdout == plain.stdout
    figures = json.loads(run("bench", "--ids", "100", "--json").stdout)
    assert figures["ids"] == 100


def test_rejected_links_go_to_standard_output_if_the_mapping_does_not() -> None:
    run("resolve", SHOP, "-o", "m.csv", "--rejected", "r.csv")
    assert run("resolve", SHOP, "-o", "m.csv", "--rejected", "-").stdout_bytes == Path("r.csv").read_bytes()
    assert (
        run("resolve", SHOP, "--journal", "j", "--rejected", "-").stdout_bytes == Path("r.csv").read_bytes()
    )
    for more in ([], ["-o", "-"]):
        error = error_of("resolve", SHOP, "--rejected", "-", *more, code=2)
        assert (
            "standard output; name a file" in error or error == "--output and --rejected name the same file"
        )


def test_with_a_journal_the_mapping_goes_to_standard_output_if_it_is_asked_for() -> None:
    assert run("resolve", SHOP, "--journal", "j").stdout == ""
    asked = run("resolve", SHOP, "--journal", "j", "-o", "-").stdout
    assert asked == run("mapping", "j").stdout != ""


def test_csv_safe_goes_with_standard_output_as_csv() -> None:
    assert run("resolve", SHOP, "-o", "-", "--csv-safe").stdout.startswith("distinct_id,")
    assert run("stitch", SHOP, "-o", "-", "--csv-safe").stdout.startswith('"event",')
    for call in (["resolve", SHOP], ["stitch", SHOP]):
        error = error_of(*call, "-o", "-", "--format", "arrow", "--csv-safe", code=2)
        assert error == "--csv-safe is for CSV, and none is written"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["stitch", SHOP, "-o", "-", "--partition-by", "date"], "--partition-by makes directories; name"),
        (["stitch", SHOP, "-o", "s.csv", "--format", "csv"], "--format is for -o -; the suffix of OUT"),
        (["ask", "signup-rate", SHOP, "--chart", "-"], "'-' has no suffix that names a format"),
        (["resolve", SHOP, "-o", "-", "--format", "xml"], "'xml' is not one of 'parquet', 'csv', 'ndjson'"),
    ],
)  # fmt: skip
def test_what_standard_output_cannot_take_is_a_wrong_call(call: list[str], message: str) -> None:
    assert message in error_of(*call, code=2)


def test_a_full_standard_output_is_an_error_in_one_line() -> None:
    for call in (["resolve", SHOP], ["stitch", SHOP, "-o", "-"], ["generate"]):
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            command = [sys.executable, "-m", "idmerge", *call]
            result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
        assert result.returncode == 1
        assert result.stderr.splitlines()[-1].startswith(b"idmerge: error: [Errno 28] No space left")


# Before anything is read


WRITING = [
    ["resolve", SHOP, "-o", "OUT.parquet"],
    ["resolve", SHOP, "--rejected", "OUT.csv"],
    ["stitch", SHOP, "-o", "OUT.csv"],
    ["stitch", SHOP, "-o", "OUT.parquet"],
    ["stitch", SHOP, "-o", "OUT"],
    ["stitch", SHOP, "-o", "OUT", "--partition-by", "date"],
    ["profiles", "u.ndjson", "--events", SHOP, "-o", "OUT.csv"],
    ["profiles", "u.ndjson", "--events", SHOP, "--store", "OUT"],
    ["ask", "signup-rate", SHOP, "-o", "OUT.csv"],
    ["ask", "signup-rate", SHOP, "--chart", "OUT.svg"],
    ["doctor", SHOP, "-o", "OUT.html"],
    ["generate", "-o", "OUT.ndjson"],
    ["bench", "--ids", "100", "-o", "OUT.json"],
    ["mapping", "ids.idmerge", "-o", "OUT.csv"],
    ["changes", "ids.idmerge", "--since", "0", "-o", "OUT.csv"],
    ["show", "a", "ids.idmerge", "--svg", "OUT.svg"],
    ["why", "a", "b", "ids.idmerge", "--html", "OUT.html"],
    ["verify", "ids.idmerge", "--salvage", "OUT"],
]
"""Calls that write a file, one option each."""


@pytest.fixture
def nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_arguments: object, **_options: object) -> Any:
        raise AssertionError("something was read")

    for name in (
        "resolve.scan",
        "stitch.StitchedEvents",
        "profiles.scan",
        "ask.StitchedEvents",
        "doctor.examine",
        "generate.workload_events",
        "bench.measure",
        "mapping.opened_to_read",
        "changes.opened_to_read",
        "show.opened_to_read",
        "why.opened_to_read",
        "verify.verdict_on",
    ):
        monkeypatch.setattr(f"idmerge.cli.commands.{name}", read)
    monkeypatch.setattr(DurableResolver, "open", read)


@pytest.mark.usefixtures("nothing_is_read")
@pytest.mark.parametrize("call", WRITING, ids=lambda call: f"{call[0]} {call[-2]} {call[-1]}")
def test_an_output_that_cannot_be_made_is_an_error_before_anything_is_read(call: list[str]) -> None:
    before = {*Path().iterdir()}
    missing = [part.replace("OUT", "nowhere/OUT") for part in call]
    assert "nowhere/OUT" in (error := error_of(*missing))
    assert error.endswith("No such file or directory")
    Path("file").touch()
    assert "Not a directory" in error_of(*(part.replace("OUT", "file/OUT") for part in call))
    assert {*Path().iterdir()} == {*before, Path("file")}


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not hold for root")
@pytest.mark.usefixtures("nothing_is_read")
@pytest.mark.parametrize("call", WRITING, ids=lambda call: f"{call[0]} {call[-2]} {call[-1]}")
def test_a_folder_without_permission_is_an_error_before_anything_is_read(call: list[str]) -> None:
    Path("locked").mkdir(0o555)
    assert "Permission denied" in error_of(*(part.replace("OUT", "locked/OUT") for part in call))


@pytest.mark.usefixtures("nothing_is_read")
@pytest.mark.parametrize("call", WRITING[:-1], ids=lambda call: f"{call[0]} {call[-2]} {call[-1]}")
def test_a_directory_in_the_place_of_an_output_is_an_error_before_anything_is_read(call: list[str]) -> None:
    place = Path(call[-1] if call[-1].startswith("OUT") else "OUT")
    place.mkdir()
    (place / "notes.txt").touch()
    assert place.name in error_of(*call)
    assert [path.name for path in place.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "call",
    [
        ["resolve", SHOP, "-o", "blocked.csv"],
        ["stitch", SHOP, "-o", "blocked.csv"],
        ["doctor", SHOP, "-o", "blocked.csv"],
        ["ask", "signup-rate", SHOP, "-o", "blocked.csv"],
        ["profiles", "u.ndjson", "--events", SHOP, "-o", "blocked.csv"],
        ["resolve", SHOP, "--journal", "blocked.csv"],
    ],
    ids=" ".join,
)
def test_no_command_writes_over_its_list_of_blocked_ids(call: list[str]) -> None:
    Path("blocked.csv").write_text("nobody\n", encoding="utf-8")
    error = error_of(*call, "--blocked-ids", "blocked.csv", code=2)
    assert error == "'blocked.csv' would be read and written over; name another file"
    assert Path("blocked.csv").read_text(encoding="utf-8") == "nobody\n"


def test_a_chart_and_a_table_do_not_go_to_one_file() -> None:
    run("ask", "signup-rate", SHOP, "-o", "a.csv", "--chart", "a.svg")
    Path("link.svg").symlink_to("both.csv")
    error = error_of("ask", "signup-rate", SHOP, "-o", "both.csv", "--chart", "link.svg", code=2)
    assert error == "--chart and --output name the same file"


def test_in_python_an_output_is_checked_before_the_events_are_read() -> None:
    stitched = StitchedEvents([SHOP], Resolver())
    for output, error in (("nowhere/o.csv", FileNotFoundError), (".", ValueError)):
        with pytest.raises(error):
            stitched.learn(lambda _count: pytest.fail("something was read"), output=output)
    stitched.learn(output="o.csv")
    assert not Path("o.csv").exists()


def test_a_json_array_of_many_rows_or_none_is_whole() -> None:
    for rows in (0, 1, NDJSON_ROWS, 2 * NDJSON_ROWS + 1):
        table = pa.table({"n": pa.array(range(rows), pa.int64()), "t": pa.array(["é\n"] * rows, pa.string())})
        stream = io.BytesIO()
        write_json(table, stream)
        assert json.loads(stream.getvalue()) == table.to_pylist()
        assert stream.getvalue().endswith(b"]\n")


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_table_that_is_written_in_pieces_is_the_same(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["plain", 'with "quotes"', "=formula", None, "é\n"] * 5
    table = pa.table({"n": pa.array(range(25), pa.int64()), "t": pa.array(texts, pa.large_string())})

    def written(rows: int) -> bytes:
        for name in ("NDJSON_ROWS", "CSV_ROWS", "PARQUET_ROWS"):
            monkeypatch.setattr(module, name, rows)
        stream = io.BytesIO()
        write_table(table, suffix, stream, csv_safe=suffix == ".csv")
        return stream.getvalue()

    if suffix == ".parquet":  # Each piece is a row group.
        groups = [parquet.ParquetFile(io.BytesIO(written(rows))) for rows in (4, 100)]
        assert [file.metadata.num_row_groups for file in groups] == [7, 1]
        assert groups[0].read().equals(groups[1].read())
    else:
        assert written(4) == written(100)
