"""Mixpanel's clients, unmodified, against a server that runs: no errors, and the right clusters."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from live_server import PATIENCE, Served
from real_clients import DEVICE, SCRIPTS, of_maven, of_npm, run, run_node

pytest.importorskip("uvicorn")


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


def test_mixpanel_utils_reads_and_writes_profiles(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utils: Any = pytest.importorskip("mixpanel_utils")
    monkeypatch.chdir(tmp_path)  # It leaves a backup of what it changes.
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


def test_node(server: Served, tmp_path: Path) -> None:
    node_modules = of_npm(tmp_path / "npm", {"mixpanel": "0.24.0"})
    failures = run_node("node.js", node_modules, server.address, server.token, server.secret)
    assert failures == []
    server.settled()
    assert server.cluster("crm-17") == sorted([DEVICE, "ana", "ben", "crm-17"])


def test_java(server: Served, tmp_path: Path) -> None:
    libraries = of_maven(tmp_path, "com.mixpanel", "mixpanel-java", "1.5.3")
    compiled = str(tmp_path / "compiled")
    compiler = ["javac", "-encoding", "UTF-8", "-cp", libraries, "-d", compiled]
    subprocess.run([*compiler, str(SCRIPTS / "Walk.java")], check=True, timeout=4 * PATIENCE)
    java = ["java", "-cp", os.pathsep.join([libraries, compiled]), "Walk"]
    assert run([*java, server.address, server.token, DEVICE]) == "sent"
    assert server.cluster("crm-17") == sorted([DEVICE, "ana", "crm-17"])
    events = Counter(event["event"] for event in server.events())
    assert events == Counter(["Viewed page", "$identify", "$create_alias", *(f"E{n}" for n in range(120))])


def test_mixpanel_import(server: Served, tmp_path: Path) -> None:
    node_modules = of_npm(tmp_path / "npm", {"mixpanel-import": "3.1.43"})
    arguments = (server.address, server.token, server.secret, "2500")
    done = run_node("mixpanel_import.js", node_modules, *arguments)
    assert (done["success"], done["failed"], done["errors"]) == (2501, 0, {})
    assert server.cluster("user 0") == ["crm-0", "user 0"]
    found = {event["properties"]["$insert_id"]: event for event in server.events()}
    assert len(found) == len(done["events"]) == len(server.events())
    for event in done["events"]:
        there = found[event["properties"]["$insert_id"]]
        sent = dict(event["properties"])
        properties = there["properties"]
        if event["event"] != "$merge":
            was = properties.get("$distinct_id_before_identity", properties["distinct_id"])
            assert was == sent.pop("distinct_id")
        assert there["event"] == event["event"]
        assert {name: properties[name] for name in sent} == sent
