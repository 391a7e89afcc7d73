"""The doctor's run: reads events or a journal, and collects all findings."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from idmerge._formatting import beginning
from idmerge._naming import named
from idmerge.doctor import calls, devices, fused, junk, people, sending, spellings, stream, verdicts
from idmerge.doctor.catalogue import CATALOGUE
from idmerge.doctor.diagnosis import Diagnosis
from idmerge.doctor.evidence import BadLines, Evidence
from idmerge.doctor.findings import Example, NotLookedFor, Overview
from idmerge.doctor.ids import NOBODY, Ids
from idmerge.doctor.journals import recorded_links
from idmerge.doctor.limits import Limits
from idmerge.doctor.links import EXAMPLES, Ledger
from idmerge.doctor.traffic import LOOKED_AT, Tally, tallied
from idmerge.doctor.unread import unread_values
from idmerge.errors import FileFormatError
from idmerge.events import Kind
from idmerge.files import BadLine, RereadableFile, read_updates, rereadable, scan
from idmerge.files.choosing import Choice, choice_of
from idmerge.files.flattening import Flattening, flattener_of
from idmerge.files.opening import import_pyarrow
from idmerge.files.reading import flatten
from idmerge.files.recognition import OnDialect, no_matter
from idmerge.files.sampling import name_zones
from idmerge.files.shape import Shape
from idmerge.files.sources import expanded
from idmerge.files.tables import record_batch
from idmerge.files.zones import check_zone
from idmerge.journal import DurableResolver
from idmerge.outcome import Outcome
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from idmerge.canonical import Chooser, Strategy
    from idmerge.doctor.findings import Finding
    from idmerge.files import Piece
    from idmerge.files.dialects import Dialect
    from idmerge.policy import Api, Policy

Path = str | os.PathLike[str]

FINDERS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    devices.shared_devices,
    fused.fused_users,
    fused.anonymous_claims,
    devices.reset_storms,
    devices.too_many_ids,
    devices.near_limit,
    people.several_users,
    people.no_anonymous_history,
    people.look_alike_ids,
    people.anonymous_profiles,
    spellings.float_ids,
    spellings.doubled_prefixes,
    junk.junk_ids,
    spellings.placeholder_ids,
    junk.hub_ids,
    calls.anon_format,
    verdicts.old_web_ids,
    verdicts.differing_verdicts,
    calls.swapped_identifies,
    calls.aliases_for_identify,
    calls.merges_for_identify,
    calls.refused_verbs,
    calls.merges_by_track,
    calls.taken_aliases,
    calls.same_ids,
    stream.malformed,
    stream.busy_ids,
    stream.events_without,
    sending.odd_ids,
    sending.unreadable_times,
    sending.time_zone,
    sending.backward_order,
    sending.simplified,
)
OF_EVENTS = (
    "reset-storm",
    "no-anonymous-history",
    "busy-id",
    "duplicate-events",
    "no-insert-id",
    "no-distinct-id",
    "odd-id",
    "unreadable-time",
    "time-zone",
    "backward-order",
    "simplified",
)


def examine(  # noqa: PLR0913 - each by its name
    paths: Path | Iterable[Path | RereadableFile],
    *,
    policy: Policy | None = None,
    api: Api | None = None,
    canonical: Strategy | Chooser = "stable",
    profiles: Path | None = None,
    limits: Limits | None = None,
    on_bytes: Callable[[int], object] = lambda _count: None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_dialect: OnDialect = no_matter,
    timezone: str | None = None,
    on_check: Callable[[int], object] = lambda _checks: None,
) -> Diagnosis:
    """Read files of events or of links, twice, and return what is wrong with them.

    Args:
        paths: The files in their order, ``"-"`` for standard input, or directories of them; what
            comes through a pipe is kept in a temporary file meanwhile.
        policy: The rules by which links are judged; Mixpanel's by default.
        api: The API whose links are taken, as for `Resolver`.
        canonical: The strategy for canonical IDs, as for `Resolver`.
        profiles: A file of profile updates: one JSON object a line or in an array, with
            ``$distinct_id``.
        limits: Thresholds for reporting a finding.
        on_bytes: Called with the number of bytes read since its last call; each file is read twice.
        dialect: The name of the dialect in which the events are; by default it is found (SPEC 11).
        columns: The key or column of each role that has another name: ``{"event": "action"}``.
        on_dialect: Called with each file's name and the dialect that was read.
        timezone: The zone of times that name none; UTC by default.
        on_check: Called with the number of all checks before each of them; they begin when all is
            read.

    Raises:
        DialectError: There is no such dialect or role.
        FileFormatError: A file is damaged, or lacks what its format promises.
        MissingExtraError: pyarrow is not installed.
        OSError: A file cannot be opened.
        PolicyError: ``policy`` has another API than ``api``, or there is no such API.
        ValueError: No time zone is called ``timezone``.

    Examples:
        >>> from idmerge import doctor
        >>> diagnosis = doctor.examine("examples/flow-4-shared-device-without-reset.ndjson")
        >>> for finding in diagnosis.findings:
        ...     print(finding.severity.name, finding.title)
        ERROR 1 anonymous ID that a user had claimed came up with further users
        WARNING 5 events have no $insert_id
        WARNING 1 user sent events and has no anonymous ID
    """
    check_zone(timezone)
    import_pyarrow("counting events")
    given: list[Path | RereadableFile] = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    limits = limits or Limits()
    resolver, ids = Resolver(policy, canonical, api=api), Ids()
    sources = [rereadable(path) for path in expanded(given)]
    shape = Shape(LOOKED_AT)
    choice = choice_of(dialect, columns, resolver.policy.api)
    reading = partial(scan, on_bytes=on_bytes, shape=shape, on_dialect=on_dialect, **choice.arguments)
    ledger, bad, stated = _linked(sources, resolver, ids, reading)
    updates = None if profiles is None else _updates(profiles, ids)
    cluster_ids, canonical_ids = _mapping(resolver, ids)
    batches = _record_batches(sources, shape, on_bytes, choice, timezone)
    events, linking, verbs = stated
    tally = Tally(ids, linking, resolver.policy.api, is_zoned=timezone is not None)
    traffic = tallied(batches, tally, limits.events_a_day)
    if (traffic.events, traffic.verbs) != (events, verbs):
        raise FileFormatError(
            f"{', '.join(source.name for source in sources)}: changed while it was read; try again"
        )
    evidence = Evidence(
        ids=ids,
        links=ledger.finish(traffic.link_times),
        policy=resolver.policy,
        limits=limits,
        resolver=resolver,
        cluster=_clusters(ids, cluster_ids, canonical_ids),
        traffic=traffic if events else None,
        unread=unread_values(sources, shape, traffic, choice) if events else None,
        times_name_zones=traffic.clocks.is_local and name_zones(sources, choice),
        verdicts=ledger.verdicts,
        reasons=ledger.reasons,
        bad_lines=bad,
        profiles=updates,
        is_journal=False,
    )
    return _diagnosis(evidence, tuple(source.name for source in sources), on_check)


def examine_journal(
    path: Path,
    *,
    limits: Limits | None = None,
    on_check: Callable[[int], object] = lambda _checks: None,
) -> Diagnosis:
    """Return what is wrong with the links of the journal at ``path``; it holds no ordinary events.

    Links that were taken back are passed over, and each other one has the outcome that was
    recorded. ``on_check`` is called with the number of all checks before each of them.

    Raises:
        FileNotFoundError: There is no journal.
        JournalError: It is damaged, or no journal.
        MissingExtraError: A library that reads it is not installed.
        OSError: It cannot be read.

    Examples:
        >>> from idmerge import DurableResolver, doctor
        >>> with DurableResolver.open("ids.idmerge") as r:
        ...     _ = r.alias("crm-17", "ana"), r.alias("crm-17", "ben"), r.commit()
        >>> [finding.title for finding in doctor.examine_journal("ids.idmerge").findings]
        ['1 alias was given to one ID and then to another']
    """
    import_pyarrow("reading a journal's links")
    ids = Ids()
    ledger = Ledger(ids)
    with DurableResolver.open(path, read_only=True, history=False) as resolver:
        for link in recorded_links(path, resolver):
            ledger.add_recorded(*link)
        cluster_ids, canonical_ids = _mapping(resolver, ids)
        evidence = Evidence(
            ids=ids,
            links=ledger.finish(None),
            policy=resolver.policy,
            limits=limits or Limits(),
            resolver=resolver,
            cluster=_clusters(ids, cluster_ids, canonical_ids),
            traffic=None,
            unread=None,
            verdicts={},
            reasons={},
            bad_lines=BadLines(count=0, first=()),
            profiles=None,
            is_journal=True,
        )
        return _diagnosis(evidence, (named(path),), on_check)


def _linked(
    sources: Sequence[RereadableFile],
    resolver: Resolver,
    ids: Ids,
    reading: Callable[..., Iterator[Piece | BadLine]],
) -> tuple[Ledger, BadLines, tuple[int, NDArray[np.int64], int]]:
    """Judge every link; return them, the bad lines, and what is known of the events.

    That is their number, the numbers of those that link, and how many do so by their names.
    """
    ledger = Ledger(ids)
    bad = 0
    first: list[BadLine] = []
    events, verbs = 0, 0
    linking: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    for source in sources:
        ledger.begin(source.name)
        for piece in reading(source.path, name=source.name):
            if isinstance(piece, BadLine):
                bad += 1
                first += [piece] if len(first) < EXAMPLES else []
                continue
            report = piece.apply_to(resolver)
            is_event = len(piece) > 0
            if is_event:
                linking.append(np.asarray(report.rows, np.int64) + events)
            events += len(piece)
            for link in piece.judged(report):
                ledger.add(link, is_event=is_event)
                verbs += is_event and link.kind is not Kind.ASSOCIATION
    return ledger, BadLines(count=bad, first=tuple(first)), (events, np.concatenate(linking), verbs)


def _record_batches(
    sources: Sequence[RereadableFile],
    shape: Shape,
    on_bytes: Callable[[int], object],
    choice: Choice,
    timezone: str | None,
) -> Iterator[pa.RecordBatch]:
    """Read the files once more and yield their events in order; what is no event is passed over."""
    flattening = Flattening(flattener_of(shape, choice.api), record_batch).of_zone(timezone, shape)
    for source in sources:
        for piece in flatten(
            source.path, flattening, name=source.name, on_bytes=on_bytes, **choice.arguments
        ):
            if piece.table is not None:
                yield piece.table


def _updates(path: Path, ids: Ids) -> dict[int, Example]:
    """Return the first profile update of each ID."""
    updates: dict[int, Example] = {}
    for piece in read_updates(path):
        if isinstance(piece, BadLine):
            raise FileFormatError(str(piece))
        for line, update in zip(piece.lines, piece.events, strict=True):
            sent = update.get("$distinct_id")
            if not isinstance(sent, str):
                raise FileFormatError(
                    f"{piece.path}:{line}: $distinct_id must be a string, got {sent!r:.100}"
                )
            acts = ", ".join(beginning(key) for key in update if key.startswith("$") and key not in _FRAME)
            example = Example(ids=(sent,), note=f"by {acts or 'an update'}", file=piece.path, line=line)
            updates.setdefault(ids.number(sent), example)
    return updates


_FRAME = {"$token", "$distinct_id", "$ip", "$time", "$ignore_time", "$ignore_alias"}
"""Keys of a profile update that say nothing of the profile."""


def _mapping(resolver: Resolver, ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of all known IDs, and of the canonical ID of each."""
    columns = resolver.mapping().to_pydict()
    return ids.numbers(columns["distinct_id"]), ids.numbers(columns["canonical_id"])


def _clusters(ids: Ids, known: NDArray[np.int64], canonical: NDArray[np.int64]) -> NDArray[np.int64]:
    cluster = np.full(len(ids), NOBODY, np.int64)
    cluster[known] = canonical
    return cluster


def _diagnosis(evidence: Evidence, sources: tuple[str, ...], on_check: Callable[[int], object]) -> Diagnosis:
    order = list(CATALOGUE)
    found: list[Finding] = []
    for find in FINDERS:
        on_check(len(FINDERS))
        found += find(evidence)
    findings = sorted(
        found,
        key=lambda finding: (finding.severity, -(finding.share or 0), order.index(finding.code)),
    )
    return Diagnosis(
        overview=_overview(evidence, sources),
        findings=tuple(findings),
        not_looked_for=tuple(_not_looked_for(evidence)),
    )


def _overview(evidence: Evidence, sources: tuple[str, ...]) -> Overview:
    outcomes = np.bincount(evidence.links.outcomes, minlength=len(Outcome)).tolist()
    accepted = int(evidence.links.accepted.sum())
    stats = evidence.resolver.stats()
    return Overview(
        sources=sources,
        events=None if evidence.traffic is None else evidence.traffic.events,
        ids=stats.ids,
        clusters=stats.clusters,
        links=len(evidence.links),
        accepted=accepted,
        rejected=len(evidence.links) - accepted,
        outcomes={outcome.name: outcomes[outcome] for outcome in Outcome if outcomes[outcome]},
        cluster_sizes=stats.cluster_sizes,
        max_cluster_size=evidence.policy.max_cluster_size,
    )


def _not_looked_for(evidence: Evidence) -> Iterator[NotLookedFor]:
    if evidence.traffic is None:
        what = "a journal holds" if evidence.is_journal else "the files hold"
        links = "links and no events" if evidence.is_journal or len(evidence.links) else "no events"
        for code in OF_EVENTS:
            yield NotLookedFor(code=code, reason=f"{what} {links}; read the files of events")
    if evidence.is_journal:
        reason = "a journal keeps no text of a blocked ID; read the files of events"
        yield NotLookedFor(code="blocked-id", reason=reason)
        yield NotLookedFor(code="malformed-line", reason="a journal has no lines; read the files of events")
        yield NotLookedFor(code="anonymous-profile", reason="profile updates go with files of events")
        return
    if evidence.profiles is None:
        yield NotLookedFor(code="anonymous-profile", reason="no profile updates were given (--profiles FILE)")
    yield NotLookedFor(
        code="merge-by-track",
        reason="links in files count as imported; a journal knows the route of each",
    )
