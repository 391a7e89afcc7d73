"""The choice of sealed files that become one, so that there are few.

Files side by side become one if they are `RUN`, or as many as `MOST_BYTES` of events allow, and the
largest has no more than half of all of them. So each merge at least doubles the file that an event
is in, and an event is written anew about ten times at most. Files with half of `MOST_BYTES` stay as
they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge.server.store.files import SealedFile

MOST_BYTES = 256 << 20
"""The bytes of the events of a merged file, at most; a merge takes some times as much memory."""
RUN = 8
"""Files that are merged."""


def due(files: Sequence[SealedFile], *, at_any_rate: bool = False) -> Sequence[SealedFile]:
    """Return files side by side that are to become one; none if there is no need.

    Args:
        files: Files in the order of the log.
        at_any_rate: Whether all are wanted that one file can have.
    """
    for start in range(len(files)):
        run: list[SealedFile] = []
        size, is_full = 0, False
        for file in files[start : start + RUN]:
            is_full = size + file.size > MOST_BYTES
            if is_full or file.size >= MOST_BYTES // 2:
                break
            run.append(file)
            size += file.size
        if len(run) > 1 and at_any_rate:
            return run
        if len(run) > 1 and (is_full or len(run) == RUN) and 2 * max(one.size for one in run) <= size:
            return run
    return ()


def merged(files: Sequence[SealedFile]) -> pa.Table:
    """Return the events of files, in their order."""
    return pa.concat_tables([file.whole() for file in files])
