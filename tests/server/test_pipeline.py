"""The pipeline: the journals follow the log, each record once, whatever ends or fails."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import DurableResolver, Resolver
from idmerge.server import pipeline as pipeline_module
from idmerge.server.directory import Directory
from idmerge.server.log.log import Log
from idmerge.server.pipeline import Lag, Pipeline
from idmerge.server.server import Server
from idmerge.testing import events
from log_records import kept, record

PATIENCE = 20
TWO = """
[[project]]
name = "main"
token = "t1"
secret = "s1"

[[project]]
name = "other"
token = "t2"
secret = "s2"
api = "simplified"
"""


def merge(first: str, second: str, **fields: Any) -> Any:
    return record({"event": "$merge", "properties": {"$distinct_ids": [first, second]}}, **fields)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def mapping_of(path: Path) -> dict[str, list[Any]]:
    with DurableResolver.open(path, read_only=True) as resolver:
        return resolver.mapping().to_pydict()


def expected(log_path: Path, project: str, resolver: Resolver) -> dict[str, list[Any]]:
    log = Log(log_path)
    for one in kept(log):
        if one.project == project and one.stream == "events":
            resolver.apply_body(one.lines, "application/x-ndjson", one.source)
    log.close()
    return resolver.mapping().to_pydict()


def test_records_reach_the_journal_of_their_project_within_a_second(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text(TWO)
    with Server(tmp_path) as server:
        server.log.append_now(
            [
                merge("ana", "crm-17"),
                record(
                    {"event": "Log In", "properties": {"$device_id": "d", "$user_id": "ben"}}, project="other"
                ),
                merge("ana", "eve", source="track"),
                merge("x", "y", project="gone"),
                merge("x", "y")._replace(stream="groups"),
            ]
        )
        started = time.monotonic()
        until(lambda: "crm-17" in mapping_of(tmp_path / "ids.idmerge")["distinct_id"])
        assert time.monotonic() - started < 1
        assert server.pipeline.drain(PATIENCE)
        assert server.pipeline.resolver("main").members("ana") == ["ana", "crm-17"]
        assert server.pipeline.resolver("other").resolve("$device:d") == "ben"
        assert "x" not in server.pipeline.resolver("main")
        assert (server.pipeline.lag(), server.problem()) == (Lag(0, 0.0), None)
        assert server.pipeline.resolver("other").offsets["log"] == server.log.end
    assert (tmp_path / "projects" / "other" / "ids.idmerge").exists()


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=5), st.integers(0, 9))
@settings(max_examples=15)
def test_each_record_is_applied_once_whatever_is_not_committed_at_the_end(
    tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[int, bool]], seed: int
) -> None:
    directory = tmp_path_factory.mktemp("serve")
    workload = iter(events(400, seed=seed))
    for count, is_drained in lives:
        with pytest.MonkeyPatch.context() as patch, Server(directory) as server:
            for number in range(count):
                server.log.append_now([record(next(workload), next(workload))])
                if number == count // 2:
                    assert server.pipeline.drain(PATIENCE)
                    if not is_drained:  # From here on the journal stays as a killed process leaves it.
                        patch.setattr(DurableResolver, "commit", full)
    with Server(directory) as server:
        assert server.pipeline.drain(PATIENCE)
        position = server.pipeline.resolver("main").position
    twin = Resolver()
    assert mapping_of(directory / "ids.idmerge") == expected(directory / "log", "main", twin)
    assert position == twin.position


def full(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_commit_that_fails_is_shown_and_done_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "RETRY", 0.01)
    commit = DurableResolver.commit
    with Server(tmp_path) as server:
        monkeypatch.setattr(DurableResolver, "commit", full)
        server.log.append_now([merge("ana", "crm-17")])
        until(server.problem)
        assert server.problem() == "the log cannot be applied: [Errno 28] No space left on device"
        assert not server.pipeline.drain(0.05)
        assert server.pipeline.lag().bytes == server.log.end
        monkeypatch.setattr(DurableResolver, "commit", commit)
        assert server.pipeline.drain(PATIENCE)
        until(lambda: server.problem() is None)
        assert server.pipeline.resolver("main").position == 1


def test_after_an_error_amid_a_record_the_journal_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "RETRY", 0.01)
    apply, failures = DurableResolver._apply_body, iter([True, True])

    def half(self: DurableResolver, *arguments: Any, **named: Any) -> Any:
        report = apply(self, *arguments, **named)
        if next(failures, False):
            raise MemoryError("no room")
        return report

    with Server(tmp_path) as server:
        first = server.pipeline.resolver("main")
        monkeypatch.setattr(DurableResolver, "_apply_body", half)
        server.log.append_now([merge("ana", "crm-17")])
        assert server.pipeline.drain(PATIENCE)
        assert server.pipeline.resolver("main") is not first
        assert server.pipeline.resolver("main").position == 1


def test_a_link_has_its_event_time_and_the_offset_behind_its_record(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        stated = [
            {
                "event": "$merge",
                "properties": {"$distinct_ids": ["ana", f"crm-{number}"], "time": 100 + number},
            }
            for number in range(3)
        ]
        places = [server.log.append_now([record(*stated[:2])]), server.log.append_now([record(stated[2])])]
        assert server.pipeline.drain(PATIENCE)
        links = server.pipeline.resolver("main").explain("ana") or []
        assert [link.event_time and link.event_time.timestamp() for link in links] == [100, 101, 102]
        assert [link.origin for link in links] == [f"log:{places[0]}"] * 2 + [f"log:{places[1]}"]


def test_what_stands_before_damage_is_applied_and_the_damage_is_shown(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path)
    log = Log(directory.log)
    first = log.append_now([merge("ana", "crm-17")])
    log.append_now([merge("ben", "eve")])
    path = next(directory.log.glob("*.log"))
    content = path.read_bytes()
    path.write_bytes(content[: first + 40] + b"?" + content[first + 41 :])
    pipeline = Pipeline(directory.projects)
    pipeline.start(log)
    until(lambda: pipeline.failure)
    until(lambda: pipeline.resolver("main").position == 1)
    assert f"{path.name}: the log is damaged at offset {first}" in str(pipeline.failure)
    assert not pipeline.drain(0.1)
    pipeline.close()
    log.close()


def test_events_without_an_effect_do_not_grow_the_journal(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([record({"event": "Log In", "properties": {"distinct_id": "ana"}})])
        until(lambda: server.pipeline.lag() == Lag(0, 0.0))
        resolver = server.pipeline.resolver("main")
        offsets = resolver.offsets
        for _ in range(3):
            server.log.append_now([record({"event": "Log In", "properties": {"distinct_id": "ana"}})])
            until(lambda: server.pipeline.lag() == Lag(0, 0.0))
        assert resolver.offsets == offsets
        assert server.pipeline.drain(PATIENCE)
        until(lambda: resolver.offsets["log"] == server.log.end)


def test_a_record_without_an_event_holds_nothing_up(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([record()._replace(lines=b"\n"), record()._replace(lines=b"[1\n")])
        server.log.append_now([merge("ana", "crm-17")])
        assert server.pipeline.drain(PATIENCE)
        assert server.problem() is None
        assert server.pipeline.resolver("main").resolve("crm-17") == "ana"
