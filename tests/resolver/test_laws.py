"""Properties: for any links, policy and way in, the answer is the reference's."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Kind, Link, Outcome, Policy, Report, Resolver, reference
from resolver_state import state
from strategies import canonicals, events, friendly_ids, ids, links, many_links, policies, strategies


def apart(resolver: Resolver | reference.Resolver) -> set[frozenset[str]]:
    """The clusters as a partition."""
    return {frozenset(members) for members in state(resolver)["members"]}


def columns(stated: list[Link]) -> tuple[list[Kind], list[str], list[str]]:
    return [link.kind for link in stated], [link.first for link in stated], [link.second for link in stated]


@pytest.mark.rule("2", "5")
@given(policies, canonicals, many_links)
def test_one_by_one_it_answers_as_the_reference(policy: Policy, canonical: Any, stated: list[Link]) -> None:
    ours, theirs = Resolver(policy, canonical), reference.Resolver(policy, canonical)
    assert [ours.link(*link) for link in stated] == [theirs.link(*link) for link in stated]
    assert state(ours) == state(theirs)


@given(policies, canonicals, many_links)
def test_the_three_named_calls_answer_as_the_reference(
    policy: Policy, canonical: Any, stated: list[Link]
) -> None:
    ours, theirs = Resolver(policy, canonical), reference.Resolver(policy, canonical)
    names = {Kind.IDENTIFY: "identify", Kind.ALIAS: "alias", Kind.MERGE: "merge"}
    for kind, first, second, *_ in stated:
        name = names.get(kind, "merge")
        assert getattr(ours, name)(first, second) is getattr(theirs, name)(first, second)
    assert state(ours) == state(theirs)


@pytest.mark.rule("2")
@given(policies, canonicals, many_links, st.lists(st.integers(0, 40), max_size=4))
def test_the_answer_does_not_depend_on_batch_size(
    policy: Policy, canonical: Any, stated: list[Link], cuts: list[int]
) -> None:
    one_by_one, in_batches = reference.Resolver(policy, canonical), Resolver(policy, canonical)
    expected = [one_by_one.link(kind, first, second) for kind, first, second, *_ in stated]
    bounds = [0, *sorted(cuts), len(stated)]
    reports = [in_batches.link_many(*columns(stated[start:end])) for start, end in itertools.pairwise(bounds)]
    assert [outcome for report in reports for outcome in report.outcomes] == expected
    assert state(in_batches) == state(one_by_one)


@pytest.mark.rule("3")
@given(policies, canonicals, st.lists(events, max_size=25), st.sampled_from(["import", "track"]))
def test_events_are_applied_as_by_the_reference(
    policy: Policy, canonical: Any, stated: list[Any], source: Any
) -> None:
    at_once, one_by_one = Resolver(policy, canonical), Resolver(policy, canonical)
    judge = reference.Resolver(policy, canonical)
    expected = judge.apply_events(stated, source)
    assert at_once.apply_events(stated, source) == expected
    outcomes = [one_by_one.apply(event, source) for event in stated]
    assert Report([outcome for outcome in outcomes if outcome is not None], expected.rows) == expected
    assert state(at_once) == state(one_by_one) == state(judge)


@given(st.lists(events, max_size=10))
def test_an_event_is_the_same_as_a_mapping_and_as_json(stated: list[Any]) -> None:
    as_mappings, as_text, as_bytes = Resolver(), Resolver(), Resolver()
    texts = [json.dumps(event) for event in stated]
    report = as_mappings.apply_events([json.loads(text) for text in texts])
    assert as_text.apply_events(texts) == report
    assert as_bytes.apply_events([text.encode() for text in texts]) == report
    assert state(as_text) == state(as_bytes) == state(as_mappings)


@pytest.mark.rule("2")
@given(policies, strategies, many_links, st.data())
def test_a_rejected_link_leaves_every_cluster_and_claim_as_it_was(
    policy: Policy, canonical: Any, stated: list[Link], data: st.DataObject
) -> None:
    resolver, without = Resolver(policy, canonical), Resolver(policy, canonical)
    for link in stated:
        before = apart(resolver)
        outcome = resolver.link(*link)
        if outcome.accepted:
            without.link(*link)
        elif outcome not in {Outcome.INVALID_ID, Outcome.MALFORMED, Outcome.VERB_NOT_ALLOWED}:
            without.observe_many([link.first, link.second])
        if outcome is not Outcome.MERGED:
            assert {cluster for cluster in before if len(cluster) > 1} == {
                cluster for cluster in apart(resolver) if len(cluster) > 1
            }
    probes = data.draw(links(friendly_ids))
    assert [resolver.link(*link) for link in probes] == [without.link(*link) for link in probes]
    assert state(resolver)["mapping"] == state(without)["mapping"]


@pytest.mark.rule("3")
@given(policies, strategies, many_links)
def test_replaying_the_accepted_links_changes_nothing_more(
    policy: Policy, canonical: Any, stated: list[Link]
) -> None:
    resolver = Resolver(policy, canonical)
    accepted = [link for link in stated if resolver.link(*link).accepted]
    before, clusters = state(resolver)["mapping"], apart(resolver)
    assert {resolver.link(*link) for link in accepted} <= {Outcome.UNCHANGED, Outcome.REFUSED_BEFORE}
    assert apart(resolver) == clusters
    if Kind.MAPPING not in {link.kind for link in accepted}:  # The latest mapping names a cluster.
        assert state(resolver)["mapping"] == before


@pytest.mark.rule("3")
@given(policies, strategies, many_links)
def test_replaying_a_whole_log_merges_nothing_more(
    policy: Policy, canonical: Any, stated: list[Link]
) -> None:
    resolver = Resolver(policy, canonical)
    for link in stated:
        resolver.link(*link)
    before = apart(resolver)
    assert Outcome.MERGED not in {resolver.link(*link) for link in stated}
    assert apart(resolver) == before


@pytest.mark.rule("2.max_cluster_size")
@given(policies, canonicals, many_links)
def test_no_cluster_exceeds_the_limit(policy: Policy, canonical: Any, stated: list[Link]) -> None:
    resolver = Resolver(policy, canonical)
    resolver.link_many(*columns([link for link in stated if link.kind is not Kind.MAPPING]))
    limit = policy.max_cluster_size
    assert limit is None or all(size <= limit for size in resolver.stats().cluster_sizes)


@given(policies, canonicals, many_links, ids)
def test_resolving_is_idempotent_and_stays_in_the_cluster(
    policy: Policy, canonical: Any, stated: list[Link], unknown: str
) -> None:
    resolver = Resolver(policy, canonical)
    resolver.link_many(*columns(stated))
    for text in [*state(resolver)["mapping"]["distinct_id"], unknown]:
        resolved = resolver.resolve(text)
        assert resolver.resolve(resolved) == resolved
        assert resolver.same(text, resolved)
        assert resolved in (resolver.members(text) if text in resolver else [text])


@given(policies, many_links, st.lists(st.one_of(ids, st.none()), max_size=20))
def test_observing_answers_as_the_reference(
    policy: Policy, stated: list[Link], seen: list[str | None]
) -> None:
    ours, theirs = Resolver(policy), reference.Resolver(policy)
    for resolver in (ours, theirs):
        resolver.observe_many(seen[::2])
        resolver.link_many(*columns(stated))
        for text in seen[1::2]:
            if text is not None:
                resolver.observe(text)
    assert state(ours) == state(theirs)


@given(many_links)
def test_two_ids_are_the_same_exactly_when_they_resolve_alike(stated: list[Link]) -> None:
    resolver = Resolver()
    resolver.link_many(*columns(stated))
    named = [text for link in stated for text in (link.first, link.second)][:12]
    for a in named:
        for b in named:
            assert resolver.same(a, b) == (resolver.resolve(a) == resolver.resolve(b))


def test_a_long_batch_answers_as_the_reference() -> None:
    """Many times the group of the core, so that its index grows in the middle of a batch."""
    rng = np.random.default_rng(7)
    names = [f"person number {number} of the long batch" for number in range(3000)]
    left, right = ([names[i] for i in rng.integers(0, 3000, 20_000)] for _ in range(2))
    kinds = rng.integers(1, 3, 20_000).astype(np.uint8)
    ours, theirs = Resolver(Policy(max_cluster_size=40)), reference.Resolver(Policy(max_cluster_size=40))
    assert ours.link_many(kinds, left, right) == theirs.link_many([Kind(kind) for kind in kinds], left, right)
    assert state(ours)["mapping"] == state(theirs)["mapping"]
    assert ours.stats() == theirs.stats()


def test_a_batch_may_link_an_id_that_it_has_just_named_with_itself() -> None:
    """It once counted the ID as new twice over and failed with an overflow."""
    ours, theirs = Resolver(), reference.Resolver()
    columns_ = [Kind.MERGE, Kind.MERGE, Kind.ALIAS], ["a", "new", "new"], ["new", "new", "b"]
    assert ours.link_many(*columns_) == theirs.link_many(*columns_)
    assert state(ours) == state(theirs)
