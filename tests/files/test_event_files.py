"""Files of events: whatever their packing, they are read as `json.loads` reads their lines."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import files
from idmerge.errors import FileFormatError, MissingExtraError
from idmerge.files import BadLine, EventBatch, read

Numbered = tuple[int, dict[str, Any]]

EVENTS = [{"event": "Page View", "properties": {"distinct_id": f"user-{number}"}} for number in range(20_000)]
NDJSON = "".join(json.dumps(event) + "\n" for event in EVENTS).encode()
ONE = b'{"event": "x"}'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=3).map(
    lambda item: {"event": None, "properties": None, **item}
)


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(content, asbytes=True)
    return packed


def read_bytes(content: bytes, dialect: str | None = None) -> tuple[list[Numbered], list[tuple[int, str]]]:
    """Read ``content`` as a file; return its numbered events and its bad lines."""
    events: list[Numbered] = []
    bad = []
    for piece in read(io.BytesIO(content), name="f.ndjson", dialect=dialect):
        if isinstance(piece, BadLine):
            bad.append((piece.line, piece.message))
        else:
            assert isinstance(piece, EventBatch)
            events += zip(piece.lines, piece.events, strict=True)
    return events, bad


def numbered(events: list[dict[str, Any]]) -> list[Numbered]:
    return list(enumerate(events, start=1))


def error_of(content: bytes) -> str:
    with pytest.raises(FileFormatError) as caught:
        read_bytes(content)
    return str(caught.value)


class Trickle(io.RawIOBase):
    """A pipe that gives one byte at a time."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._rest.readinto(memoryview(buffer)[:1])


# Laws


@given(st.lists(json_objects, max_size=8), st.sampled_from([None, 1, "\t"]))
def test_an_array_holds_the_same_events_as_its_items_as_lines(
    objects: list[dict[str, Any]], indent: int | str | None
) -> None:
    lines = "".join(json.dumps(item) + "\n" for item in objects).encode()
    array = json.dumps(objects, ensure_ascii=False, indent=indent).encode("utf-8", "surrogatepass")
    both = (read_bytes(text, "mixpanel") for text in (lines, array))
    assert all(answer == (numbered(objects), []) for answer in both)


@given(st.lists(st.binary(max_size=6) | json_objects.map(lambda item: json.dumps(item).encode()), max_size=6))
def test_a_line_is_an_event_exactly_when_json_loads_gives_an_object(lines: list[bytes]) -> None:
    lines = [ONE, *(line.replace(b"\n", b"") for line in lines)]
    expected = []
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            expected.append((number, value))
    assert read_bytes(b"\n".join(lines), "mixpanel")[0] == expected


@given(st.lists(st.sampled_from([ONE, b"{", b"", b"\r", b"[]", b" "]), max_size=30))
def test_every_line_is_an_event_or_a_bad_line_or_blank(lines: list[bytes]) -> None:
    lines = [ONE, *lines]
    events, bad = read_bytes(b"\n".join(lines))
    told = sorted([line for line, _ in events] + [line for line, _ in bad])
    assert told == [number for number, line in enumerate(lines, start=1) if line.strip()]


# Packing


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(NDJSON, id="plain"),
        pytest.param(NDJSON.rstrip(b"\n"), id="without the last newline"),
        pytest.param(NDJSON.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(b"\xef\xbb\xbf" + NDJSON, id="BOM"),
        pytest.param(gzip.compress(NDJSON), id="gzip"),
        pytest.param(gzip.compress(NDJSON[:1000]) + gzip.compress(NDJSON[1000:]), id="gzip of two members"),
        pytest.param(zstd(NDJSON), id="zstd"),
        pytest.param(zstd(NDJSON[:1000]) + zstd(NDJSON[1000:]), id="zstd of two frames"),
        pytest.param(b"\x50\x2a\x4d\x18\x02\0\0\0ab" + zstd(NDJSON), id="zstd after a skippable frame"),
        pytest.param(json.dumps(EVENTS).encode(), id="array"),
        pytest.param(b"\xef\xbb\xbf\n " + json.dumps(EVENTS, indent=2).encode() + b"\n", id="pretty array"),
        pytest.param(gzip.compress(json.dumps(EVENTS).encode()), id="array in gzip"),
    ],
)
def test_a_file_is_known_by_its_bytes(content: bytes) -> None:
    assert read_bytes(content) == (numbered(EVENTS), [])


@pytest.mark.parametrize(
    "content",
    [NDJSON[:3000], gzip.compress(NDJSON[:3000]), zstd(NDJSON[:3000])],
    ids=["plain", "gzip", "zstd"],
)
def test_a_pipe_that_gives_one_byte_at_a_time_is_read_like_a_file(content: bytes) -> None:
    pieces = list(read(io.BufferedReader(Trickle(content), 1), name="pipe"))
    whole = list(read(io.BytesIO(content), name="pipe"))
    assert pieces == whole


@pytest.mark.parametrize(
    "content", [b"", b"\n\n \r\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0), zstd(b""), b" [ ] "]
)
def test_a_file_without_events_has_none(content: bytes) -> None:
    assert read_bytes(content) == ([], [])


def test_blank_lines_count_as_lines() -> None:
    events, bad = read_bytes(b"\n\n" + ONE + b"\n \t\r\n" + ONE + b"\n{\n")
    assert [line for line, _ in events] == [3, 5]
    assert [line for line, _ in bad] == [6]


def test_a_batch_ends_after_its_number_of_events() -> None:
    sizes = [
        len(piece.events) for piece in read(io.BytesIO(NDJSON), name="f") if isinstance(piece, EventBatch)
    ]
    assert sizes == [8192, 8192, 20_000 - 2 * 8192]


def test_a_batch_of_long_lines_ends_early() -> None:
    line = json.dumps({"event": "x", "properties": {"text": "a" * 2**20}}).encode()
    sizes = [len(piece.events) for piece in read(io.BytesIO(b"\n".join([line] * 40)), name="f")]  # type: ignore[union-attr]
    assert sum(sizes) == 40
    assert max(sizes) == 16


def test_a_bad_line_comes_between_the_events_around_it() -> None:
    pieces = list(read(io.BytesIO(ONE + b"\n{\n" + ONE), name="f"))
    assert [type(piece) for piece in pieces] == [EventBatch, BadLine, EventBatch]
    assert str(pieces[1]).startswith("f:2: ")


def test_every_byte_is_told_once(tmp_path: Path) -> None:
    for content in (NDJSON, gzip.compress(NDJSON), zstd(NDJSON)):
        path = tmp_path / "f"
        path.write_bytes(content)
        told: list[int] = []
        for _ in read(path, on_bytes=told.append):
            pass
        assert sum(told) == len(content)


# Bad lines


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{]", "the event is no JSON: Expecting property name enclosed in double quotes (column 2)"),
        (b"no", "the event is no JSON: Expecting value (column 1)"),
        (ONE + ONE, "the event is no JSON: Extra data (column 15)"),
        (b"[1]", "the event must be a JSON object, got list"),
        (b'"text"', "the event must be a JSON object, got str"),
        (b"null", "the event must be a JSON object, got NoneType"),
    ],
)
def test_a_bad_line_says_what_is_wrong_and_the_rest_goes_on(line: bytes, message: str) -> None:
    events, bad = read_bytes(ONE + b"\n" + line + b"\n" + ONE)
    assert [number for number, _ in events] == [1, 3]
    assert bad == [(2, message)]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"a": "\xff"}', id="invalid UTF-8"),
        pytest.param(b'{"a":' * 100_000, id="deep nesting"),
        pytest.param(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="deep but whole"),
        pytest.param(b"\0", id="a NUL"),
    ],
)
def test_a_line_that_json_refuses_is_one_bad_line(line: bytes) -> None:
    events, bad = read_bytes(ONE + b"\n" + line + b"\n" + ONE)
    assert [number for number, _ in events] == [1, 3]
    assert [number for number, _ in bad] == [2]


def test_a_line_beyond_the_limit_is_passed_over_and_never_held() -> None:
    class Endless(io.RawIOBase):
        """One event, 200 MiB without a newline, one event."""

        left = 200 * 2**20
        head, tail = ONE + b"\n", b"\n" + ONE

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            view = memoryview(buffer)
            if self.head:
                piece, self.head = self.head[: len(view)], self.head[len(view) :]
            elif self.left:
                piece = b"a" * min(self.left, len(view))
                self.left -= len(piece)
            else:
                piece, self.tail = self.tail[: len(view)], self.tail[len(view) :]
            view[: len(piece)] = piece
            return len(piece)

    tracemalloc.start()
    pieces = list(read(io.BufferedReader(Endless()), name="f"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [getattr(piece, "lines", None) for piece in pieces] == [[1], None, [3]]
    assert "longer than 16777216 bytes" in str(pieces[1])
    assert peak < 4 * files.MAX_LINE


def test_an_array_of_any_length_is_read_in_windows() -> None:
    item = b'{"event": "' + b"a" * 2**20 + b'"},'

    class Array(io.RawIOBase):
        """160 items of 1 MiB."""

        left = 160
        rest = b"["

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            view = memoryview(buffer)
            if not self.rest and self.left:
                self.left -= 1
                self.rest = item if self.left else item[:-1] + b"]"
            piece, self.rest = self.rest[: len(view)], self.rest[len(view) :]
            view[: len(piece)] = piece
            return len(piece)

    tracemalloc.start()
    pieces = read(io.BufferedReader(Array()), name="f")
    count = sum(len(piece.events) for piece in pieces if isinstance(piece, EventBatch))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 160
    assert peak < 5 * files.MAX_LINE


def test_a_line_at_the_limit_is_read() -> None:
    frame = len(b'{"event":""}\n')
    at_limit = b'{"event":"' + b"a" * (files.MAX_LINE - frame) + b'"}\n'
    assert [line for line, _ in read_bytes(at_limit + ONE)[0]] == [1, 2]
    beyond = b'{"event":"' + b"a" * (files.MAX_LINE - frame + 1) + b'"}\n'
    assert [line for line, _ in read_bytes(beyond + ONE)[1]] == [1]


def test_an_item_that_is_no_object_is_passed_over() -> None:
    events, bad = read_bytes(b'[{"event": "x"}, 12, "a", [{}], null, {"event": "y"}]')
    assert [line for line, _ in events] == [1, 6]
    assert [line for line, _ in bad] == [2, 3, 4, 5]


def test_a_number_that_ends_a_window_is_read_whole() -> None:
    for padding in range(65_520, 65_540):
        _, bad = read_bytes(b"[" + b" " * padding + b'1234567, true, {"event": 1}]')
        assert [line for line, _ in bad] == [1, 2]


def test_a_character_that_ends_a_window_is_read_whole() -> None:
    for padding in range(65_500, 65_540):
        events, _ = read_bytes(b'[{"event": "' + b"x" * padding + 'é€𝄞"}]'.encode())
        assert events[0][1]["event"].endswith("é€𝄞")


def test_an_item_of_an_array_may_be_longer_than_a_window() -> None:
    text = "é" * 300_000
    items = [{"event": text}, {"event": "b", "properties": text}]
    events, _ = read_bytes(json.dumps(items, ensure_ascii=False).encode(), "mixpanel")
    assert events == [(1, {"event": text}), (2, {"event": "b", "properties": {}})]


# Damage


@pytest.mark.parametrize("packed", [gzip.compress(NDJSON), zstd(NDJSON)], ids=["gzip", "zstd"])
def test_a_stream_that_is_cut_off_is_an_error_that_names_the_line(packed: bytes) -> None:
    message = error_of(packed[:-4])
    line = int(message.split(":")[1])
    assert 15_000 < line <= 20_001
    assert "cut off or damaged" in message
    assert "get a whole copy of the file" in message


@pytest.mark.parametrize("packed", [gzip.compress(NDJSON), zstd(NDJSON)], ids=["gzip", "zstd"])
@pytest.mark.parametrize("keep", [6, 30, 1000])
def test_a_stream_that_is_hardly_there_is_an_error(packed: bytes, keep: int) -> None:
    assert "f.ndjson:" in error_of(packed[:keep])


@pytest.mark.parametrize("packed", [gzip.compress(NDJSON), zstd(NDJSON)], ids=["gzip", "zstd"])
def test_a_stream_with_something_else_behind_it_is_an_error(packed: bytes) -> None:
    assert "damaged" in error_of(packed + b"something else")


def test_the_lines_before_the_damage_are_read() -> None:
    packed = gzip.compress(NDJSON)
    pieces = read(io.BytesIO(packed[: len(packed) * 2 // 3]), name="f")
    first = next(pieces)
    assert isinstance(first, EventBatch)
    assert len(first.events) == 8192
    with pytest.raises(FileFormatError) as caught:
        list(pieces)
    assert 8192 < int(str(caught.value).split(":")[1]) < 20_000


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (b"[", "f.ndjson:1: the item is no JSON: Expecting value"),
        (b'[{"event": "x"}', "f.ndjson:1: expected a comma or the end of the array, got ''"),
        (b'[{"event": "x"}, {"ev', "f.ndjson:2: the item is no JSON: Unterminated string starting at"),
        (b"[{}, {}, oops]", "f.ndjson:3: the item is no JSON: Expecting value"),
        (b"[{}, {},]", "f.ndjson:3: the item is no JSON: Expecting value"),
        (b"[{} {}]", "f.ndjson:1: expected a comma or the end of the array, got '{'"),
        (b"[{}]\n{}", "f.ndjson:1: the text goes on behind the end of its JSON array"),
        (b"[{}\n:\n{}]", "f.ndjson:1: expected a comma or the end of the array, got ':'"),
        (b"[\v]", "f.ndjson:1: the item is no JSON: Expecting value"),
        (b"[{}, 12", "f.ndjson:2: expected a comma or the end of the array, got ''"),
        (b'[{}, {"a": "\n"}, {}]', "f.ndjson:2: the item is no JSON: Invalid control character"),
        (b"[{}, {]}]", "f.ndjson:2: expected a comma or the end of the array, got '}'"),
        (b"[" * 100_000, "f.ndjson:2: expected a comma or the end of the array, got ''"),
        (b'[{}, {"a": "\xff"}]', "f.ndjson:2: the item is no JSON: 'utf-8' codec can't decode"),
        (b'[{"event": 1}, {"a": "\xc3', "f.ndjson:2: the item is no JSON: 'utf-8' codec can't decode"),
    ],
)
def test_an_array_that_is_no_json_ends_the_reading(array: bytes, message: str) -> None:
    assert error_of(array).startswith(message)


def test_an_array_cut_off_in_its_stream_is_an_error_that_names_the_item() -> None:
    packed = gzip.compress(json.dumps(EVENTS).encode())
    message = error_of(packed[: len(packed) // 2])
    assert 1000 < int(message.split(":")[1]) < 19_000
    assert "cut off or damaged" in message


def test_an_item_beyond_the_limit_is_passed_over_as_a_line_is() -> None:
    frame = len(b'{"event":""}\n')
    at_limit, beyond = (b'{"event":"' + b"a" * (files.MAX_LINE - frame + more) + b'"}' for more in (0, 1))
    events, bad = read_bytes(b"[" + at_limit + b"," + beyond + b',{"event":1}]')
    assert [line for line, _ in events] == [1, 3]
    assert [(line, message) for line, message in bad] == [(2, "the line is longer than 16777216 bytes")]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_by_name(codec: str) -> None:
    text = "\ufeff" + NDJSON[:500].decode()
    assert error_of(text.encode(codec)) == "f.ndjson:1: the text is UTF-16; convert it to UTF-8"


def test_a_file_that_is_not_there_is_an_os_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.ndjson"):
        next(read(tmp_path / "nothing.ndjson"))


# The library around it


def test_reading_plain_events_loads_no_pyarrow(tmp_path: Path) -> None:
    (tmp_path / "f.ndjson").write_bytes(gzip.compress(NDJSON))
    program = (
        "import sys; from idmerge.files import read; list(read(sys.argv[1])); print('pyarrow' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "f.ndjson")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("name", ["f.parquet", "f.arrow", "f.ndjson.zst"])
def test_without_pyarrow_the_error_names_what_to_install(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(zstd(NDJSON))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"needs pyarrow: pip install pyarrow"):
        list(read(tmp_path / name))


def test_standard_input_is_read_and_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(ONE))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert list(read("-")) == [EventBatch("<stdin>", [1], [{"event": "x"}])]
    assert not stdin.buffer.closed


def test_a_closed_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(FileFormatError, match="standard input is closed"):
        list(read("-"))
