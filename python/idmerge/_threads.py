"""The number of threads that a call may use, and a thread pool that may get fewer."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from idmerge.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

VARIABLE = "IDMERGE_THREADS"
"""The environment variable with the default number of threads."""


def threads_allowed(threads: int | None = None) -> int:
    """Return ``threads``, or what the environment variable says, or the number of processors.

    Raises:
        ValueError: ``threads`` is no positive integer.
        SettingError: The environment variable holds none.
    """
    if threads is not None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1 or None, got {threads}")
        return threads
    text = os.environ.get(VARIABLE, "")
    if not text:
        return _processors()
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise SettingError(f"{VARIABLE} must be a positive integer, got {text!r}")
    return int(text)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool(ThreadPoolExecutor):
    """Threads that, at the end of a ``with``, begin nothing more.

    Where the system starts no thread (``RLIMIT_NPROC``, a container's limit of processes, no memory
    for its stack), those that there are do all the work; where it starts none at all, `submit` does
    the work itself.
    """

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, name)
        self._is_alone = False

    def _adjust_thread_count(self) -> None:
        # `submit` calls this when the work is in the queue, where failing would leave it without a
        # future.
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have the work done, by another thread if there is one, and return its future."""
        if not self._is_alone:
            try:
                return super().submit(work, *args, **kwargs)
            except RuntimeError:
                if self._threads or self._shutdown:
                    raise
                # No thread will come, and none takes what lies in the queue.
                self._is_alone = True
        future: Future[T] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as a thread does
            future.set_exception(error)
        return future

    def __exit__(self, *_: object) -> None:
        """Wait for what has begun."""
        self.shutdown(wait=True, cancel_futures=True)
