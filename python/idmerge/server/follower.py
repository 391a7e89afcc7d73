"""A project's journal and profiles, and how far they have come along a log."""

from __future__ import annotations

import threading
from bisect import bisect_right
from contextlib import suppress
from typing import TYPE_CHECKING

from idmerge.errors import MalformedEventError
from idmerge.journal import DurableResolver
from idmerge.outcome import Outcome, Report
from idmerge.server import places
from idmerge.server.people.peoplestore import PeopleStore
from idmerge.server.people.resolving import Unlinked, updates_of_groups, updates_of_people
from idmerge.server.store.outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge.events import Source
    from idmerge.server.directory import Project
    from idmerge.server.log.records import Record, Stream


class _DroppedError(Exception):
    """Ends the use of a resolver as an error does."""


class Follower:
    """A project's journal and profiles, and how far they have come."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.commits = 0
        self.whole = threading.Lock()
        """Held while events are applied, so that readers of several answers see one state."""
        self.open()

    def open(self) -> None:
        """Open the files; what was applied and not committed is forgotten."""
        project = self.project
        project.journal.parent.mkdir(parents=True, exist_ok=True)
        self.resolver = DurableResolver.open(project.journal, project.policy, project.canonical)
        try:
            self.applied = self.committed = places.stated(self.resolver, places.LOG)
            self.noted = places.stated(self.resolver, places.PROFILES)
            self.people = PeopleStore(
                project.profiles,
                self.resolver,
                updates_of_people,
                journal=self.committed,
                place=self.noted,
                count=places.stated(self.resolver, places.UPDATES),
                merge_profiles=project.merge_profiles,
            )
            try:
                self.groups = PeopleStore(
                    project.groups,
                    Unlinked(),
                    updates_of_groups,
                    journal=self.committed,
                    place=self.noted,
                    count=places.stated(self.resolver, places.GROUP_UPDATES),
                )
            except BaseException:
                self.people.close()
                raise
            try:
                self.outcomes = Outcomes(project.journal.with_name("outcomes"), self.committed)
            except BaseException:
                self._close_stores()
                raise
        except BaseException:
            self.resolver.close()
            raise

    def drop(self) -> None:
        """Let go of the files, without what is not committed: that is in the log."""
        self._close_stores()
        with suppress(_DroppedError), self.resolver:
            raise _DroppedError

    def close(self) -> None:
        """Let go of the files."""
        self._close_stores()
        self.resolver.close()

    def _close_stores(self) -> None:
        for store in (self.people, self.groups):
            store.close()

    @property
    def reached(self) -> int:
        """The offset up to which records of every stream are applied."""
        return min(self.applied, self.people.place, self.groups.place)

    @property
    def uncommitted(self) -> int:
        """The number of steps, updates and outcomes that are not on disk."""
        waiting = self.people.waiting + self.groups.waiting
        return self.resolver.uncommitted + waiting + self.outcomes.unsaved

    def lacks(self, record: Record, behind: int) -> bool:
        """Return whether a record, which ends at ``behind``, is still to be applied."""
        if record.stream == "events":
            return behind > self.applied
        return behind > (self.people if record.stream == "updates" else self.groups).place

    def apply(self, gathered: Sequence[tuple[bytes, int]], stream: Stream, source: Source) -> None:
        """Apply the lines of some records, each with the offset behind it."""
        lines, place = b"".join([lines for lines, _ in gathered]), gathered[-1][1]
        if stream == "updates":
            self.people.apply(lines, place)
        elif stream == "groups":
            self.groups.apply(lines, place)
        else:
            with self.whole:
                self._apply_events(gathered, source)
            self.applied = place

    def _apply_events(self, gathered: Sequence[tuple[bytes, int]], source: Source) -> None:
        lines = b"".join([lines for lines, _ in gathered])
        try:
            report = self.resolver._apply_body(  # noqa: SLF001 - a line's number is not its place
                lines, "application/x-ndjson", source, len(lines), (places.LOG, _offsets(gathered))
            )
        except MalformedEventError:  # One begins as no line of an event does; nothing was applied.
            for one in gathered if len(gathered) > 1 else ():
                self._apply_events([one], source)
        else:
            self._note_refused(gathered, report)

    def _note_refused(self, gathered: Sequence[tuple[bytes, int]], report: Report) -> None:
        """Keep the outcomes of refused links, whose rows count the lines of all records."""
        refused = report.outcomes > Outcome.UNCHANGED
        if not refused.any():
            return
        begins, begin = [], 0
        for lines, _ in gathered:
            begins.append(begin)
            begin += _count(lines)
        entries = []
        for row, code in zip(report.rows[refused].tolist(), report.outcomes[refused].tolist(), strict=True):
            number = bisect_right(begins, row) - 1
            entries.append((gathered[number][1], row - begins[number], code))
        self.outcomes.add(entries)

    def move_to(self, place: int) -> None:
        """Take note that all records up to ``place`` are applied."""
        self.applied = max(self.applied, place)
        for store in (self.people, self.groups):
            store.place = max(store.place, place)

    def flush(self) -> None:
        """Write down the updates that were applied; they count once the steps are committed."""
        journal = self.applied if self.resolver.uncommitted else self.committed
        for store in (self.people, self.groups):
            store.flush(journal)

    def commit(self) -> None:
        """Commit what was applied, with its place in the log."""
        self.flush()
        self.outcomes.save()
        noted = min(self.people.place, self.groups.place)
        self.resolver.commit(
            offsets={
                places.LOG: self.applied,
                places.PROFILES: noted,
                places.UPDATES: self.people.count,
                places.GROUP_UPDATES: self.groups.count,
            }
        )
        self.committed, self.noted = self.applied, noted
        self.commits += 1

    def fold_if_due(self) -> None:
        """Begin to make new stores of profiles if they are due; all must be committed."""
        for store in (self.people, self.groups):
            store.fold_if_due()


def _count(lines: bytes) -> int:
    """Return the number of lines that are not blank."""
    return sum(1 for line in lines.split(b"\n") if line and not line.isspace())


def _offsets(gathered: Sequence[tuple[bytes, int]]) -> list[int]:
    """Return for each line of some records the offset behind its record."""
    return [behind for lines, behind in gathered for _ in range(_count(lines))]
