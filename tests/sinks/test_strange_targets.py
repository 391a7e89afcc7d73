"""Targets that are written wrongly, altered by others, or changed for another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import psycopg
import pytest

from benches.support.sink_rows import mapping, rows_of, rows_of_duckdb, rows_of_files
from clickhouse_session import FailingClient, SessionClient
from idmerge.errors import SettingError, SinkError
from idmerge.sinks import Delivery, Sink, files, open_sink
from idmerge.sinks.clickhousetable import ClickhouseSink
from idmerge.sinks.opening import parse_target
from postgres_server import running_server
from sink_copies import resolver_of
from webhook_receiver import receiving

if TYPE_CHECKING:
    from idmerge import DurableResolver

NEEDS = {"clickhouse": "clickhouse_connect", "kafka": "confluent_kafka"}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def deliver(resolver: DurableResolver, sink: Sink, *, restart: bool = False) -> bool:
    """Deliver by a sink, and close it; return whether the whole mapping was written."""
    try:
        return Delivery(resolver, sink, restart=restart).run().is_whole
    finally:
        sink.close()


@pytest.mark.parametrize(
    "target",
    [
        "https://me:s3cret@127.0.0.1:9/hook",
        "https://me:s3cret/x@127.0.0.1/hook",
        "https://127.0.0.1/s3cret hook",
        "https://[s3cret/",
        "https:///s3cret",
        "https://127.0.0.1:99999/s3cret",
        "clickhouse://me:s3cret/x@127.0.0.1:9/ids",
        "clickhouse://[s3cret/",
        "clickhouse://me:1/s3cret@127.0.0.1:9/ids",
        "kafka://me:s3cret/topic@127.0.0.1:9",
        "kafka://me:1/s3cret@127.0.0.1:9",
        "kafka://[me:s3cret@127.0.0.1/topic",
    ],
)
def test_a_target_that_cannot_be_read_is_refused_without_its_secrets(target: str) -> None:
    kind = target.partition(":")[0]
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind], reason=f"needs the extra {kind}")
    with pytest.raises(SinkError) as refused:
        open_sink(target, state=None if kind in NEEDS else "state")
    assert "s3cret" not in str(refused.value)


def test_a_token_that_no_header_can_have_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDMERGE_SINK_TOKEN", "s3cret\n")
    with receiving() as receiver:
        with pytest.raises(SettingError, match="IDMERGE_SINK_TOKEN is no token: it has a line") as refused:
            deliver(resolver_of(("ana", "crm-17")), open_sink(receiver.url, state="state"))
        assert "s3cret" not in str(refused.value)
        assert not receiver.requests


@pytest.mark.parametrize("name", ["idmerge_cursors", "people.idmerge_staged", "IDMERGE_ROWS"])
def test_the_names_of_a_sink_s_own_tables_are_taken(name: str) -> None:
    with pytest.raises(SinkError, match="a sink has a table .* of its own; name another one"):
        parse_target("duckdb:copy", name)


@pytest.mark.parametrize("name", ["a\nb", "a\\", "a`b", "\x1b[0m", "\U0001f98a" * 16])
def test_what_some_database_would_misread_is_no_name_of_a_table(name: str) -> None:
    with pytest.raises(SinkError, match="each of up to 63 bytes"):
        parse_target("clickhouse://host/shop", name)


def test_options_beside_the_table_stay_as_they_are() -> None:
    place = "//host/shop?application_name=a+b&options=-c%20x%3Dy"
    stated = f"postgresql:{place.replace('&', '&table=a%20b&')}"
    assert parse_target(stated) == ("postgresql", place, "a b")


def test_a_path_with_a_meaning_in_duckdb_is_a_file_all_the_same() -> None:
    resolver = resolver_of(("ana", "crm-17"))
    for path in (":memory:", "md:copy"):
        deliver(resolver, open_sink(f"duckdb:{path}"))
        assert rows_of_duckdb(Path(path).absolute()) == mapping(resolver)


def check_written_anew(target: str, empty: Callable[[], object]) -> None:
    """Check that a target which ``empty`` empties is written whole, between and within processes."""
    resolver = resolver_of(("ana", "crm-17"))
    sink = open_sink(target)
    delivery = Delivery(resolver, sink)
    for is_told in (False, True):
        delivery.run()
        empty()
        resolver.observe(f"ben {is_told}")
        resolver.commit()
        if is_told:
            with pytest.raises(OSError, match="its rows are gone; the next delivery writes all of them"):
                delivery.run()
        else:
            delivery = Delivery(resolver, sink)
        assert delivery.run().is_whole
        assert rows_of(target) == mapping(resolver)
    sink.close()


@pytest.mark.parametrize("statement", ["DELETE FROM idmerge_mapping", "DROP TABLE idmerge_mapping"])
def test_a_table_of_duckdb_that_was_emptied_is_written_anew(statement: str) -> None:
    def empty() -> None:
        with duckdb.connect("copy") as connection:
            connection.execute(statement)

    check_written_anew("duckdb:copy", empty)


@pytest.mark.parametrize("statement", ["TRUNCATE idmerge_mapping", "DROP TABLE idmerge_mapping"])
def test_a_table_of_postgresql_that_was_emptied_is_written_anew(statement: str) -> None:
    with running_server() as server:
        schema = server.new_schema()
        emptied = statement.replace("idmerge", f"{schema}.idmerge")
        check_written_anew(server.url(schema), lambda: server.execute(emptied))


def test_a_delivery_to_one_table_of_postgresql_waits_for_none_to_another() -> None:
    with running_server() as server:
        url = f"{server.url(server.new_schema())}%20-clock_timeout%3D2000"
        resolver = resolver_of(("ana", "crm-17"))
        deliver(resolver, open_sink(url))
        with psycopg.connect(url) as other:  # In the midst of a delivery.
            other.execute("INSERT INTO idmerge_cursors VALUES ('other', 0, now(), '')")
            resolver.observe("ben")
            resolver.commit()
            assert not deliver(resolver, open_sink(url))
        assert rows_of(url) == mapping(resolver)


def test_a_table_of_clickhouse_that_was_emptied_is_written_anew() -> None:
    session = SessionClient()
    try:
        session.run("CREATE DATABASE emptied", {})
        sink = ClickhouseSink(session, "clickhouse://here", "emptied.ids")
        resolver = resolver_of(("ana", "crm-17"))
        delivery = Delivery(resolver, sink)
        for is_told in (False, True):
            delivery.run()
            session.run("TRUNCATE TABLE emptied.ids", {})
            resolver.observe(f"ben {is_told}")
            resolver.commit()
            if is_told:
                with pytest.raises(OSError, match="its rows are gone"):
                    delivery.run()
            else:
                delivery = Delivery(resolver, sink)
            assert delivery.run().is_whole
            rows = session.run("SELECT distinct_id, canonical_id FROM emptied.ids FINAL", {})
            assert dict(rows) == mapping(resolver)
    finally:
        session.end()


def test_files_that_are_gone_are_written_anew() -> None:
    resolver = resolver_of(("ana", "crm-17"))
    sink = open_sink("ndjson:copy")
    delivery = Delivery(resolver, sink)
    delivery.run()
    Path("copy/mapping-00000001.ndjson").unlink()
    assert delivery.run().is_whole
    assert rows_of_files(Path("copy")) == mapping(resolver)
    sink.close()


def test_a_whole_mapping_that_is_due_is_none_of_another_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 0)
    deliver(resolver_of(("ana", "crm-17")), open_sink("ndjson:copy"))
    with pytest.raises(SinkError, match="it is another journal"):
        deliver(resolver_of(("ben", "crm-18")), open_sink("ndjson:copy"))


def test_what_follows_an_interrupted_delivery_is_none_of_another_journal() -> None:
    session = SessionClient()
    try:
        session.run("CREATE DATABASE interrupted", {})
        client = FailingClient(session)
        sink = ClickhouseSink(client, "clickhouse://here", "interrupted.ids")
        client.failing = (7, False)  # The rows.
        with pytest.raises(OSError, match="the server is gone"):
            Delivery(resolver_of(("ana", "crm-17")), sink).run()
        client.failing = None
        with pytest.raises(SinkError, match="it is another journal"):
            Delivery(resolver_of(("ben", "crm-18")), sink).run()
    finally:
        session.end()


def test_another_receiver_gets_the_whole_mapping() -> None:
    resolver = resolver_of(("ana", "crm-17"))
    with receiving() as first, receiving() as second:
        assert deliver(resolver, open_sink(f"{first.url}?key=1", state="state"))
        assert not deliver(resolver, open_sink(f"{first.url}?key=2", state="state"))
        resolver.merge("ben", "crm-18")
        resolver.commit()
        first.failing = (0, True)
        with pytest.raises(OSError, match="answered with 503"):
            deliver(resolver, open_sink(first.url, state="state"))
        assert deliver(resolver, open_sink(second.url, state="state"))
        assert second.copy == mapping(resolver)
        assert [body["delivery"] for body in second.requests] == [3]


def test_the_number_of_a_delivery_that_was_given_up_is_not_used_again() -> None:
    resolver = resolver_of(("ana", "crm-17"))
    with receiving() as receiver:
        for _ in range(2):
            receiver.failing = (0, True)
            with pytest.raises(OSError, match="answered with 503"):
                deliver(resolver, open_sink(receiver.url, state="state"), restart=True)
        receiver.failing = None
        deliver(resolver, open_sink(receiver.url, state="state"), restart=True)
        keys = [headers["Idempotency-Key"] for headers in receiver.headers]
    assert len({*keys}) == len(keys) == 3
    assert json.loads(Path("state/cursor.json").read_text())["delivery"] == 3


def test_a_damaged_outbox_is_an_error_with_a_way_out() -> None:
    with receiving() as receiver:
        deliver(resolver_of(("ana", "crm-17")), open_sink(receiver.url, state="state"))
        Path("state/outbox.ndjson").write_text("{}\n")
        with pytest.raises(SinkError, match="the outbox is damaged: .*; delete the directory to begin anew"):
            deliver(resolver_of(("ana", "crm-17")), open_sink(receiver.url, state="state"))
