"""The dialects that have names, and the one that rows with given keys have (SPEC 11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from idmerge.errors import DialectError
from idmerge.files.dialects import (
    CONNECTOR,
    FLAT,
    MAPPINGS,
    MIXPANEL,
    PEOPLE,
    PIPELINE,
    RESOLVED,
    SINGER,
    WAREHOUSE,
    Dialect,
    listed,
)
from idmerge.files.names import EVENT, ID, INSERT_ID, PROPERTIES, TIME
from idmerge.files.vendors import VENDORS, vendor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BUILT_IN: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (MIXPANEL, PIPELINE, CONNECTOR, FLAT, WAREHOUSE, SINGER, *VENDORS, MAPPINGS, PEOPLE)
}
"""The dialects that have names.

Examples:
    >>> from idmerge.files import BUILT_IN
    >>> sorted(BUILT_IN)
    ['amplitude', 'connector', 'flat', 'mappings', 'mixpanel', 'people', 'pipeline', 'posthog',
    'rudderstack', 'segment', 'singer', 'snowplow', 'warehouse']
"""


def found(keys: Iterable[str], value_of: Callable[[str], Any] = lambda _key: None) -> Dialect | None:
    """Return the dialect of rows that have ``keys``, or None where no built-in one has them.

    Args:
        keys: The keys of an object, or the columns of a table.
        value_of: The value under a key, where there is one; of tables none is needed.
    """
    known = set(keys)
    record = value_of("record") if {"type", "record"} <= known else None
    if isinstance(record, Mapping):
        inner = found(record, record.get)
        return (
            None if inner is None else replace(inner, name="singer", title="Singer messages", record="record")
        )
    vendor = vendor_of(known)
    if vendor is not None:
        return vendor
    fields = {FLAT.property_of(key) for key in known}
    if {ID, RESOLVED} <= {key.lower() for key in known} and not fields & {EVENT}:
        return MAPPINGS
    return _of_events(known, fields) or _of_people(known)


def _of_events(known: set[str], fields: set[str]) -> Dialect | None:
    identity = {ID, INSERT_ID, "$device_id", "$user_id", "$anon_id", "$anon_distinct_id"}
    if EVENT in known:
        has_fields = bool(fields & (identity | {TIME, "alias", "$distinct_ids"}))
        return MIXPANEL if not has_fields and (PROPERTIES in known or known == {EVENT}) else FLAT
    if "event_name" in known:
        return PIPELINE
    if known.intersection(WAREHOUSE.event):
        return WAREHOUSE
    return CONNECTOR if "name" in known and fields & identity and "$distinct_id" not in known else None


def _of_people(known: set[str]) -> Dialect | None:
    lower = {key.lower() for key in known}
    if "$distinct_id" in lower or ({ID, PROPERTIES} <= lower and TIME not in lower):
        return PEOPLE
    return None


def named(name: str) -> Dialect:
    """Return the built-in dialect called ``name``.

    Raises:
        DialectError: There is none.
    """
    dialect = BUILT_IN.get(name)
    if dialect is None:
        raise DialectError(f"no dialect is called {name!r}; there are {', '.join(BUILT_IN)}")
    return dialect


def unknown(keys: Iterable[str]) -> DialectError:
    """Return the error of rows that have ``keys``, of which none is known to be an event's name."""
    return DialectError(
        f"no column or key is known to be the name of an event; there are {listed(keys)}. Say which means "
        "what (--column event=…, --column distinct_id=…; in Python columns=…)"
    )
