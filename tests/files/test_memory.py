"""Memory that is kept for the blocks to come."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from idmerge._memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):  # The blocks of a file that is read, some of them at the same time.
    before = faults()
    blocks = [b"x" * 2**21 for _ in range(8)]
    blocks.clear()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not changed by it")
def test_freed_blocks_are_used_again_without_page_faults() -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert faults("kept") * 10 < faults("given back")


def test_a_process_without_room_goes_on() -> None:
    script = """
import resource
import idmerge._memory
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, resource.RLIM_INFINITY))
idmerge._memory.keep_freed_memory()
print("on")
"""
    if sys.platform != "linux":
        pytest.skip("other systems count addresses otherwise")
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert answer.stdout == "on\n"
