"""Files by their format: `read`, `scan` and `flatten` pick the reader of each."""

from __future__ import annotations

import io
import os
import sys
from collections import deque
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from idmerge._naming import check_local
from idmerge.errors import FileFormatError
from idmerge.files.choosing import ANY, Choice, choice_of
from idmerge.files.columns import CSV, read_columns, read_csv
from idmerge.files.flattening import Flattened
from idmerge.files.jsontext import checked, mappings_in, read_json, read_rows, text_of
from idmerge.files.opening import ARROW, PARQUET, CountedBytes, unpacked
from idmerge.files.people import read_people, update_of
from idmerge.files.pieces import BadLine, EventBatch, LinkBatch
from idmerge.files.recognition import OnDialect, no_matter
from idmerge.files.scanning import OnColumns, StepBatch, read_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from idmerge.files.dialects import Dialect
    from idmerge.files.flattening import Flattening
    from idmerge.files.shape import Shape

STDIN = "-"
"""The name that stands for standard input."""

P = TypeVar("P")
T = TypeVar("T")
Source = str | os.PathLike[str] | BinaryIO
"""A file's path, ``"-"`` for standard input, or a file open for reading bytes."""


def read(  # noqa: PLR0913 - each says what is wanted
    source: Source,
    *,
    name: str | None = None,
    on_bytes: Callable[[int], object] = lambda _count: None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_dialect: OnDialect = no_matter,
) -> Iterator[EventBatch | LinkBatch | BadLine]:
    """Yield the events or links of ``source`` in batches, and its bad lines, in their order.

    Args:
        source: The file.
        name: Its name in messages, by default its path.
        on_bytes: Called with the number of bytes of the file that were read since its last call.
        dialect: The dialect of its rows or the name of one (SPEC 11); by default it is found by the
            first rows.
        columns: The key or column of each role that has another name: ``{"event": "action"}``.
        on_dialect: Called with the file's name and the dialect that was read; None for an empty
            file.

    Raises:
        DialectError: No dialect or role has such a name.
        FileFormatError: The file is damaged, lacks what its format promises, or has no row that
            can be read.
        MissingExtraError: Its format needs pyarrow, which is not installed.
        OSError: It cannot be opened.
    """
    path = name_of(source) if name is None else name
    choice = choice_of(dialect, columns)
    read_text = partial(_read_json, path, choice, on_dialect)
    pieces = _read(path, source, choice, on_bytes, read_text)
    return _not_all_bad(path, pieces)


def read_updates(
    source: Source, *, on_bytes: Callable[[int], object] = lambda _count: None
) -> Iterator[EventBatch | BadLine]:
    """Yield the profile updates of ``source``, JSON as events are, in batches; and its bad lines.

    Profiles as Mixpanel exports them are updates too, which ``$set`` their properties: JSON, and
    CSV with a column ``$distinct_id`` or ``distinct_id``, whose empty cells are not there.

    Raises:
        FileFormatError: The file is damaged, or holds links or events in columns.
        OSError: It cannot be opened.
    """
    path = name_of(source)
    pieces = _read(
        path, source, ANY, on_bytes, lambda stream, _ahead: read_rows(path, stream), csv_by=read_people
    )
    for piece in pieces:
        if isinstance(piece, LinkBatch):
            raise FileFormatError(f"{piece.path}: the file holds links in columns; updates must be JSON")
        if isinstance(piece, EventBatch):
            yield replace(piece, events=[update_of(row) for row in piece.events])
        else:
            yield piece


def _not_all_bad(path: str, pieces: Iterable[P]) -> Iterator[P]:
    """Yield ``pieces``.

    Raises:
        FileFormatError: There are bad lines alone.
    """
    bad: BadLine | None = None
    is_read = False
    for piece in pieces:
        if isinstance(piece, BadLine):
            bad = bad or piece
        else:
            is_read = True
        yield piece
    if bad is not None and not is_read:
        raise FileFormatError(
            f"{path}: no line is an event (line {bad.line}: {bad.message}); give events, a JSON object a "
            "line or in an array, and say which key means what if they have other names (--column event=…, "
            "--column distinct_id=…; in Python columns=…)"
        )


def scan(  # noqa: PLR0913 - each says what is wanted
    source: Source,
    *,
    name: str | None = None,
    on_bytes: Callable[[int], object] = lambda _count: None,
    shape: Shape | None = None,
    on_columns: OnColumns | None = None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_dialect: OnDialect = no_matter,
) -> Iterator[StepBatch | LinkBatch | BadLine]:
    """Yield what `read` yields, but lines of JSON as `StepBatch`: many times as fast.

    Several threads may read; ``on_bytes`` is called in the caller's. A ``shape`` learns which
    properties the events have; with one, ``on_columns`` is called with events of JSON as columns
    too, when these have been yielded, until it returns False. The other arguments are those of
    `read`.

    Raises:
        As `read`.
    """
    path = name_of(source) if name is None else name
    choice = choice_of(dialect, columns)
    read_text = partial(_scan_json, path, choice, on_dialect, shape, on_columns)
    pieces = _told(partial(_read, path, source, choice), read_text, on_bytes)
    yield from _not_all_bad(path, pieces)


def flatten(  # noqa: PLR0913 - each says what is wanted
    source: Source,
    flattening: Flattening[T],
    *,
    name: str | None = None,
    on_bytes: Callable[[int], object] = lambda _count: None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Flattened[T]]:
    """Yield the events of ``source`` as tables and its links as they are, without bad lines.

    Raises:
        FileFormatError: The file is damaged, or not what it was when its shape was learned.
        OSError: It cannot be opened.
    """
    path = name_of(source) if name is None else name
    choice = choice_of(dialect, columns)
    read_text = partial(_flatten_json, path, choice, flattening)
    for piece in _told(partial(_read, path, source, choice), read_text, on_bytes):
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


def _read_json(
    path: str,
    choice: Choice,
    on_dialect: OnDialect,
    stream: io.BufferedReader,
    _ahead: bool,  # noqa: FBT001
) -> Iterator[EventBatch | LinkBatch | BadLine]:
    return read_json(path, stream, choice, on_dialect)


def _scan_json(  # noqa: PLR0913, PLR0917 - the text, and what is wanted of it
    path: str,
    choice: Choice,
    on_dialect: OnDialect,
    shape: Shape | None,
    on_columns: OnColumns | None,
    stream: io.BufferedReader,
    ahead: bool,  # noqa: FBT001
) -> Iterator[StepBatch | LinkBatch | BadLine]:
    text = text_of(path, stream, choice, on_dialect)
    if text.dialect.content != "events":
        yield from mappings_in(path, text)
        return
    yield from checked(text, read_steps(path, text, ahead=ahead, shape=shape, on_columns=on_columns))


def _flatten_json(
    path: str,
    choice: Choice,
    flattening: Flattening[T],
    stream: io.BufferedReader,
    ahead: bool,  # noqa: FBT001
) -> Iterator[Flattened[T] | LinkBatch | BadLine]:
    text = text_of(path, stream, choice)
    if text.dialect.content == "events":
        yield from flattening.of_lines(path, text, ahead=ahead)
    else:
        yield from mappings_in(path, text)


def _read(  # noqa: PLR0913, PLR0917 - the file, and what is wanted of it
    path: str,
    source: Source,
    choice: Choice,  # noqa: ARG001 - of tables
    on_bytes: Callable[[int], object],
    read_text: Callable[[io.BufferedReader, bool], Iterator[P]],
    csv_by: Callable[[str, io.BufferedReader], Iterator[P | LinkBatch | BadLine]] = read_csv,
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
            yield from csv_by(path, unpacked(counted))
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
