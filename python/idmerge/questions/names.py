"""Names of events and properties that a question needs, checked against those that occur."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import cut, did_you_mean
from idmerge.errors import ColumnError, QuestionError
from idmerge.questions.columns import quoted
from idmerge.questions.execution import run
from idmerge.questions.sql import EVENT, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from idmerge.questions.sql import Column, Columns

MANY = 10
"""Events that a message names."""
MOST_COLUMNS = 30
"""Columns that a message names."""
MOST_SAMPLED = 10_000
"""Events whose properties are looked at for the names that there are."""
MOST_SEARCHED, LONGEST_SEARCHED = 1000, 255
"""Names that a typo is compared with, the most frequent, and the characters of each."""


def names_of(connection: duckdb.DuckDBPyConnection, columns: Columns) -> list[str]:
    """Return the names of all events, the most frequent first."""
    named = f"SELECT {columns.text(EVENT)} AS name FROM events"
    counted = f"SELECT name FROM ({named}) WHERE name IS NOT NULL GROUP BY name ORDER BY count(*) DESC, name"
    return [name for (name,) in run(connection, counted)]


def check_events(connection: duckdb.DuckDBPyConnection, columns: Columns, wanted: Sequence[str]) -> None:
    """Check that each event that is ``wanted`` occurs, unless there are no events at all.

    Raises:
        QuestionError: One does not.
    """
    if not wanted:
        return
    name, listed = columns.text(EVENT), ", ".join(map(literal, wanted))
    found = run(connection, f"SELECT DISTINCT {name} FROM events WHERE {name} IN ({listed})")
    missing = [name for name in wanted if (name,) not in found]
    if missing and run(connection, "SELECT 1 FROM events LIMIT 1"):
        known = names_of(connection, columns)
        raise QuestionError("; ".join([*map(_no_event, missing), _there_are(known)]) + _close(missing, known))


def refused(connection: duckdb.DuckDBPyConnection, condition: str, error: Exception) -> QuestionError:
    """Return the error of a ``condition`` that DuckDB cannot compute, with the events' columns."""
    reason = str(error).partition("\n")[0].partition("Error: ")
    names = [name for name, *_ in run(connection, "DESCRIBE SELECT * FROM events")]
    there = ", ".join(map(repr, names[:MOST_COLUMNS]))
    more = f" and {len(names) - MOST_COLUMNS:,} more" if len(names) > MOST_COLUMNS else ""
    return QuestionError(
        f"where {quoted(condition)} cannot be computed: {cut((reason[2] or reason[0]).rstrip('!'))}; "
        f"the events have {there}{more}"
    )


def check_property(connection: duckdb.DuckDBPyConnection, name: str, column: Column) -> None:
    """Check that some event has the property ``name``, which stands in a ``column``.

    Raises:
        ColumnError: None has it.
    """
    if run(connection, f"SELECT 1 FROM events WHERE {column.term} IS NOT NULL LIMIT 1"):
        return
    known: list[str] = []
    if column.keys:
        sampled = f"SELECT {column.keys} AS keys FROM events LIMIT {MOST_SAMPLED}"
        counted = f"SELECT unnest(keys) AS key FROM ({sampled})"
        order = f"GROUP BY key ORDER BY count(*) DESC, key LIMIT {MOST_SEARCHED}"
        known = [key for (key,) in run(connection, f"SELECT key FROM ({counted}) {order}")]
    raise ColumnError(
        f"no event has the property {name!r}, in a column or in {column.name}{close_to(name, known)}"
    )


def close_to(name: str, names: Sequence[str]) -> str:
    """Return the names that ``name`` may be a typo of, as the end of a message."""
    if len(name) > LONGEST_SEARCHED:
        return ""
    searched = [other for other in names[:MOST_SEARCHED] if len(other) <= LONGEST_SEARCHED]
    question = did_you_mean(name, searched)
    return f".{question}" if question else ""


def _close(missing: Sequence[str], known: Sequence[str]) -> str:
    """Return what is close to the first of the ``missing`` names that is close to any."""
    return next(filter(None, (close_to(name, known) for name in missing)), "")


def _no_event(name: str) -> str:
    return f"no event is called {quoted(name)}"


def _there_are(known: Sequence[str]) -> str:
    there = ", ".join(map(quoted, known[:MANY])) or "none"
    return f"there are {there}{f' and {len(known) - MANY:,} more' if len(known) > MANY else ''}"
