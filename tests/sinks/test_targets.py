"""Targets: what is refused, what is kept, and what no message shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from benches.support.sink_rows import mapping, once, rows_of_duckdb, rows_of_files
from clickhouse_session import FailingClient, SessionClient
from idmerge import DurableResolver
from idmerge.errors import JournalError, SettingError, SinkError
from idmerge.sinks import Delivery, files, open_sink
from idmerge.sinks.clickhousetable import ClickhouseSink
from idmerge.sinks.opening import KINDS
from postgres_server import PASSWORD, Server, running_server
from sink_copies import resolver_of
from strategies import D1, D2
from webhook_receiver import receiving


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture(params=["duckdb", "postgresql", "ndjson", "parquet"])
def target(request: pytest.FixtureRequest) -> str:
    if request.param == "postgresql":
        running: Server = request.getfixturevalue("server")
        return running.url(running.new_schema())
    return f"{request.param}:copy"


def deliver(resolver: DurableResolver, target: str, *, restart: bool = False) -> bool:
    """Deliver by a sink of its own; return whether the whole mapping was written."""
    sink = open_sink(target)
    try:
        return Delivery(resolver, sink, restart=restart).run().is_whole
    finally:
        sink.close()


def test_a_delivery_goes_on_where_the_one_before_ended(target: str) -> None:
    resolver = resolver_of(("ana", "crm-17"))
    assert deliver(resolver, target)
    resolver.merge("ben", "crm-18")
    resolver.commit()
    assert not deliver(resolver, target)


def test_another_journal_is_refused_until_a_restart(target: str) -> None:
    deliver(resolver_of(("ana", "crm-17")), target)
    other = resolver_of(("ben", "crm-18"))
    with pytest.raises(SinkError, match="another journal, or was put back to an earlier state; .* --restart"):
        deliver(other, target)
    assert deliver(other, target, restart=True)
    assert not deliver(other, target)


def test_a_journal_that_was_put_back_is_refused(target: str) -> None:
    with DurableResolver.open("ids.idmerge") as resolver:
        resolver.merge("ana", "crm-17")
        resolver.commit()
    backup = Path("ids.idmerge").read_bytes()
    with DurableResolver.open("ids.idmerge") as resolver:
        resolver.merge("ana", "crm-18")
        resolver.commit()
        deliver(resolver, target)
    for path in Path().glob("ids.idmerge*"):
        path.unlink()
    Path("ids.idmerge").write_bytes(backup)
    with DurableResolver.open("ids.idmerge") as resolver:
        with pytest.raises(SinkError, match="put back to an earlier state"):
            deliver(resolver, target)
        resolver.merge("ana", "crm-19")
        resolver.commit()
        with pytest.raises(SinkError, match="put back to an earlier state"):
            deliver(resolver, target)
        assert deliver(resolver, target, restart=True)


def test_a_compacted_journal_is_the_same_journal(target: str) -> None:
    with DurableResolver.open("ids.idmerge") as resolver:
        resolver.merge("ana", "crm-17")
        resolver.commit()
        resolver.forget("crm-17")
        resolver.commit()
        deliver(resolver, target)
        resolver.compact()
        resolver.merge("ana", "crm-18")
        resolver.commit()
        assert not deliver(resolver, target)


def test_nothing_that_is_not_committed_is_delivered(target: str) -> None:
    resolver = resolver_of(("ana", "crm-17"))
    resolver.merge("ben", "crm-18")
    with pytest.raises(ValueError, match=r"call commit\(\) first"):
        deliver(resolver, target)


def test_two_that_deliver_to_one_target_do_not_mix(target: str) -> None:
    if target.startswith(("ndjson", "parquet")):
        first = open_sink(target)
        with pytest.raises(JournalError, match="has one writer at a time"):
            open_sink(target)
        first.close()
        return
    resolver = resolver_of(("ana", "crm-17"))
    sinks = [open_sink(target) for _ in range(2)]
    first, second = (Delivery(resolver, sink) for sink in sinks)
    first.run()
    resolver.merge("ben", "crm-18")
    resolver.commit()
    second.run()
    resolver.merge("cleo", "crm-19")
    resolver.commit()
    with pytest.raises(SinkError, match="another process has delivered to it meanwhile"):
        first.run()
    assert second.run().rows == 2
    for sink in sinks:
        sink.close()


def test_rows_that_are_no_sink_s_are_left_alone(server: Server) -> None:
    url = server.url(schema := server.new_schema())
    create = "CREATE TABLE {} (distinct_id text PRIMARY KEY, canonical_id text NOT NULL)"
    server.execute(create.format(f"{schema}.idmerge_mapping"))
    server.execute(f"INSERT INTO {schema}.idmerge_mapping VALUES ('mine', 'mine')")  # noqa: S608
    with duckdb.connect("copy") as connection:
        connection.execute(create.format("idmerge_mapping"))
        connection.execute("INSERT INTO idmerge_mapping VALUES ('mine', 'mine')")
    Path("there").mkdir()
    Path("there/mine.txt").write_text("mine")
    resolver = resolver_of(("ana", "crm-17"))
    for target in (url, "duckdb:copy", "ndjson:there"):
        with pytest.raises(SinkError, match="no cursor of a sink; name another one, or .* --restart"):
            deliver(resolver, target)
        assert deliver(resolver, target, restart=True)
    assert rows_of_duckdb(Path("copy")) == rows_of_files(Path("there")) == mapping(resolver)
    assert Path("there/mine.txt").read_text() == "mine"


def test_a_table_may_be_in_a_schema_and_have_any_name(server: Server) -> None:
    url = server.url(schema := server.new_schema(), over_tcp=True)
    table = f'{schema}.Odd "name" %s'
    resolver = resolver_of(("ana", "crm-17"))
    sink = open_sink(url, table=table)
    Delivery(resolver, sink).run()
    sink.close()
    rows = server.execute(f'SELECT * FROM {schema}."Odd ""name"" %s"')  # noqa: S608
    assert once(rows) == mapping(resolver)
    with duckdb.connect("copy") as connection:
        connection.execute("CREATE SCHEMA people")
    deliver(resolver, "duckdb:copy?table=people.ids")
    assert rows_of_duckdb(Path("copy"), "people.ids") == mapping(resolver)


def test_a_table_may_have_more_columns(server: Server) -> None:
    url = server.url(schema := server.new_schema())
    server.execute(
        f"CREATE TABLE {schema}.idmerge_mapping (note text DEFAULT 'new', canonical_id text NOT NULL, "
        "distinct_id text PRIMARY KEY)"
    )
    deliver(resolver_of(("ana", "crm-17")), url)
    assert server.execute(f"SELECT DISTINCT note FROM {schema}.idmerge_mapping") == [("new",)]  # noqa: S608


def test_rows_of_postgresql_that_are_right_are_left_alone(server: Server) -> None:
    url = server.url(schema := server.new_schema())
    resolver = resolver_of(("ana", "crm-17"), ("ben", "crm-18"))
    deliver(resolver, url)
    asked = f"SELECT distinct_id, ctid::text FROM {schema}.idmerge_mapping"  # noqa: S608
    before = dict(server.execute(asked))
    resolver.forget("crm-18")
    resolver.commit()
    assert deliver(resolver, url)
    assert dict(server.execute(asked)) == {own: ctid for own, ctid in before.items() if own != "crm-18"}


def test_an_id_with_u_0000_is_in_no_row_of_postgresql(server: Server) -> None:
    url = server.url(schema := server.new_schema())
    resolver = resolver_of(("ana", "crm-17"))
    deliver(resolver, url)
    for number in range(3):  # The larger cluster names both.
        resolver.merge("nul\0inside", f"other {number}")
    resolver.merge("nul\0inside", "ana")
    resolver.commit()
    sink = open_sink(url)
    delivered = Delivery(resolver, sink).run()
    sink.close()
    assert (delivered.is_whole, delivered.left_out) == (False, 6)
    assert server.execute(f"SELECT * FROM {schema}.idmerge_mapping") == []  # noqa: S608


def test_a_forgotten_text_is_in_no_file_any_more() -> None:
    resolver = resolver_of(("ana", "ana@example.com"))
    deliver(resolver, "ndjson:copy")
    resolver.merge("ben", "crm-18")
    resolver.commit()
    deliver(resolver, "ndjson:copy")
    resolver.forget("ana@example.com")
    resolver.commit()
    deliver(resolver, "ndjson:copy")
    assert [path for path in Path("copy").iterdir() if b"ana@" in path.read_bytes()] == []


def test_many_changes_become_a_whole_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 3)
    resolver = resolver_of(("ana", "crm-17"))
    told = []
    for number in range(8):
        resolver.observe(f"ID {number}")
        resolver.commit()
        told.append(deliver(resolver, "parquet:copy"))
        assert rows_of_files(Path("copy")) == mapping(resolver)
    assert told == [True, False, False, False, True, False, False, False]
    assert len([*Path("copy").glob("*.parquet")]) == 4


def test_what_a_killed_writer_left_does_not_count() -> None:
    resolver = resolver_of(("ana", "crm-17"))
    deliver(resolver, "ndjson:copy")
    left = Path("copy/changes-00000002.ndjson")
    left.write_text('{"distinct_id": "ana", "canonical_id": "wrong"}\n')
    resolver.merge("ben", "crm-18")
    resolver.commit()
    deliver(resolver, "ndjson:copy")
    assert rows_of_files(Path("copy")) == mapping(resolver)


@pytest.mark.parametrize(
    "manifest",
    ["", "{}", "[]", '{"format": 2}', '{"format": 1, "delivery": 1, "files": [{"name": "../x", "rows": 1}]}'],
)
def test_a_damaged_manifest_is_refused_until_a_restart(manifest: str) -> None:
    resolver = resolver_of(("ana", "crm-17"))
    deliver(resolver, "ndjson:copy")
    Path("copy/manifest.json").write_text(manifest)
    with pytest.raises(SinkError, match="the manifest is damaged: .* --restart"):
        deliver(resolver, "ndjson:copy")
    assert deliver(resolver, "ndjson:copy", restart=True)
    assert rows_of_files(Path("copy")) == mapping(resolver)


def test_a_row_that_became_right_again_after_a_fault_is_put_right() -> None:
    """Changes alone have no row for it: it is as it was at the cursor."""
    session = SessionClient()
    try:
        session.run("CREATE DATABASE copies", {})
        client = FailingClient(session)
        resolver = DurableResolver.open(":memory:", canonical="identified")
        resolver.merge("a", "x")
        resolver.merge("x", "b")
        resolver.commit()
        sink = ClickhouseSink(client, "clickhouse://here", "copies.ids")
        delivery = Delivery(resolver, sink)
        delivery.run()
        resolver.identify(D1, "b")
        resolver.commit()
        assert resolver.resolve("x") == "b"
        client.failing = (4, False)  # The cursor is not moved any more.
        with pytest.raises(OSError, match="the server is gone"):
            delivery.run()
        ask = "SELECT canonical_id FROM copies.ids FINAL WHERE distinct_id = 'x'"
        assert session.run(ask, {}) == [("b",)]
        resolver.identify(D2, "a")
        resolver.commit()
        assert resolver.resolve("x") == "a"
        assert delivery.run().is_whole
        assert session.run(ask, {}) == [("a",)]
    finally:
        session.end()


def test_a_webhook_posts_the_same_again_before_anything_else(tmp_path: Path) -> None:
    with receiving() as receiver:
        resolver = resolver_of(("ana", "crm-17"))
        sink = open_sink(receiver.url, state=tmp_path / "state")
        receiver.failing = (0, True)
        with pytest.raises(OSError, match=r"^http://127\.0\.0\.1: the receiver answered with 503$"):
            Delivery(resolver, sink).run()
        sink.close()
        resolver.merge("ben", "crm-18")
        resolver.commit()
        sink = open_sink(receiver.url, state=tmp_path / "state")
        assert Delivery(resolver, sink).run().is_whole is False
        sink.close()
    keys = [headers["Idempotency-Key"] for headers in receiver.headers]
    assert keys[0] == keys[1] != keys[2]
    assert [(body["kind"], body["delivery"], body["position"]) for body in receiver.requests] == [
        ("mapping", 1, 1),
        ("changes", 2, 2),
    ]
    assert receiver.copy == mapping(resolver)


def test_a_webhook_bears_the_token_and_its_path_is_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDMERGE_SINK_TOKEN", "s3cret")
    with receiving() as receiver:
        sink = open_sink(f"{receiver.url}?key=s3cret", state=tmp_path / "state")
        Delivery(resolver_of(("ana", "crm-17")), sink).run()
        sink.close()
        assert receiver.headers[0]["Authorization"] == "Bearer s3cret"
        assert sink.name == "http://127.0.0.1"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("ids.parquet", f"'ids.parquet' is no target of a sink; expected {KINDS}"),
        ("ftp://me:s3cret@host/x", f"'ftp://me@host/x' is no target of a sink; expected {KINDS}"),
        ("parquet://copy", f"'parquet://copy' is no target of a sink; expected {KINDS}"),
        ("duckdb:", f"'duckdb:' is no target of a sink; expected {KINDS}"),
        ("duckdb:copy?table=a.b.c", "a table is called NAME or SCHEMA.NAME"),
        ("https://example.com/x", "a webhook keeps no cursor, so a directory for it is needed: --state"),
        ("kafka://host:9092", "expected kafka://HOST:PORT/TOPIC"),
    ],
)
def test_what_is_no_target_is_refused(target: str, reason: str) -> None:
    if target.startswith("kafka"):
        pytest.importorskip("confluent_kafka", reason="needs the extra kafka")
    with pytest.raises(SinkError) as refused:
        open_sink(target)
    assert reason in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_target_may_name_variables_of_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = server.new_schema()
    server.execute(f"GRANT ALL ON SCHEMA {schema} TO with_password")
    monkeypatch.setenv("SINK_PASSWORD", PASSWORD)
    target = (
        f"postgresql://with_password:${{SINK_PASSWORD}}@/postgres?host={server.folder}&port={server.port}"
        f"&options=-csearch_path%3D{schema}&table=ids"
    )
    resolver = resolver_of(("ana", "crm-17"))
    deliver(resolver, target)
    assert once(server.execute(f"SELECT * FROM {schema}.ids")) == mapping(resolver)  # noqa: S608
    monkeypatch.delenv("SINK_PASSWORD")
    with pytest.raises(SettingError, match="names the environment variable SINK_PASSWORD, which is not set"):
        open_sink(target)


def test_no_message_shows_a_password(server: Server) -> None:
    pytest.importorskip("clickhouse_connect", reason="needs the extra clickhouse")
    for target in (
        server.url("public", "with_password").replace("p%40ss", "wrong%40"),
        "clickhouse://me:s3cret@127.0.0.1:9/x",
        "postgresql://me:s3cret@127.0.0.1:9/x",
    ):
        sink = open_sink(target)
        with pytest.raises(OSError) as refused:  # noqa: PT011 - the message is looked at
            sink.cursor(restart=False)
        text = f"{refused.value} {sink.name}"
        assert "s3cret" not in text
        assert "wrong@" not in text
        assert "\n" not in text


def test_a_first_delivery_of_nothing_makes_an_empty_copy(target: str) -> None:
    resolver = DurableResolver.open(":memory:")
    assert deliver(resolver, target)
    resolver.merge("ana", "crm-17")
    resolver.commit()
    assert not deliver(resolver, target)
    if target == "ndjson:copy":
        assert rows_of_files(Path("copy")) == mapping(resolver)


def test_the_manifest_names_what_a_reader_needs() -> None:
    deliver(resolver_of(("ana", "crm-17")), "ndjson:copy")
    manifest = json.loads(Path("copy/manifest.json").read_text())
    assert {*manifest} == {"format", "delivery", "position", "files", "cursor"}
