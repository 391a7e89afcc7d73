"""A server in a process of its own, as a command starts it, and questions to it."""

from __future__ import annotations

import json
import signal
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

from idmerge.testing.local import LocalServer, started

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 60
"""Seconds for what takes one."""


class Served(LocalServer):
    """A server that runs, with the keys of its first project."""

    def __init__(self, url: str, token: str, secret: str, process: subprocess.Popen[str]) -> None:
        super().__init__(url, token, secret)
        self.process = process

    @property
    def address(self) -> str:
        """The URL."""
        return self.url

    def read(self, path: str) -> Any:
        """Return the JSON that the server answers to one who has the secret."""
        return json.loads(self._asked(path))

    def text(self, path: str) -> str:
        """Return the text that the server answers to one who has the secret."""
        return self._asked(path).decode()

    def status(self, path: str) -> int:
        """Return the status of the answer to one who has the secret."""
        try:
            self._asked(path)
        except HTTPError as error:
            return error.code
        return 200

    def cluster(self, distinct_id: str) -> list[str]:
        """Return the IDs of the cluster of an ID, sorted."""
        return sorted(super().cluster(distinct_id))

    def settled(self) -> None:
        """Wait until everything that was acknowledged is applied."""
        self._settled()


@contextmanager
def serving(directory: Path, *options: str, descriptor: int | None = None) -> Iterator[Served]:
    """Run ``idmerge serve`` on a directory until the block ends; then it must end in order."""
    with started(directory, *options, descriptor=descriptor) as (process, url):
        [project, *_] = tomllib.loads((directory / "idmerge.toml").read_text("utf-8"))["project"]
        yield Served(url, project["token"], project["secret"], process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
