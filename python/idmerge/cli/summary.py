"""The summary of a run on standard error."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from idmerge._formatting import counted, printable
from idmerge.cli.messages import labelled, print_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge import Outcome, Stats
    from idmerge.cli.malformed import MalformedLines

    Clusters = Sequence[tuple[int, str]]
    """Size and canonical ID of clusters."""

INDENT = " " * 12


@dataclass
class Run:
    """Counts and duration of one run."""

    files: int
    events: int = 0
    malformed: MalformedLines | None = None
    seconds: float = 0.0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    """Its links by outcome."""
    journal: str | None = None
    """The line on the journal that it wrote to."""


def print_summary(run: Run, stats: Stats, largest: Clusters, max_cluster_size: int | None) -> None:
    """Print the summary of ``run`` to standard error."""
    print_lines(summary_lines(run, stats, largest, max_cluster_size), err=True)


def summary_lines(run: Run, stats: Stats, largest: Clusters, max_cluster_size: int | None) -> Iterator[str]:
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
        yield from run.malformed.lines()
    if run.journal:
        yield labelled("journal", run.journal)
    yield labelled("IDs", f"{stats.ids:,} in {counted(stats.clusters, 'cluster')}")
    for place, (size, canonical) in enumerate(largest):
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
