"""Partitions of events that are taken while links are still read.

Each partition is one file, and no row group of it is whole before the last event is read. So the
events wait as columns, by partition, in memory and beyond a budget in a file without a name beside
the output, and get their canonical IDs when they are written.

Columns wait in the types that their blocks needed. If a property turns out to be text of which some
values came as fractions, everything is dropped, and the files are read twice.
"""

from __future__ import annotations

import tempfile
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from idmerge import _core
from idmerge.files.names import BEFORE, ID, TIME
from idmerge.files.pieces import MAX_LINE
from idmerge.files.tables import record_batch
from idmerge.stitching.columns import AS_KNOWN, import_pyarrow, with_column
from idmerge.stitching.once import Once
from idmerge.stitching.partitions import (
    Form,
    Waiting,
    names_beside_key,
    schema_of_names,
    write_waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    import pyarrow as pa

    from idmerge.files.shape import Shape
    from idmerge.stitching.once import Kept, Properties

MOST_PROPERTIES = 250
"""Properties beyond which events are read twice: pieces of as many columns in every partition cost
more than that."""
AHEAD = 2
"""Blocks that wait to be divided while the next ones are read."""


class Partitioning(Once):
    """Events that wait, divided by day or by name.

    Raises:
        OSError: No file can be made beside ``output``.
    """

    def __init__(self, output: str, shape: Shape, kept: Kept, partition_by: str) -> None:
        super().__init__(output, shape, kept)
        self.partition_by = partition_by
        with self._naming():
            file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - it outlives the call
        weakref.finalize(self, file.close)
        self._waiting = Waiting(file, partition_by, self._types)
        self._dividing: deque[Future[bool]] = deque()
        self._known: Properties = []
        self._fractions: set[str] = set()
        self._rows = 0
        self.without_time = 0
        """The number of events whose time is null."""

    def _take(self, scan: _core.Scan) -> None:
        self._dividing.append(self._pool.submit(self._divide, scan, self._properties()))
        while len(self._dividing) > AHEAD:
            self._wait()

    def _divide(self, scan: _core.Scan, properties: Properties) -> bool:
        """Divide the events of a scan; return whether their columns can still have their types."""
        if len(properties) > MOST_PROPERTIES:
            return False
        self._to_utc(scan)
        tables = _core.waiting_events(scan, properties, self._era, **self._wishes)
        if tables is None:
            return False
        self._known = properties
        fractions = import_pyarrow().float64()
        for batch in map(record_batch, tables):
            self._fractions.update(field.name for field in batch.schema if field.type == fractions)
            if not self._fits():
                return False
            self._rows += batch.num_rows
            self.without_time += batch.column(TIME).null_count
            self._waiting.take(batch)
        return True

    def _types(self) -> dict[str, pa.DataType]:
        """Return the type of the column of each property, as far as it is known."""
        schema = import_pyarrow().schema(_core.Flattener(self._known, MAX_LINE))
        return {field.name: field.type for field in schema if field.name != ID}

    def _fits(self) -> bool:
        """Return whether no fraction is to become text: its digits are lost."""
        if not self._fractions:
            return True
        types, text = self._types(), import_pyarrow().string()
        return all(types[name] != text for name in self._fractions)

    def _wait(self) -> None:
        with self._naming():
            fits = self._dividing.popleft().result()
        if not fits:
            self._drop()

    def _drop(self) -> None:
        super()._drop()
        self._waiting.partitions = {}

    def _finish(self, properties: Properties) -> bool:
        while self._dividing:
            self._wait()
        self._known = properties
        return self._fits()

    def write(self, directory: Path, schema: pa.Schema, on_partition: Callable[[], object]) -> int:
        """Write the events, once, with the columns of ``schema``; return the number of rows.

        Raises:
            OSError: There is no room, or no permission.
        """
        pa: Any = import_pyarrow()
        numbers = [pa.field("number", pa.uint32()), pa.field(ID, pa.string())]
        if self._follows:
            numbers.append(pa.field("known", pa.uint32()))
        kept = [field for field in schema if field.name != AS_KNOWN or not self._follows]
        sent = pa.struct(numbers)
        waiting = pa.schema([field.with_type(sent) if field.name == ID else field for field in kept])
        names = names_beside_key(schema.names, self.partition_by)

        def finish(table: pa.Table) -> pa.Table:
            ids: Any = _core.SentIds(table.column(ID), self._era)
            named: Any = with_column(table, ID, pa.chunked_array(self._canonical(ids)), BEFORE)
            if self._follows:
                named = with_column(named, AS_KNOWN, pa.chunked_array(self._as_known(ids)), BEFORE)
            return named.rename_columns(names)

        form = Form(waiting, schema_of_names(schema, names), finish)
        with self._naming():
            write_waiting(directory, self._waiting, form, on_partition)
        self._waiting.partitions = {}
        return self._rows

    @property
    def count(self) -> int:
        """The number of partitions that wait."""
        return len(self._waiting.partitions)
