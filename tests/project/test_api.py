"""The public interface: the answer of each call, and the errors of wrong calls."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import idmerge
from idmerge import Kind, Outcome, Policy, Report, Resolver, Stats, UpdateOutcome, _core, reference
from idmerge.errors import CanonicalError, CapacityError, IdmergeError, PolicyError, UnknownIdError
from strategies import D1, D2


@pytest.fixture(params=[Resolver, reference.Resolver], ids=["core", "reference"])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


NO_IDS: list[Any] = [None, True, 1.5, float("nan"), 2.0**60, Decimal("1.0"), ["x"], {"x": 1}, object]
"""Values that can be no ID (SPEC 3)."""


@pytest.mark.parametrize("call", ["identify", "alias", "merge", "same"])
@pytest.mark.parametrize("value", NO_IDS, ids=str)
def test_an_operand_that_can_be_no_id_is_a_type_error_and_changes_nothing(
    make: Any, call: str, value: Any
) -> None:
    r = make()
    for operands in ((D1, value), (value, "U1")):
        with pytest.raises(TypeError, match=f"got {type(value).__name__}"):
            getattr(r, call)(*operands)
    assert len(r) == 0


@pytest.mark.parametrize("call", ["observe", "resolve", "members", "size", "__contains__"])
@pytest.mark.parametrize("value", NO_IDS, ids=str)
def test_an_id_that_can_be_none_is_a_type_error(make: Any, call: str, value: Any) -> None:
    r = make()
    with pytest.raises(TypeError, match=f"got {type(value).__name__}"):
        getattr(r, call)(value)
    assert len(r) == 0


@pytest.mark.parametrize("value", [b"5", 5, 5.0, Decimal(5), np.int8(5)], ids=repr)
def test_a_value_that_is_no_text_is_the_id_of_its_text_in_every_call(make: Any, value: Any) -> None:
    for call in ("identify", "alias", "merge"):
        r = make(Policy(anon_format="any"))
        assert getattr(r, call)(value, "U1") is Outcome.MERGED
        assert getattr(r, call)("U2", value) is Outcome.MERGED
        assert (r.members(value), r.size(value)) == (["5", "U1", "U2"], 3)
        assert r.same(value, "U2")
        assert r.resolve(value) == r.resolve("5")
    r = make()
    r.observe(value)
    assert value in r
    assert "5" in r


def test_a_link_of_an_unknown_kind_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="3 is not a valid Kind"):
        make().link(3, "a", "b")


def test_an_unknown_id_resolves_to_itself_and_has_no_cluster(make: Any) -> None:
    r = make()
    assert (r.resolve("x"), "x" in r, r.same("x", "x"), r.same("x", "y")) == ("x", False, True, False)
    r.observe("y")
    assert not r.same("x", "y")
    for call in (r.members, r.size):
        with pytest.raises(UnknownIdError, match="^'x' is not known$"):
            call("x")
    assert issubclass(UnknownIdError, KeyError)
    assert issubclass(UnknownIdError, IdmergeError)


def test_an_empty_resolver_answers_with_nothing(make: Any) -> None:
    r = make()
    assert (len(r), r.cluster_count, r.resolve_many([])) == (0, 0, [])
    assert r.stats() == Stats(ids=0, clusters=0, outcomes={}, cluster_sizes={}, near_limit=0)


def test_stats_count_outcomes_sizes_and_clusters_near_the_limit(make: Any) -> None:
    r = make(Policy(max_cluster_size=10))
    for number in range(8):
        r.merge("nine", f"member {number}")
    for number in range(7):
        r.merge("eight", f"other {number}")
    r.observe("alone")
    r.identify("x", "alone")
    r.link_many(Kind.MERGE, [None, "null"], ["a", "b"])
    assert r.stats() == Stats(
        ids=19,
        clusters=4,
        outcomes={Outcome.MERGED: 15, Outcome.ANON_FORMAT: 1, Outcome.INVALID_ID: 1, Outcome.MALFORMED: 1},
        cluster_sizes={1: 2, 8: 1, 9: 1},
        near_limit=1,
    )
    assert r.cluster_count == 4


def test_without_a_limit_no_cluster_is_near_it(make: Any) -> None:
    r = make(Policy(max_cluster_size=None))
    r.merge("a", "b")
    assert r.stats().near_limit == 0


# The mapping


def test_a_mapping_has_a_row_for_each_known_id_in_their_order() -> None:
    r = Resolver()
    r.observe("alone")
    r.identify(D1, "U1")
    table = r.mapping()
    assert (table.num_rows, len(table), table.column_names) == (
        3,
        3,
        ["distinct_id", "canonical_id", "cluster_size"],
    )
    assert repr(table) == "Table(3 rows: distinct_id, canonical_id, cluster_size)"
    assert table.to_pydict() == {
        "distinct_id": ["alone", D1, "U1"],
        "canonical_id": ["alone", "U1", "U1"],
        "cluster_size": [1, 2, 2],
    }


@pytest.mark.parametrize("links", [0, 1, 40_000])
def test_a_mapping_opens_in_every_library_and_more_than_once(links: int) -> None:
    r = Resolver()
    r.link_many(Kind.MERGE, [f"left {n}" for n in range(links)], [f"right {n}" for n in range(links)])
    table = r.mapping()
    expected = pa.table(table.to_pydict(), schema=pa.schema(table))
    assert pa.table(table).equals(expected)
    assert pa.table(table).equals(expected)
    assert pl.DataFrame(table).equals(pl.DataFrame(expected))
    assert pd.DataFrame.from_arrow(table).equals(pd.DataFrame.from_arrow(expected))
    count = "select count(*), count(distinct canonical_id) from table_"
    connection = duckdb.connect()
    connection.register("table_", pa.table(table))
    assert connection.sql(count).fetchall() == [(2 * links, links)]


def test_duckdb_reads_a_mapping_by_name_and_again() -> None:
    r = Resolver()
    r.identify(D1, "U1")
    mapping = r.mapping()
    for _ in range(2):
        rows = duckdb.sql(
            "select distinct_id, cluster_size from mapping where canonical_id = 'U1'"
        ).fetchall()
        assert rows == [(D1, 2), ("U1", 2)]
    assert len(mapping) == 2


def test_a_mapping_is_a_snapshot() -> None:
    r = Resolver()
    r.merge("a", "b")
    table = r.mapping()
    r.merge("a", "c")
    assert table.to_pydict()["cluster_size"] == [2, 2]


# Outcomes and reports


def test_outcomes_carry_mixpanels_reason_where_it_has_one() -> None:
    reasons = {outcome: outcome.failure_reason for outcome in Outcome if outcome.failure_reason}
    assert reasons == {
        Outcome.SAME_IDS: "errSameIDs",
        Outcome.ANON_FORMAT: "errAnonDistinctIdNonGUIDForm",
        Outcome.ANON_CLAIMED: "errAnonDistinctIdAssignedAlready",
        Outcome.ALIAS_TAKEN: "errAliasAlreadyExists",
        Outcome.TOO_MANY_IDS: "errManyIDs",
    }
    assert [outcome for outcome in Outcome if outcome.accepted] == [Outcome.MERGED, Outcome.UNCHANGED]


def test_an_outcome_is_true_if_the_link_was_accepted_and_prints_its_name() -> None:
    for code in (*Outcome, *UpdateOutcome):
        assert bool(code) is code.accepted
        assert (str(code), f"{code:>20}") == (code.name, code.name.rjust(20))
        assert code == int(code)
    r = Resolver()
    assert r.merge("a", "b")
    assert not r.merge("a", "a")


def test_a_kind_is_true_and_prints_its_name() -> None:
    assert [(bool(kind), str(kind), f"{kind}") for kind in Kind] == [
        (True, name, name) for name in ("IDENTIFY", "ALIAS", "MERGE", "MAPPING", "ASSOCIATION")
    ]
    assert json.dumps([*Kind, *Outcome][:6]) == "[0, 1, 2, 8, 13, 0]"


def test_the_public_names_are_listed_and_loaded_when_asked_for() -> None:
    lazy = {"stitch", "questions", "doctor", "StitchedEvents", "stitching", "spark", "testing", "files"}
    lazy |= {"migration", "report", "reporting"}
    code = (
        "import sys, idmerge; print(*dir(idmerge)); print(*[m for m in sys.modules if m[:8] == 'idmerge.'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, loaded = map(str.split, run.stdout.splitlines())
    assert {*lazy, "Profiles", *idmerge.__all__} <= {*names}
    assert [name for name in names if name.startswith("_") and not name.startswith("__")] == []
    assert {f"idmerge.{name}" for name in lazy} & {*loaded} == set()
    assert idmerge.doctor.examine
    assert idmerge.questions.signup_rate
    assert idmerge.testing.events
    assert idmerge.files.scan


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("stich", ". Did you mean 'stitch' or 'stitching'?"),
        ("Resovler", ". Did you mean 'Resolver'?"),
        ("question", ". Did you mean 'questions'?"),
        ("nothing", ""),
        ("__stitch__", ""),
    ],
)
def test_a_misspelt_name_of_the_package_is_answered_with_the_names_like_it(name: str, meant: str) -> None:
    with pytest.raises(AttributeError) as error:
        getattr(idmerge, name)
    assert str(error.value) == f"module 'idmerge' has no attribute '{name}'{meant}"
    assert not hasattr(idmerge, name)


def test_the_numbers_of_outcomes_and_kinds_are_stable() -> None:
    assert [outcome.name for outcome in sorted(Outcome)] == [
        "MERGED", "UNCHANGED", "SAME_IDS", "ANON_FORMAT", "ANON_CLAIMED",
        "ALIAS_TAKEN", "TOO_MANY_IDS", "INVALID_ID", "MALFORMED", "MERGE_NOT_ALLOWED", "KEPT_APART",
        "REFUSED_BEFORE", "VERB_NOT_ALLOWED",
    ]  # fmt: skip
    assert [int(outcome) for outcome in sorted(Outcome)] == [*range(len(Outcome))]
    numbers = {"IDENTIFY": 0, "ALIAS": 1, "MERGE": 2, "MAPPING": 8, "ASSOCIATION": 13}
    assert {kind.name: int(kind) for kind in Kind} == numbers


def test_a_report_counts_and_cannot_be_changed() -> None:
    report = Resolver().link_many(Kind.MERGE, ["a", "a", "a", None], ["b", "b", "a", "b"])
    assert report.outcomes.dtype == np.uint8
    assert report.counts == {
        Outcome.MERGED: 1,
        Outcome.UNCHANGED: 1,
        Outcome.SAME_IDS: 1,
        Outcome.MALFORMED: 1,
    }
    assert (len(report), report.merged, report.rejected) == (4, 1, 2)
    assert report.rows.tolist() == [0, 1, 2, 3]
    assert repr(report) == "Report(4 links: 1 MERGED, 1 UNCHANGED, 1 SAME_IDS, 1 MALFORMED)"
    assert repr(Report([])) == "Report(0 links)"
    with pytest.raises(ValueError, match="read-only"):
        report.outcomes[0] = 1


def test_reports_compare_and_pickle() -> None:
    report = Report([0, 1], rows=[3, 5])
    assert pickle.loads(pickle.dumps(report)) == report
    assert hash(pickle.loads(pickle.dumps(report))) == hash(report)
    assert report != Report([0, 1])
    assert report != Report([0, 2], rows=[3, 5])
    assert report != "a report"
    assert not pickle.loads(pickle.dumps(report)).outcomes.flags.writeable


# Settings


def test_a_policy_is_frozen_comparable_and_picklable() -> None:
    policy = Policy(max_cluster_size=None, blocked_ids=["X", "y"])  # type: ignore[arg-type]
    assert policy == Policy(max_cluster_size=None, blocked_ids=frozenset({"x", "Y"}))
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert hash(policy) == hash(pickle.loads(pickle.dumps(policy)))
    with pytest.raises(AttributeError):
        policy.alias_once = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"max_cluster_size": 1}, PolicyError, r"max_cluster_size must be at least 2 or None, got 1"),
        ({"max_cluster_size": "500"}, TypeError, r"max_cluster_size must be an int or None, got '500'"),
        ({"max_cluster_size": True}, TypeError, r"got True"),
        ({"max_id_length": 0}, PolicyError, r"max_id_length must be at least 1 or None, got 0"),
        ({"max_id_length": 2.5}, TypeError, r"got 2.5"),
        (
            {"anon_format": "uuid"},
            PolicyError,
            r"anon_format must be one of 'mixpanel', 'uuid4', 'sdk', 'any', got 'uuid'",
        ),
        ({"anon_guard": None}, PolicyError, r"anon_guard must be one of 'anon', 'cluster', 'off', got None"),
        ({"alias_once": 1}, TypeError, r"alias_once must be a bool, got 1"),
        ({"blocked_ids": "null"}, TypeError, r"blocked_ids must be an iterable of str, got 'null'"),
        ({"blocked_ids": 5}, TypeError, r"got 5"),
        ({"blocked_ids": [5]}, TypeError, r"blocked_ids must hold str only, got 5"),
    ],
)
def test_a_policy_says_what_is_wrong_with_it(
    fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Policy(**fields)


def test_limits_beyond_what_can_be_reached_are_no_limits() -> None:
    r = Resolver(Policy(max_cluster_size=10**30, max_id_length=10**30))
    assert r.merge("a" * 1000, "b") is Outcome.MERGED


def test_a_blocked_id_that_is_no_unicode_text_is_refused() -> None:
    with pytest.raises(PolicyError, match="blocked_ids must hold Unicode text"):
        Policy(blocked_ids=frozenset({"\ud800"}))


@pytest.mark.parametrize("canonical", ["newest", None, 5])
def test_an_unknown_strategy_is_named(make: Any, canonical: Any) -> None:
    with pytest.raises(CanonicalError, match=r"must be one of 'stable', 'identified', .* or a callable, got"):
        make(canonical=canonical)


def test_a_resolver_shows_its_settings() -> None:
    policy = Policy(alias_once=False)
    r = Resolver(policy, "smallest")
    assert (r.policy, r.canonical) == (policy, "smallest")
    assert Resolver(canonical=max).canonical is max
    r.merge("a", "b")
    assert repr(r) == "Resolver(2 IDs in 1 cluster)"
    r.observe("c")
    assert repr(r) == "Resolver(3 IDs in 2 clusters)"
    with pytest.raises(TypeError, match="policy must be a Policy, got str"):
        Resolver("stable")  # type: ignore[arg-type]


def test_a_resolver_can_be_extended() -> None:
    class Counting(Resolver):
        def merge(self, first: str, second: str) -> Outcome:
            return super().merge(first.lower(), second.lower())

    for canonical in ("smallest", min):
        r = Counting(canonical=canonical)  # type: ignore[arg-type]
        r.merge("A", "B")
        assert (type(r), r.resolve("b")) == (Counting, "a")


def test_a_callables_own_error_reaches_the_caller_and_leaves_the_resolver_usable() -> None:
    def failing(_members: Any) -> str:
        raise LookupError("no name today")

    r = Resolver(canonical=failing)
    r.merge("a", "b")
    with pytest.raises(LookupError, match="no name today"):
        r.resolve("a")
    assert r.merge("a", "c") is Outcome.MERGED


def test_a_callable_may_ask_the_resolver_itself() -> None:
    r = Resolver(canonical=lambda members: max(members, key=r.size))
    r.merge("a", "b")
    assert r.resolve_many(["b"]) == ["a"]


# Limits


def test_a_full_resolver_names_its_limit_and_changes_nothing() -> None:
    core = _core.Resolver(Policy(), "stable", id_limit=3)
    core.merge("a", "b")
    with pytest.raises(CapacityError, match="^the resolver can know at most 3 IDs$"):
        core.merge("c", "d")
    assert len(core) == 3 - 1
    core.merge("a", "c")
    with pytest.raises(CapacityError, match="reached in row 2, and the rows before it are applied"):
        core._link_columns(2, ["a", "b", "x", "a"], ["b", "c", "a", "c"])
    with pytest.raises(CapacityError, match="reached in row 1,"):
        core.observe_many(["a", "x"])
    assert core.merge("b", "c") is Outcome.UNCHANGED
    assert issubclass(CapacityError, OverflowError)


def test_every_public_name_is_there_and_documented() -> None:
    for name in idmerge.__all__:
        assert getattr(idmerge, name) is not None
    undocumented = [
        f"{cls.__name__}.{name}"
        for cls in (Resolver, idmerge.Table, idmerge.Column, Report)
        for name in dir(cls)
        if not name.startswith("_") and not getattr(cls, name).__doc__
    ]
    assert undocumented == []


def test_the_reference_has_the_same_names() -> None:
    """All but those that are tested by others: `explain`, `apply_body` and `clusters`."""
    ours = {name for name in dir(Resolver) if not name.startswith("_")} - {
        "explain",
        "apply_body",
        "clusters",
    }
    theirs = {name for name in dir(reference.Resolver()) if not name.startswith("_")}
    assert theirs - {"retract"} == ours


def test_two_devices_of_one_user_end_up_together() -> None:
    r = Resolver()
    r.identify(D1, "U1")
    r.identify(D2, "U1")
    assert r.same(D1, D2)
    assert r.size(D1) == 3


@pytest.mark.parametrize("module", sorted({*idmerge._MODULES, *idmerge._PARTS} - {"spark"}))
def test_a_module_is_there_behind_a_bare_import(module: str) -> None:
    code = f"import idmerge; print(idmerge.{module}.__name__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == f"idmerge.{module}\n"
