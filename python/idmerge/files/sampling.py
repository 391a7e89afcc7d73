"""A sample of the first events of files, for signs that a scan of their links does not see.

At most `ROWS` events of a file are read, of `FILES` files, so a sign that comes only later is
missed; the doctor reads all events.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from idmerge.errors import IdmergeError, MissingExtraError
from idmerge.events import IDENTITY_EVENTS, device_of, user_of
from idmerge.files.choosing import choice_of
from idmerge.files.copies import RereadableFile
from idmerge.files.dialects import FLAT
from idmerge.files.jsontext import numbered_lines, text_of
from idmerge.files.localtimes import Offsets, zone_of
from idmerge.files.names import EVENT, ID, PROCESSED, PROPERTIES, RECEIVED, TIME
from idmerge.files.opening import CountedBytes, import_pyarrow, unpacked
from idmerge.files.pieces import BadLine
from idmerge.files.processing import Order, moment_of
from idmerge.files.reading import STDIN, name_of
from idmerge.files.recognition import OnDialect, no_matter
from idmerge.files.renaming import likely_id
from idmerge.files.rows import plain
from idmerge.files.tablefiles import format_of, names_of, table_pieces
from idmerge.files.textrows import lacks
from idmerge.files.times import in_utc, milliseconds
from idmerge.files.vendors import VendorDialect
from idmerge.files.zones import names_zone, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from idmerge.files.choosing import Choice
    from idmerge.files.dialects import Dialect

Receipt = tuple[object, int]
"""The time of an event, and the moment in milliseconds at which Mixpanel received it."""
ROWS = 1000
"""Events of a file that are looked at."""
FILES = 20
"""Files that are looked at."""
BYTES = 4 * 2**20
"""Text of a file beyond which no more is looked at."""
AT_HAND = 2**16
"""Bytes of standard input that are looked at, if it has them at hand."""


class Sample(NamedTuple):
    """Signs in the first events of files.

    Examples:
        >>> from idmerge.files import sampled
        >>> sampled(["examples/shop.ndjson"])
        Sample(is_simplified=False, backward=None, offset=None,
        first='examples/shop.ndjson:1', likely_id=None, product=None)
    """

    is_simplified: bool = False
    """True if ordinary events name a device and a user, and no event states a link."""
    backward: str | None = None
    """The first event that was processed before one in front of it, as ``file:line``."""
    offset: str | None = None
    """The distance from UTC of times that are local, such as ``+05:30``, if times are read."""
    first: str | None = None
    """The first event, as ``file:line``."""
    likely_id: str | None = None
    """The property that is the likeliest to hold the ID of an event under another name."""
    product: str | None = None
    """The other product whose events these are, the first if there are several."""


def sampled(
    sources: Sequence[str | os.PathLike[str] | RereadableFile],
    *,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    reads_times: bool = False,
    timezone: str | None = None,
) -> Sample:
    """Return the signs in the first events of ``sources``; a file that cannot be read has none.

    ``dialect`` and ``columns`` are those of `idmerge.files.read`. Where the caller ``reads_times``,
    those that name no zone are of ``timezone``.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge.files import sampled
        >>> event = '{"event": "Login", "properties": {"$device_id": "d1", "$user_id": "ana"}}'
        >>> _ = Path("e.ndjson").write_text(event)
        >>> sampled(["e.ndjson"]).is_simplified
        True
    """
    choice = choice_of(dialect, columns)
    order = Order()
    has_both, has_links, backward = False, False, None
    receipts: list[Receipt] = []
    first: str | None = None
    names: dict[str, None] = {}
    products: list[str] = []

    def note(_path: str, read_as: Dialect | None) -> None:
        products.extend([read_as.product] if isinstance(read_as, VendorDialect) else [])

    for source in sources[:FILES]:
        if isinstance(source, RereadableFile):
            path, name = source.path, source.name
        else:
            path, name = os.fspath(source), name_of(source)
        for line, event in _first_events(path, name, choice, note):
            event_name, properties = event.get(EVENT), event.get(PROPERTIES)
            is_link = isinstance(event_name, str) and event_name in IDENTITY_EVENTS
            has_links |= is_link
            first = first or f"{name}:{line}"
            if isinstance(properties, dict):
                names.update(dict.fromkeys(properties))
            if not is_link and isinstance(properties, dict):
                has_both |= device_of(properties) is not None and user_of(properties) is not None
            if order.is_backward(event) and backward is None:
                backward = f"{name}:{line}"
            if reads_times and (receipt := _receipt_of(event)) is not None:
                receipts.append(receipt)
    likely = likely_id([key for key in names if key != ID and not key.startswith("$")])
    is_simplified, offset = has_both and not has_links, offset_of(receipts, timezone)
    return Sample(is_simplified, backward, offset, first, likely, next(iter(products), None))


def _receipt_of(event: Mapping[str, Any]) -> Receipt | None:
    """Return the time of ``event`` and the moment of its receipt.

    None where it has not both, or the time names its zone.
    """
    found = moment_of(event, (RECEIVED, PROCESSED))
    time = time_of(event)
    return None if found is None or time is None or _names_zone(time) else (time, found[1])


def _names_zone(time: object) -> bool:
    """Return whether a time of an event names its zone, so that it is not local."""
    return names_zone(time) or (isinstance(time, datetime) and time.tzinfo is not None)


def name_zones(sources: Sequence[RereadableFile], choice: Choice) -> bool:
    """Return whether most times of the first events of ``sources`` name their zone."""
    times = (
        time_of(event)
        for source in sources[:FILES]
        for _, event in _first_events(source.path, source.name, choice)
    )
    named = [_names_zone(time) for time in times if time is not None]
    return 2 * sum(named) > len(named)


def offset_in(table: pa.Table, timezone: str | None = None) -> str | None:
    """Return the distance from UTC of the times in ``table``, which has raw names, if it is local.

    Times that name no zone are of ``timezone``.
    """
    names = [name for name in (TIME, RECEIVED, PROCESSED, PROPERTIES) if table.column_names.count(name) == 1]
    first = table.select(names).slice(0, ROWS)
    if lacks(first, (RECEIVED, PROCESSED)):
        return None
    try:
        rows = plain(first).to_pylist()
        receipts = [_receipt_of(FLAT.event_of({EVENT: None, **_without_pairs(row)})) for row in rows]
    except (ValueError, OverflowError):  # A timestamp beyond the year 9999.
        return None
    return offset_of([receipt for receipt in receipts if receipt is not None], timezone)


def offset_of(receipts: Sequence[Receipt], timezone: str | None = None) -> str | None:
    """Return the distance from UTC of times that are local by the moments of their ``receipts``.

    Times that name no zone are of ``timezone``. None where they are not local; where some are of
    summer and some of winter, the more frequent distance.
    """
    if not receipts:
        return None
    try:
        arrow = import_pyarrow("times")
    except MissingExtraError:
        return None  # Whoever reads the times says so.
    texts = arrow.array([_text_of_time(time) for time, _ in receipts], arrow.large_string())
    times = milliseconds(in_utc(texts, timezone))
    known = times.is_valid().to_numpy(zero_copy_only=False)
    received = np.array([moment for _, moment in receipts], np.int64)[known]
    offsets = Offsets(is_zoned=timezone is not None)
    offsets.take(times.drop_null().to_numpy(), received)
    local = offsets.local()
    return None if local is None else zone_of(local)


def _text_of_time(time: object) -> str | None:
    """Return a time of an event as the text that means the same; None of what is none."""
    if isinstance(time, datetime):
        return time.isoformat()
    if isinstance(time, bool) or not isinstance(time, (str, int, float, Decimal)):
        return None
    return str(time)


def _first_events(
    path: str, name: str, choice: Choice, on_dialect: OnDialect = no_matter
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the first events of a file with their lines; none where it is no regular file."""
    try:
        if path == STDIN:
            yield from _of_text(name, io.BytesIO(_at_hand()), choice, on_dialect)
        elif not os.path.isfile(path):  # noqa: PTH113 - as for a path
            return
        elif format_of(RereadableFile(path, name)) is not None:
            yield from _of_table(RereadableFile(path, name), choice, on_dialect)
        else:
            with open(path, "rb") as stream:  # noqa: PTH123
                yield from _of_text(name, stream, choice, on_dialect)
    except (IdmergeError, OSError, ValueError, OverflowError):  # Whoever reads the file says so.
        return


def _at_hand() -> bytes:
    """Return the beginning of standard input, which stays to be read."""
    stream: Any = getattr(sys.stdin, "buffer", None)
    if stream is None:
        return b""
    if stream.seekable():
        place = stream.tell()
        text: bytes = stream.read(AT_HAND)
        stream.seek(place)
        return text
    return bytes(stream.peek(AT_HAND)) if hasattr(stream, "peek") else b""


def _of_text(
    name: str, stream: Any, choice: Choice, on_dialect: OnDialect
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with ExitStack() as stack:
        packed = CountedBytes(stream, lambda _count: None)
        text = text_of(name, stack.enter_context(unpacked(packed)), choice, on_dialect, as_raw=False)
        if text.dialect.content != "events":
            return
        size = 0
        for line, seen in islice(numbered_lines(name, text.stream, text.passed, text.head), ROWS):
            size += len(seen)
            if size > BYTES:
                return
            item = None if seen.isspace() else text.reader(line, seen)
            if item is not None and not isinstance(item, BadLine):
                yield line, item[1]


def _of_table(
    file: RereadableFile, choice: Choice, on_dialect: OnDialect
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    names = names_of(file)
    piece = next(iter(table_pieces(file, names, 0, lambda _count: None)), None)
    if piece is None or isinstance(piece, BadLine) or len(set(names)) < len(names):
        return
    dialect = choice.of(names)
    on_dialect(file.name, dialect)
    if dialect is not None and dialect.content == "events":
        for line, row in zip(piece.lines[:ROWS], piece.batch.slice(0, ROWS).to_pylist(), strict=True):
            yield line, dialect.event_of(_without_pairs(row))


def _without_pairs(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a table whose maps, lists of pairs in Python, are objects."""
    return {
        name: dict(cell) if isinstance(cell, list) and cell and isinstance(cell[0], tuple) else cell
        for name, cell in row.items()
    }
