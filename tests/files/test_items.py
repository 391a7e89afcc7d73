"""The items of an array are read where they stand as Python reads each of them, wherever blocks end."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import testing
from idmerge.errors import FileFormatError, MalformedEventError
from idmerge.events import parse
from idmerge.files import BadLine, EventBatch, StepBatch, blocks, items, read, scan

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = [json.dumps(event) for event in testing.events(3000, seed=3)]
TRAPS = [
    '{"event":"a","properties":{"distinct_id":"b","x":[{"event":1},{"event":2}]}}',
    '{"event":"a","properties":{"distinct_id":"},{\\"event\\":","x":"]"}}',
    '{"event":"\\u0061","properties":{"distinct_id":"\\u00e9"}}',
    '{"event":"$merge","properties":{"$distinct_ids":["a"]}}',
    '{"properties":{"distinct_id":"c"},"event":"d"}',
    '{"event":"a","properties":{"distinct_id":"é"}}',
    "7",
    "[1]",
]
DAMAGE = ["", "]", "]]", "] x", ",]", ',{"event":', ',{"event":"a" "b"}]', "}]", ',{"event":"\n"}]', ",,{}]"]


def outcome(way: Any, content: bytes) -> Any:
    """Return each event as its line and what it states, and each bad line; or the error."""
    told: list[Any] = []
    try:
        for piece in way(io.BytesIO(content), name="f"):
            if isinstance(piece, BadLine):
                told.append((piece.line, piece.message))
            elif isinstance(piece, EventBatch):
                pairs = zip(piece.lines, piece.events, strict=True)
                told += [(line, stated(event)) for line, event in pairs]
            else:
                told += [(piece.line(index), scanned(piece, index)) for index in range(len(piece))]
    except FileFormatError as error:
        return str(error)
    return told


def stated(event: Any) -> Any:
    try:
        return parse(event) or event["properties"].get("distinct_id")
    except MalformedEventError as error:
        return str(error)


def scanned(batch: StepBatch, index: int) -> Any:
    if index in batch.events:
        return stated(batch.events[index])
    return batch.link(index) or batch.distinct_id(index)


@given(
    texts=st.lists(st.sampled_from([*EVENTS[:40], *TRAPS]), min_size=1, max_size=30),
    glue=st.sampled_from([",", ", ", ",\n", "\n , \r\n"]),
    end=st.sampled_from(["]", "]", *DAMAGE]),
    block=st.integers(1, 3000),
    threads=st.sampled_from(["1", "2"]),
)
@settings(max_examples=400)
def test_items_are_scanned_as_they_are_read(
    texts: list[str], glue: str, end: str, block: int, threads: str
) -> None:
    content = ("[" + glue.join([EVENTS[0], *texts]) + end).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDMERGE_THREADS", threads)
        patch.setattr(blocks, "BLOCK", block)
        assert outcome(scan, content) == outcome(read, content)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_what_stands_before_the_damage_of_an_array_is_told(
    threads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDMERGE_THREADS", threads)
    monkeypatch.setattr(blocks, "BLOCK", 20_000)
    content = gzip.compress(f"[{','.join(EVENTS)}]".encode(), 1)
    path = tmp_path / "e.json.gz"
    path.write_bytes(content[: len(content) * 2 // 3])
    pieces: list[Any] = []
    with pytest.raises(FileFormatError, match="cut off or damaged") as caught:
        pieces.extend(scan(path))
    with pytest.raises(FileFormatError, match="cut off or damaged") as expected:
        list(read(path))
    assert str(caught.value) == str(expected.value)
    lines = [piece.line(index) for piece in pieces for index in range(len(piece))]
    assert lines == list(range(1, int(str(caught.value).split(":")[1])))
    assert len(lines) > 1000


def damaged(kind: str) -> tuple[str, bytes]:
    content = f"[{','.join(EVENTS)}]".encode()
    if kind.startswith("zstd"):
        packed = bytes(pa.Codec("zstd").compress(content, asbytes=True))
        return "e.json.zst", packed[:-9] if kind == "zstd cut" else packed + b"junk behind it"
    packed = bytearray(gzip.compress(content, 1))
    if kind == "checksum":
        packed[-5] ^= 1
    return "e.json.gz", bytes(packed[:-4] if kind == "trailer" else packed + b"junk" * (kind == "behind"))


@pytest.mark.parametrize("block", [20_000, 4 * 2**20])
@pytest.mark.parametrize("kind", ["checksum", "trailer", "behind", "zstd behind", "zstd cut"])
def test_damage_behind_the_last_item_is_an_error(
    kind: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", block)
    name, packed = damaged(kind)
    path = tmp_path / name
    path.write_bytes(packed)
    errors = []
    for way in (scan, read):
        with pytest.raises(FileFormatError) as caught:
            list(way(path))
        errors.append(str(caught.value).rpartition(":")[2])
    assert errors[0] == errors[1]


def test_usual_items_are_read_where_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 20_000)
    monkeypatch.setattr(items._ItemBlocks, "left", lambda _blocks: None)
    content = f"[{', '.join([*EVENTS, *TRAPS[1:6]])}]".encode()
    pieces = list(scan(io.BytesIO(content), name="f"))
    assert all(isinstance(piece, StepBatch) for piece in pieces)
    assert sum(map(len, pieces)) == len(EVENTS) + 5


def test_a_wrong_guess_costs_time_and_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 1000)
    content = f"[{','.join([TRAPS[0]] * 200)}]".encode()
    assert outcome(scan, content) == outcome(read, content) == [(line, "b") for line in range(1, 201)]
