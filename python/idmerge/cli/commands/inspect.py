"""``idmerge inspect``: pages on who is who in files, in a journal or in a server's directory."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from idmerge import Outcome, Policy
from idmerge._formatting import counted
from idmerge._naming import named
from idmerge.cli.check_ups import check_up_of
from idmerge.cli.completion import FILE
from idmerge.cli.dialects import Spelling, dialect_options
from idmerge.cli.journals import is_journal
from idmerge.cli.link_notes import RejectedLinks
from idmerge.cli.malformed import MalformedLines, list_malformed_option
from idmerge.cli.messages import give, is_json, labelled, print_lines, tell_note
from idmerge.cli.notes import tell_signs
from idmerge.cli.options import (
    api_option,
    canonical_option,
    check_rules_are_left_out,
    expanded_files,
    is_given,
    policy_options,
    sort_option,
    strict_option,
    timezone_option,
)
from idmerge.cli.progress import in_order, progress, total_size, working
from idmerge.cli.sections import command
from idmerge.cli.served import is_served, project_of, project_option
from idmerge.cli.summary import Run, links_facts, links_lines, run_facts
from idmerge.cli.wrapping import is_terminal
from idmerge.errors import JournalError, LogError
from idmerge.files import BadLine, sampled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.server.directory import Directory
    from idmerge.server.inspector.examined import CheckUp
    from idmerge.server.inspector.subject import Subject

GRACE_SECONDS = 2.0
"""Seconds that open requests have to be finished at the end."""
NO_READING = ("dialect", "columns", "config", "sort", "timezone", "strict", "into")
"""Options that go with files of events alone."""


class Shown(NamedTuple):
    """What is shown."""

    subject: Subject
    kind: str
    """``"events"``, ``"journal"`` or ``"directory"``."""
    facts: dict[str, Any]
    """What was read, as keys of an object of --json."""
    host: Any
    """What serves it."""
    check_up: CheckUp


@command(
    short_help="Show who is who in a browser.",
    help="""
    Show who is who on pages in a browser: one person by any of their IDs, with every event; why two IDs are
    one person or not; and ways to take a link back, keep two IDs apart, and forget an ID.

    FILEs are events or links, as idmerge resolve takes them: they are read into a temporary directory, which
    goes at the end, or with --into into one that stays. What is changed on the pages changes that directory,
    and no FILE. Or FILE is one journal, or the directory of idmerge serve: then changes are its own. While
    another process writes there, it is shown as it is, and nothing can be changed.

    The pages are served to this machine alone. The link that is printed lets in the browser that opens it
    first; Enter prints another one. Ctrl-C ends it. docs/inspector.md says more.

    \b
    Example:
      idmerge inspect export.ndjson.gz --open
      idmerge inspect ids.idmerge --read-only
      idmerge inspect shop --port 8200
    """,
)
@click.argument("files", type=FILE, metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="The port of 127.0.0.1 to listen at; 0 takes a free one.",
)
@click.option("--open", "opens", is_flag=True, help="Open the pages in the browser.")
@click.option("--read-only", is_flag=True, help="Show, and let nothing be changed.")
@click.option(
    "--into",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Read FILEs into this new directory, which stays: idmerge inspect and idmerge serve take it.",
)
@project_option
@dialect_options
@api_option
@sort_option
@timezone_option
@strict_option
@list_malformed_option
@canonical_option
@policy_options
def inspect(  # noqa: PLR0913 - click hands over each option
    *,
    files: Sequence[str],
    port: int,
    opens: bool,
    read_only: bool,
    into: str | None,
    project: str | None,
    sort: bool,
    timezone: str | None,
    strict: bool,
    spelling: Spelling,
    canonical: Any,
    policy: Policy,
) -> None:
    """Show who is who; the help says more."""
    from idmerge.server.http import serving  # noqa: PLC0415 - the help needs no server
    from idmerge.server.inspector.alone import AsProject  # noqa: PLC0415
    from idmerge.server.inspector.doors import Door  # noqa: PLC0415
    from idmerge.server.inspector.routing import Inspector  # noqa: PLC0415
    from idmerge.server.pages import Pages  # noqa: PLC0415

    serving.check_installed()
    listener = serving.bound("127.0.0.1", port)
    with listener, ExitStack() as stack:
        if any(map(is_served, files)):
            shown = _of_directory(stack, _alone(files), project, read_only=read_only)
        elif any(map(is_journal, files)):
            shown = _of_journal(stack, _alone(files), project, read_only=read_only)
        else:
            _check_no_project(project)
            rules = {"canonical": canonical if is_given("canonical") else None, "timezone": timezone}
            paths = expanded_files(files, with_csv=True)
            directory = _made(stack, into, policy, name=Path(paths[0]).name, **rules)
            try:
                facts = _load(directory, paths, spelling, sort=sort, strict=strict)
            except BaseException:
                shutil.rmtree(directory.path, ignore_errors=True)
                raise
            shown = _of_directory(stack, str(directory.path), None, read_only=read_only)._replace(
                kind="events", facts={**facts, "directory": into}
            )
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="idmerge-open-")) if opens else None
        door = Door(AsProject.of(shown.subject.name), shown.subject, shown.check_up)
        inspector = Inspector(
            [door],
            by_ticket="Open the link that <code>idmerge inspect</code> has printed. It lets in one browser; "
            "press Enter in the terminal to have another one.",
        )
        serving.serve(
            shown.host,
            Pages(inspector, shown.host),
            listener,
            grace=GRACE_SECONDS,
            on_started=lambda: _tell(shown, inspector, serving.url_of(listener), place),
        )


def _tell(shown: Shown, inspector: Any, url: str, place: str | None) -> None:
    """Print the link, and open it by a file in ``place`` if that is wanted."""
    link = f"{url}{inspector.ticket()}"
    facts = {
        "url": link,
        "kind": shown.kind,
        "read_only": not shown.subject.is_changeable,
        "name": shown.subject.name,
        **shown.facts,
    }
    give(facts, [f"open {link}"])
    if place is not None:
        threading.Thread(target=_open, args=(link, Path(place)), daemon=True).start()
    if is_terminal(sys.stdin):
        threading.Thread(target=_tell_again, args=(inspector, url), daemon=True).start()


def _open(link: str, place: Path) -> None:
    """Open a link in the browser, by a file: others here can see the arguments of a command."""
    page = place / "open.html"
    page.write_text(f'<meta http-equiv="refresh" content="0; url={link}">')
    webbrowser.open(page.as_uri())


def _tell_again(inspector: Any, url: str) -> None:
    """Print another link whenever somebody presses Enter."""
    for _ in sys.stdin:
        print_lines([f"open {url}{inspector.ticket()}"])


def _alone(files: Sequence[str]) -> str:
    """Return the only argument; there may be no other, and no option of files of events."""
    if len(files) > 1:
        known = next(path for path in files if is_served(path) or is_journal(path))
        kind = "a journal" if is_journal(known) else "a server's directory"
        raise click.UsageError(f"'{named(known)}' is {kind}; name it alone")
    context = click.get_current_context()
    given = [option for option in NO_READING if option in context.params and is_given(option)]
    if given:
        raise click.UsageError(f"--{given[0]} is for files of events")
    check_rules_are_left_out()
    return files[0]


def _check_no_project(project: str | None) -> None:
    if project is not None:
        raise click.UsageError("--project is for a server's directory, and none is named")


def _of_journal(stack: ExitStack, path: str, project: str | None, *, read_only: bool) -> Shown:
    """Open a journal; one that has a writer, to read."""
    from idmerge.server.inspector.alone import JournalAlone  # noqa: PLC0415
    from idmerge.server.pages import Host  # noqa: PLC0415

    _check_no_project(project)
    with working(f"opening {named(path)}"):
        try:
            subject = JournalAlone(path, read_only=read_only)
        except (JournalError, PermissionError) as error:
            if read_only:
                raise
            subject = JournalAlone(path, read_only=True)  # Which raises too, if it is damaged.
            tell_note(f"{error}; it is only read")
    stack.callback(subject.close)
    return Shown(subject, "journal", {**_NOTHING_READ, "directory": None}, Host(), check_up_of(path))


def _of_directory(stack: ExitStack, path: str, project: str | None, *, read_only: bool) -> Shown:
    """Open a server's directory; one whose server runs, to read."""
    from idmerge.server.inspector.alone import DirectoryAlone  # noqa: PLC0415
    from idmerge.server.inspector.served import ServedProject  # noqa: PLC0415
    from idmerge.server.pages import Host  # noqa: PLC0415
    from idmerge.server.server import Server  # noqa: PLC0415

    found = project_of(path, project)
    facts = {**_NOTHING_READ, "directory": path}
    check_up = check_up_of(path, found.name)
    with working(f"opening {named(path)}"):
        if not read_only:
            try:
                server = stack.enter_context(Server(path))
            except (JournalError, LogError, PermissionError) as error:
                tell_note(f"{error}; it is only read: a server that runs has these pages at its own /")
            else:
                return Shown(ServedProject(server, found), "directory", facts, server, check_up)
        subject = DirectoryAlone(found, Path(path) / "log")
    stack.callback(subject.close)
    return Shown(subject, "directory", facts, Host(), check_up)


def _made(stack: ExitStack, into: str | None, policy: Policy, **rules: Any) -> Directory:
    """Make the directory that the events go to."""
    from idmerge.server.directory import Directory as Made  # noqa: PLC0415

    if into is None:
        path = stack.enter_context(tempfile.TemporaryDirectory(prefix="idmerge-inspect-"))
    else:
        path = into
        if Path(into).exists() and any(Path(into).iterdir()):
            raise click.UsageError(f"--into needs a new directory, and '{named(into)}' holds something")
    return Made.make(path, policy, **rules)


_NOTHING_READ: dict[str, Any] = {**run_facts(Run(files=0)), **links_facts(Run(files=0).outcomes)}
_NOTHING_READ |= {"shown": 0}


def _load(
    directory: Directory, paths: Sequence[str], spelling: Spelling, *, sort: bool, strict: bool
) -> dict[str, Any]:
    """Read files of events into a directory; return what was read."""
    from idmerge.server.loading import load  # noqa: PLC0415

    started, project = perf_counter(), directory.projects[0]
    total = total_size(paths)
    sample = sampled(paths, reads_times=True, timezone=project.timezone, **spelling.choice)
    sources = in_order(paths, spelling.with_api(project.api), is_sorted=sort)
    run = Run(files=len(paths), malformed=MalformedLines(strict=strict))
    links = RejectedLinks(project.policy)

    def take(piece: Any, report: Any) -> None:
        assert run.malformed is not None  # noqa: S101
        if isinstance(piece, BadLine):
            run.malformed.add(piece.path, piece.line, piece.message)
            return
        run.events += len(piece)
        links.take(piece, report)
        for link in piece.judged(report, np.flatnonzero(report.outcomes == Outcome.MALFORMED).tolist()):
            run.malformed.add(link.path, link.line, str(link.message))

    with progress("reading", total, then="writing the rest") as bar:
        arguments: Any = {} if sort else spelling.arguments  # What is sorted is of the raw shape.
        shown = load(directory, sources, on_piece=take, on_bytes=bar.advance, **arguments)
    run.seconds, run.outcomes = perf_counter() - started, links.outcomes
    if not is_json():
        print_lines(_summary(run, shown), err=True)
    spelling.tell()
    links.tell(sample, events=run.events, told_empty=spelling.told_empty)
    tell_signs(sample, run.outcomes.total(), is_sorted=sort, timezone=project.timezone)
    return {**run_facts(run), **links_facts(run.outcomes), "shown": shown}


def _summary(run: Run, shown: int) -> Iterator[str]:
    files = counted(run.files, "file")
    yield labelled("read", f"{counted(run.events, 'event')} from {files} in {run.seconds:.2f} s")
    yield from links_lines(run.outcomes)
    if run.malformed:
        yield from run.malformed.lines()
    if shown < run.events:
        yield labelled("shown", f"{counted(shown, 'event')}; the others are repeated, or have no properties")
