"""Clusters as a graph to draw: IDs with their roles are the nodes, links the edges.

The links give an ID its role: identified if it is the second operand of an identify; else anonymous
if it is the first operand of one that was accepted; else an alias if it is the first operand of an
alias; else anonymous if it looks like a UUIDv4.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from idmerge._formatting import counted
from idmerge.events import Kind
from idmerge.policy import ANON_FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from idmerge.recorded import RecordedLink

MOST_NODES = 600
"""IDs of one cluster that are drawn; of a larger one, those nearest to the requested ones."""
MOST_BESIDE = 5
"""Links between the same two IDs that are drawn; of more, the first ones."""

_LOOKS_ANONYMOUS = re.compile(ANON_FORMATS["mixpanel"])


class Role(Enum):
    """The role of an ID in its cluster."""

    IDENTIFIED = "identified"
    ANONYMOUS = "anonymous"
    ALIAS = "alias"
    OTHER = "other"
    FORGOTTEN = "forgotten"


class Cluster(NamedTuple):
    """A cluster and the links that built it."""

    canonical: str
    members: Sequence[str]
    links: Sequence[RecordedLink]


class Node(NamedTuple):
    """An ID in the diagram; all forgotten ones of a cluster are one."""

    text: str
    role: Role
    cluster: int
    is_canonical: bool
    is_requested: bool


class Edge(NamedTuple):
    """A link in the diagram, by the places of its two nodes."""

    link: RecordedLink
    first: int
    second: int
    is_in_chain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The nodes and edges of a diagram, and the links of its table."""

    title: str
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    links: Sequence[RecordedLink]
    """All links, those that are not drawn included."""
    chain: frozenset[int]
    """The positions of the highlighted links."""
    clusters: int
    roles: Mapping[str | None, Role]
    """The role of each ID, those that are not drawn included, as far as links give it one."""
    hidden: int
    """The number of IDs that are not drawn."""
    repeated: int
    """The number of links that are not drawn, for there are too many between the same two IDs."""

    @property
    def heading(self) -> str:
        """The title, and what is not drawn."""
        return ", without ".join([self.title, *self.left_out])

    @property
    def left_out(self) -> list[str]:
        """What is not drawn, in words."""
        left_out = [counted(self.hidden, "ID") + " further away"] if self.hidden else []
        return [
            *left_out,
            *([f"{counted(self.repeated, 'link')} between the same IDs"] if self.repeated else []),
        ]


def graph_of(
    title: str,
    clusters: Sequence[Cluster],
    *,
    rejected: Sequence[RecordedLink] = (),
    chain: Sequence[RecordedLink] = (),
    requested: Sequence[str] = (),
) -> Graph:
    """Return the graph of ``clusters``, with ``rejected`` links and a highlighted ``chain``.

    The IDs in ``requested`` are marked, and of a large cluster the IDs nearest to them are drawn.
    """
    roles = roles_of([link for cluster in clusters for link in cluster.links], rejected)
    chosen = frozenset(link.position for link in chain)
    nodes: list[Node] = []
    places: dict[tuple[int, str | None], int] = {}
    where: dict[str, int] = {}
    hidden = 0
    for number, (canonical, members, links) in enumerate(clusters):
        shown = _nearest([*requested, canonical], members, links)
        hidden += len(members) - len(shown - {None})
        for text in members:
            if text not in shown:
                continue
            places[number, text] = len(nodes)
            where[text] = number
            role = role_of(text, roles)
            nodes.append(Node(text, role, number, text == canonical, text in requested))
        if None in shown:
            places[number, None] = len(nodes)
            count = len(links) + 1 - len(members)
            nodes.append(Node(counted(count, "forgotten ID"), Role.FORGOTTEN, number, False, False))  # noqa: FBT003
    edges = []
    beside: Counter[frozenset[int]] = Counter()
    drawn = [(number, link) for number, cluster in enumerate(clusters) for link in cluster.links]
    between: list[tuple[int | None, RecordedLink]] = [*drawn, *((None, link) for link in rejected)]
    for of, link in between:
        ends = [
            places.get((where.get(text or "", -1) if of is None else of, text))
            for text in (link.first, link.second)
        ]
        if ends[0] is None or ends[1] is None or ends[0] == ends[1]:
            continue
        beside[frozenset((ends[0], ends[1]))] += 1
        if beside[frozenset((ends[0], ends[1]))] <= MOST_BESIDE:
            edges.append(Edge(link, ends[0], ends[1], link.position in chosen))
    links = sorted([*(link for _, link in drawn), *rejected])
    return Graph(
        title=title,
        nodes=nodes,
        edges=edges,
        links=links,
        chain=chosen,
        clusters=len(clusters),
        roles=roles,
        hidden=hidden,
        repeated=sum(max(count - MOST_BESIDE, 0) for count in beside.values()),
    )


def role_of(text: str, roles: Mapping[str | None, Role]) -> Role:
    """Return the role of an ID: that in ``roles``, or the one that it looks like."""
    return roles.get(text) or (Role.ANONYMOUS if _LOOKS_ANONYMOUS.fullmatch(text) else Role.OTHER)


def roles_of(built: Iterable[RecordedLink], rejected: Iterable[RecordedLink]) -> dict[str | None, Role]:
    """Return the roles that links give to IDs, those that built clusters and those rejected."""
    identified, anonymous, aliases = set(), set(), set()
    for link in [*built, *rejected]:
        if link.kind in {Kind.IDENTIFY, Kind.ASSOCIATION}:
            identified.add(link.second)
            if link.outcome.accepted:
                anonymous.add(link.first)
        elif link.kind is Kind.ALIAS:
            aliases.add(link.first)
    return {
        **dict.fromkeys(aliases, Role.ALIAS),
        **dict.fromkeys(anonymous, Role.ANONYMOUS),
        **dict.fromkeys(identified, Role.IDENTIFIED),
    }


def _nearest(starts: Iterable[str], members: Sequence[str], links: Iterable[RecordedLink]) -> set[str | None]:
    """Return the IDs to draw, None for forgotten: all, or those near paths between ``starts``.

    They are connected, for the search begins at the first of ``starts`` that is a member.
    """
    beside: dict[str | None, list[str | None]] = {}
    for link in links:
        beside.setdefault(link.first, []).append(link.second)
        beside.setdefault(link.second, []).append(link.first)
    if len(members) <= MOST_NODES:
        return {*members, *beside}
    found = _paths([text for text in starts if text in beside], beside)
    waiting = deque(found)
    while waiting and len(found) < MOST_NODES:
        for other in beside[waiting.popleft()]:
            if other not in found and len(found) < MOST_NODES:
                found[other] = None
                waiting.append(other)
    return set(found)


def _paths(
    starts: Sequence[str], beside: Mapping[str | None, Sequence[str | None]]
) -> dict[str | None, None]:
    """Return the drawable IDs on the paths from the first of ``starts`` to the others."""
    before: dict[str | None, str | None] = {starts[0]: None}
    waiting: deque[str | None] = deque(starts[:1])
    while waiting:
        text = waiting.popleft()
        for other in beside[text]:
            if other not in before:
                before[other] = text
                waiting.append(other)
    found: dict[str | None, None] = {}
    for start in starts:
        path: list[str | None] = [start]
        while path[-1] != starts[0]:
            path.append(before[path[-1]])
        found.update(dict.fromkeys(reversed(path)))
    return dict.fromkeys(list(found)[:MOST_NODES])
