"""Killed servers under load: what they acknowledged is kept once, and its links are judged once.

    python -m benches.campaigns.server_crashes [KILLS] [--seed SEED]    default 300 kills

Two clients send events one by one and in batches, with links and updates of profiles among them,
and send what was not acknowledged to the next server again, with the same insert IDs. Servers are
killed at random moments: while they start, while they take requests, and while they end. Each goes
on in the directory of the one before.

At the end the log holds each request that was acknowledged: as a whole, in the order of its client,
and as often as it may have been sent, which is once if its first answer came. The export has each
event once. The journal's mapping is that of ``idmerge resolve`` over the events of the log, and of
the reference. The profiles are those that the log makes in memory.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import pyarrow.parquet as pq

from benches.support.campaign import campaign_options, run_campaign
from idmerge import DurableResolver, Profiles, Resolver, reference
from idmerge.server.directory import Directory, Project
from idmerge.server.log.log import Log
from idmerge.server.people.directory import profiles_of
from idmerge.testing.local import started

if TYPE_CHECKING:
    from idmerge.server.log.records import Record

KILLS = 300
_KILLS_A_DIRECTORY = (1, 4, 12, 30)
"""Servers killed in one directory, drawn."""
_CLIENTS = 2
_IDS = 400
"""Users, and devices, of each client."""
_SECONDS = 0.6
"""Seconds at most from a server's start, or from when it listens, to its death."""
_PATIENCE = 120.0
_BATCHES = (2, 20, 200)
_UPDATES = 0.2
"""The part of requests that update a profile."""
_ENGAGE = "/engage/"


class Sent(NamedTuple):
    """A request, and how often it was sent."""

    number: int
    path: str
    body: bytes
    headers: dict[str, str]
    insert_ids: tuple[str, ...]


class Client:
    """Sends requests, one after the other, each until it is acknowledged."""

    def __init__(self, name: int, project: Project, seed: int) -> None:
        self.name = name
        self.acknowledged: list[Sent] = []
        self.attempts: Counter[int] = Counter()
        """How often each request was sent, by its number."""
        self.faults: list[str] = []
        self._project = project
        self._drawn = random.Random(seed)
        self._made = 0
        self._pending: Sent | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a request was not acknowledged yet."""
        return self._pending is not None

    def run(self, url: str, is_over: threading.Event, *, new: bool = True) -> None:
        """Send to a server until it is gone or ``is_over``; if not ``new``, only what waits."""
        address = urlsplit(url)
        with closing(HTTPConnection(address.hostname or "", address.port, timeout=_PATIENCE)) as connection:
            try:
                while not is_over.is_set() and (new or self.is_waiting):
                    self._send(connection)
            except (OSError, HTTPException):
                return  # It was killed; the request waits for the next one.

    def _send(self, connection: HTTPConnection) -> None:
        sent = self._pending = self._pending or self._request()
        self.attempts[sent.number] += 1
        connection.request("POST", sent.path, sent.body, sent.headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == 503:
            time.sleep(0.01)
        elif answer.status != 200:
            self.faults.append(f"client {self.name}: {answer.status} {content[:300]!r}")
        if answer.status != 503:
            self.acknowledged.append(sent)
            self._pending = None

    def _request(self) -> Sent:
        number = self._made
        self._made += 1
        if self._drawn.random() < _UPDATES:
            return self._update(number)
        is_import = self._drawn.random() < 0.5
        count = self._drawn.choice(_BATCHES) if self._drawn.random() < 0.2 else 1
        # Of one time and in no order: the server sorts by time, and keeps the order of equal ones.
        events = [self._event(number, place, is_import=is_import) for place in range(count)]
        insert_ids = tuple(event["properties"]["$insert_id"] for event in events)
        if not is_import:
            data = urlencode({"data": json.dumps(events), "verbose": "1"}).encode()
            return Sent(
                number, "/track/", data, {"Content-Type": "application/x-www-form-urlencoded"}, insert_ids
            )
        credentials = base64.b64encode(f"{self._project.secret}:".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
        body = json.dumps(events).encode()
        if count > 1:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, 1)
        return Sent(number, "/import?strict=1", body, headers, insert_ids)

    def _update(self, number: int) -> Sent:
        insert_id = f"{self.name}-{number}-0"
        own = f"user {self._drawn.randrange(_IDS)}"
        update = {"$token": self._project.token, "$distinct_id": own, "$insert_id": insert_id}
        update |= {"$add": {"updates": 1}, "$set": {"last": insert_id}}
        body = urlencode({"data": json.dumps([update])}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return Sent(number, _ENGAGE, body, headers, (insert_id,))

    def _event(self, number: int, place: int, *, is_import: bool) -> dict[str, Any]:
        insert_id = f"{self.name}-{number}-{place}"
        own = {"time": int(time.time()), "$insert_id": insert_id, "token": self._project.token}
        user, other = (f"user {self._drawn.randrange(_IDS)}" for _ in range(2))
        device = str(UUID(int=self._drawn.randrange(_IDS) + (self.name << 32), version=4))
        step = self._drawn.randrange(20)
        if step < 6:
            return {
                "event": "$identify",
                "properties": {
                    **own,
                    "distinct_id": user,
                    "$anon_id": device,
                    "$identified_id": user,
                },
            }
        if step < 8:
            return {
                "event": "$create_alias",
                "properties": {
                    **own,
                    "distinct_id": user,
                    "alias": f"alias {self._drawn.randrange(_IDS)}",
                },
            }
        if step < 10 and is_import:  # By /track it is refused, and a file's events are imported.
            return {"event": "$merge", "properties": {**own, "$distinct_ids": [user, other]}}
        return {
            "event": "View",
            "properties": {**own, "distinct_id": device if step < 15 else user, "place": place},
        }


def crash(kills: int, folder: Path, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Kill so many servers; return what was counted, and what did not hold."""
    drawn = random.Random(seed)
    counts: Counter[str] = Counter()
    violations: list[str] = []
    while counts["kills"] < kills:
        counts["directories"] += 1
        path = folder / f"served {counts['directories']}"
        lives = min(drawn.choice(_KILLS_A_DIRECTORY), kills - counts["kills"])
        project = Directory.open(path).projects[0]
        clients = [Client(name, project, drawn.randrange(1 << 32)) for name in range(_CLIENTS)]
        for _ in range(lives):
            counts["kills"] += 1
            counts[_killed(path, clients, drawn)] += 1
        exported = _ended(path, clients)
        found = _violations(path, project, clients, exported, counts)
        violations += [f"{path.name}: {violation}" for violation in found]
    return counts, violations


def _killed(path: Path, clients: Sequence[Client], drawn: random.Random) -> str:
    """Let a server live for a while; return what it did when it was killed."""
    seconds = drawn.uniform(0, _SECONDS)
    stage = drawn.choice(("starting", "taking", "taking", "taking", "ending"))
    if stage == "starting":
        command = [sys.executable, "-m", "idmerge", "serve", str(path), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(seconds * 2)
            process.kill()
        return stage
    with started(path) as (process, url), _loaded(url, clients):
        time.sleep(seconds)
        if stage == "ending":
            process.send_signal(signal.SIGTERM)
            time.sleep(drawn.uniform(0, 0.1))
        process.kill()
        process.wait()
    return stage


@contextmanager
def _loaded(url: str, clients: Sequence[Client], *, new: bool = True) -> Iterator[None]:
    """Let the clients send while the block runs; if not ``new``, only what waits, to its end."""
    is_over = threading.Event()
    threads = [
        threading.Thread(target=client.run, args=(url, is_over), kwargs={"new": new}) for client in clients
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        if new:
            is_over.set()
        for thread in threads:
            thread.join(_PATIENCE)


def _ended(path: Path, clients: Sequence[Client]) -> list[dict[str, Any]]:
    """Let the clients send what waits, and the server end in order; return what it exported."""
    with started(path) as (process, url):
        with _loaded(url, clients, new=False):
            pass
        exported = _export(url, Directory.open(path).projects[0])
        process.send_signal(signal.SIGTERM)
        if (code := process.wait(_PATIENCE)) != 0:
            raise AssertionError(f"{path}: the server ended with code {code}")
    return exported


def _export(url: str, project: Project) -> list[dict[str, Any]]:
    address = urlsplit(url)
    credentials = base64.b64encode(f"{project.secret}:".encode()).decode()
    with closing(HTTPConnection(address.hostname or "", address.port, timeout=_PATIENCE)) as connection:
        connection.request(
            "GET",
            "/api/2.0/export?from_date=2000-01-01&to_date=2999-12-31",
            headers={"Authorization": f"Basic {credentials}"},
        )
        return [json.loads(line) for line in connection.getresponse().read().splitlines()]


def _violations(
    path: Path,
    project: Project,
    clients: Sequence[Client],
    exported: Sequence[dict[str, Any]],
    counts: Counter[str],
) -> Iterator[str]:
    with closing(Log(path / "log")) as log:
        kept = [record for record, _ in log.read(log.beginning)]
    records = [[json.loads(line) for line in one.lines.splitlines()] for one in kept]
    acknowledged = 0
    for client in clients:
        acknowledged += sum(len(sent.insert_ids) for sent in client.acknowledged)
        yield from client.faults
        yield from _violations_of(client, records)
    counts["requests"] += sum(len(client.acknowledged) for client in clients)
    counts["events"] += acknowledged
    counts["in doubt"] += sum(sum(client.attempts.values()) - len(client.acknowledged) for client in clients)
    counts["repeated"] += sum(map(len, records)) - acknowledged
    times = Counter(event["properties"]["$insert_id"] for event in exported)
    wanted = {
        name
        for client in clients
        for sent in client.acknowledged
        if sent.path != _ENGAGE
        for name in sent.insert_ids
    }
    if times.keys() != wanted or any(count > 1 for count in times.values()):
        yield f"{len(wanted)} events were acknowledged, the export has {len(times)}, {times.total()} in all"
    events = [
        event for one, record in zip(kept, records, strict=True) if one.stream == "events" for event in record
    ]
    yield from _other_mappings(path, project, events)
    yield from _other_profiles(project, kept)


def _violations_of(client: Client, records: Sequence[Sequence[dict[str, Any]]]) -> Iterator[str]:
    """Yield what the log lacks of a client's requests, or has too often, or in another order."""
    places: dict[tuple[str, ...], list[int]] = {}
    for place, record in enumerate(records):
        insert_ids = tuple(item.get("properties", item)["$insert_id"] for item in record)
        if insert_ids[0].startswith(f"{client.name}-"):
            places.setdefault(insert_ids, []).append(place)
    latest = -1
    for sent in client.acknowledged:
        found = places.pop(sent.insert_ids, [])
        if not 1 <= len(found) <= client.attempts[sent.number]:
            times = client.attempts[sent.number]
            yield f"client {client.name}, request {sent.number}: sent {times} times, and there {len(found)}"
            continue
        if found[0] < latest:
            yield f"client {client.name}, request {sent.number}: there before an earlier one"
        latest = found[-1]
    if places:
        yield f"client {client.name}: {len(places)} records are of no request"


def _other_mappings(path: Path, project: Project, events: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield whose mapping is another one than the journal's."""
    with DurableResolver.open(project.journal, read_only=True) as resolver:
        found, position = resolver.mapping().to_pydict(), resolver.position
    judge = reference.Resolver(project.policy)
    judge.apply_events(events)
    if judge.mapping() != found or judge.position != position:
        yield f"the journal is not what the reference says of the {len(events)} events in the log"
    lines, table = path.with_suffix(".ndjson"), path.with_suffix(".parquet")
    lines.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    command = [sys.executable, "-m", "idmerge", "resolve", str(lines), "-o", str(table)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield f"idmerge resolve ended with code {done.returncode}: {done.stderr}"
    elif pq.read_table(table).select(list(found)).to_pydict() != found:
        yield "the journal is not what idmerge resolve says of the events in the log"


def _other_profiles(project: Project, records: Sequence[Record]) -> Iterator[str]:
    """Yield whether the profiles are not what the log makes of them in memory."""
    judge = Resolver(project.policy)
    made = Profiles(judge)
    for record in records:
        if record.stream == "events":
            judge.apply_body(record.lines, "application/x-ndjson", record.source)
        else:
            made.update_many(record.lines.splitlines())
    with DurableResolver.open(project.journal, read_only=True) as resolver:
        found = profiles_of(project, resolver)
        stored = [
            {own: (one.get(own), one.hidden(own)) for own in judge.mapping().to_pydict()["canonical_id"]}
            for one in (found, made)
        ]
    if stored[0] != stored[1] or len(found) != len(made):
        yield f"the profiles are not what the {len(records)} records in the log make"


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    chosen = campaign_options("server_crashes", __doc__, "kills", KILLS).parse_args(arguments)
    return run_campaign(lambda folder: crash(chosen.kills, folder, chosen.seed), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
