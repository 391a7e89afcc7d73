"""Calls as the libraries of Segment and RudderStack send them, read by the dialect of Segment."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from idmerge._json_decoding import decoded_or_none
from idmerge.errors import MalformedEventError
from idmerge.files import BUILT_IN
from idmerge.server import moments
from idmerge.server.http.requests import TooLongError
from idmerge.server.writing.admission import MAX_ITEMS

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
    request = decoded_or_none(content)
    if not isinstance(request, dict):
        raise MalformedEventError("the request must be one JSON object")
    name = route.removeprefix(PREFIX)
    calls = request.get("batch") if name in BATCHES else [{"type": TYPES[name], **request}]
    if not isinstance(calls, list):
        raise MalformedEventError("the request has no list 'batch' of calls")
    if len(calls) > MAX_ITEMS:
        raise TooLongError(f"request has more than {MAX_ITEMS} items")
    dialect = BUILT_IN["segment"].under(api)
    return b"".join(
        json.dumps(_event(dialect, call), separators=(",", ":")).encode() + b"\n" for call in calls
    )


def _event(dialect: Any, call: Any) -> Any:
    try:
        event = dict(dialect.event_of(call)) if isinstance(call, dict) else None
    except MalformedEventError:
        return None
    if event is not None and isinstance(time := event["properties"].get("time"), str):
        with suppress(ValueError):  # A time that is none stays as it was sent.
            event["properties"] |= {"time": round(moments.of_text(time))}
    return event
