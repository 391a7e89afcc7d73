"""The start page: how many IDs, clusters and links there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.pages.parts import Card, cards
from idmerge.server.inspector.frame import framed

if TYPE_CHECKING:
    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.visits import Visit


def page(visit: Visit) -> Answer:
    """Return the start page."""
    with visit.subject.still() as resolver:
        stats, position = resolver.stats(), resolver.position
    return framed(
        visit,
        "Who is who",
        cards(
            (
                Card("IDs", stats.ids),
                Card("people", stats.clusters),
                Card("links", sum(stats.outcomes.values())),
                Card("refused", sum(n for outcome, n in stats.outcomes.items() if not outcome.accepted)),
                Card("near the limit", stats.near_limit),
                Card("position", position),
            )
        ),
    )
