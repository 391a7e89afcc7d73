"""The form of a log's files: records as frames with checksums, in groups.

A frame is a head, the project's name and the record's lines. The records that one write brings to
the disk are a group; its last frame has a mark. A file is a segment of the log. It is named by the
offset of its first byte, and has nothing but frames.

1. Each frame has the CRC-32 of its offset and of all that it holds, so neither a damaged frame nor
   a whole one in another place is read as a record.
2. Each frame has the distance to the beginning of its group. A group is written when the one before
   is on disk, so a crash can tear the last one alone, and in any of its parts: the system writes
   pages in any order.
3. So what follows the last whole group was never acknowledged if no frame of a later group is
   behind it. If there is one, acknowledged records are damaged.

The core reads and writes frames (`rust/events/src/frames.rs` has their form). Their first bytes are
in no JSON: one is no UTF-8, and one is a control character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, get_args

from idmerge import _core
from idmerge.errors import LogError
from idmerge.events import Source
from idmerge.server.log.records import Record, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from mmap import mmap

MAGIC = b"\xff\x00L\x01"
"""The first bytes of a frame."""
HEAD = 28
"""The bytes of a frame before the name."""
MOST_NAME_BYTES = 255
MOST_BYTES = 1 << 30
"""The most bytes of one append."""
PART_BYTES = 256 << 10
"""Bytes that are read at once. A longer record is also written by itself, without a copy."""

_STREAMS: tuple[Stream, ...] = get_args(Stream)
_SOURCES: tuple[Source, ...] = get_args(Source)
_STREAM_CODES = {stream: code for code, stream in enumerate(_STREAMS)}
_SOURCE_CODES = {source: code for code, source in enumerate(_SOURCES)}


class Frame(NamedTuple):
    """A record in a log."""

    record: Record
    end: int
    """The offset behind it."""
    group: int
    """The offset at which its group begins."""
    ends_group: bool


def size_of(record: Record) -> int:
    """Return the length of the record's frame.

    Raises:
        ValueError: It cannot be a record: its lines do not end, or a field has no such value.
    """
    name = len(record.project.encode())
    if not 0 < name <= MOST_NAME_BYTES:
        raise ValueError(f"a project's name must have 1 to {MOST_NAME_BYTES} bytes, got {name}")
    if record.stream not in _STREAMS or record.source not in _SOURCES:
        raise ValueError(f"no record is of {record.stream!r} by {record.source!r}")
    if not record.lines.endswith(b"\n"):
        raise ValueError(f"the lines of a record must each end in a newline, got {len(record.lines)} bytes")
    if not 0 <= record.received < 1 << 63:
        raise ValueError(f"received must be in milliseconds since 1970, got {record.received}")
    return HEAD + name + len(record.lines)


def frame(record: Record, offset: int, group: int, *, ends_group: bool) -> tuple[bytes, bytes]:
    """Return the frame of a record at ``offset``, whose group begins at the offset ``group``.

    It is in two parts: what stands before the record's lines, and these, which are not copied.
    """
    project, stream, source, received, lines = record
    front = _core.frame_front(
        project,
        _STREAM_CODES[stream],
        _SOURCE_CODES[source],
        received,
        lines,
        offset=offset,
        group=group,
        ends_group=ends_group,
    )
    return front, lines


def frame_at(data: bytes | mmap, place: int, offset: int) -> Frame | None:
    """Return the whole frame at ``place`` of the data, ``offset`` of the log; None for none."""
    length = _core.frame_length(data[place : place + HEAD], 0)
    if length is None:
        return None
    for row in _core.whole_frames(data[place : place + length], 0, offset, offset + length):
        if (record := _record(row)) is not None:
            return Frame(record, *row[5:])
    return None


def records_in(file: FileIO, base: int, offset: int, end: int) -> Iterator[tuple[Record, int]]:
    """Yield the records of a segment from ``offset`` on, each with the offset behind it.

    They end at ``end``, or before the first one that is not whole, or is damaged.

    Args:
        file: The segment.
        base: The offset of its first byte.
        offset: The offset of the first record that is wanted.
        end: The offset behind the last one.
    """
    while offset < end:
        file.seek(offset - base)
        data = file.read(PART_BYTES)
        found = _core.whole_frames(data, 0, offset, end) or _long(file, data, base, offset, end)
        if not found:
            return
        for row in found:
            if (record := _record(row)) is None:
                return
            offset = row[5]
            yield record, offset


def _long(file: FileIO, data: bytes, base: int, offset: int, end: int) -> list[_core._FrameRow]:
    """Return the frame that begins with ``data``, whose lines are read into their place."""
    length, front = _core.frame_length(data, 0), _core.frame_front_length(data)
    if length is None or front is None or length <= len(data) or offset + length > end:
        return []
    file.seek(offset - base + front)
    found = _core.frame_of_parts(data[:front], file.read(length - front), offset)
    return [] if found is None else [found]


def _record(row: _core._FrameRow) -> Record | None:
    """Return the record of a frame; None if its codes are of no stream, or of no source."""
    project, stream, source, received, lines, *_ = row
    if stream >= len(_STREAMS) or source >= len(_SOURCES):
        return None
    return Record(project, _STREAMS[stream], _SOURCES[source], received, lines)


def sound_length(name: str, data: bytes | mmap, base: int) -> int:
    """Return the length of the whole groups at the beginning of a log's last segment.

    Args:
        name: The file's name in messages.
        data: Its content.
        base: The offset of its first byte.

    Raises:
        LogError: A later group is behind what is not whole.
    """
    place = sound = 0
    while (found := frame_at(data, place, base + place)) is not None and found.group == base + sound:
        place = found.end - base
        if found.ends_group:
            sound = place
    behind = place
    while (behind := data.find(MAGIC, behind)) >= 0:
        other = frame_at(data, behind, base + behind)
        if other is not None and other.group != base + sound:
            raise LogError(damage(name, base + place, f"whole records follow at {base + behind}"))
        behind += 1
    return sound


def damage(name: str, offset: int, why: str) -> str:
    """Return the message of damage in a segment."""
    return (
        f"{name}: the log is damaged at offset {offset}: {why}; put back a copy of the file, if there is one"
    )
