"""The columns of stitched events, batch by batch (SPEC 9)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from idmerge._core import Seen
from idmerge.files import opening

if TYPE_CHECKING:
    import pyarrow as pa

    from idmerge._core import Table
    from idmerge.resolver import Resolver

ID = "distinct_id"
BEFORE = "$distinct_id_before_identity"
AS_KNOWN = "distinct_id_as_known"
INSERT_ID = "$insert_id"


import_pyarrow = partial(opening.import_pyarrow, "stitching")


def record_batch(table: Table) -> pa.RecordBatch:
    """Return a table of one batch as pyarrow has it."""
    batch: pa.RecordBatch = import_pyarrow().RecordBatchReader.from_stream(table).read_next_batch()
    return batch


def resolved(resolver: Resolver, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch`` with the canonical ID of each `distinct_id` in its place."""
    place = batch.schema.get_field_index(ID)
    return batch.set_column(place, ID, resolver.resolve_many(batch.column(place)))


def with_column(batch: pa.RecordBatch, name: str, column: Any, after: str) -> pa.RecordBatch:
    """Return ``batch`` with ``column`` behind the one called ``after``, or in the place of its own."""
    place = batch.schema.get_field_index(name)
    if place >= 0:
        return batch.set_column(place, name, column)
    return batch.add_column(batch.schema.get_field_index(after) + 1, name, column)


class Duplicates:
    """Events that came before, as Mixpanel tells them: by name, time, ID as sent and `$insert_id`.

    The first one stays. An event without `$insert_id` is no duplicate. 16 bytes are kept for each.
    """

    def __init__(self) -> None:
        self._seen = Seen()
        self.count = 0
        """How many were dropped."""

    def are_new(self, event: Any, time: Any, sent: Any, insert_id: Any) -> Any:
        """Return which rows stay, given their four columns; ``sent`` holds each event's ID as it came."""
        import pyarrow as pa  # noqa: PLC0415

        are_new = self._seen.are_new([column.cast(pa.string()) for column in (event, time, sent, insert_id)])
        self.count += len(are_new) - int(are_new.sum())
        return are_new

    def dropped_from(self, batch: pa.RecordBatch, sent: Any) -> pa.RecordBatch:
        """Return ``batch`` without its duplicates."""
        import pyarrow as pa  # noqa: PLC0415

        if INSERT_ID not in batch.schema.names:
            return batch
        are_new = self.are_new(batch.column("event"), batch.column("time"), sent, batch.column(INSERT_ID))
        return batch if are_new.all() else batch.filter(pa.array(are_new))
