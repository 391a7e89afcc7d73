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
from idmerge.files.arrow import opened as opened_columns
from idmerge.files.choosing import Choice, choice_of
from idmerge.files.csvrows import CsvRows
from idmerge.files.flattening import Flattened
from idmerge.files.jsontext import checked, mappings_in, read_json, text_of
from idmerge.files.opening import CountedBytes, unpacked
from idmerge.files.people import People, people_choice, updates_in
from idmerge.files.pieces import BadLine, EventBatch, LinkBatch
from idmerge.files.recognition import OnDialect, no_matter
from idmerge.files.rows import Rows
from idmerge.files.scanning import OnColumns, StepBatch, read_steps
from idmerge.files.tables import format_named
from idmerge.files.tabular import TableReader
from idmerge.files.updates import scan_updates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from idmerge.files.dialects import Dialect
    from idmerge.files.flattening import Flattening
    from idmerge.files.shape import Shape
    from idmerge.policy import Api

STDIN = "-"
"""The name that stands for standard input.

Examples:
    >>> from idmerge.files import STDIN, name_of
    >>> name_of(STDIN)
    '<stdin>'
"""

P = TypeVar("P")
T = TypeVar("T")
Source = str | os.PathLike[str] | BinaryIO
"""A file's path, ``"-"`` for standard input, or a file open for reading bytes.

Examples:
    >>> import io
    >>> from pathlib import Path
    >>> from idmerge.files import Source
    >>> sources: list[Source] = ["events.ndjson.gz", Path("events.parquet"), io.BytesIO(b"{}")]
"""


def read(  # noqa: PLR0913 - each says what is wanted
    source: Source,
    *,
    name: str | None = None,
    on_bytes: Callable[[int], object] = lambda _count: None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_dialect: OnDialect = no_matter,
    api: Api = "original",
) -> Iterator[EventBatch | Rows | LinkBatch | BadLine]:
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
        api: The API whose links the events state; that of the resolver's policy.

    Raises:
        DialectError: No dialect or role has such a name.
        FileFormatError: The file is damaged, lacks what its format promises, has no row that can
            be read, or is open and was read already.
        MissingExtraError: Its format needs pyarrow, which is not installed.
        OSError: It cannot be opened.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.files import read
        >>> r = Resolver()
        >>> for batch in read("examples/shop.ndjson"):
        ...     report = batch.apply_to(r)
        ...     print(len(batch), report.merged)
        600 82
    """
    path = name_of(source) if name is None else name
    choice = choice_of(dialect, columns, api)
    read_text = partial(_read_json, path, choice, on_dialect)
    pieces = _read(path, source, TableReader(path, choice, on_dialect), on_bytes, read_text)
    return not_all_bad(path, pieces)


def read_updates(
    source: Source,
    *,
    on_bytes: Callable[[int], object] = lambda _count: None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_dialect: OnDialect = no_matter,
) -> Iterator[EventBatch | BadLine]:
    """Yield the profile updates of ``source``, JSON as events are, in batches; and its bad lines.

    The core reads lines of JSON, and `Profiles.update_many` takes the ``events`` of a batch as they
    are; who looks at them sees dicts.

    Profiles as Mixpanel exports them are updates too, which ``$set`` their properties: JSON, and
    CSV, Parquet and Arrow with a column ``$distinct_id`` or ``distinct_id``; empty cells and nulls
    are not there. ``dialect`` and ``columns`` are those of `Profiles.update_many`; ``on_dialect``
    is called with the file's name and the dialect of ``columns`` if its rows have one of these.
    Several threads may read; ``on_bytes`` is called in the caller's.

    Raises:
        DialectError: There is no such dialect or role, or it is another one than ``people``.
        FileFormatError: The file is damaged, holds events, mappings or links, or no line is an
            update.
        OSError: It cannot be opened.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge import Profiles, Resolver
        >>> from idmerge.files import read_updates
        >>> _ = Path("people.ndjson").write_text('{"$distinct_id": "ana", "$set": {"plan": "pro"}}')
        >>> profiles = Profiles(Resolver())
        >>> for batch in read_updates("people.ndjson"):
        ...     print(profiles.update_many(batch.events).outcomes)
        Counter({<UpdateOutcome.APPLIED: 0>: 1})
    """
    path = name_of(source)
    people = People(path, people_choice(dialect, columns), on_dialect)
    read_text = partial(_scan_updates, path, people.choice)
    pieces = _told(partial(_read, path, source, people), read_text, on_bytes)
    yield from updates_in(
        path,
        (piece for piece in pieces if isinstance(piece, EventBatch | BadLine)),
        people.choice,
        on_dialect,
    )


def not_all_bad(path: str, pieces: Iterable[P]) -> Iterator[P]:
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
    api: Api = "original",
    with_times: bool = False,
) -> Iterator[StepBatch | Rows | LinkBatch | BadLine]:
    """Yield what `read` yields, but lines of JSON as `StepBatch`: many times as fast.

    Several threads may read; ``on_bytes`` is called in the caller's. A ``shape`` learns which
    properties the events have, of tables those that are chosen; with one, ``on_columns`` is called
    with events of JSON as columns too, when these have been yielded, until it returns False. With
    ``with_times`` the times of links are read too, for a journal. The other arguments are those of
    `read`.

    Raises what `read` raises.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.files import scan
        >>> r = Resolver()
        >>> for piece in scan("examples/shop.ndjson"):
        ...     print(type(piece).__name__, piece.apply_to(r).merged)
        StepBatch 82
    """
    path = name_of(source) if name is None else name
    choice = choice_of(dialect, columns, api)
    read_text = partial(_scan_json, path, choice, on_dialect, shape, on_columns, with_times)
    chosen = sorted((shape.chosen if shape is not None else None) or ())
    tables = TableReader(path, choice, on_dialect, chosen)
    pieces = _told(partial(_read, path, source, tables), read_text, on_bytes)
    for piece in not_all_bad(path, pieces):
        if isinstance(piece, Rows) and shape is not None:
            shape.learn(path, piece.kinds(chosen))
        yield piece


def flatten(  # noqa: PLR0913 - each says what is wanted
    source: Source,
    flattening: Flattening[T],
    *,
    name: str | None = None,
    on_bytes: Callable[[int], object] = lambda _count: None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    api: Api = "original",
) -> Iterator[Flattened[T]]:
    """Yield the events of ``source`` as tables and its links as they are, without bad lines.

    Raises:
        FileFormatError: The file is damaged, or not what it was when its shape was learned.
        OSError: It cannot be opened.
    """
    path = name_of(source) if name is None else name
    choice = choice_of(dialect, columns, api)
    read_text = partial(_flatten_json, path, choice, flattening)
    tables = TableReader(path, choice, columns=flattening.columns)
    for piece in _told(partial(_read, path, source, tables), read_text, on_bytes):
        if isinstance(piece, LinkBatch):
            yield Flattened(None, [], piece)
        elif isinstance(piece, Rows):
            yield flattening.of_rows(piece)
        elif not isinstance(piece, BadLine):
            yield piece


def _told(
    read_by: Callable[..., Iterator[P | Rows | LinkBatch | BadLine]],
    read_text: Callable[[io.BufferedReader, bool], Iterator[P]],
    on_bytes: Callable[[int], object],
) -> Iterator[P | Rows | LinkBatch | BadLine]:
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
    with_times: bool,  # noqa: FBT001
    stream: io.BufferedReader,
    ahead: bool,  # noqa: FBT001
) -> Iterator[StepBatch | LinkBatch | BadLine]:
    text = text_of(path, stream, choice, on_dialect)
    if text.dialect.content != "events":
        yield from mappings_in(path, text)
        return
    yield from checked(
        text, read_steps(path, text, ahead=ahead, shape=shape, on_columns=on_columns, with_times=with_times)
    )


def _scan_updates(
    path: str,
    choice: Choice,
    stream: io.BufferedReader,
    ahead: bool,  # noqa: FBT001
) -> Iterator[EventBatch | BadLine]:
    return scan_updates(path, stream, ahead=ahead, rows=not choice.columns)


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


def _read(
    path: str,
    source: Source,
    tables: TableReader | People,
    on_bytes: Callable[[int], object],
    read_text: Callable[[io.BufferedReader, bool], Iterator[P]],
) -> Iterator[P | Rows | LinkBatch | EventBatch | BadLine]:
    """Read ``source``; JSON by ``read_text``, which gets whether another thread may read it."""
    with ExitStack() as stack:
        stream = opened(source, stack)
        counted = CountedBytes(stream, on_bytes)
        _check_unread(path, stream, counted.magic)
        file_format = format_named(path, counted.magic)
        if file_format == "CSV":
            yield from tables.of_csv(CsvRows(path, unpacked(counted)))
        elif file_format is not None:
            whole, size = _seekable(path, source, stream, file_format)
            file = stack.enter_context(opened_columns(path, whole, file_format))
            yield from tables.of_columns(file, size, on_bytes)
        else:
            # A file of our own, whose reader never waits for a writer.
            ahead = isinstance(stream, io.FileIO) and stream is not source and stream.seekable()
            yield from read_text(unpacked(counted), ahead)


def _check_unread(path: str, stream: BinaryIO, magic: bytes) -> None:
    """Raise FileFormatError if ``stream`` is an open file that was read to its end before."""
    if not magic and getattr(stream, "seekable", bool)() and stream.tell() > 0:
        raise FileFormatError(
            f"{path}: nothing is left of the open file, which was read already; go to its beginning, or "
            "give the path"
        )


def name_of(source: Source) -> str:
    """Return what messages call ``source``.

    Examples:
        >>> from idmerge.files import name_of
        >>> name_of("events.ndjson"), name_of("-")
        ('events.ndjson', '<stdin>')
    """
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
