"""Whether a journal is whole, and what is left of one that is not.

A batch is good if its checksum is that of its content, it follows the one before, and its steps can be
judged again with the outcomes that were recorded. Batches are good up to the first that is not: what stands
behind it has lost what it builds on.

    verdict = verify("ids.idmerge")
    if verdict.damage:
        salvage("ids.idmerge", "new.idmerge", verdict)
"""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from idmerge.durable import DurableResolver
from idmerge.errors import JournalError
from idmerge.journal import open_journal
from idmerge.naming import named

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from idmerge.journal import Batch, Offsets


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found in a journal."""

    batches: int
    """How many batches are good, from the first on."""
    seq: int
    """The position behind their last link or act."""
    ids: int
    """How many IDs they name, forgotten ones included."""
    offsets: Offsets
    """The positions in the sources as of the last good batch."""
    damage: str | None
    """What is wrong behind the last good batch; None if the journal is whole."""


def verify(path: str | os.PathLike[str], on_batch: Callable[[Batch], None] = lambda _: None) -> Verdict:
    """Read the journal at ``path``, judge its steps again, and say how much of it is good.

    Args:
        path: As for `Resolver.open`. The journal is read while others may write to it.
        on_batch: Called with each good batch, to show progress.

    Raises:
        FileNotFoundError: There is no journal.
        JournalError: It is no journal, or the facts that hold for all of it cannot be read.
        OSError: It cannot be read.
    """
    with closing(open_journal(path, create=False, read_only=True)) as journal:
        facts = journal.facts()
        if facts is None:  # Whoever makes it has not come further yet.
            return Verdict(batches=0, seq=0, ids=0, offsets={}, damage=None)
        resolver = DurableResolver(journal, facts, history=False, threads=None, read_only=True)
        last: Batch | None = None
        retracts, damage = False, None
        try:
            for batch in journal.batches():
                retracts |= batch.retractions is not None
                resolver._take_batch(batch, (), None, is_checked=not retracts)
                last = replace(batch, texts=b"", block=b"")
                on_batch(batch)
        except (JournalError, OSError) as error:  # What cannot be read is damaged, as far as we can tell.
            damage = str(error)
        return Verdict(
            batches=0 if last is None else last.number + 1,
            seq=0 if last is None else last.end_seq,
            ids=0 if last is None else last.end_id,
            offsets=resolver.offsets,
            damage=damage,
        )


def salvage(path: str | os.PathLike[str], new: str | os.PathLike[str], verdict: Verdict) -> None:
    """Write the good batches of the journal at ``path`` to a new journal at ``new``.

    Raises:
        FileExistsError: There is something at ``new``.
        OSError: It cannot be written; nothing is left at ``new``.
    """
    if Path(new).exists():
        raise FileExistsError(f"{named(new)} is there already; name a file that is not")
    with closing(open_journal(path, create=False, read_only=True)) as old:
        facts = old.facts()
        if facts is None:
            raise JournalError(f"{old.name} has nothing to salvage")
        with closing(open_journal(new, create=True, read_only=False)) as journal:
            if journal.facts() is not None:
                raise FileExistsError(f"{journal.name} is a journal already; name another one")
            try:
                journal.state(facts)
                for batch in islice(old.batches(), verdict.batches):
                    journal.append(batch)
            except BaseException:
                _remove(Path(new))
                raise


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-writer"):
        with suppress(OSError):
            path.with_name(path.name + suffix).unlink()
