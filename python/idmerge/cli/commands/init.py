"""``idmerge init``: write an ``idmerge.toml`` with guesses of what the events are about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idmerge._naming import named
from idmerge.cli.completion import FILE
from idmerge.cli.dialects import Spelling, dialect_options
from idmerge.cli.malformed import list_malformed_option
from idmerge.cli.messages import sum_up, tell_written
from idmerge.cli.options import api_option, canonical_option, policy_options, sort_option, zone_option
from idmerge.cli.output import STDOUT, check_overwriting
from idmerge.cli.reported import reported, tell_guesses
from idmerge.cli.sections import command
from idmerge.cli.served import is_served, project_option
from idmerge.cli.settings import CONFIG, QUESTIONS, Settings, settings_text
from idmerge.files import STDIN, check_replaceable, replacing
from idmerge.reporting import guess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge import Policy
    from idmerge.reporting import Guesses


@command(
    short_help="Write an idmerge.toml with guesses.",
    help="""
    Look for the events and properties that are a sign-up, a purchase and its amount, a campaign and content,
    and write what is found to an idmerge.toml, with the reason of each. idmerge report and idmerge ask take
    the file beside the data, or by --config; correct there what is wrong.

    EVENTS are those of idmerge report. The file is beside them by default. If it is there already, --force
    replaces it; what it states of the spelling of events is kept.

    \b
    Example:
      idmerge init exports/
      idmerge init export.ndjson.gz -o shop.toml
    """,
)
@click.argument("events", type=FILE, metavar="EVENTS...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    help=f"Write it here, not to {CONFIG} beside the data; - is standard output.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@project_option
@dialect_options
@api_option
@sort_option
@zone_option("--times-in")
@list_malformed_option
@canonical_option
@policy_options
def init(  # noqa: PLR0913 - click hands over each option
    *,
    events: Sequence[str],
    output: str | None,
    force: bool,
    project: str | None,
    spelling: Spelling,
    sort: bool,
    times_in: str | None,
    canonical: Any,
    policy: Policy,
) -> None:
    """Write the settings; the help says more."""
    path = _output(events, output, force=force)
    found = reported(
        guess,
        events,
        project=project,
        spelling=spelling,
        sort=sort,
        times_in=times_in,
        policy=policy,
        canonical=canonical,
    )
    tell_guesses(found.names)
    text = _text(found, spelling)
    if path == STDOUT:
        click.echo(text, nl=False)
    else:
        with replacing(path) as stream:
            stream.write(text.encode())
        tell_written("the settings", path)
    facts = {
        "sources": [*found.reading.sources],
        "events": found.reading.events,
        "guesses": [each.to_dict() for each in found.names],
        "output": None if path == STDOUT else path,
    }
    sum_up(facts, beside_data=path == STDOUT)


def _output(events: Sequence[str], output: str | None, *, force: bool) -> str:
    """Return the path of the file, or raise a usage error if it cannot be written."""
    if output == STDOUT:
        return output
    if output is None:
        first = Path(events[0])
        place = Path() if events[0] == STDIN else first if first.is_dir() else first.parent
        if is_served(str(place)):
            raise click.UsageError(
                f"'{named(place / CONFIG)}' has a server's settings; name another file by -o, and give it to "
                "commands by --config"
            )
        output = str(place / CONFIG)
    elif (target := Path(output).resolve()).name == CONFIG and is_served(str(target.parent)):
        raise click.UsageError(f"'{named(output)}' has a server's settings; name another file by -o")
    if Path(output).exists() and not force:
        raise click.UsageError(
            f"'{named(output)}' is there already; --force replaces it, -o names another file"
        )
    check_overwriting([path for path in events if not Path(path).is_dir()], [output])
    check_replaceable(output)
    return output


def _text(found: Guesses, spelling: Spelling) -> str:
    """Return the text of the file: the names that were found, and how the events are spelt."""
    options = found.options
    questions: dict[str, Any] = dict(options.named)
    if options.content is not None:
        questions["by_path"] = bool(options.by_path)
    questions |= {key: str(getattr(options, key)) for key in ("within", "timezone")}
    settings = Settings(
        dialect=spelling.dialect,
        columns=spelling.columns,
        questions={key: questions[key] for key in QUESTIONS if key in questions},
    )
    why = {each.name: each.reason for each in found.names}
    return settings_text(settings, why, read_as=found.reading.dialects)
