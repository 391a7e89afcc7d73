"""The speed of a server: small requests, batches, and both at once, beside a bare uvicorn function.

    python -m benches.reports.server [--seconds 5] [--rounds 3] [--millions 0]

`idmerge serve` runs on a temporary directory, and a function that answers `1` on uvicorn with the
same parser and loop; each is held to the first core, and the load comes from the others. A round
sends one-event forms by 32 connections to the one and the other, batches of 2,000 events as JSON
and as gzip by 4, and one-event forms while another client imports 10 MiB at a time. Machines are
noisy, so all take turns, and the ratios within a round count; what a request takes of the processor
wanders less. On a disk that others use, its flushes bound the 99th percentile: the round's own are
printed beside it. With ``--millions`` so many million
events follow, and the resident size at each.

The answers are compared: in the end each acknowledged event is in the log or sealed, those of small
requests once, and the journal's mapping is that of the reference over their links. Batches repeat
themselves, so of them the different events are counted.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.request import urlopen

import idmerge
from benches.support.http_load import Load, by_threads, one_event_requests, request_of, shares_of
from benches.support.process import processor_seconds, resident_bytes
from idmerge import DurableResolver, reference
from idmerge.events import IDENTITY_EVENTS
from idmerge.server.directory import Directory
from idmerge.server.store.following import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 2000
"""Events of a batch."""
BATCHES = 4
"""Connections that send batches."""
IMPORT_BYTES = 10 * 2**20
"""Bytes of a large import."""
MERGES = 50
"""Events of a batch that are links."""
PATIENCE = 120
BARE = """
import os, sys, uvicorn
async def answer(scope, receive, send):
    while (await receive())["more_body"]:
        pass
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"1"})
config = uvicorn.Config(
    answer, http="httptools", ws="none", lifespan="off", interface="asgi3", access_log=False,
    log_level="error", proxy_headers=False, server_header=False, port=0, backlog=2048,
)
bound = config.bind_socket()
print(f"listening on http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
uvicorn.Server(config).run(sockets=[bound])
"""
"""A function on uvicorn that reads a body and answers."""


class Serving(NamedTuple):
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    token: str = ""
    secret: str = ""

    def health(self) -> dict[str, Any]:
        """Return what the server says of itself."""
        with urlopen(f"http://127.0.0.1:{self.port}/health", timeout=PATIENCE) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@contextmanager
def serving(command: list[str], directory: Path | None = None) -> Iterator[Serving]:
    """Run a server on the first core until the block ends."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
            assert process.stdout is not None
            found = None
            while found is None and (line := process.stdout.readline()):
                found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
            if found is None:
                raise RuntimeError(f"{command[:4]} did not start")
            if directory is None:
                yield Serving(process, int(found[1]))
            else:
                [project, *_] = tomllib.loads((directory / "idmerge.toml").read_text("utf-8"))["project"]
                yield Serving(process, int(found[1]), project["token"], project["secret"])
            process.terminate()
            process.wait(PATIENCE)
        finally:
            process.kill()


class Batches:
    """Requests that import events, made before they are sent."""

    def __init__(self, secret: str, run: str, *, packed: bool, count: int = BATCH, size: int = 0) -> None:
        credentials = base64.b64encode(f"{secret}:".encode()).decode()
        self.count = count
        self._headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
        if packed:
            self._headers["Content-Encoding"] = "gzip"
        self._requests = [self._request(run, number, packed=packed, size=size) for number in range(16)]

    def __call__(self, number: int) -> bytes:
        """Return a request; each is sent again after some others, as by a client that sends twice."""
        return self._requests[number % len(self._requests)]

    def different(self, requests: int) -> int:
        """Return the number of different events in so many requests."""
        return min(requests, len(self._requests)) * self.count

    def _request(self, run: str, batch: int, *, packed: bool, size: int) -> bytes:
        filling = "x" * max(0, size // self.count - 200)
        events = [_event(run, batch * self.count + number, filling) for number in range(self.count)]
        body = json.dumps(events, separators=(",", ":")).encode()
        return request_of("/import?strict=1", gzip.compress(body, 6) if packed else body, self._headers)


def _event(run: str, number: int, filling: str) -> dict[str, Any]:
    moment = round(time.time())
    if number % (BATCH // MERGES) == 0:
        ids = [f"{run} {number}", f"{run} {number // 3} person"]
        return {"event": "$merge", "properties": {"$distinct_ids": ids, "time": moment}}
    properties = {
        "time": moment,
        "distinct_id": f"user-{number % 10_000}",
        "$insert_id": f"{run}-{number}",
        "$browser": "Chrome",
        "$current_url": "https://shop.example/cart",
        "$os": "Linux",
    }
    return {"event": "Page View", "properties": properties | ({"filling": filling} if filling else {})}


class Bench:
    """A server under load beside a bare one, and what it has acknowledged."""

    def __init__(self, ours: Serving, bare: Serving, folder: Path, seconds: float) -> None:
        self.ours, self.bare, self.folder, self.seconds = ours, bare, folder, seconds
        self.acknowledged = 0
        """Different events that were acknowledged."""
        self.unsure = 0
        """Requests whose answer was not waited for."""
        self._runs = 0

    def round(self) -> dict[str, float]:
        """Return the figures of one round."""
        (ours, work), (bare, bare_work) = self._worked(self.ours), self._worked(self.bare)
        figures = {
            "requests": ours.rate,
            "bare requests": bare.rate,
            "work": work,
            "bare work": bare_work,
            "p50": ours.p50,
            "p99": ours.p99,
            "bare p50": bare.p50,
            "bare p99": bare.p99,
        }
        figures["flush p50"], figures["flush p99"] = flushes(self.folder)
        for name, packed in (("batches", False), ("gzip batches", True)):
            load = self._batches(self.ours, packed=packed)
            figures[name] = load.rate * BATCH
            figures[f"bare {name}"] = self._batches(self.bare, packed=packed).rate * BATCH
        figures["p99 beside imports"], figures["imports"] = self._beside_imports()
        return figures

    def _run(self) -> str:
        self._runs += 1
        return f"run{self._runs}"

    def _small(self, server: Serving) -> Load:
        load = one_event_requests(
            server.port, server.token or "TOKEN", self._run(), self.seconds, self.folder
        )
        if server is self.ours:
            self.acknowledged += load.requests
            self.unsure += 32
            self.settled()
        return load

    def _worked(self, server: Serving) -> tuple[Load, float]:
        """Return the figures of small requests, and the microseconds of the processor for each."""
        before = processor_seconds(server.process.pid)
        load = self._small(server)
        return load, (processor_seconds(server.process.pid) - before) / load.requests * 1e6

    def _batches(self, server: Serving, *, packed: bool) -> Load:
        batches = Batches(server.secret, self._run(), packed=packed)
        load = by_threads(server.port, batches, self.seconds, BATCHES)
        if server is self.ours:
            self.acknowledged += batches.different(load.requests)
            self.settled()
        return load

    def _beside_imports(self) -> tuple[float, float]:
        """Return the p99 of small requests while one client imports, and its imports a second."""
        imports = Batches(self.ours.secret, self._run(), packed=False, size=IMPORT_BYTES - 2**16)
        found: list[Load] = []

        def send() -> None:
            found.append(by_threads(self.ours.port, imports, self.seconds, 1))

        thread = threading.Thread(target=send)
        thread.start()
        small = self._small(self.ours)
        thread.join()
        self.acknowledged += imports.different(found[0].requests)
        self.settled()
        return small.p99, found[0].rate

    def settled(self) -> None:
        """Wait until all that was acknowledged is applied, so that nothing of it weighs on the next."""
        deadline = time.monotonic() + PATIENCE
        while self.ours.health()["lag_bytes"]:
            if time.monotonic() > deadline:
                raise TimeoutError("the server does not catch up")
            time.sleep(0.05)

    def sizes(self, millions: int) -> Iterator[float]:
        """Yield the resident MiB of the server after each of some million events."""
        batches = Batches(self.ours.secret, self._run(), packed=False)
        for _ in range(millions):
            load = by_threads(self.ours.port, batches, PATIENCE, BATCHES, most=1_000_000 // BATCH)
            self.settled()
            yield resident_bytes(self.ours.process.pid) / 2**20
        if millions:
            self.acknowledged += batches.different(load.requests)


def flushes(folder: Path, seconds: float = 0.5) -> tuple[float, float]:
    """Return the median and the 99th percentile of flushes of a file that grows, in milliseconds."""
    taken: list[float] = []
    with (folder / "flushed").open("wb", buffering=0) as file:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(taken) < 10:
            file.write(bytes(8 << 10))
            begin = time.perf_counter()
            getattr(os, "fdatasync", os.fsync)(file.fileno())
            taken.append(time.perf_counter() - begin)
    return shares_of(taken)


def check(directory: Path, acknowledged: int, unsure: int) -> None:
    """Make sure that each acknowledged event is in the log, or sealed, and that the journal follows.

    Raises:
        ValueError: It has not, or does not.
    """
    judge, links, kept = reference.Resolver(), set[str](), set[int]()
    names = [name.encode() for name in IDENTITY_EVENTS]
    [project, *_] = Directory.open(directory).projects
    for text in lines_of(directory / "log", project):
        lines = text.splitlines()
        small = [hash(line) for line in lines if b'"token":' in line]
        if not kept.isdisjoint(small) or len({*small}) < len(small):
            raise ValueError("an event is there twice")
        kept.update(map(hash, lines))
        # A batch comes many times, and its links state nothing new then.
        stated = [line.decode() for line in lines if any(name in line for name in names)]
        links.update(new := [line for line in dict.fromkeys(stated) if line not in links])
        judge.apply_events(new)
    if not acknowledged <= len(kept) <= acknowledged + unsure:
        raise ValueError(f"{acknowledged} events were acknowledged, and {len(kept)} are there")
    ids = [name for line in links for name in json.loads(line)["properties"]["$distinct_ids"]]
    with DurableResolver.open(directory / "ids.idmerge", read_only=True) as resolver:
        if resolver.resolve_many(ids) != judge.resolve_many(ids):
            raise ValueError("the journal's mapping is not that of the log")


UNITS = {
    "requests": "one-event requests/s",
    "bare requests": "requests/s of a bare function",
    "work": "µs of the processor a request, all threads",
    "bare work": "µs",
    "p50": "ms",
    "p99": "ms",
    "bare p50": "ms",
    "bare p99": "ms",
    "flush p50": "ms for fdatasync behind 8 KiB more of a file",
    "flush p99": "ms",
    "batches": "events/s in batches of 2,000",
    "bare batches": "events/s that a bare function would have",
    "gzip batches": "events/s",
    "bare gzip batches": "events/s",
    "p99 beside imports": "ms, while 10 MiB imports run",
    "imports": "imports of 10 MiB a second",
}


def run(
    seconds: float, rounds: int, millions: int, say: Callable[[str], None] = print
) -> list[dict[str, float]]:
    """Run rounds, check what the server has kept, and return the figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory = folder / "server"
        command = [sys.executable, "-m", "idmerge", "serve", str(directory), "--port", "0"]
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
        with ExitStack() as servers:
            ours = servers.enter_context(serving(command, directory))
            bare = servers.enter_context(serving([sys.executable, "-c", BARE]))
            if len(cores) > 1:
                os.sched_setaffinity(0, cores - {min(cores)})
                stack.callback(os.sched_setaffinity, 0, cores)
            bench = Bench(ours, bare, folder, seconds)
            found = []
            for _ in range(rounds):
                found.append(bench.round())
                say("  ".join(f"{name} {value:.4g}" for name, value in found[-1].items()))
            for million, size in enumerate(bench.sizes(millions), 1):
                say(f"{million} million events: {size:.0f} MiB")
            acknowledged, unsure = bench.acknowledged, bench.unsure
        check(directory, acknowledged, unsure)
        say(f"{acknowledged:,} acknowledged events are there, and the mapping is the reference's")
    return found


def main(arguments: list[str] | None = None) -> None:
    """Print the machine, each round, the medians, and our share of what the bare function does."""
    parser = argparse.ArgumentParser(prog="python -m benches.reports.server", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="seconds of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--millions", type=int, default=0, help="million events, to see the memory")
    options = parser.parse_args(arguments)
    print(f"idmerge {idmerge.__version__}, Python {platform.python_version()}, {platform.platform()}")
    found = run(options.seconds, options.rounds, options.millions)
    for name, unit in UNITS.items():
        values = [figures[name] for figures in found]
        print(f"{name}: {statistics.median(values):.4g} {unit} ({min(values):.4g} to {max(values):.4g})")
    for name in ("requests", "work", "batches", "gzip batches"):
        shares = [figures[name] / figures[f"bare {name}"] for figures in found]
        print(
            f"{name} / bare: median {statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})"
        )


if __name__ == "__main__":
    main()
