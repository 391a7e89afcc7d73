"""A row of the report: its figures, how it reads in a line, and how it is kept in JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Figures = dict[str, Any]
DIGITS = {"M events": 1, "M links": 1, "M updates": 2}
"""The digits behind the point of a rate, by its unit."""


class Spread(NamedTuple):
    """The median of several measurements and its range."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return that of ``values``."""
        given = [*values]
        return cls(*(round(value, 4) for value in (median(given), min(given), max(given))))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


@dataclass(frozen=True)
class Row:
    """A way in, and how fast it is."""

    name: str
    way: str = ""
    """The way in, as Markdown."""
    rate: float | None = None
    """Units a second."""
    unit: str = ""
    ratio: Spread | None = None
    """How many times as fast it is as ``against``."""
    against: str = ""
    more: dict[str, float | Spread] = field(default_factory=dict)
    """Further figures, each by the words that follow it."""

    @classmethod
    def of(cls, kept: Figures) -> Row:
        """Return the row of which `figures` are kept."""
        ratio = kept.get("ratio")
        more = {
            words: Spread(**value) if isinstance(value, dict) else value
            for words, value in kept.get("more", {}).items()
        }
        return cls(**{**kept, "ratio": ratio and Spread(**ratio), "more": more})

    def figures(self) -> Figures:
        """Return what it has, for JSON."""
        kept = {name: value for name, value in vars(self).items() if value not in (None, "", {})}
        if self.rate is not None:
            kept["rate"] = float(f"{self.rate:.4g}")
        if self.ratio:
            kept["ratio"] = self.ratio._asdict()
        if self.more:
            kept["more"] = {
                words: value._asdict() if isinstance(value, Spread) else float(f"{value:.4g}")
                for words, value in self.more.items()
            }
        return kept

    @property
    def speed(self) -> str:
        """Its rate and the unit, or a dash."""
        return "-" if self.rate is None else f"{self.rate:.{DIGITS[self.unit]}f} {self.unit}"

    @property
    def further(self) -> str:
        """Its further figures with their words."""
        return ", ".join(f"{_shown(value)} {words}" for words, value in self.more.items())

    def __str__(self) -> str:
        parts = []
        if self.ratio:
            speed = "" if self.rate is None else f"{self.speed} a second, "
            parts.append(f"{speed}{self.ratio} of {self.against}")
        if self.more:
            parts.append(self.further)
        return f"{self.name}: {'; '.join(parts)}"


def _shown(value: float | Spread) -> str:
    if isinstance(value, Spread):
        return str(value)
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
