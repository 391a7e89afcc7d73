"""A migration: the plan, its report, and the events, associations and updates that carry it out."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from idmerge.errors import MigrationError, PolicyError
from idmerge.files import BadLine, EventBatch, choice_of, read_updates, rereadable
from idmerge.files.sources import expanded
from idmerge.migration import directory
from idmerge.migration.first_reading import FirstReading, pieces_of
from idmerge.migration.measures import reported
from idmerge.migration.moments import floor_of
from idmerge.migration.planning import Plan
from idmerge.migration.rewriting import associations, written
from idmerge.migration.splitting import check_ambiguous
from idmerge.migration.text import percent
from idmerge.migration.updates import Updates
from idmerge.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from idmerge.files import RereadableFile, Source
    from idmerge.files.dialects import Dialect
    from idmerge.migration.first_reading import OnPiece
    from idmerge.migration.planning import Planned
    from idmerge.migration.report import MigrationReport
    from idmerge.migration.splitting import Ambiguous
    from idmerge.migration.users import UserRule


def ignored(*_: object) -> None:
    """Take anything, and do nothing."""


class Migration:
    """A migration to Simplified ID Merge that was planned; `plan` makes one.

    Examples:
        >>> from idmerge import migration
        >>> migrated = migration.plan("examples/flow-4-shared-device-without-reset.ndjson")
        >>> migrated
        Migration(MigrationReport(1 association, 1 of 1 cluster have a user, recovery 100.0 %))
        >>> migrated.report.people_after, migrated.person("grace@example.com")
        (2, 'grace@example.com')
        >>> [association] = migrated.associations()
        >>> sorted(association["properties"])
        ['$device_id', '$insert_id', '$user_id', 'distinct_id', 'time']
        >>> for event in migrated.events():
        ...     print(event["event"], event["properties"]["distinct_id"][:16])
        Page View $device:5f0c1e2a
        Page View ada@example.com
        Page View grace@example.co
        >>> len(list(migrated.mapping())), list(migrated.updates([]))
        (3, [])
        >>> migrated.check(min_recovery=0.9)
        >>> migrated.write("new")
    """

    def __init__(
        self,
        plan: Plan,
        files: Sequence[RereadableFile],
        arguments: Mapping[str, Any],
        settings: dict[str, Any],
    ) -> None:
        self._plan = plan
        self._files = files
        self._arguments = arguments
        self._settings = settings
        self.cut = 0
        """Events whose other device or user was left out, when they were last written."""
        self.update_counts: Mapping[str, int] = {}
        """What became of the profile updates that were last written: how many of each kind."""
        self.report: MigrationReport = reported(plan, [file.name for file in files])

    def person(self, distinct_id: str) -> str | None:
        """Return the person whom Simplified shows for an ID of Original.

        None if Simplified takes no such ID. One that is not known is on its own.
        """
        return self._plan.person(self._plan.target(distinct_id))

    def mapping(self) -> Iterator[Planned]:
        """Yield a row for each ID of Original, and for each device that only events name."""
        return self._plan.mapping()

    def associations(self) -> Iterator[dict[str, Any]]:
        """Yield the events that associate each device with its user."""
        return associations(self._plan, self._settings["floor"])

    def events(self, on_bytes: Callable[[int], object] = ignored) -> Iterator[dict[str, Any]]:
        """Read the events once more, and yield those that are written, in their order.

        Raises:
            FileFormatError: A file is damaged.
            OSError: A file cannot be opened.
        """
        self.cut = number = 0
        for file in self._files:
            for piece in pieces_of(file, self._arguments, on_bytes):
                for event in piece.events if isinstance(piece, EventBatch) else ():
                    number += 1
                    answer = written(self._plan, event, number)
                    if answer is not None:
                        self.cut += answer.is_cut
                        yield answer.event

    def updates(
        self,
        sources: Sequence[Source],
        on_bytes: Callable[[int], object] = ignored,
        on_bad: Callable[[BadLine], object] = ignored,
    ) -> Iterator[dict[str, Any]]:
        """Yield the profile updates of files that are written: under the person of their ID.

        Raises:
            FileFormatError: A file is damaged, or holds no updates.
            OSError: A file cannot be opened.
        """
        updates = Updates(self._plan)
        self.update_counts = updates.counts
        for source in sources:
            for piece in read_updates(source, on_bytes=on_bytes):
                if isinstance(piece, BadLine):
                    on_bad(piece)
                    continue
                for update in piece.events:
                    answer = updates.written(update)
                    if answer is not None:
                        yield answer

    def check(self, min_recovery: float) -> None:
        """Raise unless enough is recovered.

        Raises:
            MigrationError: The recovery is below ``min_recovery``.

        Examples:
            >>> from idmerge import migration
            >>> migration.plan("examples/flow-1-new-user.ndjson").check(min_recovery=0.9)
        """
        if self.report.recovery < min_recovery:
            raise MigrationError(
                f"the recovery is {percent(self.report.recovery)} of events, and {percent(min_recovery)} are "
                "wanted; nothing was written"
            )

    def write(
        self,
        path: str | os.PathLike[str],
        *,
        profiles: Sequence[Source] = (),
        on_bytes: Callable[[int], object] = ignored,
        on_bad: Callable[[BadLine], object] = ignored,
    ) -> None:
        """Write the migration to the directory ``path``, whole or not at all.

        Args:
            path: A new directory, or one that a migration wrote, which is replaced.
            profiles: Files of profile updates.
            on_bytes: Called with the number of bytes that were read since its last call.
            on_bad: Called with each line of ``profiles`` that is no update.

        Raises:
            MigrationError: There is a file, or a directory that holds something else.
            FileFormatError: A file is damaged, or ``profiles`` hold no updates.
            OSError: A file cannot be opened, or the disk is full.
        """
        with directory.writing(os.fspath(path)) as new:
            lines = {directory.ASSOCIATIONS: self.associations(), directory.EVENTS: self.events(on_bytes)}
            if profiles:
                lines[directory.PROFILES] = self.updates(profiles, on_bytes, on_bad)
            lines[directory.MAPPING] = (row._asdict() for row in self.mapping())
            digests = {name: directory.write_lines(new / name, rows) for name, rows in lines.items()}
            content = {"settings": self._settings, "report": self.report.to_dict(), "files": digests}
            directory.write_plan(new / directory.PLAN, content)
            (new / directory.PAGE).write_bytes(self.report.html().encode("utf-8", "backslashreplace"))

    def __repr__(self) -> str:
        """Show the report in brief."""
        return f"Migration({self.report!r})"


def plan(  # noqa: PLR0913 - each says what is wanted
    sources: Source | RereadableFile | Sequence[Source | RereadableFile],
    *,
    policy: Policy | None = None,
    user_id: UserRule | None = None,
    ambiguous: Ambiguous = "split",
    floor: str | float | None = None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_dialect: Callable[[str, Dialect | None], object] = ignored,
    on_bytes: Callable[[int], object] = ignored,
    on_piece: OnPiece = ignored,
) -> Migration:
    """Read events of an Original project, and plan their migration to Simplified ID Merge.

    Args:
        sources: Files of events of JSON, or one; directories of these. Files of links count too.
        policy: The rules of Original; Mixpanel's by default.
        user_id: The IDs that are users: a regular expression that the whole ID matches, or a
            callable. By default those that Original saw as identified; docs/migration.md has the
            rule.
        ambiguous: What becomes of a cluster with several users: each keeps its own ID and the
            devices that a link joined to it first (``"split"``); or the user who became known first
            or last, or sent most events, gets all; or `MigrationError`.
        floor: The time of every association; by default that of the first event of its device.
        dialect: The dialect of the events, as `idmerge.files.read` takes it.
        columns: The keys of roles, likewise.
        on_dialect: Called with each file's name and dialect, likewise.
        on_bytes: Called with the number of bytes that were read since its last call.
        on_piece: Called with each piece of a file and the report on its links; None for a bad line.

    Raises:
        MigrationError: A cluster has several users, under ``ambiguous="error"``.
        PolicyError: ``policy`` is of another API than the original one.
        FileFormatError: A file is damaged, or a table of events.
        MissingExtraError: Times are to be read, and pyarrow is not installed.
        OSError: A file cannot be opened.
        TypeError: ``user_id`` is neither.
        ValueError: ``user_id``, ``ambiguous`` or ``floor`` has a wrong value.

    Examples:
        >>> from idmerge import migration
        >>> migrated = migration.plan("examples/flow-5-merge.ndjson", ambiguous="first")
        >>> migrated.person("grace@example.com")
        'ada@example.com'
        >>> migration.plan("examples/flow-5-merge.ndjson", user_id=r".+@.+").report.ambiguous
        1
    """
    rules = Policy() if policy is None else policy
    if rules.api != "original":
        raise PolicyError(f"a migration begins at the Original API, got a policy of {rules.api!r}")
    check_ambiguous(ambiguous)
    moment = floor_of(floor)
    choice_of(dialect, columns)
    paths = (
        [sources] if isinstance(sources, (str, bytes, os.PathLike)) or hasattr(sources, "read") else sources
    )
    files = [rereadable(path) for path in expanded(paths)]
    arguments = {"dialect": dialect, "columns": columns}
    reading = FirstReading(rules, with_times=moment is None)
    reading.read(files, {**arguments, "on_dialect": on_dialect}, on_bytes, on_piece)
    settings = {
        "policy": {**asdict(rules), "blocked_ids": sorted(rules.blocked_ids)},
        "ambiguous": ambiguous,
        "user_id": user_id if isinstance(user_id, str) else getattr(user_id, "pattern", None),
        "floor": moment,
    }
    return Migration(Plan(reading, user_id, ambiguous), files, arguments, settings)
