"""Parquet encoding while links are still read, so that JSON files are read once.

Whose an event is can be said when the last link is read: only that column is encoded then. The
others wait, encoded, in a file without a name in the directory of the output, and are copied into
their places.

A row group is encoded in the types that its properties have so far. If one of them turns out to be
of another type, everything encoded is dropped, and the files are read twice.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from idmerge import _core
from idmerge._threads import Pool, threads_allowed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from concurrent.futures import Future

    import pyarrow as pa

    from idmerge.files.shape import Shape
    from idmerge.resolver import Resolver

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


class Encoding:
    """Events as encoded columns that wait, in a file beside ``output``, for their canonical IDs.

    ``resolver`` will know these. If it ``applies`` the same events, their IDs need not be looked up
    again: they wait as its numbers, which mean the same as long as it only learns.

    Raises:
        OSError: No file can be made there. This and other errors of writing name ``output``.
    """

    def __init__(self, output: str, shape: Shape, resolver: Resolver, *, applies: bool) -> None:
        self._output = output
        directory = os.path.dirname(os.path.realpath(output))  # noqa: PTH120
        with self._naming():
            self._spool = _core.Spool(directory, [*WITHOUT_DICTIONARY], [*STATISTICS])
        self._shape = shape
        self._resolver = resolver
        is_numbered = applies and not callable(resolver.canonical)
        self._era = resolver._era() if is_numbered else None  # noqa: SLF001
        self._pool = Pool(1, "idmerge-encode")
        self._encoding: Future[_core.EncodedEvents | None] | None = None
        self._encoded: list[_core.EncodedEvents] = []
        self._gathered: list[_core.Scan] = []
        self._rows = self._bytes = 0
        self.is_whole = True
        """True if all events that were taken are still here."""

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Let errors of the system name the output."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), self._output) from error

    def take(self, scan: _core.Scan) -> bool:
        """Take events as columns, and return whether it is of use to take more.

        Raises:
            OSError: There is no room.
        """
        size = scan.columns_size()
        if size is None:
            self._drop()
        if size is None or not self.is_whole:
            return False
        self._gathered.append(scan)
        self._rows += size[0]
        self._bytes += size[1]
        if self._rows >= ROWS or self._bytes >= MOST_BYTES:
            self._encode()
        return self.is_whole

    def _encode(self) -> None:
        self._wait()
        if self._gathered and self.is_whole:
            self._encoding = self._pool.submit(
                self._spool.encode, self._gathered, self._shape.columns(), self._era
            )
        self._gathered, self._rows, self._bytes = [], 0, 0

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
        self.is_whole = False
        self._encoded.clear()

    def finish(self) -> bool:
        """Encode the rest; return whether all has the types that its properties have now.

        Raises:
            OSError: There is no room.
        """
        self._encode()
        self._wait()
        properties = self._shape.columns()
        if not all(events.fits(properties) for events in self._encoded):
            self._drop()
        return self.is_whole

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
        known = self._resolver
        ids = known.resolve_many(sent.texts()) if self._era is None else known._resolve_sent(sent)  # noqa: SLF001
        self._spool.name(ids, events)
        return events

    def write(self, path: str, named: Iterable[_core.EncodedEvents]) -> int:
        """Write ``named`` row groups to the file at ``path``, and return the number of rows.

        Raises:
            OSError: There is no room, or no permission.
        """
        rows = 0
        with self._naming():
            file = _core.EncodedFile(self._spool, path, self._shape.columns())
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

    @property
    def is_current(self) -> bool:
        """True if the numbers by which IDs are kept are still valid."""
        return self._era is None or self._era == self._resolver._era()  # noqa: SLF001

    def close(self) -> None:
        """End the thread that encodes."""
        self._pool.shutdown(wait=True, cancel_futures=True)
