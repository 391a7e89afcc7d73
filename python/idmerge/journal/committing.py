"""Commits of a resolver that has a journal, and the doubt that an interrupted one leaves.

A commit that was interrupted, or failed, may be in the journal all the same. It is remembered, and
the journal is asked for it before anything depends on the answer.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from idmerge.errors import IdmergeError, SealedError
from idmerge.journal.batch import microseconds
from idmerge.journal.commit import Commit
from idmerge.journal.offsets import check_offsets, offsets_after, stated_offsets
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Mapping

    from idmerge.journal.batch import Batch
    from idmerge.journal.offsets import Offsets
    from idmerge.journal.outline import Times
    from idmerge.journal.protocol import Journal


class CommittingResolver(Resolver):
    """The half of a `DurableResolver` that commits; that class makes it, and reads back."""

    __slots__ = (
        "_batch",
        "_guard",
        "_in_doubt",
        "_is_closed",
        "_is_committing",
        "_journal",
        "_offsets",
        "_times",
    )

    _journal: Journal
    _batch: Batch | None
    """The last batch that was read or written, without its blocks."""
    _offsets: Offsets
    _guard: threading.RLock
    """Held while the journal is read or written."""
    _in_doubt: list[Commit]
    """Commits that may be in the journal, one of them at most: each was interrupted, or failed."""
    _is_closed: bool
    _is_committing: bool
    """True while `commit_all` runs."""
    _times: Times

    def _note(self, head: Batch) -> None:
        """Take note of a batch that is in the journal, and may be noted already."""
        self._offsets = offsets_after(self._offsets, head.offsets, self._journal.version)
        self._times.add(head.number, head.end_position, head.written_at)
        self._batch = head

    @property
    def offsets(self) -> Offsets:
        """The positions in the caller's sources as of the last commit, by the sources' names.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.commit({"logins": 1017, "mails": "2024-05-01"}), r.commit({"mails": None})
            ...     print(r.offsets)
            {'logins': 1017}
        """
        self._settle_if_possible()
        return dict(self._offsets)

    @property
    def uncommitted(self) -> int:
        """The number of steps that are not in the journal yet.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.merge("ana", "crm-17"), r.observe("ben")
            ...     print(r.uncommitted, r.commit(), r.uncommitted)
            2 1 0
        """
        self._settle_if_possible()
        return self._pending_count()

    def commit(self, offsets: Mapping[str, int | str | None] | None = None) -> int:
        """Write what was applied since the last commit; when this returns, it is on disk.

        Args:
            offsets: Positions in the caller's sources, kept with the links in one transaction and
                given back by `offsets`, so that a source that can be read again is applied exactly
                once. Sources that are not named keep their positions; None removes one.

        Returns:
            The position up to which everything is on disk.

        Raises:
            OSError: It could not be written. Nothing is lost: what was to be written still is.
            SealedError: The resolver was opened to read, or is closed.

        Examples:
            >>> from idmerge import DurableResolver
            >>> with DurableResolver.open(":memory:") as r:
            ...     _ = r.merge("ana", "crm-17")
            ...     print(r.commit(offsets={"logins": 1017}))
            1
        """
        with self._guard:
            stated = self._stated(offsets)
            pending, _ = self._pending()
            if pending or stated is not None:
                commit = self._begin_commit()
                self._in_doubt.append(commit)  # Whatever interrupts this: it may be written by then.
                self._journal.append(commit.batches(stated))
                self._settle(commit)
            return 0 if self._batch is None else self._batch.end_position

    def commit_all(
        self, work: Iterable[object], offsets: Mapping[str, int | str | None] | None = None
    ) -> int:
        """Write all that ``work`` applies while it is iterated, or nothing of it, as one commit.

        Much is written while there is more to come, so that what is pending stays small; others see
        it when all is written. What was pending before is committed first.

        Args:
            work: Applies some steps to this resolver before each of its items, which are dropped.
            offsets: As for `commit`.

        Returns:
            The position up to which everything is on disk.

        Raises:
            OSError: It could not be written.
            SealedError: The resolver was opened to read, or is closed.

        Whatever is raised once ``work`` has begun, also by it, closes the resolver: it knows what
        its journal does not. An error before leaves it as `commit` does. An interrupt that comes
        when the last of it is being written leaves open whether all is in the journal, or nothing:
        open the journal anew and look at `offsets`.

        Examples:
            >>> from idmerge import DurableResolver
            >>> from idmerge.files import scan
            >>> with DurableResolver.open("ids.idmerge") as r:
            ...     pieces = scan("examples/shop.ndjson")
            ...     print(r.commit_all((piece.apply_to(r) for piece in pieces), {"shop": 1}))
            89
        """
        with self._guard:
            self.commit()
            stated = self._stated(offsets)
            commit = self._begin_commit()
            self._is_committing = True
            try:
                self._journal.append(commit.batches_of(work, lambda: stated))
                if commit.heads:
                    self._settle(commit)
            except BaseException:
                self._release()
                raise
            finally:
                self._is_committing = False
            return 0 if self._batch is None else self._batch.end_position

    def _stated(self, offsets: Mapping[str, int | str | None] | None) -> str | None:
        """Return what a commit states of these offsets."""
        if offsets is not None:
            check_offsets(offsets)
        self._settle_doubt()
        return stated_offsets(self._offsets, offsets or {}, self._journal.version)

    def _begin_commit(self) -> Commit:
        now = microseconds(datetime.now(UTC))
        return Commit(self, self._batch, written_at=now, version=self._journal.version)

    def _settle(self, commit: Commit) -> None:
        """Take note that ``commit`` is in the journal; if this is interrupted, it is done again."""
        last = commit.heads[-1]
        self._written(last.number, commit.steps, last.end_id)
        for head in commit.heads:
            self._note(head)
        self._in_doubt.clear()

    def _settle_doubt(self) -> None:
        """Find out which commit got into the journal that was interrupted or failed, if any did."""
        if self._is_committing:
            raise SealedError(
                f"{self._journal.name}: commit_all is not over yet; its work can only apply steps"
            )
        while self._in_doubt:
            commit = self._in_doubt[-1]
            if commit.is_whole:
                last = commit.heads[-1]
                found = self._journal.batch(last.number)
                if found is not None and found.without_blocks() == last:
                    self._settle(commit)
                    return
            self._in_doubt.pop()

    def _settle_if_possible(self) -> None:
        """Take note of a commit that was interrupted, if the journal can say that it has it."""
        if self._in_doubt:
            with self._guard, suppress(OSError, IdmergeError):
                self._settle_doubt()

    def _steps_in_doubt(self) -> int:
        """Return how many steps may be in the journal or not, after asking it."""
        try:
            self._settle_doubt()
        except (OSError, IdmergeError):
            return max((commit.steps for commit in self._in_doubt if commit.is_whole), default=0)
        return 0

    def _release(self) -> None:
        """Let go of the journal, and refuse every change from here on."""
        self._is_closed = True
        self._journal.close()
        self._seal(f"{self._journal.name} is closed")
