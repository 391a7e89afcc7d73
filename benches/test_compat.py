"""The drop-in classes and connected components beside what they stand in for, a million merges each.

    pytest benches/test_compat.py

Each class does the same merges of random pairs of a million elements, and the sets are compared.
SciPy and NetworkX need dense numbers for components; making these is part of the task.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import networkx.utils
import numpy as np
import pyarrow as pa
import pytest
import scipy.cluster.hierarchy
from scipy.sparse import coo_array, csgraph

from idmerge import connected_components
from idmerge.compat import DisjointSet, UnionFind

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytest_benchmark.fixture import BenchmarkFixture

MILLION, SMALL = 1_000_000, 5_000

Pairs = tuple[list[Any], list[Any], list[Any]]


@pytest.fixture(scope="module", params=["integers", "text"])
def pairs(request: pytest.FixtureRequest) -> Pairs:
    """All elements, and two columns of as many of them; few when nothing is timed."""
    rng = random.Random(0)
    count = SMALL if request.config.getoption("benchmark_disable") else MILLION

    def element(number: int) -> Any:
        return number if request.param == "integers" else f"user-{number}"

    drawn = ([element(rng.randrange(count)) for _ in range(count)] for _ in range(2))
    return [element(number) for number in range(count)], *drawn


def run(benchmark: BenchmarkFixture, call: Any, *columns: Any, rounds: int = 3) -> Any:
    return benchmark.pedantic(call, columns, rounds=rounds)


def merge_each(cls: Any, elements: list[Any], left: list[Any], right: list[Any]) -> Any:
    sets = cls(elements)
    merge = sets.merge
    for x, y in zip(left, right, strict=True):
        merge(x, y)
    return sets


def merge_columns(elements: list[Any], left: Any, right: Any) -> DisjointSet:
    sets = DisjointSet(elements)
    sets.merge_many(left, right)
    return sets


@pytest.mark.benchmark(group="DisjointSet")
@pytest.mark.parametrize("cls", [DisjointSet, scipy.cluster.hierarchy.DisjointSet], ids=["idmerge", "scipy"])
def test_disjoint_set(benchmark: BenchmarkFixture, pairs: Pairs, cls: Any) -> None:
    sets = run(benchmark, merge_each, cls, *pairs)
    expected = merge_columns(*pairs)
    assert sets.n_subsets == expected.n_subsets
    assert [sets[x] for x in pairs[0]] == [expected[x] for x in pairs[0]]


@pytest.mark.benchmark(group="DisjointSet")
def test_disjoint_set_of_columns(benchmark: BenchmarkFixture, pairs: Pairs) -> None:
    elements, left, right = pairs
    sets = run(benchmark, merge_columns, elements, pa.array(left), pa.array(right))
    assert sets.n_subsets == merge_each(scipy.cluster.hierarchy.DisjointSet, *pairs).n_subsets


def union_each(cls: Any, left: list[Any], right: list[Any]) -> Any:
    sets = cls()
    union = sets.union
    for x, y in zip(left, right, strict=True):
        union(x, y)
    return sets


def union_columns(left: Any, right: Any) -> UnionFind:
    sets = UnionFind()
    sets.merge_many(left, right)
    return sets


@pytest.mark.benchmark(group="UnionFind")
@pytest.mark.parametrize("cls", [UnionFind, networkx.utils.UnionFind], ids=["idmerge", "networkx"])
def test_union_find(benchmark: BenchmarkFixture, pairs: Pairs, cls: Any) -> None:
    _, left, right = pairs
    sets = run(benchmark, union_each, cls, left, right)
    expected = union_columns(left, right)
    assert [sets[x] for x in left] == [expected[x] for x in left]


@pytest.mark.benchmark(group="UnionFind")
def test_union_find_of_columns(benchmark: BenchmarkFixture, pairs: Pairs) -> None:
    _, left, right = pairs
    sets = run(benchmark, union_columns, pa.array(left), pa.array(right))
    expected = union_each(networkx.utils.UnionFind, left, right)
    assert [sets[x] for x in left] == [expected[x] for x in left]


def numbered_by_arrow(left: pa.Array[Any], right: pa.Array[Any]) -> tuple[int, NDArray[np.int32]]:
    encoded = pa.chunked_array([left, right]).combine_chunks().dictionary_encode()
    a, b = np.split(encoded.indices.to_numpy(), 2)
    return numbered(a, b, len(encoded.dictionary))


def numbered(a: NDArray[Any], b: NDArray[Any], count: int) -> tuple[int, NDArray[np.int32]]:
    edges = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    components, labels = csgraph.connected_components(edges, directed=False)
    return int(components), labels[a]


def same_partition(a: NDArray[Any], b: NDArray[Any]) -> bool:
    pairs = len(set(zip(a.tolist(), b.tolist(), strict=True)))
    return pairs == len(set(a.tolist())) == len(set(b.tolist()))


@pytest.mark.benchmark(group="connected components of columns")
def test_components(benchmark: BenchmarkFixture, pairs: Pairs) -> None:
    left, right = pa.array(pairs[1]), pa.array(pairs[2])
    ours = run(benchmark, connected_components, left, right, rounds=5)
    count, rows = numbered_by_arrow(left, right)
    assert ours.component_count == count
    assert same_partition(ours.row_labels, rows)


@pytest.mark.benchmark(group="connected components of columns")
def test_components_by_arrow_and_scipy(benchmark: BenchmarkFixture, pairs: Pairs) -> None:
    left, right = pa.array(pairs[1]), pa.array(pairs[2])
    count, rows = run(benchmark, numbered_by_arrow, left, right, rounds=5)
    ours = connected_components(left, right)
    assert ours.component_count == count
    assert same_partition(ours.row_labels, rows)


@pytest.fixture(scope="module")
def dense(request: pytest.FixtureRequest) -> tuple[NDArray[Any], NDArray[Any], int]:
    """Integers that are dense numbers already, as SciPy wants them."""
    count = SMALL if request.config.getoption("benchmark_disable") else MILLION
    rng = np.random.default_rng(0)
    return rng.integers(0, count, count), rng.integers(0, count, count), count


@pytest.mark.benchmark(group="connected components of dense integers")
def test_components_of_dense_integers(benchmark: BenchmarkFixture, dense: Any) -> None:
    left, right, count = dense
    ours = run(benchmark, connected_components, left, right, rounds=5)
    components, rows = numbered(left, right, count)
    assert ours.component_count + count - len(ours.ids) == components
    assert same_partition(ours.row_labels, rows)


@pytest.mark.benchmark(group="connected components of dense integers")
def test_components_of_dense_integers_by_scipy(benchmark: BenchmarkFixture, dense: Any) -> None:
    left, right, count = dense
    _, rows = run(benchmark, numbered, left, right, count, rounds=5)
    assert same_partition(connected_components(left, right).row_labels, rows)
