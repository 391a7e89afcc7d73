"""The layout of a diagram: positions of nodes, curves of edges, places of labels.

Each cluster is laid out by `stress_layout`, turned towards the clusters that rejected links lead
to, and set beside the one before. Lengths are in inches, text sizes in points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import KDTree

from idmerge._formatting import shortened
from idmerge.pages.graph import Role
from idmerge.pages.labels import Anchor, Box, Labels, Point
from idmerge.pages.stress import stress_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from idmerge.pages.graph import Graph, Node

    ClusterLayout = tuple[list[int], NDArray[np.float64]]
    """The nodes of a cluster, and their positions."""

ALL_LABELLED = 30
"""Nodes up to which every node has a label, and every link its position."""
LARGE = 120
"""Nodes beyond which only requested, canonical and identified IDs have labels."""

UNIT, GROWTH, ROOMY_UNIT, LONGEST_UNIT = 1.0, 1.12, 2.4, 8.0
"""The length of a link in a small diagram: at first; the factor by which it grows while labels
cover lines or do not fit; the most for the first reason, and for the second."""
GAP = 2.6
"""Between two clusters."""
BEND = 0.28
"""Between lines that join the same nodes, in parts of their length."""
SHIFTS = (0.0, 0.14, -0.14, 0.28, -0.28)
"""Additional bends of lines between clusters, tried in this order to avoid nodes."""
ALONG = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74)
"""Parts of a line at which its label may stand, tried in this order."""
LABEL_ORDER = (Role.IDENTIFIED, Role.FORGOTTEN, Role.ALIAS, Role.OTHER, Role.ANONYMOUS)


class Style(NamedTuple):
    """Sizes in points."""

    marker: float
    line: float
    text: float
    arrow: float
    clear: float
    """The distance from one node to its neighbours in a diagram that is not small, in nodes."""

    @classmethod
    def of(cls, count: int) -> Style:
        """Return the sizes for ``count`` nodes."""
        if count <= ALL_LABELLED:
            return cls(11, 1.5, 8.5, 9, 0)
        return cls(8, 1.1, 7.5, 6, 3.2) if count <= LARGE else cls(5.5, 0.8, 7.5, 3.5, 1.8)

    @property
    def radius(self) -> float:
        """Half of a node, with the ring around a canonical ID."""
        return self.marker * 0.8 / 72


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions, bends and labels."""

    style: Style
    nodes: Sequence[Point]
    bends: Sequence[float]
    """The bend of each line, in parts of its length."""
    labels: Labels

    def box_of(self, node: int) -> Box:
        """Return the box that a node fills."""
        (x, y), radius = self.nodes[node], self.style.radius
        return Box(x - radius, y - radius, x + radius, y + radius)


def laid_out(graph: Graph) -> Layout:
    """Return the layout of ``graph``; of a small one so far apart that each label fits."""
    style = Style.of(len(graph.nodes))
    is_small = len(graph.nodes) <= ALL_LABELLED
    layouts = _cluster_layouts(graph)
    tried: list[Layout] = []
    unit = UNIT if is_small else _unit(layouts, style)
    while True:
        nodes = _side_by_side(graph, layouts, unit)
        bends = _bends(graph, nodes, style.radius)
        labels = _labels(graph, nodes, bends, style)
        tried.append(Layout(style, nodes, bends, labels))
        if not is_small or not labels.missing + labels.covering or unit > LONGEST_UNIT:
            break
        if not labels.missing and unit > ROOMY_UNIT:
            break
        unit *= GROWTH
    return min(tried, key=lambda layout: (layout.labels.missing, layout.labels.covering))


def _cluster_layouts(graph: Graph) -> list[ClusterLayout]:
    """Return the layout of each cluster, in links; ends of rejected links face each other."""
    cluster_of = [node.cluster for node in graph.nodes]
    across = {
        end
        for edge in graph.edges
        if cluster_of[edge.first] != cluster_of[edge.second]
        for end in (edge.first, edge.second)
    }
    layouts = []
    for cluster in range(graph.clusters):
        members = [place for place, of in enumerate(cluster_of) if of == cluster]
        row = {place: number for number, place in enumerate(members)}
        edges = [
            (row[edge.first], row[edge.second])
            for edge in graph.edges
            if edge.link.outcome.accepted and edge.first in row
        ]
        places = stress_layout(len(members), edges)
        places -= places.mean(axis=0)
        facing = places[[row[place] for place in members if place in across]]
        turn = _turn(places, facing, math.pi * cluster)
        layouts.append((members, places @ turn))
    return layouts


def _turn(places: NDArray[np.float64], facing: NDArray[np.float64], direction: float) -> NDArray[np.float64]:
    """Return the rotation that turns the points ``facing`` to ``direction``.

    Where these have no direction, it lays the longer side down.
    """
    x, y = facing.mean(axis=0) if len(facing) else (0.0, 0.0)
    if math.hypot(x, y) > 0.1:  # noqa: PLR2004 - nearer to the middle there is no direction
        angle = math.atan2(y, x) - direction
    else:
        spread = places.T @ places
        angle = 0.5 * math.atan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1])
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _unit(layouts: list[ClusterLayout], style: Style) -> float:
    """Return the length of a link with which nearly all nodes stand clear of their neighbours."""
    nearest = np.concatenate([KDTree(places).query(places, 2)[0][:, 1] for _, places in layouts])
    nearest = nearest[np.isfinite(nearest)]
    return float(style.clear * style.marker / 72 / max(np.quantile(nearest, 0.1), 0.02))


def _side_by_side(graph: Graph, layouts: list[ClusterLayout], unit: float) -> list[Point]:
    nodes: list[Point] = [(0.0, 0.0)] * len(graph.nodes)
    start = 0.0
    for members, layout in layouts:
        scaled = layout * unit
        scaled[:, 0] += start - scaled[:, 0].min()
        start = float(scaled[:, 0].max()) + GAP
        for member, (x, y) in zip(members, scaled.round(3).tolist(), strict=True):
            nodes[member] = (x, y)
    return nodes


def _bends(graph: Graph, nodes: Sequence[Point], radius: float) -> list[float]:
    """Return the bend of each line: parallel ones differ, and all avoid other nodes."""
    beside: dict[frozenset[int], list[int]] = {}
    for number, edge in enumerate(graph.edges):
        beside.setdefault(frozenset((edge.first, edge.second)), []).append(number)
    bends = [0.0] * len(graph.edges)
    for ends, numbers in beside.items():
        first, second = sorted(ends)
        fan = [BEND * (rank - (len(numbers) - 1) / 2) for rank in range(len(numbers))]
        if graph.nodes[first].cluster != graph.nodes[second].cluster:
            others = np.array([place for node, place in enumerate(nodes) if node not in ends]).reshape(-1, 2)
            fans = [[bend + shift for bend in fan] for shift in SHIFTS]
            fan = min(fans, key=lambda fan: _hit(others, nodes[first], nodes[second], fan, radius))
        for number, bend in zip(numbers, fan, strict=True):
            bends[number] = bend if graph.edges[number].first == first else -bend
    return bends


def _hit(others: NDArray[np.float64], first: Point, second: Point, fan: list[float], radius: float) -> int:
    """Return the number of nodes at ``others`` that a line of ``fan`` crosses."""
    points = np.array([_on_line(first, second, bend, step / 40) for bend in fan for step in range(41)])
    near = np.abs(others[:, None] - points[None]).max(axis=2) < radius
    return int(np.count_nonzero(near.any(axis=1)))


def _on_line(first: Point, second: Point, bend: float, part: float) -> Point:
    """Return a point of the curve that matplotlib's ``arc3`` draws."""
    x, y = second[0] - first[0], second[1] - first[1]
    middle = (first[0] + x / 2 + bend * y, first[1] + y / 2 - bend * x)
    weights = ((1 - part) ** 2, 2 * part * (1 - part), part**2)
    a, b = (
        sum(w * p[axis] for w, p in zip(weights, (first, middle, second), strict=True)) for axis in (0, 1)
    )
    return a, b


def _labels(graph: Graph, nodes: Sequence[Point], bends: Sequence[float], style: Style) -> Labels:
    count, radius = len(nodes), style.radius
    curves = [
        (nodes[edge.first], nodes[edge.second], bend) for edge, bend in zip(graph.edges, bends, strict=True)
    ]
    points = [_on_line(*curve, step / 24) for curve in curves for step in range(25)] if count <= LARGE else []
    labels = Labels(
        (Box(x - radius, y - radius, x + radius, y + radius) for x, y in nodes),
        np.array(points).reshape(-1, 2),
    )
    for edge, curve in zip(graph.edges, curves, strict=True):
        if count <= ALL_LABELLED or edge.is_in_chain:
            places = [_on_line(*curve, part) for part in ALONG]
            labels.put_on_line(
                f"link-{edge.link.position}", f"{edge.link.position}", places, style.text - 1.5
            )
    away = np.zeros((count, 2))
    for first, second in ((edge.first, edge.second) for edge in graph.edges):
        along = np.subtract(nodes[first], nodes[second])
        along /= max(float(np.hypot(*along)), 1e-9)
        away[first] += along
        away[second] -= along
    for place in sorted(range(count), key=lambda place: _rank(graph.nodes[place])):
        node = graph.nodes[place]
        if count > LARGE and _rank(node) > _RANK_OF_IDENTIFIED:
            break
        anchor = Anchor(nodes[place], (float(away[place, 0]), float(away[place, 1])), radius)
        labels.put_beside(
            f"node-{place}",
            shortened(node.text),
            anchor,
            style.text,
            bold=node.is_canonical,
            must=count > ALL_LABELLED and (node.is_canonical or node.is_requested),
        )
    return labels


_RANK_OF_IDENTIFIED = 2


def _rank(node: Node) -> int:
    """Return the priority of a node's label: the smaller, the earlier it is placed."""
    if node.is_requested:
        return 0
    return 1 if node.is_canonical else _RANK_OF_IDENTIFIED + LABEL_ORDER.index(node.role)
