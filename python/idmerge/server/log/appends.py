"""Appends to a log that wait to be on disk, and how those who wait are told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence
    from concurrent.futures import Future

    from idmerge.server.log.records import Record

Then = Callable[[int, Exception | None], None]
"""Called once, with the offset behind the records, or with the reason why they are not on disk."""


class Append(NamedTuple):
    """An append that waits."""

    records: Sequence[Record]
    size: int
    loop: asyncio.AbstractEventLoop | None
    """The loop that calls ``then``; None if the thread that writes does."""
    then: Then


def answer(group: Sequence[Append], ends: Sequence[int], error: Exception | None) -> None:
    """Tell those who wait for a group, each loop once.

    Args:
        group: The appends.
        ends: The offset behind each; none after an error.
        error: The reason why they are not on disk.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Then, int]]] = {}
    for one, end in zip(group, ends or [0] * len(group), strict=True):
        if one.loop is None:
            one.then(end, error)
        else:
            by_loop.setdefault(one.loop, []).append((one.then, end))
    for loop, answers in by_loop.items():
        with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
            loop.call_soon_threadsafe(_tell, answers, error, loop)


def _tell(
    answers: Sequence[tuple[Then, int]], error: Exception | None, loop: asyncio.AbstractEventLoop
) -> None:
    for then, end in answers:
        try:
            then(end, error)
        except Exception as raised:  # noqa: BLE001 - of one of them, and the others have to be told
            loop.call_exception_handler({"message": "an append has failed", "exception": raised})


def settle(future: asyncio.Future[int] | Future[int], end: int, error: Exception | None) -> None:
    """Give a future the offset, or an exception of its own."""
    if future.done():  # Its caller was cancelled.
        return
    if error is None:
        future.set_result(end)
    else:
        future.set_exception(_copy(error))


def _copy(error: Exception) -> Exception:
    """Return an exception that one caller can raise while others raise theirs."""
    if isinstance(error, OSError) and error.errno is not None:
        return OSError(error.errno, error.strerror, error.filename)
    return error
