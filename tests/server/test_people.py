"""Profiles of a server: they follow the log, each update once, whatever ends or fails."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import DurableResolver, Profiles, Resolver
from idmerge.errors import FileFormatError, MalformedUpdateError
from idmerge.profiles.updates import OPERATIONS
from idmerge.server import pipeline as pipeline_module
from idmerge.server.directory import Directory
from idmerge.server.log.log import Log
from idmerge.server.people import peoplestore, updatefile
from idmerge.server.people.directory import profiles_of
from idmerge.server.people.peoplestore import PeopleStore
from idmerge.server.people.resolving import Unlinked, updates_of_people
from idmerge.server.people.updatefile import UpdateFile
from idmerge.server.server import Server
from live_server import serving
from log_records import kept, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from idmerge.server.log.records import Record

PATIENCE = 30
DEVICE = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
IDS = ["ana", "ben", "crm-17", DEVICE, "null", "é", '", "$ignore_alias": true', 17]


def merge(first: Any, second: Any) -> Record:
    return record({"event": "$merge", "properties": {"$distinct_ids": [first, second]}})


def update(own: Any, **fields: Any) -> Record:
    return record({"$distinct_id": own, **fields})._replace(stream="updates")


def lines(*updates: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in updates)


def stored(profiles: Profiles) -> dict[str, Any]:
    """Return every profile, under the ID under which it is stored."""
    found: dict[str, Any] = {}
    for own in [*map(str, IDS), *profiles]:
        canonical = profiles.resolver.resolve(own)
        found |= {canonical: profiles.get(canonical)} | profiles.hidden(canonical)
    return found


def in_memory(records: Iterable[Record]) -> tuple[Resolver, Profiles]:
    """What the records make, applied one by one."""
    resolver = Resolver()
    profiles = Profiles(resolver)
    for one in records:
        if one.stream == "events":
            resolver.apply_body(one.lines, "application/x-ndjson", one.source)
            continue
        for line in one.lines.splitlines():
            if OPERATIONS.keys().isdisjoint(json.loads(line)):  # A row of an export is no update here.
                continue
            with suppress(MalformedUpdateError):
                profiles.update(line)
    return resolver, profiles


def check_is_as_in_memory(directory: Path) -> None:
    """Compare what a server's directory holds with its log, applied in memory."""
    with Server(directory) as server:
        assert server.pipeline.drain(PATIENCE), server.problem()
        assert server.problem() is None
        found = server.profiles("main")
        log = kept(server.log)
        resolver, twin = in_memory(log)
        assert server.resolver("main").position == resolver.position
        assert stored(found) == stored(twin)
    [project] = Directory.read(directory).projects
    with DurableResolver.open(project.journal, read_only=True) as reader:
        assert stored(profiles_of(project, reader)) == stored(twin)


# The laws

names = st.sampled_from(["plan", "n", "tags"])
values = st.one_of(st.integers(-3, 3), st.sampled_from(["pro", "é", "\ud83d", None]), st.booleans())
operations = st.one_of(
    st.tuples(st.sampled_from(["$set", "$set_once", "$append", "$remove"]), st.dictionaries(names, values)),
    st.tuples(st.just("$add"), st.dictionaries(names, st.integers(-3, 3))),
    st.tuples(st.just("$add"), st.just({"n": "1"})),
    st.tuples(st.just("$union"), st.dictionaries(names, st.lists(values, max_size=3))),
    st.tuples(st.just("$unset"), st.lists(names, max_size=2)),
    st.tuples(st.just("$delete"), st.just("")),
    st.tuples(st.just("$ignore_alias"), st.just(True)),  # noqa: FBT003 - a value of JSON
    st.tuples(st.just("$properties"), st.just({"plan": "row of an export"})),
)
update_records = st.builds(
    lambda own, given: update(own, **dict(given)), st.sampled_from(IDS), st.lists(operations, max_size=3)
)
link_records = st.builds(merge, st.sampled_from(IDS), st.sampled_from(IDS))
any_records = st.one_of(update_records, update_records, link_records)

Step = tuple[type, str]
STEPS: list[tuple[Any, str]] = [
    (UpdateFile, "append"),
    (DurableResolver, "commit"),
    (peoplestore, "fold"),
    (PeopleStore, "_begin_file"),
    (peoplestore, "_remove"),
]


def die_at(patch: pytest.MonkeyPatch, place: int, *, after: bool) -> None:
    """Let the step at ``place``, and all later ones, fail: before they do something or after."""
    lock, counted = threading.Lock(), 0

    def failing(step: Callable[..., Any]) -> Callable[..., Any]:
        def replaced(*arguments: Any, **named: Any) -> Any:
            nonlocal counted
            with lock:
                counted += 1
                number = counted
            if number < place or (number == place and after):
                result = step(*arguments, **named)
                if number < place:
                    return result
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        return replaced

    for owner, name in STEPS:
        patch.setattr(owner, name, failing(getattr(owner, name)))


@given(
    st.lists(
        st.tuples(
            st.lists(st.lists(any_records, min_size=1, max_size=3), min_size=1, max_size=6),
            st.integers(1, 12),
            st.booleans(),
        ),
        max_size=4,
    )
)
@settings(max_examples=20)
def test_profiles_are_those_of_the_log_in_memory_wherever_a_server_died(
    tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[list[list[Record]], int, bool]]
) -> None:
    directory = tmp_path_factory.mktemp("serve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peoplestore, "LEAST_FOLDED", 200)
        patch.setattr(pipeline_module, "COMMIT_SECONDS", 0.005)
        patch.setattr(pipeline_module, "RETRY", 0.005)
        for appends, place, after in lives:
            with pytest.MonkeyPatch.context() as dying, Server(directory) as server:
                die_at(dying, place, after=after)
                for number, append in enumerate(appends):
                    server.log.append_now(append)
                    if number % 2:
                        server.pipeline.drain(0.02)
        check_is_as_in_memory(directory)


@given(st.lists(st.lists(update_records, max_size=8), min_size=1, max_size=6))
@settings(max_examples=30)
def test_a_folded_store_has_what_its_updates_made(
    tmp_path_factory: pytest.TempPathFactory, flushes: list[list[Record]]
) -> None:
    directory = tmp_path_factory.mktemp("people")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peoplestore, "LEAST_FOLDED", 0)
        people = opened(directory)
        for number, records in enumerate(flushes, 1):
            for one in records:
                people.apply(one.lines, number)
            people.flush(0)
            people.fold_if_due()
            if people._folding is not None:
                people._folding.join()
            assert people.failure is None
        people.close()
    assert len([*directory.glob("*.profiles")]) == 1
    again = opened(directory)
    assert stored(again.profiles) == stored(people.profiles)
    assert again.count == people.count
    again.close()


def opened(directory: Path, **stated: int) -> PeopleStore:
    return PeopleStore(directory, Unlinked(), updates_of_people, **stated)


# The files


def test_what_was_flushed_for_a_commit_that_never_came_is_cut_off(tmp_path: Path) -> None:
    people = opened(tmp_path)
    people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), 10)
    people.flush(journal=0)
    people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), 20)
    people.flush(journal=20)
    people.close()
    people = opened(tmp_path, journal=10)
    assert (people.profiles.get("ana"), people.place, people.count) == ({"n": 1}, 10, 1)
    people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), 20)
    people.flush(journal=20)
    people.close()
    people = opened(tmp_path, journal=20, count=2)
    assert (people.profiles.get("ana"), people.place, people.count) == ({"n": 2}, 20, 2)
    people.close()


def test_a_torn_group_is_cut_off_at_any_length(tmp_path: Path) -> None:
    people = opened(tmp_path)
    lengths = []
    for number in (1, 2, 3):
        people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), number)
        people.flush(0)
        lengths.append(len(file_of(tmp_path).read_bytes()))
    people.close()
    content = file_of(tmp_path).read_bytes()
    for length in range(lengths[1], lengths[2] + 1):
        file_of(tmp_path).write_bytes(content[:length])
        people = opened(tmp_path)
        number = 3 if length == lengths[2] else 2
        assert (people.profiles.get("ana"), people.place) == ({"n": number}, number)
        people.close()
        assert len(file_of(tmp_path).read_bytes()) == lengths[number - 1]


def test_each_changed_byte_before_the_last_group_is_an_error(tmp_path: Path) -> None:
    people = opened(tmp_path)
    for number in (1, 2, 3):
        people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), number)
        people.flush(0)
        if number == 1:
            end = len(file_of(tmp_path).read_bytes())
    people.close()
    content = file_of(tmp_path).read_bytes()
    for place in range(end):
        file_of(tmp_path).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(FileFormatError, match=r"00000001\.updates"):
            opened(tmp_path, count=3).close()
    file_of(tmp_path).write_bytes(content)
    opened(tmp_path, count=3).close()


def file_of(directory: Path) -> Path:
    [path] = directory.glob("*.updates")
    return path


@pytest.mark.parametrize("gone", ["00000002.updates", "00000002.profiles", "all"])
def test_missing_files_are_an_error(tmp_path: Path, gone: str) -> None:
    people = opened(tmp_path)
    people.apply(lines({"$distinct_id": "ana", "$set": {"plan": "pro"}}), 1)
    people.flush(0)
    people.forget(["ben"])
    people.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000002.profiles", "00000002.updates"]
    for path in tmp_path.iterdir():
        if gone in {path.name, "all"}:
            path.unlink()
    with pytest.raises(FileFormatError, match=r"missing|server's whole directory"):
        opened(tmp_path, count=1)


def test_profiles_that_are_newer_than_the_journal_are_refused(tmp_path: Path) -> None:
    people = opened(tmp_path)
    for number in (10, 20, 30):
        people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), number)
        people.flush(journal=number)
    people.close()
    with pytest.raises(FileFormatError, match="the journal has applied the log up to 5"):
        opened(tmp_path, journal=5)


def test_after_a_failed_flush_a_copy_takes_the_files_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = opened(tmp_path)
    people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), 1)
    people.flush(0)
    people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), 2)
    before = file_of(tmp_path).stat().st_ino

    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(updatefile, "_flush", broken)
    with pytest.raises(OSError, match="Input/output"):
        people.flush(0)
    assert people.waiting == 1
    monkeypatch.undo()
    people.flush(0)
    assert file_of(tmp_path).stat().st_ino != before
    people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), 3)
    people.flush(0)
    people.close()
    people = opened(tmp_path, count=3)
    assert (people.profiles.get("ana"), people.place) == ({"n": 3}, 3)
    people.close()


def test_what_a_killed_writer_left_is_removed_at_the_start(tmp_path: Path) -> None:
    opened(tmp_path).close()
    code = "import os, sys; from idmerge.files import replacing\n"
    code += "with replacing(sys.argv[1]) as stream: stream.write(b'secret'); stream.flush(); os._exit(1)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "00000001.profiles")], check=False)
    assert any(b"secret" in path.read_bytes() for path in tmp_path.iterdir())
    opened(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir()] == ["00000001.updates"]


def test_what_is_forgotten_is_in_no_file(tmp_path: Path) -> None:
    people = opened(tmp_path)
    people.apply(lines(*({"$distinct_id": own, "$set": {"plan": "pro"}} for own in ("ana", "secret"))), 1)
    with pytest.raises(ValueError, match="2 updates wait"):
        people.forget(["secret"])
    people.flush(0)
    people.forget(["secret", "unknown"])
    people.apply(lines({"$distinct_id": "ben", "$set": {"plan": "pro"}}), 2)
    people.flush(0)
    people.close()
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.iterdir())
    people = opened(tmp_path)
    assert {*people.profiles} == {"ana", "ben"}
    people.close()


def test_a_next_file_that_cannot_be_opened_leaves_the_old_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = opened(tmp_path)
    for number in (1, 2):
        people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), number)
        people.flush(0)
        monkeypatch.setattr(peoplestore, "LEAST_FOLDED", 0)
        with monkeypatch.context() as patch:
            patch.setattr(peoplestore, "UpdateFile", full)
            with pytest.raises(OSError, match="No space"):
                people.fold_if_due()
    people.close()
    people = opened(tmp_path)
    assert people.profiles.get("ana") == {"n": 2}
    people.close()


def test_what_the_journal_has_passed_without_an_update_is_not_read_again(tmp_path: Path) -> None:
    opened(tmp_path).close()
    people = opened(tmp_path, journal=90, place=80)
    assert people.place == 80
    people.close()


def full(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_store_that_cannot_be_made_is_shown_and_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peoplestore, "LEAST_FOLDED", 0)
    people = opened(tmp_path)
    fold = peoplestore.fold
    monkeypatch.setattr(peoplestore, "fold", full)
    people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), 1)
    people.flush(0)
    people.fold_if_due()
    joined(people)
    assert people.failure == "no new store of profiles can be made: [Errno 28] No space left on device"
    monkeypatch.setattr(peoplestore, "fold", fold)
    people.fold_if_due()
    assert people._folding is None  # It is too early.
    monkeypatch.setattr(peoplestore, "RETRY", -1)
    people.apply(lines({"$distinct_id": "ana", "$add": {"n": 1}}), 2)
    people.flush(0)
    people.fold_if_due()
    joined(people)
    assert people.failure is None
    people.close()
    assert [path.name for path in tmp_path.glob("*.profiles")] == ["00000003.profiles"]
    people = opened(tmp_path)
    assert people.profiles.get("ana") == {"n": 2}
    people.close()


def joined(people: PeopleStore) -> None:
    folding = people._folding
    assert folding is not None
    folding.join()


# The server


def test_an_update_goes_to_whom_its_id_was_when_it_came(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now(
            [
                update(DEVICE, **{"$set": {"os": "iOS"}}),
                merge("ana", DEVICE),
                update(DEVICE, **{"$set": {"plan": "pro"}}),
                record({"$group_key": "firm", "$group_id": 7, "$set": {"size": 1}})._replace(stream="groups"),
            ]
        )
        assert server.pipeline.drain(PATIENCE)
        assert server.profiles("main").get("ana") == {"plan": "pro"}
        assert server.profiles("main").hidden("ana") == {DEVICE: {"os": "iOS"}}
        assert list(server.groups("main")) == ['["firm", "7"]']
    with Server(tmp_path) as server:
        assert server.profiles("main").get("ana") == {"plan": "pro"}
        assert server.groups("main").get('["firm", "7"]') == {"size": 1}


def test_a_reader_sees_no_update_of_a_commit_that_is_still_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([update("ben", **{"$set": {"plan": "pro"}})])
        assert server.pipeline.drain(PATIENCE)
    with monkeypatch.context() as patch, Server(tmp_path) as server:
        patch.setattr(DurableResolver, "commit", full)
        server.log.append_now([merge("ana", "ben"), update("ben", **{"$set": {"plan": "free"}})])
        while server.problem() is None:
            time.sleep(0.01)
        assert b"free" in file_of(tmp_path / "profiles").read_bytes()
        [project] = server.projects
        with DurableResolver.open(project.journal, read_only=True) as reader:
            assert stored(profiles_of(project, reader))["ben"] == {"plan": "pro"}
    check_is_as_in_memory(tmp_path)


def test_updates_alone_do_not_grow_the_journal(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([merge("ana", "ben")])
        assert server.pipeline.drain(PATIENCE)
    with Server(tmp_path) as server:
        before = server.resolver("main").offsets
        for number in range(3):
            server.log.append_now([update("ben", **{"$set": {"n": number}})])
            while server.lag().bytes:
                time.sleep(0.01)
        assert server.resolver("main").offsets == before
        needed = server.pipeline.needed
        assert needed < server.log.end
    with Server(tmp_path) as server:
        assert server.profiles("main").get("ana") == {"n": 2}


def test_updates_that_waited_for_a_server_that_applies_them_are_applied(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path)
    log = Log(directory.log)
    log.append_now([update("ben", **{"$add": {"n": 1}}), merge("ana", "ben")])
    end = log.end
    log.close()
    with DurableResolver.open(tmp_path / "ids.idmerge") as resolver:  # As an earlier server left it.
        resolver.merge("ana", "ben")
        resolver.commit({"log": end})
    for _ in range(2):
        with Server(tmp_path) as server:
            assert server.pipeline.drain(PATIENCE)
            assert server.profiles("main").get("ben") == {"n": 1}
            assert server.resolver("main").position == 1


def test_profiles_that_are_gone_are_an_error_at_the_start(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([update("ana", **{"$set": {"plan": "pro"}})])
        assert server.pipeline.drain(PATIENCE)
    file_of(tmp_path / "profiles").unlink()
    with pytest.raises(FileFormatError, match="profiles: the profiles are missing; put back a copy"):
        Server(tmp_path)


def test_a_killed_server_has_the_profiles_of_its_log(tmp_path: Path) -> None:
    chance = random.Random(20)
    directory = tmp_path / "served"
    for _ in range(3):
        with suppress(AssertionError), serving(directory) as served:
            threads = [
                threading.Thread(target=send_for_ever, args=(served.address, served.token, number))
                for number in range(2)
            ]
            for thread in threads:
                thread.start()
            threads[0].join(chance.uniform(0.1, 0.6))
            served.process.send_signal(signal.SIGKILL)
            served.process.wait()
        for thread in threads:
            thread.join()
    check_is_as_in_memory(directory)
    with Server(directory) as server:
        [project] = server.projects
        assert len(server.profiles(project.name)) > 0


def send_for_ever(address: str, token: str, seed: int) -> None:
    chance = random.Random(seed)
    while True:
        own, other = chance.choice(IDS), chance.choice(IDS)
        route: Sequence[str] = ("engage", "engage", "track")
        chosen = chance.choice(route)
        content = {
            "engage": {"$token": token, "$distinct_id": own, "$add": {"n": 1}, "$union": {"tags": [other]}},
            "track": {
                "event": "$create_alias",
                "properties": {"token": token, "distinct_id": own, "alias": other},
            },
        }[chosen]
        request = Request(f"{address}/{chosen}", json.dumps(content).encode())  # noqa: S310 - of this machine
        try:
            urlopen(request, timeout=PATIENCE).read()  # noqa: S310 - of this machine
        except (OSError, HTTPException):
            return
