"""The baseline of the benchmarks: a union-find in Python dicts under the default policy.

It stands for the code that a good programmer writes without idmerge, and is no part of the product.
It knows the "stable" strategy alone and leaves out all that it can: members, reports, statistics.
Its outcomes and canonical IDs are those of the reference, which a test compares.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from idmerge import DEFAULT_BLOCKED_IDS, Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

_UUID4 = re.compile(
    r"(?:\$device:)?[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE
)
_BLOCKED = DEFAULT_BLOCKED_IDS | {""}
_MAX_LENGTH = 255
_MAX_SIZE = 500


class DictResolver:
    """A resolver by a dict of parents."""

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}
        self.size: dict[str, int] = {}
        self.canonical: dict[str, str] = {}
        self.known_at: dict[str, int] = {}
        self.identified_clusters: set[str] = set()
        self.claimed: set[str] = set()
        self.aliases: set[str] = set()

    def find(self, text: str) -> str:
        parent = self.parent
        while (up := parent[text]) != text:
            parent[text] = text = parent[up]
        return text

    def know_both(self, first: str, second: str) -> bool:
        """Make both known, or neither if one of them cannot be an ID; return whether it did."""
        for text in (first, second):
            if text not in self.parent and (
                len(text) > _MAX_LENGTH or text.removeprefix("$device:").lower() in _BLOCKED
            ):
                return False
        for text in (first, second):
            if text not in self.parent:
                self.known_at[text] = len(self.parent)
                self.parent[text] = self.canonical[text] = text
                self.size[text] = 1
        return True

    def link(self, kind: Kind, first: str, second: str) -> Outcome:
        parent = self.parent
        if (first not in parent or second not in parent) and not self.know_both(first, second):
            return Outcome.INVALID_ID
        if first == second:
            return Outcome.SAME_IDS
        if kind == Kind.IDENTIFY and not _UUID4.fullmatch(first):
            return Outcome.ANON_FORMAT
        ours, theirs = self.find(first), self.find(second)
        if ours == theirs:
            self.claim(kind, first, theirs)
            return Outcome.UNCHANGED
        if kind == Kind.IDENTIFY and first in self.claimed:
            return Outcome.ANON_CLAIMED
        if kind == Kind.ALIAS and first in self.aliases:
            return Outcome.ALIAS_TAKEN
        if self.size[ours] + self.size[theirs] > _MAX_SIZE:
            return Outcome.TOO_MANY_IDS
        self.claim(kind, first, theirs)
        self.unite(ours, theirs)
        return Outcome.MERGED

    def claim(self, kind: Kind, first: str, theirs: str) -> None:
        if kind == Kind.IDENTIFY:
            self.claimed.add(first)
            self.identified_clusters.add(theirs)
        elif kind == Kind.ALIAS:
            self.aliases.add(first)

    def unite(self, ours: str, theirs: str) -> None:
        size, canonical, identified = self.size, self.canonical, self.identified_clusters
        if size[ours] == size[theirs]:
            rank_ours = (ours in identified, -self.known_at[canonical[ours]])
            rank_theirs = (theirs in identified, -self.known_at[canonical[theirs]])
            keep = ours if rank_ours > rank_theirs else theirs
        else:
            keep = ours if size[ours] > size[theirs] else theirs
        gone = theirs if keep == ours else ours
        self.parent[gone] = keep
        size[keep] += size[gone]
        if gone in identified:
            identified.add(keep)

    def link_many(self, kinds: Iterable[Kind], first: Iterable[str], second: Iterable[str]) -> list[Outcome]:
        link = self.link
        return [link(kind, a, b) for kind, a, b in zip(kinds, first, second, strict=True)]

    def resolve(self, text: str) -> str:
        return self.canonical[self.find(text)] if text in self.parent else text
