"""Events that cannot be read as a question needs them: one error, with the reason."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from idmerge.cli.group import commands
from idmerge.errors import ColumnError, FileFormatError
from idmerge.questions import Attribution, SignupRate

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = {
    "event": ["Sign Up", "Purchase"],
    "time": [NOW, NOW],
    "distinct_id": ["a", "b"],
    "$distinct_id_before_identity": ["a", "b"],
    "amount": [1.0, 2.0],
    "utm_campaign": ["x", "y"],
}


def table(**columns: Any) -> pa.Table:
    return pa.table({**ROWS, **columns})


def dense_union() -> pa.Array:
    kinds, offsets = pa.array([0, 0], pa.int8()), pa.array([0, 1], pa.int32())
    return pa.UnionArray.from_dense(kinds, offsets, [pa.array([1, 2])])


@pytest.mark.parametrize(
    "amount",
    [
        pa.array([Decimal(1), Decimal(2)], pa.decimal256(50, 2)),
        pa.array(np.array([1, 2], np.float16)),
        dense_union(),
    ],
    ids=lambda amount: str(amount.type),
)
def test_a_type_that_sql_does_not_know_is_an_error_of_the_columns(amount: pa.Array) -> None:
    with pytest.raises(ColumnError, match="the events cannot be read: "):
        Attribution().ask(table(amount=amount))
    with pytest.raises(ColumnError, match="the events cannot be read: "):
        Attribution().sql(table(amount=amount))


def test_a_time_that_sql_does_not_know_is_an_error_of_the_columns() -> None:
    far = table(time=pa.array([2**50, 0], pa.timestamp("s")))
    for question in (SignupRate(by="week"), SignupRate(by="day")):
        with pytest.raises(ColumnError, match="the events cannot be read: ") as raised:
            question.ask(far)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("year", [12_000, -5])
def test_a_week_that_python_does_not_know_names_the_column(year: int, tmp_path: Path) -> None:
    days = int((np.datetime64(f"{year:05d}-01-01") - np.datetime64("1970-01-01")).astype(int))
    far = table(time=pa.array([days * 86_400, 0], pa.timestamp("s")))
    with pytest.raises(ColumnError, match="'time'"):
        SignupRate(by="week").ask(far)
    path = tmp_path / "far.parquet"
    parquet.write_table(far, path)
    result = CliRunner().invoke(commands, ["ask", "signup-rate", "--by", "week", str(path)])
    assert isinstance(result.exception, SystemExit)
    assert "'time'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_relation_that_fails_is_an_error_of_the_columns() -> None:
    with duckdb.connect() as connection:
        connection.register("given", table())
        relation = connection.sql("SELECT * REPLACE (CAST(utm_campaign AS INTEGER) AS amount) FROM given")
        with pytest.raises(ColumnError, match="the events cannot be read: ") as raised:
            Attribution().ask(relation)
    assert "\n" not in str(raised.value)


def test_a_stream_that_raises_is_named_by_its_reason_alone() -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from table().to_batches()
        raise OSError("the tape is torn")

    for reader in (pa.RecordBatchReader.from_batches(table().schema, batches()),):
        with pytest.raises(ColumnError, match="the events cannot be read: .*the tape is torn") as raised:
            Attribution().ask(reader)
        assert "Traceback" not in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_frame_of_pandas_with_mixed_values_names_the_column() -> None:
    frame = pd.DataFrame({**ROWS, "amount": [1, "x"]})
    with pytest.raises(ColumnError, match="'amount'"):
        Attribution().ask(frame)
    with pytest.raises(ColumnError, match="'amount'"):
        Attribution().sql(frame)


def test_a_frame_of_pandas_with_a_column_twice_names_it() -> None:
    frame = pd.DataFrame(ROWS)
    with pytest.raises(ColumnError, match="'amount' more than once"):
        Attribution().ask(pd.concat([frame, frame[["amount"]]], axis=1))


def test_no_file_is_blamed_for_a_lack_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    parquet.write_table(table(), path)
    from idmerge.questions import source

    def lacking() -> None:
        with source.opened(path, source.Wanted(("event", "time"))):
            raise duckdb.OutOfMemoryException("Out of Memory Error: failed")

    with pytest.raises(MemoryError, match="Out of Memory"):
        lacking()


def test_a_file_that_sql_cannot_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    parquet.write_table(table(), path)
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(56)
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="e.parquet"):
        Attribution().ask(path)
