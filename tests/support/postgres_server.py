"""A server of PostgreSQL for tests, in a folder of its own and gone with it."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from idmerge import DurableResolver
from resolver_state import state

PASSWORD = "p@ss/w:rd"  # noqa: S105 - of a server that lives as long as a test
_ACCESS = """
local all with_password scram-sha-256
local all all trust
host all all 127.0.0.1/32 trust
"""
_SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
shared_buffers = 16MB
max_connections = 30
autovacuum = off
log_min_messages = fatal
"""


@dataclass
class Server:
    """A server that runs, and schemas in its database."""

    folder: Path
    """The folder of its socket and its data."""
    port: int
    _schemas: Iterator[int] = field(default_factory=itertools.count)

    def url(self, schema: str, user: str = "postgres", *, over_tcp: bool = False) -> str:
        """Return the URL of a schema, by the socket in its folder or by TCP."""
        host = "127.0.0.1" if over_tcp else quote(str(self.folder), safe="")
        login = f"{user}:{quote(PASSWORD, safe='')}"
        return f"postgresql://{login}@{host}:{self.port}/postgres?options=-csearch_path%3D{schema}"

    def new_schema(self) -> str:
        """Return the name of a schema that nobody has used yet."""
        name = f"schema_{next(self._schemas)}"
        self.execute(f"CREATE SCHEMA {name}")
        return name

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Execute a statement as the superuser; return what it gives, if anything."""
        with psycopg.connect(self.url("public"), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a server until the end of the ``with``; skip the test where there is none to run."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="idmerge-postgres-"))
    as_whom = _unprivileged() if os.geteuid() == 0 else {}
    if as_whom:
        os.chown(folder, as_whom["user"], as_whom["group"])

    def run(name: str, *arguments: str) -> None:
        log = folder / "programs.log"
        with log.open("ab") as out:
            done = subprocess.run(
                [binaries / name, *arguments], cwd=folder, stdout=out, stderr=out, check=False, **as_whom
            )
        assert done.returncode == 0, log.read_text(errors="replace")

    data = folder / "data"
    try:
        run(
            "initdb", f"--pgdata={data}", "--username=postgres", "--no-locale", "--encoding=UTF8", "--no-sync"
        )
        port = _free_port()
        (data / "pg_hba.conf").write_text(_ACCESS)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(f"{_SETTINGS}port = {port}\nunix_socket_directories = '{folder}'\n")
        control = [f"--pgdata={data}", "--wait", "--silent"]
        run("pg_ctl", *control, f"--log={folder / 'server.log'}", "start")
        try:
            server = Server(folder, port)
            server.execute(f"CREATE ROLE with_password LOGIN PASSWORD '{PASSWORD}'")
            yield server
        finally:
            run("pg_ctl", *control, "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path:
    """Return the folder of the newest server's programs."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = sorted(debian, key=lambda path: int(path.parts[-3]) if path.parts[-3].isdecimal() else 0)
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.skip("needs a server of PostgreSQL: apt install postgresql")
    return (found[-1] if found else Path(str(on_path))).parent


def _unprivileged() -> dict[str, Any]:
    """Return as whom to run the server, which refuses to be root's."""
    import pwd

    names = {account.pw_name for account in pwd.getpwall()}
    account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port


def written(url: str, commits: int = 3) -> dict[str, Any]:
    """Make a journal of some batches; return what its resolver says."""
    with DurableResolver.open(url) as resolver:
        for number in range(commits):
            resolver.merge(f"person {number}", f"person {number % 2}")
            resolver.commit({"topic": number})
        return state(resolver)
