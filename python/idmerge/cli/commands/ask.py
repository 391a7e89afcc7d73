"""``idmerge ask``: questions about stitched events, each answered with and without stitching."""

from __future__ import annotations

import sys
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from idmerge import DurableResolver, Policy, Resolver, StitchedEvents
from idmerge._naming import named
from idmerge.cli.completion import FILE
from idmerge.cli.dialects import Spelling, dialect_options
from idmerge.cli.journals import is_journal, opened_to_read
from idmerge.cli.link_notes import RejectedLinks
from idmerge.cli.malformed import MalformedLines, list_malformed_option
from idmerge.cli.messages import give, is_json, print_lines, sum_up, tell_note, tell_written
from idmerge.cli.notes import tell_signs
from idmerge.cli.options import (
    Length,
    Zone,
    api_option,
    canonical_option,
    expanded_files,
    given_policy,
    is_given,
    policy_options,
    sort_option,
    zone_option,
)
from idmerge.cli.output import (
    STDOUT,
    check_csv_safe,
    check_outputs,
    check_printed,
    csv_safe_option,
    file_option,
    output_option,
    suffix_of,
    write_or_print,
)
from idmerge.cli.progress import in_order, progress, total_size, working
from idmerge.cli.sections import SectionedCommand
from idmerge.cli.served import project_option
from idmerge.cli.served_events import served_events
from idmerge.cli.settings import with_settings
from idmerge.cli.suggestions import SuggestingGroup
from idmerge.cli.wrapping import width_of
from idmerge.files import STDIN, BadLine, replacing, sampled
from idmerge.pages.figures import check_installed
from idmerge.questions import (
    Answer,
    Attribution,
    Conversion,
    Funnel,
    Model,
    Period,
    Question,
    Retention,
    SignupRate,
    is_stitched,
)
from idmerge.questions.cohorts import MOST_WEEKS, WEEKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from idmerge import Report
    from idmerge.files import Piece

FACTS = ("title", "finding", "about", "rows", "sql", "chart", "output")
"""The keys of an object of --json."""
CHARTS = (".svg", ".png", ".html")

EVENTS_HELP = """
    EVENTS are stitched: Parquet that idmerge stitch wrote, a file or a directory. Or they are raw, as idmerge
    stitch takes them, and are stitched for this question alone, by the rules that options give. Or they are
    the directory of a server, which may run, and are stitched by its journal. The answer goes to standard
    output as text, or with -o to a file.
"""


@click.group(
    cls=SuggestingGroup,
    short_help="Answer questions with and without stitching.",
    help=f"""
    Answer a question to events twice, side by side: by persons, and by IDs as they were sent.

    {EVENTS_HELP}

    --sql prints the statement for DuckDB that a question runs, to be taken to where the events are.

    \b
    Example:
      idmerge ask signup-rate stitched.parquet --by week
      idmerge ask attribution stitched.parquet --model linear --chart c.html
      idmerge ask conversion stitched.parquet --from "Read Post" --by post
      idmerge ask attribution --sql
    """,
)
def ask() -> None:
    """The group of questions; its help is above."""


def question(
    settings: Mapping[str, str] | None = None, **texts: str
) -> Callable[[Callable[..., Question]], click.Command]:
    """Make a subcommand of a function that builds a question from its own options.

    ``settings`` are the keys of ``[questions]`` in the settings, by the options that they are for.
    """
    keys = {**(settings or {}), "zone": "timezone"}

    def command(build: Callable[..., Question]) -> click.Command:
        @wraps(build)
        def run(  # noqa: PLR0913 - click hands over each option
            *,
            events: Sequence[str],
            sql: bool,
            chart: str | None,
            output: str | None,
            sort: bool,
            times_in: str | None,
            csv_safe: bool,
            policy: Policy,
            canonical: Any,
            spelling: Spelling,
            project: str | None,
            **options: Any,
        ) -> None:
            served = served_events(events, project)
            if served is not None:
                policy = served.project.policy
            options = with_settings(options, spelling.settings, keys)
            zone = options.pop("zone")
            try:
                asked = build(**options, timezone=zone, blocked_ids=policy.blocked_ids)
            except ValueError as error:
                raise click.UsageError(str(error)) from error
            check_csv_safe(suffix_of(output) if output else "", csv_safe=csv_safe)
            if served is None:
                relation: Callable[..., Any] = partial(
                    stitched_relation, events, Resolver(policy, canonical), spelling
                )
            else:
                journal = opened_to_read(str(served.project.journal))
                resolver = click.get_current_context().with_resource(journal)
                relation = partial(stitched, [served.path], resolver, spelling, apply=False)
                times_in = times_in or served.project.timezone
            reading = partial(relation, sort=sort, timezone=times_in)
            _answer(asked, events, reading, sql=sql, chart=chart, output=output, csv_safe=csv_safe)

        decorated: Callable[..., Any] = dialect_options(api_option(canonical_option(policy_options(run))))
        for option in reversed(SHARED):
            decorated = option(decorated)
        return ask.command(cls=SectionedCommand, **texts)(decorated)

    return command


LIMITS = (
    click.option(
        "--where",
        metavar="EXPR",
        help="Count the events that meet a condition: an expression of DuckDB's SQL over their columns and "
        "properties.",
    ),
    click.option(
        "--from-date", metavar="DATE", help="Count the events of this day, such as 2024-01-31, and later."
    ),
    click.option("--to-date", metavar="DATE", help="Count the events of this day and earlier."),
    click.option(
        "--timezone",
        "zone",
        type=Zone(),
        metavar="ZONE",
        default=Question.timezone,
        show_default=True,
        help="The zone of days, weeks and months, and of time in --where.",
    ),
)
SHARED = (
    click.argument("events", type=FILE, metavar="EVENTS...", nargs=-1),
    click.option("--sql", is_flag=True, help="Print the statement and run nothing; EVENTS can be left out."),
    file_option("--chart", suffixes=CHARTS, text=f"Draw the answer: {', '.join(CHARTS)}."),
    output_option("the answer's table here"),
    project_option,
    sort_option,
    zone_option("--times-in"),
    csv_safe_option,
    list_malformed_option,
    *LIMITS,
)


def ranked(*, by: str) -> Callable[[Callable[..., Question]], Callable[..., Question]]:
    """Give a question whose rows are values of the property of ``by`` the options for them."""

    def decorated(build: Callable[..., Question]) -> Callable[..., Question]:
        for option in reversed(
            (
                click.option(
                    "--top",
                    type=click.IntRange(min=1),
                    metavar="N",
                    help="Sum up all but the first N rows in one.",
                ),
                click.option(
                    "--min-persons",
                    type=click.IntRange(min=0),
                    metavar="N",
                    default=0,
                    help="Sum up the rows of fewer persons in one.",
                ),
                click.option(
                    "--by-path",
                    is_flag=True,
                    help=f"Take {by} for URLs, and count by their paths: without origin, query, fragment and "
                    "last slash.",
                ),
            )
        ):
            build = option(build)
        return build

    return decorated


@question(
    {"signup": "signup"},
    name="signup-rate",
    short_help="Which share of visitors signs up?",
    help=f"""
    Which share of visitors signs up?

    A visitor is a person with at least one event that carries an ID.

    {EVENTS_HELP}
    """,
)
@click.option(
    "--signup", metavar="EVENT", default="Sign Up", show_default=True, help="The event of signing up."
)
@click.option(
    "--by",
    type=click.Choice(get_args(Period)),
    help="Count persons apart by when their first event was.",
)
def signup_rate(**options: Any) -> Question:
    """Return the question."""
    return SignupRate(**options)


@question(
    {"purchase": "purchase", "amount": "amount", "campaign": "campaign", "currency": "currency"},
    name="attribution",
    short_help="How much revenue came from which campaign?",
    help=f"""
    How much revenue came from which campaign?

    A touch is an event with a campaign, by the person who buys, before the purchase or at the same time.
    Revenue without any is in the row (none).

    {EVENTS_HELP}
    """,
)
@click.option(
    "--purchase", metavar="EVENT", default="Purchase", show_default=True, help="The event of buying."
)
@click.option(
    "--amount",
    metavar="PROPERTY",
    default="amount",
    show_default=True,
    help="The property that holds what was paid.",
)
@click.option(
    "--campaign",
    metavar="PROPERTY",
    default="utm_campaign",
    show_default=True,
    help="The property that names a campaign.",
)
@click.option(
    "--model",
    type=click.Choice(get_args(Model)),
    default="last-touch",
    show_default=True,
    help="Who is credited with a purchase: its last touch, its first, or all of them in equal parts.",
)
@click.option(
    "--currency",
    metavar="PROPERTY",
    help="The property that names the currency of an amount; each currency has rows of its own.",
)
@ranked(by="campaigns")
def attribution(**options: Any) -> Question:
    """Return the question."""
    return Attribution(**options)


@question(
    {"start": "content_event", "goal": "signup", "by": "content", "by_path": "by_path", "within": "within"},
    name="conversion",
    short_help="What leads people to a goal?",
    help=f"""
    Which blog post leads to sign-ups, or which value of a property to another event?

    For each value of the property --by: how many persons did the event --from, and how many of them the event
    --to, at the same time or after it.

    {EVENTS_HELP}
    """,
)
@click.option(
    "--from", "start", metavar="EVENT", default="Read Post", show_default=True, help="Where people start."
)
@click.option(
    "--to", "goal", metavar="EVENT", default="Sign Up", show_default=True, help="Where they may get to."
)
@click.option(
    "--by",
    metavar="PROPERTY",
    default="post",
    show_default=True,
    help="The property of --from to count persons by.",
)
@click.option(
    "--within",
    type=Length(),
    metavar="LENGTH",
    default="30d",
    show_default=True,
    help="The longest time between the two: a number and w, d, h, m or s.",
)
@ranked(by="values")
def conversion(**options: Any) -> Question:
    """Return the question."""
    return Conversion(**options)


@question(
    name="funnel",
    short_help="How many persons get from step to step?",
    help=f"""
    How many persons did one event, then another one after it, and so on?

    {EVENTS_HELP}
    """,
)
@click.option(
    "--step",
    "steps",
    metavar="EVENT",
    multiple=True,
    help="An event; give it for each step, in their order.",
)
@click.option(
    "--within",
    type=Length(),
    metavar="LENGTH",
    help="The longest time from the first step to the last: a number and w, d, h, m or s. Any by default.",
)
def funnel(**options: Any) -> Question:
    """Return the question."""
    return Funnel(**options)


@question(
    name="retention",
    short_help="How many persons come back, week by week?",
    help=f"""
    How many persons come back in the weeks after their first event?

    A row is a week, from Monday, with the persons whose first event was in it; columns are the weeks after
    it, and the shares of these persons who came back. Weeks that were not over when the last event came have
    none. With --from-date, who had a first event before that day is in no row.

    {EVENTS_HELP}
    """,
)
@click.option(
    "--first", metavar="EVENT", help="The event whose first one makes a person count. Any by default."
)
@click.option("--then", metavar="EVENT", help="The event of coming back. Any by default.")
@click.option(
    "--weeks",
    type=click.IntRange(1, MOST_WEEKS),
    metavar="N",
    default=WEEKS,
    show_default=True,
    help="How many weeks after the first.",
)
def retention(**options: Any) -> Question:
    """Return the question."""
    return Retention(**options)


def _answer(  # noqa: PLR0913 - a question and the outputs of its answer
    asked: Question,
    events: Sequence[str],
    reading: Callable[[], Any],
    *,
    sql: bool,
    chart: str | None,
    output: str | None,
    csv_safe: bool,
) -> None:
    if not events and not sql:
        raise click.UsageError("Missing argument 'EVENTS...'.")
    if sql and (chart or output):
        raise click.UsageError("--sql runs nothing, so there is nothing for --chart or -o; leave one out")
    check_outputs(events, {"--chart": chart, "--output": output})
    if chart and not chart.endswith(".html"):
        check_installed("matplotlib")
    if output == STDOUT:
        check_printed(suffix_of(output))
    if sql:
        with working("looking for properties"):
            statement = asked.sql(reading() if events else None)
        _print_statement(statement)
        return
    relation = reading()
    with working("answering"):
        answer = asked.ask(relation).read_from(events)
    if chart:
        with working("drawing"):
            drawing = answer.drawn(Path(chart).suffix[1:])  # type: ignore[arg-type]
        with replacing(chart) as stream:
            stream.write(drawing)
        tell_written("the chart", chart)
    if output:
        write_or_print(answer.table, output, csv_safe=csv_safe)
    else:
        _print_answer(answer)
    for note in answer.notes:
        tell_note(note)
    sum_up(_facts(answer, chart, output), beside_data=output == STDOUT)


def _print_statement(statement: str) -> None:
    if is_json():
        give({**dict.fromkeys(FACTS), "sql": statement})
    else:
        click.echo(statement)


def _print_answer(answer: Answer) -> None:
    """Print the answer, which --json has once all files are written."""
    if not is_json():
        print_lines(answer.text(width=width_of(sys.stdout)).splitlines())


def _facts(answer: Answer, chart: str | None, output: str | None) -> dict[str, Any]:
    texts = answer.title, answer.finding, answer.about
    files = chart, None if output == STDOUT else output
    return dict(zip(FACTS, (*texts, [*answer], answer.sql, *files), strict=True))


def stitched_relation(
    paths: Sequence[str],
    resolver: Resolver,
    spelling: Spelling,
    *,
    sort: bool = False,
    timezone: str | None = None,
) -> Any:
    """Return the events at ``paths`` for a question; raw ones are stitched by ``resolver``.

    Raises:
        click.UsageError: Some are stitched and some are not, or rules come with stitched ones.
        FileFormatError: A file is damaged.
        OSError: A file cannot be opened.
    """
    for path in paths:
        if is_journal(path):
            raise click.UsageError(f"'{named(path)}' is a journal and holds no events; name files of events")
    are_stitched = {path != STDIN and is_stitched(Path(path), **spelling.choice) for path in paths}
    if are_stitched == {True}:
        if is_given("canonical") or given_policy().keys() - {"blocked_ids"}:
            raise click.UsageError("stitched events have been judged; leave the policy's options out")
        if sort:
            raise click.UsageError("stitched events have been judged in their order; leave --sort out")
        if timezone:
            raise click.UsageError("stitched events have their times in UTC; leave --times-in out")
        return list(paths)
    if are_stitched != {False}:
        raise click.UsageError("some events are stitched and some are not; stitch all of them together")
    return stitched(expanded_files(paths), resolver, spelling, sort=sort, timezone=timezone)


def stitched(  # noqa: PLR0913 - as the options are
    files: Sequence[str],
    resolver: Resolver,
    spelling: Spelling,
    *,
    sort: bool,
    timezone: str | None,
    apply: bool = True,
) -> StitchedEvents:
    """Return the raw events of files, stitched, and say what was found in them."""
    sample = sampled(files, reads_times=True, timezone=timezone, **spelling.choice)
    sources = in_order(files, spelling.with_api(resolver.policy.api), is_sorted=sort)
    arguments = {} if sort else spelling.arguments
    events = StitchedEvents(sources, resolver, apply=apply, timezone=timezone, **arguments)
    with progress("reading", total_size(files), then="judging") as bar:
        malformed, links = MalformedLines(), RejectedLinks(resolver.policy)

        def take(piece: Piece, report: Report | None) -> None:
            if isinstance(piece, BadLine):
                malformed.add(piece.path, piece.line, piece.message)
            else:
                links.take(piece, report)

        events.learn(bar.advance, take)
    spelling.tell()
    if apply:
        links.tell(sample, events=events.events, told_empty=spelling.told_empty)
    taken = resolver.position if isinstance(resolver, DurableResolver) else events.outcomes.total()
    tell_signs(sample, taken, is_sorted=sort, timezone=timezone, option="--times-in")
    print_lines(malformed.lines(), err=True)
    return events
