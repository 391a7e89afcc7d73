"""Pictures of clusters in a journal: the options that ask for one, and the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge.cli.messages import tell_written
from idmerge.cli.output import check_outputs, file_option
from idmerge.cli.progress import working
from idmerge.files import replacing
from idmerge.pages import clusters, diagram
from idmerge.pages.figures import check_installed
from idmerge.pages.graph import Cluster
from idmerge.pages.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from idmerge import DurableResolver
    from idmerge.pages.graph import Graph


def picture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options that ask for a picture."""
    svg_option = file_option(
        "--svg", "svg_file", suffixes=(".svg",), text="Draw it here, as SVG (needs matplotlib and scipy)."
    )
    html_option = file_option(
        "--html",
        "html_file",
        suffixes=(".html", ".htm"),
        text="Draw it here, with a table of the links, as one HTML file (needs them too).",
    )
    return svg_option(html_option(command))


def check_drawing(path: str, svg_file: str | None, html_file: str | None) -> None:
    """Check that the pictures can be written, and neither over the journal nor over one another."""
    check_outputs([path], {"--svg": svg_file, "--html": html_file})
    if svg_file or html_file:
        check_installed("matplotlib", "scipy")


def draw(make: Callable[[], Graph], svg_file: str | None, html_file: str | None) -> None:
    """Draw the graph that ``make`` returns to the files that are given."""
    if not svg_file and not html_file:
        return
    with working("drawing"):
        graph = make()
        if svg_file:
            _write(diagram.svg(graph), svg_file)
        if html_file:
            _write(clusters.page(graph, RULES), html_file)


def _write(content: bytes, path: str) -> None:
    with replacing(path) as stream:
        stream.write(content)
    tell_written("the picture", path)


def cluster_of(resolver: DurableResolver, distinct_id: str) -> Cluster:
    """Return the cluster of an ID with the links that built it."""
    links = resolver.explain(distinct_id) or []
    return Cluster(resolver.resolve(distinct_id), resolver.members(distinct_id), links)
