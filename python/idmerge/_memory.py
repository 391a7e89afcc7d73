"""Memory that the C library keeps for blocks to come."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import numpy as np

LARGE = 2**25 - 2**16
"""The bytes of the block that is freed. glibc adapts to none of more than 32 MiB."""


@cache
def keep_freed_memory() -> None:
    """Have glibc keep up to 64 MiB of freed memory, which it would give back a few at a time.

    At first glibc takes each large block from the system and gives it back when it is freed, so
    that each of its pages is a fault again. When such a block is freed, glibc raises two limits
    (``M_MMAP_THRESHOLD`` in mallopt(3)): blocks up to its size are kept from then on, and free
    memory up to twice its size. This frees one that nobody has written to, so it takes no memory.
    Other C libraries are not changed by it.
    """
    with suppress(MemoryError):
        np.empty(LARGE, np.uint8)
