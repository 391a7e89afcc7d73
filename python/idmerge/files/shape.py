"""Schema inference: the properties of events and the kinds of their values, ahead of a table."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from idmerge._core import float_text
from idmerge._ids import as_id
from idmerge._json_columns import column_names, unicode_text
from idmerge.errors import FileFormatError
from idmerge.events import original_of, sender_of
from idmerge.files.names import BEFORE, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from idmerge.policy import Api

MOST_PROPERTIES = 2000
"""Different properties of all events together, unless some are chosen."""
LONGEST_NAME = 1000
"""Characters of a property's name; Mixpanel's own limit is 255 bytes."""
ALWAYS = ("event", "time", "distinct_id", "$distinct_id_before_identity")
"""The columns that every table of events has, in front."""
NULL, BOOL, INTEGER, FLOAT, TEXT, LARGE = 1, 2, 4, 8, 16, 64
"""Bits of the kinds of values, as the core counts them (`rust/events/src/schema/kind.rs`)."""
DEEPEST = 90
"""Levels of nested values that the core reads."""
_SIXTY_FOUR_BITS = range(-(2**63), 2**64)
"""Integers beyond are doubles to the core."""
_FLOATS = re.compile(r'"(?:[^"\\]|\\.)*+"|(-?\d+(?:\.\d+(?:e[+-]\d+)?|e[+-]\d+))')
"""A text, or a float that is in none."""


class Shape:
    """The properties that events were seen to have, in the order of their first appearance.

    Args:
        chosen: The only ones that count, besides those of `ALWAYS`; None for all.
        reserved: Names of columns that are no properties.
    """

    def __init__(self, chosen: Collection[str] | None = None, reserved: Collection[str] = ()) -> None:
        self._chosen = None if chosen is None else {*chosen, *ALWAYS[1:]}
        self._reserved = {*ALWAYS, PROPERTIES, *reserved}
        self._kinds: dict[str, int] = {}

    @property
    def chosen(self) -> set[str] | None:
        """The only properties that count, as far as JSON can have them; None for all."""
        return None if self._chosen is None else {name for name in self._chosen if name == unicode_text(name)}

    def learn(self, path: str, properties: Iterable[tuple[str, int, int]]) -> bool:
        """Take the properties of a piece of the file at ``path``: names, kinds and first rows.

        Returns whether anything is known that was not known before.

        Raises:
            FileFormatError: There are more than a table can have.
        """
        is_new = False
        for name, kinds, _ in sorted(properties, key=lambda found: found[2]):
            if self._chosen is not None and name not in self._chosen:
                continue
            known = self._kinds.get(name, 0)
            self._kinds[name] = known | kinds
            is_new |= self._kinds[name] != known
            if len(name) > LONGEST_NAME:
                raise _too_much(path, f"a property whose name has {len(name):,} characters ({name!r:.40}…)")
        if len(self._kinds) > MOST_PROPERTIES and self._chosen is None:
            raise _too_much(path, f"more than {MOST_PROPERTIES:,} different properties")
        return is_new

    def kinds(self) -> list[tuple[str, int]]:
        """Return each property with its kinds."""
        return list(self._kinds.items())

    def columns(self) -> list[tuple[str, str, int]]:
        """Return each property with the name of its column and its kinds."""
        plain = [name for name in self._kinds if name not in ALWAYS[1:]]
        columns = column_names(plain, self._reserved)
        return [(name, columns.get(name, name), kinds) for name, kinds in self._kinds.items()]


def line_of(event: Mapping[str, Any], api: Api = "original") -> bytes:
    """Return ``event`` as a line of JSON that every reader, the core too, reads alike.

    Its `distinct_id` is the ID that it is stitched under.

    Numbers that JSON does not have are null, integers beyond 64 bits the nearest float, what is
    nested deeply is text, and what is no Unicode is replaced. A `distinct_id` that is no Unicode
    belongs to nobody.
    """
    event = original_of(event)
    properties = event.get("properties")
    plain: dict[str, Any] = {}
    if isinstance(properties, Mapping):
        plain = {str(name): _plain(value) for name, value in properties.items()}
        sent = as_id(properties.get(BEFORE))
        if sent is not None:
            plain[BEFORE] = sent
        elif type(plain.get(BEFORE)) is float:  # The core would leave a large one alone again.
            plain[BEFORE] = float_text(plain[BEFORE] + 0.0)
        own = sender_of(event, api)
        if "distinct_id" in plain or own is not None:
            plain["distinct_id"] = own
            if own is not None and unicode_text(own) != own:
                plain["distinct_id"] = None
                if plain.get(BEFORE) is None:
                    plain[BEFORE] = own
    name = event.get("event")
    text = json.dumps(
        {"event": name if isinstance(name, str) else None, "properties": plain}, ensure_ascii=False
    )
    return unicode_text(text).encode()


def _plain(value: Any) -> Any:
    if not isinstance(value, (dict, list)):
        return _plain_number(value) if isinstance(value, (int, float)) else value
    nested, depth = _plain_nested(value)
    return nested if depth <= DEEPEST else _text_of(nested)


def _plain_nested(value: Any) -> tuple[Any, int]:
    """Return a copy of a value without what JSON does not have, and how deeply it is nested.

    Two keys that are equal once they are Unicode are one, of which the last counts.
    """
    outermost: list[Any] = [value]
    copies: list[Any] = [outermost]
    depth = -1
    while copies:
        depth += 1
        inside = []
        for copy in copies:
            for key, item in copy.items() if isinstance(copy, dict) else enumerate(copy):
                if isinstance(item, dict):
                    copy[key] = {unicode_text(name): inner for name, inner in item.items()}
                    inside.append(copy[key])
                elif isinstance(item, list):
                    copy[key] = [*item]
                    inside.append(copy[key])
                elif isinstance(item, (int, float)):
                    copy[key] = _plain_number(item)
        copies = inside
    return outermost[0], depth


def _text_of(nested: Any) -> str:
    """Return a plain value as JSON text, its floats as the core writes them."""
    text = json.dumps(nested, ensure_ascii=False, separators=(",", ":"))
    return _FLOATS.sub(
        lambda found: found[0] if found[1] is None else float_text(float(found[1]) + 0.0), text
    )


def _plain_number(number: float) -> float | None:
    """Return a number as JSON's other readers have it."""
    if isinstance(number, int) and number not in _SIXTY_FOUR_BITS:
        try:
            return float(number)
        except OverflowError:
            return None
    return number if isinstance(number, int) or math.isfinite(number) else None


def _too_much(path: str, found: str) -> FileFormatError:
    return FileFormatError(f"{path}: {found}; name the properties to keep (properties=, --property)")
