"""IDs that become known without a link, as columns, beside a dict and pyarrow, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from idmerge import Resolver

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from benches.support.workload import Columns, Links

pytestmark = pytest.mark.benchmark(group="observe a million IDs, with repeats")


def observe(benchmark: BenchmarkFixture, column: Any) -> list[str]:
    """Time ``observe_many`` of a new resolver; return the IDs that it knows then."""

    def work(resolver: Resolver) -> Resolver:
        resolver.observe_many(column)
        return resolver

    resolver = benchmark.pedantic(work, setup=lambda: ((Resolver(),), {}), rounds=5)
    known: list[str] = pa.table(resolver.mapping())["distinct_id"].to_pylist()
    return known


def test_observe_many_arrow(benchmark: BenchmarkFixture, stated: Columns, listed: Links) -> None:
    assert observe(benchmark, stated.left) == list(dict.fromkeys(listed.left))


def test_observe_many_list(benchmark: BenchmarkFixture, listed: Links) -> None:
    assert observe(benchmark, listed.left) == list(dict.fromkeys(listed.left))


def test_dict_fromkeys(benchmark: BenchmarkFixture, listed: Links) -> None:
    assert len(benchmark.pedantic(dict.fromkeys, (listed.left,), rounds=5)) == len(set(listed.left))


def test_pyarrow_unique(benchmark: BenchmarkFixture, stated: Columns, listed: Links) -> None:
    answer = benchmark.pedantic(pc.unique, (stated.left,), rounds=5)
    assert answer.to_pylist() == list(dict.fromkeys(listed.left))
