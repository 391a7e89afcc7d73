"""Names of the columns that a table of events may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.events import DEVICE, USER

if TYPE_CHECKING:
    from idmerge.policy import Api

EVENT, TIME, PROPERTIES = "event", "time", "properties"
ID = "distinct_id"
BEFORE = "$distinct_id_before_identity"
"""The ID as it was sent, in events that were stitched."""
INSERT_ID = "$insert_id"
PROCESSED, RECEIVED = "mp_processing_time_ms", "$mp_api_timestamp_ms"
"""The moments at which Mixpanel processed and received an event, in milliseconds since 1970."""


def places_of_ids(api: Api) -> tuple[str, ...]:
    """Return the columns or keys of which events need one under ``api``, so that they have IDs."""
    return (ID, PROPERTIES, USER, DEVICE) if api == "simplified" else (ID, PROPERTIES)
