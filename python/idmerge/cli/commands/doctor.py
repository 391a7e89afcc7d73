"""``idmerge doctor``: find faults in an implementation of identity."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from idmerge.cli.completion import FILE
from idmerge.cli.dialects import Spelling, dialect_options
from idmerge.cli.journals import is_journal
from idmerge.cli.link_notes import NO_LINK, NOTHING, without_ids
from idmerge.cli.messages import coloured, give, is_json, print_lines, tell_note, tell_written
from idmerge.cli.notes import tell_simplified
from idmerge.cli.options import (
    FILES_HELP,
    api_option,
    canonical_option,
    check_rules_are_left_out,
    expanded_files,
    is_given,
    limit_option,
    policy_options,
    sort_option,
    timezone_option,
)
from idmerge.cli.output import STDOUT, check_outputs, is_printed
from idmerge.cli.progress import in_order, progress, total_size, working
from idmerge.cli.sections import command
from idmerge.cli.served import project_option
from idmerge.cli.served_events import of_directory, served_events
from idmerge.cli.wrapping import width_of
from idmerge.doctor import Limits, Severity, examine, examine_journal
from idmerge.files import Sample, replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idmerge import Policy
    from idmerge.cli.messages import Level
    from idmerge.doctor import Diagnosis

TEXT = "text"
FORMATS: dict[str, Callable[[Diagnosis], str]] = {
    TEXT: lambda diagnosis: diagnosis.text(),
    "json": lambda diagnosis: json.dumps(diagnosis.to_dict(), indent=2) + "\n",
    "html": lambda diagnosis: diagnosis.html(),
}
LEVELS: dict[Severity, Level] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "note",
}
FAIL_ON = {"error": Severity.ERROR, "warning": Severity.WARNING}


@command(
    short_help="Find what is wrong with identity in events.",
    help=f"""
    Look for what goes wrong with identity: devices that are shared without a reset, users who lose their
    anonymous ID again and again, IDs that belong to nobody, identify called the wrong way, and more. Each
    finding says how many events it touches, shows examples, and what to change; docs/doctor.md lists them.

    {FILES_HELP}

    Or FILE is one journal, whose links are looked at, for it holds no events. Or it is the directory of a
    server, which may run; its events are judged again, by its policy.

    FILEs are read twice. Memory grows with the IDs and the links, and by 16 bytes an event.

    \b
    Example:
      idmerge doctor export.ndjson.gz
      idmerge doctor export.ndjson.gz --format html -o check-up.html
      idmerge doctor export.ndjson.gz --profiles engage.ndjson
      idmerge doctor export.ndjson --fail-on error > check-up.txt
    """,
)
@click.argument("files", type=FILE, metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--profiles",
    type=FILE,
    metavar="FILE",
    help="Updates of profiles as sent to /engage, one JSON object a line or in an array: which set profiles "
    "of nobody?",
)
@click.option("--format", "format_name", type=click.Choice(list(FORMATS)), default=TEXT, show_default=True)
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write it here, not to standard output (-).")
@click.option(
    "--fail-on", type=click.Choice(list(FAIL_ON)), help="Exit with code 1 if something as grave is found."
)
@limit_option("--events-a-day", Limits().events_a_day, "Most events of one ID on one day (UTC).")
@limit_option(
    "--anon-ids-a-day",
    Limits().anon_ids_a_day,
    "Most anonymous IDs that a user may reasonably come under within 24 hours.",
)
@limit_option("--partners", Limits().partners, "Most other IDs that an ID may reasonably be linked with.")
@project_option
@dialect_options
@api_option
@sort_option
@timezone_option
@canonical_option
@policy_options
def doctor(  # noqa: PLR0913 - click hands over each option
    *,
    files: Sequence[str],
    profiles: str | None,
    format_name: str,
    output: str | None,
    fail_on: str | None,
    events_a_day: int,
    anon_ids_a_day: int,
    partners: int,
    project: str | None,
    spelling: Spelling,
    sort: bool,
    timezone: str | None,
    canonical: Any,
    policy: Policy,
) -> None:
    """Find what is wrong with identity; the help says more."""
    served = served_events(files, project, judged=False)
    directory = files[0]
    if served is not None:
        files, policy = [served.path], served.project.policy
        canonical = served.project.canonical or canonical
        timezone = timezone or served.project.timezone
    paths = expanded_files(files)
    _check(paths, profiles, output)
    if is_json() and is_printed(output) and is_given("format_name"):
        raise click.UsageError("--json prints the findings itself; leave --format out, or name a file by -o")
    limits = Limits(events_a_day=events_a_day, anon_ids_a_day=anon_ids_a_day, partners=partners)
    if is_journal(paths[0]):
        with working("reading the journal") as work:
            checking = partial(work.turn, "examining")
            diagnosis = examine_journal(paths[0], limits=limits, on_check=checking)
    else:
        sources = in_order(paths, spelling.with_api(policy.api), is_sorted=sort)
        total = total_size([source if isinstance(source, str) else source.path for source in sources])
        with progress("reading twice", None if total is None else 2 * total, then="examining") as bar:
            diagnosis = examine(
                sources,
                policy=policy,
                canonical=canonical,
                profiles=profiles,
                limits=limits,
                on_bytes=bar.advance,
                timezone=timezone,
                on_check=partial(bar.turn, "examining"),
                **({} if sort else spelling.arguments),
            )
        spelling.tell()
    diagnosis = diagnosis if served is None else of_directory(diagnosis, directory)
    is_simplified = any(finding.code == "simplified" for finding in diagnosis.findings)
    if is_simplified:
        tell_simplified()
    if not is_json() and format_name == TEXT and is_printed(output):
        _print(diagnosis)
    elif not is_json() or not is_printed(output):
        _write(FORMATS[format_name](diagnosis), output)
    if not is_simplified:
        _tell_note(diagnosis, spelling)
    if is_json():
        give(diagnosis.to_dict())
    worst = diagnosis.worst()
    if fail_on and worst is not None and worst <= FAIL_ON[fail_on]:
        click.get_current_context().exit(1)


def _check(files: Sequence[str], profiles: str | None, output: str | None) -> None:
    """Raise a usage error for options that contradict, or a file that would be written over."""
    if any(map(is_journal, files)):
        if len(files) > 1:
            raise click.UsageError("a journal is looked at alone, without other files")
        check_rules_are_left_out()
        if profiles:
            raise click.UsageError("--profiles goes with files of events, not with a journal")
    check_outputs([*files, *filter(None, [profiles])], {"--output": output})


def _tell_note(diagnosis: Diagnosis, spelling: Spelling) -> None:
    """Print a note if no link, or nothing at all, was read."""
    overview = diagnosis.overview
    if overview.ids:
        if not overview.links:
            tell_note(NO_LINK)
    elif overview.events:
        tell_note(without_ids(overview.events, Sample()))
    elif not spelling.told_empty and not overview.links:
        tell_note(NOTHING)


def _print(diagnosis: Diagnosis) -> None:
    """Print the text, which fits the terminal, with the severities in colour."""
    text = diagnosis.text(width=width_of(sys.stdout), styled=_coloured)
    print_lines(text.splitlines())


def _coloured(word: str, severity: Severity) -> str:
    return coloured(word, LEVELS[severity])


def _write(text: str, output: str | None) -> None:
    if output is None or output == STDOUT:
        click.echo(text, nl=False)
        return
    with replacing(output) as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))
    tell_written("the check-up", output)
