"""What ``show`` and ``why`` share: links of a journal as lines, and clusters as a picture."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from idmerge._formatting import aligned, printable, utc
from idmerge.cli.messages import labelled
from idmerge.cli.output import check_suffix
from idmerge.cli.rules import RULES
from idmerge.files import replacing
from idmerge.naming import named
from idmerge.pages import clusters, diagram
from idmerge.pages.graph import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from idmerge import DurableResolver, RecordedLink
    from idmerge.pages.graph import Graph


def picture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options that ask for a picture."""
    svg_option = click.option(
        "--svg",
        "svg_file",
        metavar="FILE",
        callback=lambda _context, _option, path: check_suffix(path, (".svg",)),
        help="Draw it here, as SVG (idmerge[plot]).",
    )
    html_option = click.option(
        "--html",
        "html_file",
        metavar="FILE",
        callback=lambda _context, _option, path: check_suffix(path, (".html", ".htm")),
        help="Draw it here, with a table of the links, as one HTML file (idmerge[plot]).",
    )
    return svg_option(html_option(command))


def check_drawing(path: str, svg_file: str | None, html_file: str | None) -> None:
    """Raise a usage error if the journal at ``path`` or one picture would be written over."""
    written = [os.path.realpath(file) for file in (svg_file, html_file) if file]
    if len(set(written)) < len(written):
        raise click.UsageError("--svg and --html name the same file")
    if os.path.realpath(path) in written:
        raise click.UsageError(f"'{named(path)}' would be read and written over; name another file")


def draw(make: Callable[[], Graph], svg_file: str | None, html_file: str | None) -> None:
    """Draw the graph that ``make`` returns to the files that are given."""
    if not svg_file and not html_file:
        return
    graph = make()
    if svg_file:
        _write(diagram.svg(graph), svg_file)
    if html_file:
        _write(clusters.page(graph, RULES), html_file)


def _write(content: bytes, path: str) -> None:
    with replacing(path) as stream:
        stream.write(content)


def cluster_of(resolver: DurableResolver, distinct_id: str) -> Cluster:
    """Return the cluster of an ID with the links that built it."""
    links = resolver.explain(distinct_id) or []
    return Cluster(resolver.resolve(distinct_id), resolver.members(distinct_id), links)


def rows(links: Sequence[RecordedLink]) -> Iterator[str]:
    """Yield a line for each accepted link."""
    return aligned([(*_when(link), _ends(link)) for link in links], right=(0,))


def rejected_rows(links: Sequence[RecordedLink]) -> Iterator[str]:
    """Yield a line for each rejected link, and then the rules behind the outcomes."""
    yield from aligned(
        [(*_when(link), link.outcome.name, link.outcome.failure_reason or "", _ends(link)) for link in links],
        right=(0,),
    )
    for place, outcome in enumerate(sorted({link.outcome for link in links})):
        yield labelled("" if place else "rules", f"{outcome.name}: {RULES[outcome]}")


def _when(link: RecordedLink) -> tuple[str, str, str]:
    return f"{link.position:,}", utc(link.time), link.kind.name.lower()


def _ends(link: RecordedLink) -> str:
    left, right = ("(forgotten)" if text is None else printable(text) for text in (link.left, link.right))
    return f"{left}  {right}"
