"""The group of commands, and how an error becomes one line."""

from __future__ import annotations

import errno
import warnings
from typing import IO, Any

import click

import idmerge
from idmerge.cli.ask import ask
from idmerge.cli.bench import bench
from idmerge.cli.changes import changes, mapping
from idmerge.cli.compact import compact
from idmerge.cli.doctor import doctor
from idmerge.cli.forget import forget
from idmerge.cli.generate import generate
from idmerge.cli.journal import journal
from idmerge.cli.keep_apart import keep_apart
from idmerge.cli.profiles import profiles
from idmerge.cli.resolve import resolve
from idmerge.cli.retract import retract
from idmerge.cli.show import show
from idmerge.cli.stitch import stitch
from idmerge.cli.verify import verify
from idmerge.cli.why import why
from idmerge.errors import IdmergeError


class Failure(click.ClickException):
    """What stands in the way, said in one line."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print ``idmerge: error: …`` to standard error."""
        line = " ".join(self.message.splitlines())  # SQLite may quote a table's definition.
        click.echo(f"idmerge: error: {line}", file=file, err=True)


class Commands(click.Group):
    """A group that turns what idmerge and the system raise into a `Failure`, and warnings into lines."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a pipe that the reader closed stays click's affair."""
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
    click.echo(f"idmerge: warning: {message}", err=True)


def _in_one_line(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{click.format_filename(error.filename)}: {error.strerror}"


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""
    Find out which IDs are the same person.

    Files hold events in Mixpanel's raw-export shape, or links as columns; see idmerge resolve --help. A
    journal keeps links from run to run, and tells afterwards who was who, when and why.

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
@click.version_option(idmerge.__version__, prog_name="idmerge")
def commands() -> None:
    """Hold the commands; the help says more."""


for command in (
    resolve,
    stitch,
    show,
    why,
    doctor,
    journal,
    mapping,
    changes,
    verify,
    retract,
    keep_apart,
    forget,
    compact,
    profiles,
    ask,
    generate,
    bench,
):
    commands.add_command(command)
