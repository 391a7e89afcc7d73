"""One pass for what is said of each event in its turn: senders as known, duplicates, partitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from idmerge import DurableResolver, Resolver, StitchedEvents
from idmerge.errors import FileFormatError
from idmerge.files import blocks
from idmerge.stitching import lines, partitions
from idmerge.testing import events as workload
from stitched_by_hand import as_read, lack_ids, stitched_table
from stitched_once import in_any_way, page, tables_of, write, written_once
from strategies import D1, D2


def shown(row: dict[str, Any]) -> str:
    """Return a row as text, in which zero has no sign."""
    return repr({name: value + 0.0 if type(value) is float else value for name, value in row.items()})


@pytest.mark.rule("6", "9")
@settings(max_examples=200)
@given(
    *in_any_way,
    st.sampled_from([1, 2**10, 2**28]),
    st.sampled_from(["date", "event"]),
)
def test_the_partitions_are_those_of_two_passes(  # noqa: PLR0913, PLR0917 - all that they must not depend on
    tmp_path_factory: pytest.TempPathFactory,
    given_file: tuple[list[str], str, bytes],
    wanted: dict[str, Any],
    known: tuple[Any, Any],
    threads: int,
    block: int,
    most: int,
    by: Any,
) -> None:
    texts, suffix, content = given_file
    folder = tmp_path_factory.getbasetemp()
    path = folder / f"e.json{suffix}"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDMERGE_THREADS", str(threads))
        patch.setattr(blocks, "BLOCK", block)
        patch.setattr(partitions, "MOST_WAITING", most)
        patch.setattr(partitions, "ROWS", 3)
        try:
            events, is_once = written_once(path, folder / "parts", Resolver(*known), by, **wanted)
        except FileFormatError:
            assert lack_ids(texts)
            return
        event(f"read once: {is_once}, {[name for name in wanted if wanted[name]]}")
        told = events.duplicates, events.without_time
        count = events.write(folder / "again", partition_by=by)
        assert (events.duplicates, events.without_time) == told
    once, twice = tables_of(folder / "parts"), tables_of(folder / "again")
    assert once.keys() == twice.keys()
    for name, table in once.items():
        assert table.schema == twice[name].schema
        assert table.to_pylist() == twice[name].to_pylist()
    assert sum(table.num_rows for table in once.values()) == count
    expected = stitched_table(as_read(texts), policy=known[0], canonical=known[1], **wanted)
    rows = [row for table in once.values() for row in table.rename_columns(expected.column_names).to_pylist()]
    assert sorted(map(shown, rows)) == sorted(map(shown, expected.to_pylist()))
    if once:
        assert [field.type for field in next(iter(once.values())).schema] == expected.schema.types


def identify(user: str, device: str = D1) -> dict[str, Any]:
    properties = {"distinct_id": user, "$identified_id": user, "$anon_id": device}
    return {"event": "$identify", "properties": properties}


def known_in(output: Path) -> list[Any]:
    return parquet.read_table(output)["distinct_id_as_known"].to_pylist()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("first", "then", "is_once", "dropped"),
    [
        ([1], ["1"], "late", 1),
        ([1, "1"], ["1", 1], "always", 3),
        (["true"], [True, "true"], "always", 2),
        ([True], [True], "always", 1),
        ([1], [1.0], "late", 1),
        ([1.5, 1], [1.0, 1.5], "always", 2),
        ([1.5, 1], ["1.0", "1"], "never", 1),
        ([1.5, "1"], ["1.0", 1.0], "always", 1),
        ([None], [None], "always", 0),
        ([0], [-0.0], "late", 1),
    ],
)
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("by", [None, "event"])
def test_insert_ids_are_compared_as_the_values_of_one_column(  # noqa: PLR0913, PLR0917 - a table
    first: list[Any],
    then: list[Any],
    is_once: str,
    dropped: int,
    hidden: bool,  # noqa: FBT001
    by: Any,
    tmp_path: Path,
) -> None:
    def about(values: list[Any]) -> list[dict[str, Any]]:
        return [page(**{"$insert_id": value}) for value in values] + [page()] * 300

    events = about(first) + about(then)
    wanted = {"dedupe": True, "properties": [] if hidden else None}
    output = tmp_path / ("out" if by else "out.parquet")
    stitched, found = written_once(write(tmp_path / "e", *events), output, None, by, **wanted)
    expected = stitched_table(events, **wanted)
    (table,) = tables_of(output).values() if by else [parquet.read_table(output)]
    assert table.equals(expected)
    assert stitched.duplicates == dropped
    # What is encoded last, or is no column, can still become a wider type.
    assert found == (is_once == "always" or (is_once == "late" and (hidden or by is not None)))


def test_a_dropped_fraction_counts_where_text_comes_later(tmp_path: Path) -> None:
    """Among numbers it is the whole number's duplicate, and its column has no value then."""
    events = [page(**{"$insert_id": value}) for value in (1, 1.0, "x")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 10)
        for by in (None, "event"):
            output = tmp_path / ("out" if by else "out.parquet")
            _, is_once = written_once(write(tmp_path / "e", *events), output, None, by, dedupe=True)
            assert not is_once
            assert parquet.read_table(output)["$insert_id"].to_pylist() == ["1", "1.0", "x"]


@pytest.mark.parametrize("by", [None, "event"])
def test_a_resolver_that_has_links_already_knows_more_than_the_events(by: Any, tmp_path: Path) -> None:
    path, output = write(tmp_path / "e", page(), identify("U1"), page()), tmp_path / "out"
    resolver = Resolver()
    resolver.identify(D2, "U1")
    _, is_once = written_once(path, output, resolver, by, as_known=True)
    assert not is_once
    assert known_in(output) in ([D1, "U1", "U1"], ["U1", D1, "U1"])
    _, is_once = written_once(path, output, Resolver(), by, as_known=True)
    assert is_once
    again = StitchedEvents([path], resolver, as_known=True)
    again.learn(output=output, partition_by=by)
    again.learn(output=output, partition_by=by)
    again.write(output, partition_by=by)
    assert sorted(known_in(output)) == [D1, "U1", "U1"]


@pytest.mark.parametrize("act", ["identify", "observe", "keep_apart", "forget", "other"])
def test_links_that_come_between_two_pieces_are_not_those_of_the_files(act: str, tmp_path: Path) -> None:
    events = [page(), identify("U1"), page(), {"event": 1, "properties": {"distinct_id": D2}}, page()]
    path, resolver, other = tmp_path / "e", Resolver(), Resolver()
    lines_of_events = [json.dumps(each) for each in events]
    lines_of_events.insert(3, "no event")
    path.write_text("\n".join(lines_of_events), encoding="utf-8")

    def on_piece(piece: Any, _report: Any) -> None:
        if act == "identify":
            resolver.identify(D2, "U1")
        elif act == "observe":
            resolver.observe("somebody")
        elif act == "keep_apart":
            resolver.keep_apart(D2, "U1")
        elif act == "forget" and D1 in resolver:
            resolver.forget(D1)
        elif act == "other":
            piece.apply_to(other)

    stitched = StitchedEvents([path], resolver, as_known=True)
    stitched.learn(on_piece=on_piece, output=tmp_path / "out.parquet")
    stitched.write(tmp_path / "out.parquet")
    assert known_in(tmp_path / "out.parquet") == [D1, "U1", "U1", D2, "U1"]
    assert known_in(tmp_path / "out.parquet") == pa.table(stitched)["distinct_id_as_known"].to_pylist()


def test_ids_forgotten_after_learning_were_known_before(tmp_path: Path) -> None:
    path, output, resolver = (
        write(tmp_path / "e", page(), identify("U1"), page()),
        tmp_path / "out",
        Resolver(),
    )
    stitched = StitchedEvents([path], resolver, as_known=True)
    stitched.learn(output=output)
    resolver.forget(D1)
    resolver.identify(D2, "U1")
    stitched.write(output)
    assert known_in(output) == [D1, "U1", "U1"]


def test_a_journal_finds_senders_as_known_in_a_second_pass(tmp_path: Path) -> None:
    events = [page(), identify("U1"), page()]
    with DurableResolver.open(tmp_path / "j.idmerge") as resolver:
        _, is_once = written_once(
            write(tmp_path / "e", *events), tmp_path / "out.parquet", resolver, as_known=True
        )
        resolver.commit()
    assert not is_once
    assert known_in(tmp_path / "out.parquet") == [D1, "U1", "U1"]


def test_links_of_files_count_for_senders_as_known_from_where_they_stand(tmp_path: Path) -> None:
    write(tmp_path / "a", page(), page(distinct_id="U1"))
    (tmp_path / "b.csv").write_text(f"kind,first,second\nidentify,{D1},U1\n", encoding="utf-8")
    write(tmp_path / "c", page(), page(distinct_id=D2))
    stitched = StitchedEvents([tmp_path / name for name in ("a", "b.csv", "c")], Resolver(), as_known=True)
    stitched.learn(output=tmp_path / "out.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "flatten", None)
        stitched.write(tmp_path / "out.parquet")
    assert known_in(tmp_path / "out.parquet") == [D1, "U1", "U1", D2]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("by", ["date", "event"])
def test_usual_events_become_partitions_in_one_pass(by: Any, tmp_path: Path) -> None:
    events = [*workload(900, seed=5), *workload(700, seed=5)]
    path = write(tmp_path / "e", *events)
    events_once, is_once = written_once(
        path, tmp_path / "out", None, by, as_known=True, dedupe=True, properties=["page", "amount"]
    )
    assert is_once
    events_once.write(tmp_path / "again", partition_by=by)
    assert tables_of(tmp_path / "out") == tables_of(tmp_path / "again")
    output = tmp_path / "stitched"
    idmerge.stitch(path, output=output, partition_by=by)
    assert sum(table.num_rows for table in tables_of(output).values()) == len(events)


def test_partitions_of_many_properties_are_read_twice(tmp_path: Path) -> None:
    for properties, expected in ((240, True), (260, False)):
        path = write(tmp_path / "e", *(page(**{f"p{n}": n}) for n in range(properties)))
        _, is_once = written_once(path, tmp_path / "out", None, "date")
        assert is_once == expected
        assert sum(table.num_rows for table in tables_of(tmp_path / "out").values()) == properties


def test_another_output_than_was_learned_is_read_for_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "e", page(), page(time=1_700_000_000))
    for learned, wanted in ((None, "date"), ("date", None), ("date", "event")):
        stitched = StitchedEvents([path], Resolver())
        stitched.learn(output=tmp_path / "out", partition_by=learned)  # type: ignore[arg-type]
        stitched.write(tmp_path / "out", partition_by=wanted)  # type: ignore[arg-type]
        rows = [row for table in tables_of(tmp_path / "out").values() for row in table.to_pylist()]
        assert rows == stitched_table([page(), page(time=1_700_000_000)]).to_pylist()
        places = {path.name.partition("=")[0] for path in (tmp_path / "out").rglob("*=*")}
        assert places == ({"date": {"date"}, "event": {"event_name"}, None: set()}[wanted])


ZONED = [1_603_584_000, 1_603_587_600, 1_603_591_200, 1_603_594_800_000, 1_585_440_000.5, None, -1]
"""Among them an hour that the zone has twice."""


@pytest.mark.usefixtures("small")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(ZONED), max_size=40),
    st.lists(st.sampled_from(["2020-10-25T02:30:00Z", "2020-10-25 02:30", "1603591200", "soon"]), max_size=2),
    st.booleans(),
    st.sampled_from([None, "date"]),
)
def test_times_of_a_zone_are_shifted_in_one_pass_unless_some_are_text(
    tmp_path_factory: pytest.TempPathFactory,
    times: list[Any],
    texts: list[str],
    dedupe: bool,  # noqa: FBT001
    by: Any,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    events = [page(time=time, **{"$insert_id": "i"}) for time in (*times, *texts)]
    path = write(folder / "zoned", *events)
    stitched, is_once = written_once(
        path, folder / "zones", None, by, dedupe=dedupe, timezone="Europe/Berlin"
    )
    assert is_once == (not texts)
    told = stitched.duplicates, stitched.without_time
    expected = pa.table(stitched)
    rows = [row for table in tables_of(folder / "zones").values() for row in table.to_pylist()]
    assert sorted(map(shown, rows)) == sorted(map(shown, expected.to_pylist()))
    assert (stitched.duplicates, stitched.without_time) == told


def test_a_given_resolver_names_the_events_of_partitions(tmp_path: Path) -> None:
    resolver = Resolver()
    resolver.identify(D1, "U1")
    path = write(tmp_path / "e", page(), page(distinct_id=D2), page(distinct_id=None))
    for known in (resolver, Resolver(canonical=min)):
        _, is_once = written_once(path, tmp_path / "out", known, "date", apply=known is not resolver)
        assert is_once
        (table,) = tables_of(tmp_path / "out").values()
        assert table["distinct_id"].to_pylist() == ["U1" if known is resolver else D1, D2, None]


def test_too_many_partitions_end_the_first_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "MOST_PARTITIONS", 2)
    path = write(tmp_path / "e", *({"event": name, "properties": {}} for name in "abc"))
    with pytest.raises(FileFormatError, match="more partitions than 2; partition by date"):
        idmerge.stitch(path, output=tmp_path / "out", partition_by="event")
    assert not (tmp_path / "out").exists()


def test_an_unknown_way_to_partition_and_one_without_an_output_are_refused(tmp_path: Path) -> None:
    path: Any = write(tmp_path / "e", page())
    with pytest.raises(ValueError, match="must be 'date', 'event' or None, got 'day'"):
        idmerge.stitch(path, output=tmp_path / "out", partition_by="day")  # type: ignore[call-overload]
    for events in (path, pa.table({"event": ["a"], "distinct_id": ["a"]})):
        with pytest.raises(ValueError, match="name a directory by output="):
            idmerge.stitch(events, partition_by="date")
    with pytest.raises(ValueError, match="name a directory by output="):
        StitchedEvents([path], Resolver()).learn(partition_by="date")
