"""One person as pages show it: the IDs, the links that joined them, and the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge.journal import DurableResolver
    from idmerge.recorded import RecordedLink


class Person(NamedTuple):
    """A person at a position of the journal."""

    canonical: str
    members: Sequence[str]
    links: Sequence[RecordedLink]
    """The links that built the cluster."""
    size: int
    limit: int | None
    position: int


def person_of(resolver: DurableResolver, distinct_id: str) -> Person:
    """Return the person who has an ID.

    Raises:
        UnknownIdError: Nobody has it.
    """
    return Person(
        canonical=resolver.resolve(distinct_id),
        members=resolver.members(distinct_id),
        links=resolver.explain(distinct_id) or [],
        size=resolver.size(distinct_id),
        limit=resolver.policy.max_cluster_size,
        position=resolver.position,
    )
