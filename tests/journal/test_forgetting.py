"""Forgotten IDs are in no file after compacting, and all other answers are as they were."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import DurableResolver, Kind, Outcome, Policy, reference
from idmerge.errors import JournalError, UnknownIdError
from idmerge.journal import sqlite
from resolver_state import state
from strategies import D1, D2, D3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


_FORGOTTEN = ["ada", "ada.lovelace@example.com", D2, f"$device:{D3}", "ünïcödé-\U0001f98a"]


def _traces(path: Path, text: str) -> set[str]:
    """The journal's files that hold an ID's text, or a UUID's bytes."""
    sought = [text.encode()]
    if text.removeprefix("$device:") in (D2, D3):
        sought += [UUID(text.removeprefix("$device:")).bytes, text.removeprefix("$device:").encode()]
    files = [file for file in path.parent.iterdir() if file.is_file()]
    return {file.name for file in files if any(form in file.read_bytes() for form in sought)}


@pytest.mark.parametrize("text", _FORGOTTEN)
@pytest.mark.parametrize("reopened", [False, True])
def test_after_compacting_no_byte_of_a_forgotten_id_is_left(path: Path, text: str, *, reopened: bool) -> None:
    resolver = DurableResolver.open(path)
    resolver.link_many(Kind.MERGE, ["U1"] * 200, [f"user {number}" for number in range(200)])
    resolver.merge("U1", text)
    resolver.keep_apart(text, "U9")
    resolver.commit()
    if reopened:  # Now it lies in the file, not in the log.
        resolver.close()
        resolver = DurableResolver.open(path)
    resolver.forget(text)
    resolver.commit()
    assert ("journal" if reopened else "journal-wal") in _traces(path, text)
    resolver.compact()
    assert {file.name for file in path.parent.iterdir()} >= {"journal", "journal-shm", "journal-writer"}
    assert _traces(path, text) == set()
    before = state(resolver)
    resolver.close()
    assert _traces(path, text) == set()
    with DurableResolver.open(path) as again:
        assert state(again) == before
        assert text not in again


def test_a_text_that_is_forgotten_before_it_is_committed_is_never_written(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        resolver.merge("U1", "ada.lovelace@example.com")
        resolver.forget("ada.lovelace@example.com")
        resolver.commit()
        assert _traces(path, "ada.lovelace@example.com") == set()


def test_a_reader_keeps_what_was_forgotten_and_compacting_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY", 0.05)
    with DurableResolver.open(path) as resolver:
        resolver.merge("U1", "ada.lovelace@example.com")
        resolver.commit()
        resolver.forget("ada.lovelace@example.com")
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM batches").fetchone()
            with pytest.raises(JournalError, match=f"{path}: a reader keeps .*; compact it again when"):
                resolver.compact()
        resolver.compact()
        assert _traces(path, "ada.lovelace@example.com") == set()


@pytest.mark.rule("8.forget")
def test_an_id_that_was_forgotten_can_come_back_as_another_one(path: Path) -> None:
    with DurableResolver.open(path) as resolver:
        resolver.identify(D1, "U1")
        resolver.commit()
        resolver.forget(D1)
        assert D1 not in resolver
        assert resolver.identify(D1, "U2") is Outcome.MERGED  # It has claimed nothing.
        resolver.commit()
        resolver.compact()
        before = state(resolver)
        with pytest.raises(UnknownIdError):
            resolver.forget("U9")
    with DurableResolver.open(path) as again:
        assert state(again) == before
        assert again.members("U1") == ["U1"]
        assert again.same(D1, "U2")


def test_ids_are_known_after_others_were_forgotten_and_the_journal_was_read_back(path: Path) -> None:
    # The index lost IDs when it grew while those that were forgotten were read back.
    ids = [f"user {number}" for number in range(2000)]
    with DurableResolver.open(path) as resolver:
        resolver.observe_many(ids)
        for text in ids[::3]:
            resolver.forget(text)
        resolver.commit()
    with DurableResolver.open(path) as again:
        assert [text for text in ids if text in again] == [text for text in ids if text not in ids[::3]]


@pytest.mark.rule("8.forget")
@given(
    st.sampled_from(["stable", "identified", "first_seen", "smallest"]),
    st.lists(
        st.tuples(
            st.sampled_from(["forget", "forget", "named", "named", "identify", "grow"]), st.integers(0, 139)
        ),
        min_size=5,
        max_size=60,
    ),
)
def test_in_a_large_cluster_the_same_one_comes_next_as_in_the_reference(
    canonical: Any, told: list[tuple[str, int]]
) -> None:
    policy = Policy(max_cluster_size=None, anon_guard="off", anon_format="any")
    ours, theirs = DurableResolver.open(":memory:", policy, canonical), reference.Resolver(policy, canonical)
    everyone = [f"u{number}" for number in range(141)]
    for number in range(140):
        for resolver in (ours, theirs):
            resolver.merge(f"u{number * 37 % 140 // 70 * 70}", f"u{number * 37 % 140}")
    for act, number in told:
        for resolver in (ours, theirs):
            if act == "grow":
                resolver.merge(f"u{number}", f"u{number + 1}")
            elif act == "identify":
                resolver.identify(f"u{(number + 1) % 140}", f"u{number}")
            else:
                own = f"u{number}" if act == "forget" else resolver.resolve(f"u{number}")
                if own in resolver:
                    resolver.forget(own)
        for own in (f"u{number}", "u1", "u71", "u140"):
            assert ours.resolve(own) == theirs.resolve(own)
    assert ours.resolve_many(everyone) == theirs.resolve_many(everyone)
    ours.commit()
    ours.close()
