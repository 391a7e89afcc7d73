"""``idmerge stitch``: write the events of files with one ID a person."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import numpy as np

from idmerge import DurableResolver, Outcome, Policy, Resolver, StitchedEvents
from idmerge._formatting import counted, printable
from idmerge._naming import named
from idmerge.cli.completion import FILE
from idmerge.cli.dialects import Spelling, dialect_options
from idmerge.cli.journals import check_no_journal, opened_to_read
from idmerge.cli.link_notes import RejectedLinks
from idmerge.cli.malformed import MalformedLines, list_malformed_option
from idmerge.cli.messages import labelled, sum_up, tell_note
from idmerge.cli.notes import tell_signs
from idmerge.cli.options import (
    api_option,
    canonical_option,
    expanded_files,
    given_policy,
    is_given,
    journal_option,
    policy_options,
    sort_option,
    strict_option,
    timezone_option,
)
from idmerge.cli.output import (
    STDOUT,
    check_csv_safe,
    check_overwriting,
    check_printed,
    csv_safe_option,
    format_option,
    given_format,
    shown_table,
    standard_output,
    tell_renamed,
)
from idmerge.cli.progress import in_order, progress, total_size
from idmerge.cli.sections import command
from idmerge.cli.served import project_option
from idmerge.cli.served_events import served_events
from idmerge.cli.summary import Run, links_facts, links_lines, run_facts
from idmerge.files import BadLine, sampled
from idmerge.stitching.writing import PARTITIONS, SUFFIXES, check_output, write_to_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@command(
    short_help="Write events with one ID a person.",
    help="""
    Read the links in FILEs, then write their events with the canonical ID of each sender as distinct_id; the
    ID that was sent is kept in $distinct_id_before_identity. Each property of JSON becomes a column.

    FILE holds events: one JSON object a line or one JSON array, plain, gzip or zstd, - for standard input; or
    the columns of .parquet or .arrow, which stay as they are but for the IDs. Or it is a directory of such
    files. Files of links (see idmerge resolve) count too. Or FILE is the directory of a server (see idmerge
    serve), which may run: then the events are those of a project, and the IDs those of its journal.

    OUT is a file (.parquet, .arrow or .csv) or a directory, which gets Parquet files. Nothing is there before
    all of it is, and what was there before is replaced. Memory grows with the number of IDs, not of events.

    \b
    Example:
      idmerge stitch export.ndjson.gz -o stitched.parquet
      idmerge stitch raw/ -o stitched --partition-by date --dedupe
      idmerge stitch export.ndjson --journal ids.idmerge -o stitched.parquet
      idmerge stitch shop -o stitched.parquet
    """,
)
@click.argument("files", type=FILE, metavar="FILE...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="OUT",
    required=True,
    help="A file (.parquet, .arrow, .csv) or a directory; - is standard output.",
)
@format_option(SUFFIXES, " For -o - alone.")
@click.option(
    "--partition-by",
    type=click.Choice(PARTITIONS),
    help="Write a directory for each day (UTC), or for each event's name.",
)
@click.option(
    "--as-known", is_flag=True, help="Add distinct_id_as_known: who the sender was thought to be then."
)
@click.option(
    "--dedupe",
    is_flag=True,
    help="Drop events with the same name, time, ID as sent and $insert_id as one before; 20 bytes each.",
)
@click.option(
    "--property",
    "properties",
    metavar="NAME",
    multiple=True,
    help="Keep only this property; can be given again.",
)
@journal_option("Take the links of this journal; those in FILEs are not added to it (see idmerge resolve).")
@project_option
@dialect_options
@api_option
@sort_option
@timezone_option
@csv_safe_option
@strict_option
@list_malformed_option
@canonical_option
@policy_options
def stitch(  # noqa: PLR0913 - click hands over each option
    *,
    files: Sequence[str],
    output: str,
    partition_by: Any,
    as_known: bool,
    dedupe: bool,
    properties: Sequence[str],
    journal: str | None,
    project: str | None,
    sort: bool,
    timezone: str | None,
    csv_safe: bool,
    strict: bool,
    spelling: Spelling,
    canonical: Any,
    policy: Policy,
) -> None:
    """Stitch the events of files; the help says more."""
    served = served_events(files, project)
    if served is not None:
        if journal:
            raise click.UsageError("a server's directory has a journal; leave --journal out")
        files, journal = [served.path], str(served.project.journal)
        timezone = timezone or served.project.timezone
    if journal and (given_policy() or is_given("canonical") or as_known):
        raise click.UsageError("--journal has a policy of its own and no --as-known; leave these out")
    is_stdout = output == STDOUT
    suffix = _checked_suffix(output, partition_by)
    check_csv_safe("" if partition_by else suffix, csv_safe=csv_safe)
    started = perf_counter()
    paths = expanded_files(files)
    _check_paths(paths, journal, output, partition_by)
    with_resource = click.get_current_context().with_resource  # Until the command ends.
    resolver = with_resource(opened_to_read(journal)) if journal else Resolver(policy, canonical)
    sample = sampled(paths, reads_times=True, timezone=timezone, **spelling.choice)
    sources = in_order(paths, spelling.with_api(resolver.policy.api), is_sorted=sort)
    events = StitchedEvents(
        sources,
        resolver,
        apply=journal is None,
        as_known=as_known,
        dedupe=dedupe,
        properties=properties or None,
        timezone=timezone,
        **({} if sort else spelling.arguments),  # What is sorted is of the raw shape.
    )
    run = Run(files=len(paths), malformed=MalformedLines(strict=strict))
    total = total_size(paths)
    with progress("reading", total, then="encoding") as bar:
        links = RejectedLinks(resolver.policy)
        events.learn(
            bar.advance,
            lambda piece, report: _tell(piece, report, run, links),
            output=None if is_stdout else output,
            partition_by=partition_by,
        )
    _tell_missing(properties, events)
    tell_renamed(events.renamed)
    run.events, run.outcomes = events.events, events.outcomes
    # Standard output first: while it is a terminal or a pipe, no bar is drawn.
    with (
        standard_output() if is_stdout else nullcontext() as stream,
        progress("writing", total, then="writing the rest") as bar,
    ):
        if stream is not None:
            count = _print(events, suffix, stream, bar.advance, csv_safe=csv_safe)
        else:
            count = events.write(output, partition_by=partition_by, csv_safe=csv_safe, on_bytes=bar.advance)
    run.seconds = perf_counter() - started
    spelling.tell()
    if events.applies or not run.events:
        links.tell(sample, events=run.events, told_empty=spelling.told_empty)
    else:
        links.tell_ids(sample)
    taken = resolver.position if isinstance(resolver, DurableResolver) else run.outcomes.total()
    tell_signs(sample, taken, is_sorted=sort, timezone=timezone)
    facts = {
        **run_facts(run),
        **links_facts(run.outcomes),
        "ids": len(resolver),
        "clusters": resolver.cluster_count,
        "duplicates": events.duplicates,
        "without_time": events.without_time,
        "rows": count,
        "columns": len(events.column_names),
        "output": None if is_stdout else output,
    }
    sum_up(facts, _summary(run, resolver, events, count, output), beside_data=is_stdout)


def _checked_suffix(output: str, partition_by: str | None) -> str:
    """Return the suffix of the format, of OUT or of standard output; or raise a usage error."""
    suffix = given_format()
    if output != STDOUT:
        if suffix is not None:
            raise click.UsageError("--format is for -o -; the suffix of OUT names its format")
        return output
    if partition_by is not None:
        raise click.UsageError("--partition-by makes directories; name one by -o")
    check_printed(suffix or ".csv")
    return suffix or ".csv"


def _print(
    events: StitchedEvents,
    suffix: str,
    stream: BinaryIO,
    on_bytes: Callable[[int], object],
    *,
    csv_safe: bool,
) -> int:
    """Write the events to ``stream``, standard output, and return how many there are."""
    import pyarrow as pa  # noqa: PLC0415

    schema = shown_table(events.schema.empty_table()).schema
    tables = (shown_table(pa.Table.from_batches([batch])) for batch in events.batches(on_bytes))
    batches = (batch for table in tables for batch in table.to_batches())
    return write_to_stream(stream, suffix, schema, batches, csv_safe=csv_safe)


def _tell(piece: Any, report: Any, run: Run, links: RejectedLinks) -> None:
    malformed = run.malformed
    assert malformed is not None  # noqa: S101
    if isinstance(piece, BadLine):
        malformed.add(piece.path, piece.line, piece.message)
        return
    links.take(piece, report)
    if report is not None:
        wrong = np.flatnonzero(report.outcomes == Outcome.MALFORMED).tolist()
        for link in piece.judged(report, wrong):
            malformed.add(link.path, link.line, str(link.message))


def _summary(run: Run, resolver: Resolver, events: StitchedEvents, count: int, output: str) -> Iterator[str]:
    ids, clusters = len(resolver), resolver.cluster_count
    to = "standard output" if output == STDOUT else named(output)
    files = counted(run.files, "file")
    yield labelled("read", f"{counted(run.events, 'event')} from {files} in {run.seconds:.2f} s")
    if events.applies:
        yield from links_lines(run.outcomes)
    if run.malformed:
        yield from run.malformed.lines()
    yield labelled("IDs", f"{ids:,} in {counted(clusters, 'cluster')}")
    if events.duplicates:
        yield labelled("duplicates", f"{counted(events.duplicates, 'event')} dropped")
    if events.without_time:
        without = counted(events.without_time, "event")
        yield labelled("no time", f"{without} whose time is missing or cannot be read")
    yield labelled("written", f"{counted(count, 'event')} in {len(events.column_names)} columns to {to}")


def _tell_missing(properties: Sequence[str], events: StitchedEvents) -> None:
    """Print the names of the ``properties`` to keep that no event has."""
    for name in properties:
        if not {name, f"properties.{name}"} & {*events.column_names}:
            tell_note(f"no event has the property {printable(name)}")


def _check_paths(paths: Sequence[str], journal: str | None, output: str, partition_by: str | None) -> None:
    """Check that the output can be made over no file that is read, and that none is a journal."""
    check_no_journal(paths, "name files of events, and give it by --journal")
    blocked_ids = click.get_current_context().params["blocked_ids"]
    check_overwriting([*paths, *filter(None, [journal, blocked_ids])], [output])
    if output == STDOUT:
        return
    if Path(output).suffix and not output.endswith(SUFFIXES) and not Path(output).is_dir():
        raise click.UsageError(
            f"'{named(output)}' has no suffix that names a format: {', '.join(SUFFIXES)}, or a directory"
        )
    check_output(output, partition_by)
