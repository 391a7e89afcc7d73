"""The refused links of a project's log, in a file beside its journal.

The pipeline appends an entry for each event whose link was refused, and flushes it before it
commits the place in the log to the journal. So an entry is there if the journal has passed its
record. Entries behind the journal's place are of records that will be applied again: they are
dropped when the file is opened.

An entry is the offset behind its record, the place of the event in that record (lines that are not
blank, counted from 0), the code of the `Outcome`, and a checksum. What a crash has torn is behind
the journal's place, and is cut off.
"""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from idmerge.files import replacing
from idmerge.files.syncing import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Codes = Mapping[int, Mapping[int, int]]
    """The codes of outcomes by the offset behind a record, and the place of an event in it."""

_ENTRY = struct.Struct("<QIB")
_SIZE = _ENTRY.size + 3
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)

Entry = tuple[int, int, int]
"""The offset behind a record, the place of an event in it, and the code of the outcome."""


class Outcomes:
    r"""The refused links of a log, by the offset behind their record.

    Args:
        path: The file; it is made if it is not there.
        place: The journal's place in the log; entries behind it are dropped.

    Raises:
        OSError: The file cannot be read or written.

    Examples:
        >>> from idmerge import Outcome
        >>> from idmerge.server.store.outcomes import Outcomes
        >>> outcomes = Outcomes("outcomes")
        >>> outcomes.add([(120, 0, Outcome.SAME_IDS), (240, 3, Outcome.ANON_CLAIMED)])
        >>> outcomes.unsaved, outcomes.save(), outcomes.unsaved
        (2, None, 0)
        >>> outcomes = Outcomes("outcomes", place=120)
        >>> dict(outcomes.within(0, 240))
        {120: {0: 2}}
        >>> outcomes.drop_before(120)
        >>> dict(outcomes.within(0, 240))
        {}
    """

    def __init__(self, path: str | os.PathLike[str], place: int = 0) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._by_record: dict[int, dict[int, int]] = {}
        self._unsaved: list[Entry] = []
        self._length = 0
        os.close(os.open(self._path, _OPEN, 0o600))
        with self._path.open("r+b") as file:
            content = file.read()
            while (entry := _entry_at(content, self._length)) is not None and entry[0] <= place:
                self._note(entry)
                self._length += _SIZE
            if self._length < len(content):
                file.truncate(self._length)
            os.fsync(file.fileno())
        sync_directory(self._path.parent)

    @property
    def unsaved(self) -> int:
        """The number of entries that are not on disk."""
        return len(self._unsaved)

    def add(self, entries: Iterable[Entry]) -> None:
        """Add entries, in the order of the log."""
        with self._lock:
            for entry in entries:
                self._unsaved.append(entry)
                self._note(entry)

    def _note(self, entry: Entry) -> None:
        behind, place, code = entry
        self._by_record.setdefault(behind, {})[place] = code

    def save(self) -> None:
        """Write what was added and flush it; what fails is written again by the next call.

        Raises:
            OSError: It could not be written.
        """
        with self._lock:
            if not self._unsaved:
                return
            content = b"".join(map(_packed, self._unsaved))
            with self._path.open("r+b") as file:
                file.seek(self._length)  # In place of what a failed attempt has left.
                file.write(content)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
            self._length += len(content)
            self._unsaved.clear()

    def within(self, begin: int, end: int) -> Codes:
        """Return the codes of events, by the offset behind their record, of records in a range."""
        with self._lock:
            return {behind: dict(found) for behind, found in self._by_record.items() if begin < behind <= end}

    def drop_before(self, offset: int) -> None:
        """Drop the entries of records up to an offset, whose events have their outcomes elsewhere.

        Raises:
            OSError: The file could not be written anew; nothing is lost.
        """
        with self._lock:
            kept = {behind: found for behind, found in self._by_record.items() if behind > offset}
            if len(kept) == len(self._by_record):
                return
            unsaved = {entry[:2] for entry in self._unsaved}
            content = b"".join(
                _packed((behind, place, code))
                for behind, found in kept.items()
                for place, code in found.items()
                if (behind, place) not in unsaved
            )
            with replacing(os.fspath(self._path)) as file:
                file.write(content)
            self._length = len(content)
            self._by_record = kept


def outcomes_in(path: Path) -> Codes:
    """Return the codes in a file of outcomes, as `Outcomes.within` does, and leave it as it is.

    Raises:
        OSError: It cannot be read.
    """
    content = path.read_bytes() if path.exists() else b""
    found: dict[int, dict[int, int]] = {}
    start = 0
    while (entry := _entry_at(content, start)) is not None:
        behind, place, code = entry
        found.setdefault(behind, {})[place] = code
        start += _SIZE
    return found


def _packed(entry: Entry) -> bytes:
    content = _ENTRY.pack(*entry)
    return content + crc32(content).to_bytes(4, "little")[:3]


def _entry_at(content: bytes, start: int) -> Entry | None:
    whole = content[start : start + _SIZE]
    if len(whole) < _SIZE:
        return None
    entry: Entry = _ENTRY.unpack_from(whole)
    return entry if _packed(entry) == whole else None
