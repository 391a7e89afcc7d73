"""``idmerge why``: the links that join two IDs, or those rejected between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from idmerge._formatting import counted, printable, shortened
from idmerge.cli.journals import journal_or_served, opened_to_read
from idmerge.cli.links import (
    Stated,
    act_lines,
    copies_lines,
    link_facts,
    link_rows,
    rejected_lines,
    sorted_out,
    stated_facts,
)
from idmerge.cli.messages import give, labelled
from idmerge.cli.options import JOURNAL_OR_SERVED_HELP
from idmerge.cli.pictures import check_drawing, cluster_of, draw, picture_options
from idmerge.cli.progress import working
from idmerge.cli.sections import command
from idmerge.pages.graph import Cluster, graph_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge import RecordedLink


@command(
    short_help="Tell why two IDs are one person, or not.",
    help=f"""
    Tell why the IDs A and B are one person: the chain of links that joins them. Or why they are not: the
    links between their clusters that were sent and rejected, with Mixpanel's code and the rule behind it.
    With either go the pairs of IDs that are kept apart, and what was taken back.

    A link that changed nothing, for its IDs were together already, joined nothing: it is shown only if it is
    a copy of one in the chain.

    {JOURNAL_OR_SERVED_HELP}

    \b
    Example:
      idmerge why user-1005 user-1005b ids.idmerge
      idmerge why user-1005 user-1005b ids.idmerge --html why.html
    """,
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@journal_or_served
@picture_options
def why(*, a: str, b: str, path: str, svg_file: str | None, html_file: str | None) -> None:
    """Print why two IDs are one person or not; the help says more."""
    if a == b:
        raise click.UsageError("A and B are the same ID")
    check_drawing(path, svg_file, html_file)
    with working("opening") as work, opened_to_read(path) as resolver:
        work.begin("looking for links")
        chain = resolver.explain(a, b)
        clusters = [cluster_of(resolver, text) for text in ([a] if chain is not None else [a, b])]
        stated = sorted_out(resolver.statements(a, b), chain or ())
        is_drawn = chain is None and (svg_file or html_file)
        rejected = resolver.why_not(a, b) if is_drawn else []
    give(_facts(a, b, clusters, chain, stated), _answer(a, b, clusters, chain, stated))
    title = f"Why {shortened(a)} and {shortened(b)} are {'apart' if chain is None else 'one person'}"
    draw(
        lambda: graph_of(title, clusters, rejected=rejected, chain=chain or (), requested=(a, b)),
        svg_file,
        html_file,
    )


def _answer(
    a: str,
    b: str,
    clusters: Sequence[Cluster],
    chain: Sequence[RecordedLink] | None,
    stated: Stated,
) -> Iterator[str]:
    if chain is not None:
        yield labelled("together", f"in {_named(clusters[0])}")
        yield labelled("chain", f"{counted(len(chain), 'link')} from {printable(a)} to {printable(b)}")
        yield from link_rows(chain)
        yield from copies_lines(stated.copies)
        yield from act_lines(stated)
        return
    for label, text, cluster in zip(("apart", ""), (a, b), clusters, strict=True):
        yield labelled(label, f"{printable(text)} is in {_named(cluster)}")
    yield from rejected_lines(stated.rejected, "between the two clusters")
    yield from act_lines(stated)


def _named(cluster: Cluster) -> str:
    return f"the cluster of {printable(cluster.canonical)}, {counted(len(cluster.members), 'ID')}"


def _facts(
    a: str, b: str, clusters: Sequence[Cluster], chain: Sequence[RecordedLink] | None, stated: Stated
) -> dict[str, Any]:
    named = [{"canonical_id": one.canonical, "cluster_size": len(one.members)} for one in clusters]
    return {
        "a": a,
        "b": b,
        "together": chain is not None,
        "clusters": named,
        "chain": None if chain is None else [*map(link_facts, chain)],
        **stated_facts(stated),
    }
