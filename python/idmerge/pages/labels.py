"""Label placement: each label clear of nodes and of other labels.

Lengths are in inches, text sizes in points.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

Point = tuple[float, float]

SPACE = 0.03
"""Around a label."""
REACH = SPACE * 1.1
"""The distance from a node to its label."""
MUCH = 5
"""Points of lines beyond which a label covers too much."""
SIDES = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]
"""Sides of a node at which its label may stand, the better ones first."""


class Box(NamedTuple):
    """A rectangle."""

    left: float
    low: float
    right: float
    high: float


class Anchor(NamedTuple):
    """A node that a label stands beside."""

    place: Point
    away: Point
    """The direction away from its neighbours."""
    radius: float


class Label(NamedTuple):
    """A text and the box that it fills."""

    text: str
    box: Box
    size: float
    bold: bool


class Labels:
    """Places labels one by one, each clear of ``obstacles`` and earlier labels, or not at all.

    Of several places the one that covers the fewest points of ``lines`` is taken. A label that must
    be there may hide obstacles.
    """

    def __init__(self, obstacles: Iterable[Box], lines: NDArray[np.float64]) -> None:
        self._taken = [tuple(box) for box in obstacles]
        self._obstacles = len(self._taken)
        self._lines = lines
        self._renderer = RendererAgg(1, 1, 72)  # type: ignore[no-untyped-call]
        self.placed: dict[str, Label] = {}
        self.missing = 0
        self.covering = 0
        """The number of labels that cover more than `MUCH` of the lines."""

    def width_of(self, text: str, size: float, *, bold: bool = False) -> tuple[float, float]:
        """Return the width and the height of ``text``."""
        font = FontProperties(size=size, weight="bold" if bold else "normal")
        measure = self._renderer.get_text_width_height_descent
        width, height, descent = measure(text, font, ismath=False)  # type: ignore[no-untyped-call]
        return width / 72, max(height + descent, size) / 72

    def put_beside(  # noqa: PLR0913 - a text, its place and its form
        self, name: str, text: str, anchor: Anchor, size: float, *, bold: bool = False, must: bool = False
    ) -> None:
        """Put ``text`` beside a node, best on the side that lies away from its neighbours."""
        place, away, radius = anchor
        width, height = self.width_of(text, size, bold=bold)
        length = math.hypot(*away) or 1.0
        boxes = []
        for x, y in SIDES:
            across = radius + REACH if y == 0 else radius * 0.5
            middle = (
                place[0] + x * (across + width / 2),
                place[1] + y * (radius + REACH + height / 2),
            )
            fits = (x * away[0] + y * away[1]) / length / math.hypot(x, y)
            boxes.append((_around(middle, width, height), fits))
        free = self._free(boxes)
        if not free and must:
            free = self._free(boxes, self._obstacles) or boxes
        self._put(name, text, [(box, fits - self._covered(box)) for box, fits in free], size, bold=bold)

    def put_on_line(self, name: str, text: str, places: Sequence[Point], size: float) -> None:
        """Put ``text`` on one of ``places`` along a line, best on the first."""
        width, height = self.width_of(text, size)
        boxes = [(_around(place, width, height), -float(rank)) for rank, place in enumerate(places)]
        self._put(name, text, self._free(boxes), size)

    def _free(self, boxes: list[tuple[Box, float]], start: int = 0) -> list[tuple[Box, float]]:
        """Return those of ``boxes`` that overlap nothing that was taken from ``start`` on."""
        left, low, right, high = np.array(self._taken[start:]).reshape(-1, 4).T
        return [
            (box, fits)
            for box, fits in boxes
            if not ((left < box.right) & (right > box.left) & (low < box.high) & (high > box.low)).any()
        ]

    def _put(
        self, name: str, text: str, boxes: list[tuple[Box, float]], size: float, *, bold: bool = False
    ) -> None:
        if not boxes:
            self.missing += 1
            return
        box, fits = max(boxes, key=lambda choice: choice[1])
        self.covering += fits < -MUCH
        self._taken.append(tuple(box))
        self.placed[name] = Label(text, box, size, bold)

    def _covered(self, box: Box) -> int:
        """Return the number of points of lines in ``box``."""
        x, y = self._lines[:, 0], self._lines[:, 1]
        return int(np.count_nonzero((x > box.left) & (x < box.right) & (y > box.low) & (y < box.high)))


def _around(middle: Point, width: float, height: float) -> Box:
    half_width, half_height = width / 2 + SPACE, height / 2 + SPACE
    return Box(
        middle[0] - half_width, middle[1] - half_height, middle[0] + half_width, middle[1] + half_height
    )
