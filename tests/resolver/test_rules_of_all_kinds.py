"""Steps that the three kinds of link share, in the order in which they apply (SPEC 2)."""

from __future__ import annotations

from typing import Any

import pytest

from idmerge import Kind, Outcome, Policy, Resolver, reference
from strategies import D1, D2, policy_with


@pytest.fixture(params=[Resolver, reference.Resolver], ids=["core", "reference"])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.rule("2.identify.5", "2.create_alias.4", "2.merge.4")
@pytest.mark.parametrize("kind", Kind)
def test_a_link_within_a_cluster_is_unchanged_whatever_else_would_reject_it(make: Any, kind: Kind) -> None:
    r = make(policy_with(kind, max_cluster_size=2))
    r.link(Kind.MAPPING, D1, "U1")
    assert r.link(kind, D1, "U1") is Outcome.UNCHANGED
    assert r.link(kind, D1, "U1") is Outcome.UNCHANGED  # Although D1 is claimed, or an alias.
    assert r.members("U1") == [D1, "U1"]


@pytest.mark.rule("2.identify.7", "2.create_alias.6", "2.merge.5", "8.keep apart")
@pytest.mark.parametrize("kind", Kind)
def test_ids_that_are_kept_apart_are_joined_by_no_kind_of_link(make: Any, kind: Kind) -> None:
    r = make(policy_with(kind, max_cluster_size=2))
    r.link(Kind.MAPPING, "U1", "U2")
    r.keep_apart(D1, "U2")
    assert r.link(kind, D1, "U1") is Outcome.KEPT_APART  # A cluster of three would be too large, too.
    assert r.members("U1") == ["U1", "U2"]
    assert r.link(kind, D1, "U3") is Outcome.MERGED  # What was rejected has claimed nothing.


@pytest.mark.rule("2.identify.7", "2.create_alias.6", "2.merge.5", "2.max_cluster_size")
@pytest.mark.parametrize("kind", [Kind.IDENTIFY, Kind.ALIAS, Kind.MERGE])
def test_no_kind_of_link_makes_a_cluster_too_large(make: Any, kind: Kind) -> None:
    r = make(Policy(max_cluster_size=3))
    assert r.link(kind, D1, "U1") is Outcome.MERGED
    assert r.merge("U1", "U2") is Outcome.MERGED
    assert r.link(kind, D2, "U1") is Outcome.TOO_MANY_IDS
    assert r.members("U1") == [D1, "U1", "U2"]


@pytest.mark.rule("2.identify.6")
def test_a_claimed_device_is_reported_before_ids_that_are_kept_apart(make: Any) -> None:
    r = make()
    r.identify(D1, "U1")
    r.keep_apart(D1, "U2")
    assert r.identify(D1, "U2") is Outcome.ANON_CLAIMED
    assert r.merge(D1, "U2") is Outcome.KEPT_APART


@pytest.mark.rule("2.create_alias.5")
def test_an_alias_that_was_used_is_reported_before_ids_that_are_kept_apart(make: Any) -> None:
    r = make()
    r.alias("A", "U1")
    r.keep_apart("A", "U2")
    assert r.alias("A", "U2") is Outcome.ALIAS_TAKEN
    assert r.merge("A", "U2") is Outcome.KEPT_APART
