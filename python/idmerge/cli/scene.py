"""What a picture of clusters shows, before anything is drawn: IDs with their roles, and links between them.

A role is what the links say of an ID: identified if it is the second operand of an identify; else anonymous
if it is the first operand of one that was accepted; else an alias if it is the first operand of an alias;
else anonymous if it looks like a UUIDv4.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from idmerge import Kind
from idmerge.cli.wording import counted
from idmerge.policy import ANON_FORMATS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from idmerge import RecordedLink

MOST_NODES = 600
"""IDs of one cluster that are drawn; of a larger one, those nearest to what was asked for."""

_LOOKS_ANONYMOUS = re.compile(ANON_FORMATS["uuid4"])


class Role(Enum):
    """What an ID is to its cluster."""

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
    """An ID in the picture; all forgotten ones of a cluster are one."""

    text: str
    role: Role
    cluster: int
    is_canonical: bool
    is_asked_for: bool


class Edge(NamedTuple):
    """A link in the picture, by the places of its two nodes."""

    link: RecordedLink
    first: int
    second: int
    is_in_chain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a picture shows."""

    title: str
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    links: Sequence[RecordedLink]
    """All links, those between nodes that are not drawn included."""
    chain: frozenset[int]
    """The positions of the links that were asked for."""
    clusters: int
    hidden: int
    """How many IDs are not drawn."""


def scene(
    title: str,
    clusters: Sequence[Cluster],
    *,
    rejected: Sequence[RecordedLink] = (),
    chain: Sequence[RecordedLink] = (),
    asked_for: Collection[str] = (),
) -> Scene:
    """Return what a picture of ``clusters`` shows, with ``rejected`` links and a highlighted ``chain``."""
    roles = _roles([link for cluster in clusters for link in cluster.links], rejected)
    chosen = frozenset(link.position for link in chain)
    along = {text for link in chain for text in (link.left, link.right)}
    nodes: list[Node] = []
    places: dict[tuple[int, str | None], int] = {}
    where: dict[str, int] = {}
    hidden = 0
    for number, (canonical, members, links) in enumerate(clusters):
        shown = _nearest({canonical, *asked_for, *along}, members, links)
        hidden += len(members) - len(shown)
        for text in shown:
            places[number, text] = len(nodes)
            where[text] = number
            role = roles.get(text) or (Role.ANONYMOUS if _LOOKS_ANONYMOUS.fullmatch(text) else Role.OTHER)
            nodes.append(Node(text, role, number, text == canonical, text in asked_for))
        if any(None in (link.left, link.right) for link in links):
            places[number, None] = len(nodes)
            count = len(links) + 1 - len(members)
            nodes.append(Node(counted(count, "forgotten ID"), Role.FORGOTTEN, number, False, False))  # noqa: FBT003
    edges = []
    drawn = [(number, link) for number, cluster in enumerate(clusters) for link in cluster.links]
    between: list[tuple[int | None, RecordedLink]] = [*drawn, *((None, link) for link in rejected)]
    for of, link in between:
        ends = [
            places.get((where.get(text or "", -1) if of is None else of, text))
            for text in (link.left, link.right)
        ]
        if ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
            edges.append(Edge(link, ends[0], ends[1], link.position in chosen))
    links = sorted([*(link for _, link in drawn), *rejected])
    return Scene(
        title=title,
        nodes=nodes,
        edges=edges,
        links=links,
        chain=chosen,
        clusters=len(clusters),
        hidden=hidden,
    )


def _roles(built: Iterable[RecordedLink], rejected: Iterable[RecordedLink]) -> dict[str | None, Role]:
    identified, anonymous, aliases = set(), set(), set()
    for link in [*built, *rejected]:
        if link.kind is Kind.IDENTIFY:
            identified.add(link.right)
            if link.outcome.accepted:
                anonymous.add(link.left)
        elif link.kind is Kind.ALIAS:
            aliases.add(link.left)
    return {
        **dict.fromkeys(aliases, Role.ALIAS),
        **dict.fromkeys(anonymous, Role.ANONYMOUS),
        **dict.fromkeys(identified, Role.IDENTIFIED),
    }


def _nearest(
    starts: Collection[str | None], members: Sequence[str], links: Iterable[RecordedLink]
) -> list[str]:
    """Return the members that are drawn, in their order: all, or those nearest to ``starts``."""
    if len(members) <= MOST_NODES:
        return list(members)
    beside: dict[str | None, list[str | None]] = {}
    for link in links:
        beside.setdefault(link.left, []).append(link.right)
        beside.setdefault(link.right, []).append(link.left)
    waiting: deque[str | None] = deque(text for text in members if text in starts)
    found: set[str | None] = set(waiting)
    count = len(found)
    while waiting and count < MOST_NODES:
        for text in beside.get(waiting.popleft(), ()):
            if text not in found and count < MOST_NODES:
                found.add(text)
                waiting.append(text)
                count += text is not None
    return [text for text in members if text in found]
