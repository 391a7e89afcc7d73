"""Metrics: what Prometheus reads from a server, and who may see which project."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest

from idmerge.server.app import App
from idmerge.server.counts import BOUNDS, Durations
from idmerge.server.server import Server

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """\
monitors = ["prometheus:watch"]

[[project]]
name = "shop"
token = "shop-token"
secret = "shop-secret"
max-rate = 1

[[project]]
name = "news"
token = "news-token"
secret = "news-secret"
"""
MERGE = {"event": "$merge", "properties": {"$distinct_ids": ["ana", "crm-17"]}}
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+)\})? ([0-9.e+-]+)')

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def asked(server: Server, path: str, *, user: str = "", body: Any = None) -> tuple[int, str]:
    sent: list[Any] = []
    headers = [(b"content-type", b"application/json")]
    if user:
        headers.append((b"authorization", b"Basic " + base64.b64encode(user.encode())))
    content = b"" if body is None else json.dumps(body).encode()

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET" if body is None else "POST",
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
    }
    asyncio.run(App(server)(scope, receive, send))
    return sent[0]["status"], b"".join(part["body"] for part in sent[1:]).decode()


def samples(text: str) -> Samples:
    found: Samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.fullmatch(line).groups()  # type: ignore[union-attr]
            pairs = re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', labels or "")
            key = name, frozenset(pairs)
            assert key not in found, line
            found[key] = float(value)
    return found


def of(found: Samples, name: str, **labels: str) -> float:
    return found.get((f"idmerge_{name}", frozenset(labels.items())), 0)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "idmerge.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "idmerge.toml").chmod(0o600)
    return tmp_path


def event(token: str, name: str = "View") -> dict[str, Any]:
    return {"event": name, "properties": {"token": token, "distinct_id": "ana"}}


def test_requests_items_and_links_are_counted(directory: Path) -> None:
    with Server(directory) as server:
        asked(server, "/track", body=[event("news-token"), event("news-token"), event("nobody"), 7])
        asked(server, "/import", user="news-secret:", body=[MERGE, MERGE, 7])
        asked(server, "/engage", body=[{"$token": "news-token", "$distinct_id": "ana", "$set": {}}])
        asked(server, "/wp-login.php")
        asked(server, "/api/ids/ana", user="news-secret:")
        assert server.pipeline.drain(60)
        status, text = asked(server, "/metrics", user="prometheus:watch")
    assert status == 200
    found = samples(text)
    assert of(found, "http_requests_total", route="track", status="200") == 1
    assert of(found, "http_requests_total", route="import", status="400") == 1
    assert of(found, "http_requests_total", route="other", status="404") == 1
    assert of(found, "http_requests_total", route="api/ids/", status="200") == 1
    assert of(found, "items_total", project="news", route="track", result="admitted") == 2
    assert of(found, "items_total", project="", route="track", result="refused") == 2
    assert of(found, "items_total", project="news", route="import", result="admitted") == 2
    assert of(found, "items_total", project="news", route="import", result="refused") == 1
    assert of(found, "items_total", project="news", route="engage", result="admitted") == 1
    assert of(found, "links_total", project="news", outcome="MERGED") == 1
    assert of(found, "links_total", project="news", outcome="UNCHANGED") == 1
    assert (of(found, "ids", project="news"), of(found, "clusters", project="news")) == (2, 1)
    assert of(found, "ids", project="shop") == 0
    assert of(found, "journal_commits_total", project="news") >= 1
    assert of(found, "log_end_bytes_total") == of(found, "log_bytes") > 0
    assert of(found, "log_waiting_bytes") == of(found, "pipeline_lag_bytes") == 0
    assert of(found, "log_flush_seconds_count") == 3
    assert of(found, "log_flush_seconds_bucket", le="+Inf") == 3
    assert of(found, "healthy") == 1
    assert "ana" not in text
    assert not re.search("token|secret|watch", text)


def test_a_request_that_never_came_whole_is_counted(directory: Path) -> None:
    with Server(directory) as server:
        app = App(server)
        for status in (400, 408, 431):
            app.count_unread(status)
        found = samples(asked(server, "/metrics", user="prometheus:watch")[1])
    for status in ("400", "408", "431"):
        assert of(found, "http_requests_total", route="other", status=status) == 1


def test_what_fails_is_counted(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    with Server(directory) as server:
        monkeypatch.setattr(server, "append_then", fail)
        with pytest.raises(RuntimeError):
            asked(server, "/track", body=[event("news-token")])
        assert server.counts.requests == {("track", 500): 1}
        assert server.counts.items == {}


def test_what_comes_too_fast_is_refused(directory: Path) -> None:
    with Server(directory) as server:
        for _ in range(2):
            asked(server, "/track", body=[event("shop-token")] * 60)
        found = samples(asked(server, "/metrics", user="shop-secret:")[1])
    assert of(found, "http_requests_total", route="track", status="429") == 1
    for result in ("admitted", "refused"):
        assert of(found, "items_total", project="shop", route="track", result=result) == 60


def test_a_secret_shows_its_own_project_and_a_monitor_all(directory: Path) -> None:
    with Server(directory) as server:
        asked(server, "/track", body=[event("shop-token"), event("news-token"), event("nobody")])
        seen = {
            user: {dict(labels).get("project") for _, labels in samples(text)} - {None}
            for user in ("shop-secret:", "news-secret:", "prometheus:watch")
            for _, text in (asked(server, "/metrics", user=user),)
        }
        refused = {
            asked(server, "/metrics", user=user)[0]
            for user in ("", "shop-token:", "prometheus:", "watch:", "prometheus:watch2", "shop-secret:watch")
        }
        is_monitor_a_reader = asked(server, "/api/ids/ana", user="prometheus:watch")[0] == 200
    assert seen == {
        "shop-secret:": {"shop"},
        "news-secret:": {"news"},
        "prometheus:watch": {"shop", "news", ""},
    }
    assert refused == {401}
    assert not is_monitor_a_reader


def test_the_text_is_what_prometheus_reads(directory: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus-client is not installed")
    with Server(directory) as server:
        asked(server, "/track", body=[event("news-token")])
        text = asked(server, "/metrics", user="prometheus:watch")[1]
    families = list(parser.text_string_to_metric_families(text))
    read = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }
    assert read == samples(text)
    assert all(family.documentation and family.type != "unknown" for family in families)


def test_connections_that_are_open_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    from live_server import serving

    with serving(tmp_path / "served") as served:
        others = [socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2]))) for _ in "ab"]
        count = of(samples(served.text("/metrics")), "http_connections")
        for other in others:
            other.close()
    assert count == 3


def test_strangers_make_no_new_routes(directory: Path) -> None:
    with Server(directory) as server:
        for number in range(50):
            asked(server, f"/nothing-{number}")
            asked(server, f"/api/ids/{number}", user="news-secret:")
        assert {route for route, _ in server.counts.requests} == {"other", "api/ids/"}


def test_each_duration_is_in_the_bucket_of_its_bound() -> None:
    durations = Durations()
    for bound in BOUNDS:
        durations.add(bound)
    assert durations.up_to() == list(range(1, len(BOUNDS) + 1))
