"""The core's admission, against plain Python, on items of any kind and on damaged ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admission_by_hand import AHEAD, FIRST, OLDEST, Limits, admitted
from idmerge import _core
from idmerge._json_decoding import DEEPEST
from idmerge.errors import MalformedEventError
from idmerge.events import IDENTITY_EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_700_000_000_000
LIMITS = Limits(item=600, properties=4, name=5)
WAYS = ("track", "import", "strict", "engage", "groups")
TOKENS = ["shop", "né", "news"]

NUMBERS = [
    *(
        b"0",
        b"-0",
        b"1.5",
        b"-1e3",
        b"1E+2",
        b"2.5e-3",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"-",
        b"1e",
        b"--1",
        b"0x1",
    ),
    *(b"NaN", b"Infinity", b"-Infinity", b"-NaN", b"nan", b"1e400", b"-1e-400", b"1_0"),
    *(b"1" * 20, b"-" + b"9" * 400, b"9" * 640, b"-" + b"9" * 640, b"9" * 641, b"9223372036854775808"),
    *(b"99999999999", b"100000000000", b"-100000000000", b"99999999999.9995", b"0.0005", b"0.0015"),
    *(b"999999999999999", b"1000000000000000", b"-999999999999999.5", b"1e15", b"999999999999999.94"),
]
MOMENTS = [NOW, NOW // 1000, NOW - OLDEST, NOW - OLDEST - 1, NOW + AHEAD, NOW + AHEAD + 1, FIRST, FIRST - 1]
NUMBERS += [str(moment).encode() for moment in (*MOMENTS, FIRST // 1000, FIRST // 1000 - 1)]
NUMBERS += [str(moment).encode() for moment in (NOW - OLDEST - 0.5, NOW + AHEAD + 0.5, FIRST - 0.5)]
TEXTS = [
    *(
        b"",
        b"a",
        b"shop",
        b"s\\u0068op",
        b"n\\u00e9",
        "né".encode(),
        b"$merge",
        b"\\u0024merge",
        b"abcde",
        b"abcdef",
    ),
    *("ééééé".encode(), "éééééé".encode(), "😀".encode() * 5, b"\\ud83d\\ude00" * 5, b"\\ud83d\\ude00" * 6),
    *(
        b"\\ud83d" * 5,
        b"\\ud83d" * 6,
        b"\\ude00\\ud83d",
        b"\xed\xa0\xbd",
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"\\ud83d\xed\xb8\x80",
    ),
    *(
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0",
        b"\x7f",
        b"\t",
        b"\x00",
        b'\\t\\n\\r\\b\\f\\/\\\\\\"',
        b"\\x",
        b"\\u00g0",
        b"\\u00",
    ),
    *(b"i-1", b"i" * 36, b"i" * 37, b"no blanks", b"\\u0069", "é".encode() * 3),
]
KEYS = ["event", "properties", "$token", "token", "time", "$insert_id", "distinct_id", "$distinct_id"]
KEYS += ["$device_id", "$user_id", "$group_key", "$group_id", "x", "y", "é", "😀"]

quoted = st.sampled_from(TEXTS).map(lambda text: b'"' + text + b'"')
blanks = st.sampled_from([b"", b"", b"", b" ", b"\t\r ", b"\x0b", b"\xc2\xa0"])
scalars = st.one_of(
    st.sampled_from(NUMBERS), quoted, st.sampled_from([b"null", b"true", b"false", b"nul", b""])
)


@st.composite
def keys(draw: st.DrawFn) -> bytes:
    """Draw a key, some of whose characters may be escaped."""
    key = draw(st.sampled_from(KEYS))
    written = json.dumps(key, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 5)) == 0:
        place = draw(st.integers(0, len(key) - 1))
        units = key[place].encode("utf-16-be").hex()
        escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
        written = f'"{key[:place]}{escaped}{key[place + 1 :]}"'
    return written.encode()


def _object(fields: list[tuple[bytes, bytes, bytes]]) -> bytes:
    return b"{" + b",".join(key + blank + b":" + value + blank for key, blank, value in fields) + b"}"


def objects(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(st.tuples(keys(), blanks, values), max_size=7).map(_object)


def arrays(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(values, max_size=3).map(lambda items: b"[" + b",".join(items) + b"]")


values = st.recursive(scalars, lambda inner: objects(inner) | arrays(inner), max_leaves=6)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """Draw an event that is right but for a part or two, so that every check is reached."""
    properties = {
        "token": draw(st.sampled_from([b'"shop"', b'"n\\u00e9"', b'"other"', b"5"])),
        "time": draw(st.sampled_from(NUMBERS)),
        "$insert_id": draw(quoted),
        "distinct_id": draw(scalars),
    }
    if draw(st.booleans()):
        del properties[draw(st.sampled_from([*properties]))]
        properties[draw(st.sampled_from(KEYS))] = draw(values)
    inside = _object([(json.dumps(key).encode(), b"", value) for key, value in properties.items()])
    fields = [(b'"event"', draw(quoted)), (b'"properties"', inside)]
    fields += draw(st.lists(st.tuples(keys(), values), max_size=2))
    return _object([(key, b" ", value) for key, value in draw(st.permutations(fields))])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw lines of items, some of which are damaged."""
    lines = draw(st.lists(events() | events() | values | blanks, max_size=6))
    text = bytearray(b"\n".join(lines))
    for _ in range(draw(st.integers(0, 2))):
        if text:
            text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    if draw(st.integers(0, 9)) == 0:
        text += b"\n" + draw(events()).decode("utf-8", "replace").encode(
            draw(st.sampled_from(["utf-16", "utf-32-le"]))
        )
    return b"{}\n" + bytes(text)  # It begins as lines of JSON do, so that it is read as such.


def by_the_core(
    body: bytes, way: Any, limits: Limits = LIMITS, tokens: Sequence[str] | None = None, fallback: str = ""
) -> tuple[list[tuple[int, bytes]], int, int, list[tuple[int, str, str, str]]]:
    rules = _core.Admission(
        way,
        [*IDENTITY_EVENTS],
        max_bytes=1 << 24,
        max_items=2000,
        max_item=limits.item,
        max_properties=limits.properties,
        max_name=limits.name,
    )
    return rules.admit(body, "application/x-ndjson", NOW, tokens, fallback)


@given(bodies(), st.sampled_from(WAYS), st.sampled_from([None, TOKENS]), st.sampled_from(["", "né", "other"]))
@settings(max_examples=1000)
def test_the_core_admits_what_plain_python_admits(
    body: bytes, way: str, tokens: list[str] | None, fallback: str
) -> None:
    expected = admitted(body, way, NOW, LIMITS, (tokens, fallback))
    assert by_the_core(body, way, LIMITS, tokens, fallback) == expected


@pytest.mark.parametrize("value", [*NUMBERS, *(b'"' + text + b'"' for text in TEXTS)])
@pytest.mark.parametrize("field", ["event", "time", "distinct_id", "$insert_id", "token", "$distinct_id"])
def test_each_value_in_each_field(field: str, value: bytes) -> None:
    fields = {"event": b'"a"', "$distinct_id": b'"b"'}
    inside = {"time": str(NOW).encode(), "distinct_id": b'"c"', "$insert_id": b'"i"', "token": b'"shop"'}
    (fields if field in fields else inside)[field] = value
    fields["properties"] = _object([(json.dumps(key).encode(), b"", one) for key, one in inside.items()])
    line = _object([(json.dumps(key).encode(), b"", one) for key, one in fields.items()])
    limits = LIMITS._replace(item=2000)
    for way in WAYS:
        expected = admitted(b"{}\n" + line, way, NOW, limits, (TOKENS, ""))
        assert by_the_core(b"{}\n" + line, way, limits, TOKENS) == expected


def test_items_are_nested_as_deep_as_the_decoder_reads() -> None:
    for depth in (DEEPEST, DEEPEST + 1):
        lists = depth - 2
        nested = b'{"event":"a","properties":{"x":' + b"[" * lists + b"]" * lists + b"}}"
        objects = b'{"event":"a","properties":{"x":' + b'{"":' * lists + b"1" + b"}" * lists + b"}}"
        body = nested + b"\n" + objects + b"\n"
        limits = Limits(item=10_000, properties=4, name=5)
        expected = admitted(body, "import", NOW, limits)
        assert by_the_core(body, "import", limits) == expected
        assert expected[1] == (2 if depth == DEEPEST else 0)


def test_an_item_of_the_longest_length_is_taken_and_a_longer_one_is_not_read() -> None:
    whole = b'{"event":"a","properties":{}}'
    longest = whole + b" " * (LIMITS.item - 1 - len(whole))
    blank = b" " * LIMITS.item
    for body in (
        longest,
        longest + b" ",
        longest + b"\n" + longest[:-1],
        whole + b"\n" + blank + whole,
        blank,
    ):
        expected = admitted(b"{}\n" + body, "import", NOW, LIMITS)
        assert by_the_core(b"{}\n" + body, "import") == expected
    assert by_the_core(longest + b"\n" + longest + b" ", "import")[1] == 1


def test_equal_keys_are_one_property() -> None:
    keys = [b'"a"', b'"\\u0061"', b'"b"', b'"c"', b'"d"', b'"d"', b'"\\ud83d"']
    for many in range(len(keys) + 1):
        line = b'{"event":"a","properties":' + _object([(key, b"", b"1") for key in keys[:many]]) + b"}"
        assert by_the_core(line, "import") == admitted(line, "import", NOW, LIMITS)


def test_a_route_that_is_none_and_a_body_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match='no route is called "trick"'):
        by_the_core(b"{}", "trick")
    with pytest.raises(MalformedEventError, match="the body is empty"):
        by_the_core(b" \n", "track")
