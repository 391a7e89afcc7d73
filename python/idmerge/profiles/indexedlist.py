"""A list of JSON values with an index, and equality of JSON values (SPEC 10).

Asking for a value, appending one and removing one cost what that value costs, however long the list
is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FEWEST_GONE = 64
"""Removed values whose room is not worth a copy."""


class IndexedList:
    """JSON values in their order; equal ones are found by a look-up."""

    __slots__ = ("_further", "_gone", "_next", "_places", "_values")

    def __init__(self, values: Iterable[Any]) -> None:
        self._values: dict[int, Any] = {}  # By a place that grows along the list.
        self._places: dict[str | bytes, int] = {}  # The first of the values that are equal.
        self._further: dict[str | bytes, list[int]] = {}  # The others.
        self._next = self._gone = 0
        for value in values:
            self.append(value)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the values in their order."""
        return iter(self._values.values())

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._values)

    def __contains__(self, value: Any) -> bool:
        """Return whether a value is equal to ``value``."""
        return likeness(value) in self._places

    def append(self, value: Any) -> None:
        """Append a value."""
        place, self._next = self._next, self._next + 1
        self._values[place] = value
        like = likeness(value)
        if self._places.setdefault(like, place) != place:
            self._further.setdefault(like, []).append(place)

    def remove(self, value: Any) -> None:
        """Remove every value that is equal to ``value``."""
        like = likeness(value)
        first = self._places.pop(like, None)
        if first is None:
            return
        places = [first, *self._further.pop(like, ())]
        for place in places:
            del self._values[place]
        self._gone += len(places)
        if self._gone > max(len(self._values), _FEWEST_GONE):  # A dict has the room of what was deleted.
            self._values, self._places, self._gone = dict(self._values), dict(self._places), 0


def likeness(value: Any) -> str | bytes:
    """Return what equal JSON values have in common: 1 and 1.0 are equal, 1 and true are not.

    Text stands for itself and anything else is bytes: both have hashes that no input can make
    collide.
    """
    return value if isinstance(value, str) else _canonical(value).encode("utf-8", "surrogatepass")


def _canonical(value: Any) -> str:
    """Return the text of a JSON value, which no other value has."""
    if isinstance(value, str):
        return f'"{len(value)}:{value}'
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        items = (f"{_canonical(key)}{_canonical(item)}" for key, item in sorted(value.items(), key=_key))
        return f"{{{','.join(items)}}}"
    return f"[{','.join(map(_canonical, value))}]"


def _key(item: tuple[str, Any]) -> str:
    return item[0]
