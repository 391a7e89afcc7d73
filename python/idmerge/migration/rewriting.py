"""Events, associations and profile updates as a Simplified project takes them.

An event gets its IDs from the one that was sent: ``$user_id`` if that is a user's, else
``$device_id``. The other of the two stays if the event has it and the plan gives the device to that
user; otherwise it is left out, for it would state a link that is not planned. ``distinct_id`` is
what Simplified makes of the two.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.events import (
    DEVICE,
    ORIGINALS,
    SENT_ID,
    USER,
    VERDICTS,
    device_of,
    is_verb,
    original_of,
    user_of,
)
from idmerge.files.names import EVENT, ID, INSERT_ID, PROPERTIES, TIME
from idmerge.policy import DEVICE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from idmerge.migration.planning import Plan

ASSOCIATION = "Identity Association"
"""The name of the events that associate a device with its user."""
LEFT_OUT = frozenset({ID, DEVICE, USER, SENT_ID, *VERDICTS, "$failure_description"})
"""Properties that are written anew, or that are Original's own."""
_INSERT_ID = re.compile(r"[a-zA-Z0-9-]{1,36}")
"""What Mixpanel takes as an insert ID."""


class Written(NamedTuple):
    """An event as it is written."""

    event: dict[str, Any]
    distinct_id: str | None
    """Its ID in Simplified; None if it belongs to nobody."""
    is_cut: bool
    """True if a device or a user whom it names beside its ID was left out."""


def association(device: str, user: str, time: int | None) -> dict[str, Any]:
    """Return the event that associates ``device``, an ID of Simplified's, with ``user``."""
    times = {} if time is None else {TIME: time}
    insert_id = _digest("association", device, user)
    ids = {INSERT_ID: insert_id, ID: user, DEVICE: bare(device), USER: user}
    return {EVENT: ASSOCIATION, PROPERTIES: {**times, **ids}}


def associations(plan: Plan, floor: int | None) -> Iterator[dict[str, Any]]:
    """Yield the association of each device that has a user."""
    for device, user in plan.users.items():
        time = plan.reading.first_time(plan.devices[device]) if floor is None else floor
        yield association(device, user, time)


def written(plan: Plan, given: Mapping[str, Any], number: int) -> Written | None:
    """Return an event as it is written; None for an identity event.

    Args:
        plan: The plan.
        given: The event.
        number: Its place among the events that were read, which makes an ``$insert_id`` for it
            where it has none that Mixpanel takes.
    """
    event = original_of(given)
    if is_verb(event, "original"):
        return None
    stated = event.get(PROPERTIES)
    stated = stated if isinstance(stated, dict) else {}
    left_out = LEFT_OUT | {*ORIGINALS} if event is not given else LEFT_OUT
    properties = {key: value for key, value in stated.items() if key not in left_out}
    sent = plan.reading.sender(event)
    target = None if sent is None else plan.target(sent)
    named_device = device_of(stated) if DEVICE in stated else None
    named_user = user_of(stated) if USER in stated else None
    if sent is None:
        device = user = None
        properties[ID] = ""
    else:
        device, user = _both(plan, sent, target, named_device, named_user)
        properties[ID] = user or device
    if device is not None:
        properties[DEVICE] = bare(device)
    if user is not None:
        properties[USER] = user
    if not _is_insert_id(properties.get(INSERT_ID)):
        properties[INSERT_ID] = _own_insert_id(properties.get(INSERT_ID), event, number)
    is_cut = (named_device is not None and device is None) or (named_user is not None and user is None)
    return Written({EVENT: event.get(EVENT), PROPERTIES: properties}, target, is_cut)


def _both(
    plan: Plan, sent: str, target: str | None, named_device: str | None, named_user: str | None
) -> tuple[str | None, str | None]:
    """Return the device and the user of an event: one by its ID, the other if it is planned."""
    if target is None:  # An ID that Simplified takes from nobody.
        return sent if sent.startswith(DEVICE_PREFIX) else DEVICE_PREFIX + sent, None
    if not target.startswith(DEVICE_PREFIX):
        is_planned = named_device is not None and plan.users.get(named_device) == target
        return named_device if is_planned else None, target
    user = None if named_user is None else plan.target(named_user)
    is_planned = user is not None and plan.users.get(target) == user
    return target, user if is_planned else None


def bare(device: str) -> str:
    """Return an ID of a device as ``$device_id`` has it: Simplified puts ``$device:`` before it.

    A second ``$device:`` is part of the ID; there both are written, for Simplified takes one away.
    """
    name = device.removeprefix(DEVICE_PREFIX)
    return device if name.startswith(DEVICE_PREFIX) else name


def _is_insert_id(value: object) -> bool:
    return isinstance(value, str) and _INSERT_ID.fullmatch(value) is not None


def _own_insert_id(value: object, event: Mapping[str, Any], number: int) -> str:
    """Return an insert ID for an event; the same for the same ``value``, if there is one."""
    if value is None or value == "":
        return _digest("event", str(number))
    return _digest("insert", str(event.get(EVENT)), repr(value))


def _digest(kind: str, *parts: str) -> str:
    content = "\0".join(parts).encode("utf-8", "surrogatepass")
    return f"{kind[:3]}-{hashlib.sha256(content).hexdigest()[:32]}"
