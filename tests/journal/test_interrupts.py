"""Interrupted commits and compactions: the writer goes on, and nothing is lost or doubled."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benches.campaigns.interrupts import BeforeBytecode, interrupt
from benches.campaigns.salvages import kill
from idmerge import DurableResolver, Kind
from idmerge.journal import commit, open_journal
from idmerge.journal.sqlite import SqliteJournal
from idmerge.journal.verify import salvage, verify
from resolver_state import state

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has neither such timers nor forks")


def test_a_commit_or_compaction_that_is_interrupted_anywhere_goes_through_later(tmp_path: Path) -> None:
    counts = interrupt(60, tmp_path)
    assert counts["interrupts"] >= 60
    assert counts["commit, by bytecode"] > 9


def test_every_bytecode_of_the_writing_of_a_batch_may_be_the_last(tmp_path: Path) -> None:
    """Between BEGIN and COMMIT an interruption once left the transaction open for good."""
    with DurableResolver.open(tmp_path / "journal") as resolver:
        journal = resolver._journal
        with closing(open_journal(tmp_path / "journal", create=False, read_only=True)) as reader:
            for number in range(10_000):
                resolver.merge("a", f"b{number}")
                taken = [batch.sealed() for batch in _next(resolver)]
                was = BeforeBytecode(number * 7).interrupts(lambda taken=taken: journal.append(taken))
                journal.facts()
                assert not journal._connection.in_transaction  # type: ignore[attr-defined]
                found = len(list(reader.heads()))
                resolver.commit()
                assert resolver.uncommitted == 0
                assert len(list(reader.heads())) == found + (found == number)
                if not was:
                    break
        assert number > 20
        expected = state(resolver)
    with DurableResolver.open(tmp_path / "journal") as again:
        assert state(again) == expected


def _next(resolver: DurableResolver) -> Iterator[object]:
    begun = resolver._begin_commit()
    resolver._in_doubt.append(begun)
    yield from begun.batches(None)


def test_an_interruption_is_not_forgotten_by_who_holds_its_traceback(tmp_path: Path) -> None:
    """A reading that an interruption left suspended once rolled back what came later."""
    with DurableResolver.open(tmp_path / "journal") as resolver:
        resolver.merge("a", "b")
        resolver.commit()
        reading = resolver._journal.batches()
        next(reading)
        append = resolver._journal.append

        def closing_the_reading(batches: Iterator[object]) -> None:
            def some() -> Iterator[object]:
                for batch in batches:
                    yield batch
                    reading.close()

            append(some())  # type: ignore[arg-type]

        resolver._journal.append = closing_the_reading  # type: ignore[method-assign, assignment]
        resolver.merge("b", "c")
        assert resolver.commit() == 2
    with DurableResolver.open(tmp_path / "journal") as again:
        assert again.position == 2


def test_closing_after_an_interrupted_commit_counts_only_what_is_lost(tmp_path: Path) -> None:
    resolver = DurableResolver.open(tmp_path / "journal")
    resolver.merge("a", "b")
    append = resolver._journal.append

    def interrupted(batches: Iterator[object]) -> None:
        append(batches)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    resolver._journal.append = interrupted  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        resolver.commit()
    resolver.close()  # A warning would be an error.
    with DurableResolver.open(tmp_path / "journal") as again:
        assert again.position == 1


def test_a_reader_that_was_interrupted_catches_up(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with DurableResolver.open(path) as writer, DurableResolver.open(path, read_only=True) as reader:
        for number in range(2000):
            writer.merge("a", f"b{number}")
            if number % 7 == 3:
                writer.retract(number // 2)
            writer.commit({"topic": number})
            was = BeforeBytecode(number * 61).interrupts(reader.refresh)
            assert reader.refresh() == writer.position
            assert (state(reader), reader.offsets) == (state(writer), writer.offsets)
            if not was:
                break
        assert number > 20


FIRST_CALL = """
import sys
import idmerge

def interrupt(frame, event, argument):
    if "numpy" in frame.f_code.co_filename:
        raise KeyboardInterrupt
    return interrupt

resolver = idmerge.Resolver()
sys.settrace(interrupt)
try:
    report = resolver.link_many(idmerge.Kind.MERGE, ["a"], ["b"])
except KeyboardInterrupt:
    report = "interrupted"
sys.settrace(None)
resolver.link_many(idmerge.Kind.MERGE, ["a"], ["b"])
print(report)
"""


def test_ctrl_c_in_the_first_call_of_a_process_is_no_panic() -> None:
    run = subprocess.run(
        [sys.executable, "-c", FIRST_CALL], capture_output=True, text=True, check=False, env=os.environ
    )
    assert (run.returncode, "Panic" in run.stderr, "panicked" in run.stderr) == (0, False, False), run.stderr


def test_a_salvage_that_is_killed_anywhere_leaves_a_whole_journal_or_none(tmp_path: Path) -> None:
    counts = kill(8, tmp_path)
    assert counts["kills"] == 8
    assert counts["none"] > 0
    assert counts["whole"] > 0  # Killed behind the line that gives the file its name.


def test_a_salvage_whose_log_cannot_be_copied_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite reports no full disk when it closes: the log stays, and with it the batches."""
    path, new = tmp_path / "journal", tmp_path / "new"
    with DurableResolver.open(path) as resolver:
        resolver.merge("a", "b")
        resolver.commit()
    close = SqliteJournal.close

    def close_on_a_full_disk(journal: SqliteJournal) -> None:
        reader = sqlite3.connect(journal._path) if journal._path else None
        if reader:  # One more connection: nothing is copied, and the log stays.
            reader.execute("SELECT * FROM head").fetchall()
        close(journal)
        kept.append(reader)

    kept: list[sqlite3.Connection | None] = []
    monkeypatch.setattr(SqliteJournal, "close", close_on_a_full_disk)
    with pytest.raises(OSError, match=f"{new}") as raised:
        salvage(path, new, verify(path))
    assert raised.value.errno == errno.ENOSPC
    assert {left.name for left in tmp_path.iterdir()} == {"journal", "journal-wal", "journal-shm"} | {
        f"{name}-writer" for name in ("journal", "new")
    }
    for reader in kept:
        if reader:
            reader.close()


def test_half_a_commit_is_not_salvaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "BLOCK", 500)
    path, new = tmp_path / "journal", tmp_path / "new"
    with DurableResolver.open(path) as resolver:
        resolver.merge("a", "b")
        resolver.commit({"topic": 1})
        resolver.link_many(Kind.MERGE, [f"x{n}" for n in range(200)], [f"y{n}" for n in range(200)])
        resolver.commit({"topic": 2})
    with closing(sqlite3.connect(path)) as connection, connection:
        (last,) = connection.execute("SELECT max(number) FROM batches").fetchone()
        assert last > 5
        connection.execute("UPDATE batches SET seq = 0 WHERE number = ?", (last - 1,))
    verdict = verify(path)
    assert (verdict.batches, verdict.position, verdict.offsets) == (1, 1, {"topic": 1})
    salvage(path, new, verdict)
    with DurableResolver.open(new) as again:
        assert (again.position, again.offsets) == (1, {"topic": 1})
