"""The summary of a run on standard error."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from idmerge._formatting import counted, printable
from idmerge.cli.messages import labelled

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


def summary_facts(run: Run, stats: Stats, largest: Clusters, max_cluster_size: int | None) -> dict[str, Any]:
    """Return the summary as an object of --json."""
    return {
        **run_facts(run),
        **links_facts(run.outcomes),
        "differing": stats.differing,
        "ids": stats.ids,
        "clusters": stats.clusters,
        "largest": [{"canonical_id": canonical, "cluster_size": size} for size, canonical in largest],
        "near_limit": stats.near_limit,
        "max_cluster_size": max_cluster_size,
    }


def run_facts(run: Run) -> dict[str, Any]:
    """Return what a run read, as keys of an object of --json."""
    return {
        "files": run.files,
        "events": run.events,
        "malformed": run.malformed.count if run.malformed else 0,
        "seconds": round(run.seconds, 3),
    }


def links_facts(outcomes: Counter[Outcome]) -> dict[str, Any]:
    """Return links by outcome, as keys of an object of --json."""
    rejected = sum(count for outcome, count in outcomes.items() if not outcome.accepted)
    counts = {outcome.name: count for outcome, count in sorted(outcomes.items()) if count}
    return {"links": outcomes.total(), "rejected": rejected, "outcomes": counts}


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
