"""A server that a test runs, to ask what an application has sent."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from idmerge.errors import IdmergeError
from idmerge.policy import check_api

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from idmerge.policy import Api

PATIENCE = 60.0
"""Seconds after which what a server should have done in one is an error."""
_SETTINGS = """\
[[project]]
name = "test"
token = "test-token"
secret = "test-secret"
api = "{api}"
"""


class LocalServer:
    """A server on this machine, and what it has taken (`server`).

    Attributes:
        url: The address, which SDKs are given as their host.
        token: The token of its project.
        secret: The secret of its project, by which it can be read.

    Examples:
        >>> import json
        >>> from urllib.request import urlopen
        >>> from idmerge.testing import server
        >>> ana = {"token": "test-token", "distinct_id": "ana"}
        >>> events = [{"event": "View", "properties": ana}]
        >>> events += [{"event": "$create_alias", "properties": ana | {"alias": "crm-17"}}]
        >>> with server() as local:
        ...     answer = urlopen(f"{local.url}/track", json.dumps(events).encode()).read()
        ...     update = {"$token": "test-token", "$distinct_id": "ana", "$set": {"plan": "pro"}}
        ...     _ = urlopen(f"{local.url}/engage", json.dumps(update).encode()).read()
        ...     found = len(local.events()), local.cluster("ana"), local.resolve("crm-17")
        ...     profile = local.profile("crm-17")
        >>> answer, found, profile
        (b'1', (2, ['ana', 'crm-17'], 'ana'), {'plan': 'pro'})
    """

    def __init__(self, url: str, token: str = "test-token", secret: str = "test-secret") -> None:  # noqa: S107 - as in `_SETTINGS`
        self.url = url
        self.token = token
        self.secret = secret

    def events(self) -> list[dict[str, Any]]:
        """Return all events that it has taken, each under the canonical ID of its sender."""
        lines = self._read("/api/2.0/export?from_date=0001-01-01&to_date=9999-12-31")
        return [json.loads(line) for line in lines.splitlines()]

    def cluster(self, distinct_id: str) -> list[str]:
        """Return the IDs of the person who has this ID, in the order in which they became known."""
        found: list[str] = self._ids(distinct_id)["distinct_ids"]
        return found

    def profile(self, distinct_id: str) -> dict[str, Any] | None:
        """Return the profile that is shown of the person who has this ID; None if there is none."""
        found: dict[str, Any] | None = self._ids(distinct_id)["profile"]
        return found

    def resolve(self, distinct_id: str) -> str:
        """Return the canonical ID of the person who has this ID."""
        canonical: str = self._ids(distinct_id)["canonical_id"]
        return canonical

    def _ids(self, distinct_id: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._read(f"/api/ids/{quote(distinct_id, safe='')}"))
        return found

    def _read(self, path: str) -> bytes:
        self._settled()
        return self._asked(path)

    def _settled(self) -> None:
        """Wait until everything that was acknowledged is applied."""
        deadline = time.monotonic() + PATIENCE
        while json.loads(self._asked("/health"))["lag_bytes"]:
            if time.monotonic() > deadline:
                raise IdmergeError(f"the server is still behind its log after {PATIENCE:.0f} seconds")
            time.sleep(0.02)

    def _asked(self, path: str) -> bytes:
        from urllib.request import Request, urlopen  # noqa: PLC0415 - it loads SSL

        credentials = base64.b64encode(f"{self.secret}:".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"}
        request = Request(f"{self.url}{path}", headers=headers)  # noqa: S310 - of this machine
        with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - of this machine
            found: bytes = answer.read()
            return found


@contextmanager
def server(
    directory: str | os.PathLike[str] | None = None, *, api: Api = "original"
) -> Iterator[LocalServer]:
    """Run a server while the block runs, for a test of what an application sends.

    Args:
        directory: Where its files are and stay; by default a new directory, which is removed.
        api: The API of its project, if the directory is new (SPEC 2).

    Yields:
        The server. What has been acknowledged is in its answers.

    Raises:
        IdmergeError: It does not start; the text has what it said.
        PolicyError: There is no such API.

    Examples:
        >>> import json
        >>> from urllib.request import urlopen
        >>> from idmerge.testing import server
        >>> with server() as local:
        ...     properties = {"token": local.token, "distinct_id": "ana"}
        ...     event = json.dumps({"event": "View", "properties": properties})
        ...     answer = urlopen(f"{local.url}/track", event.encode()).read()
        ...     [taken] = local.events()
        >>> answer, taken["event"], taken["properties"]["distinct_id"]
        (b'1', 'View', 'ana')
    """
    check_api(api)
    if directory is None:
        with TemporaryDirectory(prefix="idmerge-") as made, server(made, api=api) as running:
            yield running
        return
    settings = Path(directory, "idmerge.toml")
    settings.parent.mkdir(parents=True, exist_ok=True)
    if not settings.exists():
        settings.touch(0o600)
        settings.write_text(_SETTINGS.format(api=api), "utf-8")
    with started(directory) as (process, url):
        try:
            yield LocalServer(url)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def started(
    directory: str | os.PathLike[str], *options: str, descriptor: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start ``idmerge serve`` at a free port; if it still runs when the block ends, it is killed.

    Args:
        directory: Its directory.
        options: Further options of the command.
        descriptor: A socket that listens, in place of the port.

    Yields:
        The process, and the address at which it listens.

    Raises:
        IdmergeError: It does not start; the text has what it said.

    Examples:
        >>> from urllib.request import urlopen
        >>> from idmerge.testing.local import started
        >>> with started("here") as (process, url):
        ...     status = urlopen(f"{url}/health").status
        ...     process.terminate()
        ...     code = process.wait(60)
        >>> status, code
        (200, 0)
    """
    place = ["--port", "0"] if descriptor is None else ["--fd", str(descriptor)]
    command = [sys.executable, "-m", "idmerge", "serve", str(directory), *place, *options]
    handed_in = [] if descriptor is None else [descriptor]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=handed_in
    ) as process:
        try:
            yield process, _address(process)
        finally:
            process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    """Return the address at which a server that starts listens, once it does."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        found = re.search(r"listening on (http://\S+)", line)
        if found:
            return found[1]
    raise IdmergeError(f"the server does not start: {''.join(said).strip()}")
