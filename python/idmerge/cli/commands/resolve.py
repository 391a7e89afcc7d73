"""``idmerge resolve``: write the mapping from IDs to canonical IDs of files of events."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from idmerge import Outcome, Policy, Report, Resolver
from idmerge._formatting import links_and_acts
from idmerge._naming import named
from idmerge.cli.dialects import Spelling, dialect_options
from idmerge.cli.journals import check_no_journal, opening
from idmerge.cli.link_notes import RejectedLinks
from idmerge.cli.malformed import MalformedLines, list_malformed_option
from idmerge.cli.messages import sum_up, tell_written
from idmerge.cli.notes import tell_signs
from idmerge.cli.options import (
    FILES_HELP,
    api_option,
    canonical_option,
    files_argument,
    given_policy,
    is_given,
    journal_option,
    policy_options,
    sort_option,
    strict_option,
)
from idmerge.cli.output import (
    STDOUT,
    check_csv_safe,
    check_distinct,
    check_outputs,
    check_overwriting,
    check_printed,
    csv_safe_option,
    file_option,
    is_printed,
    output_option,
    standard_output,
    suffix_of,
)
from idmerge.cli.progress import in_order, path_of, progress, total_size, working
from idmerge.cli.rejected import SUFFIXES, RejectedWriter, rejected_suffix, rejected_writer
from idmerge.cli.resolved import Mapping
from idmerge.cli.sections import command
from idmerge.cli.summary import Run, summary_facts, summary_lines
from idmerge.files import BadLine, Piece, RereadableFile, replacing, sampled, scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge import DurableResolver
    from idmerge.journal import Facts

COMMIT_EVERY = 100_000
"""Steps that are applied before they are committed to a journal."""


@command(
    short_help="Write the canonical ID of each ID.",
    help=f"""
    Judge the links in FILEs, in their order, and write the canonical ID of each ID.

    The mapping has a row for each ID: distinct_id, canonical_id, cluster_size. It goes to standard output
    as CSV, or with -o to a file; the summary goes to standard error.

    {FILES_HELP}

    Malformed lines are counted and passed over. Memory grows with the number of IDs, not of events.

    With --journal the links are added to those that the journal PATH holds, which is made if there is none,
    and the mapping, of all of them, is written with -o only. Links are committed while FILEs are read: a run
    that ended early can be repeated. Links sent twice change nothing, unless they were retracted meanwhile.

    \b
    Example:
      idmerge resolve monday.ndjson.gz tuesday.ndjson.gz -o mapping.parquet
      idmerge resolve export.ndjson --rejected rejected.csv > mapping.csv
      idmerge resolve monday.ndjson.gz --journal ids.idmerge
    """,
)
@files_argument
@output_option("the mapping here")
@file_option(
    "--rejected",
    stdout=True,
    suffixes=SUFFIXES,
    text="Write the rejected links here, each with file, line and reason: .csv, .ndjson or .jsonl.",
)
@journal_option(
    "Keep the links in this journal: a file, or a postgresql:// URL. Options of the policy must be "
    "those by which it was made, or left out."
)
@dialect_options
@api_option
@sort_option
@csv_safe_option
@strict_option
@list_malformed_option
@canonical_option
@policy_options
def resolve(  # noqa: PLR0913 - click hands over each option
    *,
    files: Sequence[str],
    output: str | None,
    rejected: str | None,
    journal: str | None,
    sort: bool,
    csv_safe: bool,
    strict: bool,
    spelling: Spelling,
    canonical: Any,
    policy: Policy,
) -> None:
    """Judge the links in files and write the mapping; the help says more."""
    printed = not journal if output is None else is_printed(output)
    _check_paths(files, journal, output, rejected, printed=printed)
    suffix = suffix_of(output)
    check_csv_safe(*([suffix] if output or printed else []), rejected_suffix(rejected), csv_safe=csv_safe)
    started = perf_counter()
    run = Run(files=len(files))
    total = total_size(files)  # A file that is not there is found before outputs are begun.
    with working("starting") as work, ExitStack() as stack:
        mapping_file = None if output is None or printed else stack.enter_context(replacing(output))
        writer = _rejected_writer(rejected, stack, csv_safe=csv_safe) if rejected else None
        durable = stack.enter_context(_opened(journal, policy, canonical)) if journal else None
        resolver = Resolver(policy, canonical) if durable is None else durable
        sample = sampled(files, **spelling.choice)  # Reading begins here.
        sources = in_order(files, spelling.with_api(resolver.policy.api), is_sorted=sort)
        if sort:
            total = total_size([path_of(source)[0] for source in sources])
        links = RejectedLinks(resolver.policy, in_journal=journal is not None)
        with_times = durable is not None
        reading = _read_all(
            sources, total, resolver, run, links, writer, spelling, strict=strict, with_times=with_times
        )
        with _keeping(run, journal):
            if durable is not None:
                _commit_all(durable, reading, run, strict=strict)
            else:
                deque(reading, maxlen=0)
        work.begin("making the mapping")
        mapping = Mapping(resolver.mapping())
        if mapping_file:
            mapping.write(suffix, mapping_file, csv_safe=csv_safe)
        work.begin("closing the outputs" if durable is None else "closing the journal")
    run.seconds = perf_counter() - started
    if printed:
        mapping.print(suffix, csv_safe=csv_safe)
    with working("summing up"):
        stats, largest = resolver.stats(), mapping.largest()
    spelling.tell()
    links.tell(sample, events=run.events, told_empty=spelling.told_empty)
    tell_signs(sample, run.outcomes.total(), is_sorted=sort)
    summed = (run, stats, largest, resolver.policy.max_cluster_size)
    facts = {
        **summary_facts(*summed),
        "journal": None if durable is None else {"path": named(str(journal)), "position": resolver.position},
        "output": None if output is None or printed else output,
        "rejected_output": None if rejected == STDOUT else rejected,
    }
    sum_up(facts, summary_lines(*summed), beside_data=printed or rejected == STDOUT)
    if output is not None and not printed:
        tell_written("the mapping", output)
    if rejected and rejected != STDOUT:
        tell_written("rejected links", rejected)


def _rejected_writer(path: str, stack: ExitStack, *, csv_safe: bool) -> RejectedWriter:
    stream = stack.enter_context(standard_output() if path == STDOUT else replacing(path))
    return rejected_writer(rejected_suffix(path), stream, csv_safe=csv_safe)


def _opened(path: str, policy: Policy, canonical: Any) -> DurableResolver:
    """Open the journal at ``path`` under its own policy, which must match the options given.

    A new one is made under ``policy``.
    """
    given = given_policy()
    facts = _facts(path) if given else None
    asked = None if not given else replace(facts.policy, **given) if facts else policy
    from idmerge import DurableResolver  # noqa: PLC0415

    with opening(path):
        return DurableResolver.open(path, asked, canonical if is_given("canonical") else None)


def _facts(path: str) -> Facts | None:
    from idmerge.journal import open_journal  # noqa: PLC0415 - many runs have no journal

    try:
        journal = open_journal(path, create=False, read_only=True)
    except FileNotFoundError:
        return None
    with closing(journal):
        return journal.facts()


def _read_all(  # noqa: PLR0913, PLR0917 - the input, the resolver and two reports
    sources: Sequence[str | RereadableFile],
    total: int | None,
    resolver: Resolver,
    run: Run,
    links: RejectedLinks,
    writer: RejectedWriter | None,
    spelling: Spelling,
    *,
    strict: bool,
    with_times: bool,
) -> Iterator[None]:
    """Apply the links of all files to ``resolver``; the rejected ones go to ``writer``."""
    malformed = run.malformed = MalformedLines(strict=strict)
    api = resolver.policy.api
    times: dict[str, Any] = {"with_times": True} if with_times else {}
    with progress("reading", total, then="judging") as bar:
        for path, name in map(path_of, sources):
            # What is sorted is raw.
            arguments = spelling.with_api(api) if name is None else {"api": api}
            for piece in scan(path, name=name, on_bytes=bar.advance, **arguments, **times):
                if isinstance(piece, BadLine):
                    malformed.add(piece.path, piece.line, piece.message)
                    continue
                run.events += len(piece)
                report = piece.apply_to(resolver)
                links.take(piece, report)
                _report(piece, report, malformed, writer)
                yield
    run.outcomes = links.outcomes


def _commit_all(resolver: DurableResolver, reading: Iterator[None], run: Run, *, strict: bool) -> None:
    """Read on and commit every `COMMIT_EVERY` steps, under ``strict`` once at the end."""
    if strict:
        _note(run, resolver.commit_all(reading))
        return
    for _ in reading:
        if resolver.uncommitted >= COMMIT_EVERY:
            _note(run, resolver.commit())
    with working("committing"):
        _note(run, resolver.commit())


def _note(run: Run, position: int) -> None:
    run.journal = f"{links_and_acts(position)} so far"


@contextmanager
def _keeping(run: Run, journal: str | None) -> Iterator[None]:
    """Add to an interrupt's message what the journal keeps."""
    try:
        yield
    except KeyboardInterrupt as error:
        if journal:
            kept = run.journal or "what it held before"
            error.add_note(f"the journal keeps {kept}; repeat the run to add the rest")
        raise


def _report(piece: Piece, report: Report, malformed: MalformedLines, writer: RejectedWriter | None) -> None:
    wanted = report.outcomes > Outcome.UNCHANGED if writer else report.outcomes == Outcome.MALFORMED
    for link in piece.judged(report, np.flatnonzero(wanted).tolist()):
        if link.message is not None:
            malformed.add(link.path, link.line, link.message)
        if writer:
            writer.write(link)


def _check_paths(
    files: Sequence[str], journal: str | None, output: str | None, rejected: str | None, *, printed: bool
) -> None:
    """Check that all outputs can be written, and that no file would be written over."""
    check_distinct({"--output": output, "--rejected": rejected, "--journal": journal})
    check_no_journal(files, "name files of events or links, and --journal to keep them there")
    blocked_ids = click.get_current_context().params["blocked_ids"]
    check_overwriting([*files, *filter(None, [blocked_ids])], [journal])
    check_outputs(files, {"--output": output, "--rejected": rejected})
    if printed:
        check_printed(suffix_of(output))
        if rejected == STDOUT:
            raise click.UsageError("the mapping and --rejected would both go to standard output; name a file")
