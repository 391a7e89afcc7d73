"""Mappings, verdicts of Mixpanel's and evidence, by the resolver and by the reference."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from idmerge import Kind, Link, Outcome, Policy, Resolver, parse, reference
from strategies import D1, D2, OLD_WEB_IDS

STRATEGIES = ["stable", "identified", "first_seen", "smallest"]


@pytest.fixture(params=[Resolver, reference.Resolver], ids=["core", "reference"])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


def event(name: str, **properties: Any) -> dict[str, Any]:
    return {"event": name, "properties": {key.replace("__", "$"): value for key, value in properties.items()}}


def rewritten(canonical: Any, sent: Any) -> dict[str, Any]:
    return event("Buy", distinct_id=canonical, __distinct_id_before_identity=sent)


# Mappings


@pytest.mark.rule("2.1", "2.2", "2.3", "2.mapping.4")
def test_a_mapping_is_judged_from_top_to_bottom(make: Any) -> None:
    r = make()
    outcomes = r.link_many(Kind.MAPPING, [None, "null", "a", "a", "a"], ["b", "b", "a", "b", "b"]).outcomes
    assert [Outcome(code).name for code in outcomes] == [
        "MALFORMED",
        "INVALID_ID",
        "SAME_IDS",
        "MERGED",
        "UNCHANGED",
    ]


@pytest.mark.rule("2.mapping.6")
def test_no_guard_no_format_and_no_size_refuses_a_mapping(make: Any) -> None:
    r = make(Policy(max_cluster_size=2, anon_guard="cluster"))
    r.identify(D1, "U1")
    assert r.identify(D1, "U2") is Outcome.ANON_CLAIMED
    assert r.link(Kind.MAPPING, D1, "U2") is Outcome.MERGED
    assert r.members("U2") == [D1, "U1", "U2"]
    assert r.merge("U3", "U1") is Outcome.TOO_MANY_IDS


@pytest.mark.rule("2.mapping.5", "8.keep apart")
def test_a_mapping_joins_nothing_that_is_kept_apart(make: Any) -> None:
    r = make()
    r.keep_apart("a", "b")
    assert r.link(Kind.MAPPING, "a", "b") is Outcome.KEPT_APART
    assert r.resolve("a") == "a"


@pytest.mark.rule("2.mapping.6")
def test_a_mapping_claims_nothing(make: Any) -> None:
    r = make()
    r.link(Kind.MAPPING, D1, "U1")
    assert r.identify(D1, "U2") is Outcome.MERGED


@pytest.mark.rule("5.stated")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_latest_mapping_names_the_cluster_under_every_strategy(make: Any, strategy: str) -> None:
    r = make(canonical=strategy)
    r.merge("a", "b")
    r.merge("a", "c")
    r.link(Kind.MAPPING, "a", "z")
    assert r.resolve("b") == "z"
    assert r.link(Kind.MAPPING, "z", "c") is Outcome.UNCHANGED
    assert {r.resolve(text) for text in "abcz"} == {"c"}
    r.identify(D1, "b")  # It would name the cluster under "identified".
    assert r.resolve("z") == "c"


@pytest.mark.rule("5.stated")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_named_cluster_beats_a_larger_one_that_is_not(make: Any, strategy: str) -> None:
    r = make(canonical=strategy)
    for other in "bcd":
        r.merge("a", other)
    r.identify(D1, "a")
    r.link(Kind.MAPPING, "y", "z")
    r.merge("a", "y")
    assert r.resolve("d") == "z"


@pytest.mark.rule("5.stated")
@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("stable", "y"), ("identified", "z"), ("first_seen", "x"), ("smallest", "x")],
)
def test_of_two_named_clusters_the_strategy_decides(make: Any, strategy: str, expected: str) -> None:
    r = make(canonical=strategy)
    r.observe("x")
    r.link(Kind.MAPPING, "a", "y")
    for other in "bd":
        r.link(Kind.MAPPING, other, "y")
    r.link(Kind.MAPPING, "c", "x" if expected == "x" else "z")
    r.identify(D1, "z")
    r.merge("c", "a")
    assert r.resolve("b") == expected


@pytest.mark.rule("5.stated", "8.forget")
def test_when_the_named_id_is_forgotten_the_strategy_chooses_again(make: Any) -> None:
    r = make(canonical="identified")
    r.identify(D1, "U1")
    r.link(Kind.MAPPING, "U1", "z")
    r.forget("z")
    assert r.resolve(D1) == "U1"
    r.merge("U1", "a")  # Nothing is named any more.
    assert r.resolve("a") == "U1"


def test_a_callable_strategy_is_asked_all_the_same(make: Any) -> None:
    r = make(canonical=lambda members: members[0])
    r.link(Kind.MAPPING, "a", "z")
    assert r.resolve("z") == "a"


# Verdicts


REFUSED = event("$identify", __anon_id=D1, __identified_id="U1", __failure_reason="errManyIDs")


@pytest.mark.rule("2.verdicts", "3")
def test_a_link_that_mixpanel_refused_is_refused(make: Any) -> None:
    r = make()
    assert parse(REFUSED) == Link(Kind.IDENTIFY, D1, "U1", "import", "errManyIDs")
    assert r.apply(REFUSED) is Outcome.REFUSED_BEFORE
    assert r.members("U1") == ["U1"]
    assert D1 in r  # A rejected link makes its IDs known.
    assert r.identify(D1, "U2") is Outcome.MERGED  # And claims nothing.


@pytest.mark.rule("2.verdicts")
def test_verdicts_can_be_ignored(make: Any) -> None:
    r = make(Policy(verdicts="ignore"))
    assert r.apply(REFUSED) is Outcome.MERGED
    assert r.identify(D1, "U2") is Outcome.ANON_CLAIMED  # The claim counts.


@pytest.mark.rule("2.verdicts")
@pytest.mark.parametrize("verdicts", ["respect", "ignore"])
def test_verdicts_that_differ_are_counted_under_either_switch(make: Any, verdicts: Any) -> None:
    r = make(Policy(verdicts=verdicts))
    r.apply(REFUSED)
    r.link(Kind.MERGE, "a", "b", "import", "errManyIDs")
    r.link(Kind.MERGE, "a", "a", refused="errSameIDs")  # Both refuse it.
    r.link(Kind.IDENTIFY, "word", "U1", refused="errAnonDistinctIdNonGUIDForm")
    assert r.stats().differing == 2
    assert r.stats().outcomes.get(Outcome.REFUSED_BEFORE, 0) == (4 if verdicts == "respect" else 0)


@pytest.mark.rule("2.verdicts")
def test_what_can_be_no_link_is_not_counted_as_refused(make: Any) -> None:
    r = make()
    assert r.link(Kind.MERGE, "", "a", refused="x") is Outcome.INVALID_ID
    malformed = event("$identify", __anon_id=D1, __failure_reason="errManyIDs")
    assert r.apply(malformed) is Outcome.MALFORMED
    assert r.link(Kind.MERGE, "a", "b", "track", "x") is Outcome.MERGE_NOT_ALLOWED
    assert r.link(Kind.MAPPING, "a", "b", refused="x") is Outcome.MERGED


@pytest.mark.rule("3")
@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"$failure_reason": "errManyIDs"}, "errManyIDs"),
        ({"$identity_failure_reason": "errManyIDs"}, "errManyIDs"),
        ({"$failure_reason": None, "$identity_failure_reason": "late"}, "late"),
        ({"$failure_reason": "one", "$identity_failure_reason": "other"}, "one"),
        ({"$failure_reason": 7}, "7"),
        ({"$failure_reason": 1000.0}, "1000"),
        ({"$failure_reason": 0.5}, "0.5"),
        ({"$failure_reason": None}, None),
        ({"$failure_reason": ""}, None),
        ({"$failure_description": "of nothing"}, None),
    ],
)
def test_a_reason_is_any_value_but_null_and_the_empty_text(properties: Any, reason: str | None) -> None:
    link = parse({"event": "$create_alias", "properties": {"alias": "a", "distinct_id": "b", **properties}})
    assert link is not None
    assert link.refused == reason


# Evidence


@pytest.mark.rule("3.evidence")
def test_an_event_whose_id_was_rewritten_joins_both_and_names_the_cluster(make: Any) -> None:
    r = make(canonical="smallest")
    assert r.apply(rewritten("user", "a")) is None
    assert r.members("a") == ["user", "a"]
    assert r.resolve("a") == "user"
    assert r.cluster_count == 1
    assert r.stats().outcomes == {}


@pytest.mark.rule("3.evidence")
def test_evidence_is_no_part_of_a_report(make: Any) -> None:
    r = make()
    events = [rewritten("u", "a"), event("$merge", __distinct_ids=["b", "c"]), rewritten("u", "b")]
    report = r.apply_events(events)
    assert (report.outcomes.tolist(), report.rows.tolist()) == ([Outcome.MERGED], [1])
    assert r.resolve("c") == "u"


@pytest.mark.rule("3.evidence")
def test_no_guard_and_no_size_refuses_evidence_but_keeping_apart_does(make: Any) -> None:
    r = make(Policy(max_cluster_size=2))
    r.identify(D1, "U1")
    r.keep_apart("U1", "U3")
    r.apply(rewritten("U2", D1))
    r.apply(rewritten("U3", D1))
    assert r.members("U2") == [D1, "U1", "U2"]
    assert r.members("U3") == ["U3"]


@pytest.mark.rule("3.evidence")
@pytest.mark.parametrize(
    ("canonical", "sent", "known"),
    [
        ("u", "u", ["u"]),
        ("u", None, ["u"]),
        ("u", "null", ["u"]),
        ("u", "\ud800", ["u"]),
        ("u", ["x"], ["u"]),
        ("null", "u", []),
        (None, "u", []),
        (7, "7", ["7"]),
        (7, 8, ["7", "8"]),
    ],
)
def test_without_two_ids_an_event_is_one_of_its_own(make: Any, canonical: Any, sent: Any, known: Any) -> None:
    r = make()
    r.apply(rewritten(canonical, sent))
    mapping = r.mapping()
    columns = mapping if isinstance(mapping, dict) else mapping.to_pydict()
    assert columns["distinct_id"] == known


@pytest.mark.rule("2.evidence")
def test_evidence_can_be_left_out(make: Any) -> None:
    r = make(Policy(evidence=False))
    r.apply(rewritten("u", "a"))
    assert ("u" in r, "a" in r) == (True, False)


# Operands and formats


@pytest.mark.rule("3")
@pytest.mark.parametrize(
    ("properties", "identified"),
    [
        ({"distinct_id": "device", "$distinct_id_before_identity": "ana"}, "ana"),
        ({"distinct_id": "ana", "$distinct_id_before_identity": None}, "ana"),
        ({"distinct_id": "x", "$distinct_id_before_identity": "y", "$identified_id": "ana"}, "ana"),
        ({"distinct_id": "ana"}, "ana"),
    ],
)
def test_the_identified_id_is_the_one_that_was_sent(properties: Any, identified: str) -> None:
    link = parse({"event": "$identify", "properties": {"$anon_distinct_id": D2, **properties}})
    assert link is not None
    assert link.second == identified


@pytest.mark.rule("3")
def test_an_alias_whose_id_as_sent_is_null_is_of_its_distinct_id() -> None:
    stated = event("$create_alias", alias="a", distinct_id="u", __distinct_id_before_identity=None)
    assert parse(stated) == Link(Kind.ALIAS, "a", "u")


@pytest.mark.rule("2.anon_format")
@pytest.mark.parametrize("anon_id", OLD_WEB_IDS)
def test_ids_of_the_old_web_sdk_are_anonymous_by_default(make: Any, anon_id: str) -> None:
    assert make().identify(anon_id, "U1") is Outcome.MERGED
    assert make(Policy(anon_format="uuid4")).identify(anon_id, "U1") is Outcome.ANON_FORMAT


@pytest.mark.rule("2.anon_format")
@pytest.mark.parametrize("prefix", ["", "$device:"])
def test_groups_that_are_as_long_as_need_be_are_anonymous(prefix: str) -> None:
    core, judge = Resolver(), reference.Resolver()
    lengths = product((10, 11, 12), (0, 1, 2), (0, 1), (1,), (10, 11, 12))
    ids = [prefix + "-".join("a" * length for length in group) for group in lengths]
    outcomes = [core.identify(text, "U1") for text in ids]
    assert outcomes == [judge.identify(text, "U1") for text in ids]
    assert outcomes.count(Outcome.MERGED) == 2 * 2 * 2
