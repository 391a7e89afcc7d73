"""Rows of events: dicts, texts, arrays, bodies, APIs, tables, and Parquet in one pass."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

import idmerge
from benches.reports.doors import turns
from benches.reports.doors.row import Row, Spread
from benches.reports.doors.turns import compared, read, texts_of_events, timed
from idmerge import Policy, Report, Resolver, reference
from idmerge._steps import states_link, step_columns
from idmerge.events import event_mapping
from idmerge.testing import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

BODY = 2_000
LINES = "a file of lines"


def dicts() -> Iterator[Row]:
    """Yield the row of dicts, each from a ``json.loads`` of its own as a consumer has them."""
    given = [json.loads(text) for text in texts_of_events()]

    def loop() -> None:
        for event in given:
            event["event"]
            event["properties"]

    way = "`apply_events` of dicts, each from its own `json.loads`"
    yield _beside_a_loop(Row("dicts", way, against="a loop that looks up two keys"), given, loop)


def texts() -> Iterator[Row]:
    """Yield the row of JSON text."""
    given = texts_of_events()

    def loop() -> None:
        for text in given:
            json.loads(text)

    row = Row("texts", "`apply_events` of JSON text", against="json.loads of each")
    yield _beside_a_loop(row, given, loop)


def _beside_a_loop(row: Row, given: Sequence[Any], loop: Callable[[], None]) -> Row:
    """Return the row with its figures, and those of the plain parse in Python."""
    plain_seconds, expected = timed(lambda: _applied_plainly(given))
    ours, bare = [], []
    for _ in range(turns.PAIRS):
        bare.append(timed(loop)[0])
        seconds, answer = timed(lambda: _applied(given))
        ours.append(seconds)
        if _shown(*answer) != _shown(*expected):
            sys.exit("the answers differ")
    return replace(
        row,
        rate=turns.EVENTS / statistics.median(ours) / 1e6,
        unit="M events",
        ratio=Spread.of(of_bar / own for of_bar, own in zip(bare, ours, strict=True)),
        more={"M events a second by the plain parse in Python": turns.EVENTS / plain_seconds / 1e6},
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


def arrays() -> Iterator[Row]:
    """Yield the row of files with an array."""
    texts = texts_of_events()
    with tempfile.TemporaryDirectory() as folder:
        array, lines = Path(folder, "events.json"), Path(folder, "events.ndjson")
        array.write_text(f"[{','.join(texts)}]", "utf-8")
        lines.write_text("\n".join(texts), "utf-8")
        row = Row("arrays", "a file with a JSON array", against=LINES)
        yield _beside(row, partial(read, array), partial(read, lines))


def bodies() -> Iterator[Row]:
    """Yield the row of bodies of requests."""
    texts = texts_of_events()
    given = [f"[{','.join(texts[i : i + BODY])}]".encode() for i in range(0, len(texts), BODY)]
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "events.ndjson")
        lines.write_text("\n".join(texts), "utf-8")
        row = Row("bodies", f"`apply_body` of arrays of {BODY:,} events", against=LINES)
        yield _beside(row, partial(_take_bodies, given), partial(read, lines))


def _take_bodies(given: Iterable[bytes]) -> Resolver:
    resolver = Resolver()
    for body in given:
        resolver.apply_body(body)
    return resolver


def _beside(row: Row, ours: Callable[[], Any], other: Callable[[], Any], *, is_compared: bool = True) -> Row:
    """Return the row with the figures of both, in turns."""
    seconds, ratio = compared(ours, other, is_compared=is_compared)
    return replace(row, rate=turns.EVENTS / seconds / 1e6, unit="M events", ratio=ratio)


def apis() -> Iterator[Row]:
    """Yield the row of Simplified ID Merge, where each event has both a device and a user."""
    given = [_with_both(event) for event in events(turns.EVENTS, seed=7)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events.ndjson")
        path.write_text("\n".join(map(json.dumps, given)), "utf-8")
        policies = [Policy.simplified(), Policy()]
        for policy in policies:
            expected = reference.Resolver(policy)
            expected.apply_events(given)
            if read(path, policy).mapping().to_pydict() != expected.mapping():
                sys.exit("the answers differ")
        simplified, original = (partial(read, path, policy) for policy in policies)
        way = "a file of lines under Simplified ID Merge, each event of a device and a user"
        row = Row("apis", way, against="the same events under the Original API")
        yield _beside(row, simplified, original, is_compared=False)


def _with_both(event: dict[str, Any]) -> dict[str, Any]:
    """Return an ordinary event of a device and its user, made of any other."""
    own = str(event["properties"].get("distinct_id"))
    number = zlib.crc32(own.encode())
    ids = {"distinct_id": f"user-{number % 50_000}", "$device_id": own, "$user_id": f"user-{number % 50_000}"}
    return {"event": "View", "properties": {**event["properties"], **ids}}


def tables() -> Iterator[Row]:
    """Yield the rows of tables whose properties are JSON text."""
    given = [*events(turns.EVENTS, seed=7)]
    names, texts = [event["event"] for event in given], [json.dumps(event["properties"]) for event in given]
    table = pa.table({"event": names, "properties": texts})
    with tempfile.TemporaryDirectory() as folder:
        file, lines = Path(folder, "events.parquet"), Path(folder, "events.ndjson")
        parquet.write_table(table, file)
        lines.write_text("".join(f"{json.dumps(event)}\n" for event in given), "utf-8")
        del given, names, texts
        learned, stitched = partial(_learned, lines), partial(_stitched, lines)
        in_memory, stored = partial(_stitched, table), partial(_stitched, file)
        in_memory_row = Row("tables", "`stitch` of a table in memory, properties as JSON text")
        stored_row = Row("Parquet", "`stitch` of a file of Parquet, properties as JSON text")
        with_events = f"{LINES} and its events"
        yield _beside(replace(in_memory_row, against=f"{LINES} alone"), in_memory, learned)
        yield _beside(replace(in_memory_row, against=with_events), in_memory, stitched)
        yield _beside(replace(stored_row, against=with_events), stored, stitched)


def _learned(events: Any, **wanted: Any) -> Any:
    return idmerge.stitch(events, on_report=lambda _report: None, **wanted)


def _stitched(events: Any) -> pa.Table:
    return pa.table(_learned(events))


def once() -> Iterator[Row]:
    """Yield the rows of Parquet with what is said of each event in its turn."""
    wishes: dict[str, dict[str, Any]] = {
        "as known and deduped": {"as_known": True, "dedupe": True},
        "as known": {"as_known": True},
        "deduped": {"dedupe": True},
        "by day": {"partition_by": "date"},
        "by event": {"partition_by": "event"},
    }
    with tempfile.TemporaryDirectory() as folder:
        lines, again = Path(folder, "events.ndjson"), Path(folder, "again")
        lines.write_text("\n".join(texts_of_events()), "utf-8")
        for wish, wanted in wishes.items():
            output = Path(folder, "out")
            _written(lines, output, **wanted)
            by = wanted.get("partition_by")
            twice = _learned(
                lines, **{name: value for name, value in wanted.items() if name != "partition_by"}
            )
            twice.write(again, partition_by=by)
            if _tables_in(output) != _tables_in(again):
                sys.exit("the answers differ")
            ours, plain = partial(_written, lines, output, **wanted), partial(_written, lines, again)
            row = Row(
                f"once, {wish}", f"`stitch` of lines into Parquet, {wish}", against="the same without it"
            )
            yield _beside(row, ours, plain, is_compared=False)


def _written(lines: Path, output: Path, **wanted: Any) -> None:
    idmerge.stitch(lines, output=output, on_report=lambda _report: None, **wanted)


def _tables_in(directory: Path) -> dict[Path, pa.Table]:
    """Return the events in each directory of partitions, or in a directory without any."""
    files: dict[Path, list[pa.Table]] = {}
    for file in sorted(directory.rglob("*.parquet")):
        files.setdefault(file.parent.relative_to(directory), []).append(parquet.ParquetFile(file).read())
    return {name: pa.concat_tables(tables) for name, tables in files.items()}
