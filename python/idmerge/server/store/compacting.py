"""The choice of sealed files that become one, so that there are few.

Files have levels by the bytes of their events: below 8 MiB, below 64 MiB, and beyond, where they
stay as they are. `RUN` files of one level side by side become one, or fewer if that has
`MOST_BYTES`. So an event is written anew about once a level, and once for each `RUN` files of the
first level while it fills up.
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
_LEVELS = (8 << 20, 64 << 20)


def due(files: Sequence[SealedFile]) -> Sequence[SealedFile]:
    """Return files side by side that are to become one; none if there is no need."""
    for bound in _LEVELS:
        run: list[SealedFile] = []
        for file in files:
            is_full = sum(one.size for one in run) + file.size > MOST_BYTES
            if file.size >= bound or is_full:
                if is_full and len(run) >= RUN // 2:
                    return run
                run = []
            if file.size < bound:
                run.append(file)
            if len(run) == RUN:
                return run
    return ()


def merged(files: Sequence[SealedFile]) -> pa.Table:
    """Return the events of files, in their order."""
    return pa.concat_tables([file.whole() for file in files])
