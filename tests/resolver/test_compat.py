"""The drop-in classes against the originals: the same roots, order and errors after any calls."""

from __future__ import annotations

import copy
import gc
import importlib.util
import pickle
import subprocess
import sys
import weakref
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import networkx.utils
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import scipy.cluster.hierarchy
from hypothesis import given
from hypothesis import strategies as st

from idmerge.compat import DisjointSet, UnionFind

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

ELEMENTS: list[Hashable] = [
    0,
    1,
    8,
    -1,
    -2,
    2**70,
    "",
    "a",
    "b",
    "a longer text",
    b"a",
    None,
    1.5,
    (1, "a"),
    (1, 2),
]
CLASSES = [DisjointSet, UnionFind]

elements = st.sampled_from(ELEMENTS)
pairs = st.lists(st.tuples(elements, elements), max_size=30)
integers = st.integers(-3, 12)


class Odd:
    """Equal to every other of its kind, of one hash with all of them, and written in Python."""

    def __init__(self, name: str, on_equal: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.on_equal = on_equal

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        self.on_equal()
        return isinstance(other, Odd) and other.name == self.name


def listed(answer: Any) -> Any:
    """Return a set in its own order, which follows from the order of its making."""
    return list(answer) if isinstance(answer, set) else answer


def caught(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what ``call`` returns, or the type and the arguments of what it raises."""
    try:
        return call(*arguments)
    except (KeyError, TypeError) as error:
        return type(error), error.args


@given(st.lists(elements, max_size=12), pairs)
def test_a_disjoint_set_answers_as_scipys(first: list[Any], stated: list[tuple[Any, Any]]) -> None:
    ours, theirs = DisjointSet(first), scipy.cluster.hierarchy.DisjointSet(first)
    for x, y in stated:
        assert caught(ours.merge, x, y) == caught(theirs.merge, x, y)
        assert caught(ours.connected, x, y) == caught(theirs.connected, x, y)
        ours.add(y)
        theirs.add(y)
        assert ours.n_subsets == theirs.n_subsets
    assert list(ours) == list(theirs)
    assert len(ours) == len(theirs)
    assert [list(subset) for subset in ours.subsets()] == [list(subset) for subset in theirs.subsets()]
    for x in ELEMENTS:
        assert (x in ours) == (x in theirs)
        assert caught(ours.__getitem__, x) == caught(theirs.__getitem__, x)
        assert caught(ours.subset_size, x) == caught(theirs.subset_size, x)
        assert listed(caught(ours.subset, x)) == listed(caught(theirs.subset, x))


@given(st.lists(elements, max_size=12), st.lists(st.lists(elements, max_size=5), max_size=20))
def test_a_union_find_answers_as_networkxs(first: list[Any], stated: list[list[Any]]) -> None:
    ours, theirs = UnionFind(first), networkx.utils.UnionFind(first)
    for objects in stated:
        assert ours.union(*objects) == theirs.union(*objects)
        assert ours.parents == theirs.parents
        assert ours.weights == theirs.weights
    for x in ELEMENTS[::2]:
        assert ours[x] == theirs[x]
    assert [list(group) for group in ours.to_sets()] == [list(group) for group in theirs.to_sets()]
    assert list(ours) == list(theirs)
    assert list(ours.parents.items()) == list(theirs.parents.items())


@given(st.lists(st.lists(st.integers(-40, 40).map(lambda n: n * 8), max_size=30), max_size=8))
def test_ties_of_many_colliding_roots_fall_as_in_networkx(stated: list[list[int]]) -> None:
    ours, theirs = UnionFind(), networkx.utils.UnionFind()
    for objects in stated:
        ours.union(*objects)
        theirs.union(*objects)
    assert ours.parents == theirs.parents


@pytest.mark.parametrize(
    "name", ["scipy.cluster.tests.test_disjoint_set", "networkx.utils.tests.test_unionfind"]
)
def test_the_originals_own_tests_pass_with_the_import_changed(name: str, tmp_path: Path) -> None:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"the installed package ships no {name}")
    source = Path(spec.origin).read_text("utf-8")
    changed = source.replace("from scipy.cluster.hierarchy import", "from idmerge.compat import")
    changed = changed.replace(
        "import networkx as nx",
        "import types, idmerge.compat\nnx = types.SimpleNamespace(utils=idmerge.compat)",
    )
    assert changed != source
    path = tmp_path / "test_changed.py"
    path.write_text(changed, encoding="utf-8")
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            str(path),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout


def columns(left: list[Any], right: list[Any]) -> list[tuple[Any, Any]]:
    """Return the same two columns in every family that takes them."""
    families: list[Callable[[list[Any]], Any]] = [list, tuple, np.array, pa.array, pl.Series]
    return [(make(left), make(right)) for make in families]


@given(st.lists(st.tuples(integers, integers), min_size=1, max_size=30), st.booleans())
def test_many_merges_are_one_after_another(stated: list[tuple[int, int]], as_text: bool) -> None:  # noqa: FBT001
    left, right = ([str(x) if as_text else x for x in column] for column in zip(*stated, strict=True))
    single, theirs = DisjointSet(left + right), networkx.utils.UnionFind()
    joined = [single.merge(x, y) for x, y in zip(left, right, strict=True)]
    for x, y in zip(left, right, strict=True):
        theirs.union(x, y)
    for a, b in columns(left, right):
        many, united = DisjointSet(left + right), UnionFind()
        assert many.merge_many(a, b).tolist() == joined
        assert united.merge_many(a, b).tolist() == joined
        assert [many[x] for x in many] == [single[x] for x in single]
        assert many.subsets() == single.subsets()
        assert list(united) == list(theirs)
        assert united.parents == theirs.parents
        assert {type(x) for x in united} == {str if as_text else int}


def test_many_merges_meet_elements_of_any_type_that_are_equal() -> None:
    sets = DisjointSet([1.0, np.int64(2), 3, True])
    assert sets.merge_many([1, 2], [2, 3]).tolist() == [True, True]
    assert sets.subset(3) == {1, 2, 3}
    beyond = UnionFind([2**64 - 1])
    beyond.merge_many(np.array([2**64 - 1], np.uint64), np.array([5]))
    assert list(beyond) == [2**64 - 1, 5]


def test_many_merges_with_an_unknown_element_merge_nothing() -> None:
    sets = DisjointSet(["a", "b"])
    with pytest.raises(KeyError) as error:
        sets.merge_many(["a", "a"], ["b", "c"])
    assert error.value.args == ("c",)
    assert sets.n_subsets == 2


@pytest.mark.parametrize(
    ("left", "right", "error", "message"),
    [
        ([1], ["a"], TypeError, "first and second must both be text or both be integers"),
        ([1], [1.5], TypeError, "first and second must both be text or both be integers"),
        ([1, 1.5], [1, 2], TypeError, "first must hold integers only, got float in row 1"),
        ([1, None], [1, 2], ValueError, "row 1 of first is null"),
        (["a", "b"], ["a", None], ValueError, "row 1 of second is null"),
        ([1], [1, 2], ValueError, "columns must have the same length: first has 1, second has 2 rows"),
        ([2**64], [1], ValueError, "first must hold integers of 64 bits, got a wider one in row 0"),
        ([-1], [2**63], ValueError, "first holds a negative integer"),
    ],
)
@pytest.mark.parametrize("cls", CLASSES)
def test_columns_that_make_no_links_are_refused_and_change_nothing(
    cls: type[Any], left: list[Any], right: list[Any], error: type[Exception], message: str
) -> None:
    sets = cls([1, 2, "a", "b"])
    with pytest.raises(error) as raised:
        sets.merge_many(left, right)
    assert message in str(raised.value)
    assert len(list(sets)) == 4


def test_an_unknown_element_is_a_key_error_with_the_element_itself() -> None:
    sets = DisjointSet(["a"])
    for call in (sets.__getitem__, sets.subset, sets.subset_size, lambda x: sets.merge("a", x)):
        with pytest.raises(KeyError) as error:
            call((1, 2))
        assert error.value.args == ((1, 2),)


@pytest.mark.parametrize("cls", CLASSES)
def test_what_is_not_hashable_is_a_type_error(cls: type[Any]) -> None:
    sets = cls(["a"])
    calls: list[Callable[[], Any]] = [
        lambda: sets[[]],
        lambda: cls([[]]),
        lambda: sets.merge_many([[]], [[]]),
    ]
    calls += [lambda: sets.add([])] if cls is DisjointSet else [lambda: sets.union("b", [])]
    for call in calls:
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("cls", CLASSES)
def test_adding_during_an_iteration_ends_it_with_an_error(cls: type[Any]) -> None:
    sets = cls(["a", "b"])
    iterator = iter(sets)
    assert next(iterator) == "a"
    sets.merge_many([], [])
    assert next(iterator) == "b"
    sets.add("c") if cls is DisjointSet else sets.union("c")
    with pytest.raises(RuntimeError, match="elements were added during the iteration"):
        next(iterator)


def test_sets_are_those_of_when_the_first_is_asked_for() -> None:
    sets = UnionFind("ab")
    later = sets.to_sets()
    sets.union("a", "b")
    assert list(later) == [{"a", "b"}]


def test_elements_of_one_hash_are_told_apart_by_python() -> None:
    names = [Odd(str(number)) for number in range(50)]
    sets = DisjointSet(names)
    assert len(sets) == 50
    assert sets.merge(Odd("3"), Odd("40"))
    assert sets[Odd("40")] is names[3]
    assert Odd("50") not in sets
    found = UnionFind()
    found.union(Odd("a"), Odd("b"), Odd("a"))
    assert len(list(found)) == 2


def test_columns_meet_elements_that_only_python_can_tell_apart() -> None:
    elements: list[Any] = [float(number) for number in range(200)]
    sets, found = DisjointSet(elements), UnionFind(elements)
    left, right = list(range(199)), list(range(1, 200))
    assert sets.merge_many(left, right).all()
    assert found.merge_many(left, right).all()
    assert [type(x) for x in (sets[7], found[7])] == [float, float]
    assert (len(sets), len(list(found))) == (200, 200)


def test_columns_with_new_elements_among_old_ones_add_them_in_order() -> None:
    ours, theirs = UnionFind([2.0, 5.0]), networkx.utils.UnionFind([2.0, 5.0])
    left, right = [9, 2, 8, 5, 7], [2, 8, 5, 7, 9]
    ours.merge_many(left, right)
    for x, y in zip(left, right, strict=True):
        theirs.union(x, y)
    assert list(ours) == list(theirs) == [2, 5, 9, 8, 7]
    assert ours.parents == theirs.parents


def test_an_equality_that_raises_is_passed_on_and_changes_nothing() -> None:
    def refuse() -> None:
        raise ArithmeticError

    sets = DisjointSet([Odd("a", refuse)])
    for call in (sets.add, sets.__contains__, lambda x: sets.merge(x, x)):
        with pytest.raises(ArithmeticError):
            call(Odd("b"))
    assert (len(sets), sets.n_subsets) == (1, 1)


def test_an_equality_that_adds_elements_meanwhile_adds_each_once() -> None:
    sets = UnionFind()
    calm = [Odd(str(number)) for number in range(10)]
    added = iter(calm)

    def add() -> None:
        sets.union(*(element for element in [next(added, None)] if element))

    sets.union(Odd("first", add))
    sets.union(Odd("second", add), Odd("third", add), Odd("second", add))
    names = [element.name for element in sets]
    assert len(names) == len(set(names)) == 13
    assert sets[Odd("7")] is calm[7]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda sets: pickle.loads(pickle.dumps(sets))])
@pytest.mark.parametrize("cls", CLASSES)
@given(stated=pairs)
def test_a_copy_is_the_same_and_goes_its_own_way(
    cls: type[Any], copied: Callable[[Any], Any], stated: list[tuple[Any, Any]]
) -> None:
    sets = cls(ELEMENTS)
    sets.note = ["kept"]
    join = "merge" if cls is DisjointSet else "union"
    for x, y in stated:
        getattr(sets, join)(x, y)
    twin = copied(sets)
    assert (type(twin), twin.note) == (cls, ["kept"])
    for each in (sets, twin):
        getattr(each, join)("a", "b")
    assert sets._state() == twin._state()
    getattr(twin, join)("", b"a")
    getattr(twin, join)("", "a")
    assert [twin[x] for x in twin] != [sets[x] for x in sets] or all(sets[x] == sets["a"] for x in ("", b"a"))


@pytest.mark.parametrize(
    "state",
    [
        (["a", "b"], b"\1\0\0\0\0\0\0\0", b"\1\0\0\0\1\0\0\0", b"\0\0\0\0\1\0\0\0"),
        (["a", "a"], b"\0\0\0\0\1\0\0\0", b"\1\0\0\0\1\0\0\0", b"\0\0\0\0\1\0\0\0"),
        (["a"], b"", b"", b""),
    ],
)
def test_a_state_that_is_none_is_refused(state: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="the state is not one of a partition"):
        DisjointSet()._restore(*state)
    with pytest.raises(ValueError, match="into an empty partition"):
        DisjointSet("x")._restore([], b"", b"", b"")


class Named(DisjointSet):
    """As someone may have extended the original."""

    def __init__(self, name: str, *elements: Hashable) -> None:
        super().__init__(elements)
        self.name = name


def test_a_subclass_has_its_own_initializer_and_still_copies() -> None:
    named = Named("x", 1, 2)
    twin = pickle.loads(pickle.dumps(named))
    assert (type(twin), twin.name, list(twin)) == (Named, "x", [1, 2])


@pytest.mark.parametrize("cls", CLASSES)
def test_a_cycle_through_an_element_is_collected(cls: type[Any]) -> None:
    class Element:
        pass

    element = Element()
    sets = cls([element])
    element.sets, element.iterator = sets, iter(sets)  # type: ignore[attr-defined]
    gone = weakref.ref(element)
    del element, sets
    gc.collect()
    assert gone() is None


def test_threads_that_share_a_union_find_lose_no_union() -> None:
    sets = UnionFind()

    def unite(first: int) -> None:
        for number in range(first, 4000, 4):
            sets.union(str(number), str(number + 1))
        sets.merge_many(list(range(first, 4000, 4)), list(range(first + 1, 4001, 4)))

    threads = [Thread(target=unite, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(group) for group in sets.to_sets()] == [4001, 4001]
