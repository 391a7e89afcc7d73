"""Single calls, beside the floor of an empty one and what a dict takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benches.support.workload import links
from idmerge import Kind, Outcome, Resolver

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.benchmark(group="one call")

D1, D2 = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"


@pytest.fixture
def warm() -> Resolver:
    resolver = Resolver()
    resolver.identify(D1, "U1")
    resolver.identify(D2, "U2")
    return resolver


def test_floor_of_an_empty_call(benchmark: BenchmarkFixture) -> None:
    """A method in C that looks at two arguments: what any call costs."""
    assert benchmark("".replace, "a", "b") == ""


def test_identify_rejected(benchmark: BenchmarkFixture, warm: Resolver) -> None:
    assert benchmark(warm.identify, D1, "U2") is Outcome.ANON_CLAIMED


def test_identify_unchanged(benchmark: BenchmarkFixture, warm: Resolver) -> None:
    assert benchmark(warm.identify, D1, "U1") is Outcome.UNCHANGED


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


def test_resolve(benchmark: BenchmarkFixture, warm: Resolver) -> None:
    assert benchmark(warm.resolve, D1) == "U1"


def test_get_from_the_finished_mapping(benchmark: BenchmarkFixture) -> None:
    """A dict that somebody else keeps up to date."""
    assert benchmark({D1: "U1", D2: "U2"}.get, D1) == "U1"


def test_a_batch_of_one(benchmark: BenchmarkFixture, warm: Resolver) -> None:
    """The cost of a batch before its first link."""
    assert benchmark(warm.link_many, Kind.IDENTIFY, [D1], ["U1"]).counts == {Outcome.UNCHANGED: 1}
