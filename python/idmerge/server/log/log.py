"""A log of records on disk: what is appended has been flushed when the call returns.

One thread writes. The appends that arrive while it works are its next group, which is written by
one write and flushed by one ``fdatasync``; then all of them return. The form of the files is in
`idmerge.server.log.segments`.

1. A record that was acknowledged is in the log once, in the order in which its append began; a
   record that was not is there once or never. The records of one append stay together.
2. A group that could not be written is cut off again. Nothing of it is acknowledged.
3. After a flush that failed, what the system holds of the file in memory may differ from the disk,
   and a second flush may report success all the same. So nothing is appended to that file any more:
   it is cut at the last offset that was flushed before, flushed, and a new segment is begun. Where
   that fails too, appends fail until it can be done.
4. A closed log has a file ``end`` with the offset of its end. Then nothing can be torn, and
   whatever is missing is damage.

Memory: the records that wait, which have a limit.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import re
import threading
from bisect import bisect_right
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from idmerge._naming import named
from idmerge.errors import BusyError, JournalError, LogError
from idmerge.files.syncing import sync_directory, sync_file
from idmerge.journal.lock import WriterLock
from idmerge.server.counts import Durations
from idmerge.server.log.appends import Append, answer, settle
from idmerge.server.log.segments import (
    MOST_BYTES,
    PART_BYTES,
    damage,
    frame,
    records_in,
    size_of,
    sound_length,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.server.log.appends import Then
    from idmerge.server.log.records import Record

SEGMENT_BYTES = 64 << 20
"""The length from which on a segment is followed by another one."""
WAITING_BYTES = 32 << 20
"""The most bytes that wait to be written."""
RETRY = 1.0
"""Seconds between attempts to write after one failed and nothing else was appended."""
_PROBE = bytes(1 << 16)
"""What is written, and cut off again, to see whether there is room."""
_SEGMENT = re.compile(r"[0-9]{20}\.log")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_OLD = os.O_RDWR | getattr(os, "O_BINARY", 0)
_flush = getattr(os, "fdatasync", os.fsync)


class Log:
    r"""The log in a directory, which one process has open at a time. Threads can share it.

    Args:
        directory: It is made if it is not there.
        at_least: An offset that was on disk before, as journals state: the log must reach it.
        segment_bytes: The length from which on a segment is followed by another one.
        waiting_bytes: The most bytes that wait to be written.

    Raises:
        LogError: The log is damaged, ends before ``at_least``, or another process has it open.
        OSError: It cannot be read or written.

    Examples:
        >>> import asyncio, time
        >>> from idmerge.server.log.log import Log
        >>> from idmerge.server.log.records import Record
        >>> log = Log("log")
        >>> line = b'{"event": "Log In", "properties": {"distinct_id": "ana"}}\n'
        >>> record = Record("main", "events", "track", int(time.time() * 1000), line)
        >>> end = asyncio.run(log.append([record]))
        >>> log.append_now([record]) == log.end == 2 * end
        True
        >>> [(kept == record, offset // end) for kept, offset in log.read(0)]
        [(True, 1), (True, 2)]
        >>> async def append_nothing():
        ...     loop = asyncio.get_running_loop()
        ...     log.append_then([], lambda end, error: print(end == log.end, error), loop)
        >>> asyncio.run(append_nothing())
        True None
        >>> log.wait_beyond(end, timeout=0), log.failure, log.waiting, log.cut
        (True, None, 0, 0)
        >>> log.beginning, log.flushes.count
        (0, 2)
        >>> log.roll(), log.drop(log.end), log.beginning == log.end
        (None, None, True)
        >>> log.close()
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        at_least: int = 0,
        segment_bytes: int = SEGMENT_BYTES,
        waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        self._directory = Path(directory)
        self._name = named(directory)
        self._segment_bytes = segment_bytes
        self._waiting_bytes = waiting_bytes
        self._changed = threading.Condition()
        """Notified when the log has grown, or a write has failed."""
        self._queue: list[Append] = []
        """The appends that wait to be written."""
        self._wakes: SimpleQueue[Literal["more", "end"]] = SimpleQueue()
        """An item when there are some, and one when there will be none any more."""
        self._waker: asyncio.AbstractEventLoop | None = None
        """The loop that will wake the thread at the end of its turn."""
        self._waiting = 0
        self._is_closing = False
        self._rolls: list[Future[None]] = []
        self._failure: str | None = None
        self._is_unclean = False
        self._is_suspect = False
        self._descriptor = -1
        self._bases: list[int] = []
        self._end = 0
        self._cut = 0
        self.flushes = Durations()
        """The flushes since the log was opened."""
        self._directory.mkdir(parents=True, exist_ok=True)
        sync_directory(self._directory.parent)
        try:
            self._lock = WriterLock(self._directory / "segments", "a log")
        except JournalError as error:
            raise LogError(f"{error}; is another server running there?") from error
        try:
            self._open(at_least)
            self._thread = threading.Thread(target=self._work, name="idmerge-log", daemon=True)
            self._thread.start()
        except BaseException:
            self._release()
            raise

    # What is there.

    @property
    def end(self) -> int:
        """The offset behind the last record that is on disk."""
        return self._end

    @property
    def beginning(self) -> int:
        """The offset of the first record that is on disk."""
        return self._bases[0]

    @property
    def waiting(self) -> int:
        """The number of bytes that wait to be written."""
        return self._waiting

    @property
    def failure(self) -> str | None:
        """The reason why the last attempt to write failed; None if it did not."""
        return self._failure

    @property
    def cut(self) -> int:
        """The bytes of a group torn by a crash, never acknowledged, that opening has cut off."""
        return self._cut

    def wait_beyond(self, offset: int, timeout: float) -> bool:
        """Wait until the log ends behind ``offset``, for some seconds; return whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: self._end > offset, timeout)

    # Opening.

    def _open(self, at_least: int) -> None:
        names = sorted(path.name for path in self._directory.iterdir() if _SEGMENT.fullmatch(path.name))
        self._bases = [int(name[:20]) for name in names]
        if not names:
            self._check_reaches(0, at_least)
            self._begin_segment()
            return
        for base, following in zip(self._bases, self._bases[1:], strict=False):
            size = self._path(base).stat().st_size
            if base + size != following:
                why = f"the file has {size} bytes, and the next one begins at {following}"
                raise LogError(damage(named(self._path(base)), base + min(size, following - base), why))
        path = self._path(self._bases[-1])
        self._descriptor = os.open(path, _OLD)
        size = os.fstat(self._descriptor).st_size
        sound = 0
        if size:
            with mmap.mmap(self._descriptor, size, access=mmap.ACCESS_READ) as data:
                sound = sound_length(named(path), data, self._bases[-1])
        end = self._bases[-1] + sound
        self._check_reaches(end, at_least)
        if sound < size:
            os.ftruncate(self._descriptor, sound)
        os.fsync(self._descriptor)  # Whatever was read may have been in the system's memory alone.
        sync_directory(self._directory)
        self._end, self._cut = end, size - sound

    def _check_reaches(self, end: int, at_least: int) -> None:
        """Make sure that the log ends where it was closed, or behind what was on disk."""
        mark = self._directory / "end"
        try:
            stated = mark.read_text("ascii", "replace").strip()
        except FileNotFoundError:
            stated = ""
        else:
            if not stated.isdecimal():
                raise LogError(
                    f"{named(mark)}: an offset is expected, and the file holds something else; remove it to "
                    "open the log as it is"
                )
            at_least = max(at_least, int(stated))
        if end < at_least:
            last = named(self._path(self._bases[-1])) if self._bases else self._name
            raise LogError(damage(last, end, f"no whole record follows, and the log went on to {at_least}"))
        if stated:
            mark.unlink()
            sync_directory(self._directory)

    def _path(self, base: int) -> Path:
        return self._directory / f"{base:020}.log"

    def _begin_segment(self) -> None:
        """Make a new segment at the end, in place of one without records.

        Whatever fails leaves the old segment in use, so that it is done again as a whole.
        """
        path = self._path(self._end)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, _NEW, 0o600)
        try:
            sync_directory(self._directory)
        except BaseException:
            os.close(descriptor)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        with self._changed:
            if self._end not in self._bases[-1:]:
                self._bases.append(self._end)

    # Appending.

    async def append(self, records: Sequence[Record]) -> int:
        """Append some records; when this returns, they are on disk. Return the offset behind them.

        A caller that is cancelled meanwhile does not know whether they are.

        Raises:
            BusyError: Too many bytes wait, or the log is closed. Nothing is appended.
            OSError: They could not be written, as on a full disk; they may be sent again. They are
                in the log once or never, and most often never.
            ValueError: One is no record.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self.append_then(records, partial(settle, future), loop)
        return await future

    def append_then(self, records: Sequence[Record], then: Then, loop: asyncio.AbstractEventLoop) -> None:
        """Append as `append` does; the running ``loop`` calls ``then`` in place of a return.

        Raises:
            BusyError: As by `append`; ``then`` is not called.
            ValueError: Likewise.
        """
        self._enqueue(records, loop, then)

    def append_now(self, records: Sequence[Record]) -> int:
        """Append as `append` does, for callers without an event loop."""
        future: Future[int] = Future()
        self._enqueue(records, None, partial(settle, future))
        return future.result()

    def _enqueue(self, records: Sequence[Record], loop: asyncio.AbstractEventLoop | None, then: Then) -> None:
        records = tuple(records)
        size = sum(map(size_of, records))
        if size > MOST_BYTES:
            raise ValueError(f"an append must have at most {MOST_BYTES} bytes, got {size}")
        with self._changed:
            if self._is_closing:
                raise BusyError(f"{self._name}: the log is closed")
            if self._waiting and self._waiting + size > self._waiting_bytes:
                raise BusyError(
                    f"{self._name}: {self._waiting} bytes wait to be written, and at most "
                    f"{self._waiting_bytes} may; send the records again later"
                )
            if records:
                self._waiting += size
                self._queue.append(Append(records, size, loop, then))
                if loop is None:
                    self._wakes.put("more")
                elif loop is not self._waker:
                    # What else the loop appends in its turn is of the same group, and until then
                    # the thread does not contend with it for the interpreter.
                    self._waker = loop
                    loop.call_soon(self._wakes.put, "more")
        if not records:
            then(self._end, None)

    # The thread that writes.

    def _work(self) -> None:
        wake = "more"
        while wake != "end":
            try:
                wake = self._wakes.get(timeout=RETRY if self._failure else None)
            except Empty:
                self._probe()
                continue
            with self._changed:
                group, self._queue, self._waker = self._queue, [], None
                rolls, self._rolls = self._rolls, []
            if group:
                self._take(group)
            for roll in rolls:
                self._roll(roll)

    def _take(self, group: Sequence[Append]) -> None:
        """Write a group, and tell those who wait for it."""
        error: Exception | None = None
        ends: list[int] = []
        try:
            ends = self._write(group)
        except Exception as raised:  # noqa: BLE001 - whatever it is, those who wait must be told
            error = raised
        with self._changed:
            self._waiting -= sum(one.size for one in group)
            self._failure = None if error is None else str(error)
            if error is None:
                self._end = ends[-1]
            self._changed.notify_all()
        answer(group, ends, error)

    def _write(self, group: Sequence[Append]) -> list[int]:
        """Write and flush the appends of a group; return the offset behind each."""
        begin = offset = self._end
        last = sum(len(one.records) for one in group) - 1
        pieces: list[bytes] = []
        ends, number = [], 0
        for one in group:
            for record in one.records:
                front, lines = frame(record, offset, begin, ends_group=number == last)
                pieces += front, lines
                offset += len(front) + len(lines)
                number += 1
            ends.append(offset)
        self._write_at_end(pieces)
        return ends

    def _write_at_end(self, pieces: Sequence[bytes]) -> None:
        """Write and flush some bytes behind the end; if that fails, nothing is left of them.

        Raises:
            OSError: They are not on disk.
        """
        self._clean_up()
        try:
            self._is_unclean = True
            os.lseek(self._descriptor, self._end - self._bases[-1], os.SEEK_SET)
            for content in _joined(pieces):
                _write_all(self._descriptor, content)
            self._is_suspect = True
            begin = perf_counter()
            _flush(self._descriptor)
            self.flushes.add(perf_counter() - begin)
        except OSError as error:
            path = str(self._path(self._bases[-1]))
            with suppress(OSError):
                self._clean_up()
            raise OSError(error.errno, error.strerror, path) from error
        self._is_unclean = self._is_suspect = False

    def _clean_up(self) -> None:
        """Cut off what a failed attempt has left, and begin a new segment if one is due."""
        if self._is_unclean:
            os.ftruncate(self._descriptor, self._end - self._bases[-1])
            if self._is_suspect:
                os.fsync(self._descriptor)
                self._begin_segment()
            self._is_unclean = self._is_suspect = False
        if self._end - self._bases[-1] >= self._segment_bytes:
            self._begin_segment()

    def _roll(self, roll: Future[None]) -> None:
        """Begin a new segment, if the last one has records."""
        try:
            self._clean_up()
            if self._end > self._bases[-1]:
                self._begin_segment()
        except OSError as error:
            roll.set_exception(error)
        else:
            roll.set_result(None)

    def _probe(self) -> None:
        """Find out whether writing works again, so that nobody need send records for that."""
        try:
            self._write_at_end([_PROBE])
            self._is_unclean = True
            self._clean_up()
        except OSError as error:
            self._failure = str(error)
        else:
            self._failure = None

    # Dropping.

    def drop(self, before: int) -> None:
        """Remove the segments that end at ``before`` or earlier, but never the last one.

        No reader may be at an offset below ``before``.

        Raises:
            OSError: A segment could not be removed; those before it are.
        """
        while len(self._bases) > 1 and self._bases[1] <= before:
            self._path(self._bases[0]).unlink(missing_ok=True)
            with self._changed:
                del self._bases[0]
            sync_directory(self._directory)

    def roll(self) -> None:
        """Begin a new segment, so that `drop` can remove all that is there.

        Raises:
            BusyError: The log is closed.
            OSError: It could not be made.
        """
        future: Future[None] = Future()
        with self._changed:
            if self._is_closing:
                raise BusyError(f"{self._name}: the log is closed")
            self._rolls.append(future)
            self._wakes.put("more")
        future.result()

    # Reading.

    def read(self, offset: int) -> Iterator[tuple[Record, int]]:
        """Yield the records from ``offset`` on, up to the end, each with the offset behind it.

        Raises:
            LogError: The log is damaged there, or no record begins at ``offset``.
            OSError: It cannot be read.
        """
        if not self._bases[0] <= offset <= self._end:
            raise LogError(
                f"{self._name}: the log holds the offsets {self._bases[0]} to {self._end}, and not {offset}"
            )
        while offset < self._end:
            with self._changed:
                number = bisect_right(self._bases, offset) - 1
                base, *following = self._bases[number : number + 2]
                end = following[0] if following else self._end
            for record, behind in self._read_segment(base, offset, end):
                yield record, behind
                offset = behind

    def _read_segment(self, base: int, offset: int, end: int) -> Iterator[tuple[Record, int]]:
        path = self._path(base)
        with path.open("rb", buffering=0) as file:
            for record, behind in records_in(file, base, offset, end):
                yield record, behind
                offset = behind
        if offset < end:
            raise LogError(damage(named(path), offset, "no whole record is there"))

    # The end.

    def close(self) -> None:
        """Write what waits, and let others open the log."""
        with self._changed:
            if self._is_closing:
                return
            self._is_closing = True
            self._wakes.put("end")
        self._thread.join()
        if not self._is_unclean:
            self._mark_end()
        self._release()

    def _mark_end(self) -> None:
        """Write the mark, whole or not at all; without it, the log is as after a crash."""
        new = self._directory / "end.new"
        try:
            new.write_text(f"{self._end}\n", "ascii")
            sync_file(new)
            new.replace(self._directory / "end")
            sync_directory(self._directory)
        except OSError:
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._lock.release()


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _joined(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the pieces in fewer ones; those that are long are not copied."""
    short: list[bytes] = []
    size = 0
    for piece in pieces:
        if size + len(piece) > PART_BYTES:
            yield b"".join(short)
            short, size = [], 0
        short.append(piece)
        size += len(piece)
    yield b"".join(short)
