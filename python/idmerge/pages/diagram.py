"""A diagram of clusters as SVG: IDs by role, links by kind, a title on each.

The same graph gives the same bytes, with the same libraries on the same machine. matplotlib and
scipy are imported only when something is drawn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from idmerge._formatting import full, utc
from idmerge.events import Kind
from idmerge.pages.figures import INK, PAPER, own_settings, svg_of
from idmerge.pages.graph import Role

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from idmerge.pages.graph import Graph, Node
    from idmerge.pages.layout import Layout

MARKERS = {
    Role.IDENTIFIED: ("s", "#e69f00"),
    Role.ANONYMOUS: ("o", "#56b4e9"),
    Role.ALIAS: ("D", "#009e73"),
    Role.OTHER: ("^", "#b0b0b0"),
    Role.FORGOTTEN: ("X", "#ffffff"),
}
LINES: dict[Kind, tuple[str, Literal["-", "-."]]] = {
    Kind.IDENTIFY: ("#5b6b7f", "-"),
    Kind.ALIAS: ("#00785a", "-."),
    Kind.MERGE: ("#a0529b", "-"),
    Kind.MAPPING: ("#a0529b", "-."),
    Kind.ASSOCIATION: ("#5b6b7f", "-"),
}
REJECTED, CHAIN, BACKGROUND = "#d62728", "#ffd54a", "#f1f4f8"

RING, HALO = 6, 8
"""Points that the ring of a canonical ID and the halo of a requested one add to a marker."""
MARGIN, HEADER, LEGEND_ROW, LEGEND_COLUMN, NARROWEST = 0.25, 0.5, 0.22, 1.25, 5.5
"""Inches."""


def svg(graph: Graph, *, has_title: bool = True) -> bytes:
    """Return ``graph`` as SVG, in which each ID and each link has its whole text as a title.

    The graph's own title stands above it, unless a page says it already.

    Raises:
        MissingExtraError: matplotlib or scipy is not installed.
    """
    with own_settings("matplotlib", "scipy"):
        return svg_of(*_drawn(graph, graph.heading if has_title else ""))


def _drawn(graph: Graph, heading: str) -> tuple[Figure, dict[str, str]]:
    """Return the figure, and the titles of its nodes and links by the names of their groups."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    from idmerge.pages.layout import laid_out  # noqa: PLC0415

    layout = laid_out(graph)
    boxes = [label.box for label in layout.labels.placed.values()]
    boxes += [layout.box_of(node) for node in range(len(graph.nodes))]
    left, right = min(box.left for box in boxes) - MARGIN, max(box.right for box in boxes) + MARGIN
    low, high = min(box.low for box in boxes) - MARGIN, max(box.high for box in boxes) + MARGIN
    width = max(right - left, NARROWEST, layout.labels.width_of(heading, 11, bold=True)[0] + 2 * MARGIN)
    left -= (width - (right - left)) / 2
    handles = _legend(graph)
    columns = max(1, min(len(handles), int(width / LEGEND_COLUMN)))
    low -= math.ceil(len(handles) / columns) * LEGEND_ROW + 0.1
    high += HEADER if heading else 0
    figure = Figure(figsize=(width, high - low), facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(left, left + width), ylim=(low, high))
    axes.set_axis_off()
    if graph.clusters > 1:
        _draw_backgrounds(axes, graph, layout)
    titles = _draw_lines(axes, graph, layout) | _draw_nodes(axes, graph, layout)
    for name, label in layout.labels.placed.items():
        x, y = (label.box.left + label.box.right) / 2, (label.box.low + label.box.high) / 2
        axes.text(
            x,
            y,
            label.text,
            ha="center",
            va="center",
            size=label.size,
            weight="bold" if label.bold else "normal",
            color=INK,
            gid=f"label-{name}",
            parse_math=False,
            zorder=5,
            bbox={"facecolor": PAPER, "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
        )
    axes.text(
        left + MARGIN, high - 0.28, heading, size=11, weight="bold", color=INK, va="center", parse_math=False
    )
    figure.legend(handles=handles, loc="lower center", ncols=columns, frameon=False, fontsize=8)
    return figure, titles


def _draw_backgrounds(axes: Axes, graph: Graph, layout: Layout) -> None:
    """Draw a rounded box behind each cluster."""
    from matplotlib.patches import FancyBboxPatch  # noqa: PLC0415

    for cluster in range(graph.clusters):
        members = [place for place, node in enumerate(graph.nodes) if node.cluster == cluster]
        labels = [layout.labels.placed.get(f"node-{place}") for place in members]
        boxes = [*map(layout.box_of, members), *(label.box for label in labels if label)]
        left, low = min(box.left for box in boxes), min(box.low for box in boxes)
        width, height = max(box.right for box in boxes) - left, max(box.high for box in boxes) - low
        axes.add_patch(
            FancyBboxPatch(
                (left, low),
                width,
                height,
                boxstyle="round,pad=0.1,rounding_size=0.15",
                facecolor=BACKGROUND,
                edgecolor="#d5dbe3",
                linewidth=0.8,
                zorder=0,
            )
        )


def _draw_lines(axes: Axes, graph: Graph, layout: Layout) -> dict[str, str]:
    from matplotlib.patches import FancyArrowPatch  # noqa: PLC0415

    titles, style = {}, layout.style
    for edge, bend in zip(graph.edges, layout.bends, strict=True):
        link = edge.link
        colour, dashes = LINES[link.kind] if link.outcome.accepted else (REJECTED, "--")
        shape: dict[str, Any] = {
            "posA": layout.nodes[edge.first],
            "posB": layout.nodes[edge.second],
            "connectionstyle": f"arc3,rad={bend}",
            "shrinkA": _reach(graph.nodes[edge.first], style.marker),
            "shrinkB": _reach(graph.nodes[edge.second], style.marker) + 1,
        }
        if edge.is_in_chain:
            axes.add_patch(
                FancyArrowPatch(
                    **shape, arrowstyle="-", linewidth=style.line + 6, color=CHAIN, zorder=1, capstyle="round"
                )
            )
        name = f"link-{link.position}"
        axes.add_patch(
            FancyArrowPatch(
                **shape,
                arrowstyle="-|>",
                mutation_scale=style.arrow,
                linewidth=style.line,
                linestyle=dashes,
                color=colour,
                zorder=2,
                gid=name,
            )
        )
        titles[name] = (
            f"{link.kind.name.lower()} at position {link.position}, {utc(link.time)}, {link.outcome.name}: "
            f"{full(link.first)} → {full(link.second)}"
        )
    return titles


def _reach(node: Node, marker: float) -> float:
    """Return the radius of a node with its rings, in points."""
    return (marker + (RING if node.is_canonical else 0) + (HALO if node.is_requested else 0)) / 2


def _draw_nodes(axes: Axes, graph: Graph, layout: Layout) -> dict[str, str]:
    from matplotlib.lines import Line2D  # noqa: PLC0415

    titles, style = {}, layout.style
    for place, (node, (x, y)) in enumerate(zip(graph.nodes, layout.nodes, strict=True)):
        marker, colour = MARKERS[node.role]
        size = style.marker * (0.85 if marker == "D" else 1)
        if node.is_requested:
            halo = size + HALO + (RING if node.is_canonical else 0)
            axes.add_line(Line2D([x], [y], marker="o", markersize=halo, color=CHAIN, zorder=2.5))
        if node.is_canonical:
            axes.add_line(
                Line2D(
                    [x], [y], marker="o", markersize=size + RING, color=PAPER, markeredgecolor=INK, zorder=3
                )
            )
        name = f"node-{place}"
        axes.add_line(
            Line2D(
                [x],
                [y],
                marker=marker,
                markersize=size,
                color=colour,
                markeredgecolor=INK,
                markeredgewidth=0.7,
                zorder=4,
                gid=name,
            )
        )
        role = f"{node.role.value}, canonical ID" if node.is_canonical else node.role.value
        titles[name] = f"{full(node.text)} ({role})"
    return titles


def _legend(graph: Graph) -> list[Any]:
    """Return an entry for each kind of mark in the diagram."""
    from matplotlib.lines import Line2D  # noqa: PLC0415

    handles = []
    roles = {node.role for node in graph.nodes}
    for role, (marker, colour) in MARKERS.items():
        if role in roles:
            handles.append(
                Line2D(
                    [], [], marker=marker, color=colour, markeredgecolor=INK, linestyle="", label=role.value
                )
            )
    handles.append(
        Line2D(
            [],
            [],
            marker="o",
            markersize=10,
            color=PAPER,
            markeredgecolor=INK,
            linestyle="",
            label="canonical",
        )
    )
    kinds = {edge.link.kind for edge in graph.edges if edge.link.outcome.accepted}
    for kind, (colour, dashes) in LINES.items():
        if kind in kinds:
            handles.append(Line2D([], [], color=colour, linestyle=dashes, label=kind.name.lower()))
    if any(not edge.link.outcome.accepted for edge in graph.edges):
        handles.append(Line2D([], [], color=REJECTED, linestyle="--", label="rejected"))
    if any(edge.is_in_chain for edge in graph.edges):
        handles.append(Line2D([], [], color=CHAIN, linewidth=6, label="the chain"))
    return handles
