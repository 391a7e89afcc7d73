"""A journal among threads and interrupts: each case once lost a link, or reported a false one."""

from __future__ import annotations

import gc
import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idmerge import DurableResolver, Kind
from idmerge.errors import JournalError, SealedError
from resolver_state import state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


class Interrupted(BaseException):
    """The exception of Ctrl-C, raised anywhere."""


def interrupting(method: Any, *, after: bool) -> Any:
    """A method that is interrupted once: behind what it does, or before."""
    done = []

    def interrupted(*arguments: Any) -> Any:
        if done:
            return method(*arguments)
        done.append(True)
        if after:
            method(*arguments)
        raise Interrupted

    return interrupted


@pytest.mark.parametrize("after", [False, True])
def test_a_commit_that_was_interrupted_is_written_once(path: Path, *, after: bool) -> None:
    with DurableResolver.open(path) as r:
        r.merge("a", "b")
        r.commit({"source": 1})
        r.merge("b", "c")
        r._journal.append = interrupting(r._journal.append, after=after)  # type: ignore[method-assign]
        with pytest.raises(Interrupted):
            r.commit({"source": 2})
        r.merge("c", "d")
        assert r.commit({"source": 3}) == 3
        assert r.uncommitted == 0
        expected = state(r)
    with DurableResolver.open(path) as again:
        assert state(again) == expected
        assert (again.position, again.offsets) == (3, {"source": 3})


def test_a_checkpoint_holds_nothing_that_the_journal_does_not(path: Path) -> None:
    """Links of another thread came in between the question and the writing."""
    with DurableResolver.open(path) as r:
        stop = threading.Event()

        def link() -> None:
            number = 0
            while not stop.is_set():
                r.merge(f"a{number}", f"b{number}")
                number += 1

        thread = threading.Thread(target=link)
        thread.start()
        written = 0
        for _ in range(60):
            committed = r.commit()
            try:
                r.checkpoint()
            except ValueError:
                continue
            written += 1
            with DurableResolver.open(path, read_only=True) as reader:
                assert reader.position == committed
                assert len(reader) == 2 * committed
        stop.set()
        thread.join()
        r.commit()
        r.checkpoint()
        expected = state(r)["mapping"]
    with DurableResolver.open(path) as again:
        assert again.mapping().to_pydict() == expected


def test_a_reader_sees_no_moment_that_never_was_while_it_catches_up(path: Path) -> None:
    with DurableResolver.open(path) as r:
        r.merge("a", "b")
        r.link_many(Kind.MERGE, [f"x{row}" for row in range(20_000)], [f"y{row}" for row in range(20_000)])
        r.commit()
        with DurableResolver.open(path, read_only=True) as reader:
            r.retract(0)
            r.commit()
            r.merge("b", "c")
            r.commit()
            wrong, done = [], threading.Event()

            def watch() -> None:
                while not done.is_set():
                    if reader.same("a", "c"):
                        wrong.append(True)

            thread = threading.Thread(target=watch)
            thread.start()
            reader.refresh()
            done.set()
            thread.join()
            assert wrong == []
            assert state(reader)["mapping"] == state(r)["mapping"]


def test_a_refresh_that_fails_in_the_middle_is_as_if_it_had_not_begun(path: Path) -> None:
    with DurableResolver.open(path) as r:
        r.merge("a", "b")
        r.commit()
        with DurableResolver.open(path, read_only=True) as reader:
            r.retract(0)
            r.commit()
            r.merge("b", "c")
            r.commit()
            whole = reader._journal.batches

            def broken(*arguments: Any) -> Any:
                for number, batch in enumerate(whole(*arguments)):
                    if number == 1:
                        raise OSError("the disk is gone")
                    yield batch

            reader._journal.batches = broken  # type: ignore[method-assign]
            with pytest.raises(OSError, match="the disk is gone"):
                reader.refresh()
            assert reader.same("a", "b")
            reader._journal.batches = whole  # type: ignore[method-assign]
            assert reader.refresh() == 3
            assert state(reader) == state(r)


def test_who_looks_back_does_not_catch_up(path: Path) -> None:
    with DurableResolver.open(path) as r:
        r.link_many(Kind.MERGE, ["a", "c", "e"], ["b", "d", "f"])
        r.commit()
    with (
        DurableResolver.open(path, read_only=True, as_of=1) as then,
        pytest.raises(SealedError, match="as_of"),
    ):
        then.refresh()


def test_closing_loses_nothing_in_silence(path: Path) -> None:
    r = DurableResolver.open(path)
    answered = 0

    def link() -> None:
        nonlocal answered
        try:
            while True:
                r.merge(f"a{answered}", f"b{answered}")
                answered += 1
        except SealedError:
            pass

    thread = threading.Thread(target=link)
    thread.start()
    while r.position < 2000:
        pass
    committed = r.commit()
    while not r.uncommitted:
        pass
    with pytest.warns(UserWarning, match="not committed") as warned:
        r.close()
    thread.join()
    lost = int(str(warned.list[0].message).partition(" ")[0])
    assert committed + lost == answered


def test_a_resolver_that_is_dropped_lets_others_write(path: Path) -> None:
    r: DurableResolver | None = DurableResolver.open(path)
    assert r is not None
    r.merge("a", "b")
    r.commit()
    del r
    gc.collect()
    with DurableResolver.open(path) as again:
        assert again.same("a", "b")


def test_what_a_checkpoint_spares_reading_is_checked_all_the_same(path: Path) -> None:
    with DurableResolver.open(path) as r:
        r.merge("a", "b")
        r.commit({"topic": 100})
        r.checkpoint()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE batches SET offsets = ?", (json.dumps({"topic": 900}),))
    with pytest.raises(JournalError, match="batch 0 is damaged"):
        DurableResolver.open(path)


def test_what_a_batch_says_of_itself_is_what_it_holds(path: Path) -> None:
    with DurableResolver.open(path) as r:
        r.merge("a", "b")
        r.commit()
        (batch,) = list(r._journal.batches())
    wrong = replace(batch, end_position=50, end_id=70)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE batches SET end_seq = 50, end_id = 70, checksum = ?", (wrong.computed_checksum(),)
        )
    with pytest.raises(JournalError, match="batch 0 ends at position 1 and ID 2, not at 50 and 70"):
        DurableResolver.open(path)


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_a_block_that_is_none_is_an_error_and_no_end(path: Path, place: int) -> None:
    with DurableResolver.open(path) as r:
        r.merge("a", "b")
        steps, ids = r._pending()
        texts, block, *_ = r._pending_blocks((0, steps), (0, ids), 0, 1 << 20)
        for value in (b"\xff" * 8, b"\x00" * 8, b"\x7f" * 8):
            for which in (0, 1):
                blocks = [texts, block]
                blocks[which] = blocks[which][:place] + value + blocks[which][place + 8 :]
                other = DurableResolver.open(":memory:")
                try:
                    other._restore(*blocks, set(), None, is_checked=True)
                except JournalError:
                    pass
                else:
                    assert other.position == 1
        r.commit()


@pytest.mark.parametrize("commits", [3, 30])
def test_a_last_batch_that_is_hidden_is_missed(path: Path, commits: int) -> None:
    """Few batches are read by one thread, many by two; both ask for more behind the last one."""
    with DurableResolver.open(path) as r:
        for number in range(commits):
            r.merge("a", f"b{number}")
            r.commit()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM batches WHERE number = ?", (commits - 1,))
    with pytest.raises(JournalError, match=f"the last batch must be {commits - 1}, found {commits - 2}"):
        DurableResolver.open(path)
