"""Events of files as a server's directory: links judged as by `resolve`, events as by `stitch`."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import Policy, Resolver, StitchedEvents
from idmerge.errors import FileFormatError
from idmerge.files import scan
from idmerge.files.whole import whole
from idmerge.policy import PRESETS
from idmerge.server.directory import Directory
from idmerge.server.loading import load, properties_of
from idmerge.server.server import Server
from idmerge.testing import events
from log_records import record

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("examples/*.ndjson"), *ROOT.glob("tests/data/field/*")])
PEOPLE = ("engage", "people")
EVENTS = [path for path in FILES if not any(name in path.name for name in PEOPLE)]


def loaded(path: Path, place: Path, policy: Policy = Policy(), **rules: Any) -> Counter[Any]:  # noqa: B008
    """Load a file; return how often each outcome came."""
    found: Counter[Any] = Counter()
    load(
        Directory.make(place, policy, **rules),
        [str(path)],
        on_piece=lambda _, report: found.update(report.outcomes.tolist()),
    )
    return found


def shown(server: Server) -> pa.Table:
    name = server.projects[0].name
    return pa.concat_tables([file.whole() for file in server.events(name).files])


@pytest.mark.parametrize("api", ["original", "simplified"])
@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.name)
def test_links_are_judged_as_they_are_by_resolve(path: Path, api: str, tmp_path: Path) -> None:
    policy = PRESETS[api]  # type: ignore[index]
    resolver, outcomes = Resolver(policy), Counter[Any]()
    for piece in scan(path, api=policy.api):
        outcomes.update(piece.apply_to(resolver).outcomes.tolist())
    assert loaded(path, tmp_path / "d", policy) == outcomes
    with Server(tmp_path / "d") as server:
        found = server.resolver("main")
        assert found.mapping().to_pydict() == resolver.mapping().to_pydict()
        assert found.policy == policy
        assert server.drain(10)
        assert server.problem() is None


@pytest.mark.parametrize("zone", [None, "Asia/Kolkata"])
@pytest.mark.parametrize(
    "path", [path for path in EVENTS if not path.name.startswith("mappings")], ids=lambda path: path.name
)
def test_events_have_the_ids_and_times_that_stitch_gives_them(
    path: Path, zone: str | None, tmp_path: Path
) -> None:
    has_insert_ids = path.name != "int_time.parquet"  # Without them no event is a repeated one.
    stitched = StitchedEvents([str(path)], Resolver(), timezone=zone, dedupe=has_insert_ids)
    stitched.learn()
    table = pa.Table.from_batches(list(stitched.batches()), stitched.schema)
    sent = table.column("$distinct_id_before_identity")
    times = [None if time is None else int(time.timestamp() * 1000) for time in table["time"].to_pylist()]
    wanted = Counter(
        zip(
            table.column("event").to_pylist(),
            sent.to_pylist(),
            table.column("distinct_id").to_pylist(),
            times,
            strict=True,
        )
    )
    loaded(path, tmp_path / "d", timezone=zone)
    with Server(tmp_path / "d") as server:
        found = shown(server)
    moments = found["time"].cast(pa.int64()).to_pylist()
    received = found["received"].cast(pa.int64()).to_pylist()
    given = zip(
        found["event"].to_pylist(),
        found["distinct_id"].to_pylist(),
        found["canonical_id"].to_pylist(),
        [None if time == now else time for time, now in zip(moments, received, strict=True)],
        strict=True,
    )
    assert Counter(given) == wanted


@given(st.integers(1, 400), st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_every_way_of_writing_the_same_events_is_loaded_alike(count: int, seed: int) -> None:
    made = list(events(count, seed=seed))
    lines = "".join(json.dumps(event) + "\n" for event in made)
    with TemporaryDirectory() as place:
        root = Path(place)
        (root / "e.ndjson").write_text(lines)
        (root / "e.json").write_text(json.dumps(made))
        (root / "blank.ndjson").write_text("\n \n" + lines.replace("\n", "\n\n"))
        with gzip.open(root / "e.ndjson.gz", "wt") as file:
            file.write(lines)
        answers = []
        for number, path in enumerate(sorted(root.glob("*.*"))):
            outcomes = loaded(path, root / f"d{number}")
            with Server(root / f"d{number}") as server:
                mapping = server.resolver("main").mapping().to_pydict()
                columns = [
                    "event",
                    "distinct_id",
                    "canonical_id",
                    "time",
                    "insert_id",
                    "outcome",
                    "properties",
                ]
                rows = shown(server).select(columns).to_pylist()
                answers.append((outcomes, mapping, sorted(rows, key=repr)))
        assert all(answer == answers[0] for answer in answers)


def test_what_is_loaded_is_a_server_that_goes_on(tmp_path: Path) -> None:
    path = ROOT / "examples" / "flow-5-merge.ndjson"
    loaded(path, tmp_path / "d", name="my data (1).ndjson")
    with Server(tmp_path / "d") as server:
        [project] = server.projects
        assert project.name == "my-data-1-.ndjson"
        before = server.resolver(project.name).position
        merge = {"event": "$merge", "properties": {"$distinct_ids": ["ada@example.com", "later"]}}
        server.log.append_now([record(merge, project=project.name)])
        assert server.drain(10)
        assert server.resolver(project.name).position == before + 1
        server.store.seal()
        assert [file.rows for file in server.events(project.name).files] == [8, 1]
    shutil.copytree(tmp_path / "d", tmp_path / "copy")
    with Server(tmp_path / "copy") as server:
        assert "later" in server.resolver(project.name)


def test_refused_links_have_their_reason(tmp_path: Path) -> None:
    loaded(ROOT / "examples" / "shop.ndjson", tmp_path / "d")
    with Server(tmp_path / "d") as server:
        found = Counter(shown(server)["outcome"].to_pylist())
    assert {name for name in found if name} == {
        "SAME_IDS",
        "ANON_FORMAT",
        "ANON_CLAIMED",
        "ALIAS_TAKEN",
        "INVALID_ID",
        "MALFORMED",
    }


def test_a_table_keeps_all_of_its_columns(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    far = pa.array([4_102_444_800_000 * 1000], pa.timestamp("ms"))
    table = pa.table(
        {
            "event": ["Buy"],
            "distinct_id": ["ana"],
            "time": pa.array([1_700_000_000_000], pa.timestamp("ms")),
            "price": [3.5],
            "nothing": pa.array([None], pa.string()),
            "not a number": [float("nan")],
            "bytes": [b"\xff\x00"],
            "nested": [{"a": [1, None], "b": None}],
            "far": far,
            "ünïcode\n": ["\u202e"],
        }
    )
    pq.write_table(table, tmp_path / "e.parquet")
    loaded(tmp_path / "e.parquet", tmp_path / "d")
    with Server(tmp_path / "d") as server:
        [text] = shown(server)["properties"].to_pylist()
    found = json.loads(text)
    assert "4102444800000000" in found.pop("far")  # Python has no such year.
    assert found == {
        "distinct_id": "ana",
        "time": 1_700_000_000_000,
        "price": 3.5,
        "not a number": None,
        "bytes": "\ufffd\x00",
        "nested": {"a": [1, None], "b": None},
        "ünïcode\n": "\u202e",
    }
    assert properties_of(pa.table({"event": ["x"]}), pa.array([None], pa.int64())) == ["{}"]


def test_files_of_people_and_damaged_ones_are_errors(tmp_path: Path) -> None:
    for number, path in enumerate(path for path in FILES if path not in EVENTS):
        with pytest.raises(FileFormatError, match="profiles of people"):
            loaded(path, tmp_path / f"d{number}")
    (tmp_path / "e.ndjson").write_text('{"event": "A", "properties": {"distinct_id": "a"}}\n{"event": \n')
    pieces = [one.piece for one in whole(str(tmp_path / "e.ndjson"))]
    assert [len(piece) for piece in pieces] == [1, 0]
    loaded(tmp_path / "e.ndjson", tmp_path / "good")
    (tmp_path / "bad.ndjson").write_text("{\n{\n")
    with pytest.raises(FileFormatError, match="no line is an event"):
        loaded(tmp_path / "bad.ndjson", tmp_path / "bad")


def test_settings_state_the_policy_they_were_made_with(tmp_path: Path) -> None:
    for number, policy in enumerate(
        (
            Policy(),
            Policy.unrestricted(),
            Policy(max_cluster_size=None, blocked_ids=frozenset({'a\x7f"\\\n', "é🙂"}), alias_once=False),
            *PRESETS.values(),
        )
    ):
        made = Directory.make(tmp_path / str(number), policy, canonical="smallest", timezone="Asia/Kolkata")
        assert (made.projects[0].policy, made.projects[0].canonical) == (policy, "smallest")
    with pytest.raises(FileExistsError):
        Directory.make(tmp_path / "0", Policy())
