"""Writers of matplotlib figures as SVG and PNG.

The same figure gives the same bytes, with the same libraries on the same machine: nothing depends
on chance, on the user's settings or on the date. matplotlib is imported only when something is
drawn.
"""

from __future__ import annotations

import importlib.util
import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from idmerge.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure

INK, PAPER = "#222222", "#ffffff"
"""The colours of text and of the ground in every figure."""
DOTS_AN_INCH = 144


def check_installed(*libraries: str) -> None:
    """Look whether the ``libraries`` that draw are there, before work is done that ends with them.

    Raises:
        MissingExtraError: One of them is not installed.
    """
    if any(importlib.util.find_spec(library) is None for library in libraries):
        raise _missing(*libraries)


def _missing(*libraries: str) -> MissingExtraError:
    needed = " and ".join(libraries)
    return MissingExtraError(f"drawing needs {needed}: pip install {' '.join(libraries)}")


@contextmanager
def own_settings(*libraries: str) -> Iterator[None]:
    """Draw by matplotlib's defaults, without the user's settings and warnings of glyphs.

    Raises:
        MissingExtraError: One of ``libraries`` is not installed.
    """
    try:
        for library in libraries:
            importlib.import_module(library)
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib import style  # noqa: PLC0415
    except ImportError as error:
        raise _missing(*libraries) from error
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


def png_of(figure: Figure) -> bytes:
    """Return ``figure`` as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DOTS_AN_INCH, metadata={"Software": None})
    return stream.getvalue()
