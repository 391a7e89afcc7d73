"""The same events as lines and as an array give the same answers in every way to read (SPEC 9)."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from idmerge import Resolver, StitchedEvents
from idmerge._json_decoding import DEEPEST
from idmerge.cli.group import commands
from idmerge.errors import FileFormatError, MalformedEventError
from idmerge.events import parse
from idmerge.files import BadLine, EventBatch, StepBatch, blocks, read, scan
from json_events import PACKED, as_array, event_texts
from stitched_by_hand import loaded, stitched_table
from strategies import D1

NO_EVENTS = [
    "7",
    '"x"',
    "[1]",
    "null",
    "[" * 600 + "]" * 600,
    '{"event":1,"properties":{"x":' + "[" * 499 + "]" * 499 + "}}",
]
"""JSON that is passed over, whichever way it comes."""

items = st.lists(st.one_of(event_texts, event_texts, event_texts, st.sampled_from(NO_EVENTS)), max_size=8)
blanks = st.sampled_from(["", " ", "\n", " \n\t\r\n"])


@st.composite
def arrays(draw: st.DrawFn, texts: list[str]) -> bytes:
    """``texts`` as an array, with any blanks between and behind its items, or within one."""
    inside = [draw(blanks) + text + draw(blanks) for text in texts]
    inside = [text.replace("{", "{\n", 1) if draw(st.booleans()) else text for text in inside]
    text = f"{draw(blanks)}[{','.join(inside) or draw(blanks)}]{draw(blanks)}"
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()


def answers(path: Path, **wanted: Any) -> Any:
    """All that stitching the file at ``path`` gives, and the bad lines of each way to read it."""
    told: dict[str, Any] = {}
    for name, pieces in (("read", read(path)), ("scan", scan(path))):
        read_all = list(pieces)
        told[name] = [(piece.line, piece.message) for piece in read_all if isinstance(piece, BadLine)]
        told[f"{name}: events"] = sum(len(p.events) for p in read_all if isinstance(p, EventBatch))
        told[f"{name}: rows"] = sum(len(p) for p in read_all if isinstance(p, StepBatch))
    once = path.parent / "once.parquet"
    resolver = Resolver()
    stitched = StitchedEvents([path], resolver, **wanted)
    try:
        stitched.learn(output=once)
    except FileFormatError as error:
        return told | {"error": str(error).partition("(")[2]}
    stitched.write(once)
    twice = pa.table(stitched)
    assert twice.equals(parquet.read_table(once))
    told["table"] = (twice.schema, twice.to_pylist())
    told["mapping"] = pa.table(resolver.mapping()).to_pylist()
    told["outcomes"] = stitched.outcomes
    return told


@pytest.mark.rule("9.events as json")
@settings(max_examples=300)
@given(st.data(), items, st.sampled_from([*PACKED]), st.sampled_from([1, 2]), st.integers(1, 400))
def test_lines_and_an_array_give_the_same_answers(  # noqa: PLR0913, PLR0917 - all that it must not depend on
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    texts: list[str],
    suffix: str,
    threads: int,
    block: int,
) -> None:
    directory = tmp_path_factory.getbasetemp()
    texts = ['{"event":"x","properties":{}}', *texts]  # A file without any event is an error.
    wanted = data.draw(
        st.fixed_dictionaries({}, optional={"as_known": st.booleans(), "dedupe": st.booleans()})
    )
    lines, array = directory / f"lines.json{suffix}", directory / f"array.json{suffix}"
    lines.write_bytes(PACKED[suffix]("\n".join(texts).encode()))
    array.write_bytes(PACKED[suffix](data.draw(arrays(texts))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDMERGE_THREADS", str(threads))
        patch.setattr(blocks, "BLOCK", block)
        assert answers(lines, **wanted) == answers(array, **wanted)


@settings(max_examples=200)
@given(
    st.lists(event_texts, min_size=1, max_size=5), st.sampled_from(["NaN", '"\\ud800"', "1e400", "7" * 5000])
)
def test_what_makes_the_core_leave_an_event_to_python_changes_nothing_else_of_it(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], poison: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "e.json"
    texts = [text for text in ['{"event":"x","properties":{}}', *texts] if "event" in loaded(text)]
    path.write_text("\n".join(texts), encoding="utf-8")
    plain = idmerge.stitch(path)
    poisoned = [text[:-1] + f'{"," if loaded(text) else ""}"other":{poison}}}' for text in texts]
    path.write_text("\n".join(texts + poisoned), encoding="utf-8")
    stitched = pa.table(idmerge.stitch(path, plain.resolver))
    path.write_text("\n".join(texts), encoding="utf-8")
    expected = pa.table(idmerge.stitch(path, plain.resolver))
    assert pa.concat_tables([expected] * 2).to_pylist() == stitched.to_pylist()
    assert expected.schema == stitched.schema


VALUES = [
    ("-0", 0.0),
    ("[-0,-0.0]", "[0.0,0.0]"),
    ('{"a":1,"b":2,"\\u0061":3}', '{"a":3,"b":2}'),
    ('{"a":{"b":1,"b":2},"c":[{"d":1,"d":[]}]}', '{"a":{"b":2},"c":[{"d":[]}]}'),
    ('{"a":1,' + ",".join(f'"{n}":{n}' for n in range(20)) + ',"7":0}', None),
    ('{"\\ud800":1,"\\udc00":2}', '{"\ufffd":2}'),
    ("7" * 5000, None),
    ("[" + "7" * 5000 + "]", "[null]"),
    ("-" + "7" * 640, None),
    ("1E2", 100.0),
    (
        "[" * 95 + '-0,1e16,0.00002,1e300,"1e16"' + "]" * 95,
        "[" * 95 + '0.0,1e+16,0.00002,1e+300,"1e16"' + "]" * 95,
    ),
    ("[" * 498 + "]" * 498, "[" * 498 + "]" * 498),
]


@pytest.mark.rule("9.events as json")
@pytest.mark.parametrize(("text", "value"), VALUES, ids=range(len(VALUES)))
@pytest.mark.parametrize("other", ["1", "NaN"])
def test_a_value_is_what_the_specification_says(text: str, value: Any, other: str, tmp_path: Path) -> None:
    texts = [f'{{"event":1,"properties":{{"x":{text},"y":{other}}}}}']
    (tmp_path / "lines").write_text(texts[0], encoding="utf-8")
    (tmp_path / "array").write_bytes(as_array(texts))
    found = [pa.table(idmerge.stitch(tmp_path / name)) for name in ("lines", "array")]
    if len(text) < 2000 and "[[[" not in text:
        assert found[0].equals(stitched_table(map(loaded, texts)))
    assert found[0].equals(found[1])
    if value is not None or text.startswith("7"):
        assert found[0]["x"].to_pylist() == [value]


@pytest.mark.rule("9.events as json")
@pytest.mark.parametrize("zero", ["-0", "-0.0", "[-0]"])
def test_a_zero_gives_the_same_column_whoever_reads_its_line(zero: str, tmp_path: Path) -> None:
    alone, beside = (f'{{"event":1,"properties":{{"x":{zero},"y":{other}}}}}' for other in ("1", "NaN"))
    columns = []
    for name, texts in (("core", [alone] * 2), ("python", [beside] * 2), ("both", [alone, beside])):
        (tmp_path / name).write_text("\n".join(texts), encoding="utf-8")
        columns.append(pa.table(idmerge.stitch(tmp_path / name))["x"].combine_chunks())
    expected = ["[0.0]"] * 2 if zero.startswith("[") else [0.0] * 2
    assert [(column.type, column.to_pylist()) for column in columns] == [
        (pa.array(expected).type, expected)
    ] * 3
    assert "-" not in str(columns)


def test_a_number_has_the_digits_that_it_is_written_with_as_an_id(tmp_path: Path) -> None:
    """An integer is an ID by its decimal text, however long; -0 is 0, which is blocked."""
    long = "7" * 5000
    texts = [
        f'{{"event":"$identify","properties":{{"$anon_id":"{D1}","$identified_id":{own}}}}}'
        for own in (f"-{long}", long, "-0")
    ]
    for name, text in (("lines", "\n".join(texts).encode()), ("array", as_array(texts))):
        (tmp_path / name).write_bytes(text)
        resolver = Resolver(idmerge.Policy(max_id_length=None))
        outcomes = [
            outcome.name
            for piece in scan(tmp_path / name)
            for outcome in map(idmerge.Outcome, piece.apply_to(resolver).outcomes.tolist())
        ]
        assert outcomes == ["MERGED", "ANON_CLAIMED", "INVALID_ID"]
        assert resolver.members(D1) == [D1, f"-{long}"]
    assert parse(texts[0]) == parse(
        {"event": "$identify", "properties": {"$anon_id": D1, "$identified_id": f"-{long}"}}
    )
    assert (
        parse(
            {
                "event": "$identify",
                "properties": {"$anon_id": D1, "$identified_id": -int("7" * 4300) * 10**700},
            }
        )
        is not None
    )


@pytest.mark.parametrize("limit", [640, 0])
def test_the_process_limit_on_digits_changes_nothing(limit: int, tmp_path: Path) -> None:
    texts = [
        f'{{"event":1,"properties":{{"x":{"7" * digits},"distinct_id":{"8" * digits}}}}}'
        for digits in (640, 700, 5000)
    ]
    (tmp_path / "e").write_text("\n".join(texts), encoding="utf-8")
    before = sys.get_int_max_str_digits()
    usual = answers(tmp_path / "e")
    assert (before, usual["scan"]) == (4300, [])
    sys.set_int_max_str_digits(limit)
    try:
        assert answers(tmp_path / "e") == usual
    finally:
        sys.set_int_max_str_digits(before)


@pytest.mark.rule("9.events as json")
@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1])
def test_nesting_has_one_limit_whatever_the_caller_s_stack(depth: int, tmp_path: Path) -> None:
    whole = '{"event":1,"properties":{"x":' + "[" * (depth - 2) + '"]]["' + "]" * (depth - 2) + "}}"
    (tmp_path / "lines").write_text(f'{{"event":0}}\n{whole}\n', encoding="utf-8")
    (tmp_path / "array").write_bytes(as_array(['{"event":0}', whole]))

    def bad_lines(name: str, frames: int) -> list[str]:
        if frames:
            return bad_lines(name, frames - 1)
        return [piece.message for piece in read(tmp_path / name) if isinstance(piece, BadLine)]

    expected = ["the event is no JSON: it is nested more than 500 levels"] * (depth - DEEPEST)
    assert bad_lines("lines", 0) == bad_lines("lines", 300) == bad_lines("array", 0) == expected
    if depth > DEEPEST:
        with pytest.raises(MalformedEventError, match="nested more than 500 levels"):
            parse(whole)


@given(st.binary(max_size=30), st.lists(st.binary(max_size=6), max_size=6))
def test_an_array_ends_in_an_error_or_in_events_and_bad_items_wherever_it_is_cut(
    text: bytes, pieces: list[bytes]
) -> None:
    """The reader of arrays never panics, and does not depend on where the text is cut."""

    class Pieces(io.RawIOBase):
        def __init__(self) -> None:
            self.left = [
                b"[" + text[:3],
                *(text[n : n + 1] for n in range(3, len(text))),
                *filter(None, pieces),
            ]

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            piece = self.left.pop(0) if self.left else b""
            memoryview(buffer)[: len(piece)] = piece
            return len(piece)

    def told(stream: Any) -> list[str]:
        try:
            return [str(piece) for piece in read(stream, name="f")]
        except FileFormatError as error:
            return [str(error)]

    assert told(io.BufferedReader(Pieces())) == told(io.BytesIO(b"[" + text + b"".join(pieces)))


def test_every_command_reads_an_array_as_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`resolve`, `doctor`, `profiles` and `stitch` of a directory tell the same of both."""
    monkeypatch.chdir(tmp_path)
    long = "7" * 5000
    texts = [
        f'{{"event":"$identify","properties":{{"$anon_id":"{D1}","$identified_id":"ana","time":1600000000}}}}',
        f'{{"event":"Page View","properties":{{"distinct_id":"{D1}","time":1600000000,"x":-0,"y":{long}}}}}',
        '{"event":"View","properties":{"distinct_id":"ana","time":1600000001,"x":{"a":1,"a":2},"y":NaN}}',
        "7",
    ]
    updates = [
        '{"$distinct_id":"ana","$set":{"plan":-0}}',
        f'{{"$distinct_id":"ana","$set":{{"plan":{long}}}}}',
    ]
    told: dict[str, list[Any]] = {}
    for form in ("as_lines", "as_array"):
        for name, rows in (("events", texts), ("updates", updates)):
            path = Path(form, name) / "e.json"
            path.parent.mkdir(parents=True)
            path.write_bytes(as_array(rows) if form == "as_array" else "\n".join(rows).encode())
        events, outputs = f"{form}/events", []
        for call in (
            ["resolve", f"{events}/e.json"],
            ["doctor", f"{events}/e.json", "--format", "json"],
            ["profiles", f"{form}/updates/e.json", "--events", f"{events}/e.json"],
            ["stitch", events, "-o", f"{form}.csv"],
        ):
            done = CliRunner().invoke(commands, call)
            assert done.exit_code == 0, done.output
            shown = done.output.replace(form, "FORM")
            outputs.append([line for line in shown.splitlines() if " s" not in line])
        told[form] = [*outputs, Path(f"{form}.csv").read_bytes()]
    assert told["as_lines"] == told["as_array"]
    assert json.dumps(told["as_lines"][:-1]).count("malformed") >= 1
