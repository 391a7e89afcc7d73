"""What a journal is made of, and what whoever keeps one offers."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from idmerge.errors import JournalError, PolicyError
from idmerge.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from pathlib import Path

    from idmerge.journal.batch import Batch

FORMAT = 2
"""The version of the format of new journals."""
FORMATS = range(1, FORMAT + 1)
"""The versions that are read, and written to as they are: a journal keeps the format that it was made in."""

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
            check_format("the journal", found)
            if checksum != _checksum(stated):
                raise JournalError("the journal's facts are damaged: their checksum is another one")
            known = {field.name for field in fields(Policy)}
            if set(stated["policy"]) != known:
                found = sorted(stated["policy"])
                raise JournalError(f"the journal's policy has the fields {found}, expected {sorted(known)}")
            policy = Policy(**{**stated["policy"], "blocked_ids": frozenset(stated["policy"]["blocked_ids"])})
            return cls(policy=policy, canonical=stated["canonical"], format=found)
        except (ValueError, TypeError, KeyError, PolicyError) as error:
            if isinstance(error, JournalError):
                raise
            raise JournalError(f"the journal's facts are damaged: {error!r}") from error


def check_format(name: str, found: object) -> None:
    """Make sure that this version reads a journal's format.

    Raises:
        JournalError: It does not; the message says which it reads.
    """
    if found not in FORMATS:
        raise JournalError(
            f"{name} has format {found!r}, and this version reads formats "
            f"{' and '.join(map(str, FORMATS))}; read it with the version of idmerge that wrote it"
        )


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
    """A place of batches. One writer at a time; whoever reads sees whole commits only."""

    name: str
    """How messages name it."""
    checkpoint: Path | None
    """Where a checkpoint may stand; None if there is no place for one."""
    version: int
    """Its format."""

    def facts(self) -> Facts | None:
        """Return what was stated when the journal was made; None if nothing was yet."""

    def state(self, facts: Facts, batches: Iterable[Batch] = ()) -> None:
        """State what holds for the whole journal, once, and keep its first batches; all or nothing."""

    def append(self, batches: Iterable[Batch]) -> None:
        """Keep ``batches``, one commit, behind all others; when this returns, they are on disk.

        Each is written before the next one is asked for. Whatever ends this early, an error of ``batches`` or
        an interruption, nothing is kept of them, unless all were.

        Raises:
            OSError: They could not be written; the journal is as it was before.
        """

    def batches(self, after: Batch | None = None) -> Generator[Batch]:
        """Yield the batches behind ``after``, or all, in order, as they are at this moment.

        One reading at a time: the next call ends one that is not over.

        Raises:
            JournalError: A batch is missing or damaged, up to the last one that was committed.
        """

    def batch(self, number: int) -> Batch | None:
        """Return the batch with this number; None if there is none.

        Raises:
            JournalError: It is damaged.
        """

    def blocks(self, start: int, end: int) -> list[bytes]:
        """Return the blocks of steps of the batches from number ``start`` to before ``end``, in order.

        Raises:
            JournalError: One is missing or damaged.
        """

    def heads(self) -> Generator[Mapping[str, Any]]:
        """Yield the fields of each batch and the lengths of its blocks, without the blocks.

        Raises:
            JournalError: A batch is missing, or what it states is damaged.
        """

    def rewrite(self, batch: Batch) -> None:
        """Keep ``batch`` in place of the one with its number."""

    def compact(self) -> None:
        """Give back room, and leave no trace of what was written over."""

    def close(self) -> None:
        """Let go of the journal."""
