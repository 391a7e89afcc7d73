"""What a journal is made of, and what whoever keeps one offers."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from idmerge.errors import JournalError, PolicyError
from idmerge.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import UnionType

FORMAT = 1
"""The version of a journal's format: what another version wrote is not read."""

MEMORY = ":memory:"
"""The path of a journal that is gone with its resolver."""

Offsets = dict[str, int | str]
"""Positions in the caller's sources, by the sources' names."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What holds for a whole journal."""

    policy: Policy
    """By which its links are judged."""
    canonical: str
    """Who names a cluster."""
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the facts as JSON, with their checksum."""
        policy = {**asdict(self.policy), "blocked_ids": sorted(self.policy.blocked_ids)}
        stated = {"format": self.format, "canonical": self.canonical, "policy": policy}
        return json.dumps({**stated, "checksum": _checksum(stated)})

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """Return the facts that ``text`` states.

        Raises:
            JournalError: It states none, or those of another format.
        """
        try:
            stated = json.loads(text)
            found = stated["format"]
            checksum = stated.pop("checksum", None)
            if found != FORMAT:
                raise JournalError(
                    f"the journal has format {found!r}, and this version reads format {FORMAT}; "
                    "read it with the version of idmerge that wrote it"
                )
            if checksum != _checksum(stated):
                raise JournalError("the journal's facts are damaged: their checksum is another one")
            known = {field.name for field in fields(Policy)}
            if set(stated["policy"]) != known:
                found = sorted(stated["policy"])
                raise JournalError(f"the journal's policy has the fields {found}, expected {sorted(known)}")
            policy = Policy(**{**stated["policy"], "blocked_ids": frozenset(stated["policy"]["blocked_ids"])})
            return cls(policy=policy, canonical=stated["canonical"])
        except (ValueError, TypeError, KeyError, PolicyError) as error:
            if isinstance(error, JournalError):
                raise
            raise JournalError(f"the journal's facts are damaged: {error!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What was committed at once."""

    number: int
    """Its place, counted from 0."""
    seq: int
    """The position of its first link or act."""
    end_seq: int
    """The position behind its last one."""
    first_id: int
    """The number of the first ID that became known in it."""
    end_id: int
    """The number behind the last one."""
    steps: int
    """How many steps it holds, observations included."""
    written_at: int
    """When it was committed: microseconds since 1970 in UTC, by the writer's clock."""
    offsets: str | None
    """The positions of all sources after it as JSON, if the commit stated any."""
    retractions: str | None
    """The positions of its retractions and of what each takes back, as JSON; None for none."""
    texts: bytes = field(repr=False)
    """The block of the texts; empty if no step is there."""
    block: bytes = field(repr=False)
    """The block of the steps; empty if there is none."""
    checksum: int = 0
    """That of everything above."""

    @property
    def time(self) -> datetime:
        """When it was committed, in UTC."""
        return moment(self.written_at)

    def computed_checksum(self) -> int:
        """Return the checksum that the batch must have (CRC-32)."""
        head = [
            self.number,
            self.seq,
            self.end_seq,
            self.first_id,
            self.end_id,
            self.steps,
            self.written_at,
            self.offsets,
            self.retractions,
            len(self.texts),
        ]
        return zlib.crc32(self.block, zlib.crc32(self.texts, zlib.crc32(json.dumps(head).encode())))

    def check(self) -> None:
        """Make sure that the batch is whole.

        Raises:
            JournalError: It is damaged; the message names it.
        """
        if self.checksum != self.computed_checksum():
            raise JournalError(f"batch {self.number} is damaged: its checksum is not that of its content")

    def check_follows(self, before: Batch | None) -> None:
        """Make sure that the batch is whole and follows ``before``.

        Raises:
            JournalError: It is damaged, or a batch is missing; the message names it.
        """
        self.check()
        expected = (0, 0, 0) if before is None else (before.number + 1, before.end_seq, before.end_id)
        if (self.number, self.seq, self.first_id) != expected:
            raise JournalError(
                f"batch {expected[0]} is missing: behind it comes batch {self.number}, which begins at "
                f"position {self.seq} and ID {self.first_id}, not at {expected[1]} and {expected[2]}"
            )


FIELDS = tuple(field.name for field in fields(Batch))
"""What a row of batches holds, in this order."""
HEADS = tuple(name for name in FIELDS if name not in ("texts", "block"))
"""The same without the blocks."""


def checked(
    name: str, rows: Iterable[Sequence[Any]], after: Batch | None, head: int | None
) -> Iterator[Batch]:
    """Yield the batches that ``rows`` hold, each once it is known to be whole and to follow the one before.

    Args:
        name: How messages name the journal.
        rows: The `FIELDS` of each batch behind ``after``, in order.
        after: The batch before the first one.
        head: The number of the batch that must be the last one; -1 if there must be none.

    Raises:
        JournalError: A batch is damaged or missing; the message names it.
    """
    last = after
    for row in rows:
        try:
            batch = _batch(dict(zip(FIELDS, row, strict=True)))
            batch.check_follows(last)
        except JournalError as error:
            raise JournalError(f"{name}: {error}") from error
        yield batch
        last = batch
    found = -1 if last is None else last.number
    if found != head:
        raise JournalError(f"{name}: the last batch must be {head}, found {found}")


_TYPES: dict[str, type | UnionType] = {
    **dict.fromkeys(FIELDS, int),
    **dict.fromkeys(("offsets", "retractions"), str | None),
    **dict.fromkeys(("texts", "block"), bytes),
}


def checked_row(name: str, row: Sequence[Any] | None) -> Batch | None:
    """Return the batch in a row of `FIELDS`, known to be whole; None for no row.

    Raises:
        JournalError: It is damaged; the message names it.
    """
    if row is None:
        return None
    try:
        batch = _batch(dict(zip(FIELDS, row, strict=True)))
        batch.check()
    except JournalError as error:
        raise JournalError(f"{name}: {error}") from error
    return batch


def _batch(row: dict[str, Any]) -> Batch:
    for name, value in row.items():
        if not isinstance(value, _TYPES[name]):
            raise JournalError(f"batch {row['number']!r} is damaged: {name} is {value!r:.50}")
    return Batch(**row)


def _checksum(stated: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(stated).encode())


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


class Journal(Protocol):
    """Where batches are kept. One writer at a time; whoever reads sees whole batches only."""

    name: str
    """How messages name it."""
    checkpoint: Path | None
    """Where a checkpoint may stand; None if there is no place for one."""

    def facts(self) -> Facts | None:
        """Return what was stated when the journal was made; None if nothing was yet."""

    def state(self, facts: Facts) -> None:
        """State what holds for the whole journal, once."""

    def append(self, batch: Batch) -> None:
        """Keep ``batch`` behind all others; when this returns, it is on disk.

        Raises:
            OSError: It could not be written; the journal is as it was before.
        """

    def batches(self, after: Batch | None = None) -> Generator[Batch]:
        """Yield the batches behind ``after``, or all, in order, as they are at this moment.

        Raises:
            JournalError: A batch is missing or damaged, up to the last one that was committed.
        """

    def batch(self, number: int) -> Batch | None:
        """Return the batch with this number; None if there is none.

        Raises:
            JournalError: It is damaged.
        """

    def blocks(self, start: int, end: int) -> list[bytes]:
        """Return the blocks of steps of the batches from number ``start`` to before ``end``, in order."""

    def heads(self) -> Iterator[Mapping[str, Any]]:
        """Yield the fields of each batch, blocks apart, without checking anything."""

    def times(self) -> list[tuple[int, int]]:
        """Return the position at which each batch ends, and when it was written, in order."""

    def rewrite(self, batch: Batch) -> None:
        """Keep ``batch`` in place of the one with its number."""

    def compact(self) -> None:
        """Give back room, and leave no trace of what was written over."""

    def close(self) -> None:
        """Let go of the journal."""
