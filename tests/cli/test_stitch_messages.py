"""``idmerge stitch``: its messages, and the calls that it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

import idmerge
from command_line import run
from idmerge import DurableResolver
from idmerge.errors import FileFormatError

DEVICE = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
STORY = [
    {"event": "Page View", "properties": {"time": 1704103200, "distinct_id": DEVICE, "page": "/"}},
    {"event": "$identify", "properties": {"distinct_id": "ana", "$anon_distinct_id": DEVICE}},
]


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("story.ndjson").write_text("".join(json.dumps(event) + "\n" for event in STORY))


def test_a_file_of_stitched_events_is_stitched_again_to_the_same() -> None:
    run("stitch", "story.ndjson", "-o", "stitched.parquet")
    run("stitch", "stitched.parquet", "-o", "again.parquet")
    assert parquet.read_table("again.parquet") == parquet.read_table("stitched.parquet")


def test_stitched_events_in_csv_are_stitched_as_they_were() -> None:
    for output in ("stitched.csv", "stitched.parquet"):
        run("stitch", "story.ndjson", "-o", output)
    run("stitch", "stitched.csv", "-o", "again.parquet")
    first, again = (parquet.read_table(f"{name}.parquet") for name in ("stitched", "again"))
    for name in ("event", "distinct_id", "$distinct_id_before_identity"):
        assert again[name].to_pylist() == first[name].to_pylist()


def test_a_file_of_links_may_have_a_column_called_event() -> None:
    Path("links.csv").write_text(f"event,kind,first,second\nlogin,identify,{DEVICE},ben\n")
    run("stitch", "links.csv", "story.ndjson", "-o", "out.parquet")
    assert parquet.read_table("out.parquet")["distinct_id"].to_pylist() == ["ben", "ana"]


def test_an_empty_path_is_no_directory() -> None:
    assert run("stitch", "", "-o", "out.parquet", code=1).stderr.endswith("No such file or directory\n")
    with pytest.raises(FileNotFoundError):
        idmerge.stitch("")


def test_a_property_that_no_event_has_is_told() -> None:
    Path("own.ndjson").write_text('{"event": "a", "properties": {"event": "b", "page": "/"}}\n')
    told = run("stitch", "own.ndjson", "-o", "out.csv", *("--property", "pgae", "--property", "event")).stderr
    assert "note        no event has the property pgae\n" in told
    assert told.count("no event has the property") == 1


def test_a_journal_holds_no_events_to_ask_or_to_stitch() -> None:
    with DurableResolver.open("ids.idmerge") as resolver:
        resolver.identify(DEVICE, "ana")
        resolver.commit()
    for command in (["ask", "signup-rate"], ["stitch", "-o", "out.parquet"]):
        said = run(*command, "ids.idmerge", code=2).stderr
        assert "'ids.idmerge' is a journal" in said


def test_what_a_table_keeps_is_not_chosen_by_properties() -> None:
    table = pa.table({"event": ["a"], "distinct_id": ["b"]})
    with pytest.raises(ValueError, match="a table keeps its columns; choose them there"):
        idmerge.stitch(table, properties=["event"])


def test_the_examples_in_the_help_of_idmerge_run() -> None:
    lines = run("--help").stdout.splitlines()
    start = lines.index("  Example:") + 1
    examples = lines[start : lines.index("", start)]
    assert len(examples) >= 6
    for example in examples:
        name, *arguments = example.split()
        assert name == "idmerge"
        run(*arguments)


def test_a_directory_that_holds_other_files_is_left_alone() -> None:
    Path("home").mkdir()
    Path("home/letter.txt").write_text("dear")
    run("stitch", "story.ndjson", "-o", "home", code=1)
    assert [path.name for path in Path("home").iterdir()] == ["letter.txt"]
    with pytest.raises(FileFormatError, match="holds other files"):
        idmerge.stitch("story.ndjson").write("home")


def test_a_file_without_an_event_is_an_error_and_an_empty_one_is_not() -> None:
    Path("photo.jpg").write_bytes(b"\x00\x01photo\n\x80")
    stderr = run("stitch", "story.ndjson", "photo.jpg", "-o", "out.parquet", code=1).stderr
    assert "idmerge: error: photo.jpg: no line is an event (line 1: the event is no JSON" in stderr
    assert not Path("out.parquet").exists()
    Path("empty.ndjson").touch()
    run("stitch", "story.ndjson", "empty.ndjson", "-o", "out.parquet")
    assert parquet.read_metadata("out.parquet").num_rows == len(STORY)
