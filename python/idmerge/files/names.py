"""Names of the columns that a table of events may have."""

EVENT, TIME, PROPERTIES = "event", "time", "properties"
ID = "distinct_id"
BEFORE = "$distinct_id_before_identity"
"""The ID as it was sent, in events that were stitched."""
INSERT_ID = "$insert_id"
PROCESSED, RECEIVED = "mp_processing_time_ms", "$mp_api_timestamp_ms"
"""The moments at which Mixpanel processed and received an event, in milliseconds since 1970."""
