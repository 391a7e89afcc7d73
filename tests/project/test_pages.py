"""Every page: well-formed, loading nothing, within the margins of a narrow and a wide window."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from command_line import run
from idmerge.testing import events

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LONG = ("x" * 250, "y" * 250)  # What no space breaks.
PAGES = {
    "doctor": ["doctor", "f.ndjson", "--format", "html", "-o", "page.html"],
    "migration": ["migrate", "f.ndjson", "--dry-run", "--anon-format", "any", "--report", "page.html"],
    "cluster": ["show", LONG[1], "ids.idmerge", "--html", "page.html"],
    "report": ["report", "f.ndjson", "--campaign", "campaign", "-o", "page.html"],
    "answer": ["ask", "attribution", "f.ndjson", "--campaign", "campaign", "--chart", "page.html"],
}
DARK = ["--blink-settings=preferredColorScheme=0"]


def identify(number: int) -> dict[str, Any]:
    properties = {"time": 1_704_067_200 + number, "$insert_id": str(number)}
    return {
        "event": "$identify",
        "properties": {**properties, "distinct_id": LONG[1], "$anon_distinct_id": LONG[0]},
    }


def purchase(number: int) -> dict[str, Any]:
    properties = {"time": 1_704_067_300 + number, "$insert_id": f"p{number}", "distinct_id": LONG[1]}
    return {"event": "Purchase", "properties": {**properties, "amount": 9.5, "campaign": "z" * 250}}


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a page with texts that are longer than any window is wide."""
    monkeypatch.chdir(tmp_path)
    stated = [*events(5000), *map(identify, range(3)), *map(purchase, range(3))]
    Path("f.ndjson").write_text("".join(json.dumps(event) + "\n" for event in stated), encoding="utf-8")
    if request.param == "cluster":
        run("resolve", "f.ndjson", "--journal", "ids.idmerge", "--anon-format", "any", "-o", "m.csv")
    run(*PAGES[request.param])
    return Path("page.html").resolve()


class Tags(HTMLParser):
    """Counts what is open, and keeps every attribute."""

    VOID = ("meta", "path", "use", "rect")  # The last three are SVG, which ends them by a slash.

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_is_well_formed_and_loads_nothing(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(content)
    assert tags.open == []
    assert {"header", "main", "h1", "style"} <= tags.tags
    assert not tags.tags & {"script", "img", "link", "iframe", "object", "a", "form"}
    assert not {name for name, _ in tags.attributes} & {"src", "href", "onload", "onclick"}
    assert "default-src 'none'; style-src 'unsafe-inline'" in content
    # A figure's SVG refers to its own parts, and names its language.
    of_svg = r"url\((?!#)|@import|https?:(?!//www\.w3\.org/)"
    assert not re.search(of_svg if "<svg" in content else r"url\(|@import|https?:", content)


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_fits_a_narrow_and_a_wide_window(
    page: Path, width: int, colours: str, request: pytest.FixtureRequest
) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    from matplotlib.image import imread

    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},3000"]
    command += [*DARK] if colours == "dark" else []
    subprocess.run(
        [*command, "--screenshot=f.png", page.as_uri()], check=True, capture_output=True, timeout=120
    )
    picture = imread("f.png")
    assert picture.shape[1] == width
    margins = [picture[:, place] for place in (2, width - 3)]
    background = margins[0][0]
    assert (background[:3].mean() < 0.5) == (colours == "dark")
    assert all((margin == background).all() for margin in margins), "something reaches into the margin"
    depth = 2500 if request.node.callspec.params["page"] == "doctor" else 500  # The doctor's is long.
    assert (picture != background).any(axis=(1, 2))[:depth].mean() > 0.5, "most of the page is there"
