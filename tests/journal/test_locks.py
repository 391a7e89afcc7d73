"""One writer a journal, whatever forks, links and directories there are; commits in doubt."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from idmerge import DurableResolver
from idmerge.errors import CheckpointWarning, JournalError, SealedError

if TYPE_CHECKING:
    from collections.abc import Iterator

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.idmerge"


@pytest.fixture
def made(path: Path) -> Path:
    """A journal with one link that nobody has open."""
    with DurableResolver.open(path) as r:
        r.merge("a", "b")
        r.commit()
    return path


# Forks


def open_within(path: Path, seconds: float) -> None:
    """Open a journal for writing and close it, once its lock is free."""
    end = monotonic() + seconds
    while True:
        try:
            DurableResolver.open(path).close()
        except JournalError:
            if monotonic() > end:
                raise
            sleep(0.05)
        else:
            return


@forks
def test_a_killed_writer_leaves_the_lock_though_its_children_live(path: Path) -> None:
    code = """
import multiprocessing, os, sys, time
from idmerge import DurableResolver, Resolver
r = DurableResolver.open(sys.argv[1])
children = [os.fork() or time.sleep(60) or os._exit(0)]
context = multiprocessing.get_context("fork")
other = context.Process(target=time.sleep, args=(60,), daemon=True)
other.start()
print(*[child for child in children if child], other.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        children = [int(child) for child in writer.stdout.readline().split()]
        with pytest.raises(JournalError, match=f"open for writing by process {writer.pid} on "):
            DurableResolver.open(path)
        writer.kill()
        writer.wait()
        try:
            assert len(children) == 2
            for child in children:
                os.kill(child, 0)  # It lives.
            open_within(path, seconds=30)  # A child on a busy machine may not have let go yet.
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)


CALLS = {
    "resolve": 'r.resolve("a")',
    "resolve_many": 'r.resolve_many(["a"])',
    "merge": 'r.merge("a", "c")',
    "link_many": 'r.link_many(2, ["a"], ["c"])',
    "observe": 'r.observe("d")',
    "contains": '"a" in r',
    "len": "len(r)",
    "mapping": "r.mapping()",
    "stats": "r.stats()",
    "commit": "r.commit()",
    "offsets": 'r.commit(offsets={"s": 1})',
    "checkpoint": "r.checkpoint()",
    "explain": 'r.explain("a")',
    "why_not": 'r.why_not("a", "b")',
    "statements": 'r.statements("a")',
    "changes": "r.changes(0)",
    "retract": "r.retract(0)",
    "keep_apart": 'r.keep_apart("a", "x")',
    "forget": 'r.forget("a")',
    "compact": "r.compact()",
    "position": "r.position",
}


@forks
@pytest.mark.parametrize("opened", ["read_only=True", "read_only=False"])
def test_in_a_forked_child_every_call_is_refused_and_the_parent_goes_on(made: Path, opened: str) -> None:
    code = f"""
import os, sys, threading, warnings
from idmerge import DurableResolver, Resolver
from idmerge.errors import SealedError
warnings.simplefilter("error")
r = DurableResolver.open(sys.argv[1], {opened})
held, go_on = threading.Event(), threading.Event()
def hold():  # As another thread may at the moment of the fork.
    with r._guard:
        held.set()
        go_on.wait()
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if not child:
    for name, call in {CALLS!r}.items():
        try:
            print(name, eval(call))
        except SealedError as error:
            print(name, str(error).partition(" was ")[2])
    r.close()
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
go_on.set()
print(r.resolve("a"), r.position, flush=True)
if {opened.endswith("False")}:
    r.merge("a", "z")
    r.commit()
r.close()
print(os.getpid())
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, made], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    *refused, of_parent, parent = ran.stdout.splitlines()
    why = f"opened by process {parent}, of which this is a fork; open it anew in this process"
    assert refused == [f"{name} {why}" for name in CALLS]
    assert of_parent == "a 1"
    with DurableResolver.open(made) as r:
        assert r.same("a", "b")


@forks
def test_a_child_opens_the_journal_anew_and_writes_when_its_parent_has_closed_it(made: Path) -> None:
    r = DurableResolver.open(made)
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe()
    closed = context.Event()

    def in_child() -> None:
        try:
            DurableResolver.open(made)
        except JournalError as error:
            sending.send(str(error))
        closed.wait()
        with DurableResolver.open(made) as mine:
            mine.merge("b", "of the child")
            sending.send(mine.commit())

    child = context.Process(target=in_child)
    child.start()
    assert f"is open for writing by process {os.getpid()}" in receiving.recv()
    r.close()
    closed.set()
    assert receiving.recv() == 2
    child.join()


@forks
def test_a_journal_in_memory_is_the_childs_own() -> None:
    r = DurableResolver.open(":memory:")
    r.merge("a", "b")
    if os.fork() == 0:
        r.merge("b", "c")
        os._exit(0 if r.commit() == 2 and r.same("a", "c") else 1)
    assert os.wait()[1] == 0


# Links


def test_a_journal_with_a_second_name_is_not_written_to_under_either(made: Path) -> None:
    other = made.with_name("other")
    other.hardlink_to(made)
    for name in (made, other):
        with pytest.raises(JournalError, match=f"{name} is one of 2 hard links to one file"):
            DurableResolver.open(name)
    other.unlink()
    DurableResolver.open(made).close()


def test_a_second_name_that_is_made_while_it_is_open_lets_nobody_else_in(made: Path) -> None:
    other = made.with_name("other")
    with DurableResolver.open(made) as r:
        other.hardlink_to(made)
        with pytest.raises(JournalError, match="hard links"):
            DurableResolver.open(other)
        r.merge("b", "c")
        assert r.commit() == 2


def test_two_symbolic_links_to_a_journal_have_one_lock(made: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    links = [tmp_path / "link", elsewhere / "link"]
    for link in links:
        link.symlink_to(made)
    with DurableResolver.open(links[0]), pytest.raises(JournalError, match="is open for writing by process"):
        DurableResolver.open(links[1])


@pytest.mark.parametrize("link", ["symbolic", "dangling", "hard"])
def test_what_a_lock_file_leads_to_is_not_written_over(made: Path, link: str) -> None:
    victim, lock = made.with_name("victim"), made.with_name(f"{made.name}-writer")
    lock.unlink()
    if link != "dangling":
        victim.write_bytes(b"precious")
    if link == "hard":
        lock.hardlink_to(victim)
    else:
        lock.symlink_to(victim)
    with pytest.raises(JournalError, match=f"{lock.name} is .*remove it"):
        DurableResolver.open(made)
    assert (victim.read_bytes() if victim.exists() else b"precious") == b"precious"
    assert victim.exists() == (link != "dangling")
    lock.unlink()
    DurableResolver.open(made).close()


@pytest.mark.parametrize("suffix", ["checkpoint", "checkpoint-new"])
def test_what_a_checkpoint_leads_to_is_not_written_over(made: Path, suffix: str) -> None:
    victim, link = made.with_name("victim"), made.with_name(f"{made.name}-{suffix}")
    victim.write_bytes(b"precious")
    link.symlink_to(victim)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        r = DurableResolver.open(made)
    with r:
        r.checkpoint()
    assert victim.read_bytes() == b"precious"
    with DurableResolver.open(made) as r:
        assert r.same("a", "b")


def test_a_new_journal_is_not_made_where_a_link_leads(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_bytes(b"precious")
    path.with_name(f"{path.name}-new").symlink_to(victim)
    with DurableResolver.open(path) as r:
        r.merge("a", "b")
        r.commit()
    assert victim.read_bytes() == b"precious"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_checkpoint_that_is_a_pipe_keeps_nobody_waiting(made: Path) -> None:
    os.mkfifo(made.with_name(f"{made.name}-checkpoint"))
    with pytest.warns(CheckpointWarning, match="is passed over, .*: it is no file"):
        DurableResolver.open(made).close()


# Errors on the way


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_path_that_is_no_unicode_opens_and_lets_go_of_its_lock(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe-journal")
    for _ in range(2):
        with DurableResolver.open(path) as r:
            r.merge("a", "b")
            r.commit()


@pytest.mark.parametrize("broken", ["_connect", "_prepare", "_create"])
def test_an_error_of_any_kind_while_it_is_opened_lets_go_of_the_lock(
    path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")

    with monkeypatch.context() as patch:
        patch.setattr(f"idmerge.journal.sqlite.SqliteJournal.{broken}", fail)
        try:
            DurableResolver.open(path)
        except (UnicodeEncodeError, JournalError) as error:
            kept = error  # With its traceback, and so with all that is in it.
    DurableResolver.open(path).close()
    assert kept


# Directories that cannot be written to

READ = """
import os, sys
import idmerge.journal.sqlite
from idmerge import DurableResolver, Resolver
if os.getuid() == 0:  # Who may write anywhere.
    os.setgid(65534)
    os.setuid(65534)
try:
    with DurableResolver.open(sys.argv[1], read_only=True) as r:
        print(r.resolve("a"), r.position, flush=True)
        for _ in sys.stdin:
            print(r.refresh(), flush=True)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def protected() -> Iterator[Path]:
    """A journal in a directory where nobody but its owner may make a file."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal"
        with DurableResolver.open(path) as r:
            r.merge("a", "b")
            r.commit()
        path.chmod(0o444)
        Path(directory).chmod(0o555)
        yield path
        Path(directory).chmod(0o755)


def read(path: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", READ, path], capture_output=True, text=True, check=True, timeout=60, input=""
    )
    return ran.stdout


def test_a_journal_in_a_protected_directory_is_read(protected: Path) -> None:
    assert read(protected) == "a 1\n"


def test_commits_in_a_log_that_cannot_be_read_are_missed_loudly(protected: Path) -> None:
    protected.parent.chmod(0o755)
    protected.chmod(0o644)
    code = """
import os, sys
from idmerge import DurableResolver, Resolver
r = DurableResolver.open(sys.argv[1])
r.merge("b", "c")
r.commit()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, protected], check=False, timeout=60)
    log, locks = (protected.with_name(f"{protected.name}-{suffix}") for suffix in ("wal", "shm"))
    assert log.stat().st_size
    for file in (protected, log, locks):
        file.chmod(0o444)
    protected.parent.chmod(0o555)
    assert read(protected) == "a 2\n"  # With both files SQLite reads the log.
    protected.parent.chmod(0o755)
    locks.unlink()
    protected.parent.chmod(0o555)
    printed = read(protected)
    assert printed.startswith(f"PermissionError {protected}: its directory cannot be written to, and ")
    assert "copy the two files" in printed


def test_a_reader_of_a_protected_directory_sees_what_a_writer_adds(protected: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READ, protected], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "a 1\n"
        protected.parent.chmod(0o755)
        protected.chmod(0o644)
        with DurableResolver.open(protected) as r:
            r.merge("b", "c")
            r.commit()
        protected.parent.chmod(0o555)
        reader.stdin.write("again\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "2\n"
        reader.stdin.close()


# Commits in doubt


class LostError(OSError):
    """The connection is gone."""


def dropping(r: Any, *, arrives: bool) -> None:
    """Let the next batch arrive or not, and the connection be lost before anybody learns of it."""
    append = r._journal.append

    def drop(batch: Any) -> None:
        if arrives:
            append(batch)
        raise LostError("the connection is lost")

    r._journal.append = drop


@pytest.mark.parametrize("arrives", [True, False])
def test_closing_asks_what_became_of_a_commit_that_was_cut_off(path: Path, *, arrives: bool) -> None:
    r = DurableResolver.open(path)
    r.merge("a", "b")
    dropping(r, arrives=arrives)
    with pytest.raises(LostError):
        r.commit()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        r.close()
    lost = [] if arrives else ["1 step was not committed and is lost; call commit() before close()"]
    assert [str(warning.message) for warning in said] == lost
    with DurableResolver.open(path) as again:
        assert again.position == int(arrives)


def test_closing_says_that_nobody_knows_when_the_journal_cannot_be_asked(path: Path) -> None:
    r = DurableResolver.open(path)
    r.merge("a", "b")
    dropping(r, arrives=True)
    with pytest.raises(LostError):
        r.commit()
    r.merge("b", "c")

    def gone(_number: int) -> None:
        raise LostError("there is no route to the host")

    r._journal.batch = gone  # type: ignore[method-assign,assignment]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        r.close()
    assert [str(warning.message).partition(";")[0].partition(":")[0] for warning in said] == [
        "1 step was not committed and is lost",
        "it is not known whether 1 step is in the journal",
    ]
    with pytest.raises(SealedError):
        r.merge("c", "d")
    with DurableResolver.open(path) as again:
        assert again.position == 1


def test_a_connection_to_a_still_file_says_so_only_where_it_must(made: Path) -> None:
    with DurableResolver.open(made, read_only=True) as r:
        assert r._journal._still is None  # type: ignore[attr-defined]
        connection: sqlite3.Connection = r._journal._connection  # type: ignore[attr-defined]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
