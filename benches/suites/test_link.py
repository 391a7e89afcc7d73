"""Links as columns: a million from Arrow, lists and numpy, ten thousand IDs beside the reference.

    pytest benches

Every benchmark checks its answer against the dict resolver, which the tests hold to the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.dtypes import StringDType

from benches.support.workload import SMALL, Columns, Links, columns
from idmerge import Report, Resolver, reference
from idmerge._benchmark.plain_dict import DictResolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

MILLION = pytest.mark.benchmark(group="link_many, a million links")
FEW = pytest.mark.benchmark(group="link_many, ten thousand IDs")


def run(benchmark: BenchmarkFixture, rounds: int, make: Callable[[], Any], *given: Any) -> Any:
    """Time ``link_many`` of a new resolver on columns."""
    benchmark.extra_info["links"] = len(given[0])
    return benchmark.pedantic(
        lambda resolver: resolver.link_many(*given), setup=lambda: ((make(),), {}), rounds=rounds
    )


@MILLION
def test_link_many_arrow(benchmark: BenchmarkFixture, stated: Columns, expected: Report) -> None:
    assert run(benchmark, 7, Resolver, stated.kinds, stated.left, stated.right) == expected


@MILLION
def test_link_many_list(
    benchmark: BenchmarkFixture, stated: Columns, listed: Links, expected: Report
) -> None:
    assert run(benchmark, 5, Resolver, stated.kinds, listed.left, listed.right) == expected


@MILLION
@pytest.mark.parametrize("dtype", [np.str_, StringDType()], ids=["str", "StringDType"])
def test_link_many_numpy(
    benchmark: BenchmarkFixture, stated: Columns, listed: Links, expected: Report, dtype: Any
) -> None:
    left, right = np.array(listed.left, dtype), np.array(listed.right, dtype)
    assert run(benchmark, 5, Resolver, stated.kinds, left, right) == expected


@MILLION
def test_link_many_dict_with_the_rules(benchmark: BenchmarkFixture, listed: Links, expected: Report) -> None:
    assert Report(run(benchmark, 2, DictResolver, *listed)) == expected


@MILLION
def test_links_that_are_known(benchmark: BenchmarkFixture, stated: Columns, expected: Report) -> None:
    resolver = Resolver()
    resolver.link_many(stated.kinds, stated.left, stated.right)
    count = len(resolver)
    again = benchmark.pedantic(resolver.link_many, (stated.kinds, stated.left, stated.right), rounds=5)
    assert (again.rejected, again.merged) == (expected.rejected, 0)
    assert len(resolver) == count


@FEW
@pytest.mark.parametrize("make", [Resolver, DictResolver, reference.Resolver])
def test_link_many_of_few(benchmark: BenchmarkFixture, make: Callable[[], Any]) -> None:
    few = columns(SMALL).links()
    answer = run(benchmark, 5, make, *few)
    judged = Report(DictResolver().link_many(*few))
    assert (answer if isinstance(answer, Report) else Report(answer)) == judged
