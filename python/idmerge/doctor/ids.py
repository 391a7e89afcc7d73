"""Interning of IDs as dense numbers, in the order in which they are met."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

NOBODY = -1
"""Stands for an operand or an ID that is not there."""


class Ids:
    """Every ID that a link, an event, a profile or the resolver names, numbered."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.texts)

    def number(self, text: str | None) -> int:
        """Return the number of ``text``, a new one if it was never met; `NOBODY` for None."""
        if text is None:
            return NOBODY
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number

    def numbers(self, texts: Collection[str | None]) -> NDArray[np.int64]:
        """Return the number of each of ``texts``."""
        return np.fromiter(map(self.number, texts), np.int64, len(texts))

    def known(self, texts: Collection[str | None]) -> NDArray[np.int64]:
        """Return the number of each of ``texts`` that was met before; `NOBODY` for the others."""
        found = (NOBODY if text is None else self._numbers.get(text, NOBODY) for text in texts)
        return np.fromiter(found, np.int64, len(texts))
