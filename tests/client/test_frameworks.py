"""The middleware under real frameworks, with mixpanel-browser on the same pages in Chromium."""

from __future__ import annotations

import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from live_server import Served, serving
from real_clients import of_npm, run_node
from web_apps import KINDS, shop
from web_page import CHROMIUM, PACKAGES, sdk_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return of_npm(tmp_path_factory.mktemp("npm"), PACKAGES)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "served") as server:
        yield server


class Browser:
    """What a browser does without scripts: it keeps cookies."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.jar = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def open(self, path: str) -> None:
        with self._opener.open(self.address + path, timeout=60) as answer:
            assert answer.status == 200

    @property
    def device(self) -> str:
        [value] = [cookie.value for cookie in self.jar if cookie.name == "idmerge_device"]
        return f"$device:{str(value).partition('.')[0]}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_guides_flows_on_the_server_alone(kind: str, served: Served, tmp_path: Path) -> None:
    (tmp_path / "mixpanel.js").write_text("")
    with shop(kind, served.url, served.token, tmp_path / "mixpanel.js") as address:
        ana = Browser(address)
        for path in ("/", "/shoes", "/login?user=ana", "/shirts", "/logout", "/", "/login?user=ana"):
            ana.open(path)
        first = ana.device
        for path in ("/logout", "/login?user=ben", "/hats"):
            ana.open(path)
        assert ana.device == first
        carla = Browser(address)
        carla.open("/login?user=carla")
        second = carla.device
        carla.open("/logout?reset=1")
        third = carla.device
        carla.open("/login?user=dan")
        assert len({first, second, third, carla.device}) == 3
    assert served.cluster("ana") == sorted([first, "ana"])
    assert served.cluster("ben") == ["ben"]
    assert served.cluster("carla") == sorted([second, "carla"])
    assert served.cluster("dan") == sorted([third, "dan"])
    events = [(event["event"], event["properties"]["distinct_id"]) for event in served.events()]
    views = [event for event in events if event[0] != "$identify"]
    assert ("Viewed /", "ana") in views
    assert ("Viewed /hats", "ben") in views
    assert len(views) == 13
    assert len(events) - len(views) == 4, "one for each user on each device"


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_with_the_sdk_and_its_server_send_events_of_one_person(
    kind: str, served: Served, node_modules: Path
) -> None:
    with shop(kind, served.url, served.token, sdk_of(node_modules)) as address:
        answer = run_node("visits.js", node_modules, address, served.url, served.token, str(CHROMIUM))
    assert answer["complaints"] == []
    found: dict[str, Any] = answer["found"]
    ana = served.cluster("ana")
    assert {f"$device:{found['first']}", f"$device:{found['page']}", "ana"} == {*ana}
    assert served.cluster("ben") == ["ben"]
    assert f"$device:{found['carla']}" in served.cluster("carla")
    assert f"$device:{found['dan']}" in served.cluster("dan")
    assert not {*served.cluster("carla")} & {*served.cluster("dan")}
    events = {event["event"]: event["properties"]["distinct_id"] for event in served.events()}
    for path in ("/shoes", "/login?user=ana", "/shirts"):
        assert events[f"Loaded {path}"] == served.resolve("ana")
        assert events[f"Viewed {path.partition('?')[0]}"] in {served.resolve("ana"), served.resolve("dan")}
    # Of what comes after a logout without a reset the server has Ben's, and the page Ana's.
    assert (events["Viewed /hats"], events["Loaded /hats"]) == ("ben", served.resolve("ana"))
    assert (found["cookie"]["httpOnly"], found["cookie"]["sameSite"]) == (True, "Lax")
    assert "idmerge_device" not in found["script"]
