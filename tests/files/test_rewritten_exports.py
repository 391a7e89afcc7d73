"""Raw exports that Mixpanel has rewritten or judged itself, read from files (SPEC 3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Outcome, Policy, Resolver, files, reference, stitch
from idmerge.events import parse
from idmerge.files.rows import Rows
from paths import DATA
from resolver_state import state
from strategies import canonicals, events, policies

FIELD = DATA / "field"
DEVICE = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"


def resolved(name: str, policy: Policy | None = None) -> tuple[Resolver, list[files.JudgedLink]]:
    resolver = Resolver(policy)
    judged: list[files.JudgedLink] = []
    for piece in files.scan(FIELD / name):
        judged += piece.judged(piece.apply_to(resolver))
    return resolver, judged


@pytest.mark.rule("3")
def test_in_a_rewritten_identify_the_id_as_sent_is_identified() -> None:
    resolver, [link] = resolved("rekeyed_identify.ndjson")
    assert (link.outcome, link.second) == (Outcome.MERGED, "ana")
    assert resolver.members("ana") == [f"$device:{DEVICE}", "ana"]


@pytest.mark.rule("3.evidence")
def test_one_rewritten_event_joins_its_person() -> None:
    resolver, _ = resolved("partial_rekey.ndjson")
    assert resolver.cluster_count == 1
    assert resolver.resolve("324172") == f"$device:{DEVICE}"
    apart, _ = resolved("partial_rekey.ndjson", Policy(evidence=False))
    assert apart.cluster_count == 2


@pytest.mark.rule("2.verdicts")
def test_a_link_that_mixpanel_refused_has_its_reason() -> None:
    resolver, [link] = resolved("failure_reason.ndjson")
    assert link.outcome is Outcome.REFUSED_BEFORE
    assert link.failure_reason == link.reason == "errAnonDistinctIdAssignedAlready"
    assert resolver.stats().differing == 1
    anew, [again] = resolved("failure_reason.ndjson", Policy(verdicts="ignore"))
    assert (again.outcome, again.failure_reason) == (Outcome.MERGED, None)
    assert anew.same(DEVICE, "ben")


@pytest.mark.rule("2.anon_format")
def test_ids_of_the_old_web_sdk_are_joined() -> None:
    resolver, judged = resolved("old_web_ids.ndjson")
    assert {link.outcome for link in judged} == {Outcome.MERGED}
    assert resolver.cluster_count == 3
    _, refused = resolved("old_web_ids.ndjson", Policy(anon_format="uuid4"))
    assert {link.outcome for link in refused} == {Outcome.ANON_FORMAT}


def as_json(stated: list[Any]) -> list[Any]:
    """Events as a file has them: without what JSON has not."""
    return [json.loads(json.dumps(event)) for event in stated]


@given(policies, canonicals, st.lists(events, max_size=20))
def test_a_file_is_applied_as_by_the_reference(
    tmp_path_factory: pytest.TempPathFactory, policy: Policy, canonical: Any, stated: list[Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "stated.ndjson"
    path.write_text("".join(f"{json.dumps(event)}\n" for event in stated), "utf-8")
    ours, theirs = Resolver(policy, canonical), reference.Resolver(policy, canonical)
    expected = theirs.apply_events(as_json(stated))
    pieces = files.scan(path, api=policy.api)
    outcomes = [outcome for piece in pieces for outcome in piece.apply_to(ours).outcomes]
    assert outcomes == list(expected.outcomes)
    assert state(ours) == state(theirs)


IDS = st.sampled_from(["a", "b", "c", "null"]) | st.none()


@given(st.lists(st.tuples(st.sampled_from(["Buy", "$create_alias"]), IDS, IDS, IDS), min_size=1, max_size=12))
def test_a_table_is_applied_as_its_events(rows: list[Any]) -> None:
    pa = pytest.importorskip("pyarrow")
    names = ["distinct_id", "$distinct_id_before_identity", "$failure_reason"]
    stated = [
        {
            "event": name,
            "properties": {
                "alias": "z",
                **{key: value for key, value in zip(names, values, strict=True) if value is not None},
            },
        }
        for name, *values in rows
    ]
    theirs = reference.Resolver()
    expected = theirs.apply_events(stated)
    properties = [event["properties"] for event in stated]
    columns = {"event": [name for name, *_ in rows], "alias": ["z"] * len(rows)}
    flat = {name: pa.array([row.get(name) for row in properties], pa.string()) for name in names}
    texts = {"event": columns["event"], "properties": [json.dumps(row) for row in properties]}
    for table in (pa.table({**columns, **flat}), pa.table(texts)):
        ours = Resolver()
        assert Rows(table).apply_to(ours) == expected
        assert state(ours) == state(theirs)


@pytest.mark.rule("3.evidence", "9.as known")
def test_in_tables_too_evidence_counts_behind_its_event() -> None:
    pa = pytest.importorskip("pyarrow")
    lines = (FIELD / "partial_rekey.ndjson").read_text("utf-8").splitlines()
    stated = [json.loads(line) for line in lines]
    before = {"event": "Buy", "properties": {"distinct_id": "324172"}}
    stated = [stated[0], stated[3], before, stated[1]]
    known, judge = [], reference.Resolver()
    for event in stated:
        known.append(judge.resolve(event["properties"]["distinct_id"]))
        judge.apply(event)
    table = pa.table(
        {
            "event": [event["event"] for event in stated],
            "properties": [json.dumps(event["properties"]) for event in stated],
        }
    )
    stitched = stitch(table, as_known=True)
    assert stitched.column("distinct_id_as_known").to_pylist() == known
    assert set(stitched.column("distinct_id").to_pylist()) == {f"$device:{DEVICE}"}


def test_a_reason_that_is_no_text_is_shown_as_the_same_event_states_it(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    for reason in (True, 7, 1000.0, 1e300, 0.5, [1], {"a": 1}):
        merge = {"event": "$merge", "properties": {"$distinct_ids": ["a", "b"], "$failure_reason": reason}}
        path.write_text(json.dumps(merge), "utf-8")
        [piece] = files.scan(path)
        [link] = piece.judged(piece.apply_to(Resolver()))
        stated = parse(merge)
        assert stated is not None
        assert (link.outcome, link.reason) == (Outcome.REFUSED_BEFORE, stated.refused)
