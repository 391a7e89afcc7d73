"""A journal on a file system that fails: what is read back was committed, or an error says that it is not."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from idmerge import DurableResolver, Policy, Resolver
from idmerge.errors import JournalError
from idmerge.journal import sqlite
from strategies import D1, D2
from test_laws import state

POLICY = Policy(blocked_ids=frozenset({"nobody"}))
_BATCHES: list[Callable[[DurableResolver], Any]] = [
    lambda resolver: (resolver.identify(D1, "U1"), resolver.observe("U3")),
    lambda resolver: (resolver.alias("A1", "U1"), resolver.keep_apart("U1", "U3")),
    lambda resolver: (resolver.retract(0), resolver.merge("A1", "U4")),
    lambda resolver: (resolver.forget("U4"), resolver.identify(D2, "a longer name of somebody's")),
]


def said(resolver: DurableResolver) -> Any:
    return state(resolver), resolver.seq, resolver.offsets


def written(path: Path) -> tuple[DurableResolver, list[Any]]:
    """A resolver that has committed some batches, and what it said before the first and after each."""
    resolver = Resolver.open(path, POLICY)
    told = [said(resolver)]
    for number, take in enumerate(_BATCHES):
        take(resolver)
        resolver.commit({"source": number})
        told.append(said(resolver))
    return resolver, told


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of the least size, so that every byte can be tried."""
    monkeypatch.setattr(sqlite, "PAGE", 512)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory if the system has one: thousands of journals are opened."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as path:
        yield Path(path)


def found_in(path: Path, main: bytes, log: bytes = b"", *, read_only: bool = False) -> Any:
    """What a journal of these bytes says, or None if it is refused."""
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(main)
    if log:
        Path(f"{path}-wal").write_bytes(log)
    try:
        with Resolver.open(path, read_only=read_only) as resolver:
            return said(resolver)
    except (JournalError, OSError) as error:
        assert str(path) in str(error)
        return None


def flipped(content: bytes, at: int, bit: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


@pytest.mark.usefixtures("small_pages")
def test_a_log_that_ends_anywhere_gives_the_batches_that_are_whole(folder: Path) -> None:
    resolver, told = written(folder / "journal")
    main, log = (folder / "journal").read_bytes(), (folder / "journal-wal").read_bytes()
    resolver.close()
    path, last, seen = folder / "cut", told[-1], 0
    assert found_in(path, main, log) == last
    for end in reversed(range(len(log) // 2, len(log))):
        found = found_in(path, main, log[:end], read_only=end % 2 == 0)
        assert found in told
        assert told.index(found) <= told.index(last)
        seen, last = seen + (found != last), found
    assert seen > 1


def test_a_log_of_common_pages_that_ends_anywhere_gives_the_batches_that_are_whole(folder: Path) -> None:
    resolver, told = written(folder / "journal")
    main, log = (folder / "journal").read_bytes(), (folder / "journal-wal").read_bytes()
    resolver.close()
    drawn = random.Random(0)
    seen = {told.index(found_in(folder / "cut", main, log[: drawn.randrange(len(log))])) for _ in range(99)}
    assert len(seen) > 3


@pytest.mark.usefixtures("small_pages")
def test_a_file_that_ends_early_is_refused(folder: Path) -> None:
    resolver, told = written(folder / "journal")
    resolver.close()
    main = (folder / "journal").read_bytes()
    refused = 0
    for end in range(0, len(main), 13):
        found = found_in(folder / "cut", main[:end], read_only=end % 2 == 0)
        assert found in (told[-1], None)
        refused += found is None
    assert refused > len(main) / 13 * 0.9


@pytest.mark.usefixtures("small_pages")
def test_a_flipped_bit_in_the_log_gives_batches_that_were_committed_or_an_error(folder: Path) -> None:
    resolver, told = written(folder / "journal")
    main, log = (folder / "journal").read_bytes(), (folder / "journal-wal").read_bytes()
    resolver.close()
    drawn = random.Random(0)
    for at in range(0, len(log), 7):
        changed = flipped(log, at, drawn.randrange(8))
        assert found_in(folder / "flipped", main, changed, read_only=at % 2 == 0) in [*told, None]


@pytest.mark.usefixtures("small_pages")
def test_a_flipped_bit_in_the_file_changes_no_answer_now_or_later(folder: Path) -> None:
    resolver, told = written(folder / "journal")
    resolver.close()
    main = (folder / "journal").read_bytes()
    drawn, path = random.Random(int(os.environ.get("SEED", "0"))), folder / "flipped"
    refused = 0
    for at in range(len(main)):
        found = found_in(path, flipped(main, at, drawn.randrange(8)), read_only=at % 2 == 0)
        assert found in (told[-1], None), at
        refused += found is None
        if found:
            _check_that_it_can_go_on(path)
    assert refused > len(main) / 2


def _check_that_it_can_go_on(path: Path) -> None:
    """What is committed to a journal that opens is there afterwards, with all before it."""
    try:
        with Resolver.open(path) as resolver:
            resolver.merge("U5", "U6")
            resolver.commit({"source": 9})
            now = said(resolver)
    except (JournalError, OSError):
        return
    with Resolver.open(path) as resolver:
        assert said(resolver) == now
