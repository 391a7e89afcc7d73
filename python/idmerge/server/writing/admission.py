"""Admission: which items of a request are taken, and why the others are not.

The limits are those that Mixpanel documents for ``/track``, ``/import``, ``/engage`` and
``/groups``; the core holds items to them. Whether an identity event is allowed is not asked here:
the resolver judges it, and a rejection is an outcome. Items keep the bytes in which they came.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from idmerge import _core
from idmerge.events import IDENTITY_EVENTS
from idmerge.server.http.answers import Failure
from idmerge.server.http.requests import MAX_BYTES, TooLongError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    Way = Literal["track", "import", "strict", "calls", "engage", "groups"]

MAX_ITEMS = 2000
"""Items of a request; more are answered by 413."""
MAX_PROPERTIES = 255
MAX_ITEM = 2**20
"""Bytes of an item with its end; longer ones are not decoded."""
MAX_NAME = 255
"""Characters of an event's name, and of the insert ID that an answer shows."""


class Admitted(NamedTuple):
    """The items of a request that are taken, and what is wrong with the others."""

    lines: list[tuple[int, bytes]]
    """The items of each project that has some, by the place of its token, each on a line. Events
    are in the order of their times, if all of the project's have one that is a number."""
    taken: int
    """The number of items that are taken."""
    unknown: int
    """The number of items whose token is unknown, and with which nothing else is wrong."""
    failures: list[Failure]


def _rules(way: Way) -> _core.Admission:
    return _core.Admission(
        "import" if way == "calls" else way,
        [*IDENTITY_EVENTS],
        # What calls become may be longer than they are.
        max_bytes=sys.maxsize if way == "calls" else MAX_BYTES,
        max_items=MAX_ITEMS,
        max_item=MAX_ITEM,
        max_properties=MAX_PROPERTIES,
        max_name=MAX_NAME,
    )


_RULES: dict[Way, _core.Admission] = {
    way: _rules(way) for way in ("track", "import", "strict", "calls", "engage", "groups")
}


def admitted(
    sent: tuple[bytes, str],
    way: Way,
    received: int,
    tokens: Sequence[str] | None = None,
    fallback: str = "",
) -> Admitted:
    r"""Return the items of a request that are taken.

    Args:
        sent: The text that holds them, and its content type; empty if that is not known.
        way: The route; "strict" is an import that is held to all that Mixpanel documents, and
            "calls" are the events of calls, of which any number of bytes is taken.
        received: The moment of receipt in milliseconds since 1970.
        tokens: The tokens of projects. None if all items are of one, whatever token they name.
        fallback: The token of items that name none.

    Raises:
        MalformedEventError: The body holds no items.
        TooLongError: It has more than `MAX_BYTES`, or more than `MAX_ITEMS`.

    Examples:
        >>> from idmerge.server.writing.admission import admitted
        >>> body = b'[{"event": "B", "properties": {"token": "t", "time": 2}}, {"event": ""}]'
        >>> found = admitted((body, "application/json"), "track", 0, ["s", "t"])
        >>> found.lines, found.taken, found.unknown
        ([(1, b'{"event": "B", "properties": {"token": "t", "time": 2}}\n')], 1, 0)
        >>> print(found.failures[0])
        item 1: 'event' is invalid: must be a text that is not empty
    """
    body, kind = sent
    try:
        lines, count, unknown, failures = _RULES[way].admit(body, kind or None, received, tokens, fallback)
    except OverflowError as error:
        raise TooLongError(str(error)) from error
    return Admitted(lines, count, unknown, [Failure(*failure) for failure in failures])
