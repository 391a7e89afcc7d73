"""Simplified ID Merge in plain Python, as its documentation tells it, beside `idmerge.reference`.

A device belongs to the first user who has an event on it, whenever the device's other events came.
Users are never joined, and nothing else joins devices.
"""

from __future__ import annotations

from typing import Any

PREFIX = "$device:"


class Simplified:
    """The persons of a project: users with their devices, and devices without a user."""

    def __init__(self) -> None:
        self.user_of: dict[str, str] = {}
        self.known: dict[str, None] = {}  # IDs in the order in which they came.
        self.outcomes: list[str] = []

    def take(self, event: dict[str, Any]) -> None:
        """Take an event; one of the three identity events is refused."""
        properties = event.get("properties", {})
        if event.get("event") in {"$identify", "$create_alias", "$merge"}:
            self.outcomes.append("VERB_NOT_ALLOWED")
            return
        device, user = properties.get("$device_id"), properties.get("$user_id")
        if device is not None:
            device = PREFIX + device.removeprefix(PREFIX)
        if device is not None and user is not None:
            self._associate(device, user)
        elif (own := user or device or properties.get("distinct_id")) is not None:
            self.known[own] = None

    def _associate(self, device: str, user: str) -> None:
        self.known |= {device: None} | {user: None}
        first = self.user_of.get(device)
        if first is None:
            self.user_of[device] = user
            self.outcomes.append("MERGED")
        else:
            self.outcomes.append("UNCHANGED" if first == user else "ANON_CLAIMED")

    def person(self, distinct_id: str) -> str:
        """Return the ID that names the person of ``distinct_id``."""
        return self.user_of.get(distinct_id, distinct_id)

    def mapping(self) -> dict[str, str]:
        """Return the ID of each known ID's person."""
        return {distinct_id: self.person(distinct_id) for distinct_id in self.known}
