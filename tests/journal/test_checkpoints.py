"""Checkpoints spare time and decide nothing: behind a damaged one the journal is read back."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from idmerge import DurableResolver, Kind
from idmerge.journal import durable as durable_module
from idmerge.journal.checkpoint import CheckpointWarning
from resolver_state import state

LONG = "an ID too long to be packed into sixteen bytes, number"


def journal(path: Path) -> dict[str, Any]:
    """Make a journal with a checkpoint in its middle; return what it says."""
    with DurableResolver.open(path) as r:
        names = [f"{LONG} {number}" for number in range(300)]
        r.link_many(Kind.MERGE, names[:-1:2], names[1::2])
        r.link_many(Kind.ALIAS, [f"short-{number}" for number in range(40)], names[:40])
        r.observe("nobody else")
        r.keep_apart("short-1", "short-9")
        r.forget(names[7])
        r.commit({"source": 7})
        r.checkpoint()
        r.merge(names[0], names[2])
        r.commit({"other": "x"})
        return state(r)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def opened(path: Path, **options: Any) -> DurableResolver:
    """Open without being passed over."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return DurableResolver.open(path, **options)


def test_what_came_after_a_checkpoint_is_read_back(path: Path) -> None:
    expected = journal(path)
    with opened(path) as r:
        assert state(r) == expected
        assert r.offsets == {"source": 7, "other": "x"}
        assert r.explain(f"{LONG} 0", f"{LONG} 3") is not None
        assert r.merge(f"{LONG} 300", f"{LONG} 0").accepted  # The index finds and takes IDs.
        r.commit()


def test_it_is_really_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal(path)
    restored: list[int] = []
    inherited = DurableResolver._take_batch

    def counting(self: Any, batch: Any, *arguments: Any, **options: Any) -> bool:
        restored.append(batch.number)
        return inherited(self, batch, *arguments, **options)

    monkeypatch.setattr(DurableResolver, "_take_batch", counting)
    opened(path).close()
    assert restored == [1]


def test_a_retraction_of_what_came_before_the_checkpoint_is_seen(path: Path) -> None:
    journal(path)
    with opened(path) as r:
        r.retract(0)
        r.commit()
        expected = state(r)
    with opened(path) as r:
        assert state(r) == expected
        assert r.position == 194


def test_any_bit_that_differs_is_seen_and_the_journal_read_back(path: Path) -> None:
    expected = journal(path)
    checkpoint = path.with_name("journal-checkpoint")
    whole = checkpoint.read_bytes()
    step = max(len(whole) // 150, 1)
    for place in [*range(64), *range(64, len(whole), step), *range(len(whole) - 24, len(whole))]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        checkpoint.write_bytes(flipped)
        with pytest.warns(CheckpointWarning, match="is passed over"), DurableResolver.open(path) as r:
            assert state(r) == expected


def test_a_checkpoint_that_is_cut_off_or_goes_on_is_passed_over(path: Path) -> None:
    expected = journal(path)
    checkpoint = path.with_name("journal-checkpoint")
    whole = checkpoint.read_bytes()
    for text in (b"", whole[:7], whole[:40], whole[: len(whole) // 2], whole[:-1], whole + b"x", whole * 2):
        checkpoint.write_bytes(text)
        with pytest.warns(CheckpointWarning), DurableResolver.open(path) as r:
            assert state(r) == expected


def test_one_of_another_journal_is_passed_over(path: Path, tmp_path: Path) -> None:
    expected = journal(path)
    with DurableResolver.open(tmp_path / "other") as r:
        r.merge("a", "b")
        r.commit()
        r.checkpoint()
    shutil.copy(tmp_path / "other-checkpoint", tmp_path / "journal-checkpoint")
    with pytest.warns(CheckpointWarning, match="not of this journal"), DurableResolver.open(path) as r:
        assert state(r) == expected


def test_one_that_is_ahead_of_the_journal_is_passed_over(path: Path, tmp_path: Path) -> None:
    with DurableResolver.open(path) as r:
        r.merge("a", "b")
        r.commit()
        shutil.copy(path, tmp_path / "old")
        shutil.copy(f"{path}-wal", tmp_path / "old-wal")
        r.merge("b", "c")
        r.commit()
        r.checkpoint()
    shutil.copy(tmp_path / "journal-checkpoint", tmp_path / "old-checkpoint")
    with pytest.warns(CheckpointWarning, match="after batch 1, which the journal does not hold"):
        old = DurableResolver.open(tmp_path / "old")
    assert old.members("a") == ["a", "b"]
    old.close()


def test_one_without_history_is_no_use_to_who_wants_it(path: Path) -> None:
    with DurableResolver.open(path, history=False) as r:
        r.merge("a", "b")
        r.commit()
        r.checkpoint()
    with pytest.warns(CheckpointWarning, match="without history"), DurableResolver.open(path) as r:
        assert r.explain("a", "b") is not None
    opened(path, history=False).close()


def test_what_is_not_committed_is_in_no_checkpoint(path: Path) -> None:
    with DurableResolver.open(path) as r:
        r.merge("a", "b")
        with pytest.raises(ValueError, match="call commit"):
            r.checkpoint()
        r.commit()
        r.checkpoint()


def test_closing_writes_one_when_the_last_is_old(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_module, "WORTH_A_CHECKPOINT", 3)
    checkpoint = path.with_name("journal-checkpoint")
    for expected in (False, False, True):
        with DurableResolver.open(path) as r:
            r.merge("a", f"b{r.position}")
            r.commit()
        assert checkpoint.exists() is expected
    written = checkpoint.read_bytes()
    with opened(path) as r:
        r.merge("a", "c")
        r.commit()
    assert checkpoint.read_bytes() == written


def test_compacting_leaves_none_that_holds_what_was_forgotten(path: Path) -> None:
    wiped = "somebody who wants to be forgotten"
    with DurableResolver.open(path) as r:
        r.merge(wiped, "a")
        r.commit()
        r.checkpoint()
        assert wiped.encode() in path.with_name("journal-checkpoint").read_bytes()
        path.with_name("journal-checkpoint-new").write_text(wiped)  # As a crash may have left it.
        r.forget(wiped)
        r.compact()
        assert not path.with_name("journal-checkpoint").exists()
        r.checkpoint()
        expected = state(r)
        assert len(list(path.parent.iterdir())) >= 3
        for file in path.parent.iterdir():
            assert wiped.encode() not in file.read_bytes(), file.name
    with opened(path) as r:
        assert state(r) == expected


def test_a_reader_uses_it_too(path: Path) -> None:
    expected = journal(path)
    with opened(path, read_only=True) as r:
        assert state(r) == expected
        assert r.refresh() == 193
