"""What a journal states about clusters: copies, pairs that are kept apart, what was taken back."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import DurableResolver, Kind, Outcome, Policy, reference
from idmerge.errors import KeptApartError, UnknownIdError
from idmerge.events import SENT_ID
from idmerge.journal.outline import in_effect
from idmerge.recorded import Statement
from journal_twins import Twins, steps
from strategies import friendly_ids, policies, strategies

MOST = 5
"""Positions that a statement lists."""


def stated_by_hand(resolver: reference.Resolver, a: str, b: str) -> list[Statement]:
    """Return the statements about two IDs, found by judging each act of the log again."""
    acts = [step for step in resolver._log if step[0] != "observe"]
    taken_back = in_effect((by, step[1]) for by, step in enumerate(acts) if step[0] == "retract")
    by_of = {step[1]: by for by, step in enumerate(acts) if step[0] == "retract" and by not in taken_back}
    again = reference.Resolver(resolver.policy, resolver.canonical)
    groups: dict[Any, list[tuple[int, int | None]]] = {}
    ours, theirs = ({*resolver.members(text)} for text in (a, b))
    position = 0
    for name, *arguments in resolver._log:
        if name == "observe":
            again.observe(*arguments)
            continue
        by = by_of.get(position) if position in taken_back else None
        kind, first, second, source, refused = (
            arguments
            if name == "_link"
            else (None, *arguments, "import", None)
            if name == "keep_apart"
            else [None] * 5
        )
        outcome = None
        if by is None and name == "_link":
            outcome = again._link(*arguments)
        elif by is None and name == "keep_apart":
            with suppress(KeptApartError):
                again.keep_apart(*arguments)
        has_ids = all(isinstance(text, str) and again._is_valid(text) for text in (first, second))
        if has_ids and (name == "keep_apart" or outcome is not Outcome.VERB_NOT_ALLOWED):
            is_between = (first in ours and second in theirs) or (first in theirs and second in ours)
            touches = bool({first, second} & (ours | theirs))
            if by is not None:
                is_wanted = touches
            elif name == "keep_apart":
                is_wanted = not resolver.same(first, second) and (touches if ours == theirs else is_between)
            else:
                is_wanted = is_between
            if is_wanted:
                code = refused is not None and kind is not Kind.MAPPING
                key = (
                    kind,
                    first,
                    second,
                    source if kind is Kind.MERGE else "import",
                    code,
                    outcome,
                    by is None,
                )
                groups.setdefault(key, []).append((position, by))
        position += 1
    found = [
        Statement(
            *key[:4],
            key[5],
            len(copies),
            tuple(at for at, _ in copies[:MOST]),
            (None,) * min(MOST, len(copies)),
            tuple(by for _, by in copies[:MOST] if by is not None),
            (None,) * min(MOST, len(copies)),
            (None,) * min(MOST, len(copies)),
        )
        for key, copies in groups.items()
    ]
    return sorted(found, key=lambda one: one.positions[0])


@pytest.mark.rule("8")
@given(
    policy=policies,
    canonical=strategies,
    told=steps,
    ids=st.tuples(friendly_ids, friendly_ids),
    history=st.booleans(),
)
def test_the_statements_about_two_clusters_are_those_of_the_log(
    policy: Policy, canonical: Any, told: list[Any], ids: tuple[str, str], *, history: bool
) -> None:
    a, b = ids
    twins = Twins(":memory:", policy, canonical, history)
    for step in told:
        if step[0] in ("link", "observe", "keep_apart", "retract"):
            twins.tell(*step)
    if a not in twins.theirs or b not in twins.theirs:
        with pytest.raises(UnknownIdError):
            twins.ours.statements(a, b)
        return
    assert twins.ours.statements(a, b) == stated_by_hand(twins.theirs, a, b)
    assert twins.ours.statements(a) == stated_by_hand(twins.theirs, a, a)


def test_statements_have_the_times_of_their_commits(tmp_path: Any) -> None:
    with DurableResolver.open(tmp_path / "j") as resolver:
        resolver.merge("ana", "crm-17")
        resolver.commit()
        resolver.merge("ana", "crm-17")
        merged, unchanged = resolver.statements("ana")
        [link] = resolver.explain("ana") or []
        assert (merged.time, unchanged.time) == (link.time, None)
        resolver.commit()
        stated = resolver.statements("ana")
        assert stated[1].time is not None
    with DurableResolver.open(tmp_path / "j", read_only=True, history=False) as reader:
        assert reader.statements("crm-17") == stated


def test_an_earlier_moment_has_the_statements_of_then(tmp_path: Any) -> None:
    path = tmp_path / "j"
    with DurableResolver.open(path) as resolver:
        for _ in range(3):
            resolver.merge("ana", "crm-17")
        resolver.commit()
        resolver.retract(0)
        resolver.keep_apart("ana", "ben")
        resolver.commit()
    for until, expected in (
        (1, [(0,)]),
        (2, [(0,), (1,)]),
        (4, [(0,), (1,), (2,)]),
        (5, [(0,), (1,), (2,), (4,)]),
    ):
        with DurableResolver.open(path, read_only=True, as_of=until) as then:
            assert [one.positions for one in then.statements("ana")] == expected, until


def test_an_event_that_was_sent_under_another_id_is_a_mapping_of_that() -> None:
    with DurableResolver.open(":memory:") as resolver:
        for _ in range(2):
            resolver.apply({"event": "Buy", "properties": {"distinct_id": "ana", SENT_ID: "phone"}})
        resolver.commit()
        first, second = resolver.statements("ana")
    assert (first.kind, first.first, first.second) == (Kind.MAPPING, "phone", "ana")
    assert (first.outcome, second.outcome, second.positions) == (Outcome.MERGED, Outcome.UNCHANGED, (1,))


def test_a_forgotten_id_is_in_no_statement() -> None:
    with DurableResolver.open(":memory:") as resolver:
        resolver.merge("ana", "ana@example.com")
        resolver.keep_apart("ana", "ben@example.com")
        resolver.forget("ana@example.com")
        resolver.forget("ben@example.com")
        resolver.commit()
        assert [(one.first, one.second) for one in resolver.statements("ana")] == [("ana", None)] * 2


@pytest.mark.rule("8")
@given(policies, strategies, steps)
def test_forgetting_returns_the_canonical_ids_that_it_changes(
    policy: Policy, canonical: Any, told: list[Any]
) -> None:
    twins = Twins(":memory:", policy, canonical)
    for step in told:
        if step[0] == "reopen":
            continue
        known = step[0] == "forget" and step[1] in twins.ours
        if not known:
            twins.tell(*step)
            continue
        before = dict(zip(*[*twins.ours.mapping().to_pydict().values()][:2], strict=True))
        changed = twins.ours.forget(step[1]).to_pydict()
        twins.theirs.forget(step[1])
        after = dict(zip(*[*twins.ours.mapping().to_pydict().values()][:2], strict=True))
        expected = {text: new for text, new in after.items() if before[text] != new}
        assert dict(zip(changed["distinct_id"], changed["new_canonical_id"], strict=True)) == expected
        assert changed["old_canonical_id"] == [None] * len(expected)
        assert changed["position"] == [twins.ours.position] * len(expected)
