"""The same resolver in plain Python: the specification that runs.

It is written to be read beside SPEC 2 to 5 and to be obviously right; everything else in idmerge is
tested against it. Columns are lists, and `mapping()` gives a dict of them instead of an Arrow
table.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Any

from idmerge._ids import AnyId, id_text, id_texts
from idmerge.canonical import Chooser, Strategy, check_canonical, choose
from idmerge.errors import KeptApartError, MalformedEventError, RetractionError, UnknownIdError
from idmerge.events import (
    KINDS,
    MALFORMED,
    Event,
    Kind,
    Source,
    associated,
    check_source,
    event_mapping,
    ids_of,
    link_of,
    many_events,
    mapping_or_none,
    verb_of,
)
from idmerge.outcome import Outcome, Report, Stats
from idmerge.policy import ANON_FORMATS, Api, Policy, can_be_id, policy_of

__all__ = ["Resolver"]


class Forgotten:
    """Stands in a cluster for an ID that was forgotten."""


Member = str | Forgotten


class Cluster:
    """The IDs of one person, first known first, and the ID that names it under "stable"."""

    def __init__(self, member: str) -> None:
        self.members: list[Member] = [member]
        self.stable: Member = member
        self.stated: str | None = None  # The canonical ID, if a mapping or evidence names it.

    @property
    def named(self) -> list[str]:
        return [member for member in self.members if isinstance(member, str)]


class Resolver:
    """Joins IDs into identity clusters, link by link; `idmerge.Resolver` documents every method.

    Examples:
        >>> from idmerge import reference
        >>> r = reference.Resolver()
        >>> r.merge("ana", "crm-17"), r.resolve("crm-17")
        (<Outcome.MERGED: 0>, 'ana')
        >>> r.retract(0), r.same("ana", "crm-17")
        (None, False)
    """

    def __init__(
        self, policy: Policy | None = None, canonical: Strategy | Chooser = "stable", api: Api | None = None
    ) -> None:
        check_canonical(canonical)
        self.policy, self.canonical = policy_of(policy, api), canonical
        self._clusters: dict[str, Cluster] = {}  # Each known ID's, in the order in which they became known.
        self._known_at: dict[Member, int] = {}
        self._claimed: set[str] = set()
        self._identified: set[Member] = set()
        self._aliases: set[str] = set()
        self._apart: list[tuple[Member, Member]] = []
        self._outcomes: Counter[Outcome] = Counter()
        self._differing = 0
        self._log: list[tuple[Any, ...]] = []  # Every step: a method's name and its arguments.

    def identify(self, anon_id: AnyId, identified_id: AnyId) -> Outcome:
        return self.link(Kind.IDENTIFY, anon_id, identified_id)

    def alias(self, alias: AnyId, distinct_id: AnyId) -> Outcome:
        return self.link(Kind.ALIAS, alias, distinct_id)

    def merge(self, first: AnyId, second: AnyId) -> Outcome:
        return self.link(Kind.MERGE, first, second)

    def associate(self, device: AnyId, user: AnyId) -> Outcome:
        return self.link(Kind.ASSOCIATION, *associated(device, user))

    def link(
        self, kind: Kind, first: AnyId, second: AnyId, source: Source = "import", refused: str | None = None
    ) -> Outcome:
        check_source(source)
        return self._link(Kind(kind), id_text(first), id_text(second), source, refused)

    def _link(
        self,
        kind: Kind,
        first: object,
        second: object,
        source: Source = "import",
        refused: str | None = None,
    ) -> Outcome:
        self._log.append(("_link", kind, first, second, source, refused))
        self._outcomes[outcome := self._judge(kind, first, second, source, refused)] += 1
        return outcome

    def _judge(
        self, kind: Kind, first: object, second: object, source: Source, refused: str | None
    ) -> Outcome:
        """Judge a link by the steps of SPEC 2, top to bottom, and carry out its outcome."""
        if kind not in KINDS[self.policy.api]:
            return Outcome.VERB_NOT_ALLOWED
        if not isinstance(first, str) or not isinstance(second, str):
            return Outcome.MALFORMED
        if not self._is_valid(first) or not self._is_valid(second):
            return Outcome.INVALID_ID
        ours, theirs = self._know(first), self._know(second)
        if kind is Kind.MERGE and source != "import":
            return Outcome.MERGE_NOT_ALLOWED
        outcome = self._by_rules(kind, first, second)
        if refused is not None and kind is not Kind.MAPPING:
            self._differing += outcome.accepted
            if self.policy.verdicts == "respect":
                return Outcome.REFUSED_BEFORE
        if outcome.accepted:
            self._record_claims(kind, first, second)
        if outcome is Outcome.MERGED:
            self._unite(ours, theirs)
        if outcome.accepted and kind is Kind.MAPPING:
            self._state(second)
        return outcome

    def _by_rules(self, kind: Kind, first: str, second: str) -> Outcome:
        ours, theirs = self._clusters[first], self._clusters[second]
        if first == second:
            return Outcome.SAME_IDS
        claims = kind in {Kind.IDENTIFY, Kind.ASSOCIATION}
        if claims and not re.fullmatch(ANON_FORMATS[self.policy.anon_format], first):
            return Outcome.ANON_FORMAT
        if ours is theirs:
            return Outcome.UNCHANGED
        if claims and self._is_guarded(first, ours):
            return Outcome.ANON_CLAIMED
        if kind is Kind.ALIAS and self.policy.alias_once and first in self._aliases:
            return Outcome.ALIAS_TAKEN
        if self._are_kept_apart(ours, theirs):
            return Outcome.KEPT_APART
        limit = inf if kind is Kind.MAPPING else self.policy.max_cluster_size or inf
        if len(ours.members) + len(theirs.members) > limit:
            return Outcome.TOO_MANY_IDS
        return Outcome.MERGED

    def _is_valid(self, text: str) -> bool:
        return can_be_id(text, self.policy)

    def _know(self, text: str) -> Cluster:
        self._known_at.setdefault(text, len(self._known_at))
        return self._clusters.setdefault(text, Cluster(text))

    def _is_guarded(self, anon_id: str, cluster: Cluster) -> bool:
        guards = {"anon": anon_id in self._claimed, "cluster": self._is_identified(cluster), "off": False}
        return guards[self.policy.anon_guard]

    def _is_identified(self, cluster: Cluster) -> bool:
        return not self._identified.isdisjoint(cluster.members)

    def _are_kept_apart(self, ours: Cluster, theirs: Cluster) -> bool:
        pairs = [*self._apart, *((b, a) for a, b in self._apart)]
        return any(a in ours.members and b in theirs.members for a, b in pairs)

    def _record_claims(self, kind: Kind, first: str, second: str) -> None:
        if kind in {Kind.IDENTIFY, Kind.ASSOCIATION}:
            self._claimed.add(first)
            self._identified.add(second)
        elif kind is Kind.ALIAS:
            self._aliases.add(first)

    def _unite(self, ours: Cluster, theirs: Cluster) -> None:
        pointed_to = None if callable(self.canonical) else self._canonical_of(theirs)

        def standing(cluster: Cluster) -> tuple[int, bool, int]:  # Who keeps its name under "stable".
            return len(cluster.members), self._is_identified(cluster), -self._known_at[cluster.stable]

        smaller, larger = sorted((ours, theirs), key=standing)
        larger.members = sorted(larger.members + smaller.members, key=self._known_at.__getitem__)
        for member in smaller.named:
            self._clusters[member] = larger
        stated = [cluster.stated for cluster in (larger, smaller) if cluster.stated is not None]
        if self.policy.api == "legacy" and pointed_to is not None:  # An alias stands for that.
            larger.stable = larger.stated = pointed_to
        elif stated:
            self._state(stated[0] if self.canonical == "stable" else self._best(stated))

    def _state(self, distinct_id: str) -> None:
        """Make ``distinct_id`` the canonical ID of its cluster, whatever the strategy says."""
        cluster = self._clusters[distinct_id]
        cluster.stable = cluster.stated = distinct_id

    def link_many(self, kind: Kind | Sequence[Kind], first: Sequence[Any], second: Sequence[Any]) -> Report:
        kinds = [kind] * len(first) if isinstance(kind, int) else kind
        operands = id_texts(first, "first"), id_texts(second, "second")
        links = [(Kind(kind), a, b) for kind, a, b in zip(kinds, *operands, strict=True)]
        return Report([self._link(*link) for link in links])

    def observe(self, distinct_id: AnyId) -> None:
        distinct_id = id_text(distinct_id)
        if self._is_valid(distinct_id):
            self._log.append(("observe", distinct_id))
            self._know(distinct_id)

    def _observe_event(self, distinct_id: str | None, sent: str | None) -> None:
        """Make the ID of an ordinary event known; if another one was sent, both are one person."""
        self.observe_many([distinct_id])
        ids = [text for text in (distinct_id, sent) if text is not None and self._is_valid(text)]
        if self.policy.evidence and len(ids) == 2:  # noqa: PLR2004
            self._log.append(("_join_evidence", *ids))
            self._join_evidence(*ids)

    def _join_evidence(self, distinct_id: str, sent: str) -> None:
        ours, theirs = self._know(distinct_id), self._know(sent)
        outcome = self._by_rules(Kind.MAPPING, sent, distinct_id)
        if outcome is Outcome.MERGED:
            self._unite(ours, theirs)
        if outcome.accepted:
            self._state(distinct_id)

    def observe_many(self, ids: Iterable[AnyId | None]) -> None:
        for text in id_texts(ids, "ids"):
            if isinstance(text, str):
                self.observe(text)

    def apply(self, event: Event, source: Source = "import") -> Outcome | None:
        check_source(source)
        return self._apply(event_mapping(event), source)

    def _apply(self, mapping: Mapping[str, Any] | None, source: Source) -> Outcome | None:
        if mapping is None:  # No event.
            return self._link(MALFORMED[self.policy.api], None, None)
        try:
            link = link_of(mapping, source, self.policy.api)
        except MalformedEventError:
            return self._link(verb_of(mapping), None, None)
        if link is not None:
            return self.link(*link)
        self._observe_event(*ids_of(mapping, self.policy.api))
        return None

    def apply_events(self, events: Iterable[Event], source: Source = "import") -> Report:
        check_source(source)
        mappings = enumerate(map(mapping_or_none, many_events(events)))
        answers = [(self._apply(mapping, source), position) for position, mapping in mappings]
        links = [(outcome, position) for outcome, position in answers if outcome is not None]
        return Report([outcome for outcome, _ in links], [position for _, position in links])

    @property
    def position(self) -> int:
        return sum(name != "observe" for name, *_ in self._log)

    def keep_apart(self, a: AnyId, b: AnyId) -> None:
        a, b = id_text(a), id_text(b)
        if not self._is_valid(a) or not self._is_valid(b) or a == b:
            raise ValueError(f"{a!r} or {b!r} can be no ID, or they are the same")
        if self.same(a, b):
            raise KeptApartError(f"{a!r} and {b!r} are together")
        self._log.append(("keep_apart", a, b))
        self._know(a)
        self._know(b)
        self._apart.append((a, b))

    def forget(self, distinct_id: AnyId) -> None:
        distinct_id = id_text(distinct_id)
        if distinct_id not in self:
            raise UnknownIdError(f"{distinct_id!r} is not known")
        self._log.append(("forget", distinct_id))
        forgotten, cluster = Forgotten(), self._clusters.pop(distinct_id)
        self._known_at[forgotten] = self._known_at.pop(distinct_id)
        cluster.members[cluster.members.index(distinct_id)] = forgotten
        if distinct_id in self._identified:
            self._identified.add(forgotten)
        for marked in (self._identified, self._claimed, self._aliases):
            marked.discard(distinct_id)
        self._apart = [
            (forgotten if a == distinct_id else a, forgotten if b == distinct_id else b)
            for a, b in self._apart
        ]
        if cluster.stated == distinct_id:
            cluster.stated = None
        if cluster.stable == distinct_id:
            names = sorted(cluster.named, key=lambda member: member not in self._identified)
            cluster.stable = names[0] if names else forgotten

    def retract(self, *positions: int) -> None:
        """Make everything anew from what was not taken back."""
        acts = [step for step in self._log if step[0] != "observe"]
        for position in positions:
            if (
                not 0 <= position < len(acts)
                or position in _taken_back(acts)
                or acts[position][0] == "forget"
            ):
                raise RetractionError(f"{position} cannot be taken back")
            acts.append(("retract", position))
        taken_back, position = _taken_back(acts), 0
        log = [*self._log, *acts[self.position :]]
        self.__init__(self.policy, self.canonical)  # type: ignore[misc]
        for name, *arguments in log:
            if name not in ("observe", "retract") and position in taken_back:
                pass
            elif name != "retract":
                with suppress(KeptApartError, UnknownIdError):  # What was possible then may not be now.
                    getattr(self, name)(*arguments)
            position += name != "observe"
        self._log = log

    def resolve(self, distinct_id: AnyId) -> str:
        text = id_text(distinct_id)
        return self._canonical_of(self._clusters[text]) if text in self else text

    def resolve_many(self, ids: Iterable[AnyId | None]) -> list[str | None]:
        return [self.resolve(text) if isinstance(text, str) else text for text in id_texts(ids, "ids")]

    def _canonical_of(self, cluster: Cluster) -> str:
        """Return the ID that names a cluster (SPEC 5)."""
        if callable(self.canonical):
            return choose(self.canonical, cluster.named)
        if cluster.stated is not None:
            return cluster.stated
        if self.canonical == "stable" and isinstance(cluster.stable, str):
            return cluster.stable
        return self._best(cluster.named)

    def _best(self, ids: list[str]) -> str:
        """Choose by what a strategy asks of an ID alone."""
        if self.canonical == "smallest":
            return min(ids, key=str.encode)
        identified_first = self.canonical in ("identified", "stable")
        order = self._known_at.__getitem__
        return min(ids, key=lambda one: (identified_first and one not in self._identified, order(one)))

    def same(self, a: AnyId, b: AnyId) -> bool:
        a, b = id_text(a), id_text(b)
        return a == b or (a in self and self._clusters[a] is self._clusters.get(b))

    def members(self, distinct_id: AnyId) -> list[str]:
        if distinct_id not in self:
            raise UnknownIdError(f"{distinct_id!r} is not known")
        return self._clusters[id_text(distinct_id)].named

    def size(self, distinct_id: AnyId) -> int:
        return len(self.members(distinct_id))

    def __contains__(self, distinct_id: AnyId) -> bool:
        return id_text(distinct_id) in self._clusters

    def __len__(self) -> int:
        return len(self._clusters)

    @property
    def cluster_count(self) -> int:
        return len(set(self._clusters.values()))

    def mapping(self) -> dict[str, list[Any]]:
        canonical_ids = [self._canonical_of(cluster) for cluster in self._clusters.values()]
        sizes = [len(cluster.named) for cluster in self._clusters.values()]
        return {"distinct_id": list(self._clusters), "canonical_id": canonical_ids, "cluster_size": sizes}

    def stats(self) -> Stats:
        sizes = Counter(len(cluster.named) for cluster in set(self._clusters.values()))
        outcomes = [self._outcomes[outcome] for outcome in Outcome]
        return Stats.of(outcomes, sizes, self.policy.max_cluster_size, self._differing)


def _taken_back(acts: list[tuple[Any, ...]]) -> set[int]:
    """Return the positions retracted in the end: to retract a retraction restores its links."""
    taken_back: set[int] = set()
    for position in reversed(range(len(acts))):
        if acts[position][0] == "retract" and position not in taken_back:
            taken_back.add(acts[position][1])
    return taken_back
