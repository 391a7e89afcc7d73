"""Parquet encoding while links are still read.

Only the canonical IDs are encoded when the last link is read. All other columns wait, encoded, in a
file without a name in the directory of the output, and are copied into their places.

A row group is encoded in the types that its properties have so far. If one of them turns out to be
of another type, everything encoded is dropped, and the files are read twice.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from idmerge import _core
from idmerge._threads import Pool, threads_allowed
from idmerge.stitching.once import Once

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from concurrent.futures import Future

    import pyarrow as pa

    from idmerge.files.shape import Shape
    from idmerge.stitching.once import Kept, Properties

ROWS = 2**17
"""Rows of a row group, which is what is encoded at once."""
MOST_BYTES = 2**26
"""Bytes in memory from which on fewer rows are enough, so that wide events do not fill it."""
MOST_THREADS = 4
"""Threads that find and encode canonical IDs."""
WITHOUT_DICTIONARY = ("time", "$insert_id")
"""Columns whose values do not come again: integers and times are differences, texts without their
lengths."""
STATISTICS = ("event", "time", "distinct_id")
"""Columns whose least and greatest values in a row group say something."""


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Return how Parquet is written.

    Times go on and insert IDs never repeat, so they have no dictionary; the least and greatest
    value of an ID in a row group says nothing. Together that is three tenths of the time, and a
    sixth of the file.
    """
    import pyarrow as pa  # noqa: PLC0415

    types = {name: schema.field(name).type for name in WITHOUT_DICTIONARY if name in schema.names}
    encodings = {}
    for name, kind in types.items():
        if pa.types.is_timestamp(kind) or pa.types.is_int64(kind):
            encodings[name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            encodings[name] = "DELTA_LENGTH_BYTE_ARRAY"
    return {
        "use_dictionary": [name for name in schema.names if name not in encodings],
        **({"column_encoding": encodings} if encodings else {}),
        "write_statistics": [*STATISTICS],
        "write_batch_size": 2**16,
    }


class Encoding(Once):
    """Events as encoded columns that wait, in a file beside ``output``, for their canonical IDs.

    Raises:
        OSError: No file can be made there.
    """

    def __init__(self, output: str, shape: Shape, kept: Kept) -> None:
        super().__init__(output, shape, kept)
        with self._naming():
            self._spool = _core.Spool(self._directory, [*WITHOUT_DICTIONARY], [*STATISTICS])
        self._encoding: Future[_core.EncodedEvents | None] | None = None
        self._encoded: list[_core.EncodedEvents] = []
        self._gathered: list[_core.Scan] = []
        self._rows = self._bytes = 0

    def _take(self, scan: _core.Scan) -> None:
        size = scan.columns_size()
        if size is None:
            raise ValueError("the columns of a scan were taken")
        self._gathered.append(scan)
        self._rows += size[0]
        self._bytes += size[1]
        if self._rows >= ROWS or self._bytes >= MOST_BYTES:
            self._encode()

    def _encode(self) -> None:
        self._wait()
        if self._gathered and self.is_whole:
            self._encoding = self._pool.submit(self._encoded_group, self._gathered, self._properties())
        self._gathered, self._rows, self._bytes = [], 0, 0

    def _encoded_group(self, scans: list[_core.Scan], properties: Properties) -> _core.EncodedEvents | None:
        for scan in scans:
            self._to_utc(scan)
        return self._spool.encode(scans, properties, self._era, **self._wishes)

    def _wait(self) -> None:
        """Take what is being encoded; memory holds that, and what is gathered meanwhile."""
        if self._encoding is None:
            return
        with self._naming():
            events, self._encoding = self._encoding.result(), None
        if events is None:
            self._drop()
        elif len(events):
            self._encoded.append(events)

    def _drop(self) -> None:
        super()._drop()
        self._encoded.clear()

    def _finish(self, properties: Properties) -> bool:
        self._encode()
        self._wait()
        return all(events.fits(properties) for events in self._encoded)

    def named(self) -> Generator[_core.EncodedEvents]:
        """Yield the row groups, once, with the canonical IDs that the resolver has."""
        threads = min(threads_allowed(), MOST_THREADS)
        naming: deque[Future[_core.EncodedEvents]] = deque()
        encoded, self._encoded = self._encoded, []
        with Pool(threads, "idmerge-name") as pool:
            for events in encoded:
                naming.append(pool.submit(self._name, events))
                if len(naming) > threads:
                    yield self._result(naming)
            while naming:
                yield self._result(naming)

    def _result(self, naming: deque[Future[_core.EncodedEvents]]) -> _core.EncodedEvents:
        with self._naming():
            return naming.popleft().result()

    def _name(self, events: _core.EncodedEvents) -> _core.EncodedEvents:
        sent = self._spool.sent(events)
        self._spool.name(self._canonical(sent), events, self._as_known(sent))
        return events

    def write(self, path: str, named: Iterable[_core.EncodedEvents]) -> int:
        """Write ``named`` row groups to the file at ``path``, and return the number of rows.

        Raises:
            OSError: There is no room, or no permission.
        """
        rows = 0
        with self._naming():
            file = _core.EncodedFile(self._spool, path, self._properties(), self._follows)
        for events in named:
            with self._naming():
                file.append(events)
            rows += len(events)
        with self._naming():
            file.close()
        return rows

    @property
    def group_count(self) -> int:
        """The number of row groups that wait."""
        return len(self._encoded)
