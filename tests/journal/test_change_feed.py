"""The page on change feeds: its statements keep a table of events as the resolver answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import DurableResolver, Kind, Link
from idmerge.errors import UnknownIdError
from paths import DOCS
from postgres_server import Server, running_server
from strategies import D1, kinds, strategies

PAGE = (DOCS / "change-feed.md").read_text(encoding="utf-8")


def blocks(section: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of a section of the page."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def fold(section: str, connection: Any, changes: Any) -> None:
    """Do what a section of the page says."""
    for language, text in blocks(section):
        if language == "sql":
            connection.execute(text)
        else:
            exec(compile(text, section, "exec"), {"connection": connection, "changes": changes})  # noqa: S102


class Events(Protocol):
    """A table of events, in one database or the other."""

    def execute(self, statement: str, *values: str) -> list[tuple[Any, ...]]: ...

    def fold(self, changes: Any) -> None: ...


class DuckdbEvents:
    def __init__(self) -> None:
        self._connection = duckdb.connect()

    def execute(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement.replace("%s", "?"), values).fetchall()

    def fold(self, changes: Any) -> None:
        fold("DuckDB", self._connection, changes)


class PostgresEvents:
    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def fold(self, changes: Any) -> None:
        with self._connection.transaction():
            fold("PostgreSQL", self._connection, changes)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


few_ids = st.sampled_from(["U1", "U2", "U3", D1])
merges = st.tuples(st.just("link"), st.builds(Link, st.just(Kind.MERGE), few_ids, few_ids))
events = st.tuples(st.just("event"), few_ids, st.booleans())
feeds = st.tuples(st.just("feed"))
told = st.lists(
    st.one_of(
        merges,
        merges,
        st.tuples(st.just("link"), st.builds(Link, kinds, few_ids, few_ids)),
        events,
        events,
        feeds,
        feeds,
        st.tuples(st.just("keep_apart"), few_ids, few_ids),
        st.tuples(st.just("forget"), few_ids),
        st.tuples(st.just("retract"), st.integers(0, 5)),
        st.tuples(st.just("retract"), st.integers(0, 5)),
    ),
    min_size=10,
    max_size=30,
)
"""Steps for a resolver and a table of events, in order; a feed is folded now and then."""


def follow(events: Events, resolver: DurableResolver, told: list[Any]) -> None:
    """Tell both, and make sure that they agree after each feed."""
    events.execute("CREATE TABLE events (distinct_id TEXT NOT NULL, canonical_id TEXT NOT NULL)")
    add = "INSERT INTO events VALUES (%s, %s)"
    since, then = 0, dict[str, str]()
    forgotten: set[str] = set()
    waiting: list[str] = []
    for name, *arguments in [*told, ("feed",)]:
        if name == "event":
            own, waits = arguments
            if waits:
                waiting.append(own)
            else:
                events.execute(add, own, then.get(own, own))
        elif name == "feed":
            changes = resolver.changes(since)
            for _ in range(2):  # Twice is once.
                events.fold(changes)
                for text in forgotten:
                    events.execute("DELETE FROM events WHERE distinct_id = %s", text)
                check(events, resolver, forgotten)
            for own in waiting:
                events.execute(add, own, resolver.resolve(own))
            check(events, resolver, set())
            since, then, waiting, forgotten = resolver.position, as_dict(resolver), [], set()
        elif name == "forget":
            with suppress(UnknownIdError):
                resolver.forget(*arguments)
                forgotten.add(arguments[0])
        elif name == "link":
            resolver.link(*arguments[0])
        else:
            with suppress(ValueError):
                getattr(resolver, name)(*arguments)


def check(events: Events, resolver: DurableResolver, forgotten: set[str]) -> None:
    rows = events.execute("SELECT distinct_id, canonical_id FROM events")
    assert [canonical for _, canonical in rows] == resolver.resolve_many([own for own, _ in rows])
    assert {text for row in rows for text in row if text in forgotten} <= set(as_dict(resolver))


def as_dict(resolver: DurableResolver) -> dict[str, str]:
    columns = resolver.mapping().to_pydict()
    return dict(zip(columns["distinct_id"], columns["canonical_id"], strict=True))


@given(strategies, told)
def test_events_in_duckdb_follow_by_the_statement_on_the_page(canonical: Any, told: list[Any]) -> None:
    follow(DuckdbEvents(), DurableResolver.open(":memory:", canonical=canonical), told)


@settings(max_examples=50)
@given(strategies, told)
def test_events_in_postgresql_follow_by_the_statement_on_the_page(
    server: Server, canonical: Any, told: list[Any]
) -> None:
    with psycopg.connect(server.url(server.new_schema()), autocommit=True) as connection:
        follow(PostgresEvents(connection), DurableResolver.open(":memory:", canonical=canonical), told)


def test_rows_that_are_right_are_left_alone(server: Server) -> None:
    resolver = DurableResolver.open(":memory:")
    resolver.merge("a", "b")
    changes = resolver.changes(0)
    with psycopg.connect(server.url(server.new_schema()), autocommit=True) as connection:
        events = PostgresEvents(connection)
        events.execute("CREATE TABLE events (distinct_id TEXT NOT NULL, canonical_id TEXT NOT NULL)")
        events.execute("INSERT INTO events VALUES ('a', 'a'), ('b', 'b'), ('c', 'c')")
        events.fold(changes)
        before = sorted(events.execute("SELECT distinct_id, canonical_id, ctid FROM events"))
        events.fold(changes)
        assert sorted(events.execute("SELECT distinct_id, canonical_id, ctid FROM events")) == before


def test_a_feed_has_the_columns_that_the_page_names() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    resolver = DurableResolver.open(":memory:")
    assert resolver.changes(0).column_names == named


def test_a_resolver_that_was_opened_to_read_gives_feeds(tmp_path: Path) -> None:
    with (
        DurableResolver.open(tmp_path / "journal") as writer,
        DurableResolver.open(tmp_path / "journal", read_only=True) as reader,
    ):
        writer.merge("a", "b")
        assert len(reader.changes(0)) == 0
        writer.commit()
        writer.merge("b", "c")
        assert reader.refresh() == 1
        assert reader.changes(0).to_pydict() == {
            "distinct_id": ["b"],
            "old_canonical_id": ["b"],
            "new_canonical_id": ["a"],
            "position": [1],
        }
        writer.commit()


@pytest.mark.parametrize(
    ("section", "dialects"),
    [
        ("BigQuery", ["bigquery"]),
        ("Snowflake", ["snowflake"]),
        ("A copy of the mapping in BigQuery or Snowflake", ["bigquery", "snowflake"]),
    ],
)
def test_the_statements_are_of_their_dialects(section: str, dialects: list[str]) -> None:
    sqlglot = pytest.importorskip("sqlglot", reason="needs a parser of SQL: pip install sqlglot")
    statements = [text for language, text in blocks(section) if language == "sql"]
    assert statements
    for dialect in dialects:
        for text in statements:
            parsed = sqlglot.parse(text, dialect=dialect, error_level=sqlglot.ErrorLevel.RAISE)
            kinds = {type(one).__name__ for one in parsed if one is not None}
            assert kinds == {"Merge"}  # Not a command passed through unread.
