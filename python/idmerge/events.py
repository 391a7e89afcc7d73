"""Links as events state them (SPEC 3): the three identity events and their operands.

Under the Original API only the event's name makes a link; `$device_id`, `$user_id` or `$anon_id`
on an ordinary event link nothing. The operands are found by key: a key that is present counts, even
when its value is null (a missing operand), and the documented spelling counts before the one that
SDKs send. Only a `$distinct_id_before_identity` that is null counts as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from idmerge._codes import Code
from idmerge._ids import AnyId, as_id, id_text, is_missing
from idmerge._json_decoding import decoded, decoded_object
from idmerge.errors import MalformedEventError
from idmerge.policy import DEVICE_PREFIX, Api, check_api

Source = Literal["import", "track"]
"""The route by which an event came: files and the import API, or the ``/track`` route of
clients."""

Event = Mapping[str, Any] | str | bytes | bytearray
"""One event: a mapping of the raw-export shape, or its JSON text."""


class Kind(Code):
    """The statement that makes a link; always true. The numbers are stable.

    Examples:
        >>> from idmerge import Kind
        >>> [str(kind) for kind in Kind], int(Kind.MAPPING), Kind(1)
        (['IDENTIFY', 'ALIAS', 'MERGE', 'MAPPING', 'ASSOCIATION'], 8, <Kind.ALIAS: 1>)
    """

    IDENTIFY = 0
    """The event `$identify`."""
    ALIAS = 1
    """The event `$create_alias`."""
    MERGE = 2
    """The event `$merge`."""
    MAPPING = 8
    """A row of Mixpanel's identity mappings: an ID, and the canonical one of its person."""
    ASSOCIATION = 13
    """An event of both a device and a user, in Simplified ID Merge."""

    def __bool__(self) -> bool:
        """Return True, also for `IDENTIFY`, whose number is 0."""
        return True


class Link(NamedTuple):
    """A claim that two IDs are one person. Which operand is which: SPEC 2.

    Examples:
        >>> from idmerge import Kind, Link, Resolver
        >>> link = Link(Kind.MERGE, "ana", "crm-17")
        >>> Resolver().link(*link), link.source
        (<Outcome.MERGED: 0>, 'import')
    """

    kind: Kind
    first: str
    """``anon_id``, ``alias``, the first of ``$distinct_ids``, or a mapping's ``distinct_id``."""
    second: str
    """``identified_id``, ``distinct_id``, the second of ``$distinct_ids``, or a mapping's
    ``resolved_distinct_id``."""
    source: Source = "import"
    """A merge by another route than the import is not allowed."""
    refused: str | None = None
    """Mixpanel's reason, if it refused the link itself."""


_KINDS = {"$identify": Kind.IDENTIFY, "$create_alias": Kind.ALIAS, "$merge": Kind.MERGE}
HOT_SHARD = "$hotshard_events"
"""The name of events of an ID with more than Mixpanel takes: another event's, in its properties."""
_ORIGINAL_NAME, _ORIGINAL_ID = ORIGINALS = "mp_original_event_name", "mp_original_distinct_id"
_NAMES: Mapping[Api, frozenset[str]] = {
    "original": frozenset({*_KINDS, HOT_SHARD}),
    "simplified": frozenset({*_KINDS, HOT_SHARD}),
    "legacy": frozenset({"$create_alias", HOT_SHARD}),
}
"""The names of the events that state links by themselves, or are another's."""
KINDS: Mapping[Api, frozenset[Kind]] = {
    "original": frozenset({*_KINDS.values(), Kind.MAPPING}),
    "simplified": frozenset({Kind.ASSOCIATION, Kind.MAPPING}),
    "legacy": frozenset({Kind.ALIAS, Kind.MAPPING}),
}
"""The kinds of links that each API has (SPEC 2)."""
MALFORMED: Mapping[Api, Kind] = {
    "original": Kind.IDENTIFY,
    "simplified": Kind.ASSOCIATION,
    "legacy": Kind.ALIAS,
}
"""The kind of the link without operands that stands for what is no event, under each API."""
IDENTITY_EVENTS = tuple(_KINDS)
"""The names of the events that state links."""
DEVICE, USER = "$device_id", "$user_id"
"""The device and the user, which SDKs send beside the ID, and which link in Simplified ID Merge."""
SENT_ID = "$distinct_id_before_identity"
"""The ID as it was sent, in events whose ``distinct_id`` was rewritten to the canonical one."""
VERDICTS = ("$failure_reason", "$identity_failure_reason")
"""The properties with Mixpanel's reason for refusing an identity event."""
_OPERANDS = {
    Kind.IDENTIFY: (("$anon_id", "$anon_distinct_id"), ("$identified_id", SENT_ID, "distinct_id")),
    Kind.ALIAS: (("alias",), (SENT_ID, "distinct_id")),
}
_BOTH_OPERANDS = "$distinct_ids"


def parse(event: Event, source: Source = "import", api: Api = "original") -> Link | None:
    """Return the link that ``event`` states under ``api``, or None for an ordinary event.

    Raises:
        MalformedEventError: An identity event lacks two usable operands, or a text is no JSON
            object.
        TypeError: ``event`` is neither a mapping nor text.
        ValueError: ``source`` is no route.

    Examples:
        >>> from idmerge import parse
        >>> phone = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
        >>> properties = {"distinct_id": "ana", "$anon_distinct_id": phone}
        >>> link = parse({"event": "$identify", "properties": properties})
        >>> link.kind, link.first == phone, link.second
        (<Kind.IDENTIFY: 0>, True, 'ana')
        >>> print(parse({"event": "Login", "properties": properties}))
        None
    """
    check_source(source)
    return link_of(event_mapping(event), source, check_api(api))


def check_source(source: str) -> None:
    """Raise ValueError unless ``source`` is a route that events come by."""
    if source not in get_args(Source):
        raise ValueError(f"source must be 'import' or 'track', got {source!r}")


def event_mapping(event: Event, decode: Callable[[Any], Any] = decoded) -> Mapping[str, Any]:
    """Return ``event`` as a mapping, reading it first if it is JSON text.

    Raises:
        MalformedEventError: A text is no JSON object.
        TypeError: ``event`` is neither a mapping nor text.
    """
    if isinstance(event, Mapping):
        return event
    return decoded_object(event, "event", MalformedEventError, decode)


def many_events(events: Iterable[Event]) -> Iterator[Event]:
    """Return an iterator over ``events``.

    Raises:
        TypeError: ``events`` is a single event, or a table.
    """
    kind = type(events).__name__
    if isinstance(events, (Mapping, str, bytes, bytearray)):
        raise TypeError(f"events must be an iterable of events, got one {kind}: use apply for one event")
    if hasattr(events, "columns"):  # Iteration would give the names of its columns.
        raise TypeError(f"events must be an iterable of events, got a {kind}: use stitch for a table")
    return iter(events)


def mapping_or_none(event: Event) -> Mapping[str, Any] | None:
    """Return ``event`` as a mapping; None for what is no event."""
    try:
        return event_mapping(event)
    except (MalformedEventError, TypeError):
        return None


def is_verb(event: Mapping[str, Any], api: Api) -> bool:
    """Return whether ``event`` states a link under ``api`` by its name alone, allowed or not."""
    name = event.get("event")
    return isinstance(name, str) and name in _KINDS and name in _NAMES[api]


def verb_of(event: Mapping[str, Any]) -> Kind:
    """Return the kind of the link that an identity event states, or would if it were whole."""
    return _KINDS[original_of(event).get("event", "")]


def link_of(event: Mapping[str, Any], source: Source, api: Api = "original") -> Link | None:
    """Return the link that the mapping ``event`` states, or None for an ordinary event."""
    name = event.get("event")
    if not isinstance(name, str) or name not in _NAMES[api]:  # Nearly every event: keep this first.
        return _association(event, source) if api == "simplified" else None
    if name == HOT_SHARD:
        return link_of(original_of(event), source, api)
    kind = _KINDS[name]
    properties = _properties(event)
    (first, wrong_first), (second, wrong_second) = _operands(name, kind, properties)
    if first is None or second is None:
        raise MalformedEventError(wrong_first or wrong_second, (first, second))
    return Link(kind, first, second, source, _verdict(properties))


def _association(event: Mapping[str, Any], source: Source) -> Link | None:
    """Return the link of an ordinary event that has both a device and a user."""
    properties = _properties(event)
    device, user = device_of(properties), user_of(properties)
    if device is None or user is None:
        return None
    return Link(Kind.ASSOCIATION, device, user, source, _verdict(properties))


def device_of(properties: Mapping[str, Any]) -> str | None:
    """Return the ID of the device that ``properties`` name, which has the prefix of devices."""
    return _prefixed(as_id(properties.get(DEVICE)) or "") or None


def associated(device: AnyId, user: AnyId) -> tuple[str, str]:
    """Return the IDs of a `$device_id` and a `$user_id`; empty of what names no device or no user.

    Raises:
        TypeError: A value can be no ID.
    """
    own, text = _prefixed(id_text(device)), id_text(user)
    return own, "" if text.startswith(DEVICE_PREFIX) else text


def _prefixed(device: str) -> str:
    device = device.removeprefix(DEVICE_PREFIX)
    return DEVICE_PREFIX + device if device else ""


def user_of(properties: Mapping[str, Any]) -> str | None:
    """Return the ID of the user whom ``properties`` name; a device's is none."""
    user = as_id(properties.get(USER))
    return None if not user or user.startswith(DEVICE_PREFIX) else user


def operand_keys(api: Api = "original") -> list[tuple[str, int, list[Sequence[str]]]]:
    """Return each identity event with its kind and the keys of its operands, or of their list.

    An event of a hot shard has an operand without keys, so that the core leaves it to Python.
    """
    stated: list[tuple[str, int, list[Sequence[str]]]] = [
        (name, kind.value, list(_OPERANDS.get(kind, ((_BOTH_OPERANDS,),))))
        for name, kind in _KINDS.items()
        if name in _NAMES[api]
    ]
    return [*stated, (HOT_SHARD, Kind.IDENTIFY.value, [(), ()])]


def operand_names(api: Api = "original") -> list[str]:
    """Return the names of all properties that state links under ``api``."""
    operands = {key for _, _, operands in operand_keys(api) for keys in operands for key in keys}
    return sorted(operands.union(VERDICTS, (DEVICE, USER) if api == "simplified" else ()))


def distinct_id_of(event: Mapping[str, Any]) -> str | None:
    """Return the `distinct_id` of an ordinary event, or None where it has none that is text."""
    return as_id(_properties(original_of(event)).get("distinct_id"))


def original_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``event``, or the event for which one of a hot shard stands (SPEC 3)."""
    if not _is_hot_shard(event.get("event")):
        return event
    properties = _properties(event)
    name = properties.get(_ORIGINAL_NAME)
    own = {"distinct_id": properties.get(_ORIGINAL_ID)}
    return {**event, "event": None if _is_hot_shard(name) else name, "properties": {**properties, **own}}


def _is_hot_shard(name: object) -> bool:
    """Return whether ``name`` is `HOT_SHARD`; not every value can be compared with a text."""
    return isinstance(name, str) and name == HOT_SHARD


def ids_of(event: Mapping[str, Any], api: Api = "original") -> tuple[str | None, str | None]:
    """Return the ID of an ordinary event, and the one that was sent if that is another.

    Under Simplified ID Merge the ID that was sent is the user's, else the device's, whatever the
    event has as `distinct_id`.
    """
    distinct_id = distinct_id_of(event)
    properties = _properties(event)
    sent = None if distinct_id is None else as_id(properties.get(SENT_ID))
    if api == "simplified":
        own = user_of(properties) or device_of(properties)
        if sent is None or sent == distinct_id:
            return own or distinct_id, None
        sent = own or sent
    return distinct_id, None if sent == distinct_id else sent


def sender_of(event: Mapping[str, Any], api: Api = "original") -> str | None:
    """Return the ID that an event is stitched under: that of the user, if it is an association."""
    if api != "simplified":
        return distinct_id_of(event)
    user = user_of(_properties(event))
    is_both = user is not None and device_of(_properties(event)) is not None
    return user if is_both else ids_of(event, api)[0]


def _verdict(properties: Mapping[str, Any]) -> str | None:
    """Return Mixpanel's reason for refusing an identity event; a missing or empty one is none."""
    reasons = (properties.get(key) for key in VERDICTS)
    reason = next((reason for reason in reasons if not _is_no_reason(reason)), None)
    return None if reason is None else as_id(reason) or shown(reason)


def _is_no_reason(value: object) -> bool:
    return is_missing(value) or (isinstance(value, str) and value == "")


def _properties(event: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = event.get("properties")
    return properties if isinstance(properties, Mapping) else {}


_Operand = tuple[str | None, str]
"""An operand and what is wrong with it: one of the two is empty."""


def _operands(name: str, kind: Kind, properties: Mapping[str, Any]) -> tuple[_Operand, _Operand]:
    if kind is not Kind.MERGE:
        first, second = _OPERANDS[kind]
        return _operand(name, properties, first), _operand(name, properties, second)
    entries = properties.get(_BOTH_OPERANDS)
    if not isinstance(entries, (list, tuple)) or len(entries) != 2:  # noqa: PLR2004
        wrong = f"$merge needs exactly two $distinct_ids, got {shown(entries)}"
        return (None, wrong), (None, wrong)
    first_entry, second_entry = entries
    return _text(name, _BOTH_OPERANDS, first_entry), _text(name, _BOTH_OPERANDS, second_entry)


def _operand(name: str, properties: Mapping[str, Any], keys: tuple[str, ...]) -> _Operand:
    for key in keys:
        if key in properties and not (key == SENT_ID and properties[key] is None):
            return _text(name, key, properties[key])
    others, last = ", ".join(keys[:-1]), keys[-1]
    return None, f"{name} has no {others} or {last}" if others else f"{name} has no {last}"


def _text(name: str, key: str, value: object) -> _Operand:
    text = as_id(value)
    wrong = f"{key} of {name} must be a string or an integer, got {shown(value)}" if text is None else ""
    return text, wrong


def shown(value: object) -> str:
    """Return the beginning of the value's ``repr``, however large or deep the value is."""
    try:
        return f"{value!r:.100}"
    except Exception:  # noqa: BLE001 - a repr may do anything
        return f"a {type(value).__name__} that cannot be shown"
