"""A table in PostgreSQL: COPY into a staging table, then an upsert, in one transaction.

No text of PostgreSQL has the character U+0000. A row in which it occurs, in either column, is left
out of the table, as if the ID were not known; a delivery counts these rows.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, LiteralString

from idmerge._naming import named, visible
from idmerge.errors import JournalError, MissingExtraError, SinkError
from idmerge.sinks.protocol import batches, check_unchanged, emptied, has_rows, not_ours, stated_cursor

try:
    import psycopg
    from psycopg import sql

    from idmerge.journal.postgres import parameters_of
except ImportError as error:
    raise MissingExtraError("a sink in PostgreSQL needs psycopg: pip install 'idmerge[postgres]'") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from idmerge.journal import Cursor, MappingUpdate

# `IF NOT EXISTS` asks for the right to make tables, also where they are there.
_SCHEMA: dict[str, LiteralString] = {
    "table": "CREATE TABLE {table} (distinct_id text PRIMARY KEY, canonical_id text NOT NULL)",
    "cursors": """
        CREATE TABLE {cursors} (
            target text PRIMARY KEY,
            position bigint NOT NULL,
            written_at timestamptz NOT NULL,
            cursor text NOT NULL
        )
    """,
}
_STAGED: LiteralString = (
    "CREATE TEMPORARY TABLE idmerge_staged (distinct_id text NOT NULL, canonical_id text) ON COMMIT DROP"
)
_INTO_STAGED: LiteralString = "COPY idmerge_staged (distinct_id, canonical_id) FROM STDIN"
_INTO_TABLE: LiteralString = "COPY {table} (distinct_id, canonical_id) FROM STDIN"
_GONE: LiteralString = """
DELETE FROM {table} AS kept WHERE NOT EXISTS (
    SELECT FROM idmerge_staged AS staged
    WHERE staged.distinct_id = kept.distinct_id AND staged.canonical_id IS NOT NULL
)
"""
_LEFT_OUT: LiteralString = """
DELETE FROM {table} AS kept USING idmerge_staged AS staged
WHERE staged.distinct_id = kept.distinct_id AND staged.canonical_id IS NULL
"""
_UPSERT: LiteralString = """
INSERT INTO {table} AS kept (distinct_id, canonical_id)
SELECT distinct_id, canonical_id FROM idmerge_staged WHERE canonical_id IS NOT NULL
ON CONFLICT (distinct_id) DO UPDATE SET canonical_id = EXCLUDED.canonical_id
WHERE kept.canonical_id IS DISTINCT FROM EXCLUDED.canonical_id
"""
_MOVE: LiteralString = """
INSERT INTO {cursors} VALUES (%(target)s, %(position)s, now(), %(cursor)s)
ON CONFLICT (target) DO UPDATE
SET position = EXCLUDED.position, written_at = EXCLUDED.written_at, cursor = EXCLUDED.cursor
"""
SECONDS = 30
"""Seconds within which a server has to take a connection."""
_ALIVE = {"keepalives_idle": "30", "keepalives_interval": "10", "tcp_user_timeout": "60000"}
"""Options by which libpq finds out that a host is gone, for which it would wait for hours."""
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))
"""The characters that COPY takes for marks, the backslash first."""


class PostgresSink:
    """The table ``table``, which may be ``schema.table``, in the database at ``url``.

    The cursor is in the table ``idmerge_cursors`` of the same schema.
    """

    def __init__(self, url: str, table: str) -> None:
        self.needs_whole = False
        try:
            self._parameters = parameters_of(url, "the target")
        except JournalError as error:
            raise SinkError(str(error)) from None
        self._parameters["fallback_application_name"] = "idmerge sink"
        if "PGCONNECT_TIMEOUT" not in os.environ:
            self._parameters.setdefault("connect_timeout", str(SECONDS))
        for option, value in _ALIVE.items():
            self._parameters.setdefault(option, value)
        self.name = f"{named(url)} ({table})"
        self._target = table
        *schema, name = table.split(".")
        self._names = {
            "table": sql.Identifier(*schema, name),
            "cursors": sql.Identifier(*schema, "idmerge_cursors"),
        }
        self._open: psycopg.Connection | None = None
        self._seen: str | None = None

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection]:
        """Run a transaction in which nobody else writes to the table."""
        try:
            if self._open is None or self._open.closed:
                self._open = psycopg.connect(**self._parameters, autocommit=True)
            with self._open.transaction():
                for name, statement in _SCHEMA.items():
                    found = self._open.execute(
                        "SELECT to_regclass(%s) IS NULL", [self._names[name].as_string(self._open)]
                    )
                    if found.fetchone() == (True,):
                        self._do(self._open, statement)
                self._do(self._open, "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
                yield self._open
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise OSError(f"{self.name}: {_line(error)}") from error
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise SinkError(f"{self.name}: {_line(error)}") from error

    def _do(self, connection: psycopg.Connection, statement: LiteralString) -> None:
        connection.execute(sql.SQL(statement).format(**self._names))

    def cursor(self, *, restart: bool) -> Cursor | None:
        """Return the cursor in the table of cursors."""
        with self._transaction() as connection:
            self._seen = self._stated(connection)
            if restart:
                return None
            if self._seen is None and not self._is_empty(connection):
                raise not_ours(self.name, "the table has rows")
            found = stated_cursor(self.name, self._seen)
            self.needs_whole = has_rows(found) and self._is_empty(connection)
            return found

    def apply(self, update: MappingUpdate) -> int:
        """Write rows and cursor in one transaction."""
        with self._transaction() as connection:
            check_unchanged(self.name, self._seen, self._stated(connection))
            is_empty = self._is_empty(connection)
            if update.is_whole and is_empty:
                left_out = self._copy(connection, _INTO_TABLE, update, without_bad=True)
            elif is_empty and has_rows(stated_cursor(self.name, self._seen)):
                raise emptied(self.name)
            else:
                left_out = self._upsert(connection, update)
            stated = update.cursor.to_json()
            values = {"target": self._target, "position": update.cursor.position, "cursor": stated}
            connection.execute(sql.SQL(_MOVE).format(**self._names), values)
        self._seen, self.needs_whole = stated, False
        return left_out

    def _upsert(self, connection: psycopg.Connection, update: MappingUpdate) -> int:
        """Write the rows over those that differ; return how many have no place in the table."""
        self._do(connection, _STAGED)
        left_out = self._copy(connection, _INTO_STAGED, update, without_bad=False)
        self._do(connection, "ANALYZE idmerge_staged")
        if update.is_whole:
            self._do(connection, _GONE)
        elif left_out:
            self._do(connection, _LEFT_OUT)
        self._do(connection, _UPSERT)
        return left_out

    def _copy(
        self, connection: psycopg.Connection, into: LiteralString, update: MappingUpdate, *, without_bad: bool
    ) -> int:
        """Copy the rows; return how many have no place in the table.

        Those of which the canonical ID alone has none are copied with null for it, or not at all.
        """
        left_out = 0
        with connection.cursor() as cursor, cursor.copy(sql.SQL(into).format(**self._names)) as copy:
            for batch in batches(update):
                text, without = _lines(batch, without_bad=without_bad)
                left_out += without
                copy.write(text)
        return left_out

    def _stated(self, connection: psycopg.Connection) -> str | None:
        asked = sql.SQL("SELECT cursor FROM {cursors} WHERE target = %s").format(**self._names)
        row = connection.execute(asked, [self._target]).fetchone()
        return None if row is None else str(row[0])

    def _is_empty(self, connection: psycopg.Connection) -> bool:
        asked = sql.SQL("SELECT FROM {table} LIMIT 1").format(**self._names)
        return connection.execute(asked).fetchone() is None

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            with suppress(psycopg.Error):
                self._open.close()
            self._open = None


def _lines(batch: pa.RecordBatch, *, without_bad: bool) -> tuple[memoryview, int]:
    """Return rows in the text format of COPY, and how many have a U+0000."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import compute as pc  # noqa: PLC0415

    ids, names = (column.cast(pa.large_string()) for column in batch.columns)
    bad_ids, bad_names = (pc.match_substring(column, "\0") for column in (ids, names))
    without = pc.or_(bad_ids, bad_names).true_count
    for mark, escape in _ESCAPES:
        ids, names = (pc.replace_substring(column, mark, escape) for column in (ids, names))
    if without:
        kept = pc.invert(pc.or_(bad_ids, bad_names) if without_bad else bad_ids)
        names = pc.if_else(bad_names, pa.scalar("\\N", pa.large_string()), names)
        ids, names = ids.filter(kept), names.filter(kept)
    tab, end, nothing = (pa.scalar(text, pa.large_string()) for text in ("\t", "\n", ""))
    join: Any = pc.binary_join_element_wise
    _, offsets, text = join(join(ids, names, tab), nothing, end).buffers()
    bounds = memoryview(offsets).cast("q")
    return memoryview(text)[bounds[0] : bounds[len(ids)]] if text else memoryview(b""), without


def _line(error: Exception) -> str:
    return visible(" ".join(str(error).split()))
