"""The files that hold profiles, and how they are read.

    00000007.profiles    the profiles before the first update of the next file
    00000007.updates     updates
    00000008.updates     later updates; there are two files at most while the first is being folded

A store of profiles is there whole or not at all. The last one counts, with all updates from its
number on. Without a store the updates begin with number 1. What has a lower number is left over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from idmerge._naming import named
from idmerge.errors import FileFormatError
from idmerge.profiles import Profiles
from idmerge.server import places
from idmerge.server.people import updatefile
from idmerge.server.people.updatefile import WHOLE_COPY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from idmerge.journal import DurableResolver
    from idmerge.profiles import MergeProfiles, WhoIsWho
    from idmerge.server.directory import Project
    from idmerge.server.people.updatefile import Group, Mark

ATTEMPTS = 10
"""Attempts to read files that a server replaces meanwhile."""
_NAME = re.compile(r"([0-9]{8})\.(profiles|updates)")
_UNFINISHED = re.compile(rf"\.{_NAME.pattern}\.idmerge-.*")


class Files(NamedTuple):
    """The files of a directory that count."""

    directory: Path
    store: Path | None
    """The last store of profiles."""
    updates: Sequence[Path]
    """The files of updates since, in their order."""
    left_over: Sequence[Path]
    """Files that count no more."""

    @property
    def number(self) -> int:
        """The number of the last file; 0 without one."""
        return number_of(self.updates[-1]) if self.updates else 0


def unfinished_in(directory: Path) -> Sequence[Path]:
    """Return the files that a writer who was killed had not finished; none may be writing now."""
    return [path for path in directory.iterdir() if _UNFINISHED.fullmatch(path.name)]


class Loaded(NamedTuple):
    """Profiles that were read, and where that ended."""

    profiles: Profiles
    mark: Mark
    """The end of what counts."""
    length: int
    """The length of what counts of the last file of updates."""


def number_of(path: Path) -> int:
    """Return the number in the name of a file."""
    return int(path.name[:8])


def updates_path(directory: Path, number: int) -> Path:
    """Return the path of the file of updates with this number."""
    return directory / f"{number:08}.updates"


def store_path(directory: Path, number: int) -> Path:
    """Return the path of the store with this number."""
    return directory / f"{number:08}.profiles"


def files_in(directory: Path) -> Files:
    """Return the files of a directory, which need not be there.

    Raises:
        FileFormatError: One is missing.
        OSError: The directory cannot be read.
    """
    try:
        found = sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))
    except FileNotFoundError:
        found = []
    stores = [path for path in found if path.suffix == ".profiles"]
    store = stores[-1] if stores else None
    first = number_of(store) if store else 1
    updates = [path for path in found if path.suffix == ".updates" and number_of(path) >= first]
    if [number_of(path) for path in updates] != [*range(first, first + len(updates))] or (
        store and not updates
    ):
        raise FileFormatError(f"{named(directory)}: a file of updates is missing; {WHOLE_COPY}")
    return Files(directory, store, updates, [path for path in found if number_of(path) < first])


def loaded(  # noqa: PLR0913 - the files, and what they are read for
    files: Files,
    resolver: WhoIsWho,
    *,
    journal: int,
    count: int,
    merge_profiles: MergeProfiles = "hide",
    is_being_written: bool = False,
) -> Loaded:
    """Return the profiles in ``files``, as far as they count for a journal.

    Args:
        files: The files.
        resolver: As for `Profiles`.
        journal: The offset in the log that the journal has reached.
        count: The number of updates that it says were applied.
        merge_profiles: As for `Profiles`.
        is_being_written: Whether a server may have added updates since that was read.

    Raises:
        FileFormatError: One is damaged, or the journal is older than they are.
        OSError: One cannot be read.
    """
    if files.store is None:
        profiles = Profiles(resolver, merge_profiles=merge_profiles)
    else:
        profiles = Profiles.load(files.store, resolver, merge_profiles=merge_profiles)
    if not files.updates:
        raise FileFormatError(f"{named(files.directory)}: the profiles are missing; {WHOLE_COPY}")
    last: Group | None = None
    is_ahead = False
    for path in files.updates:
        begun, groups = updatefile.read(path)
        if not is_ahead and last is not None and last.mark.number != begun.mark.number:
            raise FileFormatError(
                f"{named(path)}: it goes on from update {begun.mark.number}, and the file before ends with "
                f"update {last.mark.number}; {WHOLE_COPY}"
            )
        if not is_ahead:
            last = begun
        for group in groups:
            if is_ahead and not is_being_written:
                raise FileFormatError(
                    f"{named(path)}: the journal has applied the log up to {journal}, and updates are of "
                    f"later commits: it is an older copy; {WHOLE_COPY}"
                )
            is_ahead |= group.mark.journal > journal  # What was flushed for a commit that never came.
            if not is_ahead:
                profiles.update_many(group.updates)
                last = group
    assert last is not None  # noqa: S101 - there is a file
    if last.mark.number < count:
        raise FileFormatError(
            f"{named(files.updates[-1])}: {last.mark.number} updates are there, and {count} were applied; "
            f"{WHOLE_COPY}"
        )
    return Loaded(profiles, last.mark, last.end)


def profiles_of(
    project: Project, resolver: DurableResolver, merge_profiles: MergeProfiles | None = None
) -> Profiles:
    """Return the profiles of people of a project whose server may be running; nothing is changed.

    Args:
        project: The project.
        resolver: Its journal, which was opened to read.
        merge_profiles: As for `Profiles`; None for what the project's settings say.

    Raises:
        FileFormatError: A file is damaged.
        JournalError: The journal is none of a server.
        OSError: A file cannot be read.
    """
    journal, count = places.stated(resolver, places.LOG), places.stated(resolver, places.UPDATES)
    shown = merge_profiles or project.merge_profiles
    for attempt in range(ATTEMPTS):
        try:
            files = files_in(project.profiles)
            if not files.updates and not count:
                return Profiles(resolver, merge_profiles=shown)
            found = loaded(
                files, resolver, journal=journal, count=count, merge_profiles=shown, is_being_written=True
            )
        except FileNotFoundError:  # A new store has taken its place.
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return found.profiles
    raise AssertionError("the last attempt returns or raises")
