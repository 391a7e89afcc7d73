"""Ways in beside the engine: each against what it cannot be faster than, in pairs in one run.

    python -m benches.reports.doors [ROW …]

Rows:

- ``dicts``: `apply_events` of dicts, against a bare loop that looks up two keys of each;
- ``texts``: `apply_events` of JSON text, against ``json.loads`` of each;
- ``arrays``: a file with a JSON array, against one with the same events a line each;
- ``bodies``: `apply_body` of JSON arrays of 2,000 events, against the same file of lines;
- ``tables``: `stitch` of a table whose properties are JSON text, in memory and as Parquet, against
  a file of lines of the same events: that alone, which reads links and kinds and no event, and with
  its events read;
- ``once``: `stitch` of a file of lines into Parquet with senders as known and without duplicates,
  and into partitions, against the same without these;
- ``profiles``: `Profiles.update_many` of updates as bytes, as dicts and from a file of lines, against
  ``json.loads`` of each text, by the clock and by the processor's, since one processor does the
  work; answers are compared with those of updates applied in Python;
- ``apis``: a file of lines, each event of both a device and a user, under Simplified ID Merge against
  the same under the Original API;
- ``threads``: a file of lines, scanned alone and applied, on one thread and on two; its part that
  is done one after another, and what 16 processors would give by that;
- ``busy``: `link_many` on two threads, against one, while another process keeps a core busy;
- ``start``: ``idmerge --version`` and ``idmerge resolve`` of ten events, in seconds behind
  ``python -c pass``, by the clock and of the processor.

The two take turns; the ratio counts: its median and its range over the pairs. Answers are compared
with those of the plain parse in Python, or of the file of lines; those of ``once`` with what is
written when the file is read twice.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import zlib
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

import idmerge
from benches.support.process import compiling
from idmerge import Kind, Policy, Profiles, Report, Resolver, files, reference
from idmerge._steps import states_link, step_columns
from idmerge._threads import VARIABLE
from idmerge.events import SENT_ID, event_mapping
from idmerge.testing import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from idmerge.profiles import WhoIsWho

EVENTS = 500_000
PAIRS = 9
BODY = 2_000
LINKS = 1_000_000
UPDATES = 1_000_000
PEOPLE = 100_000
STARTS = 15
TEN = 10


def dicts() -> None:
    """Print the row of dicts, each from a ``json.loads`` of its own as a consumer has them."""
    given = [json.loads(text) for text in _texts()]

    def loop() -> None:
        for event in given:
            event["event"]
            event["properties"]

    _print_pairs("dicts", given, loop, "a loop that looks up two keys")


def texts() -> None:
    """Print the row of JSON text."""
    given = _texts()

    def loop() -> None:
        for text in given:
            json.loads(text)

    _print_pairs("texts", given, loop, "json.loads of each")


def _texts() -> list[str]:
    return [json.dumps(event) for event in events(EVENTS, seed=7)]


def _print_pairs(row: str, given: Sequence[Any], loop: Callable[[], None], bar: str) -> None:
    plain_seconds, expected = _timed(lambda: _applied_plainly(given))
    ours, bare = [], []
    for _ in range(PAIRS):
        bare.append(_timed(loop)[0])
        seconds, answer = _timed(lambda: _applied(given))
        ours.append(seconds)
        if _shown(*answer) != _shown(*expected):
            sys.exit("the answers differ")
    ratios = [of_bar / own for of_bar, own in zip(bare, ours, strict=True)]
    print(
        f"{row}: {EVENTS / statistics.median(ours) / 1e6:.1f} M events/s, {_spread(ratios)} of {bar}; "
        f"the plain parse {EVENTS / plain_seconds / 1e6:.2f} M events/s"
    )


def _applied(given: Iterable[Any]) -> tuple[Resolver, Report]:
    resolver = Resolver()
    return resolver, resolver.apply_events(given)


def _applied_plainly(given: Iterable[Any]) -> tuple[Resolver, Report]:
    resolver = Resolver()
    codes, first, second = step_columns(map(event_mapping, given))
    rows = [row for row, code in enumerate(codes) if states_link(code)]
    return resolver, Report(resolver._take_steps(codes, first, second, 0), rows)


def _shown(resolver: Resolver, report: Report) -> tuple[Any, ...]:
    return report, resolver.mapping().to_pydict(), resolver.stats()


def arrays() -> None:
    """Print the row of files with an array."""
    texts = _texts()
    with tempfile.TemporaryDirectory() as folder:
        array, lines = Path(folder, "events.json"), Path(folder, "events.ndjson")
        array.write_text(f"[{','.join(texts)}]", "utf-8")
        lines.write_text("\n".join(texts), "utf-8")
        _print_ratio("arrays", partial(_read, array), partial(_read, lines), "a file of lines")


def bodies() -> None:
    """Print the row of bodies of requests."""
    texts = _texts()
    given = [f"[{','.join(texts[i : i + BODY])}]".encode() for i in range(0, len(texts), BODY)]
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "events.ndjson")
        lines.write_text("\n".join(texts), "utf-8")
        _print_ratio("bodies", partial(_take_bodies, given), partial(_read, lines), "a file of lines")


def apis() -> None:
    """Print the row of Simplified ID Merge, where each event has both a device and a user."""
    given = [_with_both(event) for event in events(EVENTS, seed=7)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events.ndjson")
        path.write_text("\n".join(map(json.dumps, given)), "utf-8")
        policies = [Policy.simplified(), Policy()]
        for policy in policies:
            expected = reference.Resolver(policy)
            expected.apply_events(given)
            if _read(path, policy).mapping().to_pydict() != expected.mapping():
                sys.exit("the answers differ")
        simplified, original = (partial(_read, path, policy) for policy in policies)
        _print_ratio(
            "apis", simplified, original, "the same events under the Original API", is_compared=False
        )


def _with_both(event: dict[str, Any]) -> dict[str, Any]:
    """Return an ordinary event of a device and its user, made of any other."""
    own = str(event["properties"].get("distinct_id"))
    number = zlib.crc32(own.encode())
    ids = {"distinct_id": f"user-{number % 50_000}", "$device_id": own, "$user_id": f"user-{number % 50_000}"}
    return {"event": "View", "properties": {**event["properties"], **ids}}


def threads() -> None:
    """Print the rows of threads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events.ndjson")
        path.write_text("\n".join(_texts()), "utf-8")
        size = path.stat().st_size
        kinds = {"scanned": partial(_scanned, path), "applied": partial(_read, path)}
        seconds: dict[tuple[str, int], list[float]] = {}
        shares = []
        for _ in range(PAIRS):
            for name, work in kinds.items():
                answers = []
                for count in (1, 2):
                    with _threads(count):
                        spent, answer = _timed(work)
                    seconds.setdefault((name, count), []).append(spent)
                    answers.append(answer.mapping().to_pydict() if isinstance(answer, Resolver) else answer)
                if answers[0] != answers[1]:
                    sys.exit("the answers differ")
            with _threads(1):
                whole = _used_by(partial(_read, path))
                shares.append(_used_by(partial(_applied_pieces, [*files.scan(path)])) / whole)
    for name in kinds:
        ratios = [one / two for one, two in zip(seconds[name, 1], seconds[name, 2], strict=True)]
        rate = size / statistics.median(seconds[name, 1]) / 1e6
        print(f"threads, {name}: {rate:,.0f} MB a second on one, two are {_spread(ratios)} times as fast")
    speed = _amdahl(statistics.median(shares), 16)
    print(f"threads: {_spread(shares)} of the processor's time is applying; 16 processors: {speed:.1f}")


def _scanned(path: Path) -> int:
    return sum(map(len, files.scan(path)))


def _applied_pieces(pieces: Iterable[files.Piece]) -> Resolver:
    resolver = Resolver()
    for piece in pieces:
        piece.apply_to(resolver)
    return resolver


def _amdahl(serial: float, processors: int) -> float:
    """Return how many times as fast so many processors are if a share is serial (Amdahl 1967)."""
    return 1 / (serial + (1 - serial) / processors)


def _used_by(work: Callable[[], Any]) -> float:
    """Return the seconds of the processor that ``work`` takes, whatever else the machine does."""
    gc.collect()
    before = process_time()
    work()
    return process_time() - before


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def _read(path: Path, policy: Policy | None = None) -> Resolver:
    resolver = Resolver(policy)
    for piece in files.scan(path, api=resolver.policy.api):
        if isinstance(piece, files.BadLine):
            sys.exit(str(piece))
        piece.apply_to(resolver)
    return resolver


def _take_bodies(given: Iterable[bytes]) -> Resolver:
    resolver = Resolver()
    for body in given:
        resolver.apply_body(body)
    return resolver


def tables() -> None:
    """Print the rows of tables whose properties are JSON text."""
    given = [*events(EVENTS, seed=7)]
    names, texts = [event["event"] for event in given], [json.dumps(event["properties"]) for event in given]
    table = pa.table({"event": names, "properties": texts})
    with tempfile.TemporaryDirectory() as folder:
        file, lines = Path(folder, "events.parquet"), Path(folder, "events.ndjson")
        parquet.write_table(table, file)
        lines.write_text("".join(f"{json.dumps(event)}\n" for event in given), "utf-8")
        del given, names, texts
        learned, read = partial(_learned, lines), partial(_stitched, lines)
        in_memory, stored = partial(_stitched, table), partial(_stitched, file)
        _print_ratio("tables", in_memory, learned, "a file of lines alone")
        _print_ratio("tables", in_memory, read, "a file of lines and its events")
        _print_ratio("Parquet", stored, read, "a file of lines and its events")


def _learned(events: Any, **wanted: Any) -> Any:
    return idmerge.stitch(events, on_report=lambda _report: None, **wanted)


def _stitched(events: Any) -> pa.Table:
    return pa.table(_learned(events))


def once() -> None:
    """Print the rows of Parquet with what is said of each event in its turn."""
    wishes: dict[str, dict[str, Any]] = {
        "once, as known and deduped": {"as_known": True, "dedupe": True},
        "once, as known": {"as_known": True},
        "once, deduped": {"dedupe": True},
        "once, by day": {"partition_by": "date"},
        "once, by event": {"partition_by": "event"},
    }
    with tempfile.TemporaryDirectory() as folder:
        lines, again = Path(folder, "events.ndjson"), Path(folder, "again")
        lines.write_text("\n".join(_texts()), "utf-8")
        for row, wanted in wishes.items():
            output = Path(folder, "out")
            _written(lines, output, **wanted)
            by = wanted.get("partition_by")
            twice = _learned(lines, **{name: wish for name, wish in wanted.items() if name != "partition_by"})
            twice.write(again, partition_by=by)
            if _tables_in(output) != _tables_in(again):
                sys.exit("the answers differ")
            ours, plain = partial(_written, lines, output, **wanted), partial(_written, lines, again)
            _print_ratio(row, ours, plain, "the same without it", is_compared=False)


def _written(lines: Path, output: Path, **wanted: Any) -> None:
    idmerge.stitch(lines, output=output, on_report=lambda _report: None, **wanted)


def _tables_in(directory: Path) -> dict[Path, pa.Table]:
    """Return the events in each directory of partitions, or in a directory without any."""
    files: dict[Path, list[pa.Table]] = {}
    for file in sorted(directory.rglob("*.parquet")):
        files.setdefault(file.parent.relative_to(directory), []).append(parquet.ParquetFile(file).read())
    return {name: pa.concat_tables(tables) for name, tables in files.items()}


def profiles() -> None:
    """Print the rows of profile updates."""
    texts = [
        json.dumps(
            {
                "$token": "0123456789abcdef",
                "$distinct_id": f"user-{row * 7_919 % PEOPLE}",
                "$set": {"plan": "pro", "logins": row % 50, "city": "Oslo"},
            }
        ).encode()
        for row in range(UPDATES)
    ]
    dicts = [json.loads(text) for text in texts]
    plain_seconds, plain_used, expected = _clocked(partial(_updated, texts, reference.Resolver()))

    def loop() -> None:
        for text in texts:
            json.loads(text)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "updates.ndjson")
        file.write_bytes(b"\n".join(texts))
        for way, given in {"bytes": texts, "dicts": dicts, "a file": file}.items():
            ours, bars = [], []
            for _ in range(PAIRS):
                bars.append(_clocked(loop))
                ours.append(_clocked(partial(_updated, given, Resolver())))
                if list(ours[-1][2].items()) != list(expected.items()):
                    sys.exit("the answers differ")
            for clock, name in enumerate(["by the clock", "by the processor's"]):
                rate = UPDATES / statistics.median(own[clock] for own in ours) / 1e6
                ratios = [bar[clock] / own[clock] for bar, own in zip(bars, ours, strict=True)]
                print(f"profiles, {way}, {name}: {rate:.2f} M/s, {_spread(ratios)} of json.loads of each")
    rates = [UPDATES / seconds / 1e6 for seconds in (plain_seconds, plain_used)]
    print(f"profiles, in Python: {rates[0]:.3f} M/s by the clock, {rates[1]:.3f} by the processor's")


def _clocked(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return the seconds by the clock and of all threads on a processor, and the answer."""
    gc.collect()
    used, started = process_time(), perf_counter()
    answer = work()
    return perf_counter() - started, process_time() - used, answer


def _updated(given: Any, resolver: WhoIsWho) -> dict[str, Any]:
    """Return the profiles after all updates, in their order."""
    people = Profiles(resolver)
    if not isinstance(given, Path):
        people.update_many(given)
    else:
        for piece in files.read_updates(given):
            if isinstance(piece, files.BadLine):
                sys.exit(str(piece))
            people.update_many(piece.events)
    return people._stored


def busy() -> None:
    """Print the row of links on two threads."""
    device = "{:08x}-9a1f-4c39-8f8e-000000000000".format
    first = pa.array([device(row * 2_654_435_761 % 2**32) for row in range(LINKS)])
    second = pa.array([f"user-{row * 40_503 % (LINKS // 2)}" for row in range(LINKS)])

    def linked(threads: int) -> Resolver:
        resolver = Resolver(threads=threads)
        resolver.link_many(Kind.IDENTIFY, first, second)
        return resolver

    with _kept_busy():
        _print_ratio("busy", partial(linked, 2), partial(linked, 1), "one thread", LINKS)


@contextmanager
def _kept_busy() -> Iterator[None]:
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        hog.kill()
        hog.wait()


def _answer_of(given: Any) -> Any:
    """Return what a resolver has come to know, or the IDs of stitched events, to be compared."""
    if isinstance(given, Resolver):
        return given.mapping().to_pydict(), given.stats()
    return pa.table(given).select(["event", "distinct_id", SENT_ID]).to_pydict()


def _print_ratio(  # noqa: PLR0913 - what is timed, against what, and what is said of it
    row: str,
    ours: Callable[[], Any],
    other: Callable[[], Any],
    bar: str,
    units: int = EVENTS,
    *,
    is_compared: bool = True,
) -> None:
    times: list[tuple[float, float]] = []
    for pair in range(PAIRS):
        first, second = (ours, other) if pair % 2 else (other, ours)
        (first_seconds, answer), (second_seconds, expected) = _timed(first), _timed(second)
        if is_compared and _answer_of(answer) != _answer_of(expected):
            sys.exit("the answers differ")
        times.append((first_seconds, second_seconds) if pair % 2 else (second_seconds, first_seconds))
    own = statistics.median(seconds for seconds, _ in times)
    ratios = [of_other / of_ours for of_ours, of_other in times]
    print(f"{row}: {units / own / 1e6:.1f} M a second, {_spread(ratios)} of {bar}")


def start() -> None:
    """Print the row of the command line's start."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ten.ndjson")
        path.write_text("".join(f"{json.dumps(event)}\n" for event in events(TEN, seed=7)), "utf-8")
        commands = {"--version": ["--version"], "resolve of ten events": ["resolve", str(path)]}
        clock: dict[str, list[float]] = {name: [] for name in commands}
        processor: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(STARTS + 1):
            seconds_of_nothing, used_by_nothing, _ = _started("-c", "pass")
            for name, arguments in commands.items():
                seconds, used, answer = _started("-m", "idmerge", *arguments)
                if not answer:
                    sys.exit(f"{name} printed nothing")
                if turn:  # The first run compiles the modules.
                    clock[name].append(seconds - seconds_of_nothing)
                    processor[name].append(used - used_by_nothing)
    for name in commands:
        print(f"start, {name}: {_spread(clock[name])} s, {_spread(processor[name])} s of the processor")


def _started(*arguments: str) -> tuple[float, float, bytes]:
    """Run Python and return the seconds, those of the processor, and what it printed."""
    before = _used()
    seconds, run = _timed(
        lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=True, env=compiling())
    )
    return seconds, _used() - before, run.stdout


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    started = perf_counter()
    answer = work()
    return perf_counter() - started, answer


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


ROWS = {
    "dicts": dicts,
    "texts": texts,
    "arrays": arrays,
    "bodies": bodies,
    "tables": tables,
    "once": once,
    "profiles": profiles,
    "apis": apis,
    "threads": threads,
    "busy": busy,
    "start": start,
}


def main(arguments: Sequence[str]) -> None:
    """Print the machine and the rows."""
    print(f"idmerge {idmerge.__version__}, Python {platform.python_version()}, {platform.platform()}")
    for row in arguments or ROWS:
        ROWS[row]()


if __name__ == "__main__":
    main(sys.argv[1:])
