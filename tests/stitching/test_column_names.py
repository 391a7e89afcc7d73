"""Names of properties that no column can have: the column has a name close to it (SPEC 9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, dataset, feather, parquet

import idmerge
from idmerge import Profiles
from idmerge._json_columns import column_names
from idmerge.cli.group import commands
from idmerge.files.shape import ALWAYS

NAMES = ["a\0b", "a\ufffdb", "a", "\0", "", "\ud800", "properties.a\ufffdb", "time\0"]


def write(path: Path, *properties: dict[str, Any]) -> Path:
    events = (
        {"event": "Page View", "properties": {"distinct_id": "u", "time": 1, **own}} for own in properties
    )
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    return path


def read_back(output: str) -> pa.Table:
    if output.endswith(".csv"):
        return csv.read_csv(output)
    if output.endswith(".arrow"):
        return feather.read_table(output)
    return dataset.dataset(output, partitioning="hive").to_table()


@pytest.mark.parametrize(
    "output",
    [
        ["o.parquet"],
        ["o.csv"],
        ["o.arrow"],
        ["o"],
        ["o", "--partition-by", "event"],
        ["o.parquet", "--dedupe"],
    ],
    ids=" ".join,
)
def test_one_name_that_no_column_can_have_stops_no_way_out(
    output: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "e", {"a": 1}, {"a\0b": 2, "a\0": 3}, {"a\ufffdb": 4})
    done = CliRunner().invoke(commands, ["stitch", "e", "-o", *output])
    assert done.exit_code == 0, done.output
    (note,) = [line for line in done.stderr.splitlines() if "NUL" in line]
    assert "the property 'a\\x00b' has a NUL in its name; its column is a\ufffdb, and 1 more likewise" in note
    found = read_back(output[0])
    names = ["a", "a\ufffdb", "a\ufffd", "properties.a\ufffdb"]
    assert found.column_names[4:8] == names
    assert found.select(names).to_pylist() == [
        dict(zip(names, row, strict=True)) for row in ((1, *[None] * 3), (None, 2, 3, None), (*[None] * 3, 4))
    ]


def test_the_columns_of_odd_names_are_apart_and_the_same_whoever_opens_them(tmp_path: Path) -> None:
    path = write(tmp_path / "e", {name: place for place, name in enumerate(NAMES)})
    stitched = idmerge.stitch(path)
    names = stitched.column_names
    assert len(set(names)) == len(names) == 4 + len(NAMES)
    assert stitched.renamed == {"a\0b": "a\ufffdb", "\0": "\ufffd", "time\0": "time\ufffd"}
    values = dict(enumerate(NAMES))
    for table in (pa.table(stitched), pl.DataFrame(stitched).to_arrow()):
        assert table.column_names == names
        assert [table[name].to_pylist() for name in names[4:]] == [[place] for place in values]


@pytest.mark.rule("9.events as json")
@given(st.lists(st.text(alphabet="\0\ufffda\ud800", max_size=3), unique=True), st.booleans())
def test_names_of_columns_are_unicode_without_nul_and_differ(names: list[str], is_taken: bool) -> None:  # noqa: FBT001
    taken = [*ALWAYS, *(["a", "\ufffd"] if is_taken else [])]
    columns = column_names(names, taken)
    assert [*columns] == names
    assert len({*columns.values(), *taken}) == len(names) + len(taken)
    for name, column in columns.items():
        assert "\0" not in column.encode().decode()
        assert column.endswith(name.replace("\0", "\ufffd").replace("\ud800", "\ufffd"))


def test_the_columns_of_a_file_are_under_names_that_can_be_handed_on(tmp_path: Path) -> None:
    """Arrow's interface ends a name at a NUL, so three columns here would have been called `a`."""
    raw = pa.table(
        {"event": ["x"], "distinct_id": ["u"], "a\0b": [1], "a\0c": [2], "a": [3], "a\ufffdb": [4]}
    )
    assert idmerge.stitch(raw).column_names[3:] == raw.column_names[2:]
    parquet.write_table(raw, tmp_path / "raw.parquet")
    stitched = idmerge.stitch(tmp_path / "raw.parquet", output=tmp_path / "o.parquet")
    expected = ["a\ufffdb", "a\ufffdc", "a", "properties.a\ufffdb"]
    assert stitched.column_names[3:] == pa.table(stitched).column_names[3:] == expected
    assert parquet.read_table(tmp_path / "o.parquet").column_names[3:] == expected
    assert [column.to_pylist() for column in pa.table(stitched).columns[3:]] == [[1], [2], [3], [4]]
    assert stitched.renamed == {"a\0b": "a\ufffdb", "a\0c": "a\ufffdc"}


def test_questions_are_answered_whatever_a_property_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    events = [
        {"event": "Page View", "properties": {"distinct_id": "u", "time": 1, "a\0b": 1}},
        {"event": "Sign Up", "properties": {"distinct_id": "u", "time": 2}},
    ]
    Path("e.ndjson").write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
    done = CliRunner().invoke(commands, ["ask", "signup-rate", "e.ndjson"])
    assert done.exit_code == 0, done.output
    assert "100" in done.stdout


def test_a_profile_s_properties_have_the_same_rule() -> None:
    people = Profiles(idmerge.Resolver())
    people.update_many([{"$distinct_id": "u", "$set": {"a\0b": 1, "a\ufffdb": 2}}])
    table = pa.table(people.table())
    assert table.column_names[-2:] == ["a\ufffdb", "properties.a\ufffdb"]
