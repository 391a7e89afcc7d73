"""Sealed files: the events of a project from a part of the log, as Parquet.

A file is called ``<first>-<end>.parquet``: the offsets of the log between which its events were.
Rows are sorted by canonical ID when they were written, ID as sent, and time. Beside it is its
index (`idmerge.server.store.index`). Both have checksums: what is damaged is not shown.

1. The files of a project tile the log: each begins where the one before ends.
2. A file never changes. One that takes the place of others covers their offsets; if it covers those
   of one alone, its name has a higher number behind them (``<first>-<end>.1.parquet``).
3. The file `SEALED` beside the directory has the offset behind the last file, so that it is noticed
   if that one is missing: the log may have its events no more.
4. A file is there whole or not at all: it is written under another name, flushed and renamed, and
   its index before it. What is covered by another file, or unfinished, is removed when the files
   are opened.
"""

from __future__ import annotations

import io
import json
import os
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from idmerge._naming import named
from idmerge.errors import LogError
from idmerge.files import replacing
from idmerge.files.syncing import sync_directory
from idmerge.server.store import index as indexes
from idmerge.server.store.columns import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

GROUP = 2048
"""Rows of a row group: as many are read for one event."""
GROUPS_AT_ONCE = 8
"""Row groups that are read at once, if all are wanted."""
SEALED = "sealed"
_NAME = re.compile(r"([0-9]{20})-([0-9]{20})(?:\.([0-9]+))?\.parquet")
_KEY = b"idmerge"
_REPEATING: Any = ["event", "distinct_id", "canonical_id", "source", "outcome"]


class SealedFile:
    """A sealed file, open to read. Threads can share it.

    Args:
        path: The file.

    Raises:
        LogError: It is no such file, or damaged.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        found = _NAME.fullmatch(path.name)
        assert found is not None  # noqa: S101 - who lists the files has asked
        self.path = path
        self.first, self.end = int(found[1]), int(found[2])
        self.generation = int(found[3] or 0)
        try:
            self._source = pa.memory_map(os.fspath(path))
            self._metadata = pq.read_metadata(self._source)
            facts = json.loads((self._metadata.metadata or {})[_KEY])
            self.begins, self.ends = facts["begins"], facts["ends"]
            self._group = facts["group"]
            self.size: int = facts["size"]
            self._sum: int | None = facts.get("index")
        except (pa.ArrowInvalid, KeyError, ValueError) as error:
            raise LogError(f"{named(path)}: the file of events is damaged; put back a copy") from error
        self._lock = threading.Lock()
        self._index: Any = None

    @property
    def index(self) -> Any:
        """The index of the file, which is made anew if there is none."""
        with self._lock:
            if self._index is None:
                self._index = self._read_index()
            return self._index

    def _read_index(self) -> Any:
        beside = _beside(self.path)
        with suppress(OSError, ValueError):
            if crc32(beside.read_bytes()) == self._sum:
                return indexes.read(beside)
        senders = [table.column("distinct_id") for table in self.tables(["distinct_id"])]
        chunks = [one for column in senders for one in column.chunks]
        self._sum = _write_index(beside, pa.chunked_array(chunks, pa.string()))
        return indexes.read(beside)

    @property
    def rows(self) -> int:
        """The number of events."""
        return self._metadata.num_rows

    def holds_between(self, begin: float, end: float) -> bool:
        """Return whether an event may have a time from ``begin`` on and before ``end``."""
        return bool(self.rows) and self.begins < end and self.ends >= begin

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield all events, some thousands at a time."""
        count = self._metadata.num_row_groups
        for start in range(0, count, GROUPS_AT_ONCE):
            yield self._read(range(start, min(start + GROUPS_AT_ONCE, count)), columns)

    def whole(self) -> pa.Table:
        """Return all events."""
        return pa.concat_tables([SCHEMA.empty_table(), *self.tables()])

    def of(self, hashes: NDArray[np.uint64], wanted: pa.Array[Any]) -> Iterator[pa.Table]:
        """Yield the events that were sent under some IDs, given these as hashes and as a column."""
        for table in self._of(hashes, wanted, None):
            yield table.drop_columns(["row"])

    def _of(
        self, hashes: NDArray[np.uint64], wanted: pa.Array[Any], columns: list[str] | None
    ) -> Iterator[pa.Table]:
        ranges = indexes.ranges_of(self.index, hashes)
        groups = sorted(
            {group for first, end in ranges for group in range(first // self._group, -(-end // self._group))}
        )
        for start in range(0, len(groups), GROUPS_AT_ONCE):
            some = groups[start : start + GROUPS_AT_ONCE]
            table = self._read(some, columns)
            rows = np.concatenate([np.arange(self._group) + group * self._group for group in some])
            firsts = np.array([first for first, _ in ranges])
            ends = np.array([end for _, end in ranges])
            rows = rows[: len(table)]  # The last group of the file may be shorter, and it is the last.
            is_within = rows < ends[np.searchsorted(firsts, rows, "right") - 1]
            table = table.append_column("row", pa.array(rows))
            found = table.filter(pa.array(is_within & (rows >= firsts[0])))
            yield found.filter(pc.is_in(found.column("distinct_id"), wanted))

    def rows_of(
        self, hashes: NDArray[np.uint64], wanted: pa.Array[Any], columns: list[str]
    ) -> Iterator[pa.Table]:
        """Yield some columns of what `of` yields, and the row of each event as ``row``."""
        yield from self._of(hashes, wanted, [*dict.fromkeys((*columns, "distinct_id"))])

    def at(self, rows: NDArray[np.int64]) -> pa.Table:
        """Return the events in some rows, which ascend."""
        tables = [SCHEMA.empty_table()]
        for group in np.unique(rows // self._group).tolist():
            within = rows[rows // self._group == group] - group * self._group
            tables.append(self._read([group]).take(pa.array(within)))
        return pa.concat_tables(tables)

    def _read(self, groups: Iterable[int], columns: list[str] | None = None) -> pa.Table:
        file = pq.ParquetFile(self._source, metadata=self._metadata, page_checksum_verification=True)
        try:
            return file.read_row_groups(list(groups), columns=columns, use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise LogError(f"{named(self.path)}: the file of events is damaged; put back a copy") from error


def _beside(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".parquet") + indexes.SUFFIX)


def _write_index(path: Path, senders: Any) -> int:
    """Write the index of a file, given the column of its senders, and return its checksum."""
    combined = senders.combine_chunks() if isinstance(senders, pa.ChunkedArray) else senders
    content = io.BytesIO()
    np.save(content, indexes.index_of(combined))
    with replacing(os.fspath(path)) as file:
        file.write(content.getbuffer())
    return crc32(content.getbuffer())


def written(directory: Path, first: int, end: int, events: pa.Table, generation: int = 0) -> SealedFile:
    """Write events as a sealed file, sorted, and return it.

    Args:
        directory: Where sealed files are.
        first: The offset of the log from which on the events were.
        end: The offset up to which they were.
        events: The events with the columns `SCHEMA`, in the order of the log.
        generation: The number of the file among those of these offsets.

    Raises:
        OSError: It could not be written; there is none then.
    """
    number = f".{generation}" if generation else ""
    path = directory / f"{first:020}-{end:020}{number}.parquet"
    keys: Any = [(name, "ascending") for name in ("canonical_id", "distinct_id", "time")]
    events = events.select(SCHEMA.names).combine_chunks()
    order = pc.sort_indices(events, sort_keys=keys)
    times: Any = pc.min_max(events.column("time").cast(pa.int64())).as_py()
    facts = {
        "begins": times["min"] or 0,
        "ends": times["max"] or 0,
        "group": GROUP,
        "size": events.nbytes,
        "index": _write_index(_beside(path), events.column("distinct_id").take(order)),
    }
    schema = SCHEMA.with_metadata({_KEY: json.dumps(facts).encode()})
    with (
        replacing(os.fspath(path)) as file,
        pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=_REPEATING,
            write_statistics=["time"],
            write_page_checksum=True,
        ) as writer,
    ):
        for start in range(0, len(events), GROUP):
            rows = events.take(order.slice(start, GROUP))
            writer.write_table(rows.cast(schema), row_group_size=GROUP)
    return SealedFile(path)


def empty() -> pa.Table:
    """Return a table of no events."""
    return SCHEMA.empty_table()


class EventFiles:
    """The sealed files of a project.

    Args:
        directory: Where they are; it is made with the first file.
        read_only: Whether another process may own them: then nothing is removed.

    Raises:
        LogError: A file is damaged, or one is missing among them.
        OSError: They cannot be read.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge.server.store.files import EventFiles, empty
        >>> files = EventFiles(Path("events"))
        >>> files.add(200, empty())
        >>> files.end, [(one.first, one.end, one.rows) for one in files.all]
        (200, [(0, 200, 0)])
        >>> files.replace(files.all, empty())
        >>> [one.path.name for one in EventFiles(Path("events")).all]
        ['00000000000000000000-00000000000000000200.1.parquet']
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self._directory = directory
        self._noted = _noted_end(directory.with_name(SEALED))  # Before the files: others may add some.
        self.all: tuple[SealedFile, ...] = ()
        """The files in the order of the log."""
        if directory.exists():
            self.all = tuple(map(SealedFile, _tiled(directory, read_only=read_only)))
        if self.end < self._noted:
            raise _untiled(directory, self.end, self._noted, "are missing")

    @property
    def end(self) -> int:
        """The offset behind the last file."""
        return self.all[-1].end if self.all else 0

    def add(self, end: int, events: pa.Table) -> None:
        """Write the events that were in the log behind the last file, up to ``end``."""
        if not self._directory.exists():
            self._directory.mkdir(parents=True)
            sync_directory(self._directory.parent)
        self.all = (*self.all, written(self._directory, self.end, end, events))

    def note_end(self) -> None:
        """Note the offset behind the last file, before the log loses what the files have."""
        if self._noted < self.end:
            with replacing(os.fspath(self._directory.with_name(SEALED))) as file:
                file.write(f"{self.end}\n".encode())
            self._noted = self.end

    def replace(self, old: Sequence[SealedFile], events: pa.Table) -> None:
        """Write the events of some adjacent files as one file, and remove those.

        Readers that have them open can go on.
        """
        first, last = old[0], old[-1]
        generation = first.generation + 1 if len(old) == 1 else 0
        new = written(self._directory, first.first, last.end, events, generation)
        place = self.all.index(first)
        self.all = (*self.all[:place], new, *self.all[place + len(old) :])
        for one in old:
            _remove(one.path)
        sync_directory(self._directory)


def _remove(path: Path) -> None:
    """Remove a file and its index; where a reader keeps them, that is done at the next start."""
    for one in (path, _beside(path)):
        with suppress(PermissionError):
            one.unlink(missing_ok=True)


def _noted_end(path: Path) -> int:
    """Return the offset behind the last file, as it is noted; 0 if it is not."""
    try:
        return int(path.read_text("ascii"))
    except FileNotFoundError:
        return 0
    except ValueError as error:
        raise LogError(f"{named(path)}: an offset is expected in it; put back a copy") from error


def _untiled(directory: Path, first: int, end: int, why: str) -> LogError:
    return LogError(
        f"{named(directory)}: the events from offset {first} to {end} of the log {why}; put back a copy of "
        "the directory"
    )


def _tiled(directory: Path, *, read_only: bool) -> list[Path]:
    """Return the files that tile the log, in its order; remove what is covered or unfinished."""
    found = [
        (int(name[1]), -int(name[2]), -int(name[3] or 0), path)
        for path in directory.iterdir()
        if (name := _NAME.fullmatch(path.name)) is not None
    ]
    kept: list[Path] = []
    behind = 0
    for first, negative_end, _, path in sorted(found):
        end = -negative_end
        if kept and end <= behind:
            continue  # It is within the one before, or an older one of the same offsets.
        if first != behind:
            why = "overlap" if first < behind else "are missing"
            raise _untiled(directory, min(first, behind), max(first, behind), why)
        kept.append(path)
        behind = end
    if not read_only:
        wanted = {one.name for path in kept for one in (path, _beside(path))}
        for path in directory.iterdir():
            is_ours = _NAME.fullmatch(path.name) or path.name.endswith(indexes.SUFFIX)
            if path.name not in wanted and (is_ours or path.name.startswith(".")):
                path.unlink(missing_ok=True)
    return kept
