"""The protocol of a journal, which SQLite and PostgreSQL implement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from pathlib import Path

    from idmerge.journal.batch import Batch
    from idmerge.journal.facts import Facts

MEMORY = ":memory:"
"""The path of a journal that is gone with its resolver."""


class Journal(Protocol):
    """A store of batches, with one writer at a time; readers see whole commits only.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.journal import open_journal
        >>> with DurableResolver.open("ids.idmerge") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit({"logins": 1017})
        >>> journal = open_journal("ids.idmerge", create=False, read_only=True)
        >>> journal.facts().canonical, len(list(journal.batches())), journal.batch(1)
        ('stable', 1, None)
        >>> [head["offsets"] for head in journal.heads()], len(journal.blocks(0, 1))
        (['{"logins": 1017}'], 1)
        >>> journal.close()
    """

    name: str
    """Its name in messages."""
    checkpoint: Path | None
    """The path of its checkpoint; None if there is no place for one."""
    version: int
    """Its format."""

    def facts(self) -> Facts | None:
        """Return the facts stated when the journal was made; None before that."""

    def state(self, facts: Facts, batches: Iterable[Batch] = ()) -> None:
        """Store the facts of the whole journal, once, and its first batches; all or nothing."""

    def append(self, batches: Iterable[Batch]) -> None:
        """Keep ``batches``, one commit, behind all others; when this returns, they are on disk.

        Each is written before the next one is asked for. Whatever ends this early, an error of
        ``batches`` or an interruption, nothing is kept of them, unless all were.

        Raises:
            OSError: They could not be written; the journal is as it was before.

        Examples:
            >>> from idmerge import Policy
            >>> from idmerge.journal import Batch, Facts, open_journal
            >>> journal = open_journal("ids.idmerge", create=True, read_only=False)
            >>> journal.state(Facts(policy=Policy(), canonical="stable"))
            >>> places = ("number", "position", "end_position", "first_id", "end_id", "steps")
            >>> stated = {"written_at": 0, "offsets": '{"logins": 1017}', "retractions": None}
            >>> batch = Batch(**dict.fromkeys(places, 0), **stated, block=b"", texts=b"").sealed()
            >>> journal.append([batch]), journal.rewrite(batch), journal.compact()
            (None, None, None)
            >>> journal.close()
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
        """Return the blocks of steps of the batches ``start`` to before ``end``, in order.

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
