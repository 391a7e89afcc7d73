"""Journals as arguments of commands, and moments in them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from idmerge._naming import is_journal_url, named
from idmerge.cli.options import journal_argument
from idmerge.cli.progress import working
from idmerge.cli.served import check_project_has_directory, is_served, project_of, project_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from idmerge import DurableResolver
    from idmerge.cli.progress import Progress

Clock = Literal["commit", "event"]
SQLITE = b"SQLite format 3\0"
"""The first bytes of every file of SQLite."""


def is_journal(path: str) -> bool:
    """Return whether ``path`` is a journal's URL or a file of SQLite; a pipe is left unread."""
    if is_journal_url(path):
        return True
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(len(SQLITE)) == SQLITE


def check_no_journal(paths: Iterable[str], advice: str) -> None:
    """Raise a usage error, with ``advice``, if one of ``paths``, which name files, is a journal."""
    for path in paths:
        if is_journal(path):
            raise click.UsageError(f"'{named(path)}' is a journal; {advice}")


def journal_or_served(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the argument ``path``: a journal, or that of a project in a directory."""

    @wraps(command)
    def with_path(*, path: str, project: str | None, **options: Any) -> Any:
        return command(path=journal_at(path, project), **options)

    decorated: Callable[..., Any] = journal_argument(project_option(with_path))
    return decorated


def journal_at(path: str, project: str | None) -> str:
    """Return the path of a journal, which may be that of a project in a server's directory.

    Raises:
        SettingError: There is no such project, or the server's settings cannot be used.
        click.UsageError: The directory is no server's, or a project is named without one.
    """
    if is_served(path):
        return str(project_of(path, project).journal)
    check_project_has_directory(project, path)
    if not is_journal_url(path) and Path(path).is_dir():
        raise click.UsageError(
            f"'{named(path)}' is neither a journal nor a server's directory: it has no idmerge.toml with a "
            "[[project]]"
        )
    return path


class Moment(click.ParamType):  # type: ignore[type-arg]  # Generic since click 8.5.
    """A position, or a time in the form of ISO 8601, which is UTC if it names no zone."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | datetime:
        """Return the position or the time."""
        if value.isdecimal():
            return int(value)
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither a position nor a time such as 2026-11-25T09:30", param, ctx)
        return time if time.tzinfo else time.replace(tzinfo=UTC)


def as_of_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options ``as_of`` and ``by``."""
    as_of = click.option(
        "--as-of",
        type=Moment(),
        metavar="POSITION|TIME",
        help="Who was who before this position, or by what was committed at this time (ISO 8601; UTC if it "
        "names no zone).",
    )
    by = click.option(
        "--by",
        type=click.Choice(get_args(Clock)),
        default="commit",
        help="Compare the TIME of --as-of with the times of commits, or with those of events; a link without "
        "an event time counts by its commit.",
    )
    decorated: Callable[..., Any] = as_of(by(command))
    return decorated


def check_clock(as_of: int | datetime | None, by: Clock) -> None:
    """Raise a usage error if ``by`` asks for the times of events and there is no time."""
    if by == "event" and not isinstance(as_of, datetime):
        raise click.UsageError("--by event needs a time as --as-of, such as 2026-11-25T09:30")


def opened_to_read(path: str, as_of: int | datetime | None = None, by: Clock = "commit") -> DurableResolver:
    """Open the journal at ``path``; another process may write to it meanwhile."""
    from idmerge import DurableResolver  # noqa: PLC0415 - many runs have no journal

    with opening(path):
        return DurableResolver.open(path, read_only=True, as_of=as_of, by=by)


def opened_to_write(path: str) -> DurableResolver:
    """Open the journal at ``path``, which must be there."""
    from idmerge import DurableResolver  # noqa: PLC0415

    with opening(path):
        return DurableResolver.open(path, create=False)


def opening(path: str) -> AbstractContextManager[Progress]:
    """Show that the journal at ``path`` is opened while the block runs."""
    return working(f"opening {named(path)}")
