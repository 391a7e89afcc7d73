"""The server that a test of an application runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from idmerge.errors import IdmergeError, PolicyError
from idmerge.testing import LocalServer, server

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("uvicorn")


def track(local: LocalServer, name: str, **properties: Any) -> None:
    event = {"event": name, "properties": {"token": local.token, **properties}}
    with urlopen(f"{local.url}/track", json.dumps(event).encode()) as answer:  # noqa: S310
        assert answer.read() == b"1"


def test_what_an_application_sends_can_be_asked_for() -> None:
    phone = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
    with server() as local:
        track(local, "View", distinct_id=phone)
        track(local, "$identify", distinct_id="ana", **{"$anon_id": phone, "$identified_id": "ana"})
        assert [event["event"] for event in local.events()] == ["View", "$identify"]
        assert {event["properties"]["distinct_id"] for event in local.events()} == {"ana"}
        assert (local.resolve(phone), sorted(local.cluster("ana"))) == ("ana", sorted([phone, "ana"]))


def test_a_directory_stays_and_keeps_its_api(tmp_path: Path) -> None:
    for number in range(2):
        with server(tmp_path / "kept", api="simplified") as local:
            if not number:
                track(local, "View", **{"$device_id": "d", "$user_id": "ana"})
            assert local.resolve("$device:d") == "ana"


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text("project = 5", "utf-8")
    with pytest.raises(IdmergeError, match="a project is expected"), server(tmp_path):
        pass
    with pytest.raises(PolicyError), server(api="other"):  # type: ignore[arg-type]
        pass


def test_an_error_of_the_block_ends_the_server() -> None:
    with pytest.raises(ZeroDivisionError), server() as local:
        1 / 0  # noqa: B018
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{local.url}/health")  # noqa: S310
