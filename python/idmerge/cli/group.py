"""The group of all commands; errors, signals and warnings become one line each."""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import contextmanager, suppress
from importlib import import_module
from io import StringIO
from typing import IO, TYPE_CHECKING, Any

import click

from idmerge._naming import named
from idmerge.cli import signals
from idmerge.cli.messages import coloured, print_lines, remember, shown, tell
from idmerge.cli.suggestions import SuggestingGroup
from idmerge.errors import IdmergeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GROUPS = {
    "Events": ("resolve", "stitch", "report", "ask", "doctor", "profiles", "init", "migrate"),
    "Clusters": ("show", "why"),
    "Journals": (
        "journal",
        "mapping",
        "changes",
        "sink",
        "verify",
        "retract",
        "keep-apart",
        "forget",
        "compact",
    ),
    "Servers": ("serve", "inspect"),
    "To try": ("generate", "bench"),
}
"""The commands in the order of the help, by what they are about: each a function of its name, in a
module of its name."""
COMMANDS = tuple(name for names in GROUPS.values() for name in names)


class Failure(click.ClickException):
    """An error in one line."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print ``idmerge: error: …`` to standard error."""
        print_lines([f"{coloured('idmerge: error:', 'error')} {self.message}"], err=True, file=file)


class WrongCall(click.UsageError):
    """A wrong call: its usage, and the error in one line."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print both to standard error."""
        written = StringIO()
        super().show(written)
        usage, mark, message = written.getvalue().partition("Error: ")
        lines = [*usage.splitlines(), f"{coloured(mark.strip(), 'error')} {message.strip()}"]
        print_lines(lines, err=True, file=file)


class Ended(click.ClickException):
    """A signal ended the command."""

    def __init__(self, number: int, notes: Iterable[str]) -> None:
        super().__init__(signals.line(number, notes))
        self.exit_code = signals.exit_code(number)  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line; the terminal may be gone."""
        with suppress(OSError):
            click.echo(f"idmerge: {self.message}", file=file, err=True)


class Commands(SuggestingGroup):
    """Commands, each loaded when it is asked for, so that none waits for the others.

    An exception of idmerge or of the system becomes a `Failure`, a signal `Ended`, a warning a
    line.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the names of the commands."""
        return [*COMMANDS]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with what each does, by what they are about."""
        longest = max(map(len, COMMANDS))
        limit = formatter.width - 6 - longest
        for title, names in GROUPS.items():
            with formatter.section(title):
                found = ((name, self.get_command(ctx, name)) for name in names)
                formatter.write_dl(
                    [
                        (name.ljust(longest), command.get_short_help_str(limit))
                        for name, command in found
                        if command
                    ]
                )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command with this name."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"idmerge.cli.commands.{name}"), name)
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments, which no message quotes with their secrets."""
        if os.environ.get("NO_COLOR"):
            extra["color"] = False
        given = [*args]  # Which click takes away from it.
        with _without_secrets(given):
            context = super().make_context(info_name, args, parent, **extra)
        remember(context, given)
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click itself handles a pipe that the reader closed."""
        with _without_secrets(None):
            try:
                return self._invoke(ctx)
            except BaseException as error:
                number = signals.ended_by(error)
                if number is None:
                    raise
                raise Ended(number, getattr(error, "__notes__", ())) from error

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _shown  # type: ignore[assignment]
                return super().invoke(ctx)
        except IdmergeError as error:
            raise Failure(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise Failure(_in_one_line(error)) from error


def _shown(message: Warning | str, *_: Any) -> None:
    tell(str(message), "warning")


@contextmanager
def _without_secrets(given: list[str] | None) -> Iterator[None]:
    """Show the errors of a block without the secrets in the arguments ``given``."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        raise WrongCall(shown(error.format_message(), given), error.ctx) from error
    except click.ClickException as error:
        error.message = shown(error.message, given)  # type: ignore[misc]  # Final since click 8.5.
        raise


def _in_one_line(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{named(error.filename)}: {error.strerror}"


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""
    Find out which IDs are the same person.

    Files hold events in Mixpanel's raw-export shape, or links as columns; see idmerge resolve --help. A
    journal keeps links from run to run, and shows afterwards who was who, when and why.

    \b
    Example:
      idmerge generate --events 100000 -o events.ndjson
      idmerge resolve events.ndjson -o mapping.parquet
      idmerge show user-1013 events.ndjson
      idmerge resolve events.ndjson --journal ids.idmerge
      idmerge why user-1005 user-1005b ids.idmerge
      idmerge stitch events.ndjson -o stitched.parquet
      idmerge ask signup-rate stitched.parquet
      idmerge doctor events.ndjson --format html -o check-up.html
    """,
)
@click.version_option(package_name="idmerge", prog_name="idmerge")  # That of the core would load numpy.
def commands() -> None:
    """The group; its help is above."""
