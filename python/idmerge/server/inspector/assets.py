"""Files that pages load: the style sheet, an icon, and htmx, which is here as it was published.

Each has its version, or a hash, in its path, so that a browser may keep it for good.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from idmerge.pages.style import STYLE
from idmerge.server.http.answers import Answer
from idmerge.server.inspector.acts_style import ACTS_STYLE
from idmerge.server.inspector.style import INSPECTOR_STYLE

HTMX_VERSION = "2.0.11"
_KEPT = (("Cache-Control", "public, max-age=31536000, immutable"), ("X-Content-Type-Options", "nosniff"))
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" '
    'fill="#2f5f9e"/><g fill="none" stroke="#fff" stroke-width="3"><path d="M9 9l7 7 7-7M16 16v7"/></g>'
    '<g fill="#fff"><circle cx="9" cy="9" r="4"/><circle cx="23" cy="9" r="4"/>'
    '<circle cx="16" cy="23" r="5"/></g></svg>'
)
_STYLE = STYLE + INSPECTOR_STYLE + ACTS_STYLE


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


STYLE_SHEET = f"/inspect/style-{_hashed(_STYLE)}.css"
ICON = f"/inspect/icon-{_hashed(_ICON)}.svg"
HTMX = f"/inspect/htmx-{HTMX_VERSION}.js"


def asset(path: str) -> Answer | None:
    """Return the file at a path; None if there is none."""
    if path == STYLE_SHEET:
        return Answer(200, _STYLE.encode(), "text/css; charset=utf-8", _KEPT)
    if path == ICON:
        return Answer(200, _ICON.encode(), "image/svg+xml", _KEPT)
    if path == HTMX:
        return Answer(200, htmx(), "text/javascript; charset=utf-8", _KEPT)
    return None


@cache
def htmx() -> bytes:
    """Return htmx, as it was published."""
    return files("idmerge.server.inspector").joinpath("htmx", f"htmx-{HTMX_VERSION}.min.js").read_bytes()
