"""A picture and its links as one HTML file that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import counted, utc
from idmerge.cli.picture import svg, whole
from idmerge.cli.rules import RULES
from idmerge.drawing import page_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge import RecordedLink
    from idmerge.cli.scene import Scene

HEADINGS = ("position", "committed", "kind", "first ID", "second ID", "outcome")
MOST_ROWS = 5000
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 90rem }
figure { margin: 0; overflow-x: auto }
table { border-collapse: collapse; margin-top: 1.5rem }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: right }
td:nth-child(4), td:nth-child(5) { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
tr.chain { background: #fff4cc }
tr.rejected { color: #a11212 }
"""


def page(scene: Scene) -> bytes:
    """Return ``scene`` as HTML.

    Raises:
        MissingExtraError: What draws is not installed.
    """
    return page_of(scene.title, STYLE, svg(scene), _links(scene))


def _links(scene: Scene) -> Iterator[str]:
    more = f", the first {MOST_ROWS:,} of them here" if len(scene.links) > MOST_ROWS else ""
    yield f"<p>{counted(len(scene.links), 'link')}{more}</p>"
    yield "<table>"
    yield f"<tr>{''.join(f'<th>{heading}</th>' for heading in HEADINGS)}</tr>"
    for link in scene.links[:MOST_ROWS]:
        yield _row(link, is_in_chain=link.position in scene.chain)
    yield "</table>"


def _row(link: RecordedLink, *, is_in_chain: bool) -> str:
    outcome = link.outcome.name
    if not link.outcome.accepted:
        outcome = " ".join(filter(None, [f"{outcome}: {RULES[link.outcome]}", _code(link)]))
    cells = [
        str(link.position),
        utc(link.time),
        link.kind.name.lower(),
        whole(link.left),
        whole(link.right),
        outcome,
    ]
    mark = "chain" if is_in_chain else "accepted" if link.outcome.accepted else "rejected"
    return f'<tr class="{mark}">{"".join(f"<td><bdi>{escape(cell)}</bdi></td>" for cell in cells)}</tr>'


def _code(link: RecordedLink) -> str | None:
    code = link.outcome.failure_reason
    return None if code is None else f"({code})"
