"""Bodies of requests: `apply_body` is held to `apply_events` of the items that they hold.

`tests/data/wire/bodies.json` has bodies as clients of Mixpanel sent them: browsers, Python, Node, Go,
Java and importers; tokens and IDs are replaced.
"""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Kind, Outcome, Resolver, _core
from idmerge._steps import coded_rules
from idmerge.errors import MalformedEventError
from idmerge.resolver import MAX_BODY
from resolver_state import state
from strategies import D1
from strategies import events as plain_events

if TYPE_CHECKING:
    from idmerge.events import Source

SENT: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "wire" / "bodies.json").read_text("utf-8")
)
IDENTIFY = {"event": "$identify", "properties": {"$anon_id": D1, "$identified_id": "ana"}}
MERGE = {"event": "$merge", "properties": {"$distinct_ids": ["ana", "ben"]}}
WAYS = ["array", "pretty", "lines", "form", "base64", "unescaped", "gzip", "gzip in base64"]


def body_of(items: list[Any], way: str) -> bytes:
    array = json.dumps(items)
    compressed = gzip.compress(array.encode())
    ways = {
        "array": array,
        "pretty": json.dumps(items, indent=2),
        "lines": "\n".join(map(json.dumps, items)) or "[]",
        "form": urlencode({"verbose": 1, "data": array}),
        "base64": urlencode({"data": base64.b64encode(array.encode())}),
        "unescaped": "data=" + base64.urlsafe_b64encode(array.encode()).decode().rstrip("="),
        "gzip": compressed,
        "gzip in base64": urlencode({"data": base64.b64encode(compressed)}),
    }
    body = ways[way]
    return body if isinstance(body, bytes) else body.encode()


def name_of(sent: dict[str, Any]) -> str:
    return f"{sent['client']} {sent['request']}"


@pytest.mark.rule("3")
@pytest.mark.parametrize("sent", SENT, ids=map(name_of, SENT))
def test_bodies_of_real_clients_are_the_events_that_they_sent(sent: dict[str, Any]) -> None:
    body = sent["body"].encode() if "body" in sent else base64.b64decode(sent["body_base64"])
    source: Source = "import" if "import" in sent["request"] else "track"
    by_body, by_events = Resolver(), Resolver()
    report = by_body.apply_body(body, sent["content_type"], source)
    wanted = by_events.apply_events(sent["events"], source)
    assert (report.outcomes.tolist(), report.rows.tolist()) == (
        wanted.outcomes.tolist(),
        wanted.rows.tolist(),
    )
    assert state(by_body) == state(by_events)
    assert len(by_body) > 0


items = st.lists(
    st.one_of(
        plain_events,
        st.sampled_from([IDENTIFY, MERGE, 5, None, "text", [], {}, {"event": 1}, {"event": "$merge"}]),
        st.dictionaries(st.sampled_from(["event", "events", "results", "properties"]), st.text(max_size=3)),
    ),
    max_size=8,
)


@given(items=items, way=st.sampled_from(WAYS), source=st.sampled_from(["import", "track"]))
def test_every_form_of_a_body_gives_the_answer_of_its_items(
    items: list[Any], way: str, source: Source
) -> None:
    if way == "lines" and (len(items) == 1 or not isinstance(next(iter(items), {}), dict)):
        way = "array"  # A body begins with an object or an array.
    by_body, by_events = Resolver(), Resolver()
    report = by_body.apply_body(body_of(items, way), source=source)
    wanted = by_events.apply_events([json.dumps(item) for item in items], source)
    assert (report.outcomes.tolist(), report.rows.tolist()) == (
        wanted.outcomes.tolist(),
        wanted.rows.tolist(),
    )
    assert state(by_body) == state(by_events)


def test_a_bad_item_is_malformed_in_its_row_and_the_others_count() -> None:
    r = Resolver()
    body = (
        b'[{"event": "a", "properties": {"distinct_id": "x"}}, 7, {"event": tru},\n'
        + json.dumps(MERGE).encode()
        + b"]"
    )
    report = r.apply_body(body)
    assert report.outcomes.tolist() == [Outcome.MALFORMED, Outcome.MALFORMED, Outcome.MERGED]
    assert report.rows.tolist() == [1, 2, 3]
    assert r.same("ana", "ben")
    lines = b'{"event": "a"}\n\n \n{"event": "$merge"}\n{"event"\n\xff\n'
    report = r.apply_body(lines)
    assert (report.outcomes.tolist(), report.rows.tolist()) == ([Outcome.MALFORMED] * 3, [1, 2, 3])


def test_long_bodies_are_read_in_pieces_whose_rows_go_on() -> None:
    items = [
        7,
        *({"event": "$merge", "properties": {"$distinct_ids": [f"a{i}", f"b{i}"]}} for i in range(30_000)),
    ]
    r = Resolver()
    report = r.apply_body(json.dumps(items).encode())
    assert report.outcomes.tolist() == [Outcome.MALFORMED, *[Outcome.MERGED] * 30_000]
    assert report.rows.tolist() == [*range(30_001)]
    assert r.same("a29999", "b29999")


def test_items_that_are_no_events_are_not_read_in_python() -> None:
    def step_of(item: Any) -> Any:
        raise AssertionError(f"{item} came to Python")

    reader = _core.EventReader(coded_rules("import", "original"), step_of, False, Kind.IDENTIFY)  # noqa: FBT003
    body = gzip.compress(b'[1, "a", [{}], null, {}, {"properties": {}}, {"event": "a"}]')
    outcomes, rows = Resolver()._take_body(reader, body, None, MAX_BODY)
    assert (outcomes.tolist(), rows.tolist()) == ([Outcome.MALFORMED] * 4, [0, 1, 2, 3])
    with pytest.raises(AssertionError, match="came to Python"):
        Resolver()._take_body(reader, b'[{"event": "$merge"}]', None, MAX_BODY)


def test_an_item_that_is_text_is_no_event_though_it_holds_one() -> None:
    assert Resolver().apply_body(json.dumps([json.dumps(MERGE)]).encode()).outcomes.tolist() == [
        Outcome.MALFORMED
    ]


def test_a_merge_is_for_the_import_alone() -> None:
    r = Resolver()
    body = json.dumps([IDENTIFY, MERGE]).encode()
    assert r.apply_body(body, source="track").outcomes.tolist() == [Outcome.MERGED, Outcome.MERGE_NOT_ALLOWED]
    assert r.apply_body(body, source="import").outcomes.tolist() == [Outcome.UNCHANGED, Outcome.MERGED]


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"", None, "the body is empty"),
        (b"secret", None, "the body is neither JSON nor a form with a field data"),
        (b"data=secret!", None, "neither JSON nor base64"),
        (b'[{"event": "$merge"', None, "the body is no JSON"),
        (b'[{"event": "a"}, {]', None, "the body is no JSON"),
        (gzip.compress(b"[{}]")[:-9], None, "the body's gzip is damaged or cut off"),
        (b"--b\r\n", "multipart/form-data; boundary=b", "multipart"),
        ("[{}] é".encode(), None, "the body is no JSON: 0 items are whole"),
        (b'{"status": "ok", "data": [{"event": "a"}]}', None, "an answer of a query API"),
        (b'{"batch": [{"type": "track", "userId": "a"}]}', None, "a batch of another product's calls"),
    ],
    ids=[
        "empty",
        "text",
        "no base64",
        "cut off",
        "brackets",
        "damaged gzip",
        "parts",
        "behind",
        "page",
        "calls",
    ],
)
def test_a_body_without_events_is_one_clear_error_and_applies_nothing(
    body: bytes, content_type: str | None, message: str
) -> None:
    r = Resolver()
    with pytest.raises(MalformedEventError, match=message) as caught:
        r.apply_body(body, content_type)
    assert "secret" not in str(caught.value)
    assert len(r) == len(r.stats().outcomes) == 0


def test_a_body_is_inflated_up_to_a_limit() -> None:
    r = Resolver()
    bomb = gzip.compress(b"[" + b" " * 2**20 + b"]")
    assert len(r.apply_body(bomb).outcomes) == 0
    for body in (bomb, b"data=" + quote(base64.b64encode(bomb)).encode(), b"[" + b" " * 2**20 + b"]"):
        with pytest.raises(MalformedEventError, match="more than 1000000 bytes"):
            r.apply_body(body, max_bytes=1_000_000)


def test_a_body_is_bytes_of_any_kind_and_no_text() -> None:
    r = Resolver()
    body = json.dumps(MERGE).encode()
    for kind in (bytes, bytearray, memoryview):
        assert r.apply_body(kind(body)).rows.tolist() == [0]
    with pytest.raises(TypeError, match="^body must be bytes, got str$"):
        r.apply_body(body.decode())  # type: ignore[arg-type]
    for most in (2**70, 2**64 - 1, 100):
        assert r.apply_body(body, max_bytes=most).rows.tolist() == [0]
    with pytest.raises(ValueError, match="max_bytes must be at least 0, got -1"):
        r.apply_body(body, max_bytes=-1)
    with pytest.raises(ValueError, match="source must be"):
        r.apply_body(body, source="file")  # type: ignore[arg-type]
