"""Peers that know no policy: union-finds and connected components. Their clusters must agree.

What the clock sees differs, and each says so: those that are given text must turn it into numbers;
those that are given numbers leave that to somebody else, and are listed again with the turning.
Libraries are imported where they are used, because each is optional; the run that warms up does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benches.peers.by_rules import arrow_columns, list_columns
from benches.peers.peer import Peer
from benches.support.digests import digest_of_partition

if TYPE_CHECKING:
    from benches.support.workload import Columns

Pair = tuple[Any, Any]


# Union-finds on text


def dict_union_find(given: tuple[Any, ...]) -> dict[str, str]:
    _, left, right = given
    parent: dict[str, str] = {}
    size: dict[str, int] = {}
    for first, second in zip(left, right, strict=True):
        ours, theirs = _root(parent, first), _root(parent, second)
        if ours != theirs:
            if size.get(ours, 1) < size.get(theirs, 1):
                ours, theirs = theirs, ours
            parent[theirs] = ours
            size[ours] = size.get(ours, 1) + size.get(theirs, 1)
    return parent


def _root(parent: dict[str, str], text: str) -> str:
    if text not in parent:
        parent[text] = text
        return text
    while (up := parent[text]) != text:
        parent[text] = text = parent[up]
    return text


def dict_answer(parent: dict[str, str], columns: Columns) -> Mapping[str, str]:
    return _partition([_root(parent, text) for text in columns.ids.to_pylist()])


def networkx_union_find(given: tuple[Any, ...]) -> Any:
    from networkx.utils import UnionFind

    joined = UnionFind()
    for first, second in zip(given[1], given[2], strict=True):
        joined.union(first, second)
    return joined


def networkx_graph(given: tuple[Any, ...]) -> list[set[str]]:
    import networkx as nx

    graph = nx.Graph()
    graph.add_edges_from(zip(given[1], given[2], strict=True))
    return list(nx.connected_components(graph))


def scipy_disjoint_set(given: tuple[Any, ...]) -> Any:
    from scipy.cluster.hierarchy import DisjointSet

    joined = DisjointSet()
    for first, second in zip(given[1], given[2], strict=True):
        joined.add(first)
        joined.add(second)
        joined.merge(first, second)
    return joined


def roots_answer(joined: Any, columns: Columns) -> Mapping[str, str]:
    return _partition([joined[text] for text in columns.ids.to_pylist()])


def sets_of_texts_answer(clusters: list[set[str]], columns: Columns) -> Mapping[str, str]:
    label_of = {text: label for label, members in enumerate(clusters) for text in members}
    return _labels_answer(np.array([label_of[text] for text in columns.ids.to_pylist()]))


def _partition(roots: list[str]) -> Mapping[str, str]:
    return _labels_answer(pa.array(roots, pa.string()).dictionary_encode().indices.to_numpy())


def _labels_answer(labels: Any) -> Mapping[str, str]:
    return {"clusters": digest_of_partition(labels)}


# Text into numbers, then components of a sparse graph


def arrow_numbers(given: tuple[Any, ...]) -> Pair:
    both = pa.chunked_array(given[1:]).combine_chunks().dictionary_encode()
    return np.split(both.indices.to_numpy(), 2), len(both.dictionary)


def polars_columns(columns: Columns) -> Pair:
    import polars as pl

    return pl.Series(columns.left), pl.Series(columns.right)


def polars_numbers(given: Pair) -> Pair:
    import polars as pl

    both = pl.concat(given).cast(pl.Categorical).to_physical().to_numpy()
    return np.split(both, 2), int(both.max()) + 1


def pandas_columns(columns: Columns) -> Pair:
    import pandas as pd

    return pd.Series(columns.left, dtype="str"), pd.Series(columns.right, dtype="str")


def pandas_numbers(given: Pair) -> Pair:
    import pandas as pd

    codes, distinct = pd.factorize(pd.concat(given, ignore_index=True))
    return np.split(codes, 2), len(distinct)


def scipy_components(numbers: Pair) -> Pair:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    (left, right), count = numbers
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    return numbers, connected_components(graph, directed=False)[1]


def numbers_answer(result: Pair, columns: Columns) -> Mapping[str, str]:
    """Carry labels by the peer's own numbers over to ours."""
    ((left, right), _), labels = result
    ours = np.empty(len(columns.ids), np.int64)
    ours[columns.left_numbers] = labels[left]
    ours[columns.right_numbers] = labels[right]
    return _labels_answer(ours)


# Graph libraries on numbers


def made_numbers(columns: Columns) -> Pair:
    return (columns.left_numbers, columns.right_numbers), len(columns.ids)


def rustworkx_components(numbers: Pair) -> Pair:
    import rustworkx

    (left, right), count = numbers
    graph = rustworkx.PyGraph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from_no_data(list(zip(left.tolist(), right.tolist(), strict=True)))
    return numbers, rustworkx.connected_components(graph)


def sets_of_numbers_answer(result: Pair, columns: Columns) -> Mapping[str, str]:
    numbers, clusters = result
    labels = np.empty(numbers[1], np.int64)
    for label, members in enumerate(clusters):
        labels[list(members)] = label
    return numbers_answer((numbers, labels), columns)


def igraph_components(numbers: Pair) -> Pair:
    import igraph

    (left, right), count = numbers
    graph = igraph.Graph(n=count, edges=np.column_stack((left, right)).astype(np.int64))
    return numbers, np.array(graph.connected_components(mode="weak").membership)


_PEER = partial(Peer, question="link without rules")
_ON_TEXTS = partial(_PEER, given="list", prepare=list_columns)
_LABELLING = partial(_PEER, until="the IDs as numbers, a label for each", answer=numbers_answer)
_ON_NUMBERS = partial(_PEER, given="numbers", prepare=made_numbers)

PEERS = [
    _ON_TEXTS(name="dict", label="dict", until="a dict of parents", work=dict_union_find, answer=dict_answer),
    _ON_TEXTS(
        name="networkx-union-find",
        label="NetworkX UnionFind",
        until="a UnionFind",
        needs=("networkx",),
        work=networkx_union_find,
        answer=roots_answer,
    ),
    _ON_TEXTS(
        name="networkx-graph",
        label="NetworkX connected_components",
        until="a set of IDs a cluster",
        needs=("networkx",),
        work=networkx_graph,
        answer=sets_of_texts_answer,
    ),
    _ON_TEXTS(
        name="scipy-disjoint-set",
        label="SciPy DisjointSet",
        until="a DisjointSet",
        needs=("scipy",),
        work=scipy_disjoint_set,
        answer=roots_answer,
    ),
    _LABELLING(
        name="pyarrow-scipy",
        label="pyarrow + SciPy",
        given="Arrow",
        needs=("scipy",),
        prepare=arrow_columns,
        work=lambda given: scipy_components(arrow_numbers(given)),
    ),
    _LABELLING(
        name="polars-scipy",
        label="polars + SciPy",
        given="polars",
        needs=("polars", "scipy"),
        prepare=polars_columns,
        work=lambda given: scipy_components(polars_numbers(given)),
    ),
    _LABELLING(
        name="pandas-scipy",
        label="pandas + SciPy",
        given="pandas",
        needs=("pandas", "scipy"),
        prepare=pandas_columns,
        work=lambda given: scipy_components(pandas_numbers(given)),
    ),
    _ON_NUMBERS(
        name="scipy-numbers",
        label="SciPy, on numbers",
        until="a label for each number",
        needs=("scipy",),
        work=scipy_components,
        answer=numbers_answer,
    ),
    _PEER(
        name="rustworkx",
        label="pyarrow + rustworkx",
        given="Arrow",
        until="the IDs as numbers, a set of them a cluster",
        needs=("rustworkx",),
        prepare=arrow_columns,
        work=lambda given: rustworkx_components(arrow_numbers(given)),
        answer=sets_of_numbers_answer,
    ),
    _ON_NUMBERS(
        name="rustworkx-numbers",
        label="rustworkx, on numbers",
        until="a set of numbers a cluster",
        needs=("rustworkx",),
        work=rustworkx_components,
        answer=sets_of_numbers_answer,
    ),
    _LABELLING(
        name="igraph",
        label="pyarrow + igraph",
        given="Arrow",
        needs=("igraph",),
        prepare=arrow_columns,
        work=lambda given: igraph_components(arrow_numbers(given)),
    ),
    _ON_NUMBERS(
        name="igraph-numbers",
        label="igraph, on numbers",
        until="a label for each number",
        needs=("igraph",),
        work=igraph_components,
        answer=numbers_answer,
    ),
]
