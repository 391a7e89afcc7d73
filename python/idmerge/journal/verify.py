"""Verification of a journal, and salvage of the good part of a damaged one.

A batch is good if its checksum is that of its content, it follows the one before, and its steps can
be judged again with the outcomes that were recorded. Batches are good up to the first that is not:
those behind it build on what is lost.

    verdict = verify("ids.idmerge")
    if verdict.damage:
        salvage("ids.idmerge", "new.idmerge", verdict)
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from idmerge._naming import check_local, is_journal_url, named
from idmerge.errors import JournalError
from idmerge.files.exchanging import rename_to_free
from idmerge.files.syncing import sync_directory, sync_file
from idmerge.journal.durable import DurableResolver
from idmerge.journal.lock import WriterLock
from idmerge.journal.offsets import offsets_after, stated_offsets
from idmerge.journal.opening import open_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from idmerge.journal.batch import Batch
    from idmerge.journal.offsets import Offsets
    from idmerge.journal.protocol import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of verifying a journal."""

    batches: int
    """The number of good batches, from the first on."""
    position: int
    """The position behind their last link or act."""
    ids: int
    """The number of IDs that they name, forgotten ones included."""
    offsets: Offsets
    """The positions in the sources as of the last good batch."""
    damage: str | None
    """The damage behind the last good batch; None if the journal is whole."""


def verify(path: str | os.PathLike[str], on_batch: Callable[[Batch], None] = lambda _: None) -> Verdict:
    """Read the journal at ``path``, judge its steps again, and return how much of it is good.

    Args:
        path: As for `DurableResolver.open`. The journal is read while others may write to it.
        on_batch: Called with each good batch, to show progress.

    Raises:
        FileNotFoundError: There is no journal.
        JournalError: It is no journal, or the facts that hold for all of it cannot be read.
        OSError: It cannot be read.
    """
    with closing(open_journal(path, create=False, read_only=True)) as journal:
        facts = journal.facts()
        if facts is None:  # Another process is just making it.
            return Verdict(batches=0, position=0, ids=0, offsets={}, damage=None)
        resolver = DurableResolver(journal, facts, history=False, threads=None, read_only=True)
        last: Batch | None = None
        retracts, damage = False, None
        try:
            for batch in journal.batches():
                retracts |= batch.retractions is not None
                resolver._take_batch(batch, (), None, is_checked=not retracts)
                resolver._check_origins(batch)
                if not batch.goes_on:  # Half a commit is none.
                    last = batch.without_blocks()
                on_batch(batch)
        except (JournalError, OSError) as error:  # What cannot be read is damaged, as far as we can tell.
            damage = str(error)
        return Verdict(
            batches=0 if last is None else last.number + 1,
            position=0 if last is None else last.end_position,
            ids=0 if last is None else last.end_id,
            offsets=resolver.offsets,
            damage=damage,
        )


def salvage(path: str | os.PathLike[str], new: str | os.PathLike[str], verdict: Verdict) -> None:
    """Write the good batches of the journal at ``path`` to a new one at ``new``, of this format.

    It is all there or, whatever interrupts this, nothing is: a file is made under another name and
    renamed when it is on disk, and PostgreSQL does it in one transaction.

    Raises:
        FileExistsError: There is something at ``new``.
        OSError: It cannot be written; nothing is left at ``new``.
    """
    with closing(open_journal(path, create=False, read_only=True)) as old:
        if is_journal_url(new):
            with closing(open_journal(new, create=True, read_only=False)) as journal:
                _fill(journal, old, verdict)
            return
        check_local(new, "a journal's path or postgresql:// URL is needed")
        target = Path(new)
        if not _left(target):  # Else they are removed first, and that takes the lock.
            _check_free(target)
        lock = WriterLock(target)  # No other process makes a journal there meanwhile.
        try:
            for left in _left(target):
                shutil.rmtree(left, ignore_errors=True)  # Of a process that was killed: the lock is ours.
            _check_free(target)
            folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", suffix=_UNFINISHED, dir=target.parent))
            try:
                with closing(open_journal(folder / target.name, create=True, read_only=False)) as journal:
                    _fill(journal, old, verdict)
                _put(folder / target.name, target)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            lock.release()


_UNFINISHED = ".salvage"
_SIDE_FILES = ("", "-wal", "-shm", "-checkpoint")


def _left(target: Path) -> list[Path]:
    """Return the folders of salvages to ``target`` that go on, or were killed."""
    return list(target.parent.glob(f".{glob.escape(target.name)}-*{_UNFINISHED}"))


def _check_free(target: Path) -> None:
    for suffix in _SIDE_FILES:
        there = target.with_name(f"{target.name}{suffix}")
        if os.path.lexists(there):
            raise FileExistsError(f"{named(there)} is there already; name a file that is not")


def _fill(journal: Journal, old: Journal, verdict: Verdict) -> None:
    """Let a new journal state what ``old`` does, and hold its good batches."""
    facts = old.facts()
    if facts is None:
        raise JournalError(f"{old.name} has nothing to salvage")
    if journal.facts() is not None:
        raise FileExistsError(f"{journal.name} is a journal already; name another one")
    with closing(old.batches()) as batches:
        journal.state(
            replace(facts, format=journal.version),
            _converted(islice(batches, verdict.batches), old.version, journal.version),
        )


def _converted(batches: Iterable[Batch], version: int, wanted: int) -> Iterator[Batch]:
    """Yield batches of one format as those of another; statements of offsets differ."""
    before: Offsets = {}
    for batch in batches:
        if version == wanted:
            yield batch
            continue
        after = offsets_after(before, batch.offsets, version)
        changed = {**dict.fromkeys(before.keys() - after.keys()), **after}
        yield replace(batch, offsets=stated_offsets(before, changed, wanted)).sealed(wanted)
        before = after


def _put(made: Path, target: Path) -> None:
    """Give a finished file its name, unless that is taken; when this returns, both are on disk.

    It is renamed and not linked: a journal with two names, left by a process killed between the
    link and the end of the other name, could not be opened to write. The lock keeps other journals
    away.
    """
    if made.with_name(f"{made.name}-wal").exists():
        # SQLite copies its log when it closes, keeps it where that fails, and says nothing.
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: its log could not be copied", str(target))
    sync_file(made)
    if not rename_to_free(made, target):
        _check_free(target)
        made.replace(target)
    sync_directory(target.parent)
