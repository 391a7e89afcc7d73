"""The cost of one more ID while a resolver grows: the whole growth timed, its worst calls noted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benches.reports.growth import grow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.benchmark(group="growing, call by call and in chunks")
def test_growth(benchmark: BenchmarkFixture, ids: int) -> None:
    grown = benchmark.pedantic(grow, (ids,), rounds=1)
    benchmark.extra_info.update({"call_ns": grown["call_ns"], "chunk_ns": grown["chunk_ns"]})
    assert abs(grown["ids"] - ids) <= 5
    assert grown["call_ns"]["50"] <= grown["call_ns"]["100"] == max(grown["slowest_ns"])
