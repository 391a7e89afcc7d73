"""The raw export: each event once, on its day, under the canonical ID of its sender."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Policy, Resolver
from idmerge.errors import LogError
from idmerge.events import SENT_ID
from idmerge.server import app as app_module
from idmerge.server.app import App
from idmerge.server.http.answers import Answer
from idmerge.server.http.requests import Request
from idmerge.server.log.records import Record
from idmerge.server.reading.exporting import exported, query_of
from idmerge.server.server import Server
from idmerge.server.store.columns import columns_of, with_outcomes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from idmerge.policy import Api

DEVICE = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
NOON = int(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp())
WEEK = b"from_date=2026-11-27&to_date=2026-12-03"


def event(
    name: str = "View", time: Any = NOON, distinct_id: Any = "ana", **properties: Any
) -> dict[str, Any]:
    return {
        "event": name,
        "properties": {"token": "T", "time": time, "distinct_id": distinct_id, **properties},
    }


def record(*events: dict[str, Any], source: Any = "track", received: int = NOON * 1000) -> Record:
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in events)
    return Record("shop", "events", source, received, lines)


class Unsealed:
    """Events that are in no file."""

    files = ()

    def __init__(self, records: Sequence[Record], api: Api) -> None:
        table = columns_of([(one, number) for number, one in enumerate(records)], api)
        self._table = with_outcomes(table, {})

    def tail(self) -> Iterator[pa.Table]:
        yield self._table


def export(
    *records: Record, query: bytes = WEEK, api: Api = "original", zone: str | None = None
) -> list[dict[str, Any]]:
    resolver = Resolver(Policy.simplified() if api == "simplified" else None)
    for one in records:
        resolver.apply_body(one.lines, "application/x-ndjson", one.source)
    parts = exported(Unsealed(records, api), resolver, zone, query_of(Request("GET", "/export", query)))
    return [json.loads(line) for line in b"".join(parts).splitlines()]


def test_an_event_is_exported_as_it_was_sent_without_its_token() -> None:
    [found] = export(record(event(**{"$insert_id": "i", "plan": "pro", "emoji": "☃"})))
    assert found == {
        "event": "View",
        "properties": {
            "time": NOON,
            "distinct_id": "ana",
            "$insert_id": "i",
            "plan": "pro",
            "emoji": "☃",
            "mp_processing_time_ms": NOON * 1000,
        },
    }


def test_events_from_before_a_login_are_the_persons() -> None:
    login = {"$anon_id": DEVICE, "$identified_id": "ana"}
    found = export(record(event(distinct_id=DEVICE)), record(event("$identify", **login), event("Buy")))
    assert [(one["properties"]["distinct_id"], one["properties"].get(SENT_ID)) for one in found] == [
        ("ana", DEVICE),
        ("ana", None),
        ("ana", None),
    ]


def test_devices_and_users_of_simplified_id_merge() -> None:
    first = event(distinct_id=None, **{"$device_id": "d"})
    both = event(distinct_id=None, **{"$device_id": "d", "$user_id": "ana"})
    found = export(record(first), record(both), api="simplified")
    assert [(one["properties"]["distinct_id"], one["properties"].get(SENT_ID)) for one in found] == [
        ("ana", "$device:d"),
        ("ana", None),
    ]


def test_what_came_twice_is_exported_once() -> None:
    twice = event(**{"$insert_id": "i"})
    later = event(time=NOON + 1, **{"$insert_id": "i"})
    other = event(distinct_id="ben", **{"$insert_id": "i"})
    assert len(export(record(twice, later, other), record(twice), record(event(), event()))) == 5


@pytest.mark.parametrize(
    "time", [NOON, NOON * 1000, NOON + 0.25, "2026-11-30T12:00:00Z", "2026-11-30T13:00:00+01:00"]
)
def test_times_are_seconds(time: Any) -> None:
    [found] = export(record(event(time=time)))
    assert found["properties"]["time"] == NOON


@pytest.mark.parametrize("time", [None, True, "yesterday", [], -1, 1e300])
def test_an_event_without_a_time_has_that_of_its_receipt(time: Any) -> None:
    [found] = export(record(event(time=time), received=(NOON + 5) * 1000 + 1))
    assert found["properties"]["time"] == NOON + 5


@pytest.mark.parametrize(
    ("zone", "hours", "count"),
    [
        (None, [-1, 24], 0),
        (None, [0, 23], 2),
        ("Asia/Kolkata", [-6, 19], 0),
        ("Asia/Kolkata", [-5, 18], 2),
    ],
)
def test_days_begin_in_the_projects_time_zone(zone: str | None, hours: list[int], count: int) -> None:
    midnight = NOON - 12 * 3600
    day = b"from_date=2026-11-30&to_date=2026-11-30"
    events = [event(time=midnight + hour * 3600) for hour in hours]
    assert len(export(record(*events), query=day, zone=zone)) == count


@pytest.mark.parametrize("zone", [None, "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_days_may_be_all_there_are(zone: str | None) -> None:
    sent = record(event(), event(time=0), event(time=253_402_000_000))
    assert len(export(sent, query=b"from_date=0001-01-01&to_date=9999-12-31", zone=zone)) == 3


def test_names_and_a_limit() -> None:
    records = record(event("A"), event("B"), event("A"))
    names = WEEK + b"&event=%5B%22A%22%5D"
    assert [one["event"] for one in export(records, query=names)] == ["A", "A"]
    assert [one["event"] for one in export(records, query=WEEK + b"&limit=2")] == ["A", "B"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"", "from_date must be a date, as in 2026-11-30"),
        (b"from_date=2026-11-30", "to_date must be a date, as in 2026-11-30"),
        (b"from_date=2026-11-30&to_date=2026-11-29", "to_date must be no earlier than from_date"),
        (WEEK + b"&event=A", 'event must be a JSON list of names, as in ["Log In"]'),
        (WEEK + b"&event=[5]", 'event must be a JSON list of names, as in ["Log In"]'),
        (WEEK + b"&limit=0", "limit must be a number from 1 to 100000"),
        (WEEK + b"&limit=100001", "limit must be a number from 1 to 100000"),
    ],
)
def test_a_wrong_query_is_named(query: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        query_of(Request("GET", "/export", query))


names = st.sampled_from(["View", "Buy", "$identify"])
ids = st.sampled_from([DEVICE, "ana", "ben", 17, None, ""])


@given(st.lists(st.tuples(names, ids, ids, st.integers(-3, 3), st.booleans()), max_size=12))
def test_every_event_of_the_days_is_exported_under_its_person(
    sent: list[tuple[str, Any, Any, int, bool]],
) -> None:
    events = [
        event(name, NOON + days * 86400, own, **{"$anon_id": device, "$identified_id": own})
        for name, own, device, days, _ in sent
    ]
    records = [
        record(one, source="import" if by_import else "track")
        for one, (*_, by_import) in zip(events, sent, strict=True)
    ]
    found = export(*records)
    assert len(found) == len(events)
    resolver = Resolver()
    for one in records:
        resolver.apply_body(one.lines, "application/x-ndjson", one.source)
    for one, exported_one in zip(events, found, strict=True):
        own = one["properties"]["distinct_id"]
        if own is not None:
            assert exported_one["properties"]["distinct_id"] == resolver.resolve(own)
            assert exported_one["properties"].get(SENT_ID, str(own)) == str(own)


def asked(server: Server, query: bytes, user: str, **headers: str) -> tuple[int, dict[bytes, bytes], bytes]:
    answers: list[dict[str, Any]] = []
    came = False

    async def receive() -> dict[str, Any]:
        nonlocal came
        if came:
            await asyncio.sleep(60)
        came = True
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    credentials = b"Basic " + base64.b64encode(f"{user}:".encode())
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/2.0/export",
        "query_string": query,
        "headers": [
            (b"authorization", credentials),
            *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()),
        ],
    }
    asyncio.run(App(server)(scope, receive, send))
    body = b"".join(one["body"] for one in answers[1:])
    return answers[0]["status"], dict(answers[0]["headers"]), body


def test_a_server_exports_what_is_in_its_log_to_who_has_the_secret(tmp_path: Path) -> None:
    with Server(tmp_path / "served") as server:
        [project] = server.projects
        many = [event(f"E{number}", plan="x" * 100) for number in range(2000)]
        server.log.append_now([record(*many)._replace(project=project.name)])
        status, _, body = asked(server, WEEK, project.secret)
        assert status == 200
        assert [json.loads(line)["event"] for line in body.splitlines()] == [one["event"] for one in many]
        status, headers, packed = asked(server, WEEK, project.secret, accept_encoding="gzip, br")
        assert headers[b"content-encoding"] == b"gzip"
        assert gzip.decompress(packed) == body
        assert asked(server, b"", project.secret)[0] == 400
        for user in (project.token, "", "other"):
            status, _, body = asked(server, WEEK, user)
            assert status == 401
            assert project.secret.encode() not in body


def test_an_answer_that_meets_damage_is_cut_off_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def damaged() -> Iterator[bytes]:
        yield b"first"
        raise LogError("events/1.parquet is damaged")

    monkeypatch.setattr(app_module, "read", lambda *_: Answer(200, damaged()))
    # Its own passes nothing on once uvicorn has been set up in this process.
    monkeypatch.setattr(app_module, "_LOGGER", logging.getLogger("cut-off"))
    messages: list[Any] = []
    scope = {"type": "http", "method": "GET", "path": "/export", "query_string": b"", "headers": []}

    async def receive() -> Any:
        if not messages:
            return {"type": "http.request", "body": b"", "more_body": False}
        return await asyncio.Future()

    async def send(message: Any) -> None:
        messages.append(message)

    with Server(tmp_path) as server:
        asyncio.run(App(server)(scope, receive, send))
    assert [message.get("more_body") for message in messages] == [None, True]
    assert "cut off: events/1.parquet is damaged" in caplog.text
    assert all(record.exc_info is None for record in caplog.records)
