"""Sources of stitched events for questions: the same answers from each, and clear errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

import command_line
import idmerge
from answers_by_hand import MODELS, revenue, rows_of, that_knows
from idmerge import questions
from idmerge.errors import ColumnError, FileFormatError, MissingExtraError
from idmerge.questions import Answer
from idmerge.questions.execution import run
from idmerge.testing import events as workload
from stitched_by_hand import stitched_table


@pytest.fixture(scope="module")
def shop() -> pa.Table:
    return stitched_table(workload(3000, seed=4))


def every_way(shop: pa.Table, folder: Path) -> dict[str, Any]:
    parquet.write_table(shop, folder / "all.parquet")
    (folder / "parts" / "deeper").mkdir(parents=True)
    half = shop.num_rows // 2
    parquet.write_table(shop.slice(0, half), folder / "parts" / "one.parquet")
    parquet.write_table(shop.slice(half), folder / "parts" / "deeper" / "two.parquet")
    parquet.write_table(
        shop.slice(0, half).drop_columns([*{"page"} & {*shop.column_names}]), folder / "w[1]*.parquet"
    )
    parquet.write_table(shop, folder / "w1x.parquet")  # What the name above would match as a pattern.
    return {
        "pyarrow": shop,
        "chunks": pa.concat_tables([shop.slice(0, half), shop.slice(half)]),
        "stream": shop.to_reader(100),
        "polars": pl.from_arrow(shop),
        "pandas": shop.to_pandas(),
        "relation": duckdb.connect().from_arrow(shop),
        "capsule": Stream(shop),
        "path": folder / "all.parquet",
        "text": str(folder / "all.parquet"),
        "folder": folder / "parts",
        "pattern": str(folder / "parts" / "**" / "*.parquet"),
        "files": [str(folder / "w[1]*.parquet"), folder / "parts" / "deeper" / "two.parquet"],
    }


class Stream:
    """An object that exports an Arrow stream and nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.to_reader(64).__arrow_c_stream__(requested_schema)


def test_the_answer_does_not_depend_on_where_the_events_are(shop: pa.Table, tmp_path: Path) -> None:
    asked = [questions.SignupRate(by="day"), questions.Attribution(model="linear"), questions.Conversion()]
    expected = [question.ask(shop).table.to_pydict() for question in asked]
    for way, events in every_way(shop, tmp_path).items():
        for question, answer in zip(asked, expected, strict=True):
            given = shop.to_reader() if way == "stream" else events
            assert question.ask(given).table.to_pydict() == {
                name: pytest.approx(column) if name.startswith(("revenue", "share")) else column
                for name, column in answer.items()
            }, way


def together(shop: pa.Table, layout: str) -> pa.Table:
    """Return events whose properties stand in one column."""
    standard = ["event", "time", "distinct_id", "$distinct_id_before_identity"]
    rows = shop.drop_columns(standard).to_pylist()
    rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
    texts = [json.dumps(row) for row in rows]
    columns = {
        "text": lambda: pa.array(texts),
        "bytes": lambda: pa.array([text.encode() for text in texts]),
        "dictionary": lambda: pa.array(texts).dictionary_encode(),
        "struct": lambda: pa.array(rows),
        "map": lambda: pa.array(
            [[(name, str(value)) for name, value in row.items()] for row in rows],
            pa.map_(pa.string(), pa.string()),
        ),
    }
    return shop.select(standard).append_column("properties", columns[layout]())


def in_warehouse(shop: pa.Table) -> pa.Table:
    """Return raw events as Snowflake exports them."""
    table = together(shop, "text").drop_columns(["distinct_id"])
    return table.rename_columns(["EVENT_NAME", "TIME", "DISTINCT_ID", "PROPERTIES"])


def test_columns_of_a_warehouse_answer_as_others_do(shop: pa.Table, tmp_path: Path) -> None:
    raw = tmp_path / "raw.parquet"
    parquet.write_table(in_warehouse(shop), raw)
    said = command_line.run("ask", "attribution", raw, "--model", "linear").stdout
    stitched = tmp_path / "stitched.parquet"
    command_line.run("stitch", raw, "-o", stitched)
    assert said == command_line.run("ask", "attribution", stitched, "--model", "linear").stdout
    own = parquet.read_table(stitched)
    assert own.column_names == ["event", "time", "distinct_id", "$distinct_id_before_identity", "properties"]
    renamed = own.rename_columns(["EVENT_NAME", "TIME", "DISTINCT_ID", "MP_BEFORE", "PROPERTIES"])
    columns = {"$distinct_id_before_identity": "MP_BEFORE"}
    expected = questions.attribution(idmerge.stitch(raw), model="linear")
    assert str(expected) == said.rstrip("\n")
    for dialect in (None, "warehouse"):
        found = questions.attribution(renamed, model="linear", dialect=dialect, columns=columns)
        assert str(found) == str(expected)


@pytest.mark.parametrize("layout", ["text", "bytes", "dictionary", "struct", "map"])
def test_properties_that_stand_together_answer_as_columns_do(
    layout: str, shop: pa.Table, tmp_path: Path
) -> None:
    asked = [questions.Attribution(model="linear"), questions.Conversion()]
    table = together(shop, layout)
    ways = every_way(table, tmp_path) if layout != "map" else {"pyarrow": table, "stream": table}
    for question in asked:
        expected = question.ask(shop).table.to_pydict()
        assert any(expected.values())
        for way, events in ways.items():
            answer = question.ask(table.to_reader() if way == "stream" else events)
            assert answer.table.to_pydict() == {
                name: pytest.approx(column) if name.startswith(("revenue", "share")) else column
                for name, column in expected.items()
            }, way
            assert "properties" in answer.sql
    connection = duckdb.connect()
    connection.register("events", table)
    sql = asked[0].sql(table)
    assert len(connection.execute(sql).fetchall()) == len(asked[0].ask(shop).table)


@pytest.mark.parametrize("layout", ["text", "struct", "map"])
def test_a_property_that_no_event_has_is_an_error_wherever_it_could_be(
    layout: str, shop: pa.Table, tmp_path: Path
) -> None:
    table = together(shop, layout)
    parquet.write_table(table, tmp_path / "f.parquet")
    for events in (table, tmp_path / "f.parquet"):
        with pytest.raises(ColumnError, match="'utm_campagn'"):
            questions.attribution(events, campaign="utm_campagn")
        assert len(questions.signup_rate(events)) == 1


@pytest.mark.parametrize("name", ["a b", "a/b~c", "$email", "'; --", 'q"q', "0", "é", "*", ""])
def test_properties_among_others_may_have_any_name(name: str) -> None:
    events = rows_of(("Purchase", 1, "ada", None, "1")).select(
        ["event", "time", "distinct_id", "$distinct_id_before_identity"]
    )
    for cell in (json.dumps({name: 7, "other": {name: 8}}), {name: 7}):
        if not name and isinstance(cell, dict):
            continue
        table = events.append_column("properties", pa.array([cell]))
        assert [row["revenue"] for row in questions.attribution(table, amount=name, campaign=name)] == [7]


def test_texts_that_are_no_objects_have_no_properties() -> None:
    events = rows_of(*[("Purchase", 1, "ada", None, "1")] * 6).drop_columns(["amount", "utm_campaign"])
    texts = ["{x", "[1]", "5", None, '{"amount": null}', '{"amount": "2.5", "utm_campaign": "c"}']
    answer = questions.attribution(events.append_column("properties", pa.array(texts)))
    assert [(row["campaign"], row["revenue"]) for row in answer] == [("c", 2.5)]


def test_columns_whose_names_differ_in_case_alone_are_told_apart(tmp_path: Path) -> None:
    table = rows_of(("Purchase", 1, "ada", None, "1"))
    table = that_knows(table, "Sign Up")
    twins = table.append_column("Amount", pa.array(["2", None])).append_column(
        "AMOUNT", pa.array(["3", None])
    )
    parquet.write_table(twins, tmp_path / "twins.parquet")
    relation = duckdb.connect().from_arrow(table)
    frames = (twins, tmp_path / "twins.parquet", twins.to_pandas(), pl.from_arrow(twins))
    for events in frames:
        for amount, paid in (("amount", 1), ("Amount", 2), ("AMOUNT", 3)):
            answer = questions.attribution(events, amount=amount)
            assert [row["revenue"] for row in answer] == [paid]
    connection = duckdb.connect()
    connection.register("events", twins)
    assert connection.execute(questions.attribution(twins, amount="AMOUNT").sql).fetchall()[0][1] == 3
    with pytest.raises(ColumnError, match="no column 'AMOUNT'"):
        questions.attribution(relation, amount="AMOUNT")
    parquet.write_table(table, tmp_path / "other.parquet")
    with pytest.raises(
        ColumnError, match="'AMOUNT' and 'Amount' and 'amount', which SQL does not tell apart"
    ):
        questions.attribution(tmp_path, amount="amount")
    assert len(questions.signup_rate(tmp_path)) == 1


def test_properties_may_be_called_like_what_a_statement_calls_its_own() -> None:
    own = (
        "stitched",
        "id",
        "person",
        "versions",
        "facts",
        "events",
        "value",
        "campaign",
        "select",
        'a"b',
        "x'y",
        "é",
    )
    table = rows_of(("Purchase", 1, "ada", None, "1"), ("Read Post", 2, "ada"), ("Sign Up", 3, "ada"))
    for name in own:
        table = table.append_column(name, pa.array(["c", "p", None]))
    for name in own:
        assert revenue(table, campaign=name) == {"c": 1}
        assert [row["value"] for row in questions.conversion(table, by=name)] == ["p"]


def test_the_names_of_directories_say_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "utm_campaign=folder" / "amount=100"
    folder.mkdir(parents=True)
    parquet.write_table(rows_of(("Purchase", 1, "ada", "x", "1")), folder / "a.parquet")
    assert revenue(tmp_path) == {"x": 1}


def test_values_of_any_type_tell_rows_apart_as_text() -> None:
    table = rows_of(("Read Post", 1, "ada"), ("Read Post", 1, "bea"), ("Sign Up", None, None))
    for values in (
        pa.array([7, 8, None]),
        pa.array([[1], [2], None]),
        pa.array(["a", "b", None]).dictionary_encode(),
    ):
        answer = questions.conversion(table.set_column(5, "post", values))
        assert sorted(row["value"] for row in answer) == sorted(map(str, values.to_pylist()[:2]))


def test_columns_without_a_value_may_be_of_no_type(tmp_path: Path) -> None:
    table = that_knows(rows_of(("Visit", None, "ada")), "Sign Up", "Purchase", "Read Post")
    for name in ("utm_campaign", "amount", "post"):
        table = table.set_column(table.column_names.index(name), name, pa.nulls(4))
    parquet.write_table(table, tmp_path / "none.parquet")
    for events in (table.set_column(1, "time", pa.nulls(4)), tmp_path / "none.parquet"):
        assert [row["visitors"] for row in questions.signup_rate(events, by="week")] == [1]
        for model in MODELS:
            assert revenue(events, model) == {None: 0}
        assert len(questions.conversion(events)) == 0


# What stands in the way


@pytest.mark.parametrize("way", ["pyarrow", "polars", "pandas", "relation", "path"])
def test_a_missing_column_is_named_with_those_that_are_there(way: str, tmp_path: Path) -> None:
    table = rows_of(("Visit", 1, "ada")).drop_columns(["amount"])
    events = every_way(table.append_column("page", pa.array(["/"])), tmp_path)[way]
    with pytest.raises(ColumnError) as raised:
        questions.attribution(events)
    assert str(raised.value) == (
        "the events have no column 'amount'; they have 'event', 'time', 'distinct_id', 'utm_campaign', "
        "'post', '$distinct_id_before_identity', 'page'"
    )
    assert isinstance(raised.value, ValueError)


def test_times_that_are_no_timestamps_are_refused() -> None:
    table = rows_of(("Visit", 1, "ada")).set_column(1, "time", pa.array([1_704_067_200]))
    with pytest.raises(
        ColumnError, match="the column 'time' must hold timestamps, got BIGINT; idmerge stitch"
    ):
        questions.signup_rate(table)


def test_a_file_that_is_no_parquet_or_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "raw.ndjson").write_text("{}\n", encoding="utf-8")
    with pytest.raises(
        FileFormatError, match="raw.ndjson: expected Parquet of stitched events; idmerge stitch"
    ):
        questions.signup_rate(tmp_path / "raw.ndjson")
    parquet.write_table(rows_of(("Visit", 1, "ada")), tmp_path / "whole.parquet")
    (tmp_path / "half.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:900])
    with pytest.raises(FileFormatError, match="half.parquet: no readable Parquet"):
        questions.signup_rate(tmp_path / "half.parquet")
    content = bytearray((tmp_path / "whole.parquet").read_bytes())
    content[4:300] = bytes(296)
    (tmp_path / "flipped.parquet").write_bytes(content)
    with pytest.raises(FileFormatError, match="flipped.parquet: cannot be read"):
        questions.signup_rate(tmp_path / "flipped.parquet")
    with pytest.raises(FileNotFoundError):
        questions.signup_rate(tmp_path / "nothing*.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no file in it is called .parquet"):
        questions.signup_rate(tmp_path / "empty")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: questions.SignupRate(by="year"), "by must be 'day', 'week', 'month' or None, got 'year'"),  # type: ignore[arg-type]
        (
            lambda: questions.Attribution(model="best"),
            "model must be one of 'last-touch', 'first-touch', 'linear', got",
        ),  # type: ignore[arg-type]
        (
            lambda: questions.Conversion(start="x", goal="x"),
            "start and goal must be two events, got 'x' twice",
        ),
        (lambda: questions.Conversion(within=-timedelta(1)), "within must be no less than 0, got -1 day"),
        (lambda: questions.Conversion(within="a month"), "'a month' is no length of time; expected a number"),
        (lambda: questions.conversion([], within="30"), "'30' is no length of time; expected a number and w"),
        (lambda: questions.Conversion(within=30), "must be a timedelta or text, a number and .*, got 30"),  # type: ignore[arg-type]
        (lambda: questions.signup_rate(3), "events must be a table that exports an Arrow stream, .* got int"),
        (lambda: questions.signup_rate([]), "got list"),
    ],
)
def test_a_wrong_call_says_what_was_expected(wrong: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        wrong()


@pytest.mark.parametrize("missing", ["duckdb", "pyarrow"])
def test_without_duckdb_one_line_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        MissingExtraError, match=r"^questions need duckdb and pyarrow: pip install duckdb pyarrow$"
    ):
        questions.signup_rate("any.parquet")


def test_questions_are_imported_without_duckdb_and_pyarrow() -> None:
    code = "import sys; from idmerge import questions; questions.Attribution().sql()\n"
    code += "print([name for name in ('duckdb', 'pyarrow', 'matplotlib', 'click') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_the_directory_where_events_are_asked_stays_as_it_was(
    shop: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(questions.attribution(shop.to_pandas()), Answer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("statement", ["SELECT count(*) FROM range(1000000000000)", "SELECT 1"])
def test_an_interrupt_reaches_a_statement_that_runs(statement: str) -> None:
    with duckdb.connect(":memory:") as connection:
        for _ in range(5):
            try:
                threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT]).start()
                run(connection, statement)
                time.sleep(5)
            except KeyboardInterrupt:
                continue
            pytest.fail("it was not interrupted")
        assert run(connection, "SELECT 1") == [(1,)]
