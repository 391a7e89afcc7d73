"""The columns of stitched events, batch by batch (SPEC 9)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from idmerge.files import opening
from idmerge.files.names import ID

if TYPE_CHECKING:
    import pyarrow as pa

    from idmerge.resolver import Resolver

AS_KNOWN = "distinct_id_as_known"


import_pyarrow = partial(opening.import_pyarrow, "stitching")


def resolved(resolver: Resolver, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch`` with the canonical ID of each `distinct_id` in its place."""
    place = batch.schema.get_field_index(ID)
    return batch.set_column(place, ID, resolver.resolve_many(batch.column(place)))


def with_column(batch: pa.RecordBatch, name: str, column: Any, after: str) -> pa.RecordBatch:
    """Return ``batch`` with ``column`` behind the one called ``after``, or replaced."""
    place = batch.schema.get_field_index(name)
    if place >= 0:
        return batch.set_column(place, name, column)
    return batch.add_column(batch.schema.get_field_index(after) + 1, name, column)
