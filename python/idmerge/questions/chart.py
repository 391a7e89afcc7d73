"""An answer as bars: a row a value, with stitching above without, the numbers at their ends."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING, Any

from idmerge._formatting import counted, cut
from idmerge.drawing import own_style, page_of, svg_of
from idmerge.questions.answer import UNSTITCHED, VERSIONS, shortened_name, shown_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure

    from idmerge.questions.answer import Answer

COLOURS = {"": "#0072b2", UNSTITCHED: "#e69f00"}
"""Told apart by everybody, in grey too."""
INK, PALE = "#222222", "#c8c8c8"
MOST_BARS, MOST_ROWS = 30, 5000
LONGEST_TITLE = 80
LONGEST = 32
"""Characters of a name beside its bars."""
BAR = 0.38
"""Of the height of a row."""
WIDTH, ROW, AROUND = 8.0, 0.5, 1.0
"""Inches."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 60rem }
figure { margin: 0; overflow-x: auto }
table { border-collapse: collapse; margin-top: 1.5rem }
th, td { text-align: right; padding: .2rem 0 .2rem 1.5rem; border-bottom: 1px solid #ddd }
th[colspan] { text-align: center }
.name { text-align: left; padding-left: 0; overflow-wrap: anywhere }
pre { background: #f4f6f8; padding: 1rem; overflow-x: auto; font-size: 13px }
"""


def svg(answer: Answer) -> bytes:
    """Return the chart as SVG; each bar has its row's whole name as a title."""
    with own_style("matplotlib"):
        return svg_of(*_drawn(answer))


def png(answer: Answer) -> bytes:
    """Return the chart as PNG."""
    with own_style("matplotlib"):
        figure, _ = _drawn(answer)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=144, metadata={"Software": None})
    return stream.getvalue()


def page(answer: Answer) -> bytes:
    """Return chart, table and statement as HTML."""
    return page_of(answer.heading, STYLE, svg(answer), _below(answer))


def _drawn(answer: Answer) -> tuple[Figure, Mapping[str, str]]:
    """Return the figure, and the titles of its bars by the names of their groups."""
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    measure = answer.charted
    rows: list[dict[str, Any]] = answer.table.slice(0, MOST_BARS).to_pylist()
    names = [measure.label if answer.key is None else shown_name(row[answer.key.name]) for row in rows]
    figure = Figure(
        figsize=(WIDTH, AROUND + ROW * max(len(rows), 1)),
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1),
        facecolor="white",
    )
    axes = figure.add_subplot()
    titles = {}
    most = max((row[measure.name + suffix] or 0 for row in rows for suffix, _ in VERSIONS), default=0)
    for number, (suffix, label) in enumerate(VERSIONS):
        for place, (row, name) in enumerate(zip(rows, names, strict=True)):
            value = row[measure.name + suffix]
            height = place + (number - 0.5) * (BAR + 0.02)
            group = f"bar-{place}{suffix}"
            axes.barh(
                height, value or 0, BAR, color=COLOURS[suffix], gid=group, label=label if place == 0 else None
            )
            shown = measure.shown(value)
            axes.annotate(
                shown,
                (max(value or 0, 0), height),
                (4, 0),
                textcoords="offset points",
                va="center",
                size=9,
                color=INK,
            )
            titles[group] = f"{cut(name)}, {label}: {shown}"
    axes.set_yticks(range(len(rows)), [shortened_name(name, LONGEST) for name in names], size=10)
    axes.set_ylim(max(len(rows), 1) - 0.45, -0.55)
    axes.set_xlim(right=most * 1.14 or 1)
    axes.xaxis.set_visible(False)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(PALE)
    heading = _shortened_heading(answer)
    figure.suptitle(heading, x=0.01, ha="left", size=12, weight="bold", color=INK)
    if rows:
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    return figure, titles


def _shortened_heading(answer: Answer) -> str:
    title = answer.heading
    hidden = len(answer) - MOST_BARS
    more = f" (the first {MOST_BARS} of {len(answer):,})" if hidden > 0 else ""
    room = LONGEST_TITLE - len(more)
    return (title if len(title) <= room else f"{title[: room - 1]}…") + more


def table(answer: Answer) -> str:
    """Return the answer's table as HTML, without the frame of a page."""
    return "\n".join(_table(answer))


def _below(answer: Answer) -> Iterator[str]:
    """Yield the table and the statement."""
    yield from _table(answer)
    yield "<h2>SQL</h2>"
    yield f"<pre>{escape(answer.sql)}</pre>"


def _table(answer: Answer) -> Iterator[str]:
    cells, headings = answer.cells(), answer.headings()
    if len(cells) > MOST_ROWS:
        yield f"<p>{counted(len(cells), 'row')}, the first {MOST_ROWS:,} of them here</p>"
    has_key = answer.key is not None
    yield "<table>"
    yield (
        f"<tr>{'<th></th>' * has_key}"
        + "".join(f'<th colspan="{len(answer.measures)}">{label}</th>' for _, label in VERSIONS)
        + "</tr>"
    )
    for mark, row in (("th", headings), *(("td", row) for row in cells[:MOST_ROWS])):
        line = (_cell(mark, text, is_name=has_key and not place) for place, text in enumerate(row))
        yield f"<tr>{''.join(line)}</tr>"
    yield "</table>"


def _cell(mark: str, text: str, *, is_name: bool) -> str:
    named = ' class="name"' if is_name else ""
    return f"<{mark}{named}><bdi>{escape(cut(text))}</bdi></{mark}>"
