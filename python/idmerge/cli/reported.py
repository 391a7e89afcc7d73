"""The reading of events for a report, or for its guesses, as commands show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from idmerge import DurableResolver, Resolver
from idmerge._naming import named
from idmerge.cli.journals import is_journal, opened_to_read
from idmerge.cli.link_notes import RejectedLinks
from idmerge.cli.malformed import MalformedLines
from idmerge.cli.messages import is_json, labelled, print_lines
from idmerge.cli.notes import tell_signs
from idmerge.cli.options import expanded_files, given_policy, is_given
from idmerge.cli.progress import in_order, progress, total_size, working
from idmerge.cli.served_events import served_events
from idmerge.files import STDIN, BadLine, sampled
from idmerge.questions import is_stitched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from idmerge import Policy, Report
    from idmerge.cli.dialects import Spelling
    from idmerge.files import Piece
    from idmerge.reporting import Guess

T = TypeVar("T")


def reported(  # noqa: PLR0913 - as the options are
    run: Callable[..., T],
    events: Sequence[str],
    *,
    project: str | None,
    spelling: Spelling,
    sort: bool,
    times_in: str | None,
    policy: Policy,
    canonical: Any,
    **options: Any,
) -> T:
    """Return what ``run`` (`idmerge.reporting.report` or ``guess``) makes of events.

    What is odd in them is said on standard error.

    Raises:
        click.UsageError: Some events are stitched and some are not, or options do not go with them.
        FileFormatError: A file is damaged.
        OSError: A file cannot be opened.
    """
    served = served_events(events, project, judged=False)
    if served is not None:
        journal = click.get_current_context().with_resource(opened_to_read(str(served.project.journal)))
        zone = times_in or served.project.timezone
        return _read(run, [served.path], journal, spelling, sort=sort, times_in=zone, **options)
    for path in events:
        if is_journal(path):
            raise click.UsageError(f"'{named(path)}' is a journal and holds no events; name files of events")
    are_stitched = {path != STDIN and is_stitched(Path(path), **spelling.choice) for path in events}
    if len(are_stitched) > 1:
        raise click.UsageError("some events are stitched and some are not; stitch all of them together")
    if are_stitched == {True}:
        _check_stitched(sort=sort, times_in=times_in)
        with working("answering"):
            return run(list(events), policy=policy, **spelling.choice, **options)
    files, resolver = expanded_files(events), Resolver(policy, canonical)
    return _read(run, files, resolver, spelling, sort=sort, times_in=times_in, **options)


def _read(  # noqa: PLR0913 - as the caller has them
    run: Callable[..., T],
    files: Sequence[str],
    resolver: Resolver,
    spelling: Spelling,
    *,
    sort: bool,
    times_in: str | None,
    **options: Any,
) -> T:
    """Run on raw events, and say what was found in them; a journal has its own links."""
    sample = sampled(files, reads_times=True, timezone=times_in, **spelling.choice)
    sources = in_order(files, spelling.with_api(resolver.policy.api), is_sorted=sort)
    malformed, links, total = MalformedLines(), RejectedLinks(resolver.policy), total_size(files)
    is_served = isinstance(resolver, DurableResolver)
    rules = (
        {"resolver": resolver} if is_served else {"policy": resolver.policy, "canonical": resolver.canonical}
    )
    read = 0

    def take(piece: Piece, judged: Report | None) -> None:
        nonlocal read
        if isinstance(piece, BadLine):
            malformed.add(piece.path, piece.line, piece.message)
        else:
            read += len(piece)
            links.take(piece, judged)

    with progress("reading", None if total is None else 2 * total, then="encoding") as bar:

        def step(description: str) -> None:
            if description != bar.description:
                is_read = total is not None and description == "reading twice"
                bar.begin(
                    description, 2 * (total or 0) if is_read else None, "bytes" if is_read else "things"
                )

        found = run(
            sources,
            times_in=times_in,
            on_bytes=bar.advance,
            on_piece=take,
            on_step=step,
            **rules,
            **({} if sort else spelling.arguments),
            **options,
        )
    spelling.tell()
    if not is_served:
        links.tell(sample, events=read, told_empty=spelling.told_empty)
    taken = resolver.position if isinstance(resolver, DurableResolver) else links.outcomes.total()
    tell_signs(sample, taken, is_sorted=sort, timezone=times_in, option="--times-in")
    print_lines(malformed.lines(), err=True)
    return found


def _check_stitched(*, sort: bool, times_in: str | None) -> None:
    """Raise a usage error for options that stitched events do not take."""
    if is_given("canonical") or given_policy().keys() - {"blocked_ids"}:
        raise click.UsageError("stitched events have been judged; leave the policy's options out")
    if sort:
        raise click.UsageError("stitched events have been judged in their order; leave --sort out")
    if times_in:
        raise click.UsageError("stitched events have their times in UTC; leave --times-in out")


def tell_guesses(guesses: Iterable[Guess]) -> None:
    """Print the guesses to standard error; an object of --json has them."""
    if is_json():
        return
    told = (guess for guess in guesses if not guess.is_given and (guess.value or guess.name != "currency"))
    print_lines((labelled("guessed", str(guess)) for guess in told), err=True)
