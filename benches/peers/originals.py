"""The drop-in classes and connected components beside what they stand in for, in pairs in one run.

    python -m benches.peers.originals [ELEMENTS [PAIRS]]

Each does the same merges of random pairs of elements, as many as there are elements. Machines are
noisy, so the two take turns and the ratio counts: its median and its range over the pairs. The
answers are compared each time. SciPy needs dense numbers for components; making them is part of the
task, but for the integers that are dense already.
"""

from __future__ import annotations

import gc
import platform
import random
import statistics
import sys
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import networkx.utils
import numpy as np
import pyarrow as pa
import scipy.cluster.hierarchy
from scipy.sparse import coo_array, csgraph

import idmerge
from idmerge import Components, connected_components
from idmerge.compat import DisjointSet, UnionFind

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Labels = tuple[int, "NDArray[np.int32]"]
"""The number of components, and the component of each row."""


class Drawn(NamedTuple):
    """All elements, and two columns of as many of them, drawn at random."""

    elements: list[Any]
    left: list[Any]
    right: list[Any]


def drawn(count: int, make: Callable[[int], Any] = int) -> Drawn:
    """Draw the same numbers for each kind of element."""
    rng = random.Random(0)
    left, right = ([make(rng.randrange(count)) for _ in range(count)] for _ in range(2))
    return Drawn([make(number) for number in range(count)], left, right)


def as_text(number: int) -> str:
    return f"user-{number}"


def merge_each(cls: Any, elements: list[Any], left: list[Any], right: list[Any]) -> Any:
    sets = cls(elements)
    merge = sets.merge
    for x, y in zip(left, right, strict=True):
        merge(x, y)
    return sets


def merge_columns(elements: list[Any], left: Any, right: Any) -> DisjointSet:
    sets = DisjointSet(elements)
    sets.merge_many(left, right)
    return sets


def union_each(cls: Any, left: list[Any], right: list[Any]) -> Any:
    sets = cls()
    union = sets.union
    for x, y in zip(left, right, strict=True):
        union(x, y)
    return sets


def union_columns(left: Any, right: Any) -> UnionFind:
    sets = UnionFind()
    sets.merge_many(left, right)
    return sets


def by_scipy(a: NDArray[Any], b: NDArray[Any], count: int) -> Labels:
    """Label numbers below ``count``."""
    edges = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    components, labels = csgraph.connected_components(edges, directed=False)
    return int(components), labels[a]


def by_arrow_and_scipy(left: pa.Array[Any], right: pa.Array[Any]) -> Labels:
    encoded = pa.chunked_array([left, right]).combine_chunks().dictionary_encode()
    a, b = np.split(encoded.indices.to_numpy(), 2)
    return by_scipy(a, b, len(encoded.dictionary))


def by_arrow_and_scipy_from_lists(left: list[str], right: list[str]) -> Labels:
    return by_arrow_and_scipy(pa.array(left), pa.array(right))


def same_components(ours: Components, theirs: Labels, count: int | None = None) -> bool:
    """Return whether both say the same; ``theirs`` may know ``count`` numbers, linked or not."""
    unlinked = 0 if count is None else count - len(ours.ids)
    a, b = ours.row_labels.tolist(), theirs[1].tolist()
    together = len(set(zip(a, b, strict=True)))
    return ours.component_count + unlinked == theirs[0] and together == len(set(a)) == len(set(b))


def same_dense(count: int) -> Callable[[Components, Labels], bool]:
    return lambda ours, theirs: same_components(ours, theirs, count)


def same_roots(elements: list[Any]) -> Callable[[Any, Any], bool]:
    def same(ours: Any, theirs: Any) -> bool:
        return [ours[x] for x in elements] == [theirs[x] for x in elements]

    return same


def timed(call: Callable[..., Any], given: tuple[Any, ...]) -> tuple[float, Any]:
    gc.collect()
    started = perf_counter()
    answer = call(*given)
    return perf_counter() - started, answer


def beside(name: str, pairs: int, ours: Any, theirs: Any, same: Callable[[Any, Any], bool]) -> None:
    """Print how the two compare; each is a callable and its arguments."""
    seconds, ratios = [], []
    for _ in range(pairs):
        our_seconds, our_answer = timed(*ours)
        their_seconds, their_answer = timed(*theirs)
        if not same(our_answer, their_answer):
            sys.exit(f"{name}: the answers differ")
        seconds.append(our_seconds)
        ratios.append(their_seconds / our_seconds)
    middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
    print(f"{name:<52} {statistics.median(seconds):6.3f} s  {middle:5.1f} x  ({least:.1f} to {most:.1f})")


def main(count: int, pairs: int) -> None:
    """Print the machine, and for each task our median time and the ratio of theirs to ours."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("scipy", "networkx", "pyarrow"))
    print(f"idmerge {idmerge.__version__}, Python {platform.python_version()}, {libraries}")
    print(f"{platform.platform()}; {count:,} links of {count:,} elements, {pairs} pairs; theirs / ours")
    scipys, networkxs = scipy.cluster.hierarchy.DisjointSet, networkx.utils.UnionFind
    for kind, make in (("int", int), ("str", as_text)):
        given = drawn(count, make)
        linked, columns = (given.left, given.right), (pa.array(given.left), pa.array(given.right))
        all_roots, linked_roots = same_roots(given.elements), same_roots(given.left)
        theirs: Any = (merge_each, (scipys, *given))
        beside(f"DisjointSet.merge of {kind}", pairs, (merge_each, (DisjointSet, *given)), theirs, all_roots)
        ours: Any = (merge_columns, (given.elements, *columns))
        beside(f"DisjointSet.merge_many of Arrow {kind}", pairs, ours, theirs, all_roots)
        theirs = (union_each, (networkxs, *linked))
        beside(f"UnionFind.union of {kind}", pairs, (union_each, (UnionFind, *linked)), theirs, linked_roots)
        beside(f"UnionFind.merge_many of Arrow {kind}", pairs, (union_columns, columns), theirs, linked_roots)
        ours, theirs = (connected_components, columns), (by_arrow_and_scipy, columns)
        beside(f"components of Arrow {kind}; pyarrow + scipy", pairs, ours, theirs, same_components)
    ours, theirs = (connected_components, linked), (by_arrow_and_scipy_from_lists, linked)
    beside("components of lists of str; pyarrow + scipy", pairs, ours, theirs, same_components)
    rng = np.random.default_rng(0)
    dense = rng.integers(0, count, count), rng.integers(0, count, count)
    ours, theirs = (connected_components, dense), (by_scipy, (*dense, count))
    beside("components of dense numpy int; scipy alone", pairs, ours, theirs, same_dense(count))


if __name__ == "__main__":
    arguments = [int(float(argument.replace("_", ""))) for argument in sys.argv[1:]]
    main(*(arguments + [1_000_000, 5][len(arguments) :]))
