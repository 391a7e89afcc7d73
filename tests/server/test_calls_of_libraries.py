"""The libraries of Segment and RudderStack, unmodified, against a server that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from real_clients import DEVICE, of_npm, run_node

if TYPE_CHECKING:
    from live_server import Served

PACKAGES = {"@segment/analytics-node": "3.1.0", "@rudderstack/rudder-sdk-node": "3.0.13"}
NAMES = ["$create_alias", "$identify", "Paid", "Viewed page", "group", "page"]

pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return of_npm(tmp_path_factory.mktemp("npm"), PACKAGES)


def check(server: Served) -> None:
    assert sorted(event["event"] for event in server.events()) == NAMES
    assert server.cluster("crm-17") == sorted([DEVICE, "ana", "crm-17"])
    assert server.cluster("ben") == ["ben"]
    [viewed] = [event for event in server.events() if event["event"] == "Viewed page"]
    assert viewed["properties"]["emoji"] == "☃"
    assert viewed["properties"]["$distinct_id_before_identity"] == DEVICE


@pytest.mark.parametrize("library", ["segment", "rudder"])
def test_node(library: str, server: Served, node_modules: Path) -> None:
    assert run_node("calls.js", node_modules, library, server.address, server.token, DEVICE) == []
    check(server)


def call_all(client: Any) -> None:
    client.track(anonymous_id=DEVICE, event="Viewed page", properties={"emoji": "☃"})
    client.identify(anonymous_id=DEVICE, user_id="ana", traits={"plan": "pro"})
    client.page(user_id="ana", name="Home")
    client.group(user_id="ana", group_id="acme")
    client.alias("ana", "crm-17")
    client.track(user_id="ben", event="Paid")
    client.shutdown()


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("segment.analytics.client", "segment-analytics-python"),
        ("rudderstack.analytics.client", "rudder-sdk-python"),
    ],
    ids=["segment", "rudderstack"],
)
def test_python(module: str, package: str, server: Served, is_packed: bool) -> None:  # noqa: FBT001 - a parameter
    library: Any = pytest.importorskip(module, reason=f"{package} is missing")
    failures: list[Any] = []
    client = library.Client(
        server.token,
        host=server.address,
        gzip=is_packed,
        on_error=lambda error, _: failures.append(error),
    )
    call_all(client)
    assert failures == []
    check(server)
