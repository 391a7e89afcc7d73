"""Every endpoint with the keys of another project: it writes to, and reads from, its own alone."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from idmerge import Profiles, Resolver
from idmerge.server.acts import Effect
from idmerge.server.http.requests import Request
from idmerge.server.pipeline import Lag
from idmerge.server.reading.engage import Sessions
from idmerge.server.reading.routes import read
from idmerge.server.store.forgetting import Forgotten
from idmerge.server.writing.handling import NOT_KEPT, STREAMS, handled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.policy import Api

NOW = 1_700_000_000_000
CALL = {"type": "track", "event": "Paid", "userId": "ana"}
EVENT = {"event": "Paid", "properties": {"distinct_id": "ana"}}
UPDATE = {"$distinct_id": "ana", "$group_key": "firm", "$group_id": "acme", "$set": {"plan": "pro"}}
BODIES = {
    **{f"/{route}": [EVENT if stream == "events" else UPDATE] for route, (_, stream) in STREAMS.items()},
    **{f"/{route}": [EVENT] for route in NOT_KEPT},
    "/import": [EVENT],
    "/v1/batch": {"batch": [CALL]},
    "/v1/track": CALL,
}
DAYS = b"from_date=2026-11-01&to_date=2026-11-30"
READ_BY = {
    **dict.fromkeys(["/api/ids/ana", "/api/ids", "/api/query/engage", "/api/2.0/engage/"], ("GET", b"")),
    **dict.fromkeys(["/api/2.0/export", "/export/"], ("GET", DAYS)),
    "/api/query/stream/query": ("GET", b"distinct_ids=%5B%22ana%22%5D"),
    "forget /api/ids/ana": ("DELETE", b""),
}
"""The method, and a query, by which each path reads, or has an ID forgotten."""
ACTED_BY = {"/api/retract": {"positions": [0]}, "/api/keep-apart": {"a": "ana", "b": "ben"}}


class Project(NamedTuple):
    name: str
    token: str
    secret: str
    accounts: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    api: Api = "original"
    timezone: str | None = None


SHOP = Project("shop", "shop-token", "shop-secret", ("shop.user:shop-password",))
NEWS = Project("news", "news-token", "news-secret", ("news.user:news-password",))
OWN = ["news-token:", "news-secret:", "news.user:news-password"]
WRONG = ["shop.user:news-password", "news.user:shop-password", "ünïcode:", ":", "news:"]


class Nothing:
    """The events of a project without any."""

    files = ()

    def tail(self) -> Iterator[Any]:
        return iter(())


class State:
    """Remembers of which projects somebody has read."""

    projects: Sequence[Project] = (SHOP, NEWS)
    monitors = ()

    def __init__(self) -> None:
        self.read: list[str] = []

    def resolver(self, project: str) -> Any:
        self.read.append(project)
        return Resolver(history=True)

    @contextmanager
    def still(self, project: str) -> Iterator[Any]:
        yield self.resolver(project)

    def profiles(self, project: str) -> Profiles:
        self.read.append(project)
        return Profiles(Resolver())

    groups = profiles

    def events(self, project: str) -> Any:
        self.read.append(project)
        return Nothing()

    def forget(self, project: str, distinct_id: str) -> Forgotten:
        assert distinct_id == "ana"
        self.read.append(project)
        return Forgotten(was_known=False, events=0, is_wiped=True)

    def retract(self, project: str, _positions: Sequence[int]) -> Effect:
        self.read.append(project)
        return Effect(is_done=True, position=0, renamed=[])

    def keep_apart(self, project: str, _a: str, _b: str) -> int:
        self.read.append(project)
        return 0

    @property
    def sessions(self) -> Sessions:
        return Sessions()

    def problem(self) -> None:
        return None

    @property
    def failing_sinks(self) -> list[str]:
        return []

    def lag(self) -> Lag:
        return Lag(0, 0.0)


def request(path: str, user: str, *, query: bytes = b"", body: Any = None, method: str = "GET") -> Request:
    headers = {
        b"authorization": b"Basic " + base64.b64encode(user.encode()),
        b"content-type": b"application/json",
    }
    content = b"" if body is None else json.dumps(body).encode()
    return Request("POST" if content else method, path, query, headers, content)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("query", [b"", b"project_id=shop", b"api_key=shop-secret"], ids=["", "id", "key"])
def test_nothing_is_written_to_another_project(path: str, query: bytes) -> None:
    kept = set()
    for user in [*OWN, *WRONG]:
        done = handled(request(path, user, query=query, body=BODIES[path]), State.projects, NOW)
        names = {record.project for record in done.records}
        assert names <= {"news"}, user
        assert not names or user in OWN
        assert not any(key in done.answer.body.decode() for key in (SHOP.secret, NEWS.secret, "password"))
        kept |= names
    assert kept == ({"news"} if path.removeprefix("/") not in NOT_KEPT else set())


@pytest.mark.parametrize("path", ACTED_BY)
def test_nothing_is_done_to_another_project(path: str) -> None:
    for user in [*OWN, *WRONG]:
        state = State()
        status = read(request(path, user, query=b"api_key=shop-secret", body=ACTED_BY[path]), state).status
        assert (status, {*state.read}) == ((200, {"news"}) if user in OWN[1:] else (401, set())), user


@pytest.mark.parametrize("query", [b"", b"project_id=shop", b"api_key=shop-secret"], ids=["", "id", "key"])
@pytest.mark.parametrize("path", READ_BY)
def test_nothing_is_read_of_another_project(path: str, query: bytes) -> None:
    method, own = READ_BY[path]
    path = path.removeprefix("forget ")
    query += b"&" + own
    for user in [*OWN, *WRONG, "shop-token:", "shop-secret:x"]:
        state = State()
        status = read(request(path, user, query=query, method=method), state).status
        is_readers = user in OWN[1:] and not (user == OWN[2] and b"project_id=shop" in query)
        assert (status, {*state.read}) == ((200, {"news"}) if is_readers else (401, set())), user
