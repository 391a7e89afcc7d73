"""Properties of events as one value: an object, JSON text, or a cell of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idmerge._json_decoding import decoded_or_none


def object_in(value: Any) -> Mapping[str, Any]:
    """Return an object, or that of a JSON text; anything else has no properties."""
    if isinstance(value, (str, bytes)):
        value = decoded_or_none(value)
    return value if isinstance(value, Mapping) else {}


def properties_in(cell: Any) -> Mapping[str, Any]:
    """Return the properties in a cell: a struct, a map (a list of pairs), or JSON text."""
    return object_in(cell if isinstance(cell, (str, bytes, Mapping)) else dict(cell or ()))
