"""ClickHouse within the process, by chdb: the statements of a sink run as on a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pyarrow as pa


class SessionClient:
    """A session with a directory of its own; skips the test where chdb is not installed."""

    def __init__(self) -> None:
        chdb = pytest.importorskip("chdb.session", reason="needs ClickHouse in the process: pip install chdb")
        self._session = chdb.Session()

    def run(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        answer = str(self._session.query(statement, "JSONCompactEachRow", params=values))
        return [tuple(json.loads(line)) for line in answer.split("\n") if line]

    def insert(self, table: str, rows: pa.Table) -> None:  # noqa: ARG002 - chdb finds it by its name
        self._session.query(f"INSERT INTO {table} SELECT * FROM Python(rows)")  # noqa: S608

    def close(self) -> None:
        """Stay open: the next sink is given the same session."""

    def end(self) -> None:
        self._session.close()


class FailingClient:
    """A client of another one's session that can be told to fail."""

    def __init__(self, client: SessionClient) -> None:
        self._client = client
        self.failing: tuple[int, bool] | None = None
        """Calls until one fails, and whether it is done all the same."""

    def run(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        with self._fails() as is_done:
            return self._client.run(statement, values) if is_done else []

    def insert(self, table: str, rows: pa.Table) -> None:
        with self._fails() as is_done:
            if is_done:
                self._client.insert(table, rows)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _fails(self) -> Iterator[bool]:
        if self.failing is None or self.failing[0]:
            if self.failing is not None:
                self.failing = (self.failing[0] - 1, self.failing[1])
            yield True
            return
        is_done, self.failing = self.failing[1], None
        yield is_done
        raise OSError("the server is gone")
