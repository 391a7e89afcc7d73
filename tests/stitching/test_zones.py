"""Times of a zone, and times that cannot be read, in stitched events (SPEC 9)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from command_line import run
from idmerge.doctor import examine
from idmerge.files.zones import check_zone, names_zone
from paths import DATA

IST = DATA / "field" / "ist.ndjson"


def local(*parts: int) -> datetime:
    """Return a local time, which has no zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type, misc]


EPOCH = local(1970, 1, 1)


def moment_in(zone: ZoneInfo, wall: datetime) -> datetime:
    """Return the moment of a local time: the earlier one, or the first behind a gap."""
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    before, after = wall - timedelta(days=1), wall + timedelta(days=1)
    low, high = (one.replace(tzinfo=zone).astimezone(UTC) for one in (before, after))
    while high - low > timedelta(milliseconds=1):  # The moment at which the clocks are set forward.
        middle = low + (high - low) / 2
        is_behind = middle.astimezone(zone).replace(tzinfo=None) > wall
        low, high = (low, middle) if is_behind else (middle, high)
    return high.replace(microsecond=0) + timedelta(seconds=high.microsecond > 0)


def stitched_times(path: Path, times: list[Any], **options: Any) -> list[datetime | None]:
    events = [{"event": "A", "properties": {"distinct_id": "ana", "time": time}} for time in times]
    path.write_text("\n".join([*map(json.dumps, events), "", "{}x"]), encoding="utf-8")
    found: list[datetime | None] = pa.table(idmerge.stitch(path, **options))["time"].to_pylist()
    return found


WALLS = st.datetimes(local(1974, 1, 1), local(2037, 12, 31)).map(lambda wall: wall.replace(microsecond=0))
EDGES = [
    local(2024, 3, 31, 2, 30),
    local(2024, 10, 27, 2, 30),
    local(2024, 3, 31, 3),
    local(2024, 7, 1),
]


@given(
    st.sampled_from(["Asia/Kolkata", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu", "UTC"]),
    st.lists(st.tuples(WALLS | st.sampled_from(EDGES), st.integers(0, 5)), min_size=1, max_size=8),
)
def test_local_times_are_shifted_and_those_that_name_a_zone_are_not(
    tmp_path_factory: pytest.TempPathFactory, name: str, stated: list[tuple[datetime, int]]
) -> None:
    times: list[Any] = []
    expected = []
    for wall, form in stated:
        seconds = int((wall - EPOCH).total_seconds())
        local = [seconds, seconds * 1000, float(seconds), str(seconds), wall.isoformat(sep=" ")]
        times.append([*local, f"{wall.isoformat()}Z"][form])
        expected.append(wall.replace(tzinfo=UTC) if form == 5 else moment_in(ZoneInfo(name), wall))
    path = tmp_path_factory.getbasetemp() / "zoned.ndjson"
    assert stitched_times(path, times, timezone=name) == expected


@pytest.mark.parametrize("output", ["out.parquet", "out", "out.arrow", "out.csv"])
def test_every_output_has_its_times_in_utc(output: str, tmp_path: Path) -> None:
    said = run("stitch", IST, "--timezone", "Asia/Kolkata", "-o", tmp_path / output).stderr
    assert "no time" not in said
    if output == "out.csv":
        assert "2025-05-01 05:42:50.000Z" in (tmp_path / output).read_text()
    elif output != "out.arrow":
        times = parquet.read_table(tmp_path / output)["time"]
        assert times.type == pa.timestamp("ms", "UTC")
        assert times.to_pylist()[0] == datetime(2025, 5, 1, 5, 42, 50, tzinfo=UTC)


def test_duplicates_are_told_by_times_in_utc(tmp_path: Path) -> None:
    times = ["2025-05-01T11:12:50", 1_746_097_970, "2025-05-01T05:42:50Z", "2025-05-01T11:12:50+05:30"]
    events = [{"event": "A", "properties": {"$insert_id": "1", "time": time}} for time in times]
    path = tmp_path / "f.ndjson"
    path.write_text("\n".join(map(json.dumps, events)))
    assert pa.table(idmerge.stitch(path, timezone="Asia/Kolkata", dedupe=True)).num_rows == 1
    assert pa.table(idmerge.stitch(path, dedupe=True)).num_rows == 2


def test_partitions_are_days_in_utc(tmp_path: Path) -> None:
    path = tmp_path / "f.ndjson"
    path.write_text(json.dumps({"event": "A", "properties": {"time": "2025-05-01T03:00:00"}}))
    run("stitch", path, "--timezone", "Asia/Kolkata", "--partition-by", "date", "-o", tmp_path / "days")
    assert (tmp_path / "days" / "date=2025-04-30").is_dir()


def test_questions_and_the_doctor_read_times_of_a_zone(tmp_path: Path) -> None:
    plain, zoned = (
        {finding.code for finding in examine(IST, timezone=zone).findings} for zone in (None, "Asia/Kolkata")
    )
    assert plain - zoned == {"time-zone"}
    path = tmp_path / "f.ndjson"
    path.write_text(
        json.dumps({"event": "A", "properties": {"distinct_id": "ana", "time": "2025-05-01T03:00:00"}})
    )
    by_week = ("ask", "signup-rate", path, "--by", "day", "--signup", "A")
    assert "2025-05-01" in run(*by_week).stdout
    assert "2025-04-30" in run(*by_week, "--times-in", "Asia/Kolkata").stdout


def test_a_zone_that_is_none_is_refused_with_an_example(tmp_path: Path) -> None:
    assert (
        "such as Asia/Kolkata"
        in run("stitch", IST, "--timezone", "IST+5", "-o", tmp_path / "x", code=2).stderr
    )
    for name in ("Asia/Kalkuta", "", "/etc/passwd", "../zone"):
        with pytest.raises(ValueError, match="no time zone is called"):
            idmerge.stitch(IST, timezone=name)
        with pytest.raises(ValueError, match="no time zone is called"):
            examine(IST, timezone=name)
    with pytest.raises(TypeError, match="timezone must be the name of a zone, got 5"):
        idmerge.stitch(IST, timezone=5)  # type: ignore[call-overload]
    assert check_zone(None) is None
    run("stitch", IST, "-o", tmp_path / "s.parquet")
    said = run("ask", "signup-rate", tmp_path / "s.parquet", "--times-in", "UTC", code=2).stderr
    assert "leave --times-in out" in said


@pytest.mark.parametrize(
    "text", ["2024-01-01", "2024-01-01T10:00:00.5", "2024-01-01 10:00", "1704103200", "soon"]
)
def test_a_text_without_a_zone_names_none(text: str) -> None:
    assert not names_zone(text)
    assert names_zone("2024-01-01T10:00:00z")
    assert names_zone("2024-01-01 10:00:00 -0800")


TIMES = [1_704_103_200, "soon", None, [1], "2024-01-01T00:00:00Z", 10**18, True]


@pytest.mark.parametrize("output", ["out.parquet", "out", "out.csv"])
@pytest.mark.parametrize("more", [[], ["--dedupe"]])
def test_events_without_a_time_that_can_be_read_are_counted(
    output: str, more: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "f.ndjson"
    events = [{"event": "A", "properties": {"n": number, "time": time}} for number, time in enumerate(TIMES)]
    path.write_text("\n".join(map(json.dumps, events)))
    said = run("stitch", path, "-o", tmp_path / output, *more).stderr
    unread = pa.table(idmerge.stitch(path))["time"].null_count
    assert unread >= 4
    assert f"no time     {unread} events whose time is missing or cannot be read" in said


def test_events_that_all_lack_a_time_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "f.ndjson"
    path.write_text('{"event": "A", "properties": {"n": 1}}\n')
    assert "no time" not in run("stitch", path, "-o", tmp_path / "out.parquet").stderr


WALL = datetime(2025, 5, 1, 11, 12, 50, tzinfo=UTC).replace(tzinfo=None)
COLUMNS: list[pa.Array[Any]] = [
    pa.array([WALL], pa.timestamp("us")),
    pa.array([WALL], pa.timestamp("ms")),
    pa.array([1_746_097_970], pa.int64()),
    pa.array([1_746_097_970_000.0], pa.float64()),
    pa.array(["2025-05-01T11:12:50"]),
    pa.array(["2025-05-01T05:42:50Z"]),
    pa.array(["2025-05-01T11:12:50+05:30"]).dictionary_encode(),
    pa.array([WALL - timedelta(hours=5, minutes=30)], pa.timestamp("us", "UTC")),
]


@pytest.mark.parametrize("times", COLUMNS, ids=lambda column: str(column.type))
def test_times_in_columns_are_those_of_a_zone_too(times: Any, tmp_path: Path) -> None:
    table = pa.table({"event": ["A"], "distinct_id": ["ana"], "time": times})
    expected = WALL.replace(tzinfo=UTC) - timedelta(hours=5, minutes=30)
    stitched = idmerge.stitch(table, timezone="Asia/Kolkata")
    assert pa.types.is_timestamp(stitched["time"].type)
    assert stitched["time"].cast(pa.timestamp("us", "UTC")).to_pylist() == [expected]
    parquet.write_table(table, tmp_path / "f.parquet")
    for frame in (pl.from_arrow(table), table.to_pandas(), duckdb.from_arrow(table)):
        of_frame = pa.table(idmerge.stitch(frame, timezone="Asia/Kolkata"))
        assert of_frame["time"].cast(pa.timestamp("us", "UTC")).to_pylist() == [expected]
    written = pa.table(idmerge.stitch(tmp_path / "f.parquet", timezone="Asia/Kolkata"))
    assert written["time"].cast(pa.timestamp("us", "UTC")).to_pylist() == [expected]
    assert written.schema.field("time").type == stitched.schema.field("time").type
    examine(tmp_path / "f.parquet", timezone="Asia/Kolkata")
