"""Promises of a resolver with a journal, call by call; `test_laws` has the properties."""

from __future__ import annotations

import copy
import itertools
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idmerge import DurableResolver, Kind, Outcome, Policy, Resolver
from idmerge.errors import (
    CanonicalError,
    JournalError,
    KeptApartError,
    NoHistoryError,
    RetractionError,
    SealedError,
    UnknownIdError,
)
from resolver_state import state
from strategies import D1, D2, D3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def resolver() -> Iterator[DurableResolver]:
    """One in memory, with {D1, U1} and {D2, U2}, and a rejected link between them at position 2."""
    resolver = DurableResolver.open(":memory:")
    resolver.identify(D1, "U1")
    resolver.identify(D2, "U2")
    assert resolver.identify(D1, "U2") is Outcome.ANON_CLAIMED
    resolver.commit()
    yield resolver
    resolver.commit()
    resolver.close()


# Committing.


def test_a_commit_returns_the_position_up_to_which_everything_is_on_disk(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        assert resolver.commit() == 0
        resolver.merge("U1", "U2")
        resolver.observe("U3")
        assert (resolver.position, resolver.uncommitted) == (1, 2)
        assert resolver.commit() == 1
        assert resolver.uncommitted == 0


def test_a_commit_of_nothing_writes_nothing(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        resolver.merge("U1", "U2")
        resolver.commit()
        before = [file.read_bytes() for file in sorted(path.parent.iterdir())]
        assert resolver.commit() == 1
        assert [file.read_bytes() for file in sorted(path.parent.iterdir())] == before


def test_offsets_are_kept_by_source_until_they_are_named_again(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        assert resolver.offsets == {}
        resolver.commit({"orders": 7, "logins": "0000-0001"})
        resolver.merge("U1", "U2")
        resolver.commit()
        resolver.commit({"orders": 8})
        assert resolver.offsets == {"orders": 8, "logins": "0000-0001"}
    with DurableResolver.open(path) as resolver:
        assert resolver.offsets == {"orders": 8, "logins": "0000-0001"}


@pytest.mark.parametrize("offsets", [{1: 1}, {"orders": 1.5}, {None: 1}, [1]])
def test_offsets_of_another_type_are_refused_and_nothing_is_committed(path: Path, offsets: Any) -> None:
    with DurableResolver.open(path) as resolver:
        resolver.merge("U1", "U2")
        with pytest.raises(TypeError, match="offsets must map str to int or str"):
            resolver.commit(offsets)
        assert resolver.uncommitted == 1
        resolver.commit()


# Closing.


def test_leaving_with_commits_nothing_and_warns_of_what_is_lost(path: Path) -> None:
    with (
        pytest.warns(UserWarning, match="1 step was not committed and is lost"),
        DurableResolver.open(path) as r,
    ):
        r.merge("U1", "U2")
    r.close()  # Once is enough.
    with DurableResolver.open(path) as again:
        assert len(again) == 0


def test_an_error_on_its_way_is_not_joined_by_a_warning(path: Path) -> None:
    with (
        pytest.raises(UnknownIdError),
        DurableResolver.open(path) as resolver,
    ):  # A warning would be an error.
        _merge_and_fail(resolver)
    DurableResolver.open(path).close()


def _merge_and_fail(resolver: DurableResolver) -> None:
    resolver.merge("U1", "U2")
    resolver.forget("U3")


_CHANGES: list[Callable[[DurableResolver], Any]] = [
    lambda r: r.identify(D3, "U3"),
    lambda r: r.alias("A1", "U1"),
    lambda r: r.merge("U1", "U3"),
    lambda r: r.link(Kind.MERGE, "U1", "U3"),
    lambda r: r.link_many(Kind.MERGE, ["U1"], ["U3"]),
    lambda r: r.observe("U3"),
    lambda r: r.observe_many(["U3"]),
    lambda r: r.apply({"event": "Page View", "properties": {"distinct_id": "U3"}}),
    lambda r: r.apply_events([{"event": "Page View", "properties": {"distinct_id": "U3"}}]),
    lambda r: r.keep_apart("U1", "U3"),
    lambda r: r.forget("U1"),
    lambda r: r.retract(0),
    lambda r: r.commit(),
    lambda r: r.commit({"orders": 1}),
    lambda r: r.compact(),
]
_LOOKS_BACK: list[Callable[[DurableResolver], Any]] = [
    lambda r: r.changes(0),
    lambda r: r.explain("U1", "U2"),
    lambda r: r.why_not("U1", "U2"),
    lambda r: r.statements("U1"),
]


@pytest.mark.parametrize("call", [*_CHANGES, *_LOOKS_BACK])
def test_when_closed_it_takes_no_change_and_no_look_back_and_says_why(
    path: Path, call: Callable[[DurableResolver], Any]
) -> None:
    with DurableResolver.open(path) as resolver:
        resolver.merge("U1", "U2")
        resolver.commit({"orders": 0})
        before = state(resolver)
    with pytest.raises(SealedError, match=f"^{path} is closed$"):
        call(resolver)
    assert (state(resolver), resolver.offsets, resolver.position) == (before, {"orders": 0}, 1)


@pytest.mark.parametrize("call", _CHANGES)
def test_when_opened_to_read_it_takes_no_change_and_says_why(
    path: Path, call: Callable[[DurableResolver], Any]
) -> None:
    with DurableResolver.open(path) as writer:
        writer.merge("U1", "U2")
        writer.commit()
    with DurableResolver.open(path, read_only=True) as reader:
        before = state(reader)
        with pytest.raises(SealedError, match=f"^{path} was opened to read$"):
            call(reader)
        assert state(reader) == before
        assert reader.changes(0).num_rows == 1
    with pytest.raises(SealedError, match=f"^{path} is closed$"):
        reader.refresh()


def test_only_a_reader_can_be_refreshed(resolver: DurableResolver) -> None:
    with pytest.raises(SealedError, match="only a resolver that was opened to read, and without as_of"):
        resolver.refresh()


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_resolver_with_a_journal_has_no_duplicate(
    resolver: DurableResolver, duplicate: Callable[[Any], Any]
) -> None:
    with pytest.raises(TypeError, match="a DurableResolver is neither copied nor pickled"):
        duplicate(resolver)


# One writer.


def test_a_second_writer_in_this_process_is_refused_and_told_who_writes(path: Path) -> None:
    with DurableResolver.open(path):
        who = f"{path} is open for writing by process {os.getpid()} on .* since 20"
        with pytest.raises(JournalError, match=who):
            DurableResolver.open(path)
    DurableResolver.open(path).close()


def test_a_writer_in_another_process_has_it_until_it_dies(path: Path) -> None:
    code = "import sys, idmerge; r = idmerge.DurableResolver.open(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        started = time.monotonic()
        with pytest.raises(JournalError, match=f"is open for writing by process {holder.pid} on "):
            DurableResolver.open(path)
        assert time.monotonic() - started < 5
        holder.kill()
        holder.wait()
        DurableResolver.open(path).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_forked_process_is_refused_and_does_not_keep_the_journal(path: Path) -> None:
    code = """
import os, sys
from idmerge import DurableResolver, Resolver
from idmerge.errors import SealedError
resolver = DurableResolver.open(sys.argv[1])
resolver.merge("U1", "U2")
reading, writing = os.pipe()
if os.fork() == 0:
    try:
        resolver.commit()
    except SealedError as error:
        print(error, flush=True)
    os.write(writing, b".")
    sys.stdin.read()
    resolver._release()
    os._exit(0)
os.read(reading, 1)
resolver.commit()
resolver.close()
again = DurableResolver.open(sys.argv[1])
print(again.same("U1", "U2"), flush=True)
sys.stdin.close()
os.wait()
try:
    DurableResolver.open(sys.argv[1])
except ValueError as error:
    print(error)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        in_child, is_kept = running.stdout.readline(), running.stdout.readline()
        running.stdin.close()
        refused = running.stdout.read()
    assert f"was opened by process {running.pid}, of which this is a fork; open it anew" in in_child
    assert is_kept == "True\n"
    assert f"is open for writing by process {running.pid}" in refused


def test_threads_link_while_another_commits(path: Path) -> None:
    resolver, enough, sent = DurableResolver.open(path), threading.Event(), []

    def link(name: str) -> None:
        for number in itertools.count():
            resolver.merge(f"{name}{number}", f"{name}{number // 3}")
            resolver.link_many(Kind.MERGE, [f"{name}{number}"], [f"{name} many {number // 3}"])
            if enough.is_set():
                sent.append(2 * (number + 1))
                return

    linking = [threading.Thread(target=link, args=(name,)) for name in "ab"]
    for thread in linking:
        thread.start()
    for commits in range(30):
        resolver.commit({"commits": commits})
    enough.set()
    for thread in linking:
        thread.join()
    assert resolver.commit({"commits": 30}) == resolver.position == sum(sent)
    before = state(resolver)
    resolver.close()
    with DurableResolver.open(path) as again:
        assert (state(again), again.offsets) == (before, {"commits": 30})


# Opening.


def test_another_policy_is_refused_and_what_differs_is_named(path: Path) -> None:
    with DurableResolver.open(path, Policy(max_cluster_size=7)) as resolver:
        assert resolver.policy == Policy(max_cluster_size=7)
    with pytest.raises(JournalError, match=f"^{path} was made with another policy: ") as raised:
        DurableResolver.open(path, Policy(max_cluster_size=8, alias_once=False))
    differing = str(raised.value).split(": ")[1].split(". ")[0]
    assert differing == "max_cluster_size is 7, not 8; alias_once is True, not False"
    for same in (None, Policy(max_cluster_size=7)):
        with DurableResolver.open(path, same) as resolver:
            assert resolver.policy == Policy(max_cluster_size=7)


def test_another_canonical_strategy_is_refused_and_both_are_named(path: Path) -> None:
    DurableResolver.open(path, canonical="smallest").close()
    with pytest.raises(JournalError, match=f"^{path} was made with canonical='smallest', not 'stable'"):
        DurableResolver.open(path, canonical="stable")
    with DurableResolver.open(path) as resolver:
        assert resolver.canonical == "smallest"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"canonical": min},
            CanonicalError,
            "keeps the name of a canonical strategy, and a callable has none",
        ),
        ({"canonical": "largest"}, CanonicalError, "canonical must be one of"),
        ({"policy": "strict"}, TypeError, "policy must be a Policy, got str"),
        ({"as_of": 0}, ValueError, "which read_only=True must allow"),
        ({"as_of": "yesterday", "read_only": True}, TypeError, "a position or a datetime, got 'yesterday'"),
    ],
)
def test_a_setting_that_a_journal_cannot_have_is_refused_and_no_file_is_made(
    path: Path, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        DurableResolver.open(path, **settings)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("settings", [{"create": False}, {"read_only": True}])
def test_a_journal_that_is_not_there_is_only_made_by_whoever_wants_to(
    path: Path, settings: dict[str, Any]
) -> None:
    for name in (path, ":memory:"):
        with pytest.raises(FileNotFoundError, match=f"^{name}: there is no such journal$"):
            DurableResolver.open(name, **settings)
    assert list(path.parent.iterdir()) == []


def test_a_path_is_a_str_or_a_path_and_may_be_relative_or_odd(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    for name in ("plain", "a b?mode=ro#%41", "ünïcödé"):
        with DurableResolver.open(name) as resolver:
            resolver.merge("U1", "U2")
            resolver.commit()
        with DurableResolver.open(path.with_name(name), create=False) as again:
            assert again.same("U1", "U2")


def test_a_journal_in_memory_has_hindsight_and_ends_with_its_resolver() -> None:
    for _ in range(2):
        with DurableResolver.open(":memory:") as resolver:
            assert len(resolver) == 0
            resolver.merge("U1", "U2")
            resolver.commit({"orders": 1})
            resolver.compact()
            assert resolver.changes(0).num_rows == 1
            assert resolver.retract(0).num_rows == 1
            resolver.commit()


# Other times.


def test_at_an_earlier_time_what_was_committed_by_then_is_known(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        resolver.merge("U1", "U2")
        resolver.commit({"orders": 1})
        time.sleep(0.002)
        between = datetime.now(UTC)
        time.sleep(0.002)
        resolver.merge("U1", "U3")
        resolver.commit({"orders": 2})
    for as_of in (between, between.astimezone()):
        with DurableResolver.open(path, read_only=True, as_of=as_of) as past:
            assert (past.position, past.offsets, "U3" in past) == (1, {"orders": 1}, False)
    with DurableResolver.open(path, read_only=True, as_of=between - timedelta(days=1)) as past:
        assert (past.position, len(past)) == (0, 0)


def test_a_clock_that_goes_back_does_not_bring_later_batches_into_the_past(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 9, 2)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            assert tz is UTC
            return times[resolver.position - 1]

    with DurableResolver.open(path) as resolver, monkeypatch.context() as patched:
        patched.setattr("idmerge.journal.committing.datetime", Clock)
        for number in range(3):
            resolver.merge("U", f"U{number}")
            resolver.commit()
    with DurableResolver.open(path, read_only=True, as_of=times[2]) as past:
        assert past.position == 1


@pytest.mark.parametrize(
    ("as_of", "message"),
    [(datetime(2026, 1, 1), "a time needs a time zone"), (-1, "at least 0, got -1")],  # noqa: DTZ001
)
def test_a_moment_that_is_none_is_refused(path: Path, as_of: Any, message: str) -> None:
    DurableResolver.open(path).close()
    with pytest.raises(ValueError, match=message):
        DurableResolver.open(path, read_only=True, as_of=as_of)
    DurableResolver.open(path).close()


# Taking back.


@pytest.mark.rule("8.retract")
def test_what_cannot_be_taken_back_is_refused_with_the_reason(resolver: DurableResolver) -> None:
    resolver.forget("U2")
    resolver.retract(0)
    before, end = state(resolver), resolver.position
    for position, message in [
        (99, "there is nothing at position 99: positions go from 0 to"),
        (0, "position 0 was taken back already, at position 4; take that back to restore it"),
        (3, "an ID was forgotten there, and that cannot be undone"),
    ]:
        with pytest.raises(RetractionError, match=message):
            resolver.retract(position)
    with pytest.raises(RetractionError):
        resolver.retract(2, 99)  # All or nothing.
    assert (state(resolver), resolver.position) == (before, end)


@pytest.mark.rule("8.retract")
def test_a_link_that_was_rejected_because_of_another_is_accepted_without_it(
    resolver: DurableResolver,
) -> None:
    changes = resolver.retract(0).to_pydict()
    assert resolver.same(D1, "U2")
    assert "U1" not in resolver
    assert changes["position"] == [4] * len(changes["position"])
    assert dict(zip(changes["distinct_id"], changes["new_canonical_id"], strict=True))[D1] == "U2"


@pytest.mark.rule("8.retract")
def test_a_retraction_that_is_taken_back_leaves_everything_as_it_was(resolver: DurableResolver) -> None:
    before = state(resolver)
    resolver.retract(0)
    assert state(resolver) != before
    resolver.retract(3)
    assert state(resolver) == before
    assert resolver.position == 5


def test_several_positions_are_taken_back_at_once(resolver: DurableResolver) -> None:
    resolver.retract(0, 1, 2)
    assert (len(resolver), resolver.position) == (0, 6)


def test_a_dry_run_says_what_would_change_and_changes_nothing(resolver: DurableResolver) -> None:
    before = (state(resolver), resolver.position, resolver.uncommitted)
    said = resolver.retract(0, dry_run=True).to_pydict()
    assert (state(resolver), resolver.position, resolver.uncommitted) == before
    assert resolver.retract(0).to_pydict() == said


@pytest.mark.rule("8.keep apart")
def test_ids_that_are_together_cannot_be_kept_apart(resolver: DurableResolver) -> None:
    before = (state(resolver), resolver.position)
    with pytest.raises(KeptApartError, match=f"'{D1}' and 'U1' are together; take back the links"):
        resolver.keep_apart(D1, "U1")
    with pytest.raises(ValueError, match="'U1' cannot be kept apart from itself"):
        resolver.keep_apart("U1", "U1")
    for wrong in ("", "null", "x" * 256):
        with pytest.raises(ValueError, match="can be no ID"):
            resolver.keep_apart("U1", wrong)
    with pytest.raises(TypeError):
        resolver.keep_apart("U1", None)  # type: ignore[arg-type]
    assert (state(resolver), resolver.position) == before
    resolver.keep_apart("U1", "U2")
    assert resolver.merge("U1", "U2") is Outcome.KEPT_APART


# Explaining.


def test_with_and_without_history_it_explains_the_same(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        resolver.identify(D1, "U1")
        resolver.alias("A1", "U1")
        resolver.identify(D2, "U1")
        resolver.commit()
        resolver.retract(1)
        resolver.alias("A1", D2)
        kept = [resolver.explain("A1", D1), resolver.explain("U1"), resolver.explain("A1", "U1")]
        resolver.commit()
    with DurableResolver.open(path, history=False) as without, pytest.raises(UnknownIdError):
        without.explain("A1", "U9")
    with DurableResolver.open(path, history=False) as without:
        read = [without.explain("A1", D1), without.explain("U1"), without.explain("A1", "U1")]
    assert [[link[:6] for link in links or ()] for links in read] == [
        [link[:6] for link in links or ()] for links in kept
    ]
    assert [link.position for link in read[0] or ()] == [4, 2, 0]
    assert all(link.time is not None for links in read for link in links or ())
    assert [link.time is None for link in kept[0] or ()] == [True, False, False]


def test_a_rejected_link_is_told_with_what_became_of_it(resolver: DurableResolver) -> None:
    (link,) = resolver.why_not("U1", "U2")
    assert link[:6] == (2, Kind.IDENTIFY, D1, "U2", Outcome.ANON_CLAIMED, "import")
    assert link.time is not None
    assert datetime.now(UTC) - link.time < timedelta(minutes=1)


@pytest.mark.parametrize("since", [-1, 4])
def test_changes_since_a_position_that_is_none_are_refused(resolver: DurableResolver, since: int) -> None:
    with pytest.raises(ValueError, match=f"since must be between 0 and 3, got {since}"):
        resolver.changes(since)


def test_a_resolver_without_a_journal_explains_if_it_keeps_history() -> None:
    plain, keeping = Resolver(), Resolver(history=True)
    for resolver in (plain, keeping):
        resolver.merge("U1", "U2")
        resolver.merge("U2", "U3")
    with pytest.raises(NoHistoryError, match="history"):
        plain.explain("U1", "U3")
    links = keeping.explain("U1", "U3") or []
    assert [link[:4] for link in links] == [(0, Kind.MERGE, "U1", "U2"), (1, Kind.MERGE, "U2", "U3")]
    assert [link.time for link in links] == [None, None]


def test_the_warning_of_what_is_lost_points_at_the_line_that_loses_it(path: Path) -> None:
    resolver = DurableResolver.open(path)
    resolver.merge("a", "b")
    with pytest.warns(UserWarning, match="1 step was not committed") as told:
        resolver.close()
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="1 step was not committed") as told:  # noqa: SIM117 - in its block
        with DurableResolver.open(path) as resolver:
            resolver.merge("a", "b")
    assert told[0].filename == __file__
