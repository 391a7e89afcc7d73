"""Events under one ID a person (SPEC 9).

`stitch` takes events wherever they are, and answers in the same family. `StitchedEvents` describes
the table that files become; of tables only the column of IDs is replaced, and a column or two
added.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, overload

from idmerge.files.choosing import choice_of
from idmerge.files.sampling import sampled
from idmerge.files.sorting import sorted_by_processing_time
from idmerge.files.sources import expanded
from idmerge.files.zones import check_zone
from idmerge.resolver import Resolver
from idmerge.stitching.columns import import_pyarrow
from idmerge.stitching.paths import StitchedEvents
from idmerge.stitching.report import StitchReport
from idmerge.stitching.tables import Wanted, stitched_table
from idmerge.stitching.writing import check_output, check_partitioning

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import pyarrow as pa

    from idmerge.canonical import Chooser, Strategy
    from idmerge.files.dialects import Dialect
    from idmerge.policy import Api, Policy

__all__ = ["StitchReport", "StitchedEvents", "stitch"]

F = TypeVar("F", bound="PolarsFrame | PandasFrame | DuckDBRelation")
A = TypeVar("A", "pa.Table", "pa.RecordBatch", "pa.RecordBatchReader")


# Type checkers find out by these which table it is, whether its library has types or not.


class PolarsFrame(Protocol):
    """A frame of polars, also a lazy one."""

    def collect_schema(self) -> Any:
        """Return the names and types of its columns."""


class PandasFrame(Protocol):
    """A frame of pandas."""

    @property
    def iloc(self) -> Any:
        """Its rows by position."""


class DuckDBRelation(Protocol):
    """A relation of DuckDB."""

    def to_arrow_table(self) -> Any:
        """Return it as a table of pyarrow."""


class ArrowStream(Protocol):
    """A table of any other library that speaks Arrow, which comes back as one of pyarrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export it as a stream of Arrow."""


@overload
def stitch(
    events: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    resolver: Resolver | None = None,
    *,
    policy: Policy | None = None,
    api: Api | None = None,
    canonical: Strategy | Chooser = "stable",
    as_known: bool = False,
    dedupe: bool = False,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_report: Callable[[StitchReport], object] | None = None,
    properties: Collection[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    partition_by: Literal["date", "event"] | None = None,
    sort: bool = False,
    timezone: str | None = None,
) -> StitchedEvents: ...


@overload
def stitch(
    events: F,
    resolver: Resolver | None = None,
    *,
    policy: Policy | None = None,
    api: Api | None = None,
    canonical: Strategy | Chooser = "stable",
    as_known: bool = False,
    dedupe: bool = False,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_report: Callable[[StitchReport], object] | None = None,
    timezone: str | None = None,
) -> F: ...


@overload
def stitch(
    events: A,
    resolver: Resolver | None = None,
    *,
    policy: Policy | None = None,
    api: Api | None = None,
    canonical: Strategy | Chooser = "stable",
    as_known: bool = False,
    dedupe: bool = False,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_report: Callable[[StitchReport], object] | None = None,
    timezone: str | None = None,
) -> A: ...


@overload
def stitch(
    events: ArrowStream,
    resolver: Resolver | None = None,
    *,
    policy: Policy | None = None,
    api: Api | None = None,
    canonical: Strategy | Chooser = "stable",
    as_known: bool = False,
    dedupe: bool = False,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_report: Callable[[StitchReport], object] | None = None,
    timezone: str | None = None,
) -> pa.Table: ...


def stitch(  # noqa: PLR0913 - each says what is wanted
    events: Any,
    resolver: Resolver | None = None,
    *,
    policy: Policy | None = None,
    api: Api | None = None,
    canonical: Strategy | Chooser = "stable",
    as_known: bool = False,
    dedupe: bool = False,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_report: Callable[[StitchReport], object] | None = None,
    properties: Collection[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    partition_by: Literal["date", "event"] | None = None,
    sort: bool = False,
    timezone: str | None = None,
) -> Any:
    """Return ``events`` with the canonical ID of each sender as ``distinct_id``.

    The ID that was sent is kept in ``$distinct_id_before_identity``, unless the event has that
    property already.

    Columns of another dialect get their raw names: ``event_name`` becomes ``event``, ``insert_id``
    ``$insert_id``. A column ``time`` without timestamps gets some (SPEC 9).

    Warns by `StitchWarning` if links were malformed, if none was accepted, and if the times of the
    first events look local; with ``on_report`` the report says so instead.

    Args:
        events: A table of pyarrow, polars, pandas or DuckDB, with the columns ``event`` and
            ``distinct_id``, and the properties that state links as columns, or in a column
            ``properties`` (a struct, a map or JSON text). Or paths: one or a list of files of
            events (NDJSON or a JSON array, plain, gzip or zstd, CSV, Parquet, Arrow) or directories
            of these; files of links in columns count too.
        resolver: A resolver that has the links already, as it is. By default those in ``events``
            count.
        policy: The rules, where no resolver is given.
        api: The API whose links are taken, as for `Resolver`.
        canonical: Who names a cluster, where no resolver is given.
        dialect: The name of the dialect in which the events are; by default it is found by their
            keys or columns. SPEC 11 lists them.
        columns: The key or column of each role that has another name in the events:
            ``{"distinct_id": "uid", "event": "action"}``.
        on_report: Called with a `StitchReport`: counts of the events and of their links by outcome.
            There are no warnings then.
        as_known: Add ``distinct_id_as_known``: who the sender was thought to be when the event
            came, so that only links before it count.
        dedupe: Drop events with the same name, time, ID as sent and ``$insert_id`` as one before.
            This keeps some 20 bytes for each event.
        properties: Of files, the only properties that become columns.
        output: Of files, where they are also written, as `StitchedEvents.write` does. Parquet is
            made of JSON while its links are read, which is faster than to write it afterwards.
        partition_by: Of an output, whether it is a directory of partitions: one for each day (UTC)
            or for each event's name, as in `StitchedEvents.write`.
        sort: Of files, whether events are read in the order in which Mixpanel processed them
            (``mp_processing_time_ms``, else ``$mp_api_timestamp_ms``): a sorted copy is kept in a
            temporary file.
        timezone: The zone of times that name none, such as ``"Asia/Kolkata"``, for events of a
            project that exports local times; UTC by default. The times of the answer are in UTC.

    Returns:
        A table of the same family. For paths `StitchedEvents`, which any Arrow library opens.

    Raises:
        TypeError: ``events`` is none of these, or a value can be no ID.
        DialectError: No column is known to be what the events need, or there is no such dialect or
            role.
        ValueError: A column is missing, ``resolver`` is given together with options of one or
            with ``as_known``; ``properties``, ``output`` or ``sort`` together with a table; or
            ``partition_by`` is none of these, or has no output.
        ColumnError: A column is there twice or cannot be read, a table is damaged, or a stream was
            read already.
        CanonicalError: ``as_known`` is wanted of files under a callable.
        FileFormatError: A file is damaged, or has more properties than a table can have.
        MissingExtraError: pyarrow is not installed.
        OSError: A file cannot be opened, or ``output`` cannot be written.
        PolicyError: ``policy`` has another API than ``api``, or there is no such API.

    Examples:
        >>> import idmerge
        >>> import pyarrow as pa
        >>> merged = [None, ["ana", "crm-17"], None]
        >>> columns = {"event": ["View", "$merge", "View"], "distinct_id": ["crm-17", "ana", "ana"]}
        >>> stitched = idmerge.stitch(pa.table({**columns, "$distinct_ids": merged}))
        >>> stitched.column("distinct_id").to_pylist()
        ['crm-17', 'crm-17', 'crm-17']
        >>> stitched.column("$distinct_id_before_identity").to_pylist()
        ['crm-17', 'ana', 'ana']
        >>> idmerge.stitch("examples/shop.ndjson", output="stitched.parquet")
        StitchedEvents(600 events, 17 columns)
    """
    if resolver is not None and (policy is not None or api is not None or canonical != "stable"):
        raise ValueError("a resolver has a policy and a canonical strategy; give these or the resolver")
    if resolver is not None and as_known:
        raise ValueError("as_known needs the links in the order of the events; leave the resolver out")
    known = Resolver(policy, canonical, api=api) if resolver is None else resolver
    paths = _paths(events)
    if paths is None:
        if properties is not None:
            raise ValueError("a table keeps its columns; choose them there, and leave properties out")
        if output is not None:
            raise ValueError("a table comes back as one; write that, and leave output out")
        check_partitioning(partition_by, output)
        if sort:
            raise ValueError("a table keeps its order; sort it there, and leave sort out")
        import_pyarrow()
        zone = check_zone(timezone)
        choice = choice_of(dialect, columns, known.policy.api)
        wanted = Wanted(known, resolver is None, as_known, dedupe, choice, timezone=zone)
        answer, report = stitched_table(events, wanted)
    else:
        check_partitioning(partition_by, output)
        if output is not None:
            check_output(os.fspath(output), partition_by)  # Before a sorted copy is made.
        zone = check_zone(timezone)
        sample = sampled(paths, dialect=dialect, columns=columns, reads_times=True, timezone=zone)
        api = known.policy.api
        answer = StitchedEvents(
            sorted_by_processing_time(paths, dialect=dialect, columns=columns, api=api) if sort else paths,
            known,
            apply=resolver is None,
            as_known=as_known,
            dedupe=dedupe,
            properties=properties,
            dialect=None if sort else dialect,
            columns=None if sort else columns,
            timezone=zone,
        )
        answer.learn(output=output, partition_by=partition_by)
        if output is not None:
            answer.write(output, partition_by=partition_by)
        report = StitchReport(
            events=answer.events,
            duplicates=answer.duplicates,
            outcomes=answer.outcomes,
            offset=sample.offset,
        )
    if on_report is None:
        report.warn(stacklevel=2, timezone=timezone)
    else:
        on_report(report)
    return answer


def _paths(events: Any) -> list[Any] | None:
    """Return the paths that ``events`` names, or None if it is a table."""
    if isinstance(events, (str, os.PathLike)):
        return list(expanded([events]))
    if isinstance(events, (list, tuple)) and all(isinstance(path, (str, os.PathLike)) for path in events):
        return list(expanded(events))
    return None
