"""An HTML page in one file, which loads nothing and runs nothing.

A content security policy in its head keeps a browser from both, even if an ID in it is HTML.
"""

from __future__ import annotations

import itertools
from html import escape
from typing import TYPE_CHECKING

from idmerge.pages.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, main: Iterable[str], *, header: Iterable[str] = ()) -> Iterator[str]:
    """Yield the lines of a page: ``title`` as text, HTML below it, and the main part."""
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">',
        f"<style>{STYLE}</style>",
    )
    above = ("<header>", f"<h1>{escape(title)}</h1>", *header, "</header>", "<main>")
    return html_lines(title, head, itertools.chain(above, main, ["</main>"]))


def html_lines(
    title: str, head: Iterable[str], body: Iterable[str], kind: str | None = None
) -> Iterator[str]:
    """Yield the lines of a page: its title as text, what else is in its head, and its body.

    ``kind`` is the body's class in the style sheet.
    """
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>"
    yield from head
    yield "</head>"
    yield "<body>" if kind is None else f'<body class="{kind}">'
    yield from body
    yield "</body>"
    yield "</html>"


def document_bytes(title: str, main: Iterable[str], *, about: str = "") -> bytes:
    """Return the page as a file's content, with a line ``about`` it beneath the title."""
    header = [f'<p class="sources">{escape(about)}</p>'] if about else []
    return ("\n".join(document(title, main, header=header)) + "\n").encode()


def figure(svg: bytes) -> str:
    """Return an SVG file's drawing as a part of a page."""
    text = svg.decode()
    return f"<figure>{text[text.index('<svg') :]}</figure>"
