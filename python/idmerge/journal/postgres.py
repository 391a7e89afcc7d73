"""A journal in three tables of PostgreSQL.

They lie in the connection's current schema, the first one of its ``search_path`` that exists, so a database
holds as many journals as it has schemas. A URL chooses one by ``?options=-csearch_path%3Dname``. The server
is PostgreSQL 13 or later.

A batch is appended by one statement, and the session's ``synchronous_commit`` is at least ``on``: when it
returns, the server has flushed the batch, unless its own ``fsync`` is off. The statement moves the head on
from the batch before, or does nothing: two writers cannot both append, whatever became of their locks.

The right to write is an advisory lock of the session, so the server lets go of it when its holder dies.
Whoever stands between must keep sessions apart: a pooler that lends them transaction by transaction does not.
If the connection is lost, what was being done fails, and the next call connects anew: it needs the lock as
the first one did, and an append needs the head to be where it was.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import quote

from idmerge.errors import JournalError, MissingExtraError, SealedError
from idmerge.journal.forks import check_process
from idmerge.journal.protocol import FIELDS, FORMAT, HEADS, Facts, checked, checked_row
from idmerge.naming import named, visible

try:
    import psycopg
    from psycopg import errors, sql
    from psycopg.conninfo import conninfo_to_dict
except ImportError as error:
    raise MissingExtraError(
        "a journal in PostgreSQL needs psycopg: pip install 'idmerge[postgres]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from idmerge.journal.protocol import Batch

KEY = 0x69646D67
"""The first half of the writer's lock, "idmg"; the second one is the schema's OID."""
PATIENCE = 10.0
"""Seconds that compacting waits for whoever keeps old rows."""
ROOM = 16 * 2**20
"""Bytes of batches to fetch at once."""
MOST_ROWS = 1000
"""Batches to fetch at once, if they are small."""

_TABLES = ("idmerge_facts", "idmerge_head", "idmerge_batches")
# Statistics would keep texts of IDs where compacting does not reach.
_SCHEMA: LiteralString = """
CREATE TABLE {facts} (only_one INTEGER PRIMARY KEY CHECK (only_one = 0), stated TEXT NOT NULL);
CREATE TABLE {head} (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 0), format INTEGER NOT NULL, number BIGINT NOT NULL
);
CREATE TABLE {batches} (
    number BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL,
    end_seq BIGINT NOT NULL,
    first_id BIGINT NOT NULL,
    end_id BIGINT NOT NULL,
    steps BIGINT NOT NULL,
    written_at BIGINT NOT NULL,
    offsets TEXT,
    retractions TEXT,
    texts BYTEA NOT NULL,
    block BYTEA NOT NULL,
    checksum BIGINT NOT NULL
);
ALTER TABLE {batches} ALTER COLUMN texts SET STATISTICS 0, ALTER COLUMN block SET STATISTICS 0;
"""
_DURABLE: LiteralString = """
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') <> 'remote_apply'
"""
# A writer whose machine has vanished holds the lock for a minute, not for the two hours of most systems.
_KEEPALIVES: LiteralString = """
SELECT set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false)
"""
_HOLDER: LiteralString = """
SELECT activity.pid, activity.application_name, host(activity.client_addr), activity.backend_start
FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = %s::oid AND objid = %s::oid AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_APPEND: LiteralString = """
WITH moved AS (
    UPDATE {head} SET number = number + 1 WHERE number = %s RETURNING number
)
INSERT INTO {batches} ({columns}) SELECT {marks} FROM moved
"""
_OLDER: LiteralString = """
SELECT pg_snapshot_xmin(pg_current_snapshot()) < %(moment)s::xid8
    OR EXISTS (
        SELECT FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND age(backend_xmin) > age(%(moment)s::xid8::xid)
            AND (datname IS NULL OR datname = current_database())
    )
    OR EXISTS (SELECT FROM pg_replication_slots WHERE age(xmin) > age(%(moment)s::xid8::xid))
"""


class PostgresJournal:
    """The journal in the current schema of the database at ``url``, as libpq reads it.

    If the connection is lost while a batch is being committed, `append` raises OSError, and nobody can tell
    whether it was. If it was not, the next append goes on from there; if it was, that raises JournalError.

    Raises:
        FileNotFoundError: There is no journal, and ``create`` is false or ``read_only`` true; or no schema.
        JournalError: The tables are no journal or damaged, it has another writer, or ``url`` is none.
        OSError: The server cannot be reached, or lets nobody in; PermissionError if it forbids what is asked.
    """

    def __init__(self, url: str, *, create: bool, read_only: bool) -> None:
        self._parameters = _parameters(url)
        self.name = named(url)
        self.checkpoint: Path | None = None
        self._process = os.getpid()
        self._read_only = read_only
        self._may_create = create and not read_only
        self._schema: str | None = None
        self._is_closed = False
        with self._as_journal_errors():
            self._connection = self._connect()

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(**self._parameters, autocommit=True)
        try:
            self._prepare(connection)
        except BaseException:
            self._let_go(connection)
            raise
        return connection

    def _prepare(self, connection: psycopg.Connection) -> None:
        """Make sure that the journal is there, of this format, and locked if it is to be written."""
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._find_schema(connection)
        if not self._is_there(connection) and not self._may_create:
            raise FileNotFoundError(f"{self.name}: there is no such journal")
        if self._read_only:
            connection.execute("SELECT set_config('default_transaction_read_only', 'on', false)")
        else:
            connection.execute(_DURABLE)
            connection.execute(_KEEPALIVES)
            self._lock(connection)
            if not self._is_there(connection):
                self._make(connection)
        self._may_create = False
        self._check_format(connection)

    def _find_schema(self, connection: psycopg.Connection) -> None:
        row = connection.execute(
            "SELECT nspname, oid FROM pg_namespace WHERE nspname = coalesce(%s, current_schema())",
            (self._schema,),
        ).fetchone()
        if row is None:
            raise FileNotFoundError(
                f"{self.name}: there is no schema to keep a journal in; CREATE SCHEMA what search_path names"
            )
        if self._schema is None:
            info = connection.info
            server = _name(user=info.user, host=info.host, port=str(info.port), dbname=info.dbname)
            self.name = f"{server}, schema {row[0]}"
        self._schema, self._schema_oid = row
        name = row[0].replace("%", "%%")  # Which psycopg would take for the mark of a value.
        self._tables = {table.removeprefix("idmerge_"): sql.Identifier(name, table) for table in _TABLES}

    def _is_there(self, connection: psycopg.Connection) -> bool:
        ask = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename = ANY(%s)"
        found = {name for (name,) in connection.execute(ask, (self._schema, list(_TABLES)))}
        missing = [name for name in _TABLES if name not in found]
        if found and missing:
            raise JournalError(f"{self.name} is damaged: its table {missing[0]} is missing")
        return not missing

    def _make(self, connection: psycopg.Connection) -> None:
        with connection.transaction():
            self._ask(connection, _SCHEMA)
            self._ask(connection, "INSERT INTO {head} VALUES (0, %s, -1)", (FORMAT,))

    def _check_format(self, connection: psycopg.Connection) -> None:
        row = self._ask(connection, "SELECT format FROM {head}").fetchone()
        if row is None:
            raise JournalError(f"{self.name} is damaged: its head is missing")
        if row[0] != FORMAT:
            raise JournalError(
                f"{self.name} has format {row[0]}, and this version reads format {FORMAT}; "
                "read it with the version of idmerge that wrote it"
            )

    def _lock(self, connection: psycopg.Connection) -> None:
        key = (KEY, self._schema_oid)
        ask = "SELECT pg_try_advisory_lock(%s::int4, %s::oid::int4)"
        if connection.execute(ask, key).fetchone() == (True,):
            return
        holder = "somebody who has just gone"
        row = connection.execute(_HOLDER, key).fetchone()
        if row is not None:
            process, application, address, since = row
            holder = f"{application!r}, process {process} of the server"
            if since is not None:  # To whom the server shows it.
                where = f"from {address}" if address else "from the server's machine"
                holder += f", {where}, since {since.isoformat(timespec='seconds')}"
        raise JournalError(f"{self.name} is open for writing by {holder}; a journal has one writer at a time")

    def _let_go(self, connection: psycopg.Connection) -> None:
        """Close a connection; its lock is released when this returns, and not some time later."""
        if not connection.closed:
            with suppress(psycopg.Error):
                connection.execute("SELECT pg_advisory_unlock_all()")
        connection.close()

    @contextmanager
    def _as_journal_errors(self) -> Iterator[None]:
        """Say of PostgreSQL's errors in whose journal they were met; those of writing are the system's."""
        try:
            yield
        except psycopg.Error as error:
            text = visible(error.diag.message_primary or " ".join(str(error).split()))
            if isinstance(error, errors.InsufficientPrivilege):
                raise PermissionError(f"{self.name}: {text}") from error
            if isinstance(
                error, psycopg.OperationalError | psycopg.InterfaceError | errors.ReadOnlySqlTransaction
            ):
                raise OSError(f"{self.name}: {text}") from error
            raise JournalError(f"{self.name} is no journal, or is damaged: {text}") from error

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        """Give the connection, a new one if the last one was lost."""
        if self._is_closed:
            raise SealedError(f"{self.name} is closed")
        check_process(self.name, self._process)
        with self._as_journal_errors():
            if self._connection.closed:
                self._connection = self._connect()
            yield self._connection

    def _ask(
        self,
        cursor: psycopg.Connection | psycopg.ServerCursor,
        statement: LiteralString,
        values: Sequence[Any] = (),
        *,
        binary: bool = False,
    ) -> psycopg.Cursor:
        """Execute a statement about the journal's tables."""
        text = sql.SQL(statement).format(
            **self._tables,
            columns=sql.SQL(", ").join(map(sql.Identifier, FIELDS)),
            heads=sql.SQL(", ").join(map(sql.Identifier, HEADS)),
            marks=sql.SQL(", ").join([sql.Placeholder()] * len(FIELDS)),
        )
        return cursor.execute(text, values, binary=binary)

    def facts(self) -> Facts | None:
        """Return what was stated when the journal was made; None if nothing was yet."""
        with self._session() as connection:
            row = self._ask(connection, "SELECT stated FROM {facts}").fetchone()
            if row is None and self._head(connection) >= 0:
                raise JournalError(f"{self.name} is damaged: its facts are missing")
        return None if row is None else Facts.from_json(row[0])

    def state(self, facts: Facts) -> None:
        """State what holds for the whole journal, once."""
        with self._session() as connection:
            self._ask(connection, "INSERT INTO {facts} VALUES (0, %s)", (facts.to_json(),))

    def append(self, batch: Batch) -> None:
        """Keep ``batch`` behind all others; when this returns, the server has it on disk."""
        values = [getattr(batch, field) for field in FIELDS]
        with self._session() as connection:
            before = batch.number - 1
            if self._ask(connection, _APPEND, [before, *values]).rowcount != 1:
                raise JournalError(
                    f"{self.name}: batch {batch.number} must follow batch {before}, and the last one is "
                    f"{self._head(connection)}: it was committed as the connection was lost, or another "
                    "writer was here, or the server has lost some; open the journal again"
                )

    def _head(self, connection: psycopg.Connection) -> int:
        row = self._ask(connection, "SELECT number FROM {head}").fetchone()
        if row is None:
            raise JournalError(f"{self.name} is damaged: its head is missing")
        return int(row[0])

    def batches(self, after: Batch | None = None) -> Generator[Batch]:
        """Yield the batches behind ``after``, or all, in order, as they are at this moment."""
        first = 0 if after is None else after.number + 1
        with self._session() as connection, connection.transaction():  # One snapshot: REPEATABLE READ.
            head = self._head(connection)
            ask: LiteralString = (
                "SELECT max(octet_length(texts)::bigint + octet_length(block)) FROM {batches} "
                "WHERE number >= %s"
            )
            (largest,) = self._ask(connection, ask, (first,)).fetchone() or (None,)
            with connection.cursor("idmerge_batches") as rows:
                rows.itersize = max(1, min(MOST_ROWS, ROOM // (1 + (largest or 0))))
                ask = "SELECT {columns} FROM {batches} WHERE number >= %s ORDER BY number"
                self._ask(rows, ask, (first,), binary=True)
                yield from checked(self.name, rows, after, head)

    def batch(self, number: int) -> Batch | None:
        """Return the batch with this number; None if there is none."""
        ask: LiteralString = "SELECT {columns} FROM {batches} WHERE number = %s"
        with self._session() as connection:
            return checked_row(self.name, self._ask(connection, ask, (number,), binary=True).fetchone())

    def blocks(self, start: int, end: int) -> list[bytes]:
        """Return the blocks of steps of the batches from number ``start`` to before ``end``, in order."""
        ask: LiteralString = "SELECT block FROM {batches} WHERE number >= %s AND number < %s ORDER BY number"
        with self._session() as connection:
            return [block for (block,) in self._ask(connection, ask, (start, end), binary=True)]

    def heads(self) -> Iterator[Mapping[str, Any]]:
        """Yield the fields of each batch, blocks apart, without checking anything."""
        ask: LiteralString = (
            "SELECT {heads}, octet_length(texts), octet_length(block) FROM {batches} ORDER BY number"
        )
        with self._session() as connection:
            rows = self._ask(connection, ask, binary=True).fetchall()
        for row in rows:
            yield dict(zip((*HEADS, "text_bytes", "block_bytes"), row, strict=True))

    def times(self) -> list[tuple[int, int]]:
        """Return where each batch ends and when it was written, in order."""
        with self._session() as connection:
            ask: LiteralString = "SELECT end_seq, written_at FROM {batches} ORDER BY number"
            return self._ask(connection, ask, binary=True).fetchall()

    def rewrite(self, batch: Batch) -> None:
        """Keep ``batch`` in place of the one with its number."""
        ask: LiteralString = "UPDATE {batches} SET texts = %s, checksum = %s WHERE number = %s"
        with self._session() as connection:
            self._ask(connection, ask, (batch.texts, batch.checksum, batch.number))

    def compact(self) -> None:
        """Give back room, and leave no trace in the table's files of what was written over.

        Readers wait while the table is written anew. What has left the table is out of reach: the server's
        write-ahead log until it is recycled, archives, backups, logs of statements, free blocks of the disk.

        Raises:
            JournalError: A reader keeps the table, or an older transaction what was written over.
            PermissionError: The table is another role's.
        """
        with self._session() as connection:
            self._outlast_older(connection)
            before = self._file(connection)
            connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{PATIENCE * 1000:.0f}",))
            try:
                self._ask(connection, "VACUUM (FULL) {batches}")
            except errors.LockNotAvailable as error:
                raise JournalError(
                    f"{self.name}: a reader keeps the table; compact it again when that reader is done"
                ) from error
            finally:
                with suppress(psycopg.Error):
                    connection.execute("RESET lock_timeout")
            if self._file(connection) == before:  # PostgreSQL warns only.
                raise PermissionError(f"{self.name}: only the owner of idmerge_batches can compact it")

    def _outlast_older(self, connection: psycopg.Connection) -> None:
        """Wait until nobody can see what was written over before now: vacuuming would keep it, silently."""
        row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
        moment = {"moment": row and row[0]}
        until = time.monotonic() + PATIENCE
        while connection.execute(_OLDER, moment).fetchone() != (False,):
            if time.monotonic() > until:
                raise JournalError(
                    f"{self.name}: a transaction in this database, or a replication slot, is older than what "
                    "was forgotten, and keeps it; compact it again when that has ended"
                )
            time.sleep(0.05)

    def _file(self, connection: psycopg.Connection) -> tuple[Any, ...] | None:
        ask = "SELECT pg_relation_filenode(oid) FROM pg_class WHERE relnamespace = %s AND relname = %s"
        return connection.execute(ask, (self._schema_oid, "idmerge_batches")).fetchone()

    def close(self) -> None:
        """Let go of the journal."""
        self._is_closed = True
        if self._process == os.getpid():  # The session is its parent's, if this is a fork.
            self._let_go(self._connection)


def _parameters(url: str) -> dict[str, Any]:
    """Return what ``url`` states; no message shows it, for a password may be in any part of it.

    Raises:
        JournalError: libpq cannot read it, or reads a part of a password as something else.
    """
    stated = None
    with suppress(psycopg.Error):
        scheme, rest = url.split("://", 1)
        stated = conninfo_to_dict(f"{scheme.lower()}://{rest}")  # libpq knows no other.
    if stated is None or _is_misread(stated):
        raise JournalError(
            "the journal's URL is not postgresql://user:password@host:port/database?option=value; "
            "in a name or a password, what is no letter or digit must be percent-encoded"
        )
    stated["client_encoding"] = "utf8"
    stated.setdefault(
        "fallback_application_name", f"idmerge, process {os.getpid()} on {socket.gethostname()}"
    )
    return stated


def _is_misread(stated: Mapping[str, Any]) -> bool:
    """Return whether a mark that is not encoded may have brought a password where none belongs."""
    ports = str(stated.get("port") or "").split(",")
    names = f"{stated.get('host')} {stated.get('dbname')}"
    others = [f"{value}" for key, value in stated.items() if key not in ("password", "sslpassword")]
    return (
        "@" in names
        or not all(port.isdecimal() or not port for port in ports)
        or any("password" in value.lower() and "=" in value for value in others)
    )


def _name(*, user: str | None, host: str | None, port: str | None, dbname: str | None) -> str:
    """Return a URL without what is secret."""
    login = f"{quote(user, safe='')}@" if user else ""
    return f"postgresql://{login}{quote(host or '', safe=',')}{f':{port}' if port else ''}/{dbname or ''}"
