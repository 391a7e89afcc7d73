"""Commits of any size are written in blocks, and are there as a whole or not at all."""

from __future__ import annotations

import shutil
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from idmerge import DurableResolver, Kind, Policy
from idmerge.errors import CapacityError, SealedError
from idmerge.journal import Batch, commit, durable, open_journal
from paths import DATA
from resolver_state import state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "BLOCK", 1000)


def batches_of(path: Path) -> list[Batch]:
    with closing(open_journal(path, create=False, read_only=True)) as journal:
        return list(journal.batches())


def merge_many(resolver: DurableResolver, name: str = "user", count: int = 500) -> None:
    names = [f"{name} {number} with a long name" for number in range(count)]
    resolver.link_many(Kind.MERGE, names[:-1], names[1:])


@pytest.mark.usefixtures("small_blocks")
def test_a_large_commit_is_cut_into_batches_of_which_only_the_last_ends_it(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        merge_many(resolver)
        resolver.observe("somebody")
        assert resolver.commit({"topic": 1}) == 499
        expected = state(resolver)
    found = batches_of(path)
    assert len(found) == 20
    assert [batch.goes_on for batch in found] == [1] * (len(found) - 1) + [0]
    assert [batch.offsets for batch in found] == [None] * (len(found) - 1) + ['{"topic": 1}']
    assert len({batch.written_at for batch in found}) == 1
    # Beyond the bytes that are counted stands what Arrow says of a block.
    assert all(len(batch.texts) + len(batch.block) < 1000 + 2500 for batch in found)
    with DurableResolver.open(path) as again:
        assert (state(again), again.offsets) == (expected, {"topic": 1})
        assert again.explain("user 1 with a long name", "user 400 with a long name") is not None
        assert again.changes(250).num_rows > 0


@pytest.mark.usefixtures("small_blocks")
def test_a_reader_sees_a_large_commit_as_a_whole(path: Path) -> None:
    with DurableResolver.open(path) as writer, DurableResolver.open(path, read_only=True) as reader:
        seen = []
        ask = writer._journal.append

        def watched(batches: Iterator[Batch]) -> None:
            def watch() -> Iterator[Batch]:
                for batch in batches:
                    yield batch
                    seen.append(reader.refresh())

            ask(watch())

        writer._journal.append = watched  # type: ignore[method-assign, assignment]
        merge_many(writer)
        writer.commit()
        assert len(seen) == 20
        assert set(seen) == {0}
        assert reader.refresh() == 499


@pytest.mark.usefixtures("small_blocks")
def test_who_was_who_at_a_time_is_told_by_whole_commits(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        merge_many(resolver)
        resolver.commit()
        merge_many(resolver, "other")
        resolver.commit()
    moments = sorted({batch.written_at for batch in batches_of(path)})
    assert len(moments) == 2
    for moment, seq in zip(moments, (499, 998), strict=True):
        as_of = datetime.fromtimestamp(moment / 1e6 + 1e-5, UTC)
        with DurableResolver.open(path, read_only=True, as_of=as_of) as past:
            assert past.position == seq


@pytest.mark.usefixtures("small_blocks")
def test_a_commit_that_fails_in_the_middle_leaves_nothing_and_is_written_once_later(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        resolver.merge("a", "b")
        resolver.commit({"topic": 1})
        merge_many(resolver)
        append = resolver._journal.append

        def failing(batches: Iterator[Batch]) -> None:
            def some() -> Iterator[Batch]:
                for number, batch in enumerate(batches):
                    yield batch
                    if number == 7:
                        raise OSError("the disk is full")

            append(some())

        for _ in range(3):
            resolver._journal.append = failing  # type: ignore[method-assign, assignment]
            with pytest.raises(OSError, match="the disk is full"):
                resolver.commit({"topic": 2})
            assert (resolver.uncommitted, resolver.offsets) == (499, {"topic": 1})
            with DurableResolver.open(path, read_only=True) as reader:
                assert reader.position == 1
        resolver._journal.append = append  # type: ignore[method-assign]
        assert resolver.commit({"topic": 2}) == 500
        expected = state(resolver)
    with DurableResolver.open(path) as again:
        assert (state(again), again.offsets) == (expected, {"topic": 2})


def test_a_commit_takes_the_memory_of_a_block_and_not_of_everything(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "BLOCK", 2**20)
    with DurableResolver.open(path, Policy(max_id_length=None)) as resolver:
        resolver.observe_many([f"{number}{'x' * 2**18}" for number in range(200)])
        tracemalloc.start()
        resolver.commit()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(batches_of(path)) > 45
    assert most < 8 * 2**20


def test_an_id_beyond_what_a_batch_takes_is_refused_at_the_door(path: Path) -> None:
    with DurableResolver.open(path, Policy(max_id_length=None)) as resolver:
        for call in (resolver.observe, lambda text: resolver.link_many(Kind.MERGE, ["a"], [text])):
            with pytest.raises(CapacityError, match="exceeds the limit of 268435456 bytes"):
                call("x" * (2**28 + 1))
        resolver.merge("a", "b")
        assert resolver.commit() == 1


# All or nothing.


@pytest.mark.usefixtures("small_blocks")
def test_what_is_read_is_committed_at_once_and_little_of_it_is_pending(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "AT_ONCE", 40)
    most = 0

    def work() -> Iterator[None]:
        nonlocal most
        for number in range(30):
            merge_many(resolver, f"user {number} of", 11)
            most = max(most, resolver.uncommitted)
            with DurableResolver.open(path, read_only=True) as reader:
                assert reader.position == 1
            yield

    with DurableResolver.open(path) as resolver:
        resolver.merge("a", "b")
        assert resolver.commit_all(work(), {"topic": 2}) == 301
        assert resolver.uncommitted == 0
        assert most < 60
        merge_many(resolver, "later")
        resolver.commit()
        expected = state(resolver)
    with DurableResolver.open(path) as again:
        assert (state(again), again.offsets) == (expected, {"topic": 2})
    assert sum(not batch.goes_on for batch in batches_of(path)) == 3


def test_work_that_fails_leaves_the_journal_as_it_was_and_the_resolver_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "AT_ONCE", 5)

    def work() -> Iterator[None]:
        for number in range(30):
            resolver.merge("a", f"b{number}")
            yield
        raise ValueError("a bad line")

    with DurableResolver.open(path) as resolver:
        resolver.merge("a", "b")
        resolver.commit({"topic": 1})
        with pytest.raises(ValueError, match="a bad line"):
            resolver.commit_all(work(), {"topic": 2})
        with pytest.raises(SealedError, match="is closed"):
            resolver.merge("a", "c")
    with DurableResolver.open(path) as again:
        assert (again.position, again.offsets) == (1, {"topic": 1})


@pytest.mark.parametrize(
    "call", [lambda r: r.commit(), lambda r: r.changes(0), lambda r: r.retract(0), lambda r: r.compact()]
)
def test_work_can_neither_commit_nor_look_back(path: Path, call: Any) -> None:
    def work() -> Iterator[None]:
        resolver.merge("b", "c")
        call(resolver)
        yield

    with DurableResolver.open(path) as resolver:
        resolver.merge("a", "b")
        with pytest.raises(SealedError, match="commit_all is not over yet"):
            resolver.commit_all(work())
    with DurableResolver.open(path) as again:
        assert again.position == 1


@pytest.mark.parametrize("work", [[], [None]])
def test_of_no_work_nothing_is_written(path: Path, work: list[None]) -> None:
    with DurableResolver.open(path) as resolver:
        assert resolver.commit_all(work) == 0
        assert resolver.commit_all(work, {"topic": 1}) == 0
    (batch,) = batches_of(path)
    assert (batch.offsets, batch.goes_on) == ('{"topic": 1}', 0)


# Offsets.


def test_a_commit_states_the_offsets_that_changed_and_no_others(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        resolver.commit({f"key {number}": number for number in range(100)})
        resolver.commit({"key 3": 3, "key 4": "4", "key 5": 5})
        resolver.commit({"key 6": None, "key 999": None})
        resolver.commit({"key 3": 3})
    assert [batch.offsets for batch in batches_of(path)][1:] == ['{"key 4": "4"}', '{"key 6": null}']


def test_a_source_that_is_removed_is_gone_and_may_come_back(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        resolver.merge("a", "b")
        resolver.commit({"x": 1, "y": 2})
        resolver.merge("b", "c")
        resolver.commit({"x": None})
        assert resolver.offsets == {"y": 2}
        resolver.checkpoint()
    with DurableResolver.open(path) as resolver:  # By the checkpoint.
        assert resolver.offsets == {"y": 2}
        resolver.merge("c", "d")
        resolver.commit({"x": "again"})
    for as_of, expected in ((1, {"x": 1, "y": 2}), (2, {"y": 2}), (3, {"x": "again", "y": 2})):
        with DurableResolver.open(path, read_only=True, as_of=as_of) as past:
            assert past.offsets == expected


def test_a_thousand_sources_do_not_make_each_commit_state_a_thousand(path: Path) -> None:
    keys = [f"a topic with a name, partition {number}" for number in range(1000)]
    with DurableResolver.open(path) as resolver:
        resolver.commit(dict.fromkeys(keys, 0))
        for number, key in enumerate(keys):
            resolver.merge("a", f"b {number}")
            resolver.commit({key: number + 1})
        expected = resolver.offsets
    assert sum(len(batch.offsets or "") for batch in batches_of(path)) < 150_000
    with DurableResolver.open(path) as again:
        assert again.offsets == expected


def test_a_journal_of_format_1_goes_on_in_its_old_meaning(path: Path) -> None:
    shutil.copy(DATA / "journal-1.idmerge", path)
    with DurableResolver.open(path) as resolver:
        before = resolver.offsets
        resolver.merge("new", "newer")
        resolver.commit({"more": 1})
        resolver.commit({"events": None})
        expected = {**before, "more": 1}
        del expected["events"]
        assert resolver.offsets == expected
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    batches = batches_of(path)
    assert batches[-2].offsets == '{"events": 4, "users": "b", "more": 1}'
    assert batches[-1].offsets == '{"users": "b", "more": 1}'
    with DurableResolver.open(path) as again:
        assert again.offsets == expected


@pytest.mark.parametrize("asked", [0, 7, 60])
def test_a_feed_goes_on_through_a_commit_that_became_several_batches(
    monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    """It took as one piece, while they were pending, the steps that stand in many batches now."""
    monkeypatch.setattr(commit, "BLOCK", 200)
    resolver = DurableResolver.open(":memory:")
    for number in range(60):
        resolver.merge(f"a{number}", f"b{number}")
    assert resolver.changes(asked).num_rows == 60 - asked
    resolver.commit()
    assert len(list(resolver._journal.heads())) > 5
    for since in (asked, 60):
        assert resolver.changes(since).num_rows == 60 - since
    resolver.merge("a1", "a2")
    assert resolver.changes(60).num_rows == 2


@pytest.mark.parametrize("at_once", [2, 16])
def test_the_past_may_begin_in_the_middle_of_a_commit(
    path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(commit, "BLOCK", 30)
    monkeypatch.setattr(durable, "BLOCKS_AT_ONCE", at_once)
    with DurableResolver.open(path) as resolver:
        for number in range(20):
            resolver.merge("a", f"b{number}")
        resolver.commit()
        assert len(list(resolver._journal.heads())) >= 20
    for position in range(21):
        with DurableResolver.open(path, read_only=True, as_of=position, history=False) as past:
            assert past.position == position
            assert past.changes(0).num_rows == position
            if position:
                assert past.why_not("a", "b0") == []
                assert len(past.explain("a") or ()) == position


def test_offsets_are_those_of_an_interrupted_commit_that_is_in_the_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that read the offsets before the next commit would have applied links twice."""
    with DurableResolver.open(path) as resolver:
        append = resolver._journal.append

        def interrupted(batches: Any) -> None:
            append(batches)
            raise KeyboardInterrupt

        resolver.merge("a", "b")
        with monkeypatch.context() as patched:
            patched.setattr(resolver._journal, "append", interrupted)
            with pytest.raises(KeyboardInterrupt):
                resolver.commit({"topic": 2})
        assert resolver.offsets == {"topic": 2}
        assert resolver.uncommitted == 0
