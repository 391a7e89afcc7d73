"""A file of updates that only grows: what has happened to profiles since a store of them was made.

    {"idmerge_updates": 1, "place": 5120, "updates": 17, "$crc32": "…"}
    {"$distinct_id": "ana", "$ignore_alias": true, "$set": {"plan": "pro"}}
    {"place": 6144, "journal": 6144, "updates": 18, "$crc32": "…"}

1. Each update is for the profile that is stored under that very ID.
2. The updates of one flush are a *group*, which ends with a mark: the offset in the log behind
   them, the offset that the journal must have reached for them to count, and the number of all
   updates so far. Its checksum is over the group.
3. A group is written when the one before is on disk, so a crash can tear the last one alone.
   Whatever else is not whole is damage.
4. After a flush that failed, nothing is appended to that file any more: a copy of what was flushed
   before takes its place, together with what is to be added.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from zlib import crc32

from idmerge._naming import named
from idmerge.errors import FileFormatError
from idmerge.files import replacing
from idmerge.profiles.store import sealed, unsealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORM = 1
"""The version of the form; a reader refuses a later one."""
_COPY_BYTES = 1 << 20
_HEADER, _MARK = b'{"idmerge_updates": ', b'{"place": '
_FORM = re.compile(rb'\{"idmerge_updates": ([0-9]+)')
_OPENED = os.O_RDWR | getattr(os, "O_BINARY", 0)
_flush = getattr(os, "fdatasync", os.fsync)
WHOLE_COPY = "put back a copy of the server's whole directory"


class Mark(NamedTuple):
    """The end of a group, or the beginning of a file."""

    place: int
    """The offset in the log up to which updates are applied."""
    journal: int
    """The offset in the log that the journal must have reached for this to count."""
    number: int
    """The number of updates up to here, of all files."""


class Group(NamedTuple):
    """Updates that were flushed together."""

    updates: list[bytes]
    """Their lines."""
    mark: Mark
    end: int
    """The length of the file up to its end."""


def begin(path: Path, mark: Mark) -> None:
    """Make a file without updates, whole or not at all.

    Raises:
        OSError: It could not be written.
    """
    text = b'%b%d, "place": %d, "updates": %d}' % (_HEADER, FORM, mark.place, mark.number)
    with replacing(os.fspath(path)) as stream:
        stream.write(sealed(text))


def group(updates: Sequence[bytes], mark: Mark) -> bytes:
    """Return what is written of a group; each update is a text without a line's end."""
    lines = b"".join(update + b"\n" for update in updates)
    text = b'%b%d, "journal": %d, "updates": %d}' % (_MARK, *mark)
    return lines + sealed(text, crc32(lines))


def read(path: Path) -> tuple[Group, Iterator[Group]]:
    """Return the beginning of a file, without updates, and its groups, which are read one by one.

    Raises:
        FileFormatError: It is damaged, or of a later form; also while groups are read.
        OSError: It cannot be read.
    """
    name = named(path)
    with path.open("rb") as stream:
        line = stream.readline()
    form = _FORM.match(line)
    if form is None:
        raise FileFormatError(f"{name}: the file is no file of a server's updates; {WHOLE_COPY}")
    if int(form[1]) != FORM:
        raise FileFormatError(
            f"{name}: the file has form {int(form[1])}, and this version of idmerge reads form {FORM}; "
            "install a later one"
        )
    stated = json.loads(unsealed(f"{name}:1", line))
    start = Mark(stated["place"], 0, stated["updates"])
    return Group([], start, len(line)), _groups(path, name, len(line), start.number)


def _groups(path: Path, name: str, end: int, number: int) -> Iterator[Group]:
    with path.open("rb") as stream:
        stream.seek(end)
        while (found := _group(stream, end, number)) is not None:
            yield found
            end, number = found.end, found.mark.number
        stream.seek(end)
        _check_is_torn(name, stream)


def _group(stream: BinaryIO, start: int, number: int) -> Group | None:
    """Return the group at ``start``; None if no whole one is there."""
    updates: list[bytes] = []
    checksum, end = 0, start
    for line in stream:
        end += len(line)
        if not line.startswith(_MARK):
            updates.append(line[:-1])
            checksum = crc32(line, checksum)
            continue
        try:
            stated = json.loads(unsealed("", line, checksum))
        except FileFormatError:
            return None
        mark = Mark(stated["place"], stated["journal"], stated["updates"])
        return Group(updates, mark, end) if mark.number == number + len(updates) else None
    return None


def _check_is_torn(name: str, stream: BinaryIO) -> None:
    """Make sure that what is left is one group that was being written: its mark ends the file."""
    start = stream.tell()
    for line in stream:
        if line.startswith(_MARK) and stream.read(1):
            raise FileFormatError(
                f"{name}: the updates behind byte {start} are damaged, and more follow; {WHOLE_COPY}"
            )


class UpdateFile:
    """A file that `begin` made, open to append groups.

    Args:
        path: The file.
        length: The length of what counts of it; the rest is cut off.
    """

    def __init__(self, path: Path, length: int) -> None:
        self.path = path
        self.length = length
        self._is_suspect = False
        self._descriptor = os.open(path, _OPENED)
        try:
            os.ftruncate(self._descriptor, length)
            os.fsync(self._descriptor)  # Whatever was read may have been in the system's memory alone.
        except BaseException:
            self.close()
            raise

    def append(self, content: bytes) -> None:
        """Append groups; when this returns, they are on disk.

        Raises:
            OSError: They could not be written, and may be appended again.
        """
        if self._is_suspect:
            self._replace(content)
        else:
            try:
                self._is_suspect = True
                self._write(content)
            except OSError:
                with suppress(OSError):  # The room is needed.
                    os.ftruncate(self._descriptor, self.length)
                raise
        self._is_suspect = False
        self.length += len(content)

    def _write(self, content: bytes) -> None:
        os.lseek(self._descriptor, self.length, os.SEEK_SET)
        view = memoryview(content)
        while view:
            view = view[os.write(self._descriptor, view) :]
        _flush(self._descriptor)

    def _replace(self, content: bytes) -> None:
        with replacing(os.fspath(self.path)) as stream:
            with self.path.open("rb") as old:
                left = self.length
                while left and (piece := old.read(min(left, _COPY_BYTES))):
                    left -= len(piece)
                    stream.write(piece)
            if left:
                raise FileFormatError(f"{named(self.path)}: the file was cut by somebody else; {WHOLE_COPY}")
            stream.write(content)
        descriptor = os.open(self.path, _OPENED)
        self.close()
        self._descriptor = descriptor

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
