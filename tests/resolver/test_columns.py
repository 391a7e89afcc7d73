"""Columns in and out: every family answers alike; wrong ones are refused before any link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.dtypes import StringDType

from idmerge import Column, Kind, Outcome, Resolver, reference
from parameter_names import stable
from strategies import D1, D2, ids

if TYPE_CHECKING:
    from collections.abc import Callable

Texts = list[str | None]

NULLABLE: dict[str, Callable[[Texts], Any]] = {
    "list": list,
    "tuple": tuple,
    "numpy object": lambda texts: np.array([*texts, None], dtype=object)[:-1],
    "numpy object strided": lambda texts: np.array(
        [[text, None] for text in texts] or [[None] * 2], dtype=object
    )[: len(texts), 0],
    "numpy StringDType": lambda texts: np.array(texts, dtype=StringDType(na_object=None)),
    "numpy StringDType strided": lambda texts: np.array(
        [*texts, None], dtype=StringDType(na_object=None)
    ).repeat(2)[:-2:2],
    "numpy StringDType with NA": lambda texts: np.array(
        [pd.NA if text is None else text for text in texts], dtype=StringDType(na_object=pd.NA)
    ),
    "pyarrow string": lambda texts: pa.array(texts, pa.string()),
    "pyarrow large_string": lambda texts: pa.array(texts, pa.large_string()),
    "pyarrow string_view": lambda texts: pa.array(texts, pa.string_view()),
    "pyarrow dictionary": lambda texts: pa.array(texts, pa.string()).dictionary_encode(),
    "pyarrow dictionary of large": lambda texts: pa.array(texts, pa.large_string()).dictionary_encode(),
    "pyarrow sliced": lambda texts: pa.array(["before", *texts, "after"], pa.string())[1:-1],
    "pyarrow sliced dictionary": lambda texts: pa.array(["x", *texts], pa.string()).dictionary_encode()[1:],
    "pyarrow chunks": lambda texts: pa.chunked_array([texts[:1], [], texts[1:]], pa.string()),
    "polars Series": lambda texts: pl.Series("ids", texts, pl.String),
    "polars Categorical": lambda texts: pl.Series("ids", texts, pl.Categorical),
    "pandas Series": lambda texts: pd.Series(texts, dtype="str"),
    "pandas object": lambda texts: pd.Series(texts, dtype=object),
    "pandas Index": lambda texts: pd.Index(texts, dtype=object, name="ids"),
}
PLAIN: dict[str, Callable[[Texts], Any]] = {
    "numpy str": lambda texts: np.array(texts, dtype=np.str_),
    "numpy str swapped": lambda texts: np.array(texts, dtype=np.array(texts, np.str_).dtype.newbyteorder()),
    "numpy str strided": lambda texts: np.array([*texts, ""], dtype=np.str_).repeat(3)[:-3:3],
    "numpy bytes": lambda texts: np.array([str(text).encode() for text in texts], dtype=np.bytes_),
    "numpy StringDType without nulls": lambda texts: np.array(texts, dtype=StringDType()),
}

unicode_ids = ids.filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))
nullable_texts = st.lists(st.one_of(unicode_ids, st.none()), max_size=12)
# A fixed-width array pads with NULs and so cannot hold a text that ends in one.
plain_texts = st.lists(unicode_ids.filter(lambda text: not text.endswith("\0")), max_size=12)


def answers(left: Any, right: Any) -> tuple[list[int], dict[str, list[Any]]]:
    resolver = Resolver()
    report = resolver.link_many(Kind.MERGE, left, right)
    return report.outcomes.tolist(), resolver.mapping().to_pydict()


def expected(left: Texts, right: Texts) -> tuple[list[int], dict[str, list[Any]]]:
    resolver = reference.Resolver()
    report = resolver.link_many(Kind.MERGE, left, right)
    return report.outcomes.tolist(), resolver.mapping()


@pytest.mark.parametrize("family", NULLABLE)
@given(left=nullable_texts)
def test_links_from_every_nullable_family_answer_as_the_reference(family: str, left: Texts) -> None:
    right = left[::-1]
    assert answers(NULLABLE[family](left), NULLABLE[family](right)) == expected(left, right)


@pytest.mark.parametrize("family", PLAIN)
@given(left=plain_texts)
def test_links_from_every_plain_family_answer_as_the_reference(family: str, left: Texts) -> None:
    right = left[::-1]
    assert answers(PLAIN[family](left), PLAIN[family](right)) == expected(left, right)


def same_values(given: Any, answer: Any) -> list[Any]:
    """The values of ``answer``, once it is shown to be of the family of ``given``."""
    if not isinstance(given, pa.DictionaryArray):
        assert type(answer) is type(given)
    if isinstance(given, np.ndarray):
        assert answer.dtype.kind == given.dtype.kind
        plain = [text.decode() if isinstance(text, bytes) else text for text in answer.tolist()]
        return [None if pd.isna(text) else text for text in plain]
    if isinstance(given, pd.Series):
        assert (answer.index.equals(given.index), answer.dtype) == (True, given.dtype)
        return [None if pd.isna(text) else text for text in answer]
    if isinstance(given, pd.Index):
        assert (answer.name, answer.dtype) == (given.name, given.dtype)
        return list(answer)
    if isinstance(given, pl.Series):
        assert answer.name == given.name
        return answer.to_list()
    if isinstance(given, pa.Array | pa.ChunkedArray):
        plain = given.type.value_type if pa.types.is_dictionary(given.type) else given.type
        assert answer.type == plain
        return answer.to_pylist()
    return list(answer)


@pytest.mark.parametrize("family", NULLABLE | PLAIN)
@pytest.mark.parametrize("canonical", ["stable", max], ids=["named", "callable"])
def test_resolving_answers_in_the_family_of_the_question(family: str, canonical: Any) -> None:
    resolver, judge = Resolver(canonical=canonical), reference.Resolver(canonical=canonical)
    for one in (resolver, judge):
        one.identify(D1, "U1")
        one.merge("ünïcödé", "a longer text that does not pack into its key")
    texts: Texts = [D1, "U1", "stranger", "a longer text that does not pack into its key", D2]
    if family in NULLABLE:
        texts.insert(2, None)
    given = (NULLABLE | PLAIN)[family](texts)
    assert same_values(given, resolver.resolve_many(given)) == judge.resolve_many(texts)


@pytest.mark.parametrize("family", NULLABLE | PLAIN)
def test_an_empty_column_resolves_to_an_empty_one(family: str) -> None:
    given = (NULLABLE | PLAIN)[family]([])
    assert same_values(given, Resolver().resolve_many(given)) == []


@pytest.mark.parametrize("family", NULLABLE | PLAIN)
def test_observing_takes_every_family(family: str) -> None:
    resolver = Resolver()
    resolver.observe_many((NULLABLE | PLAIN)[family]([D1, "null", "U1", D1]))
    assert resolver.mapping().to_pydict()["distinct_id"] == [D1, "U1"]


class Foreign:
    """A column of some other library that speaks Arrow."""

    def __init__(self, array: pa.ChunkedArray) -> None:
        self.array = array

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.array.__arrow_c_stream__(requested_schema)


def test_a_foreign_arrow_column_resolves_to_a_column_that_can_be_read_twice() -> None:
    resolver = Resolver()
    resolver.identify(D1, "U1")
    answer: Any = resolver.resolve_many(Foreign(pa.chunked_array([[D1, None], ["U9"]])))
    assert isinstance(answer, Column)
    assert len(answer) == 3
    assert pa.chunked_array(answer).to_pylist() == ["U1", None, "U9"] == pa.chunked_array(answer).to_pylist()
    assert repr(answer) == "Column(3 rows)"


def test_a_column_longer_than_a_chunk_comes_back_in_order() -> None:
    texts = [f"person {number}" for number in range(150_000)]
    resolver = Resolver()
    resolver.link_many(Kind.MERGE, texts[::2], texts[1::2])
    wanted = [text for text in texts[::2] for _ in range(2)]
    assert resolver.resolve_many(texts) == wanted
    array = pa.array(texts)
    assert resolver.resolve_many(array).to_pylist() == wanted
    assert pa.table(resolver.mapping())["canonical_id"].to_pylist() == wanted


def test_a_list_element_that_is_missing_is_malformed() -> None:
    report = Resolver().link_many(Kind.MERGE, ["a", None, "a", pd.NA], ["b", "b", float("nan"), "b"])
    assert [Outcome(code) for code in report.outcomes] == [Outcome.MERGED] + [Outcome.MALFORMED] * 3


def test_bytes_that_are_no_utf8_are_an_invalid_id_and_resolve_to_themselves() -> None:
    resolver = Resolver()
    broken = np.array([b"caf\xe9", b"U1"])
    report = resolver.link_many(Kind.MERGE, broken, np.array([b"U1", b"U2"]))
    assert report.outcomes.tolist() == [Outcome.INVALID_ID, Outcome.MERGED]
    assert resolver.resolve_many(broken).tolist() == [b"caf\xe9", b"U1"]


def test_arrow_text_that_is_no_utf8_is_an_invalid_id_and_no_undefined_behaviour() -> None:
    buffers = [None, pa.py_buffer(np.array([0, 4, 6], np.int32)), pa.py_buffer(b"caf\xe9U1")]
    broken = pa.Array.from_buffers(pa.string(), 2, buffers)
    resolver = Resolver()
    report = resolver.link_many(Kind.MERGE, broken, pa.array(["U1", "U2"]))
    assert report.outcomes.tolist() == [Outcome.INVALID_ID, Outcome.MERGED]
    with pytest.raises(ValueError, match="row 0 of ids is not valid UTF-8"):
        resolver.resolve_many(broken)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("text", r"first must be a list, a numpy array or an Arrow column of IDs, got str"),
        ({"a", "b"}, r"got set"),
        (iter(["a"]), r"got list_iterator"),
        (["a", True], r"first must hold text, integers or UUIDs, got bool in row 1"),
        (np.array([1, 0.5]), r"first must hold text, integers or UUIDs, got numpy float64 0.5 in row 1"),
        (np.array([["a", "b"]]), r"first must have one dimension, got 2"),
        (pa.array([None, True]), r"first must hold text, integers or UUIDs, got Arrow Boolean in row 1"),
        (pa.array([True, False]).dictionary_encode(), r"got Arrow Dictionary.* in row 0"),
        (pa.table({"a": ["x", "y"]}), r"first must hold .*, got Arrow Struct"),
        (pl.DataFrame({"a": ["x", "y"]}), r"first must hold .*, got Arrow Struct"),
        (None, r"got NoneType"),
        (np.ma.array(["a", "b"], mask=[True, False]), r"first must not have a mask; pass a list with None"),
        (np.array("a"), r"first must have one dimension, got 0"),
        (np.array([("a", 1)], dtype=[("x", "U1"), ("y", "i4")]), r"got tuple in row 0"),
        (
            pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["a"])),
            r"got Arrow RunEndEnc",
        ),
    ],
    ids=stable,
)
def test_a_column_of_another_type_is_refused(column: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Resolver().link_many(Kind.MERGE, column, ["b", "c"])


@pytest.mark.parametrize(
    "ids",
    [
        ["a", 0.5],
        (True,),
        np.ma.array(["a"], mask=[True]),
        np.array([0.5]),
        np.array([["a"]]),
        np.array(["a", True], dtype=object),
        pa.array([0.5]),
        "text",
        7,
    ],
    ids=stable,
)
def test_resolving_what_is_no_column_of_ids_is_a_type_error(ids: Any) -> None:
    with pytest.raises(TypeError):
        Resolver().resolve_many(ids)


def test_nan_is_a_missing_value_and_comes_back_as_it_was() -> None:
    nan = float("nan")
    answer = Resolver().resolve_many(["a", None, nan])  # type: ignore[list-item]
    assert answer[:2] == ["a", None]
    assert answer[2] is nan


KINDS = [0, 2, 1]


@pytest.mark.parametrize(
    "kinds",
    [
        KINDS,
        [Kind.IDENTIFY, Kind.MERGE, Kind.ALIAS],
        tuple(KINDS),
        np.array(KINDS, np.uint8),
        np.array(KINDS, np.int64)[::1],
        np.array([0, 9, 2, 9, 1], np.int32)[::2],
        pa.array(KINDS, pa.int8()),
        pa.array(KINDS, pa.uint64()),
        pa.chunked_array([[0], [2, 1]], pa.int32()),
        pl.Series(KINDS),
        pd.Series(KINDS),
    ],
    ids=lambda kinds: f"{type(kinds).__module__}.{type(kinds).__name__}",
)
def test_kinds_come_as_any_column_of_integers(kinds: Any) -> None:
    report = Resolver().link_many(kinds, [D1, "a", "b"], ["U1", "b", "b"])
    assert report.outcomes.tolist() == [Outcome.MERGED, Outcome.MERGED, Outcome.SAME_IDS]


@pytest.mark.parametrize(
    ("kinds", "error", "message"),
    [
        (
            3,
            ValueError,
            r"kind must be 0 \(IDENTIFY\), 1 \(ALIAS\), 2 \(MERGE\), 8 \(MAPPING\) or 13 .*, got 3",
        ),
        (-1, ValueError, r"got -1"),
        ([0, 7], ValueError, r"got 7 in row 1"),
        (pa.array([0, 2**63], pa.uint64()), ValueError, r"in row 1"),
        (np.array([0, 256], np.int64), ValueError, r"got 256 in row 1"),
        (True, TypeError, r"kind must be a Kind or a column of integers, got bool"),
        ("merge", TypeError, r"got str"),
        (["merge", "merge"], TypeError, r"got list"),
        ([0.0, 1.0], TypeError, r"got list"),
        (pa.array([0, None]), TypeError, r"without nulls, got Arrow Int64"),
        (pa.array(["0", "1"]), TypeError, r"got Arrow Utf8"),
        (np.array([[0, 1]]), TypeError, r"got ndarray"),
        (None, TypeError, r"got NoneType"),
        ([0], ValueError, r"the same length: kind has 1, first has 2, second has 2 rows"),
        (pa.array([0, 1, 2]), ValueError, r"kind has 3"),
    ],
    ids=stable,
)
def test_a_wrong_kind_is_refused_before_the_first_link(
    kinds: Any, error: type[Exception], message: str
) -> None:
    resolver = Resolver()
    with pytest.raises(error, match=message):
        resolver.link_many(kinds, ["a", "b"], ["b", "c"])
    assert len(resolver) == 0


def test_columns_of_different_lengths_are_refused_before_the_first_link() -> None:
    resolver = Resolver()
    with pytest.raises(
        ValueError, match=r"columns must have the same length: first has 2, second has 1 rows"
    ):
        resolver.link_many(Kind.MERGE, ["a", "b"], ["c"])
    assert len(resolver) == 0


@pytest.mark.parametrize(
    "kinds", [[], np.array([], np.uint8), Kind.MERGE, pa.array([], pa.int8())], ids=stable
)
def test_no_links_at_all_make_an_empty_report(kinds: Any) -> None:
    assert len(Resolver().link_many(kinds, [], [])) == 0
