"""The mapping of a run on its way out, as a file or on standard output, and its largest clusters.

A few rows go out as CSV by Python alone: to load pyarrow takes longer than to resolve a small file.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from idmerge._naming import visible
from idmerge.cli.output import arrow_table, print_table, standard_output, write_table
from idmerge.cli.wrapping import is_terminal
from idmerge.files.csvtext import write_few

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from idmerge import Table

FEW = 10_000
"""The most rows that Python writes: measured, in 12 to 18 ms, where pyarrow loads in 76."""
LARGEST = 5
LOOKED_AT = 10_000
"""The most rows of large clusters that Python looks at."""


class Mapping:
    """The mapping from IDs to canonical IDs."""

    def __init__(self, mapping: Table) -> None:
        self._mapping = mapping
        self._is_small = len(mapping) <= FEW

    @cached_property
    def _table(self) -> pa.Table:
        return arrow_table(self._mapping)

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return self._mapping.to_pydict()

    def write(self, suffix: str, stream: BinaryIO, *, csv_safe: bool) -> None:
        """Write the mapping to ``stream`` in the format of the ``suffix``."""
        if self._is_small and suffix == ".csv":
            write_few(self._columns, stream, csv_safe=csv_safe)
        else:
            write_table(self._table, suffix, stream, csv_safe=csv_safe)

    def print(self, suffix: str, *, csv_safe: bool) -> None:
        """Write the mapping to standard output, with escapes if that is a terminal."""
        if not self._is_small or suffix != ".csv":
            print_table(self._table, csv_safe=csv_safe, suffix=suffix)
            return
        columns = self._columns
        if is_terminal(sys.stdout):
            columns = {name: [_visible(cell) for cell in cells] for name, cells in columns.items()}
        with standard_output() as stream:
            write_few(columns, stream, csv_safe=csv_safe)

    def largest(self) -> list[tuple[int, str]]:
        """Return size and canonical ID of the largest clusters; of equal ones the first known."""
        columns = self._columns if self._is_small else self._largest_by_arrow()
        rows = zip(*columns.values(), strict=True)
        named = [(size, canonical) for own, canonical, size in rows if own == canonical]
        return sorted(named, key=lambda cluster: -cluster[0])[:LARGEST]

    def _largest_by_arrow(self) -> dict[str, list[Any]]:
        """Return the rows of the largest clusters, those whose IDs are canonical among them."""
        table = self._table
        sizes = _sizes(table)
        clusters = np.bincount(sizes)
        clusters[1:] //= np.arange(1, len(clusters))
        enough = np.flatnonzero(clusters[::-1].cumsum() >= LARGEST)
        if len(enough):
            places = np.flatnonzero(sizes >= len(clusters) - 1 - enough[0]).tolist()
            if len(places) <= LOOKED_AT:
                columns = zip(table.column_names, table.columns, strict=True)
                return {name: [column[place].as_py() for place in places] for name, column in columns}
        import pyarrow.compute as pc  # noqa: PLC0415 - to load it takes as long as some millions of rows

        named = table.filter(pc.equal(table["distinct_id"], table["canonical_id"]))
        # A stable sort.
        order = pc.sort_indices(named, sort_keys=[("cluster_size", "descending")])[:LARGEST]
        return named.take(order).to_pydict()


def _sizes(table: pa.Table) -> NDArray[np.int32]:
    """Return the sizes of clusters, a row each; `to_numpy` would import pandas, where it is."""
    chunks: list[Any] = table["cluster_size"].chunks
    whole = [np.frombuffer(chunk.buffers()[1], np.int32) for chunk in chunks]
    parts = zip(whole, chunks, strict=True)
    rows = [sizes[chunk.offset : chunk.offset + len(chunk)] for sizes, chunk in parts]
    return np.concatenate([np.empty(0, np.int32), *rows])


def _visible(cell: Any) -> Any:
    return visible(cell) if isinstance(cell, str) else cell
