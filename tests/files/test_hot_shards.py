"""Events of hot shards: they are the ones that were sent, by every way in (SPEC 3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from idmerge import Resolver, files, reference
from idmerge.doctor import examine
from idmerge.events import HOT_SHARD, distinct_id_of, link_of, original_of

DEVICE = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"


def hot(name: Any, sent: Any, **properties: Any) -> dict[str, Any]:
    """Return an event as Mixpanel keeps it in a hot shard."""
    own = {"distinct_id": "$hotshard:7", "mp_original_event_name": name, "mp_original_distinct_id": sent}
    return {"event": HOT_SHARD, "properties": {"time": 1_704_103_200, **own, **properties}}


STORY = [
    {"event": "View", "properties": {"time": 1_704_103_200, "distinct_id": DEVICE}},
    hot("View", DEVICE, page="/"),
    hot("$identify", "ana", **{"$anon_distinct_id": DEVICE}),
    hot("View", 7),
    hot(None, None),
    hot(HOT_SHARD, "ben"),
    hot([1], {"x": 1}),
]


def written(path: Path, events: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return path


@pytest.mark.rule("3.hot shards")
def test_an_event_of_a_hot_shard_is_the_one_that_was_sent() -> None:
    assert distinct_id_of(STORY[1]) == DEVICE
    link = link_of(STORY[2], "import")
    assert link is not None
    assert (link.first, link.second) == (DEVICE, "ana")
    assert distinct_id_of(STORY[3]) == "7"
    assert [distinct_id_of(event) for event in STORY[4:]] == [None, "ben", None]
    assert original_of(STORY[5])["event"] is None
    assert original_of(STORY[0]) is STORY[0]
    assert distinct_id_of({"event": HOT_SHARD}) is None


@pytest.mark.rule("3.hot shards")
@given(st.lists(st.sampled_from(STORY), max_size=8))
def test_hot_shards_join_by_every_way_in(
    tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]]
) -> None:
    path = written(tmp_path_factory.getbasetemp() / "hot.ndjson", events)
    plain, one_by_one, at_once, scanned = reference.Resolver(), Resolver(), Resolver(), Resolver()
    for event in events:
        plain.apply(event)
        one_by_one.apply(event)
    at_once.apply_events(events)
    for piece in files.scan(path):
        piece.apply_to(scanned)
    for resolver in (one_by_one, at_once, scanned):
        assert resolver.mapping().to_pydict() == plain.mapping()


@pytest.mark.rule("3.hot shards")
@pytest.mark.parametrize("output", [None, "out.parquet", "out.arrow"])
def test_stitched_hot_shards_have_their_own_names_and_ids(output: str | None, tmp_path: Path) -> None:
    path = written(tmp_path / "hot.ndjson", STORY)
    stitched: Any = idmerge.stitch(path)
    if output == "out.parquet":
        idmerge.stitch(path, output=tmp_path / output)
        stitched = parquet.read_table(tmp_path / output)
    rows = pa.table(stitched).to_pylist()
    assert [row["event"] for row in rows] == ["View", "View", "$identify", "View", None, None, None]
    assert [row["distinct_id"] for row in rows] == ["ana", "ana", "ana", "7", None, "ben", None]
    assert rows[1]["$distinct_id_before_identity"] == DEVICE
    assert rows[1]["page"] == "/"
    assert rows[1]["mp_original_distinct_id"] == DEVICE


@pytest.mark.rule("3.hot shards")
def test_the_doctor_reads_hot_shards_too(tmp_path: Path) -> None:
    diagnosis = examine(written(tmp_path / "hot.ndjson", STORY))
    assert diagnosis.overview.outcomes == {"MERGED": 1}
    assert diagnosis.overview.events == len(STORY)


@pytest.mark.rule("3.hot shards")
@pytest.mark.parametrize("form", ["flat", "struct", "text", "nested"])
@pytest.mark.parametrize("where", ["memory", "polars", "pandas", "file"])
def test_hot_shards_in_columns_are_the_events_that_were_sent(form: str, where: str, tmp_path: Path) -> None:
    rows = [{"event": event["event"], "properties": event["properties"]} for event in STORY[:4]]
    for row in rows:
        for name in ("mp_original_distinct_id", "distinct_id"):
            if name in row["properties"]:
                row["properties"][name] = str(row["properties"][name])
    if form == "flat":
        keys = dict.fromkeys(key for row in rows for key in row["properties"])
        flat = [{"event": row["event"], **dict.fromkeys(keys), **row["properties"]} for row in rows]
        table = pa.Table.from_pylist(flat)
    else:
        own = [{"distinct_id": row["properties"]["distinct_id"]} if form != "nested" else {} for row in rows]
        cells = [json.dumps(row["properties"]) if form == "text" else row["properties"] for row in rows]
        table = pa.Table.from_pylist(
            [
                {"event": row["event"], **ids, "properties": cell}
                for row, ids, cell in zip(rows, own, cells, strict=True)
            ]
        )
    given: Any = table
    if where == "file":
        given = tmp_path / "hot.parquet"
        parquet.write_table(table, given)
        resolver = Resolver()
        for piece in files.scan(given):
            piece.apply_to(resolver)
        assert resolver.resolve(DEVICE) == "ana"
    elif where != "memory":
        given = pl.from_arrow(table) if where == "polars" else table.to_pandas()
    stitched = pa.table(idmerge.stitch(given)).to_pylist()
    assert [row["event"] for row in stitched] == ["View", "View", "$identify", "View"]
    assert [row["distinct_id"] for row in stitched] == ["ana", "ana", "ana", "7"]
