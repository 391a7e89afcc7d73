"""Mappings over HTTP: lines of one state, the feed of changes, and what joins two IDs."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from idmerge.server.http.requests import MAX_FIELD, Request
from idmerge.server.log.records import Record
from idmerge.server.reading.mappings import POSITION, mapping_of
from idmerge.server.reading.routes import read
from idmerge.server.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from idmerge.server.http.answers import Answer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "shop") as opened:
        yield opened


def keep(server: Server, *events: dict[str, Any]) -> None:
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    server.log.append_now([Record("main", "events", "import", 1_700_000_000_000, lines)])
    assert server.pipeline.drain(60)


def merge(first: str, second: str) -> dict[str, Any]:
    return {"event": "$merge", "properties": {"$distinct_ids": [first, second]}}


def alias(name: str, distinct_id: str) -> dict[str, Any]:
    return {"event": "$create_alias", "properties": {"distinct_id": distinct_id, "alias": name}}


def view(distinct_id: str) -> dict[str, Any]:
    return {"event": "View", "properties": {"distinct_id": distinct_id}}


def get(server: Server, path: str, *, headers: dict[bytes, bytes] | None = None) -> Answer:
    secret = server.projects[0].secret
    given = {b"authorization": b"Basic " + base64.b64encode(f"{secret}:".encode()), **(headers or {})}
    path, _, query = path.partition("?")
    return read(Request("GET", path, query.encode(), given), server)


def lines(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in b"".join(answer.body).splitlines()]  # type: ignore[arg-type]


def position(answer: Answer) -> int:
    return int(dict(answer.headers)[POSITION])


def test_each_known_id_has_a_line(server: Server) -> None:
    keep(server, merge("ana", "crm-17"), view("bén ☃\n"))
    answer = get(server, "/api/ids")
    assert lines(answer) == [
        {"distinct_id": "ana", "canonical_id": "ana"},
        {"distinct_id": "crm-17", "canonical_id": "ana"},
        {"distinct_id": "bén ☃\n", "canonical_id": "bén ☃\n"},
    ]
    packed = get(server, "/api/ids/", headers={b"accept-encoding": b"gzip"})
    assert ("Content-Encoding", "gzip") in packed.headers
    assert gzip.decompress(b"".join(packed.body)) == b"".join(get(server, "/api/ids").body)  # type: ignore[arg-type]


def test_the_feed_begins_where_the_last_answer_ended(server: Server) -> None:
    keep(server, merge("ana", "crm-17"))
    first = get(server, "/api/ids")
    keep(server, merge("ben", "crm-18"), merge("ben", "ana"), view("carla"))
    feed = get(server, f"/api/ids?since={position(first)}")
    folded = {row["distinct_id"]: row["canonical_id"] for row in lines(first)}
    folded |= {row["distinct_id"]: row["new_canonical_id"] for row in lines(feed)}
    now = get(server, "/api/ids")
    whole = {row["distinct_id"]: row["canonical_id"] for row in lines(now)}
    assert {name: folded.get(name, name) for name in whole} == whole
    assert position(feed) == position(now)
    assert lines(get(server, f"/api/ids?since={position(now)}")) == []


@pytest.mark.parametrize("since", ["", "-1", "x", "2", "1e3", "9" * 19, "9" * 1000, "\u0662"])
def test_a_position_that_is_none_is_refused(server: Server, since: str) -> None:
    keep(server, merge("ana", "crm-17"))
    answer = get(server, f"/api/ids?since={quote(since)}")
    assert answer.status == 400
    assert b"since must be a position from 0 to 1" in answer.body  # type: ignore[operator]


def test_nothing_is_applied_between_a_mapping_and_its_position(server: Server) -> None:
    keep(server, merge("ana", "crm-17"))
    line = json.dumps(merge("ben", "crm-18")).encode() + b"\n"
    with server.still("main") as resolver:
        server.log.append_now([Record("main", "events", "import", 0, line)])
        assert not server.pipeline.drain(0.3)
        found = mapping_of(resolver, None)
        assert (found.position, found.table.num_rows) == (1, 2)
    assert server.pipeline.drain(60)
    assert position(get(server, "/api/ids")) == 2


def test_feeds_that_are_taken_while_links_come_fold_to_the_mapping(server: Server) -> None:
    done = threading.Event()

    def send() -> None:
        for number in range(60):
            keep(server, merge(f"user {number % 7}", f"user {number}"), alias(f"a{number}", f"user {number}"))
        done.set()

    sender = threading.Thread(target=send)
    sender.start()
    answer = get(server, "/api/ids")
    folded = {row["distinct_id"]: row["canonical_id"] for row in lines(answer)}
    is_last = False
    while not is_last:
        is_last = done.is_set()
        answer = get(server, f"/api/ids?since={position(answer)}")
        folded |= {row["distinct_id"]: row["new_canonical_id"] for row in lines(answer)}
    sender.join()
    whole = {row["distinct_id"]: row["canonical_id"] for row in lines(get(server, "/api/ids"))}
    assert {name: folded.get(name, name) for name in whole} == whole


def test_what_joins_two_ids_or_stands_between_them(server: Server) -> None:
    keep(server, alias("crm 17", "ana"), alias("crm 17", "ben"), merge("ana", "carla"))

    def asked(distinct_id: str, other: str) -> dict[str, Any]:
        answer = get(server, f"/api/ids/{distinct_id}?with={quote(other)}")
        assert answer.status == 200
        found: dict[str, Any] = json.loads(answer.body)  # type: ignore[arg-type]
        return found

    together = asked("carla", "crm 17")
    assert together["together"]
    assert together["with"] == {"distinct_id": "crm 17", "known": True, "canonical_id": "crm 17"}
    assert [(link["kind"], link["first"], link["second"]) for link in together["links"]] == [
        ("MERGE", "ana", "carla"),
        ("ALIAS", "crm 17", "ana"),
    ]
    assert together["rejected"] == []
    apart = asked("ben", "crm 17")
    assert (apart["together"], apart["links"]) == (False, [])
    assert [link["outcome"] for link in apart["rejected"]] == ["ALIAS_TAKEN"]
    unknown = asked("ana", "nobody")
    assert (unknown["together"], unknown["with"]["known"]) == (False, False)
    assert asked("ana", "ana")["together"]


def test_an_id_that_is_too_long_for_a_field_is_not_passed_over(server: Server) -> None:
    answer = get(server, f"/api/ids/ana?with={'x' * MAX_FIELD}")
    assert answer.status == 400
    assert b"'with' has too many bytes" in answer.body  # type: ignore[operator]


@pytest.mark.parametrize("path", ["/api/ids", "/api/ids/", "/api/ids?since=0", "/api/ids/ana?with=ben"])
def test_reading_takes_the_secret(server: Server, path: str) -> None:
    wrong = {b"authorization": b"Basic " + base64.b64encode(f"{server.projects[0].token}:".encode())}
    assert get(server, path, headers=wrong).status == 401
