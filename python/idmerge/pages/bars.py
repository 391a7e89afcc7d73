"""A bar chart: a row for each name, or a place on an axis of time for each period.

Each has a bar for each series, with its number.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge._formatting import cut, middle_cut
from idmerge.pages.figures import INK, PAPER, own_settings, png_of, svg_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#e69f00")
"""Of the series in their order; they differ for the colour-blind, and in grey."""
PALE = "#c8c8c8"
MOST_BARS = 30
"""Rows that are drawn; a table holds the others."""
MOST_DAYS = 400
"""Rows that are drawn where they are periods of time."""
LONGEST_TITLE = 80
LONGEST = 32
"""Characters of a name beside its bars."""
BAR = 0.38
"""Of the height of a row."""
WIDTH, ROW, AROUND, HEIGHT = 8.0, 0.5, 1.0, 3.6
"""Inches."""
FEW_DAYS = 12
"""Periods up to which their values are written above them."""


class Series(NamedTuple):
    """The bars of one colour, one in each row."""

    label: str
    suffix: str
    """Ends the names of its bars in an SVG."""
    values: Sequence[float | None]
    texts: Sequence[str]
    """The values as they are written at the ends of the bars."""
    counts: Sequence[str] = ()
    """The number behind each value, as it is written behind it: ``n = 12``; none for sums."""

    def text(self, place: int) -> str:
        """Return what is written at the end of a bar."""
        return f"{self.texts[place]} ({self.counts[place]})" if self.counts else self.texts[place]


class BarChart(NamedTuple):
    """A chart, as plain data."""

    title: str
    names: Sequence[str]
    """Of the first `MOST_BARS` rows; of days `MOST_DAYS`."""
    series: Sequence[Series]
    rows: int
    """The number of rows, with those that are not drawn."""
    days: Sequence[date | None] | None = None
    """The day with which each row's period begins, where rows are periods."""

    @property
    def is_timed(self) -> bool:
        """Whether every row is a period of time."""
        return bool(self.days) and None not in (self.days or ())


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

    is_timed = chart.is_timed
    figure = Figure(
        figsize=(WIDTH, HEIGHT if is_timed else AROUND + ROW * max(len(chart.names), 1)),
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1),
        facecolor=PAPER,
    )
    axes = figure.add_subplot()
    titles = _columns(axes, chart) if is_timed else _rows(axes, chart)
    figure.suptitle(_short_title(chart), x=0.01, ha="left", size=12, weight="bold", color=INK)
    if chart.names:
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    return figure, titles


def _columns(axes: Any, chart: BarChart) -> dict[str, str]:
    """Draw a pair of columns a period on an axis of time, and return their titles."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num  # noqa: PLC0415

    days = [day for day in chart.days or () if day is not None]
    gaps = [(later - earlier).days for earlier, later in pairwise(days)]
    width = 0.4 * min(gaps, default=1)
    titles = {}
    for number, (series, colour) in enumerate(zip(chart.series, COLOURS, strict=True)):
        for place, day in enumerate(days):
            value = series.values[place] or 0
            group = f"bar-{place}{series.suffix}"
            middle = date2num(day) + (number - 0.5) * width  # type: ignore[no-untyped-call]
            label = series.label if place == 0 else None
            axes.bar(middle, value, width, color=colour, gid=group, label=label)
            titles[group] = f"{chart.names[place]}, {series.label}: {series.text(place)}"
            if len(days) <= FEW_DAYS:
                above = series.texts[place]
                axes.annotate(
                    above, (middle, max(value, 0)), (0, 3), textcoords="offset points", ha="center", size=8
                )
    axes.xaxis_date("UTC")
    locator: Any = AutoDateLocator(minticks=2, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.yaxis.set_visible(False)
    axes.margins(y=0.14)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(PALE)
    return titles


def _rows(axes: Any, chart: BarChart) -> dict[str, str]:
    """Draw a pair of bars a row, and return their titles."""
    names, titles = chart.names, {}
    most = max((value or 0 for series in chart.series for value in series.values), default=0)
    for number, (series, colour) in enumerate(zip(chart.series, COLOURS, strict=True)):
        for place, name in enumerate(names):
            value, text = series.values[place] or 0, series.text(place)
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
    longest = max(
        (len(series.text(place)) for series in chart.series for place in range(len(names))), default=0
    )
    axes.set_xlim(right=most * (1.04 + longest / 60) or 1)
    axes.xaxis.set_visible(False)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(PALE)
    return titles


def _short_title(chart: BarChart) -> str:
    hidden = chart.rows > len(chart.names)
    more = f" (the first {len(chart.names)} of {chart.rows:,})" if hidden else ""
    room = LONGEST_TITLE - len(more)
    return (chart.title if len(chart.title) <= room else f"{chart.title[: room - 1]}…") + more
