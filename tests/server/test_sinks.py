"""Sinks of a server: each is delivered to beside the others, and a failing one delays nobody."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benches.support.sink_rows import mapping, rows_of_duckdb, rows_of_files
from idmerge.errors import SettingError
from idmerge.server.directory import Directory
from idmerge.server.log.records import Record
from idmerge.server.reading.metrics import metrics
from idmerge.server.reading.routes import _health
from idmerge.server.server import Server
from postgres_server import running_server

PROJECT = '[[project]]\nname = "main"\ntoken = "public-token"\nsecret = "hidden-secret"\n'
PATIENCE = 60.0


def sink(name: str, target: str, more: str = "") -> str:
    return f'[[sink]]\nname = "{name}"\ntarget = "{target}"\ninterval = 0.05\n{more}'


def settings(path: Path, *parts: str) -> Path:
    path.mkdir(exist_ok=True)
    (path / "idmerge.toml").write_text("\n".join([PROJECT, *parts]), encoding="utf-8")
    return path


def send(server: Server, *pairs: tuple[str, str]) -> None:
    """Have merges applied and committed."""
    events = [{"event": "$merge", "properties": {"$distinct_ids": [*pair]}} for pair in pairs]
    lines = "".join(f"{json.dumps(event)}\n" for event in events).encode()
    asyncio.run(server.log.append([Record("main", "events", "import", 1_700_000_000_000, lines)]))


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def level(server: Server, *names: str, ids: int) -> None:
    """Wait until the server knows so many IDs, and its sinks too."""

    def is_level() -> bool:
        resolver = server.resolver("main")
        states = server.observed(["main"], with_unnamed=True).sinks
        has_all = len(resolver) == ids and not resolver.uncommitted
        return has_all and all(states[name][1].position == resolver.position for name in names)

    wait(is_level)


def sample(server: Server, name: str, of: str) -> float:
    text = metrics(server.observed(["main"], with_unnamed=True)).decode()
    [value] = re.findall(rf'^idmerge_sink_{name}{{project="main",sink="{of}"}} (\S+)$', text, re.MULTILINE)
    return float(value)


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a receiver that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook"


def test_a_dead_and_a_silent_sink_delay_no_other(tmp_path: Path, silent: str) -> None:
    told: list[str] = []
    path = settings(
        tmp_path / "served",
        sink("files", f"ndjson:{tmp_path / 'files'}"),
        sink("table", f"duckdb:{tmp_path / 'copy.duckdb'}", 'table = "ids"\n'),
        sink("dead", "http://127.0.0.1:9/hook"),
        sink("silent", silent),
    )
    with Server(path, on_failure=told.append) as server:
        send(server, ("ana", "crm-17"))
        level(server, "files", "table", ids=2)
        send(server, ("ben", "crm-18"), ("ana", "ben"))
        level(server, "files", "table", ids=4)
        expected = mapping(server.resolver("main"))
        assert rows_of_files(tmp_path / "files") == expected
        assert rows_of_duckdb(tmp_path / "copy.duckdb", "ids") == expected
        wait(lambda: sample(server, "failures_total", "dead") >= 2)
        assert [sample(server, "lag_positions", name) for name in ("files", "dead", "silent")] == [0, 3, 3]
        assert sample(server, "lag_seconds", "files") == 0 < sample(server, "lag_seconds", "dead")
        assert sample(server, "position", "files") == 3 > sample(server, "position", "silent")
        assert sample(server, "deliveries_total", "files") >= 2
        assert server.problem() is None
        health = _health(server)
        assert (health.status, json.loads(health.body)["failing_sinks"]) == (200, ["dead"])
        began = time.monotonic()
    assert time.monotonic() - began < 30
    [line] = [line for line in told if "dead" in line]
    assert line.startswith("sink dead: http://127.0.0.1: ")
    assert line.endswith("; trying again")


def test_what_was_not_delivered_is_after_the_next_start(tmp_path: Path) -> None:
    path = settings(tmp_path / "served")
    with Server(path) as server:
        send(server, ("ana", "crm-17"))
        wait(lambda: len(server.resolver("main")) == 2)
    settings(path, sink("files", f"parquet:{tmp_path / 'files'}"))
    for _ in range(2):
        with Server(path) as server:
            level(server, "files", ids=2)
    assert rows_of_files(tmp_path / "files") == {"ana": "ana", "crm-17": "ana"}


def test_a_forgotten_id_leaves_the_sink_and_the_journal_can_be_compacted(tmp_path: Path) -> None:
    path = settings(tmp_path / "served", sink("files", f"ndjson:{tmp_path / 'files'}"))
    with Server(path) as server:
        send(server, ("ana", "ana@example.com"))
        level(server, "files", ids=2)
        server.forget("main", "ana@example.com")
        level(server, "files", ids=1)
        wait(lambda: rows_of_files(tmp_path / "files") == {"ana": "ana"})
        assert not [one for one in (tmp_path / "files").iterdir() if b"ana@" in one.read_bytes()]


def test_a_table_of_postgresql_follows_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server() as postgres:
        schema = postgres.new_schema()
        monkeypatch.setenv("TARGET_SCHEMA", schema)
        url = postgres.url(schema).replace(schema, "${TARGET_SCHEMA}")
        with Server(settings(tmp_path / "served", sink("table", url))) as server:
            send(server, ("ana", "crm-17"))
            level(server, "table", ids=2)
            rows = postgres.execute(f"SELECT distinct_id, canonical_id FROM {schema}.idmerge_mapping")  # noqa: S608
            assert dict(rows) == mapping(server.resolver("main"))


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ("sink = 1\n", "up to 50 sinks are expected"),
        ("[[sink]]\n", "sink 1: name must be 1 to 64 ASCII letters"),
        (sink("a", "parquet:x", "tabel = 'x'\n"), "sink 1: there is no key 'tabel'"),
        (sink("a", "parquet:x", "project = 'other'\n"), "there is no project 'other'; there are main"),
        ('[[sink]]\nname = "a"\n', "sink 1 (a): target must be a text"),
        (sink("a", "parquet:x").replace("0.05", "0"), "interval must be a number of seconds from 0.05"),
        (sink("a", "parquet:x").replace("0.05", "true"), "interval must be a number"),
        (sink("a", "parquet:x") + sink("A", "parquet:y"), "two sinks have one name"),
        (sink("a", "parquet:x") + sink("b", "parquet:x"), "two sinks have one target"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(tmp_path: Path, stated: str, reason: str) -> None:
    text = stated if stated.startswith("sink") else ""
    path = settings(tmp_path / "served", "" if text else stated)
    if text:
        (path / "idmerge.toml").write_text(text + PROJECT)
    with pytest.raises(SettingError, match=re.escape(reason)):
        Directory.read(path)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("ftp://me:s3cret@host/x", "sink a: 'ftp://me@host/x' is no target of a sink"),
        ("postgresql://me:${NOT_SET}@host/x", "sink a: the target names the environment variable NOT_SET"),
    ],
)
def test_a_target_that_is_none_ends_the_start(tmp_path: Path, target: str, reason: str) -> None:
    path = settings(tmp_path / "served", sink("a", target))
    assert Directory.read(path).sinks[0].name == "a"  # Other commands may read there all the same.
    with pytest.raises(SettingError, match=re.escape(reason)):
        Server(path)


def test_no_repr_shows_a_target(tmp_path: Path) -> None:
    path = settings(tmp_path / "served", sink("a", "https://host/s3cret"))
    found: Any = Directory.read(path)
    assert "s3cret" not in repr(found)
