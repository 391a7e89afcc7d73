"""``idmerge retract``: take back links that should not have been sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from idmerge import Kind
from idmerge._formatting import counted
from idmerge.cli.journals import opened_to_write
from idmerge.cli.links import KEEP_APART, listed, position_of
from idmerge.cli.messages import sum_up
from idmerge.cli.options import JOURNAL_HELP, journal_argument
from idmerge.cli.output import arrow_table, csv_safe_option, print_table
from idmerge.cli.progress import working
from idmerge.cli.sections import command

if TYPE_CHECKING:
    from collections.abc import Sequence


KINDS = f"{', '.join(kind.name.lower() for kind in Kind)} or {KEEP_APART}"


@command(
    short_help="Take back links in a journal.",
    help=f"""
    Take back what stands at POSITIONs, as if it had never been sent: links, or what idmerge keep-apart or
    idmerge retract did. Later links that were rejected because of it are judged again.

    The IDs that have another canonical ID go to standard output as CSV: distinct_id, old_canonical_id,
    new_canonical_id, position. Positions are those that idmerge show and idmerge why print. A retraction has
    a position of its own, and can be taken back. A link that was sent twice has two positions, which idmerge
    show lists; once the one is taken back, the other one holds.

    --link names a link by its kind and its two IDs in their order, or keep-apart and two IDs. If there are
    several, or none, it is an error that lists the positions.

    {JOURNAL_HELP}

    \b
    Example:
      idmerge retract --dry-run 1204 ids.idmerge
      idmerge retract 1204 1377 ids.idmerge > changes.csv
      idmerge retract --link merge user-1005 user-1005b ids.idmerge
    """,
)
@click.argument("positions", metavar="POSITION...", nargs=-1, type=click.IntRange(min=0))
@journal_argument
@click.option(
    "--link",
    "described",
    type=(click.Choice([*(kind.name.lower() for kind in Kind), KEEP_APART]), str, str),
    metavar="KIND A B",
    multiple=True,
    help=f"Take back the link of this kind and these IDs; can be given again. KIND is {KINDS}.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would change.")
@csv_safe_option
def retract(
    *,
    positions: Sequence[int],
    path: str,
    described: Sequence[tuple[str, str, str]],
    dry_run: bool,
    csv_safe: bool,
) -> None:
    """Take back positions; the help says more."""
    if not positions and not described:
        raise click.UsageError("name what to take back: a POSITION, or --link KIND A B")
    with working("opening") as work, opened_to_write(path) as resolver:
        work.begin("looking for changes" if dry_run else "taking back")
        found = [position_of(resolver, *link) for link in described]
        positions = list(dict.fromkeys([*positions, *found]))
        first = resolver.position
        table = arrow_table(resolver.retract(*positions, dry_run=dry_run))
        resolver.commit()
        work.begin("closing the journal")
    print_table(table, csv_safe=csv_safe)
    by = [] if dry_run else [first + number for number in range(len(positions))]
    facts = {"dry_run": dry_run, "positions": positions, "by": by, "changed": table.num_rows}
    sum_up(facts, _summary(positions, by, counted(table.num_rows, "canonical ID")), beside_data=True)


def _summary(positions: Sequence[int], by: Sequence[int], changed: str) -> str:
    """Return what was taken back by which positions; by none if nothing was."""
    taken_back = listed(positions, len(positions))
    if not by:
        return f"taking back {taken_back} would change {changed}; nothing was changed"
    places = f"{by[0]:,}" if len(by) == 1 else f"{by[0]:,} to {by[-1]:,}"
    return f"took back {taken_back}, by position {places}; {changed} changed"
