"""Generators of policies, links and events in which the interesting case is common.

Few IDs and many links: so that claims clash, aliases repeat, clusters hit the limit and links
repeat. The IDs are chosen for the borders of SPEC 2 to 4.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from idmerge import Kind, Link, Policy

D1 = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
D2 = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
D3 = "e7a1c9d4-1f2b-4d3c-9b8a-112233445566"

ANONYMOUS = [D1, D2, D3, f"$device:{D1}", D2.upper(), f"$device:{D3.upper()}"]
OLD_WEB = "18c4f0a1b2c3d4-0a1b2c3d4e5f60-1b525637-1fa400-18c4f0a1b2d9e0"
OLD_WEB_IDS = [OLD_WEB, f"$device:{OLD_WEB}", OLD_WEB.upper(), "0123456789a-b-C-d-0123456789f"]
NEAR_MISSES = [
    "5c3c0e5d-9a1f-1c39-8f8e-3e7a9d2d6a11",  # another version
    "5c3c0e5d-9a1f-4c39-7f8e-3e7a9d2d6a11",  # another variant
    "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a1g",  # no hex digit
    "5c3c0e5d9a1f4c398f8e3e7a9d2d6a11",  # no hyphens
    f"{D1} ",
    f"$Device:{D1}",
    f"$device:$device:{D1}",
    "a-b-c-d-e",
    "$device:18d2-ab-33-44-9f",
    "a-b--d-e",
    "0123456789-b-c-d-0123456789f",  # the first group of an old web ID is too short
    "0123456789a-b-c-d-0123456789",  # the last one
    "0123456789a-b--d-0123456789f",  # an empty one
    "0123456789a-b-c-0123456789f",  # four
    "0123456789a-b-c-d-e-0123456789f",  # six
    "0123456789g-b-c-d-0123456789f",  # no hex digit
]
USERS = [
    "U1",
    "U2",
    "u1",
    "user@example.com",
    "ünïcödé-\U0001f98a",
    "nul\0inside",
    "\U0001f98a",
    "x" * 15,
    "x" * 16,
]
BLOCKED = ["null", "NULL", "$device:null", "$device:", "00000000-0000-0000-0000-000000000000", "lmy47D", "{}"]
INVALID = ["", "x" * 256, "é" * 256, "\ud800", "lone \udfff surrogate"]
LONGEST = ["y" * 255, "é" * 255]

ids = st.one_of(
    st.sampled_from(ANONYMOUS + USERS[:2]),
    st.sampled_from(ANONYMOUS + OLD_WEB_IDS + NEAR_MISSES + USERS + BLOCKED + INVALID + LONGEST),
)
"""Any ID, valid or not; mostly one of a few."""

friendly_ids = st.sampled_from([D1, D2, D3, "U1", "U2", "U3", "U4"])
"""Valid IDs only, so that clusters grow."""

kinds = st.sampled_from(Kind)


def links(operands: st.SearchStrategy[str] = ids) -> st.SearchStrategy[list[Link]]:
    """Up to 40 links, now and then one by a route that it may not come by, or refused before."""
    sources = st.sampled_from(["import", "import", "track"])
    refusals = st.sampled_from([None, None, None, "errManyIDs"])
    one = st.builds(Link, kinds, operands, operands, sources, refusals)
    return st.lists(one, max_size=40)


many_links = st.one_of(links(), links(friendly_ids))

policies = st.builds(
    Policy,
    api=st.sampled_from([*["original"] * 4, "simplified", "legacy"]),
    max_cluster_size=st.sampled_from([2, 3, 4, 500, None]),
    anon_format=st.sampled_from(["mixpanel", "uuid4", "sdk", "any"]),
    anon_guard=st.sampled_from(["anon", "cluster", "off"]),
    alias_once=st.booleans(),
    blocked_ids=st.sampled_from([Policy().blocked_ids, frozenset(), frozenset({"U2", "ünïcödé-\U0001f98a"})]),
    max_id_length=st.sampled_from([1, 36, 255, 256, None]),
    verdicts=st.sampled_from(["respect", "ignore"]),
    evidence=st.sampled_from([True, True, False]),
)


def policy_with(kind: Kind, **rules: Any) -> Policy:
    """Return a policy of an API that has links of this kind."""
    return Policy(api="simplified" if kind is Kind.ASSOCIATION else "original", **rules)


original_policies = policies.filter(lambda policy: policy.api == "original")
"""Those of the Original API, which is what tables of events are read by."""

strategies = st.sampled_from(["stable", "identified", "first_seen", "smallest"])


def last_member(members: Any) -> str:
    """Choose the member known last: a canonical strategy that no named one equals."""
    chosen: str = members[-1]
    return chosen


canonicals = st.one_of(strategies, st.just(last_member))

_operands = st.one_of(
    ids, friendly_ids, st.none(), st.integers(-2, 2), st.booleans(), st.floats(), st.just(["x"])
)
_properties = st.dictionaries(
    st.sampled_from(
        [
            "distinct_id",
            "$anon_id",
            "$anon_distinct_id",
            "$identified_id",
            "alias",
            "$distinct_id_before_identity",
            "$device_id",
            "$user_id",
            "$failure_reason",
            "$identity_failure_reason",
        ]
    ),
    _operands,
    max_size=6,
)
_rewritten = st.fixed_dictionaries(
    {"distinct_id": friendly_ids, "$distinct_id_before_identity": friendly_ids}
)
_merges = st.fixed_dictionaries(
    {"$distinct_ids": st.one_of(st.lists(_operands, min_size=1, max_size=3), st.tuples(ids, ids), _operands)}
)
events = st.fixed_dictionaries(
    {"event": st.sampled_from(["$identify", "$create_alias", "$merge", "Page View", "Sign Up", None, 7])},
    optional={"properties": st.one_of(_properties, _properties, _rewritten, _merges, st.none())},
)
"""One event of any shape, well-formed or not."""
