"""A bar chart: a row for each name, in it a bar for each series, the numbers at their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from idmerge._formatting import cut, middle_cut
from idmerge.pages.figures import INK, PAPER, own_settings, png_of, svg_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#e69f00")
"""Of the series in their order; they differ for the colour-blind, and in grey."""
PALE = "#c8c8c8"
MOST_BARS = 30
"""Rows that are drawn; a table holds the others."""
LONGEST_TITLE = 80
LONGEST = 32
"""Characters of a name beside its bars."""
BAR = 0.38
"""Of the height of a row."""
WIDTH, ROW, AROUND = 8.0, 0.5, 1.0
"""Inches."""


class Series(NamedTuple):
    """The bars of one colour, one in each row."""

    label: str
    suffix: str
    """Ends the names of its bars in an SVG."""
    values: Sequence[float | None]
    texts: Sequence[str]
    """The values as they are written at the ends of the bars."""


class BarChart(NamedTuple):
    """A chart, as plain data."""

    title: str
    names: Sequence[str]
    """Of the first `MOST_BARS` rows."""
    series: Sequence[Series]
    rows: int
    """The number of rows, with those that are not drawn."""


def svg(chart: BarChart) -> bytes:
    """Return ``chart`` as SVG; each bar has its row's whole name as a title.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with own_settings("matplotlib"):
        return svg_of(*_drawn(chart))


def png(chart: BarChart) -> bytes:
    """Return ``chart`` as PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with own_settings("matplotlib"):
        return png_of(_drawn(chart)[0])


def _drawn(chart: BarChart) -> tuple[Figure, Mapping[str, str]]:
    """Return the figure, and the titles of its bars by the names of their groups."""
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    names = chart.names
    figure = Figure(
        figsize=(WIDTH, AROUND + ROW * max(len(names), 1)),
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1),
        facecolor=PAPER,
    )
    axes = figure.add_subplot()
    titles = {}
    most = max((value or 0 for series in chart.series for value in series.values), default=0)
    for number, (series, colour) in enumerate(zip(chart.series, COLOURS, strict=True)):
        for place, name in enumerate(names):
            value, text = series.values[place] or 0, series.texts[place]
            height = place + (number - 0.5) * (BAR + 0.02)
            group = f"bar-{place}{series.suffix}"
            axes.barh(height, value, BAR, color=colour, gid=group, label=series.label if place == 0 else None)
            axes.annotate(
                text,
                (max(value, 0), height),
                (4, 0),
                textcoords="offset points",
                va="center",
                size=9,
                color=INK,
            )
            titles[group] = f"{cut(name)}, {series.label}: {text}"
    axes.set_yticks(range(len(names)), [middle_cut(name, LONGEST) for name in names], size=10)
    axes.set_ylim(max(len(names), 1) - 0.45, -0.55)
    axes.set_xlim(right=most * 1.14 or 1)
    axes.xaxis.set_visible(False)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(PALE)
    figure.suptitle(_short_title(chart), x=0.01, ha="left", size=12, weight="bold", color=INK)
    if names:
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    return figure, titles


def _short_title(chart: BarChart) -> str:
    hidden = chart.rows > MOST_BARS
    more = f" (the first {MOST_BARS} of {chart.rows:,})" if hidden else ""
    room = LONGEST_TITLE - len(more)
    return (chart.title if len(chart.title) <= room else f"{chart.title[: room - 1]}…") + more
