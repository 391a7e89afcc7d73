"""Links and look-ups: columns of a million, and one at a time beside the floor of an empty call.

    pytest benches

Every benchmark checks its answer against the dict resolver, which the tests hold to the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from benches.workload import Links, links
from idmerge import Kind, Outcome, Report, Resolver, reference
from idmerge.cli.plain_dict import DictResolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

MILLION_LINKS = 666_667
"""Distinct IDs, of which a million links are made."""
SMALL = 10_000

D1, D2 = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"


@pytest.fixture(scope="session")
def size(request: pytest.FixtureRequest) -> int:
    """A million links, or few when nothing is timed."""
    return SMALL if request.config.getoption("benchmark_disable") else MILLION_LINKS


@pytest.fixture(scope="session")
def stated(size: int) -> Links:
    return links(size)


@pytest.fixture(scope="session")
def expected(stated: Links) -> Report:
    return Report(DictResolver().link_many(*stated))


@pytest.fixture(scope="session")
def arrow(stated: Links) -> tuple[Any, Any, Any]:
    return np.array(stated.kinds, np.uint8), pa.array(stated.left), pa.array(stated.right)


def run(benchmark: BenchmarkFixture, rounds: int, make: Callable[[], Any], *columns: Any) -> Any:
    """Time ``link_many`` of a new resolver on ``columns``."""

    def setup() -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (make(),), {}

    benchmark.extra_info["links"] = len(columns[0])
    return benchmark.pedantic(lambda resolver: resolver.link_many(*columns), setup=setup, rounds=rounds)


@pytest.mark.benchmark(group="link_many, a million links")
def test_link_many_arrow(benchmark: BenchmarkFixture, arrow: Any, expected: Report) -> None:
    assert run(benchmark, 7, Resolver, *arrow) == expected


@pytest.mark.benchmark(group="link_many, a million links")
def test_link_many_list(benchmark: BenchmarkFixture, arrow: Any, stated: Links, expected: Report) -> None:
    assert run(benchmark, 5, Resolver, arrow[0], stated.left, stated.right) == expected


@pytest.mark.benchmark(group="link_many, a million links")
def test_link_many_dict_with_policy(benchmark: BenchmarkFixture, stated: Links, expected: Report) -> None:
    assert Report(run(benchmark, 2, DictResolver, *stated)) == expected


@pytest.mark.benchmark(group="link_many, ten thousand IDs")
def test_link_many_small_reference(benchmark: BenchmarkFixture) -> None:
    small = links(SMALL)
    assert run(benchmark, 3, reference.Resolver, *small) == Report(DictResolver().link_many(*small))


@pytest.mark.benchmark(group="link_many, ten thousand IDs")
def test_link_many_small_arrow(benchmark: BenchmarkFixture) -> None:
    small = links(SMALL)
    columns = np.array(small.kinds, np.uint8), pa.array(small.left), pa.array(small.right)
    assert run(benchmark, 7, Resolver, *columns) == Report(DictResolver().link_many(*small))


@pytest.mark.benchmark(group="resolve_many")
@pytest.mark.parametrize("family", ["arrow", "list"])
def test_resolve_many(benchmark: BenchmarkFixture, arrow: Any, stated: Links, family: str) -> None:
    resolver, judge = Resolver(), DictResolver()
    resolver.link_many(*arrow)
    judge.link_many(*stated)
    ids = arrow[1] if family == "arrow" else stated.left
    answer = benchmark.pedantic(resolver.resolve_many, (ids,), rounds=5)
    assert list(answer if family == "list" else answer.to_pylist()) == [judge.resolve(i) for i in stated.left]


@pytest.fixture
def warm() -> Resolver:
    resolver = Resolver()
    resolver.identify(D1, "U1")
    resolver.identify(D2, "U2")
    return resolver


@pytest.mark.benchmark(group="one call")
def test_floor_of_an_empty_call(benchmark: BenchmarkFixture) -> None:
    """A method in C that looks at two arguments: what any call costs."""
    assert benchmark("".replace, "a", "b") == ""


@pytest.mark.benchmark(group="one call")
def test_identify_rejected(benchmark: BenchmarkFixture, warm: Resolver) -> None:
    assert benchmark(warm.identify, D1, "U2") is Outcome.ANON_CLAIMED


@pytest.mark.benchmark(group="one call")
def test_identify_unchanged(benchmark: BenchmarkFixture, warm: Resolver) -> None:
    assert benchmark(warm.identify, D1, "U1") is Outcome.UNCHANGED


@pytest.mark.benchmark(group="one call")
def test_identify_of_new_ids(benchmark: BenchmarkFixture) -> None:
    """Ten thousand calls on new IDs a round; divide by ten thousand."""
    small = [(a, b) for kind, a, b in zip(*links(20_000), strict=True) if kind is Kind.IDENTIFY][:10_000]

    def identify_all(resolver: Resolver) -> int:
        identify = resolver.identify
        for anon_id, identified_id in small:
            identify(anon_id, identified_id)
        return len(resolver)

    count = benchmark.pedantic(identify_all, setup=lambda: ((Resolver(),), {}), rounds=20)
    assert count == len({text for pair in small for text in pair})


@pytest.mark.benchmark(group="one call")
def test_resolve(benchmark: BenchmarkFixture, warm: Resolver) -> None:
    assert benchmark(warm.resolve, D1) == "U1"
