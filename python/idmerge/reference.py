"""The same resolver in plain Python: the specification that runs.

It is written to be read beside SPEC 2 to 5 and to be obviously right; everything else in idmerge
is tested against it. It keeps one object a cluster and recomputes what the core keeps up to date,
so it is slow. `mapping()` gives plain lists where `idmerge.Resolver` gives an Arrow table.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from idmerge.canonical import Chooser, Strategy, check_canonical, choose
from idmerge.errors import MalformedEventError, UnknownIdError
from idmerge.events import Event, Kind, Link, Source, check_source, distinct_id_of, event_mapping, link_of
from idmerge.outcome import Outcome, Report, Stats
from idmerge.policy import DEVICE_PREFIX, Policy, ascii_lower

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ANON_FORMATS = {
    "uuid4": r"(\$device:)?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}",
    "sdk": r"(\$device:)?[0-9A-Za-z]+-[0-9A-Za-z]+-[0-9A-Za-z]+-[0-9A-Za-z]+-[0-9A-Za-z]+",
    "any": r"(?s:.*)",
}


class Cluster:
    """The IDs of one person: ``members`` in the order in which they became known."""

    def __init__(self, member: str) -> None:
        self.members = [member]
        self.stable = member


class Resolver:
    """Joins IDs into identity clusters, link by link; see `idmerge.Resolver` for every method."""

    def __init__(self, policy: Policy | None = None, canonical: Strategy | Chooser = "stable") -> None:
        check_canonical(canonical)
        self.policy = policy or Policy()
        self.canonical = canonical
        self._cluster_of: dict[str, Cluster] = {}
        self._known_at: dict[str, int] = {}
        self._claimed: set[str] = set()
        self._identified: set[str] = set()
        self._alias_values: set[str] = set()
        self._outcomes: Counter[Outcome] = Counter()

    # Links (SPEC 2)

    def identify(self, anon_id: str, identified_id: str) -> Outcome:
        return self.link(Kind.IDENTIFY, anon_id, identified_id)

    def alias(self, alias: str, distinct_id: str) -> Outcome:
        return self.link(Kind.ALIAS, alias, distinct_id)

    def merge(self, first: str, second: str) -> Outcome:
        return self.link(Kind.MERGE, first, second)

    def link(self, kind: Kind, first: str, second: str, source: Source = "import") -> Outcome:
        for operand in (first, second):
            if not isinstance(operand, str):
                raise TypeError(f"an ID must be a str, got {type(operand).__name__}")
        return self._count(self._judge(Kind(kind), first, second, source))

    def _judge(self, kind: Kind, first: object, second: object, source: Source) -> Outcome:
        if not isinstance(first, str) or not isinstance(second, str):
            return Outcome.MALFORMED
        if not self._is_valid(first) or not self._is_valid(second):
            return Outcome.INVALID_ID
        ours, theirs = self._know(first), self._know(second)
        if kind is Kind.MERGE and source != "import":
            return Outcome.MERGE_NOT_ALLOWED
        if first == second:
            return Outcome.SAME_IDS
        if kind is Kind.IDENTIFY and not re.fullmatch(ANON_FORMATS[self.policy.anon_format], first):
            return Outcome.ANON_FORMAT
        if ours is theirs:
            self._claim(kind, first, second)
            return Outcome.UNCHANGED
        if kind is Kind.IDENTIFY and self._is_guarded(first, ours):
            return Outcome.ANON_CLAIMED
        if kind is Kind.ALIAS and self.policy.alias_once and first in self._alias_values:
            return Outcome.ALIAS_TAKEN
        limit = self.policy.max_cluster_size
        if limit is not None and len(ours.members) + len(theirs.members) > limit:
            return Outcome.TOO_MANY_IDS
        self._claim(kind, first, second)
        self._unite(ours, theirs)
        return Outcome.MERGED

    def _is_valid(self, text: str) -> bool:
        """Whether ``text`` can be an ID at all (SPEC 2, step 2, and SPEC 4)."""
        if not text or any("\ud800" <= character <= "\udfff" for character in text):
            return False
        if self.policy.max_id_length is not None and len(text) > self.policy.max_id_length:
            return False
        values = (text, text.removeprefix(DEVICE_PREFIX))
        return not any(ascii_lower(value) in self.policy.blocked_ids for value in values)

    def _is_guarded(self, anon_id: str, cluster: Cluster) -> bool:
        if self.policy.anon_guard == "anon":
            return anon_id in self._claimed
        return self.policy.anon_guard == "cluster" and self._is_identified(cluster)

    def _is_identified(self, cluster: Cluster) -> bool:
        return any(member in self._identified for member in cluster.members)

    def _claim(self, kind: Kind, first: str, second: str) -> None:
        if kind is Kind.IDENTIFY:
            self._claimed.add(first)
            self._identified.add(second)
        elif kind is Kind.ALIAS:
            self._alias_values.add(first)

    def _unite(self, ours: Cluster, theirs: Cluster) -> None:
        def standing(cluster: Cluster) -> tuple[int, bool, int]:
            return len(cluster.members), self._is_identified(cluster), -self._known_at[cluster.stable]

        larger, smaller = sorted((ours, theirs), key=standing, reverse=True)
        larger.members = sorted(larger.members + smaller.members, key=self._known_at.__getitem__)
        for member in smaller.members:
            self._cluster_of[member] = larger

    def _know(self, text: str) -> Cluster:
        if text not in self._cluster_of:
            self._cluster_of[text] = Cluster(text)
            self._known_at[text] = len(self._known_at)
        return self._cluster_of[text]

    def _count(self, outcome: Outcome) -> Outcome:
        self._outcomes[outcome] += 1
        return outcome

    # Many at once, and events (SPEC 3)

    def link_many(self, kind: Kind | Sequence[Kind], left: Sequence[object], right: Sequence[object]) -> Report:
        kinds = [kind] * len(left) if isinstance(kind, int) else kind
        links = zip(kinds, left, right, strict=True)
        return Report([self._count(self._judge(Kind(kind), a, b, "import")) for kind, a, b in links])

    def observe(self, distinct_id: str) -> None:
        if not isinstance(distinct_id, str):
            raise TypeError(f"an ID must be a str, got {type(distinct_id).__name__}")
        if self._is_valid(distinct_id):
            self._know(distinct_id)

    def observe_many(self, ids: Iterable[str | None]) -> None:
        for text in ids:
            if text is not None:
                self.observe(text)

    def apply(self, event: Event, source: Source = "import") -> Outcome | None:
        check_source(source)
        mapping = event_mapping(event)
        try:
            link = link_of(mapping, source)
        except MalformedEventError:
            return self._count(Outcome.MALFORMED)
        if link is not None:
            return self.link(*link)
        distinct_id = distinct_id_of(mapping)
        if distinct_id is not None:
            self.observe(distinct_id)
        return None

    def apply_events(self, events: Iterable[Event], source: Source = "import") -> Report:
        answers = [self.apply(event, source) for event in events]
        positions = [position for position, answer in enumerate(answers) if answer is not None]
        return Report([answer for answer in answers if answer is not None], positions)

    # Answers (SPEC 5)

    def resolve(self, distinct_id: str) -> str:
        cluster = self._cluster_of.get(distinct_id)
        return distinct_id if cluster is None else self._canonical_of(cluster)

    def resolve_many(self, ids: Iterable[str | None]) -> list[str | None]:
        return [None if text is None else self.resolve(text) for text in ids]

    def _canonical_of(self, cluster: Cluster) -> str:
        if callable(self.canonical):
            return choose(self.canonical, cluster.members)
        if self.canonical == "stable":
            return cluster.stable
        if self.canonical == "smallest":
            return min(cluster.members, key=str.encode)
        if self.canonical == "identified":
            return min(cluster.members, key=lambda member: member not in self._identified)
        return cluster.members[0]

    def same(self, a: str, b: str) -> bool:
        return a == b or (a in self and self._cluster_of[a] is self._cluster_of.get(b))

    def members(self, distinct_id: str) -> list[str]:
        if distinct_id not in self:
            raise UnknownIdError(f"{distinct_id!r} is not known")
        return list(self._cluster_of[distinct_id].members)

    def size(self, distinct_id: str) -> int:
        return len(self.members(distinct_id))

    def __contains__(self, distinct_id: str) -> bool:
        return distinct_id in self._cluster_of

    def __len__(self) -> int:
        return len(self._cluster_of)

    @property
    def cluster_count(self) -> int:
        return len(set(map(id, self._cluster_of.values())))

    def mapping(self) -> dict[str, list[Any]]:
        clusters = self._cluster_of.values()
        return {
            "distinct_id": list(self._cluster_of),
            "canonical_id": [self._canonical_of(cluster) for cluster in clusters],
            "cluster_size": [len(cluster.members) for cluster in clusters],
        }

    def stats(self) -> Stats:
        sizes = Counter(len(cluster.members) for cluster in {id(c): c for c in self._cluster_of.values()}.values())
        outcomes = [self._outcomes[outcome] for outcome in Outcome]
        return Stats.of(outcomes, sizes, self.policy.max_cluster_size)
