"""A journal on a file system that fails: committed batches are read back, or an error is raised."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from idmerge import DurableResolver, Policy
from idmerge.errors import JournalError
from idmerge.journal import sqlite
from resolver_state import state
from strategies import D1, D2

POLICY = Policy(blocked_ids=frozenset({"nobody"}))
_BATCHES: list[Callable[[DurableResolver], Any]] = [
    lambda resolver: (resolver.identify(D1, "U1"), resolver.observe("U3")),
    lambda resolver: (resolver.alias("A1", "U1"), resolver.keep_apart("U1", "U3")),
    lambda resolver: (resolver.retract(0), resolver.merge("A1", "U4")),
    lambda resolver: (resolver.forget("U4"), resolver.identify(D2, "a longer name of somebody's")),
]


def said(resolver: DurableResolver) -> Any:
    return state(resolver), resolver.position, resolver.offsets


def written(path: Path) -> tuple[DurableResolver, list[Any]]:
    """A resolver with some committed batches, and its answers before the first and after each."""
    resolver = DurableResolver.open(path, POLICY)
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
    in_memory = "/dev/shm"  # noqa: S108
    with tempfile.TemporaryDirectory(dir=in_memory if os.access(in_memory, os.W_OK) else tmp_path) as path:
        yield Path(path)


def found_in(path: Path, main: bytes, log: bytes = b"", *, read_only: bool = False) -> Any:
    """The answers of a journal of these bytes, or None if it is refused."""
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(main)
    if log:
        Path(f"{path}-wal").write_bytes(log)
    try:
        with DurableResolver.open(path, read_only=read_only) as resolver:
            return said(resolver)
    except (JournalError, OSError) as error:
        assert str(path) in str(error)  # noqa: PT017 - it may be refused, and may be not
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
    """Commit to a journal that opens; the commit is there afterwards, with all before it."""
    try:
        with DurableResolver.open(path) as resolver:
            resolver.merge("U5", "U6")
            resolver.commit({"source": 9})
            now = said(resolver)
    except (JournalError, OSError):
        return
    with DurableResolver.open(path) as resolver:
        assert said(resolver) == now


# A disk that is full.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte; only the administrator can have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "idmerge", str(disk)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)  # noqa: S607


def _fill(disk: Path) -> Path:
    """Leave no byte free; return the file to delete."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast


def test_a_commit_to_a_full_disk_loses_nothing_and_can_be_tried_again(small_disk: Path) -> None:
    path = small_disk / "journal"
    resolver, _ = written(path)
    for _ in range(3):
        ballast = _fill(small_disk)
        _add_many(resolver)
        uncommitted, now = resolver.uncommitted, state(resolver)
        for _ in range(2):
            with pytest.raises(OSError, match=f"{path}: .*full"):
                resolver.commit({"source": resolver.position})
        assert (resolver.uncommitted, state(resolver)) == (uncommitted, now)
        resolver.merge("U7", "U8")
        ballast.unlink()
        assert resolver.commit({"source": resolver.position}) == resolver.position
        assert resolver.uncommitted == 0
    told = said(resolver)
    resolver.close()
    with DurableResolver.open(path) as again:
        assert said(again) == told


def test_a_full_disk_leaves_a_journal_as_it_was_before_it_is_compacted(small_disk: Path) -> None:
    path = small_disk / "journal"
    resolver, _ = written(path)
    _add_many(resolver)
    resolver.forget("user 1")
    resolver.commit()
    told, ballast = said(resolver), _fill(small_disk)
    with pytest.raises(OSError, match=f"{path}: .*full"):
        resolver.compact()
    assert said(resolver) == told
    ballast.unlink()
    resolver.compact()
    resolver.close()
    with DurableResolver.open(path) as again:
        assert said(again) == told


def test_on_a_full_disk_no_journal_is_made_and_later_it_is(small_disk: Path) -> None:
    path = small_disk / "journal"
    path.with_name("journal-writer").write_text("x" * 100, "ascii")
    ballast = _fill(small_disk)
    with pytest.raises(OSError, match=f"{path}: .*full"):
        DurableResolver.open(path)
    assert not path.exists()
    ballast.unlink()
    written(path)[0].close()


def _add_many(resolver: DurableResolver) -> None:
    resolver.observe_many([f"user {resolver.position} {number}" for number in range(5000)])
    resolver.merge("user 1", "user 2")


def test_a_commit_beyond_the_size_allowed_loses_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    code = """
import resource, sys, test_damage as damage
path = damage.Path(sys.argv[1])
resolver, _ = damage.written(path)
damage._add_many(resolver)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name("journal-wal").stat().st_size, hard))
uncommitted = resolver.uncommitted
try:
    resolver.commit({"source": 9})
except OSError as error:
    print(error)
assert resolver.uncommitted == uncommitted
resolver.merge("U7", "U8")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
resolver.commit({"source": 10})
told = damage.said(resolver)
resolver.close()
with damage.DurableResolver.open(path) as again:
    assert damage.said(again) == told
"""
    pytest.importorskip("resource")
    folders = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "journal"],
        env={**os.environ, "PYTHONPATH": folders},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{tmp_path / 'journal'}: ")


# What is no journal, or cannot be written.


def _other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE facts (stated)")


def _other_format(path: Path) -> None:
    written(path)[0].close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")


def _without_facts(path: Path) -> None:
    sqlite.SqliteJournal(path, create=True, read_only=False).close()


def _without_its_rest(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(b"frames")


_NO_JOURNALS: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "a text": (lambda path: path.write_text("no database"), JournalError, "no journal, .*choose another"),
    "a database": (_other_database, JournalError, "a file of SQLite, and no journal .*choose another"),
    "an empty file": (Path.touch, JournalError, "an empty file, .*put back a copy .*or delete it"),
    "a format": (_other_format, JournalError, "has format 7, .*reads formats 1, 2, 3 and 4; read it with"),
    "a directory": (Path.mkdir, IsADirectoryError, "is a directory; name a journal's file"),
}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("kind", _NO_JOURNALS)
def test_what_is_no_journal_is_refused_and_stays_as_it_was(
    tmp_path: Path, kind: str, *, read_only: bool
) -> None:
    make, error, message = _NO_JOURNALS[kind]
    path = tmp_path / "journal"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(error, match=f"^{path}.* {message}"):
        DurableResolver.open(path, read_only=read_only)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_batches_without_their_journal_are_not_taken_for_those_of_a_new_one(tmp_path: Path) -> None:
    _without_its_rest(tmp_path / "journal")
    with pytest.raises(JournalError, match=f"{tmp_path / 'journal-wal'} is there without its journal.*put"):
        DurableResolver.open(tmp_path / "journal")
    assert (tmp_path / "journal-wal").read_bytes() == b"frames"


def test_a_journal_that_states_nothing_yet_is_not_read_but_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    _without_facts(path)
    with pytest.raises(JournalError, match=f"{path} is not finished yet .*open it again later"):
        DurableResolver.open(path, read_only=True)
    with DurableResolver.open(path, POLICY) as resolver:
        assert resolver.policy == POLICY


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A directory with a journal that its user, no administrator meanwhile, can only read."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        written(path / "journal")[0].close()
        (path / "journal").chmod(0o444)
        path.chmod(0o555)
        with _as_nobody():
            yield path
        path.chmod(0o755)


@contextmanager
def _as_nobody() -> Iterator[None]:
    if sys.platform == "win32":
        pytest.skip("there are no such users")
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(mine)


@contextmanager
def _allowed(folder: Path) -> Iterator[None]:
    """Let its owner write to ``folder``."""
    user = os.geteuid()
    os.seteuid(os.getuid())
    folder.chmod(0o755)
    yield
    folder.chmod(0o555)
    os.seteuid(user)


def test_a_protected_journal_is_not_opened_to_write(nobody: Path) -> None:
    path = nobody / "journal"
    with pytest.raises(PermissionError, match=f"{path} is write-protected; open it with read_only=True"):
        DurableResolver.open(path)
    with pytest.raises(PermissionError, match=f"{nobody / 'new'}"):
        DurableResolver.open(nobody / "new")


def test_a_journal_in_a_protected_directory_is_read_unless_a_log_hides_its_last_commits(nobody: Path) -> None:
    path = nobody / "journal"
    expected = written(Path(":memory:"))[1][-1]
    with DurableResolver.open(path, read_only=True) as resolver:
        assert said(resolver) == expected
    with _allowed(nobody):
        path.with_name("journal-wal").write_bytes(b"a commit")
    with pytest.raises(PermissionError, match="journal-wal holds commits .*; copy the two files"):
        DurableResolver.open(path, read_only=True)
