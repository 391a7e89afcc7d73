"""A journal in PostgreSQL: reading its tables, and what is left in them after forgetting."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from idmerge import DurableResolver
from idmerge.errors import JournalError
from idmerge.journal import FORMAT, Batch, open_journal, postgres
from idmerge.journal.batch import FIELDS, Chain
from postgres_server import Server, running_server, written
from resolver_state import state


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture
def schema(server: Server) -> str:
    return server.new_schema()


@pytest.fixture
def url(server: Server, schema: str) -> str:
    return server.url(schema)


# Reading.


def test_what_is_read_is_one_snapshot(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "ROOM", 1)  # So that each batch is fetched by itself.
    with DurableResolver.open(url) as writer:
        for number in range(3):
            writer.merge("person", str(number))
            writer.commit()
        reader = open_journal(url, create=False, read_only=True)
        batches = reader.batches()
        found = [next(batches)]
        writer.merge("person", "later")
        writer.commit()
        found += list(batches)
        assert [batch.number for batch in found] == [0, 1, 2]
        assert [batch.number for batch in reader.batches(found[-1])] == [3]
        reader.close()


def test_the_head_is_that_of_the_same_snapshot(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with DurableResolver.open(url) as writer:
        writer.merge("a", "b")
        writer.commit()
        reader = postgres.PostgresJournal(url, create=False, read_only=True)
        head = reader._head

        def head_and_then_a_commit(connection: psycopg.Connection) -> int | None:
            found = head(connection)
            writer.merge("b", "c")
            writer.commit()
            return found

        monkeypatch.setattr(reader, "_head", head_and_then_a_commit)
        assert [batch.number for batch in reader.batches()] == [0]
        reader.close()


def test_a_reading_that_is_broken_off_leaves_the_journal_usable(url: str) -> None:
    written(url)
    journal = open_journal(url, create=False, read_only=False)
    batches = journal.batches()
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert len(list(journal.heads())) == 3
    assert len(list(journal.batches())) == 3
    journal.close()


READER = """
import resource, sys
from idmerge.journal import open_journal
journal = open_journal(sys.argv[1], create=False, read_only=True)
list(journal.heads())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read = sum(len(batch.texts) for batch in journal.batches())
print(read, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
journal.close()
"""


def test_reading_takes_no_more_memory_for_a_longer_journal(url: str) -> None:
    journal = open_journal(url, create=True, read_only=False)
    texts = os.urandom(4 * 2**20)
    for number in range(40):
        batch = Batch(
            number=number,
            position=0,
            end_position=0,
            first_id=0,
            end_id=0,
            steps=0,
            written_at=0,
            offsets=None,
            retractions=None,
            texts=texts,
            block=b"",
        )
        journal.append([batch.sealed()])
    journal.close()
    run = subprocess.run([sys.executable, "-c", READER, url], capture_output=True, text=True, check=True)
    read, grown = map(int, run.stdout.split())
    assert read == 160 * 2**20
    assert grown < 3 * postgres.ROOM


def test_a_row_with_a_value_of_another_type_is_damaged(url: str) -> None:
    """It once was a TypeError from within."""
    written(url)
    journal = open_journal(url, create=False, read_only=True)
    rows = [[getattr(batch, field) for field in FIELDS] for batch in journal.batches()]
    journal.close()
    rows[1][FIELDS.index("texts")] = None
    with pytest.raises(JournalError, match="journal: batch 1 is damaged: "):
        list(Chain("journal", FORMAT).batches(rows, 2))


def test_the_heads_are_named_as_in_sqlite(url: str, tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    heads = []
    for place in (url, path):
        written(place)
        journal = open_journal(place, create=False, read_only=True)
        heads.append([{**head, "written_at": 0, "checksum": 0} for head in journal.heads()])
        journal.close()
    assert heads[0] == heads[1]
    assert [list(head) for head in heads[0]] == [list(head) for head in heads[1]]


# Compacting.


def traces(server: Server, text: str) -> int:
    """Return in how many files of tables and indexes a text is."""
    server.execute("CHECKPOINT")
    files = (path for path in (server.folder / "data" / "base").rglob("*") if path.is_file())
    return sum(text.encode() in path.read_bytes() for path in files)


def test_what_is_forgotten_is_in_no_file_of_a_table_once_compacted(server: Server, url: str) -> None:
    text = "somebody.to.be.forgotten@example.com"
    with DurableResolver.open(url) as resolver:
        resolver.merge("person", text)
        resolver.commit()
        server.execute("ANALYZE")
        assert traces(server, text) == 1
        resolver.forget(text)
        resolver.commit()
        assert traces(server, text) == 1
        resolver.compact()
        assert traces(server, text) == 0
        known = state(resolver)
    with DurableResolver.open(url) as resolver:
        assert state(resolver) == known


def test_no_text_gets_into_the_statistics(server: Server, schema: str) -> None:
    written(server.url(schema), commits=20)
    server.execute("ANALYZE")
    ask = "SELECT attname FROM pg_stats WHERE schemaname = %s AND tablename = 'idmerge_batches'"
    columns = {name for (name,) in server.execute(ask, schema)}
    assert "end_seq" in columns
    assert not columns & {"texts", "block"}


@pytest.mark.parametrize("role", ["postgres", "with_password"])
def test_an_older_transaction_keeps_what_was_written_over_and_compacting_says_so(
    server: Server, schema: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PATIENCE", 0.1)
    text = f"somebody.else.to.be.forgotten@{role}.example.com"
    server.execute(f"GRANT ALL ON SCHEMA {schema} TO with_password")
    with DurableResolver.open(server.url(schema, role)) as resolver:
        resolver.merge("person", text)
        resolver.commit()
        with psycopg.connect(server.url("public")) as older:
            older.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            older.execute("SELECT 1")
            resolver.forget(text)
            with pytest.raises(JournalError, match="is older than what was forgotten"):
                resolver.compact()
            assert traces(server, text) == 1
        resolver.compact()
        assert traces(server, text) == 0


def test_a_reader_keeps_the_table_and_compacting_says_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PATIENCE", 0.1)
    with DurableResolver.open(url) as resolver:
        resolver.merge("a", "b")
        resolver.commit()
        reader = open_journal(url, create=False, read_only=True)
        batches = reader.batches()
        next(batches)
        with pytest.raises(JournalError, match="a reader keeps the table"):
            resolver.compact()
        assert list(batches) == []
        resolver.compact()
        reader.close()
