"""Connected components against SciPy's and against a plain search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array, csgraph

from idmerge import Column, Components, connected_components

if TYPE_CHECKING:
    from collections.abc import Callable

small = st.integers(0, 15)
wide = st.sampled_from([0, -1, 1, 2**63 - 1, -(2**63), 10**12, -(10**12)])
texts = st.sampled_from(
    ["", "a", "b", "ä", "a\0", "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "x" * 40, "x" * 41, "1", "01"]
)


def links(ends: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[list[Any], list[Any]]]:
    rows = st.lists(st.tuples(ends, ends), max_size=30)
    return rows.map(lambda rows: ([a for a, _ in rows], [b for _, b in rows]))


def plain(left: list[Any], right: list[Any]) -> tuple[int, list[Any], list[int], list[int]]:
    """Return the answer by relabelling, link by link."""
    ids = list(dict.fromkeys(end for link in zip(left, right, strict=True) for end in link))
    label = {id_: number for number, id_ in enumerate(ids)}
    for a, b in zip(left, right, strict=True):
        low, high = sorted((label[a], label[b]))
        label = {id_: low if number == high else number for id_, number in label.items()}
    dense = {number: position for position, number in enumerate(dict.fromkeys(label.values()))}
    labels = [dense[label[id_]] for id_ in ids]
    return len(dense), ids, labels, [dense[label[a]] for a in left]


def listed(components: Components) -> tuple[int, list[Any], list[int], list[int]]:
    ids = components.ids
    listed_ids: list[Any] = ids.to_pylist() if isinstance(ids, Column) else ids.tolist()
    return components.component_count, listed_ids, components.labels.tolist(), components.row_labels.tolist()


@given(links(small) | links(wide) | links(texts) | links(st.text(max_size=3)))
def test_the_answer_is_that_of_a_plain_search(stated: tuple[list[Any], list[Any]]) -> None:
    assert listed(connected_components(*stated)) == plain(*stated)


@given(links(small))
def test_components_are_those_of_scipy(stated: tuple[list[int], list[int]]) -> None:
    left, right = stated
    ours = connected_components(np.array(left, np.int64), np.array(right, np.int64))
    edges = coo_array((np.ones(len(left)), (left, right)), shape=(16, 16))
    count, labels = csgraph.connected_components(edges, directed=False)
    assert isinstance(ours.ids, np.ndarray)
    assert ours.component_count + 16 - len(ours.ids) == count
    together = {(a, b) for a, b in zip(ours.labels.tolist(), labels[ours.ids].tolist(), strict=True)}
    assert len(together) == ours.component_count == len({a for a, _ in together})


TEXT: list[Callable[[list[str]], Any]] = [
    list,
    tuple,
    np.array,
    lambda ids: np.array(ids, object),
    lambda ids: np.array(ids, np.dtypes.StringDType()),
    lambda ids: np.array(ids, "S"),
    pa.array,
    lambda ids: pa.chunked_array([ids[:2], ids[2:]]),
    lambda ids: pa.array(ids, pa.large_string()),
    lambda ids: pa.array(ids, pa.string_view()),
    lambda ids: pa.array(ids).dictionary_encode(),
    pl.Series,
    lambda ids: pl.Series(ids, dtype=pl.Categorical),
    pd.Series,
]


@pytest.mark.parametrize("make", TEXT)
def test_every_family_of_text_answers_alike(make: Callable[[list[str]], Any]) -> None:
    left, right = ["a", "c", "e", "b"], ["b", "d", "e", "d"]
    components = connected_components(make(left), make(right))
    assert isinstance(components.ids, Column)
    assert listed(components) == (2, ["a", "b", "c", "d", "e"], [0, 0, 0, 0, 1], [0, 0, 1, 0])


INTEGERS: list[Callable[[list[int]], Any]] = [
    list,
    tuple,
    lambda ids: [np.int16(id_) for id_ in ids],
    *(
        lambda ids, kind=kind: np.array(ids, kind)
        for kind in ("i1", "u1", ">i2", "u2", "i4", "u4", "i8", "u8", "O")
    ),
    lambda ids: np.array(ids).repeat(2)[::2],
    *(lambda ids, kind=kind: pa.array(ids, kind) for kind in ("int8", "uint16", "int32", "int64", "uint64")),
    lambda ids: pa.chunked_array([ids[:2], ids[2:]]),
    lambda ids: pa.array(ids).dictionary_encode(),
    lambda ids: pl.Series(ids, dtype=pl.UInt32),
    lambda ids: pd.Series(ids, dtype="int32"),
    lambda ids: pd.Series(ids, dtype="UInt64"),
]


@pytest.mark.parametrize("make", INTEGERS)
def test_every_family_of_integers_answers_alike(make: Callable[[list[int]], Any]) -> None:
    components = connected_components(make([7, 3, 5, 1]), make([1, 4, 5, 4]))
    assert isinstance(components.ids, np.ndarray)
    assert [components.ids.dtype, components.labels.dtype, components.row_labels.dtype] == ["i8", "i4", "i4"]
    assert listed(components) == (2, [7, 1, 3, 4, 5], [0, 0, 0, 0, 1], [0, 0, 1, 0])


@pytest.mark.parametrize(
    "make", [list, lambda ids: np.array(ids, np.uint64), lambda ids: pa.array(ids, "uint64")]
)
def test_integers_above_those_with_a_sign_come_back_unsigned(make: Callable[[list[int]], Any]) -> None:
    components = connected_components(make([2**64 - 1, 2**63]), [2**63 - 1, 0])
    assert isinstance(components.ids, np.ndarray)
    assert components.ids.dtype == np.uint64
    assert listed(components) == (2, [2**64 - 1, 2**63 - 1, 2**63, 0], [0, 0, 1, 1], [0, 1])


LONG = [f"{number} " + "x" * 400 for number in range(9_000)]
"""More rows than one thread takes alone, and more text than a batch holds."""


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize(
    "make", [list, pa.array, lambda ids: pa.array(ids).dictionary_encode(), lambda ids: np.array(ids, "S")]
)
def test_many_long_texts_are_numbered_in_order_on_any_number_of_threads(
    make: Callable[[list[str]], Any], threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDMERGE_THREADS", threads)
    short = [str(number % 4_500) for number in range(9_000)]
    for left, right in ((LONG, short), (short, LONG)):
        count, ids, labels, rows = listed(connected_components(make(left), right))
        assert ids == list(dict.fromkeys(end for link in zip(left, right, strict=True) for end in link))
        assert (count, rows) == (4_500, [*range(4_500), *range(4_500)])
        assert labels == [number for number in range(4_500) for _ in "ab"] + [*range(4_500)]


@pytest.mark.parametrize("make", [list, pa.array])
def test_a_missing_text_far_down_is_named_by_its_row(make: Callable[[list[str | None]], Any]) -> None:
    with pytest.raises(ValueError, match="^row 8765 of second is null$"):
        connected_components(LONG, make([*LONG[:8765], None, *LONG[8766:]]))


@pytest.mark.parametrize(
    "empty", [[], (), np.array([]), np.array([], "i4"), pa.array([], "string"), pl.Series([], dtype=pl.Int8)]
)
def test_no_rows_are_no_components(empty: Any) -> None:
    for left, right in ((empty, empty), (empty, []), ([], empty)):
        assert listed(connected_components(left, right)) == (0, [], [], [])


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (["a", None], "row 1 of first is null"),
        (["a", "\ud800"], "row 1 of first is not valid Unicode"),
        (pa.array(["a", None]), "row 1 of first is null"),
        (pa.chunked_array([["a"], [None]], "string"), "row 1 of first is null"),
        (pa.array(["a", None]).dictionary_encode(), "row 1 of first is null"),
        (np.array([b"a", b"\xff"]), "row 1 of first is not valid Unicode"),
        (pl.Series([None, None]), "row 0 of first is null"),
        ([None, None], "row 0 of first is null"),
    ],
)
def test_a_text_that_is_missing_or_broken_is_refused_by_its_row(left: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        connected_components(left, ["a", "b"])


@pytest.mark.parametrize(
    "left",
    [
        [1, None],
        pa.array([1, None]),
        pa.chunked_array([[1], [None]], "int64"),
        pl.Series([1, None]),
        pd.Series([1, None], dtype="Int64"),
        np.array([1, None]),
        pa.array([1, None]).dictionary_encode(),
    ],
)
def test_a_missing_integer_is_refused_by_its_row(left: Any) -> None:
    with pytest.raises(ValueError, match="row 1 of first is null"):
        connected_components(left, [1, 2])


@pytest.mark.parametrize(
    "left", [1, "ab", [1.5], np.array([1.5]), np.array([[1]]), pa.array([1.5]), np.ma.array([1])]
)
def test_what_is_no_column_of_ids_is_a_type_error(left: Any) -> None:
    with pytest.raises(TypeError, match="first"):
        connected_components(left, [1])


def test_text_and_integers_do_not_mix() -> None:
    with pytest.raises(TypeError, match="first and second must both be text or both be integers"):
        connected_components(["1"], [1])
