"""Which of many hashes came before: 16 bytes a hash, in sorted runs.

Runs are merged when they are of like size, as numbers carry in counting, so there are about as many as the
number of hashes has binary digits, and each hash is sorted that often.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.bytes_]
"""Hashes of `WIDTH` bytes each."""

WIDTH = 16


class Seen:
    """The hashes that came so far."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []

    def repeated(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Add ``hashes`` and return which of them came before, here or in an earlier call."""
        order = np.argsort(hashes, kind="stable")  # Of equal ones the first comes first.
        ordered = hashes[order]
        came = np.zeros(len(hashes), np.bool_)
        came[1:] = ordered[1:] == ordered[:-1]
        for run in self._runs:
            places = np.searchsorted(run, ordered)
            came |= run[np.minimum(places, len(run) - 1)] == ordered
        self._add(ordered[~came])
        repeated = np.empty_like(came)
        repeated[order] = came
        return repeated

    def _add(self, run: Hashes) -> None:
        if len(run) == 0:
            return
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)
