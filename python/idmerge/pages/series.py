"""A bar chart of two series as HTML: a row a name, or a column a period on an axis of time."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from idmerge._formatting import cut, middle_cut
from idmerge.pages.bars import FEW_DAYS, LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from idmerge.pages.bars import BarChart, Series

LABELS = 8
"""Days that are named beneath the axis."""
MOST_PLACES = 800
"""Places on the axis, of periods without events too; of more periods only those with events stand
there."""


def series_chart(chart: BarChart) -> Iterator[str]:
    """Yield the chart, without its title."""
    yield '<section class="chart">'
    yield '<p class="legend">'
    for number, series in enumerate(chart.series):
        yield f'<span><i class="series-{number}"></i>{escape(series.label)}</span>'
    if chart.rows > len(chart.names):
        yield f"<span>the first {len(chart.names):,} of {chart.rows:,}</span>"
    yield "</p>"
    if not chart.names:
        yield '<p class="none">no rows</p>'
    elif chart.is_timed:
        yield from _columns(chart, [day for day in chart.days or () if day is not None])
    else:
        yield from _rows(chart)
    yield "</section>"


def _rows(chart: BarChart) -> Iterator[str]:
    most = _most(chart.series)
    yield '<div class="pairs">'
    for place, name in enumerate(chart.names):
        shown = f'<bdi title="{escape(cut(name))}">{escape(middle_cut(name, LONGEST))}</bdi>'
        yield f'<span class="name">{shown}</span><div class="pair">'
        for number, series in enumerate(chart.series):
            value = series.values[place]
            below = " below" if (value or 0) < 0 else ""
            bar = f'<i class="series-{number}{below}" style="width:{_percent(value, most)}"></i>'
            yield f'<span class="line">{bar}<span class="number">{_text(series, place)}</span></span>'
        yield "</div>"
    yield "</div>"


def _columns(chart: BarChart, days: Sequence[date]) -> Iterator[str]:
    """Yield the periods on an axis of time, those without events too."""
    most, places = _most(chart.series), _places(days)
    every = -(-len(places) // LABELS)
    yield f'<div class="columns timed{" dense" if len(places) > 4 * LABELS else ""}">'
    for number, place in enumerate(places):
        yield "<div>"
        if place is None:
            yield '<span class="well"></span>'
        else:
            said = "; ".join(f"{series.label}: {series.text(place)}" for series in chart.series)
            yield f'<span class="well" title="{escape(f"{chart.names[place]}: {said}")}">'
            for which, series in enumerate(chart.series):
                text = f"<small>{_text(series, place, '<br>')}</small>" if len(days) <= FEW_DAYS else ""
                bar = f'<i class="series-{which}" style="height:{_percent(series.values[place], most)}"></i>'
                yield f'<span class="column">{text}{bar}</span>'
            yield "</span>"
        name = "" if place is None or number % every else escape(chart.names[place])
        yield f'<span class="name">{name}</span>'
        yield "</div>"
    yield "</div>"


def _places(days: Sequence[date]) -> list[int | None]:
    """Return the row of each place on the axis; None for a period without events."""
    step = min(((later - earlier).days for earlier, later in pairwise(days)), default=1)
    places: list[int | None] = []
    for row, day in enumerate(days):
        # Months differ in length by less than half of one.
        empty = round((day - days[row - 1]).days / step) - 1 if row else 0
        places += [*([None] * empty), row]
        if len(places) > MOST_PLACES:
            return [*range(len(days))]
    return places


def _text(series: Series, place: int, gap: str = " ") -> str:
    count = f"{gap}<small>{escape(series.counts[place])}</small>" if series.counts else ""
    return f"{escape(series.texts[place])}{count}"


def _most(series: Sequence[Series]) -> float:
    return max((abs(value or 0) for of in series for value in of.values), default=0)


def _percent(value: float | None, most: float) -> str:
    return f"{100 * abs(value or 0) / most:.2f}%" if most > 0 else "0"
