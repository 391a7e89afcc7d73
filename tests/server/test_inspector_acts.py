"""Questions and acts on the inspector's pages: what a dry run says is what is done, once."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from idmerge.server.inspector.served import inspector_of
from idmerge.server.server import Server
from inspected import Browser
from log_records import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = """
[[project]]
name = "shop"
token = "TOKEN"
secret = "SECRET"
readers = ["analyst:may-look"]
"""
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "\"'><script>alert(1)</script>",
    "a|b/c@d&e=f;g#h?i%2F",
    "\u202egnp.exe",
    "👩‍👩‍👧‍👦" * 30,
    "שלום",
    " spaces around ",
    "tab\tand\nline",
]


def merge(first: str, second: str) -> Any:
    return record({"event": "$merge", "properties": {"$distinct_ids": [first, second]}}, project="shop")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "idmerge.toml").write_text(SETTINGS)
    with Server(tmp_path) as server:
        server.log.append_now([merge("ana", "phone"), merge("phone", "crm-17"), merge("ben", "tablet")])
        server.pipeline.settle("shop", 20)
        yield server


@pytest.fixture
def browser(server: Server) -> Browser:
    browser = Browser(inspector_of(server))
    assert browser.sign_in("SECRET").status == 303
    return browser


def words(text: str) -> str:
    return " ".join(text.split()).replace(" ,", ",").replace(" .", ".")


def sent(browser: Browser, page: str, **more: str) -> Any:
    """Send the form of a page that changes something, and return what the browser shows then."""
    html = browser.get(page).html
    forms = re.findall(r'<form method="post" action="(/inspect/(?!sign)[^"]*)">(.*?)</form>', html, re.DOTALL)
    assert len(forms) == 1, "the page has one form"
    [(action, form)] = forms
    fields = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form):
        fields[name] = unescape(value)
    answer = browser.post(action, fields | more)
    return browser.get(answer.headers["location"]) if answer.status == 303 else answer


def test_the_chain_between_two_ids(browser: Browser) -> None:
    page = browser.get("/inspect/why?id=ana&other=crm-17")
    assert page.status == 200
    ids = re.findall(r'<li class="node[^"]*"><a class="id"[^>]*><bdi>([^<]*)', page.html)
    assert ids == ["ana", "phone", "crm-17"]
    assert re.findall(r"position (\d+)", page.text) == ["0", "1"]
    assert page.html.count("Take back…") == 2


def test_what_stands_between_two_ids(browser: Browser, server: Server) -> None:
    server.keep_apart("shop", "ana", "ben")
    server.log.append_now([merge("crm-17", "tablet")])
    server.pipeline.settle("shop", 20)
    page = browser.get("/inspect/why?id=ana&other=ben")
    assert "KEPT_APART" in page.text
    assert "the clusters hold two IDs that are kept apart" in page.text
    assert {"kept-apart", "refused"} <= {*re.findall(r'<section id="([^"]*)"', page.html)}
    assert "No link between these two people" not in page.text


def test_ids_that_nobody_has_named(browser: Browser) -> None:
    assert browser.get("/inspect/why?id=ana&other=nobody").status == 404
    assert browser.get("/inspect/why?id=ana&other=ana").status == 200
    assert browser.get("/inspect/why?id=ana").status == 200
    assert browser.get("/inspect/forget?id=nobody").status == 404
    assert browser.get("/inspect/undo?position=99").status == 400
    assert browser.get("/inspect/undo?position=x").status == 400
    assert browser.get("/inspect/apart?a=ana&b=ana").status == 400
    assert browser.get(f"/inspect/apart?a=ana&b={'x' * 300}").status == 400


def test_undo_and_the_undo_of_that(browser: Browser, server: Server) -> None:
    dry = browser.get("/inspect/undo?position=1&a=phone&b=crm-17")
    assert re.findall(r"<tr><td>.*?</tr>", dry.html) != []
    assert "changes 1 canonical ID" in dry.text
    assert server.resolver("shop").same("ana", "crm-17")
    done = sent(browser, "/inspect/undo?position=1&a=phone&b=crm-17")
    assert not server.resolver("shop").same("ana", "crm-17")
    assert "Done, by position 3: 1 canonical ID changed." in done.text
    assert "Bring it back" in done.text
    assert "Taken back was the merge of phone and crm-17, at position 1." in words(done.text)
    again = sent(browser, "/inspect/undo?position=3&a=phone&b=crm-17")
    assert server.resolver("shop").same("ana", "crm-17")
    assert "<h1>Brought back</h1>" in again.html
    once_more = sent(browser, "/inspect/undo?position=4&a=phone&b=crm-17")
    assert not server.resolver("shop").same("ana", "crm-17")
    assert "<h1>Taken back</h1>" in once_more.html


def test_a_link_to_what_is_taken_back_already_leads_on(browser: Browser, server: Server) -> None:
    server.retract("shop", [1])
    page = browser.get("/inspect/undo?position=1&a=phone&b=crm-17")
    assert page.status == 400
    assert "taken back already, at position 3" in page.text
    [target] = re.findall(r'href="([^"]*position=3[^"]*)"', page.html)
    assert "Bring it back" in browser.get(unescape(target)).text


def test_a_form_that_was_shown_before_a_change_asks_again(browser: Browser, server: Server) -> None:
    page = "/inspect/undo?position=1&a=phone&b=crm-17"
    html = browser.get(page).html
    expected = re.search(r'name="expected" value="([^"]*)"', html)
    assert expected is not None
    server.log.append_now([merge("crm-17", "watch")])
    server.pipeline.settle("shop", 20)
    fields = {"position": "1", "expected": expected[1]}
    stale = browser.send(page, "/inspect/undo", fields)
    assert (stale.status, server.resolver("shop").position) == (409, 4)
    assert "2 canonical IDs" in stale.text
    expected = re.search(r'name="expected" value="([^"]*)"', stale.html)
    assert expected is not None
    assert browser.send(page, "/inspect/undo", fields | {"expected": expected[1]}).status == 303
    assert server.resolver("shop").position == 5


def test_an_act_that_another_one_does_not_concern_is_done(browser: Browser, server: Server) -> None:
    page = "/inspect/undo?position=1"
    expected = re.search(r'name="expected" value="([^"]*)"', browser.get(page).html)
    assert expected is not None
    server.log.append_now([merge("eve", "watch")])
    server.pipeline.settle("shop", 20)
    assert browser.send(page, "/inspect/undo", {"position": "1", "expected": expected[1]}).status == 303


def test_ids_are_kept_apart_once(browser: Browser, server: Server) -> None:
    assert "They are together" in browser.get("/inspect/apart?a=ana&b=phone").text
    page = sent(browser, "/inspect/apart?a=ana&b=ben")
    assert "Done: ana and ben are kept apart." in words(page.text)
    assert server.resolver("shop").position == 4
    browser.send("/", "/inspect/apart", {"a": "ana", "b": "ben"})
    assert server.resolver("shop").position == 4
    answer = browser.send("/", "/inspect/apart", {"a": "ana", "b": "phone"})
    assert (answer.status, server.resolver("shop").position) == (303, 4)
    assert browser.send("/", "/inspect/apart", {"a": "", "b": "ana"}).status == 400


def test_an_id_is_forgotten_when_it_is_typed(browser: Browser, server: Server) -> None:
    lines = [json.dumps({"event": "Buy", "properties": {"distinct_id": "ana", "n": n}}) for n in range(3)]
    server.log.append_now([record(project="shop")._replace(lines="\n".join([*lines, ""]).encode())])
    server.pipeline.settle("shop", 20)
    server.store.seal()
    page = browser.get("/inspect/forget?id=ana")
    assert "events under this ID, deleted 3" in words(page.text)
    assert "links and acts that name it, which lose its text 1" in words(page.text)
    assert "other IDs with another canonical ID 2" in words(page.text)
    assert sent(browser, "/inspect/forget?id=ana", typed="an").status == 400
    assert "ana" in server.resolver("shop")
    done = sent(browser, "/inspect/forget?id=ana", typed="ana")
    assert "The ID is forgotten, with 4 events." in done.text  # With the merge that named it.
    assert "ana" not in server.resolver("shop")
    assert server.resolver("shop").members("phone") == ["phone", "crm-17"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_ids_pass_through_every_page_and_inject_nothing(
    browser: Browser, server: Server, hostile: str
) -> None:
    server.log.append_now([merge("ana", hostile)])
    server.pipeline.settle("shop", 20)
    at = server.resolver("shop").position - 1
    assert server.resolver("shop").same("ana", hostile)
    for page, fields in (
        ("why", {"id": "phone", "other": hostile}),
        ("undo", {"position": str(at), "a": "ana", "b": hostile}),
        ("apart", {"a": hostile, "b": "ben"}),
        ("apart", {"a": hostile, "b": ""}),
        ("forget", {"id": hostile}),
    ):
        shown = browser.get(f"/inspect/{page}?{urlencode(fields)}")
        assert shown.status == 200, (page, shown.text)
        assert not re.search(r"<img|<script>|onerror=alert\(1\)>(?!&)", shown.html)
        assert "\u202e" not in shown.html
    sent(browser, f"/inspect/undo?{urlencode({'position': at, 'a': 'ana', 'b': hostile})}")
    assert hostile not in server.resolver("shop")
    sent(browser, f"/inspect/undo?{urlencode({'position': at + 1, 'a': 'ana', 'b': hostile})}")
    assert server.resolver("shop").same("ana", hostile)
    sent(browser, f"/inspect/apart?{urlencode({'a': hostile, 'b': 'ben'})}")
    assert [one.kind for one in server.resolver("shop").statements(hostile, "ben")] == [None]
    typed = hostile if hostile.isprintable() else ascii(hostile)
    sent(browser, f"/inspect/forget?{urlencode({'id': hostile})}", typed=typed)
    assert hostile not in server.resolver("shop")


def test_readers_see_no_button_and_can_send_no_form(server: Server) -> None:
    browser = Browser(inspector_of(server))
    browser.sign_in("analyst:may-look")
    pages = (
        "why?id=ana&other=phone",
        "undo?position=0",
        "apart?a=ana&b=ben",
        "forget?id=ana",
        "person?id=ana",
    )
    for page in pages:
        shown = browser.get(f"/inspect/{page}")
        assert shown.status == 200
        assert re.findall(r'method="post" action="([^"]*)"', shown.html) == ["/inspect/sign-out"], page
        assert "/inspect/undo" not in shown.html
    before = server.resolver("shop").position
    for page, fields in (
        ("undo", {"position": "0", "expected": ""}),
        ("apart", {"a": "ana", "b": "ben"}),
        ("forget", {"id": "ana", "typed": "ana"}),
    ):
        assert browser.send("/", f"/inspect/{page}", fields).status == 403
    assert server.resolver("shop").position == before


def test_forms_without_the_token_of_the_session_do_nothing(browser: Browser) -> None:
    for page, fields in (
        ("undo", {"position": "0", "expected": ""}),
        ("apart", {"a": "ana", "b": "ben"}),
        ("forget", {"id": "ana", "typed": "ana"}),
    ):
        assert browser.post(f"/inspect/{page}", fields).status == 403
        answer = browser.post(
            f"/inspect/{page}", {"csrf": browser.token(), **fields}, origin="http://evil.example"
        )
        assert answer.status == 403


def test_a_link_that_was_sent_often_is_taken_back_with_its_copies(browser: Browser, server: Server) -> None:
    server.log.append_now([merge("ana", "phone")] * 2)
    server.pipeline.settle("shop", 20)
    page = browser.get("/inspect/why?id=ana&other=phone")
    assert "its copies still hold" in page.text
    one = browser.get("/inspect/undo?position=0&a=ana&b=phone")
    assert "It was sent 3 times, and 2 copies of it would still hold." in words(one.text)
    [every] = re.findall(r'href="([^"]*)">Take back 0, 3, 4<', one.html)
    done = sent(browser, unescape(every))
    assert "Done, by position 5, 6, 7" in done.text
    assert server.resolver("shop").members("phone") == ["phone", "crm-17"]
    sent(browser, "/inspect/undo?position=5,6,7&a=ana&b=phone")
    assert server.resolver("shop").same("phone", "ana")


def test_a_link_has_its_event_time_and_its_place_in_the_log(server: Server, browser: Browser) -> None:
    stated = {"$distinct_ids": ["eve", "crm-5"], "time": 1714557600}
    place = server.log.append_now([record({"event": "$merge", "properties": stated}, project="shop")])
    server.log.append_now([merge("eve", "crm-5")])
    server.pipeline.settle("shop", 20)
    shown = words(browser.get("/inspect/why?id=eve&other=crm-5").text)
    assert f"event of 2024-05-01 10:00:00Z log:{place}" in shown
