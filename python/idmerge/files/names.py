"""Names of the columns that a table of events may have."""

EVENT, TIME, PROPERTIES = "event", "time", "properties"
ID = "distinct_id"
BEFORE = "$distinct_id_before_identity"
"""The ID as it was sent, in events that were stitched."""
INSERT_ID = "$insert_id"
