"""Lines of every dialect: the core transcodes them, or Python reads them, with one answer (SPEC 11)."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge._json_decoding import decoded
from idmerge.errors import DialectError, FileFormatError, MalformedEventError
from idmerge.events import distinct_id_of, parse
from idmerge.files import BUILT_IN, BadLine, EventBatch, StepBatch, read, scan
from idmerge.files.containers import RawLines
from idmerge.files.dialects import MIXPANEL, SPELLINGS, Dialect
from idmerge.files.jsontext import PASSED_ON, LineReader
from idmerge.files.vendors import VENDORS

DIALECTS = {
    **{
        name: dialect
        for name, dialect in BUILT_IN.items()
        if dialect.content == "events" and dialect not in VENDORS
    },
    "raw in messages": Dialect(name="singer", title="", is_flat=False, record="record"),
    "columns": BUILT_IN["flat"].with_columns({"event": "action", "distinct_id": "uid", "time": "at"}),
}
TRANSCODED = [name for name in DIALECTS if name != "mixpanel"]
KEYS = [
    *("event", "event_name", "name", "EVENT_NAME", "properties", "PROPERTIES", "action", "uid", "at", "plan"),
    *(
        "distinct_id",
        "time",
        "$insert_id",
        "insert_id",
        "mp_insert_id",
        "mp_reserved_plan",
        "MP_RESERVED_PLAN",
    ),
    *(
        "$plan",
        "MP_RESERVED_É",
        "mp_reserved_",
        "$anon_id",
        "ANON_ID",
        "user_id",
        "USER_ID",
        "type",
        "record",
    ),
]
VALUES = [
    *(
        '"a"',
        '""',
        '"$identify"',
        '"\\u00e9\\n"',
        '"\\ud83d\\ude00"',
        "null",
        "true",
        "7",
        "-0",
        "1.50",
        "1e400",
    ),
    *("12345678901234567890123", "[1, {}]", '{"a": "}"}', "[]"),
]
UNCERTAIN = ["NaN", '"\\ud800"', "tru", "01", "[1,]", '"\t"', "{", '{"a":1,"a":2}', '"{]"', '"[1]"']


def in_text(value: str) -> str:
    """Return a JSON value as JSON text in a JSON text."""
    return json.dumps(value)


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    blank = st.sampled_from(["", "", " ", "\t\r"])
    fields = []
    for key in draw(st.lists(st.sampled_from(KEYS) | st.text(max_size=3), max_size=7)):
        spelt = json.dumps(key, ensure_ascii=draw(st.booleans()))
        if draw(st.integers(0, 9)) == 0 and key and ord(key[0]) < 2**16:
            spelt = f'"\\u{ord(key[0]):04x}{json.dumps(key[1:])[1:]}'
        fields.append(f"{draw(blank)}{spelt}{draw(blank)}:{draw(blank)}{draw(values)}")
    return f"{{{draw(blank) if not fields else ','.join(fields)}}}"


plain = st.sampled_from(VALUES)
nested = objects(plain | st.sampled_from(UNCERTAIN)) | objects(plain)
values = st.one_of(plain, plain, plain, nested, nested.map(in_text), st.sampled_from(UNCERTAIN))
good_values = st.one_of(plain, objects(plain), objects(plain).map(in_text))


@st.composite
def lines(draw: st.DrawFn, dialect: Dialect) -> bytes:
    names = st.sampled_from([*dialect.event, *dialect.properties])
    row = draw(objects(draw(st.sampled_from([values, good_values]))))
    if draw(st.integers(0, 9)):
        front = [f'"{draw(names)}":{draw(good_values)}' for _ in range(draw(st.integers(1, 2)))]
        row = "{" + ",".join([*front, *([row[1:-1]] if row[1:-1].strip() else [])]) + "}"
    if dialect.record is not None and draw(st.integers(0, 9)):
        kind = draw(st.sampled_from(['"RECORD"', '"RECORD"', '"RECORD"', '"STATE"', "1"]))
        row = f'{{"type":{kind},"record":{row},"x":{draw(values)}}}'
    if draw(st.integers(0, 15)) == 0:
        row = row[:-1]
    return row.encode("utf-8", "surrogatepass").replace(b"\n", b" ")


def transcoded(content: bytes, dialect: Dialect) -> list[bytes]:
    return RawLines(b"", io.BufferedReader(io.BytesIO(content)), dialect).read().split(b"\n")


@pytest.mark.rule("11.fields")
@pytest.mark.parametrize("name", TRANSCODED)
@given(data=st.data())
@settings(max_examples=80)
def test_a_line_is_transcoded_to_what_python_makes_of_it_or_passed_on(name: str, data: st.DataObject) -> None:
    dialect = DIALECTS[name]
    line = data.draw(lines(dialect))
    (made,) = transcoded(line, dialect)
    event = LineReader("f", dialect)(1, line)
    if made.startswith(PASSED_ON):
        assert made[1:] == line
    elif not made.strip():
        assert event is None or not line.strip()
    else:
        assert isinstance(event, tuple), (made, event)
        raw = decoded(made)
        wanted = {key: event[1].get(key, {}) for key in ("event", "properties")}
        assert repr({key: raw.get(key, {}) for key in wanted}) == repr(wanted)


def told(pieces: Any) -> list[Any]:
    """Return each event as its line and what it states, and each bad line."""
    all_of_them: list[Any] = []
    for piece in pieces:
        if isinstance(piece, BadLine):
            all_of_them.append((piece.line, piece.message))
        elif isinstance(piece, EventBatch):
            all_of_them += [
                (line, stated(event)) for line, event in zip(piece.lines, piece.events, strict=True)
            ]
        else:
            assert isinstance(piece, StepBatch)
            all_of_them += [(piece.line(index), scanned(piece, index)) for index in range(len(piece))]
    return all_of_them


def stated(event: Any) -> Any:
    try:
        link = parse(event)
    except MalformedEventError as error:
        return str(error)
    return distinct_id_of(event) if link is None else link


def scanned(batch: StepBatch, index: int) -> Any:
    if index in batch.events:
        return stated(batch.events[index])
    return batch.link(index) or batch.distinct_id(index)


def outcome(pieces: Any) -> Any:
    try:
        return told(pieces)
    except FileFormatError as error:
        return str(error)


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("form", ["lines", "array"])
@given(data=st.data())
@settings(max_examples=25)
def test_a_text_is_scanned_as_it_is_read(name: str, form: str, data: st.DataObject) -> None:
    dialect = DIALECTS[name]
    texts = data.draw(st.lists(lines(dialect), max_size=5))
    is_array = form == "array"
    content = b"[" + b",".join(texts) + b"]" if is_array else b"\n".join(texts)
    for forced in (dialect, None):
        both = [outcome(way(io.BytesIO(content), name="f", dialect=forced)) for way in (read, scan)]
        assert both[0] == both[1]


def usual(dialect: Dialect) -> dict[str, Any]:
    fields = {"distinct_id": "ana", "time": 1704103260, "$insert_id": "i", "$anon_id": "d", "plan": "free"}
    other = {raw: key for key, raw in dialect.names.items()}
    row = {dialect.event[0]: "$identify", **{other.get(name, name): value for name, value in fields.items()}}
    if not dialect.is_flat:
        row = {"event": "$identify", "properties": fields}
    return {"type": "RECORD", dialect.record: row} if dialect.record else row


@pytest.mark.parametrize("name", TRANSCODED)
def test_usual_lines_are_not_left_to_python(name: str) -> None:
    line = json.dumps(usual(DIALECTS[name])).encode()
    assert all(not made.startswith(PASSED_ON) for made in transcoded(line, DIALECTS[name]))


@pytest.mark.rule("11.mixpanel", "11.pipeline", "11.connector", "11.flat", "11.warehouse", "11.singer")
@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_states_the_same_link(name: str) -> None:
    line = json.dumps(usual(DIALECTS[name])).encode()
    for way in (read, scan):
        ((number, link),) = told(way(io.BytesIO(line), name="f", dialect=DIALECTS[name]))
        assert (number, tuple(link)[1:3]) == (1, ("d", "ana"))


@pytest.mark.rule("11.fields")
def test_the_core_knows_every_spelling() -> None:
    flat = BUILT_IN["flat"]
    for key, raw in SPELLINGS.items():
        (made,) = transcoded(json.dumps({"event": "A", key: 1}).encode(), flat)
        assert decoded(made)["properties"] == {raw: 1}


def test_a_raw_file_with_some_properties_as_text_is_right() -> None:
    fields = {"distinct_id": "ana", "$anon_id": "d"}
    rows = [{"event": "$identify", "properties": way(fields)} for way in (dict, json.dumps, dict, json.dumps)]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    seen: list[Any] = []
    answer = told(
        scan(io.BytesIO(content), name="f", on_dialect=lambda path, dialect: seen.append((path, dialect)))
    )
    assert [tuple(link)[1:3] for _, link in answer] == [("d", "ana")] * 4
    assert seen == [("f", MIXPANEL)]


def error_of(content: bytes, **choice: Any) -> str:
    messages = set()
    for way in (read, scan):
        with pytest.raises(FileFormatError) as caught:
            list(way(io.BytesIO(content), name="f", **choice))
        messages.add(str(caught.value))
    (message,) = messages
    return message


@pytest.mark.rule("11.nothing by default")
def test_keys_of_no_dialect_are_an_error_that_names_them_and_the_option() -> None:
    message = error_of(b'{"anonymous_id": "a", "action": "A"}\n' * 3)
    assert "'anonymous_id', 'action'" in message
    assert "--column event=" in message


def test_a_chosen_dialect_that_no_row_has_is_an_error_that_names_the_keys() -> None:
    message = error_of(b'{"action": "A"}\n{"action": "B"}\n', dialect="pipeline")
    assert "event_name" in message
    assert "'action'" in message


@pytest.mark.rule("11.nothing by default")
def test_single_rows_without_a_name_are_bad_lines_that_name_their_keys() -> None:
    content = b'{"foo": 1}\n{"event_name": "A", "distinct_id": "a"}\n{"bar": 2}\n'
    expected = [
        (1, "the object has no name of an event (event_name); it has 'foo'"),
        (2, "a"),
        (3, "the object has no name of an event (event_name); it has 'bar'"),
    ]
    assert told(read(io.BytesIO(content), name="f")) == told(scan(io.BytesIO(content), name="f")) == expected


def test_profiles_of_people_are_refused_where_events_are_read() -> None:
    assert "idmerge profiles" in error_of(b'{"$distinct_id": "a", "$properties": {}}\n')


def test_an_unknown_dialect_or_role_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    for choice, message in (
        ({"dialect": "x"}, "no dialect is called 'x'"),
        ({"columns": {"x": "y"}}, "no role"),
    ):
        with pytest.raises(DialectError, match=message):
            read(tmp_path / "missing", **choice)


@pytest.mark.rule("11.found")
def test_columns_give_roles_to_other_names() -> None:
    content = b'{"action": "$identify", "uid": "ana", "anon_id": "d"}\n'
    columns = {"event": "action", "distinct_id": "uid"}
    for way in (read, scan):
        ((_, link),) = told(way(io.BytesIO(content), name="f", columns=columns))
        assert tuple(link)[1:3] == ("d", "ana")


def test_an_empty_file_is_told() -> None:
    for content in (b"", b" \n\n", b"[]", b'{"results": []}'):
        seen: list[Any] = []
        for way in (read, scan):
            assert (
                list(
                    way(io.BytesIO(content), name="f", on_dialect=lambda *told, seen=seen: seen.append(told))
                )
                == []
            )
        assert seen == [("f", None)] * 2


def test_messages_without_a_record_are_passed_over() -> None:
    content = b"\n".join(
        [
            b'{"type": "SCHEMA", "stream": "e", "schema": {}}',
            b'{"type": "RECORD", "stream": "e", "record": {"event": "A", "distinct_id": "a"}}',
            b'{"type": "STATE", "value": {"x": NaN}}',
            b'{"type": "RECORD", "stream": "e", "record": {"event": "B", "distinct_id": "b", "x": NaN}}',
        ]
    )
    for way in (read, scan):
        assert told(way(io.BytesIO(content), name="f")) == [(2, "a"), (4, "b")]
