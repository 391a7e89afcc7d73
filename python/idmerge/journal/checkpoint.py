"""The file beside a journal that spares reading it back: what the resolver was after some batch.

It is never trusted over the journal: it must have been written after a batch that the journal still holds,
by the same version, and be whole to the last bit. Whatever else it is, it is passed over with a warning.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from typing import TYPE_CHECKING

from idmerge.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from idmerge.journal.protocol import Batch, Facts
    from idmerge.resolver import Resolver

_HEAD = struct.Struct("<5Q")
Moment = tuple[int, int, int, int]


class CheckpointWarning(UserWarning):
    """A checkpoint was passed over; the message says why. The journal was read back instead."""


def moment_of(facts: Facts, batch: Batch) -> Moment:
    """Return what a checkpoint that was written after ``batch`` says of that moment."""
    return zlib.crc32(facts.to_json().encode()), batch.number, batch.end_seq, batch.checksum


def write_checkpoint(path: Path, resolver: Resolver, moment: Moment) -> None:
    """Write what ``resolver`` is, in place of an older checkpoint.

    Raises:
        OSError: It could not be written; an older one is still there.
    """
    unfinished = _unfinished(path)
    try:
        resolver._save(str(unfinished), moment)
        os.replace(unfinished, path)  # noqa: PTH105 - the paths are ready
    finally:
        unfinished.unlink(missing_ok=True)


def load_checkpoint(
    path: Path, resolver: Resolver, facts: Facts, heads: Sequence[Mapping[str, Any]]
) -> int | None:
    """Let ``resolver`` become what the checkpoint says; return after which batch it was written.

    ``heads`` are those of the journal's batches. None if there is no checkpoint, or a useless one.
    """
    try:
        moment = _moment_in(path, facts, heads)
        resolver._load(str(path), moment)
    except FileNotFoundError:
        return None
    except (OSError, struct.error, JournalError) as error:
        message = f"{path} is passed over, and the journal read back: {error}"
        warnings.warn(message, CheckpointWarning, stacklevel=2)
        return None
    return moment[1]


def _moment_in(path: Path, facts: Facts, heads: Sequence[Mapping[str, Any]]) -> Moment:
    """Return what the checkpoint must say if it belongs to the journal."""
    with path.open("rb") as file:
        _, _, number, _, _ = _HEAD.unpack(file.read(_HEAD.size))
    if number >= len(heads):
        raise JournalError(f"it was written after batch {number}, which the journal does not hold")
    head = heads[number]
    return zlib.crc32(facts.to_json().encode()), number, head["end_seq"], head["checksum"]


def remove_checkpoint(path: Path) -> None:
    """Remove the checkpoint, and what is left of one that was never finished."""
    path.unlink(missing_ok=True)
    _unfinished(path).unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}-new")
