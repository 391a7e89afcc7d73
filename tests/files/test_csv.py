"""CSV of every command: Python's csv reads back what was written, whatever the texts are."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from command_line import run
from every_command import leaves
from idmerge import DurableResolver
from idmerge.files import csvtext
from idmerge.files.csvtext import safe, write_csv, write_few

HOSTILE = st.text(st.sampled_from([*"ab=+-@'\",;\t\r\n\0 ＝＠é\x1b"]), min_size=1, max_size=8)  # noqa: RUF001
TEXTS = st.lists(HOSTILE, min_size=1, max_size=6, unique=True)
FORMULAS = ["=1+1", "+44", "-x", "@a", "\tx", "\rx", "\nx", "'=1", "''+", "＝1"]  # noqa: RUF001
KINDS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
JOIN = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(written: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written.decode(), newline=""), strict=True))


def as_it_was(cell: str) -> str:
    return re.sub(r"\A'('*[=+\-@\t\r\n＝＋－＠])", r"\1", cell)  # noqa: RUF001


def is_formula(cell: str) -> bool:
    return cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))  # noqa: RUF001


def merged(texts: Iterable[str], path: str = "ids.idmerge") -> None:
    """Make a journal in which the first of ``texts`` meets each other one."""
    for left in Path().glob(f"{path}*"):
        left.unlink()
    first, *others = texts
    with DurableResolver.open(path) as resolver:
        resolver.observe(first)
        for other in others:
            resolver.merge(first, other)
        resolver.commit()


# One table.


@given(st.data())
def test_a_table_reads_back_as_it_was(data: st.DataObject) -> None:
    names = data.draw(st.lists(HOSTILE, min_size=2, max_size=3, unique=True))
    length = data.draw(st.integers(0, 4))
    columns = [data.draw(st.lists(HOSTILE, min_size=length, max_size=length)) for _ in names]
    kinds = [data.draw(st.sampled_from(KINDS)) for _ in names]
    arrays = [pa.array(column).cast(kind) for column, kind in zip(columns, kinds, strict=True)]
    table = pa.table([*arrays, pa.array(range(length))], names=[*names, "number"])
    expected = [[*map(str, row)] for row in zip(*columns, range(length), strict=True)]
    for csv_safe in (False, True):
        stream, streamed = io.BytesIO(), io.BytesIO()
        write_csv(table, stream, csv_safe=csv_safe)
        with csvtext.csv_writer(streamed, table.schema, csv_safe=csv_safe) as write:
            write(table)
        for written in (stream.getvalue(), streamed.getvalue()):
            header, *found = rows(written)
            undone = [[as_it_was(cell) if csv_safe else cell for cell in row] for row in [header, *found]]
            assert undone == [[*names, "number"], *expected]
            assert not csv_safe or not any(map(is_formula, chain(header, *found)))


def test_a_slice_is_quoted_by_what_it_holds() -> None:
    table = pa.table({"a": ["x,y", "z", None], "b": ["p", "q", ""]}).slice(1)
    stream = io.BytesIO()
    write_csv(table, stream)
    assert stream.getvalue() == b"a,b\nz,q\n,\n"


@given(st.data())
def test_few_rows_are_written_byte_for_byte_as_a_table_is(data: st.DataObject) -> None:
    names = data.draw(st.lists(HOSTILE, min_size=2, max_size=3, unique=True))
    length = data.draw(st.integers(0, 4))
    texts = HOSTILE | st.sampled_from(["a", "b c", "", "é"])
    columns = {name: data.draw(st.lists(texts, min_size=length, max_size=length)) for name in names}
    table = pa.table(
        [pa.array(column, pa.string()) for column in columns.values()]
        + [pa.array(range(length), pa.int32())],
        names=[*names, "number"],
    )
    for csv_safe in (False, True):
        stream, of_few = io.BytesIO(), io.BytesIO()
        write_csv(table, stream, csv_safe=csv_safe)
        write_few({**columns, "number": [*range(length)]}, of_few, csv_safe=csv_safe)
        assert of_few.getvalue() == stream.getvalue()


@given(HOSTILE, HOSTILE)
def test_the_rule_against_formulas_tells_any_two_texts_apart(one: str, other: str) -> None:
    assert as_it_was(safe(one)) == one
    assert (safe(one) == safe(other)) == (one == other)
    assert not is_formula(safe(one))


@given(st.lists(st.one_of(st.none(), HOSTILE), max_size=5))
def test_one_cell_and_a_column_are_made_safe_alike(texts: list[str | None]) -> None:
    table = pa.table({"a": pa.array(texts, pa.string())})
    assert csvtext._safe(table)["a"].to_pylist() == [None if text is None else safe(text) for text in texts]


# Every command.


@JOIN
@given(TEXTS)
def test_a_mapping_and_its_changes_read_back_as_they_were(texts: list[str]) -> None:
    merged(texts)
    with DurableResolver.open("ids.idmerge", read_only=True) as resolver:
        tables: list[tuple[list[str], dict[str, Any]]] = [
            (["mapping", "ids.idmerge"], resolver.mapping().to_pydict()),
            (["changes", "ids.idmerge", "--since", "0"], resolver.changes(0).to_pydict()),
        ]
    for call, table in tables:
        expected = [[*table], *([*map(str, row)] for row in zip(*table.values(), strict=True))]
        assert rows(run(*call).stdout_bytes) == expected
        run(*call, "-o", "out.csv", "--csv-safe")
        found = rows(Path("out.csv").read_bytes())
        assert [[*map(as_it_was, row)] for row in found] == expected
        assert not any(map(is_formula, chain(*found)))


@pytest.mark.parametrize("canonical", ["a,b", 'a"b', "a\nb", "a\rb"])
def test_changes_are_written_where_only_a_canonical_id_needs_quotes(canonical: str) -> None:
    with DurableResolver.open("ids.idmerge", canonical="smallest") as resolver:
        resolver.merge(canonical, "b")
        resolver.commit()
    (old,) = [row[1:3] for row in rows(run("changes", "ids.idmerge", "--since", 0).stdout_bytes)[1:]]
    assert old == ["b", canonical]
    run("changes", "ids.idmerge", "--since", 0, "-o", "x.csv")
    assert rows(Path("x.csv").read_bytes())[1][2] == canonical
    run("retract", 0, "ids.idmerge")


@JOIN
@given(TEXTS)
def test_what_is_taken_back_reads_back_as_it_was(texts: list[str]) -> None:
    merged([*texts, "last"])
    position = len(texts) - 1
    with DurableResolver.open("ids.idmerge") as resolver:
        table = resolver.retract(position, dry_run=True).to_pydict()
    expected = [[*table], *([*map(str, row)] for row in zip(*table.values(), strict=True))]
    assert rows(run("retract", "--dry-run", position, "ids.idmerge").stdout_bytes) == expected
    found = rows(run("retract", "--csv-safe", position, "ids.idmerge").stdout_bytes)
    assert [[*map(as_it_was, row)] for row in found] == expected


@JOIN
@given(TEXTS, HOSTILE.map(lambda text: text.replace("\0", "") + "p"))
def test_resolved_rejected_stitched_and_profiled_read_back_as_they_were(texts: list[str], name: str) -> None:
    links = [
        {"event": "$merge", "properties": {"$distinct_ids": [texts[0], text], "time": 1}} for text in texts
    ]
    sent = [
        {"event": text, "properties": {"distinct_id": text, "time": 2, name: text, "n": 1}} for text in texts
    ]
    Path("e.ndjson").write_text("".join(f"{json.dumps(event)}\n" for event in links + sent), "utf-8")
    updates = [{"$distinct_id": text, "$set": {name: text}} for text in texts]
    Path("u.ndjson").write_text("".join(f"{json.dumps(update)}\n" for update in updates), "utf-8")
    for more in ([], ["--csv-safe"]):
        undo = as_it_was if more else str
        run("resolve", "e.ndjson", "-o", "m.csv", "--rejected", "r.csv", *more)
        run("stitch", "e.ndjson", "-o", "s.csv", *more)
        run("profiles", "u.ndjson", "--events", "e.ndjson", "-o", "p.csv", *more)
        read = {
            file: [[*map(undo, row)] for row in rows(Path(file).read_bytes())]
            for file in ("m.csv", "r.csv", "s.csv", "p.csv")
        }
        assert [row[0] for row in read["m.csv"][1:]] == texts
        assert {row[1] for row in read["m.csv"][1:]} == {texts[0]}
        assert read["r.csv"][1][3:5] == [texts[0], texts[0]]
        header, *found = read["s.csv"]
        assert {name, "event", "distinct_id"} <= {*header}
        named = [dict(zip(header, row, strict=True)) for row in found][len(links) :]
        assert [(row["event"], row[name], row["$distinct_id_before_identity"]) for row in named] == [
            (text, text, text) for text in texts
        ]
        assert read["p.csv"] == [["distinct_id", name], [texts[0], texts[0]]] or len(texts) > 1
        if more:
            for file in read:
                assert not any(map(is_formula, chain(*rows(Path(file).read_bytes())))), file


def test_an_answer_reads_back_as_it_was_and_is_no_formula() -> None:
    posts = pa.table(
        {
            "event": [*["Read Post"] * len(FORMULAS), "Sign Up"],
            "time": pa.array(range(len(FORMULAS) + 1), pa.timestamp("ms", "UTC")),
            "distinct_id": [f"u{n}" for n in range(len(FORMULAS) + 1)],
            "$distinct_id_before_identity": [f"u{n}" for n in range(len(FORMULAS) + 1)],
            "post": [*FORMULAS, None],
        }
    )
    pq.write_table(posts, "s.parquet")
    run("ask", "conversion", "s.parquet", "-o", "a.csv")
    assert {row[0] for row in rows(Path("a.csv").read_bytes())[1:]} == {*FORMULAS}
    run("ask", "conversion", "s.parquet", "-o", "a.csv", "--csv-safe")
    cells = [row[0] for row in rows(Path("a.csv").read_bytes())[1:]]
    assert {*map(as_it_was, cells)} == {*FORMULAS}
    assert not any(map(is_formula, cells))


def test_columns_of_categories_and_views_become_csv() -> None:
    kinds = {"c": pa.dictionary(pa.int32(), pa.string()), "v": pa.string_view(), "l": pa.large_string()}
    odd = ["a,b", '"', "=x"]
    columns = {name: pa.array(odd).cast(kind) for name, kind in kinds.items()}
    events = pa.table(
        {"event": ["e"] * 3, "time": pa.array([1, 2, 3], pa.timestamp("ms", "UTC")), "distinct_id": odd}
        | columns
    )
    with pa.OSFile("e.arrow", "wb") as file, pa.ipc.new_file(file, events.schema) as writer:
        writer.write_table(events)
    run("stitch", "e.arrow", "-o", "s.csv")
    header, *found = rows(Path("s.csv").read_bytes())
    for name in ("c", "v", "l"):
        assert [row[header.index(name)] for row in found] == odd


def test_every_command_that_writes_csv_has_the_option() -> None:
    writes = {
        name for name, command in leaves() if ".csv" in str([*map(_help, command.params), command.help])
    }
    has = {name for name, command in leaves() if any("--csv-safe" in one.opts for one in command.params)}
    reads_only = {("show",), ("doctor",)}
    assert has >= writes - reads_only - {("generate",)}
    assert has >= {("retract",), ("mapping",), ("changes",), ("stitch",), ("resolve",), ("profiles",)}


def _help(parameter: Any) -> str:
    return getattr(parameter, "help", None) or ""


@pytest.mark.parametrize(
    "call",
    [
        ["mapping", "ids.idmerge", "-o", "m.parquet"],
        ["resolve", "e.ndjson", "-o", "m.arrow"],
        ["resolve", "e.ndjson", "--journal", "j"],
        ["stitch", "e.ndjson", "-o", "s.parquet"],
        ["ask", "signup-rate", "e.ndjson"],
    ],
)
def test_the_option_is_refused_where_no_csv_is_written(call: list[str]) -> None:
    merged(["a", "b"])
    Path("e.ndjson").write_text("{}\n", "utf-8")
    assert "--csv-safe is for CSV, and none is written" in run(*call, "--csv-safe", code=2).stderr
