"""The activity feed of one person among many events, and what sealing them takes.

    python -m benches.reports.feed [EVENTS [DIRECTORY]]

A server's log takes the events (5 million) in batches, seals and merges them as it would by itself,
and answers for people of 1, 4 and 100 IDs: those whose IDs were linked before their events were
sealed, and those whose links came last, so that their rows lie apart. Each answer is compared with
that of a scan of all files. A DIRECTORY keeps the events for another run.
"""

from __future__ import annotations

import itertools
import random
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from idmerge.server.reading.feed import FEED_COLUMNS, MOST_EVENTS, FeedQuery, feed
from idmerge.server.reading.shown import shown
from idmerge.server.server import Server
from idmerge.server.store.sealing import SEAL_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from idmerge.server.log.records import Record

EVENTS = 5_000_000
BATCH = 2000
SIZES = (1, 4, 100)
"""IDs of a person."""
ASKED = 10
"""People of each kind who are asked for."""
AIM = 100.0
"""Milliseconds that a feed may take."""
_START = 1_790_000_000
_PROPERTIES = (
    '"token":"t","$browser":"Chrome","$os":"Linux","$current_url":"https://shop.example/item/%d",'
    '"$screen_height":1080,"$screen_width":1920,"plan":"pro","price":%d.5'
)


def people(count: int) -> dict[tuple[int, bool], list[list[str]]]:
    """Return the IDs of people by their number, and by whether they are linked late."""
    drawn = random.Random(1)
    kinds = [(size, is_late) for size in SIZES for is_late in (False, True)]
    shares = {1: 0.7, 4: 0.25, 100: 0.05}
    return {
        (size, is_late): [
            [str(UUID(int=drawn.getrandbits(128), version=4)) for _ in range(size)]
            for _ in range(max(1, round(count * shares[size] / 2 / size)))
        ]
        for size, is_late in kinds
    }


def records(events: int, ids: Mapping[tuple[int, bool], list[list[str]]], project: str) -> Iterator[Record]:
    """Yield the events: early links, events of all IDs in order of time, and late links."""
    from idmerge.server.log.records import Record

    drawn = random.Random(2)
    flat = [one for persons in ids.values() for person in persons for one in person]

    def record(lines: list[str]) -> Record:
        return Record(project, "events", "import", _START * 1000, "".join(lines).encode())

    def links(*, is_late: bool) -> Iterator[Record]:
        merges = [
            '{"event":"$merge","properties":{"$distinct_ids":["%s","%s"]}}\n' % (person[0], other)  # noqa: UP031
            for size in SIZES
            for person in ids[size, is_late]
            for other in person[1:]
        ]
        for start in range(0, len(merges), BATCH):
            yield record(merges[start : start + BATCH])

    yield from links(is_late=False)
    for start in range(0, events, BATCH):
        lines = []
        for number in range(start, min(start + BATCH, events)):
            own = _PROPERTIES % (number % 5000, number % 900)
            sender = flat[int(drawn.random() * len(flat))]
            lines.append(
                f'{{"event":"View","properties":{{"time":{_START + number // 50},"distinct_id":"{sender}",'
                f'"$insert_id":"i{number}",{own}}}}}\n'
            )
        yield record(lines)
    yield from links(is_late=True)


def filled(server: Server, events: int, ids: Mapping[tuple[int, bool], list[list[str]]]) -> dict[str, float]:
    """Fill a server with events, and return what that took."""
    seconds = {"seal": 0.0, "merge": 0.0}
    began = perf_counter()
    for one in records(events, ids, server.projects[0].name):
        server.log.append_now([one])
        if server.log.end - server.store.place >= 8 * SEAL_BYTES:
            server.pipeline.drain(60)
            seconds["seal"] += _timed(server.store.seal)
    server.pipeline.drain(60)
    seconds["seal"] += _timed(server.store.seal)
    seconds["merge"] = _timed(server.store.merge_due)
    return {"all": perf_counter() - began, **seconds}


def _timed(work: Any) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def scanned(server: Server, persons: list[list[str]]) -> list[list[dict[str, Any]]]:
    """Return the feeds of people by a scan of all events."""
    snapshot = server.events(server.projects[0].name)
    wanted = pa.array([one for person in persons for one in person])
    sealed = (table for file in snapshot.files for table in file.tables(FEED_COLUMNS))
    tables = itertools.chain(sealed, (table.select(FEED_COLUMNS) for table in snapshot.tail()))
    found = (table.filter(pc.is_in(table.column("distinct_id"), wanted)) for table in tables)
    whole = pa.concat_tables([table for table in found if len(table)])
    resolver = server.resolver(server.projects[0].name)
    return [
        list(shown(whole.filter(pc.is_in(whole.column("distinct_id"), pa.array(person))), resolver))
        for person in persons
    ]


def in_order(events: list[dict[str, Any]]) -> list[str]:
    """Return events in an order of their own."""
    return sorted(map(str, events))


def measured(server: Server, ids: Mapping[tuple[int, bool], list[list[str]]]) -> dict[tuple[int, bool], Any]:
    """Return the milliseconds of feeds of each kind of people, whose answers are checked."""
    project = server.projects[0].name
    times: dict[tuple[int, bool], Any] = {}
    asked, feeds = [], []
    for kind, persons in ids.items():
        taken, count = [], 0
        for person in random.Random(3).sample(persons, min(ASKED, len(persons))):
            began = perf_counter()
            query = FeedQuery([person[-1]], None, MOST_EVENTS)
            found = feed(server.events(project), server.resolver(project), None, query)
            taken.append(1000 * (perf_counter() - began))
            count = count or len(found)
            asked.append(person)
            feeds.append(found)
        times[kind] = (statistics.median(taken), max(taken), count)
    for person, found, expected in zip(asked, feeds, scanned(server, asked), strict=True):
        if in_order(found) != in_order(expected):
            raise AssertionError(f"the feed of {person[-1]} is not what a scan finds")
    return times


def report(events: int, directory: Path) -> dict[str, Any]:
    """Fill a directory, if it is new, ask it, and print the figures."""
    is_new = not directory.exists()
    ids = people(max(200, events // 13))
    with Server(directory) as server:
        took = filled(server, events, ids) if is_new else None
        server.store.merge_due()
        files = server.store.files(server.projects[0].name).all
        size = sum(file.path.stat().st_size for file in files)
        rows = sum(file.rows for file in files)
        print(f"{rows:,} events in {len(files)} files of {size / 1e6:,.0f} MB")
        if took is not None:
            parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items())
            print(f"written, sealed and merged: {parts}; sealing {rows / took['seal'] / 1e6:.2f} M events/s")
        times = measured(server, ids)
    for (count, is_late), (median, most, found) in times.items():
        links = "linked late " if is_late else "linked early"
        print(f"{count:>4} IDs, {links}: {median:7.1f} ms median, {most:7.1f} ms at most, {found:,} events")
    return {"rows": rows, "files": len(files), "times": times}


def main(arguments: list[str]) -> None:
    """Print the figures."""
    events = int(float(arguments[0])) if arguments else EVENTS
    if len(arguments) > 1:
        report(events, Path(arguments[1]))
        return
    with tempfile.TemporaryDirectory() as directory:
        report(events, Path(directory) / "served")


if __name__ == "__main__":
    main(sys.argv[1:])
