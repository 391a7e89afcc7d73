"""Values as an SDK sends them: JSON, dates as text, texts cut to 255 characters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from uuid import UUID

MAX_TEXT = 255
"""UTF-16 units of a text that are sent, as the browser's SDK counts characters."""
_MAX_DEPTH = 64
_LAST_OF_ONE_UNIT = "\uffff"


def plain(value: object, depth: int = 0) -> object:  # noqa: PLR0911 - a type each
    """Return ``value`` as JSON has it.

    Moments become ``2026-11-30T13:00:00``, in UTC unless they name no zone; numbers that are not
    finite become null, as in JavaScript.

    Raises:
        TypeError: A value has no form in JSON.
        ValueError: It is nested too deeply.
    """
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).strftime("%Y-%m-%dT%H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if depth > _MAX_DEPTH:
        raise ValueError(f"a property must not be nested more than {_MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        return {_key(key): plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner, depth + 1) for inner in value]
    raise TypeError(f"a property must be a value of JSON, a date or a UUID, got {type(value).__name__}")


def plain_properties(properties: Mapping[str, object] | None) -> dict[str, object]:
    """Return properties with their values as JSON has them.

    Raises:
        TypeError: They are no mapping of texts, or a value has no form in JSON.
        ValueError: A value is nested too deeply.
    """
    if properties is None:
        return {}
    if not isinstance(properties, Mapping):
        raise TypeError(f"properties must be a mapping, got {type(properties).__name__}")
    return {_key(key): plain(value) for key, value in properties.items()}


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the name of a property must be text, got {type(key).__name__}")
    return key


def cut(value: object) -> object:
    """Return a value of JSON with each text in it cut to `MAX_TEXT`."""
    if isinstance(value, str):
        return _cut_text(value)
    if isinstance(value, dict):
        return {key: cut(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [cut(inner) for inner in value]
    return value


def _cut_text(text: str) -> str:
    if len(text) <= MAX_TEXT // 2:  # No text of so few characters has too many units.
        return text
    if text.isascii() or max(text) <= _LAST_OF_ONE_UNIT:
        return text[:MAX_TEXT]
    # A character that would be cut in two is left out whole; JavaScript leaves half of it.
    return text.encode("utf-16-le", "surrogatepass")[: 2 * MAX_TEXT].decode("utf-16-le", "ignore")


def same(one: object, other: object) -> bool:
    """Return whether JavaScript's ``===`` holds of two values of JSON; no list equals another."""
    if isinstance(one, (list, dict)) or isinstance(one, bool) is not isinstance(other, bool):
        return False
    return one == other


def id_of(value: object) -> str:
    """Return the text of an ID.

    Raises:
        TypeError: ``value`` is no text, integer or UUID.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, UUID) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise TypeError(f"an ID must be text, an integer or a UUID, got {type(value).__name__}")


def listed(values: object) -> list[object]:
    """Return ``values`` as a list: a collection by its items, any other value as the only one."""
    found = plain(values)
    return [*found] if isinstance(found, Iterable) and isinstance(found, list) else [found]
