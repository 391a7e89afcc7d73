"""Files that are no updates of profiles: one error, which says what they are."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from command_line import error_of, run
from idmerge import Profiles, Resolver
from idmerge.errors import FileFormatError
from idmerge.files import BadLine, read_updates
from paths import DATA

FIELD = DATA / "field"
LINKS = FIELD / "mappings.csv"
ROWS: dict[str, list[dict[str, Any]]] = {
    "no update": [{"distinct_id": "ana", "name": "Ana"}, {"distinct_id": "ben", "name": "Ben"}],
    "flat": [{"$distinct_id": "ana", "$name": "Ana"}, {"$distinct_id": "ben", "$name": "Ben"}],
}
OTHERS: dict[str, list[dict[str, Any]]] = {
    "events": [
        {"event": "x", "time": 1, "distinct_id": "ana"},
        {"event": "y", "time": 2, "distinct_id": "b"},
    ],
    "identity mappings": [{"distinct_id": "ana", "resolved_distinct_id": "ben"}],
    "links in columns": [{"kind": "merge", "first": "ana", "second": "ben"}],
}


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            (writer := csv.DictWriter(file, rows[0])).writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refusal(*arguments: object) -> str:
    """Return the one line that the command prints."""
    error = error_of("profiles", *arguments, "--events", LINKS)
    (line,) = run("profiles", *arguments, "--events", LINKS, code=1).stderr.splitlines()
    assert line.endswith(error)
    return error


@pytest.mark.rule("11.nothing by default")
@pytest.mark.parametrize("rows", ROWS)
def test_json_of_which_no_line_is_an_update_is_refused_with_the_option_that_reads_it(
    rows: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "u.ndjson", ROWS[rows])
    error = refusal(path)
    assert error.startswith(f"{path}: no line is an update (line 1: it has '")
    assert "--dialect people" in error
    people = run("profiles", path, "--events", LINKS, "--dialect", "people").stdout
    assert [line.split(",")[0] for line in people.splitlines()] == ["distinct_id", "ana", "ben"]


@pytest.mark.rule("11.nothing by default")
@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
@pytest.mark.parametrize("what", OTHERS)
def test_events_mappings_and_links_are_refused_by_what_they_are(what: str, form: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"u.{form}", OTHERS[what])
    if form == "ndjson" and what == "links in columns":
        assert "no line is an update" in refusal(path)
        return
    assert refusal(path).startswith(f"{path}: the file holds {what}, no profiles; give it under --events")


@pytest.mark.parametrize("name", ["mp_master_event.ndjson", "ist.ndjson", "fivetran_event.parquet"])
def test_exports_of_events_are_refused(name: str) -> None:
    assert "the file holds events, no profiles" in refusal(FIELD / name)


def test_an_event_among_updates_changes_no_profile() -> None:
    profiles = Profiles(Resolver())
    event = {"event": "x", "distinct_id": "ana", "properties": {"plan": "event's"}}
    report = profiles.update_many([event, {"$distinct_id": "ana", "$set": {"a": 1}}])
    assert list(report.malformed) == [0]
    assert profiles.get("ana") == {"a": 1}


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_profiles_with_a_property_called_event_are_read(form: str, tmp_path: Path) -> None:
    rows = [{"$distinct_id": "ana", "event": "PyCon"}]
    path = written(tmp_path / f"u.{form}", rows)
    options = ["--dialect", "people"] if form == "ndjson" else []
    wanted = "distinct_id,event\nana,PyCon\n"
    assert run("profiles", path, "--events", LINKS, *options).stdout == wanted
    path = written(path, [{"distinct_id": "ana", "event": "PyCon"}])
    assert "--dialect people" in refusal(path)
    assert run("profiles", path, "--events", LINKS, "--dialect", "people").stdout == wanted


def test_a_column_that_is_given_as_the_name_of_events_shows_what_they_are(tmp_path: Path) -> None:
    path = written(tmp_path / "u.csv", [{"action": "x", "uid": "ana"}])
    columns = ["--column", "distinct_id=uid", "--column", "event=action"]
    assert "the file holds events, no profiles" in error_of("profiles", path, *columns, "--events", path)


def test_an_empty_batch_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "u.arrow"
    table = pa.table({"$distinct_id": ["ana"], "plan": ["pro"]})
    with pa.ipc.new_file(str(path), table.schema) as file:
        for rows in (table.slice(1), table):
            for batch in rows.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]:
                file.write_batch(batch)
    assert run("profiles", path, "--events", LINKS).stdout == "distinct_id,plan\nana,pro\n"


def test_lines_that_are_no_json_alone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "u"
    path.write_text("oops\noops\n")
    error = error_of("profiles", path, "--events", LINKS)
    assert error.startswith(f"{path}: no line is an update (line 1: the update is no JSON")
    nobody = tmp_path / "nobody.parquet"
    parquet.write_table(pa.table({"$distinct_id": pa.array([], pa.string())}), nobody)
    assert run("profiles", nobody, "--events", LINKS).stdout == "distinct_id\n"
    path.write_text("")
    assert run("profiles", path, "--events", LINKS).stdout == "distinct_id\n"


def test_an_update_behind_some_other_lines_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "u"
    lines = ['{"a": 1}'] * 50 + ["oops"] + ['{"a": 1}'] * 40 + ['{"$distinct_id": "ana", "$set": {"a": 1}}']
    path.write_text("\n".join(lines))
    pieces = [*read_updates(path)]
    assert [piece.line for piece in pieces if isinstance(piece, BadLine)] == [51]
    assert sum(len(piece.events) for piece in pieces if not isinstance(piece, BadLine)) == 91


def test_a_long_file_without_updates_is_refused_by_its_first_lines(tmp_path: Path) -> None:
    path = tmp_path / "u"
    path.write_text('{"a": 1}\n' * 200 + "oops\n" + '{"a": 1}\n' * 100_000)
    pieces: Iterator[Any] = read_updates(path)
    with pytest.raises(FileFormatError, match=r"no line is an update \(line 1: it has 'a'\)"):
        next(pieces)


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_a_profile_is_one_though_it_has_what_names_the_events_beside_it(form: str, tmp_path: Path) -> None:
    row = {"$distinct_id": "ana", "name": "Ana"} | ({"$properties": {}} if form == "ndjson" else {})
    path = written(tmp_path / f"u.{form}", [row])
    events = tmp_path / "events.csv"
    events.write_text("name,uid\nView,ana\n", "utf-8")
    options = ["--column", "event=name", "--column", "distinct_id=uid"]
    result = run("profiles", path, "--events", events, *options)
    assert result.stdout == "distinct_id,name\nana,Ana\n"
