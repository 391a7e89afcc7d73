"""Fixtures of the suites: the workload and its answer; and the figures that a recorded run keeps.

A recorded run keeps the figures and the kind of machine, not its name and not every round.
"""

from __future__ import annotations

from typing import Any

import pytest

from benches.support.workload import MILLION_LINKS, SMALL, Columns, Links, columns
from idmerge import Report
from idmerge._benchmark.plain_dict import DictResolver


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    machine_info.pop("node", None)


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    for benchmark in output_json["benchmarks"]:
        benchmark["stats"].pop("data", None)


@pytest.fixture(scope="session")
def ids(request: pytest.FixtureRequest) -> int:
    """IDs of a million links, or few when nothing is timed."""
    return SMALL if request.config.getoption("benchmark_disable") else MILLION_LINKS


@pytest.fixture(scope="session")
def stated(ids: int) -> Columns:
    return columns(ids)


@pytest.fixture(scope="session")
def listed(stated: Columns) -> Links:
    return stated.links()


@pytest.fixture(scope="session")
def judge(listed: Links) -> DictResolver:
    """The dict resolver that knows the links; the tests hold it to the reference."""
    resolver = DictResolver()
    resolver.link_many(*listed)
    return resolver


@pytest.fixture(scope="session")
def expected(listed: Links) -> Report:
    return Report(DictResolver().link_many(*listed))
