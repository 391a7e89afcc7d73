"""Commands on tables as pipelines and connectors write them: Parquet and CSV in other dialects."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from command_line import error_of, run

FIELD = Path(__file__).parents[1] / "data" / "field"
DEVICE = "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
TABLES = ["mp_master_event_struct", "mp_master_event_json", "dups", "fivetran_event", "int_time"]


def mapping(text: str) -> dict[str, str]:
    return {row["distinct_id"]: row["canonical_id"] for row in csv.DictReader(io.StringIO(text))}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_events_is_resolved_stitched_examined_and_asked_about(name: str, tmp_path: Path) -> None:
    path = FIELD / f"{name}.parquet"
    resolved = run("resolve", path)
    assert set(mapping(resolved.stdout).values()) == {"ana"}
    assert mapping(resolved.stdout)[DEVICE] == "ana"
    output = tmp_path / "stitched.parquet"
    dedupe = ["--dedupe"] if name == "dups" else []
    run("stitch", path, "-o", output, *dedupe)
    table = parquet.read_table(output)
    assert set(table["distinct_id"].to_pylist()) == {"ana"}
    assert table.num_rows == (3 if name in {"fivetran_event", "int_time"} else 6)
    found = json.loads(run("doctor", path, "--format", "json").stdout)
    assert found["overview"]["clusters"] == 1
    for events in (path, output):
        assert run("ask", "signup-rate", events, "--by", "day").stdout.split()[-6:][1] != "0"


def test_the_dialect_of_a_table_is_said() -> None:
    pipeline = run("resolve", FIELD / "mp_master_event_json.parquet").stderr
    assert "read as" in pipeline
    assert "Mixpanel pipeline" in pipeline
    assert "read as" not in run("resolve", FIELD / "int_time.parquet").stderr


def test_300_links_of_a_connector_without_dollars_are_read() -> None:
    result = run("resolve", FIELD / "airbyte.parquet")
    assert "300 MERGED" in result.stderr or "300" in result.stderr
    assert len(set(mapping(result.stdout).values())) == 300


def test_identity_mappings_join_without_guards(tmp_path: Path) -> None:
    for path in (FIELD / "mappings.csv", tmp_path / "mappings.parquet"):
        if path.suffix == ".parquet":
            text = (FIELD / "mappings.csv").read_text(encoding="utf-8")
            parquet.write_table(pa.Table.from_pylist(list(csv.DictReader(io.StringIO(text)))), path)
        assert set(mapping(run("resolve", path).stdout).values()) == {"ana"}


def test_columns_of_other_names_are_read_by_the_option_that_the_error_names(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text(f"event,anonymous_id,alias\n$create_alias,U1,{DEVICE}\n", encoding="utf-8")
    message = error_of("resolve", path)
    option = "--column distinct_id=anonymous_id"
    assert message.endswith(option)
    assert "there are 'event', 'anonymous_id', 'alias'" in message
    assert set(mapping(run("resolve", path, *option.split()).stdout).values()) == {DEVICE}
    output = tmp_path / "out.csv"
    run("stitch", path, "-o", output, *option.split())
    assert output.read_text(encoding="utf-8").splitlines()[0] == (
        '"event","distinct_id","$distinct_id_before_identity","alias"'
    )
