"""A journal in one file of SQLite.

The file is in WAL mode and every commit is synchronous: when it returns, the batch is on disk, and
a crash at any moment leaves whole batches only. SQLite checks the frames of its write-ahead log;
what lies in the file itself is checked by a checksum a batch, and by a head that says which batch
is the last one, so that a row that damage hides is missed. A file comes into being under another
name and is renamed when it is whole: an empty one has lost what it held.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idmerge._naming import named
from idmerge.errors import JournalError, SealedError
from idmerge.journal.batch import COLUMNS, FIELDS, HEAD_ROWS, Batch, Chain, fields_stored
from idmerge.journal.copying import LogCopier
from idmerge.journal.facts import FORMAT, Facts, check_format
from idmerge.journal.forks import check_process, watch
from idmerge.journal.lock import WriterLock
from idmerge.journal.protocol import MEMORY
from idmerge.journal.still import Still

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

APPLICATION = 0x69646D67
"""The application ID in SQLite's header: "idmg"."""
PAGE = 16_384
"""Bytes a page: a batch of some hundred kilobytes is a few writes."""
BUSY = 10.0
"""Seconds to wait for a reader that keeps the log from being copied."""

_LENGTHS = {"text_bytes": "length(texts)", "block_bytes": "length(block)"}
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
    goes_on INTEGER NOT NULL,
    texts_checksum INTEGER NOT NULL,
    block_checksum INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    block BLOB NOT NULL,
    texts BLOB NOT NULL
) STRICT;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
"""


_of_parents: list[sqlite3.Connection] = []
"""Connections that forked processes have copies of."""
_OF_THE_SYSTEM = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
}
"""Errors of SQLite that are the system's: the journal itself may be as it should."""
_PROTECTED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY}


class SqliteJournal:
    """A journal in the file at ``path``, or in memory if that is ``:memory:``.

    Raises:
        FileNotFoundError: There is no such file, and ``create`` is false or ``read_only`` true.
        JournalError: The file is no journal, is damaged, or has another writer.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool, read_only: bool) -> None:
        self.name = named(path)
        self._lock = None
        self._is_closed = False
        self._copier: LogCopier | None = None
        self._reading: object | None = None
        """The reader whose transaction is open, if there is one."""
        self._process = os.getpid()
        self._still: Still | None = None
        self._path = None if str(path) == MEMORY else Path(path).resolve()
        self.checkpoint = self._path and self._path.with_name(f"{self._path.name}-checkpoint")
        is_there = self._path is not None and self._check_file(self._path, read_only=read_only)
        if not is_there and (read_only or not create):
            raise FileNotFoundError(f"{self.name}: there is no such journal")
        if self._path and not read_only:
            self._lock = WriterLock(self._path)
        try:
            with self._as_journal_errors():
                if self._path and not is_there:
                    self._create(self._path)
                self._connection = self._connect(read_only=read_only)
        except BaseException:
            if self._lock:
                self._lock.release()
            raise
        watch(self)
        try:
            with self._as_journal_errors():
                self._prepare(read_only=read_only)
        except BaseException:
            self.close()
            raise

    def _check_file(self, path: Path, *, read_only: bool) -> bool:
        """Return whether there is a file, without opening it.

        To close it would free SQLite's locks on it.
        """
        if path.is_dir():
            raise IsADirectoryError(f"{self.name} is a directory; name a journal's file, in it or elsewhere")
        if not path.exists():
            return False
        if path.stat().st_size == 0:
            raise JournalError(
                f"{self.name} is an empty file, and no journal ever is; put back a copy if it was one, "
                "or delete it to begin anew"
            )
        # SQLite opens a protected file all the same, to read.
        if not read_only and not os.access(
            path, os.W_OK, effective_ids=os.access in os.supports_effective_ids
        ):
            raise PermissionError(f"{self.name} is write-protected; open it with read_only=True")
        return True

    def _create(self, path: Path) -> None:
        """Make an empty journal: all of it or, if this is interrupted, none."""
        left, new = (path.with_name(f"{path.name}-{suffix}") for suffix in ("wal", "new"))
        if path.exists():  # Another process has made it, and is gone already.
            return
        if left.exists():
            raise JournalError(
                f"{left} is there without its journal, and may hold batches of it; put the journal back, "
                "or delete the rest of it to begin anew"
            )
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))  # Follows no link to elsewhere.
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA page_size = {PAGE}")
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.executescript(f"BEGIN;{_SCHEMA}COMMIT;")
            connection.execute("PRAGMA journal_mode = WAL")
        new.replace(path)

    def _connect(self, *, read_only: bool) -> sqlite3.Connection:
        mode = "ro" if read_only else "rw"
        self._still = Still.where_needed(self._path) if self._path and read_only else None
        if self._still:
            mode = "ro&immutable=1"
        target = f"{self._path.as_uri()}?mode={mode}" if self._path else MEMORY
        return sqlite3.connect(
            target, uri=self._path is not None, isolation_level=None, check_same_thread=False, timeout=BUSY
        )

    def _look_again(self) -> None:
        """Connect anew if a file that was opened as immutable has changed."""
        if self._still and not self._connection.in_transaction and self._still.has_changed():
            self._connection = self._connect(read_only=True)

    def _prepare(self, *, read_only: bool) -> None:
        """Make sure that the file is a journal, and that it can be written to if it is to be."""
        ask = self._connection.execute
        if not self._path:
            self._connection.executescript(_SCHEMA)  # No reader sees it before it is whole.
        if ask("PRAGMA application_id").fetchone() != (APPLICATION,):
            raise JournalError(
                f"{self.name} is a file of SQLite, and no journal of idmerge; choose another path"
            )
        (self.version,) = ask("PRAGMA user_version").fetchone()
        check_format(self.name, self.version)
        if not read_only:
            # Damage that hurts no reader, such as a page counted as free, would hurt what is
            # written next.
            (found,) = ask("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            ask("PRAGMA secure_delete = ON")
            ask("PRAGMA synchronous = FULL")
            self._copier = LogCopier(self._path, self._connection) if self._path else None

    @contextmanager
    def _as_journal_errors(self) -> Iterator[None]:
        """Turn errors of SQLite into errors that name the journal, or the system's."""
        if self._is_closed:
            raise SealedError(f"{self.name} is closed")
        if self._path:
            check_process(self.name, self._process)
        try:
            self._look_again()
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # The latter of a name in a message.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _PROTECTED:
                raise PermissionError(
                    f"{self.name}: {error}; it and its directory must be readable and writable, "
                    "also to read it while another process may write"
                ) from error
            if code in _OF_THE_SYSTEM:
                raise OSError(f"{self.name}: {error}") from error
            reason = " ".join(str(error).split())  # SQLite may quote a table's definition.
            raise JournalError(
                f"{self.name} is no journal, or is damaged: {reason}; choose another path, or put back a copy"
            ) from error

    def _ask(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        with self._as_journal_errors():
            return self._connection.execute(statement, tuple(values))

    def _one(self, statement: str) -> Any:
        """Return the only row of a statement's answer, or None."""
        with self._as_journal_errors():
            return self._connection.execute(statement).fetchone()

    def _begin(self, kind: str = "", reading: object | None = None) -> None:
        """Begin a transaction, after one whose end an interruption prevented was rolled back."""
        self._roll_back()
        self._reading = reading
        self._ask(f"BEGIN {kind}")

    def _roll_back(self) -> None:
        """End the transaction that is open, if there is one, as if it had not begun."""
        with self._as_journal_errors():
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _columns(self, names: Iterable[str]) -> str:
        """Return how these are asked for; format 1 has no columns for some."""
        known = {name: COLUMNS[name] for name in fields_stored(self.version)} | _LENGTHS
        return ", ".join(known.get(name, "0") for name in names)

    def facts(self) -> Facts | None:
        """Return what was stated when the journal was made; None if nothing was yet."""
        self._roll_back()
        stated, head = self._one("SELECT stated FROM facts"), self._one("SELECT number FROM head")
        if stated is None and head is None:
            return None
        try:
            facts = Facts.from_json(stated and stated[0])
        except JournalError as error:
            raise JournalError(f"{self.name}: {error}") from error
        if facts.format != self.version:
            raise JournalError(
                f"{self.name} is damaged: it has format {self.version}, and states {facts.format}"
            )
        return facts

    def state(self, facts: Facts, batches: Iterable[Batch] = ()) -> None:
        """Store the facts of the whole journal, once, and its first batches; all or nothing."""
        self._write(batches, facts)

    def append(self, batches: Iterable[Batch]) -> None:
        """Keep ``batches``, one commit, behind all others; when this returns, they are on disk."""
        self._write(batches, None)

    def _write(self, batches: Iterable[Batch], facts: Facts | None) -> None:
        names = fields_stored(self.version)
        marks = ", ".join("?" * len(names))
        insert = f"INSERT INTO batches ({self._columns(names)}) VALUES ({marks})"  # noqa: S608
        written, last = 0, None
        try:  # Whatever interrupts this, between any two steps.
            self._begin("IMMEDIATE")
            if facts is not None:
                self._ask("INSERT INTO facts VALUES (0, ?)", (facts.to_json(),))
                self._ask("INSERT INTO head VALUES (0, -1)")
            for batch in batches:
                self._ask(insert, [getattr(batch, name) for name in names])
                written += len(batch.texts) + len(batch.block) + PAGE
                last = batch.number
            if last is not None:
                self._ask("UPDATE head SET number = ?", (last,))
            self._ask("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        if self._copier:
            self._copier.wrote(written)

    def _read(
        self, names: Iterable[str], where: str = "", values: Iterable[Any] = ()
    ) -> Generator[tuple[Any, ...]]:
        """Yield the head, and then the parts asked for of batches in order, as of one moment."""
        reading = object()
        try:
            self._begin(reading=reading)
            yield self._one("SELECT number FROM head") or (None,)
            ask = f"SELECT {self._columns(names)} FROM batches {where} ORDER BY number"  # noqa: S608
            with closing(self._ask(ask, values)) as rows:
                while True:
                    with self._as_journal_errors():
                        row = rows.fetchone()
                    if row is None:
                        return
                    yield row
                    if self._reading is not reading:
                        raise JournalError(
                            f"{self.name}: another call has ended this reading; begin it again"
                        )
        finally:
            if self._reading is reading and not self._is_closed:
                self._roll_back()

    def batches(self, after: Batch | None = None) -> Generator[Batch]:
        """Yield the batches behind ``after``, or all, in order, as they are at this moment."""
        first = 0 if after is None else after.number + 1
        with closing(self._read(FIELDS, "WHERE number >= ?", (first,))) as rows:
            (head,) = next(rows)
            yield from Chain(self.name, self.version, after).batches(rows, head)

    def batch(self, number: int) -> Batch | None:
        """Return the batch with this number; None if there is none."""
        with closing(self._read(FIELDS, "WHERE number = ?", (number,))) as rows:
            next(rows)
            row = next(rows, None)
        return None if row is None else Chain(self.name, self.version).batch(row)

    def blocks(self, start: int, end: int) -> list[bytes]:
        """Return the blocks of steps of the batches ``start`` to before ``end``, in order."""
        names = FIELDS if self.version == 1 else (*HEAD_ROWS, "block")
        with closing(self._read(names, "WHERE number >= ? AND number < ?", (start, end))) as rows:
            next(rows)
            return list(Chain(self.name, self.version).blocks(rows, start, end))

    def heads(self) -> Generator[Mapping[str, Any]]:
        """Yield the fields of each batch and the lengths of its blocks, without the blocks."""
        with closing(self._read(FIELDS if self.version == 1 else HEAD_ROWS)) as rows:
            (head,) = next(rows)
            yield from Chain(self.name, self.version).heads(rows, head)

    def rewrite(self, batch: Batch) -> None:
        """Keep ``batch`` in place of the one with its number."""
        self._roll_back()
        names = ["texts", "checksum"] + (["texts_checksum"] if self.version > 1 else [])
        self._ask(
            f"UPDATE batches SET {', '.join(f'{name} = ?' for name in names)} WHERE number = ?",  # noqa: S608
            [*(getattr(batch, name) for name in names), batch.number],
        )

    def compact(self) -> None:
        """Give back room, and leave no trace of what was written over."""
        self._roll_back()
        if self._copier:
            self._copier.wait()
        self._ask("PRAGMA wal_checkpoint(TRUNCATE)")
        self._ask("VACUUM")
        (busy, _, _) = self._one("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise JournalError(
                f"{self.name}: a reader keeps the write-ahead log, and with it what was written over; "
                "compact it again when that reader has closed it"
            )

    def close(self) -> None:
        """Let go of the journal."""
        self._is_closed = True
        if not self._path or self._process == os.getpid():
            if self._copier:
                self._copier.wait()
            self._connection.close()
        if self._lock:
            self._lock.release()
            self._lock = None

    def _forked(self) -> None:
        """Keep the child's copy of the connection: SQLite forbids to use or close it there."""
        if self._path:
            _of_parents.append(self._connection)
