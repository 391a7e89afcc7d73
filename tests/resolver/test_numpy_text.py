"""numpy's columns of text, fixed-width str and StringDType, answer as a list of the same texts."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.dtypes import StringDType

from idmerge import Kind, Outcome, Resolver
from parameter_names import stable
from strategies import D1, ids

Answers = tuple[list[int], dict[str, list[Any]]]

LAYOUTS = {
    "as it is": lambda array: array,
    "other byte order": lambda array: array.astype(array.dtype.newbyteorder("S")),
    "strided": lambda array: np.repeat(array, 3)[::3],
    "backwards": lambda array: array[::-1].copy()[::-1],
    "a field, not aligned": lambda array: np.rec.fromarrays(
        [np.zeros(len(array), "S1"), array], dtype=[("a", "S1"), ("b", array.dtype)]
    )["b"],
    "read-only": lambda array: np.broadcast_to(array, array.shape),
}
SOMETHING = [5.5, object()]
"""Values that stand for a missing one in StringDType and are no missing ID."""
MISSING = [None, float("nan"), pd.NA, "", "U1", *SOMETHING]

# An array of fixed width cannot hold a text that ends in NUL; it does hold lone surrogates.
fixed_texts = st.lists(ids.filter(lambda text: not text.endswith("\0")), max_size=12)
unicode_texts = st.lists(
    ids.filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text)), max_size=12
)


def linked(left: Any, right: Any) -> Answers:
    resolver = Resolver()
    outcomes = resolver.link_many(Kind.MERGE, left, right).outcomes.tolist()
    return outcomes, resolver.mapping().to_pydict()


def knowing(texts: list[Any]) -> Resolver:
    resolver = Resolver(canonical="first_seen")
    resolver.link_many(Kind.MERGE, ["U1", *texts], [D1, *texts[::-1]])
    return resolver


@pytest.mark.parametrize("layout", LAYOUTS)
@given(texts=fixed_texts)
def test_fixed_width_in_any_layout_answers_as_a_list(layout: str, texts: list[str]) -> None:
    column = LAYOUTS[layout](np.array(texts, dtype=np.str_))
    assert linked(column, column[::-1]) == linked(texts, texts[::-1])
    resolver = knowing(texts)
    answer = resolver.resolve_many(column)
    assert answer.tolist() == resolver.resolve_many(texts)
    assert answer.dtype == np.array(answer.tolist(), dtype=np.str_).dtype


@pytest.mark.parametrize("missing", MISSING, ids=stable)
@given(texts=unicode_texts, data=st.data())
def test_string_dtype_with_any_missing_value_answers_as_a_list(
    missing: Any, texts: list[str], data: st.DataObject
) -> None:
    mixed = [missing if data.draw(st.booleans()) else text for text in texts]
    for column in (
        np.array(mixed, dtype=StringDType(na_object=missing)),
        np.array(np.repeat(np.array(mixed, dtype=object), 2), dtype=StringDType(na_object=missing))[::2],
    ):
        if any(missing is one for one in SOMETHING) and missing in mixed:
            with pytest.raises(TypeError, match="first must hold text, integers or UUIDs, got"):
                linked(column, column[::-1])
        else:
            assert linked(column, column[::-1]) == linked(mixed, mixed[::-1])
            resolver = knowing(mixed)
            answer = resolver.resolve_many(column)
            assert answer.dtype == column.dtype
            assert answer.tolist() == resolver.resolve_many(mixed)  # Also one and the same NaN.


@pytest.mark.parametrize("wrong", SOMETHING, ids=stable)
def test_a_missing_value_that_stands_for_something_is_no_id(wrong: Any) -> None:
    column = np.array(["U1", wrong], dtype=StringDType(na_object=wrong))
    message = f"ids must hold text, integers or UUIDs, got {type(wrong).__name__}.* in row 1"
    for call in (Resolver().observe_many, Resolver().resolve_many):
        with pytest.raises(TypeError, match=message):
            call(column)
        call(column[:1])
    with pytest.raises(TypeError, match="first must hold"):
        Resolver().link_many(Kind.MERGE, column, np.array(["a", "b"]))


def test_a_missing_value_that_is_an_integer_is_its_digits() -> None:
    column = np.array(["U1", 5], dtype=StringDType(na_object=5))
    resolver = Resolver()
    report = resolver.link_many(Kind.MERGE, column, np.array(["a", "b"]))
    assert report.outcomes.tolist() == [Outcome.MERGED, Outcome.MERGED]
    assert "5" in resolver
    assert resolver.resolve_many(column).tolist() == ["U1", "5"]


def test_string_dtype_keeps_nuls_at_the_end_and_fixed_width_does_not() -> None:
    texts = ["a", "a\0", "\0", "\0a\0b"]
    for dtype, different in ((StringDType(), texts), (np.dtype("U9"), ["a", "\0a\0b"])):
        resolver = Resolver()
        resolver.observe_many(np.array(texts, dtype=dtype))
        assert resolver.mapping().to_pydict()["distinct_id"] == different
    assert Resolver().resolve_many(np.array(texts, dtype=StringDType())).tolist() == texts


def test_a_lone_surrogate_is_an_invalid_id_and_resolves_to_itself() -> None:
    column = np.array(["caf\ud800", "U1"])
    resolver = Resolver()
    report = resolver.link_many(Kind.MERGE, column, np.array(["U1", "U2"]))
    assert report.outcomes.tolist() == [Outcome.INVALID_ID, Outcome.MERGED]
    assert resolver.resolve_many(column).tolist() == ["caf\ud800", "U1"]


def test_columns_of_width_nothing_hold_empty_texts() -> None:
    column = np.zeros(3, dtype=[("nothing", "U0")])["nothing"]
    assert column.dtype.itemsize == 0
    assert linked(column, column)[0] == [Outcome.INVALID_ID] * 3
    answer = Resolver().resolve_many(column)
    assert (answer.tolist(), answer.dtype) == (["", "", ""], np.dtype("U1"))


def test_an_answer_may_be_wider_than_the_question() -> None:
    resolver = Resolver(canonical="first_seen")
    wide = "ünïcödé \U0001f98a " * 9
    resolver.merge(wide, "u")
    for dtype in (np.str_, StringDType(coerce=False)):
        answer = resolver.resolve_many(np.array(["u", "v"], dtype=dtype))
        assert answer.tolist() == [wide, "v"]
    assert resolver.resolve_many(np.array(["u"])).dtype == np.dtype(f"U{len(wide)}")


def test_a_giant_text_among_short_ones_is_one_text() -> None:
    texts = ["a"] * 50_000
    texts[40_000] = "ü" * 300_000
    column = np.array(texts, dtype=StringDType())
    assert Resolver().resolve_many(column).tolist() == texts
    few = np.array(texts[39_990:40_010])
    assert Resolver().resolve_many(few).tolist() == few.tolist()


def test_texts_that_another_thread_changes_meanwhile_are_read_as_one_or_the_other() -> None:
    old = [f"old {row}" for row in range(50_000)]
    new = [f"new text that lies in no entry {row}" for row in range(50_000)]
    for dtype in (StringDType(), np.dtype("U40")):
        column, ends = np.array(old, dtype=dtype), threading.Event()

        def change(column: Any = column, ends: threading.Event = ends) -> None:
            while not ends.is_set():
                column[:] = new
                column[:] = old
                column.sort()

        changing = threading.Thread(target=change)
        changing.start()
        for _ in range(5):
            resolver = Resolver(threads=2)
            resolver.observe_many(column)
            known = resolver.mapping().to_pydict()["distinct_id"]
            assert set(known) <= {*old, *new}
        ends.set()
        changing.join()
