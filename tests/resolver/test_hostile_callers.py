"""Hostile or careless callers: each case once gave a wrong answer, a hang or a crash."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.dtypes import StringDType

from idmerge import Kind, Outcome, Policy, Resolver, _core, reference
from idmerge.errors import CanonicalError, CapacityError

if TYPE_CHECKING:
    from collections.abc import Iterator

FINALIZER_IN_A_CALL = """
import gc
from idmerge import Resolver
r = Resolver()
class Garbage:
    def __init__(self): self.me = self
    def __del__(self): r.observe("from a finalizer")
gc.set_threshold(1, 1, 1)
for _ in range(100):
    Garbage()
    {call}
print("done")
"""


@pytest.mark.parametrize(
    "call", [r'r.identify("\ud800", "u")', r'"\ud800" in r', r'r.resolve("\ud800")', r'r.observe("\ud800")']
)
def test_a_finalizer_may_use_the_resolver_whenever_it_runs(call: str) -> None:
    code = FINALIZER_IN_A_CALL.format(call=call)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "done\n"


def test_a_resolver_whose_callable_refers_back_to_it_is_freed() -> None:
    class Owner:
        def __init__(self) -> None:
            self.resolver = Resolver(canonical=self.pick)

        def pick(self, members: Any) -> str:
            return str(members[0])

    owner = weakref.ref(Owner())
    gc.collect()
    assert owner() is None


@pytest.mark.parametrize("make", [Resolver, reference.Resolver], ids=["core", "reference"])
def test_a_callable_cannot_change_the_cluster_it_is_shown(make: Any) -> None:
    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    for wrong in (lambda members: [*members, "new"][-1], lambda _members: Equal()):
        r = make(canonical=wrong)
        r.merge("b", "a")
        with pytest.raises(CanonicalError, match="must return a member"):
            r.resolve("a")
        with pytest.raises(CanonicalError, match="must return a member"):
            r.mapping()
    r = make(canonical=lambda members: members.sort())
    r.merge("b", "a")
    with pytest.raises(AttributeError):
        r.resolve("a")
    assert r.members("a") == ["b", "a"]


@pytest.mark.parametrize("ids", [np.array(["b"]), np.array([b"b"])], ids=["str", "bytes"])
def test_an_answer_that_a_fixed_width_array_would_cut_is_an_error(ids: Any) -> None:
    r = Resolver(canonical="first_seen")
    r.merge("user\0", "b")
    with pytest.raises(ValueError, match="cannot hold"):
        r.resolve_many(ids)
    assert r.resolve_many(ids.astype(str).astype(object)).tolist() == ["user\0"]


def test_a_masked_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="kind must not have a mask"):
        Resolver().link_many(np.ma.array([2], mask=[True]), ["a"], ["b"])


def test_pandas_na_is_a_missing_value() -> None:
    r = Resolver()
    for ids in (
        ["b", pd.NA],
        np.array(["b", pd.NA], dtype=object),
        np.array(["b", pd.NA], dtype=StringDType(na_object=pd.NA)),
    ):
        answer: Any = r.resolve_many(ids)  # type: ignore[type-var]
        assert (answer[0], answer[1] is pd.NA) == ("b", True)


def test_a_polars_column_of_nulls_is_missing_values() -> None:
    nulls = pl.Series("ids", [None, None])
    r = Resolver()
    r.observe_many(nulls)
    assert r.link_many(Kind.MERGE, nulls, ["a", "b"]).counts == {Outcome.MALFORMED: 2}
    assert r.resolve_many(nulls).to_list() == [None, None]


def test_a_dictionary_of_nulls_resolves_to_nulls() -> None:
    ids = pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.nulls(1))
    assert Resolver().resolve_many(ids).to_pylist() == [None, None]


def test_a_stream_that_fails_is_a_value_error() -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        raise OSError("the disk is gone")
        yield

    reader = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.string())]), batches())
    r = Resolver()
    with pytest.raises(ValueError, match="first cannot be read"):
        r.link_many(Kind.MERGE, reader, ["b"])
    assert len(r) == 0


def test_empty_arrays_of_numpys_default_type_are_empty_columns() -> None:
    r = Resolver()
    assert r.resolve_many(np.array([])).tolist() == []
    assert len(r.link_many(Kind.MERGE, np.array([]), np.array([]))) == 0


def merge(a: str, b: str) -> dict[str, Any]:
    return {"event": "$merge", "properties": {"$distinct_ids": [a, b]}}


def test_the_events_before_an_error_of_the_iterator_are_applied() -> None:
    def failing() -> Iterator[dict[str, Any]]:
        yield merge("a", "b")
        yield merge("c", "d")
        raise OSError("the source is gone")

    for r in (Resolver(), reference.Resolver()):
        with pytest.raises(OSError, match="the source is gone"):
            r.apply_events(failing())
        assert (len(r), r.same("c", "d")) == (4, True)


def test_a_full_resolver_names_the_event_that_it_could_not_take() -> None:
    class Small(Resolver):
        def __new__(cls) -> Self:
            self = _core.Resolver.__new__(cls, Policy(), "stable", id_limit=2)
            self._policy, self._canonical = Policy(), "stable"
            return self

    ordinary = [{"event": "Page View"}] * 70_000
    with pytest.raises(CapacityError, match=r"reached in row 70001,"):
        Small().apply_events([*ordinary, merge("a", "b"), merge("c", "d")])


def test_limits_of_any_size_are_taken() -> None:
    policy = Policy(max_cluster_size=2**200, max_id_length=2**200)
    assert Resolver(policy).merge("a" * 1000, "b") is Outcome.MERGED


def test_a_report_cannot_be_made_writeable() -> None:
    report = Resolver().link_many(Kind.MERGE, ["a"], ["b"])
    with pytest.raises(ValueError, match="WRITEABLE"):
        report.outcomes.flags.writeable = True


def test_a_wrong_kind_in_a_list_is_refused_before_the_first_link() -> None:
    for r in (Resolver(), reference.Resolver()):
        with pytest.raises(ValueError, match="9"):
            r.link_many([Kind.MERGE, 9], ["a", "c"], ["b", "d"])  # type: ignore[list-item]
        with pytest.raises(TypeError):
            r.observe_many(["ok", 0.5])
        assert len(r) == 0


def test_an_operand_whose_repr_fails_is_malformed() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("not today")

    for r in (Resolver(), reference.Resolver()):
        assert (
            r.apply({"event": "$merge", "properties": {"$distinct_ids": ["a", Shy()]}}) is Outcome.MALFORMED
        )


def test_a_member_of_an_integer_enum_is_its_decimal_text() -> None:
    r = Resolver()
    r.apply(merge(Outcome.SAME_IDS, "a"))  # type: ignore[arg-type]
    assert r.members("a") == ["2", "a"]
