"""The machine and the versions of a run, and how fast that machine reads memory at random.

    python -m benches.reports.machine

The limit is measured by `random_access.rs`, built with the Rust toolchain that built idmerge: a
loop in Python or a numpy gather would measure itself as well.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import idmerge

LIBRARIES = (
    "numpy",
    "pyarrow",
    "polars",
    "pandas",
    "scipy",
    "networkx",
    "rustworkx",
    "igraph",
    "duckdb",
    "splink",
)


def machine() -> dict[str, Any]:
    """Return the kind of machine: its processor, cores, caches and memory, not its name."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "shared_cache": _shared_cache(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of Python, idmerge and every peer that is installed."""
    found = {"python": platform.python_version(), "idmerge": idmerge.__version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def random_access() -> dict[str, float] | None:
    """Return the machine's random-access limits, or None where there is no Rust compiler."""
    compiler = shutil.which("rustc")
    if compiler is None:
        return None
    source = Path(__file__).with_suffix("").with_name("random_access.rs")
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "random_access")
        subprocess.run([compiler, "--edition=2024", "-O", "-o", program, source], check=True)
        printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    limits: dict[str, float] = json.loads(printed)
    return limits


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _shared_cache() -> str | None:
    """Return the size of the largest cache, as Linux names it."""
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((path.read_text("ascii").strip() for path in sizes), key=_kib, default=None)


def _kib(size: str) -> int:
    return int(size.removesuffix("K")) if size.endswith("K") else 0


if __name__ == "__main__":
    print(json.dumps({"machine": machine(), "versions": versions(), "limits": random_access()}, indent=1))
