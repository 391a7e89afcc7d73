"""A table of ClickHouse, which has no transactions: rows have versions, and the cursor comes last.

The table is a ReplacingMergeTree of ``distinct_id``, ``canonical_id`` and ``version``; the view
that `FINAL` gives is the mapping. Every delivery has a version of its own, higher than all before.

1. Before its rows a delivery marks the cursor as open, and after them as closed. If the mark is
   open, a delivery was interrupted, and the next one is whole: changes alone would keep a row that
   was written and, before the cursor moved, became right again.
2. After a whole mapping every row of an older version is outdated, and is deleted.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, unquote

from idmerge._naming import visible
from idmerge.errors import MissingExtraError, SinkError
from idmerge.journal import Cursor
from idmerge.sinks.protocol import (
    batches,
    check_unchanged,
    emptied,
    has_rows,
    not_ours,
    stated_cursor,
    url_parts,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from idmerge.journal import MappingUpdate

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS {table} (distinct_id String, canonical_id String, version UInt64)
    ENGINE = ReplacingMergeTree(version) ORDER BY distinct_id""",
    """CREATE TABLE IF NOT EXISTS {cursors} (
        target String, version UInt64, is_open UInt8, position Int64,
        written_at DateTime64(3, 'UTC') DEFAULT now64(3), cursor String
    ) ENGINE = MergeTree ORDER BY (target, version, is_open)""",
)
_LAST = (
    "SELECT version, is_open, cursor FROM {cursors} WHERE target = {target:String} "
    "ORDER BY version DESC, is_open ASC LIMIT 1"
)
_VERSION = "SELECT max(version) FROM {table}"
_NOTE = (
    "INSERT INTO {cursors} (target, version, is_open, position, cursor) "
    "SELECT {target:String}, {version:UInt64}, {is_open:UInt8}, {position:Int64}, {cursor:String}"
)
_OUTDATED = "ALTER TABLE {table} DELETE WHERE version < {version:UInt64} SETTINGS mutations_sync = 2"
_OLD_CURSORS = (
    "ALTER TABLE {cursors} DELETE WHERE target = {target:String} AND version < {version:UInt64} "
    "SETTINGS mutations_sync = 2"
)
EXPECTED = "clickhouse://USER:PASSWORD@HOST:PORT/DATABASE"


class Client(Protocol):
    """A connection to ClickHouse.

    Examples:
        >>> from idmerge.sinks.clickhousetable import Client
        >>> [name for name in ("run", "insert", "close") if hasattr(Client, name)]
        ['run', 'insert', 'close']
    """

    def run(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement, and return its rows."""

    def insert(self, table: str, rows: pa.Table) -> None:
        """Insert rows."""

    def close(self) -> None:
        """Let go of the server."""


class ClickhouseSink:
    """The table ``table``, which may be ``database.table``."""

    def __init__(self, client: Client, name: str, table: str) -> None:
        self.needs_whole = False
        self._client = client
        self.name = f"{name} ({table})"
        self._target = table
        *database, _ = table.split(".")
        self._names = {
            "{table}": _quoted(table),
            "{cursors}": _quoted(".".join([*database, "idmerge_cursors"])),
        }
        self._seen: tuple[int, bool, str] | None = None

    def cursor(self, *, restart: bool) -> Cursor | None:
        """Return the cursor, which may be that of a delivery that was interrupted."""
        for statement in _SCHEMA:
            self._run(statement)
        self._seen = self._last()
        if restart:
            return None
        is_empty = not self._run("SELECT 1 FROM {table} LIMIT 1")
        if self._seen is None:
            if not is_empty:
                raise not_ours(self.name, "the table has rows")
            return None
        _, is_open, stated = self._seen
        found = stated_cursor(self.name, stated)
        self.needs_whole = is_open or (is_empty and has_rows(found))
        return found

    def apply(self, update: MappingUpdate) -> int:
        """Write the rows between two notes of the cursor."""
        check_unchanged(self.name, str(self._seen), str(self._last()))
        [(highest,)] = self._run(_VERSION)
        if not update.is_whole and not highest and self._seen and has_rows(Cursor.from_json(self._seen[2])):
            raise emptied(self.name)
        version = max(int(highest), 0 if self._seen is None else self._seen[0]) + 1
        self._note(version, update, is_open=True)
        for batch in batches(update):
            self._client.insert(self._names["{table}"], _with_version(batch, version))
        if update.is_whole:
            self._run(_OUTDATED, version=version)
        self._note(version, update, is_open=False)
        if update.is_whole or version % 1000 == 0:
            self._run(_OLD_CURSORS, target=self._target, version=version)
        self._seen, self.needs_whole = self._last(), False
        return 0

    def _note(self, version: int, update: MappingUpdate, *, is_open: bool) -> None:
        self._run(
            _NOTE,
            target=self._target,
            version=version,
            is_open=int(is_open),
            position=update.cursor.position,
            cursor=update.cursor.to_json(),
        )

    def _last(self) -> tuple[int, bool, str] | None:
        rows = self._run(_LAST, target=self._target)
        return None if not rows else (int(rows[0][0]), bool(rows[0][1]), str(rows[0][2]))

    def _run(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        for mark, name in self._names.items():
            statement = statement.replace(mark, name)
        return self._client.run(statement, values)

    def close(self) -> None:
        """Let go of the server."""
        self._client.close()


class HttpClient:
    """A server at a URL ``clickhouse://user:password@host:8123/database``, by clickhouse-connect.

    ``?secure=true`` asks for TLS.
    """

    def __init__(self, url: str) -> None:
        try:
            import clickhouse_connect  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError(
                "a sink in ClickHouse needs clickhouse-connect: pip install 'idmerge[clickhouse]'"
            ) from error
        parts = url_parts(url, f"{EXPECTED}, and table= and secure= behind ?")
        options = dict(parse_qsl(parts.query))
        secure = options.pop("secure", "") in ("1", "true")
        self.name = f"clickhouse://{parts.hostname}"
        if options or "@" in parts.path:
            raise SinkError(f"{self.name}: expected {EXPECTED}, and nothing but table= and secure= behind ?")
        self._errors = clickhouse_connect.driver.exceptions.Error
        self._refused = clickhouse_connect.driver.exceptions.DatabaseError
        self._arguments: dict[str, Any] = {
            "host": parts.hostname,
            "port": parts.port or (8443 if secure else 8123),
            "username": unquote(parts.username or "default"),
            "password": unquote(parts.password or ""),
            "database": unquote(parts.path.strip("/")) or "default",
            "secure": secure,
        }
        logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # Else on stderr.
        self._connect = clickhouse_connect.get_client
        self._open: Any = None

    def run(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement, and return its rows."""
        if statement.startswith("SELECT"):
            return list(self._do("query", statement, parameters=values).result_rows)
        self._do("command", statement, parameters=values)
        return []

    def insert(self, table: str, rows: pa.Table) -> None:
        """Insert rows."""
        database, _, name = table.replace("`", "").rpartition(".")
        self._do("insert_arrow", name, rows, database=database or None)

    def _do(self, name: str, *arguments: Any, **options: Any) -> Any:
        try:
            if self._open is None:
                self._open = self._connect(**self._arguments)
            return getattr(self._open, name)(*arguments, **options)
        except (self._errors, OSError) as error:
            self.close()
            text = visible(" ".join(str(error).split())[:500])
            password = self._arguments["password"]
            text = text.replace(password, "…") if password else text
            raise OSError(f"{self.name}: {text}") from None

    def close(self) -> None:
        """Let go of the server."""
        client, self._open = self._open, None
        if client is not None:
            client.close()


def _quoted(table: str) -> str:
    return ".".join(f"`{part}`" for part in table.split("."))


def _with_version(batch: pa.RecordBatch, version: int) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415

    versions = pa.repeat(pa.scalar(version, pa.uint64()), len(batch))
    return pa.Table.from_batches([batch]).append_column("version", versions)
