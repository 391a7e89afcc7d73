"""A journal in one file of SQLite.

The file is in WAL mode and every commit is synchronous: when it returns, the batch is on disk, and a crash
at any moment leaves whole batches only. SQLite checks the frames of its write-ahead log; what lies in the
file itself is checked by a checksum a batch, and by a head that says which batch is the last one, so that a
row that damage hides is missed.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idmerge.errors import JournalError
from idmerge.journal.lock import WriterLock
from idmerge.journal.protocol import FIELDS, FORMAT, HEADS, Batch, Facts, checked

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

MEMORY = ":memory:"
"""The path of a journal that is gone with its resolver."""
APPLICATION = 0x69646D67
"""What SQLite's header says of the file: "idmg"."""
PAGE = 16_384
"""Bytes a page: a batch of some hundred kilobytes is a few writes."""
CHECKPOINT = 16 * 2**20 // PAGE
"""Pages in the write-ahead log before they are copied into the file."""
BUSY = 10.0
"""Seconds to wait for a reader that keeps the log from being copied."""

_COLUMNS = ", ".join(FIELDS)
_HEADS = ", ".join(HEADS)
_SCHEMA = f"""
CREATE TABLE facts (only_one INTEGER PRIMARY KEY CHECK (only_one = 0), stated TEXT NOT NULL) STRICT;
CREATE TABLE head (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 0), number INTEGER NOT NULL
) STRICT;
CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    end_seq INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    end_id INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    offsets TEXT,
    retractions TEXT,
    texts BLOB NOT NULL,
    block BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
"""


class SqliteJournal:
    """A journal in the file at ``path``, or in memory if that is ``:memory:``.

    Raises:
        FileNotFoundError: There is no such file, and ``create`` is false or ``read_only`` true.
        JournalError: The file is no journal, is damaged, or has another writer.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool, read_only: bool) -> None:
        self.name = str(path)
        self._lock = None
        in_memory = self.name == MEMORY
        self.checkpoint = None if in_memory else Path(f"{self.name}-checkpoint")
        if not in_memory and (read_only or not create) and not Path(path).exists():
            raise FileNotFoundError(f"{self.name}: there is no such journal")
        if not in_memory and not read_only:
            self._lock = WriterLock(Path(path).resolve())
        try:
            self._connection = self._connect(in_memory=in_memory, read_only=read_only)
        except BaseException:
            if self._lock:
                self._lock.release()
            raise
        try:
            with self._as_journal_errors():
                self._prepare(read_only=read_only)
        except BaseException:
            self.close()
            raise

    def _connect(self, *, in_memory: bool, read_only: bool) -> sqlite3.Connection:
        target = (
            MEMORY
            if in_memory
            else f"{Path(self.name).resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        )
        try:
            return sqlite3.connect(
                target, uri=not in_memory, isolation_level=None, check_same_thread=False, timeout=BUSY
            )
        except sqlite3.OperationalError as error:
            raise OSError(f"{self.name}: {error}") from error

    def _prepare(self, *, read_only: bool) -> None:
        """Make a new file a journal, and make sure that an old one is."""
        ask = self._connection.execute
        if not read_only:
            ask(f"PRAGMA page_size = {PAGE}")
            ask("PRAGMA secure_delete = ON")
            is_new = ask("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
            if is_new and ask("PRAGMA application_id").fetchone() == (0,):
                ask("PRAGMA journal_mode = WAL")
                self._connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
            ask("PRAGMA synchronous = FULL")
            ask(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
        if ask("PRAGMA application_id").fetchone() != (APPLICATION,):
            raise JournalError(f"{self.name} is a file of SQLite, and no journal of idmerge")
        (found,) = ask("PRAGMA user_version").fetchone()
        if found != FORMAT:
            raise JournalError(
                f"{self.name} has format {found}, and this version reads format {FORMAT}; "
                "read it with the version of idmerge that wrote it"
            )

    @contextmanager
    def _as_journal_errors(self) -> Iterator[None]:
        """Say of SQLite's errors in whose file they were met; those of writing are the system's."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OSError(f"{self.name}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{self.name} is no journal, or is damaged: {error}") from error
        except UnicodeDecodeError as error:  # In what SQLite says of a damaged schema.
            raise JournalError(f"{self.name} is damaged: {error.object!r}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all or nothing."""
        with self._as_journal_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def facts(self) -> Facts | None:
        """Return what was stated when the journal was made; None if nothing was yet."""
        with self._as_journal_errors():
            row = self._connection.execute("SELECT stated FROM facts").fetchone()
        return None if row is None else Facts.from_json(row[0])

    def state(self, facts: Facts) -> None:
        """State what holds for the whole journal, once."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO facts VALUES (0, ?)", (facts.to_json(),))

    def append(self, batch: Batch) -> None:
        """Keep ``batch`` behind all others; when this returns, it is on disk."""
        values = [getattr(batch, field) for field in FIELDS]
        marks = ", ".join("?" * len(FIELDS))
        with self._transaction() as connection:
            connection.execute(f"INSERT INTO batches ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608
            connection.execute(
                "INSERT INTO head VALUES (0, ?) "
                "ON CONFLICT (only_one) DO UPDATE SET number = excluded.number",
                (batch.number,),
            )

    def batches(self, after: Batch | None = None) -> Iterator[Batch]:
        """Yield the batches behind ``after``, or all, in order, as they are at this moment."""
        with self._as_journal_errors():
            self._connection.execute("BEGIN")
            try:
                yield from self._checked(after)
            finally:
                self._connection.execute("ROLLBACK")

    def _checked(self, after: Batch | None) -> Iterator[Batch]:
        head = self._connection.execute("SELECT number FROM head").fetchone()
        ask = f"SELECT {_COLUMNS} FROM batches WHERE number > ? ORDER BY number"  # noqa: S608
        with closing(self._connection.execute(ask, (-1 if after is None else after.number,))) as rows:
            yield from checked(self.name, rows, after, head[0] if head else None)

    def blocks(self, start: int, end: int) -> list[bytes]:
        """Return the blocks of steps of the batches from number ``start`` to before ``end``, in order."""
        with self._as_journal_errors():
            ask = "SELECT block FROM batches WHERE number >= ? AND number < ? ORDER BY number"
            return [block for (block,) in self._connection.execute(ask, (start, end))]

    def heads(self) -> Iterator[Mapping[str, Any]]:
        """Yield the fields of each batch, blocks apart, without checking anything."""
        sizes = "length(texts) AS text_bytes, length(block) AS block_bytes"
        ask = f"SELECT {_HEADS}, {sizes} FROM batches ORDER BY number"  # noqa: S608
        with self._as_journal_errors():
            rows = self._connection.execute(ask)
            names = [column[0] for column in rows.description]
            for row in rows:
                yield dict(zip(names, row, strict=True))

    def times(self) -> list[tuple[int, int]]:
        """Return where each batch ends and when it was written, in order."""
        with self._as_journal_errors():
            ask = "SELECT end_seq, written_at FROM batches ORDER BY number"
            return self._connection.execute(ask).fetchall()

    def rewrite(self, batch: Batch) -> None:
        """Keep ``batch`` in place of the one with its number."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE batches SET texts = ?, checksum = ? WHERE number = ?",
                (batch.texts, batch.checksum, batch.number),
            )

    def compact(self) -> None:
        """Give back room, and leave no trace of what was written over."""
        with self._as_journal_errors():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute("VACUUM")
            (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise JournalError(
                f"{self.name}: a reader keeps the write-ahead log, and with it what was written over; "
                "compact it again when that reader has closed it"
            )

    def close(self) -> None:
        """Let go of the journal."""
        self._connection.close()
        if self._lock:
            self._lock.release()
            self._lock = None
