"""The inspector's doors: sessions, tokens of forms, readers, and what browsers are told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from idmerge.errors import SettingError
from idmerge.server.app import App
from idmerge.server.directory import Directory
from idmerge.server.http.requests import Request
from idmerge.server.inspector import assets
from idmerge.server.inspector.alone import AsProject
from idmerge.server.inspector.doors import Door
from idmerge.server.inspector.routing import Inspector, is_page
from idmerge.server.inspector.served import inspector_of
from idmerge.server.inspector.sessions import ATTEMPTS, IDLE_SECONDS, LONGEST_SECONDS, MOST, Sessions
from idmerge.server.reading.routes import read
from idmerge.server.renamed import with_renamed
from idmerge.server.server import Server
from idmerge.server.writing.handling import handled
from inspected import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = """
[[project]]
name = "shop"
token = "TOKEN"
secret = "SECRET"
accounts = ["importer:also-secret"]
readers = ["analyst:may-look"]

[[project]]
name = "news"
token = "NEWS-TOKEN"
secret = "NEWS-SECRET"
"""


def basic(user: str, password: str = "") -> dict[bytes, bytes]:
    return {b"authorization": b"Basic " + base64.b64encode(f"{user}:{password}".encode())}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "idmerge.toml").write_text(SETTINGS)
    with Server(tmp_path) as server:
        server.resolver("shop").merge("ana", "crm-17")
        server.resolver("shop").commit()
        yield server


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(inspector_of(server))


@pytest.mark.parametrize("key", ["SECRET", "importer:also-secret", "analyst:may-look", " SECRET\n"])
def test_a_key_opens_its_project(browser: Browser, key: str) -> None:
    assert browser.sign_in(key).status == 303
    shown = browser.get("/")
    assert shown.status == 200
    assert "Sign out" in shown.text
    assert "shop" in shown.text


def test_each_project_is_shown_to_its_own_key(browser: Browser) -> None:
    browser.sign_in("NEWS-SECRET")
    assert "news" in browser.get("/").text
    assert browser.get("/inspect/person?id=ana").status == 404


def test_an_account_of_several_projects_opens_the_one_of_the_url(tmp_path: Path) -> None:
    accounts = 'accounts = ["importer:also-secret"]'
    (tmp_path / "idmerge.toml").write_text(f"{SETTINGS}{accounts}\n")
    with Server(tmp_path) as server:
        browser = Browser(inspector_of(server))
        browser.sign_in("importer:also-secret")
        assert "<bdi>shop</bdi>" in browser.get("/").html
        form = browser.get("/inspect/sign-in?project=news").html
        fields = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form))
        assert browser.post("/inspect/sign-in", {"secret": "importer:also-secret", **fields}).status == 303
        assert "<bdi>news</bdi>" in browser.get("/").html


@pytest.mark.parametrize("key", ["", "TOKEN", "SECRET:", "secret", "analyst", "importer:", "x" * 10_000])
def test_nothing_else_opens_one(browser: Browser, key: str) -> None:
    if key == "SECRET:":  # The same as Basic authorization has it.
        assert browser.sign_in(key).status == 303
        return
    shown = browser.sign_in(key)
    assert shown.status == 401
    assert "set-cookie" not in shown.headers
    assert browser.get("/inspect/person?id=ana").status == 303


def test_who_has_not_signed_in_comes_to_the_page_after_that(browser: Browser) -> None:
    target = "/inspect/person?id=a%26b%7C%2F"
    first = browser.get(target)
    assert first.status == 303
    form = browser.get(first.headers["location"])
    assert form.status == 200
    assert "a%26b%7C%2F" in form.html
    done = browser.post("/inspect/sign-in", {"secret": "SECRET", "to": target})
    assert done.headers["location"] == target


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example/inspect/",
        "/\\evil.example",
        "javascript:x",
        "/x",
        "/inspect/\n",
    ],
)
def test_nobody_is_led_to_another_place(browser: Browser, to: str) -> None:
    assert browser.post("/inspect/sign-in", {"secret": "SECRET", "to": to}).headers["location"] == "/"


def test_each_view_of_a_terminal_has_a_cookie_of_its_own(server: Server) -> None:
    subject = inspector_of(server).doors[0].subject
    jars = set()
    for _ in range(2):
        inspector = Inspector([Door(AsProject.of("shop"), subject)], by_ticket="Open the link.")
        browser = Browser(inspector)
        assert browser.get(inspector.ticket()).status == 200
        jars.add(browser.cookie.partition("=")[0])
    assert len(jars) == 2, "browsers keep cookies of a host, whatever the port"


def test_a_ticket_lets_in_one_of_those_who_come_at_once(server: Server) -> None:
    subject = inspector_of(server).doors[0].subject
    inspector = Inspector([Door(AsProject.of("shop"), subject)], by_ticket="Open the link.")
    ticket = inspector.ticket()
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: Browser(inspector).get(ticket).status, range(64))]
    assert sorted(found) == [200, *[403] * 63]


@pytest.mark.parametrize("text", ["[" * 60_000, '{"a":' * 15_000, "1" * 5000, '"\\ud800"', "nan"])
def test_no_text_of_json_breaks_a_form(browser: Browser, text: str) -> None:
    assert browser.post("/inspect/sign-in", {"secret.json": text}).status == 401
    assert browser.post("/inspect/sign-in", {"secret": "SECRET", "to.json": text}).status == 303


def test_a_cookie_is_for_this_server_alone(browser: Browser) -> None:
    cookie = browser.sign_in("SECRET").headers["set-cookie"]
    assert "; HttpOnly" in cookie
    assert "; SameSite=Lax" in cookie
    assert "; Secure" not in cookie
    over_tls = browser.post("/inspect/sign-in", {"secret": "SECRET"}, x_forwarded_proto="https")
    assert over_tls.headers["set-cookie"].endswith("; Secure")


def test_a_session_that_was_there_before_ends_with_a_new_one(browser: Browser) -> None:
    browser.sign_in("analyst:may-look")
    before = browser.cookie
    browser.sign_in("SECRET")
    assert browser.cookie != before
    browser.cookie = before
    assert browser.get("/inspect/person?id=ana").status == 303


def test_a_browser_chooses_no_session(browser: Browser) -> None:
    browser.sign_in("SECRET")
    name = browser.cookie.partition("=")[0]
    browser.cookie = f"{name}=chosen-by-another"
    browser.sign_in("SECRET")
    assert browser.cookie != f"{name}=chosen-by-another"


def test_who_signs_out_is_out(browser: Browser) -> None:
    browser.sign_in("SECRET")
    before = browser.cookie
    done = browser.send("/", "/inspect/sign-out", {})
    assert done.status == 303
    assert "Max-Age=0" in done.headers["set-cookie"]
    browser.cookie = before
    assert browser.get("/inspect/person?id=ana").status == 303


def test_sessions_end_by_themselves() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    idle, used = sessions.begin("shop", may_change=True), sessions.begin("shop", may_change=True)
    now[0] = IDLE_SECONDS
    assert sessions.of(used) is not None
    now[0] += 1
    assert sessions.of(idle) is None
    while now[0] <= LONGEST_SECONDS:
        assert sessions.of(used) is not None
        now[0] += IDLE_SECONDS / 2
    assert sessions.of(used) is None


def test_sessions_are_bounded_and_those_in_use_stay() -> None:
    sessions = Sessions()
    first, second = sessions.begin("shop", may_change=True), sessions.begin("shop", may_change=True)
    for _ in range(MOST - 1):
        assert sessions.of(first) is not None
        sessions.begin("shop", may_change=True)
    assert sessions.of(first) is not None
    assert sessions.of(second) is None


def test_wrong_secrets_are_bounded_in_rate(server: Server) -> None:
    now = [0.0]
    browser = Browser(Inspector(inspector_of(server).doors, Sessions(lambda: now[0])))
    for number in range(ATTEMPTS):
        assert browser.sign_in(f"guess {number}").status == 401
    assert browser.sign_in("SECRET").status == 429
    program = browser.get("/", authorization="Basic " + base64.b64encode(b"SECRET:").decode())
    assert program.status == 429, "its secret is not wrong"
    assert program.headers["retry-after"] == "1"
    now[0] += 1
    assert browser.sign_in("SECRET").status == 303
    assert browser.sign_in("SECRET").status == 303, "a right secret costs nothing"


def test_basic_authorization_is_a_session_for_one_request(browser: Browser) -> None:
    key = "Basic " + base64.b64encode(b"analyst:may-look").decode()
    shown = browser.get("/inspect/person?id=ana", authorization=key)
    assert shown.status == 200
    assert "set-cookie" not in shown.headers
    wrong = browser.get("/", authorization="Basic " + base64.b64encode(b"TOKEN:").decode())
    assert wrong.status == 401
    assert "www-authenticate" in wrong.headers


def test_a_program_without_a_key_is_told_so(browser: Browser) -> None:
    shown = browser.get("/inspect/person?id=ana", accept="*/*")
    assert shown.status == 401
    assert shown.html.startswith("{")


@pytest.mark.parametrize("token", ["", "0" * 64, None])
def test_a_form_without_the_token_of_its_session_does_nothing(browser: Browser, token: str | None) -> None:
    browser.sign_in("SECRET")
    fields = {} if token is None else {"csrf": token}
    assert browser.post("/inspect/sign-out", fields).status == 403
    assert browser.get("/inspect/person?id=ana").status == 200


def test_a_token_is_of_one_session(server: Server) -> None:
    inspector = inspector_of(server)
    ours, other = Browser(inspector), Browser(inspector)
    ours.sign_in("SECRET")
    other.sign_in("SECRET")
    assert ours.post("/inspect/sign-out", {"csrf": other.token()}).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example", "sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "null"},
        {"origin": "http://shop.example.evil.example"},
        {"origin": "http://["},
    ],
)
def test_a_form_of_another_origin_does_nothing(browser: Browser, headers: dict[str, str]) -> None:
    browser.sign_in("SECRET")
    assert browser.post("/inspect/sign-out", {"csrf": browser.token()}, **headers).status == 403
    assert browser.post("/inspect/sign-in", {"secret": "SECRET"}, **headers).status == 403


def test_pages_can_be_neither_framed_nor_kept_nor_made_to_run_code(browser: Browser) -> None:
    browser.sign_in("SECRET")
    for url in ("/", "/inspect/person?id=ana", "/inspect/nothing"):
        headers = browser.get(url).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy
        assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
        assert headers["referrer-policy"] == "same-origin"


def test_no_page_shows_a_key(browser: Browser) -> None:
    browser.sign_in("SECRET")
    for url in ("/", "/inspect/person?id=ana"):
        shown = browser.get(url)
        assert not any(key in shown.html for key in ("SECRET", "also-secret", "may-look"))
        assert browser.cookie.partition("=")[2] not in shown.html


def test_htmx_is_the_published_file() -> None:
    published = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
    assert hashlib.sha256(assets.htmx()).hexdigest() == published, "npm pack htmx.org@2.0.11"


def test_files_of_pages_are_kept_by_browsers(browser: Browser) -> None:
    for path in (assets.HTMX, assets.STYLE_SHEET, assets.ICON):
        shown = browser.get(path)
        assert shown.status == 200
        assert "immutable" in shown.headers["cache-control"]


def test_readers_are_settings_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text(SETTINGS)
    shop, news = Directory.open(tmp_path).projects
    assert (shop.readers, news.readers) == (("analyst:may-look",), ())
    (tmp_path / "idmerge.toml").write_text(SETTINGS.replace("analyst:may-look", "analyst"))
    with pytest.raises(SettingError, match='readers must be a list of texts, each as "user:secret"'):
        Directory.open(tmp_path)


@pytest.mark.parametrize("path", ["inspect", "inspect/person"])
def test_no_route_of_clients_takes_the_place_of_pages(path: str) -> None:
    with pytest.raises(SettingError, match="the server answers"):
        with_renamed({path: "track"}, "idmerge.toml")


@pytest.mark.parametrize("path", ["/track", "/api/ids", "/health", "/inspected", "/v1/batch"])
def test_pages_take_no_path_of_others(path: str) -> None:
    assert not is_page(path)
    assert is_page("/")
    assert is_page("/inspect/person/")


class TestRequestsOfReaders:
    """A reader's account in the routes of programs."""

    KEY = basic("analyst", "may-look")

    def test_they_read(self, server: Server) -> None:
        for path in ("/api/ids/ana", "/api/ids", "/metrics", "/api/query/engage"):
            assert read(Request("GET", path, b"", self.KEY), server).status == 200

    @pytest.mark.parametrize(
        ("method", "path"),
        [("DELETE", "/api/ids/ana"), ("POST", "/api/retract"), ("POST", "/api/keep-apart")],
    )
    def test_they_change_nothing(self, server: Server, method: str, path: str) -> None:
        assert read(Request(method, path, b"", self.KEY), server).status == 403
        assert "ana" in server.resolver("shop")

    def test_they_import_nothing(self, server: Server) -> None:
        body = b'[{"event": "Buy", "properties": {"distinct_id": "ana", "time": 1700000000}}]'
        headers = {**self.KEY, b"content-type": b"application/json"}
        done = handled(Request("POST", "/import", b"", headers, body), server.projects, 0)
        assert done.answer.status == 401
        assert not done.records


def test_no_page_of_another_origin_sees_one(server: Server) -> None:
    app = App(server, server.routes, inspector=inspector_of(server))
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"origin", b"http://evil.example"), (b"accept", b"text/html")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 200
    assert b"access-control-allow-origin" not in dict(sent[0]["headers"])
    assert server.counts.requests["inspect", 200] == 1
