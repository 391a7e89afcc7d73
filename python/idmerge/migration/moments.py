"""Times of events in milliseconds since 1970, as SPEC 9 reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.files.opening import import_pyarrow
from idmerge.files.times import milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence


def moments_of(times: Sequence[object]) -> list[int | None]:
    """Return each of ``times``, values of events, in milliseconds; None for what is no time.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    arrow = import_pyarrow("the time of an association, unless a floor in milliseconds gives it,")
    texts = [
        str(time) if isinstance(time, (str, int, float)) and not isinstance(time, bool) else None
        for time in times
    ]
    moments: list[int | None] = milliseconds(arrow.array(texts, arrow.large_string())).to_pylist()
    return moments


def floor_of(time: str | float | None) -> int | None:
    """Return the moment that a caller gives as ``time``.

    Raises:
        ValueError: It is no time.
    """
    if time is None or (isinstance(time, int) and not isinstance(time, bool) and time >= 10**11):
        return time
    [moment] = moments_of([time])
    if moment is None:
        raise ValueError(f"floor must be a time such as 2024-01-31 or 1706659200, got {time!r:.100}")
    return moment
