"""The page of a person with 500 IDs and 100,000 events, among those of others.

    python -m benches.reports.inspector [OTHERS]

A server's log takes the events (400,000 of others) in batches and seals them as it would by itself;
the person's are spread among the others'. The inspector answers in this process: the newest events,
the oldest ones, and those of a day. The answers are looked at: the number of events, and which are
on a page. Exits with 1 if the processor's time of a page, which one thread takes, is beyond `AIM`
in the median.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
import tempfile
from time import perf_counter, thread_time
from typing import TYPE_CHECKING
from uuid import UUID

from idmerge.server.http.requests import Request
from idmerge.server.inspector.markup import url
from idmerge.server.inspector.routing import Inspector
from idmerge.server.inspector.served import inspector_of
from idmerge.server.inspector.sessions import Sessions
from idmerge.server.log.records import Record
from idmerge.server.server import Server
from idmerge.server.store.sealing import SEAL_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

IDS, OWN, OTHERS = 500, 100_000, 400_000
BATCH = 2000
ROUNDS = 11
AIM = 200.0
"""Milliseconds that a page may take of a processor."""
_START = 1_790_000_000
_PROPERTIES = (
    '"token":"t","$insert_id":"%s","$browser":"Chrome","$os":"Linux","plan":"pro","price":%d.5,'
    '"$current_url":"https://shop.example/item/%d","$screen_height":1080,"$screen_width":1920,"n":%d'
)


def identifiers(drawn: random.Random, count: int) -> list[str]:
    return [str(UUID(int=drawn.getrandbits(128), version=4)) for _ in range(count)]


def records(own: list[str], others: int, project: str) -> Iterator[Record]:
    """Yield the links of the person, and then events in the order of time, the person's among them."""
    drawn = random.Random(2)
    strangers = identifiers(drawn, others // 20)
    share = OWN / (OWN + others)
    merges = [
        f'{{"event":"$merge","properties":{{"$distinct_ids":["{own[0]}","{one}"]}}}}\n' for one in own[1:]
    ]
    yield Record(project, "events", "import", _START * 1000, "".join(merges).encode())
    lines: list[str] = []
    number = 0
    for place in range(OWN + others):
        is_own = number < OWN and (drawn.random() < share or OWN - number >= OWN + others - place)
        sender = drawn.choice(own) if is_own else drawn.choice(strangers)
        insert_id = f"{drawn.getrandbits(128):032x}"
        properties = _PROPERTIES % (insert_id, place % 90, place % 900, number if is_own else -1)
        stated = f'"distinct_id":"{sender}","time":{_START + place},{properties}'
        lines.append(f'{{"event":"View","properties":{{{stated}}}}}\n')
        number += is_own
        if len(lines) == BATCH:
            yield Record(project, "events", "import", _START * 1000, "".join(lines).encode())
            lines = []
    if lines:
        yield Record(project, "events", "import", _START * 1000, "".join(lines).encode())


def filled(server: Server, own: list[str], others: int) -> None:
    begin, sealed = perf_counter(), 0
    for record in records(own, others, server.projects[0].name):
        server.log.append_now([record])
        if server.log.end - sealed > SEAL_BYTES:
            server.pipeline.drain(timeout=600)
            server.store.seal()
            sealed = server.log.end
    server.pipeline.drain(timeout=600)
    print(
        f"{OWN + others:,} events in {len(server.store.files('main').all)} files and "
        f"{server.log.end - sealed:,} bytes of log, after {perf_counter() - begin:.0f} s"
    )


class Visitor:
    """Someone who has signed in."""

    def __init__(self, server: Server) -> None:
        sessions = Sessions()
        inspector = Inspector(inspector_of(server).doors, sessions)
        key = sessions.begin("main", may_change=True)
        form = f"secret={server.projects[0].secret}".encode()
        answer = inspector.answer(Request("POST", "/inspect/sign-in", b"", {}, form))
        assert key
        self._cookie = dict(answer.headers)["Set-Cookie"].split(";")[0].encode()
        self._inspector = inspector

    def html(self, target: str) -> str:
        path, _, query = target.partition("?")
        headers = {b"cookie": self._cookie, b"accept": b"text/html"}
        answer = self._inspector.answer(Request("GET", path, query.encode(), headers))
        assert isinstance(answer.body, bytes)
        assert answer.status == 200, answer.body
        return answer.body.decode()


def numbers(html: str) -> list[int]:
    return [int(one) for one in re.findall(r"<dt><bdi>n</bdi></dt><dd><bdi>(-?\d+)</bdi>", html)]


def main(others: int = OTHERS) -> int:
    own = identifiers(random.Random(1), IDS)
    with tempfile.TemporaryDirectory() as directory, Server(directory) as server:
        filled(server, own, others)
        visitor = Visitor(server)
        person = url("person", id=own[250])
        first = visitor.html(person)
        [oldest] = {
            one.replace("&amp;", "&") for one in re.findall(r'<a href="([^"#]+)[^"]*" rel="last"', first)
        }
        assert f"of {OWN:,} events" in first
        assert numbers(first) == [*range(OWN - 1, OWN - 51, -1)]
        assert numbers(visitor.html(oldest)) == [*range(49, -1, -1)]
        day = url("person", id=own[250], from_="2026-09-22", to="2026-09-22")
        slow = 0
        for label, target in (
            ("the newest events", person),
            ("the oldest ones", oldest),
            ("those of a day", day),
            ("the start page", url("")),
            ("the live page", url("live")),
        ):
            took, spent = [], []
            for _ in range(ROUNDS):
                begin, begun = perf_counter(), thread_time()
                size = len(visitor.html(target))
                took.append((perf_counter() - begin) * 1000)
                spent.append((thread_time() - begun) * 1000)
            slow += statistics.median(spent) > AIM
            print(
                f"{label:18} median {statistics.median(took):4.0f} ms, slowest {max(took):4.0f} ms, "
                f"processor's time {statistics.median(spent):4.0f} ms, {size:,} characters"
            )
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
