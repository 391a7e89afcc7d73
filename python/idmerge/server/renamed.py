"""Routes under names of their own, as clients can be told to use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import did_you_mean
from idmerge.errors import SettingError
from idmerge.server.inspector.routing import is_page
from idmerge.server.reading.routes import is_read
from idmerge.server.writing.calls import is_call
from idmerge.server.writing.handling import ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping


def with_renamed(further: Mapping[str, str], place: str) -> dict[str, str]:
    """Return the routes by which clients write, with further paths to them.

    Args:
        further: The route that each path stands for.
        place: What states them, in messages.

    Raises:
        SettingError: A path is another route's, or stands for none.

    Examples:
        >>> from idmerge.server.renamed import with_renamed
        >>> routes = with_renamed({"t": "track"}, "idmerge.toml")
        >>> routes["t"], routes["track"]
        ('track', 'track')
    """
    for path, route in further.items():
        if path in ROUTES or is_call(path) or is_read(path) or is_page(path):
            raise SettingError(f"{place}: routes: the server answers {path!r} already; take another path")
        if route not in ROUTES:
            meant = did_you_mean(route, ROUTES) or f" Known are {', '.join(ROUTES)}."
            raise SettingError(f"{place}: routes: {path!r} stands for no route, but {route!r:.100}.{meant}")
    return {**ROUTES, **further}
