"""The closure of the links: clusters as they are without the limits of Original.

It begins with Original's clusters. Then the links that Original refused for a limit join theirs, in
their order, and last the devices that ordinary events name beside a user. So nothing that Original
accepted is undone by a link that it refused:

1. An `$identify` joins unless its anonymous ID was claimed for another user, or is a user's.
2. A `$create_alias` joins unless its alias stands for another ID.
3. A device beside a user joins unless it has a user: in Simplified the first one keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from idmerge.events import Kind
from idmerge.policy import DEVICE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.migration.first_reading import FirstReading, RefusedLink
    from idmerge.migration.users import Users


class Join(NamedTuple):
    """A link behind Original's, which joined two of its clusters."""

    first: str
    second: str


class Closure:
    """Clusters of Original's IDs, and of devices that only a `$device_id` names."""

    def __init__(self, reading: FirstReading, users: Users) -> None:
        self._users = users
        self._parent: dict[str, str] = {}
        self.original = reading.original
        self._claims, self._aliases = dict(reading.claims), dict(reading.aliases)
        self._devices: list[str] = []
        """Devices that are no ID of Original's."""
        self.joins: list[Join] = []
        for link in reading.refused:
            if link.is_limited and self._holds(link):
                self._join(link.first, link.second)
        known = reading.original.mapping().to_pydict()["distinct_id"] if reading.pairs else []
        self._with_user = {self.root(each) for each in known if users.is_user(each)}
        for device, user in reading.pairs.items():
            self._take_pair(device, user)

    def clusters(self) -> Iterator[list[str]]:
        """Yield the members of each cluster in the order in which they became known."""
        members: dict[str, list[str]] = {}
        columns = self.original.mapping().to_pydict()
        for each, canonical in zip(columns["distinct_id"], columns["canonical_id"], strict=True):
            members.setdefault(self._find(canonical), []).append(each)
        for device in self._devices:
            members.setdefault(self._find(device), []).append(device)
        yield from members.values()

    def root(self, distinct_id: str) -> str:
        """Return the ID that stands for the cluster of an ID."""
        return self._find(self.original.resolve(distinct_id))

    def is_added(self, distinct_id: str) -> bool:
        """Return whether an ID is a device that Original did not know as an ID."""
        return distinct_id not in self.original

    def _holds(self, link: RefusedLink) -> bool:
        """Return whether a link that a limit refused joins its IDs, and keep its claim."""
        if link.kind is Kind.IDENTIFY:
            is_free = self._claims.setdefault(link.first, link.second) == link.second
            return is_free and not self._users.is_user(link.first)
        if link.kind is Kind.ALIAS:
            return self._aliases.setdefault(link.first, link.second) == link.second
        return True

    def _take_pair(self, device: str, user: str) -> None:
        if not self._users.is_user(user):
            return
        bare = device.removeprefix(DEVICE_PREFIX)
        known = [each for each in (device, bare) if each in self.original]
        known = [each for each in known if not self._users.is_user(each)]
        if any(self.root(each) in self._with_user for each in known):
            return
        if not known:
            self._devices.append(device)
        for each in known or [device]:
            self._join(each, user)
        self._with_user.add(self.root(user))

    def _join(self, first: str, second: str) -> None:
        roots = self.root(first), self.root(second)
        if roots[0] != roots[1]:
            self._parent[roots[0]] = roots[1]
            self.joins.append(Join(first, second))

    def _find(self, name: str) -> str:
        parent = self._parent
        while name in parent:
            up = parent[name]
            if up in parent:
                parent[name] = parent[up]
            name = up
        return name
