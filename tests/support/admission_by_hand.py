"""Admission in plain Python, obviously right, and slow: the judge of the core's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge._json_decoding import decoded_or_none
from idmerge.events import IDENTITY_EVENTS
from idmerge.files.times import MILLISECONDS_FROM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OLDEST = 5 * 24 * 3600 * 1000
AHEAD = 3600 * 1000
FIRST = 31_536_000_000
INSERT_ID = re.compile(r"[0-9A-Za-z-]{1,36}")

Fault = tuple[str, str] | None
"""The field that is wrong, and the message; None for an item that is taken."""
Failure = tuple[int, str, str, str]
"""The place of an item, the field, the message and the insert ID."""


class Limits(NamedTuple):
    """The limits of items."""

    item: int
    properties: int
    name: int


def admitted(
    lines: bytes,
    way: str,
    received: int,
    limits: Limits,
    owners: tuple[Sequence[str] | None, str] = (None, ""),
) -> tuple[list[tuple[int, bytes]], int, int, list[Failure]]:
    """Return what `idmerge._core.Admission.admit` returns of a body of lines.

    ``owners`` are the tokens of projects, and the token of items without one.
    """
    tokens, fallback = owners
    groups: dict[int, list[tuple[bytes, int | None]]] = {}
    unknown, failures = 0, []
    texts = (text for text in lines.split(b"\n") if text and not text.isspace())
    for place, text in enumerate(texts):
        item = _decoded(text) if len(text) < limits.item else None
        if len(text) >= limits.item:
            failures.append((place, "event", f"the item has more than {limits.item} bytes", ""))
        elif not isinstance(item, dict):
            failures.append((place, "event", "the item is no JSON object", ""))
        elif (fault := _fault(item, way, received, limits)) is not None:
            failures.append((place, *fault, _insert_id(item, limits)))
        else:
            token = _token(item) or fallback
            if tokens is not None and token not in tokens:
                unknown += 1
                continue
            owner = 0 if tokens is None else tokens.index(token)
            groups.setdefault(owner, []).append((text + b"\n", _time(item)))
    are_events = way not in {"engage", "groups"}
    ordered = [(owner, b"".join(_texts(group, are_events=are_events))) for owner, group in groups.items()]
    return ordered, sum(map(len, groups.values())), unknown, failures


def _texts(group: list[tuple[bytes, int | None]], *, are_events: bool) -> list[bytes]:
    if are_events and all(time is not None for _, time in group):
        group = sorted(group, key=lambda one: one[1] or 0)
    return [text for text, _ in group]


def _decoded(text: bytes) -> Any:
    try:
        return decoded_or_none(text.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return None


def _fault(item: Mapping[str, Any], way: str, received: int, limits: Limits) -> Fault:
    if way in {"engage", "groups"}:
        return _update_fault(item, ("$group_key", "$group_id") if way == "groups" else ("$distinct_id",))
    checks: dict[str, Callable[[Mapping[str, Any], int], Fault]] = {
        "track": _age_fault,
        "strict": _strict_fault,
    }
    fault = _event_fault(item, limits)
    return checks[way](item, received) if fault is None and way in checks else fault


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
    milliseconds = Decimal(value if abs(value) >= MILLISECONDS_FROM else value * 1000)
    return int(milliseconds.to_integral_value(ROUND_HALF_UP))


def _insert_id(item: Mapping[str, Any], limits: Limits) -> str:
    value = _properties(item).get("$insert_id")
    return value[: limits.name] if isinstance(value, str) else ""


def _invalid(field: str, wrong: str) -> Fault:
    return field, f"'{field}' is invalid: {wrong}"


def _event_fault(item: Mapping[str, Any], limits: Limits) -> Fault:
    name, properties = item.get("event"), item.get("properties")
    if not isinstance(name, str) or not name:
        return _invalid("event", "must be a text that is not empty")
    if len(name) > limits.name:
        return _invalid("event", f"must have at most {limits.name} characters")
    if not isinstance(properties, dict):
        return _invalid("properties", "must be an object")
    if len(properties) > limits.properties:
        return _invalid("properties", f"must have at most {limits.properties} properties")
    return None


def _age_fault(item: Mapping[str, Any], received: int) -> Fault:
    time = _time(item)
    if time is not None and time < received - OLDEST:
        wrong = "/track takes no event older than five days; send it to /import"
        return _invalid("properties.time", wrong)
    return None


def _strict_fault(item: Mapping[str, Any], received: int) -> Fault:
    properties = _properties(item)
    time, insert_id = _time(item), properties.get("$insert_id")
    if time is None:
        return _invalid("properties.time", "must be specified as seconds or milliseconds since epoch")
    if not FIRST <= time <= received + AHEAD:
        wrong = "must be no earlier than 1971 and no later than an hour from now"
        return _invalid("properties.time", wrong)
    if item["event"] in IDENTITY_EVENTS:
        return None
    names_sender = any(isinstance(properties.get(name), str) for name in ("$device_id", "$user_id"))
    if not isinstance(properties.get("distinct_id"), (str, int)) and not names_sender:
        return _invalid("properties.distinct_id", "must be a text")
    if not isinstance(insert_id, str) or not INSERT_ID.fullmatch(insert_id):
        wrong = "must be a text of 1 to 36 letters, digits and hyphens"
        return _invalid("properties.$insert_id", wrong)
    return None


def _update_fault(item: Mapping[str, Any], wanted: Sequence[str]) -> Fault:
    for field in wanted:
        value = item.get(field)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
            return _invalid(field, "must be a text that is not empty")
    return None
