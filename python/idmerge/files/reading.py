"""Files by their format: `read`, `scan` and `flatten` pick the reader of each."""

from __future__ import annotations

import io
import os
import sys
from collections import deque
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from idmerge._naming import check_local
from idmerge.errors import FileFormatError
from idmerge.files.columns import CSV, read_columns, read_csv
from idmerge.files.flattening import Flattened
from idmerge.files.jsontext import checked, read_json, text_of
from idmerge.files.opening import ARROW, PARQUET, CountedBytes, unpacked
from idmerge.files.pieces import BadLine, EventBatch, LinkBatch
from idmerge.files.scanning import OnColumns, StepBatch, read_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from idmerge.files.flattening import Flattening
    from idmerge.files.shape import Shape

STDIN = "-"
"""The name that stands for standard input."""

P = TypeVar("P")
T = TypeVar("T")
Source = str | os.PathLike[str] | BinaryIO
"""A file's path, ``"-"`` for standard input, or a file open for reading bytes."""


def read(
    source: Source, *, name: str | None = None, on_bytes: Callable[[int], object] = lambda _count: None
) -> Iterator[EventBatch | LinkBatch | BadLine]:
    """Yield the events or links of ``source`` in batches, and its bad lines, in their order.

    ``name`` is what messages call the file, by default its path; ``on_bytes`` is called with the
    number of bytes of the file that were read since its last call.

    Raises:
        FileFormatError: The file is damaged, or lacks what its format promises.
        MissingExtraError: Its format needs pyarrow, which is not installed.
        OSError: It cannot be opened.
    """
    path = name_of(source) if name is None else name
    return _read(path, source, on_bytes, lambda stream, _ahead: read_json(path, stream))


def read_updates(
    source: Source, *, on_bytes: Callable[[int], object] = lambda _count: None
) -> Iterator[EventBatch | BadLine]:
    """Yield the profile updates of ``source``, JSON as events are, in batches; and its bad lines.

    Raises:
        FileFormatError: The file is damaged, or holds links in columns.
        OSError: It cannot be opened.
    """
    for piece in read(source, on_bytes=on_bytes):
        if isinstance(piece, LinkBatch):
            raise FileFormatError(f"{piece.path}: the file holds links in columns; updates must be JSON")
        yield piece


def scan(
    source: Source,
    *,
    name: str | None = None,
    on_bytes: Callable[[int], object] = lambda _count: None,
    shape: Shape | None = None,
    on_columns: OnColumns | None = None,
) -> Iterator[StepBatch | LinkBatch | BadLine]:
    """Yield what `read` yields, but lines of JSON as `StepBatch`: many times as fast.

    Several threads may read; ``on_bytes`` is called in the caller's. A ``shape`` learns which
    properties the events have; with one, ``on_columns`` is called with events of JSON as columns
    too, when these have been yielded, until it returns False.

    Raises:
        FileFormatError: The file is damaged, or lacks what its format promises.
        MissingExtraError: Its format needs pyarrow, which is not installed.
        OSError: It cannot be opened.
    """
    path = name_of(source) if name is None else name
    yield from _told(partial(_read, path, source), partial(_scan_json, path, shape, on_columns), on_bytes)


def flatten(
    source: Source,
    flattening: Flattening[T],
    *,
    name: str | None = None,
    on_bytes: Callable[[int], object] = lambda _count: None,
) -> Iterator[Flattened[T]]:
    """Yield the events of ``source`` as tables and its links as they are, without bad lines.

    Raises:
        FileFormatError: The file is damaged, or not what it was when its shape was learned.
        OSError: It cannot be opened.
    """
    path = name_of(source) if name is None else name
    for piece in _told(partial(_read, path, source), partial(_flatten_json, path, flattening), on_bytes):
        if isinstance(piece, LinkBatch):
            yield Flattened(None, [], piece)
        elif not isinstance(piece, BadLine):
            yield piece


def _told(
    read_by: Callable[..., Iterator[P | LinkBatch | BadLine]],
    read_text: Callable[[io.BufferedReader, bool], Iterator[P]],
    on_bytes: Callable[[int], object],
) -> Iterator[P | LinkBatch | BadLine]:
    """Yield what is read, and tell ``on_bytes``, in the caller's thread, how much that was."""
    counts: deque[int] = deque()
    for piece in read_by(counts.append, read_text):
        while counts:
            on_bytes(counts.popleft())
        yield piece
    while counts:
        on_bytes(counts.popleft())


def _scan_json(
    path: str,
    shape: Shape | None,
    on_columns: OnColumns | None,
    stream: io.BufferedReader,
    ahead: bool,  # noqa: FBT001
) -> Iterator[StepBatch | BadLine]:
    text = text_of(path, stream)
    yield from checked(text, read_steps(path, text, ahead=ahead, shape=shape, on_columns=on_columns))


def _flatten_json(
    path: str,
    flattening: Flattening[T],
    stream: io.BufferedReader,
    ahead: bool,  # noqa: FBT001
) -> Iterator[Flattened[T]]:
    yield from flattening.of_lines(path, text_of(path, stream), ahead=ahead)


def _read(
    path: str,
    source: Source,
    on_bytes: Callable[[int], object],
    read_text: Callable[[io.BufferedReader, bool], Iterator[P]],
) -> Iterator[P | LinkBatch | BadLine]:
    """Read ``source``; JSON by ``read_text``, which gets whether another thread may read it."""
    with ExitStack() as stack:
        stream = opened(source, stack)
        counted = CountedBytes(stream, on_bytes)
        suffixed = path.lower()
        if suffixed.endswith(".parquet") or counted.magic.startswith(PARQUET):
            whole, size = _seekable(path, source, stream, "Parquet")
            yield from read_columns(path, whole, "Parquet", size, on_bytes)
        elif suffixed.endswith(".arrow") or counted.magic.startswith(ARROW):
            whole, size = _seekable(path, source, stream, "Arrow")
            yield from read_columns(path, whole, "Arrow", size, on_bytes)
        elif suffixed.endswith(CSV):
            yield from read_csv(path, unpacked(counted))
        else:
            # A file of our own, whose reader never waits for a writer.
            ahead = isinstance(stream, io.FileIO) and stream is not source and stream.seekable()
            yield from read_text(unpacked(counted), ahead)


def name_of(source: Source) -> str:
    """Return what messages call ``source``."""
    if isinstance(source, (str, os.PathLike)):
        return "<stdin>" if source == STDIN else os.fspath(source)
    return str(getattr(source, "name", "<file>"))


def opened(source: Source, stack: ExitStack) -> BinaryIO:
    """Open ``source`` until ``stack`` ends; standard input and open files stay open."""
    if source == STDIN:
        if sys.stdin is None:
            raise FileFormatError("<stdin>: standard input is closed; name a file")
        return sys.stdin.buffer
    if isinstance(source, (str, os.PathLike)):
        check_local(source)
        return stack.enter_context(open(source, "rb", buffering=0))  # noqa: PTH123
    return source


def _seekable(path: str, source: Source, stream: BinaryIO, format_name: str) -> tuple[str | BinaryIO, int]:
    """Return what pyarrow shall open, and its size in bytes.

    Raises:
        FileFormatError: It is a pipe, and the format is read from its end.
    """
    if not stream.seekable():
        raise FileFormatError(f"{path}: {format_name} cannot be read from a pipe; name a file")
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if isinstance(source, (str, os.PathLike)) and source != STDIN:
        return os.fspath(source), size
    return stream, size
