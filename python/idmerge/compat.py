"""Drop-in classes for union-finds of other libraries: change the import, keep the rest.

`DisjointSet` has the interface of `scipy.cluster.hierarchy.DisjointSet`, `UnionFind` that of
`networkx.utils.UnionFind`: elements of any hashable type, the same roots, the same order, the same
errors. No policy judges what is merged. `merge_many`, which is new, takes whole columns.

What differs: of elements that are equal but not identical, such as 1 and 1.0, answers name the one
that was added first. ``n_subsets``, ``parents`` and ``weights`` are read, not assigned. A copy made
by `copy.copy` has the same elements and sets of its own. Threads may share both classes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from idmerge import _core

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DisjointSet", "UnionFind"]

V = TypeVar("V")


class _Elements:
    """The methods that both classes share, beside their base in the core."""

    def __init__(self: Any, elements: Iterable[Hashable] | None = None) -> None:
        """Add the first elements."""
        if elements is not None:
            self._add_many(elements)

    def __reduce__(self: Any) -> tuple[Any, ...]:
        """Return how to make a copy."""
        return _empty, (type(self),), (self._state(), vars(self))

    def __setstate__(self: Any, state: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
        """Make this empty object a copy."""
        parts, attributes = state
        self._restore(*parts)
        vars(self).update(attributes)


class DisjointSet(_Elements, _core.DisjointSet):
    """Disjoint sets of elements that are there before they are merged, as SciPy has them.

    Args:
        elements: The first elements, each a subset of its own.

    Examples:
        >>> from idmerge.compat import DisjointSet
        >>> sets = DisjointSet(["ana", "crm-17", "ben"])
        >>> sets.merge("ana", "crm-17"), sets.connected("crm-17", "ana"), sets["crm-17"]
        (True, True, 'ana')
        >>> sets.add("crm-18")
        >>> sets.merge_many(["ben", "ana"], ["crm-18", "crm-17"]).tolist()
        [True, False]
        >>> sets.n_subsets, sets.subset_size("ben"), sorted(sets.subset("ben"))
        (2, 2, ['ben', 'crm-18'])
        >>> [sorted(subset) for subset in sets.subsets()]
        [['ana', 'crm-17'], ['ben', 'crm-18']]
    """


class UnionFind(_Elements, _core.UnionFind):
    """Disjoint sets of elements that are added when they are first named, as NetworkX has them.

    Args:
        elements: The first elements, each a set of its own.

    Examples:
        >>> from idmerge.compat import UnionFind
        >>> sets = UnionFind(["ana"])
        >>> sets.union("ana", "crm-17", "ana@example.com")
        >>> sets.merge_many(["ben"], ["crm-18"]).tolist()
        [True]
        >>> sets.weights[sets["crm-17"]], sets.parents["ana"] == sets["ana"]
        (3, True)
        >>> [sorted(members) for members in sets.to_sets()]
        [['ana', 'ana@example.com', 'crm-17'], ['ben', 'crm-18']]
    """

    @property
    def parents(self) -> Mapping[Hashable, Hashable]:
        """The parent of each element, a root's being itself: a view, not a copy."""
        return _View(self, self._parent)

    @property
    def weights(self) -> Mapping[Hashable, int]:
        """The size of each root's set, and of another element's when it last was a root: a view."""
        return _View(self, self._weight)

    def to_sets(self) -> Iterator[set[Any]]:
        """Go through the sets as they are when the first is asked for, by their first elements."""
        yield from self._sets()


class _View(Mapping[Hashable, V]):
    """A value for each element, in the order in which they were added."""

    def __init__(self, partition: _core.Partition, look_up: Callable[[Any], V]) -> None:
        self._partition = partition
        self._look_up = look_up

    def __getitem__(self, element: Hashable) -> V:
        return self._look_up(element)

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._partition)

    def __len__(self) -> int:
        return self._partition._count()

    def __repr__(self) -> str:
        return repr(dict(self))


def _empty(cls: type[Any]) -> Any:
    """Return an object of ``cls`` without elements, without a call of its initializer."""
    return cls.__new__(cls)  # type: ignore[call-overload]
