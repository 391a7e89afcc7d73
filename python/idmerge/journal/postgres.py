"""A journal in three tables of PostgreSQL.

They lie in the connection's current schema, the first one of its ``search_path`` that exists, so a
database holds as many journals as it has schemas. A URL chooses one by
``?options=-csearch_path%3Dname``. The server is PostgreSQL 13 or later.

A batch is appended by one statement, several of one commit in a transaction, and the session's
``synchronous_commit`` is at least ``on``: when that returns, the server has flushed them, unless
its own ``fsync`` is off. The head is moved on from the batch before, or nothing is done: two
writers cannot both append, whatever became of their locks.

The right to write is an advisory lock of the session, so the server lets go of it when its holder
dies. A pooler must keep sessions apart, which one in transaction mode does not. If the connection
is lost, what was being done fails, and the next call connects anew: it needs the lock as the first
one did, and an append needs the head to be where it was. The same if an interruption left a
transaction open, or a statement unanswered: the connection is given up for a new one.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import closing, contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import quote

from idmerge._naming import named, visible
from idmerge.errors import JournalError, MissingExtraError, SealedError
from idmerge.journal.batch import COLUMNS, FIELDS, HEAD_ROWS, Chain, fields_stored
from idmerge.journal.facts import FORMAT, Facts, check_format
from idmerge.journal.forks import check_process

try:
    import psycopg
    from psycopg import errors, sql
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.pq import TransactionStatus
except ImportError as error:
    raise MissingExtraError("a journal in PostgreSQL needs psycopg: pip install 'psycopg[binary]'") from error

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from idmerge.journal.batch import Batch

KEY = 0x69646D67
"""The first half of the writer's lock, "idmg"; the second one is the schema's OID."""
PATIENCE = 10.0
"""Seconds that compacting waits for transactions that keep old rows."""
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
    goes_on BIGINT NOT NULL,
    texts_checksum BIGINT NOT NULL,
    block_checksum BIGINT NOT NULL,
    checksum BIGINT NOT NULL,
    block BYTEA NOT NULL,
    texts BYTEA NOT NULL
);
ALTER TABLE {batches} ALTER COLUMN texts SET STATISTICS 0, ALTER COLUMN block SET STATISTICS 0;
"""
_DURABLE: LiteralString = """
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') <> 'remote_apply'
"""
# A writer whose machine has vanished holds the lock for a minute, not for the two hours of most
# systems.
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
_INSERT: LiteralString = "INSERT INTO {batches} ({columns}) VALUES ({marks})"
_LENGTHS: dict[str, LiteralString] = {
    "text_bytes": "octet_length(texts)",
    "block_bytes": "octet_length(block)",
}
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

    If the connection is lost while a commit is being written, `append` raises OSError, and whether
    it is in the journal is known when `batch` can be asked again. An `append` of what is there
    raises JournalError.

    Raises:
        FileNotFoundError: There is no journal, and ``create`` is false or ``read_only`` true; or no
            schema.
        JournalError: The tables are no journal or damaged, it has another writer, or ``url`` is
            none.
        OSError: The server cannot be reached, or refuses the login; PermissionError if it forbids
            what is asked.
    """

    def __init__(self, url: str, *, create: bool, read_only: bool) -> None:
        self._parameters = parameters_of(url)
        self.name = named(url)
        self.checkpoint: Path | None = None
        self._process = os.getpid()
        self._read_only = read_only
        self._may_create = create and not read_only
        self._schema: str | None = None
        self._is_closed = False
        self._given_up: int | None = None
        """The server's process of a connection that was given up; it may hold the lock for a
        moment."""
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
        """Make sure that the journal exists, has this format, and is locked if to be written."""
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

    version = FORMAT
    """Its format, once it is known."""

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
        check_format(self.name, row[0])
        self.version = int(row[0])

    def _lock(self, connection: psycopg.Connection) -> None:
        key = (KEY, self._schema_oid)
        ask = "SELECT pg_try_advisory_lock(%s::int4, %s::oid::int4)"
        until = time.monotonic() + PATIENCE
        while connection.execute(ask, key).fetchone() != (True,):
            row = connection.execute(_HOLDER, key).fetchone()
            if row is None or row[0] != self._given_up or time.monotonic() > until:
                break
            time.sleep(0.02)
        else:
            return
        holder = "somebody who has just gone"
        if row is not None:
            process, application, address, since = row
            holder = f"{application!r}, process {process} of the server"
            if since is not None:  # The server shows it to some users only.
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
        """Turn errors of PostgreSQL into errors that name the journal.

        Those of connections and permissions become OSErrors, others a `JournalError`.
        """
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
            if self._connection.info.transaction_status not in (
                TransactionStatus.IDLE,
                TransactionStatus.UNKNOWN,
            ):
                self._given_up = self._connection.info.backend_pid
                self._let_go(self._connection)
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
        stored = fields_stored(self.version)
        text = sql.SQL(statement).format(
            **self._tables,
            columns=self._columns(stored),
            fields=self._columns(FIELDS),
            heads=self._columns(FIELDS if self.version == 1 else HEAD_ROWS),
            blocks=self._columns(FIELDS if self.version == 1 else (*HEAD_ROWS, "block")),
            marks=sql.SQL(", ").join([sql.Placeholder()] * len(stored)),
        )
        return cursor.execute(text, values, binary=binary)

    def _columns(self, names: Iterable[str]) -> sql.Composed:
        """Return how these are asked for; format 1 has no columns for some."""
        stored = fields_stored(self.version)
        columns = [
            sql.Identifier(COLUMNS[name]) if name in stored else sql.SQL(_LENGTHS.get(name, "0::bigint"))
            for name in names
        ]
        return sql.SQL(", ").join(columns)

    def facts(self) -> Facts | None:
        """Return what was stated when the journal was made; None if nothing was yet."""
        with self._session() as connection:
            row = self._ask(connection, "SELECT stated FROM {facts}").fetchone()
            if row is None and self._head(connection) >= 0:
                raise JournalError(f"{self.name} is damaged: its facts are missing")
        facts = None if row is None else Facts.from_json(row[0])
        if facts and facts.format != self.version:
            raise JournalError(
                f"{self.name} is damaged: it has format {self.version}, and states {facts.format}"
            )
        return facts

    def state(self, facts: Facts, batches: Iterable[Batch] = ()) -> None:
        """Store the facts of the whole journal, once, and its first batches; all or nothing."""
        with self._session() as connection:
            self._append_all(connection, iter(batches), facts)

    def append(self, batches: Iterable[Batch]) -> None:
        """Append ``batches`` as one commit; when this returns, the server has them on disk."""
        following = iter(batches)
        with self._session() as connection:
            first = next(following, None)
            if first is None:
                return
            if first.goes_on:
                self._append_all(connection, chain([first], following))
            elif self._ask(connection, _APPEND, [first.number - 1, *self._values(first)]).rowcount != 1:
                raise self._other_head(connection, first.number)

    def _append_all(
        self, connection: psycopg.Connection, batches: Iterator[Batch], facts: Facts | None = None
    ) -> None:
        first = last = None
        try:  # Whatever interrupts this, between any two steps.
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            if facts is not None:
                self._ask(connection, "INSERT INTO {facts} VALUES (0, %s)", (facts.to_json(),))
            for batch in batches:
                first = batch.number if first is None else first
                last = batch.number
                self._ask(connection, _INSERT, self._values(batch))
            move: LiteralString = "UPDATE {head} SET number = %s WHERE number = %s"
            if first is not None and self._ask(connection, move, (last, first - 1)).rowcount != 1:
                raise self._other_head(connection, first)  # noqa: TRY301 - it rolls back
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                connection.execute("ROLLBACK")
            if isinstance(error, errors.UniqueViolation) and first is not None:
                raise self._other_head(connection, first) from error
            raise

    def _values(self, batch: Batch) -> list[Any]:
        return [getattr(batch, name) for name in fields_stored(self.version)]

    def _other_head(self, connection: psycopg.Connection, number: int) -> JournalError:
        return JournalError(
            f"{self.name}: batch {number} must follow batch {number - 1}, and the last one is "
            f"{self._head(connection)}: it was committed as the connection was lost, or another "
            "writer was here, or the server has lost some; open the journal again"
        )

    def _head(self, connection: psycopg.Connection) -> int:
        row = self._ask(connection, "SELECT number FROM {head}").fetchone()
        if row is None:
            raise JournalError(f"{self.name} is damaged: its head is missing")
        return int(row[0])

    def _read(
        self, columns: LiteralString, where: LiteralString = "true", values: Sequence[Any] = ()
    ) -> Generator[tuple[Any, ...]]:
        """Yield the head, and then the parts asked for of batches in order, as of one moment."""
        with self._session() as connection:
            try:  # Whatever interrupts this, between any two steps.
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield (self._head(connection),)
                ask: LiteralString = (
                    "SELECT max(octet_length(texts)::bigint + octet_length(block)) FROM {batches} WHERE "
                )
                (largest,) = self._ask(connection, ask + where, values).fetchone() or (None,)
                with connection.cursor("idmerge_batches") as rows:
                    rows.itersize = max(1, min(MOST_ROWS, ROOM // (1 + (largest or 0))))
                    ask = "SELECT " + columns + " FROM {batches} WHERE " + where + " ORDER BY number"  # noqa: S608
                    self._ask(rows, ask, values, binary=True)
                    yield from rows
            finally:
                # No other call uses this connection: one that finds a transaction open takes a new
                # one.
                if connection.info.transaction_status in (
                    TransactionStatus.INTRANS,
                    TransactionStatus.INERROR,
                ):
                    connection.execute("ROLLBACK")

    def batches(self, after: Batch | None = None) -> Generator[Batch]:
        """Yield the batches behind ``after``, or all, in order, as they are at this moment."""
        first = 0 if after is None else after.number + 1
        with closing(self._read("{fields}", "number >= %s", (first,))) as rows:
            (head,) = next(rows)
            yield from Chain(self.name, self.version, after).batches(rows, head)

    def batch(self, number: int) -> Batch | None:
        """Return the batch with this number; None if there is none."""
        ask: LiteralString = "SELECT {fields} FROM {batches} WHERE number = %s"
        with self._session() as connection:
            row = self._ask(connection, ask, (number,), binary=True).fetchone()
        return None if row is None else Chain(self.name, self.version).batch(row)

    def blocks(self, start: int, end: int) -> list[bytes]:
        """Return the blocks of steps of the batches ``start`` to before ``end``, in order."""
        with closing(self._read("{blocks}", "number >= %s AND number < %s", (start, end))) as rows:
            next(rows)
            return list(Chain(self.name, self.version).blocks(rows, start, end))

    def heads(self) -> Generator[Mapping[str, Any]]:
        """Yield the fields of each batch and the lengths of its blocks, without the blocks."""
        with closing(self._read("{heads}")) as rows:
            (head,) = next(rows)
            yield from Chain(self.name, self.version).heads(rows, head)

    def rewrite(self, batch: Batch) -> None:
        """Keep ``batch`` in place of the one with its number."""
        ask: LiteralString = "UPDATE {batches} SET texts = %s, checksum = %s WHERE number = %s"
        values = [batch.texts, batch.checksum, batch.number]
        if self.version > 1:
            ask = "UPDATE {batches} SET texts = %s, checksum = %s, texts_checksum = %s WHERE number = %s"
            values.insert(2, batch.texts_checksum)
        with self._session() as connection:
            self._ask(connection, ask, values)

    def compact(self) -> None:
        """Give back room, and leave no trace in the table's files of what was written over.

        Readers wait while the table is written anew. What has left the table is out of reach: the
        server's write-ahead log until it is recycled, archives, backups, logs of statements, free
        blocks of the disk.

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
        """Wait until no transaction can see the rows written over: vacuuming would keep them."""
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


def parameters_of(url: str, what: str = "the journal's URL") -> dict[str, Any]:
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
            f"{what} is not postgresql://user:password@host:port/database?option=value; "
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
