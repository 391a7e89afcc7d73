"""Dialects: the names under which rows of events, mappings and profiles have their fields.

A `Dialect` is data. It turns a row of its spelling into the raw shape of Mixpanel's export, an
object with ``event`` and ``properties``, and everything behind it knows that shape alone.
`BUILT_IN` has the spellings that Mixpanel's own exports, pipelines and connectors use; `found`
recognises them by the keys of a row; `Dialect.with_columns` gives roles to any other names.

A key is a *field* if it is an ID, a time or a name that SPEC 3 or SPEC 9 asks for. Its raw name may
be spelt without ``$``, with ``mp_`` or ``mp_reserved_`` in its place, or in upper case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from idmerge._ids import is_missing
from idmerge.errors import DialectError, MalformedEventError
from idmerge.files.names import BEFORE, EVENT, ID, INSERT_ID, PROPERTIES, TIME
from idmerge.files.properties import object_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

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
            raise MalformedEventError(
                f"the object has no name of an event ({' or '.join(self.event)}); it has {listed(row)}"
            )
        properties = dict(object_in(row[nested])) if nested is not None else {}
        exact: dict[str, Any] = {}
        for key, raw in self.raw_names(row).items():
            if key not in {event, nested} and row[key] is not None:
                (exact if raw == key else properties)[raw] = row[key]
        for key, raw in self.columns if self.reaches else ():
            if raw not in exact and is_missing(properties.get(raw)) and key in properties:
                properties[raw] = properties.pop(key)
        return {EVENT: row[event], PROPERTIES: {**properties, **exact}}

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

BUILT_IN = {
    dialect.name: dialect
    for dialect in (MIXPANEL, PIPELINE, CONNECTOR, FLAT, WAREHOUSE, SINGER, MAPPINGS, PEOPLE)
}
"""The dialects that have names.

Examples:
    >>> from idmerge.files import BUILT_IN
    >>> sorted(BUILT_IN)
    ['connector', 'flat', 'mappings', 'mixpanel', 'people', 'pipeline', 'singer',
    'warehouse']
"""


class _Product(NamedTuple):
    """Another product's events, told by keys that all of its rows have."""

    name: str
    needs: frozenset[str]
    one_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()


_PRODUCTS = (
    _Product(
        "Segment",
        frozenset({"anonymousId", "type"}),
        frozenset({"messageId", "userId"}),
        frozenset({"rudderId"}),
    ),
    _Product(
        "Segment", frozenset({"userId", "messageId", "type"}), none_of=frozenset({"rudderId", "channel"})
    ),
    _Product(
        "Segment", frozenset({"anonymous_id", "received_at"}), frozenset({"sent_at", "original_timestamp"})
    ),
    _Product("RudderStack", frozenset({"anonymousId"}), frozenset({"rudderId", "channel"})),
    _Product("RudderStack", frozenset({"userId", "messageId", "channel"})),
    _Product(
        "PostHog",
        frozenset({"event", "distinct_id", "timestamp"}),
        frozenset({"uuid", "team_id", "person_id", "elements_chain", "properties"}),
        frozenset({"time"}),
    ),
    _Product(
        "Amplitude",
        frozenset({"event_type"}),
        frozenset({"amplitude_id", "device_id", "user_id", "event_time"}),
    ),
    _Product("Snowplow", frozenset({"domain_userid"}), frozenset({"collector_tstamp", "event_id", "app_id"})),
)


def found(keys: Iterable[str], value_of: Callable[[str], Any] = lambda _key: None) -> Dialect | None:
    """Return the dialect of rows that have ``keys``, or None where no built-in one has them.

    Args:
        keys: The keys of an object, or the columns of a table.
        value_of: The value under a key, where there is one; of tables none is needed.

    Raises:
        DialectError: The keys are those of another product's events.
    """
    known = set(keys)
    record = value_of("record") if {"type", "record"} <= known else None
    if isinstance(record, Mapping):
        inner = found(record, record.get)
        return (
            None if inner is None else replace(inner, name="singer", title="Singer messages", record="record")
        )
    for product in _PRODUCTS:
        if (
            product.needs <= known
            and not product.none_of & known
            and (not product.one_of or product.one_of & known)
        ):
            raise DialectError(
                f"these look like events of {product.name}, not of Mixpanel: {listed(known)}; say which "
                "columns mean what (--column event=…, --column distinct_id=…; in Python columns=…)"
            )
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


def unknown(keys: Iterable[str]) -> DialectError:
    """Return the error of rows that have ``keys``, of which none is known to be an event's name."""
    return DialectError(
        f"no column or key is known to be the name of an event; there are {listed(keys)}. Say which means "
        "what (--column event=…, --column distinct_id=…; in Python columns=…)"
    )
