"""The rows that a target of a sink holds, read as docs/sinks.md says, and those that it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from idmerge import DurableResolver


def mapping(resolver: DurableResolver) -> dict[str, str]:
    """Return the mapping as a copy should hold it."""
    columns = resolver.mapping().to_pydict()
    return dict(zip(columns["distinct_id"], columns["canonical_id"], strict=True))


def rows_of(target: str) -> dict[str, str]:
    """Return the rows of a target: files, or the default table of a database."""
    kind, _, path = target.partition(":")
    if kind == "duckdb":
        return rows_of_duckdb(Path(path))
    if kind in ("parquet", "ndjson"):
        return rows_of_files(Path(path))
    import psycopg

    with psycopg.connect(target) as connection:
        return once(connection.execute("SELECT distinct_id, canonical_id FROM idmerge_mapping").fetchall())


def rows_of_files(directory: Path) -> dict[str, str]:
    """Return the rows of a directory of a sink."""
    copy: dict[str, str] = {}
    for file in json.loads((directory / "manifest.json").read_text("utf-8"))["files"]:
        path = directory / file["name"]
        if path.suffix == ".parquet":
            rows = parquet.read_table(path).to_pylist()
        else:
            rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
        assert len(rows) == file["rows"]
        copy |= {row["distinct_id"]: row["canonical_id"] for row in rows}
    return copy


def rows_of_duckdb(path: Path, table: str = "idmerge_mapping") -> dict[str, str]:
    """Return the rows of a table of DuckDB."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return once(connection.execute(f"SELECT distinct_id, canonical_id FROM {table}").fetchall())  # noqa: S608


def once(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return rows by their IDs, each of which must be there once."""
    rows = [*rows]
    copy = dict(rows)
    assert len(copy) == len(rows)
    return copy
