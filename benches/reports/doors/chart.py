"""The chart of the ways in: each one's ratio and its range, under what it is compared with.

It is drawn narrow, so that its letters can be read on a screen of 400 pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullLocator

from benches.reports.charts import FAINT, GROUND, INK, OTHERS, OURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from benches.reports.doors.row import Row

TICKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32)
INCHES = 5.2
BEHIND_TEXT = {"boxstyle": "square,pad=0.1", "facecolor": GROUND, "edgecolor": "none"}


def ratios(rows: Sequence[Row]) -> Any:
    """Draw a mark for each row with a ratio, its range as a line, and a dashed line at 1."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.ratio:
            groups.setdefault(row.against, []).append(row)
    height = sum(len(group) + 1 for group in groups.values())
    figure, ax = plt.subplots(figsize=(INCHES, 0.235 * height + 0.6))
    ax.set_xscale("log")
    labels: list[tuple[float, str]] = []
    place = 0.0
    for against, group in groups.items():
        _name(ax, place, against)
        for row in group:
            place += 1
            _mark(ax, place, row)
            labels.append((place, row.name))
        place += 1.15
    ax.axvline(1, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    ax.set_ylim(place - 0.4, -0.6)
    ax.set_yticks([at for at, _ in labels], [name for _, name in labels])
    _scale(ax, [row for group in groups.values() for row in group])
    figure.tight_layout()
    return figure


def _name(ax: Axes, place: float, against: str) -> None:
    ax.annotate(
        f"against {against}",
        (0, place),
        xycoords=("figure fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontweight="bold",
        bbox=BEHIND_TEXT,
    )


def _mark(ax: Axes, place: float, row: Row) -> None:
    """Draw the row's range, its median, and the median's number behind the range."""
    assert row.ratio
    ax.hlines(place, row.ratio.least, row.ratio.most, color=OURS, linewidth=2, alpha=0.45)
    ax.plot(row.ratio.median, place, "o", color=OURS, markersize=6.5, markeredgecolor=GROUND)
    ax.annotate(
        f"{row.ratio.median:.2f}",
        (row.ratio.most, place),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=OURS,
        fontweight="bold",
        fontsize=9,
        bbox=BEHIND_TEXT,
    )


def _scale(ax: Axes, rows: Sequence[Row]) -> None:
    least = min(row.ratio.least for row in rows if row.ratio)
    most = max(row.ratio.most for row in rows if row.ratio)
    ax.set_xlim(least / 1.1, most * 2)
    ax.set_xticks([tick for tick in TICKS if least / 1.1 <= tick <= most * 2])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _place: f"{ratio:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("times as fast (logarithmic)")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_color(OTHERS)
    ax.grid(axis="x", color=FAINT, linewidth=0.7)
