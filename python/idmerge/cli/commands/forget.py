"""``idmerge forget``: wipe an ID from a journal."""

from __future__ import annotations

import click

from idmerge._formatting import printable
from idmerge._naming import named
from idmerge.cli.journals import opened_to_write
from idmerge.cli.messages import tell
from idmerge.cli.options import JOURNAL_HELP, journal_argument
from idmerge.cli.progress import working
from idmerge.cli.sections import command


@command(
    short_help="Wipe an ID from a journal, for good.",
    help=f"""
    Forget an ID: wipe its text from the journal PATH, for good. What it joined stays joined.

    The journal is written anew, which takes a while if it is large. Files of events and mappings that were
    written before still hold the ID; if they are applied again, it is known again, as a new ID.

    {JOURNAL_HELP}

    \b
    Example:
      idmerge forget ada@example.com ids.idmerge --confirm
    """,
)
@click.argument("distinct_id", metavar="ID")
@journal_argument
@click.option("--confirm", is_flag=True, help="Do it; without this, nothing is forgotten.")
def forget(*, distinct_id: str, path: str, confirm: bool) -> None:
    """Forget an ID; the help says more."""
    shown = printable(distinct_id)
    if not confirm:
        raise click.UsageError(
            f"forgetting {shown} is irreversible, and nothing was forgotten; add --confirm if it is meant"
        )
    with working("opening") as work, opened_to_write(path) as resolver:
        work.begin("forgetting")
        resolver.forget(distinct_id)
        resolver.commit()
        work.begin(f"writing {named(path)} anew")
        resolver.compact()
        work.begin("closing the journal")
    tell(f"{shown} is forgotten, and wiped from the journal")
