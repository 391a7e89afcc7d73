"""Events encoded as Parquet while their links are still read, so that their files are read once.

Whose an event is can be said when the last link is read: only that column is encoded then. The others wait,
encoded, in a file without a name in the directory of the output, and are copied into their places.

A row group is encoded in the types that its properties have so far. If one of them turns out to be of another
type, everything encoded is dropped, and the files are read twice.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from idmerge import _core
from idmerge.durable import DurableResolver
from idmerge.threads import threads_allowed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

    from idmerge.files.shape import Shape
    from idmerge.resolver import Resolver

ROWS = 2**17
"""Rows of a row group, which is what is encoded at once."""
MOST_BYTES = 2**26
"""Bytes in memory from which on fewer rows are enough, so that wide events do not fill it."""
MOST_THREADS = 4
"""Threads that find and encode canonical IDs."""
WITHOUT_DICTIONARY = ("time", "$insert_id")
"""Columns whose values do not come again: integers and times are differences, texts without their lengths."""
STATISTICS = ("event", "time", "distinct_id")
"""Columns whose least and greatest values in a row group say something."""


class Encoding:
    """Events as encoded columns that wait, in a file beside ``output``, for their canonical IDs.

    ``resolver`` will know these. If it ``applies`` the same events, their IDs need not be looked up again:
    they wait as its numbers, which do not change as long as it only learns.

    Raises:
        OSError: No file can be made there; the error names ``output``.
    """

    def __init__(self, output: str, shape: Shape, resolver: Resolver, *, applies: bool) -> None:
        directory = os.path.dirname(os.path.realpath(output))  # noqa: PTH120
        try:
            self._spool = _core.Spool(directory, [*WITHOUT_DICTIONARY], [*STATISTICS])
        except OSError as error:
            raise OSError(error.errno, error.strerror, output) from error
        self._shape = shape
        self._resolver = resolver
        only_learns = not callable(resolver.canonical) and not isinstance(resolver, DurableResolver)
        self._is_numbered = applies and only_learns
        self._pool = ThreadPoolExecutor(1, "idmerge-encode")
        self._encoding: Future[_core.EncodedEvents | None] | None = None
        self._encoded: list[_core.EncodedEvents] = []
        self._gathered: list[_core.Scan] = []
        self._rows = self._bytes = 0
        self._is_whole = True

    def take(self, scan: _core.Scan) -> bool:
        """Take events as columns, and return whether it is of use to take more.

        Raises:
            OSError: There is no room.
        """
        size = scan.columns_size()
        if size is None or not self._is_whole:
            return False
        self._gathered.append(scan)
        self._rows += size[0]
        self._bytes += size[1]
        if self._rows >= ROWS or self._bytes >= MOST_BYTES:
            self._encode()
        return self._is_whole

    def _encode(self) -> None:
        self._wait()
        if self._gathered and self._is_whole:
            self._encoding = self._pool.submit(
                self._spool.encode, self._gathered, self._shape.columns(), numbered=self._is_numbered
            )
        self._gathered, self._rows, self._bytes = [], 0, 0

    def _wait(self) -> None:
        """Take what is being encoded; memory holds that, and what is gathered meanwhile."""
        if self._encoding is None:
            return
        events, self._encoding = self._encoding.result(), None
        if events is None:
            self._drop()
        elif len(events):
            self._encoded.append(events)

    def _drop(self) -> None:
        self._is_whole = False
        self._encoded.clear()

    def finish(self) -> bool:
        """Encode the rest, and return whether everything has the types that its properties have now.

        Raises:
            OSError: There is no room.
        """
        self._encode()
        self._wait()
        properties = self._shape.columns()
        if not all(events.fits(properties) for events in self._encoded):
            self._drop()
        return self._is_whole

    def named(self) -> Generator[_core.EncodedEvents]:
        """Yield the row groups with the canonical IDs that the resolver knows; they can be written once."""
        threads = min(threads_allowed(), MOST_THREADS)
        naming: deque[Future[_core.EncodedEvents]] = deque()
        encoded, self._encoded = self._encoded, []
        with ThreadPoolExecutor(threads, "idmerge-name") as pool:
            for events in encoded:
                naming.append(pool.submit(self._name, events))
                if len(naming) > threads:
                    yield naming.popleft().result()
            while naming:
                yield naming.popleft().result()

    def _name(self, events: _core.EncodedEvents) -> _core.EncodedEvents:
        sent = self._spool.sent(events)
        known = self._resolver
        ids = known.resolve_sent(sent) if self._is_numbered else known.resolve_many(sent.texts())
        self._spool.name(ids, events)
        return events

    def write(self, path: str, named: Iterable[_core.EncodedEvents]) -> int:
        """Write ``named`` row groups to the file at ``path``, and return the number of rows.

        Raises:
            OSError: There is no room, or no permission.
        """
        rows = 0
        file = _core.EncodedFile(self._spool, path, self._shape.columns())
        for events in named:
            file.append(events)
            rows += len(events)
        file.close()
        return rows

    def __len__(self) -> int:
        """Return the number of row groups."""
        return len(self._encoded)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread that encodes."""
        self._pool.shutdown(wait=True, cancel_futures=True)
