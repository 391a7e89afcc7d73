"""The charts of a recorded run, as SVG: labelled at the marks, readable on light and dark pages.

Every chart stands on its own light ground, so it does not depend on the page's. Blue is ours,
orange the dict that keeps the same rules, grey everybody else, and a dashed line the machine's
limit: words say so too, for those who see no colours.

The limit: a link names two IDs, and whoever keeps a million IDs in memory must fetch at least one
cache line for each of the two, somewhere at random. That many links a second is what memory allows,
if reads overlap as far as they can (on all cores), or if each waits for the last.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

from benches.reports.tables import Figures, by_peer, bytes_an_id, power, rate, sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, RIVAL, OTHERS, INK, FAINT, GROUND = "#0060a8", "#c45100", "#8a8a8a", "#2b2b2b", "#d9d9d9", "#fbfbf9"
RIVAL_PEER = "dict-rules"
READS_A_LINK = 2
QUESTIONS = {"link": "with the rules", "link without rules": "without rules"}
MARKS = ("o", "D", "s", "^")

plt.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "idmerge",
        "font.family": ["DejaVu Sans", "sans-serif"],
        "font.size": 10,
        "axes.edgecolor": OTHERS,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "figure.facecolor": GROUND,
        "axes.facecolor": GROUND,
        "savefig.facecolor": GROUND,
    }
)


def draw_all(figures: Figures, folder: Path, suffix: str = ".svg") -> None:
    """Draw every chart into ``folder``."""
    for name, draw in CHARTS.items():
        save(draw(figures), folder / f"{name}{suffix}")


def save(figure: Any, path: Path) -> None:
    """Write a chart, the same bytes for the same figures."""
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, bbox_inches="tight", metadata=metadata, dpi=110)
    plt.close(figure)


def links_a_second(figures: Figures) -> Any:
    """Draw a row for each peer and a mark for each size; fast is right."""
    panels = {question: _fastest_first(figures, question) for question in QUESTIONS}
    heights = [len(peers) + 0.4 for peers in panels.values()]
    figure, axes = plt.subplots(
        2, 1, figsize=(8.6, 0.33 * sum(heights) + 1.4), sharex=True, height_ratios=heights
    )
    for ax, (question, peers) in zip(axes, panels.items(), strict=True):
        for place, of_size in enumerate(reversed(peers)):
            _rate_row(ax, place, of_size, figures)
        ax.set_yticks(range(len(peers)), [_label(of_size) for of_size in reversed(peers)])
        _colour_ticks(ax, list(reversed(peers)))
        ax.set_ylim(-0.6, len(peers) - 0.2)
        ax.set_title(QUESTIONS[question], loc="left", fontsize=10, fontweight="bold")
        _limit_lines(ax, figures, named=ax is axes[0])
    axes[1].set_xlabel(f"links a second (logarithmic) between  {_key_of_sizes(figures)}")
    axes[1].xaxis.set_major_formatter(FuncFormatter(_count))
    figure.tight_layout()
    return figure


def _rate_row(ax: Axes, place: int, of_size: dict[int, Figures], figures: Figures) -> None:
    rates = {ids: rate(row) * 1e6 for ids, row in of_size.items()}
    colour = _colour(next(iter(of_size.values())))
    ax.hlines(place, min(rates.values()), max(rates.values()), color=colour, linewidth=1.2, alpha=0.6)
    for mark, ids in zip(MARKS, sizes(figures), strict=False):
        if ids in rates:
            ax.plot(rates[ids], place, mark, color=colour, markersize=6, markeredgecolor=GROUND)
    ax.set_xscale("log")
    ax.grid(axis="x", color=FAINT, linewidth=0.7)
    ax.tick_params(axis="y", length=0)


def _key_of_sizes(figures: Figures) -> str:
    marks = zip("●◆■▲", sizes(figures), strict=False)
    return ",  ".join(f"{mark} {power(ids)}" for mark, ids in marks) + " IDs"


def _limit_lines(ax: Axes, figures: Figures, *, named: bool) -> None:
    for name, links in _limits(figures):
        ax.axvline(links, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        if named:
            ax.annotate(
                name,
                (links, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=INK,
            )


def _limits(figures: Figures) -> list[tuple[str, float]]:
    """Return the machine's limits in links a second: reads that wait, and reads that overlap."""
    limits = figures["limits"]
    if limits is None:
        return []
    return [
        ("limit if each\nread waits", 1e9 / limits["waiting_ns"] / READS_A_LINK),
        ("limit if\nreads overlap", limits["all_cores_millions"] * 1e6 / READS_A_LINK),
    ]


def bytes_of_each(figures: Figures) -> Any:
    """Draw a bar for each peer: its peak for an ID at the largest size that most reached."""
    ids = _common_size(figures)
    rows = [
        of_size[ids]
        for question in QUESTIONS
        for of_size in by_peer(figures, question).values()
        if ids in of_size and of_size[ids]["given"] != "numbers"
    ]
    rows.sort(key=bytes_an_id, reverse=True)
    figure, ax = plt.subplots(figsize=(8.6, 0.3 * len(rows) + 1))
    widths = [bytes_an_id(row) for row in rows]
    ax.barh(range(len(rows)), widths, color=[_colour(row) for row in rows], height=0.62)
    for place, width in enumerate(widths):
        ax.annotate(f"{width:,.0f}", (width, place), xytext=(4, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(rows)), [row["label"] for row in rows])
    _colour_ticks(ax, [{ids: row} for row in rows])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"bytes an ID, at most while {power(ids)} IDs are linked; the input not counted")
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=FAINT, linewidth=0.7)
    figure.tight_layout()
    return figure


def cost_as_it_grows(figures: Figures) -> Any:
    """Draw nanoseconds a link over the number of IDs, a line for each of a few peers."""
    chosen = {
        "idmerge-arrow": "link",
        "idmerge-list": "link",
        RIVAL_PEER: "link",
        "pyarrow-scipy": "link without rules",
        "networkx-union-find": "link without rules",
        "duckdb": "link without rules",
        "splink": "link without rules",
    }
    figure, ax = plt.subplots(figsize=(8.6, 5.2))
    ends: list[tuple[float, str, str]] = []
    for peer, question in chosen.items():
        of_size = by_peer(figures, question).get(peer, {})
        if not of_size:
            continue
        row = next(iter(of_size.values()))
        costs = [1e3 / rate(of_size[ids]) for ids in sorted(of_size)]
        ax.plot(sorted(of_size), costs, "o-", color=_colour(row), linewidth=1.8, markersize=5)
        ends.append((costs[-1], row["label"], _colour(row)))
    for name, links in _limits(figures):
        ax.axhline(1e9 / links, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        ends.append((1e9 / links, name.replace("\n", " "), INK))
    ax.set_xscale("log")
    ax.set_yscale("log")
    _label_ends(ax, ends)
    ax.set_xlabel("IDs (logarithmic)")
    ax.set_ylabel("nanoseconds a link (logarithmic)")
    ax.set_xticks(sizes(figures), [power(ids) for ids in sizes(figures)])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(FuncFormatter(_count))
    ax.grid(axis="y", color=FAINT, linewidth=0.7)
    figure.tight_layout()
    return figure


def _label_ends(ax: Axes, ends: Iterable[tuple[float, str, str]], apart: float = 0.045) -> None:
    """Write each line's name at its right end, moved up where two would overlap."""
    ax.figure.canvas.draw()
    lowest = -1.0
    for value, name, colour in sorted(ends):
        to_axes = ax.transData.transform((1, value))[1]
        height = max(float(ax.transAxes.inverted().transform((0, to_axes))[1]), lowest + apart)
        lowest = height
        ax.annotate(
            name,
            (1, height),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
        )


def growth_of_calls(figures: Figures) -> Any:
    """Draw each stretch's median and slowest call while a resolver grows."""
    rows = figures["growth"]
    figure, ax = plt.subplots(figsize=(8.6, 4.2))
    ends = []
    for row, colour in zip(rows, (OURS, RIVAL), strict=False):
        stretches = len(row["slowest_ns"])
        known = [row["ids"] * (stretch + 1) / stretches for stretch in range(stretches)]
        manner = "presized" if row["settings"] else "growing"
        for what, name, style in (("slowest_ns", "slowest", "-"), ("median_ns", "median", ":")):
            ax.plot(known, row[what], style, color=colour, linewidth=1.6)
            ends.append((median(row[what][-5:]), f"{name}, {manner}", colour))
    ax.set_yscale("log")
    ax.set_xlim(0, max(row["ids"] for row in rows))
    _label_ends(ax, ends, apart=0.06)
    ax.set_xlabel("IDs known")
    ax.set_ylabel("one call of identify (logarithmic)")
    ax.xaxis.set_major_formatter(FuncFormatter(_count))
    ax.yaxis.set_major_formatter(FuncFormatter(_duration))
    ax.grid(axis="y", color=FAINT, linewidth=0.7)
    figure.tight_layout()
    return figure


def batches(figures: Figures) -> Any:
    """Draw nanoseconds a link over the size of a batch: where a column begins to pay."""
    rows = figures["single"]["batches"]
    figure, ax = plt.subplots(figsize=(8.6, 4.2))
    names = {
        "arrow": ("link_many, Arrow", OURS, "o-"),
        "list": ("link_many, lists", OURS, "s--"),
        "call": ("identify each", RIVAL, "-"),
    }
    ends = []
    for what, (name, colour, style) in names.items():
        costs = [row[what] for row in rows]
        ax.plot([row["links"] for row in rows], costs, style, color=colour, linewidth=1.6, markersize=5)
        ends.append((costs[-1], name, colour))
    ax.set_xscale("log")
    ax.set_yscale("log")
    _label_ends(ax, ends, apart=0.06)
    ax.set_xlabel("links in a batch (logarithmic)")
    ax.set_ylabel("one link (logarithmic)")
    ax.xaxis.set_major_formatter(FuncFormatter(_count))
    ax.yaxis.set_major_formatter(FuncFormatter(_duration))
    ax.grid(axis="y", color=FAINT, linewidth=0.7)
    figure.tight_layout()
    return figure


def _fastest_first(figures: Figures, question: str) -> list[dict[int, Figures]]:
    peers = list(by_peer(figures, question).values())
    return sorted(peers, key=lambda of_size: rate(of_size[max(of_size)]), reverse=True)


def _common_size(figures: Figures) -> int:
    """Return the largest size that at least three quarters of those at the smallest reached."""
    reached = {
        ids: sum(row["ids"] == ids and "seconds" in row for row in figures["peers"]) for ids in sizes(figures)
    }
    return max(ids for ids, count in reached.items() if count >= 0.75 * reached[min(reached)])


def _label(of_size: dict[int, Figures]) -> str:
    return str(next(iter(of_size.values()))["label"])


def _colour(row: Figures) -> str:
    if row["ours"]:
        return OURS
    return RIVAL if row["peer"] == RIVAL_PEER else OTHERS


def _colour_ticks(ax: Axes, peers: list[dict[int, Figures]]) -> None:
    for tick, of_size in zip(ax.get_yticklabels(), peers, strict=True):
        row = next(iter(of_size.values()))
        colour = _colour(row)
        tick.set_color(INK if colour == OTHERS else colour)
        tick.set_fontweight("bold" if row["ours"] else "normal")


def _count(number: float, _place: int | None = None) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g} {letter}"
    return f"{number:g}"


def _duration(nanoseconds: float, _place: int | None = None) -> str:
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if nanoseconds >= size:
            return f"{nanoseconds / size:g} {unit}"
    return f"{nanoseconds:g} ns"


CHARTS = {
    "links-a-second": links_a_second,
    "bytes-an-id": bytes_of_each,
    "cost-as-it-grows": cost_as_it_grows,
    "growth": growth_of_calls,
    "batches": batches,
}
