"""Pages of the inspector in Chromium, and whatever they should not have done."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def launched(playwright: Any) -> Iterator[Any]:
    """Run Chromium until the block ends."""
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


class Watched:
    """A page of a browser; `faults` has requests to elsewhere, errors and dialogs."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.faults: list[str] = []
        page.on("request", self._look)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))

    def _look(self, request: Any) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.faults.append(f"a request to {request.url}")

    def _hear(self, said: Any) -> None:
        # Chromium says so of each answer whose status is no success.
        if said.type == "error" and "the server responded with a status of 4" not in said.text:
            self.faults.append(said.text)

    def go(self, path: str) -> None:
        """Load a page."""
        self.page.goto(f"{self.url}{path}")

    def sign_in(self, secret: str) -> None:
        """Sign in by the form."""
        self.go("/")
        self.page.get_by_label("secret").fill(secret)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()

    def press(self, name: str) -> None:
        """Press a button that leads to another page."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        """Follow the first link that is called so."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=name).first.click()
