"""The inspector in Chromium: the ways people go, by mouse and by keyboard, and nothing from elsewhere."""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from live_server import Served, serving
from real_clients import of_npm
from watched_pages import CHROMIUM, Watched, launched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

HOSTILE = "<img src=http://evil.example/x onerror=document.title='run'>"
ID = "crm|17/@é🎉"
SEEN, AGO = 120, 3600
WIDTHS = (400, 1280)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("inspected") / "shop") as served:
        fill(served)
        yield served


def fill(served: Served) -> None:
    now = int(time.time())
    phones = [str(uuid.uuid4()) for _ in range(3)]
    events: list[tuple[str, dict[str, Any]]] = [
        ("Look", {"distinct_id": phones[n % 3], "time": now - SEEN * AGO + n * AGO, "n": n, HOSTILE: HOSTILE})
        for n in range(SEEN)
    ]
    events += [
        ("$identify", {"$anon_id": phone, "$identified_id": "ana", "distinct_id": "ana", "time": now})
        for phone in phones
    ]
    events.append(
        ("$identify", {"$anon_id": phones[0], "$identified_id": "ben", "distinct_id": "ben", "time": now})
    )
    events.append(("$create_alias", {"alias": ID, "distinct_id": "ana", "time": now}))
    events.append(("$merge", {"$distinct_ids": ["ana", HOSTILE], "time": now}))
    events.append(("$merge", {"$distinct_ids": ["ana", "x" * 255], "time": now}))
    events.append((HOSTILE, {"distinct_id": HOSTILE, "time": now}))
    imported(served, [{"event": name, "properties": stated} for name, stated in events])
    posted(
        f"{served.url}/engage",
        [{"$token": served.token, "$distinct_id": "ana", "$set": {"$name": "Ana", "bio": HOSTILE}}],
        {},
    )
    served.settled()


def imported(served: Served, events: list[dict[str, Any]]) -> None:
    key = base64.b64encode(f"{served.secret}:".encode()).decode()
    posted(f"{served.url}/import", events, {"authorization": f"Basic {key}"})


def posted(url: str, items: list[dict[str, Any]], headers: dict[str, str]) -> None:
    request = Request(url, json.dumps(items).encode(), {"content-type": "application/json", **headers})  # noqa: S310
    urlopen(request).close()  # noqa: S310 - of this machine


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with launched(playwright) as browser:
        yield browser


class Inspected(Watched):
    """A page of the inspector, on which every error of the console is a fault."""

    def __init__(self, page: Any, served: Served) -> None:
        super().__init__(page, served.url)
        self.served = served

    def _hear(self, said: Any) -> None:
        if said.type == "error":
            self.faults.append(said.text)

    def enter(self) -> None:
        self.sign_in(self.served.secret)
        self.page.get_by_role("heading", name="Who is who").wait_for()

    def find(self, distinct_id: str) -> None:
        self.page.get_by_label("An ID of a person").fill(distinct_id)
        self.page.get_by_role("button", name="Find").click()
        self.page.locator("#feed").wait_for()


@pytest.fixture
def watched(chromium: Any, server: Served) -> Iterator[Inspected]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = Inspected(context.new_page(), server)
    page.enter()
    yield page
    assert page.faults == []
    assert page.page.title() != "run"
    context.close()


@pytest.mark.parametrize("distinct_id", [ID, "ana", HOSTILE, "x" * 255])
def test_a_person_is_found_by_any_id(watched: Inspected, distinct_id: str) -> None:
    watched.find(distinct_id)
    page = watched.page
    page.locator("#drawing svg").wait_for()
    assert page.locator("#ids tbody tr").count() == 7
    assert page.locator("#drawing svg title").count() >= 7
    assert "ANON_CLAIMED" in page.locator("#refused").inner_text()
    assert "Ana" in page.locator("#profile").inner_text()


def test_the_feed_goes_back_to_the_first_event(watched: Inspected) -> None:
    watched.find("ana")
    page = watched.page
    where = page.locator("#feed nav span").first
    newest = where.inner_text()
    while (older := page.locator("#feed nav").first.get_by_role("link", name="Older")).count():
        before = where.inner_text()
        older.click()
        playwright.expect(where).not_to_have_text(before)
    oldest = where.inner_text()
    page.locator("#feed summary").last.click()
    assert page.locator("#feed li").last.locator("dd", has_text=re.compile("^0$")).count() == 1
    assert "before=" in page.url, "each page of the feed has a URL"
    page.reload()
    assert where.inner_text() == oldest
    page.locator("#feed nav").first.get_by_role("link", name="Newest").click()
    playwright.expect(where).to_have_text(newest)
    page.go_back()
    playwright.expect(where).to_have_text(oldest)


def test_a_range_of_days_is_a_url(watched: Inspected) -> None:
    watched.find("ana")
    page = watched.page
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 2 * 24 * 3600))
    page.get_by_label("From").fill(day)
    page.get_by_label("To").fill(day)
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**from=*")
    days = page.locator("#feed h3").all_inner_texts()
    assert len(days) == 1
    assert days[0].endswith(day)


def test_everything_is_reached_by_the_keyboard(watched: Inspected) -> None:
    page = watched.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    watched.go("/")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "search":
            break
    page.keyboard.type("ana")
    page.keyboard.press("Enter")
    page.locator("#feed").wait_for()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") in {"none", "auto", "solid"}


def test_links_appear_while_the_live_page_is_open(watched: Inspected) -> None:
    watched.go("/inspect/live")
    page = watched.page
    merge = {"$distinct_ids": ["ana", "late"], "time": 1}
    imported(watched.served, [{"event": "$merge", "properties": merge}])
    page.locator("#live td", has_text="late").wait_for(timeout=20_000)
    page.get_by_role("link", name="Pause").click()
    page.get_by_role("link", name="Go on").wait_for()
    assert "paused=1" in page.url


def test_every_page_works_without_scripts(chromium: Any, server: Served) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = Inspected(context.new_page(), server)
    page.enter()
    page.find("ana")
    page.page.locator("#feed nav").first.get_by_role("link", name="Older").click()
    page.page.wait_for_url("**before=*")
    assert page.page.locator("#feed li").count() > 0
    page.page.get_by_role("link", name="The picture").click()
    page.page.locator("svg").wait_for()
    assert page.faults == []
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["/", "/inspect/live", "/inspect/person?id=ana", "/inspect/person?id=nobody"]
)
def test_no_page_is_wider_than_the_window(
    chromium: Any, server: Served, width: int, colours: str, path: str
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
    page = Inspected(context.new_page(), server)
    page.enter()
    page.go(path)
    if path.endswith("ana"):
        page.page.locator("#drawing svg").wait_for()
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = of_npm(tmp_path_factory.mktemp("npm"), {"axe-core": "4.14.1"})
    return (folder / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["/", "/inspect/live?paused=1", "/inspect/person?id=ana", "/inspect/picture?id=ana"]
)
def test_a_screen_reader_can_use_each_page(
    chromium: Any, server: Served, axe: str, colours: str, path: str
) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme=colours)
    page = Inspected(context.new_page(), server)
    page.enter()
    page.go(path)
    page.page.evaluate(axe)
    found = page.page.evaluate("axe.run(document)")["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []
    context.close()
