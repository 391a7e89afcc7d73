"""Calls as the libraries of Segment and RudderStack send them, read by the dialect of Segment."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from idmerge import _core
from idmerge._json_decoding import decoded_or_none
from idmerge.errors import MalformedEventError
from idmerge.files import BUILT_IN
from idmerge.server.http.requests import TooLongError
from idmerge.server.writing.admission import MAX_ITEM, MAX_ITEMS

if TYPE_CHECKING:
    from idmerge.policy import Api

PREFIX = "v1/"
TYPES = {
    **{name: name for name in ("track", "identify", "alias", "page", "screen", "group")},
    **{name[0]: name for name in ("track", "identify", "alias", "page", "screen", "group")},
}
"""The type of the calls of each route behind `PREFIX`, of which single letters are short forms."""
BATCHES = frozenset({"batch", "b", "import"})
"""The routes of many calls, each of which states its type."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GLANCE = 1000
"""Bytes in which the first bracket of a request is, behind its blanks."""
_NO_LIST = b"\x03"
"""The first byte of a line that stands for an object without the list."""


def is_call(route: str) -> bool:
    """Return whether calls are sent to a route."""
    name = route.removeprefix(PREFIX)
    return route.startswith(PREFIX) and (name in TYPES or name in BATCHES)


def events_of_calls(content: bytes, route: str, api: Api) -> bytes:
    """Return calls as events of Mixpanel's, each on a line, whose links are those of ``api``.

    What is no call becomes an item without a name, which is not admitted.

    Raises:
        MalformedEventError: The request is no object with a call, or with a list ``batch`` of them.
        TooLongError: The list is too long.
    """
    name = route.removeprefix(PREFIX)
    if content[:_GLANCE].lstrip()[:1] != b"{":
        raise MalformedEventError("the request must be one JSON object")
    lines = _batch(content) if name in BATCHES else [content]
    if len(lines) > MAX_ITEMS:
        raise TooLongError(f"request has more than {MAX_ITEMS} items")
    kind = {} if name in BATCHES else {"type": TYPES[name]}
    dialect = BUILT_IN["segment"].under(api)
    return b"".join(_line(dialect, line, kind) for line in lines)


def _batch(content: bytes) -> list[bytes]:
    """Return the calls of a batch as lines.

    They are decoded one by one: whoever else needs the interpreter would wait for the whole.
    """
    items = _core.Items("batch")
    lines, wrong = items.cut(content)
    if wrong is None:
        _, wrong = items.cut(b"")
    found = lines.split(b"\n")[:-1]  # An item may have other ends of lines.
    if wrong is not None or any(line.startswith(_NO_LIST) for line in found):
        raise MalformedEventError("the request has no list 'batch' of calls")
    return found


def _line(dialect: Any, text: bytes, kind: dict[str, str]) -> bytes:
    """Return a call as a line with its event; what is too long stays so, and is not admitted."""
    if len(text) >= MAX_ITEM:
        return b"{}" + b" " * MAX_ITEM + b"\n"
    call = decoded_or_none(text)
    event = _event(dialect, {**kind, **call} if isinstance(call, dict) else call)
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def _event(dialect: Any, call: Any) -> Any:
    try:
        event = dict(dialect.event_of(call)) if isinstance(call, dict) else {}
    except MalformedEventError:
        return {}
    if event and isinstance(time := event["properties"].get("time"), str):
        with suppress(ValueError):  # A time that is none stays as it was sent.
            event["properties"] |= {"time": _milliseconds(time)}
    return event


def _milliseconds(time: str) -> int:
    """Return a time of ISO 8601 in milliseconds since 1970; one without a zone is in UTC.

    Raises:
        ValueError: It is none.
    """
    stated = datetime.fromisoformat(time)
    moment = stated if stated.tzinfo else stated.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)  # As the core's reader of times has it.
