"""Intact files of links and of events in columns, and what damage makes of them."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import parquet

ROWS = 60
BATCHES = 3
ENDS = (-(2**63), -(2**31), -1, 0, 1, 2**15, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1)


class Intact(NamedTuple):
    """A whole file."""

    name: str
    content: bytes
    holds_links: bool
    is_plain: bool
    """Whether each of its IDs stands in it, byte for byte."""


def intact_files(drawn: random.Random) -> Iterator[Intact]:
    """Yield a file of each kind: of each format, type of text, compression and encoding."""
    for holds_links, tables in ((True, _links(drawn)), (False, _events(drawn))):
        what = "links" if holds_links else "events"
        for form, table in tables.items():
            has_plain_ids = form not in ("integers", "json")
            for way, compression in (("file", None), ("stream", None), ("file", "lz4"), ("stream", "zstd")):
                name = f"{what}-{form}-{way}-{compression or 'plain'}.arrow"
                content = _arrow(table, way, compression)
                yield Intact(name, content, holds_links, has_plain_ids and compression is None)
            for encoding, options in PARQUET.items():
                content = _parquet(table, options)
                if content is not None:
                    is_plain = has_plain_ids and encoding in ("plain", "dictionary")
                    yield Intact(f"{what}-{form}-{encoding}.parquet", content, holds_links, is_plain)
    for encoding, options in PARQUET.items():
        content = _parquet(_stitched(drawn), options)
        if content is not None:
            yield Intact(f"stitched-{encoding}.parquet", content, holds_links=False, is_plain=False)


PARQUET: dict[str, dict[str, Any]] = {
    "plain": {"compression": "none", "use_dictionary": False},
    "dictionary": {"compression": "none", "use_dictionary": True},
    "snappy": {"compression": "snappy", "use_dictionary": True},
    "zstd": {"compression": "zstd", "use_dictionary": False, "data_page_version": "2.0"},
    "checksums": {"compression": "gzip", "write_page_checksum": True},
}


def damaged(drawn: random.Random, content: bytes) -> bytes:
    """Return ``content`` with one to three faults."""
    mutated = bytearray(content)
    for _ in range(drawn.choice((1, 1, 1, 2, 3))):
        drawn.choice(_FAULTS)(drawn, mutated)
    return bytes(mutated)


def _flip(drawn: random.Random, content: bytearray) -> None:
    if content:
        content[drawn.randrange(len(content))] ^= 1 << drawn.randrange(8)


def _edit(drawn: random.Random, content: bytearray) -> None:
    """Change a whole number that stands where offsets, lengths and indices do."""
    width, form = drawn.choice(((4, "<i"), (4, "<i"), (8, "<q")))
    if len(content) < 2 * width:
        return
    place = width * drawn.randrange(len(content) // width)
    (number,) = struct.unpack_from(form, content, place)
    number = drawn.choice((number + drawn.randint(-40, 40), number * 2, drawn.choice(ENDS)))
    bits = 8 * width
    number = (number + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    struct.pack_into(form, content, place, number)


def _cut(drawn: random.Random, content: bytearray) -> None:
    if content:
        del content[drawn.randrange(len(content)) :]


def _lose(drawn: random.Random, content: bytearray) -> None:
    start = drawn.randrange(len(content) + 1)
    del content[start : start + drawn.choice((1, 8, 64))]


def _blank(drawn: random.Random, content: bytearray) -> None:
    start = drawn.randrange(len(content) + 1)
    end = min(len(content), start + drawn.choice((4, 8, 64)))
    content[start:end] = bytes([drawn.choice((0, 0xFF))]) * (end - start)


_FAULTS = (_flip, _flip, _flip, _edit, _edit, _edit, _edit, _blank, _lose, _cut)


# Tables


def _ids(drawn: random.Random, prefix: str) -> list[str | None]:
    ids: list[str | None] = [
        f"{prefix}-{drawn.randrange(ROWS):04}-{'x' * drawn.randrange(9)}" for _ in range(ROWS)
    ]
    ids[drawn.randrange(ROWS)] = None
    return ids


def _links(drawn: random.Random) -> dict[str, pa.Table]:
    kinds = [drawn.choice(("identify", "alias", "merge")) for _ in range(ROWS)]
    left, right = _ids(drawn, "first"), _ids(drawn, "second")
    tables = {}
    for form, kind in _TEXTS.items():
        columns = [pa.array(column).cast(kind) for column in (kinds, left, right)]
        tables[form] = pa.table(columns, names=["kind", "first", "second"])
    numbers = [drawn.randrange(ROWS) for _ in range(ROWS)]
    tables["integers"] = pa.table(
        {"kind": pa.array(numbers, pa.uint8()), "first": numbers, "second": numbers}
    )
    tables["integers"] = tables["integers"].set_column(0, "kind", pa.array([2] * ROWS, pa.uint8()))
    return tables


_TEXTS = {
    "string": pa.string(),
    "large": pa.large_string(),
    "view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int8(), pa.string()),
    "dictionary64": pa.dictionary(pa.int64(), pa.large_string()),
}


def _events(drawn: random.Random) -> dict[str, pa.Table]:
    names = [drawn.choice(("Visit", "Sign Up", "$identify", "$create_alias", "$merge")) for _ in range(ROWS)]
    sent, other = _ids(drawn, "sent"), _ids(drawn, "other")
    times = pa.array([1_700_000_000 + 60 * row for row in range(ROWS)], pa.timestamp("s", "UTC"))
    tables = {}
    for form, kind in _TEXTS.items():
        tables[form] = pa.table(
            {
                "event": pa.array(names).cast(kind),
                "time": times.cast(pa.timestamp("us", "UTC")),
                "distinct_id": pa.array(sent).cast(kind),
                "$anon_distinct_id": pa.array(other).cast(kind),
                "alias": pa.array(other).cast(kind),
                "$distinct_ids": pa.array([[one, two] for one, two in zip(sent, other, strict=True)]),
                "$insert_id": pa.array([f"insert-{row}" for row in range(ROWS)]).cast(kind),
                **_others(drawn),
            }
        )
    odd = {
        "view": pa.array([["a", "b"]] * ROWS, pa.list_view(pa.string())),
        "runs": pa.RunEndEncodedArray.from_arrays([ROWS // 2, ROWS], ["one", "two"]),
    }
    tables["odd"] = tables["string"]
    for name, column in odd.items():
        tables["odd"] = tables["odd"].append_column(name, column)
    properties = [
        {"distinct_id": one, "$anon_distinct_id": two, "alias": two, "time": 1_700_000_000}
        for one, two in zip(sent, other, strict=True)
    ]
    nested = {
        "struct": pa.array(properties),
        "map": pa.array(
            [
                [(name, None if value is None else str(value)) for name, value in row.items()]
                for row in properties
            ],
            pa.map_(pa.string(), pa.string()),
        ),
        "json": pa.array([str(row).replace("'", '"').replace("None", "null") for row in properties]),
    }
    for form, column in nested.items():
        tables[form] = pa.table({"event": names, "time": times, "properties": column})
    return tables


def _stitched(drawn: random.Random) -> pa.Table:
    return pa.table(
        {
            "event": [drawn.choice(("Visit", "Sign Up")) for _ in range(ROWS)],
            "time": pa.array([1_700_000_000 + 60 * row for row in range(ROWS)], pa.timestamp("s", "UTC")),
            "distinct_id": _ids(drawn, "who"),
            "$distinct_id_before_identity": _ids(drawn, "sent"),
        }
    )


def _others(drawn: random.Random) -> dict[str, Any]:
    """Return columns of properties that have no part in identity."""
    lists = [[f"item-{drawn.randrange(9)}"] * drawn.randrange(3) for _ in range(ROWS)]
    return {
        "list": pa.array(lists),
        "struct": pa.array([{"a": {"b": str(row)}, "c": row} for row in range(ROWS)]),
        "fixed": pa.array([b"%04d" % row for row in range(ROWS)], pa.binary(4)),
        "flag": pa.array([drawn.random() < 0.5 for _ in range(ROWS)]),
        "nothing": pa.nulls(ROWS),
    }


def _arrow(table: pa.Table, way: str, compression: str | None) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_file if way == "file" else pa.ipc.new_stream
    with new(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=ROWS // BATCHES)
    return sink.getvalue()


def _parquet(table: pa.Table, options: dict[str, Any]) -> bytes | None:
    sink = io.BytesIO()
    try:
        parquet.write_table(table, sink, row_group_size=ROWS // BATCHES, **options)
    except pa.ArrowNotImplementedError:  # Runs, and in older versions views.
        return None
    return sink.getvalue()
