"""The drop-in classes and connected components beside the originals, a million merges each.

    pytest benches/suites/test_compat.py

`benches/peers/originals.py` says what each does, and compares them in pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx.utils
import numpy as np
import pyarrow as pa
import pytest
import scipy.cluster.hierarchy

from benches.peers.originals import (
    Drawn,
    as_text,
    by_arrow_and_scipy,
    by_scipy,
    drawn,
    main,
    merge_columns,
    merge_each,
    same_components,
    union_columns,
    union_each,
)
from idmerge import connected_components
from idmerge.compat import DisjointSet, UnionFind

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytest_benchmark.fixture import BenchmarkFixture

MILLION, SMALL = 1_000_000, 5_000


@pytest.fixture(scope="module")
def count(request: pytest.FixtureRequest) -> int:
    """The number of elements and links; few when nothing is timed."""
    return SMALL if request.config.getoption("benchmark_disable") else MILLION


@pytest.fixture(scope="module", params=[int, as_text], ids=["int", "str"])
def pairs(request: pytest.FixtureRequest, count: int) -> Drawn:
    return drawn(count, request.param)


@pytest.fixture(scope="module")
def columns(pairs: Drawn) -> tuple[pa.Array[Any], pa.Array[Any]]:
    return pa.array(pairs.left), pa.array(pairs.right)


@pytest.fixture(scope="module")
def dense(count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Integers that are dense numbers already, as SciPy wants them."""
    rng = np.random.default_rng(0)
    return rng.integers(0, count, count), rng.integers(0, count, count)


def run(benchmark: BenchmarkFixture, call: Any, *given: Any, rounds: int = 3) -> Any:
    return benchmark.pedantic(call, given, rounds=rounds)


@pytest.mark.benchmark(group="DisjointSet")
@pytest.mark.parametrize("cls", [DisjointSet, scipy.cluster.hierarchy.DisjointSet], ids=["idmerge", "scipy"])
def test_disjoint_set(benchmark: BenchmarkFixture, pairs: Drawn, cls: Any) -> None:
    sets = run(benchmark, merge_each, cls, *pairs)
    expected = merge_columns(*pairs)
    assert sets.n_subsets == expected.n_subsets
    assert [sets[x] for x in pairs.elements] == [expected[x] for x in pairs.elements]


@pytest.mark.benchmark(group="DisjointSet")
def test_disjoint_set_of_columns(benchmark: BenchmarkFixture, pairs: Drawn, columns: Any) -> None:
    sets = run(benchmark, merge_columns, pairs.elements, *columns)
    assert sets.n_subsets == merge_each(scipy.cluster.hierarchy.DisjointSet, *pairs).n_subsets


@pytest.mark.benchmark(group="UnionFind")
@pytest.mark.parametrize("cls", [UnionFind, networkx.utils.UnionFind], ids=["idmerge", "networkx"])
def test_union_find(benchmark: BenchmarkFixture, pairs: Drawn, cls: Any) -> None:
    sets = run(benchmark, union_each, cls, pairs.left, pairs.right)
    expected = union_columns(pairs.left, pairs.right)
    assert [sets[x] for x in pairs.left] == [expected[x] for x in pairs.left]


@pytest.mark.benchmark(group="UnionFind")
def test_union_find_of_columns(benchmark: BenchmarkFixture, pairs: Drawn, columns: Any) -> None:
    sets = run(benchmark, union_columns, *columns)
    expected = union_each(networkx.utils.UnionFind, pairs.left, pairs.right)
    assert [sets[x] for x in pairs.left] == [expected[x] for x in pairs.left]


@pytest.mark.benchmark(group="connected components of columns")
def test_components(benchmark: BenchmarkFixture, columns: Any) -> None:
    ours = run(benchmark, connected_components, *columns, rounds=5)
    assert same_components(ours, by_arrow_and_scipy(*columns))


@pytest.mark.benchmark(group="connected components of columns")
def test_components_by_arrow_and_scipy(benchmark: BenchmarkFixture, columns: Any) -> None:
    theirs = run(benchmark, by_arrow_and_scipy, *columns, rounds=5)
    assert same_components(connected_components(*columns), theirs)


@pytest.mark.benchmark(group="connected components of dense integers")
def test_components_of_dense_integers(benchmark: BenchmarkFixture, dense: Any, count: int) -> None:
    ours = run(benchmark, connected_components, *dense, rounds=5)
    assert same_components(ours, by_scipy(*dense, count), count)


@pytest.mark.benchmark(group="connected components of dense integers")
def test_components_of_dense_integers_by_scipy(benchmark: BenchmarkFixture, dense: Any, count: int) -> None:
    theirs = run(benchmark, by_scipy, *dense, count, rounds=5)
    assert same_components(connected_components(*dense), theirs, count)


def test_the_comparison_in_pairs_runs(capsys: pytest.CaptureFixture[str]) -> None:
    main(500, 1)
    assert capsys.readouterr().out.count(" x  (") == 12
