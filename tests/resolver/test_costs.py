"""Costs that grow with the call alone: each is measured at n and at 4n.

Where work grows with n, it is some 4 times as much; where it grows with the square, 16 times. The
clock is the process's own, and of several attempts the fastest counts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time

import pytest

from idmerge import DurableResolver, Policy, Profiles, Resolver

FREE = Policy(max_cluster_size=None)
BETWEEN = 9
"""A ratio between 4 and 16."""


def seconds(act: Callable[[], object]) -> float:
    started = process_time()
    act()
    return process_time() - started


def assert_linear(prepare: Callable[[int], Callable[[], object]], count: int) -> None:
    """Fail if what ``prepare`` returns costs much more than 4 times as much for 4 times n."""
    ratios = []
    for _ in range(5):
        once, more = (seconds(prepare(size)) for size in (count, 4 * count))
        ratios.append(more / max(once, 0.001))
        if ratios[-1] < BETWEEN:
            return
    pytest.fail(f"4 times as many cost {ratios} times as much")


def pairs(count: int) -> DurableResolver:
    """A resolver that joined so many pairs."""
    resolver = DurableResolver.open(":memory:", FREE)
    for number in range(count):
        resolver.merge(f"a{number}", f"b{number}")
    return resolver


def star(resolver: Resolver, count: int) -> Resolver:
    """The resolver with one cluster of so many IDs."""
    for number in range(1, count):
        resolver.merge("a0", f"a{number}")
    return resolver


def test_retracting_many_positions_at_once_costs_the_positions() -> None:
    def prepare(count: int) -> Callable[[], object]:
        return partial(pairs(count).retract, *range(count))

    assert_linear(prepare, 4000)


def test_retracting_beside_many_that_were_forgotten_costs_both() -> None:
    def prepare(count: int) -> Callable[[], object]:
        resolver = pairs(count)
        for number in range(count):
            resolver.forget(f"a{number}")
        return partial(resolver.retract, *range(count), dry_run=True)

    assert_linear(prepare, 4000)


def test_a_link_costs_the_same_however_many_pairs_are_kept_apart() -> None:
    def prepare(count: int) -> Callable[[], object]:
        resolver = Resolver(FREE)
        for number in range(count):
            resolver.keep_apart(f"a{number}", f"b{number}")

        def act() -> None:
            for number in range(count - 1):
                resolver.merge(f"a{number}", f"a{number + 1}")
            assert not any(resolver.merge("a0", f"b{number}").accepted for number in range(count))

        return act

    assert_linear(prepare, 3000)


def test_a_chain_costs_its_links_and_not_the_cluster() -> None:
    def prepare(count: int) -> Callable[[], object]:
        resolver = star(Resolver(FREE, history=True), count)

        def act() -> None:
            for number in range(2, count, 2):
                assert len(resolver.explain("a1", f"a{number}") or []) == 2

        return act

    assert_linear(prepare, 3000)


@pytest.mark.parametrize("canonical", ["stable", "identified", "first_seen", "smallest"])
def test_forgetting_all_members_of_a_cluster_costs_each_the_same(canonical: str) -> None:
    def prepare(count: int) -> Callable[[], object]:
        resolver = star(Resolver(FREE, canonical), count)  # type: ignore[arg-type]

        def act() -> None:
            for own in sorted(resolver.members("a0")) if canonical == "smallest" else resolver.members("a0"):
                resolver.forget(own)

        return act

    assert_linear(prepare, 4000)


def test_opening_a_journal_of_many_batches_costs_no_more_where_much_is_taken_back(tmp_path: Path) -> None:
    def prepare(count: int) -> Callable[[], object]:
        path = tmp_path / f"{count} {len(list(tmp_path.iterdir()))}"
        with DurableResolver.open(path, FREE) as resolver:
            for number in range(count):
                resolver.merge(f"a{number}", f"b{number}")
                if number % 10 == 0:
                    resolver.commit()
            resolver.retract(*range(count))
            resolver.commit()
        path.with_name(f"{path.name}-checkpoint").unlink(missing_ok=True)
        return lambda: DurableResolver.open(path, read_only=True).close()

    assert_linear(prepare, 2000)


def test_asking_whether_somebody_has_a_profile_costs_no_copy_of_it() -> None:
    def prepare(count: int) -> Callable[[], object]:
        profiles = Profiles(Resolver())
        profiles.update({"$distinct_id": "u", "$set": {"list": list(range(count))}})
        return lambda: [profiles.__contains__("u") for _ in range(count)]

    assert_linear(prepare, 3000)
