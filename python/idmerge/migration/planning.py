"""The plan: the ID that each ID of Original gets in Simplified, and the person whom it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from idmerge._formatting import counted, printable
from idmerge.errors import MigrationError
from idmerge.events import Kind
from idmerge.migration.closure import Closure
from idmerge.migration.splitting import chosen_user, links_of, split
from idmerge.migration.users import SIMPLIFIED, Users, device
from idmerge.policy import can_be_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.migration.closure import Join
    from idmerge.migration.first_reading import FirstReading
    from idmerge.migration.splitting import Ambiguous
    from idmerge.migration.users import UserRule


class Cluster(NamedTuple):
    """A cluster of the closure: one person, had Original and Simplified no limits."""

    members: Sequence[str]
    users: Sequence[str]


class Planned(NamedTuple):
    """A row of the planned mapping.

    Examples:
        >>> from idmerge import migration
        >>> plan = migration.plan("examples/flow-1-new-user.ndjson")
        >>> for row in plan.mapping():
        ...     print(row.distinct_id[:8], row.migrated_id[:16], row.person)
        5f0c1e2a $device:5f0c1e2a ada@example.com
        ada@exam ada@example.com ada@example.com
    """

    distinct_id: str | None
    """The ID in Original; None for a device that only the ``$device_id`` of events names."""
    migrated_id: str | None
    """Its ID in Simplified; None if Simplified takes no such ID."""
    person: str | None
    """The user, or the device without a user, whom Simplified shows."""


class Plan:
    """IDs of Original, and what becomes of them.

    Args:
        reading: The first reading of the events.
        rule: The rule by which IDs are users.
        ambiguous: What becomes of a cluster with several users.

    Raises:
        MigrationError: There is a cluster with several users, and ``ambiguous`` is ``"error"``.
    """

    def __init__(self, reading: FirstReading, rule: UserRule | None, ambiguous: Ambiguous) -> None:
        refused = [link for link in reading.refused if link.kind is Kind.IDENTIFY]
        identified = reading.identified | {link.second: None for link in refused}
        anonymous = reading.claims.keys() | {link.first for link in refused}
        self._users = Users(rule, reading.original.policy, identified, anonymous)
        self.reading = reading
        self.closure = Closure(reading, self._users)
        self._ambiguous = ambiguous
        self._joins: dict[str, list[tuple[int, Join]]] = {}
        for place, join in enumerate(self.closure.joins):
            self._joins.setdefault(join.first, []).append((place, join))
        self.targets: dict[str, str | None] = {}
        """The ID in Simplified of each ID in Original."""
        self.users: dict[str, str] = {}
        """The user of each device that has one, by the device's ID in Simplified."""
        self.devices: dict[str, list[str]] = {}
        """The IDs in Original, or the added device, that each associated device was."""
        self.taken: list[str] = []
        """IDs whose device in Simplified is that of another ID, and has another user."""
        self.clusters: list[Cluster] = []
        """Those of several IDs."""
        for members in self.closure.clusters():
            self._take(Cluster(members, self._users.among(members)))

    def mapping(self) -> Iterator[Planned]:
        """Yield a row for each ID, and for each device that only a ``$device_id`` names."""
        for each, target in self.targets.items():
            own = None if self.closure.is_added(each) else each
            yield Planned(own, target, self.person(target))

    def person(self, target: str | None) -> str | None:
        """Return the person whom Simplified shows for one of its IDs."""
        return None if target is None else self.users.get(target, target)

    def target(self, distinct_id: str) -> str | None:
        """Return the ID in Simplified of any ID: of one that is not known, as if it were alone."""
        if distinct_id in self.targets:
            return self.targets[distinct_id]
        return distinct_id if self._users.among([distinct_id]) else _valid(device(distinct_id))

    def _take(self, cluster: Cluster) -> None:
        members, users = cluster
        if len(members) > 1:
            self.clusters.append(cluster)
        users_of, own = self._users_of(cluster), set(users)
        for each in members:
            if each in own:
                self.targets[each] = users_of[each]
                continue
            target = self.targets[each] = _valid(device(each))
            if target is None or each not in users_of:
                continue
            if self.users.setdefault(target, users_of[each]) != users_of[each]:
                self.taken.append(each)
            self.devices.setdefault(target, []).append(each)

    def _users_of(self, cluster: Cluster) -> dict[str, str]:
        """Return the user of each member; nothing if the cluster has none."""
        members, users = cluster
        if len(users) <= 1:
            return dict.fromkeys(members, users[0]) if users else {}
        if self._ambiguous == "error":
            named = ", ".join(map(printable, users[:3]))
            more = f" and {len(users) - 3:,} more" if len(users) > 3 else ""  # noqa: PLR2004
            raise MigrationError(
                f"a cluster of {counted(len(members), 'ID')} has {len(users):,} users ({named}{more}), and "
                "Simplified joins no users; choose by ambiguous (--ambiguous split, first, last or "
                "most-events)"
            )
        if self._ambiguous == "split":
            return split(members, users, links_of(members, self.reading, self._joins))
        return dict.fromkeys(members, chosen_user(self._ambiguous, users, self.reading.events_of))


def _valid(distinct_id: str) -> str | None:
    return distinct_id if can_be_id(distinct_id, SIMPLIFIED) else None
