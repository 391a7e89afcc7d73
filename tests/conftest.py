"""Settings for every test: no deadlines, names that last, and the choice of tests by rule."""

from __future__ import annotations

import gc

import pytest
from hypothesis import HealthCheck, settings

from parameter_names import is_stable
from spec_rules import covers, rules

# Machines are noisy.
settings.register_profile("idmerge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("idmerge")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rule", help="only tests of this rule of docs/SPEC.md: 2.identify.6, or all of 2.identify, or of 2"
    )


def pytest_configure(config: pytest.Config) -> None:
    rule, known = config.getoption("--rule"), rules()
    if rule is not None and not any(covers(address, rule) for address in known):
        message = f"--rule {rule} is no rule of docs/SPEC.md; those are {', '.join(known)}"
        raise pytest.UsageError(message)


def pytest_itemcollected(item: pytest.Item) -> None:
    if not is_stable(item.nodeid):
        raise pytest.UsageError(f"{item.nodeid[:300]}: name its parameters, with ids=parameter_names.stable")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    rule = config.getoption("--rule")
    if rule is not None:
        chosen = [item for item in items if any(covers(address, rule) for address in _rules_of(item))]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen


def pytest_collection_finish() -> None:
    """Leave what collecting made out of later garbage collections, which many tests ask for."""
    gc.collect()
    gc.freeze()


def _rules_of(item: pytest.Item) -> list[str]:
    return [address for mark in item.iter_markers("rule") for address in mark.args]
