"""Sealing: each acknowledged event is exported once, whatever is killed or fails meanwhile."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import DurableResolver
from idmerge.errors import LogError
from idmerge.server.log.log import Log
from idmerge.server.log.records import Record
from idmerge.server.server import Server
from idmerge.server.store import compacting, files, sealing
from idmerge.server.store.files import EventFiles
from idmerge.server.store.index import hashes_of
from stored_by_hand import NOON, expected, exported_by, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PATIENCE = 20
DEVICES = ["0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2", "1b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"]
REFUSED = {
    "event": "$merge",
    "properties": {"distinct_id": "a", "$distinct_ids": ["a", "a"], "time": NOON},
}

ids = st.sampled_from([*DEVICES, "ana", "ben", "zoe"])


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(["View", "View", "Buy", "$identify", "$merge", "$create_alias"]))
    own: dict[str, Any] = {"distinct_id": draw(ids), "time": NOON + draw(st.integers(-2, 2))}
    if draw(st.booleans()):
        own["$insert_id"] = draw(st.sampled_from(["i", "j"]))
    if name == "$identify":
        own |= {"$anon_id": draw(ids), "$identified_id": own["distinct_id"]}
    if name == "$merge":
        own["$distinct_ids"] = [own["distinct_id"], draw(ids)]
    if name == "$create_alias":
        own["alias"] = draw(ids)
    return {"event": name, "properties": own}


def record(some: Sequence[dict[str, Any]], source: Any = "import", received: int = 0) -> Record:
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in some)
    return Record("main", "events", source, NOON * 1000 + received, lines)


records = st.builds(record, st.lists(events(), min_size=1, max_size=3), st.sampled_from(["import", "track"]))


class Steps:
    """Calls of the system that change a disk, at one of which something happens."""

    def __init__(self, number: int, happens: Callable[[], None]) -> None:
        self.left = number
        self._happens = happens

    def __enter__(self) -> None:
        self._patch = pytest.MonkeyPatch()
        for owner, name in ((Path, "replace"), (Path, "unlink"), (os, "fsync"), (os, "fdatasync")):
            self._patch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self._happens()
            return function(*arguments, **named)

        return counted

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


def fail() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have few events fill a row group, and few files merged."""
    monkeypatch.setattr(files, "GROUP", 2)
    monkeypatch.setattr(files, "GROUPS_AT_ONCE", 2)
    monkeypatch.setattr(compacting, "RUN", 2)
    monkeypatch.setattr(sealing, "POLL", 60)


def grown(server: Server, life: Sequence[tuple[str, Record]]) -> Iterator[Record]:
    """Append records, and do what is to be done behind each."""
    for act, one in life:
        server.log.append_now([one])
        yield one
        if act == "roll":
            server.log.roll()
        if act in {"seal", "compact"}:
            applied(server)
            server.store.seal()
        if act == "compact":
            server.store.compact()


def applied(server: Server) -> None:
    """Wait until all is applied, and the journal's place is committed."""
    assert server.pipeline.drain(PATIENCE)
    end = time.monotonic() + PATIENCE
    while server.pipeline.needed < server.log.end:
        assert time.monotonic() < end
        time.sleep(0.01)


acts = st.sampled_from(["", "", "roll", "seal", "seal", "compact"])


@given(
    st.lists(st.lists(st.tuples(acts, records), max_size=5), max_size=3),
    st.lists(records, min_size=1, max_size=3),
    st.integers(1, 40),
    st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_every_event_is_exported_once_whatever_is_killed_or_fails(
    tmp_path_factory: pytest.TempPathFactory,
    lives: list[list[tuple[str, Record]]],
    last: list[Record],
    step: int,
    is_killed: bool,  # noqa: FBT001 - drawn
) -> None:
    directory = tmp_path_factory.mktemp("serve") / "served"
    killed = directory.with_name("killed")
    came: list[Record] = []
    for life in lives:
        with Server(directory) as server:
            came += grown(server, life)
    with Server(directory) as server:
        came += grown(server, [("", one) for one in last])
        assert server.pipeline.drain(PATIENCE)
        with Steps(step, (lambda: _copy(directory, killed)) if is_killed else fail), suppress(OSError):
            server.store.seal()
            server.store.compact()
        server.store.seal()
        assert in_order(exported_by(server)) == in_order(expected(came))
    for left in filter(Path.exists, (directory, killed)):
        with Server(left) as server:
            assert server.pipeline.drain(PATIENCE)
            assert in_order(exported_by(server)) == in_order(expected(came))
            server.store.seal()
            server.store.compact()
            assert in_order(exported_by(server)) == in_order(expected(came))
            unfinished = [path for path in (left / "events").iterdir() if path.name.startswith(".")]
            assert unfinished == []


def _copy(directory: Path, killed: Path) -> None:
    """Keep what a killed process leaves."""
    shutil.copytree(directory, killed, dirs_exist_ok=True)


@given(st.lists(records, min_size=1, max_size=6), st.lists(records, max_size=3), ids, st.integers(1, 60))
@settings(max_examples=15, deadline=None)
def test_a_forgotten_id_is_nowhere_and_every_other_event_stays(
    tmp_path_factory: pytest.TempPathFactory,
    sealed: list[Record],
    others: list[Record],
    forgotten: str,
    step: int,
) -> None:
    directory = tmp_path_factory.mktemp("serve") / "served"
    killed = directory.with_name("killed")
    with Server(directory) as server:
        list(grown(server, [("seal", one) for one in sealed]))
        list(grown(server, [("", one) for one in others]))
        with Steps(step, lambda: _copy(directory, killed)):
            done = server.forget("main", forgotten)
        assert done.is_wiped
    stays = [
        event
        for one in [*sealed, *others]
        for event in map(json.loads, one.lines.splitlines())
        if forgotten not in json.dumps(event)
    ]
    for left in filter(Path.exists, (directory, killed)):
        with Server(left) as server:
            assert server.pipeline.drain(PATIENCE)
            if left == killed:
                server.forget("main", forgotten)
            found = exported_by(server)
            distinct = {
                json.dumps([one["event"], *(one["properties"].get(key) for key in ("time", "$insert_id"))])
                for one in found
            }
            assert distinct >= {
                json.dumps(
                    [event["event"], *(event["properties"].get(key) for key in ("time", "$insert_id"))]
                )
                for event in stays
            }
            assert forgotten not in json.dumps(found)
        content = b"".join(path.read_bytes() for path in left.rglob("*") if path.is_file())
        assert forgotten not in DEVICES or forgotten.encode() not in content


def test_the_log_loses_what_is_sealed_and_no_more(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        life = [("roll", record([event])) for event in some_views(3)]
        came = list(grown(server, life))
        applied(server)
        assert server.log.beginning == 0
        server.store.seal()
        assert server.log.beginning == server.log.end
        came += grown(server, [("", record(some_views(1)))])
        assert in_order(exported_by(server)) == in_order(expected(came))
    with Server(tmp_path) as server:
        assert in_order(exported_by(server)) == in_order(expected(came))


def some_views(count: int) -> list[dict[str, Any]]:
    return [{"event": "View", "properties": {"distinct_id": f"u{one}", "time": NOON}} for one in range(count)]


def test_records_that_nothing_has_applied_stay_in_the_log(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        list(grown(server, [("roll", record(some_views(1)))]))
        needed = server.log.end
        server.log.append_now([record(some_views(1))._replace(project="gone")])
        list(grown(server, [("roll", record(some_views(1))), ("seal", record(some_views(1)))]))
        assert server.log.beginning == needed
    with Server(tmp_path) as server:
        assert server.pipeline.drain(PATIENCE)
        server.store.seal()
        assert server.log.beginning == needed
        assert len(exported_by(server)) == 3


def test_what_a_reader_has_begun_stays_as_it_was(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        came = list(grown(server, [("seal", record([event])) for event in some_views(3)]))
        came += grown(server, [("roll", record([event])) for event in some_views(3)])
        events_then = server.events("main")
        applied(server)
        server.store.seal()
        server.store.compact()
        server.log.roll()
        server.store.drop()
        assert len(server.store.files("main").all) == 1
        rows = sum(len(table) for file in events_then.files for table in file.tables())
        assert rows + sum(map(len, events_then.tail())) == len(came)
        begin = server.log.beginning
        del events_then
        server.store.drop()
        assert server.log.beginning > begin


def test_what_a_reader_has_begun_keeps_the_reasons_of_refusals(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        list(grown(server, [("", record([REFUSED]))]))
        applied(server)
        events_then = server.events("main")
        server.store.seal()
        assert [table.column("outcome").to_pylist() for table in events_then.tail()] == [["SAME_IDS"]]


def test_small_files_are_merged_while_nothing_else_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "POLL", 0.01)
    with Server(tmp_path) as server:
        came = list(grown(server, [("seal", record([event])) for event in some_views(2)]))
        end = time.monotonic() + PATIENCE
        while len(server.store.files("main").all) > 1:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert in_order(exported_by(server)) == in_order(expected(came))


def test_a_file_whose_people_were_joined_later_is_sorted_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "POLL", 0.01)
    monkeypatch.setattr(sealing, "LOOK", 0.0)
    monkeypatch.setattr(compacting, "RUN", 100)
    people = [{"event": "View", "properties": {"distinct_id": one, "time": NOON}} for one in "abcz"]
    link = {"event": "$merge", "properties": {"distinct_id": "z", "$distinct_ids": ["a", "z"], "time": NOON}}
    with Server(tmp_path) as server:
        came = list(grown(server, [("seal", record(people)), ("", record([link]))]))
        end = time.monotonic() + PATIENCE
        while server.store.files("main").all[0].generation == 0:
            assert time.monotonic() < end
            time.sleep(0.01)
        [file] = server.store.files("main").all
        assert file.whole().column("distinct_id").to_pylist() == ["a", "z", "b", "c"]
        assert in_order(exported_by(server)) == in_order(expected(came))


def test_little_is_sealed_when_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "POLL", 0.01)
    with Server(tmp_path, seal_after=0.05) as server:
        server.log.append_now([record(some_views(1))])
        end = time.monotonic() + PATIENCE
        while not server.store.files("main").all:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_failure_to_seal_is_a_problem_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "POLL", 0.01)
    with Server(tmp_path, seal_after=0.05) as server:
        written = files.written
        monkeypatch.setattr(files, "written", lambda *_: fail())
        server.log.append_now([record(some_views(1))])
        end = time.monotonic() + PATIENCE
        while (problem := server.problem()) is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert problem == "events cannot be sealed: [Errno 28] No space left on device"
        monkeypatch.setattr(files, "written", written)
        while server.problem() is not None:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert len(exported_by(server)) == 1


def test_a_missing_file_is_no_empty_one(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        list(grown(server, [("seal", record([event])) for event in some_views(3)]))
        middle = server.store.files("main").all[1]
    middle.path.unlink()
    with pytest.raises(LogError, match=f"the events from offset {middle.first} to {middle.end} of the log"):
        Server(tmp_path)


@pytest.mark.parametrize("is_whole_directory", [True, False])
def test_the_last_file_is_missed_too(tmp_path: Path, is_whole_directory: bool) -> None:  # noqa: FBT001 - drawn
    with Server(tmp_path) as server:
        list(grown(server, [("seal", record([event])) for event in some_views(2)]))
        last = server.store.files("main").all[-1]
    if is_whole_directory:
        shutil.rmtree(tmp_path / "events")
    else:
        last.path.unlink()
    first = 0 if is_whole_directory else last.first
    for opened in (Server, lambda path: EventFiles(path / "events", read_only=True)):
        with pytest.raises(LogError, match=f"the events from offset {first} to {last.end} of the log"):
            opened(tmp_path)


def test_damaged_events_are_not_shown(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        list(grown(server, [("seal", record(some_views(40)))]))
        [file] = server.store.files("main").all
    content = file.path.read_bytes()
    place = content.index(b"View")
    file.path.write_bytes(content[:place] + b"Viex" + content[place + 4 :])
    with Server(tmp_path) as server, pytest.raises(LogError, match="the file of events is damaged"):
        exported_by(server)


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "other hashes"])
def test_a_lost_index_is_made_anew(tmp_path: Path, damage: str) -> None:
    with Server(tmp_path) as server:
        list(grown(server, [("seal", record(some_views(3)))]))
    for path in (tmp_path / "events").glob("*.npy"):
        content = path.read_bytes()
        path.write_bytes({"empty": b"", "cut": content[:-9]}.get(damage, content[:-48] + bytes(48)))
        if damage == "gone":
            path.unlink()
    with Server(tmp_path) as server:
        [file] = server.store.files("main").all
        found = [sum(map(len, file.of(hashes_of([one]), pa.array([one])))) for one in ("u0", "u2", "u3")]
        assert found == [1, 1, 0]


def test_a_reason_is_kept_once_if_the_journal_is_not_committed(tmp_path: Path) -> None:
    came = [record([REFUSED, REFUSED])]
    with pytest.MonkeyPatch.context() as patch, Server(tmp_path) as server:
        patch.setattr(DurableResolver, "commit", lambda *_, **__: fail())
        server.log.append_now(came)
        end = time.monotonic() + PATIENCE
        while not (tmp_path / "outcomes").stat().st_size:
            assert time.monotonic() < end
            time.sleep(0.01)
    with Server(tmp_path) as server:
        assert server.pipeline.drain(PATIENCE)
        size = (tmp_path / "outcomes").stat().st_size
        assert [one["properties"]["$failure_reason"] for one in exported_by(server)] == ["errSameIDs"] * 2
        assert server.resolver("main").position == 2
    with Server(tmp_path) as server:
        assert (tmp_path / "outcomes").stat().st_size == size == 2 * 16
        server.store.seal()
        assert (tmp_path / "outcomes").stat().st_size == 0
        assert in_order(exported_by(server)) == in_order(expected(came))


def test_a_journal_that_lacks_what_the_log_has_dropped_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        list(grown(server, [("seal", record(some_views(1)))]))
    old = tmp_path / "old"
    old.mkdir()
    for path in tmp_path.glob("ids.idmerge*"):
        shutil.copy(path, old)
    with Server(tmp_path) as server:
        list(grown(server, [("roll", record(some_views(1))), ("roll", record(some_views(1)))]))
        applied(server)
        server.store.seal()
        assert server.log.beginning > 0
    for path in old.iterdir():
        shutil.copy(path, tmp_path)
    with pytest.raises(LogError, match="and the log begins at"):
        Server(tmp_path)


def test_a_new_project_begins_where_the_log_does(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        list(grown(server, [("roll", record(some_views(1))), ("seal", record(some_views(1)))]))
        assert server.log.beginning > 0
    with (tmp_path / "idmerge.toml").open("a") as file:
        file.write('[[project]]\nname = "new"\ntoken = "t"\nsecret = "s"\n')
    with Server(tmp_path) as server:
        server.log.append_now([record(some_views(1))._replace(project="new")])
        assert server.pipeline.drain(PATIENCE)
        server.store.seal()
        assert [len(exported_by(server, name)) for name in ("new", "main")] == [1, 2]
    log = Log(tmp_path / "log")
    log.close()


def test_a_server_that_is_open_imports_nothing_more(tmp_path: Path) -> None:
    code = f"""
import json, sys
from idmerge.server.log.records import Record
from idmerge.server.server import Server

events = [
    {{"event": "View", "properties": {{"distinct_id": "ana", "time": 1764500000, "$insert_id": "i"}}}},
    {{"event": "$merge", "properties": {{"$distinct_ids": ["ana", "ben"]}}}},
]
lines = b"".join(json.dumps(event).encode() + b"\\n" for event in events)
update = json.dumps({{"$distinct_id": "ana", "$set": {{"plan": "pro"}}}}).encode() + b"\\n"
with Server({str(tmp_path / "served")!r}) as server:
    before = set(sys.modules)
    received = 1_764_500_000_000
    server.log.append_now([Record("main", "events", "import", received, lines)])
    server.log.append_now([Record("main", "updates", "track", received, update)])
    assert server.pipeline.drain(60)
    server.store.seal()
    print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", "an import holds up each request"
