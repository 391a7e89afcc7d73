"""Dialects on Spark: the events that people hold give the mapping that one machine gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from idmerge import Resolver, files
from idmerge.errors import ColumnError, DialectError
from spark_session import SKIPPED_WARNINGS, session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.filterwarnings(text) for text in SKIPPED_WARNINGS]

FIELD = Path(__file__).parents[1] / "data" / "field"
LINES = ["mp_master_event.ndjson", "singer_flat.ndjson", "props_text.ndjson", "rekeyed_identify.ndjson"]
TABLES = ["mp_master_event_struct.parquet", "mp_master_event_json.parquet", "fivetran_event.parquet"]


@pytest.fixture
def spark() -> SparkSession:
    return session()


def of_lines(spark: SparkSession, path: Path) -> DataFrame:
    return spark.createDataFrame(
        list(enumerate(path.read_text("utf-8").splitlines())), "at long, value string"
    )


def resolved(frame: DataFrame, **choice: Any) -> list[tuple[Any, ...]]:
    from idmerge.spark import links, resolve

    mapping = resolve(links(frame, order="at", **choice), order="at", components="stars")
    return sorted(map(tuple, mapping.collect()))


def on_one_machine(path: Path, **choice: Any) -> list[tuple[Any, ...]]:
    resolver = Resolver()
    for piece in files.scan(path, **choice):
        assert not isinstance(piece, files.BadLine)
        piece.apply_to(resolver)
    return sorted(tuple(row.values()) for row in pa.table(resolver.mapping()).to_pylist())


@pytest.mark.parametrize("name", LINES)
def test_lines_of_every_dialect_give_the_mapping_of_one_machine(spark: SparkSession, name: str) -> None:
    expected = on_one_machine(FIELD / name)
    assert any(row[0] != row[1] for row in expected)
    assert resolved(of_lines(spark, FIELD / name)) == expected


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_every_dialect_give_the_mapping_of_one_machine(spark: SparkSession, name: str) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(FIELD / name)
    table = table.append_column("at", pa.array(range(len(table)), pa.int64()))
    expected = on_one_machine(FIELD / name)
    assert any(row[0] != row[1] for row in expected)
    assert resolved(spark.createDataFrame(table)) == expected


def test_other_names_are_given_as_columns_and_unknown_dialects_are_refused(spark: SparkSession) -> None:
    rows = [(0, "View", "x", None, None), (1, "$identify", None, "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "x")]
    frame = spark.createDataFrame(rows, "at long, action string, uid string, device string, person string")
    roles = {"event": "action", "distinct_id": "uid", "anon_id": "device", "identified_id": "person"}
    assert [row[1] for row in resolved(frame, columns=roles)] == ["x", "x"]
    with pytest.raises(DialectError, match="klingon"):
        resolved(frame, dialect="klingon")
    with pytest.raises(ColumnError):
        resolved(frame)
