"""The same rows as lines, an array, long objects or pages are read alike (SPEC 11)."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from idmerge import Resolver
from idmerge.errors import FileFormatError
from idmerge.files import BadLine, EventBatch, LinkBatch, jsontext, read, read_updates, scan

FIELD = Path(__file__).parents[1] / "data" / "field"
D = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
ROWS = [
    {"event": "A }{", "properties": {"distinct_id": 'a"]', "x": [{"b": "\n"}]}},
    {"event": "$identify", "properties": {"distinct_id": "ana", "$anon_id": D}},
    {"event": "B", "properties": {}},
]


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


FORMS = {
    "lines": lines(ROWS),
    "lines after a mark of order": "\ufeff" + lines(ROWS),
    "array": json.dumps(ROWS),
    "printed array": json.dumps(ROWS, indent=2),
    "printed objects": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "printed objects with commas": ",\n".join(json.dumps(row, indent=2) for row in ROWS) + ",\n",
    "joined objects": "".join(map(json.dumps, ROWS)),
    "objects with commas": ", ".join(map(json.dumps, ROWS)),
    "page": json.dumps({"page": 0, "results": ROWS, "total": 3}),
    "printed page": json.dumps({"status": "ok", "results": {"events": ROWS}}, indent=1),
    "pages as lines": lines([{"page": place, "results": [row]} for place, row in enumerate(ROWS)]),
    "joined pages": "".join(json.dumps({"results": {"events": [row], "x": []}}) for row in ROWS),
    "pages, one of them empty": lines([{"results": ROWS[:2]}, {"results": []}, {"results": ROWS[2:]}]),
}
PACKED: dict[str, Callable[[bytes], Any]] = {
    "plain": io.BytesIO,
    "gzip": lambda text: io.BytesIO(gzip.compress(text)),
    "zstd": lambda text: io.BytesIO(pa.Codec("zstd").compress(text, asbytes=True)),
    "pipe": lambda text: io.BufferedReader(_Trickle(text)),
}


class _Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._rest.readinto(memoryview(buffer)[:7])


@pytest.mark.rule("11.containers")
@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("form", FORMS)
def test_the_same_rows_are_read_from_every_form(form: str, packing: str) -> None:
    content = FORMS[form].encode()
    (batch,) = read(PACKED[packing](content), name="f")
    assert isinstance(batch, EventBatch)
    assert (list(batch.lines), batch.events) == ([1, 2, 3], ROWS)
    resolver = Resolver()
    for piece in scan(PACKED[packing](content), name="f"):
        piece.apply_to(resolver)
    assert resolver.resolve(D) == resolver.resolve("ana")
    assert len(resolver) == 3


def error_of(content: bytes) -> str:
    messages = set()
    for way in (read, scan):
        with pytest.raises(FileFormatError) as caught:
            list(way(io.BytesIO(content), name="f"))
        messages.add(str(caught.value))
    (message,) = messages
    return message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n"event": "A"}\n5', "f:1: expected an object, got '5'"),
        (b'{\n"event": "A"}\n{"event": ', "f:2: the item is no JSON"),
        (b'{\n"event": "A"}\n{"event": tru}', "f:2: the item is no JSON"),
        (b'{"results": [{"event": "A"}', "f:1: expected a comma or the end of the array"),
        (b'{"results": [{"event": "A"}], "x": ', "f:2: the text ends within an object"),
        (b'{"results": [{"event": "A"}]} x', "f:2: expected an object, got 'x'"),
    ],
)
def test_damage_within_a_form_is_an_error_that_names_the_item(content: bytes, message: str) -> None:
    assert message in error_of(content)


def test_a_page_that_has_no_list_is_a_bad_line_that_names_its_keys() -> None:
    content = b'{"results": [{"event": "A", "properties": {}}]}\n{"error": "rate limit", "status": 429}\n'
    for way in (read, scan):
        _, bad = way(io.BytesIO(content), name="f")
        assert isinstance(bad, BadLine)
        assert bad.message.endswith("it has 'error', 'status'")


def test_a_first_line_that_is_cut_off_is_one_bad_line() -> None:
    content = b'{"event": "A", "properties": {"x": \n{"event": "B", "properties": {"distinct_id": "b"}}\n'
    for way in (read, scan):
        bad, batch = way(io.BytesIO(content), name="f")
        assert isinstance(bad, BadLine)
        assert (bad.line, len(batch)) == (1, 1)


def test_a_row_with_a_list_of_objects_is_no_page() -> None:
    row = {"results": [{"a": 1}], "event": "Search", "distinct_id": "a"}
    ((batch), *rest) = read(io.BytesIO(lines([row, row]).encode()), name="f")
    assert isinstance(batch, EventBatch)
    assert (rest, batch.events[0]["properties"]["results"]) == ([], [{"a": 1}])


ITEMS = [{"event": "a", "x": place} for place in range(9)]
LONG = [{"event": "a", "x": "x" * 100_000}]
SAME = [
    {"event": "Search", "distinct_id": "a", "results": ITEMS},
    {"data": ITEMS, "event": "Search", "distinct_id": "a"},
    {"data": LONG, "event": "Search", "distinct_id": "a"},
    {"events": LONG * 12, "event": "Search", "distinct_id": "a"},
    {"data": ITEMS, "event": "Search", "properties": {"distinct_id": "a"}},
    {"results": {"events": ITEMS}, "event_name": "Search", "distinct_id": "a"},
    {"data": ITEMS, "type": "RECORD", "record": {"event": "Search", "distinct_id": "a"}},
]


@pytest.mark.rule("11.containers")
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("row", SAME, ids=range(len(SAME)))
def test_an_event_with_a_list_is_no_page_however_long_or_printed(
    row: dict[str, Any], indent: int | None
) -> None:
    content = "\n".join([json.dumps(row, indent=indent)] * 2).encode()
    for packing in PACKED.values() if len(content) < 10_000 else [io.BytesIO]:
        (batch,) = read(packing(content), name="f")
        assert isinstance(batch, EventBatch)
        assert [event["event"] for event in batch.events] == ["Search"] * 2
        resolver = Resolver()
        pieces = list(scan(packing(content), name="f"))
        for piece in pieces:
            piece.apply_to(resolver)
        assert (sum(map(len, pieces)), resolver.members("a")) == (2, ["a"])


@pytest.mark.rule("11.containers")
@pytest.mark.parametrize(
    "columns",
    [{"event": "action", "distinct_id": "who"}, {"distinct_id": "who", "resolved_distinct_id": "to"}],
)
@pytest.mark.parametrize("is_page", [True, False])
def test_the_keys_that_the_caller_names_tell_a_row_from_a_page(
    columns: dict[str, str], *, is_page: bool
) -> None:
    row = {column: column for column in columns.values()}
    content = {"data": [row, row], "total": 2} if is_page else {"data": [row, row], **row}
    for way in (read, scan):
        (batch,) = way(io.BytesIO(json.dumps(content, indent=1).encode()), name="f", columns=columns)
        rows = batch.lines if isinstance(batch, LinkBatch) else batch
        assert len(rows) == (2 if is_page else 1)


@pytest.mark.rule("11.containers")
def test_an_object_with_an_id_and_no_name_of_an_event_is_refused_though_it_has_a_list() -> None:
    content = json.dumps({"distinct_id": "ana", "events": [{"x": 1}]}, indent=1).encode()
    assert "there are 'distinct_id', 'events'" in error_of(content)


@pytest.mark.rule("11.containers")
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("key", "columns"), [("distinct_id", None), ("DISTINCT_ID", None), ("uid", {"distinct_id": "uid"})]
)
def test_an_object_with_an_id_beside_a_list_of_events_is_a_page(
    key: str, columns: dict[str, str] | None, indent: int | None
) -> None:
    pages = [{key: "ana", "events": [ROWS[0], ROWS[1]]}, {key: "ben", "events": [ROWS[2]]}]
    content = "\n".join(json.dumps(page, indent=indent) for page in pages).encode()
    resolver = Resolver()
    pieces = list(scan(io.BytesIO(content), name="f", columns=columns))
    for piece in pieces:
        piece.apply_to(resolver)
    assert (sum(map(len, pieces)), sorted(resolver.members("ana"))) == (3, [D, "ana"])
    assert sum(map(len, read(io.BytesIO(content), name="f", columns=columns))) == 3


@pytest.mark.rule("11.containers")
@pytest.mark.parametrize("indent", [None, 1])
def test_an_update_with_a_list_of_events_is_an_update(indent: int | None) -> None:
    update = {"$distinct_id": "ana", "$set": {"a": 1}, "events": [ROWS[0]]}
    content = "\n".join([json.dumps(update, indent=indent)] * 2).encode()
    assert sum(map(len, read_updates(io.BytesIO(content)))) == 2


def test_a_page_that_is_cut_off_far_behind_its_beginning_is_a_page() -> None:
    content = json.dumps({"data": ROWS * 20_000}).encode()
    assert len(content) > jsontext.LOOKED_AT
    assert error_of(content[:-5]).startswith("f:60000: ")
    assert error_of(content[:-1]).startswith("f:60001: the text ends within an object")


def test_an_event_among_pages_is_a_bad_line_and_no_event_without_a_name() -> None:
    content = lines([{"results": ROWS}, ROWS[0]]).encode()
    for way in (read, scan):
        *_, bad = way(io.BytesIO(content), name="f")
        assert str(bad) == (
            "f:4: the object has no list of rows as the first one has; it has 'event', 'properties'"
        )


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"results": [' + b'{"event":1},' * 20_000,
        b"{\n" * 5_000,
        b'{"a":\n' * 5_000,
        b'{"' + b"k" * 500_000,
        b'{"a": [' * 100_000,
        b'{"event_name":1,' + b",".join(b'"mp_reserved_%d":1' % key for key in range(20_000)) + b"}\n",
        b'{"event_name":1,"properties":"' + b"\\\\" * 300_000,
        b'{"x": 1}\n' * 20_000,
    ],
)
def test_hostile_text_costs_bounded_memory(hostile: bytes) -> None:
    tracemalloc.start()
    try:
        for way in (read, scan):
            try:
                for _ in way(io.BytesIO(hostile), name="f"):
                    pass
            except FileFormatError:
                pass
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()


def test_the_form_is_found_by_a_bounded_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "LOOKED_AT", 1000)
    text = json.dumps({"event": "A", "properties": {str(key): key for key in range(500)}}, indent=1)
    (batch,) = read(io.BytesIO(f"{text}\n{text}".encode()), name="f")
    assert len(batch) == 2


# Files that people have


def resolved(name: str) -> Resolver:
    answers = []
    for way in (read, scan):
        resolver = Resolver()
        for piece in way(FIELD / name):
            assert not isinstance(piece, BadLine)
            piece.apply_to(resolver)
        answers.append(resolver)
    assert pa.table(answers[0].mapping()) == pa.table(answers[1].mapping())
    return answers[0]


@pytest.mark.parametrize(
    "name", ["mp_master_event.ndjson", "singer_flat.ndjson", "props_text.ndjson", "stream_query.json"]
)
def test_the_device_and_its_owner_are_one_person(name: str) -> None:
    resolver = resolved(name)
    assert resolver.resolve(f"$device:{D}") == resolver.resolve("ana") == "ana"


def test_a_pipelines_fields_are_known_by_their_raw_names() -> None:
    (batch,) = read(FIELD / "mp_master_event.ndjson")
    assert isinstance(batch, EventBatch)
    assert batch.events[2] == {
        "event": "Sign Up",
        "properties": {
            "plan": "free",
            "$device_id": D,
            "$user_id": "ana",
            "$insert_id": "aaa3",
            "distinct_id": "ana",
            "time": "2024-01-01T10:01:01+00:00",
        },
    }


@pytest.mark.rule("11.mappings", "11.rows of mappings")
def test_mappings_join_their_ids_without_guards_and_name_the_canonical_one() -> None:
    for way in (read, scan):
        (batch,) = way(FIELD / "mappings.ndjson")
        assert isinstance(batch, LinkBatch)
        assert list(batch.lines) == [1, 2, 3]
    resolver = resolved("mappings.ndjson")
    assert set(resolver.members("ana")) > {f"$device:{D}", "ana@example.com"}
    assert {resolver.resolve(text) for text in resolver.members("ana")} == {"ana"}


@pytest.mark.rule("11.rows of mappings")
def test_a_mapping_without_both_ids_is_a_bad_line() -> None:
    content = b'{"distinct_id": "a", "resolved_distinct_id": "b"}\n{"distinct_id": "a"}\n'
    content += b'{"distinct_id": "a", "resolved_distinct_id": {}}\n'
    for way in (read, scan):
        _, missing, wrong = way(io.BytesIO(content), name="f")
        assert "the object needs distinct_id and resolved_distinct_id; it has 'distinct_id'" in str(missing)
        assert "resolved_distinct_id must be" in str(wrong)


@pytest.mark.rule("11.people", "11.rows of people")
@pytest.mark.parametrize("name", ["engage.ndjson", "engage_page.json", "mp_people_data.ndjson", "people.csv"])
def test_exported_profiles_are_updates_that_set_their_properties(name: str) -> None:
    updates = [update for piece in read_updates(FIELD / name) for update in piece.events]  # type: ignore[union-attr]
    assert [update["$distinct_id"] for update in updates] == ["ana", f"$device:{D}", "ben"]
    prefix = "" if name == "mp_people_data.ndjson" else "$"
    assert updates[2]["$set"] == {f"{prefix}email": "ben@example.com", "plan": "free"}


@pytest.mark.rule("11.rows of people")
@pytest.mark.parametrize("name", ["engage.ndjson", "engage_page.json", "mp_people_data.ndjson"])
def test_exported_profiles_are_refused_as_events(name: str) -> None:
    assert "idmerge profiles" in error_of((FIELD / name).read_bytes())
