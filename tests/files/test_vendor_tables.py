"""Tables of other products: their rows link by a device and a user, under Simplified ID Merge."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import idmerge
from command_line import error_of, run
from idmerge import Policy, Resolver
from idmerge.errors import DialectError, FileFormatError
from idmerge.files import BadLine, read, scan

DATA = Path(__file__).parents[1] / "data" / "vendors"
D1, D2 = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "0b2b7a46-6f0e-4b6e-9a55-2f7d1c9e4b22"
A1, A2 = "mVJzZ7vN0kQwq5xTfKd3aR", "b8sYt2Lh6uEoP4xWnCj9gR"
PEOPLE = {frozenset({f"$device:{D1}", "ana"}), frozenset({f"$device:{D2}", "ben"})}
TABLES = {
    "segment_tracks.csv": "segment",
    "segment_identifies.csv": "segment",
    "rudderstack_tracks.csv": "rudderstack",
    "snowplow_events.csv": "snowplow",
}


def clusters(pieces: Any) -> set[frozenset[str]]:
    resolver = Resolver(Policy.simplified())
    for piece in pieces:
        assert not isinstance(piece, BadLine)
        outcomes = {link.outcome.name for link in piece.judged(piece.apply_to(resolver))}
        assert outcomes <= {"MERGED", "UNCHANGED", "ANON_CLAIMED"}
    return {frozenset(members) for _, members in resolver.clusters()}


def table_of(file: str) -> pa.Table:
    with (DATA / file).open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    return pa.Table.from_pylist([{key: value or None for key, value in row.items()} for row in rows])


def amplitude(*, as_text: bool) -> pa.Table:
    rows = [json.loads(line) for line in (DATA / "amplitude.ndjson").read_text("utf-8").splitlines()]
    for row in rows:
        for name in ("event_properties", "user_properties"):
            row[name] = json.dumps(row[name]) if as_text else row[name]
    return pa.Table.from_pylist(rows)


@pytest.mark.rule("11.columns", "11.other products")
@pytest.mark.parametrize(("file", "name"), TABLES.items())
def test_a_table_of_a_product_links_devices_and_users(file: str, name: str, tmp_path: Path) -> None:
    pq.write_table(table_of(file), tmp_path / "t.parquet")
    for path in (DATA / file, tmp_path / "t.parquet"):
        for way in (read, scan):
            seen: list[Any] = []
            pieces = way(
                path, api="simplified", on_dialect=lambda _path, dialect, seen=seen: seen.append(dialect)
            )
            assert clusters(pieces) == PEOPLE
            assert [dialect.name for dialect in seen] == [name]


@pytest.mark.rule("11.columns")
@pytest.mark.parametrize("as_text", [True, False])
def test_names_of_events_in_columns_state_no_links(as_text: bool, tmp_path: Path) -> None:  # noqa: FBT001
    table = amplitude(as_text=as_text)
    pq.write_table(table, tmp_path / "t.parquet")
    expected = {frozenset({f"$device:{A1}", "ana"}), frozenset({f"$device:{A2}", "ben"})}
    assert clusters(scan(tmp_path / "t.parquet", api="simplified")) == expected
    assert clusters(scan(DATA / "amplitude.ndjson", api="simplified")) == expected
    stitched = idmerge.stitch(table, policy=Policy.simplified())
    assert stitched.column("distinct_id").to_pylist() == ["ana", "ana", "ana", "ben", "ben", "ana"]


@pytest.mark.rule("11.columns")
@pytest.mark.parametrize("is_encoded", [True, False])
def test_names_of_events_in_sorted_columns_state_no_links(is_encoded: bool, tmp_path: Path) -> None:  # noqa: FBT001
    rows = [
        {"event_type": "$identify", "device_id": "d", "user_id": "ana", "mp_processing_time_ms": 5},
        {"event_type": "Paid", "device_id": "d", "user_id": None, "mp_processing_time_ms": 3},
        {"event_type": None, "device_id": "d", "user_id": "ben", "mp_processing_time_ms": 9},
    ]
    table = pa.Table.from_pylist(rows)
    if is_encoded:
        table = table.set_column(0, "event_type", table.column(0).dictionary_encode())
    pq.write_table(table, tmp_path / "t.parquet")
    report: list[Any] = []
    stitched = pa.table(
        idmerge.stitch(tmp_path / "t.parquet", api="simplified", sort=True, on_report=report.append)
    )
    assert stitched.column("distinct_id").to_pylist() == ["ana", "ana", "ben"]
    assert stitched.column("event").cast(pa.string()).to_pylist() == ["Paid", "identify", None]


@pytest.mark.rule("11.other products", "11.columns")
def test_a_table_without_names_of_events_is_sorted(tmp_path: Path) -> None:
    columns = {"anonymous_id": ["d", "d"], "user_id": ["ana", None], "mp_processing_time_ms": [5, 3]}
    table = pa.table({**columns, "received_at": ["2024-05-02", "2024-05-01"], "sent_at": ["b", "a"]})
    pq.write_table(table, tmp_path / "identifies.parquet")
    stitched = pa.table(idmerge.stitch(tmp_path / "identifies.parquet", api="simplified", sort=True))
    assert stitched.column("received_at").to_pylist() == ["2024-05-01", "2024-05-02"]
    assert stitched.column("distinct_id").to_pylist() == ["ana", "ana"]


@pytest.mark.parametrize(("file", "name"), TABLES.items())
def test_tables_of_a_product_are_stitched_in_memory_and_as_files(
    file: str, name: str, tmp_path: Path
) -> None:
    expected = ["ana", "ben"] if "identifies" in file else ["ana", "ana", "ben", "ben"]
    if name == "snowplow":
        expected = ["ana", "ana", "ana", "ben", "ben"]
    table = idmerge.stitch(table_of(file), policy=Policy.simplified())
    assert table.column("distinct_id").to_pylist() == expected
    assert {"$device_id", "$user_id", "$insert_id", "time"} <= {*table.column_names}
    pq.write_table(table_of(file), tmp_path / "t.parquet")
    run("stitch", tmp_path / "t.parquet", "--api", "simplified", "-o", tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet").column("distinct_id").to_pylist() == expected


@pytest.mark.rule("11.nothing by default")
@pytest.mark.parametrize("file", TABLES)
@pytest.mark.parametrize("api", ["original", "legacy"])
def test_a_table_without_calls_names_the_api_that_joins_its_rows(file: str, api: Any) -> None:
    for way in (read, scan):
        with pytest.raises(FileFormatError, match=r"have no calls .*--api simplified"):
            list(way(DATA / file, api=api))
    assert "--api simplified" in error_of("resolve", DATA / file, "--api", api)


@pytest.mark.rule("11.nothing by default")
def test_calls_in_columns_are_refused_by_the_name_of_their_product(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (DATA / "posthog.ndjson").read_text("utf-8").splitlines()]
    table = pa.Table.from_pylist([{**row, "properties": json.dumps(row["properties"])} for row in rows])
    pq.write_table(table, tmp_path / "t.parquet")
    for api in ("original", "simplified"):
        assert "events of PostHog are read from lines of JSON" in error_of(
            "resolve", tmp_path / "t.parquet", "--api", api
        )
    with pytest.raises(DialectError, match="PostHog"):
        idmerge.stitch(table)


def test_a_column_that_the_caller_gives_is_the_id_of_a_table_under_the_original_api() -> None:
    resolver = Resolver()
    for piece in scan(DATA / "segment_tracks.csv", columns={"distinct_id": "anonymous_id"}):
        assert not isinstance(piece, BadLine)
        piece.apply_to(resolver)
    assert {one for _, members in resolver.clusters() for one in members} == {D1, D2}
