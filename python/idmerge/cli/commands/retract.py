"""``idmerge retract``: take back links that should not have been sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from idmerge._formatting import counted
from idmerge.cli.journals import opened_to_write
from idmerge.cli.messages import tell
from idmerge.cli.options import JOURNAL_HELP, journal_argument
from idmerge.cli.output import arrow_table, csv_safe_option, print_table
from idmerge.cli.progress import working
from idmerge.cli.sections import command

if TYPE_CHECKING:
    from collections.abc import Sequence


@command(
    short_help="Take back links in a journal.",
    help=f"""
    Take back what stands at POSITIONs, as if it had never been sent: links, or what idmerge keep-apart or
    idmerge retract did. Later links that were rejected because of it are judged again.

    The IDs that have another canonical ID go to standard output as CSV: distinct_id, old_canonical_id,
    new_canonical_id, position. Positions are those that idmerge show and idmerge why print. A retraction has
    a position of its own, and can be taken back. A link that was sent twice has two positions; once the one
    is taken back, the other one holds, and idmerge why shows it.

    {JOURNAL_HELP}

    \b
    Example:
      idmerge retract --dry-run 1204 ids.idmerge
      idmerge retract 1204 1377 ids.idmerge > changes.csv
    """,
)
@click.argument("positions", metavar="POSITION...", nargs=-1, required=True, type=click.IntRange(min=0))
@journal_argument
@click.option("--dry-run", is_flag=True, help="Only print what would change.")
@csv_safe_option
def retract(*, positions: Sequence[int], path: str, dry_run: bool, csv_safe: bool) -> None:
    """Take back positions; the help says more."""
    positions = list(dict.fromkeys(positions))
    with working("opening") as work, opened_to_write(path) as resolver:
        work.begin("looking for changes" if dry_run else "taking back")
        first = resolver.position
        table = arrow_table(resolver.retract(*positions, dry_run=dry_run))
        resolver.commit()
        work.begin("closing the journal")
    print_table(table, csv_safe=csv_safe)
    listed = ", ".join(f"{position:,}" for position in positions)
    if dry_run:
        changed = counted(table.num_rows, "canonical ID")
        tell(f"taking back {listed} would change {changed}; nothing was changed")
        return
    by = f"{first:,}" if len(positions) == 1 else f"{first:,} to {first + len(positions) - 1:,}"
    tell(f"took back {listed}, by position {by}; {counted(table.num_rows, 'canonical ID')} changed")
