"""Requests as real clients sent them: what they hold is taken, and the answers satisfy each client.

`tests/data/wire/requests` has the requests of mixpanel-browser, Node, Python, Go, Java,
mixpanel-utils, mixpanel-import, Segment and RudderStack; tokens and secrets are replaced.
"""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, unquote

import pytest

from idmerge import Policy, Resolver
from idmerge.server.http.answers import PIXEL
from idmerge.server.http.requests import Request
from idmerge.server.writing.handling import ROUTES, Handled, handled

if TYPE_CHECKING:
    from idmerge.policy import Api

WIRE = Path(__file__).parents[1] / "data" / "wire" / "requests"
DAY = 24 * 3600 * 1000


class Shop(NamedTuple):
    """The project that the clients wrote to."""

    name: str = "shop"
    token: str = "TOKEN"  # noqa: S105 - of a test
    secret: str = "SECRET"  # noqa: S105 - of a test
    accounts: tuple[str, ...] = ("sa.user:sa-secret",)
    readers: tuple[str, ...] = ()
    api: Api = "original"
    timezone: str | None = None


def requests() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in sorted(WIRE.glob("*.json")):
        for number, sent in enumerate(json.loads(path.read_text("utf-8"))["requests"]):
            found.append((f"{path.stem} {number}", sent))
    return found


def request_of(sent: dict[str, Any]) -> Request:
    method, target, _ = sent["request_line"].split(" ")
    path, _, query = target.partition("?")
    body = (
        base64.b64decode(sent["body_base64"]) if "body_base64" in sent else (sent.get("body") or "").encode()
    )
    headers = {name.lower().encode(): value.encode() for name, value in sent["headers"]}
    query = query.replace("api_key=API_KEY", "api_key=SECRET")  # The key of Node's client is the secret.
    return Request(method, unquote(path), query.encode(), headers, body)


def held(sent: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of a request, by the capture itself or, where it has none, by another decoder."""
    items = sent.get("decoded")
    if items is None and "body_base64" in sent:
        items = json.loads(gzip.decompress(base64.b64decode(sent["body_base64"])))
    if items is None:
        [data] = parse_qs(sent.get("body") or "").get("data", [""])
        items = json.loads(data if data[:1] in {"[", "{"} else base64.b64decode(data) or b"[]")
    return items if isinstance(items, list) else [items]


def received(items: list[dict[str, Any]]) -> int:
    """A moment at which the events, which carry their times, are new."""
    times = [item.get("properties", {}).get("time", 0) for item in items]
    latest = max(times, default=0)
    return round(latest if latest > 10**11 else latest * 1000) or DAY


def _is_nobodys(sent: dict[str, Any]) -> bool:
    """Whether a request imports without credentials: Go with empty ones, and Python in batches."""
    request = request_of(sent)
    user, password = request.credentials() or ("", "")
    return request.route == "import" and not user and not password and request.field("api_key") is None


WRITES = [
    pytest.param(sent, id=name)
    for name, sent in requests()
    if ROUTES.get(request_of(sent).route) in {"track", "import", "engage", "groups"}
    and request_of(sent).method != "OPTIONS"
    and not _is_nobodys(sent)
]


def answered(sent: dict[str, Any]) -> Handled:
    return handled(request_of(sent), [Shop()], received(held(sent)))


@pytest.mark.parametrize("sent", WRITES)
def test_what_a_client_sent_is_taken(sent: dict[str, Any]) -> None:
    done = answered(sent)
    if not held(sent):
        assert done.records == ()
        return
    [record] = done.records
    lines = [json.loads(line) for line in record.lines.splitlines()]
    stream = {"engage": "updates", "groups": "groups"}.get(request_of(sent).route, "events")
    assert (record.project, record.stream) == ("shop", stream)
    assert record.source == ("import" if request_of(sent).route == "import" else "track")

    def key(item: dict[str, Any]) -> str:
        return json.dumps(item, sort_keys=True)

    assert sorted(lines, key=key) == sorted(held(sent), key=key)
    times = [line.get("properties", {}).get("time") for line in lines]
    if stream == "events" and None not in times:
        assert times == sorted(times)
    else:
        assert lines == held(sent)


@pytest.mark.parametrize("sent", WRITES)
def test_the_answer_satisfies_the_client(sent: dict[str, Any]) -> None:
    answer = answered(sent).answer
    wanted = sent["answer"]
    if "img=1" in sent["request_line"] and not held(sent):
        assert (answer.status, answer.body) == (200, PIXEL)
    elif wanted["status"] != 200:  # The client was shown an error on purpose.
        assert answer.status == 200
    elif wanted["body"] == "1":
        assert (answer.status, answer.body) == (200, b"1")
    elif '"num_records_imported"' in wanted["body"]:
        assert (answer.status, json.loads(answer.body)) == (200, json.loads(wanted["body"]))
    else:
        # Python's client asks for it by `verbose` in its form.
        assert (answer.status, json.loads(answer.body)) == (200, {"status": 1, "error": None})


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(sent, id=name)
        for name, sent in requests()
        if request_of(sent).route in {"flags", "settings", "record"} and request_of(sent).method != "OPTIONS"
    ],
)
def test_what_is_answered_and_not_kept(sent: dict[str, Any]) -> None:
    done = handled(request_of(sent), [Shop()], DAY)
    assert done.records == ()
    assert (done.answer.status, json.loads(done.answer.body)) == (200, json.loads(sent["answer"]["body"]))


@pytest.mark.parametrize(
    "sent", [pytest.param(sent, id=name) for name, sent in requests() if _is_nobodys(sent)]
)
def test_an_import_without_credentials_is_refused(sent: dict[str, Any]) -> None:
    done = answered(sent)
    assert (done.answer.status, done.records) == (401, ())


CALLS = [pytest.param(sent, id=name) for name, sent in requests() if request_of(sent).route.startswith("v1/")]


@pytest.mark.parametrize("api", ["original", "simplified"])
@pytest.mark.parametrize("sent", CALLS)
def test_calls_of_segment_and_rudderstack_join_whom_they_name(sent: dict[str, Any], api: Api) -> None:
    done = handled(request_of(sent), [Shop(api=api)], DAY)
    assert (done.answer.status, json.loads(done.answer.body)) == (200, {"success": True})
    [record] = done.records
    [content] = held(sent)
    assert len(record.lines.splitlines()) == len(content["batch"])
    resolver = Resolver(Policy.simplified() if api == "simplified" else None)
    resolver.apply_body(record.lines, "application/x-ndjson", record.source)
    calls = [call for call in content["batch"] if call["type"] == "identify"]
    assert all(call["userId"] in resolver for call in content["batch"] if call.get("userId"))
    for call in calls:
        device = call.get("anonymousId")
        if device and call.get("userId"):
            device = f"$device:{device}" if api == "simplified" else device
            assert resolver.same(device, call["userId"])
