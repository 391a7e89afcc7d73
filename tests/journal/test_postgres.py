"""A journal in PostgreSQL: the same laws, one writer, and connections that are lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given, settings

from idmerge import DurableResolver, Policy, reference
from idmerge.errors import JournalError, MissingExtraError, SealedError
from idmerge.journal import open_journal
from journal_twins import Twins, steps
from postgres_server import PASSWORD, Server, running_server, written
from resolver_state import state
from strategies import policies, strategies


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


def change(server: Server, schema: str, statement: str, *values: Any) -> None:
    """Change a journal's tables behind its back."""
    with psycopg.connect(server.url(schema), autocommit=True) as connection:
        connection.execute(statement.encode(), values)


def process_of(resolver: DurableResolver) -> int:
    """Return the number of the server's process that serves a resolver."""
    return resolver._journal._connection.info.backend_pid  # type: ignore[attr-defined, no-any-return]


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it took longer than 20 s"
        time.sleep(0.01)


def kill(server: Server, process: int) -> None:
    server.execute("SELECT pg_terminate_backend(%s)", process)
    eventually(lambda: not server.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", process))


# The laws.


@settings(max_examples=25)
@given(policies, strategies, steps)
def test_with_a_journal_in_postgresql_it_answers_as_the_reference(
    server: Server, policy: Policy, canonical: Any, told: list[Any]
) -> None:
    twins = Twins(server.url(server.new_schema()), policy, canonical)
    for step in told:
        twins.tell(*step)
        assert twins.ours.position == twins.theirs.position
        assert state(twins.ours) == state(twins.theirs)
    twins.tell("reopen")
    assert state(twins.ours) == state(twins.theirs)
    twins.ours.close()


@settings(max_examples=10)
@given(policies, strategies, steps)
def test_a_reader_catches_up_with_the_writer(
    server: Server, policy: Policy, canonical: Any, told: list[Any]
) -> None:
    url = server.url(server.new_schema())
    twins = Twins(url, policy, canonical)
    with DurableResolver.open(url, read_only=True) as reader:
        for step in [*told, ("commit",)]:
            if step[0] in ("reopen", "compact"):
                continue
            twins.tell(*step)
            if step[0] == "commit":
                assert reader.refresh() == twins.ours.position
                assert state(reader) == state(twins.ours)
    twins.ours.close()


# What is there and what is not.


def test_offsets_survive_reopening(url: str) -> None:
    with DurableResolver.open(url) as resolver:
        resolver.identify("user", "anonymous")
        resolver.commit({"topic-0": 17, "a \0 in \N{FOX FACE}": "cursor"})
    with DurableResolver.open(url, create=False) as resolver:
        assert resolver.offsets == {"topic-0": 17, "a \0 in \N{FOX FACE}": "cursor"}


def test_both_schemes_name_the_same_journal(url: str) -> None:
    known = written(url)
    with DurableResolver.open(url.replace("postgresql://", "postgres://"), read_only=True) as resolver:
        assert state(resolver) == known


@pytest.mark.parametrize("how", [{"read_only": True}, {"create": False}])
def test_where_no_journal_is_none_is_made(server: Server, schema: str, how: dict[str, bool]) -> None:
    with pytest.raises(FileNotFoundError, match=f"schema {schema}: there is no such journal"):
        DurableResolver.open(server.url(schema), **how)
    assert server.execute("SELECT 1 FROM pg_tables WHERE schemaname = %s", schema) == []


def test_a_schema_is_not_made(server: Server) -> None:
    with pytest.raises(FileNotFoundError, match="there is no schema to keep a journal in"):
        DurableResolver.open(server.url("nowhere"))


def test_the_journal_of_a_later_schema_in_the_path_is_another_one(server: Server) -> None:
    first, second = server.new_schema(), server.new_schema()
    known = written(server.url(second))
    with DurableResolver.open(server.url(f"{first},{second}")) as resolver:
        assert len(resolver) == 0
    with DurableResolver.open(server.url(f"nowhere,{second},{first}"), create=False) as resolver:
        assert state(resolver) == known


def test_a_schema_may_have_any_name(server: Server) -> None:
    server.execute('CREATE SCHEMA "a ""quoted"" {name} of 100%"')
    url = server.url(quote('"a ""quoted"" {name} of 100%"').replace("%20", "%5C%20"))
    known = written(url)
    with DurableResolver.open(url) as resolver:
        assert state(resolver) == known
        resolver.compact()


def test_another_format_is_refused(server: Server, url: str, schema: str) -> None:
    written(url)
    change(server, schema, "UPDATE idmerge_head SET format = 7")
    for read_only in (True, False):
        with pytest.raises(JournalError, match=f"schema {schema} has format 7, and this version reads"):
            DurableResolver.open(url, read_only=read_only)


def test_tables_of_somebody_else_are_no_journal(server: Server, url: str, schema: str) -> None:
    for table in ("facts", "head", "batches"):
        change(server, schema, f"CREATE TABLE idmerge_{table} (mine INTEGER)")
    with pytest.raises(JournalError, match=f"schema {schema} is no journal, or is damaged: "):
        DurableResolver.open(url)


def test_without_psycopg_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "idmerge.journal.postgres")
    with pytest.raises(MissingExtraError, match=r"pip install 'psycopg\[binary\]'"):
        DurableResolver.open("postgresql:///anywhere")


def test_a_closed_journal_does_not_connect_again(url: str) -> None:
    written(url)
    journal = open_journal(url, create=False, read_only=False)
    journal.close()
    with pytest.raises(SealedError, match="is closed"):
        list(journal.heads())
    open_journal(url, create=False, read_only=False).close()


# Damage.


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("SET block = set_bit(block, 77, 1 - get_bit(block, 77))", "batch 1 is damaged"),
        ("SET texts = set_bit(texts, 77, 1 - get_bit(texts, 77))", "batch 1 is damaged"),
        ("SET offsets = replace(offsets, '1', '2')", "batch 1 is damaged"),
        ("SET written_at = written_at + 1", "batch 1 is damaged"),
    ],
)
def test_a_damaged_row_is_named(server: Server, url: str, schema: str, damage: str, told: str) -> None:
    written(url)
    change(server, schema, f"UPDATE idmerge_batches {damage} WHERE number = 1")
    with pytest.raises(JournalError, match=f"schema {schema}: {told}"):
        DurableResolver.open(url, read_only=True)


@pytest.mark.parametrize(
    ("number", "told"), [(1, "batch 1 is missing"), (2, "the last batch must be 2, found 1")]
)
def test_a_missing_row_is_missed(server: Server, url: str, schema: str, number: int, told: str) -> None:
    written(url)
    change(server, schema, "DELETE FROM idmerge_batches WHERE number = %s", number)
    with pytest.raises(JournalError, match=f"schema {schema}: {told}"):
        DurableResolver.open(url)


def test_a_missing_head_or_table_is_missed(server: Server, url: str, schema: str) -> None:
    written(url)
    change(server, schema, "DELETE FROM idmerge_head")
    with pytest.raises(JournalError, match="its head is missing"):
        DurableResolver.open(url, read_only=True)
    change(server, schema, "DROP TABLE idmerge_head")
    with pytest.raises(JournalError, match="its table idmerge_head is missing"):
        DurableResolver.open(url)


# One writer.


def test_a_second_writer_is_told_who_writes(server: Server, schema: str) -> None:
    url = server.url(schema, over_tcp=True)
    with DurableResolver.open(url) as first:
        with pytest.raises(JournalError) as refused:
            DurableResolver.open(url)
        message = str(refused.value)
        assert f"'idmerge, process {os.getpid()} on " in message
        assert f"process {process_of(first)} of the server, from 127.0.0.1, since 2" in message
        with DurableResolver.open(url, read_only=True) as reader:
            assert len(reader) == 0
    written(url)


def test_a_second_writer_is_told_the_name_of_an_application(url: str) -> None:
    with (
        DurableResolver.open(f"{url}&application_name=nightly"),
        pytest.raises(JournalError, match="for writing by 'nightly', process .* the server's machine"),
    ):
        DurableResolver.open(url)


def test_who_may_not_see_of_others_is_told_what_is_shown(server: Server, url: str, schema: str) -> None:
    server.execute(f"GRANT ALL ON SCHEMA {schema} TO with_password")
    with DurableResolver.open(url) as first:
        server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO with_password")
        with pytest.raises(JournalError, match=f"process {process_of(first)} of the server; a journal has"):
            DurableResolver.open(server.url(schema, "with_password"))


def test_journals_in_two_schemas_have_two_writers(server: Server) -> None:
    with (
        DurableResolver.open(server.url(server.new_schema())) as one,
        DurableResolver.open(server.url(server.new_schema())) as other,
    ):
        for resolver, name in ((one, "one"), (other, "other")):
            resolver.merge(name, "person")
            resolver.commit()
        assert one.members("person") == ["one", "person"]
        assert other.members("person") == ["other", "person"]


def test_whatever_became_of_the_locks_two_writers_cannot_both_append(url: str) -> None:
    first = DurableResolver.open(url)
    first._journal._connection.execute("SELECT pg_advisory_unlock_all()")  # type: ignore[attr-defined]
    second = DurableResolver.open(url)
    for resolver in (first, second):
        resolver.merge("a", "b")
    second.commit()
    with pytest.raises(JournalError, match="batch 0 must follow batch -1, and the last one is 0"):
        first.commit()
    second.close()
    with pytest.warns(UserWarning, match="1 step was not committed"):
        first.close()


def test_the_lock_is_released_before_the_connection_is(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server lets go of a closed connection when it has time to."""
    resolver = DurableResolver.open(url)
    connection = resolver._journal._connection  # type: ignore[attr-defined]
    close, process, held = connection.close, process_of(resolver), []

    def locks_and_then_close() -> None:
        ask = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
        held.append(server.execute(ask, process))
        close()

    monkeypatch.setattr(connection, "close", locks_and_then_close)
    resolver.close()
    assert held == [[]]


def test_a_reader_cannot_write(url: str) -> None:
    written(url)
    journal = open_journal(url, create=False, read_only=True)
    with pytest.raises(OSError, match="read-only transaction"):
        journal.rewrite(next(iter(journal.batches())))
    journal.close()


def test_what_is_forbidden_is_an_error_of_permission(server: Server, url: str, schema: str) -> None:
    theirs = server.url(schema, "with_password")
    with pytest.raises(FileNotFoundError, match="no schema"):
        DurableResolver.open(theirs)
    server.execute(f"GRANT USAGE ON SCHEMA {schema} TO with_password")
    with pytest.raises(PermissionError, match=f"permission denied for schema {schema}"):
        DurableResolver.open(theirs)
    known = written(url)
    server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO with_password")
    with DurableResolver.open(theirs, read_only=True) as reader:
        assert state(reader) == known
    with DurableResolver.open(theirs) as resolver:
        resolver.observe("somebody")
        with pytest.raises(PermissionError, match="permission denied for table idmerge_batches"):
            resolver.commit()
        server.execute(f"GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} TO with_password")
        resolver.commit()
        with pytest.raises(PermissionError, match="only the owner of idmerge_batches can compact it"):
            resolver.compact()


@pytest.mark.parametrize(("asked", "had"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
def test_a_commit_is_synchronous_whatever_the_session_was_told(url: str, asked: str, had: str) -> None:
    with DurableResolver.open(f"{url}%20-csynchronous_commit%3D{asked}") as resolver:
        connection = resolver._journal._connection  # type: ignore[attr-defined]
        assert connection.execute("SHOW synchronous_commit").fetchone() == (had,)


def test_a_writer_whose_machine_vanished_is_missed_after_a_minute(server: Server, schema: str) -> None:
    with DurableResolver.open(server.url(schema, over_tcp=True)) as resolver:
        connection = resolver._journal._connection  # type: ignore[attr-defined]
        names = ("idle", "interval", "count")
        idle, interval, count = (
            int(connection.execute(f"SHOW tcp_keepalives_{name}").fetchone()[0]) for name in names
        )
        assert idle + interval * count == 60


# Passwords.


def tracebacks(act: Callable[[], Any]) -> str:
    """Everything that the error of a call says, with what it came from."""
    with pytest.raises((OSError, JournalError)) as raised:
        act()
    return "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "secret", [PASSWORD, "s3cret@", "s3cret/", "1/s3cret", "@[s3cret", "?s3cret", "%zzs3cret", "/s3cret?"]
)
def test_a_password_that_is_not_encoded_is_in_no_message(secret: str) -> None:
    told = tracebacks(lambda: DurableResolver.open(f"postgresql://user:{secret}@localhost:1/postgres"))
    for part in (secret, "s3cret", "ss/w:rd", "w:rd"):
        assert part not in told


def test_a_password_is_in_no_message(server: Server, url: str, schema: str) -> None:
    server.execute(f"GRANT ALL ON SCHEMA {schema} TO with_password")
    url = server.url(schema, "with_password")
    encoded = quote(PASSWORD, safe="")
    assert encoded in url
    unreachable = f"postgresql://user:{encoded}@127.0.0.1:1/postgres"
    wrong = url.replace(encoded, f"{encoded}-not")
    in_query = unreachable.replace(f":{encoded}@", "@") + f"?password={encoded}"
    with DurableResolver.open(url) as resolver:
        name = resolver._journal.name
        told = [
            name,
            repr(resolver),
            *(
                tracebacks(lambda url=url: DurableResolver.open(url))
                for url in (url, unreachable, wrong, in_query)
            ),
        ]
        kill(server, process_of(resolver))
        resolver.observe("somebody")
        told.append(tracebacks(resolver.commit))
        resolver.commit()
    with pytest.raises(SealedError) as sealed:
        resolver.observe("somebody")
    told.append(str(sealed.value))
    assert name.startswith("postgresql://with_password@")
    assert name.endswith(f"/postgres, schema {schema}")
    assert "password authentication failed" in told[4]
    for message in told:
        assert PASSWORD not in message
        assert encoded not in message


def test_a_server_that_cannot_be_reached_is_an_os_error_of_one_line() -> None:
    with pytest.raises(OSError, match="^postgresql://me@127.0.0.1:1/people: .*refused") as raised:
        DurableResolver.open("postgresql://me@127.0.0.1:1/people")
    assert "\n" not in str(raised.value)


# Lost connections and killed processes.


def test_a_connection_that_dies_during_a_commit_loses_nothing(server: Server, url: str, schema: str) -> None:
    with DurableResolver.open(url) as resolver:
        resolver.merge("a", "b")
        resolver.commit({"topic": 1})
        committed = state(resolver)
        resolver.merge("b", "c")
        errors: list[Exception] = []

        def commit() -> None:
            try:
                resolver.commit({"topic": 2})
            except OSError as error:
                errors.append(error)

        process = process_of(resolver)
        with psycopg.connect(server.url(schema)) as blocking:
            blocking.execute("LOCK TABLE idmerge_batches IN EXCLUSIVE MODE")
            committing = threading.Thread(target=commit)
            committing.start()
            waits = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
            eventually(lambda: bool(server.execute(waits, process)))
            kill(server, process)
            committing.join()
        assert [type(error) for error in errors] == [OSError]
        assert "terminating connection" in str(errors[0])
        assert resolver.uncommitted == 1
        assert resolver.offsets == {"topic": 1}
        with DurableResolver.open(url, read_only=True) as reader:
            assert state(reader) == committed
            assert reader.offsets == {"topic": 1}
            # The next commit connects anew, and takes the lock with it.
            resolver.merge("c", "d")
            assert resolver.commit({"topic": 2}) == 3
            assert process_of(resolver) != process
            with pytest.raises(JournalError, match=f"process {process_of(resolver)} of the server"):
                DurableResolver.open(url)
            assert reader.refresh() == 3
            assert state(reader) == state(resolver)
            assert reader.offsets == {"topic": 2}


def test_who_was_cut_off_does_not_write_while_another_one_does(server: Server, url: str) -> None:
    cut_off = DurableResolver.open(url)
    cut_off.merge("a", "b")
    kill(server, process_of(cut_off))
    with DurableResolver.open(url) as other:
        with pytest.raises(OSError, match="terminating connection"):
            cut_off.commit()
        with pytest.raises(JournalError, match=f"process {process_of(other)} of the server"):
            cut_off.commit()
        other.merge("x", "y")
        other.commit()
        known = state(other)
    with pytest.raises(JournalError, match="batch 0 must follow batch -1, and the last one is 0"):
        cut_off.commit()
    with pytest.warns(UserWarning, match="1 step was not committed"):
        cut_off.close()
    with DurableResolver.open(url) as resolver:
        assert state(resolver) == known


def test_a_server_that_has_lost_batches_gets_none_behind_the_gap(
    server: Server, url: str, schema: str
) -> None:
    """As after a failover to a replica that was behind."""
    with DurableResolver.open(url) as resolver:
        for number in range(3):
            resolver.merge("person", str(number))
            resolver.commit()
        change(server, schema, "DELETE FROM idmerge_batches WHERE number = 2")
        change(server, schema, "UPDATE idmerge_head SET number = 1")
        kill(server, process_of(resolver))
        resolver.merge("person", "3")
        with pytest.raises(OSError, match="terminating connection"):
            resolver.commit()
        with pytest.raises(JournalError, match="batch 3 must follow batch 2, and the last one is 1"):
            resolver.commit()
        assert resolver.uncommitted == 1
        change(server, schema, "UPDATE idmerge_head SET number = 2")  # Found again.
        resolver.commit()


def test_a_journal_that_was_dropped_is_not_made_anew_under_a_writer(
    server: Server, url: str, schema: str
) -> None:
    with DurableResolver.open(url) as resolver:
        kill(server, process_of(resolver))
        change(server, schema, "DROP TABLE idmerge_facts, idmerge_head, idmerge_batches")
        with pytest.raises(OSError, match="terminating connection"):
            resolver.commit({"topic": 1})
        with pytest.raises(FileNotFoundError, match="there is no such journal"):
            resolver.commit({"topic": 1})


def test_a_reader_that_was_cut_off_catches_up(server: Server, url: str) -> None:
    with DurableResolver.open(url) as writer, DurableResolver.open(url, read_only=True) as reader:
        kill(server, process_of(reader))
        writer.merge("a", "b")
        writer.commit()
        with pytest.raises(OSError, match="terminating connection"):
            reader.refresh()
        assert reader.refresh() == 1
        assert state(reader) == state(writer)


WRITER = """
import sys
from idmerge import DurableResolver, Resolver
resolver = DurableResolver.open(sys.argv[1])
start = resolver.position
for number in range(start, start + 10**9):
    resolver.merge("person", str(number))
    if number % 3 == 2:
        print(resolver.commit({"numbers": number + 1}), flush=True)
"""


def test_a_killed_writer_leaves_whole_batches_and_no_lock(url: str) -> None:
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            told = [writer.stdout.readline() for _ in range(7)]
            writer.kill()
            told += writer.stdout.read().splitlines(keepends=True)
        # The last line may be cut off.
        committed = int([line for line in told if line.endswith("\n")][-1])
        resolver = opened_in_the_end(url)
        assert resolver.position >= committed
        assert resolver.offsets == {"numbers": resolver.position}
        assert resolver.position % 3 == 0
        expected = reference.Resolver()
        for number in range(resolver.position):
            expected.merge("person", str(number))
        assert resolver.mapping().to_pydict() == expected.mapping()
        resolver.close()


def opened_in_the_end(url: str) -> DurableResolver:
    """Open a journal once the server has noticed that its last writer is gone."""
    opened: list[DurableResolver] = []

    def opens() -> bool:
        with suppress(JournalError):
            opened.append(DurableResolver.open(url))
        return bool(opened)

    eventually(opens)
    return opened[0]
