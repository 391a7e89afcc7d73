"""Deduplication of events (SPEC 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge._core import DistinctRows
from idmerge.files.names import BEFORE, EVENT, INSERT_ID, TIME

if TYPE_CHECKING:
    import pyarrow as pa


class Duplicates:
    """Events that came before, as Mixpanel finds them: by name, time, ID as sent and `$insert_id`.

    The ID as sent is `$distinct_id_before_identity` where an event has it.

    The first one stays. An event without `$insert_id` is no duplicate. 16 bytes are kept for each.
    """

    def __init__(self) -> None:
        self._rows = DistinctRows()
        self.count = 0
        """The number of events dropped."""

    def are_new(self, event: Any, time: Any, sent: Any, insert_id: Any) -> Any:
        """Return which rows stay, given their four columns; ``sent`` has the IDs as sent."""
        import pyarrow as pa  # noqa: PLC0415

        are_new = self._rows.add([column.cast(pa.string()) for column in (event, time, sent, insert_id)])
        self.count += len(are_new) - int(are_new.sum())
        return are_new

    def dropped_from(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return ``batch`` without its duplicates."""
        import pyarrow as pa  # noqa: PLC0415

        if INSERT_ID not in batch.schema.names:
            return batch
        columns = (batch.column(name) for name in (EVENT, TIME, BEFORE, INSERT_ID))
        are_new = self.are_new(*columns)
        return batch if are_new.all() else batch.filter(pa.array(are_new))
