"""A batch of a journal, its statements, and the checks of them.

Each batch is whole by its checksums, and follows the one before. In format 2 what it states has a
checksum of its own, and so has each of its blocks: a reader of a part checks that part. In format 1
there is one checksum of everything, so to read a part of a batch is to read all of it.
"""

from __future__ import annotations

import json
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from idmerge.errors import JournalError
from idmerge.journal.facts import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import UnionType


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(time: datetime) -> int:
    """Return a time as a batch states it.

    Raises:
        ValueError: ``time`` has no time zone.
    """
    if time.tzinfo is None:
        raise ValueError(f"a time needs a time zone, got {time!r}")
    return (time - _EPOCH) // timedelta(microseconds=1)


def moment(written_at: int) -> datetime:
    """Return the time that a batch states, in UTC."""
    return _EPOCH + timedelta(microseconds=written_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A commit, or a part of one that can be read alone.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.journal import open_journal
        >>> with DurableResolver.open("ids.idmerge") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit()
        >>> journal = open_journal("ids.idmerge", create=False, read_only=True)
        >>> batch = journal.batch(0)
        >>> batch.check()
        >>> batch.steps, batch.time.tzname(), batch.head()["goes_on"]
        (1, 'UTC', 0)
        >>> batch.sealed() == batch, batch.computed_checksum() == batch.checksum
        (True, True)
        >>> batch.without_blocks().texts
        b''
        >>> journal.close()
    """

    number: int
    """Its place, counted from 0."""
    position: int
    """The position of its first link or act."""
    end_position: int
    """The position behind its last one."""
    first_id: int
    """The number of the first ID that became known in it."""
    end_id: int
    """The number behind the last one."""
    steps: int
    """The number of steps, observations included."""
    written_at: int
    """The time of its commit: microseconds since 1970 in UTC, by the writer's clock."""
    offsets: str | None
    """The positions in the sources that its commit changed, as JSON: null for a source that is
    gone. In format 1 the positions of all sources. None if there are none to state."""
    retractions: str | None
    """The positions of its retractions and of what each takes back, as JSON; None for none."""
    goes_on: int = 0
    """1 if its commit goes on in the next batch, else 0; format 1 has no such mark."""
    texts_checksum: int = 0
    """That of ``texts``; 0 in format 1."""
    block_checksum: int = 0
    """That of ``block``; 0 in format 1."""
    checksum: int = 0
    """That of everything above, and of both blocks' lengths; in format 1 also of the blocks."""
    block: bytes = field(repr=False)
    """The block of the steps; empty if there is none."""
    texts: bytes = field(repr=False)
    """The block of the texts; empty if no step is there."""

    @property
    def time(self) -> datetime:
        """The time of its commit, in UTC."""
        return moment(self.written_at)

    def head(self) -> dict[str, Any]:
        """Return what the batch states beside its blocks, and how long they are."""
        stated = {name: getattr(self, name) for name in HEADS}
        return {**stated, "text_bytes": len(self.texts), "block_bytes": len(self.block)}

    def without_blocks(self) -> Batch:
        """Return the batch without its blocks, to be remembered."""
        return replace(self, texts=b"", block=b"")

    def sealed(self, version: int = FORMAT) -> Batch:
        """Return the batch with the checksums that it must have in a journal of this format."""
        if version == 1:
            return replace(self, checksum=_checksum_1(self))
        texts, block = zlib.crc32(self.texts), zlib.crc32(self.block)
        head = {**self.head(), "texts_checksum": texts, "block_checksum": block}
        return replace(self, texts_checksum=texts, block_checksum=block, checksum=_head_checksum(head))

    def computed_checksum(self, version: int = FORMAT) -> int:
        """Return the checksum that the batch must have (CRC-32)."""
        return self.sealed(version).checksum

    def check(self, version: int = FORMAT) -> None:
        """Make sure that the batch is whole.

        Raises:
            JournalError: It is damaged; the message names it.
        """
        if version == 1:
            _check_equal(self.number, self.checksum, _checksum_1(self))
            return
        check_block(self.number, self.texts, self.texts_checksum)
        check_block(self.number, self.block, self.block_checksum)
        _check_equal(self.number, self.checksum, _head_checksum(self.head()))


FIELDS = tuple(field.name for field in fields(Batch))
"""The fields of a row of batches, in this order."""
COLUMNS = {name: {"position": "seq", "end_position": "end_seq"}.get(name, name) for name in FIELDS}
"""The stored name of each field's column."""
HEADS = tuple(name for name in FIELDS if name not in ("texts", "block"))
"""The same without the blocks."""
HEAD_ROWS = (*HEADS, "text_bytes", "block_bytes")
"""The fields of a head: the same, and the lengths of the blocks."""
SINCE_FORMAT_2 = ("goes_on", "texts_checksum", "block_checksum")
"""The fields for which format 1 has no columns."""
_SUMMED = tuple(name for name in HEAD_ROWS if name != "checksum")
_SUMMED_1 = tuple(name for name in HEADS if name not in ("checksum", *SINCE_FORMAT_2))


def fields_stored(version: int) -> list[str]:
    """Return the fields for which a journal of this format has columns."""
    return [name for name in FIELDS if version > 1 or name not in SINCE_FORMAT_2]


def _checksum_1(batch: Batch) -> int:
    """Return the checksum that a batch must have in format 1."""
    head = [*(getattr(batch, name) for name in _SUMMED_1), len(batch.texts)]
    return zlib.crc32(batch.block, zlib.crc32(batch.texts, zlib.crc32(json.dumps(head).encode())))


def _head_checksum(head: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps([head[name] for name in _SUMMED]).encode())


def _check_equal(number: int, stated: int, computed: int) -> None:
    if stated != computed:
        raise JournalError(f"batch {number} is damaged: its checksum is not that of its content")


def check_block(number: int, block: bytes, checksum: int) -> None:
    """Make sure that a block of the batch ``number`` is the one whose checksum the batch states.

    Raises:
        JournalError: It is damaged; the message names the batch.
    """
    _check_equal(number, checksum, zlib.crc32(block))


_TYPES: dict[str, type | UnionType] = {
    **dict.fromkeys(HEAD_ROWS, int),
    **dict.fromkeys(("offsets", "retractions"), str | None),
    **dict.fromkeys(("texts", "block"), bytes),
}


class Chain:
    """The checks of a journal's batches, one after the other.

    Args:
        name: The name of the journal in messages.
        version: Its format.
        after: The batch before the first one that is checked.
    """

    def __init__(self, name: str, version: int, after: Batch | None = None) -> None:
        self._name = name
        self._version = version
        self._next = (0, 0, 0) if after is None else (after.number + 1, after.end_position, after.end_id)
        self._goes_on = 0

    def batches(self, rows: Iterable[Sequence[Any]], head: int | None) -> Iterator[Batch]:
        """Yield the batches in rows of `FIELDS`, each once it is whole and follows the one before.

        Raises:
            JournalError: A batch is damaged or missing, or ``head`` (-1: none) is not the last one.
        """
        for row in rows:
            batch = self.batch(row)
            self._follow(batch.head())
            yield batch
        self._end(head)

    def heads(self, rows: Iterable[Sequence[Any]], head: int | None) -> Iterator[Mapping[str, Any]]:
        """Yield the heads in rows of `HEAD_ROWS` likewise; format 1 has rows of whole batches."""
        if self._version == 1:
            yield from (batch.head() for batch in self.batches(rows, head))
            return
        for row in rows:
            found = self._head(row)
            self._follow(found)
            yield found
        self._end(head)

    def blocks(self, rows: Iterable[Sequence[Any]], start: int, end: int) -> Iterator[bytes]:
        """Yield the blocks of steps of the batches ``start`` to before ``end``, likewise.

        The rows hold `HEAD_ROWS` and the block; in format 1 whole batches.
        """
        number = start
        for row in rows:
            batch = self.batch(row) if self._version == 1 else None
            found = self._head(row[:-1]) if batch is None else batch.head()
            block = row[-1] if batch is None else batch.block
            with self._named():
                if not isinstance(block, bytes):
                    raise JournalError(f"batch {number} is damaged: its block is {block!r:.50}")
                if batch is None:
                    check_block(number, block, found["block_checksum"])
            if number == start:  # Where it begins depends on batches that are not read.
                self._next = (start, found["position"], found["first_id"])
            self._follow(found)
            yield block
            number += 1
        if end > start:  # It may be in the middle of a commit.
            self._end_at(end - 1)

    def batch(self, row: Sequence[Any]) -> Batch:
        """Return the batch in a row of `FIELDS`, known to be whole.

        Raises:
            JournalError: It is damaged; the message names it.
        """
        with self._named():
            batch = Batch(**_typed(FIELDS, row))
            batch.check(self._version)
        return batch

    def _head(self, row: Sequence[Any]) -> dict[str, Any]:
        with self._named():
            found = _typed(HEAD_ROWS, row)
            _check_equal(found["number"], found["checksum"], _head_checksum(found))
        return found

    def _follow(self, head: Mapping[str, Any]) -> None:
        number, position, first_id = self._next
        if (head["number"], head["position"], head["first_id"]) != self._next:
            raise JournalError(
                f"{self._name}: batch {number} is missing: behind it comes batch {head['number']}, which "
                f"begins at position {head['position']} and ID {head['first_id']}, "
                f"not at {position} and {first_id}"
            )
        self._next = (number + 1, head["end_position"], head["end_id"])
        self._goes_on = head["goes_on"]

    def _end(self, head: int | None) -> None:
        """Make sure that the last batch was the one of this number, with which its commit ends."""
        self._end_at(head)
        if self._goes_on:
            raise JournalError(
                f"{self._name}: the commit of batch {head} goes on, and nothing comes behind it"
            )

    def _end_at(self, number: int | None) -> None:
        """Make sure that the last batch was the one of this number."""
        found = self._next[0] - 1
        if found != number:
            raise JournalError(f"{self._name}: the last batch must be {number}, found {found}")

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except JournalError as error:
            raise JournalError(f"{self._name}: {error}") from error


def _typed(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(names, row, strict=True))
    for name, value in found.items():
        if not isinstance(value, _TYPES[name]):
            raise JournalError(f"batch {found['number']!r} is damaged: {name} is {value!r:.50}")
    return found
