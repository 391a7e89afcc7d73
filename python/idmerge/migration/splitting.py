"""Clusters with several users, of which Simplified can show no more than one user each.

Under ``"split"`` the links of the cluster are taken once more, and one whose two sides have a user
each joins nothing. So each user keeps the ID of its own, and a device goes to the user whose link
reached it first: directly, or by way of other devices. Each part has exactly one user in the end,
for a side without a user is never refused. The order of the links:

1. the claims of `$identify` that Original accepted: a device goes to the user for whom it was
   claimed;
2. the other links that Original accepted, by position; mappings and rewritten events behind them,
   for these show how a cluster ended and not how it came about;
3. the links that Original refused for a limit, and the devices that events name beside a user.

So a cluster of Original with one user is never parted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from idmerge.events import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from idmerge.migration.closure import Join
    from idmerge.migration.first_reading import FirstReading

Ambiguous = Literal["split", "first", "last", "most-events", "error"]
"""What becomes of a cluster with several users."""
WAYS: tuple[str, ...] = get_args(Ambiguous)


def check_ambiguous(way: str) -> None:
    """Raise ValueError unless there is such a way."""
    if way not in WAYS:
        raise ValueError(f"ambiguous must be one of {', '.join(map(repr, WAYS))}, got {way!r:.100}")


def chosen_user(way: Ambiguous, users: Sequence[str], events_of: Mapping[str, int]) -> str:
    """Return the one of ``users``, in the order of their becoming known, who gets the cluster."""
    if way == "most-events":
        return max(users, key=lambda user: events_of.get(user, 0))  # The first of several.
    return users[-1] if way == "last" else users[0]


def split(members: Sequence[str], users: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the user of each of ``members``, of which some are ``users``."""
    parent = {each: each for each in members}
    user_of: dict[str, str] = {user: user for user in users}

    def root(each: str) -> str:
        while parent[each] != each:
            parent[each] = parent[parent[each]]
            each = parent[each]
        return each

    for first, second in links:
        roots = root(first), root(second)
        if roots[0] == roots[1] or (roots[0] in user_of and roots[1] in user_of):
            continue
        # The side with a user, if there is one, names both.
        below, above = roots if roots[1] in user_of else (roots[1], roots[0])
        parent[below] = above
    return {each: user_of[root(each)] for each in members}


def links_of(
    members: Sequence[str], reading: FirstReading, joins: Mapping[str, Sequence[tuple[int, Join]]]
) -> Iterator[tuple[str, str]]:
    """Yield the links that built a cluster of the closure, in the order above.

    Args:
        members: The members of the cluster.
        reading: The first reading, whose resolver remembers the links of Original's clusters.
        joins: The links behind those, with their order, by their first operand.
    """
    original, inside = reading.original, {*members}
    for each in members:
        if reading.claims.get(each) in inside:
            yield each, reading.claims[each]
    parts = {original.resolve(each): each for each in members if each in original}
    accepted = [link for each in parts.values() for link in original.explain(each) or ()]
    for link in sorted(accepted, key=lambda link: (link.kind is Kind.MAPPING, link.position)):
        yield str(link.first), str(link.second)
    for _, join in sorted(join for each in members for join in joins.get(each, ())):
        yield join
