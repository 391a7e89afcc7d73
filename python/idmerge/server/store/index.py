"""The index of a sealed file: which rows each sender has.

The rows of a sender are one after another in the file. The index has two rows of unsigned 64-bit
numbers: the hashes of the senders' IDs, ascending, and for each the first row (upper 32 bits) and
the number of rows. It is read where it lies (mmap), so a look-up reads a few pages. Two IDs may
have one hash, so who reads rows compares their IDs.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIX = ".ids.npy"
_HALF = 32


def hash_of(distinct_id: str) -> int:
    """Return the hash of an ID, which is the same on every machine.

    Examples:
        >>> from idmerge.server.store.index import hash_of
        >>> hash_of("ana") == hash_of("ana"), hash_of("ana") == hash_of("ben")
        (True, False)
    """
    digest = blake2b(distinct_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def index_of(senders: Any) -> NDArray[np.uint64]:
    """Return the index of a file, given the column of its senders.

    Examples:
        >>> import pyarrow as pa
        >>> from idmerge.server.store.index import hashes_of, index_of, ranges_of
        >>> index = index_of(pa.array(["ana", "ana", "ben", "eve", "zoe", None]))
        >>> ranges_of(index, hashes_of(["ana", "ben", "zoe", "nobody"]))
        [(0, 3), (4, 5)]
    """
    compute: Any = pc
    runs = compute.run_end_encode(senders, run_end_type=pa.int64())
    chunks: list[Any] = runs.chunks if isinstance(runs, pa.ChunkedArray) else [runs]
    hashes, firsts, counts, begin = [], [], [], 0
    for chunk in chunks:
        first = 0
        for end, sender in zip(chunk.run_ends.to_pylist(), chunk.values.to_pylist(), strict=True):
            if sender is not None:
                hashes.append(hash_of(sender))
                firsts.append(begin + first)
                counts.append(end - first)
            first = end
        begin += len(chunk)
    found = np.array(hashes, np.uint64)
    places = np.array(firsts, np.uint64) << np.uint64(_HALF) | np.array(counts, np.uint64)
    order = np.argsort(found, kind="stable")
    return np.stack([found[order], places[order]])


def hashes_of(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return the hashes of IDs, each once, ascending."""
    return np.unique(np.array([hash_of(one) for one in ids], np.uint64))


def ranges_of(index: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> list[tuple[int, int]]:
    """Return the first and the last row, exclusively, of the IDs with some hashes, in their order.

    Ranges side by side are one.
    """
    begins = np.searchsorted(index[0], hashes, "left")
    ends = np.searchsorted(index[0], hashes, "right")
    found = zip(begins.tolist(), ends.tolist(), strict=True)
    places = np.concatenate([np.array([], np.uint64), *(index[1, begin:end] for begin, end in found)])
    ranges: list[tuple[int, int]] = []
    for place in np.sort(places).tolist():
        first = place >> _HALF
        end = first + (place & (1 << _HALF) - 1)
        if ranges and ranges[-1][1] == first:
            first, _ = ranges.pop()
        ranges.append((first, end))
    return ranges


def read(path: Path) -> NDArray[np.uint64]:
    """Return the index at ``path``, which stays there until it is read.

    Raises:
        OSError: It cannot be read.
        ValueError: It is none.
    """
    index: NDArray[np.uint64] = np.load(path, mmap_mode="r", allow_pickle=False)
    if index.dtype != np.uint64 or index.ndim != 2 or len(index) != 2:  # noqa: PLR2004 - two rows
        raise ValueError(f"the file is no index: {index.dtype} of {index.shape}")
    return index
