"""The picture of a person's cluster, drawn once and kept as long as its links stay the same."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import counted, full, shortened
from idmerge.errors import MissingExtraError
from idmerge.pages.diagram import svg
from idmerge.pages.document import figure
from idmerge.pages.graph import Cluster, graph_of
from idmerge.server.inspector.frame import framed
from idmerge.server.inspector.markup import id_text, link, section, url
from idmerge.server.inspector.people import person_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.recorded import RecordedLink
    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.people import Person
    from idmerge.server.inspector.visits import Visit

MOST_BYTES = 64 << 20
"""Bytes of pictures that are kept."""
_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
"""Matplotlib's style sheet in a drawing, whose only rule is in the inspector's."""

Key = tuple[str, str, int, int, int]


class _Pictures:
    """Drawings that were made. One is drawn at a time: matplotlib's settings are the process's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawing = threading.Lock()
        self._kept: OrderedDict[Key, str] = OrderedDict()

    def of(self, key: Key, title: str, cluster: Cluster, rejected: Sequence[RecordedLink], shown: str) -> str:
        """Return a drawing as HTML.

        Raises:
            MissingExtraError: matplotlib or scipy is not installed.
        """
        found = self._found(key)
        if found is not None:
            return found
        with self._drawing:
            found = self._found(key)
            if found is None:
                graph = graph_of(title, [cluster], rejected=rejected, requested=(shown,))
                left_out = (
                    f" <p>Drawn {escape(', '.join(['without ' + part for part in graph.left_out]))}.</p>"
                )
                drawing = _STYLE.sub("", figure(svg(graph, has_title=False)))
                found = drawing + (left_out if graph.left_out else "")
                self._keep(key, found)
        return found

    def _found(self, key: Key) -> str | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Key, drawing: str) -> None:
        with self._lock:
            self._kept[key] = drawing
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > MOST_BYTES:
                self._kept.popitem(last=False)


_PICTURES = _Pictures()


def picture_parts(distinct_id: str, person: Person) -> Iterator[str]:
    """Yield the section of the picture, which comes when the page is there."""
    if len(person.members) < 2:  # noqa: PLR2004 - one ID alone is no picture
        return
    target = url("picture", id=distinct_id)
    loading = f'hx-get="{escape(target)}" hx-trigger="load" hx-select="#drawing" hx-swap="outerHTML"'
    otherwise = f'<p class="empty">{link(target, "The picture")} of the IDs and their links</p>'
    larger = f"<p>{link(target, 'Larger, on a page of its own')}</p>"
    content = [f'<div id="drawing" {loading}>{otherwise}</div>', larger]
    yield from section(
        "Cluster", content, name="cluster", note=f"{counted(len(person.links), 'link')} built it"
    )


def page(visit: Visit) -> Answer:
    """Return the page of the picture alone."""
    distinct_id = visit.query.get("id", "")
    with visit.subject.still() as resolver:
        person = person_of(resolver, distinct_id)
    inside = {*person.members}
    refused = [
        one
        for one in visit.subject.overview.refused_of(person.members)
        if one.first in inside and one.second in inside
    ]
    title = f"The cluster of {shortened(person.canonical)}"
    positions = [one.position for one in (*person.links, *refused)]
    names = hash((*person.members, distinct_id))
    key = (visit.subject.name, person.canonical, len(positions), hash(tuple(positions)), names)
    cluster = Cluster(person.canonical, person.members, person.links)
    try:
        drawing = _PICTURES.of(key, title, cluster, refused, distinct_id)
    except MissingExtraError as error:
        drawing = f'<p class="empty">{escape(str(error))}</p>'
    back = link(url("person", id=distinct_id), "All of this person")
    lines = [f'<div id="drawing" class="drawing" tabindex="0">{drawing}</div>', f"<p>{back}</p>"]
    return framed(
        visit,
        f"The cluster of {full(person.canonical)}",
        lines,
        heading=f"The cluster of {id_text(person.canonical)}",
    )
