"""A table in a file of DuckDB, which is open while a delivery runs only."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from idmerge._naming import check_local, named
from idmerge.errors import MissingExtraError, SinkError
from idmerge.sinks.protocol import check_unchanged, emptied, has_rows, not_ours, reader, stated_cursor

try:
    import duckdb
except ImportError as error:
    raise MissingExtraError("a sink in DuckDB needs duckdb: pip install 'idmerge[questions]'") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.journal import Cursor, MappingUpdate

_SCHEMA = """
CREATE TABLE IF NOT EXISTS {table} (distinct_id VARCHAR NOT NULL, canonical_id VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS idmerge_cursors (target VARCHAR NOT NULL, position BIGINT, cursor VARCHAR);
"""
_WHOLE = """
DELETE FROM {table};
INSERT INTO {table} (distinct_id, canonical_id) SELECT distinct_id, canonical_id FROM idmerge_rows;
"""
_CHANGES = """
CREATE OR REPLACE TEMPORARY TABLE idmerge_staged AS SELECT * FROM idmerge_rows;
UPDATE {table} SET canonical_id = staged.canonical_id
FROM idmerge_staged AS staged WHERE {table}.distinct_id = staged.distinct_id;
INSERT INTO {table} (distinct_id, canonical_id)
SELECT distinct_id, canonical_id FROM idmerge_staged ANTI JOIN {table} USING (distinct_id);
"""


class DuckdbSink:
    """The table ``table``, which may be ``schema.table``, in the file at ``path``."""

    def __init__(self, path: str, table: str) -> None:
        self.needs_whole = False
        check_local(path, "a file's path is needed")
        if not Path(path).parent.is_dir():
            raise FileNotFoundError(f"{named(path)}: there is no such directory")
        self.name = f"duckdb:{named(path)} ({table})"
        self._path = Path(path).absolute()  # `:memory:` and `md:` would be no files.
        self._target = table
        self._table = ".".join('"{}"'.format(part.replace('"', '""')) for part in table.split("."))
        self._seen: str | None = None

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file for one transaction; any error rolls it back."""
        try:
            with duckdb.connect(self._path) as connection:
                connection.begin()
                connection.execute(_SCHEMA.format(table=self._table))
                yield connection
                connection.commit()
        except duckdb.IOException as error:  # Among them: another process has it open.
            raise OSError(f"{self.name}: {_line(error)}") from error
        except duckdb.Error as error:
            raise SinkError(f"{self.name}: {_line(error)}") from error

    def cursor(self, *, restart: bool) -> Cursor | None:
        """Return the cursor in the table of cursors."""
        with self._connection() as connection:
            self._seen = self._stated(connection)
            if restart:
                return None
            is_empty = self._is_empty(connection)
            if self._seen is None and not is_empty:
                raise not_ours(self.name, "the table has rows")
            found = stated_cursor(self.name, self._seen)
            self.needs_whole = is_empty and has_rows(found)
            return found

    def apply(self, update: MappingUpdate) -> int:
        """Write rows and cursor in one transaction."""
        with self._connection() as connection:
            check_unchanged(self.name, self._seen, self._stated(connection))
            had_rows = has_rows(stated_cursor(self.name, self._seen))
            if had_rows and not update.is_whole and self._is_empty(connection):
                raise emptied(self.name)
            connection.register("idmerge_rows", reader(update))
            connection.execute((_WHOLE if update.is_whole else _CHANGES).format(table=self._table))
            stated = update.cursor.to_json()
            connection.execute("DELETE FROM idmerge_cursors WHERE target = ?", [self._target])
            connection.execute(
                "INSERT INTO idmerge_cursors VALUES (?, ?, ?)", [self._target, update.cursor.position, stated]
            )
        self._seen, self.needs_whole = stated, False
        return 0

    def _is_empty(self, connection: duckdb.DuckDBPyConnection) -> bool:
        return not connection.execute(f"SELECT 1 FROM {self._table} LIMIT 1").fetchall()  # noqa: S608

    def _stated(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        found = connection.execute("SELECT cursor FROM idmerge_cursors WHERE target = ?", [self._target])
        rows = found.fetchall()
        return str(rows[0][0]) if rows else None

    def close(self) -> None:
        """Do nothing: the file is open while a delivery runs only."""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
