"""The resolver in memory: the core's, plus events, reports and callables.

The calls for one link or one ID are the core's own methods, inherited, so that nothing stands
between them and the caller. Pieces of files apply themselves to a resolver (`idmerge.files.Piece`),
and a resolver with a journal is `idmerge.DurableResolver`.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypeVar

import numpy as np

from idmerge import _core
from idmerge._columns import IdColumn, KindColumn, in_family_of
from idmerge._event_times import time_of
from idmerge._steps import code_of, coded_rules, step_of, step_of_any
from idmerge._threads import threads_allowed
from idmerge.canonical import Chooser, Strategy, check_canonical, choose
from idmerge.events import (
    MALFORMED,
    Event,
    Kind,
    Source,
    associated,
    check_source,
    event_mapping,
    many_events,
)
from idmerge.outcome import Outcome, Report, Stats
from idmerge.policy import Api, Policy, policy_of
from idmerge.recorded import RecordedLink, recorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from idmerge._ids import AnyId


_EVENTS_AT_ONCE = 16_384
"""Other threads of Python wait while so many are read: some milliseconds. More are no faster."""
MAX_BODY = 16 * 2**20
"""Bytes that the body of a request may have by default; Mixpanel takes 10 MB."""

C = TypeVar("C", bound=IdColumn)


class Resolver(_core.Resolver):
    """Joins IDs into identity clusters, link by link, and resolves each ID to its canonical one.

    The answer depends on the links and their order and on nothing else. A resolver can be shared by
    threads: readers run side by side, a writer alone. It does not survive a fork of the process
    while another thread is inside a call.

    Args:
        policy: The rules by which links are judged; Mixpanel's by default.
        canonical: The strategy that names a cluster: its name, or a callable that takes the members
            in the order in which they became known and returns one of them (slow: it is asked for
            every answer).
        capacity: The number of IDs to make room for at once, so that the index need not grow.
        threads: The number of threads that a call on columns may use, the caller's among them; by
            default that of the environment variable ``IDMERGE_THREADS``, else one a processor. No
            answer depends on it.
        history: Keep which link joined which clusters, for `explain` (20 bytes an ID).
        api: The API whose links are taken, in place of a policy: ``"simplified"`` is
            `Policy.simplified()`, and ``"legacy"`` `Policy.legacy()`.

    Raises:
        CanonicalError: ``canonical`` is neither a strategy's name nor a callable.
        PolicyError: ``policy`` has another API than ``api``, or there is no such API.
        ValueError: ``capacity`` is negative, or ``threads`` is no positive integer.
        SettingError: ``IDMERGE_THREADS`` is no positive integer.

    Examples:
        >>> from idmerge import Resolver
        >>> r = Resolver()
        >>> laptop = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
        >>> phone = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
        >>> r.identify(laptop, "ana"), r.identify(phone, "ana"), r.identify(phone, "ben")
        (<Outcome.MERGED: 0>, <Outcome.MERGED: 0>, <Outcome.ANON_CLAIMED: 4>)
        >>> r.resolve(laptop), r.size("ana")
        ('ana', 3)
        >>> r
        Resolver(4 IDs in 2 clusters)
    """

    __slots__ = ("_canonical", "_policy")

    _notes_origins: ClassVar[bool] = False
    """Whether event times and sources of links are kept, in a journal."""
    _canonical: Strategy | Chooser
    _policy: Policy

    def __new__(  # noqa: PLR0913 - each by its name
        cls,
        policy: Policy | None = None,
        canonical: Strategy | Chooser = "stable",
        *,
        capacity: int = 0,
        threads: int | None = None,
        history: bool = False,
        api: Api | None = None,
    ) -> Self:
        """Make an empty resolver."""
        check_canonical(canonical)
        policy = policy_of(policy, api)
        chooser = canonical if isinstance(canonical, str) else partial(choose, canonical)
        if capacity < 0:
            raise ValueError(f"capacity must be at least 0, got {capacity}")
        self = super().__new__(cls, policy, chooser, capacity, threads_allowed(threads), None, history)
        self._policy = policy
        self._canonical = canonical
        return self

    @property
    def policy(self) -> Policy:
        """The rules by which links are judged.

        Examples:
            >>> from idmerge import Resolver
            >>> Resolver().policy.max_cluster_size
            500
        """
        return self._policy

    @property
    def canonical(self) -> Strategy | Chooser:
        """The canonical strategy: a name, or a callable.

        Examples:
            >>> from idmerge import Resolver
            >>> Resolver(canonical="smallest").canonical
            'smallest'
        """
        return self._canonical

    def link(
        self, kind: Kind, first: AnyId, second: AnyId, source: Source = "import", refused: str | None = None
    ) -> Outcome:
        """Judge one link of any kind (SPEC 2); ``r.link(*link)`` takes a `Link`.

        ``refused`` is Mixpanel's reason, if it refused the link itself.

        Raises:
            TypeError: A value can be no ID (SPEC 3).
            ValueError: ``kind`` or ``source`` is unknown.

        Examples:
            >>> from idmerge import Kind, Link, Resolver
            >>> r = Resolver()
            >>> r.link(Kind.ALIAS, "crm-17", "ana")
            <Outcome.MERGED: 0>
            >>> r.link(*Link(Kind.MERGE, "ana", "ben", source="track"))
            <Outcome.MERGE_NOT_ALLOWED: 9>
        """
        check_source(source)
        return self._link_coded(code_of(Kind(kind), source, refused), first, second)

    def associate(self, device: AnyId, user: AnyId) -> Outcome:
        """Judge an association, as an event of this ``$device_id`` and ``$user_id`` states it.

        The device's ID has the prefix ``$device:``, which is added where it is missing; a user's
        that has it is none (SPEC 3).

        Raises:
            TypeError: A value can be no ID (SPEC 3).
            CapacityError: The resolver is full; nothing is changed.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver(api="simplified")
            >>> r.associate("d1", "ana"), r.associate("$device:d1", "ben"), r.resolve("$device:d1")
            (<Outcome.MERGED: 0>, <Outcome.ANON_CLAIMED: 4>, 'ana')
        """
        return self._link_coded(Kind.ASSOCIATION, *associated(device, user))

    def link_many(self, kind: KindColumn, first: IdColumn, second: IdColumn) -> Report:
        """Judge many links, in order, and report an outcome for each.

        Args:
            kind: One `Kind` for all links, or a column of them.
            first: Each link's first operand: ``anon_id``, ``alias`` or ``first``. A missing value
                makes the link `Outcome.MALFORMED`.
            second: Each link's second operand.

        Raises:
            TypeError: A column has a value that can be no ID, or ``kind`` is none of integers;
                nothing is applied.
            ValueError: Lengths differ, or ``kind`` holds something else; nothing is applied.
            CapacityError: The resolver is full; the message names the row, and those before it are
                applied.
            MemoryError: There is no memory for more IDs; likewise.

        Examples:
            >>> from idmerge import Kind, Resolver
            >>> r = Resolver()
            >>> r.link_many(Kind.MERGE, ["ana", "ben", "null"], ["crm-17", "ben", "ana"])
            Report(3 links: 1 MERGED, 1 SAME_IDS, 1 INVALID_ID)
            >>> r.link_many([Kind.ALIAS, Kind.MERGE], ["crm-18", "ana"], ["ana", "crm-19"]).merged
            2
        """
        return Report(self._link_columns(kind, first, second))

    def apply(self, event: Event, source: Source = "import") -> Outcome | None:
        """Apply one event (SPEC 3): judge its link, or make its ``distinct_id`` known.

        Returns:
            The link's outcome, or None for an ordinary event.

        Raises:
            MalformedEventError: ``event`` is text but no JSON object.
            TypeError: ``event`` is neither a mapping nor text.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> properties = {"distinct_id": "ana", "alias": "crm-17"}
            >>> r.apply({"event": "$create_alias", "properties": properties})
            <Outcome.MERGED: 0>
            >>> r.apply('{"event": "Login", "properties": {"distinct_id": "ben"}}')
            >>> r.resolve("crm-17"), "ben" in r
            ('crm-17', True)
        """
        check_source(source)
        mapping = event_mapping(event)
        if self._notes_origins:
            report = self._apply_events([mapping], source, None)
            return Outcome(report.outcomes[0]) if len(report) else None
        code, first, second = step_of(mapping, source, self._policy.api)
        outcomes = self._take_steps(bytes([code]), [first], [second], 0)
        return Outcome(outcomes[0]) if len(outcomes) else None

    def apply_events(
        self, events: Iterable[Event], source: Source = "import", *, origin: str | None = None
    ) -> Report:
        """Apply many events in order; the report has an outcome, and a row, for each link.

        An item that is no event (of another type, text that is no JSON object or cannot be decoded)
        is answered as a link that is `Outcome.MALFORMED`, in its row; `apply` raises for it. Events
        are gathered and applied some thousands at a time, at the latest when the call ends.

        Args:
            events: The events.
            source: The route by which they came (SPEC 3).
            origin: A name for where they are from, such as a file. With a journal the name and the
                number of the event, counted from 1, are kept beside each link, as the event's time
                is (`RecordedLink.origin`).

        Raises:
            TypeError: ``events`` is a single event, or a table.
            CapacityError: The resolver is full; the message names the event, and those before it
                are applied.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> with open("examples/shop.ndjson", "rb") as lines:
            ...     report = r.apply_events(lines)
            >>> len(report), report.rejected, r
            (89, 6, Resolver(158 IDs in 76 clusters))
        """
        return self._apply_events(events, source, None if origin is None else (origin, 1))

    def _apply_events(
        self, events: Iterable[Event], source: Source, origin: tuple[str, int | Sequence[int]] | None
    ) -> Report:
        """Apply many events, of which the first has this number in its source, or each its own."""
        check_source(source)
        remaining = many_events(events)
        reader = _event_reader(source, self._policy.api, times=self._notes_origins)
        outcomes, rows, taken = [], [], 0
        count = _EVENTS_AT_ONCE
        while count == _EVENTS_AT_ONCE:
            links, count, error = self._take_events(reader, remaining, _EVENTS_AT_ONCE, taken, origin)
            if error is not None:  # Raised by the iterator or an event; those before it are applied.
                raise error
            outcomes.append(links[0])
            rows.append(links[1] + taken)
            taken += count
        return Report(np.concatenate(outcomes), np.concatenate(rows))

    def apply_body(
        self,
        body: bytes | bytearray | memoryview,
        content_type: str | None = None,
        source: Source = "import",
        *,
        max_bytes: int = MAX_BODY,
        origin: str | None = None,
    ) -> Report:
        """Apply the events that the body of a request holds, as SDKs and servers send it.

        A body is JSON (an array, an object, objects one after another, or a line each) or a form
        whose field ``data`` holds JSON or its base64; either may be compressed by gzip. What a body
        holds decides, for some clients call their JSON a form. A query such as ``data=…&ip=1``,
        encoded as UTF-8, is a body too.

        The answers are those of `apply_events` for the items: one that is no object is
        `Outcome.MALFORMED`, in its row, which counts the items from 0; blank lines are none.

        Args:
            body: The bytes that came.
            content_type: The request's ``Content-Type``. With ``application/x-ndjson`` each line is
                an item; several parts are refused; all else is found out.
            source: The route: ``"track"`` for all but ``/import`` (SPEC 3).
            max_bytes: The most bytes that the body may have, also when it is inflated.
            origin: A name for the request, as for `apply_events`.

        Raises:
            MalformedEventError: The body holds no events, or too many bytes; nothing is applied.
            TypeError: ``body`` is no bytes.
            ValueError: ``max_bytes`` is negative, or ``source`` is no route.
            CapacityError: The resolver is full; the message names the event, and those before it
                are applied.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> body = b'[{"event": "$merge", "properties": {"$distinct_ids": ["ana", "crm-17"]}}]'
            >>> r.apply_body(body, source="track")
            Report(1 link: 1 MERGE_NOT_ALLOWED)
            >>> r.apply_body(body)
            Report(1 link: 1 MERGED)
        """
        place = None if origin is None else (origin, 1)
        return self._apply_body(body, content_type, source, max_bytes, place)

    def _apply_body(
        self,
        body: bytes | bytearray | memoryview,
        content_type: str | None,
        source: Source,
        max_bytes: int,
        origin: tuple[str, int | Sequence[int]] | None,
    ) -> Report:
        check_source(source)
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise TypeError(f"body must be bytes, got {type(body).__name__}")
        if max_bytes < 0:
            raise ValueError(f"max_bytes must be at least 0, got {max_bytes}")
        return Report(
            *self._take_body(
                _event_reader(source, self._policy.api, times=self._notes_origins),
                bytes(body),
                content_type,
                min(max_bytes, sys.maxsize),
                origin,
            )
        )

    def resolve_many(self, ids: C) -> C:
        """Return the canonical ID of each of ``ids``, in a column of the same family.

        A list comes back as a list, a numpy array as one of the same kind, a pyarrow, polars or
        pandas column as one of its library, and any other Arrow column as a `Column`. The answers
        are texts: a list of int is answered by a list of str, an Arrow column of integers by one of
        utf8, a numpy array of numbers by one of objects. An unknown ID resolves to itself, as
        text; a missing value stays missing.

        Raises:
            TypeError: ``ids`` is no column, or has a value that can be no ID.
            CapacityError: A text in a column of Arrow or numpy has 2 GiB or more.
            MemoryError: There is no memory for the answer.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "17")
            <Outcome.MERGED: 0>
            >>> r.resolve_many(["ana", 17, "ben", None])
            ['ana', 'ana', 'ben', None]
        """
        if callable(self._canonical):
            return in_family_of(ids, self._chosen_list, self._chosen_column)
        return in_family_of(ids, self._resolve_list, self._resolve_column)

    def explain(self, a: AnyId, b: AnyId | None = None) -> list[RecordedLink] | None:
        """Return why two IDs are one person: the chain of links that joined them.

        Args:
            a: An ID.
            b: Another one; without it, every link that built the cluster of ``a`` is returned, in
                order.

        Returns:
            The links that merged, from ``a`` to ``b``; None if the two are apart. Links that
            changed nothing, because their IDs were together already, joined nothing and are no part
            of it.

        Raises:
            UnknownIdError: An ID is not known.
            NoHistoryError: Which link joined what was not kept.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver(history=True)
            >>> r.merge("ana", "crm-17"), r.alias("ana@example.com", "ana")
            (<Outcome.MERGED: 0>, <Outcome.MERGED: 0>)
            >>> for link in r.explain("crm-17", "ana@example.com"):
            ...     print(link.position, link.kind, link.first, link.second)
            0 MERGE ana crm-17
            1 ALIAS ana@example.com ana
        """
        links = self._explain(a, b)
        return None if links is None else recorded(links)

    def mapping(self) -> _core.Table:
        """Return every known ID with its canonical ID and the size of its cluster.

        Returns:
            A table of ``distinct_id`` (utf8), ``canonical_id`` (utf8) and ``cluster_size`` (int32),
            one row a known ID, in the order in which they became known. It is a snapshot.

        Raises:
            CanonicalError: A callable strategy chose an ID outside the cluster.

        Examples:
            >>> import pyarrow as pa
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "crm-17")
            <Outcome.MERGED: 0>
            >>> pa.table(r.mapping()).to_pylist()[1]
            {'distinct_id': 'crm-17', 'canonical_id': 'ana', 'cluster_size': 2}
        """
        table = super().mapping()
        return self._chosen_mapping(table, self._canonical) if callable(self._canonical) else table

    def stats(self) -> Stats:
        """Sum up the resolver: links by outcome, sizes, clusters near the limit (SPEC 2).

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "crm-17"), r.merge("ana", "ana")
            (<Outcome.MERGED: 0>, <Outcome.SAME_IDS: 2>)
            >>> stats = r.stats()
            >>> stats.ids, stats.clusters, stats.outcomes, stats.cluster_sizes
            (2, 1, {<Outcome.MERGED: 0>: 1, <Outcome.SAME_IDS: 2>: 1}, {2: 1})
        """
        outcomes, cluster_sizes, differing = self._counts()
        return Stats.of(outcomes, cluster_sizes, self._policy.max_cluster_size, differing)

    def clusters(self) -> Iterator[tuple[str, list[str]]]:
        """Iterate over the clusters: a canonical ID, and its members in the order of coming.

        Clusters stand in the order of their first members. It is a snapshot, and takes the memory
        of all IDs as texts.

        Raises:
            CanonicalError: A callable strategy chose an ID outside the cluster.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "crm-17")
            <Outcome.MERGED: 0>
            >>> r.observe("ben")
            >>> for canonical_id, members in r.clusters():
            ...     print(canonical_id, members)
            ana ['ana', 'crm-17']
            ben ['ben']
        """
        columns = self.mapping().to_pydict()
        members: dict[str, list[str]] = {}
        for member, canonical in zip(columns["distinct_id"], columns["canonical_id"], strict=True):
            members.setdefault(canonical, []).append(member)
        return iter(members.items())

    def __reduce__(self) -> NoReturn:
        """Refuse: the state is in the core.

        Raises:
            TypeError: Always; the message names what to do instead.
        """
        raise TypeError(
            f"a {type(self).__name__} is neither copied nor pickled: mapping() is its answer as a table, "
            "and DurableResolver.open(path) keeps one from run to run"
        )

    def _repr_html_(self) -> str:
        """Return the numbers of IDs, clusters and links as a notebook shows them."""
        return self.stats()._repr_html_()

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


@cache
def _event_reader(source: Source, api: Api, *, times: bool) -> _core.EventReader:
    read, is_simplified = partial(step_of_any, source, api), api == "simplified"
    rules, wanted = coded_rules(source, api), time_of if times else None
    return _core.EventReader(rules, read, is_simplified, MALFORMED[api], wanted)
