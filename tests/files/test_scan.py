"""Lines that the core scans: the same steps, messages and answers as line by line in Python."""

from __future__ import annotations

import gzip
import io
import json
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from idmerge import Resolver, _core, events, files
from idmerge.cli.group import commands
from idmerge.errors import FileFormatError, MalformedEventError
from idmerge.events import Link, distinct_id_of, link_of
from idmerge.files import BadLine, EventBatch, Piece, StepBatch, blocks, opening, read, scan, scanning
from idmerge.files.shape import Shape
from idmerge.testing import events as workload
from strategies import ids

Stated = Link | str | None
"""The statement of an event: a link, its error, the ID it observes behind a sign, or nothing."""


def stated(event: dict[str, Any]) -> Stated:
    try:
        link = link_of(event, "import")
    except MalformedEventError as error:
        return f"malformed: {error}"
    seen = distinct_id_of(event) if link is None else None
    return link if seen is None else f"observed: {seen}"


def told(pieces: Sequence[Piece]) -> list[tuple[int, Stated]]:
    """Return the line of each event and bad line, and what it states."""
    lines: list[tuple[int, Stated]] = []
    for piece in pieces:
        if isinstance(piece, BadLine):
            lines.append((piece.line, f"bad: {piece.message}"))
        elif isinstance(piece, EventBatch):
            lines += zip(piece.lines, map(stated, piece.events), strict=True)
        else:
            assert isinstance(piece, StepBatch)
            lines += ((piece.line(index), scanned(piece, index)) for index in range(len(piece)))
    return lines


def scanned(batch: StepBatch, index: int) -> Stated:
    if index in batch.events:
        return stated(batch.events[index])
    seen = batch.distinct_id(index)
    return batch.link(index) if seen is None else f"observed: {seen}"


def by_python(content: bytes) -> list[tuple[int, Stated]]:
    return told(list(read(io.BytesIO(content), name="f")))


def by_core(content: bytes) -> list[tuple[int, Stated]]:
    return told(list(scan(io.BytesIO(content), name="f")))


def by_columns(content: bytes) -> list[tuple[int, Stated]]:
    """The statements of the core when it makes columns too."""
    scans: list[_core.Scan] = []

    def take(scan: _core.Scan) -> bool:
        scans.append(scan)
        return len(scans) < 3  # From then on without.

    pieces = list(scan(io.BytesIO(content), name="f", shape=Shape([*KEYS, "x", "n", ""]), on_columns=take))
    rows = sum(map(len, pieces))
    assert len(scans) == 3 or sum(size[0] for size in map(_core.Scan.columns_size, scans) if size) == rows
    return told(pieces)


def left_to_python(line: bytes) -> bool:
    """Whether the core leaves ``line`` alone; every call above sees the same answer either way."""
    (piece,) = scan(io.BytesIO(line), name="f")
    return isinstance(piece, BadLine) or (isinstance(piece, StepBatch) and bool(piece.events))


# Lines

KEYS = sorted({key for _, _, groups in events.operand_keys() for keys in groups for key in keys})
NAMES = [name for name, _, _ in events.operand_keys()]

numbers = st.one_of(
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from([0, -0.0, 2**63, -(2**63), 2**64, -(2**63) - 1, 10**400, 1e300]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, ids, st.text(max_size=4))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*KEYS, "properties", "event", "x"]), inner, max_size=3),
    ),
    max_leaves=4,
)
operands = st.one_of(ids, ids, ids, scalars, values, st.lists(ids | scalars, min_size=1, max_size=3))


@st.composite
def pairs(draw: st.DrawFn, keys: st.SearchStrategy[str], inside: st.SearchStrategy[str]) -> str:
    """The text of an object; keys may come twice, and any character of theirs as an escape."""
    fields = draw(st.lists(st.tuples(keys, inside), max_size=6))
    blank = draw(st.sampled_from(["", "", " ", "\t", " \r"]))
    text = ",".join(f"{blank}{draw(spelled(key))}{blank}:{blank}{value}{blank}" for key, value in fields)
    return f"{{{text}}}"


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """``text`` as a JSON string, perhaps with an escape where none is needed."""
    if text and draw(st.integers(0, 5)) == 0:
        place = draw(st.integers(0, len(text) - 1))
        escape = f"\\u{ord(text[place]):04x}" if ord(text[place]) < 0x10000 else text[place]
        return json.dumps(text[:place])[:-1] + escape + json.dumps(text[place + 1 :])[1:]
    return json.dumps(text, ensure_ascii=draw(st.booleans()))


texts = values.map(json.dumps)


def texts_of(value: Any) -> st.SearchStrategy[str]:
    return spelled(value) if isinstance(value, str) else st.just(json.dumps(value))


properties = pairs(
    st.sampled_from([*KEYS, "distinct_id", "time", "Distinct_id", ""]), operands.flatmap(texts_of)
)
event_names = st.sampled_from([*NAMES, *NAMES, "Page View", "$Identify"])
fields = st.one_of(
    st.tuples(st.just("event"), event_names.flatmap(spelled)),
    st.tuples(st.just("properties"), properties),
    st.tuples(st.sampled_from(["event", "properties", "other", "distinct_id"]), st.one_of(texts, properties)),
)


@st.composite
def event_lines(draw: st.DrawFn) -> bytes:
    """A line that is an event, or looks much like one."""
    stated_twice = draw(st.lists(fields, min_size=1, max_size=4))
    stated_twice += draw(st.just([]) | st.tuples(fields, fields).map(list))
    blank = draw(st.sampled_from(["", "", " "]))
    text = ",".join([f"{draw(spelled(key))}{blank}:{value}" for key, value in stated_twice])
    return f"{{{text}}}".encode("utf-8", "surrogatepass")


HOSTILE = [
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xef\xbb\xbf",
    b"\\",
    b"\\u",
    b"\\u12",
    b'\\u00"',
    b"\\ud800",
    b"\\udc00",
    b"\\ud83d\\ude00",
    b"\\x",
    b"\x01",
    b"\x1f",
    b"\x7f",
    b"\x0b",
    b"\x0c",
    b"\x85",
    b"\xe2\x80\xa8",
    b"\r",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"01",
    b"-",
    b"-0",
    b"1.",
    b".5",
    b"1e",
    b"+1",
    b"1E+2",
    b"tru",
    b"nulll",
    b"//",
    b"'",
    b"9" * 30,
    b"1" * 700,
    b"1" * 4301,
    b"[" * 120 + b"]" * 120,
    b'{"a":' * 60 + b"1" + b"}" * 60,
]


@st.composite
def hostile_lines(draw: st.DrawFn) -> bytes:
    """An event, with something put in, or in the place of a part, or cut off."""
    line = draw(event_lines())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(line)))
        end = draw(st.sampled_from([start, start, start + 1, start + 4, len(line)]))
        line = line[:start] + draw(st.sampled_from(HOSTILE) | st.binary(max_size=2)) + line[end:]
    return line.replace(b"\n", b"")


lines = st.one_of(
    event_lines(),
    hostile_lines(),
    st.sampled_from(
        [b"", b"\r", b" \t", b"\x0b\x0c", b"\xef\xbb\xbf", b"[]", b"1", b'"event"', b"{}{}", b"{} {}", b"{},"]
    ),
)

BIG = b'{"event":"x","properties":{"distinct_id":"d","n":%s}}'
MERGE = b'{"event":"$merge","properties":{"$distinct_ids":["a","b"]}}'
VIEW = b'{"event":"Page View","properties":{"distinct_id":"d"}}'


@given(event_lines())
@settings(max_examples=400)
def test_an_event_states_to_the_core_what_it_states_to_python(line: bytes) -> None:
    content = VIEW + b"\n" + line
    assert by_core(content) == by_columns(content) == by_python(content)


@given(st.lists(lines, max_size=6), st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.booleans())
@settings(max_examples=400)
def test_lines_of_any_kind_are_told_as_python_tells_them(
    parts: list[bytes],
    newline: bytes,
    has_bom: bool,  # noqa: FBT001
) -> None:
    content = (b"\xef\xbb\xbf" if has_bom else b"") + newline.join([VIEW, *parts])
    assert by_core(content) == by_columns(content) == by_python(content)


@given(hostile_lines())
@settings(max_examples=600)
@example(b'{"event":"x","properties":{"a":"\\u12","distinct_id":"d"}}')
@example(b'{"event":"x","properties":{"a":"\\uZZZZ","distinct_id":"d"}}')
@example(b'{"event":"x","properties":{"a":"\\u12"34","distinct_id":"d"}}')
def test_a_broken_line_is_broken_to_both(line: bytes) -> None:
    content = VIEW + b"\n" + line
    assert by_core(content) == by_columns(content) == by_python(content)


@pytest.mark.parametrize("part", HOSTILE)
def test_each_hostile_part_means_the_same_in_every_place(part: bytes) -> None:
    line = b'{"event":"$identify","properties":{"x":["t",1.5,{}],"$anon_id":"a","distinct_id":"u"}}'
    placed = [VIEW] + [line[:place] + part + line[place:] for place in range(len(line) + 1)]
    content = b"\n".join(placed)
    assert by_core(content) == by_columns(content) == by_python(content)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(
            b'{"\\u0065vent":"$merge","properties":{"\\u0024distinct_ids":["a","b"]}}', id="escaped keys"
        ),
        pytest.param(
            b'{"event":"\\u0024merge","properties":{"$distinct_ids":["a","\\u0062"]}}', id="escaped values"
        ),
        pytest.param(
            b'{"event":"x","event":"$merge","properties":{"$distinct_ids":["a","b"]}}', id="two events"
        ),
        pytest.param(
            b'{"event":"$merge","properties":1,"properties":{"$distinct_ids":["a",7]}}', id="two properties"
        ),
        pytest.param(b'{"event":"x","properties":{"distinct_id":"a","distinct_id":"b"}}', id="two IDs"),
        pytest.param(
            b'{"event":"x","properties":{"distinct_id":"a"},"properties":[]}', id="properties taken back"
        ),
        pytest.param(b'{"event":"x","other":{"properties":{"distinct_id":"a"}}}', id="nested elsewhere"),
        pytest.param(b'{"event":"x","properties":{"a":{"distinct_id":"a"}}}', id="nested deeper"),
        pytest.param(b'{"event":"x","properties":{"distinct_id":true}}', id="a boolean"),
        pytest.param(b'{"event":"x","properties":{"distinct_id":12345}}', id="an integer"),
        pytest.param(b'{"event":"x","properties":{"distinct_id":-0}}', id="minus nothing"),
        pytest.param(b'{"event":3,"properties":{"distinct_id":"a"}}', id="a name that is no text"),
        pytest.param(b'{"event":"x","properties":{"n":1E400000,"distinct_id":"a"}}\r', id="infinite"),
        pytest.param(BIG % (b"[" * 90 + b"]" * 90), id="nested"),
        pytest.param(BIG % (b"[" * 10_000 + b"]" * 10_000), id="nested beyond the interpreter"),
        pytest.param(BIG % (b"[" * 1_000_000), id="open without an end"),
        pytest.param(BIG % (b"7" * 4300), id="as many digits as the interpreter takes"),
        pytest.param(BIG % (b"7" * 4301), id="one more"),
        pytest.param(
            b'{"event":"$identify","properties":{"$anon_id":null,"$anon_distinct_id":"a"}}', id="null"
        ),
    ],
)
def test_each_trap_is_told_as_python_tells_it(line: bytes) -> None:
    content = VIEW + b"\n" + line
    assert by_core(content) == by_columns(content) == by_python(content)


def test_usual_events_are_not_left_to_python() -> None:
    events_text = [json.dumps(event).encode() for event in workload(3000)]
    left = [line for line in events_text if left_to_python(line)]
    assert all(str(stated(json.loads(line))).startswith("malformed") for line in left)
    assert len(left) < 10
    assert not left_to_python(
        b'{"event":"x\\u00fc\\ud83d\\ude00","properties":{"distinct_id":7,"n":-1.5e3}} \r\n'
    )


def test_the_core_takes_the_keys_that_python_states() -> None:
    stated_keys = events.operand_keys()
    assert [name for name, _, _ in stated_keys] == [*events.IDENTITY_EVENTS, events.HOT_SHARD]
    own = _core.Scanner([("a", 2, [["l"], ["r", "s"]])], 100).scan(
        b"", b'{"event":"a","properties":{"s":"y","l":"x"}}\n', 45
    )
    assert own.link(0) == (2, "x", "y")
    with pytest.raises(ValueError, match="one or two groups of few keys"):
        _core.Scanner([("a", 2, [])], 100)


# Blocks

MIXED = b"\n".join(
    [
        b"\xef\xbb\xbf",
        b"\r",
        MERGE,
        b'{"event":"$identify","properties":{"$anon_id":"a"}}\r',
        b"",
        VIEW + b"\r",
        b"no",
        VIEW[:-2].replace(b'd"', 'é\U0001f98a"'.encode()) + b',"n":NaN}}',
        b'{"event":"$merge","properties":{"$distinct_ids":["\xff","b"]}}',
        b"  ",
        MERGE,
    ]
)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\n\n", b"\n{", b"\r"])
def test_the_lines_are_the_same_wherever_a_block_ends(ending: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    content = MIXED + ending
    expected = by_python(content)
    for size in [*range(1, len(content) + 2)]:
        monkeypatch.setattr(blocks, "BLOCK", size)
        assert by_core(content) == expected, size


@pytest.mark.parametrize("length", range(56, 66))
@pytest.mark.parametrize("block", [1, 7, 30, 10_000])
def test_a_line_beyond_the_limit_is_passed_over_wherever_a_block_ends(
    length: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (files.jsontext, scanning, blocks):
        monkeypatch.setattr(module, "MAX_LINE", 60)
    monkeypatch.setattr(files.jsontext, "CHUNK", 16)
    monkeypatch.setattr(blocks, "BLOCK", block)
    for long in (
        b'{"a":"' + b"x" * (length - 8) + b'"}',
        b" " * length,
        b" " * length + b"{}",
        b"x" * 3 * length,
    ):
        for content in (VIEW + b"\n" + long + b"\n" + VIEW, VIEW + b"\n" + long, long + b"\n" + VIEW):
            assert by_core(content) == by_python(content)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b" \r\n ", VIEW, b" [ " + VIEW + b"]"])
def test_short_files_are_read_whole(content: bytes) -> None:
    assert by_core(content) == by_python(content)


# Files

TRAFFIC = b"".join(json.dumps(event).encode() + b"\n" for event in workload(6000, seed=3, identity_share=0.2))
TRAFFIC += MIXED + b"\n" + TRAFFIC[:100_000].rpartition(b"\n")[0]


def packed(content: bytes, packing: str) -> bytes:
    if packing == "gz":
        return gzip.compress(content, 1)
    return bytes(pa.Codec("zstd").compress(content, asbytes=True)) if packing == "zst" else content


@pytest.fixture(params=["", "gz", "zst"])
def packing(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_the_answer_depends_neither_on_threads_nor_on_who_parses(
    threads: str, packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDMERGE_THREADS", threads)
    monkeypatch.setattr(blocks, "BLOCK", 40_000)
    monkeypatch.chdir(tmp_path)
    Path("f").write_bytes(packed(TRAFFIC, packing))
    answers = []
    for reader in (scan, read):
        monkeypatch.setattr(import_module("idmerge.cli.commands.resolve"), "scan", reader)
        result = CliRunner().invoke(commands, ["resolve", "f", "-o", "m.csv", "--rejected", "r.csv"])
        summary = [line for line in result.stderr.splitlines() if " in " not in line]
        answers.append((result.exit_code, summary, Path("m.csv").read_bytes(), Path("r.csv").read_bytes()))
    assert answers[0] == answers[1]
    assert answers[0][0] == 0
    assert len(answers[0][3].splitlines()) > 50


def test_any_number_of_threads_gives_the_same_reports_mapping_and_bad_lines(
    packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_bytes(packed(TRAFFIC, packing))
    expected: list[Any] = []
    for block in (4_000, 40_000, 2**22):
        for threads in ("1", "2", "3", "8"):
            monkeypatch.setenv("IDMERGE_THREADS", threads)
            monkeypatch.setattr(blocks, "BLOCK", block)
            resolver, outcomes, lines, bad = Resolver(), [], [], []
            for piece in scan(tmp_path / "f"):
                if isinstance(piece, BadLine):
                    bad.append(piece)
                    continue
                report = piece.apply_to(resolver)
                outcomes += report.outcomes.tolist()
                lines += [link.line for link in piece.judged(report)]
            answer = (outcomes, lines, bad, resolver.mapping().to_pydict(), resolver.stats())
            expected = expected or [answer]
            assert [answer] == expected, (block, threads)
    assert len(expected[0][0]) > 1000
    assert len(expected[0][2]) == 3


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_thread_of_its_own_unpacks_ahead_of_the_scanning(
    packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDMERGE_THREADS", "2")
    monkeypatch.setattr(blocks, "BLOCK", 40_000)
    (tmp_path / "f").write_bytes(packed(TRAFFIC, packing))
    unpacked_by: list[str] = []
    scanned_by: list[str] = []
    unpack, work = opening.UnpackedBytes.readinto, scanning._scan

    def unpacking(stream: opening.UnpackedBytes, buffer: Any) -> int:
        unpacked_by.append(threading.current_thread().name)
        return unpack(stream, buffer)

    def scanning_one(*block: Any) -> _core.Scan:
        scanned_by.append(threading.current_thread().name)
        return work(*block)

    monkeypatch.setattr(opening.UnpackedBytes, "readinto", unpacking)
    monkeypatch.setattr(scanning, "_scan", scanning_one)
    for _ in scan(tmp_path / "f"):
        pass
    # The caller's thread reads the first block, to see whether the file is short.
    ahead = [name for name in unpacked_by if name != threading.main_thread().name]
    assert len(ahead) > len(unpacked_by) // 2
    assert {name.rstrip("0123456789") for name in ahead} == {"idmerge-read_"}
    assert {name.rstrip("0123456789") for name in scanned_by} == {"idmerge-scan_"}


def test_reports_are_those_of_apply_events() -> None:
    ours, theirs = Resolver(), Resolver()
    reports = [piece.apply_to(ours) for piece in scan(io.BytesIO(TRAFFIC))]
    whole = [piece.events for piece in read(io.BytesIO(TRAFFIC)) if isinstance(piece, EventBatch)]
    expected = theirs.apply_events([event for batch in whole for event in batch])
    assert [code for report in reports for code in report.outcomes.tolist()] == expected.outcomes.tolist()
    assert reports[0].rows.tolist() == expected.rows.tolist()[: len(reports[0])]
    assert ours.mapping().to_pydict() == theirs.mapping().to_pydict()


def test_every_byte_is_told_once_and_in_the_callers_thread(
    packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 40_000)
    content = packed(TRAFFIC, packing)
    (tmp_path / "f").write_bytes(content)
    counts: list[int] = []
    tellers = set()

    def tell(count: int) -> None:
        counts.append(count)
        tellers.add(threading.current_thread())

    for _ in scan(tmp_path / "f", on_bytes=tell):
        pass
    assert sum(counts) == len(content)
    assert tellers == {threading.current_thread()}


@pytest.mark.parametrize("threads", ["1", "2"])
def test_what_stands_before_the_damage_is_told_and_its_line_named(
    threads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDMERGE_THREADS", threads)
    monkeypatch.setattr(blocks, "BLOCK", 40_000)
    content = gzip.compress(TRAFFIC, 1)
    (tmp_path / "f").write_bytes(content[: len(content) * 2 // 3])
    messages = []
    for reader in (scan, read):
        pieces: list[Any] = []
        with pytest.raises(FileFormatError, match="cut off or damaged") as caught:
            pieces.extend(reader(tmp_path / "f"))
        messages.append(str(caught.value))
        if reader is scan:
            lines_told = [line for line, _ in told(pieces)]
    assert messages[0] == messages[1]
    damaged = int(messages[0].split(":")[1])
    assert lines_told == list(range(1, damaged))
    assert damaged > 1000


def test_the_threads_end_with_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDMERGE_THREADS", "2")
    monkeypatch.setattr(blocks, "BLOCK", 10_000)
    (tmp_path / "f").write_bytes(TRAFFIC)
    before = threading.active_count()
    pieces = scan(tmp_path / "f")
    next(pieces)
    assert threading.active_count() > before
    pieces.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_one_thread_starts_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDMERGE_THREADS", "1")
    monkeypatch.setattr(blocks, "BLOCK", 10_000)
    (tmp_path / "f").write_bytes(TRAFFIC)
    before = threading.active_count()
    assert {threading.active_count() for _ in scan(tmp_path / "f")} == {before}
