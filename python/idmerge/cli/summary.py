"""The summary of a run on standard error."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from idmerge._formatting import counted, printable
from idmerge.cli.messages import labelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from idmerge import Outcome, Stats

LARGEST = 5
INDENT = " " * 12


@dataclass
class Run:
    """Counts and duration of one run."""

    files: int
    events: int = 0
    malformed: int = 0
    seconds: float = 0.0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    """Its links by outcome."""
    journal: str | None = None
    """The line on the journal that it wrote to."""


def print_summary(run: Run, stats: Stats, table: pa.Table, max_cluster_size: int | None) -> None:
    """Print the summary of ``run`` to standard error."""
    for line in summary_lines(run, stats, table, max_cluster_size):
        click.echo(line, err=True)


def summary_lines(run: Run, stats: Stats, table: pa.Table, max_cluster_size: int | None) -> Iterator[str]:
    """Yield the lines of the summary."""
    files = counted(run.files, "file")
    yield labelled("read", f"{counted(run.events, 'event')} from {files} in {run.seconds:.2f} s")
    yield from links_lines(run.outcomes)
    if stats.differing:
        verdicts = (
            "link that Mixpanel refused passes"
            if stats.differing == 1
            else "links that Mixpanel refused pass"
        )
        yield labelled("verdicts", f"{stats.differing:,} {verdicts} the other rules (--verdicts ignore)")
    if run.malformed:
        yield labelled("malformed", f"{counted(run.malformed, 'line')} passed over")
    if run.journal:
        yield labelled("journal", run.journal)
    yield labelled("IDs", f"{stats.ids:,} in {counted(stats.clusters, 'cluster')}")
    for place, (size, canonical) in enumerate(largest_clusters(table)):
        yield labelled("" if place else "largest", f"{size:>7,}  {printable(canonical)}")
    if max_cluster_size is not None:
        near = counted(stats.near_limit, "cluster")
        yield labelled("near limit", f"{near} within 10 % of the {max_cluster_size:,} IDs allowed")


def links_lines(outcomes: Counter[Outcome]) -> Iterator[str]:
    """Yield the lines on links: how many, and how many of each outcome."""
    total = outcomes.total()
    rejected = sum(count for outcome, count in outcomes.items() if not outcome.accepted)
    yield labelled("links", f"{total:,}, of which {rejected:,} rejected" if rejected else f"{total:,}")
    for outcome, count in sorted(outcomes.items()):
        yield f"{INDENT}{count:>7,}  {outcome.name:<13}  {outcome.failure_reason or ''}".rstrip()


def largest_clusters(table: pa.Table) -> list[tuple[int, str]]:
    """Return size and canonical ID of the largest clusters; the first known of equal ones first."""
    import pyarrow.compute as pc  # noqa: PLC0415

    named = table.filter(pc.equal(table["distinct_id"], table["canonical_id"]))
    # A stable sort; `to_numpy` would import pandas, where it is installed.
    places = pc.sort_indices(named, sort_keys=[("cluster_size", "descending")])[:LARGEST]
    largest = named.take(places).to_pydict()
    return list(zip(largest["cluster_size"], largest["canonical_id"], strict=True))
