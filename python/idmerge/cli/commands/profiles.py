"""``idmerge profiles``: apply updates of profiles, and write one profile a person."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from idmerge import Policy, Profiles, Resolver, UpdateOutcome, UpdateReport
from idmerge._formatting import counted
from idmerge._naming import named
from idmerge.cli.completion import FILE
from idmerge.cli.dialects import Spelling, dialect_options
from idmerge.cli.journals import check_no_journal, opened_to_read
from idmerge.cli.link_notes import RejectedLinks
from idmerge.cli.malformed import MalformedLines, list_malformed_option
from idmerge.cli.messages import is_json, labelled, print_lines, sum_up, tell_note, tell_written
from idmerge.cli.notes import tell_signs
from idmerge.cli.options import (
    api_option,
    canonical_option,
    check_rules_are_left_out,
    files_in_directories,
    is_given,
    journal_option,
    policy_options,
    sort_option,
    strict_option,
)
from idmerge.cli.output import (
    check_outputs,
    check_table_output,
    csv_safe_option,
    is_printed,
    output_option,
    print_table,
    suffix_of,
    tell_renamed,
    write_or_print,
    write_table,
)
from idmerge.cli.progress import Progress, in_order, path_of, progress, total_size, working
from idmerge.cli.sections import command
from idmerge.cli.served import check_project_has_directory, is_served, project_of, project_option
from idmerge.files import STDIN, BadLine, RereadableFile, Sample, read_updates, replacing, sampled, scan
from idmerge.profiles.store import sole_writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from idmerge.profiles import MergeProfiles
    from idmerge.server.directory import Project

INDENT = " " * 12
PEOPLE = "people"
"""The dialect of rows of an export, beside whose IDs their properties stand."""
OF_SERVED = {"updates", "project", "merge_profiles", "output", "csv_safe", "as_json", "quiet"}
"""The parameters that go with a server's directory."""


@dataclass
class Run:
    """Counts of one run."""

    files: int
    malformed: MalformedLines
    rejected_links: int = 0
    links: int = 0
    events: int = 0
    outcomes: Counter[UpdateOutcome] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    folded: Counter[str] = field(default_factory=Counter)

    def count(self, report: UpdateReport) -> None:
        """Add the counts of ``report``."""
        self.outcomes.update(report.outcomes)
        self.operations.update(report.operations)
        self.folded.update(report.folded)


@command(
    short_help="Write one profile a person.",
    help="""
    Apply the profile updates in UPDATES, in their order, and write one profile a person. Where UPDATES is the
    directory of idmerge serve, write the profiles that are there; the server may run meanwhile.

    UPDATES holds what Mixpanel's /engage takes: one JSON object a line or one JSON array, plain, gzip or
    zstd, - for standard input. Or it holds rows of exported profiles (JSON, .csv, .parquet, .arrow): that of
    the canonical ID counts, those of a person's other IDs fill in what it lacks, and a later export counts
    before an earlier one. Each update goes to the person of its $distinct_id, by the links of --events, all
    of which are read first, or by those that the journal PATH holds.

    The table has a row for each person: distinct_id, the canonical ID, then a column a property; lists, and
    values that differ in type, are JSON text. It goes to standard output as CSV, or with -o to a file; the
    summary goes to standard error. Malformed lines are counted and passed over.

    --column and --config name keys and columns of UPDATES and of --events alike.

    With --store the profiles of earlier runs go on from FILE, which is made if there is none, and this run's
    are kept there. When links have joined people meanwhile, the canonical ID's profile is shown and the
    others are hidden, or fill its gaps (--merge-profiles). An update that is read twice is applied twice.
    FILE is replaced at once when all else is done and printed, or stays as it was, also where the reader of
    the table ends early (| head).

    \b
    Example:
      idmerge profiles updates.ndjson --events events.ndjson.gz -o people.parquet
      idmerge profiles monday.ndjson --journal ids.idmerge --store all > out.csv
      idmerge profiles shop -o people.parquet
    """,
)
@click.argument("updates", type=FILE, metavar="UPDATES...", nargs=-1, required=True)
@click.option(
    "--events",
    type=FILE,
    metavar="FILE",
    multiple=True,
    callback=files_in_directories,
    help="Take the links of these events (or columns of links; idmerge resolve --help); may be repeated.",
)
@journal_option("Take the links of this journal: a file, or a postgresql:// URL.")
@output_option("the table here")
@click.option(
    "--store",
    type=FILE,
    metavar="FILE",
    help="Keep all profiles in this file from run to run; one run at a time.",
)
@click.option(
    "--merge-profiles",
    type=click.Choice(["hide", "fill"]),
    default="hide",
    show_default="hide, or as a server's settings say",
    help="What becomes of the profiles of a person's other IDs, if earlier runs made some: they are hidden, "
    "or fill the gaps in the canonical ID's.",
)
@project_option
@dialect_options
@api_option
@sort_option
@csv_safe_option
@strict_option
@list_malformed_option
@canonical_option
@policy_options
def profiles(  # noqa: PLR0913 - click hands over each option
    *,
    updates: Sequence[str],
    events: Sequence[str],
    journal: str | None,
    output: str | None,
    store: str | None,
    merge_profiles: Any,
    project: str | None,
    sort: bool,
    csv_safe: bool,
    strict: bool,
    spelling: Spelling,
    canonical: Any,
    policy: Policy,
) -> None:
    """Apply updates of profiles and write one a person; the help says more."""
    if any(map(is_served, updates)):
        _check_served(updates)
        _write_served(project_of(updates[0], project), merge_profiles, output, csv_safe=csv_safe)
        return
    _check_call(updates, events, journal, output, store, project, sort=sort)
    check_table_output([], output, csv_safe=csv_safe)
    suffix = suffix_of(output)
    of_people = _choice_of_updates(spelling)
    sample = sampled(events, **spelling.choice)
    started, total = perf_counter(), total_size([*events, *updates])
    run = Run(files=len(updates), malformed=MalformedLines(strict=strict))
    with working("starting") as work, ExitStack() as stack:
        if store:
            stack.enter_context(sole_writer(store))
        resolver = stack.enter_context(opened_to_read(journal)) if journal else Resolver(policy, canonical)
        if store:
            work.begin(f"reading {named(store)}")
            people = Profiles.load(store, resolver, merge_profiles=merge_profiles, missing_ok=True)
        else:
            people = Profiles(resolver, merge_profiles=merge_profiles)
        with nullcontext() if output is None or is_printed(output) else replacing(output) as table_file:
            sources = in_order(events, spelling.with_api(resolver.policy.api), is_sorted=sort)
            with progress("reading", total, then="applying") as bar:
                links = RejectedLinks(resolver.policy)
                for source in sources:
                    _read_links(source, resolver, run, links, bar, spelling)
                for path in updates:
                    _read_updates(path, people, run, bar, of_people)
            work.begin("making the table")
            table = people.table()
            if table_file:
                write_table(table, suffix, table_file, csv_safe=csv_safe)
        if is_printed(output):
            print_table(table, csv_safe=csv_safe, suffix=suffix)
        _tell_renamed(table, people)
        spelling.tell()
        _tell_notes(run, links if events else None, sample, spelling)
        tell_signs(sample, run.links, is_sorted=sort)
        seconds = perf_counter() - started
        _print_summary(run, people, seconds)
        if store:  # After all that may fail, so that a run that did can be repeated.
            work.begin(f"saving {named(store)}")
            people.save(store)
            tell_written(counted(len(people), "profile"), store)
        if output is not None and not is_printed(output):
            tell_written(counted(table.num_rows, "row"), output)
    outputs = {"rows": table.num_rows, "output": None if is_printed(output) else output, "store": store}
    sum_up({**_facts(run, people, seconds), **outputs}, beside_data=is_printed(output))


def _check_served(updates: Sequence[str]) -> None:
    """Raise a usage error unless a server's directory is all that is to be read."""
    if len(updates) > 1:
        raise click.UsageError("a server's directory has its updates; name it alone")
    options = click.get_current_context().command.params
    given = [one.opts[0] for one in options if one.name and one.name not in OF_SERVED and is_given(one.name)]
    if given:
        raise click.UsageError(
            f"a server's directory has its links and profiles; leave out {', '.join(given)}"
        )


def _write_served(
    project: Project, merge_profiles: MergeProfiles, output: str | None, *, csv_safe: bool
) -> None:
    """Write the profiles of a server's project, as they are at this moment."""
    from idmerge.server.people.directory import profiles_of  # noqa: PLC0415 - most runs have no server

    check_table_output([], output, csv_safe=csv_safe)
    with opened_to_read(str(project.journal)) as resolver, working("reading the profiles") as work:
        people = profiles_of(project, resolver, merge_profiles if is_given("merge_profiles") else None)
        work.begin("making the table")
        table = people.table()
        summary = f"{len(people):,} shown, {people.hidden_count:,} hidden ({people.merge_profiles})"
        facts = {**_facts(Run(files=0, malformed=MalformedLines()), people, seconds=0), "store": None}
    _tell_renamed(table, people)
    write_or_print(table, output, csv_safe=csv_safe, summary=summary, facts=facts)


def _tell_renamed(table: pa.Table, people: Profiles) -> None:
    if any("\ufffd" in name for name in table.column_names):
        tell_renamed(people.renamed())


def _choice_of_updates(spelling: Spelling) -> dict[str, Any]:
    """Return ``dialect=`` and ``columns=`` of UPDATES, and leave the rest to events."""
    dialect = PEOPLE if spelling.dialect == PEOPLE else None
    if dialect is not None:
        spelling.dialect = None
    return {"dialect": dialect, "columns": spelling.columns or None, "on_dialect": spelling.note}


def _read_links(  # noqa: PLR0913, PLR0917 - the file, and what it changes
    source: str | RereadableFile,
    resolver: Resolver,
    run: Run,
    links: RejectedLinks,
    bar: Progress,
    spelling: Spelling,
) -> None:
    path, name = path_of(source)
    api = resolver.policy.api
    arguments = spelling.with_api(api) if name is None else {"api": api}  # What is sorted is raw.
    for piece in scan(path, name=name, on_bytes=bar.advance, **arguments):
        if isinstance(piece, BadLine):
            run.malformed.add(piece.path, piece.line, piece.message)
            continue
        report = piece.apply_to(resolver)
        run.events += len(piece)
        run.links += len(report)
        run.rejected_links += report.rejected
        links.take(piece, report)


def _read_updates(path: str, people: Profiles, run: Run, bar: Progress, of_people: dict[str, Any]) -> None:
    is_begun = False
    for piece in read_updates(path, on_bytes=bar.advance, **of_people):
        if isinstance(piece, BadLine):
            run.malformed.add(piece.path, piece.line, piece.message)
            continue
        report = people.update_many(piece.events, continues=is_begun)
        is_begun = True
        run.count(report)
        for row, message in report.malformed.items():
            run.malformed.add(piece.path, piece.lines[row], message)


def _tell_notes(run: Run, links: RejectedLinks | None, sample: Sample, spelling: Spelling) -> None:
    if links is not None:
        links.tell(sample, events=run.events, told_empty=spelling.told_empty)
    if not run.outcomes:
        tell_note("no update was read, so no profile was changed")


def _print_summary(run: Run, people: Profiles, seconds: float) -> None:
    """Print the summary, which --json has once all files are written."""
    if not is_json():
        print_lines(_summary(run, people, seconds), err=True)


def _facts(run: Run, people: Profiles, seconds: float) -> dict[str, Any]:
    return {
        "files": run.files,
        "updates": run.outcomes.total() - run.outcomes[UpdateOutcome.MALFORMED],
        "malformed": run.malformed.count,
        "seconds": round(seconds, 3),
        "events": run.events,
        "links": run.links,
        "rejected": run.rejected_links,
        "outcomes": {outcome.name: count for outcome, count in sorted(run.outcomes.items()) if count},
        "operations": dict(run.operations),
        "folded": run.folded.total(),
        "shown": len(people),
        "hidden": people.hidden_count,
        "merge_profiles": people.merge_profiles,
    }


def _summary(run: Run, people: Profiles, seconds: float) -> Iterator[str]:
    updates = run.outcomes.total() - run.outcomes[UpdateOutcome.MALFORMED]
    yield labelled(
        "read", f"{counted(updates, 'update')} from {counted(run.files, 'file')} in {seconds:.2f} s"
    )
    if run.links:
        rejected = f", of which {run.rejected_links:,} rejected" if run.rejected_links else ""
        yield labelled("links", f"{run.links:,}{rejected}")
    applied = sum(count for outcome, count in run.outcomes.items() if outcome.accepted)
    yield labelled("applied", counted(applied, "update"))
    for operation, count in sorted(run.operations.items(), key=lambda item: -item[1]):
        yield f"{INDENT}{count:>7,}  {operation}"
    if run.folded:
        yield labelled(
            "folded",
            f"{counted(run.folded.total(), 'row')} of other IDs of "
            f"{counted(len(run.folded), 'person', 'people')}: what the canonical ID's row has stays, the "
            "rest is filled in",
        )
    if mismatched := run.outcomes[UpdateOutcome.MISMATCHED]:
        yield labelled(
            "mismatched", f"{counted(mismatched, 'update')} left a value of another type as it was"
        )
    if refused := run.outcomes[UpdateOutcome.INVALID_ID]:
        yield labelled("refused", f"{counted(refused, 'update')} for an ID that belongs to nobody")
    yield from run.malformed.lines()
    yield labelled(
        "profiles", f"{len(people):,} shown, {people.hidden_count:,} hidden ({people.merge_profiles})"
    )


def _check_call(  # noqa: PLR0913, PLR0917 - the files of a call
    updates: Sequence[str],
    events: Sequence[str],
    journal: str | None,
    output: str | None,
    store: str | None,
    project: str | None,
    *,
    sort: bool,
) -> None:
    """Raise a usage error unless one source of links is named, and no input is written over."""
    check_project_has_directory(project, updates[0])
    if bool(events) == bool(journal):
        raise click.UsageError(
            "name the files whose links say who is who by --events, or a journal by --journal"
        )
    if journal:
        check_rules_are_left_out()
        if sort:
            raise click.UsageError("the links of a journal have been judged in their order; leave --sort out")
    read_only = [*updates, *events, *filter(None, [journal])]
    if [*updates, *events].count(STDIN) > 1:
        raise click.UsageError("standard input can be read once; name files")
    check_no_journal([*updates, *events], "name it by --journal")
    check_outputs(read_only, {"--output": output, "--store": store})
