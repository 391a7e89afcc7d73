"""Outcomes of links, reports on many of them, and a resolver in numbers.

An `Outcome` is the answer to one link; a `Report` holds one outcome a link, in the order in which
the links were given; `Stats` sums up a resolver's whole life.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge._codes import Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray


class Outcome(Code):
    """The answer to one link; true if the link was accepted.

    ``if resolver.merge(a, b):`` asks whether the two IDs are in one cluster now. ``str`` gives the
    name. The numbers are stable: they are stored as uint8.

    Examples:
        >>> from idmerge import Outcome, Resolver
        >>> outcome = Resolver().merge("ana", "ana")
        >>> outcome, bool(outcome), str(outcome)
        (<Outcome.SAME_IDS: 2>, False, 'SAME_IDS')
        >>> outcome.failure_reason, Outcome.UNCHANGED.accepted
        ('errSameIDs', True)
    """

    MERGED = 0
    """The two clusters are one now."""
    UNCHANGED = 1
    """Both IDs were in one cluster already; a retry or a duplicate."""
    SAME_IDS = 2
    """Both operands are the same ID."""
    ANON_FORMAT = 3
    """The anonymous ID is not in the policy's anonymous format."""
    ANON_CLAIMED = 4
    """Another user claimed the anonymous ID before."""
    ALIAS_TAKEN = 5
    """The alias was used before."""
    TOO_MANY_IDS = 6
    """The merged cluster would exceed the largest size allowed."""
    INVALID_ID = 7
    """An operand is empty, too long, blocked or no Unicode text; as if never sent."""
    MALFORMED = 8
    """An operand is missing or of the wrong type; as if never sent."""
    MERGE_NOT_ALLOWED = 9
    """A `$merge` came by another route than the import."""
    KEPT_APART = 10
    """The two clusters hold IDs that `Resolver.keep_apart` keeps apart."""
    REFUSED_BEFORE = 11
    """Mixpanel refused the link itself, as its event says (`Policy.verdicts`)."""
    VERB_NOT_ALLOWED = 12
    """The API has no such link (`Policy.api`); as if never sent."""

    @property
    def accepted(self) -> bool:
        """True if the link holds: it merged two clusters, or they were one already."""
        return self <= Outcome.UNCHANGED

    def __bool__(self) -> bool:
        """Return `accepted`."""
        return self.accepted

    @property
    def failure_reason(self) -> str | None:
        """Mixpanel's own code for the rejection (`$failure_reason`), or None where it has none."""
        return _FAILURE_REASONS.get(self)


_FAILURE_REASONS = {
    Outcome.SAME_IDS: "errSameIDs",
    Outcome.ANON_FORMAT: "errAnonDistinctIdNonGUIDForm",
    Outcome.ANON_CLAIMED: "errAnonDistinctIdAssignedAlready",
    Outcome.TOO_MANY_IDS: "errManyIDs",
    Outcome.ALIAS_TAKEN: "errAliasAlreadyExists",
}


class Report:
    """The outcomes of many links, one a link, in their order. Frozen, comparable, picklable.

    Examples:
        >>> from idmerge import Kind, Outcome, Resolver
        >>> first, second = ["ana", "ana", "null"], ["crm-17", "crm-17", "ben"]
        >>> report = Resolver().link_many(Kind.MERGE, first, second)
        >>> report
        Report(3 links: 1 MERGED, 1 UNCHANGED, 1 INVALID_ID)
        >>> report.merged, report.rejected, report.counts[Outcome.UNCHANGED]
        (1, 1, 1)
        >>> report.rows[report.outcomes > Outcome.UNCHANGED].tolist()
        [2]
    """

    __slots__ = ("_outcomes", "_rows")

    def __init__(self, outcomes: Iterable[int], rows: Iterable[int] | None = None) -> None:
        """Wrap ``outcomes``, codes of `Outcome`; ``rows`` defaults to 0, 1, 2, …."""
        self._outcomes: NDArray[np.uint8] = _frozen_array(outcomes, np.uint8)
        self._rows = None if rows is None else _frozen_array(rows, np.int64)

    @property
    def outcomes(self) -> NDArray[np.uint8]:
        """The codes of `Outcome`: a read-only uint8 array of shape ``(links,)``."""
        return self._outcomes

    @property
    def rows(self) -> NDArray[np.int64]:
        """The row of each link in the input: a read-only int64 array of shape ``(links,)``.

        From columns, the row of the column; from events, the number of the event counted from 0,
        since ordinary events have no outcome.
        """
        if self._rows is None:
            return np.arange(len(self._outcomes), dtype=np.int64)
        return self._rows

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """The number of links with each outcome; outcomes that did not occur are left out."""
        totals = np.bincount(self._outcomes, minlength=len(Outcome)).tolist()
        return {outcome: totals[outcome] for outcome in Outcome if totals[outcome]}

    @property
    def merged(self) -> int:
        """The number of links that merged two clusters."""
        return self.counts.get(Outcome.MERGED, 0)

    @property
    def rejected(self) -> int:
        """The number of rejected links, for whatever reason."""
        return sum(count for outcome, count in self.counts.items() if not outcome.accepted)

    def __len__(self) -> int:
        """Return the number of links."""
        return len(self._outcomes)

    def __eq__(self, other: object) -> bool:
        """Return whether both report the same outcomes in the same rows."""
        if not isinstance(other, Report):
            return NotImplemented
        return np.array_equal(self.outcomes, other.outcomes) and np.array_equal(self.rows, other.rows)

    def __hash__(self) -> int:
        """Hash by the outcomes."""
        return hash(self._outcomes.tobytes())

    def __reduce__(self) -> tuple[type[Report], tuple[Any, Any]]:
        """Pickle by the two arrays."""
        return Report, (self._outcomes, self._rows)

    def __repr__(self) -> str:
        """Name the counts, as in ``Report(3 links: 2 MERGED, 1 SAME_IDS)``."""
        counts = ", ".join(f"{count} {outcome.name}" for outcome, count in self.counts.items())
        links = f"{len(self)} {'link' if len(self) == 1 else 'links'}"
        return f"Report({links}: {counts})" if counts else f"Report({links})"


def _frozen_array(values: Iterable[int], dtype: type[np.generic]) -> NDArray[Any]:
    array = np.array(values if isinstance(values, np.ndarray) else list(values), dtype=dtype)
    return np.frombuffer(array.tobytes(), dtype=dtype)  # Over bytes, which cannot be made writeable.


@dataclass(frozen=True, slots=True)
class Stats:
    """A resolver in numbers.

    Examples:
        >>> from idmerge import Kind, Resolver
        >>> r = Resolver()
        >>> report = r.link_many(Kind.MERGE, ["ana", "ben"], ["crm-17", "crm-18"])
        >>> stats = r.stats()
        >>> stats.ids, stats.clusters, stats.cluster_sizes, stats.near_limit
        (4, 2, {2: 2}, 0)
    """

    ids: int
    """Known IDs."""
    clusters: int
    """Identity clusters, those of one ID included."""
    outcomes: Mapping[Outcome, int]
    """Links judged so far by outcome; outcomes that did not occur are left out."""
    cluster_sizes: Mapping[int, int]
    """The number of clusters of each size, by ascending size."""
    near_limit: int
    """Clusters that hold at least 90 % of ``max_cluster_size`` IDs; 0 without a limit."""
    differing: int = 0
    """Links that Mixpanel refused itself and the policy's other rules accept, whatever
    `Policy.verdicts` is."""

    @classmethod
    def of(
        cls,
        outcomes: Iterable[int],
        cluster_sizes: Mapping[int, int],
        max_cluster_size: int | None,
        differing: int = 0,
    ) -> Stats:
        """Sum up ``outcomes`` (a count for each `Outcome` in order) and the size histogram.

        Examples:
            >>> from idmerge import Stats
            >>> stats = Stats.of([3, 1], {1: 2, 450: 1}, max_cluster_size=500)
            >>> stats.ids, stats.clusters, stats.near_limit, stats.outcomes
            (452, 3, 1, {<Outcome.MERGED: 0>: 3, <Outcome.UNCHANGED: 1>: 1})
        """
        sizes = dict(sorted(cluster_sizes.items()))
        near = sum(
            count
            for size, count in sizes.items()
            if max_cluster_size is not None and size * 10 >= max_cluster_size * 9
        )
        return cls(
            ids=sum(size * count for size, count in sizes.items()),
            clusters=sum(sizes.values()),
            outcomes={Outcome(code): count for code, count in enumerate(outcomes) if count},
            cluster_sizes=sizes,
            near_limit=near,
            differing=differing,
        )

    def _repr_html_(self) -> str:
        """Return the numbers as a notebook shows them."""
        from idmerge._formatting import counted  # noqa: PLC0415 - for notebooks alone
        from idmerge._notebook import shown_facts  # noqa: PLC0415 - for notebooks alone

        outcomes = {f"links {outcome.name}": count for outcome, count in self.outcomes.items()}
        largest = {"IDs of the largest cluster": max(self.cluster_sizes)} if self.cluster_sizes else {}
        title = f"{counted(self.ids, 'ID')} in {counted(self.clusters, 'cluster')}"
        return shown_facts(title, {**largest, "clusters near the limit": self.near_limit, **outcomes})
