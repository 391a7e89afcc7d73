"""Bytes an ID, in a process of its own, and no more than the design promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benches.support.process import in_own_process

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

MOST_BYTES = 100
"""Bytes an ID of a million links: 32, the index, the aliases' texts, and the allocator's share."""


@pytest.mark.benchmark(group="memory")
def test_memory(benchmark: BenchmarkFixture, ids: int) -> None:
    figures = benchmark.pedantic(in_own_process, ("benches.reports.memory", ids), rounds=1)
    benchmark.extra_info.update(figures)
    assert figures["held"] <= figures["peak"]
    if ids > 100_000:
        assert 32 <= figures["held"] < MOST_BYTES
