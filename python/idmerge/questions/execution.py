"""Execution of DuckDB statements that Ctrl-C can interrupt.

While DuckDB's own thread works, `execute` waits without looking for signals. So a statement runs in
another thread, and the caller's thread, where Python handles signals, waits for that. Without a
thread to be had, it runs in the caller's.

What a statement reads from Python, such as the batches of a stream, is not interrupted: the
statement ends once the batch that is being made is there.
"""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

AGAIN = 0.05
"""Seconds of a wait after which signals are looked for, or a statement is interrupted again."""


class _Running(Thread):
    """A statement in a thread of its own, which ends before `stop` returns.

    `Thread.join` cannot be used for that: when it is interrupted, Python before 3.13 takes the
    thread for ended.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, statement: str) -> None:
        super().__init__(name="idmerge-query")
        self._connection = connection
        self._statement = statement
        self._is_unwanted, self._is_begun, self._is_done = Event(), Event(), Event()
        self._rows: list[tuple[Any, ...]] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Run the statement, unless it was stopped already."""
        self._is_begun.set()
        try:
            if not self._is_unwanted.is_set():
                self._rows = self._connection.execute(self._statement).fetchall()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error
        finally:
            self._is_done.set()

    def rows(self) -> list[tuple[Any, ...]]:
        """Wait for the rows."""
        self._wait()
        if self._error is not None:
            raise self._error
        return self._rows

    def _wait(self) -> None:
        try:
            self.start()
        except RuntimeError:  # The system has no thread to spare.
            self.run()
        while not self._is_done.wait(AGAIN):
            pass  # Python looks for signals; polars, once imported, lets none end a wait.

    def stop(self) -> None:
        """Interrupt the statement and wait for its end."""
        self._is_unwanted.set()
        while self._is_begun.is_set() and not self._is_done.is_set():
            self._connection.interrupt()
            self._is_done.wait(AGAIN)


def run(connection: duckdb.DuckDBPyConnection, statement: str) -> list[tuple[Any, ...]]:
    """Run ``statement`` and return its rows.

    Raises:
        duckdb.Error: DuckDB cannot run it.
    """
    running = _Running(connection, statement)
    try:
        return running.rows()
    finally:
        running.stop()
