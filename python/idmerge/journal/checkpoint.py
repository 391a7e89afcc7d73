"""Checkpoints: a resolver's state after some batch, in a file that spares reading the journal back.

It is never trusted over the journal: it must have been written after a batch that the journal still
holds, by the same version, and be whole to the last bit. Whatever else it is, it is passed over
with a warning.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from typing import TYPE_CHECKING

from idmerge._naming import named, visible
from idmerge.errors import CheckpointWarning, JournalError

if TYPE_CHECKING:
    from pathlib import Path

    from idmerge.journal.batch import Batch
    from idmerge.journal.facts import Facts
    from idmerge.journal.protocol import Journal
    from idmerge.resolver import Resolver

_HEAD = struct.Struct("<6Q")
Moment = tuple[int, int, int, int, int]


def moment_of(facts: Facts, batch: Batch) -> Moment:
    """Return what a checkpoint that was written after ``batch`` says of that moment."""
    crc = zlib.crc32(facts.to_json().encode())
    return crc, batch.number, batch.end_position, batch.end_id, batch.checksum


def write_checkpoint(path: Path, resolver: Resolver, moment: Moment) -> bool:
    """Write the state of ``resolver`` over an older checkpoint; False if it has changed since.

    Raises:
        OSError: It could not be written; an older one is still there.
    """
    from idmerge.files.syncing import sync_directory, sync_file  # noqa: PLC0415 - not to open a resolver

    unfinished = _unfinished(path)
    unfinished.unlink(missing_ok=True)  # Of a writer that was killed; or a link, which is not to be followed.
    try:
        is_written = resolver._save(str(unfinished), moment)
        if is_written:
            sync_file(unfinished)
            os.replace(unfinished, path)  # noqa: PTH105 - the paths are ready
            sync_directory(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return is_written


def load_checkpoint(path: Path, resolver: Resolver, facts: Facts, journal: Journal) -> Batch | None:
    """Restore ``resolver`` from the checkpoint; return the batch after which it was written.

    None if there is no checkpoint, or a useless one.

    Raises:
        JournalError: That batch of the journal is damaged.
    """
    if path.exists() and not path.is_file():  # A pipe would keep its reader waiting.
        _pass_over(path, "it is no file")
        return None
    try:
        with path.open("rb") as file:
            _, _, number, *_ = _HEAD.unpack(file.read(_HEAD.size))
    except FileNotFoundError:
        return None
    except (OSError, struct.error) as error:
        _pass_over(path, error)
        return None
    batch = journal.batch(number) if number < 2**63 else None
    if batch is None:
        _pass_over(path, f"it was written after batch {number}, which the journal does not hold")
        return None
    try:
        resolver._load(str(path), moment_of(facts, batch))
    except (OSError, JournalError) as error:
        _pass_over(path, error)
        return None
    return batch


def _pass_over(path: Path, why: object) -> None:
    message = f"{named(path)} is passed over, and the journal read back: {visible(str(why))}"
    warnings.warn(message, CheckpointWarning, stacklevel=2)


def remove_checkpoint(path: Path) -> None:
    """Remove the checkpoint, and what is left of one that was never finished."""
    path.unlink(missing_ok=True)
    _unfinished(path).unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}-new")
