"""Connected components of links between IDs, without a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge import _core

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from idmerge._columns import ElementColumn


class Components(NamedTuple):
    """The components of links, numbered from 0 in the order of first appearance.

    ``first`` comes before ``second``.

    Examples:
        >>> from idmerge import connected_components
        >>> found = connected_components([17, 18, 21], [18, 19, 22])
        >>> found.component_count, found.ids.tolist()
        (2, [17, 18, 19, 21, 22])
        >>> found.labels.tolist(), found.row_labels.tolist()
        ([0, 0, 0, 1, 1], [0, 0, 1])
    """

    component_count: int
    """The number of components."""
    ids: _core.Column | NDArray[Any]
    """The n distinct IDs in the order of first appearance: text as an Arrow column, integers as an
    array of int64, or of uint64 if one is above ``2**63 - 1``."""
    labels: NDArray[np.int32]
    """The component of each of ``ids``; shape (n,)."""
    row_labels: NDArray[np.int32]
    """The component of each row; shape (rows,)."""


def connected_components(first: ElementColumn, second: ElementColumn) -> Components:
    """Return the connected components of the graph whose edges are the rows of two columns.

    Nothing is judged and nothing rejected; `Resolver` is for identities. Text is compared byte for
    byte, so ``"1"`` is not ``"01"``, and an empty text is an ID like any other. Long columns of
    text are read on two threads where there are two processors and ``IDMERGE_THREADS`` allows it.

    Args:
        first: One end of each edge: a column of text or of integers.
        second: The other end; of the same kind.

    Returns:
        How many components there are, the IDs, and the component of each ID and of each row.

    Raises:
        TypeError: A column holds neither text nor integers, or only one of them holds text.
        ValueError: Lengths differ; a row is null or no valid Unicode; an integer needs more than 64
            bits.
        CapacityError: There are more than ``2**31 - 1`` distinct IDs.

    Examples:
        >>> from idmerge import connected_components
        >>> found = connected_components(["ana", "ben", "ana"], ["crm-17", "crm-18", "crm-19"])
        >>> found.component_count
        2
        >>> dict(zip(found.ids.to_pylist(), found.labels.tolist(), strict=True))
        {'ana': 0, 'crm-17': 0, 'ben': 1, 'crm-18': 1, 'crm-19': 0}
    """
    return Components(*_core._connected_components(first, second))
