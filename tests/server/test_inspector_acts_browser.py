"""Questions and acts in Chromium: why, undo, the undo of that, keep apart, forget; hostile IDs."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from live_server import Served, serving
from watched_pages import CHROMIUM, Watched, launched

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

HOSTILE = [
    "<img src=x onerror=document.title='run'>",
    "\"'><script>document.title='run'</script>",
    "a|b/c@d&e=f;g#h?i%2F",
    "\u202egnp.exe",
    "👩‍👩‍👧‍👦 emoji",
    "שלום עולם",
    "x" * 255,
]
NOW = int(time.time())
PAGES = (
    "why?id=ana&other=crm-17",
    "undo?position=0&a=ana&b=phone",
    "apart?a=ana&b=ben",
    "forget?id=ana",
    "why",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("inspected") / "shop", "--port", "0") as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with launched(playwright) as browser:
        yield browser


@pytest.fixture
def watched(chromium: Any, server: Served) -> Iterator[Watched]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = Watched(context.new_page(), server.url)
    page.sign_in(server.secret)
    yield page
    assert page.faults == []
    assert page.page.title() != "run"
    context.close()


def sent(served: Served, *events: tuple[str, dict[str, Any]]) -> None:
    """Send events, each once, and wait until they are applied."""
    sent.count += len(events)  # type: ignore[attr-defined]
    items = [
        {"event": name, "properties": {"time": NOW, "$insert_id": f"i{sent.count}-{number}", **stated}}  # type: ignore[attr-defined]
        for number, (name, stated) in enumerate(events)
    ]
    key = base64.b64encode(f"{served.secret}:".encode()).decode()
    headers = {"content-type": "application/json", "authorization": f"Basic {key}"}
    request = Request(f"{served.url}/import", json.dumps(items).encode(), headers)  # noqa: S310 - of this machine
    urlopen(request).close()  # noqa: S310
    served.settled()


sent.count = 0  # type: ignore[attr-defined]


def merge(a: str, b: str) -> tuple[str, dict[str, Any]]:
    return "$merge", {"$distinct_ids": [a, b]}


def test_why_then_undo_then_the_undo_of_that(watched: Watched, server: Served) -> None:
    sent(server, merge("u1", "u1-phone"), merge("u1-phone", "u1-crm"), ("Buy", {"distinct_id": "u1-crm"}))
    watched.go("/inspect/why")
    watched.page.get_by_label("One ID").fill("u1")
    watched.page.get_by_label("Another ID").fill("u1-crm")
    watched.press("Ask")
    assert watched.page.locator(".why-chain .node").all_inner_texts() == ["u1", "u1-phone", "u1-crm"]
    watched.page.locator(".why-chain .take-back").last.click()
    watched.page.get_by_role("heading", name="Take back").wait_for()
    changes = watched.page.locator("#changes tbody tr")
    assert changes.count() == 1
    assert changes.first.inner_text().split() == ["u1-crm", "u1", "→", "u1-crm"]
    assert server.cluster("u1") == ["u1", "u1-crm", "u1-phone"]
    watched.press("Take it back")
    assert "1 canonical ID changed" in watched.page.get_by_role("status").inner_text()
    assert server.cluster("u1") == ["u1", "u1-phone"]
    watched.page.reload()  # Nothing is done twice.
    assert server.cluster("u1") == ["u1", "u1-phone"]
    watched.go("/inspect/why?id=u1&other=u1-crm")
    assert "apart" in watched.page.locator("h1").inner_text()
    watched.page.locator("#taken-back").get_by_role("link", name="Bring back").click()
    watched.page.get_by_role("heading", name="Bring back").wait_for()
    watched.press("Bring it back")
    assert server.cluster("u1") == ["u1", "u1-crm", "u1-phone"]
    watched.press("Take it back")
    assert server.cluster("u1") == ["u1", "u1-phone"]


def test_two_ids_are_kept_apart(watched: Watched, server: Served) -> None:
    sent(server, merge("u2", "u2-phone"), merge("v2", "v2-phone"))
    watched.go("/inspect/person?id=u2")
    watched.follow("Keep this ID apart")
    watched.page.get_by_label("Another ID").fill("v2")
    watched.press("Go on")
    watched.press("Keep them apart")
    assert "are kept apart" in watched.page.get_by_role("status").inner_text()
    sent(server, merge("u2-phone", "v2-phone"))
    watched.follow("What else stands between them")
    assert "KEPT_APART" in watched.page.locator("#refused").inner_text()
    assert server.cluster("u2") == ["u2", "u2-phone"]
    watched.page.locator("#kept-apart .take-back").click()
    watched.page.locator("#changes").wait_for()
    watched.press("Take it back")  # So the refused link holds.
    assert server.cluster("u2") == ["u2", "u2-phone", "v2", "v2-phone"]


def test_an_id_is_forgotten_once_it_is_typed(watched: Watched, server: Served) -> None:
    sent(server, merge("u3", "u3-phone"), ("Buy", {"distinct_id": "u3"}))
    watched.go("/inspect/forget?id=u3")
    watched.page.get_by_label("Type the ID to confirm").fill("u4")
    watched.press("Forget it for good")
    assert "another text" in watched.page.get_by_role("alert").inner_text()
    assert server.cluster("u3") == ["u3", "u3-phone"]
    watched.page.get_by_label("Type the ID to confirm").fill("u3")
    watched.press("Forget it for good")
    assert "is forgotten" in watched.page.get_by_role("status").inner_text()
    assert "u3" not in watched.page.url.replace("127.0.0.1", "")
    assert server.cluster("u3-phone") == ["u3-phone"]


@pytest.mark.parametrize("hostile", HOSTILE, ids=[*"abcdefg"])
def test_hostile_ids_inject_nothing(watched: Watched, server: Served, hostile: str) -> None:
    other = f"other of {HOSTILE.index(hostile)}"
    sent(server, merge(other, hostile))
    watched.go(f"/inspect/why?{urlencode({'id': other, 'other': hostile})}")
    assert watched.page.locator(".why-chain .node").count() == 2
    watched.page.locator(".why-chain .take-back").click()
    watched.page.locator("#changes").wait_for()
    watched.press("Take it back")
    watched.press("Bring it back")
    assert server.cluster(other) == sorted([other, hostile])
    watched.go(f"/inspect/apart?{urlencode({'a': hostile, 'b': 'somebody'})}")
    watched.press("Keep them apart")
    watched.go(f"/inspect/forget?{urlencode({'id': hostile})}")
    shown = watched.page.locator("label bdi").inner_text()
    watched.page.get_by_label("Type the ID to confirm").fill(shown)
    watched.press("Forget it for good")
    assert "is forgotten" in watched.page.get_by_role("status").inner_text()
    assert server.cluster(other) == [other]


def test_a_link_is_taken_back_by_the_keyboard_alone(watched: Watched, server: Served) -> None:
    sent(server, merge("u5", "u5-phone"))
    watched.go("/inspect/why?id=u5&other=u5-phone")
    page = watched.page

    def tab_to(text: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.innerText") == text:
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", "it is seen where the keyboard is"
                return
        raise AssertionError(text)

    tab_to("Take back…")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    tab_to("Take it back")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.get_by_role("status").wait_for()
    assert server.cluster("u5-phone") == ["u5-phone"]


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_page_is_wider_than_the_window(chromium: Any, server: Served, width: int, colours: str) -> None:
    sent(server, merge("ana", "phone"), merge("phone", "crm-17"), merge("ana", "y" * 255))
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
    page = Watched(context.new_page(), server.url)
    page.sign_in(server.secret)
    for path in (*PAGES, f"why?{urlencode({'id': 'ana', 'other': 'y' * 255})}"):
        page.go(f"/inspect/{path}")
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert page.faults == []
    context.close()


def test_every_act_works_without_scripts(chromium: Any, server: Served) -> None:
    sent(server, merge("u6", "u6-phone"))
    context = chromium.new_context(java_script_enabled=False)
    page = Watched(context.new_page(), server.url)
    page.sign_in(server.secret)
    page.go("/inspect/why?id=u6&other=u6-phone")
    page.follow("Take back")
    page.press("Take it back")
    assert server.cluster("u6-phone") == ["u6-phone"]
    context.close()
