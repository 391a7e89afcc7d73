"""``idmerge keep-apart``: forbid links to bring two IDs together."""

from __future__ import annotations

import click

from idmerge._formatting import printable
from idmerge.cli.journals import opened_to_write
from idmerge.cli.messages import is_json, sum_up, tell
from idmerge.cli.options import JOURNAL_HELP, journal_argument
from idmerge.cli.progress import working
from idmerge.cli.sections import command
from idmerge.errors import IdmergeError


@command(
    "keep-apart",
    short_help="Keep two IDs apart from now on.",
    help=f"""
    Keep the IDs A and B apart in the journal PATH: from now on no link can bring them into one cluster.

    If they are together, take back what joined them first: idmerge why shows it, idmerge retract takes it
    back. It can take back a keep-apart as well.

    {JOURNAL_HELP}

    \b
    Example:
      idmerge keep-apart user-1013 user-1044 ids.idmerge
    """,
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@journal_argument
def keep_apart(*, a: str, b: str, path: str) -> None:
    """Keep two IDs apart; the help says more."""
    with working("opening") as work, opened_to_write(path) as resolver:
        unknown = [text for text in (a, b) if text not in resolver]
        position = resolver.position
        try:
            resolver.keep_apart(a, b)
        except IdmergeError:
            raise
        except ValueError as error:  # It can be no ID.
            raise click.UsageError(str(error)) from error
        resolver.commit()
        work.begin("closing the journal")
    if not is_json():
        for text in unknown:
            tell(f"{printable(text)} was not known before")
    kept = f"{printable(a)} and {printable(b)} are kept apart, by position {position:,}"
    sum_up({"a": a, "b": b, "position": position, "unknown_before": unknown}, kept)
