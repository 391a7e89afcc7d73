"""Properties of a journal: after any steps its answers are the reference's, present and past."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import DurableResolver, Kind, Outcome, Policy
from idmerge.errors import UnknownIdError
from idmerge.journal import durable
from journal_twins import Twins, blocks, steps
from resolver_state import state
from strategies import friendly_ids, policies, strategies


@pytest.mark.rule("8")
@given(policies, strategies, steps)
def test_with_a_journal_it_answers_as_the_reference(
    tmp_path_factory: pytest.TempPathFactory, policy: Policy, canonical: Any, told: list[Any]
) -> None:
    twins = Twins(tmp_path_factory.mktemp("j") / "journal", policy, canonical)
    for step in told:
        twins.tell(*step)
        assert twins.ours.position == twins.theirs.position
        assert state(twins.ours) == state(twins.theirs)
    twins.tell("reopen")
    assert state(twins.ours) == state(twins.theirs)
    twins.ours.close()


@given(policies, strategies, steps, st.data())
def test_the_change_feed_leads_from_any_position_to_now(
    policy: Policy, canonical: Any, told: list[Any], data: st.DataObject
) -> None:
    twins = Twins(":memory:", policy, canonical)
    twins.tell("block", data.draw(blocks))
    mapping: dict[str, str] = {}
    seq = 0
    moments = {0: dict[str, str]()}
    for step in told:
        if step[0] != "reopen":
            twins.tell(*step)
        if step[0] == "forget":  # Who forgets an ID forgets it downstream as well.
            for copy in (mapping, *moments.values()):
                copy.pop(step[1], None)
        now = current(twins.ours)
        moments[twins.ours.position] = now
        if data.draw(st.booleans()):
            follow(mapping, twins.ours, seq)
            seq = twins.ours.position
            assert meaning(mapping, now) == now
    since = data.draw(st.sampled_from(sorted(moments)))
    then = dict(moments[since])
    follow(then, twins.ours, since)
    assert meaning(then, current(twins.ours)) == current(twins.ours)


def current(resolver: DurableResolver) -> dict[str, str]:
    columns = resolver.mapping().to_pydict()
    return dict(zip(columns["distinct_id"], columns["canonical_id"], strict=True))


def follow(mapping: dict[str, str], resolver: DurableResolver, since: int) -> None:
    """Apply a feed to a copy of the mapping; every row changes something."""
    changes = resolver.changes(since).to_pydict()
    for own, old, new in zip(
        changes["distinct_id"], changes["old_canonical_id"], changes["new_canonical_id"], strict=True
    ):
        assert old != new
        if old is not None:
            assert mapping.get(own, own) == old
        mapping[own] = new


def meaning(mapping: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """The canonical IDs by a copy of the mapping; an ID that it lacks stands for itself."""
    return {text: mapping.get(text, text) for text in known}


@pytest.mark.rule("6")
@patch.object(durable, "BLOCKS_AT_ONCE", 2)
@given(policies, strategies, steps, blocks)
def test_the_past_is_what_it_was(
    tmp_path_factory: pytest.TempPathFactory, policy: Policy, canonical: Any, told: list[Any], block: int
) -> None:
    path = tmp_path_factory.mktemp("j") / "journal"
    twins = Twins(path, policy, canonical)
    twins.tell("block", block)
    seen: dict[int, Any] = {}
    for step in told:
        if step[0] in ("forget", "reopen", "compact"):
            continue  # What was forgotten has no past.
        twins.tell(*step)
        seen[twins.ours.position] = state(twins.ours)["mapping"]
    twins.ours.commit()
    twins.ours.close()
    for seq, mapping in seen.items():
        with DurableResolver.open(path, read_only=True, as_of=seq) as past:
            assert past.position == seq
            assert past.mapping().to_pydict() == mapping
            then: dict[str, str] = {}
            follow(then, past, 0)
            assert meaning(then, current(past)) == current(past)
            for text in mapping["distinct_id"]:
                assert past.why_not(text, mapping["distinct_id"][0]) is not None
                with DurableResolver.open(path, read_only=True, as_of=seq, history=False) as bare:
                    assert bare.explain(text) == past.explain(text)


@pytest.mark.rule("8")
@given(
    policy=policies,
    canonical=strategies,
    told=steps,
    history=st.booleans(),
    ends=st.tuples(friendly_ids, friendly_ids),
)
def test_a_chain_of_links_explains_why_two_ids_are_one(
    policy: Policy, canonical: Any, told: list[Any], *, history: bool, ends: tuple[str, str]
) -> None:
    a, b = ends
    twins = Twins(":memory:", policy, canonical, history)
    for step in told:
        if step[0] not in ("reopen", "forget"):
            twins.tell(*step)
    if a not in twins.ours or b not in twins.ours:
        with pytest.raises(UnknownIdError):
            twins.ours.explain(a, b)
        return
    chain = twins.ours.explain(a, b)
    if not twins.ours.same(a, b):
        assert chain is None
        return
    built = twins.ours.explain(a)
    assert chain is not None
    assert built is not None
    graph = nx.Graph((link.first, link.second, {"position": link.position}) for link in built)
    graph.add_node(a)
    assert set(graph) == set(twins.ours.members(a))
    assert graph.number_of_edges() == len(built) == twins.ours.size(a) - 1
    assert [link.position for link in built] == sorted({link.position for link in built})
    way = nx.shortest_path(graph, a, b)
    expected = [graph.edges[pair]["position"] for pair in itertools.pairwise(way)]
    assert [link.position for link in chain] == expected


@pytest.mark.rule("8")
@given(policies, strategies, steps, friendly_ids, friendly_ids)
def test_every_rejected_link_between_two_clusters_is_told(
    policy: Policy, canonical: Any, told: list[Any], a: str, b: str
) -> None:
    resolver = DurableResolver.open(":memory:", policy, canonical)
    rejected = []
    for name, *arguments in told:
        if name == "link":
            link = arguments[0]
            outcome = resolver.link(*link)
            if not outcome.accepted and outcome not in (Outcome.INVALID_ID, Outcome.MALFORMED):
                rejected.append((resolver.position - 1, *link[:3], outcome, link.source))
        elif name == "keep_apart":
            with suppress(ValueError):
                resolver.keep_apart(*arguments)
    expected = [
        (position, kind, first, second, outcome)
        for position, kind, first, second, outcome, _ in rejected
        if a in resolver and b in resolver
        if (resolver.same(first, a) and resolver.same(second, b))
        or (resolver.same(first, b) and resolver.same(second, a))
    ]
    if a not in resolver or b not in resolver:
        with pytest.raises(UnknownIdError):
            resolver.why_not(a, b)
        return
    answer = resolver.why_not(a, b)
    assert [link[:5] for link in answer] == expected
    assert all(link.source == "import" or link.kind is Kind.MERGE for link in answer)


@given(policies, strategies, steps)
def test_a_reader_catches_up_with_the_writer(
    tmp_path_factory: pytest.TempPathFactory, policy: Policy, canonical: Any, told: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("j") / "journal"
    twins = Twins(path, policy, canonical)
    with DurableResolver.open(path, read_only=True) as reader:
        for step in told:
            if step[0] in ("reopen", "compact"):
                continue
            twins.tell(*step)
            if step[0] == "commit":
                assert reader.refresh() == twins.ours.position
                assert state(reader) == state(twins.ours)
        twins.ours.commit()
        reader.refresh()
        assert state(reader) == state(twins.ours)
    twins.ours.close()
