"""An HTML page in one file, which loads nothing and runs nothing.

A content security policy in its head keeps a browser from both, even if an ID in it is HTML.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge.pages.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, main: Iterable[str], *, header: Iterable[str] = ()) -> Iterator[str]:
    """Yield the lines of a page: ``title`` as text, HTML below it, and the main part."""
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>"
    yield f"<style>{STYLE}</style>"
    yield "</head>"
    yield "<body>"
    yield "<header>"
    yield f"<h1>{escape(title)}</h1>"
    yield from header
    yield "</header>"
    yield "<main>"
    yield from main
    yield "</main>"
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
