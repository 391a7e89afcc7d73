"""``idmerge report``: one page with three answers, what stitching changed, and a check-up."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, get_args

import click

from idmerge._naming import named
from idmerge.cli.completion import FILE
from idmerge.cli.dialects import Spelling, dialect_options
from idmerge.cli.malformed import list_malformed_option
from idmerge.cli.messages import is_json, print_lines, sum_up, tell_note, tell_written
from idmerge.cli.options import (
    Length,
    Zone,
    api_option,
    canonical_option,
    policy_options,
    sort_option,
    zone_option,
)
from idmerge.cli.output import STDOUT, check_outputs, is_printed
from idmerge.cli.reported import reported, tell_guesses
from idmerge.cli.sections import command
from idmerge.cli.served import project_option
from idmerge.cli.settings import QUESTIONS, with_settings
from idmerge.cli.wrapping import width_of
from idmerge.files import replacing
from idmerge.questions import Model
from idmerge.reporting import ReportOptions
from idmerge.reporting import report as report_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idmerge import Policy
    from idmerge.reporting import IdentityReport

DEFAULT = ReportOptions()
FORMATS: dict[str, Callable[[IdentityReport], str]] = {
    "html": lambda found: found.html(),
    "text": lambda found: found.text(),
    "json": lambda found: json.dumps(found.to_dict(), indent=2, default=str) + "\n",
}
SUFFIXES = {".html": "html", ".txt": "text", ".json": "json"}
"""The formats that the suffix of a file names."""


def name_option(name: str, metavar: str, text: str) -> Callable[..., Any]:
    """Return the option of a name that is guessed if it is not given."""
    return click.option(f"--{name}", metavar=metavar, help=f"{text} Guessed by default.")


@command(
    short_help="Write one page with three answers and a check-up.",
    help="""
    Answer three questions to events, each with and without stitching, and look for what is wrong with
    identity, in one report: which share of visitors signs up, which campaign brought the revenue, which
    content leads to sign-ups.

    EVENTS are raw, as idmerge stitch takes them, or the directory of a server, which may run. Or they are
    Parquet that idmerge stitch wrote; then there is no check-up. Which events and properties count is
    guessed from their names, and said; options, or an idmerge.toml that idmerge init writes, name others.

    The suffix of -o names the format: .html is one page that needs nothing else, .txt text, .json data.
    Without -o the text goes to standard output.

    Raw events are read three times, and are kept stitched in the temporary directory meanwhile.

    \b
    Example:
      idmerge report export.ndjson.gz -o report.html
      idmerge report export.ndjson.gz --signup Registered --within 7d -o report.html
      idmerge report export.ndjson.gz --from-date 2024-01-01 --to-date 2024-03-31
    """,
)
@click.argument("events", type=FILE, metavar="EVENTS...", nargs=-1, required=True)
@name_option("signup", "EVENT", "The event of signing up.")
@name_option("purchase", "EVENT", "The event of buying.")
@name_option("amount", "PROPERTY", "The property of a purchase that holds what was paid.")
@name_option("currency", "PROPERTY", "The property of a purchase that names the currency of the amount.")
@name_option("campaign", "PROPERTY", "The property that names a campaign.")
@name_option("content-event", "EVENT", "The event of reading or viewing something.")
@name_option("content", "PROPERTY", "The property of that event that says what.")
@click.option(
    "--by-path/--no-by-path",
    default=None,
    help="Whether that property holds URLs, of which the paths count. Guessed by default.",
)
@click.option(
    "--within",
    type=Length(),
    metavar="LENGTH",
    default=str(DEFAULT.within),
    show_default=True,
    help="The longest time from content to a sign-up: a number and w, d, h, m or s.",
)
@click.option(
    "--model",
    type=click.Choice(get_args(Model)),
    default=DEFAULT.model,
    show_default=True,
    help="Who is credited with a purchase: its last touch, its first, or all of them in equal parts.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="N",
    default=DEFAULT.top,
    show_default=True,
    help="Sum up all but the first N campaigns, and all but the first N values of content.",
)
@click.option(
    "--min-persons",
    type=click.IntRange(min=0),
    metavar="N",
    default=DEFAULT.min_persons,
    help="Sum up campaigns and content of fewer persons.",
)
@click.option(
    "--where",
    metavar="EXPR",
    help="Answer by the events that meet a condition: an expression of DuckDB's SQL over their columns and "
    "properties.",
)
@click.option(
    "--from-date", metavar="DATE", help="Answer by the events of this day, such as 2024-01-31, and later."
)
@click.option("--to-date", metavar="DATE", help="Answer by the events of this day and earlier.")
@click.option(
    "--timezone",
    "zone",
    type=Zone(),
    metavar="ZONE",
    default=DEFAULT.timezone,
    show_default=True,
    help="The zone of days, and of time in --where.",
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    help="Write it here: .html, .txt or .json; - is standard output.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    help="The format, where no suffix names it; text by default.",
)
@project_option
@dialect_options
@api_option
@sort_option
@zone_option("--times-in")
@list_malformed_option
@canonical_option
@policy_options
def report(  # noqa: PLR0913 - click hands over each option
    *,
    events: Sequence[str],
    output: str | None,
    format_name: str | None,
    project: str | None,
    spelling: Spelling,
    sort: bool,
    times_in: str | None,
    canonical: Any,
    policy: Policy,
    **options: Any,
) -> None:
    """Write a report; the help says more."""
    format_name = _format(output, format_name)
    check_outputs(filter(None, [*events, spelling.settings.path]), {"--output": output})
    keys = {"zone" if key == "timezone" else key: key for key in QUESTIONS}
    options = with_settings(options, spelling.settings, keys)
    options["timezone"] = options.pop("zone")
    try:
        ReportOptions(**options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    found = reported(
        report_on,
        events,
        project=project,
        spelling=spelling,
        sort=sort,
        times_in=times_in,
        policy=policy,
        canonical=canonical,
        **options,
    )
    tell_guesses(found.guesses)
    for section in found.sections:
        if section.answer is None:
            tell_note(f"{section.question} {section.headline.sentence}")
        else:
            for note in section.answer.notes:
                tell_note(note)
    to_file = None if is_printed(output) else output
    if to_file is not None:
        with replacing(to_file) as stream:
            stream.write(FORMATS[format_name](found).encode("utf-8", "backslashreplace"))
        tell_written("the report", to_file)
    elif not is_json():
        _print(found, format_name)
    sum_up({**found.to_dict(), "output": to_file})


def _format(output: str | None, format_name: str | None) -> str:
    """Return the format of the report, or raise a usage error."""
    if output == STDOUT or output is None:
        if is_json() and format_name is not None:
            raise click.UsageError(
                "--json prints the report itself; leave --format out, or name a file by -o"
            )
        return format_name or "text"
    named_by_path = next((name for suffix, name in SUFFIXES.items() if output.endswith(suffix)), None)
    chosen = format_name or named_by_path
    if chosen is None:
        raise click.UsageError(
            f"'{named(output)}' has no suffix that names a format; expected one of {', '.join(SUFFIXES)}, or "
            "--format"
        )
    return chosen


def _print(found: IdentityReport, format_name: str) -> None:
    if format_name == "text":
        print_lines(found.text(width=width_of(sys.stdout)).splitlines())
    else:
        click.echo(FORMATS[format_name](found), nl=False)
