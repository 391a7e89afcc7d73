"""The activity feed: the newest events of people, from files and the log, as a scan finds them."""

from __future__ import annotations

import base64
import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import Resolver
from idmerge.server.http.requests import Request
from idmerge.server.log.records import Record
from idmerge.server.reading.feed import FeedQuery, feed, feed_query_of
from idmerge.server.reading.routes import read
from idmerge.server.server import Server
from idmerge.server.store import files, index
from stored_by_hand import NOON, expected, exported_by

if TYPE_CHECKING:
    from pathlib import Path

    from idmerge.server.http.answers import Answer

PATIENCE = 20
IDS = ["ana", "ben", "zoe", "phone", "crm-17"]


def record(*events: dict[str, Any]) -> Record:
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    return Record("main", "events", "import", NOON * 1000, lines)


def view(distinct_id: str, time: int = NOON, **own: Any) -> dict[str, Any]:
    return {"event": "View", "properties": {"distinct_id": distinct_id, "time": time, **own}}


def merge(first: str, second: str) -> dict[str, Any]:
    properties = {"distinct_id": first, "$distinct_ids": [first, second], "time": NOON}
    return {"event": "$merge", "properties": properties}


def asked(server: Server, path: str, fields: bytes = b"", method: str = "GET", key: str = "") -> Answer:
    user = key or server.projects[0].secret
    headers = {b"authorization": b"Basic " + base64.b64encode(f"{user}:".encode())}
    body = fields if method == "POST" else b""
    return read(Request(method, path, b"" if body else fields, headers, body), server)


def _with_number(event: dict[str, Any], number: int) -> dict[str, Any]:
    return {**event, "properties": {**event["properties"], "number": number}}


events = st.one_of(
    st.builds(view, st.sampled_from(IDS), st.integers(NOON - 3, NOON + 3)),
    st.builds(merge, st.sampled_from(IDS), st.sampled_from(IDS)),
)


@given(
    st.lists(st.tuples(st.lists(events, min_size=1, max_size=6), st.booleans()), max_size=5),
    st.lists(st.sampled_from([*IDS, "nobody"]), min_size=1, max_size=3),
    st.integers(1, 12),
    st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_a_feed_has_the_newest_events_of_its_people(
    tmp_path_factory: pytest.TempPathFactory,
    sent: list[tuple[list[dict[str, Any]], bool]],
    wanted: list[str],
    limit: int,
    has_collisions: bool,  # noqa: FBT001 - drawn
) -> None:
    with pytest.MonkeyPatch.context() as patch, Server(tmp_path_factory.mktemp("served")) as server:
        patch.setattr(files, "GROUP", 2)
        patch.setattr(files, "GROUPS_AT_ONCE", 2)
        if has_collisions:
            patch.setattr(index, "hash_of", lambda distinct_id: len(distinct_id) % 2)
        came = [record(*(_with_number(event, place) for place, event in enumerate(some))) for some, _ in sent]
        for one, (_, is_sealed) in zip(came, sent, strict=True):
            server.log.append_now([one])
            if is_sealed:
                assert server.pipeline.drain(PATIENCE)
                server.store.seal()
        assert server.pipeline.drain(PATIENCE)
        found = feed(server.events("main"), server.resolver("main"), None, FeedQuery(wanted, None, limit))
    resolver = Resolver()
    for one in came:
        resolver.apply_body(one.lines, "application/x-ndjson")
    people = {resolver.resolve(one) for one in wanted}
    of_people = [one for one in expected(came) if one["properties"].get("distinct_id") in people]
    newest = sorted(of_people, key=lambda one: one["properties"]["time"])[::-1]
    assert found == newest[:limit]


def test_the_feed_is_answered_by_get_and_post_with_the_secret(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        many = [view(f"device-{number}-{'x' * 30}", NOON + number) for number in range(200)]
        links = [
            merge(many[0]["properties"]["distinct_id"], one["properties"]["distinct_id"]) for one in many
        ]
        server.log.append_now([record(*many, *links)])
        assert server.pipeline.drain(PATIENCE)
        ids = [one["properties"]["distinct_id"] for one in many]
        for asking in (ids[:1], ids):
            form = urlencode({"distinct_ids": json.dumps(asking), "limit": 5}).encode()
            for answer in (
                asked(server, "/api/query/stream/query", form),
                asked(server, "/api/2.0/stream/query/", form, method="POST"),
            ):
                assert (answer.status, answer.content_type) == (200, "application/json")
                assert isinstance(answer.body, bytes)
                found = json.loads(answer.body)
                assert found["status"] == "ok"
                times = [one["properties"]["time"] for one in found["results"]["events"]]
                assert times == [NOON + number for number in range(199, 194, -1)]
        day = b"&from_date=2026-11-29&to_date=2026-11-29"
        answer = asked(server, "/api/query/stream/query", b"distinct_ids=%5B%22ana%22%5D" + day)
        assert answer.body == b'{"status":"ok","results":{"events":[]}}'
        server.log.append_now([record(view("ana", half="\ud83d"))])
        answer = asked(server, "/api/query/stream/query", b"distinct_ids=%5B%22ana%22%5D")
        assert isinstance(answer.body, bytes)
        assert b'"half":"\\ud83d"' in answer.body
        assert asked(server, "/api/query/stream/query", key=server.projects[0].token).status == 401
        assert asked(server, "/api/2.0/export", method="POST").status == 405


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"", 'distinct_ids must be a JSON list of IDs, as in ["ada@example.com"]'),
        (b"distinct_ids=ana", "distinct_ids must be a JSON list of IDs"),
        (b"distinct_ids=%5B%5D", "distinct_ids must be a JSON list of IDs"),
        (b"distinct_ids=%5B5%5D", "distinct_ids must be a JSON list of IDs"),
        (b"distinct_ids=%5B%22a%22%5D&limit=0", "limit must be a number from 1 to 10000"),
        (b"distinct_ids=%5B%22a%22%5D&to_date=2026-11-30", "from_date must be a date"),
        (b"distinct_ids=" + json.dumps(["a"] * 1001).encode(), "must have at most 1000 IDs, got 1001"),
    ],
)
def test_a_wrong_query_is_named(query: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        feed_query_of(Request("GET", "/api/query/stream/query", query))


def test_an_id_is_forgotten_by_its_secret_alone(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([record(view("ana"), view("phone"), merge("ana", "phone"), view("ben"))])
        assert server.pipeline.drain(PATIENCE)
        assert asked(server, "/api/ids/phone", method="DELETE", key=server.projects[0].token).status == 401
        for nothing in ("/api/ids", "/api/ids/"):
            assert asked(server, nothing, method="DELETE").status == 405
        assert server.resolver("main").members("ana") == ["ana", "phone"]
        answer = asked(server, "/api/ids/phone", method="DELETE")
        assert answer.body == b'{"distinct_id":"phone","was_known":true,"events":2,"is_wiped":true}'
        again = asked(server, "/api/ids/phone", method="DELETE")
        assert again.body == b'{"distinct_id":"phone","was_known":false,"events":0,"is_wiped":true}'
        assert server.resolver("main").members("ana") == ["ana"]
        server.log.append_now([record(view("phone"))])
        assert server.pipeline.drain(PATIENCE)
        assert server.resolver("main").members("phone") == ["phone"]


def test_what_comes_while_an_id_is_forgotten_is_forgotten_or_stays_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
    with Server(tmp_path) as server:
        forget = server.pipeline.forget

        def forget_between(*arguments: Any) -> Any:
            server.log.append_now([record(view(phone, plan="before"))])
            done = forget(*arguments)
            server.log.append_now([record(view(phone, plan="after"))])
            return done

        monkeypatch.setattr(server.pipeline, "forget", forget_between)
        assert server.forget("main", phone) == (True, 1, True)
        [found] = exported_by(server)
        assert found["properties"]["plan"] == "after"
        assert phone in server.resolver("main")
        assert b"before" not in b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir())


@pytest.mark.parametrize("stated", ["17", '"17"', "1.7e1", "17.0", '"\\u00317"'])
def test_links_that_name_a_forgotten_id_in_another_spelling_are_removed(tmp_path: Path, stated: str) -> None:
    line = b'{"event":"$merge","properties":{"distinct_id":"ana","$distinct_ids":["ana",%s]}}\n'
    with Server(tmp_path) as server:
        server.log.append_now([record()._replace(lines=line % stated.encode())])
        assert server.pipeline.drain(PATIENCE)
        assert server.resolver("main").resolve("17") == "ana"
        assert server.forget("main", "17") == (True, 1, True)


def test_one_id_is_forgotten_at_a_time_and_keeps_no_thread_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(tmp_path) as server:
        forget = server.pipeline.forget
        statuses: list[int] = []

        def forget_meanwhile(*arguments: Any) -> Any:
            other = threading.Thread(
                target=lambda: statuses.append(asked(server, "/api/ids/ana", method="DELETE").status)
            )
            other.start()
            other.join(PATIENCE)
            return forget(*arguments)

        monkeypatch.setattr(server.pipeline, "forget", forget_meanwhile)
        assert asked(server, "/api/ids/ben", method="DELETE").status == 200
        assert statuses == [503]


def test_a_name_that_is_forgotten_is_in_no_file(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        canonical, other = "0b0f7d52-canonical", "ana"
        server.log.append_now([record(view(canonical), merge(canonical, other), view(other))])
        assert server.pipeline.drain(PATIENCE)
        server.store.seal()
        assert server.resolver("main").resolve(other) == canonical
        assert server.forget("main", canonical).events == 2
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert canonical.encode() not in content
