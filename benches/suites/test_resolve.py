"""Look-ups as columns, and the whole mapping. Checked against the dict resolver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.dtypes import StringDType

from idmerge import Resolver

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from benches.support.workload import Columns, Links
    from idmerge._benchmark.plain_dict import DictResolver

LOOK_UPS = pytest.mark.benchmark(group="a million look-ups")


@pytest.fixture(scope="module")
def linked(stated: Columns) -> Resolver:
    resolver = Resolver()
    resolver.link_many(stated.kinds, stated.left, stated.right)
    return resolver


@pytest.fixture(scope="module")
def names(listed: Links, judge: DictResolver) -> list[str]:
    return [judge.resolve(text) for text in listed.left]


@LOOK_UPS
def test_resolve_many_arrow(
    benchmark: BenchmarkFixture, linked: Resolver, stated: Columns, names: list[str]
) -> None:
    assert benchmark.pedantic(linked.resolve_many, (stated.left,), rounds=5).to_pylist() == names


@LOOK_UPS
def test_resolve_many_list(
    benchmark: BenchmarkFixture, linked: Resolver, listed: Links, names: list[str]
) -> None:
    assert benchmark.pedantic(linked.resolve_many, (listed.left,), rounds=5) == names


@LOOK_UPS
@pytest.mark.parametrize("dtype", [np.str_, StringDType()], ids=["str", "StringDType"])
def test_resolve_many_numpy(
    benchmark: BenchmarkFixture, linked: Resolver, listed: Links, names: list[str], dtype: Any
) -> None:
    ids = np.array(listed.left, dtype)
    assert benchmark.pedantic(linked.resolve_many, (ids,), rounds=5).tolist() == names


@LOOK_UPS
def test_a_comprehension_over_the_finished_mapping(
    benchmark: BenchmarkFixture, judge: DictResolver, listed: Links, names: list[str]
) -> None:
    mapping = {text: judge.resolve(text) for text in judge.parent}
    answer = benchmark.pedantic(lambda: [mapping.get(text, text) for text in listed.left], rounds=5)
    assert answer == names


@pytest.mark.benchmark(group="the mapping of a million links")
def test_mapping(benchmark: BenchmarkFixture, linked: Resolver, judge: DictResolver) -> None:
    mapping = benchmark.pedantic(lambda: pa.table(linked.mapping()), rounds=5)
    assert mapping["distinct_id"].to_pylist() == list(judge.parent)
    assert mapping["canonical_id"].to_pylist() == [judge.resolve(text) for text in judge.parent]
