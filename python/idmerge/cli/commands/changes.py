"""``idmerge changes``: the IDs whose canonical ID changed in a journal since a position."""

from __future__ import annotations

import click

from idmerge._formatting import counted
from idmerge.cli.journals import journal_or_served, opened_to_read
from idmerge.cli.options import JOURNAL_OR_SERVED_HELP
from idmerge.cli.output import (
    arrow_table,
    check_table_output,
    csv_safe_option,
    table_option,
    write_or_print,
)
from idmerge.cli.progress import working
from idmerge.cli.sections import command


@command(
    short_help="Write the canonical IDs that changed in a journal.",
    help=f"""
    Write the IDs that have another canonical ID now than at the position --since: distinct_id,
    old_canonical_id, new_canonical_id, position. They go to standard output as CSV, or with -o to a file; the
    position to ask from next time goes to standard error, and is position in each row.

    docs/change-feed.md says how a table of events is brought up to date by it.

    {JOURNAL_OR_SERVED_HELP}

    \b
    Example:
      idmerge changes ids.idmerge --since 1204 -o changes.parquet
    """,
)
@journal_or_served
@click.option("--since", type=click.IntRange(min=0), required=True, help="The position asked from; 0: all.")
@table_option
@csv_safe_option
def changes(*, path: str, since: int, output: str | None, csv_safe: bool) -> None:
    """Write what changed in a journal; the help says more."""
    check_table_output([path], output, csv_safe=csv_safe)
    with working("opening") as work, opened_to_read(path) as resolver:
        work.begin("looking for changes")
        table, position = arrow_table(resolver.changes(since)), resolver.position
    changed = counted(table.num_rows, "canonical ID")
    summary = f"{changed} changed since {since:,}; ask since {position:,} next"
    facts = {"since": since, "position": position}
    write_or_print(table, output, csv_safe=csv_safe, summary=summary, facts=facts)
