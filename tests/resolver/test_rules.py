"""Examples of the rules: each row of SPEC 2 to 5 and 7, by the resolver and by the reference."""

from __future__ import annotations

from typing import Any

import pytest

from idmerge import DEFAULT_BLOCKED_IDS, Kind, Outcome, Policy, Resolver, reference
from strategies import ANONYMOUS, D1, D2, D3, NEAR_MISSES, policy_with

Either = Resolver | reference.Resolver


@pytest.fixture(params=[Resolver, reference.Resolver], ids=["core", "reference"])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


def clusters(resolver: Either) -> set[frozenset[str]]:
    mapping = resolver.mapping()
    columns = mapping if isinstance(mapping, dict) else mapping.to_pydict()
    return {frozenset(resolver.members(text)) for text in columns["distinct_id"]}


def partition(*groups: str) -> set[frozenset[str]]:
    names = {"D1": D1, "D2": D2, "D3": D3}
    return {frozenset(names.get(name, name) for name in group.split()) for group in groups}


# The flows of SPEC 7


@pytest.mark.rule("7.1")
def test_flow_1_a_new_user(make: Any) -> None:
    r = make()
    r.observe(D1)
    assert r.identify(D1, "U1") is Outcome.MERGED
    r.observe("U1")
    assert clusters(r) == partition("D1 U1")
    assert r.resolve(D1) == "U1"


@pytest.mark.rule("7.2")
def test_flow_2_a_returning_user_on_a_new_device(make: Any) -> None:
    r = make()
    r.identify(D1, "U1")
    r.observe(D2)
    assert r.identify(D2, "U1") is Outcome.MERGED
    assert clusters(r) == partition("D1 D2 U1")


@pytest.mark.rule("7.3")
def test_flow_3_two_users_on_one_device_with_a_reset(make: Any) -> None:
    r = make()
    r.identify(D1, "U1")
    assert r.identify(D2, "U2") is Outcome.MERGED
    assert clusters(r) == partition("D1 U1", "D2 U2")


@pytest.mark.rule("7.4", "2.identify.6")
def test_flow_4_two_users_on_one_device_without_a_reset(make: Any) -> None:
    r = make()
    r.identify(D1, "U1")
    assert r.identify(D1, "U2") is Outcome.ANON_CLAIMED
    assert clusters(r) == partition("D1 U1", "U2")


@pytest.mark.rule("7.5", "2.merge.6")
def test_flow_5_a_merge_joins_claimed_devices(make: Any) -> None:
    r = make()
    r.identify(D1, "U1")
    r.identify(D2, "U2")
    assert r.merge("U1", "U2") is Outcome.MERGED
    assert clusters(r) == partition("D1 D2 U1 U2")


# The steps of SPEC 2


@pytest.mark.rule("1")
def test_a_device_and_its_prefixed_form_are_two_ids(make: Any) -> None:
    r = make()
    r.identify(D1, "U1")
    assert r.identify(f"$device:{D1}", "U1") is Outcome.MERGED
    assert r.members("U1") == [D1, "U1", f"$device:{D1}"]


@pytest.mark.rule("2.3")
@pytest.mark.parametrize("kind", Kind)
def test_step_3_an_id_and_itself_are_same_ids_and_become_known(make: Any, kind: Kind) -> None:
    r = make(policy_with(kind))
    assert r.link(kind, "not-even-a-uuid", "not-even-a-uuid") is Outcome.SAME_IDS
    assert "not-even-a-uuid" in r


@pytest.mark.rule("2.identify.4")
@pytest.mark.parametrize("anon_id", ANONYMOUS)
def test_step_4_a_uuid4_of_either_case_is_anonymous(make: Any, anon_id: str) -> None:
    assert make().identify(anon_id, "U1") is Outcome.MERGED


@pytest.mark.rule("2.identify.4")
@pytest.mark.parametrize("anon_id", NEAR_MISSES)
def test_step_4_what_only_looks_like_a_uuid4_is_not(make: Any, anon_id: str) -> None:
    r = make()
    assert r.identify(anon_id, "U1") is Outcome.ANON_FORMAT
    assert (anon_id in r, "U1" in r) == (True, True)
    assert not r.same(anon_id, "U1")


@pytest.mark.rule("2.anon_format")
@pytest.mark.parametrize(
    ("anon_id", "expected"),
    [
        (D1, Outcome.MERGED),
        ("a-b-c-d-e", Outcome.MERGED),
        ("$device:18d2-ab-33-44-9f", Outcome.MERGED),
        ("a-b--d-e", Outcome.ANON_FORMAT),
        ("a-b-c-d", Outcome.ANON_FORMAT),
        ("a-b-c-d-e-f", Outcome.ANON_FORMAT),
        ("a-b-c-d-é", Outcome.ANON_FORMAT),
        ("a-b-c-d-e\n", Outcome.ANON_FORMAT),
    ],
)
def test_the_sdk_format_is_five_groups(make: Any, anon_id: str, expected: Outcome) -> None:
    assert make(Policy(anon_format="sdk")).identify(anon_id, "U1") is expected


@pytest.mark.rule("2.anon_format")
def test_any_format_is_any(make: Any) -> None:
    assert make(Policy(anon_format="any")).identify("line\nbreak", "U1") is Outcome.MERGED


@pytest.mark.rule("2.identify.4")
def test_the_format_is_checked_before_the_cluster(make: Any) -> None:
    r = make()
    r.merge("A", "U1")
    assert r.identify("A", "U1") is Outcome.ANON_FORMAT


@pytest.mark.rule("2.identify.5")
def test_step_5_an_unchanged_identify_still_claims(make: Any) -> None:
    r = make()
    r.merge(D1, "U1")
    assert r.identify(D1, "U1") is Outcome.UNCHANGED
    assert r.identify(D1, "U2") is Outcome.ANON_CLAIMED


@pytest.mark.rule("2.identify.6", "2.anon_guard")
def test_step_6_by_default_only_the_anonymous_id_itself_is_guarded(make: Any) -> None:
    r = make()
    r.identify(D1, "U1")
    r.merge(D2, "U1")
    assert r.identify(D2, "U2") is Outcome.MERGED


@pytest.mark.rule("2.identify.6", "2.anon_guard")
def test_step_6_the_guard_of_the_cluster_looks_at_every_member(make: Any) -> None:
    r = make(Policy(anon_guard="cluster"))
    r.identify(D1, "U1")
    r.merge(D2, "U1")
    assert r.identify(D2, "U2") is Outcome.ANON_CLAIMED


@pytest.mark.rule("2.identify.6", "2.anon_guard")
def test_step_6_without_a_guard_a_device_joins_its_users(make: Any) -> None:
    r = make(Policy(anon_guard="off"))
    r.identify(D1, "U1")
    assert r.identify(D1, "U2") is Outcome.MERGED


@pytest.mark.rule("2.identify.7")
def test_a_rejected_identify_claims_nothing(make: Any) -> None:
    r = make(Policy(max_cluster_size=2))
    r.merge("U1", "U2")
    assert r.identify(D1, "U1") is Outcome.TOO_MANY_IDS
    assert r.identify(D1, "U3") is Outcome.MERGED


@pytest.mark.rule("2.create_alias.5", "2.create_alias.7")
def test_an_alias_is_used_once_and_chains_are_fine(make: Any) -> None:
    r = make()
    assert r.alias("A", "U1") is Outcome.MERGED
    assert r.alias("A", "U2") is Outcome.ALIAS_TAKEN
    assert r.alias("B", "U1") is Outcome.MERGED
    assert r.alias("C", "A") is Outcome.MERGED
    assert r.alias("A", "C") is Outcome.UNCHANGED
    assert clusters(r) == partition("A B C U1", "U2")


@pytest.mark.rule("2.create_alias.5")
def test_an_id_in_a_cluster_can_be_used_once_as_an_alias(make: Any) -> None:
    r = make()
    r.merge("A", "B")
    assert r.alias("A", "U1") is Outcome.MERGED
    assert r.alias("A", "U2") is Outcome.ALIAS_TAKEN


@pytest.mark.rule("2.create_alias.4")
def test_an_unchanged_alias_is_recorded(make: Any) -> None:
    r = make()
    r.merge("A", "U1")
    assert r.alias("A", "U1") is Outcome.UNCHANGED
    assert r.alias("A", "U2") is Outcome.ALIAS_TAKEN


@pytest.mark.rule("2.alias_once")
def test_aliases_can_be_used_often_if_the_policy_says_so(make: Any) -> None:
    r = make(Policy(alias_once=False))
    r.alias("A", "U1")
    assert r.alias("A", "U2") is Outcome.MERGED


@pytest.mark.rule("2.create_alias.7", "2.merge.6")
def test_alias_and_merge_ignore_the_claim_on_an_anonymous_id(make: Any) -> None:
    r = make()
    r.identify(D1, "U1")
    assert r.alias(D1, "U2") is Outcome.MERGED
    assert r.merge(D1, "U3") is Outcome.MERGED


@pytest.mark.rule("2.identify.8")
def test_claims_survive_a_merge_and_are_not_transferred(make: Any) -> None:
    r = make()
    r.identify(D1, "U1")
    r.merge(D2, D1)
    assert r.identify(D1, "U2") is Outcome.ANON_CLAIMED
    assert r.identify(D2, "U2") is Outcome.MERGED


@pytest.mark.rule("2.max_cluster_size", "2.merge.5")
@pytest.mark.parametrize("limit", [499, 500, 501])
def test_a_cluster_may_reach_the_limit_and_not_exceed_it(make: Any, limit: int) -> None:
    r = make(Policy(max_cluster_size=limit))
    outcomes = [r.merge("center", f"member {number}") for number in range(limit)]
    assert outcomes == [Outcome.MERGED] * (limit - 1) + [Outcome.TOO_MANY_IDS]
    assert r.size("center") == limit


@pytest.mark.rule("2.max_cluster_size")
def test_without_a_limit_a_cluster_grows_on(make: Any) -> None:
    r = make(Policy(max_cluster_size=None))
    for number in range(1000):
        r.merge("center", f"member {number}")
    assert r.size("center") == 1001


@pytest.mark.rule("3.merge")
def test_a_merge_from_the_track_route_is_not_allowed_but_makes_its_ids_known(make: Any) -> None:
    r = make()
    assert r.link(Kind.MERGE, "A", "B", "track") is Outcome.MERGE_NOT_ALLOWED
    assert clusters(r) == partition("A", "B")
    assert r.link(Kind.MERGE, "A", "", "track") is Outcome.INVALID_ID
    assert r.link(Kind.ALIAS, "A", "B", "track") is Outcome.MERGED


# Which texts are IDs (SPEC 2, step 2, and SPEC 4)


@pytest.mark.rule("2.2", "2.max_id_length")
@pytest.mark.parametrize(
    "text",
    [
        "\U0001f98a",
        "a\0b",
        "\0",
        " ",
        "x" * 255,
        "é" * 255,
        "\U0001f98a" * 255,
        "Null ",
        "$device:x",
        "1",
        "00",
    ],
)
def test_a_strange_id_is_an_id(make: Any, text: str) -> None:
    r = make()
    assert r.merge(text, "U1") is Outcome.MERGED
    assert r.members("U1") == [text, "U1"]


@pytest.mark.rule("2.2", "2.max_id_length")
@pytest.mark.parametrize("text", ["", "x" * 256, "é" * 256, "\U0001f98a" * 256, "\ud800", "a\udfffb"])
def test_what_is_no_id_is_as_if_never_sent(make: Any, text: str) -> None:
    r = make()
    assert r.merge(text, "U1") is Outcome.INVALID_ID
    assert r.merge("U1", text) is Outcome.INVALID_ID
    assert (len(r), text in r, r.resolve(text)) == (0, False, text)


@pytest.mark.rule("4", "2.blocked_ids")
@pytest.mark.parametrize("text", sorted(DEFAULT_BLOCKED_IDS))
def test_a_blocked_id_is_blocked_in_either_case_and_after_the_prefix(make: Any, text: str) -> None:
    r = make()
    for form in (text, text.upper() if text != "$device:" else text, f"$device:{text}"):
        assert r.identify(D1, form) is Outcome.INVALID_ID
        r.observe(form)
    assert len(r) == 0


@pytest.mark.rule("4")
def test_the_prefix_itself_has_one_case(make: Any) -> None:
    assert make().merge("$DEVICE:null", "U1") is Outcome.MERGED


@pytest.mark.rule("1")
def test_case_matters_in_an_id_that_is_not_blocked(make: Any) -> None:
    r = make()
    r.merge("u1", "x")
    assert not r.same("U1", "u1")


@pytest.mark.rule("2.blocked_ids", "2.max_id_length")
def test_unrestricted_allows_what_can_be_allowed(make: Any) -> None:
    r = make(Policy.unrestricted())
    assert r.identify("null", "$device:") is Outcome.MERGED
    assert r.identify("null", "x" * 10_000) is Outcome.MERGED
    assert r.merge("", "null") is Outcome.INVALID_ID


# Who names a cluster (SPEC 5)


@pytest.mark.rule("5", "5.first_seen")
@pytest.mark.parametrize(
    ("canonical", "expected"),
    [("stable", "U1"), ("identified", "U1"), ("first_seen", D1), ("smallest", D1), (max, "U1")],
    ids=["stable", "identified", "first_seen", "smallest", "callable"],
)
def test_the_first_identify_names_the_cluster(make: Any, canonical: Any, expected: str) -> None:
    r = make(canonical=canonical)
    r.identify(D1, "U1")
    assert (r.resolve(D1), r.resolve("U1")) == (expected, expected)


@pytest.mark.rule("5.stable")
def test_stable_keeps_the_name_of_the_larger_cluster(make: Any) -> None:
    r = make()
    r.merge("A", "B")
    r.merge("A", "C")
    r.identify(D1, "U1")
    r.merge("U1", "A")
    assert r.resolve("U1") == "A"


@pytest.mark.rule("5.stable")
def test_stable_prefers_an_identified_cluster_of_equal_size(make: Any) -> None:
    r = make()
    r.merge("A", "B")
    r.identify(D1, "U1")
    r.merge("A", "U1")
    assert r.resolve("B") == "U1"


@pytest.mark.rule("5.stable")
def test_stable_prefers_at_last_the_name_known_first(make: Any) -> None:
    r = make()
    r.observe_many(["B", "A"])
    r.merge("A", "B")
    assert r.resolve("A") == "B"


@pytest.mark.rule("5.identified")
def test_identified_changes_its_mind_when_a_member_becomes_identified(make: Any) -> None:
    r = make(canonical="identified")
    r.merge(D1, "U1")
    assert r.resolve("U1") == D1
    assert r.identify(D1, "U1") is Outcome.UNCHANGED
    assert r.resolve("U1") == "U1"


@pytest.mark.rule("5.identified")
def test_identified_takes_the_identified_id_known_first(make: Any) -> None:
    r = make(canonical="identified")
    r.observe_many(["U2", "U1"])
    r.identify(D1, "U1")
    r.identify(D2, "U2")
    r.merge("U1", "U2")
    assert r.resolve(D1) == "U2"


@pytest.mark.rule("5.smallest")
def test_smallest_compares_utf8_bytes(make: Any) -> None:
    r = make(canonical="smallest")
    for text in ("\U0001f98a", "\uffee", "é", "z"):
        r.merge(text, "\U0001f98a\U0001f98a")
    assert r.resolve("\uffee") == "z"
    r.merge(D1, "z")
    assert r.resolve("z") == D1


@pytest.mark.rule("1")
def test_members_come_in_the_order_in_which_they_became_known(make: Any) -> None:
    r = make()
    r.observe("C")
    r.merge("B", "A")
    r.merge("A", "C")
    assert r.members("A") == ["C", "B", "A"]


@pytest.mark.rule("5")
def test_a_callable_sees_the_members_in_their_order_and_must_choose_one(make: Any) -> None:
    seen: list[list[str]] = []

    def choose(members: Any) -> str:
        seen.append(list(members))
        return "nobody" if len(members) > 2 else str(members[-1])

    r = make(canonical=choose)
    r.merge("B", "A")
    assert r.resolve("B") == "A"
    assert seen[-1] == ["B", "A"]
    r.merge("B", "C")
    with pytest.raises(
        ValueError, match="must return a member of the cluster, got 'nobody' for the cluster of 'B'"
    ):
        r.resolve("A")
    with pytest.raises(ValueError, match="nobody"):
        r.mapping()
