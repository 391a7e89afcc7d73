"""Admission: which items of a request are taken, and why the others are not.

The limits are those that Mixpanel documents for ``/track``, ``/import``, ``/engage`` and
``/groups``. Whether an identity event is allowed is not asked here: the resolver judges it, and a
rejection is an outcome. Items keep the bytes in which they came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge._json_decoding import decoded_or_none
from idmerge.events import IDENTITY_EVENTS
from idmerge.server import moments
from idmerge.server.http.answers import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from idmerge.events import Source

MAX_ITEMS = 2000
"""Items of a request; more are answered by 413."""
MAX_PROPERTIES = 255
MAX_ITEM = 2**20
"""Bytes of an item with its end; longer ones are not decoded."""
MAX_NAME = 255
"""Characters of an event's name, and of the insert ID that an answer shows."""
OLDEST = 5 * 24 * 3600 * 1000
"""Milliseconds that the time of an event by ``/track`` may lie before its receipt."""
AHEAD = 3600 * 1000
"""Milliseconds that the time of an imported event may lie ahead of its receipt."""
FIRST = 31_536_000_000
"""The beginning of 1971 in milliseconds: imports take no earlier times."""
_INSERT_ID = re.compile(r"[0-9A-Za-z-]{1,36}")


class Item(NamedTuple):
    """An item that is taken."""

    text: bytes
    """Its line."""
    token: str
    """The token that it names; empty without one."""
    time: int | None
    """The time of an event in milliseconds since 1970, if it has one that is a number."""


class Admitted(NamedTuple):
    """The items of a request that are taken, in their order, and what is wrong with the others."""

    items: list[Item]
    failures: list[Failure]


def admitted_events(lines: bytes, source: Source, received: int, *, strict: bool = False) -> Admitted:
    """Return the events among ``lines`` that are taken.

    Args:
        lines: Items of a request, each on a line.
        source: The route.
        received: The moment of receipt in milliseconds since 1970.
        strict: Whether an import is to be held to all that Mixpanel documents.
    """
    check = _strict_fault if strict else _age_fault if source == "track" else _no_fault
    return _admitted(lines, lambda item: _event_fault(item) or check(item, received))


def admitted_updates(lines: bytes, *, of_groups: bool = False) -> Admitted:
    """Return the updates of profiles, or of groups, among ``lines`` that are taken."""
    wanted = ("$group_key", "$group_id") if of_groups else ("$distinct_id",)
    return _admitted(lines, lambda item: _update_fault(item, wanted))


def in_order_of_time(items: list[Item]) -> list[Item]:
    """Return the events of a request in the order of their times, if all have one."""
    times = [item.time for item in items]
    if None in times:
        return items
    return sorted(items, key=lambda item: item.time or 0)  # Stable: the order sent breaks ties.


_Fault = tuple[str, str] | None
"""The field that is wrong, and the message; None for an item that is taken."""


def _admitted(lines: bytes, fault_of: Callable[[dict[str, Any]], _Fault]) -> Admitted:
    items: list[Item] = []
    failures: list[Failure] = []
    texts = (text for text in lines.split(b"\n") if text and not text.isspace())
    for index, text in enumerate(texts):
        item = _decoded(text) if len(text) < MAX_ITEM else None
        if len(text) >= MAX_ITEM:
            failures.append(Failure(index, "event", f"the item has more than {MAX_ITEM} bytes"))
        elif not isinstance(item, dict):
            failures.append(Failure(index, "event", "the item is no JSON object"))
        elif (fault := fault_of(item)) is not None:
            failures.append(Failure(index, *fault, _insert_id(item)))
        else:
            items.append(Item(text + b"\n", _token(item), _time(item)))
    return Admitted(items, failures)


def _decoded(text: bytes) -> Any:
    """Return the value of an item; None if the pipeline does not read it, as UTF-16."""
    try:
        return decoded_or_none(text.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return None


def _properties(item: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = item.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _token(item: Mapping[str, Any]) -> str:
    token = item.get("$token", _properties(item).get("token"))
    return token if isinstance(token, str) else ""


def _time(item: Mapping[str, Any]) -> int | None:
    value = _properties(item).get("time")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 10**15:
        return None
    return round(moments.of_number(value))


def _insert_id(item: Mapping[str, Any]) -> str:
    value = _properties(item).get("$insert_id")
    return value[:MAX_NAME] if isinstance(value, str) else ""


def _event_fault(item: Mapping[str, Any]) -> _Fault:
    name, properties = item.get("event"), item.get("properties")
    if not isinstance(name, str) or not name:
        return "event", "'event' is invalid: must be a text that is not empty"
    if len(name) > MAX_NAME:
        return "event", f"'event' is invalid: must have at most {MAX_NAME} characters"
    if not isinstance(properties, dict):
        return "properties", "'properties' is invalid: must be an object"
    if len(properties) > MAX_PROPERTIES:
        return "properties", f"'properties' is invalid: must have at most {MAX_PROPERTIES} properties"
    return None


def _no_fault(_item: Mapping[str, Any], _received: int) -> _Fault:
    return None


def _age_fault(item: Mapping[str, Any], received: int) -> _Fault:
    time = _time(item)
    if time is not None and time < received - OLDEST:
        return (
            "properties.time",
            "'properties.time' is invalid: /track takes no event older than five days; send it to /import",
        )
    return None


def _strict_fault(item: Mapping[str, Any], received: int) -> _Fault:
    properties = _properties(item)
    time, insert_id = _time(item), properties.get("$insert_id")
    if time is None:
        return (
            "properties.time",
            "'properties.time' is invalid: must be specified as seconds or milliseconds since epoch",
        )
    if not FIRST <= time <= received + AHEAD:
        wrong = "must be no earlier than 1971 and no later than an hour from now"
        return "properties.time", f"'properties.time' is invalid: {wrong}"
    if item["event"] in IDENTITY_EVENTS:
        return None  # They have IDs of their own, and none that hides a duplicate.
    if not isinstance(properties.get("distinct_id"), (str, int)) and not _names_sender(properties):
        return "properties.distinct_id", "'properties.distinct_id' is invalid: must be a text"
    if not isinstance(insert_id, str) or not _INSERT_ID.fullmatch(insert_id):
        wrong = "must be a text of 1 to 36 letters, digits and hyphens"
        return "properties.$insert_id", f"'properties.$insert_id' is invalid: {wrong}"
    return None


def _names_sender(properties: Mapping[str, Any]) -> bool:
    """Return whether an event has the device or the user of Simplified ID Merge."""
    return isinstance(properties.get("$device_id"), str) or isinstance(properties.get("$user_id"), str)


def _update_fault(item: Mapping[str, Any], wanted: tuple[str, ...]) -> _Fault:
    for field in wanted:
        value = item.get(field)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
            return field, f"'{field}' is invalid: must be a text that is not empty"
    return None
