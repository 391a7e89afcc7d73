"""Profile updates that wait for `identify`, as the browser's SDK keeps them in its storage.

Updates of one kind become one: a later `set` overrides an earlier one and what was to be added to
it, `unset` takes back all of these. Appended and removed values are kept one by one, and are sent
the last one first, as the SDK does. `mixpanel-persistence.js` of version 2.83 has these rules.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from idmerge.client.values import plain, same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Props = dict[str, Any]
"""What is remembered of one visitor."""

QUEUES = {
    "$set": "__mps",
    "$set_once": "__mpso",
    "$unset": "__mpus",
    "$add": "__mpa",
    "$append": "__mpap",
    "$remove": "__mpr",
    "$union": "__mpu",
}
"""The key of the updates of each kind."""
_LISTS = {"$append", "$remove"}
_AT_ONCE = ("$set", "$set_once", "$unset", "$add", "$union")
"""The kinds of which all that waits is one update, in the order in which they are sent."""


MAX_WAITING = 1000
"""Names and values that may wait: a visitor who is never identified must not fill a session."""


def enqueue(props: Props, action: str, values: Any) -> bool:
    """Keep an update until the visitor is identified; return False if there is no room for it."""
    queues = {name: _queue(props, name) for name in QUEUES}
    waiting = sum(map(len, queues.values())) + sum(map(len, queues["$union"].values()))
    new = sum(map(len, values.values())) if action == "$union" else len(values)
    if waiting + new > MAX_WAITING:
        return False
    _ADD[action](queues, values)
    return True


def taken(props: Props) -> Iterator[tuple[str, Any]]:
    """Take out the updates that waited, in the order in which they are sent."""
    for action in _AT_ONCE:
        queue = props.get(QUEUES[action])
        if isinstance(queue, dict) and queue:
            props[QUEUES[action]] = {}
            yield action, ([*queue] if action == "$unset" else queue)
    for action in ("$append", "$remove"):
        queue = props.get(QUEUES[action])
        if isinstance(queue, list):
            props[QUEUES[action]] = []
            yield from ((action, item) for item in reversed(queue) if isinstance(item, dict) and item)


def _queue(props: Props, action: str) -> Any:
    """Return what waits of a kind; what a state has in its place by mistake is dropped."""
    found: Any = props.get(QUEUES[action])
    if action in _LISTS:
        queue: Any = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    else:
        queue = found if isinstance(found, dict) else {}
        if action == "$union":
            queue = {name: items for name, items in queue.items() if isinstance(items, list)}
    props[QUEUES[action]] = queue
    return queue


def _set(queues: dict[str, Any], values: Props) -> None:
    queues["$set"].update(values)
    _drop(queues, ("$add", "$union", "$unset"), values)


def _set_once(queues: dict[str, Any], values: Props) -> None:
    queues["$set_once"].update(values | queues["$set_once"])
    _drop(queues, ("$unset",), values)


def _unset(queues: dict[str, Any], names: list[str]) -> None:
    _drop(queues, ("$set", "$set_once", "$add", "$union"), names)
    for name in names:
        for item in queues["$append"]:
            item.pop(name, None)
        queues["$unset"][name] = True


def _add(queues: dict[str, Any], values: Props) -> None:
    for name, value in values.items():
        queue = queues["$set" if name in queues["$set"] else "$add"]
        known = queue.get(name, 0)
        if isinstance(known, (int, float)):  # To other values nothing can be added.
            with suppress(OverflowError):  # Nor can a float be added to an integer beyond its range.
                queue[name] = plain(known + value)
    _drop(queues, ("$unset",), values)


def _union(queues: dict[str, Any], values: dict[str, list[Any]]) -> None:
    for name, items in values.items():
        known = queues["$union"].setdefault(name, [])
        for item in items:
            if not any(same(item, other) for other in known):
                known.append(item)
    _drop(queues, ("$unset",), values)


def _append(queues: dict[str, Any], values: Props) -> None:
    queues["$append"].append(values)
    _drop(queues, ("$unset",), values)


def _remove(queues: dict[str, Any], values: Props) -> None:
    queues["$remove"].append(values)
    for name, value in values.items():
        for item in queues["$append"]:
            if name in item and same(item[name], value):
                del item[name]


def _drop(queues: dict[str, Any], actions: tuple[str, ...], names: Props | list[str]) -> None:
    for action in actions:
        for name in names:
            queues[action].pop(name, None)


_ADD: dict[str, Callable[[dict[str, Any], Any], None]] = {
    "$set": _set,
    "$set_once": _set_once,
    "$unset": _unset,
    "$add": _add,
    "$union": _union,
    "$append": _append,
    "$remove": _remove,
}
