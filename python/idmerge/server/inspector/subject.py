"""What pages know of what they show: a project of a server, or a journal alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from idmerge.journal import DurableResolver
    from idmerge.profiles import Profiles
    from idmerge.server.reading.exporting import Stored


class Subject(Protocol):
    """One resolver with a journal, and what else is known of its people."""

    @property
    def name(self) -> str:
        """The name of the project or of the journal, for people."""

    @property
    def timezone(self) -> str | None:
        """The time zone in which days begin; None for UTC."""

    @property
    def is_changeable(self) -> bool:
        """Whether links can be taken back, IDs kept apart and forgotten here."""

    def resolver(self) -> DurableResolver:
        """Return the resolver, for one question."""

    def still(self) -> AbstractContextManager[DurableResolver]:
        """Give the resolver, which stays as it is while the block runs."""

    def profiles(self) -> Profiles | None:
        """Return the profiles of people; None if there are none."""

    def events(self) -> Stored | None:
        """Return the events at this moment; None if they are kept nowhere.

        Raises:
            LogError: They are damaged.
            OSError: They cannot be read.
        """
