"""Types that a type checker sees of the public calls."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from paths import ROOT

mypy_api = pytest.importorskip("mypy.api")

TYPES = """
from pathlib import Path
from typing import Any, assert_type

import duckdb
import idmerge
import polars as pl
import pyarrow as pa
from idmerge import StitchedEvents, stitch

def of_paths(names: list[str], places: list[Path]) -> None:
    assert_type(stitch("events.ndjson"), StitchedEvents)
    assert_type(stitch(Path("events.ndjson"), output="s.parquet"), StitchedEvents)
    assert_type(stitch(names, properties=["page"]), StitchedEvents)
    assert_type(stitch(places, dedupe=True), StitchedEvents)

def of_tables(
    table: pa.Table,
    batch: pa.RecordBatch,
    reader: pa.RecordBatchReader,
    frame: pl.DataFrame,
    lazy: pl.LazyFrame,
    relation: duckdb.DuckDBPyRelation,
    other: idmerge.Table,
    untyped: Any,
) -> None:
    assert_type(stitch(table), pa.Table)
    assert_type(stitch(table, idmerge.Resolver()), pa.Table)
    assert_type(stitch(batch, policy=idmerge.Policy()), pa.RecordBatch)
    assert_type(stitch(reader), pa.RecordBatchReader)
    assert_type(stitch(frame, as_known=True), pl.DataFrame)
    assert_type(stitch(lazy), pl.LazyFrame)
    assert_type(stitch(relation), duckdb.DuckDBPyRelation)
    assert_type(stitch(other), pa.Table)
    assert_type(stitch(untyped), Any)

class Frame:
    '''A frame of pandas, as its stubs describe it.'''

    @property
    def iloc(self) -> Any:
        return self

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self

def of_pandas(frame: Frame) -> None:
    assert_type(stitch(frame), Frame)

def of_outcomes(resolver: idmerge.Resolver) -> None:
    outcome = resolver.merge("a", "b")
    assert_type(bool(outcome), bool)
    assert_type(f"{outcome}", str)
    assert_type(resolver.apply_events([{}, "", b""]), idmerge.Report)

def of_modules() -> None:
    idmerge.spark.links
    idmerge.testing.events(3)
    idmerge.files.scan("e.ndjson")
    idmerge.questions.conversion("s.parquet", within="30d")
    idmerge.doctor.examine(["e.ndjson"])
"""

WRONG = {
    "stitch(5)": "No overload variant",
    "stitch({'event': []})": "No overload variant",
    "stitch(table, output='s.parquet')": "No overload variant",
    "stitch('e.ndjson', partition='date')": "Unexpected keyword argument",
    "idmerge.stich": "has no attribute",
}
"""Calls that are wrong, and a part of what the type checker says of each."""


def test_the_types_of_answers_are_those_of_what_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "".join(f"    {call}\n" for call in WRONG)
    path = tmp_path / "calls.py"
    path.write_text(f"{TYPES}\ndef of_nothing(table: pa.Table) -> None:\n{wrong}", encoding="utf-8")
    monkeypatch.setenv("MYPYPATH", os.fspath(ROOT / "python"))
    settings = ["--config-file=", "--strict", "--cache-dir", os.fspath(ROOT / ".mypy_cache" / "calls")]
    found, errors, _ = mypy_api.run([*settings, "--no-error-summary", "--hide-error-context", str(path)])
    found_at: dict[int, str] = {}
    for line in found.splitlines():
        number, is_error, message = line.rpartition("calls.py:")[2].partition(": error: ")
        if is_error:
            found_at.setdefault(int(number), message)
    assert errors == ""
    last = len(path.read_text(encoding="utf-8").splitlines())
    assert [*found_at] == [*range(last - len(WRONG) + 1, last + 1)], found
    for message, part in zip(found_at.values(), WRONG.values(), strict=True):
        assert part in message
