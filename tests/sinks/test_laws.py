"""After each delivery a target holds the mapping, whatever happened in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings

from benches.support.sink_rows import mapping, once, rows_of_duckdb, rows_of_files
from clickhouse_session import FailingClient, SessionClient
from idmerge import DurableResolver
from idmerge.sinks import Delivery, Sink, open_sink
from idmerge.sinks.clickhousetable import ClickhouseSink
from postgres_server import Server, running_server
from sink_copies import faults, histories, take, without_nul
from strategies import strategies
from webhook_receiver import Receiver, receiving

Fail = Callable[[tuple[int, bool] | None], object]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture(scope="module")
def session() -> Iterator[SessionClient]:
    client = SessionClient()
    yield client
    client.end()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def follow(  # noqa: PLR0913
    opened: Callable[[], Sink],
    canonical: Any,
    history: list[Any],
    copy: Callable[[], dict[str, str]],
    *,
    kept: Callable[[dict[str, str]], dict[str, str]] = dict,
    fail: Fail = lambda _: None,
) -> None:
    """Deliver where the history says so, and compare; a target fails where it says so."""
    resolver = DurableResolver.open(":memory:", canonical=canonical)
    sink = opened()
    delivery = Delivery(resolver, sink)
    try:
        for name, *arguments in [*history, ("reopen",), ("deliver",)]:
            if name == "deliver":
                resolver.commit()
                try:
                    delivered = delivery.run()
                except OSError:  # The history goes on before the next try.
                    continue
                fail(None)
                assert delivery.cursor == resolver.mapping_since(None).cursor
                assert delivered.position == resolver.position
                assert delivery.run().rows == 0
                expected = mapping(resolver)
                assert copy() == kept(expected)
                if delivered.is_whole:
                    assert (delivered.rows, delivered.left_out) == (
                        len(expected),
                        len(expected) - len(kept(expected)),
                    )
            elif name == "reopen":
                fail(None)
                sink.close()
                sink = opened()
                delivery = Delivery(resolver, sink)
            elif name == "fail":
                fail((arguments[0], arguments[1]))
            else:
                take(resolver, name, arguments)
    finally:
        sink.close()


@pytest.mark.parametrize("suffix", ["ndjson", "parquet"])
@settings(max_examples=30)
@given(canonical=strategies, history=histories)
def test_files_hold_the_mapping(suffix: str, canonical: Any, history: list[Any]) -> None:
    with TemporaryDirectory() as directory:
        target = f"{suffix}:{directory}"
        follow(lambda: open_sink(target), canonical, history, lambda: rows_of_files(Path(directory)))


@settings(max_examples=20)
@given(canonical=strategies, history=histories)
def test_a_table_of_duckdb_holds_the_mapping(canonical: Any, history: list[Any]) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "copy.duckdb"
        follow(lambda: open_sink(f"duckdb:{path}"), canonical, history, lambda: rows_of_duckdb(path))


@settings(max_examples=30)
@given(canonical=strategies, history=histories)
def test_a_table_of_postgresql_holds_the_mapping(server: Server, canonical: Any, history: list[Any]) -> None:
    url = server.url(server.new_schema())
    with psycopg.connect(url, autocommit=True) as connection:

        def copy() -> dict[str, str]:
            return once(
                connection.execute("SELECT distinct_id, canonical_id FROM idmerge_mapping").fetchall()
            )

        follow(lambda: open_sink(url), canonical, history, copy, kept=without_nul)


tables = iter(range(10**9))


@settings(max_examples=30)
@given(canonical=strategies, history=faults)
def test_a_table_of_clickhouse_holds_the_mapping_after_any_fault(
    session: SessionClient, canonical: Any, history: list[Any]
) -> None:
    session.run("CREATE DATABASE IF NOT EXISTS copies", {})
    table = f"copies.ids_{next(tables)}"
    client = FailingClient(session)

    def copy() -> dict[str, str]:
        rows = session.run(f"SELECT distinct_id, canonical_id FROM {table} FINAL", {})  # noqa: S608
        return once([(own, name) for own, name in rows])

    def fail(how: tuple[int, bool] | None) -> None:
        client.failing = how

    opened = lambda: ClickhouseSink(client, "clickhouse://here", table)  # noqa: E731
    follow(opened, canonical, history, copy, fail=fail)


@settings(max_examples=30)
@given(canonical=strategies, history=faults)
def test_a_receiver_of_a_webhook_holds_the_mapping_after_any_fault(
    receiver: Receiver, canonical: Any, history: list[Any]
) -> None:
    def fail(how: tuple[int, bool] | None) -> None:
        receiver.failing = None if how is None else (how[0] % 2, how[1])

    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr("idmerge.sinks.webhook.ROWS", 2)
        receiver.copy = {}
        opened = lambda: open_sink(receiver.url, state=directory)  # noqa: E731
        follow(opened, canonical, history, lambda: receiver.copy, fail=fail)
