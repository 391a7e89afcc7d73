"""Tables whose properties are JSON text: the core reads them, and answers as Python and files do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
import json_events
from idmerge import Outcome, Policy, Resolver, _core, files
from idmerge.errors import CapacityError, FileFormatError
from idmerge.events import HOT_SHARD
from idmerge.files import rows, tabular, textrows
from idmerge.files import tables as file_tables
from idmerge.files.rows import Rows
from idmerge.stitching import StitchReport, tables
from strategies import D1, D2

BEFORE = "$distinct_id_before_identity"

HOSTILE = [
    *("", " ", "null", "7", '"{}"', "[]", "{", "}", "{}x", "{},{}", "nonsense", "\ufeff{}", "\0", "NaN"),
    *('{"distinct_id":"a",}', '{"distinct_id":"a"}}', "{'distinct_id':'a'}", '{"distinct_id":"a\nb"}'),
    *(
        '{\n"distinct_id"\r\n:\t"a"\n}\n',
        '{"distinct_id":"a"}\n{"distinct_id":"b"}',
        '{"distinct_id":"a\\nb"}',
    ),
    *('{"distinct_id":"a","distinct_id":"b"}', '{"distinct_id":"a","distinct\\u005fid":7}'),
    *('{"distinct_id":"a","x":{"y":1,"y":2},"time":{"y":1,"y":2}}', '{"distinct_id":"\\ud800"}'),
    *('{"distinct_id":"a","time":"\\ud800","$insert_id":"\\udfff"}', '{"distinct_id":' + "9" * 5000 + "}"),
    *('{"distinct_id":1e15}', '{"distinct_id":1e300,"time":-0}', '{"time":-0.0,"$insert_id":-0}'),
    *('{"distinct_id":"a","$insert_id":18446744073709551615}', '{"distinct_id":"a","$insert_id":1e400}'),
    *('{"distinct_id":"a","x":' + depth * "[" + depth * "]" + "}" for depth in (97, 98, 99, 499, 501)),
    json.dumps({"distinct_id": D1, BEFORE: D2}),
    json.dumps({BEFORE: D1}),
    json.dumps({BEFORE: [D1], "distinct_id": D2}),
    json.dumps({"$anon_id": D1, "$identified_id": "U1", "$failure_reason": "because"}),
    json.dumps({"$anon_id": D1, "$identified_id": "U1", "$failure_reason": ["because"]}),
    json.dumps({"mp_original_event_name": "x", "mp_original_distinct_id": D1, "distinct_id": "shard"}),
]
names = st.one_of(
    st.sampled_from(["$identify", "$create_alias", "$merge", "Page View", "Page View", None, HOT_SHARD, "ü"])
)
texts = st.one_of(
    json_events.objects(json_events.fields),
    json_events.objects(json_events.fields),
    json_events.values,
    st.sampled_from(HOSTILE),
    st.none(),
)
events = st.lists(st.tuples(names, texts), max_size=10)
ids = st.none() | st.sampled_from([D1, D2, "U1", "", "null", "x" * 256])
beside = st.dictionaries(
    st.sampled_from(["distinct_id", BEFORE, "$anon_id", "$identified_id", "alias", "$failure_reason"]),
    st.lists(ids, min_size=10, max_size=10),
    max_size=3,
)


def as_bytes(texts: list[str | None]) -> list[bytes | None]:
    return [None if text is None else text.encode() for text in texts]


LAYOUTS: dict[str, Any] = {
    "string": lambda texts: pa.array(texts, pa.string()),
    "large string": lambda texts: pa.array(texts, pa.large_string()),
    "string view": lambda texts: pa.array(texts, pa.string()).cast(pa.string_view()),
    "binary": lambda texts: pa.array(as_bytes(texts), pa.binary()),
    "large binary": lambda texts: pa.array(as_bytes(texts), pa.large_binary()),
    "binary view": lambda texts: pa.array(as_bytes(texts), pa.binary()).cast(pa.binary_view()),
    "dictionary": lambda texts: pa.array(texts, pa.string()).dictionary_encode(),
    "dictionary of bytes": lambda texts: pa.array(as_bytes(texts), pa.binary()).dictionary_encode(),
}


def table_of(stated: list[tuple[Any, Any]], layout: str = "string", **columns: Any) -> Any:
    names, texts = [name for name, _ in stated], [text for _, text in stated]
    others = {name: pa.array(column[: len(stated)], pa.string()) for name, column in columns.items()}
    return pa.table({"event": pa.array(names, pa.string()), "properties": LAYOUTS[layout](texts), **others})


def by_python(
    table: Any,
    path: str = "",
    lines: Any = None,
    values: Any = (),  # noqa: ARG001
    api: Any = "original",
    **names_link: bool,
) -> Rows:
    """Return rows that Python reads one by one, which are the judge of those that the core reads."""
    return Rows(table, path, lines, api, **names_link)


def read_by_python(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tables, "rows_of", by_python)
    patch.setattr(tabular, "rows_of", by_python)


def stitched(table: Any, **wanted: Any) -> tuple[Any, StitchReport, Any]:
    """Return the stitched table, the report on it, and the mapping."""
    reports: list[StitchReport] = []
    answer = idmerge.stitch(table, on_report=reports.append, **wanted)
    resolver = Resolver()
    idmerge.stitch(table, resolver, on_report=reports.append)
    return answer, reports[0], reports[1]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have threads read a few rows, and files come in pieces of a few more."""
    monkeypatch.setattr(textrows, "MOST_ROWS", 3)
    monkeypatch.setattr(textrows, "ROWS", 1)
    monkeypatch.setattr(file_tables, "ROWS", 4)


@pytest.mark.rule("9.tables")
@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=60)
@given(
    stated=events,
    columns=beside,
    wanted=st.fixed_dictionaries(
        {"as_known": st.booleans(), "dedupe": st.booleans()},
        optional={
            "timezone": st.just("Asia/Kolkata"),
            "canonical": st.sampled_from(["smallest", min]),
        },
    ),
)
def test_the_core_reads_text_as_python_does(
    layout: str, stated: list[tuple[Any, Any]], columns: dict[str, Any], wanted: dict[str, Any]
) -> None:
    table = table_of(stated, layout, **columns)
    found = stitched(table, **wanted)
    with pytest.MonkeyPatch.context() as patch:
        read_by_python(patch)
        expected = stitched(table, **wanted)
    assert found[0].schema == expected[0].schema
    assert found[0].to_pylist() == expected[0].to_pylist()
    assert found[1:] == expected[1:]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


def judged(path: Path, resolver: Resolver) -> list[Any]:
    """Apply a file; return what is said about each of its links."""
    said = []
    for piece in files.scan(path):
        report = piece.apply_to(resolver)
        said += [
            (link.line, link.kind, link.first, link.second, link.outcome) for link in piece.judged(report)
        ]
    return said


@pytest.mark.rule("9.tables")
@settings(max_examples=100)
@given(stated=st.lists(st.tuples(names.filter(bool), json_events.objects(json_events.fields)), max_size=10))
def test_a_parquet_of_text_states_what_a_file_of_lines_does(
    stated: list[tuple[str, str]], place: Path
) -> None:
    lines, table = place / "e.ndjson", place / "e.parquet"
    lines.write_text(
        "".join(f'{{"event":{json.dumps(name)},"properties":{text}}}\n' for name, text in stated)
        or '{"event":"x","properties":{}}\n',
        encoding="utf-8",
    )
    parquet.write_table(table_of(stated), table)
    of_lines, of_table, of_python = Resolver(), Resolver(), Resolver()
    said = judged(table, of_table)
    assert said == judged(lines, of_lines)
    assert of_table.mapping().to_pydict() == of_lines.mapping().to_pydict()
    with pytest.MonkeyPatch.context() as patch:
        read_by_python(patch)
        assert said == judged(table, of_python)


@pytest.mark.rule("9.tables")
@settings(max_examples=50)
@given(stated=st.lists(st.tuples(names.filter(bool), json_events.objects(json_events.fields)), max_size=10))
def test_stitched_text_has_the_ids_and_times_that_a_file_of_lines_has(
    stated: list[tuple[str, str]], place: Path
) -> None:
    lines = place / "s.ndjson"
    # The ID before any stitching of a file may be a value that is none. And beside a hot shard, a
    # table has its IDs in a column, which holds no lone surrogates.
    stated = [(name, text) for name, text in stated if BEFORE not in text]
    if any(name == HOT_SHARD for name, _ in stated):
        stated = [(name, text) for name, text in stated if "\\ud800" not in text]
    if not stated:
        return
    lines.write_text(
        "".join(f'{{"event":{json.dumps(name)},"properties":{text}}}\n' for name, text in stated),
        encoding="utf-8",
    )
    reports: list[StitchReport] = []
    of_lines = pa.table(idmerge.stitch(lines, as_known=True, on_report=reports.append))
    of_table = idmerge.stitch(table_of(stated), as_known=True, on_report=reports.append)
    columns = ["event", "distinct_id", BEFORE, "distinct_id_as_known"]
    assert of_table.select(columns).to_pylist() == of_lines.select(columns).to_pylist()
    assert reports[0].outcomes == reports[1].outcomes


def test_bytes_that_are_no_utf8_are_what_they_are_to_python() -> None:
    texts = [b'{"distinct_id":"\xff"}', '{"distinct_id":"a"}'.encode("utf-16"), b"\xef\xbb\xbf{}", b'{"a":1}']
    table = pa.table({"event": ["x"] * 4, "properties": pa.array(texts, pa.binary())})
    found = stitched(table)
    with pytest.MonkeyPatch.context() as patch:
        read_by_python(patch)
        expected = stitched(table)
    assert found[0].to_pylist() == expected[0].to_pylist()
    assert found[0]["distinct_id"].to_pylist() == [None, "a", None, None]


PLAIN = [
    ("$identify", json.dumps({"$anon_id": D1, "$identified_id": "ana", "distinct_id": "ana", "time": 1})),
    ("Page View", json.dumps({"distinct_id": D1, "time": 2, "$insert_id": "i", "list": [{"a": {}}]})),
    ("Page View", json.dumps({"distinct_id": 7, BEFORE: D2, "time": 3})),
    ("$create_alias", json.dumps({"alias": "ben", "distinct_id": "ana", "text": "\u2028\n"})),
    ("Page View", None),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("columns", [{}, {"distinct_id": [D2, None, D1, "ana", "ben"]}])
def test_python_decodes_no_row_of_which_the_core_is_certain(
    layout: str, columns: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(PLAIN, layout, **columns)
    if "view" not in layout:
        parquet.write_table(table, tmp_path / "e.parquet")
    decoded: list[Any] = []
    monkeypatch.setattr(rows, "properties_in", lambda cell: decoded.append(cell) or {})
    for wanted in ({}, {"as_known": True}, {"dedupe": True}, {"as_known": True, "dedupe": True}):
        idmerge.stitch(table, on_report=lambda _report: None, **wanted)
        if "view" not in layout:
            pa.table(idmerge.stitch(tmp_path / "e.parquet", on_report=lambda _report: None, **wanted))
    assert decoded == []


def test_the_core_reads_a_text_once_for_links_and_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    own = textrows.TextRows._read_slice

    def counted(self: Any, piece: Any) -> Any:
        read.append(piece[1].num_rows)
        return own(self, piece)

    monkeypatch.setattr(textrows.TextRows, "_read_slice", counted)
    monkeypatch.setattr(tables, "PIECE_ROWS", 4)
    table = table_of(PLAIN * 2)
    found = idmerge.stitch(table, as_known=True, dedupe=True, on_report=lambda _report: None)
    assert sum(read) == 2 * table.num_rows  # Once for signs that times are local, of the first rows.
    monkeypatch.undo()
    assert found.equals(idmerge.stitch(table, as_known=True, dedupe=True, on_report=lambda _report: None))


def test_a_file_in_pieces_is_stitched_as_the_table_in_it(tmp_path: Path) -> None:
    table = table_of([*PLAIN, ("$identify", "{}"), ("x", '{"distinct_id":"\\ud800"}')] * 5)
    parquet.write_table(table, tmp_path / "e.parquet")
    reports: list[StitchReport] = []
    assert [len(piece) for piece in files.scan(tmp_path / "e.parquet")] == [4] * 8 + [3]
    for wanted in ({}, {"as_known": True, "dedupe": True}):
        found = pa.table(idmerge.stitch(tmp_path / "e.parquet", on_report=reports.append, **wanted))
        expected = idmerge.stitch(table, on_report=reports.append, **wanted)
        assert found.to_pylist() == expected.to_pylist()
        assert reports[-2].outcomes == reports[-1].outcomes


def test_properties_of_a_dictionary_are_unpacked_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textrows, "BLOCK", 1000)
    read: list[int] = []
    own = textrows.TextRows._read_slice
    monkeypatch.setattr(
        textrows.TextRows,
        "_read_slice",
        lambda self, piece: read.append(piece[1].num_rows) or own(self, piece),
    )
    long = json.dumps({"distinct_id": "a", "page": "x" * 700})
    idmerge.stitch(table_of([("x", long)] * 5, "dictionary"), on_report=lambda _report: None)
    assert set(read) == {1}


@pytest.mark.parametrize(
    "clock", ['"$mp_api_timestamp_ms"', '"mp_processing_time_ms"', '"\\u0024mp_api_timestamp_ms"']
)
@pytest.mark.parametrize("beside", ["", ',"$insert_id":"\\ud800"'])
def test_local_times_are_found_by_the_receipts_in_text(clock: str, beside: str) -> None:
    texts = [
        f'{{"distinct_id":"a","time":{now + 19_800},{clock}:{now}000{beside}}}'
        for now in range(1_704_103_200, 1_704_103_200 + 40 * 37, 37)
    ]
    reports: list[StitchReport] = []
    idmerge.stitch(table_of([("x", text) for text in texts]), on_report=reports.append)
    assert reports[0].offset == "+05:30"
    assert not textrows.lacks(table_of([("x", texts[0])]), [json.loads(clock)])
    assert textrows.lacks(table_of([("x", '{"time":1}')]), [json.loads(clock)])
    assert not textrows.lacks(table_of([("x", '{"a":"\\ud800"}')]), [json.loads(clock)])


def test_a_time_that_python_cannot_hold_does_not_hide_a_link(tmp_path: Path) -> None:
    times = pa.array([2**62], pa.int64()).cast(pa.timestamp("ms"))
    parquet.write_table(table_of([("$identify", "{}")]).append_column("time", times), tmp_path / "e.parquet")
    for table in (tmp_path / "e.parquet", parquet.read_table(tmp_path / "e.parquet")):
        rows_of = textrows.rows_of(table) if isinstance(table, pa.Table) else next(iter(files.scan(table)))
        (link,) = rows_of.judged(rows_of.apply_to(Resolver()))
        assert link.outcome is Outcome.MALFORMED


def test_rows_of_text_need_names_of_events() -> None:
    table = table_of(PLAIN).drop_columns(["event"])
    for path, error in (("", ValueError), ("e.parquet", FileFormatError)):
        with pytest.raises(error, match="events need the column event, got properties"):
            textrows.rows_of(table, path).apply_to(Resolver())
    assert idmerge.stitch(table, Resolver())["distinct_id"].to_pylist() == ["ana", D1, "7", "ana", None]


class SmallResolver(_core.Resolver):
    """A resolver that can know few IDs."""

    policy = Policy()


@pytest.mark.parametrize("read", [textrows.rows_of, by_python])
def test_a_full_resolver_names_the_row_and_takes_those_before_it(read: Any) -> None:
    core = SmallResolver(Policy(), "stable", id_limit=6)
    table = table_of([("x", json.dumps({"distinct_id": f"user {row}"})) for row in range(9)])
    with pytest.raises(CapacityError, match="reached in row 6, and the rows before it are applied"):
        read(table).apply_to(core)
    assert len(core) == 6
