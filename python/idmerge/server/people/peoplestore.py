"""Profiles that follow the log, each update once, whatever ends or fails.

1. Updates are applied in memory as they come. `flush` writes them down with their place in the log,
   before the journal's commit of the same place: so profiles are never behind a journal.
2. What was written for a commit that never came is cut off at the next start.
3. When the updates have become longer than the store before them, and than `LEAST_FOLDED`, a thread
   makes a new store of both. Meanwhile updates go to the next file. Until the new store is there,
   the old files count.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from idmerge.files.syncing import sync_directory
from idmerge.profiles.store import json_text
from idmerge.server.people import updatefile
from idmerge.server.people.directory import (
    Files,
    files_in,
    loaded,
    store_path,
    unfinished_in,
    updates_path,
)
from idmerge.server.people.folding import fold
from idmerge.server.people.updatefile import Mark, UpdateFile

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from idmerge.profiles import MergeProfiles, Profiles, WhoIsWho
    from idmerge.server.people.resolving import UpdatesOf

LEAST_FOLDED = 16 << 20
"""Bytes of updates from which on they are folded into a store, if it is no longer than they are."""
RETRY = 60.0
"""Seconds after which folding that failed is tried again."""


class _EndedError(Exception):
    """Ends the making of a store that is not wanted any more."""


class PeopleStore:
    r"""Profiles in a directory, which one process has open at a time.

    One thread applies and flushes; others may read `profiles`.

    Args:
        directory: It is made if it is not there.
        resolver: As for `Profiles`.
        updates_of: Makes updates of stored profiles of the lines of a record.
        journal: The offset in the log that the journal has reached.
        place: The offset in the log up to which it says that updates were applied.
        count: The number of updates that it says were applied.
        merge_profiles: As for `Profiles`.

    Raises:
        FileFormatError: A file is damaged, or the journal is older than they are.
        OSError: A file cannot be read or written.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge import Resolver
        >>> from idmerge.server.people.peoplestore import PeopleStore
        >>> from idmerge.server.people.resolving import updates_of_people
        >>> def opened():
        ...     return PeopleStore(Path("profiles"), Resolver(), updates_of_people)
        >>> people = opened()
        >>> people.apply(b'{"$distinct_id": "ana", "$set": {"plan": "pro"}}\n', behind=80)
        >>> people.waiting, people.flush(journal=0), people.waiting
        (1, None, 0)
        >>> people.fold_if_due(), people.failure, people.close()
        (None, None, None)
        >>> people = opened()
        >>> people.profiles.get("ana"), people.place, people.count
        ({'plan': 'pro'}, 80, 1)
        >>> people.forget(["ana"]), people.profiles.get("ana"), people.close()
        (None, None, None)
    """

    profiles: Profiles
    """The profiles as of now, flushed or not."""
    place: int
    """The offset in the log up to which updates are applied; to be moved where there are none."""

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        directory: Path,
        resolver: WhoIsWho,
        updates_of: UpdatesOf,
        *,
        journal: int = 0,
        place: int = 0,
        count: int = 0,
        merge_profiles: MergeProfiles = "hide",
    ) -> None:
        self._directory = directory
        self._resolver = resolver
        self._updates_of = updates_of
        self._waiting: list[bytes] = []
        self._folding: threading.Thread | None = None
        self._is_unwanted = threading.Event()
        self._failure: str | None = None
        self._failed_at = 0.0
        directory.mkdir(parents=True, exist_ok=True)
        files = files_in(directory)
        if not files.updates and not count:
            sync_directory(directory.parent)
            updatefile.begin(updates_path(directory, 1), Mark(place, 0, 0))
            files = files_in(directory)
        found = loaded(files, resolver, journal=journal, count=count, merge_profiles=merge_profiles)
        _remove([*files.left_over, *unfinished_in(directory)])
        self.profiles = found.profiles
        self.place = max(place, found.mark.place)
        self._count = found.mark.number
        self._files = files
        self._file = UpdateFile(files.updates[-1], found.length)

    @property
    def waiting(self) -> int:
        """The number of updates that are applied and not flushed."""
        return len(self._waiting)

    @property
    def count(self) -> int:
        """The number of updates that were ever flushed."""
        return self._count

    @property
    def failure(self) -> str | None:
        """The reason why no new store could be made; None if there is none. It is tried again."""
        return self._failure

    def apply(self, lines: bytes, behind: int) -> None:
        """Apply the updates among ``lines`` of the log, up to the offset ``behind``."""
        updates = self._updates_of(lines, self._resolver)
        self.profiles.update_many(updates)
        self._waiting += map(json_text, updates)
        self.place = behind

    def flush(self, journal: int) -> None:
        """Write down what was applied; when this returns, it is on disk.

        Args:
            journal: The offset in the log that the journal has to reach for it to count: `place` if
                it is to be committed with links of records before that, else where the journal is.

        Raises:
            OSError: It could not be written, and still waits.
        """
        if not self._waiting:
            return
        mark = Mark(self.place, journal, self._count + len(self._waiting))
        self._file.append(updatefile.group(self._waiting, mark))
        self._count = mark.number
        self._waiting = []

    # Stores.

    def fold_if_due(self) -> None:
        """Begin to make a new store if the updates are long; all that was flushed must count.

        Raises:
            OSError: The next file of updates could not be made.
        """
        if self._folding is not None:
            if self._folding.is_alive():
                return
            self._folding = None
            self._files = files_in(self._directory)
        if self._failure is not None and monotonic() - self._failed_at < RETRY:
            return
        store, updates = self._files.store, self._files.updates
        least = max(LEAST_FOLDED, store.stat().st_size if store else 0)
        if self._file.length < least and len(updates) == 1:
            return
        if self._file.length >= least:
            self._begin_file()
        self._folding = threading.Thread(
            target=self._fold, args=(self._files,), name="idmerge-profiles", daemon=True
        )
        self._folding.start()

    def _begin_file(self) -> None:
        """Let later updates go to a new file."""
        number = self._files.number + 1
        path = updates_path(self._directory, number)
        try:
            updatefile.begin(path, Mark(self.place, 0, self._count))
            file = UpdateFile(path, path.stat().st_size)
        except BaseException:
            path.unlink(missing_ok=True)  # The old file goes on, and so this one would not fit.
            raise
        self._file.close()
        self._file = file
        self._files = files_in(self._directory)

    def _fold(self, files: Files) -> None:
        """Make a store of all but the last file, and remove what it stands for."""
        try:
            into = store_path(self._directory, files.number)
            fold(files.store, files.updates[:-1], into, self._check_is_wanted)
            _remove(files_in(self._directory).left_over)
        except _EndedError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, it is shown and tried again
            self._failure = f"no new store of profiles can be made: {error or type(error).__name__}"
            self._failed_at = monotonic()
        else:
            self._failure = None

    def _check_is_wanted(self) -> None:
        if self._is_unwanted.is_set():
            raise _EndedError

    def _end_folding(self) -> None:
        if self._folding is not None:
            self._is_unwanted.set()
            self._folding.join()
            self._is_unwanted.clear()
            self._folding = None
            self._files = files_in(self._directory)

    def forget(self, distinct_ids: Collection[str]) -> None:
        """Remove what is stored under exactly these IDs, for good: from memory, and from all files.

        All that was flushed must count, and nothing may wait: commit the journal first. It takes as
        long as to write all profiles.

        Raises:
            OSError: They could not be written. Call it again.
            ValueError: Some updates wait.
        """
        if self._waiting:
            raise ValueError(f"{len(self._waiting)} updates wait; flush them first, and commit the journal")
        self._end_folding()
        for distinct_id in distinct_ids:
            self.profiles.forget(distinct_id)
        self._begin_file()
        self.profiles.save(store_path(self._directory, self._files.number))
        _remove([*files_in(self._directory).left_over, *unfinished_in(self._directory)])
        sync_directory(self._directory)
        self._files = files_in(self._directory)

    def close(self) -> None:
        """Close the files; what waits is in the log."""
        self._end_folding()
        self._file.close()


def _remove(paths: Collection[Path]) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            path.unlink()
