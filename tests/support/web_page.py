"""A page with mixpanel-browser, and the browser that opens it, if there is one."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PACKAGES = {"mixpanel-browser": "2.83.0", "playwright-core": "1.65.1"}
"""What is needed of npm."""


def sdk_of(node_modules: Path) -> Path:
    """Return the script of mixpanel-browser for a page."""
    [script] = [
        path
        for name in ("mixpanel.umd.js", "mixpanel.globals.js")
        if (path := node_modules / "mixpanel-browser" / "dist" / name).exists()
    ][:1]
    return script


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def page_of(node_modules: Path, folder: Path) -> Iterator[str]:
    """Serve a page with mixpanel-browser, of another origin than the server's."""
    shutil.copy(sdk_of(node_modules), folder / "mixpanel.js")
    (folder / "index.html").write_text(
        '<!doctype html><title>Shop</title><link rel="icon" href="data:,"><script src="mixpanel.js"></script>'
    )
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{pages.server_address[1]}/index.html"
        pages.shutdown()
