"""Subjects of pages: a project of a server, or a journal alone, as pages know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from idmerge.journal import DurableResolver
    from idmerge.profiles import Profiles
    from idmerge.server.acts import Effect
    from idmerge.server.inspector.overview import Overview
    from idmerge.server.reading.exporting import Stored
    from idmerge.server.store.forgetting import Forgotten


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

    @property
    def overview(self) -> Overview:
        """What the journal has seen, as far as it was read."""

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

    def retract(self, positions: Sequence[int], expected: str | None) -> Effect:
        """Take back what stands at some positions, if it changes what is ``expected`` (`acts`).

        Raises:
            BusyError: It cannot be done now; nothing is.
            RetractionError: A position is not there, is taken back already, or cannot be undone.
        """

    def keep_apart(self, a: str, b: str) -> int:
        """Keep two IDs apart, and return the position of that.

        Raises:
            BusyError: It cannot be done now; nothing is.
            KeptApartError: They are together.
            ValueError: One of them can be no ID, or both are one.
        """

    def forget(self, distinct_id: str) -> Forgotten:
        """Forget an ID, for good.

        Raises:
            BusyError: It cannot be done now; nothing is.
        """
