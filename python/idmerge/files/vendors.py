"""Dialects of other products: Segment, RudderStack, PostHog, Amplitude and Snowplow (SPEC 11).

Their rows name a user and a device, or link two IDs by a call, in words of their own. A
`VendorDialect` is data as a `Dialect` is, with three things more: the keys of a field in their
order of preference, the fields that make up an event's ID, and the calls that state links. Under
Simplified ID Merge no call states one: there an event of both a device and a user does.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as replaced
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.errors import DialectError
from idmerge.events import DEVICE, HOT_SHARD, IDENTITY_EVENTS, USER
from idmerge.files.dialects import RESOLVED, WAREHOUSE, Dialect
from idmerge.files.names import EVENT, ID, INSERT_ID, PROPERTIES, TIME

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from idmerge.policy import Api

Ranked = tuple[tuple[str, tuple[str, ...]], ...]
"""The raw name of each field and its keys, the preferred first."""
_ForCore = tuple[Ranked, tuple[str, ...], list[str], tuple[str, list[str]], tuple[str, str, str] | None]
VERBS = frozenset({*IDENTITY_EVENTS, HOT_SHARD})
"""Names that mean a link, or another event, to Mixpanel; of another product's event they do not."""


class Call(NamedTuple):
    """A call that states a link, in the words of its product."""

    value: str
    """The value by which rows of the call are known, under `VendorDialect.call_key`."""
    verb: str
    """The identity event of Mixpanel's that says the same."""
    first: tuple[str, ...]
    """The raw names of the first operand; the first of them that an event has counts."""
    second: tuple[str, ...]
    """Those of the second one."""


_OPERANDS = {"$identify": ("$anon_id", "$identified_id"), "$create_alias": ("alias", ID)}
_PAIR = "$distinct_ids"


@dataclass(frozen=True, kw_only=True)
class VendorDialect(Dialect):
    """The names under which rows of another product have their fields, and its calls.

    Examples:
        >>> from idmerge.files import BUILT_IN
        >>> row = {"type": "track", "event": "Paid", "anonymousId": "d1", "userId": "ana"}
        >>> BUILT_IN["segment"].event_of(row)["properties"]
        {'$device_id': 'd1', '$user_id': 'ana', 'type': 'track', 'distinct_id': 'ana'}
    """

    product: str = ""
    """The name of the product, whatever the title says."""
    fields: Ranked = ()
    """The raw name of each field and its keys, of which the first that a row has counts."""
    call_key: str = EVENT
    """The key whose value is that of a `Call`."""
    names_link: bool = False
    """Whether the names of events in columns state links."""
    calls: tuple[Call, ...] = ()
    """The calls that state links."""
    nameless: tuple[str, ...] = ()
    """Keys that make a row without a name an event, whose name is null."""
    api: Api = "original"
    """The API whose links the events state."""

    @cached_property
    def ranked(self) -> Ranked:
        """The raw name of each field and its keys, the caller's in front of the product's."""
        given = {raw: (key,) for key, raw in self.columns}
        taken = {key for key, _ in self.columns}
        own = {raw: tuple(key for key in keys if key not in taken) for raw, keys in self.fields}
        return tuple((raw, given.get(raw, ()) + own.get(raw, ())) for raw in {**given, **own})

    @cached_property
    def names(self) -> dict[str, str]:
        """The raw names of the properties beside an event's name that are spelt in another way."""
        return {key: raw for raw, keys in self.ranked for key in keys}

    @cached_property
    def calls_by_value(self) -> dict[str, Call]:
        """The calls by the value that they have under `call_key`."""
        return {call.value: call for call in self.calls}

    @property
    def for_core(self) -> _ForCore:
        """What the core knows of the product; it leaves other calls, and names of links, alone."""
        has_verbs = self.api != "simplified"
        calls = [*self.calls_by_value] if has_verbs or self.call_key == EVENT else []
        usual = next((call for call in self.calls if call.verb == "$identify"), None)
        identify = None
        if has_verbs and usual is not None and self.own_id:
            identify = usual.value, usual.first[0], usual.second[0]
        return self.ranked, self.own_id, sorted(VERBS), (self.call_key, calls), identify

    def property_of(self, key: str) -> str:
        """Return the raw name of the property that stands beside an event's name under ``key``."""
        return self.names.get(key, key)

    def check_columns(self, names: Collection[str]) -> None:
        """Raise DialectError if tables whose columns have the raw ``names`` cannot be read.

        They have no calls, so their events link by a device and a user alone.
        """
        if not self.own_id:
            raise DialectError(
                f"events of {self.product} are read from lines of JSON, not from columns, where their calls "
                "are not known; export them as JSON, or read them as they are (--dialect flat)"
            )
        if self.api != "simplified" and ID not in names:
            raise DialectError(
                f"rows of {self.product} in columns have no calls that state links, and no {ID}: give "
                "--api simplified, which joins the device and the user of a row (in Python a resolver with "
                f"Policy.simplified()), or say which column is the ID (--column {ID}=…)"
            )

    def under(self, api: Api) -> Dialect:
        """Return the dialect of rows whose links are those of ``api``."""
        return self if api == self.api else replaced(self, api=api)

    def settled(self, keys: Collection[str], inside: Collection[str] | None = None) -> Dialect:
        """Return the dialect of rows that have ``keys``.

        Its title also names the devices and users that another role has taken, so that they link
        nothing.
        """
        dialect = super().settled(keys, inside)
        taken = [
            f"{key} is no {raw} then, and links nothing"
            for raw, spelt in self.fields
            for key, role in self.columns
            if raw in {DEVICE, USER} and key in spelt and role != raw
        ]
        return replaced(dialect, title=f"{dialect.title} ({', '.join(taken)})") if taken else dialect

    def is_event(self, keys: Collection[str]) -> bool:
        """Return whether a row with ``keys`` is an event: it has a name, or needs none."""
        return super().is_event(keys) or not {*self.nameless}.isdisjoint(keys)

    def raw_names(self, keys: Collection[str]) -> dict[str, str]:
        """Return the raw name of each of ``keys``, which are a row's or a table's columns.

        The raw spelling counts before the others, and of these the first in `ranked`. A property
        that is called as another key's role is keeps a name of its own, as SPEC 9 gives one.
        """
        event, nested = self._first(self.event, keys), self._first(self.properties, keys)
        names = self._raw_names(keys, event, nested)
        for key, other in ((EVENT, event), (PROPERTIES, nested)):
            if key in names and other not in {key, None}:
                names[key] = f"{PROPERTIES}.{key}"
        return names

    def _raw_names(self, keys: Collection[str], event: str | None, nested: str | None) -> dict[str, str]:
        there = {*keys} - {event, nested}
        names = {key: key for key in keys}
        for raw, spelt in self.ranked:
            key = None if raw in there else self._first(spelt, there)
            if key is not None:
                names[key] = raw
        return names | {key: raw for key, raw in ((event, EVENT), (nested, PROPERTIES)) if key is not None}

    def event_of(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return ``row`` as an event of the raw shape.

        A null is a field that is not there, as is an empty name, and a field beside the name counts
        before the property of the same name.

        Raises:
            MalformedEventError: The row has no name of an event.
        """
        if not self.is_event(row):
            raise self._nameless(row)
        there = {key: value for key, value in row.items() if value is not None}
        event = next((key for key in self.event if not _is_absent(there.get(key))), None)
        nested = self._first(self.properties, there)
        names = self._raw_names(there, event, nested)
        inside, beside = self._gathered(there, names, (event, nested))
        properties = {**inside, **beside}
        fields = {raw for key, raw in names.items() if key not in {event, nested}}
        fields |= {raw for _, raw in self.columns if self.reaches and raw in properties}
        fields &= properties.keys()  # Another role may have taken the key of one.
        if ID not in fields:
            own = next(
                (raw for raw in self.own_id if raw in fields and not _is_absent(properties[raw])), None
            )
            if own is not None:
                properties[ID] = properties[own]
        name = None if event is None else there[event]
        call = self._call_of(there)
        if call is not None:
            return self._event_of_call(call, name, properties, fields if self.own_id else properties)
        if name == "$merge" and _PAIR in properties and not self.own_id and self.api != "simplified":
            return {EVENT: name, PROPERTIES: properties}  # Mixpanel's own, in rows like PostHog's.
        return {EVENT: _ordinary(name), PROPERTIES: properties}

    def _call_of(self, row: Mapping[str, Any]) -> Call | None:
        value = row.get(self.call_key)
        return self.calls_by_value.get(value) if isinstance(value, str) else None

    def _event_of_call(
        self, call: Call, name: Any, properties: dict[str, Any], there: Collection[str]
    ) -> Mapping[str, Any]:
        """Return the event of a call: the identity event, where the API has it.

        Its operands are among the properties that are ``there``.
        """
        first, second = (
            next((properties[raw] for raw in raws if raw in there and not _is_absent(properties[raw])), None)
            for raws in (call.first, call.second)
        )
        is_ordinary = call.verb == "$identify" and (first is None or second is None)
        if self.api == "simplified" and call.verb == "$identify" and not is_ordinary:
            both = {DEVICE: first, USER: second}
            properties |= {raw: own for raw, own in both.items() if _is_absent(properties.get(raw))}
        if is_ordinary or self.api == "simplified":
            return {EVENT: _ordinary(name), PROPERTIES: properties}
        if call.verb == "$merge":
            return {EVENT: call.verb, PROPERTIES: properties | {_PAIR: [first, second]}}
        for raw, operand in zip(_OPERANDS[call.verb], (first, second), strict=True):
            if operand is None:
                properties.pop(raw, None)
            else:
                properties[raw] = operand
        return {EVENT: call.verb, PROPERTIES: properties}


def _is_absent(value: object) -> bool:
    """Return whether ``value`` is none of a name or of an ID: a null, or the empty text."""
    return value is None or (isinstance(value, str) and not value)


def _ordinary(name: Any) -> Any:
    """Return the name of an event that states no link by it."""
    return name.removeprefix("$") if isinstance(name, str) and name in VERBS else name


_CALLS = (
    Call("identify", "$identify", (DEVICE,), (USER,)),
    Call("alias", "$create_alias", (USER,), ("previousId", "previous_id", DEVICE)),
)
SEGMENT = VendorDialect(
    name="segment",
    title="Segment",
    product="Segment",
    event=(EVENT, "type"),
    properties=(PROPERTIES, "traits"),
    fields=(
        (DEVICE, ("anonymousId", "anonymous_id")),
        (USER, ("userId", "user_id")),
        (INSERT_ID, ("messageId", "message_id", "id")),
        (
            TIME,
            (
                "timestamp",
                *("originalTimestamp", "original_timestamp"),
                *("sentAt", "sent_at", "receivedAt", "received_at"),
            ),
        ),
    ),
    own_id=(USER, DEVICE),
    call_key="type",
    calls=_CALLS,
    nameless=("anonymous_id",),
)
RUDDERSTACK = replaced(SEGMENT, name="rudderstack", title="RudderStack", product="RudderStack")
POSTHOG = VendorDialect(
    name="posthog",
    title="PostHog",
    product="PostHog",
    fields=((TIME, ("timestamp",)), (INSERT_ID, ("uuid", "id"))),
    calls=(
        Call("$identify", "$identify", ("$anon_distinct_id", "$anon_id"), ("$identified_id", ID)),
        Call("$create_alias", "$create_alias", ("alias",), (ID,)),
        Call("$merge_dangerously", "$merge", (ID,), ("alias",)),
    ),
)
AMPLITUDE = VendorDialect(
    name="amplitude",
    title="Amplitude",
    product="Amplitude",
    event=("event_type",),
    properties=("event_properties",),
    fields=(
        (DEVICE, ("device_id",)),
        (USER, ("user_id",)),
        (INSERT_ID, ("insert_id", "uuid")),
        (TIME, ("event_time", "client_event_time", "server_received_time", "server_upload_time")),
    ),
    own_id=(USER, DEVICE),
)
SNOWPLOW = VendorDialect(
    name="snowplow",
    title="Snowplow",
    product="Snowplow",
    event=("event_name", EVENT),
    properties=(),
    fields=(
        (DEVICE, ("domain_userid",)),
        (USER, ("user_id",)),
        (INSERT_ID, ("event_id",)),
        (TIME, ("derived_tstamp", "collector_tstamp", "dvce_created_tstamp")),
    ),
    own_id=(USER, DEVICE),
)
VENDORS = (SEGMENT, RUDDERSTACK, POSTHOG, AMPLITUDE, SNOWPLOW)
"""The dialects of other products."""


class _Shape(NamedTuple):
    """A product's events, told by keys that all of its rows have."""

    dialect: VendorDialect
    needs: frozenset[str]
    one_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()


_SHAPES = (
    _Shape(
        SEGMENT,
        frozenset({"anonymousId", "type"}),
        frozenset({"messageId", "userId"}),
        frozenset({"rudderId", "channel"}),
    ),
    _Shape(SEGMENT, frozenset({"userId", "messageId", "type"}), none_of=frozenset({"rudderId", "channel"})),
    _Shape(
        SEGMENT,
        frozenset({"anonymous_id", "received_at"}),
        frozenset({"sent_at", "original_timestamp"}),
        frozenset({"channel", "rudder_id", "context_rudder_id"}),
    ),
    _Shape(RUDDERSTACK, frozenset({"anonymousId"}), frozenset({"rudderId", "channel"})),
    _Shape(RUDDERSTACK, frozenset({"userId", "messageId"}), frozenset({"rudderId", "channel"})),
    _Shape(
        RUDDERSTACK,
        frozenset({"anonymous_id", "received_at"}),
        frozenset({"channel", "rudder_id", "context_rudder_id"}),
    ),
    _Shape(
        POSTHOG,
        frozenset({EVENT, ID, "timestamp"}),
        frozenset({"uuid", "team_id", "person_id", "elements_chain", PROPERTIES}),
        frozenset({TIME}),
    ),
    _Shape(POSTHOG, frozenset({EVENT, PROPERTIES, "timestamp", "uuid"}), none_of=frozenset({TIME})),
    _Shape(
        AMPLITUDE,
        frozenset({"event_type"}),
        frozenset({"amplitude_id", "device_id", "user_id", "event_time"}),
        frozenset({EVENT, "event_name", "name", *WAREHOUSE.event, RESOLVED, "$distinct_id"}),
    ),
    _Shape(SNOWPLOW, frozenset({"domain_userid"}), frozenset({"collector_tstamp", "event_id", "app_id"})),
)


def vendor_of(keys: Collection[str]) -> VendorDialect | None:
    """Return the product whose rows have ``keys``; None where it is none of those known.

    Rows with the ID and the time of Mixpanel's exports are of none, whatever else they have.
    """
    known = {*keys}
    if {ID, TIME} <= known:
        return None
    for shape in _SHAPES:
        is_here = shape.needs <= known and shape.none_of.isdisjoint(known)
        if is_here and (not shape.one_of or not shape.one_of.isdisjoint(known)):
            return shape.dialect
    return None
