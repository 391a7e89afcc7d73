"""Positions of a graph's nodes by stress majorization.

The distance of two nodes in the drawing approaches one that grows with the number of links between
them (Gansner, Koren and North, "Graph Drawing by Stress Majorization", 2004). The first positions
are those of a radial tree around the middle, so that the same links give the same drawing. For n
nodes it takes O(n²) a round, and O(n³) once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Places = NDArray[np.float64]

ROUNDS = 300
STILL = 1e-5
"""The part of the stress by which a round must lower it, or it is the last."""
FOLDING, LONG, FOLDING_MORE = 0.85, 16, 0.55
"""Exponents of the number of links in a distance: below 1, and smaller from `LONG` links on, so
that long chains wind."""
WINDING = 0.12
"""Radians that a ring is turned against the one within it, so that no chain is straight at
first."""
RING = 40
"""Neighbours that fit around one node; more of them fill a disc."""
GOLDEN = math.pi * (3 - math.sqrt(5))


def stress_layout(count: int, edges: Sequence[tuple[int, int]]) -> Places:
    """Return positions (count, 2) of a connected graph's nodes, about 1 apart along an edge."""
    if count == 1:
        return np.zeros((1, 2))
    ends = np.array(edges).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count)).tocsr()
    steps = shortest_path(graph, directed=False, unweighted=True)
    middle = int(np.argmin(steps.max(axis=1)))
    wanted = np.where(np.isfinite(steps), steps, count) ** (FOLDING if steps.max() < LONG else FOLDING_MORE)
    np.fill_diagonal(wanted, 1)
    weights = wanted**-2.0
    np.fill_diagonal(weights, 0)
    mean = np.full((count, count), 1 / count)
    solved = np.linalg.inv(np.diag(weights.sum(axis=1)) - weights + mean) - mean
    places = _rings(steps, middle)
    before = math.inf
    for _ in range(ROUNDS):
        apart = np.linalg.norm(places[:, None] - places[None], axis=2)
        np.fill_diagonal(apart, 1)
        stress = float((weights * (apart - wanted) ** 2).sum())
        if stress >= before * (1 - STILL):
            break
        before = stress
        pull = weights * wanted / np.maximum(apart, 1e-9)
        places = solved @ (pull.sum(axis=1)[:, None] * places - pull @ places)
    return places


def _rings(steps: NDArray[np.float64], middle: int) -> Places:
    """Return a radial tree around ``middle``, with room for the leaves of each node."""
    count = len(steps)
    depth = steps[middle]
    order = np.argsort(depth, kind="stable").tolist()
    children: list[list[int]] = [[] for _ in range(count)]
    for node in order[1:]:
        nearer = np.flatnonzero((steps[node] == 1) & (depth == depth[node] - 1))
        children[int(nearer[0])].append(node)
    leaves = [1.0] * count
    for node in reversed(order):
        leaves[node] = sum(leaves[child] for child in children[node]) or 1.0
    places = np.zeros((count, 2))
    wedge = {middle: (0.0, 2 * math.pi)}
    for node in order:
        start, width = wedge[node]
        for rank, child in enumerate(sorted(children[node], key=lambda child: (leaves[child], child))):
            share = width * leaves[child] / leaves[node]
            wedge[child] = (start, share)
            angle = start + share / 2 + WINDING * depth[child]
            radius = depth[child]
            if len(children[node]) > RING:
                radius -= 0.7 * (rank * GOLDEN % 1)
            places[child] = radius * math.cos(angle), radius * math.sin(angle)
            start += share
    return places
