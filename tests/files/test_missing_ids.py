"""Events of JSON without a key that holds an ID are refused, as tables are (SPEC 11)."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv

import idmerge
from command_line import ndjson, run
from idmerge.errors import FileFormatError
from idmerge.events import HOT_SHARD
from idmerge.files import BadLine, read, scan
from strategies import D1

TRACKED = {"anonymous_id": "a1", "user_id": "u1", "event": "Buy", "timestamp": "2024-01-01"}
SHAPES = {
    "anonymous": (TRACKED, "anonymous_id"),
    "GA4": ({"event_name": "buy", "user_pseudo_id": "a1", "event_timestamp": 1}, "user_pseudo_id"),
    "user": ({"event": "Buy", "user_id": "u1", "time": 1_700_000_000}, "user_id"),
    "unknown keys": ({"event": "Buy", "uid": "u1", "at": 1}, "uid"),
    "connector": ({"name": "Buy", "user_id": "u1", "insert_id": "i"}, "user_id"),
    "message": ({"type": "RECORD", "record": {"event": "Buy", "uid": "u1"}}, "uid"),
}
COMMANDS = {
    "resolve": ["resolve", "e.ndjson"],
    "resolve sorted": ["resolve", "e.ndjson", "--sort"],
    "stitch": ["stitch", "e.ndjson", "-o", "out.csv"],
    "stitch sorted": ["stitch", "e.ndjson", "-o", "out.csv", "--sort"],
    "stitch with a journal": ["stitch", "e.ndjson", "-o", "out.parquet", "--journal", "ids"],
    "ask": ["ask", "signup-rate", "e.ndjson"],
    "show": ["show", "u1", "e.ndjson"],
    "doctor": ["doctor", "e.ndjson"],
    "profiles": ["profiles", "--events", "e.ndjson", "updates.ndjson"],
}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(row: dict[str, Any], key: str) -> str:
    names = ", ".join(map(repr, row.get("record", row)))
    return (
        f"events need the column distinct_id or properties; there are {names}. "
        f'Say which it is: columns={{"distinct_id": "{key}"}}, or --column distinct_id={key}'
    )


@pytest.mark.rule("11.nothing by default")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_events_without_ids_and_names_the_option(command: str) -> None:
    Path("e.ndjson").write_bytes(ndjson([TRACKED] * 3))
    Path("updates.ndjson").write_bytes(ndjson([{"$distinct_id": "u1", "$set": {"a": 1}}]))
    if "journal" in command:
        idmerge.DurableResolver.open("ids").close()
    result = run(*COMMANDS[command], code=1)
    (error,) = [line for line in result.stderr.splitlines() if "events need" in line]
    assert error.endswith(refusal(TRACKED, "anonymous_id"))
    assert not {path.name for path in Path().iterdir()} & {"out.csv", "out.parquet"}


@pytest.mark.rule("11.nothing by default")
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_refused_in_the_words_of_tables_and_read_with_the_option(shape: str) -> None:
    row, key = SHAPES[shape]
    Path("e.ndjson").write_bytes(ndjson([row] * 2))
    messages = set()
    for call in (
        lambda: list(read("e.ndjson")),
        lambda: list(scan("e.ndjson")),
        lambda: list(scan(io.BytesIO(json.dumps([row] * 2).encode()), name="e.ndjson")),
        lambda: idmerge.stitch("e.ndjson"),
    ):
        with pytest.raises(FileFormatError) as caught:
            call()
        messages.add(str(caught.value))
    assert messages == {f"e.ndjson: {refusal(row, key)}"}
    if "event" in row:
        csv.write_csv(pa.Table.from_pylist([row]), "e.csv")
        with pytest.raises(FileFormatError) as caught:
            list(scan("e.csv"))
        assert str(caught.value) == f"e.csv: {refusal(row, key)}"
    resolver = idmerge.Resolver()
    for piece in scan("e.ndjson", columns={"distinct_id": key}):
        piece.apply_to(resolver)
    assert len(resolver) == 1


LATER = [{**TRACKED, "distinct_id": "d"}, {"event": "$identify", "anon_id": D1, "identified_id": "u"}]


@pytest.mark.rule("11.nothing by default")
@pytest.mark.parametrize("later", [*LATER, {**TRACKED, "distinct_id": {"a": 1}}], ids=range(3))
@pytest.mark.parametrize("before", [1, 99, 100, 30_000])
def test_an_id_that_comes_late_is_enough(later: dict[str, Any], before: int) -> None:
    content = ndjson([TRACKED] * before + [later])
    for way in (read, scan):
        pieces = list(way(io.BytesIO(content), name="f"))
        assert sum(map(len, pieces)) == before + 1
    Path("e.ndjson").write_bytes(content)
    if isinstance(later.get("distinct_id", "u"), str):
        (own,) = {"d", "u"} & set(resolved(content))
        assert f"{own}," in run("resolve", "e.ndjson", "--sort").stdout
    else:
        assert "1 event has an ID that is neither" in run("resolve", "e.ndjson", "--sort").stderr


def resolved(content: bytes, **arguments: Any) -> list[str]:
    """Return the IDs that both ways find in ``content``."""
    found = []
    for way in (read, scan):
        resolver = idmerge.Resolver()
        for piece in way(io.BytesIO(content), name="f", **arguments):
            piece.apply_to(resolver)
        found.append(pa.table(resolver.mapping()).column("distinct_id").to_pylist())
    assert found[0] == found[1]
    return found[0]


@pytest.mark.rule("11.found")
@pytest.mark.parametrize("first", [{"event": "A", "a": 1}, {"event": "A", "time": 5}], ids=range(2))
def test_ids_behind_many_events_without_are_read(first: dict[str, Any]) -> None:
    assert resolved(ndjson([first] * 150 + [{"event": "B", "distinct_id": "u"}])) == ["u"]
    bare = {"event": "A"}
    assert resolved(ndjson([bare, *[first] * 150, {"event": "B", "distinct_id": "u"}])) == ["u"]
    nested = {"event": "B", "properties": {"distinct_id": "u"}}
    assert resolved(ndjson([first] * 150 + [nested])) == ["u"]


@pytest.mark.rule("11.nothing by default")
@pytest.mark.parametrize(
    "row",
    [
        {"event": "Cron ran", "time": 5},
        {"event": "Cron ran", "host": "a", "id": 7, "uuid": "x"},
        {"event_name": "cron", "event_timestamp": 1},
        {"type": "RECORD", "record": {"event": "Cron ran", "host": "a"}},
    ],
    ids=range(4),
)
def test_events_of_no_user_are_read_beside_those_of_users(row: dict[str, Any]) -> None:
    Path("cron.ndjson").write_bytes(ndjson([row] * 3))
    Path("other.ndjson").write_bytes(ndjson([{"event": "A", "distinct_id": "u"}]))
    for files in (["cron.ndjson", "other.ndjson"], ["other.ndjson", "cron.ndjson"]):
        result = run("resolve", *files)
        assert "u,u,1" in result.stdout
        assert "4 events" in result.stderr
        assert "has an ID" not in result.stderr


@pytest.mark.rule("11.nothing by default")
@pytest.mark.parametrize(
    "choice", [{"dialect": "flat"}, {"dialect": "mixpanel"}, {"columns": {"distinct_id": "user_id"}}], ids=str
)
def test_a_dialect_or_an_id_that_the_caller_names_is_never_refused_for_lack_of_ids(
    choice: dict[str, Any],
) -> None:
    assert resolved(ndjson([{"event": "A", "uid": "a1"}] * 3), **choice) == []


@pytest.mark.parametrize(
    "row",
    [
        {"event": "Buy"},
        {"event": "Buy", "properties": {"time": 1, "user_id": "u"}},
        {"event": "Buy", "distinct_id": "", "uid": "u"},
        {"event": "Buy", "distinct_id": None, "uid": "u"},
    ],
    ids=range(4),
)
def test_events_with_a_place_for_an_id_or_with_a_name_alone_are_read(row: dict[str, Any]) -> None:
    for way in (read, scan):
        assert sum(map(len, way(io.BytesIO(ndjson([row] * 2)), name="f"))) == 2


def test_the_dialect_is_that_of_the_first_event_with_a_place_for_an_id() -> None:
    content = ndjson([{"event": "A", "at": 1}, {"event": "B", "distinct_id": "b"}])
    resolver = idmerge.Resolver()
    for piece in scan(io.BytesIO(content), name="f"):
        piece.apply_to(resolver)
    assert resolver.members("b") == ["b"]


@pytest.mark.rule("11.nothing by default")
@pytest.mark.parametrize(
    ("rows", "keys"),
    [
        ([{"a": 1}, {"b": 1, "a": 2}, {"action": 1}], "'a', 'b', 'action'"),
        ([{f"k{place}": 1} for place in range(14)], "'k9', 'k10', 'k11' and 2 more"),
        ([{"event": "A", "x": 1}, {"event": "A", "uid": 1}], "'event', 'x', 'uid'. Say"),
    ],
)
def test_a_refusal_names_the_keys_of_all_rows_that_were_looked_at(
    rows: list[dict[str, Any]], keys: str
) -> None:
    with pytest.raises(FileFormatError) as caught:
        list(scan(io.BytesIO(ndjson(rows)), name="f"))
    assert keys in str(caught.value)


def test_what_is_wrong_behind_the_first_events_is_told_behind_them() -> None:
    content = b"[" + ndjson([TRACKED]).strip() + b', {"event": "B", "distinct_id": "b"}, oops]'
    for way in (read, scan):
        pieces = way(io.BytesIO(content), name="f")
        with pytest.raises(FileFormatError, match="f:3: the item is no JSON: Expecting value"):
            assert not any(isinstance(piece, BadLine) for piece in pieces)
    damaged = b'{"results": [' + ndjson([TRACKED]).strip() + b"]} x"
    for way in (read, scan):
        with pytest.raises(FileFormatError, match="f:2: expected an object, got 'x'"):
            list(way(io.BytesIO(damaged), name="f"))


def test_the_fault_behind_events_without_ids_is_the_first_one_of_the_stream() -> None:
    whole = gzip.compress(ndjson([{"event": "A", "a": 1}]))
    for damaged, fault in ((whole[:-8] + bytes(8), "CRC check failed"), (whole + b"junk", r"\(b'ju'\)")):
        for way in (read, scan):
            with pytest.raises(FileFormatError, match=f"^f:2: .*{fault}"):
                list(way(io.BytesIO(damaged), name="f"))


def of_hot_shard(sent: Any, name: Any = "A") -> dict[str, Any]:
    own = {"distinct_id": "$hotshard:7", "mp_original_event_name": name, "mp_original_distinct_id": sent}
    return {"event": HOT_SHARD, "properties": own}


@pytest.mark.parametrize(
    ("event", "has_id", "is_odd"),
    [
        (of_hot_shard("u"), True, False),
        (of_hot_shard(None), False, False),
        (of_hot_shard([1]), True, True),
        (of_hot_shard([1], "$identify"), True, False),
        (of_hot_shard(None, "$identify"), True, False),
    ],
    ids=range(5),
)
def test_the_id_of_a_hot_shard_is_that_of_the_event_it_stands_for(
    event: dict[str, Any], *, has_id: bool, is_odd: bool
) -> None:
    content = ndjson([event])
    for way in (read, scan):
        (piece,) = way(io.BytesIO(content), name="f")
        assert (piece.has_ids(), [*piece.odd_ids()]) == (has_id, [1] * is_odd)
