"""Parts of a page as HTML: numbers on cards, bars (boxes sized by their style), pills.

Texts are escaped here, but for those that are stated to be HTML.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from idmerge._formatting import beginning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Tone = Literal["error", "warning", "note", "fine"]
"""The colours of a pill, a finding and a share."""

MANY = 6
"""Columns beyond which their labels do not fit side by side."""
LONG = 10
"""Characters beyond which a number on a card is written smaller."""


@dataclass(frozen=True, slots=True)
class Card:
    """A number with its label."""

    label: str
    number: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart."""

    name: str
    count: int
    is_bad: bool


@dataclass(frozen=True, slots=True)
class Bin:
    """A histogram's column: the count of values from ``first`` to ``last`` (None: no end)."""

    first: int
    last: int | None
    count: int


def cards(shown: Iterable[Card]) -> Iterator[str]:
    """Yield numbers side by side; a dash stands for one that is not known."""
    yield '<section class="cards">'
    for card in shown:
        text = "&ndash;" if card.number is None else f"{card.number:,}"
        long = ' class="long"' if len(text) > LONG else ""
        note = f"<small>{escape(card.note)}</small>" if card.note else ""
        label = escape(card.label)
        yield f'<div class="card {label}"><b{long}>{text}</b><span>{label}</span>{note}</div>'
    yield "</section>"


def bar_chart(title: str, bars: Sequence[Bar], if_empty: str) -> Iterator[str]:
    """Yield a horizontal bar for each of ``bars``, with its count behind it."""
    yield '<section class="chart">'
    yield f"<h2>{escape(title)}</h2>"
    most = max((bar.count for bar in bars), default=0)
    if not most:
        yield f'<p class="none">{escape(if_empty)}</p>'
    yield '<div class="rows">'
    for bar in bars:
        yield (
            f'<span class="name">{escape(bar.name)}</span>'
            f'<span class="track"><i class="{"bad" if bar.is_bad else "good"}" '
            f'style="width:{_percent(bar.count, most)}"></i></span>'
            f'<span class="number">{bar.count:,}</span>'
        )
    yield "</div>"
    yield "</section>"


def histogram(title: str, note: str, bins: Sequence[Bin], if_empty: str) -> Iterator[str]:
    """Yield a column for each of ``bins``, its count above it and its range below."""
    yield '<section class="chart">'
    yield f"<h2>{escape(title)} <small>{escape(note)}</small></h2>"
    most = max((each.count for each in bins), default=0)
    if not most:
        yield f'<p class="none">{escape(if_empty)}</p>'
        yield "</section>"
        return
    yield f'<div class="columns{" many" if len(bins) > MANY else ""}">'
    for each in bins:
        # A column that is not empty is visible, however large the others are.
        height = f"max({'3px' if each.count else '0px'}, {_percent(each.count, most)})"
        yield (
            f'<div><span class="number">{_short(each.count)}</span>'
            f'<span class="well"><i style="height:{height}"></i></span>'
            f'<span class="name">{_range(each)}</span></div>'
        )
    yield "</div>"
    yield "</section>"


def pill(tone: Tone, text: str) -> str:
    """Return a short text on a coloured ground."""
    return f'<span class="pill {tone}">{escape(text)}</span>'


def share_bar(share: float) -> str:
    """Return a thin bar, of which ``share`` (from 0 to 1) is filled."""
    return f'<div class="share"><i style="width:{100 * share:.2f}%"></i></div>'


def isolated(text: str) -> str:
    """Return untrusted text: its beginning, printable, and isolated in writing direction."""
    return f"<bdi>{escape(beginning(text))}</bdi>"


def _percent(count: int, most: int) -> str:
    return f"{100 * count / most:.2f}%" if most else "0"


def _range(of: Bin) -> str:
    if of.last is None:
        return f"{of.first:,}+"
    return f"{of.first:,}" if of.first == of.last else f"{of.first:,}&ndash;{of.last:,}"


def _short(count: int) -> str:
    """Return a count that fits over a narrow column."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.{1 if count < 10 * size else 0}f}{letter}"
    return f"{count:,}"
