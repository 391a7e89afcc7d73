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

The first bytes of a frame are in no JSON: one is no UTF-8, and one is a control character.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, get_args
from zlib import crc32

from idmerge.errors import LogError
from idmerge.events import Source
from idmerge.server.log.records import Record, Stream

if TYPE_CHECKING:
    from mmap import mmap

MAGIC = b"\xff\x00L\x01"
"""The first bytes of a frame; the last one is the version of the form."""
_FRONT = struct.Struct("<4sI")
"""Those and the checksum."""
_REST = struct.Struct("<IIQBBBB")
"""The length of name and lines, the distance to the group's beginning, the time received, the codes
of stream and source, 1 at the end of a group, and the length of the name."""
_LENGTH = struct.Struct("<I")
_OFFSET = struct.Struct("<Q")
HEAD = _FRONT.size + _REST.size
MOST_NAME_BYTES = 255
MOST_BYTES = 1 << 30
"""The most bytes of one append."""

_STREAMS: tuple[Stream, ...] = get_args(Stream)
_SOURCES: tuple[Source, ...] = get_args(Source)


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
    name = record.project.encode()
    rest = _REST.pack(
        len(name) + len(record.lines),
        offset - group,
        record.received,
        _STREAMS.index(record.stream),
        _SOURCES.index(record.source),
        ends_group,
        len(name),
    )
    front = rest + name
    checksum = crc32(record.lines, crc32(front, crc32(_OFFSET.pack(offset))))
    return _FRONT.pack(MAGIC, checksum) + front, record.lines


def frame_at(data: bytes | mmap, place: int, offset: int) -> Frame | None:
    """Return the whole frame at ``place`` of the data, ``offset`` of the log; None for none."""
    length = length_at(data, place)
    if length is None or place + length > len(data):
        return None
    lines = place + front_at(data, place)
    return frame_of(data[place:lines], data[lines : place + length], offset)


def frame_of(front: bytes, lines: bytes, offset: int) -> Frame | None:
    """Return the frame of such lines behind their ``front``; None if they are none, or damaged."""
    _, checksum = _FRONT.unpack_from(front)
    if crc32(lines, crc32(front[_FRONT.size :], crc32(_OFFSET.pack(offset)))) != checksum:
        return None
    _, distance, received, stream, source, ends_group, _ = _REST.unpack_from(front, _FRONT.size)
    record = Record(front[HEAD:].decode(), _STREAMS[stream], _SOURCES[source], received, lines)
    return Frame(record, offset + len(front) + len(lines), offset - distance, bool(ends_group))


def front_at(data: bytes | mmap, place: int) -> int:
    """Return the length of what stands before the lines of the frame whose head is at ``place``."""
    return HEAD + data[place + HEAD - 1]


def length_at(data: bytes | mmap, place: int) -> int | None:
    """Return the length that the frame at ``place`` states, or None where none begins."""
    if place + HEAD > len(data) or data[place : place + len(MAGIC)] != MAGIC:
        return None
    length: int = _LENGTH.unpack_from(data, place + _FRONT.size)[0]
    return HEAD + length


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
