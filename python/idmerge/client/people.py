"""Updates of one visitor's profile, as `people` of the browser's SDK sends them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from idmerge.client.values import listed, plain, plain_properties

RESERVED = {"$distinct_id", "$token", "$device_id", "$user_id", "$had_persisted_distinct_id"}
"""Properties of an update itself, which are passed over among those of a profile."""
Update = Callable[[str, Any], bool]
"""What takes an action, such as ``$set``, and its values; it returns whether they are sent."""


class People:
    """The profile of a client's visitor: ``client.people``.

    Until `identify` is called on this client, updates wait in its state, where later ones override
    earlier ones as in the browser's SDK; `identify` sends them. Each call takes a mapping, or a
    name and its value.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.client import Client
        >>> sent = []
        >>> client = Client(Resolver(), "shop", sink=lambda route, item: sent.append(item))
        >>> client.people.set("plan", "free")
        True
        >>> sent
        []
        >>> _ = client.identify("ana")
        >>> [(update["$distinct_id"], update["$set"]) for update in sent if "$set" in update]
        [('ana', {'plan': 'free'})]
    """

    def __init__(self, update: Update) -> None:
        self._update = update

    def set(self, properties: str | Mapping[str, Any], value: Any = None) -> bool:
        """Set properties of the profile.

        Returns:
            Whether the update is sent, or waits for `identify`; False if the queue is full, or
            1,000 names and values wait already.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> people = Client(Resolver(), "shop").people
            >>> people.set({"$name": "Ana", "plan": "pro"}), people.set("plan", "max")
            (True, True)
        """
        return self._update("$set", _values(properties, value))

    def set_once(self, properties: str | Mapping[str, Any], value: Any = None) -> bool:
        """Set properties that the profile does not have yet.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> Client(Resolver(), "shop").people.set_once("first_seen", "2026-11-30")
            True
        """
        return self._update("$set_once", _values(properties, value))

    def increment(self, properties: str | Mapping[str, float], by: float = 1) -> bool:
        """Add numbers to numeric properties.

        Raises:
            TypeError: A value is no number.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> people = Client(Resolver(), "shop").people
            >>> people.increment("visits"), people.increment({"credits": -5})
            (True, True)
        """
        values = _values(properties, by)
        for value in values.values():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"increment takes numbers, got {type(value).__name__}")
        return self._update("$add", values)

    def append(self, properties: str | Mapping[str, Any], value: Any = None) -> bool:
        """Append a value to properties that are lists.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> Client(Resolver(), "shop").people.append("seen", "shoes")
            True
        """
        return self._update("$append", _values(properties, value))

    def union(self, properties: str | Mapping[str, Any], values: Any = None) -> bool:
        """Append the values that properties which are lists do not have yet.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> Client(Resolver(), "shop").people.union("tags", ["new", "mobile"])
            True
        """
        given = properties if isinstance(properties, Mapping) else {properties: values}
        return self._update("$union", _unreserved({name: listed(value) for name, value in given.items()}))

    def remove(self, properties: str | Mapping[str, Any], value: Any = None) -> bool:
        """Remove a value from properties that are lists.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> Client(Resolver(), "shop").people.remove("seen", "shoes")
            True
        """
        return self._update("$remove", _values(properties, value))

    def unset(self, names: str | Iterable[str]) -> bool:
        """Remove properties from the profile.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> Client(Resolver(), "shop").people.unset(["plan", "credits"])
            True
        """
        given = [names] if isinstance(names, str) else [*names]
        return self._update("$unset", [plain(name) for name in given if name not in RESERVED])

    def delete(self) -> bool:
        """Delete the profile. It does not wait: without an `identify` before it does nothing.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(Resolver(), "shop")
            >>> client.people.delete(), client.identify("ana"), client.people.delete()
            (False, True, True)
        """
        return self._update("$delete", None)


def _values(properties: str | Mapping[str, Any], value: Any) -> dict[str, Any]:
    if isinstance(properties, str):
        return plain_properties({properties: value})
    return _unreserved(plain_properties(properties))


def _unreserved(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in RESERVED}
