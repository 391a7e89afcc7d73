"""The feed among sealed events, each answer checked against a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benches.reports import feed

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.benchmark(group="feed")
def test_feed(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    found = benchmark.pedantic(feed.report, (5000, tmp_path / "served"), rounds=1)
    assert found["rows"] > 5000
    assert {kind: count for kind, (_, _, count) in found["times"].items() if not count} == {}
