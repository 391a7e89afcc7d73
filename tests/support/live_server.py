"""A server in a process of its own, as a command starts it, and questions to it."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 60
"""Seconds for what takes one."""


class Served(NamedTuple):
    """A server that runs."""

    address: str
    token: str
    secret: str
    process: subprocess.Popen[str]

    def read(self, path: str) -> Any:
        """Return the JSON that the server answers to one who has the secret."""
        credentials = base64.b64encode(f"{self.secret}:".encode()).decode()
        request = Request(  # noqa: S310 - as above
            f"{self.address}{path}", headers={"Authorization": f"Basic {credentials}"}
        )
        with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - of this machine
            return json.load(answer)

    def cluster(self, distinct_id: str) -> list[str]:
        """Return the IDs of the cluster of an ID, sorted."""
        return sorted(self.read(f"/api/ids/{quote(distinct_id, safe='')}")["distinct_ids"])

    def settled(self) -> None:
        """Wait until everything that was acknowledged is applied."""
        deadline = time.monotonic() + PATIENCE
        while self.read("/health")["lag_bytes"]:
            assert time.monotonic() < deadline, "the server does not catch up"
            time.sleep(0.05)


@contextmanager
def serving(directory: Path, *options: str) -> Iterator[Served]:
    """Run ``idmerge serve`` on a directory until the block ends; then it must end in order."""
    command = [sys.executable, "-m", "idmerge", "serve", str(directory), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield Served(*_started(process, directory), process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def _started(process: subprocess.Popen[str], directory: Path) -> tuple[str, str, str]:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        found = re.search(r"listening on (http://\S+)", line)
        if found:
            [project, *_] = tomllib.loads((directory / "idmerge.toml").read_text("utf-8"))["project"]
            return found[1], project["token"], project["secret"]
    raise AssertionError("".join(said))
