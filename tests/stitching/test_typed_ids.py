"""Tables whose IDs are numbers, UUIDs or bytes are stitched as the same events with text are."""

from __future__ import annotations

import io
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import idmerge
from idmerge import Outcome, Resolver
from idmerge.files import scan
from paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

D = "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
U = UUID("18c4f0a1-b2c3-4d0a-8b2c-3d4e5f6018c4")


@pytest.mark.rule("3.values", "9.ids")
def test_numbers_of_the_field_are_ids_and_other_types_are_nobody() -> None:
    resolver = Resolver()
    for piece in scan(ROOT / "tests/data/field/ids.ndjson"):
        piece.apply_to(resolver)
    assert resolver.members("366") == ["366", D]
    assert resolver.members(366.0) == ["366", D]
    known = resolver.mapping().to_pydict()["distinct_id"]
    assert known == [
        "366", "1000000", "12345678901234567890123", D, "[object Object]", " 366 ", "NaN", "366.0",
    ]  # fmt: skip
    assert Outcome.MALFORMED not in resolver.stats().outcomes
    stitched = pa.table(idmerge.stitch(ROOT / "tests/data/field/ids.ndjson"))
    people = stitched.column("distinct_id").to_pylist()
    assert people[:8] == ["366"] * 3 + ["1000000", "12345678901234567890123", None, None, None]
    assert people[8] == "366"


@pytest.mark.rule("3.values")
def test_a_column_of_integers_that_pandas_made_floats_has_the_integers() -> None:
    text = io.StringIO(
        "event,time,distinct_id,$identified_id,$anon_id\n"
        f"$identify,1704103200,,12345,{D}\n"
        f"View,1704103201,{D},,\n"
        "View,1704103202,12345,,\n"
    )
    frame = pd.read_csv(text)
    assert frame["$identified_id"].dtype == np.float64
    stitched = idmerge.stitch(frame)
    assert stitched["distinct_id"].tolist()[1:] == ["12345", "12345"]


def stated(own: Any, identified: Any) -> pa.Table:
    """A link from a device to ``identified``, and an ordinary event, both by ``own``."""
    return pa.table(
        {
            "event": ["$identify", "View"],
            "time": [1704103200, 1704103201],
            "distinct_id": own,
            "$anon_id": [D, None],
            "$identified_id": identified,
        }
    )


TYPES = {
    "uuid": (pa.uuid(), U.bytes, str(U)),
    "int": (pa.int64(), 12345, "12345"),
    "float": (pa.float64(), 12345.0, "12345"),
    "decimal": (pa.decimal128(38, 0), Decimal(12345), "12345"),
    "binary": (pa.binary(), b"ana", "ana"),
    "large_binary": (pa.large_binary(), b"ana", "ana"),
    "dictionary": (pa.dictionary(pa.int8(), pa.int64()), 12345, "12345"),
}


@pytest.mark.rule("3.values", "9.ids")
@pytest.mark.parametrize("typed", TYPES)
@pytest.mark.parametrize("way", ["table", "Parquet", "Arrow file"])
@pytest.mark.parametrize("named", ["distinct_id", "operand"])
def test_ids_of_any_type_are_stitched_as_their_texts(
    typed: str, way: str, named: str, tmp_path: Path
) -> None:
    kind, value, text = TYPES[typed]
    is_own = named == "distinct_id"
    ids = pa.array([value, value], kind)
    table = stated(ids if is_own else pa.array([D, D]), ids)
    if way == "Parquet":
        pq.write_table(table, tmp_path / "e.parquet")
    elif way == "Arrow file":
        with pa.ipc.new_file(tmp_path / "e.arrow", table.schema) as writer:
            writer.write_table(table)
    given = table if way == "table" else tmp_path
    stitched = pa.table(idmerge.stitch(given))
    assert stitched.column("distinct_id").to_pylist() == [text, text]
    sent = [text, text] if is_own else [D, D]
    assert stitched.column("$distinct_id_before_identity").to_pylist() == sent


@pytest.mark.rule("3.values")
def test_uuids_of_duckdb_polars_and_pandas_are_their_usual_text() -> None:
    query = f"SELECT 'View' AS event, uuid '{U}' AS distinct_id"
    with duckdb.connect() as connection:
        for lossless in ("false", "true"):
            connection.execute(f"SET arrow_lossless_conversion = {lossless}")
            stitched = idmerge.stitch(connection.sql(query))
            assert stitched.fetchall()[0][1] == str(U)
        frame = connection.sql(query).df()
    assert idmerge.stitch(frame)["distinct_id"].tolist() == [str(U)]
    table = pl.DataFrame({"event": ["View"], "distinct_id": [12345]})
    assert idmerge.stitch(table)["distinct_id"].to_list() == ["12345"]


@pytest.mark.rule("3.values")
@pytest.mark.parametrize(
    ("column", "name", "came"),
    [
        (pa.array([True, None]), "$identified_id", "Arrow Boolean in row 0"),
        (pa.array([1.5, None]), "$identified_id", "Arrow Float64 1.5 in row 0"),
        (pa.array([1, 2], pa.timestamp("s")), "$identified_id", "Arrow Timestamp.* in row 0"),
        (pa.array([None, True]), "distinct_id", "Arrow Boolean in row 1"),
        (pa.array([3.0, 2.5]), "distinct_id", "Arrow Float64 2.5 in row 1"),
    ],
    ids=["truth", "fraction", "time", "truth of its own", "fraction of its own"],
)
def test_an_operand_that_can_be_no_id_is_refused_as_a_distinct_id_is(
    column: Any, name: str, came: str
) -> None:
    texts = pa.array(["ana", "ana"])
    table = stated(texts, column) if name == "$identified_id" else stated(column, texts)
    with pytest.raises(
        TypeError, match=rf"the column {re.escape(name)} must hold text, integers or UUIDs, got {came}"
    ):
        idmerge.stitch(table)


def test_a_pair_with_what_can_be_no_id_is_refused() -> None:
    table = pa.table({"event": ["$merge"], "distinct_id": ["a"], "$distinct_ids": [[1.0, 1.5]]})
    with pytest.raises(
        TypeError, match=r"row 0 of the column \$distinct_ids must hold .* got float 1.5 in row 1"
    ):
        idmerge.stitch(table)
    table = pa.table({"event": ["$merge"], "distinct_id": ["a"], "$distinct_ids": [[1.0, 2.0]]})
    both = {"event": ["View"] * 2, "distinct_id": ["1", "2"], "$distinct_ids": [None, None]}
    stitched = idmerge.stitch(pa.concat_tables([table, pa.table(both, table.schema)]))
    assert stitched.column("distinct_id").to_pylist()[1:] == ["1", "1"]


def test_a_column_named_as_an_operand_matters_in_identity_events_alone() -> None:
    table = pa.table({"event": ["View", "View"], "distinct_id": ["a", "b"], "alias": [True, False]})
    assert idmerge.stitch(table).column("distinct_id").to_pylist() == ["a", "b"]
