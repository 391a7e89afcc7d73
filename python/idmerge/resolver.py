"""The resolver that people use: the core's, plus events, reports and callables.

This module is the package's only door to `_core`. The calls for one link or one ID are the core's
own methods, inherited, so that nothing stands between them and the caller.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from idmerge import _core
from idmerge.canonical import Chooser, Strategy, check_canonical, choose
from idmerge.columns import KindColumn, TextColumn, in_family_of
from idmerge.errors import CanonicalError, MalformedEventError
from idmerge.events import Event, Kind, Source, check_source, distinct_id_of, event_mapping, link_of
from idmerge.outcome import Outcome, Report, Stats
from idmerge.policy import Policy
from idmerge.recorded import RecordedLink, recorded
from idmerge.threads import threads_allowed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from idmerge.durable import DurableResolver
    from idmerge.files import EventBatch, LinkBatch, StepBatch

_TRACKED_MERGE = 3
_OBSERVE = 4
_EVENTS_AT_ONCE = 65_536

C = TypeVar("C", bound=TextColumn)


class Resolver(_core.Resolver):
    """Joins IDs into identity clusters, link by link, and says who is who.

    The answer depends on the links and their order and on nothing else. A resolver can be shared by
    threads: readers run side by side, a writer alone. It does not survive a fork of the process while
    another thread is inside a call.

    Args:
        policy: The rules by which links are judged; Mixpanel's by default.
        canonical: Who names a cluster: a strategy's name, or a callable that takes the members in the
            order in which they became known and returns one of them (slow: it is asked for every answer).
        capacity: How many IDs to make room for at once, so that the index need not grow on the way.
        threads: How many threads a call on columns may use, the caller's among them; by default what the
            environment variable ``IDMERGE_THREADS`` says, else one a processor. No answer depends on it.
        history: Whether to keep which link joined what, for `explain` (20 bytes an ID).

    Raises:
        CanonicalError: ``canonical`` is neither a strategy's name nor a callable.
        ValueError: ``capacity`` is negative, or ``threads`` is no positive integer.
        SettingError: ``IDMERGE_THREADS`` is no positive integer.
    """

    __slots__ = ("_canonical", "_policy")

    _canonical: Strategy | Chooser
    _policy: Policy

    def __new__(
        cls,
        policy: Policy | None = None,
        canonical: Strategy | Chooser = "stable",
        *,
        capacity: int = 0,
        threads: int | None = None,
        history: bool = False,
    ) -> Self:
        """Make an empty resolver."""
        check_canonical(canonical)
        policy = Policy() if policy is None else policy
        if not isinstance(policy, Policy):
            raise TypeError(f"policy must be a Policy, got {type(policy).__name__}")
        chooser = canonical if isinstance(canonical, str) else partial(choose, canonical)
        if capacity < 0:
            raise ValueError(f"capacity must be at least 0, got {capacity}")
        self = super().__new__(cls, policy, chooser, capacity, threads_allowed(threads), None, history)
        self._policy = policy
        self._canonical = canonical
        return self

    @staticmethod
    def open(  # noqa: PLR0913 - each by its name
        path: str | os.PathLike[str],
        policy: Policy | None = None,
        canonical: Strategy | None = None,
        *,
        create: bool = True,
        read_only: bool = False,
        as_of: int | datetime | None = None,
        history: bool = True,
        threads: int | None = None,
    ) -> DurableResolver:
        """Open a resolver that lasts: one with a journal at ``path``.

        Args:
            path: A file of SQLite, ``":memory:"`` for a journal that ends with the process, or a
                ``postgresql://`` or ``postgres://`` URL (``idmerge[postgres]``), whose journal lies in the
                first schema of its ``search_path``: ``?options=-csearch_path%3Dname``.
            policy: The rules by which links are judged; those of the journal, or Mixpanel's for a new one.
            canonical: Who names a cluster; as the journal says, or ``"stable"`` for a new one.
            create: Whether to make a journal if there is none.
            read_only: Read while another process writes; `DurableResolver.refresh` catches up.
            as_of: Who was who at an earlier moment: before the position ``as_of``, or by what was committed
                by then. Needs ``read_only``.
            history: Whether to keep in memory which link joined what (20 bytes an ID); without it `explain`
                reads the journal.
            threads: As for `Resolver`.

        Raises:
            FileNotFoundError: There is no journal, and none is to be made.
            JournalError: It is damaged, of another format, has another policy, or another writer.
            OSError: The file or its directory cannot be read or written.
            CanonicalError: ``canonical`` is no strategy's name.
            MissingExtraError: What opens such a URL is not installed.
            OSError: The journal cannot be reached.
            PositionError: ``as_of`` is no position of the journal.
            ValueError: ``as_of`` without ``read_only``, or without a time zone.
        """
        from idmerge.durable import open_durable  # noqa: PLC0415 - what it opens extends this class

        return open_durable(
            path,
            policy,
            canonical,
            create=create,
            read_only=read_only,
            as_of=as_of,
            history=history,
            threads=threads,
        )

    @property
    def policy(self) -> Policy:
        """The rules by which links are judged."""
        return self._policy

    @property
    def canonical(self) -> Strategy | Chooser:
        """Who names a cluster."""
        return self._canonical

    def link(self, kind: Kind, first: str, second: str, source: Source = "import") -> Outcome:
        """Judge one link of any kind (SPEC 2); ``r.link(*link)`` takes a `Link`.

        Raises:
            TypeError: An ID is no str.
            ValueError: ``kind`` or ``source`` is unknown.
        """
        check_source(source)
        return self._link_coded(_code(Kind(kind), source), first, second)

    def link_many(self, kind: KindColumn, left: TextColumn, right: TextColumn) -> Report:
        """Judge many links, in order, and report an outcome for each.

        Args:
            kind: One `Kind` for all links, or a column of them.
            left: Each link's first operand: ``anon_id``, ``alias`` or ``first``. A missing value or, in a
                list, anything but text makes the link `Outcome.MALFORMED`.
            right: Each link's second operand.

        Raises:
            TypeError: A column is no column of text, or ``kind`` none of integers; nothing is applied.
            ValueError: Lengths differ, or ``kind`` holds something else; nothing is applied.
            CapacityError: The resolver is full; the message names the row, and those before it are applied.
            MemoryError: There is no memory for more IDs; likewise.
        """
        return Report(self._link_columns(kind, left, right))

    def apply(self, event: Event, source: Source = "import") -> Outcome | None:
        """Apply one event (SPEC 3): judge the link that it states, or make its ``distinct_id`` known.

        Returns:
            The link's outcome, or None for an ordinary event.

        Raises:
            MalformedEventError: ``event`` is text but no JSON object.
            TypeError: ``event`` is neither a mapping nor text.
        """
        check_source(source)
        steps = _Steps(self)
        steps.add(0, event_mapping(event), source)
        (outcomes,) = steps.take()
        return Outcome(outcomes[0]) if len(outcomes) else None

    def apply_events(self, events: Iterable[Event], source: Source = "import") -> Report:
        """Apply many events in order; the report has an outcome, and a position, for each link.

        Events are gathered and applied some ten thousands at a time, at the latest when the call ends.

        Raises:
            MalformedEventError: An event is text but no JSON object; the events before it are applied.
            TypeError: An event is neither a mapping nor text; the events before it are applied.
            CapacityError: The resolver is full; the message names the event, and those before it are applied.
        """
        check_source(source)
        steps = _Steps(self)
        try:
            for position, event in enumerate(events):
                steps.add(position, _mapping_at(position, event), source)
        finally:  # Whatever an iterator or an event raises, the events before it are applied.
            outcomes = steps.take()
        return Report(np.concatenate(outcomes), steps.positions)

    def apply_steps(self, steps: StepBatch) -> Report:
        """Apply the events of a piece that `idmerge.files.scan` read; the report is that of `apply_events`.

        Raises:
            CapacityError: The resolver is full; the message names the event, and those before it are applied.
        """
        codes, left, right = _filled(steps)
        return Report(*self._take_scan(*steps.rows, codes, left, right))

    def apply_piece(self, piece: EventBatch | LinkBatch | StepBatch) -> Report:
        """Apply a piece of a file, as `idmerge.files.read` and `scan` yield them, except for bad lines.

        Raises:
            CapacityError: The resolver is full; the message names the event, and those before it are applied.
        """
        from idmerge.files import EventBatch, LinkBatch  # noqa: PLC0415 - not needed without files

        if isinstance(piece, LinkBatch):
            return self.link_many(piece.kinds, piece.left, piece.right)
        return self.apply_events(piece.events) if isinstance(piece, EventBatch) else self.apply_steps(piece)

    def apply_rows(self, ids: Sequence[str | None], events: Mapping[int, Mapping[str, Any]]) -> Report:
        """Apply the rows of a table, in order: those in ``events`` as events, the others as observations.

        Args:
            ids: The ``distinct_id`` of each row.
            events: The events that may state links, by row.

        Raises:
            CapacityError: The resolver is full; the message names the row, and those before it are applied.
        """
        codes = bytearray([_OBSERVE]) * len(ids)
        left: list[str | None] = list(ids)
        right: list[str | None] = [None] * len(ids)
        positions: list[int] = []
        for row, event in events.items():
            codes[row], left[row], right[row] = _step(event, "import")
            if codes[row] != _OBSERVE:
                positions.append(row)
        return Report(self._take_steps(bytes(codes), left, right, 0), positions)

    def follow_steps(self, steps: StepBatch, ids: Any) -> _core.Column:
        """Apply a piece as `apply_steps` does, and return who its senders were thought to be (SPEC 6).

        Args:
            steps: A piece that `idmerge.files.scan` read.
            ids: The ``distinct_id`` of each of its events, in an Arrow column of utf8.

        Returns:
            For each event the canonical ID before its own link, and those behind it, were applied.

        Raises:
            CapacityError: The resolver is full; those before the event that did not fit are applied.
            CanonicalError: The canonical strategy is a callable, which cannot be followed.
        """
        if callable(self._canonical):
            raise CanonicalError("who was who at each event can be told under a named strategy only")
        codes, left, right = _filled(steps)
        return self._follow_scan(ids, *steps.rows, codes, left, right)

    def resolve_many(self, ids: C) -> C:
        """Return the canonical ID of each of ``ids``, in a column of the same family.

        A list comes back as a list, a numpy array as one of the same kind, a pyarrow, polars or pandas
        column as one of its library, and any other Arrow column as a `Column`. An unknown ID resolves to
        itself; a missing value stays missing.

        Raises:
            TypeError: ``ids`` is no column of text; in a list, an element is neither str, None nor NaN.
            CapacityError: A text in a column of Arrow or numpy has 2 GiB or more.
            MemoryError: There is no memory for the answer.
        """
        if callable(self._canonical):
            return in_family_of(ids, self._chosen_list, self._chosen_column)
        return in_family_of(ids, self._resolve_list, self._resolve_column)

    def explain(self, a: str, b: str | None = None) -> list[RecordedLink] | None:
        """Return why two IDs are one person: the chain of links that joined them.

        Args:
            a: An ID.
            b: Another one; without it, every link that built the cluster of ``a`` is returned, in order.

        Returns:
            The links that merged, from ``a`` to ``b``; None if the two are apart. Links that changed nothing,
            because their IDs were together already, joined nothing and are no part of it.

        Raises:
            UnknownIdError: An ID is not known.
            NoHistoryError: Which link joined what was not kept.
        """
        links = self._explain(a, b)
        return None if links is None else recorded(links, lambda _: None)

    def mapping(self) -> _core.Table:
        """Return every known ID with its canonical ID and the size of its cluster.

        Returns:
            A table of ``distinct_id`` (utf8), ``canonical_id`` (utf8) and ``cluster_size`` (int32), one row a
            known ID, in the order in which they became known. It is a snapshot.

        Raises:
            CanonicalError: A callable strategy chose an ID outside the cluster.
        """
        table = super().mapping()
        return self._chosen_mapping(table, self._canonical) if callable(self._canonical) else table

    def stats(self) -> Stats:
        """Sum up the resolver: links by outcome, cluster sizes, clusters near the limit (SPEC 2)."""
        outcomes, cluster_sizes = self._counts()
        return Stats.of(outcomes, cluster_sizes, self._policy.max_cluster_size)

    def __repr__(self) -> str:
        """Name the numbers of IDs and clusters."""
        ids, clusters = len(self), self.cluster_count
        return (
            f"Resolver({ids} {'ID' if ids == 1 else 'IDs'} in "
            f"{clusters} {'cluster' if clusters == 1 else 'clusters'})"
        )

    # With a callable strategy the core names each cluster by its first member; these put the
    # chosen one in its place, asking once a cluster.

    def _chosen_list(self, ids: list[Any]) -> list[Any]:
        chosen: dict[Any, Any] = {}
        answers = self._resolve_list(ids)
        for row, first in enumerate(answers):
            if first not in chosen:
                chosen[first] = self.resolve(first) if isinstance(first, str) else first
            answers[row] = chosen[first]
        return answers

    def _chosen_column(self, ids: Any) -> _core.Column:
        first = self._resolve_column(ids)
        return first._with_texts(self._chosen_list(first.to_pylist()))

    @staticmethod
    def _chosen_mapping(table: _core.Table, chooser: Chooser) -> _core.Table:
        columns = table.to_pydict()
        clusters: dict[str, list[str]] = {}
        for member, first in zip(columns["distinct_id"], columns["canonical_id"], strict=True):
            clusters.setdefault(first, []).append(member)
        chosen = {first: choose(chooser, members) for first, members in clusters.items()}
        return table._with_canonical_ids([chosen[first] for first in columns["canonical_id"]])


class _Steps:
    """Events on their way into the core: links and observations in their order."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.taken = 0
        self.positions: list[int] = []
        self._outcomes: list[NDArray[np.uint8]] = []
        self._clear()

    def _clear(self) -> None:
        self.codes = bytearray()
        self.left: list[str | None] = []
        self.right: list[str | None] = []

    def add(self, position: int, event: Mapping[str, Any], source: Source) -> None:
        code, left, right = _step(event, source)
        self.codes.append(code)
        self.left.append(left)
        self.right.append(right)
        if code != _OBSERVE:
            self.positions.append(position)
        if len(self.codes) >= _EVENTS_AT_ONCE:
            self.take()

    def take(self) -> list[NDArray[np.uint8]]:
        """Apply what was gathered and return the outcomes of all links so far, in pieces."""
        codes, left, right, first = bytes(self.codes), self.left, self.right, self.taken
        self.taken += len(codes)
        self._clear()
        self._outcomes.append(self.resolver._take_steps(codes, left, right, first))
        return self._outcomes


def _filled(steps: StepBatch) -> tuple[bytes, list[str | None], list[str | None]]:
    """Return the codes and the operands of the events that Python read."""
    filled = [_step(steps.events[index], "import") for index in sorted(steps.events)]
    return bytes(code for code, _, _ in filled), [left for _, left, _ in filled], [r for _, _, r in filled]


def _step(event: Mapping[str, Any], source: Source) -> tuple[int, str | None, str | None]:
    """Return the code and the operands of what ``event`` states."""
    try:
        link = link_of(event, source)
    except MalformedEventError:
        return Kind.IDENTIFY, None, None
    if link is None:
        return _OBSERVE, distinct_id_of(event), None
    return _code(link.kind, link.source), link.first, link.second


def _mapping_at(position: int, event: Event) -> Mapping[str, Any]:
    try:
        return event_mapping(event)
    except (MalformedEventError, TypeError) as error:
        raise type(error)(f"event {position}: {error}") from error


def _code(kind: Kind, source: Source) -> int:
    """Return the core's number for a link; its route matters to a merge only (SPEC 3)."""
    return _TRACKED_MERGE if kind is Kind.MERGE and source != "import" else kind
