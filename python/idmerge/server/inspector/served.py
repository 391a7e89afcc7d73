"""A project of a server as a subject of the inspector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from idmerge.server.inspector.doors import Door
from idmerge.server.inspector.overview import Overview
from idmerge.server.inspector.routing import Inspector
from idmerge.server.inspector.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from idmerge.journal import DurableResolver
    from idmerge.profiles import Profiles
    from idmerge.server.acts import Effect
    from idmerge.server.http.credentials import Project
    from idmerge.server.inspector.examined import CheckUp
    from idmerge.server.store.forgetting import Forgotten
    from idmerge.server.store.sealing import Snapshot


class Host(Protocol):
    """What a subject needs of the server whose project it is."""

    @property
    def projects(self) -> Sequence[Project]:
        """The projects."""

    def resolver(self, project: str) -> DurableResolver:
        """Return the resolver of the project with this name."""

    def still(self, project: str) -> AbstractContextManager[DurableResolver]:
        """Give the resolver of a project, which stays as it is while the block runs."""

    def profiles(self, project: str) -> Profiles:
        """Return the profiles of people of the project with this name."""

    def events(self, project: str) -> Snapshot:
        """Return the events of the project with this name at this moment."""

    def retract(self, project: str, positions: Sequence[int], expected: str | None) -> Effect:
        """Take back what stands at some positions of a project's journal, if it is as expected."""

    def keep_apart(self, project: str, a: str, b: str) -> int:
        """Keep two IDs of a project apart, and return the position of that."""

    def forget(self, project: str, distinct_id: str) -> Forgotten:
        """Forget an ID of a project."""


def inspector_of(host: Host, check_up: Callable[[str], CheckUp] | None = None) -> Inspector:
    """Return the pages of all projects of a server.

    Args:
        host: The server.
        check_up: Returns the check-ups of the project with a name; None for none.
    """
    return Inspector(
        [
            Door(project, ServedProject(host, project), None if check_up is None else check_up(project.name))
            for project in host.projects
        ]
    )


class ServedProject(Subject):
    """A project of a server that runs."""

    def __init__(self, host: Host, project: Project) -> None:
        self._host, self._project = host, project
        self._overview = Overview(project.timezone)

    @property
    def name(self) -> str:
        """The name of the project."""
        return self._project.name

    @property
    def timezone(self) -> str | None:
        """The time zone in which its days begin; None for UTC."""
        return self._project.timezone

    @property
    def is_changeable(self) -> bool:
        """Whether it can be changed here: always."""
        return True

    @property
    def overview(self) -> Overview:
        """What its journal has seen, as far as it was read."""
        return self._overview

    def resolver(self) -> DurableResolver:
        """Return its resolver, for one question."""
        return self._host.resolver(self.name)

    def still(self) -> AbstractContextManager[DurableResolver]:
        """Give its resolver, to which nothing is applied while the block runs."""
        return self._host.still(self.name)

    def profiles(self) -> Profiles:
        """Return the profiles of its people."""
        return self._host.profiles(self.name)

    def events(self) -> Snapshot:
        """Return its events at this moment."""
        return self._host.events(self.name)

    def retract(self, positions: Sequence[int], expected: str | None) -> Effect:
        """Take back what stands at some positions, if it changes what is ``expected``."""
        return self._host.retract(self.name, positions, expected)

    def keep_apart(self, a: str, b: str) -> int:
        """Keep two IDs apart, and return the position of that."""
        return self._host.keep_apart(self.name, a, b)

    def forget(self, distinct_id: str) -> Forgotten:
        """Forget an ID, for good."""
        done = self._host.forget(self.name, distinct_id)
        self._overview.drop(distinct_id)
        return done
