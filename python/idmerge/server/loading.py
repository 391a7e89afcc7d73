"""Events of files as a server's directory: links in its journal, events in sealed files.

Links are judged as `idmerge.files.scan` has them judged. Nothing is in the log: the directory is
that of a server which has received all events, and sealed them. An event without a time has that of
its loading.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from idmerge._json_decoding import decoded_or_none
from idmerge.files.names import BEFORE, EVENT, ID, INSERT_ID, PROPERTIES, TIME
from idmerge.files.properties import properties_in
from idmerge.files.times import in_utc, milliseconds
from idmerge.files.whole import whole
from idmerge.files.zones import as_utc, names_zone
from idmerge.journal import DurableResolver
from idmerge.outcome import Outcome
from idmerge.server import places
from idmerge.server.log.records import Record
from idmerge.server.log.segments import size_of
from idmerge.server.store.columns import MOMENT, SENT, columns_of, with_outcomes
from idmerge.server.store.files import EventFiles
from idmerge.server.store.sealing import named_now, without_repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from idmerge.files import RereadableFile
    from idmerge.files.pieces import Piece
    from idmerge.files.rows import Rows
    from idmerge.files.whole import Whole
    from idmerge.outcome import Report
    from idmerge.server.directory import Directory, Project

COMMIT_STEPS = 100_000
"""Steps that are committed at once."""
FILE_BYTES = 64 << 20
"""Bytes of events from which on they are written to a file."""
_OWN: Any = pa.schema(
    [(EVENT, pa.string()), (ID, pa.string()), (BEFORE, pa.string()), (INSERT_ID, pa.string())]
)
_TIME_OF_TEXT = re.compile(r'"time"\s*:\s*"')


def load(
    directory: Directory,
    sources: Iterable[str | RereadableFile],
    *,
    on_piece: Callable[[Piece, Report], object] = lambda _piece, _report: None,
    on_bytes: Callable[[int], object] = lambda _count: None,
    **reading: Any,
) -> int:
    """Load the events of files into the first project of a directory that has nothing else.

    Args:
        directory: The directory.
        sources: The files, in the order in which they are judged.
        on_piece: Called with each piece and the report on its links.
        on_bytes: Called with the number of bytes that were read since its last call.
        reading: Further arguments of `idmerge.files.whole.whole`.

    Returns:
        The number of events that can be shown: repeated ones are dropped.

    Raises:
        FileFormatError: A file is damaged, or holds no events.
        JournalError: The directory has links already.
        OSError: A file cannot be read or written.

    Examples:
        >>> from idmerge.server.directory import Directory
        >>> from idmerge.server.loading import load
        >>> from idmerge.server.server import Server
        >>> load(Directory.open("here"), ["examples/flow-1-new-user.ndjson"])
        5
        >>> with Server("here") as server:
        ...     print(server.resolver("main").members("ada@example.com")[1])
        ada@example.com
    """
    project = directory.projects[0]
    with DurableResolver.open(project.journal, project.policy, project.canonical) as resolver:
        loading = _Loading(project, resolver)
        for source in sources:
            for one in whole(source, on_bytes=on_bytes, api=project.api, **reading):
                report = one.piece.apply_to(resolver)
                loading.take(one, report)
                on_piece(one.piece, report)
                if resolver.uncommitted >= COMMIT_STEPS:
                    resolver.commit()
        end = loading.finish()
        # The log goes on where the files end; without the journal's word nothing of them counts.
        directory.log.mkdir(mode=0o700)
        (directory.log / f"{end:020}.log").touch(0o600)
        resolver.commit({places.LOG: end, places.PROFILES: end})
    return loading.shown


class _Loading:
    """The events that wait to be written to a sealed file."""

    def __init__(self, project: Project, resolver: DurableResolver) -> None:
        self.shown = 0
        self._project, self._resolver = project, resolver
        self._files = EventFiles(project.journal.with_name("events"))
        self._tables: list[pa.Table] = []
        self._bytes = 0
        self._end = 0
        self._received = round(time.time() * 1000)

    def take(self, one: Whole, report: Report) -> None:
        """Take the events of a piece, with the outcomes of their links."""
        if not len(one.piece):
            return
        if one.table is not None:
            self._end += len(one.piece)
            table = self._of_rows(one.piece, one.table)
        else:
            lines = b"\n".join(one.lines) + b"\n"
            record = Record(self._project.name, "events", "import", self._received, lines)
            self._end += size_of(record)
            table = self._in_zone(columns_of([(record, self._end)], self._project.api))
        refused = np.flatnonzero(report.outcomes > Outcome.UNCHANGED)
        codes = dict(zip(report.rows[refused].tolist(), report.outcomes[refused].tolist(), strict=True))
        self._tables.append(with_outcomes(table, {self._end: codes} if codes else {}))
        self._bytes += table.nbytes
        if self._bytes >= FILE_BYTES:
            self._write()

    def finish(self) -> int:
        """Write the rest; return the offset behind all."""
        if self._tables:
            self._write()
        self._files.note_end()
        return self._end

    def _write(self) -> None:
        events = without_repeated(named_now(pa.concat_tables(self._tables), self._resolver))
        self._files.add(self._end, events)
        self.shown += len(events)
        self._tables, self._bytes = [], 0

    def _in_zone(self, table: pa.Table) -> pa.Table:
        """Return events of which the times that name no zone are the project's."""
        zone = self._project.timezone
        if zone is None:
            return table
        times: Any = table.column("time").combine_chunks()
        texts: list[Any] = table.column("properties").to_pylist()
        is_own = times.cast(pa.int64()).to_numpy() == self._received
        named = [
            bool(own) or (_TIME_OF_TEXT.search(text) is not None and names_zone(_time_in(text)))
            for own, text in zip(is_own, texts, strict=True)
        ]
        shifted = as_utc(times, zone, pa.array(named, pa.bool_()))
        return table.set_column(table.column_names.index("time"), "time", pc.coalesce(shifted, times))

    def _of_rows(self, rows: Any, table: pa.Table) -> pa.Table:
        """Return the rows of a table as columns that are stored."""
        given: Rows = rows
        own = given.batch(_OWN)
        times = _moments(given, self._project.timezone)
        received = pa.array(np.full(len(given), self._received, np.int64))
        columns: dict[str, Any] = {
            "event": own.column(EVENT),
            "distinct_id": own.column(BEFORE),
            "time": pc.coalesce(times, received).cast(MOMENT),
            "insert_id": own.column(INSERT_ID),
            "received": received.cast(MOMENT),
            "source": pa.array(["import"] * len(given), pa.string()),
            "properties": pa.array(properties_of(table, times), pa.string()),
            "record": pa.array(np.full(len(given), self._end, np.int64)),
            "place": pa.array(np.arange(len(given), dtype=np.int32)),
        }
        return pa.table([columns[name] for name in SENT.names], schema=SENT)


def _moments(rows: Rows, zone: str | None) -> Any:
    """Return the times of rows in milliseconds; null where there are none."""
    times = in_utc(rows.value_column(TIME), zone)
    return milliseconds(times).cast(pa.int64())


def _time_in(text: str) -> object:
    stated = decoded_or_none(text)
    return stated.get(TIME) if isinstance(stated, dict) else None


def properties_of(table: pa.Table, times: Any) -> list[str]:
    """Return the properties of each row of a table of events as JSON.

    Args:
        table: All columns under raw names.
        times: The times of the rows in milliseconds.

    Examples:
        >>> import pyarrow as pa
        >>> from idmerge.server.loading import properties_of
        >>> table = pa.table({"event": ["Buy"], "distinct_id": ["ana"], "price": [3]})
        >>> properties_of(table, pa.array([1_700_000_000_000]))
        ['{"distinct_id": "ana", "price": 3, "time": 1700000000000}']
    """
    names = [name for name in table.column_names if name not in {EVENT, PROPERTIES, TIME}]
    nested = _values(table.column(PROPERTIES)) if PROPERTIES in table.column_names else [None] * len(table)
    columns = [_values(table.column(name)) for name in names]
    rows = zip(*columns, strict=True) if columns else ((),) * len(table)
    found = []
    for cell, row, moment in zip(nested, rows, times.to_pylist(), strict=True):
        stated = dict(properties_in(cell))
        if not isinstance(cell, (str, bytes)):  # A struct has a null for each field that is not there.
            stated = {name: value for name, value in stated.items() if value is not None}
        stated |= {name: value for name, value in zip(names, row, strict=True) if value is not None}
        if moment is not None:
            stated[TIME] = moment
        found.append(_json(stated))
    return found


def _values(column: Any) -> list[Any]:
    """Return the values of a column as Python has them; as text what it cannot hold."""
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):  # As of a time beyond the year 9999.
        try:
            values = column.cast(pa.string()).to_pylist()
        except pa.ArrowException:
            values = [None] * len(column)
    return values


def _json(value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return json.dumps(_plain(value))


def _plain(value: Any) -> Any:
    """Return a value of Arrow's as JSON has one: times and numbers of other types as text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
