"""One visitor: who it is, and what each call sends, as Mixpanel's browser SDK does it.

The state machine is that of mixpanel-browser 2.83 (`identify`, `reset`, `alias` and `register` in
its mixpanel-core.js, and mixpanel-persistence.js). What is remembered is in a `State`, and is read
and written at each call. Two things are the client's alone: its lock, and whether `identify` was
called on it, which in a browser is of a page, and by which profile updates are sent or wait.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from idmerge.client.forks import renewed_in_children
from idmerge.client.pending import MAX_WAITING, QUEUES, Props, enqueue, taken
from idmerge.client.people import People
from idmerge.client.sending import log
from idmerge.client.values import cut, id_of, plain, plain_properties, same
from idmerge.policy import DEVICE_PREFIX

if TYPE_CHECKING:
    from idmerge.client.sending import Route
    from idmerge.client.state import State

_ALIAS = "__alias"
_RESERVED = {*QUEUES.values(), "$people_distinct_id", _ALIAS, "__timers"}
"""What is remembered and is no property of events."""
_LIBRARY = "idmerge"


class Target(Protocol):
    """Where events and updates go."""

    def put(self, route: Route, item: dict[str, Any]) -> bool:
        """Take an item; return False if there is no room for it."""

    def close(self, timeout: float) -> bool:
        """Send what waits and end; return whether everything was delivered."""


class Visitor:
    """The calls of an SDK, of one visitor. `Client` and `AsyncClient` have them all.

    Calls never wait for the network, and may come from any thread. They return whether what they
    state is on its way: False if it was refused, which is logged, or the queue was full.
    """

    def __init__(self, target: Target, token: str, state: State | None, source: Route) -> None:
        if not isinstance(token, str) or not token:
            raise TypeError(f"token must be the token of a project, got {type(token).__name__}")
        self._target = target
        self._token = token
        self._source = source
        self._state: State = {} if state is None else state
        self._is_identified = False
        self._turn = threading.RLock()
        renewed_in_children(self)

    def _renew(self) -> None:
        """Replace the lock, in a child of a fork: another thread may have held it."""
        self._turn = threading.RLock()

    @property
    def distinct_id(self) -> str:
        """The ID under which events are sent: of the user, or of the device before `identify`.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(Resolver(), "shop")
            >>> client.distinct_id == f"$device:{client.device_id}"
            True
        """
        with self._turn:
            return str(self._load()["distinct_id"])

    @property
    def device_id(self) -> str | None:
        """The ID of the device, a UUIDv4 unless the state had another one.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> len(Client(Resolver(), "shop").device_id)
            36
        """
        return self._text("$device_id")

    @property
    def user_id(self) -> str | None:
        """The ID by which the user was identified last; None of an anonymous visitor.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(Resolver(), "shop")
            >>> client.user_id, client.identify("ana"), client.user_id
            (None, True, 'ana')
        """
        return self._text("$user_id")

    @property
    def people(self) -> People:
        """The visitor's profile.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> Client(Resolver(), "shop").people.set("plan", "free")
            True
        """
        return People(self._update)

    def _text(self, name: str) -> str | None:
        with self._turn:
            found = self._load().get(name)
        return found if isinstance(found, str) else None

    def track(self, event: str, properties: Mapping[str, Any] | None = None) -> bool:
        """Send an event.

        Args:
            event: Its name.
            properties: Its properties, which count before the super properties. ``time`` is the
                moment, in seconds or as a datetime; by default it is now.

        Raises:
            TypeError: The name is no text, or a property has no form in JSON.
            ValueError: The name is empty, or a property is nested too deeply.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(resolver := Resolver(), "shop")
            >>> client.track("Viewed page", {"page": "home"}), client.distinct_id in resolver
            (True, True)
        """
        if not isinstance(event, str):
            raise TypeError(f"the name of an event must be text, got {type(event).__name__}")
        if not event:
            raise ValueError("the name of an event is empty")
        properties = dict(properties or {})
        moment = properties.get("time")
        if isinstance(moment, datetime):
            properties["time"] = moment.timestamp()
        own = plain_properties(properties)
        with self._turn:
            return self._track(self._load(), event, own)

    def identify(self, user_id: object) -> bool:
        """Say who the visitor is, after a login or a sign-up.

        ``$identify`` is sent if this is another ID than before; then the profile updates that
        waited are sent too, under the new ID. If the queue is full the visitor stays who it was,
        and the next call sends it.

        Returns:
            Whether it was taken: False if the queue is full, and, with a warning in the log, of an
            empty ID and of one that begins with ``$device:``, unless that is this device's.

        Raises:
            TypeError: ``user_id`` is no text, integer or UUID.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(resolver := Resolver(), "shop")
            >>> anonymous = client.distinct_id
            >>> client.identify("ana"), resolver.same(anonymous, "ana")
            (True, True)
        """
        with self._turn:
            return self._identify(id_of(user_id))

    def reset(self) -> None:
        """Forget the visitor: the next one on this device is another, with a new device ID.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(resolver := Resolver(), "shop")
            >>> for user in ("ana", "ben"):
            ...     _ = client.identify(user)
            ...     client.reset()
            >>> resolver.size("ana"), resolver.size("ben"), resolver.same("ana", "ben")
            (2, 2, False)
        """
        with self._turn:
            self._is_identified = False
            self._save(_new_device({}))

    def alias(self, alias: object, original: object = None) -> bool:
        """Give a user another ID (``$create_alias``), and identify the visitor by it.

        Args:
            alias: The new ID.
            original: An ID of the user; by default the visitor's.

        Returns:
            Whether ``$create_alias`` is sent: False if both are one ID.

        Raises:
            TypeError: An ID is no text, integer or UUID.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(resolver := Resolver(), "shop")
            >>> _ = client.identify("ana")
            >>> client.alias("ana@example.com"), resolver.same("ana", "ana@example.com")
            (True, True)
        """
        new = id_of(alias)
        with self._turn:
            props = self._load()
            old = props["distinct_id"] if original is None else id_of(original)
            if not new or not old or new == props.get("$people_distinct_id"):
                log.warning("alias takes two IDs, of which the new one is not a profile's already")
                return False
            is_sent = new != old
            if is_sent:
                props[_ALIAS] = new
                self._save(props)
                is_sent = self._track(props, "$create_alias", {"alias": new, "distinct_id": old})
            self._identify(new)
            return is_sent

    def register(self, properties: Mapping[str, Any]) -> None:
        """Set super properties, which all later events of the visitor have.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> sent = []
            >>> client = Client(Resolver(), "shop", sink=lambda route, item: sent.append(item))
            >>> client.register({"plan": "free"})
            >>> _ = client.track("Viewed page")
            >>> sent[0]["properties"]["plan"]
            'free'
        """
        given = plain_properties(properties)
        with self._turn:
            self._save(self._load() | given)

    def register_once(self, properties: Mapping[str, Any], default: Any = "None") -> None:
        """Set super properties that are not there, or have the value ``default``.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(Resolver(), "shop", state=(state := {}))
            >>> client.register_once({"source": "newsletter"})
            >>> client.register_once({"source": "shop"})
            >>> state["mp_shop_mixpanel"]["source"]
            'newsletter'
        """
        given = plain_properties(properties)
        with self._turn:
            self._save(_registered_once(self._load(), given, default))

    def unregister(self, name: str) -> None:
        """Remove a super property.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(Resolver(), "shop", state=(state := {}))
            >>> client.register({"plan": "free"})
            >>> client.unregister("plan")
            >>> "plan" in state["mp_shop_mixpanel"]
            False
        """
        with self._turn:
            props = self._load()
            if name in props:
                del props[name]
                self._save(props)

    def merge(self, first: object, second: object) -> bool:
        """State that two IDs are one user (``$merge``), by the route ``/import``.

        Raises:
            TypeError: An ID is no text, integer or UUID.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(resolver := Resolver(), "shop")
            >>> client.merge("ana", "crm-17"), resolver.same("ana", "crm-17")
            (True, True)
        """
        properties = {"$distinct_ids": [id_of(first), id_of(second)], "token": self._token}
        item = {"event": "$merge", "properties": self._fixed("import") | properties}
        return self._put("import", item)

    def _identify(self, user_id: str) -> bool:
        props = self._load()
        previous = props["distinct_id"]
        is_new = user_id != previous
        was_identified = self._is_identified
        before = {name: props[name] for name in ("distinct_id", "$user_id") if name in props}
        if is_new and (not user_id or user_id.startswith(DEVICE_PREFIX)):
            log.warning("identify takes the ID of a user, which is not empty and has no prefix $device:")
            return False
        if is_new:
            props["$user_id"] = user_id
        if not props.get("$device_id"):  # The state is of a user whose device nobody knows.
            first = {"$had_persisted_distinct_id": True, "$device_id": previous}
            props = _registered_once(props, first, "")
        if is_new and user_id != props.get(_ALIAS):
            props.pop(_ALIAS, None)
            props["distinct_id"] = user_id
        updates = [*taken(props)]
        self._save(props)
        self._is_identified = True
        is_taken = False
        try:
            sent = [self._send_update(props, *update) for update in updates]
            if is_new:
                own = {"distinct_id": user_id, "$anon_distinct_id": previous}
                is_taken = self._track(props, "$identify", own)
                sent.append(is_taken)
        finally:
            if is_new and not is_taken:  # Another call has to send it: without it the two are never one.
                self._is_identified = was_identified
                props.pop("$user_id", None)
                self._save(props | before)
        return all(sent)

    def _track(self, props: Props, event: str, own: Props) -> bool:
        known = {name: value for name, value in props.items() if name not in _RESERVED}
        properties = self._fixed(self._source) | known | own | {"token": self._token}
        return self._put(self._source, {"event": cut(event), "properties": cut(properties)})

    def _put(self, route: Route, item: dict[str, Any]) -> bool:
        return self._target.put(route, item)

    def _fixed(self, route: Route) -> Props:
        """Return what every event has; the time in the unit that its route asks for."""
        now = time.time()
        return {
            "mp_lib": _LIBRARY,
            "$insert_id": uuid.uuid4().hex,
            "time": round(now * 1000) if route == "import" else round(now, 3),
        }

    def _update(self, action: str, values: Any) -> bool:
        with self._turn:
            props = self._load()
            if self._is_identified:
                return self._send_update(props, action, values)
            if action == "$delete":
                log.warning("people.delete needs an identify before it")
                return False
            if not enqueue(props, action, values):
                log.warning("%d properties wait for an identify: more are refused", MAX_WAITING)
                return False
            self._save(props)
            return True

    def _send_update(self, props: Props, action: str, values: Any) -> bool:
        distinct_id = props["distinct_id"]
        update = {action: distinct_id if action == "$delete" else values}
        update |= {"$token": self._token, "$distinct_id": distinct_id}
        names = ("$device_id", "$user_id", "$had_persisted_distinct_id")
        update |= {name: props[name] for name in names if props.get(name)}
        return self._put("engage", {name: cut(value) for name, value in update.items()})

    @property
    def _name(self) -> str:
        return f"mp_{self._token}_mixpanel"

    def _load(self) -> Props:
        """Return a copy of what is remembered, with a device if there is none."""
        found = self._state.get(self._name)
        props = _copy(found) if isinstance(found, Mapping) else {}
        if not isinstance(props.get("distinct_id"), str) or not props["distinct_id"]:
            props.pop("distinct_id", None)
            props = _new_device(props)
            self._save(props)
        return props

    def _save(self, props: Props) -> None:
        self._state[self._name] = props


def _copy(found: Mapping[str, Any]) -> Props:
    """Return a copy that may be changed: of the queues too, and of nothing else."""
    props = dict(found)
    for name in QUEUES.values():
        if name in props:
            props[name] = plain(props[name])
    return props


def _new_device(props: Props) -> Props:
    device = str(uuid.uuid4())
    return _registered_once(props, {"distinct_id": DEVICE_PREFIX + device, "$device_id": device}, "")


def _registered_once(props: Props, given: Props, default: Any) -> Props:
    new = {name: value for name, value in given.items() if name not in props or same(props[name], default)}
    return props | new
