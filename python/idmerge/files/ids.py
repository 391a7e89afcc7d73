"""The IDs of events of JSON: whether there are any, and whether they can be read (SPEC 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from idmerge._formatting import counted
from idmerge._ids import as_id, is_missing
from idmerge.errors import FileFormatError
from idmerge.events import is_verb, original_of, sender_of
from idmerge.files.names import ID, PROPERTIES
from idmerge.files.renaming import unread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idmerge.policy import Api


def has_id(event: Mapping[str, Any], api: Api = "original") -> bool:
    """Return whether ``event`` states a link, or has a value as its ID."""
    original = original_of(event)
    has_value = not is_missing(_value(original)) or sender_of(original, api) is not None
    return has_value or is_verb(original, api)


def has_odd_id(event: Mapping[str, Any], api: Api = "original") -> bool:
    """Return whether an ordinary ``event`` has a value as its ID which can be none."""
    original = original_of(event)
    is_odd_one = is_odd(_value(original)) and sender_of(original, api) is None
    return is_odd_one and not is_verb(original, api)


def is_odd(value: object) -> bool:
    """Return whether ``value`` is there and can be no ID."""
    return as_id(value) is None and not is_missing(value)


def odd_ids_in_words(count: int) -> str:
    """Return in words that so many events have an ID which can be none.

    Examples:
        >>> from idmerge.files import odd_ids_in_words
        >>> print(odd_ids_in_words(1))
        1 event has an ID that is neither text nor a whole number, and belongs to nobody
    """
    have, belong = ("has", "belongs") if count == 1 else ("have", "belong")
    return (
        f"{counted(count, 'event')} {have} an ID that is neither text nor a whole number, "
        f"and {belong} to nobody"
    )


class NeededIds:
    """Makes sure that some event of a file has an ID.

    Args:
        path: The file as messages name it.
        keys: The keys of its first events if none of these has a place for an ID, and one is likely
            to hold it under another name; else none, and nothing is asked.
        api: The API by which events have IDs.
    """

    def __init__(self, path: str, keys: Sequence[str], api: Api = "original") -> None:
        self._path = path
        self._api = api
        self._keys = keys
        self._is_read = False
        self._is_met = not keys

    def take(self, have_ids: Callable[[], bool]) -> None:
        """Ask of some events whether any of them has an ID, unless one had."""
        self._is_read = True
        self._is_met = self._is_met or have_ids()

    def check(self) -> None:
        """Raise FileFormatError if there are events, and none has an ID."""
        if self._is_read and not self._is_met:
            raise FileFormatError(f"{self._path}: {unread(self._keys, [ID], api=self._api)}")


def _value(event: Mapping[str, Any]) -> object:
    properties = event.get(PROPERTIES)
    return properties.get(ID) if isinstance(properties, Mapping) else None
