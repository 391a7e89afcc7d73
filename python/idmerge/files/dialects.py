"""Dialects: the names under which rows of events, mappings and profiles have their fields.

A `Dialect` is data. It turns a row of its spelling into the raw shape of Mixpanel's export, an
object with ``event`` and ``properties``, and everything behind it knows that shape alone. This
module has the spellings that Mixpanel's own exports, pipelines and connectors use, `vendors` those
of other products; `catalogue` names them all and recognises them by the keys of a row;
`Dialect.with_columns` gives roles to any other names.

A key is a *field* if it is an ID, a time or a name that SPEC 3 or SPEC 9 asks for. Its raw name may
be spelt without ``$``, with ``mp_`` or ``mp_reserved_`` in its place, or in upper case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from idmerge._ids import is_missing
from idmerge.errors import DialectError, MalformedEventError
from idmerge.files.names import BEFORE, EVENT, ID, INSERT_ID, PROPERTIES, TIME
from idmerge.files.properties import object_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from idmerge.policy import Api

Content = Literal["events", "mappings", "people"]
"""Rows of events; pairs of an ID and the canonical ID of its cluster; profiles of people."""

RESOLVED = "resolved_distinct_id"
"""The column of the canonical ID in a table of mappings."""
PLAIN = (ID, TIME, "alias", "mp_processing_time_ms", "mp_original_distinct_id", "mp_original_event_name")
"""Fields whose raw names have no ``$``."""
RESERVED = (
    INSERT_ID,
    BEFORE,
    "$device_id",
    "$user_id",
    "$anon_id",
    "$anon_distinct_id",
    "$identified_id",
    "$distinct_ids",
    "$failure_reason",
    "$failure_description",
    "$identity_failure_reason",
    "$mp_api_timestamp_ms",
)
"""Fields whose raw names begin with ``$``."""
RESERVED_PREFIX = "mp_reserved_"
"""The prefix that stands for ``$`` before any name."""
NOT_EVENTS = (
    "these are profiles of people, not events; give them to idmerge profiles, with the events under --events"
)
"""The fault of rows of people where events are wanted."""
_MANY = 12
"""Keys that a message names, at most."""


def _spellings() -> dict[str, str]:
    """Return the raw name of each field under all of its spellings, the raw one excepted."""
    spelt = {f"{prefix}{raw[1:]}": raw for prefix in ("", "mp_", RESERVED_PREFIX) for raw in RESERVED}
    spelt["mp_api_timestamp_ms"] = "$mp_api_timestamp_ms"
    spelt |= {f"mp_{raw}": raw for raw in (ID, TIME)}
    spelt |= {f"{RESERVED_PREFIX}{raw}": raw for raw in (ID, TIME)}
    upper = {spelling.upper(): raw for spelling, raw in spelt.items()}
    return spelt | upper | {raw.upper(): raw for raw in (*PLAIN, *RESERVED)}


SPELLINGS = _spellings()
"""The raw name of a field by its other spellings."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The names under which rows have their fields, and where properties are.

    Examples:
        >>> from idmerge.files import BUILT_IN
        >>> pipeline = BUILT_IN["pipeline"]
        >>> pipeline.event_of({"event_name": "Login", "distinct_id": "ana", "insert_id": "e1"})
        {'event': 'Login', 'properties': {'$insert_id': 'e1', 'distinct_id': 'ana'}}
        >>> ours = BUILT_IN["flat"].with_columns({"event": "action", "distinct_id": "uid"})
        >>> ours.raw_names(["action", "uid", "plan"]), ours.property_of("uid")
        ({'action': 'event', 'uid': 'distinct_id', 'plan': 'plan'}, 'distinct_id')
        >>> ours.settled(["action", "plan"], inside=[]).title
        'columns event=action, distinct_id=uid (uid is not in the first rows)'
        >>> BUILT_IN["singer"].row_of({"type": "RECORD", "record": {"event": "Login"}})
        {'event': 'Login'}
        >>> row = {"distinct_id": "crm-17", "resolved_distinct_id": "ana"}
        >>> BUILT_IN["mappings"].mapping_of(row)
        ('crm-17', 'ana')
        >>> "insert_id" in pipeline.names
        True
        >>> pipeline.is_event(["event_name"]), pipeline.under("simplified") is pipeline
        (True, True)
        >>> BUILT_IN["segment"].under("simplified").check_columns(["$device_id", "$user_id"])
    """

    name: str
    """The name by which ``dialect=`` and ``--dialect`` choose it."""
    title: str
    """The words for it in a summary."""
    content: Content = "events"
    """The meaning of a row."""
    event: tuple[str, ...] = (EVENT,)
    """The keys of an event's name, of which a row has one."""
    properties: tuple[str, ...] = (PROPERTIES,)
    """The keys of an object of properties, or of its JSON text; of several the first counts."""
    is_flat: bool = True
    """Whether the keys beside the name and the object are properties too."""
    record: str | None = None
    """The key of the object that holds the row, in messages that have other objects too."""
    columns: tuple[tuple[str, str], ...] = ()
    """Keys and their raw names, beside and before `SPELLINGS`."""

    own_id: tuple[str, ...] = ()
    """The raw names of the fields that are an event's ID, the first that it has, where no other is
    beside them."""
    names_link: bool = True
    """Whether the names of events in columns state links."""
    reaches: bool = False
    """Whether a key among `columns` that is not beside the name is looked up in the properties."""

    @cached_property
    def names(self) -> dict[str, str]:
        """The raw names of the properties beside an event's name that are spelt in another way."""
        return SPELLINGS | dict(self.columns) if self.is_flat else {}

    def property_of(self, key: str) -> str:
        """Return the raw name of the property that stands beside an event's name under ``key``."""
        name = self.names.get(key)
        if name is not None or not self.is_flat:
            return name or key
        if self.content == "mappings" and key.lower() in {ID, RESOLVED}:
            return key.lower()
        if key.startswith(RESERVED_PREFIX):
            return f"${key.removeprefix(RESERVED_PREFIX)}"
        if key.startswith(RESERVED_PREFIX.upper()):
            return f"${key.removeprefix(RESERVED_PREFIX.upper()).lower()}"
        return key

    def raw_names(self, keys: Collection[str]) -> dict[str, str]:
        """Return the raw name of each of ``keys``, which are a row's or a table's columns.

        A key whose raw name another one has already keeps its own name: the raw spelling counts
        before the others, and the first of these before the next.
        """
        taken = set(keys)
        event, nested = self._first(self.event, taken), self._first(self.properties, taken)
        names: dict[str, str] = {}
        for key in keys:
            raw = EVENT if key == event else PROPERTIES if key == nested else self.property_of(key)
            names[key] = key if raw in taken else raw
            taken.add(names[key])
        return names

    @staticmethod
    def _first(wanted: tuple[str, ...], there: Collection[str]) -> str | None:
        return next((key for key in wanted if key in there), None)

    def is_event(self, keys: Collection[str]) -> bool:
        """Return whether a row with ``keys`` is an event: whether it has a name."""
        return self._first(self.event, keys) is not None

    def check_columns(self, names: Collection[str]) -> None:
        """Raise DialectError if tables whose columns have the raw ``names`` cannot be read."""

    def under(self, api: Api) -> Dialect:  # noqa: ARG002 - other products' calls depend on it
        """Return the dialect of rows whose links are those of ``api``."""
        return self

    def event_of(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return ``row`` as an event of the raw shape.

        Of flat rows a null is a field that is not there, and a field beside the name counts before
        the property of the same name.

        Raises:
            MalformedEventError: The row has no name of an event.
        """
        if not self.is_flat and EVENT in row:
            properties = row.get(PROPERTIES)
            return row if not isinstance(properties, str) else {**row, PROPERTIES: object_in(properties)}
        event, nested = self._first(self.event, row), self._first(self.properties, row)
        if event is None:
            raise self._nameless(row)
        inside, beside = self._gathered(row, self.raw_names(row), (event, nested))
        return {EVENT: row[event], PROPERTIES: {**inside, **beside}}

    def _gathered(
        self, row: Mapping[str, Any], names: Mapping[str, str], taken: tuple[str | None, str | None]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the properties of ``row``, and those beside the name that have their raw name.

        Args:
            row: The row.
            names: The raw names of its keys.
            taken: The keys of the event's name and of the object of properties.
        """
        nested = taken[1]
        properties = dict(object_in(row[nested])) if nested is not None else {}
        exact: dict[str, Any] = {}
        for key, raw in names.items():
            if key not in taken and row[key] is not None:
                (exact if raw == key else properties)[raw] = row[key]
        for key, raw in self.columns if self.reaches else ():
            if raw not in exact and is_missing(properties.get(raw)) and key in properties:
                properties[raw] = properties.pop(key)
        return properties, exact

    def _nameless(self, row: Mapping[str, Any]) -> MalformedEventError:
        """Return the error of a row that is no event."""
        return MalformedEventError(
            f"the object has no name of an event ({' or '.join(self.event)}); it has {listed(row)}"
        )

    def row_of(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the row in ``message``, which is the row itself but in dialects with a `record`.

        Returns:
            The row; None for a message of another type than ``RECORD``, which states nothing.

        Raises:
            MalformedEventError: A message has no type, or no record.
        """
        if self.record is None:
            return message
        kind, row = message.get("type"), message.get(self.record)
        if isinstance(kind, str) and kind != "RECORD":
            return None
        if not isinstance(kind, str) or not isinstance(row, Mapping):
            raise MalformedEventError(
                f"a message must have a type, and a RECORD {self.record!r}; it has {listed(message)}"
            )
        return row

    def mapping_of(self, row: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the ID of a row of mappings, and the canonical ID that is stated for it.

        Raises:
            MalformedEventError: One of the two keys is missing.
        """
        fields = {name: row[key] for key, name in self.raw_names(row).items()}
        if not {ID, RESOLVED} <= fields.keys():
            raise MalformedEventError(f"the object needs {ID} and {RESOLVED}; it has {listed(row)}")
        return fields[ID], fields[RESOLVED]

    def settled(self, keys: Collection[str], inside: Collection[str] | None = None) -> Dialect:
        """Return the dialect of rows that have ``keys``, in view of the `columns` given for it.

        Its title names those that count for nothing, since the raw name is among the keys too, and
        those that the rows lack, if it is known what their properties have ``inside``.
        """
        if not self.columns:
            return self
        lost = [
            f"{raw} is there too and counts before {key}"
            for key, raw in self.columns
            if {key, raw} <= {*keys} or {key, raw} <= {*(inside or ())}
        ]
        if inside is not None:
            absent = (key for key, _ in self.columns if key not in keys and key not in inside)
            lost += [f"{key} is not in the first rows" for key in absent]
        title = f"{self.title} ({', '.join(lost)})" if lost else self.title
        # Any row may lack what the first ones have beside the name.
        return replace(self, title=title, reaches=not {*self.properties}.isdisjoint(keys))

    def with_columns(self, columns: Mapping[str, str]) -> Dialect:
        """Return the dialect in which a role has another name: ``{"event": "action", …}``.

        Args:
            columns: The key or column of each role. A role is ``event``, ``properties``, or the raw
                name of a field, with or without ``$``: ``distinct_id``, ``time``, ``insert_id``.

        Raises:
            DialectError: A role is unknown.
        """
        return _with_columns(self, columns)


def _with_columns(dialect: Dialect, columns: Mapping[str, str]) -> Dialect:
    roles = {raw.removeprefix("$"): raw for raw in (EVENT, PROPERTIES, *PLAIN, *RESERVED, RESOLVED)}
    named: dict[str, str] = {}
    for role, column in columns.items():
        raw = roles.get(role.removeprefix("$"))
        if raw is None:
            raise DialectError(f"{role!r} is no role of a column; roles are {', '.join(sorted(roles))}")
        if column in named.values():
            raise DialectError(f"the column {column!r} is given two roles; it has one, so leave {role} out")
        named[raw] = column
    event, properties = named.pop(EVENT, None), named.pop(PROPERTIES, None)
    return replace(
        dialect,
        name="columns",
        title=f"columns {', '.join(f'{role}={column}' for role, column in columns.items())}",
        content="mappings" if RESOLVED in named else dialect.content,
        event=dialect.event if event is None else (event,),
        properties=dialect.properties if properties is None else (properties,),
        is_flat=True,
        columns=tuple((column, raw) for raw, column in named.items()),
    )


MIXPANEL = Dialect(name="mixpanel", title="Mixpanel export", is_flat=False)
"""The dialect of raw exports: ``event`` beside ``properties``.

Examples:
    >>> from idmerge.files import MIXPANEL
    >>> MIXPANEL.event, MIXPANEL.properties, MIXPANEL.is_flat
    (('event',), ('properties',), False)
"""
PIPELINE = Dialect(name="pipeline", title="Mixpanel pipeline", event=("event_name",))
CONNECTOR = Dialect(name="connector", title="connector's table", event=("name",))
FLAT = Dialect(name="flat", title="flat events")
WAREHOUSE = Dialect(
    name="warehouse",
    title="warehouse columns",
    event=("mp_event_name", "mp_reserved_event_name", "EVENT_NAME", "EVENT", "MP_EVENT_NAME", "NAME"),
    properties=("PROPERTIES", PROPERTIES),
)
SINGER = Dialect(name="singer", title="Singer messages", record="record")
MAPPINGS = Dialect(name="mappings", title="identity mappings", content="mappings", event=(), properties=())
PEOPLE = Dialect(
    name="people", title="people export", content="people", event=(), properties=("$properties", PROPERTIES)
)


def listed(keys: Iterable[str]) -> str:
    """Return ``keys`` in words, the first ones where there are many.

    Examples:
        >>> from idmerge.files import listed
        >>> listed(["event", "uid"])
        "'event', 'uid'"
    """
    names = [f"{key!r:.60}" for key in keys]
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return (", ".join(names[:_MANY]) + more) if names else "no keys"
