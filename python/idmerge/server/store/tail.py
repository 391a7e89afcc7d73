"""The events of the log that are in no sealed file yet, as tables.

What was cut into columns once is kept until it is sealed, up to `RANGE_BYTES` of the log; who reads
more cuts the rest for himself.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from idmerge.server.store.columns import columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from idmerge.policy import Api
    from idmerge.server.log.log import Log
    from idmerge.server.log.records import Record, Stream

RANGE_BYTES = 32 << 20
"""Bytes of the log that become one file, at most, but for a last record."""
AT_ONCE = 4 << 20
"""Bytes of the log that are cut at once."""


def cut(
    log: Log, begin: int, end: int, apis: Mapping[str, Api]
) -> Iterator[tuple[int, dict[str, pa.Table], list[tuple[Record, int]]]]:
    """Yield the events of a part of the log, some at a time.

    Args:
        log: The log.
        begin: The offset of the first record.
        end: The offset behind the last one.
        apis: The API of each project whose events are wanted.

    Yields:
        The offset behind what was read, the events of each project, and the records that are none
        of these events, each with the offset behind it.

    Raises:
        LogError: The log is damaged.
        OSError: It cannot be read.
    """
    gathered: dict[str, list[tuple[Record, int]]] = {}
    others: list[tuple[Record, int]] = []
    start = offset = begin
    for record, behind in log.read(begin) if begin < end else ():
        offset = behind
        if record.stream == "events" and record.project in apis:
            gathered.setdefault(record.project, []).append((record, behind))
        else:
            others.append((record, behind))
        if offset - start >= AT_ONCE or offset >= end:
            yield offset, {name: columns_of(found, apis[name]) for name, found in gathered.items()}, others
            gathered, others, start = {}, [], offset
            if offset >= end:
                return


class Tail:
    """The beginning of what is not sealed.

    Args:
        log: The log.
        begin: The offset up to which all is sealed.
        apis: The API of each project.
        followed: The streams whose records are not needed in the log once they are applied.
    """

    def __init__(self, log: Log, begin: int, apis: Mapping[str, Api], followed: frozenset[Stream]) -> None:
        self._log = log
        self._apis = apis
        self._followed = followed
        self._lock = threading.Lock()
        self._tables: dict[str, list[pa.Table]] = {name: [] for name in apis}
        self.begin = self.end = begin
        self.needed: int | None = None
        """The offset behind the first record that is needed in the log for good; None for none."""

    def extend(self) -> int:
        """Cut what the log has, or as much as is kept; return the offset behind it."""
        with self._lock:
            end = min(self._log.end, self.begin + RANGE_BYTES)
            for behind, tables, others in cut(self._log, self.end, end, self._apis):
                for name, table in tables.items():
                    self._tables[name].append(table)
                self._look_at(others)
                self.end = behind
            return self.end

    def _look_at(self, others: list[tuple[Record, int]]) -> None:
        for record, behind in others:
            if record.project not in self._apis or record.stream not in self._followed:
                self.needed = behind if self.needed is None else min(self.needed, behind)
                return

    def look_before(self, begin: int) -> None:
        """Find the first record that is needed, between ``begin`` and what is not sealed.

        Raises:
            LogError: The log is damaged.
            OSError: It cannot be read.
        """
        end = self.begin
        for record, behind in self._log.read(begin) if begin < end else ():
            self._look_at([(record, behind)])
            if behind >= end or self.needed is not None:
                return

    def tables(self, project: str) -> tuple[list[pa.Table], int]:
        """Return the events of a project that are cut, in the order of the log, and their end."""
        with self._lock:
            return list(self._tables[project]), self.end

    def drop_before(self, offset: int) -> None:
        """Let go of the events up to ``offset``, which are sealed."""
        with self._lock:
            for name, tables in self._tables.items():
                kept = [between(table, offset, self.end) for table in tables]
                self._tables[name] = [table for table in kept if len(table)]
            self.begin = offset


def between(table: pa.Table, begin: int, end: int) -> pa.Table:
    """Return the events of records that end behind ``begin`` and up to ``end``."""
    first, last = np.searchsorted(table.column("record").to_numpy(), [begin, end], side="right").tolist()
    return table.slice(first, last - first)
