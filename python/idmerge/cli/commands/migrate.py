"""``idmerge migrate``: write the events of an Original project for a Simplified one."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from idmerge import Outcome, migration
from idmerge._formatting import counted, printable
from idmerge._naming import named
from idmerge.cli.completion import FILE
from idmerge.cli.dialects import Spelling, dialect_options
from idmerge.cli.journals import check_no_journal
from idmerge.cli.link_notes import NO_LINK, without_ids
from idmerge.cli.malformed import MalformedLines, list_malformed_option
from idmerge.cli.messages import give, is_json, labelled, print_lines, tell_note, tell_written
from idmerge.cli.options import expanded_files, policy_options, sort_option, strict_option
from idmerge.cli.output import check_outputs
from idmerge.cli.progress import in_order, progress, total_size
from idmerge.cli.sections import command
from idmerge.errors import MigrationError
from idmerge.files import BadLine, Sample, name_of, replacing
from idmerge.migration.directory import check_directory, size_of
from idmerge.migration.splitting import WAYS
from idmerge.migration.text import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge import Policy
    from idmerge.migration import Migration, MigrationReport, Verdict

FACTS = ("verified", "malformed", "report", "left_out", "updates", "report_output", "output")
"""The keys of an object of --json."""
REPORTS = (".json", ".html")
"""The suffixes of a report in a file."""


class Share(click.ParamType):  # type: ignore[type-arg]  # Generic since click 8.5.
    """A number from 0 to 1."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is no number from 0 to 1", param, ctx)
        return share


@command(
    short_help="Write events for a Simplified project.",
    help="""
    Read the events of a project of the Original ID Merge API in FILEs, resolve them, and write events that a
    project of Simplified ID Merge takes, and under which it shows the same people. docs/migration.md says
    what is kept, and what cannot be.

    FILE holds events of JSON: one object a line or one array, plain, gzip or zstd, - for standard input; or
    links in columns (see idmerge resolve). Or it is a directory of such files. They are read twice.

    DIR gets associations.ndjson, events.ndjson and profiles.ndjson, to be imported in this order, the planned
    mapping, and the report. It is written whole or not at all. Memory grows with the IDs, not the events.

    \b
    Example:
      idmerge migrate export.ndjson.gz --dry-run --report plan.html
      idmerge migrate export.ndjson.gz --user-id '[0-9]+' -o simplified
      idmerge migrate --verify simplified
    """,
)
@click.argument("files", type=FILE, metavar="FILE...", nargs=-1)
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Write it to this directory.")
@click.option("--dry-run", is_flag=True, help="Write nothing but the report.")
@click.option(
    "--report", type=FILE, metavar="FILE", help="Write the report to a file too: .json, or .html, one page."
)
@click.option(
    "--verify", type=FILE, metavar="DIR", help="Check that DIR, written before, shows the people of its plan."
)
@click.option(
    "--user-id",
    metavar="REGEX",
    help="The IDs that are users: those that the expression matches whole. By default those that Original "
    "saw as identified.",
)
@click.option(
    "--ambiguous",
    type=click.Choice(WAYS),
    default=WAYS[0],
    show_default=True,
    help="A cluster with several users: each keeps its own ID and devices (split), the first, the last or "
    "the most active one gets all, or it is an error.",
)
@click.option(
    "--floor",
    metavar="TIME",
    help="The time of every association; by default that of the first event of its device.",
)
@click.option(
    "--profiles",
    type=FILE,
    metavar="FILE",
    multiple=True,
    help="Updates of profiles as sent to /engage, or exported profiles; can be given again.",
)
@click.option(
    "--min-recovery",
    type=Share(),
    metavar="SHARE",
    default=0.0,
    help="Exit with code 1, and write nothing, if a smaller share of events keeps its person (0.9).",
)
@dialect_options
@sort_option
@strict_option
@list_malformed_option
@policy_options
def migrate(  # noqa: PLR0913 - click hands over each option
    *,
    files: Sequence[str],
    output: str | None,
    dry_run: bool,
    report: str | None,
    verify: str | None,
    user_id: str | None,
    ambiguous: Any,
    floor: str | None,
    profiles: Sequence[str],
    min_recovery: float,
    sort: bool,
    strict: bool,
    spelling: Spelling,
    policy: Policy,
) -> None:
    """Migrate the events of files, or verify a migration; the help says more."""
    if verify is not None:
        if files or output or dry_run or report:
            raise click.UsageError("--verify checks a directory alone; leave files and outputs out")
        _verify(verify)
        return
    paths = _checked(files, output, report, profiles, dry_run=dry_run)
    malformed = MalformedLines(strict=strict)
    sources = in_order(paths, spelling.arguments, is_sorted=sort)
    total = total_size(paths)
    with progress("reading", total, then="planning") as bar:
        try:
            migrated = migration.plan(
                sources,
                policy=policy,
                user_id=user_id,
                ambiguous=ambiguous,
                floor=floor,
                on_bytes=bar.advance,
                on_piece=partial(_take, malformed),
                **({} if sort else spelling.arguments),
            )
        except ValueError as error:
            raise _usage_error(error) from error
    spelling.tell()
    print_lines(malformed.lines(), err=True)
    found = migrated.report
    is_empty = not found.events and not found.ids
    if not is_empty and not is_json():
        print_lines(found.text().splitlines())
    if report is not None:
        _write_report(found, report)
    if is_empty:
        tell_note(f"{NOTHING}{'' if dry_run else '; nothing was written'}")
    else:
        _tell_note(found)
        migrated.check(min_recovery)
        if output is not None:
            _write(migrated, output, profiles, total, malformed)
    if is_json():
        outputs = {"report_output": report, "output": None if is_empty else output}
        counts = {"left_out": migrated.cut, "updates": dict(migrated.update_counts)}
        give(
            {
                **dict.fromkeys(FACTS),
                "malformed": malformed.count,
                "report": found.to_dict(),
                **counts,
                **outputs,
            }
        )


def _checked(
    files: Sequence[str], output: str | None, report: str | None, profiles: Sequence[str], *, dry_run: bool
) -> list[str]:
    """Return the files to read, once it is certain that the outputs can be made."""
    if not files:
        raise click.UsageError("Missing argument 'FILE...'.")
    if dry_run == (output is not None):
        raise click.UsageError("name a directory by -o, or give --dry-run; one of the two")
    if report is not None and not report.endswith(REPORTS):
        raise click.UsageError(f"'{named(report)}' must end with {' or '.join(REPORTS)}")
    paths = expanded_files(files)
    check_no_journal(paths, "name files of events")
    check_outputs([*paths, *profiles], {"--report": report})
    if output is not None:
        check_directory(output)
        place = os.path.realpath(output)
        for path in [*paths, *profiles]:
            if os.path.realpath(path).startswith(f"{place}{os.sep}"):
                raise click.UsageError(f"'{named(path)}' is in {named(output)}, which would be replaced")
    return paths


def _usage_error(error: ValueError) -> Exception:
    """Return a wrong value of an option as a usage error, and any other error as it is."""
    return click.UsageError(str(error)) if type(error) is ValueError else error


def _take(malformed: MalformedLines, piece: Any, report: Any) -> None:
    """Count the malformed lines and links of a piece."""
    if isinstance(piece, BadLine):
        malformed.add(piece.path, piece.line, piece.message)
        return
    wrong = np.flatnonzero(report.outcomes == Outcome.MALFORMED).tolist()
    for link in piece.judged(report, wrong):
        malformed.add(link.path, link.line, str(link.message))


def _tell_note(found: MigrationReport) -> None:
    """Print a note if no event has an ID, or no link was read."""
    if not found.ids:
        tell_note(without_ids(found.events, Sample()))
    elif not found.links and not found.clusters:
        tell_note(NO_LINK)


def _write_report(report: MigrationReport, path: str) -> None:
    text = report.html() if path.endswith(".html") else json.dumps(report.to_dict(), indent=2) + "\n"
    with replacing(path) as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))
    tell_written("the report", path)


def _write(
    migrated: Migration, output: str, profiles: Sequence[str], total: int | None, malformed: MalformedLines
) -> None:
    bad: list[BadLine] = []
    bytes_of_profiles = total_size(profiles)
    both = None if total is None or bytes_of_profiles is None else total + bytes_of_profiles
    with progress("writing", both, then="writing the plan") as bar:
        migrated.write(output, profiles=profiles, on_bytes=bar.advance, on_bad=partial(_add, malformed, bad))
    if not is_json():
        print_lines(_written(migrated, output, profiles, bad), err=True)


def _add(malformed: MalformedLines, bad: list[BadLine], line: BadLine) -> None:
    malformed.add(line.path, line.line, line.message)
    bad[:] = [line]


def _written(
    migrated: Migration, output: str, profiles: Sequence[str], bad: Sequence[BadLine]
) -> Iterator[str]:
    found = migrated.report
    events = counted(found.events - found.identity_events, "event")
    yield labelled("written", f"{counted(found.associations, 'association')} and {events} to {named(output)}")
    if migrated.cut:
        name = "names" if migrated.cut == 1 else "name"
        yield labelled(
            "", f"{counted(migrated.cut, 'event')} {name} a device or a user that is not planned: left out"
        )
    if profiles:
        counts = ", ".join(f"{count:,} {what}" for what, count in migrated.update_counts.items())
        files = ", ".join(map(name_of, profiles))
        yield labelled("profiles", f"{counts or 'no update'} in {printable(files)}")
    if bad:
        yield labelled("", "lines of profiles that are no update were passed over")


def _verify(path: str) -> None:
    """Compare the people of a directory with its plan, and print the answer.

    Raises:
        MigrationError: They differ, or a file was altered.
    """
    with progress("verifying", size_of(path), then="comparing") as bar:
        verdict = migration.verify(path, bar.advance)
    compared = {"is_right": bool(verdict), **asdict(verdict)}
    give({**dict.fromkeys(FACTS), "verified": compared}, _answer(verdict))
    if not verdict:
        raise MigrationError(
            f"{path}: the events do not show the people of the plan"
            if verdict.differing or verdict.refused
            else f"{path}: the files are not those that were written"
        )


def _answer(verdict: Verdict) -> Iterator[str]:
    ids, people = counted(verdict.ids, "ID"), "person" if verdict.people == 1 else "people"
    read = f"{counted(verdict.events, 'event')}, {ids} and {verdict.people:,} {people} of the plan"
    if verdict:
        yield labelled("verified", f"{read}: each ID is its person's")
        return
    yield labelled("read", read)
    if verdict.events != verdict.planned_events:
        yield labelled("planned", f"{counted(verdict.planned_events, 'event')}")
    if verdict.refused:
        yield labelled("refused", f"{counted(verdict.refused, 'identity event')}, with the whole batch")
    if verdict.altered:
        yield labelled("altered", f"{', '.join(verdict.altered)}: not as written")
    for place, (each, planned, found) in enumerate(verdict.differences):
        to = "is not in the plan" if planned is None else f"is planned as {printable(planned)}"
        label = "" if place else "differing"
        yield labelled(label, f"{printable(each)} {to}, and is shown as {printable(found)}")
    if verdict.differing > len(verdict.differences):
        yield labelled("", f"and {verdict.differing - len(verdict.differences):,} more")
