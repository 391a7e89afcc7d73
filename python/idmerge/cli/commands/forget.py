"""``idmerge forget``: wipe an ID from a journal."""

from __future__ import annotations

import click

from idmerge._formatting import counted, printable
from idmerge._naming import named
from idmerge.cli.journals import opened_to_write
from idmerge.cli.messages import sum_up
from idmerge.cli.options import JOURNAL_HELP, journal_argument
from idmerge.cli.output import arrow_table, csv_safe_option, print_table
from idmerge.cli.progress import working
from idmerge.cli.sections import command
from idmerge.cli.served import check_project_has_directory, is_served, project_of, project_option
from idmerge.errors import UnknownIdError


@command(
    short_help="Wipe an ID from a journal, for good.",
    help=f"""
    Forget an ID: wipe its text from the journal PATH, for good. What it joined stays joined.

    The journal is written anew, which takes a while if it is large. Files of events and mappings that were
    written before still hold the ID; if they are applied again, it is known again, as a new ID.

    The IDs that have another canonical ID, for the old one was forgotten, go to standard output as CSV:
    distinct_id, old_canonical_id (empty), new_canonical_id, position.

    Or PATH is the directory of a server that does not run: then the events of the ID, and the identity events
    that name it, are removed too. A server that runs forgets by DELETE /api/ids/ID.

    {JOURNAL_HELP}

    \b
    Example:
      idmerge forget ada@example.com ids.idmerge --confirm
      idmerge forget ada@example.com shop --confirm
    """,
)
@click.argument("distinct_id", metavar="ID")
@journal_argument
@project_option
@click.option("--confirm", is_flag=True, help="Do it; without this, nothing is forgotten.")
@csv_safe_option
def forget(*, distinct_id: str, path: str, project: str | None, confirm: bool, csv_safe: bool) -> None:
    """Forget an ID; the help says more."""
    shown = printable(distinct_id)
    if not confirm:
        raise click.UsageError(
            f"forgetting {shown} is irreversible, and nothing was forgotten; add --confirm if it is meant"
        )
    if is_served(path):
        _forget_of_server(distinct_id, path, project)
        return
    check_project_has_directory(project, path)
    with working("opening") as work, opened_to_write(path) as resolver:
        work.begin("forgetting")
        position = resolver.position
        table = arrow_table(resolver.forget(distinct_id))
        resolver.commit()
        work.begin(f"writing {named(path)} anew")
        resolver.compact()
        work.begin("closing the journal")
    print_table(table, csv_safe=csv_safe)
    changed = counted(table.num_rows, "canonical ID")
    forgotten = f"{shown} is forgotten, and wiped from the journal; {changed} changed"
    facts = {"position": position, "changed": table.num_rows, "events": None, "is_wiped": None}
    sum_up(facts, forgotten, beside_data=True)


def _forget_of_server(distinct_id: str, path: str, project: str | None) -> None:
    from idmerge.server.server import Server  # noqa: PLC0415 - many runs have no server

    name = project_of(path, project).name
    with working("opening") as work, Server(path) as server:
        work.begin("forgetting")
        done = server.forget(name, distinct_id)
        work.begin("closing the directory")
    if not done.was_known and not done.events:
        raise UnknownIdError(distinct_id)
    rest = "" if done.is_wiped else "; the log keeps records that nothing has applied, which may hold it"
    forgotten = f"{printable(distinct_id)} is forgotten, with {counted(done.events, 'event')}{rest}"
    facts = {"position": None, "changed": None, "events": done.events, "is_wiped": done.is_wiped}
    sum_up(facts, forgotten)
