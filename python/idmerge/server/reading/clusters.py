"""One cluster with its links, and what joins two IDs or stands between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge.server.http import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge.journal import DurableResolver
    from idmerge.profiles import Profiles
    from idmerge.recorded import RecordedLink
    from idmerge.server.http.answers import Answer

MOST_MEMBERS = 1000
"""IDs, and links, that an answer lists; the whole number of IDs is always stated."""


def cluster(resolver: DurableResolver, profiles: Profiles, distinct_id: str) -> Answer:
    """Return the cluster of an ID, the links that made it, and the profile that is shown of it."""
    is_known = distinct_id in resolver
    members = resolver.members(distinct_id) if is_known else [distinct_id]
    links = (resolver.explain(distinct_id) or []) if is_known else []
    return answers.in_json(
        {
            **_named(resolver, distinct_id),
            "profile": profiles.get(distinct_id),
            "size": len(members),
            "distinct_ids": members[:MOST_MEMBERS],
            "links": _shown(links),
        }
    )


def connected(resolver: DurableResolver, distinct_id: str, other: str) -> Answer:
    """Return the chain of links between two IDs, or the rejected links between their clusters."""
    are_known = distinct_id in resolver and other in resolver
    chain = resolver.explain(distinct_id, other) if are_known else None
    rejected = resolver.why_not(distinct_id, other) if are_known and chain is None else []
    return answers.in_json(
        {
            **_named(resolver, distinct_id),
            "with": _named(resolver, other),
            "together": distinct_id == other or chain is not None,
            "links": _shown(chain or []),
            "rejected": _shown(rejected),
        }
    )


def _named(resolver: DurableResolver, distinct_id: str) -> dict[str, Any]:
    return {
        "distinct_id": distinct_id,
        "known": distinct_id in resolver,
        "canonical_id": resolver.resolve(distinct_id),
    }


def _shown(links: Sequence[RecordedLink]) -> list[dict[str, Any]]:
    return [
        {
            "position": link.position,
            "kind": str(link.kind),
            "first": link.first,
            "second": link.second,
            "outcome": link.outcome.name,
            "source": link.source,
            "committed": None if link.time is None else link.time.isoformat(),
            "event_time": None if link.event_time is None else link.event_time.isoformat(),
            "origin": link.origin,
        }
        for link in links[:MOST_MEMBERS]
    ]
