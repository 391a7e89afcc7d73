"""``idmerge mapping``: the canonical ID of each ID in a journal, now or at an earlier moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import counted
from idmerge.cli.journals import as_of_options, check_clock, journal_or_served, opened_to_read
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

if TYPE_CHECKING:
    from datetime import datetime

    from idmerge.cli.journals import Clock


@command(
    short_help="Write the canonical ID of each ID in a journal.",
    help=f"""
    Write the mapping of the journal PATH: distinct_id, canonical_id, cluster_size, one row a known ID. It
    goes to standard output as CSV, or with -o to a file.

    {JOURNAL_OR_SERVED_HELP}

    \b
    Example:
      idmerge mapping ids.idmerge -o mapping.parquet
      idmerge mapping ids.idmerge --as-of 2026-11-25T09:30 > then.csv
      idmerge mapping ids.idmerge --as-of 2026-11-25 --by event > then.csv
    """,
)
@journal_or_served
@as_of_options
@table_option
@csv_safe_option
def mapping(
    *, path: str, as_of: int | datetime | None, by: Clock, output: str | None, csv_safe: bool
) -> None:
    """Write the mapping of a journal; the help says more."""
    check_clock(as_of, by)
    check_table_output([path], output, csv_safe=csv_safe)
    with working("opening") as work, opened_to_read(path, as_of, by) as resolver:
        work.begin("making the mapping")
        table, position = arrow_table(resolver.mapping()), resolver.position
    summary = f"{counted(table.num_rows, 'ID')} as of position {position:,}"
    write_or_print(table, output, csv_safe=csv_safe, summary=summary, facts={"position": position})
