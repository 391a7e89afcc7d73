"""``idmerge changes`` and ``idmerge mapping``: who is who in a journal, all of it or what changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from idmerge._formatting import counted
from idmerge.cli.journals import Moment, opened_to_read
from idmerge.cli.messages import tell
from idmerge.cli.options import JOURNAL_HELP, journal_argument
from idmerge.cli.output import (
    WRITERS,
    arrow_table,
    check_csv_safe,
    check_suffix,
    csv_safe_option,
    print_csv,
    write_mapping,
)
from idmerge.files import replacing
from idmerge.naming import named

if TYPE_CHECKING:
    from datetime import datetime

output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    callback=lambda _context, _option, path: check_suffix(path, tuple(WRITERS)),
    help=f"Write here instead of standard output; the suffix names the format: {', '.join(WRITERS)}.",
)


@click.command(
    short_help="Write which ID in a journal means whom.",
    help=f"""
    Write the mapping of the journal PATH: distinct_id, canonical_id, cluster_size, one row a known ID. It
    goes to standard output as CSV, or with -o to a file.

    {JOURNAL_HELP}

    \b
    Example:
      idmerge mapping ids.idmerge -o mapping.parquet
      idmerge mapping ids.idmerge --as-of 2026-11-25T09:30 > then.csv
    """,
)
@journal_argument
@click.option(
    "--as-of",
    type=Moment(),
    metavar="POSITION|TIME",
    help="As it was before the link at this position came, or at this time (UTC, ISO 8601).",
)
@output_option
@csv_safe_option
def mapping(*, path: str, as_of: int | datetime | None, output: str | None, csv_safe: bool) -> None:
    """Write the mapping of a journal; the help says more."""
    _check_overwriting(path, output)
    check_csv_safe(output, csv_safe=csv_safe)
    with opened_to_read(path, as_of) as resolver:
        table, seq = arrow_table(resolver.mapping()), resolver.seq
    _write(table, output, csv_safe=csv_safe)
    tell(f"{counted(table.num_rows, 'ID')} as of position {seq:,}")


@click.command(
    short_help="Write whose canonical ID changed in a journal.",
    help=f"""
    Write the IDs that have another canonical ID now than at the position --since: distinct_id,
    old_canonical_id, new_canonical_id, seq. They go to standard output as CSV, or with -o to a file; the
    position to ask from next time goes to standard error, and is seq in each row.

    docs/change-feed.md says how a table of events is brought up to date by it.

    {JOURNAL_HELP}

    \b
    Example:
      idmerge changes ids.idmerge --since 1204 -o changes.parquet
    """,
)
@journal_argument
@click.option("--since", type=click.IntRange(min=0), required=True, help="The position asked from; 0: all.")
@output_option
@csv_safe_option
def changes(*, path: str, since: int, output: str | None, csv_safe: bool) -> None:
    """Write what changed in a journal; the help says more."""
    _check_overwriting(path, output)
    check_csv_safe(output, csv_safe=csv_safe)
    with opened_to_read(path) as resolver:
        table, seq = arrow_table(resolver.changes(since)), resolver.seq
    _write(table, output, csv_safe=csv_safe)
    tell(f"{counted(table.num_rows, 'canonical ID')} changed since {since:,}; ask since {seq:,} next")


def _check_overwriting(path: str, output: str | None) -> None:
    if output and os.path.realpath(path) == os.path.realpath(output):
        raise click.UsageError(f"'{named(output)}' would be read and written over; name another file")


def _write(table: Any, output: str | None, *, csv_safe: bool) -> None:
    if output is None:
        print_csv(table, csv_safe=csv_safe)
        return
    with replacing(output) as stream:
        write_mapping(table, output, stream, csv_safe=csv_safe)
