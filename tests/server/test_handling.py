"""Requests that are wrong, too large or of nobody: one clear answer, and nothing of them is kept."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge.errors import BusyError
from idmerge.files.times import milliseconds
from idmerge.server import app as app_module
from idmerge.server.app import App
from idmerge.server.counts import Counts
from idmerge.server.http.requests import MAX_BYTES, MAX_FIELD, Request
from idmerge.server.log.records import Record
from idmerge.server.pipeline import Lag
from idmerge.server.server import Server
from idmerge.server.writing.admission import MAX_ITEM, MAX_ITEMS
from idmerge.server.writing.handling import handled
from idmerge.server.writing.rates import BURST_SECONDS, Rates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from idmerge.journal import DurableResolver
    from idmerge.policy import Api
    from idmerge.server.http.answers import Answer

NOW = 1_700_000_000_000
DAY = 24 * 3600 * 1000


class Project(NamedTuple):
    name: str
    token: str
    secret: str
    accounts: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    api: Api = "original"
    timezone: str | None = None


SHOP = Project("shop", "TOKEN", "SECRET", ("sa.user:sa-secret",))
NEWS = Project("news", "NEWS-TOKEN", "NEWS-SECRET")
BOTH = [SHOP, NEWS]


def event(name: str = "Log In", **properties: Any) -> dict[str, Any]:
    return {"event": name, "properties": {"token": "TOKEN", "distinct_id": "ana", **properties}}


def basic(user: str, password: str = "") -> dict[bytes, bytes]:
    return {b"authorization": b"Basic " + base64.b64encode(f"{user}:{password}".encode())}


def sent(path: str, items: Any, query: bytes = b"", headers: dict[bytes, bytes] | None = None) -> Request:
    kind = {b"content-type": b"application/json"}
    return Request("POST", path, query, kind | (headers or {}), json.dumps(items).encode())


def content(answer: Answer) -> Any:
    return json.loads(answer.body)


def kept(records: Sequence[Record]) -> list[tuple[str, list[Any]]]:
    return [(record.project, [json.loads(line) for line in record.lines.splitlines()]) for record in records]


def test_items_go_to_the_project_of_their_token_in_the_order_of_their_times() -> None:
    items = [event("C", time=3), event("B", time=2, token=NEWS.token), event("A", time=1)]
    moment = 4000
    done = handled(sent("/track", items), BOTH, moment)
    assert done.answer.body == b"1"
    assert [(name, [item["event"] for item in lines]) for name, lines in kept(done.records)] == [
        ("shop", ["A", "C"]),
        ("news", ["B"]),
    ]


def test_an_event_without_a_time_leaves_the_order_as_it_was_sent() -> None:
    done = handled(sent("/track", [event("B", time=2), event("A"), event("C", time=1)]), BOTH, 4000)
    assert [item["event"] for item in kept(done.records)[0][1]] == ["B", "A", "C"]


@pytest.mark.parametrize("query", [b"", b"verbose=1"])
def test_a_token_of_nobody_is_said_and_the_rest_is_kept(query: bytes) -> None:
    done = handled(
        sent("/track/", [event(), event() | {"event": "B", "properties": {"token": "OTHER"}}], query),
        BOTH,
        NOW,
    )
    assert len(kept(done.records)[0][1]) == 1
    if query:
        assert content(done.answer) == {
            "status": 0,
            "error": "1 of the items have no token of a project of this server",
        }
    else:
        assert done.answer.body == b"0"
    assert b"OTHER" not in done.answer.body


WRONG = [
    (5, "event", "the item is no JSON object"),
    ({}, "event", "'event' is invalid: must be a text that is not empty"),
    ({"event": ""}, "event", "'event' is invalid: must be a text that is not empty"),
    ({"event": "A" * 256, "properties": {}}, "event", "'event' is invalid: must have at most 255 characters"),
    ({"event": "A", "properties": []}, "properties", "'properties' is invalid: must be an object"),
    (
        {"event": "A", "properties": {str(number): 1 for number in range(256)}},
        "properties",
        "'properties' is invalid: must have at most 255 properties",
    ),
    (
        event(insert=1),
        "properties.time",
        "'properties.time' is invalid: must be specified as seconds or milliseconds since epoch",
    ),
    (
        event(time=NOW + 2 * 3600 * 1000),
        "properties.time",
        "'properties.time' is invalid: must be no earlier than 1971 and no later than an hour from now",
    ),
    (
        event(time=NOW, **{"$insert_id": "no blanks"}),
        "properties.$insert_id",
        "'properties.$insert_id' is invalid: must be a text of 1 to 36 letters, digits and hyphens",
    ),
    (
        event(time=NOW, distinct_id=None, **{"$insert_id": "i"}),
        "properties.distinct_id",
        "'properties.distinct_id' is invalid: must be a text",
    ),
]


@pytest.mark.parametrize(("item", "field", "message"), WRONG)
def test_a_strict_import_says_what_is_wrong_with_each_item(item: Any, field: str, message: str) -> None:
    right = event(time=NOW, **{"$insert_id": "i1"})
    done = handled(sent("/import", [right, item], b"strict=1", basic("SECRET")), BOTH, NOW)
    assert done.answer.status == 400
    [failure] = content(done.answer)["failed_records"]
    assert (failure["index"], failure["field"], failure["message"]) == (1, field, message)
    assert content(done.answer)["num_records_imported"] == 1
    assert kept(done.records) == [("shop", [right])]


def test_an_import_that_is_not_strict_takes_events_of_any_time() -> None:
    done = handled(sent("/import", [event(), event(time=0)], headers=basic("SECRET")), BOTH, NOW)
    assert content(done.answer) == {"code": 200, "num_records_imported": 2, "status": "OK"}


def test_track_takes_no_event_older_than_five_days() -> None:
    items = [event(time=NOW - 5 * DAY), event(time=NOW - 5 * DAY - 1)]
    done = handled(sent("/track", items, b"verbose=1"), BOTH, NOW)
    assert content(done.answer)["error"] == (
        "item 1: 'properties.time' is invalid: /track takes no event older than five days; send it to /import"
    )
    assert len(kept(done.records)[0][1]) == 1


@pytest.mark.parametrize(
    ("user", "password", "query", "project"),
    [
        ("SECRET", "", b"", "shop"),
        ("TOKEN", "", b"", "shop"),
        ("NEWS-SECRET", "", b"", "news"),
        ("sa.user", "sa-secret", b"project_id=shop", "shop"),
        ("sa.user", "sa-secret", b"", "shop"),
        ("sa.user", "", b"", None),
        ("sa.user", "other", b"project_id=shop", None),
        ("SECRETS", "", b"", None),
        ("SECRET", "x", b"", None),
        ("TOKEN", "x", b"", None),
        ("", "SECRET", b"", None),
        ("", "", b"", None),
        ("", "", b"api_key=SECRET", None),
    ],
)
def test_who_may_import(user: str, password: str, query: bytes, project: str | None) -> None:
    done = handled(sent("/import", [event()], query, basic(user, password)), BOTH, NOW)
    assert [record.project for record in done.records] == ([] if project is None else [project])
    assert done.answer.status == (401 if project is None else 200)


def test_the_secret_may_be_the_key_of_older_clients() -> None:
    done = handled(sent("/import", [event()], b"api_key=SECRET"), BOTH, NOW)
    assert [record.project for record in done.records] == ["shop"]


@pytest.mark.parametrize("path", ["/track", "/import", "/engage", "/groups"])
def test_more_items_than_allowed_are_413(path: str) -> None:
    items = [event(**{"$insert_id": "i"})] * (MAX_ITEMS + 1)
    done = handled(sent(path, items, headers=basic("SECRET")), BOTH, NOW)
    assert (done.answer.status, done.records) == (413, ())
    fewer = handled(sent(path, items[1:], headers=basic("SECRET")), BOTH, NOW)
    assert fewer.answer.status != 413


def test_routes_that_are_not_there_and_methods() -> None:
    assert handled(Request("GET", "/nothing/"), BOTH, NOW).answer.status == 404
    assert handled(Request("DELETE", "/track"), BOTH, NOW).answer.status == 405
    renamed = {"t": "track"}
    assert handled(sent("/t/", [event()]), BOTH, NOW, renamed).answer.body == b"1"


BODY = json.dumps([event("A", time=NOW), event("B", time=NOW)]).encode()
FORMS = [BODY, gzip.compress(BODY), b"data=" + base64.b64encode(BODY), b"data=" + BODY.replace(b"+", b"%2B")]


@given(st.data())
def test_damaged_requests_have_an_answer_and_nothing_that_is_no_item_is_kept(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from(FORMS)))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del body[data.draw(st.integers(0, len(body))) :]
    kinds = [
        b"application/json",
        b"application/x-www-form-urlencoded",
        b"text/plain",
        b"\xff",
        b"application/x-ndjson",
    ]
    headers = {b"content-type": data.draw(st.sampled_from(kinds))} | basic("SECRET")
    path = data.draw(st.sampled_from(["/track", "/import", "/engage", "/groups"]))
    query = data.draw(
        st.sampled_from([b"", b"verbose=1", b"strict=1", b"%", b"data=%zz&&=&verbose", bytes(body)])
    )
    done = handled(Request("POST", path, query, headers, bytes(body)), BOTH, NOW)
    assert done.answer.status in {200, 400, 413}
    for record in done.records:
        for line in record.lines.splitlines(keepends=True):
            assert line.endswith(b"\n")
            assert isinstance(json.loads(line), dict)


class Host:
    """A server that keeps what it is given, and fails as it is told to."""

    def __init__(self, fault: Exception | None = None, limits: dict[str, float] | None = None) -> None:
        self.rates = Rates(limits or {})
        self.counts = Counts()
        self.projects = BOTH
        self.draining = False
        self.kept: list[Record] = []
        self.fault = fault

    def admits(self, records: Sequence[Record]) -> bool:
        counts = [(record.project, record.lines.count(b"\n")) for record in records]
        return all(self.rates.admits(project, count, 0.0) for project, count in counts)

    def append_then(
        self,
        records: Sequence[Record],
        then: Callable[[int, Exception | None], None],
        _loop: asyncio.AbstractEventLoop,
    ) -> None:
        if isinstance(self.fault, BusyError):
            raise self.fault
        if self.fault is None:
            self.kept.extend(records)
        then(len(self.kept), self.fault)

    def records(self, project: str) -> Iterator[Record]:
        return (record for record in self.kept if record.project == project)

    def resolver(self, project: str) -> DurableResolver:
        raise AssertionError(project)

    def problem(self) -> str | None:
        return None

    @property
    def failing_sinks(self) -> list[str]:
        return []

    def lag(self) -> Lag:
        return Lag(0, 0.0)


def asked(
    host: Host,
    *messages: dict[str, Any],
    method: str = "POST",
    path: str = "/track",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Ask the application; the status is 0 if it has not answered."""
    answers: list[dict[str, Any]] = []
    incoming = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [*headers]}
    asyncio.run(App(host, clock=lambda: NOW / 1000)(scope, receive, send))
    if not answers:
        return 0, {}, b""
    return answers[0]["status"], dict(answers[0]["headers"]), answers[1]["body"]


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_parts_is_one_request() -> None:
    host = Host()
    status, _, body = asked(host, part(BODY[:40], more=True), part(BODY[40:]))
    assert (status, body, len(host.kept)) == (200, b"1", 1)


def test_a_client_that_goes_away_has_sent_nothing() -> None:
    host = Host()
    lines = json.dumps(event()).encode() + b"\n"
    assert asked(host, part(lines, more=True), {"type": "http.disconnect"}) == (0, {}, b"")
    assert host.kept == []


def test_too_long_a_body_is_413_whether_or_not_its_length_is_stated() -> None:
    host = Host()
    stated = [(b"Content-Length", str(MAX_BYTES + 1).encode())]
    assert asked(host, headers=stated)[0] == 413
    piece = bytes(MAX_BYTES // 2 + 1)
    assert asked(host, part(piece, more=True), part(piece, more=True))[0] == 413
    packed = gzip.compress(b"[" + b" " * (MAX_BYTES + 1) + b"]")
    assert asked(host, part(packed))[0] == 413


@pytest.mark.parametrize("fault", [BusyError("busy"), OSError(28, "No space left on device")])
def test_what_is_not_on_disk_is_not_acknowledged(fault: Exception) -> None:
    status, headers, body = asked(Host(fault), part(BODY))
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert json.loads(body)["code"] == 503


def test_a_draining_server_takes_nothing() -> None:
    host = Host()
    host.draining = True
    assert asked(host, part(BODY))[0] == 503
    assert host.kept == []


def test_browsers_send_credentials_so_the_origin_is_echoed() -> None:
    origin = [(b"Origin", b"https://shop.example"), (b"Access-Control-Request-Headers", b"authorization")]
    for method in ("OPTIONS", "POST"):
        _, headers, _ = asked(Host(), part(BODY), method=method, headers=origin)
        assert headers[b"access-control-allow-origin"] == b"https://shop.example"
        assert headers[b"access-control-allow-credentials"] == b"true"
        assert headers[b"access-control-expose-headers"] == b"Retry-After"
    assert headers[b"access-control-allow-headers"] == b"authorization"


@pytest.mark.parametrize("path", ["/api/ids/ana", "/health", "//api/ids/ana"])
def test_no_page_of_another_origin_sees_what_reading_answers(path: str) -> None:
    asks = [(b"Origin", b"https://elsewhere.example"), (b"Access-Control-Request-Method", b"GET")]
    for method in ("OPTIONS", "GET"):
        _, headers, _ = asked(Host(), part(b""), method=method, path=path, headers=asks)
        assert not any(name.startswith(b"access-control") for name in headers)


def test_bodies_that_are_coming_have_a_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "UNFINISHED_BYTES", 200)
    host, statuses = Host(), []

    async def answered(call: Any, *messages: dict[str, Any], after: asyncio.Event) -> None:
        incoming = iter(messages)

        async def receive() -> dict[str, Any]:
            message = next(incoming)
            if not message["more_body"]:
                await after.wait()
            return message

        async def send(message: dict[str, Any]) -> None:
            if "status" in message:
                statuses.append((message["status"], dict(message["headers"]).get(b"retry-after")))

        scope = {"type": "http", "method": "POST", "path": "/track", "query_string": b"", "headers": []}
        await call(scope, receive, send)

    async def run() -> None:
        call, rest_comes = App(host, clock=lambda: NOW / 1000), asyncio.Event()
        first = asyncio.create_task(answered(call, part(BODY, more=True), part(b" "), after=rest_comes))
        await asyncio.sleep(0)
        await answered(call, part(BODY, more=True), after=rest_comes)
        rest_comes.set()
        await first
        await answered(call, part(BODY[:40], more=True), part(BODY[40:]), after=rest_comes)

    assert 100 < len(BODY) < 200
    asyncio.run(run())
    assert statuses == [(503, b"1"), (200, None), (200, None)]
    assert len(host.kept) == 2


def test_a_field_that_is_too_long_is_passed_over() -> None:
    long, short = b"verbose=" + b"0" * MAX_FIELD + b"1", b"verbose=1"
    assert Request("GET", "/track", long + b"&" + short).field("verbose") == "1"
    assert Request("GET", "/track", long).field("verbose") is None


@pytest.mark.parametrize("text", ["é", "%C3%A9", "é%20", "é+"])
def test_a_field_is_utf_8_whether_it_is_percent_encoded_or_not(text: str) -> None:
    request = Request("POST", "/api/query/engage", b"", {}, f"project_id={text}".encode())
    assert (request.field("project_id") or "").strip() == "é"


def test_an_item_that_is_too_long_is_refused_whatever_it_holds() -> None:
    long = [event("x" * MAX_ITEM), event(), event(text="x" * (MAX_ITEM - 200))]
    done = handled(sent("/track", long, b"verbose=1"), BOTH, NOW)
    assert content(done.answer)["error"] == f"item 0: the item has more than {MAX_ITEM} bytes"
    assert [items for _, items in kept(done.records)] == [long[1:]]


def test_a_request_of_more_items_than_a_burst_is_admitted_after_a_pause_and_paid_for() -> None:
    rates = Rates({"shop": 1.0})
    assert rates.admits("shop", 2000, 0.0)
    assert not rates.admits("shop", 1, 1939.0)
    assert rates.admits("shop", 1, 1942.0)
    assert not rates.admits("shop", 2000, 1943.0)


def test_a_project_that_sends_too_much_is_told_to_wait() -> None:
    host = Host(limits={"shop": 2 / BURST_SECONDS})
    assert asked(host, part(BODY))[0] == 200
    status, headers, body = asked(host, part(BODY))
    assert (status, headers[b"retry-after"], json.loads(body)["code"]) == (429, b"1", 429)
    assert len(host.kept) == 1


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 30))))
def test_no_more_than_the_rate_and_a_burst_are_admitted(sends: list[tuple[int, float]]) -> None:
    rates, now, admitted = Rates({"shop": 1.0}), 0.0, 0
    for count, pause in sends:
        now += pause
        admitted += count if rates.admits("shop", count, now) else 0
    assert admitted <= BURST_SECONDS + now + 1e-6


CALL = {"type": "track", "event": "Paid", "userId": "ana", "anonymousId": "d1"}


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/track", CALL), ("/v1/t/", CALL), ("/v1/batch", {"batch": [CALL]})]
)
def test_a_call_is_an_event(path: str, body: Any) -> None:
    done = handled(sent(path, body, headers=basic(SHOP.token)), BOTH, NOW)
    [(project, [item])] = kept(done.records)
    assert (project, item["event"], item["properties"]["distinct_id"]) == ("shop", "Paid", "ana")


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-30T10:00:00.1234567Z",
        "2026-11-30T10:00:00.999999+02:00",
        "2026-11-30T10:00:00.0015",
        "1969-12-31T23:59:59.9995Z",
    ],
)
def test_a_time_of_a_call_is_the_time_that_a_stitched_event_has(time: str) -> None:
    done = handled(sent("/v1/track", CALL | {"timestamp": time}, headers=basic(SHOP.token)), BOTH, NOW)
    [(_, [item])] = kept(done.records)
    [expected] = milliseconds(pa.array([time])).to_pylist()
    assert item["properties"]["time"] == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_a_batch_may_go_over_many_lines(end: str) -> None:
    text = json.dumps({"batch": [CALL, CALL]}, indent=1).replace("\n", end)
    done = handled(Request("POST", "/v1/batch", b"", basic(SHOP.token), text.encode()), BOTH, NOW)
    assert (done.answer.status, done.refused) == (200, 0)
    assert [len(items) for _, items in kept(done.records)] == [2]


@pytest.mark.parametrize(
    ("body", "user", "status"),
    [
        ([CALL], "TOKEN", 400),
        ({"batch": 5}, "TOKEN", 400),
        ({"batch": [5]}, "TOKEN", 400),
        (CALL, "OTHER", 401),
    ],
)
def test_calls_that_are_none(body: Any, user: str, status: int) -> None:
    done = handled(sent("/v1/batch", body, headers=basic(user)), BOTH, NOW)
    assert (done.answer.status, done.records) == (status, ())


def test_a_batch_of_too_many_calls_is_413() -> None:
    calls = {"batch": [CALL] * (MAX_ITEMS + 1)}
    assert handled(sent("/v1/batch", calls, headers=basic(SHOP.token)), BOTH, NOW).answer.status == 413


def test_calls_whose_gzip_is_damaged_or_too_long_are_refused() -> None:
    whole = gzip.compress(json.dumps({"batch": [CALL]}).encode())
    bomb = gzip.compress(b" " * (MAX_BYTES + 1))
    bodies = {whole: 200, whole[:-9]: 400, whole[:12] + b"\xff" + whole[13:]: 400, bomb: 413}
    for body, status in bodies.items():
        request = Request("POST", "/v1/batch", b"", basic(SHOP.token), body)
        assert handled(request, BOTH, NOW).answer.status == status


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_an_item_that_the_pipeline_does_not_read_is_refused(encoding: str) -> None:
    good, item = json.dumps(event()).encode(), json.dumps(event("Odd")).encode(encoding)
    done = handled(Request("POST", "/track", b"", {}, good + b"\n" + item), BOTH, NOW)
    assert done.answer.body == b"0"
    assert b"Odd" not in b"".join(record.lines for record in done.records)
    assert all(b"\0" not in record.lines for record in done.records)


def test_a_request_of_which_one_project_may_not_write_is_charged_to_none() -> None:
    rates = Rates({"shop": 1.0, "news": 1.0})
    assert rates.admits_all({"shop": 50, "news": 60}, 0.0)
    assert not rates.admits_all({"shop": 10, "news": 1}, 0.0)
    assert rates.admits_all({"shop": 10}, 0.0)
    assert not rates.admits_all({"shop": 1}, 0.0)


def test_a_server_charges_a_request_to_no_project_if_one_may_not_write(tmp_path: Path) -> None:
    projects = [
        f'[[project]]\nname = "{name}"\ntoken = "{name}"\nsecret = "s-{name}"\nmax-rate = {rate}\n'
        for name, rate in (("shop", 1 / BURST_SECONDS), ("news", 2 / BURST_SECONDS))
    ]
    (tmp_path / "idmerge.toml").write_text("".join(projects), "utf-8")
    shop, news = (Record(name, "events", "track", NOW, b"{}\n") for name in ("shop", "news"))
    with Server(tmp_path) as server:
        assert server.admits([shop, news])
        assert not server.admits([news, shop])
        assert server.admits([news])
        assert not server.admits([news])


def test_a_call_that_is_too_long_is_not_taken_and_harms_no_other() -> None:
    batch = {"batch": [CALL | {"properties": {"text": "x" * MAX_ITEM}}, 5, CALL]}
    done = handled(sent("/v1/batch", batch, headers=basic(SHOP.token)), BOTH, NOW)
    assert (done.answer.status, done.refused) == (200, 2)
    assert [len(items) for _, items in kept(done.records)] == [1]
    alone = handled(sent("/v1/track", batch["batch"][0], headers=basic(SHOP.token)), BOTH, NOW)
    assert (alone.answer.status, alone.records) == (400, ())
    assert f"more than {MAX_ITEM} bytes" in content(alone.answer)["error"]


@pytest.mark.parametrize(
    "text", ['{"batch": [{"a": 1}, {]}', '{"batch": [', '{"batch": {}}', "{}", '{"b": [{}]}', ""]
)
def test_a_batch_without_a_list_is_400(text: str) -> None:
    request = Request("POST", "/v1/batch", b"", basic(SHOP.token), text.encode())
    assert handled(request, BOTH, NOW).answer.status == 400


def test_a_large_body_is_read_by_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []

    def noted(*arguments: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return handled(*arguments)

    monkeypatch.setattr(app_module, "handled", noted)
    host = Host()
    for size in (0, app_module.LARGE):
        assert asked(host, part(BODY + b" " * size))[0] == 200
    assert threads == [True, False]
    assert len(host.kept) == 2
