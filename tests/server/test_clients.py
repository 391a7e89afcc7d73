"""Real clients, unmodified, against a server that runs: no errors, and the clusters of the guide."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from live_server import PATIENCE, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = Path(__file__).parent / "clients"
DEVICE = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PACKAGES = {"mixpanel": "0.24.0", "mixpanel-browser": "2.83.0", "playwright-core": "1.65.1"}

pytest.importorskip("uvicorn")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "served") as served:
        yield served


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clients for Node and browsers, as their registry has them."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("npm")
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    install = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", *wanted]
    done = subprocess.run(install, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install {', '.join(wanted)}: {done.stderr.strip()[-300:]}")
    return folder / "node_modules"


def run(script: str, node_modules: Path, *arguments: str) -> Any:
    environment = {**os.environ, "NODE_PATH": str(node_modules)}
    command = ["node", str(CLIENTS / script), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=4 * PATIENCE, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_python(server: Served) -> None:
    mixpanel: Any = pytest.importorskip("mixpanel")
    urls = {name: f"{server.address}/{name}" for name in ("track", "engage", "groups", "import")}
    consumer = mixpanel.Consumer(
        events_url=urls["track"],
        people_url=urls["engage"],
        groups_url=urls["groups"],
        import_url=urls["import"],
    )
    client = mixpanel.Mixpanel(server.token, consumer=consumer)
    client.track(DEVICE, "Viewed page", {"emoji": "☃"})
    client.track("ana", "$identify", {"$anon_id": DEVICE, "$identified_id": "ana"})
    client.people_set("ana", {"$name": "Ana"})
    client.group_set("company", "acme", {"size": 1})
    client.import_data(
        None, "ana", "Imported", int(time.time()) - 86400, {"plan": "pro"}, api_secret=server.secret
    )
    client.merge(None, "ana", "ben", api_secret=server.secret)
    server.settled()
    assert server.cluster("ben") == sorted([DEVICE, "ana", "ben"])


def test_mixpanel_utils(server: Served) -> None:
    utils: Any = pytest.importorskip("mixpanel_utils")
    client = utils.MixpanelUtils(server.secret, token=server.token)
    client.import_api = f"{server.address}/"
    client.raw_api = client.formatted_api = f"{server.address}/api"
    now = int(time.time())
    events = [
        {"event": f"E{number}", "properties": {"distinct_id": "ana", "time": now, "$insert_id": f"i{number}"}}
        for number in range(2500)
    ]
    client.import_events(events, 0)
    server.settled()
    assert server.read("/api/ids/ana")["known"]
    today = datetime.now(UTC).date()
    days = {"from_date": str(today - timedelta(days=1)), "to_date": str(today + timedelta(days=1))}
    found = client.query_export(days)
    by_name = {event["event"]: event["properties"] for event in found}
    assert len(found) == len(by_name) == len(events)
    for event in events:
        properties = by_name[event["event"]]
        assert {name: properties[name] for name in event["properties"]} == event["properties"]


def test_mixpanel_utils_reads_and_writes_profiles(server: Served) -> None:
    utils: Any = pytest.importorskip("mixpanel_utils")
    client = utils.MixpanelUtils(server.secret, token=server.token, read_pool_size=4)
    client.import_api = f"{server.address}/"
    client.raw_api = client.formatted_api = f"{server.address}/api"
    people = [
        {"$distinct_id": f"u{number}", "$properties": {"n": number, "plan": ("free", "pro")[number % 2]}}
        for number in range(2500)
    ]
    client.import_people(people)
    server.settled()
    found = client.query_engage()
    assert sorted(found, key=lambda one: int(one["$distinct_id"][1:])) == people
    assert client.query_engage({"where": 'properties["n"] == 7'}) == [people[7]]
    client.people_set({"plan": "max"}, query_params={"where": 'properties["plan"] == "pro"'})
    server.settled()
    assert len(client.query_engage({"where": 'properties["plan"] == "max"'})) == 1250
    assert server.read("/api/ids/u1")["profile"] == {"n": 1, "plan": "max"}


def test_node(server: Served, node_modules: Path) -> None:
    failures = run("node.js", node_modules, server.address, server.token, server.secret)
    assert failures == []
    server.settled()
    assert server.cluster("crm-17") == sorted([DEVICE, "ana", "ben", "crm-17"])


@contextmanager
def page_of(node_modules: Path, folder: Path) -> Iterator[str]:
    """Serve a page with mixpanel-browser, of another origin than the server's."""
    [script] = [
        path
        for name in ("mixpanel.umd.js", "mixpanel.globals.js")
        if (path := node_modules / "mixpanel-browser" / "dist" / name).exists()
    ][:1]
    shutil.copy(script, folder / "mixpanel.js")
    (folder / "index.html").write_text(
        '<!doctype html><title>Shop</title><link rel="icon" href="data:,"><script src="mixpanel.js"></script>'
    )
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{pages.server_address[1]}/index.html"
        pages.shutdown()


def test_the_guides_flows_in_a_browser(server: Served, node_modules: Path, tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    folder = tmp_path / "page"
    folder.mkdir()
    with page_of(node_modules, folder) as page:
        answer = run("browser.js", node_modules, page, server.address, server.token, CHROMIUM)
    assert answer["complaints"] == []
    server.settled()
    found = answer["found"]
    ana = server.cluster("ana")
    assert {found["phone"], found["laptop"], "ana", "ana@example.com"} <= {
        member.removeprefix("$device:") for member in ana
    }
    ben, carla = server.cluster("ben"), server.cluster("carla")
    assert not {*ben} & {*carla}
    assert found["shared"] in {member.removeprefix("$device:") for member in ben}
    assert found["after"] in {member.removeprefix("$device:") for member in carla}
    # Without a reset the device stays the first user's, and the second one has the events since.
    dan, eva = server.cluster("dan"), server.cluster("eva")
    assert found["careless"] in {member.removeprefix("$device:") for member in dan}
    assert not {*dan} & {*eva}
    assert server.read(f"/api/ids/$device:{found['leaving']}")["known"]
