"""Counts of requests, items and durations while a server runs, for ``/metrics``.

Each number is written by one thread, so none needs a lock: requests by that of the event loop,
flushes by the log's, commits by the pipeline's. A reader may see one number before another one that
belongs to it.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING

from idmerge.server.writing.calls import BATCHES, PREFIX, TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sized

    from idmerge.server.writing.handling import Handled

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""The seconds up to which durations are counted together."""
OTHER = "other"
"""The route of all paths that are none, so that strangers cannot make new ones."""
ONE_ID = "api/ids/"
"""The beginning of the routes that end in an ID, which are counted as one."""
PAGES = "inspect"
"""The pages for people, which are counted as one, with the start page at no route."""
NOTHING_KEPT = (429, 503)
"""The statuses of requests of which nothing is kept, and which come again."""


class Durations:
    """Durations of one kind, as a histogram.

    Examples:
        >>> from idmerge.server.counts import Durations
        >>> flushes = Durations()
        >>> flushes.add(0.002), flushes.add(0.004), flushes.add(60.0)
        (None, None, None)
        >>> flushes.count, flushes.seconds, flushes.up_to()[2:5], flushes.up_to()[-1]
        (3, 60.006, [1, 2, 2], 2)
    """

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self._counts = [0] * (len(BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.count += 1

    def up_to(self) -> list[int]:
        """Return the number of durations up to each of `BOUNDS`."""
        total, found = 0, []
        for count in self._counts[:-1]:
            total += count
            found.append(total)
        return found


class Counts:
    r"""Requests and their items, since the start of the server.

    Examples:
        >>> from idmerge.server.counts import Counts
        >>> from idmerge.server.http.answers import Answer
        >>> from idmerge.server.log.records import Record
        >>> from idmerge.server.writing.handling import Handled
        >>> counts = Counts()
        >>> counts.tell_apart({"track": "track", "collect": "track"})
        >>> record = Record("shop", "events", "track", 0, b'{"event": "View"}\n')
        >>> counts.add("/collect/", Handled(Answer(200), [record]))
        >>> counts.add("/wp-login.php", Handled(Answer(404)))
        >>> dict(counts.requests)
        {('track', 200): 1, ('other', 404): 1}
        >>> dict(counts.items)
        {('shop', 'track', 'admitted'): 1}
    """

    def __init__(self) -> None:
        self.started = time.time()
        """The moment of the start, in seconds since 1970."""
        self.requests: defaultdict[tuple[str, int], int] = defaultdict(int)
        """Requests by route and status."""
        self.items: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        """Items by project, route and whether they were ``admitted`` or ``refused``."""
        self.connections: Sized = ()
        """The connections that are open."""
        self._routes: dict[str, str] = {}
        self.tell_apart({f"{PREFIX}{name}": f"{PREFIX}{name}" for name in (*TYPES, *BATCHES)})

    def tell_apart(self, routes: Mapping[str, str]) -> None:
        """Count requests by these routes under the names that they map to; others are `OTHER`."""
        for route, name in routes.items():
            self._routes |= dict.fromkeys((f"/{route}", f"/{route}/"), name)

    def add(self, path: str, done: Handled) -> None:
        """Count a request that is answered, and the items that it brought."""
        answer, records, refused, refused_by = done
        route = self._routes.get(path) or self._other(path)
        self.requests[route, answer.status] += 1
        if records:
            result = "refused" if answer.status in NOTHING_KEPT else "admitted"
            for record in records:
                self.items[record.project, route, result] += record.lines.count(b"\n")
        if refused:
            self.items[refused_by, route, "refused"] += refused

    def _other(self, path: str) -> str:
        """Return the route of a path that is not spelt as one."""
        route = path.strip("/")
        if path == "/" or route.split("/", 1)[0] == PAGES:
            return PAGES
        return self._routes.get(f"/{route}") or (ONE_ID if route.startswith(ONE_ID) else OTHER)
