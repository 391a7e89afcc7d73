"""Answers that can be compared across processes: digests of outcomes, of texts, of partitions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray


def digest_of_numbers(numbers: NDArray[np.generic]) -> str:
    """Return a digest of the numbers in their order."""
    return hashlib.sha256(np.ascontiguousarray(numbers).tobytes()).hexdigest()[:16]


def digest_of_texts(texts: pa.Array) -> str:
    """Return a digest of the texts in their order, however their buffers are cut."""
    plain = pa.concat_arrays([*pa.chunked_array([texts]).cast(pa.large_string()).chunks])
    offsets = np.frombuffer(plain.buffers()[1], np.int64, len(plain) + 1, plain.offset * 8)
    digest = hashlib.sha256(offsets - offsets[0])
    digest.update(plain.buffers()[2][int(offsets[0]) : int(offsets[-1])])
    return digest.hexdigest()[:16]


def digest_of_partition(labels: NDArray[np.integer]) -> str:
    """Return a digest of who is with whom, whatever number each cluster has.

    Args:
        labels: Each ID's cluster, by the ID's number; at least 0 and dense enough to index by.
    """
    numbers = np.arange(len(labels), dtype=np.int64)
    first = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    first[labels[::-1]] = numbers[::-1]  # The last write stays: the cluster's first ID.
    return digest_of_numbers(first[labels])


def labels_of_texts(names: pa.Array) -> NDArray[np.integer]:
    """Return a label for each ID from the text that names its cluster."""
    labels: NDArray[np.integer] = names.dictionary_encode().indices.to_numpy()
    return labels
