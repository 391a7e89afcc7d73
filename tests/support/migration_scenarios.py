"""Small Original projects, each with one situation of a migration, as events.

Users have IDs of digits, devices UUIDs of version 4. An ordinary event is sent under every ID that
a scenario names, some seconds apart.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from idmerge import Policy, Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Event = dict[str, Any]
START = 1_700_000_000
DAY = 86_400


class Scenario(NamedTuple):
    """Events, and the unique users that a project shows for them."""

    events: list[Event]
    original: int
    """Under Original, where a cluster ends up with 501 IDs."""
    simplified: int
    """Under Simplified, after the migration."""


class Script:
    """Writes the events of one scenario."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self._number = number
        self.events: list[Event] = []

    def device(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def devices(self, count: int) -> list[str]:
        return [self.device() for _ in range(count)]

    def user(self, place: int = 0) -> str:
        return str(70_000 + 10 * self._number + place)

    def send(self, name: str, after: int = 10, **properties: Any) -> None:
        place = len(self.events)
        stated = {key.replace("__", "$"): value for key, value in properties.items()}
        fixed = {"time": START + after * place, "$insert_id": f"s{self._number}-{place}"}
        self.events.append({"event": name, "properties": {**fixed, **stated}})

    def view(self, *ids: str, **properties: Any) -> None:
        for each in ids:
            self.send("View", distinct_id=each, **properties)

    def identify(self, user: str, device: str) -> None:
        self.send("$identify", distinct_id=user, __anon_distinct_id=device)

    def alias(self, distinct_id: str, alias: str) -> None:
        self.send("$create_alias", distinct_id=distinct_id, alias=alias)

    def merge(self, first: str, second: str) -> None:
        self.send("$merge", __distinct_ids=[first, second])


def _one_device(script: Script) -> None:
    device, user = script.device(), script.user()
    script.view(device)
    script.identify(user, device)
    script.view(user)


def _chain_of_aliases(script: Script) -> None:
    first, second, third = script.devices(3)
    script.view(first)
    script.alias(first, second)
    script.view(second)
    script.alias(second, third)
    script.view(third)
    script.identify(script.user(), first)
    script.view(script.user())


def _user_as_alias(script: Script) -> None:
    devices = script.devices(2)
    script.view(*devices)
    for device in devices:
        script.alias(script.user(), device)
    script.view(script.user())


def _two_devices_merged(script: Script) -> None:
    devices = script.devices(2)
    script.view(*devices)
    script.merge(*devices)


def _merged_devices_of_a_user(script: Script) -> None:
    first, second, third = script.devices(3)
    script.view(first, second, third)
    script.merge(first, second)
    script.merge(second, third)
    script.identify(script.user(), first)
    script.view(script.user())


def _two_users_merged(script: Script) -> None:
    for place, device in enumerate(script.devices(2)):
        script.view(device)
        script.identify(script.user(place), device)
        script.view(script.user(place))
    script.merge(script.user(0), script.user(1))


def _too_many_devices(script: Script) -> None:
    devices = script.devices(510)
    for device in devices:
        script.view(device)
        script.identify(script.user(), device)
    script.view(script.user())


def _device_in_another_format(script: Script) -> None:
    script.view("session_abc123_v1")
    script.identify(script.user(), "session_abc123_v1")
    script.view(script.user())


def _five_devices(script: Script) -> None:
    for device in script.devices(5):
        script.view(device)
        script.send("$identify", distinct_id=device, __identified_id=script.user(), __anon_id=device)
    script.view(script.user())


def _both_properties(script: Script) -> None:
    device = script.device()
    for _ in range(3):
        script.view(script.user(), __device_id=device, __user_id=script.user())


def _forty_devices(script: Script) -> None:
    for device in script.devices(40):
        script.view(device)
        script.identify(script.user(), device)
        script.view(script.user())


def _alias_of_a_user(script: Script) -> None:
    script.view(script.user(0))
    script.alias(script.user(0), script.user(1))
    script.view(script.user(1))


def _device_alone(script: Script) -> None:
    script.view(script.device())


def _user_alone(script: Script) -> None:
    script.view(script.user())


def _identified_days_later(script: Script) -> None:
    device = script.device()
    for _ in range(4):
        script.send("View", after=DAY, distinct_id=device)
    script.send("$identify", after=DAY, distinct_id=script.user(), __anon_distinct_id=device)
    script.send("View", after=DAY, distinct_id=script.user())


_WRITTEN: dict[str, tuple[Callable[[Script], None], int, int]] = {
    "one device": (_one_device, 1, 1),
    "a chain of aliases": (_chain_of_aliases, 1, 1),
    "a user with two aliases": (_user_as_alias, 1, 1),
    "two devices merged": (_two_devices_merged, 1, 2),
    "merged devices of a user": (_merged_devices_of_a_user, 1, 1),
    "two users merged": (_two_users_merged, 1, 2),
    "more devices than Original takes": (_too_many_devices, 11, 1),
    "a device in another format": (_device_in_another_format, 2, 1),
    "five devices": (_five_devices, 1, 1),
    "events of both a device and a user": (_both_properties, 1, 1),
    "forty devices": (_forty_devices, 1, 1),
    "an alias between users": (_alias_of_a_user, 1, 2),
    "a device alone": (_device_alone, 1, 1),
    "a user alone": (_user_alone, 1, 1),
    "identified days later": (_identified_days_later, 1, 1),
}


def _scenarios() -> Iterator[tuple[str, Scenario]]:
    for number, (name, (write, original, simplified)) in enumerate(_WRITTEN.items(), 1):
        script = Script(number)
        write(script)
        yield name, Scenario(script.events, original, simplified)


SCENARIOS = dict(_scenarios())


def exported(events: list[Event]) -> list[Event]:
    """Return ``events`` as an export may have them: identity events three times, senders rewritten.

    The event behind each third identity event has another member of its cluster as `distinct_id`.
    """
    resolver = Resolver(Policy(max_cluster_size=501))
    resolver.apply_events(events)
    rows: list[Event] = []
    for place, event in enumerate(events):
        properties = dict(event["properties"])
        if event["event"] != "View":
            rows += [event, event]
        elif place % 3 == 0 and "$user_id" not in properties:
            sent = properties["distinct_id"]
            canonical = resolver.members(sent)[0]
            if canonical != sent:
                properties |= {"distinct_id": canonical, "$distinct_id_before_identity": sent}
        rows.append({"event": event["event"], "properties": properties})
    return rows
