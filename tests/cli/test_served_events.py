"""Commands on the directory of a server: its events, by its policy and its journal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import error_of, run
from idmerge import Resolver
from idmerge.server.log.records import Record
from idmerge.server.server import Server
from idmerge.server.store.following import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_790_000_000
PHONE = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
PATIENCE = 20
POLICY = '[[project]]\nname = "shop"\ntoken = "t"\nsecret = "s"\nmax-cluster-size = 3\n'
OTHER = '[[project]]\nname = "other"\ntoken = "t2"\nsecret = "s2"\napi = "simplified"\n'


def event(name: str, distinct_id: str | None, time: int | None = NOW, **own: Any) -> dict[str, Any]:
    times = {} if time is None else {"time": time}
    return {"event": name, "properties": {"distinct_id": distinct_id, **times, **own}}


def record(*events: dict[str, Any], project: str = "shop", source: Any = "import") -> Record:
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in events)
    return Record(project, "events", source, NOW * 1000, lines)


MERGES = [event("$merge", "ana", **{"$distinct_ids": ["ana", f"crm-{number}"]}) for number in range(4)]
RECORDS = [
    record(event("View", PHONE), event("Sign Up", "ana")),
    record(event("$identify", "ana", **{"$anon_id": PHONE, "$identified_id": "ana"}), *MERGES),
    record(event("$merge", "ana", **{"$distinct_ids": ["ana", "zoe"]}), source="track"),
    record(event("View", None, None, **{"$device_id": "d"}), project="other"),
]


@pytest.fixture(params=["in the log", "sealed", "both"])
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    directory = tmp_path / "served"
    directory.mkdir()
    (directory / "idmerge.toml").write_text(POLICY + OTHER)
    with Server(directory) as server:
        for number, one in enumerate(RECORDS):
            server.log.append_now([one])
            if request.param == "sealed" or (request.param == "both" and number == 1):
                assert server.pipeline.drain(PATIENCE)
                server.store.seal()
        assert server.pipeline.drain(PATIENCE)
        yield server


def test_events_of_a_server_that_runs_are_stitched_by_its_journal(served: Server, tmp_path: Path) -> None:
    directory, out = str(served.directory.path), str(tmp_path / "out.parquet")
    done = run("stitch", directory, "-o", out)
    assert "taken is shop, and --project names another" in " ".join(done.stderr.split())
    rows = pq.read_table(out).to_pylist()
    assert [row["event"] for row in rows] == ["View", "Sign Up", "$identify", *["$merge"] * 5]
    assert rows[0]["distinct_id"] == served.resolver("shop").resolve(PHONE) == "ana"
    reasons = [row["$failure_reason"] for row in rows]
    assert reasons == [None] * 4 + ["errManyIDs"] * 3 + ["MERGE_NOT_ALLOWED"]
    done = run("stitch", directory, "--project", "other", "-o", out)
    [row] = pq.read_table(out).to_pylist()
    assert (row["distinct_id"], row["time"].timestamp()) == ("$device:d", NOW)


def test_questions_are_answered_by_the_journal(served: Server) -> None:
    done = run("ask", "signup-rate", str(served.directory.path), "--project", "shop")
    assert "100" in done.stdout


def test_the_doctor_judges_again_by_the_policy(served: Server) -> None:
    done = run("doctor", str(served.directory.path), "--project", "shop", "--format", "json")
    overview = json.loads(done.stdout)["overview"]
    assert overview["outcomes"]["TOO_MANY_IDS"] == 3
    assert overview["sources"] == [str(served.directory.path)]
    places = [one["file"] for finding in json.loads(done.stdout)["findings"] for one in finding["examples"]]
    assert places
    assert {*places} == {None}, "the file has gone"


def test_a_server_that_does_not_run_forgets_and_is_compacted(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text(POLICY)
    with Server(tmp_path) as server:
        server.log.append_now(RECORDS[:2])
        held = error_of("forget", PHONE, tmp_path, "--confirm")
        assert "is open for writing by process" in " ".join(held.split())
    done = run("forget", PHONE, tmp_path, "--confirm")
    assert f"{PHONE} is forgotten, with 2 events" in " ".join(done.stderr.split())
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert PHONE.encode() not in content
    assert PHONE in error_of("forget", PHONE, tmp_path, "--confirm")
    assert "its files are merged" in " ".join(run("compact", tmp_path).stderr.split())
    with Server(tmp_path) as server:
        assert server.resolver("shop").members("ana") == ["ana", "crm-0"]
        assert sum(file.rows for file in server.store.files("shop").all) == 5


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["stitch", "DIR", "more.ndjson", "-o", "o.csv"], "name it alone", 2),
        (["stitch", "DIR", "-o", "o.csv", "--max-cluster-size", "7"], "leave the policy's options out", 2),
        (["stitch", "DIR", "-o", "o.csv", "--journal", "ids.idmerge"], "leave --journal out", 2),
        (["stitch", "DIR", "-o", "o.csv", "--project", "x"], "there is no project 'x'", 1),
        (["doctor", "DIR/log", "--project", "x"], "--project is for a server's directory", 2),
    ],
)
def test_what_contradicts_the_settings_is_refused(
    arguments: list[str], message: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "idmerge.toml").write_text(POLICY)
    (tmp_path / "log").mkdir()
    given_ones = [one.replace("DIR", str(tmp_path)) for one in arguments]
    assert message in " ".join(error_of(*given_ones, code=code).split())


names = st.sampled_from(["ana", "ben", PHONE])
links = st.builds(lambda a, b: event("$merge", a, **{"$distinct_ids": [a, b]}), names, names)


@given(
    st.lists(st.tuples(st.one_of(links, st.builds(event, st.just("View"), names)), st.sampled_from("sc.")))
)
@settings(max_examples=15, deadline=None)
def test_lines_are_in_the_order_of_the_log(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[dict[str, Any], str]]
) -> None:
    directory = tmp_path_factory.mktemp("served")
    (directory / "idmerge.toml").write_text(POLICY)
    with Server(directory) as server:
        for one, act in sent:
            server.log.append_now([record(one)])
            if act in "sc":
                assert server.pipeline.drain(PATIENCE)
                server.store.seal()
            if act == "c":
                server.store.compact()
        text = b"".join(lines_of(directory / "log", server.projects[0], judged=False))
    assert [json.loads(line) for line in text.splitlines()] == [one for one, _ in sent]
    again = Resolver(server.projects[0].policy)
    again.apply_events(text.splitlines())
    assert again.mapping().to_pydict() == server.resolver("shop").mapping().to_pydict()


def test_lines_that_are_read_while_events_are_sealed_keep_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text(POLICY)
    with Server(tmp_path) as server:
        for one in (record(event("View", "ana")), record(*MERGES)):
            server.log.append_now([one])
            assert server.pipeline.drain(PATIENCE)
            if not server.store.files("shop").all:
                server.store.seal()
        lines = lines_of(tmp_path / "log", server.projects[0])
        assert b"View" in next(lines)
        server.store.seal()
        assert b"".join(lines).count(b"errManyIDs") == 2
