"""IDs in a table's properties that are no text or no Unicode belong to nobody (SPEC 9)."""

import json

import pyarrow as pa
import pytest

from idmerge import Resolver, stitch


@pytest.mark.rule("9.ids")
def test_what_is_no_id_in_properties_belongs_to_nobody() -> None:
    ids = ["\ud800", 1.5, True, ["a"], 7, "a"]
    events = [{"event": "View", "properties": {"distinct_id": own}} for own in ids]
    properties = [json.dumps(event["properties"]) for event in events]
    resolver = Resolver()
    resolver.apply_events(events)
    stitched = stitch(pa.table({"event": ["View"] * len(ids), "properties": properties}))
    assert stitched.column("distinct_id").to_pylist() == [None, None, None, None, "7", "a"]
    assert list(pa.table(resolver.mapping()).column("distinct_id").to_pylist()) == ["7", "a"]
