"""Subjects without a server that takes events: a journal alone, and a directory that is only read.

A journal that is only read is refreshed before each question, so that it shows what its writer has
committed by then.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from idmerge._naming import named
from idmerge.errors import JournalError, SealedError, UnknownIdError
from idmerge.journal import DurableResolver
from idmerge.server import acts
from idmerge.server.acts import retracting
from idmerge.server.inspector.overview import Overview
from idmerge.server.inspector.subject import Subject
from idmerge.server.people.directory import profiles_of
from idmerge.server.store.following import events_at
from idmerge.server.store.forgetting import Forgotten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import TypeVar

    from idmerge.policy import Api
    from idmerge.profiles import Profiles
    from idmerge.server.acts import Effect
    from idmerge.server.directory import Project
    from idmerge.server.reading.exporting import Stored

    T = TypeVar("T")


class AsProject(NamedTuple):
    """What is shown, as the doors of an inspector see a project."""

    name: str
    secret: str
    """A key that nobody has: who has the link of the terminal has a session."""
    token: str
    """Another text of this process alone, by which its cookies differ from those of others here."""
    accounts: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    api: Api = "original"
    timezone: str | None = None

    @classmethod
    def of(cls, name: str) -> Self:
        """Return what is shown under a name, with keys of its own."""
        return cls(name, secrets.token_hex(16), secrets.token_hex(16))


class _DroppedError(Exception):
    """Ends the use of a resolver as an error does."""


class JournalAlone(Subject):
    """A journal, without events and profiles.

    Args:
        path: A file of SQLite, or a ``postgresql://`` URL.
        read_only: Whether another process may write to it.

    Raises:
        JournalError: It is damaged, or has another writer.
        OSError: It cannot be read.
    """

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        self._path, self._read_only = path, read_only
        self._overview = Overview(self.timezone)
        self._lock = threading.RLock()
        self._resolver = self._opened()

    def _opened(self) -> DurableResolver:
        return DurableResolver.open(self._path, create=False, read_only=self._read_only)

    @property
    def name(self) -> str:
        """The name of the journal, without a password."""
        return named(self._path)

    @property
    def timezone(self) -> str | None:
        """The time zone in which days begin: UTC."""
        return None

    @property
    def is_changeable(self) -> bool:
        """Whether it can be changed here."""
        return not self._read_only

    @property
    def overview(self) -> Overview:
        """What the journal has seen, as far as it was read."""
        return self._overview

    def resolver(self) -> DurableResolver:
        """Return the resolver, as of now."""
        with self._lock:
            if self._read_only:
                try:
                    self._resolver.refresh()
                except (JournalError, SealedError):  # It was written anew meanwhile, or is damaged.
                    self._resolver.close()
                    self._resolver = self._opened()
                    self._overview = Overview(self.timezone)  # It may name IDs that are forgotten.
            return self._resolver

    @contextmanager
    def still(self) -> Iterator[DurableResolver]:
        """Give the resolver, which stays as it is while the block runs."""
        with self._lock:
            yield self.resolver()

    def profiles(self) -> Profiles | None:
        """Return None: a journal has no profiles."""
        return None

    def events(self) -> Stored | None:
        """Return None: a journal has no events."""
        return None

    def retract(self, positions: Sequence[int], expected: str | None) -> Effect:
        """Take back what stands at some positions, if it changes what is ``expected``."""
        return self._changed(retracting(positions, expected))

    def keep_apart(self, a: str, b: str) -> int:
        """Keep two IDs apart, and return the position of that."""
        acts.check_pair(self._resolver, a, b)
        return self._changed(acts.keeping_apart(a, b))

    def forget(self, distinct_id: str) -> Forgotten:
        """Forget an ID, and wipe it from the journal."""
        with self._lock:
            was_known = True
            try:
                self._changed(lambda resolver: resolver.forget(distinct_id))
            except UnknownIdError:
                was_known = False
            self._resolver.compact()
            self._overview.drop(distinct_id)
            return Forgotten(was_known, events=0, is_wiped=True)

    def _changed(self, change: Callable[[DurableResolver], T]) -> T:
        """Change the resolver and commit; what cannot be committed is not done."""
        with self._lock:
            try:
                done = change(self._resolver)
                self._resolver.commit()
            except BaseException:
                if self._resolver.uncommitted:
                    self.close()
                    self._resolver = self._opened()
                raise
            return done

    def close(self) -> None:
        """Let go of the journal, without what is not committed."""
        with suppress(_DroppedError), self._resolver:
            raise _DroppedError


class DirectoryAlone(JournalAlone):
    """A project in a server's directory, which is only read; its server may run.

    Args:
        project: The project.
        log: The path of the server's log.

    Raises:
        JournalError: The journal is damaged.
        OSError: It cannot be read.
    """

    def __init__(self, project: Project, log: Path) -> None:
        self._project, self._log = project, log  # Whose time zone the overview has.
        super().__init__(str(project.journal), read_only=True)
        self._profiles: tuple[object, Profiles] | None = None

    @property
    def name(self) -> str:
        """The name of the project."""
        return self._project.name

    @property
    def timezone(self) -> str | None:
        """The time zone in which its days begin; None for UTC."""
        return self._project.timezone

    def profiles(self) -> Profiles:
        """Return the profiles of its people, which are read again when their files have changed."""
        with self._lock:
            resolver = self.resolver()
            place = self._project.profiles
            files = sorted(place.iterdir()) if place.is_dir() else []
            seen = (resolver.position, [(path.name, path.stat().st_size) for path in files if path.exists()])
            if (
                self._profiles is None
                or self._profiles[0] != seen
                or self._profiles[1].resolver is not resolver
            ):
                self._profiles = (seen, profiles_of(self._project, resolver))
            return self._profiles[1]

    def events(self) -> Stored:
        """Return its events at this moment."""
        return events_at(self._log, self._project)
