"""What is drawn, as SVG and as a page.

The same figure gives the same bytes, with the same libraries on the same machine: nothing is drawn by chance,
by the user's settings, or with a date. A page is one HTML file that needs nothing else, and a policy in its
head keeps a browser from running or loading anything. What draws is imported only when something is drawn.
"""

from __future__ import annotations

import importlib
import io
import warnings
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from idmerge.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from matplotlib.figure import Figure

RULES = "default-src 'none'; style-src 'unsafe-inline'"


@contextmanager
def own_style(*libraries: str) -> Iterator[None]:
    """Draw by matplotlib's own defaults, whatever the user's are, and without a word on rare letters.

    Raises:
        MissingExtraError: One of ``libraries`` is not installed.
    """
    try:
        for library in libraries:
            importlib.import_module(library)
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib import style  # noqa: PLC0415
    except ImportError as error:
        needed = " and ".join(libraries)
        raise MissingExtraError(f"drawing needs {needed}: pip install 'idmerge[plot]'") from error
    with style.context("default", after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[gG]lyph.*")
        warnings.filterwarnings("ignore", message=".*does not support.*")
        mpl.rcParams["svg.hashsalt"] = "idmerge"
        mpl.rcParams["svg.fonttype"] = "none"
        mpl.rcParams["text.parse_math"] = False  # A dollar sign in a name begins no formula.
        yield


def svg_of(figure: Figure, titles: Mapping[str, str]) -> bytes:
    """Return ``figure`` as SVG, with a title in each group that ``titles`` names."""
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    space = "http://www.w3.org/2000/svg"
    ET.register_namespace("", space)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ET.fromstring(stream.getvalue())  # noqa: S314 - matplotlib made it a moment ago
    for metadata in root.findall(f"{{{space}}}metadata"):
        root.remove(metadata)
    for group in list(root.iter(f"{{{space}}}g")):
        title = titles.get(group.get("id", ""))
        if title is not None:
            element = ET.Element(f"{{{space}}}title")
            element.text = title
            group.insert(0, element)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def page_of(title: str, style: str, drawing: bytes, below: Iterable[str]) -> bytes:
    """Return an HTML page: ``title`` as text, the SVG ``drawing``, and lines of HTML below it."""
    svg = drawing.decode()
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{RULES}">',
        f"<title>{escape(title)}</title>",
        f"<style>{style}</style>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        f"<figure>{svg[svg.index('<svg') :]}</figure>",
        *below,
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(lines).encode()
