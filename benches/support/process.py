"""One measurement in a process of its own: its seconds, its peak memory, and what stops it.

Peak memory is the highest resident size while the work runs (Linux: `VmHWM`, reset before;
elsewhere `ru_maxrss`) less the resident size just before, when the input is loaded and converted.
What the allocators still hold of the loading is given back first, so that nobody works in memory
paid for by the loading.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any, NamedTuple

from benches.support.paths import ROOT

_PAGE = os.sysconf("SC_PAGE_SIZE")
_GLANCE_SECONDS = 0.05


class Cost(NamedTuple):
    """The cost of a piece of work."""

    seconds: float
    before_bytes: int
    """The resident size before."""
    peak_bytes: int
    """The highest resident size, less the one before."""


def compiling() -> dict[str, str]:
    """Return the environment in which a process keeps what it compiles, as an installed one has."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class StoppedError(Exception):
    """A process exceeded its limits or failed; the message says which."""


def measured(work: Callable[[], Any]) -> tuple[Any, Cost]:
    """Run ``work`` once and return its answer and its cost."""
    give_back()
    before = resident_bytes()
    _reset_peak()
    started = perf_counter()
    answer = work()
    seconds = perf_counter() - started
    return answer, Cost(seconds, before, max(0, _peak_bytes() - before))


def in_own_process(
    module: str,
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    seconds: float = 600,
    memory_bytes: int | None = None,
) -> dict[str, Any]:
    """Run ``python -m module arguments`` and return the JSON of the last line that it prints.

    Raises:
        StoppedError: It took longer than ``seconds``, held more than ``memory_bytes``, or failed.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        stopped = _watch(running, monotonic() + seconds, memory_bytes)
        printed = running.stdout.read()
        if stopped:
            raise StoppedError(stopped)
        if running.wait() != 0:
            raise StoppedError(f"failed with code {running.returncode}")
    answer: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return answer


def _watch(running: subprocess.Popen[str], deadline: float, memory_bytes: int | None) -> str | None:
    """Wait for the end; return why it was stopped, if it was."""
    while running.poll() is None:
        if monotonic() > deadline:
            running.kill()
            return "took too long"
        if memory_bytes is not None and resident_bytes(running.pid) > memory_bytes:
            running.kill()
            return f"took more than {memory_bytes / 2**30:.0f} GiB"
        sleep(_GLANCE_SECONDS)
    return None


def give_back() -> None:
    """Give to the system what is free in the allocators."""
    gc.collect()
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def resident_bytes(process: int | None = None) -> int:
    """Return the resident size of a process, by default of this one."""
    try:
        pages = Path(f"/proc/{process or 'self'}/statm").read_text("ascii").split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return 0 if process else _peak_bytes()
    return int(pages) * _PAGE


def processor_seconds(process: int) -> float:
    """Return the seconds of the processor that another process has taken so far; needs Linux."""
    user, system = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _reset_peak() -> None:
    with suppress(OSError):  # Where the system has no such file or grants no such wish, the peak is too high.
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def _peak_bytes() -> int:
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
