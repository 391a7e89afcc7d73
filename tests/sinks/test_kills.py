"""Killed deliveries: the target is as its cursor says, and right after the next delivery."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benches.campaigns.sinks import kill
from postgres_server import running_server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nobody can be killed by a signal there")


def test_after_every_kill_the_next_delivery_makes_the_target_the_mapping(tmp_path: Path) -> None:
    with running_server() as server:
        counts = kill(24, tmp_path, 1, server.url(server.new_schema()))
    assert counts["kills"] == 24
    assert all(counts[kind] for kind in ("ndjson", "parquet", "duckdb", "postgresql"))
