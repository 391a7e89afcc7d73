"""Tables of events under each API: what the same events as dicts state, and whose they are (SPEC 3)."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from idmerge import Outcome, Policy, Resolver, reference
from idmerge._ids import as_id
from idmerge.cli.group import commands
from idmerge.errors import DialectError, FileFormatError, PolicyError
from idmerge.events import sender_of
from idmerge.files import scan
from idmerge.files.textrows import rows_of
from idmerge.policy import is_unicode
from resolver_state import state

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BEFORE = "$distinct_id_before_identity"
POLICIES = {"original": Policy(), "simplified": Policy.simplified(), "legacy": Policy.legacy()}
each_api = pytest.mark.parametrize("api", POLICIES)

NAMES = ["View", "Log In", "$identify", "$create_alias", "$merge"]
TEXTS = ["", "ana", "ben", "d", "e", "$device:", "$device:d", "$device:$device:e", "null", "5"]
"""IDs and what is none, few enough to meet."""
FIELDS = ["distinct_id", "$device_id", "$user_id", BEFORE, "$failure_reason", "alias", "$anon_id"]

Row = dict[str, Any]


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows with the fields of events, each of texts or of integers, and nulls."""
    numbers = st.sampled_from([None, 5, 42, -7])
    texts = st.sampled_from([None, *TEXTS])
    names = draw(st.lists(st.sampled_from(FIELDS), unique=True, min_size=1))
    if not {"distinct_id", "$device_id", "$user_id"} & {*names}:
        names.append(draw(st.sampled_from(FIELDS[:3])))
    kinds = {name: draw(st.sampled_from([texts, texts, texts, numbers])) for name in names}
    row = st.fixed_dictionaries({"event": st.sampled_from([None, *NAMES]), **kinds})
    return draw(st.lists(row, min_size=1, max_size=8))


def events_of(rows: Sequence[Row]) -> list[Row]:
    """Return the events that rows are; a null is a field that is not there."""
    return [
        {
            "event": row["event"],
            "properties": {
                name: value for name, value in row.items() if name != "event" and value is not None
            },
        }
        for row in rows
    ]


def in_text(rows: Sequence[Row]) -> list[Row]:
    """Return rows as a CSV has them: texts, and nulls for empty ones."""
    return [
        {name: None if value in {None, ""} else str(value) for name, value in row.items()} for row in rows
    ]


def judged(events: Sequence[Row], policy: Policy) -> tuple[reference.Resolver, Any]:
    resolver = reference.Resolver(policy)
    return resolver, resolver.apply_events(events)


def stitched(events: Sequence[Row], resolver: Any, api: Any) -> tuple[list[str | None], list[str | None]]:
    """Return the canonical ID of each event, and the ID before any stitching."""
    senders = [sender_of(event, api) for event in events]
    before = [as_id(event["properties"].get(BEFORE)) for event in events]
    sent = [own if own is not None and is_unicode(own) else None for own in senders]
    known = [None if own is None else resolver.resolve(own) for own in sent]
    return known, [own if given is None else given for given, own in zip(before, senders, strict=True)]


def texts_of(rows: Sequence[Row], beside: Sequence[str] = ()) -> pa.Table:
    """Return rows with their properties as JSON text, but for those ``beside``."""
    columns: Row = {"event": pa.array([row["event"] for row in rows], pa.string())}
    columns |= {
        name: pa.array([row[name] for row in rows]) for name in beside if any(name in row for row in rows)
    }
    inner = [
        {name: value for name, value in row.items() if name not in {"event", *columns} and value is not None}
        for row in rows
    ]
    return pa.table({**columns, "properties": [json.dumps(properties) for properties in inner]})


def flat(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows))


def tables_of(rows: Sequence[Row], api: str) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows in each layout that a table may have."""
    yield "columns", flat(rows)
    encoded = flat(rows)
    for place, field in enumerate(encoded.schema):
        if field.type == pa.string():
            encoded = encoded.set_column(place, field.name, encoded.column(place).dictionary_encode())
    yield "dictionaries", encoded
    yield "texts", texts_of(rows)
    if api == "simplified":  # Elsewhere a column of IDs counts alone for an ordinary event.
        yield "texts and columns", texts_of(rows, ["$user_id", "distinct_id"])
    inner = [event["properties"] or {"none": 1} for event in events_of(rows)]
    names = pa.array([row["event"] for row in rows], pa.string())
    yield "structs", pa.table({"event": names, "properties": inner})
    in_bytes = flat(rows)
    for place, field in enumerate(in_bytes.schema):
        if field.type == pa.string() and field.name not in {"event", "$failure_reason"}:
            in_bytes = in_bytes.set_column(place, field.name, in_bytes.column(place).cast(pa.binary()))
    yield "bytes", in_bytes


@each_api
@given(rows=tables())
@settings(max_examples=60)
@pytest.mark.rule("3.simplified id merge", "3.legacy")
def test_rows_of_every_layout_state_what_the_events_do(api: Any, rows: list[Row]) -> None:
    events, policy = events_of(rows), POLICIES[api]
    expected, report = judged(events, policy)
    for layout, table in tables_of(rows, api):
        if api != "simplified" and not {"distinct_id", "properties"} & {*table.column_names}:
            continue
        resolver = Resolver(policy)
        piece = rows_of(table, api=api)
        told = piece.apply_to(resolver)
        assert told == report, layout
        assert state(resolver) == state(expected), layout
        links = list(piece.judged(told))
        assert [link.outcome for link in links] == [*map(Outcome, report.outcomes)], layout
        assert [link.line for link in links] == [row + 1 for row in report.rows], layout
        ids = [as_id(event["properties"].get("distinct_id")) for event in events]
        assert piece.has_ids() == (
            any(sender_of(event, api) is not None for event in events) or bool(links) or any(ids)
        ), layout
        assert piece.odd_ids() == [], layout


@each_api
@given(rows=tables(), as_known=st.booleans())
@settings(max_examples=25)
def test_tables_of_every_family_are_stitched_as_their_events(
    api: Any, rows: list[Row], *, as_known: bool
) -> None:
    events, policy = events_of(rows), POLICIES[api]
    expected, _ = judged(events, policy)
    ids, before = stitched(events, expected, api)
    follower, known = reference.Resolver(policy), []
    for event in events:
        own = sender_of(event, api)
        known.append(None if own is None else follower.resolve(own))
        follower.apply(event)
    for layout, table in tables_of(rows, api):
        if api != "simplified" and not {"distinct_id", "properties"} & {*table.column_names}:
            continue
        frames: dict[str, Any] = {"arrow": table}
        if layout in {"columns", "texts"}:
            frames |= {"polars": pl.from_arrow(table)}
            frames |= {"pandas": pd.DataFrame({name: table[name].to_pylist() for name in table.column_names})}
        for family, frame in frames.items():
            answer = idmerge.stitch(frame, policy=policy, as_known=as_known, on_report=lambda _report: None)
            told = {
                name: texts(answer[name])
                for name in ("distinct_id", BEFORE, *(["distinct_id_as_known"] if as_known else []))
            }
            assert told["distinct_id"] == ids, (layout, family)
            assert told[BEFORE] == before, (layout, family)
            assert told.get("distinct_id_as_known", known) == known, (layout, family)
            # A resolver that has the links already gives the same IDs.
            full = Resolver(policy)
            full.apply_events(events)
            again = idmerge.stitch(frame, full, on_report=lambda _report: None)
            assert texts(again["distinct_id"]) == ids, (layout, family)


def texts(column: Any) -> list[str | None]:
    """Return a column of any family as texts."""
    values = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
    return [
        value.decode() if isinstance(value, bytes) else None if pd.isna(value) else value for value in values
    ]


def written(rows: Sequence[Row], place: Path, form: str, api: str) -> Path:
    path = place / f"events.{form}"
    if form == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(rows)
    else:
        table = (
            flat(rows) if form == "parquet" else texts_of(rows, ["$user_id"] if api == "simplified" else [])
        )
        parquet.write_table(table, path)
    return path


@each_api
@pytest.mark.parametrize("form", ["csv", "parquet", "texts.parquet"])
@given(rows=tables())
@settings(max_examples=25)
def test_tables_in_files_are_read_as_their_events(
    api: Any, form: str, rows: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = in_text(rows) if form == "csv" else rows
    if api != "simplified" and "distinct_id" not in rows[0] and form != "texts.parquet":
        return
    events, policy = events_of(rows), POLICIES[api]
    expected, report = judged(events, policy)
    path = written(rows, tmp_path_factory.mktemp("tables"), form, api)
    resolver, told = Resolver(policy), []
    for piece in scan(path, api=api, dialect="flat"):
        told += [int(outcome) for outcome in piece.apply_to(resolver).outcomes]
    assert told == [int(outcome) for outcome in report.outcomes]
    assert state(resolver) == state(expected)
    table = pa.table(idmerge.stitch(path, policy=policy, dialect="flat", on_report=lambda _report: None))
    ids, before = stitched(events, expected, api)
    assert table["distinct_id"].to_pylist() == ids
    assert table[BEFORE].to_pylist() == before


# Columns of users and devices, without a distinct_id

SHOP = [
    {"event": "View", "device_id": "d", "user_id": None, "time": 1, "mp_processing_time_ms": 30},
    {"event": "Log In", "device_id": "d", "user_id": "ana", "time": 2, "mp_processing_time_ms": 20},
    {"event": "Log In", "device_id": "d", "user_id": "ben", "time": 3, "mp_processing_time_ms": 10},
    {"event": "View", "device_id": None, "user_id": None, "time": 4, "mp_processing_time_ms": 40},
    {"event": "$identify", "device_id": None, "user_id": "ana", "time": 5, "mp_processing_time_ms": 50},
]


@pytest.fixture(params=["csv", "parquet", "arrow", "ndjson"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path: Path = tmp_path / f"shop.{request.param}"
    if request.param == "csv":
        lines = [
            ",".join(SHOP[0]),
            *(",".join(str("" if v is None else v) for v in row.values()) for row in SHOP),
        ]
        path.write_text("\n".join(lines))
    elif request.param == "parquet":
        parquet.write_table(flat(SHOP), path)
    elif request.param == "arrow":
        with pa.ipc.new_file(path, flat(SHOP).schema) as writer:
            writer.write_table(flat(SHOP))
    else:
        path.write_text("\n".join(map(json.dumps, SHOP)))
    return path


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(commands, [*map(str, arguments), "--api", "simplified"])
    assert result.exit_code == 0, result.output
    return result


def test_commands_take_users_and_devices_without_a_distinct_id(shop: Path, tmp_path: Path) -> None:
    resolved = run("resolve", shop, "-o", "-")
    assert resolved.stdout.splitlines()[1:] == ["$device:d,ana,2", "ana,ana,2", "ben,ben,1"]
    for outcome in ("MERGED", "ANON_CLAIMED", "VERB_NOT_ALLOWED"):
        assert f"1  {outcome}" in resolved.stderr, outcome
    assert "$device:d" in run("show", "ana", shop).stdout
    run("stitch", shop, "-o", tmp_path / "s.parquet")
    stitched = parquet.read_table(tmp_path / "s.parquet")
    assert stitched["distinct_id"].to_pylist() == ["ana", "ana", "ben", None, "ana"]
    run("ask", "signup-rate", shop, "--signup", "Log In")


def test_a_sorted_table_is_judged_in_the_order_of_processing(shop: Path) -> None:
    resolved = run("resolve", shop, "--sort", "-o", "-")
    assert resolved.stdout.splitlines()[1:] == ["$device:d,ben,2", "ben,ben,2", "ana,ana,1"]
    table = pa.table(idmerge.stitch(shop, policy=Policy.simplified(), sort=True, on_report=lambda _: None))
    assert table["distinct_id"].to_pylist() == ["ben", "ana", "ben", None, "ana"]


def test_links_that_are_rejected_are_named_with_their_lines(shop: Path) -> None:
    resolver = Resolver(Policy.simplified())
    links = [
        link for piece in scan(shop, api="simplified") for link in piece.judged(piece.apply_to(resolver))
    ]
    first = 2 if shop.suffix == ".csv" else 1
    told = [(link.line - first, link.kind.name, link.first, link.outcome.name) for link in links]
    assert told == [
        (1, "ASSOCIATION", "$device:d", "MERGED"),
        (2, "ASSOCIATION", "$device:d", "ANON_CLAIMED"),
        (4, "IDENTIFY", None, "VERB_NOT_ALLOWED"),
    ]


@pytest.mark.parametrize("api", ["original", "legacy"])
def test_other_apis_need_a_distinct_id(api: Any, shop: Path) -> None:
    if shop.suffix == ".ndjson":
        return  # There an identity event is one of an ID.
    with pytest.raises(FileFormatError, match="distinct_id or properties"):
        [piece.apply_to(Resolver(POLICIES[api])) for piece in scan(shop, api=api)]
    with pytest.raises(DialectError, match="distinct_id or properties"):
        idmerge.stitch(flat(SHOP), policy=POLICIES[api])


def test_a_table_without_any_id_names_the_columns_that_would_do() -> None:
    with pytest.raises(DialectError, match=r"distinct_id or properties or \$user_id or \$device_id"):
        idmerge.stitch(pa.table({"event": ["A"], "uid": ["b"]}), policy=Policy.simplified())


def test_a_column_of_users_whose_values_are_no_ids_is_an_error(tmp_path: Path) -> None:
    table = pa.table({"event": ["A", "B"], "user_id": [7.0, 1.5]})
    with pytest.raises(TypeError, match=r"column \$user_id.*1\.5"):
        idmerge.stitch(table, policy=Policy.simplified())
    parquet.write_table(table, tmp_path / "e.parquet")
    for read in (
        lambda: idmerge.stitch(tmp_path / "e.parquet", policy=Policy.simplified()),
        lambda: [
            piece.apply_to(Resolver(Policy.simplified()))
            for piece in scan(tmp_path / "e.parquet", api="simplified")
        ],
    ):
        with pytest.raises(FileFormatError, match=r"e\.parquet: .*\$user_id.*1\.5"):
            read()


def test_users_of_every_type_of_ids_are_their_texts() -> None:
    for users in ([7, None], [7.0, None], pa.array([7, None], pa.decimal128(5, 0)), [b"7", None]):
        table = pa.table({"event": ["A", "B"], "device_id": ["d", "d"], "user_id": users})
        stitched = idmerge.stitch(table, policy=Policy.simplified(), on_report=lambda _: None)
        assert stitched["distinct_id"].to_pylist() == ["7", "7"], users


def test_a_piece_of_another_api_is_refused() -> None:
    for table in (
        pa.table({"event": ["A"], "distinct_id": ["b"]}),
        texts_of([{"event": "A", "distinct_id": "b"}]),
    ):
        with pytest.raises(PolicyError, match=r"read with api='original', .* has api='legacy'"):
            rows_of(table).apply_to(Resolver(Policy.legacy()))


def test_a_hot_shard_s_event_has_its_user_and_its_device() -> None:
    names = ["$hotshard_events", "View"]
    columns = {"event": names, "mp_original_event_name": ["Log In", None], "device_id": ["d", "d"]}
    table = pa.table({**columns, "user_id": ["ana", None]})
    stitched = idmerge.stitch(table, policy=Policy.simplified(), on_report=lambda _: None)
    assert stitched["distinct_id"].to_pylist() == ["ana", "ana"]
    assert stitched["event"].to_pylist() == ["Log In", "View"]


@pytest.mark.parametrize("name", ["alias", "$anon_id", "$identified_id", "identified_id"])
@pytest.mark.parametrize("values", [[True, None], [1.5, 2.0], [{"a": 1}, None], [["a"], None]])
def test_a_column_called_as_an_operand_may_be_of_any_type_where_no_operand_counts(
    name: str, values: list[Any], tmp_path: Path
) -> None:
    table = pa.table({"event": ["A", "$create_alias"], "device_id": ["d", "d"], "user_id": ["u", None]})
    texts = table.append_column("properties", pa.array(['{"a":1}', "{}"]))
    for place, layout in enumerate((table, texts)):
        given = layout.append_column(name, pa.array(values))
        parquet.write_table(given, tmp_path / f"{place}.parquet")
        for events in (given, tmp_path / f"{place}.parquet"):
            report: list[Any] = []
            stitched = pa.table(idmerge.stitch(events, api="simplified", on_report=report.append))
            assert stitched["distinct_id"].to_pylist() == ["u", "u"]
            assert report[0].outcomes[Outcome.VERB_NOT_ALLOWED] == 1


@pytest.mark.parametrize("reason", [True, 1.5])
def test_a_reason_for_refusing_of_any_type_refuses(reason: object) -> None:
    rows = [{"event": "A", "$device_id": "d", "$user_id": "u", "$failure_reason": reason}]
    expected, report = judged(events_of(rows), POLICIES["simplified"])
    assert rows_of(flat(rows), api="simplified").apply_to(Resolver(POLICIES["simplified"])) == report
    assert not expected.same("$device:d", "u")


@each_api
def test_a_hot_shard_s_event_may_lack_the_columns_of_its_own_event(api: Any) -> None:
    table = pa.table({"event": ["$hotshard_events", "View"], "distinct_id": ["d", "d"]})
    stitched = idmerge.stitch(table, api=api, on_report=lambda _: None)
    assert stitched["distinct_id"].to_pylist() == [None, "d"]
