"""Reading a part of a batch checks that part, also where a checkpoint spares reading the rest."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benches.campaigns.flips import flip
from idmerge import DurableResolver
from idmerge.doctor.journals import recorded_links
from idmerge.errors import JournalError
from idmerge.journal import open_journal
from paths import DATA
from strategies import D1, D2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of four batches, all of which a checkpoint spares reading."""
    path = tmp_path / "journal"
    with DurableResolver.open(path) as resolver:
        resolver.identify(D1, "U1")
        resolver.commit({"topic": 1})
        resolver.identify(D1, "U2")
        resolver.merge("U1", "U3")
        resolver.commit({"topic": 2, "other": 5})
        resolver.retract(2)
        resolver.commit({"topic": 3})
        resolver.identify(D2, "U2")
        resolver.commit()
        resolver.checkpoint()
    return path


def damage(path: Path, change: str, number: int = 1) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE batches SET {change} WHERE number = ?", (number,))  # noqa: S608


_LOOKS_BACK: list[Callable[[DurableResolver], Any]] = [
    lambda r: r.retract(0),
    lambda r: r.retract(0, dry_run=True),
    lambda r: r.changes(0),
    lambda r: r.why_not("U1", "U2"),
    lambda r: r.statements("U1"),
    lambda r: r.explain("U1", D1),
]


@pytest.mark.parametrize("look_back", _LOOKS_BACK)
def test_who_looks_back_checks_the_blocks_that_a_checkpoint_hid(
    path: Path, look_back: Callable[[DurableResolver], Any]
) -> None:
    # The same length, and steps that can be judged.
    with closing(sqlite3.connect(path)) as connection:
        (block,) = connection.execute("SELECT block FROM batches WHERE number = 1").fetchone()
    with DurableResolver.open(path, history=False, read_only=True) as resolver:
        assert resolver.changes(0).num_rows > 0
    place = len(block) - 90
    changed = block[:place] + bytes([block[place] ^ 1]) + block[place + 1 :]
    with DurableResolver.open(path, history=False) as resolver:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE batches SET block = ? WHERE number = 1", (changed,))
        with pytest.raises(JournalError, match=f"{path}: batch 1 is damaged: its checksum"):
            look_back(resolver)
        assert resolver.uncommitted == 0


@pytest.mark.parametrize("look_back", _LOOKS_BACK)
def test_a_batch_that_is_missing_is_missed_by_who_looks_back(
    path: Path, look_back: Callable[[DurableResolver], Any]
) -> None:
    for number in (0, 1, 3):
        copy = path.with_name(f"without {number}")
        shutil.copy(path, copy)
        with DurableResolver.open(copy, history=False) as resolver:
            with closing(sqlite3.connect(copy)) as connection, connection:
                connection.execute("DELETE FROM batches WHERE number = ?", (number,))
            with pytest.raises(JournalError, match=r"batch \d is missing|the last batch must be 3"):
                look_back(resolver)


@pytest.mark.parametrize(
    "change",
    ["offsets = NULL", "retractions = '[[3, 0]]'", "written_at = 1", "end_seq = end_seq + 1", "goes_on = 1"],
)
@pytest.mark.parametrize("number", range(4))
def test_what_a_batch_states_is_checked_when_it_is_opened_by_a_checkpoint(
    path: Path, change: str, number: int
) -> None:
    if change.startswith("offsets") and number == 3:
        change = "offsets = '{}'"
    damage(path, change, number)
    for options in ({}, {"read_only": True}):
        with pytest.raises(JournalError, match=f"batch {number} is damaged"):
            DurableResolver.open(path, **options)  # type: ignore[arg-type]


def test_the_past_is_not_told_by_heads_that_are_damaged(path: Path) -> None:
    with DurableResolver.open(path, read_only=True) as resolver:
        assert list(recorded_links(path, resolver))
        damage(path, "retractions = '[[1, 0]]'", 2)
        with pytest.raises(JournalError, match="batch 2 is damaged"):
            list(recorded_links(path, resolver))
    with pytest.raises(JournalError, match="batch 2 is damaged"):
        DurableResolver.open(path, read_only=True, as_of=2)
    damage(path, "retractions = '[[3, 2]]'", 2)
    late = datetime.now(UTC) + timedelta(days=1)
    damage(path, f"written_at = {10**17}", 1)
    with pytest.raises(JournalError, match="batch 1 is damaged"):
        DurableResolver.open(path, read_only=True, as_of=late)


def test_a_journal_of_format_1_is_checked_by_its_whole_batches(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    shutil.copy(DATA / "journal-1.idmerge", path)
    with DurableResolver.open(path) as resolver:
        resolver.checkpoint()
        damage(path, "texts = zeroblob(length(texts))", 0)
        with pytest.raises(JournalError, match="batch 0 is damaged"):
            resolver.changes(0)
    with closing(open_journal(path, create=False, read_only=True)) as journal:
        with pytest.raises(JournalError, match="batch 0 is damaged"):
            list(journal.heads())
        with pytest.raises(JournalError, match="batch 0 is damaged"):
            journal.blocks(0, 2)


@pytest.mark.parametrize("source", [None, DATA / "journal-1.idmerge"])
def test_a_bit_that_is_flipped_changes_no_answer(tmp_path: Path, source: Path | None) -> None:
    counts = flip(6, tmp_path, source=source)
    assert counts["alone: flips"] == 6
    assert counts["alone: right answers"] > 5
