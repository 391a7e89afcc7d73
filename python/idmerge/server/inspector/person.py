"""The page of one person, found by any of their IDs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.server.inspector.acting import person_acts
from idmerge.server.inspector.frame import framed, see_other
from idmerge.server.inspector.markup import id_link, id_text, section, table

if TYPE_CHECKING:
    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.visits import Visit


def page(visit: Visit) -> Answer:
    """Return the page of the person who has an ID."""
    distinct_id = visit.query.get("id", "")
    if not distinct_id:
        return see_other("/")
    with visit.subject.still() as resolver:
        members = resolver.members(distinct_id)
        canonical = resolver.resolve(distinct_id)
    rows = ([id_link(one), "canonical" if one == canonical else ""] for one in members)
    return framed(
        visit,
        canonical,
        [
            *section("IDs", table("The IDs of this person", ["ID", "role"], rows), name="ids"),
            *person_acts(visit, distinct_id),
        ],
        heading=id_text(canonical),
    )
