"""The events of a project as lines, in the order of the log, while a server may run.

The sealed files and the log are read, and nothing is changed. A line is an event of the raw shape,
as it was sent; one without a time has that of its receipt.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from idmerge._json_decoding import decoded_or_none
from idmerge._naming import named
from idmerge.errors import LogError
from idmerge.events import VERDICTS
from idmerge.outcome import Outcome
from idmerge.server.log.following import records_from
from idmerge.server.store.columns import columns_of, with_outcomes
from idmerge.server.store.files import EventFiles
from idmerge.server.store.outcomes import outcomes_in
from idmerge.server.store.tail import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from idmerge.server.directory import Project
    from idmerge.server.log.records import Record
    from idmerge.server.store.files import SealedFile
    from idmerge.server.store.outcomes import Codes

ATTEMPTS = 5
"""Attempts to see the files between two changes of them."""
_ORDER: Any = [("record", "ascending"), ("place", "ascending")]


def lines_of(log: Path, project: Project, *, judged: bool = True) -> Iterator[bytes]:
    r"""Yield the events of a project as lines, some at a time.

    Args:
        log: The path of the server's log.
        project: The project.
        judged: Whether events whose links were refused have the reason in their properties. Else
            those alone have it that came by a route that does not allow them: lines have no route.

    Raises:
        LogError: Files are damaged or missing.
        OSError: They cannot be read.

    Examples:
        >>> from idmerge.server.log.records import Record
        >>> from idmerge.server.server import Server
        >>> from idmerge.server.store.following import lines_of
        >>> line = b'{"event": "Buy", "properties": {"distinct_id": "ana", "time": 1700000000}}\n'
        >>> with Server("here") as server:
        ...     record = Record("main", "events", "track", 1_700_000_000_000, line)
        ...     _ = server.log.append_now([record])
        ...     list(lines_of(server.directory.log, server.projects[0]))
        [b'{"event":"Buy","properties":{"distinct_id": "ana", "time": 1700000000}}\n']
    """
    files, tail, outcomes = _at_once(log, project)
    for file in files.all:
        yield _lines(file.whole(), judged=judged)
    for table in _tables(project, tail, outcomes):
        yield _lines(table, judged=judged)


class Followed(NamedTuple):
    """The events of a project at a moment."""

    files: Sequence[SealedFile]
    """The sealed files."""
    waiting: Sequence[pa.Table]
    """The events that are in no file, in the order of the log."""

    def tail(self) -> Iterator[pa.Table]:
        """Yield the events that are in no file."""
        yield from self.waiting


def events_at(log: Path, project: Project) -> Followed:
    r"""Return the events of a project whose server may run.

    Args:
        log: The path of the server's log.
        project: The project.

    Raises:
        LogError: Files are damaged or missing.
        OSError: They cannot be read.

    Examples:
        >>> from idmerge.server.log.records import Record
        >>> from idmerge.server.server import Server
        >>> from idmerge.server.store.following import events_at
        >>> line = b'{"event": "Buy", "properties": {"distinct_id": "ana", "time": 1700000000}}\n'
        >>> with Server("here") as server:
        ...     record = Record("main", "events", "track", 1_700_000_000_000, line)
        ...     _ = server.log.append_now([record])
        ...     found = events_at(server.directory.log, server.projects[0])
        ...     print(len(found.files), [len(table) for table in found.tail()])
        0 [1]
    """
    files, tail, outcomes = _at_once(log, project)
    return Followed(files.all, [*_tables(project, tail, outcomes)])


def _tables(project: Project, tail: Iterable[tuple[Record, int]], outcomes: Codes) -> Iterator[pa.Table]:
    """Yield the events of a project that are in no file, some at a time, with their outcomes."""
    gathered: list[tuple[Record, int]] = []
    size = 0
    for record, behind in tail:
        if record.project == project.name and record.stream == "events":
            gathered.append((record, behind))
            size += len(record.lines)
        if size >= AT_ONCE:
            yield with_outcomes(columns_of(gathered, project.api), outcomes)
            gathered, size = [], 0
    if gathered:
        yield with_outcomes(columns_of(gathered, project.api), outcomes)


def _at_once(log: Path, project: Project) -> tuple[EventFiles, Iterator[tuple[Record, int]], Codes]:
    """Return the sealed files, the records behind them, and the outcomes of those.

    A server may change all of them meanwhile.
    """
    place = project.journal.with_name("events")
    for attempt in range(1, ATTEMPTS + 1):
        with suppress(FileNotFoundError, *(() if attempt == ATTEMPTS else (LogError,))):
            files = EventFiles(place, read_only=True)
            tail = records_from(log, files.end)
            outcomes = outcomes_in(project.journal.with_name("outcomes"))
            if EventFiles(place, read_only=True).end == files.end:  # So nothing between is dropped.
                return files, tail, outcomes
    raise LogError(f"{named(place)}: the files change all the time; try again")


def _lines(table: pa.Table, *, judged: bool) -> bytes:
    """Return events as lines, in the order of the log."""
    if not judged:
        is_by_route = pc.equal(table.column("outcome"), pa.scalar(Outcome.MERGE_NOT_ALLOWED.name))
        outcomes = pc.if_else(is_by_route, table.column("outcome"), pa.scalar(None, pa.string()))
        table = table.set_column(table.column_names.index("outcome"), "outcome", outcomes)
    table = table.take(pc.sort_indices(table, sort_keys=_ORDER))
    columns = [table.column(name).to_pylist() for name in ("event", "properties", "outcome")]
    moments = [table.column(name).cast(pa.int64()).to_pylist() for name in ("time", "received")]
    return b"".join(
        f'{{"event":{json.dumps(name)},"properties":{_with_more(text, outcome, time, received)}}}\n'.encode()
        for name, text, outcome, time, received in zip(*columns, *moments, strict=True)
    )


def _with_more(text: str, outcome: str | None, time: int, received: int) -> str:
    """Return the properties with the reason of a refusal, and a time if the event had none."""
    more: dict[str, Any] = {}
    if time == received and (decoded_or_none(text) or {}).get("time") is None:
        more["time"] = time
    if outcome is not None and outcome != Outcome.REFUSED_BEFORE.name:
        more[VERDICTS[0]] = Outcome[outcome].failure_reason or outcome
    if not more:
        return text
    opened = text.rstrip()[:-1].rstrip()
    comma = "" if opened == "{" else ","
    return f"{opened}{comma}{json.dumps(more)[1:]}"
