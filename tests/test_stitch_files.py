"""Files of events, stitched: the table is that of plain Python, however the events are written."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import idmerge
from by_hand import stitched_table
from idmerge.files import blocks
from json_events import event_texts
from strategies import policies, strategies

BAD_LINES = [b"{", b"[1]", b"nonsense", b'{"event": "\xff"}', b'{"properties": {"z": 1, "y": 2}', b"7"]


def as_array(texts: list[str]) -> bytes:
    return ("[" + " ,\n".join(texts) + "\n]").encode()


def zstd(text: bytes) -> bytes:
    return pa.Codec("zstd").compress(text, asbytes=True)


PACKED = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


@st.composite
def written(draw: st.DrawFn) -> tuple[list[str], str, bytes]:
    """Events as texts, and a file of them: its suffix and its bytes."""
    texts = draw(st.lists(event_texts, max_size=12))
    if draw(st.booleans()) and texts:
        text = as_array(texts)
    else:
        end = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n \n"]))
        lines = [text.encode() for text in texts]
        for place, bad in draw(
            st.lists(st.tuples(st.integers(0, 12), st.sampled_from(BAD_LINES)), max_size=3)
        ):
            # A file that begins with a bracket is an array.
            lines.insert(min(max(place, 1), len(lines)), bad)
        if lines[:1] == [b"[1]"]:
            lines[0] = b"{"
        text = end.join(lines) + draw(st.sampled_from([b"", end]))
    suffix = draw(st.sampled_from([*PACKED]))
    return texts, suffix, PACKED[suffix](text)


options = st.fixed_dictionaries(
    {},
    optional={
        "as_known": st.booleans(),
        "dedupe": st.booleans(),
        "canonical": strategies,
        "policy": policies,
        "properties": st.just(["page", "$insert_id", "event"]),
    },
)


@settings(max_examples=300)
@given(written(), options, st.sampled_from([1, 2]), st.integers(1, 400))
def test_the_table_is_that_of_plain_python(
    tmp_path_factory: pytest.TempPathFactory,
    given_file: tuple[list[str], str, bytes],
    wanted: dict[str, Any],
    threads: int,
    block: int,
) -> None:
    texts, suffix, content = given_file
    path = tmp_path_factory.getbasetemp() / f"events.json{suffix}"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDMERGE_THREADS", str(threads))
        patch.setattr(blocks, "BLOCK", block)
        stitched = idmerge.stitch(path, **wanted)
        table = pa.table(stitched)
    expected = stitched_table(map(json.loads, texts), **wanted)
    assert table.schema == expected.schema
    assert table.to_pylist() == expected.to_pylist()
    assert stitched.events == len(texts)
