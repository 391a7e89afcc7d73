"""Acts on a running server: on disk when they return, between records, and never twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import DurableResolver
from idmerge.errors import BusyError, JournalError, KeptApartError, RetractionError
from idmerge.server.http.requests import Request
from idmerge.server.reading.routes import read
from idmerge.server.server import Server
from log_records import record

IDS = ["ana", "ben", "crm-17", "dan", "é|/@", "<img>"]
PATIENCE = 20

links = st.tuples(st.just("merge"), st.sampled_from(IDS), st.sampled_from(IDS))
apart = st.tuples(st.just("apart"), st.sampled_from(IDS), st.sampled_from(IDS))
retractions = st.tuples(st.just("retract"), st.integers(0, 12), st.none())


def merge(first: str, second: str) -> Any:
    return record({"event": "$merge", "properties": {"$distinct_ids": [first, second]}})


def state_of(resolver: DurableResolver) -> tuple[Any, ...]:
    """All that readers see, but for times."""
    return resolver.position, resolver.mapping().to_pydict(), resolver.changes(0).to_pydict()


@given(st.lists(st.one_of(links, links, apart, retractions), max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_server_is_the_journal_to_which_the_same_was_done(done: list[tuple[str, Any, Any]]) -> None:
    with TemporaryDirectory() as place, DurableResolver.open(":memory:") as twin:
        with Server(place) as server:
            for what, first, second in done:
                outcomes = []
                for act in (
                    lambda: _on_server(server, what, first, second),  # noqa: B023 - called at once
                    lambda: _on_journal(twin, what, first, second),  # noqa: B023
                ):
                    try:
                        outcomes.append(act())
                    except ValueError as error:
                        outcomes.append((type(error), str(error)))
                assert outcomes[0] == outcomes[1]
            assert server.pipeline.drain(PATIENCE)
            assert server.problem() is None
            assert state_of(server.resolver("main")) == state_of(twin)
        with Server(place) as again:
            assert state_of(again.resolver("main")) == state_of(twin)


def _on_server(server: Server, what: str, first: Any, second: Any) -> Any:
    if what == "merge":
        server.log.append_now([merge(first, second)])
        return None
    if what == "apart":
        return server.keep_apart("main", first, second)
    found = server.retract("main", [first])
    return found.position, [tuple(one) for one in found.renamed]


def _on_journal(twin: DurableResolver, what: str, first: Any, second: Any) -> Any:
    position = twin.position
    try:
        if what == "merge":
            twin.merge(first, second)
            return None
        if what == "apart":
            twin.keep_apart(first, second)
            return position
        found = twin.retract(first).to_pydict()
    finally:
        twin.commit()
    rows = zip(found["distinct_id"], found["old_canonical_id"], found["new_canonical_id"], strict=True)
    return position, list(rows)


def test_what_was_acknowledged_before_is_applied_before(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([merge("ana", "ben")])
        with pytest.raises(KeptApartError):
            server.keep_apart("main", "ana", "ben")
        server.retract("main", [0])
        server.log.append_now([merge("ana", "ben")])
        assert server.retract("main", [2]).renamed
        assert not server.resolver("main").same("ana", "ben")


def test_what_is_done_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([merge("ana", "ben"), merge("ben", "crm-17")])
        done = server.retract("main", [1])
        with DurableResolver.open(tmp_path / "ids.idmerge", read_only=True) as other:
            assert other.position == done.position + 1
            assert other.resolve("crm-17") == "crm-17"
        assert server.keep_apart("main", "ana", "eve") == 3
        with DurableResolver.open(tmp_path / "ids.idmerge", read_only=True) as other:
            assert other.position == 4


def test_a_dry_run_that_has_changed_is_not_done(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([merge("ana", "ben")])
        from idmerge.server.acts import retraction

        server.pipeline.settle("main", PATIENCE)
        meant = retraction(server.resolver("main"), [0])
        server.log.append_now([merge("ben", "crm-17")])
        now = server.retract("main", [0], expected=meant.digest)
        assert not now.is_done
        assert {one.distinct_id for one in now.renamed} == {"ben", "crm-17"}
        assert server.resolver("main").same("ana", "crm-17")
        assert server.retract("main", [0], expected=now.digest).is_done
        assert not server.resolver("main").same("ana", "crm-17")


def test_a_refused_act_changes_nothing_and_opens_nothing_anew(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([merge("ana", "ben")])
        server.pipeline.settle("main", PATIENCE)
        before, state = server.resolver("main"), state_of(server.resolver("main"))
        for act in (
            lambda: server.retract("main", [99]),
            lambda: server.keep_apart("main", "ana", "ben"),
            lambda: server.keep_apart("main", "ana", "ana"),
            lambda: server.keep_apart("main", "ana", ""),
            lambda: server.keep_apart("main", "ana", "x" * 1000),
        ):
            with pytest.raises(ValueError, match="position|together|itself|no ID"):
                act()
        server.log.append_now([merge("ana", "crm-17")])
        server.pipeline.settle("main", PATIENCE)
        assert server.resolver("main") is before
        assert before.position == state[0] + 1


def test_an_act_for_which_the_log_is_not_applied_in_time_is_never_done(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([merge("ana", "ben")])
        server.pipeline.settle("main", PATIENCE)
        with server.still("main"):  # Nothing can be applied meanwhile.
            server.log.append_now([merge("ana", "crm-17")])
            with pytest.raises(BusyError, match="try again later"):
                server.retract("main", [0], timeout=0.1)
        server.pipeline.settle("main", PATIENCE)
        assert server.resolver("main").members("ana") == ["ana", "ben", "crm-17"]
        assert server.resolver("main").position == 2


def test_an_act_that_has_begun_is_waited_for(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([merge("ana", "ben")])
        server.pipeline.settle("main", PATIENCE)
        held = threading.Event()
        threading.Thread(target=lambda: _hold(server, held), daemon=True).start()
        held.wait(PATIENCE)
        assert server.retract("main", [0], timeout=0.1).is_done


def _hold(server: Server, held: threading.Event) -> None:
    with server.still("main"):
        held.set()
        time.sleep(0.5)


def test_a_failed_commit_is_an_error_and_the_act_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([merge("ana", "ben")])
        server.pipeline.settle("main", PATIENCE)
        commit = DurableResolver.commit

        def fail(*_: Any, **__: Any) -> Any:
            raise OSError(28, "No space left on device")

        def retracted(resolver: DurableResolver, *positions: int, **options: Any) -> Any:
            if not options.get("dry_run"):
                monkeypatch.setattr(DurableResolver, "commit", fail)
            return retract(resolver, *positions, **options)

        retract = DurableResolver.retract
        monkeypatch.setattr(DurableResolver, "retract", retracted)
        with pytest.raises(OSError, match="No space"):
            server.retract("main", [0])
        monkeypatch.setattr(DurableResolver, "commit", commit)
        server.log.append_now([merge("ana", "crm-17")])
        server.pipeline.settle("main", PATIENCE)
        assert server.resolver("main").members("ana") == ["ana", "ben", "crm-17"]
        assert server.pipeline.drain(PATIENCE)


def test_profiles_and_the_change_feed_follow_a_split(tmp_path: Path) -> None:
    def updates(*given: tuple[str, str]) -> Any:
        lines = "".join(
            json.dumps({"$distinct_id": who, "$set": {"plan": plan}}) + "\n" for who, plan in given
        )
        return record()._replace(stream="updates", lines=lines.encode())

    with Server(tmp_path) as server:
        server.log.append_now([updates(("ana", "pro"), ("ben", "free")), merge("ana", "ben")])
        server.pipeline.settle("main", PATIENCE)
        profiles = server.profiles("main")
        assert (profiles.get("ben"), len(profiles)) == ({"plan": "pro"}, 1)
        before = server.resolver("main").position
        done = server.retract("main", [0])
        assert (profiles.get("ben"), profiles.get("ana"), len(profiles)) == (
            {"plan": "free"},
            {"plan": "pro"},
            2,
        )
        changed = server.resolver("main").changes(before).to_pydict()
        assert (changed["distinct_id"], changed["new_canonical_id"]) == (["ben"], ["ben"])
        server.retract("main", [done.position])  # It is taken back in its turn.
        assert (profiles.get("ben"), len(profiles)) == ({"plan": "pro"}, 1)
        assert not server.resolver("main").changes(before).to_pydict()["distinct_id"]


KILLED = """
import os, sys
from idmerge import DurableResolver
from idmerge.server.server import Server
sys.path.insert(0, sys.argv[3])
from log_records import record
directory, when = sys.argv[1:3]
retract, commit = DurableResolver.retract, DurableResolver.commit
acting = False
def retracted(self, *positions, **options):
    global acting
    found = retract(self, *positions, **options)
    acting = True
    return found
def committed(self, *given, **options):
    if acting and when == "before":
        os._exit(9)
    found = commit(self, *given, **options)
    if acting:
        os._exit(9)
    return found
with Server(directory) as server:
    for pair in (["ana", "ben"], ["ben", "crm-17"]):
        server.log.append_now([record({"event": "$merge", "properties": {"$distinct_ids": pair}})])
    server.pipeline.settle("main", 20)
    DurableResolver.retract, DurableResolver.commit = retracted, committed
    server.retract("main", [0])
"""


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_server_killed_around_the_commit_has_done_it_whole_or_not(tmp_path: Path, when: str) -> None:
    place = tmp_path / "served"
    support = str(Path(__file__).parents[1] / "support")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(place), when, support], check=False)
    assert ended.returncode == 9
    with Server(place) as server:
        server.pipeline.settle("main", PATIENCE)
        resolver = server.resolver("main")
        members = ["ana", "ben", "crm-17"] if when == "before" else ["ben", "crm-17"]
        assert (resolver.position, resolver.members("ben")) == (2 if when == "before" else 3, members)
        if when == "before":
            assert server.retract("main", [0]).position == 2
        assert resolver.members("crm-17") == ["ben", "crm-17"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_acts_under_load_are_kept_when_the_server_is_killed(tmp_path: Path) -> None:
    code = """
import sys, threading
sys.path.insert(0, sys.argv[2])
from idmerge.server.server import Server
from log_records import record
with Server(sys.argv[1]) as server:
    def send():
        for number in range(100000):
            pair = [f"u{number}", f"d{number}"]
            server.log.append_now([record({"event": "$merge", "properties": {"$distinct_ids": pair}})])
    threading.Thread(target=send, daemon=True).start()
    for number in range(1000):
        print(server.keep_apart("main", f"a{number}", f"b{number}"), flush=True)
"""
    support = str(Path(__file__).parents[1] / "support")
    place = tmp_path / "served"
    command = [sys.executable, "-c", code, str(place), support]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(30)]
        os.kill(process.pid, signal.SIGKILL)
    assert said == sorted(set(said))
    with Server(place) as server:
        resolver = server.resolver("main")
        for number, position in enumerate(said):
            [kept] = resolver.statements(f"a{number}", f"b{number}")
            assert (kept.kind, kept.positions) == (None, (position,))
        assert server.pipeline.drain(PATIENCE)


# Over HTTP.


def posted(path: str, secret: str, body: bytes, kind: bytes = b"application/json") -> Request:
    import base64

    headers = {
        b"authorization": b"Basic " + base64.b64encode(f"{secret}:".encode()),
        b"content-type": kind,
    }
    return Request("POST", path, b"", headers, body)


def test_requests_act_as_commands_do(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        secret = server.projects[0].secret

        def ask(path: str, content: Any, **options: Any) -> tuple[int, Any]:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            answer = read(posted(path, secret, body, **options), server)
            assert isinstance(answer.body, bytes)
            return answer.status, json.loads(answer.body)

        server.log.append_now([merge("ana", "ben")])
        server.pipeline.settle("main", PATIENCE)
        change = [{"distinct_id": "ben", "old_canonical_id": "ana", "new_canonical_id": "ben"}]
        dry = {"dry_run": True, "positions": [0], "by": [], "changes": change}
        assert ask("/api/retract", {"positions": [0], "dry_run": True}) == (200, dry)
        assert server.resolver("main").position == 1
        done = {"dry_run": False, "positions": [0], "by": [1], "changes": change}
        assert ask("/api/retract", {"positions": [0]}) == (200, done)
        assert ask("/api/keep-apart", {"a": "ana", "b": "ben"}) == (
            200,
            {"a": "ana", "b": "ben", "position": 2},
        )
        for path, content in (
            ("/api/retract", {"positions": [0]}),  # It is taken back already.
            ("/api/retract", {"positions": []}),
            ("/api/retract", {"positions": [True]}),
            ("/api/retract", {"positions": [1, 1]}),
            ("/api/retract", {"positions": [1], "dry_run": "yes"}),
            ("/api/retract", [1]),
            ("/api/retract", b"{"),
            ("/api/keep-apart", {"a": "ana"}),
            ("/api/keep-apart", {"a": "ana", "b": "ana"}),
        ):
            status, answer = ask(path, content)
            assert (status, answer["code"]) == (400, 400), content
        assert server.resolver("main").position == 3
        # A page of another origin can send a form, with a secret that the browser has kept.
        assert ask("/api/retract", b'{"positions": [1]}', kind=b"text/plain")[0] == 400
        assert read(posted("/api/retract", "wrong", b'{"positions": [1]}'), server).status == 401
        got = Request("GET", "/api/retract", b"positions=1", posted("", secret, b"").headers)
        assert read(got, server).status == 405
        assert server.resolver("main").position == 3


def test_a_damaged_journal_is_no_answer_of_the_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(tmp_path) as server:
        server.log.append_now([merge("ana", "ben")])
        server.pipeline.settle("main", PATIENCE)

        def fail(*_: Any, **__: Any) -> Any:
            raise JournalError("batch 0 is damaged")

        monkeypatch.setattr(DurableResolver, "retract", fail)
        with pytest.raises(JournalError, match="damaged"):
            server.retract("main", [0])
        monkeypatch.undo()
        with pytest.raises(RetractionError):
            server.retract("main", [7])
        assert server.retract("main", [0]).is_done
