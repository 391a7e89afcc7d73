"""``idmerge compact``: write a journal anew, without forgotten IDs."""

from __future__ import annotations

from idmerge._naming import named
from idmerge.cli.journals import opened_to_write
from idmerge.cli.messages import sum_up
from idmerge.cli.options import JOURNAL_HELP, journal_argument
from idmerge.cli.progress import working
from idmerge.cli.sections import command
from idmerge.cli.served import is_served


@command(
    short_help="Wipe forgotten IDs from a journal's file.",
    help=f"""
    Write the journal PATH anew, without the texts of forgotten IDs, and give back its room.

    idmerge forget does that by itself. It is needed after idmerge.Resolver.forget, and when idmerge forget
    was interrupted or met a reader of the journal.

    Or PATH is the directory of a server that does not run: then the journals of all projects are written
    anew, and its sealed files are merged.

    {JOURNAL_HELP}

    \b
    Example:
      idmerge compact ids.idmerge
      idmerge compact shop
    """,
)
@journal_argument
def compact(*, path: str) -> None:
    """Compact a journal; the help says more."""
    if is_served(path):
        _compact_server(path)
        return
    with working("opening") as work, opened_to_write(path) as resolver:
        work.begin(f"writing {named(path)} anew")
        resolver.compact()
        work.begin("closing the journal")
    sum_up({"journal": named(path), "directory": None}, f"{named(path)} holds no text of a forgotten ID")


def _compact_server(path: str) -> None:
    from idmerge.server.server import Server  # noqa: PLC0415 - many runs have no server

    with working("opening") as work, Server(path) as server:
        work.begin("merging files")
        server.compact()
        work.begin("closing the directory")
    text = f"{named(path)} holds no text of a forgotten ID in its journals, and its files are merged"
    sum_up({"journal": None, "directory": named(path)}, text)
