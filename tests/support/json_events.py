"""Generators of events as JSON text, with all that JSON, and Python's idea of it, can hold."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
from hypothesis import strategies as st

from strategies import ANONYMOUS, BLOCKED, D1, D2, NEAR_MISSES, USERS

blanks = st.sampled_from(["", "", "", " ", "\t", "  "])
texts = st.one_of(
    st.sampled_from(
        ["", "a", "/pricing", 'quo"te', "back\\slash", "ünï\U0001f98a", "\0\x1f\n\t\x7f", "true", "1"]
    ),
    st.text(max_size=5),
)
quoted = st.one_of(
    texts.map(json.dumps),
    texts.map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(['"\\ud800"', '"\\udc00x"', '"\\u0041\\/"', '"\\ud83e\\udd8a"']),
)
numbers = st.one_of(
    st.integers(-5, 5).map(str),
    st.floats(allow_nan=False).map(json.dumps),
    st.sampled_from(
        [
            "0",
            "-0",
            "-0.0",
            "1.0",
            "1E5",
            "1e400",
            "-1e400",
            "1e-400",
            "0.00001234",
            "1e16",
            "123456789012345680.0",
            "1e22",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "NaN",
            "Infinity",
            "-Infinity",
        ]
    ),
    st.sampled_from(["1" + "0" * 400, "-" + "7" * 640, "7" * 5000, "-" + "7" * 5000]),
)
scalars = st.one_of(st.sampled_from(["null", "true", "false"]), numbers, quoted)


@st.composite
def lists(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    inside = draw(st.lists(st.tuples(blanks, items, blanks).map("".join), max_size=3))
    return f"[{','.join(inside)}{draw(blanks)}]" if inside else f"[{draw(blanks)}]"


def pairs(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(keys, values)


@st.composite
def objects(draw: st.DrawFn, fields: st.SearchStrategy[list[tuple[str, str]]]) -> str:
    inside = [f"{draw(blanks)}{key}{draw(blanks)}:{value}{draw(blanks)}" for key, value in draw(fields)]
    return f"{{{','.join(inside) or draw(blanks)}}}"


nested_keys = st.sampled_from(
    ['"a"', '"\\u0061"', '"b"', '"\\u00e9"', '"quo\\"te"', '"\\ud800"', '"\\udc00"', '"\\u0000"', '""']
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        lists(inner),
        objects(st.lists(pairs(nested_keys, inner), max_size=4)),
    ),
    max_leaves=5,
)
deep = st.tuples(st.integers(85, 110) | st.just(200), values).map(
    lambda given: "[" * given[0] + given[1] + "]" * given[0]
)

IDS = [*ANONYMOUS[:4], *USERS[:4], NEAR_MISSES[0], BLOCKED[0], "", "x" * 256]
ids = st.one_of(
    st.sampled_from([D1, D2, "U1", "U2"]).map(json.dumps),
    st.sampled_from(IDS).map(json.dumps),
    st.sampled_from(
        [
            "7",
            "-7",
            "-0",
            "7.0",
            "null",
            "true",
            '["x"]',
            '{"x":1}',
            '"\\ud800"',
            "1" + "0" * 25,
            "NaN",
            "7" * 5000,
        ]
    ),
)
times = st.one_of(
    st.integers(1_600_000_000, 1_600_000_003).map(str),
    st.sampled_from(
        [
            "1602611311123",
            "1602611311.1234",
            "1602611311.0005",
            "0.0005",
            "-0.0005",
            "99999999999",
            "100000000000",
            "-99999999999",
            "253402300799",
            "253402300800",
            "253402300799.999",
            "253402300799999",
            "253402300800000",
            "-62135596800000",
            "-62135596800001",
            "1e300",
            "NaN",
            "null",
            "true",
            "[1]",
            '{"a":1}',
            '"1602611311"',
            '"1602611311123"',
            '"1602611311.5"',
            '"-1"',
            '"1e9"',
            '"nan"',
            '"inf"',
            '""',
            '"soon"',
            '"2020-10-13"',
            '"2020-10-13T17:48:31"',
            '"2020-10-13T17:48:31.123Z"',
            '"2020-10-13T17:48:31.123999+02:00"',
            '"2500-01-01T00:00:00"',
            '"1600-01-01"',
            '"9999-12-31T23:59:59.999Z"',
            '"1969-12-31T23:59:59.9995Z"',
            '"2020-13-01"',
            "123456789012345678901234567890",
            "9223372036854775807",
            "-9223372036854775808",
        ]
    ),
    st.just('"2020-10-13 17:48:31"'),
    values,
)
operand_keys = ["distinct_id", "$anon_id", "$anon_distinct_id", "$identified_id", "alias"]
operand_keys += ["$device_id", "$user_id"]
operands = pairs(st.sampled_from([f'"{key}"' for key in operand_keys] + ['"distinct\\u005fid"']), ids)
merges = pairs(
    st.just('"$distinct_ids"'), st.one_of(lists(ids), ids.map(lambda own: f'["U1",{own}]'), values)
)
own = pairs(st.just('"distinct_id"'), ids)
insert_ids = pairs(
    st.just('"$insert_id"'),
    st.sampled_from(
        ['"i1"', '"i1"', '"i2"', "1", '"1"', "null", "true", '"true"', "[1]", "1.0", '"1.0"', "1.5", "-0.0"]
    ),
)
names = [
    *["page", "pa\\u0067e", "x", "event", "properties.event", "properties", "distinct_id_as_known", "date"],
    *["\\ud800", "\\udfff", "", "ünï\U0001f98a", "time ", "properties.distinct_id_as_known"],
    *["a\\u0000b", "a\\ufffdb", "a\\ud800b", "\\u0000", "time\\u0000"],
]
plain = pairs(st.sampled_from([f'"{name}"' for name in names]), st.one_of(values, values, deep))
befores = pairs(st.just('"$distinct_id_before_identity"'), st.one_of(ids, ids, values))
when = pairs(st.just('"time"'), times)
fields = st.one_of(
    st.tuples(own, when, insert_ids).map(list),
    st.lists(st.one_of(operands, own, merges, insert_ids, when, plain, befores), max_size=7),
    st.tuples(operands, operands, plain).map(list),
    st.tuples(own, when, plain, plain).map(list),
)
event_names = st.one_of(
    st.sampled_from(
        ['"$identify"', '"$create_alias"', '"$merge"', '"Page View"', '"Page View"', '"$identif\\u0079"']
    ),
    scalars,
    values,
)
properties = pairs(
    st.just('"properties"'), st.one_of(objects(fields), objects(fields), objects(fields), values)
)
event = pairs(st.just('"event"'), event_names)
other = pairs(st.sampled_from(['"other"', '"Event"', '"\\ud800"']), values)
event_texts = st.one_of(
    objects(st.tuples(event, properties).map(list)),
    objects(st.tuples(event, properties).map(list)),
    objects(st.lists(st.one_of(event, properties, properties, other), max_size=4)),
)
"""One event of any shape, as JSON text."""


# Files

BAD_LINES = [b"{", b"[1]", b"nonsense", b'{"event": "\xff"}', b'{"properties": {"z": 1, "y": 2}', b"7"]


def as_array(texts: list[str]) -> bytes:
    return ("[" + " ,\n".join(texts) + "\n]").encode()


def zstd(text: bytes) -> bytes:
    return pa.Codec("zstd").compress(text, asbytes=True)


PACKED = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


usual_ids = st.sampled_from([f'"{own}"' for own in (D1, D2, "U1", "U2")])
usual_fields = st.tuples(
    pairs(st.just('"distinct_id"'), usual_ids),
    pairs(st.just('"time"'), st.sampled_from(["1600000000", "1600000000.0", '"1600086400"', "null"])),
    pairs(st.just('"$insert_id"'), st.sampled_from(['"i1"', '"i2"', '"1"', "null"])),
    pairs(st.just('"x"'), st.sampled_from(["1", "2"])),
).map(list)
usual_operands = pairs(st.sampled_from([f'"{key}"' for key in operand_keys]), usual_ids)
usual_link_fields = st.lists(usual_operands, min_size=2, max_size=4)


@st.composite
def usual_texts(draw: st.DrawFn) -> str:
    """An event whose properties have the types that they have in most others, as JSON text."""
    is_link = draw(st.booleans())
    name = draw(st.sampled_from(["$identify", "$create_alias"] if is_link else ["a", "b"]))
    properties = draw(objects(usual_link_fields if is_link else usual_fields))
    return f'{{"event":"{name}","properties":{properties}}}'


@st.composite
def written(
    draw: st.DrawFn, given_texts: st.SearchStrategy[str] | None = None, *, repeats: bool = False
) -> tuple[list[str], str, bytes]:
    """Events as texts, and a file of them: its suffix and its bytes.

    They are ``given_texts``, or of any shape. The file may hold objects without the key of an
    event's name too, which are no events. If it ``repeats``, some events are there more than once.
    """
    texts = draw(st.lists(event_texts if given_texts is None else given_texts, max_size=12))
    if repeats and texts:
        texts += draw(st.lists(st.sampled_from(texts), max_size=6))
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
    events = [text for text in texts if "event" in json.loads(text, parse_int=str)]
    return events, suffix, PACKED[suffix](text)
