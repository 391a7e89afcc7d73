"""The inspector's pages: one person by any ID, the feed back to its first event, and hostile texts."""

from __future__ import annotations

import json
import re
import threading
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from idmerge.outcome import Outcome
from idmerge.pages.rules import RULES
from idmerge.server.inspector import activity, ids
from idmerge.server.inspector.examined import CheckUp, Found
from idmerge.server.inspector.feed import Range
from idmerge.server.inspector.markup import hidden, url
from idmerge.server.inspector.overview import MOST_REFUSED, Overview
from idmerge.server.inspector.served import inspector_of
from idmerge.server.inspector.visits import fields_of
from idmerge.server.log.records import Record
from idmerge.server.server import Server
from inspected import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = 1_760_000_000_000
PHONE, LAPTOP = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
HOSTILE = [
    "a|b/c@d",
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</title></style><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "nul\x00in it",
    "two\r\nlines\tand a tab",
    "🎉" * 255,
    "&lt;&amp;",
    "?a=b&c=d#e%00",
    " blanks around ",
    "..",
]
TAGS = {"html", "head", "meta", "title", "link", "script", "body", "header", "nav", "main", "section", "div"}
TAGS |= {"span", "a", "b", "i", "p", "small", "bdi", "h1", "h2", "h3", "ul", "ol", "li", "dl", "dt", "dd"}
TAGS |= {"form", "label", "input", "button", "time", "details", "summary", "code"}
TAGS |= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
"""What pages are made of."""


class Parsed(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def assert_clean(html: str) -> None:
    """Check that a page has no tag, attribute or script that pages do not have of themselves."""
    parsed = Parsed(html)
    assert {tag for tag, _ in parsed.tags} <= TAGS
    assert [
        one.get("src", "").startswith("/inspect/htmx-") for tag, one in parsed.tags if tag == "script"
    ] == [True]
    for _, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes), attributes
        for name in ("href", "action", "hx-get"):
            assert (attributes.get(name) or "/").startswith(("/", "#")), attributes


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "served") as server:
        yield server


@pytest.fixture
def browser(server: Server) -> Browser:
    browser = Browser(inspector_of(server))
    browser.sign_in(server.projects[0].secret)
    return browser


def send(server: Server, *events: tuple[str, dict[str, Any]], source: Any = "import", at: int = NOON) -> None:
    lines = b"".join(
        json.dumps({"event": name, "properties": properties}).encode() + b"\n" for name, properties in events
    )
    server.log.append_now([Record("main", "events", source, at, lines)])
    assert server.pipeline.drain(timeout=30)


def profile(server: Server, distinct_id: str, **properties: Any) -> None:
    line = json.dumps({"$distinct_id": distinct_id, "$set": properties}).encode() + b"\n"
    server.log.append_now([Record("main", "updates", "track", NOON, line)])
    assert server.pipeline.drain(timeout=30)


def identify(anonymous: str, user: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "$identify", {"$anon_id": anonymous, "$identified_id": user, "distinct_id": user, **more}


def merge(a: str, b: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "$merge", {"$distinct_ids": [a, b], **more}


@pytest.mark.parametrize("distinct_id", HOSTILE)
def test_a_person_is_found_by_any_id(server: Server, browser: Browser, distinct_id: str) -> None:
    send(server, merge("ana", distinct_id), ("Buy", {"distinct_id": distinct_id, "time": NOON}))
    for one in ("ana", distinct_id):
        shown = browser.get(url("person", id=one))
        assert shown.status == 200
        assert_clean(shown.html)
        assert "2 of 500" in shown.text
        assert "Buy" in shown.text
        assert_clean(browser.get(url("picture", id=one)).html.replace("<figure>", "").split("<svg")[0])


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_an_event_or_a_profile_is_html(server: Server, browser: Browser, text: str) -> None:
    send(server, (text, {"distinct_id": "ana", "time": NOON, text: text, "list": [text, {text: text}]}))
    profile(server, "ana", **{text: text, "nested": {text: [text]}})
    shown = browser.get("/inspect/person?id=ana")
    assert shown.status == 200
    assert_clean(shown.html)
    assert "\x00" not in shown.html
    assert "\u202e" not in shown.html


@pytest.mark.parametrize("text", HOSTILE)
def test_no_field_of_a_url_is_html(browser: Browser, text: str) -> None:
    for page, name in (("person", "id"), ("live", "since"), ("picture", "id"), ("nothing", "id")):
        shown = browser.get(url(page, **{name: text}))
        assert shown.status in {200, 404}
        assert_clean(shown.html)
    for name in ("before", "from_", "to", "ids"):
        assert_clean(browser.get(url("person", id="ana", **{name: text})).html)


@pytest.mark.parametrize("text", [*HOSTILE, "ana", "\ud800"])
def test_a_form_brings_back_any_id(text: str) -> None:
    field = Parsed(hidden("id", text)).tags[0][1]
    query = url("person", **{str(field["name"]).replace(".", "_"): field["value"]})
    stated = query.partition("?")[2].replace("id_json", "id.json")
    assert fields_of(stated.encode())["id"] == text.replace("\ud800", "\ufffd")


def test_an_unknown_id_is_no_person_and_its_other_spelling_is_named(server: Server, browser: Browser) -> None:
    send(server, ("Buy", {"distinct_id": "ana@example.com", "time": NOON}))
    shown = browser.get(url("person", id=" Ana@Example.com"))
    assert shown.status == 404
    assert "id=ana%40example.com" in shown.html


def test_the_feed_goes_back_to_the_first_event(server: Server, browser: Browser) -> None:
    count = 3 * activity.PAGE + 7
    events = [
        ("Look", {"distinct_id": ("ana", "crm-17")[n % 2], "time": NOON - 1000 * (n // 3), "n": f"n{n}n"})
        for n in range(count)
    ]
    send(server, merge("ana", "crm-17", time=NOON + 1000), *events[: count // 2])
    server.store.seal()
    send(server, *events[count // 2 :])
    seen, target, pages = [], "/inspect/person?id=crm-17", 0
    while target:
        html = browser.get(target).html
        seen += re.findall(r"<bdi>(n\d+n)</bdi>", html)
        older = re.search(r'<a href="([^"#]+)[^"]*" rel="next"', html)
        target, pages = older[1].replace("&amp;", "&") if older else "", pages + 1
    assert pages == 4
    assert len(seen) == len({*seen}) == count
    moments = [int(one.strip("n")) // 3 for one in seen]
    assert moments == sorted(moments), "the newest first"


def test_each_way_through_the_feed_shows_the_same_pages(server: Server, browser: Browser) -> None:
    send(server, *[("Look", {"distinct_id": "ana", "time": NOON + n, "n": f"n{n}n"}) for n in range(140)])

    def page(target: str) -> tuple[list[str], dict[str, str]]:
        html = browser.get(target).html
        links = dict(re.findall(r'<a href="([^"#]+)[^"]*" rel="(\w+)"', html))
        return re.findall(r"<bdi>(n\d+n)</bdi>", html), {
            rel: href.replace("&amp;", "&") for href, rel in links.items()
        }

    first, to = page("/inspect/person?id=ana")
    oldest, back = page(to["last"])
    assert oldest == [f"n{n}n" for n in range(49, -1, -1)]
    middle, to_first = page(back["prev"])
    assert middle == [f"n{n}n" for n in range(99, 49, -1)]
    assert page(to["next"])[0] == first_after(first, 140)
    assert page(to_first["first"])[0] == first if "first" in to_first else True


def first_after(first: list[str], count: int) -> list[str]:
    begin = count - len(first) - 1
    return [f"n{n}n" for n in range(begin, begin - activity.PAGE, -1)]


def test_a_range_of_days_is_that_of_the_time_zone() -> None:
    utc, kolkata = (Range.of("2026-11-30", "2026-11-30").bounds(zone) for zone in (None, "Asia/Kolkata"))
    assert utc[1] - utc[0] == 24 * 3600 * 1000
    assert utc[0] - kolkata[0] == 5.5 * 3600 * 1000
    assert Range.of("", None).bounds(None)[0] < -(2**60)
    assert Range.of("9999-12-31", "9999-12-31").bounds(None)[1] > 2**60


def test_a_range_shows_its_events_alone(server: Server, browser: Browser) -> None:
    day = 24 * 3600 * 1000
    send(server, *[("Look", {"distinct_id": "ana", "time": NOON - n * day, "n": f"n{n}n"}) for n in range(5)])
    shown = browser.get("/inspect/person?id=ana&from=2025-10-07&to=2025-10-08")
    assert re.findall(r"<bdi>(n\d+n)</bdi>", shown.html) == ["n1n", "n2n"]
    assert 'value="2025-10-07"' in shown.html
    for wrong in ("from=yesterday", "from=2025-10-09&to=2025-10-08", "before=1.2", "before=a.b.c", "ids=9"):
        assert browser.get(f"/inspect/person?id=ana&{wrong}").status == 400


def test_each_event_names_the_id_under_which_it_was_sent(server: Server, browser: Browser) -> None:
    send(server, ("Open", {"distinct_id": PHONE, "time": NOON}), identify(PHONE, "ana", time=NOON + 1))
    html = browser.get("/inspect/person?id=ana").html
    [item] = [one for one in re.findall(r"<li>(.*?)</li>", html, re.DOTALL) if ">Open<" in one]
    assert f'as <a class="id" href="/inspect/person?id={PHONE}"' in item


def items_of(html: str) -> dict[str, str]:
    """Return the outcome and sentence of each event on a page, by its property n."""
    found = {}
    for item in re.findall(r"<li>(.*?)</li>", html, re.DOTALL):
        number = re.search(r"<dt><bdi>n</bdi></dt><dd><bdi>(\w+)</bdi>", item)
        if number:
            pill = re.search(r'class="pill \w+">(\w+)<', item)
            found[number[1]] = pill[1] if pill else ""
    return found


def test_identity_events_say_what_became_of_them(server: Server, browser: Browser) -> None:
    send(
        server,
        identify(PHONE, "ana", time=NOON, n="first"),
        identify(PHONE, "ana", time=NOON + 1, n="again"),
        identify(PHONE, "ben", time=NOON + 2, n="claimed"),
        merge("ana", "ana", time=NOON + 3, distinct_id="ana", n="same"),
        ("Buy", {"distinct_id": "ana", "time": NOON + 4, "n": "ordinary"}),
    )
    shown = browser.get("/inspect/person?id=ana")
    assert items_of(shown.html) == {
        "first": "MERGED",
        "again": "UNCHANGED",
        "same": "SAME_IDS",
        "ordinary": "",
    }
    assert items_of(browser.get("/inspect/person?id=ben").html) == {"claimed": "ANON_CLAIMED"}
    assert RULES[Outcome.SAME_IDS] in shown.text


def test_what_was_taken_back_is_apart(server: Server, browser: Browser) -> None:
    send(
        server,
        ("Buy", {"distinct_id": "ana", "time": NOON}),
        merge("ana", "ben", distinct_id="ana", n="merge"),
    )
    server.retract("main", [0])
    assert items_of(browser.get("/inspect/person?id=ana").html) == {"merge": "apart"}


def test_refused_links_of_a_person_have_their_reasons(server: Server, browser: Browser) -> None:
    send(server, identify(PHONE, "ana"), identify(PHONE, "ben"), merge("ana", "null"))
    for one in ("ana", "ben", PHONE):
        shown = browser.get(url("person", id=one))
        assert "ANON_CLAIMED" in shown.text
        assert RULES[Outcome.ANON_CLAIMED] in shown.text
    assert "No link that names one of these IDs was refused" not in shown.text


def test_the_ids_have_their_roles_times_and_links(server: Server, browser: Browser) -> None:
    send(
        server,
        ("Open", {"distinct_id": PHONE, "time": NOON}),
        ("Open", {"distinct_id": PHONE, "time": NOON + 3_600_000}),
        identify(PHONE, "ana", time=NOON + 3_600_000),
        ("$create_alias", {"alias": "crm-17", "distinct_id": "ana", "time": NOON}),
    )
    html = browser.get("/inspect/person?id=crm-17").html
    rows = re.findall(r"<tr>(.*?)</tr>", html.partition('id="ids"')[2].partition('id="refused"')[0])
    texts = [re.sub(r"<[^>]*>", "", one) for one in rows]
    assert any(PHONE in one and "anonymous" in one and "2025-10-09 08:53:20" in one for one in texts)
    assert any(one.startswith("ana") and "identified" in one for one in texts)
    assert any(one.startswith("crm-17") and "alias" in one and "found by" in one for one in texts)
    assert all("position" in one for one in texts[1:])


def test_hidden_profiles_are_shown_apart(server: Server, browser: Browser) -> None:
    profile(server, "ana", plan="pro")
    profile(server, "ben", city="Porto")
    send(server, merge("ana", "ben"))
    shown = browser.get("/inspect/person?id=ben")
    assert "Hidden: the profile of" in shown.text
    assert "Porto" in shown.text


def test_who_is_near_the_limit_is_told(server: Server, browser: Browser) -> None:
    send(server, *[merge("hub", f"spoke-{n}") for n in range(460)])
    shown = browser.get("/inspect/person?id=spoke-7")
    assert "461 of 500" in shown.text
    assert "39 more IDs until links are refused" in shown.text
    start = browser.get("/")
    assert "461 IDs" in start.text
    assert start.html.count("near warning") == 1


def test_a_large_person_is_listed_in_pages(
    server: Server, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids, "PAGE", 10)
    send(server, *[merge("hub", f"spoke-{n}") for n in range(25)])
    html = browser.get("/inspect/person?id=hub&ids=20").html
    assert html.partition('id="ids"')[2].count("<tr>") == 7
    assert browser.get("/inspect/person?id=hub&ids=26").status == 400


def test_the_live_page_has_the_newest_links_and_says_when_there_is_none_new(
    server: Server, browser: Browser
) -> None:
    send(server, identify(PHONE, "ana"), identify(PHONE, "ben"))
    shown = browser.get("/inspect/live")
    assert list(re.findall(r'class="pill \w+">(\w+)<', shown.html)) == ["ANON_CLAIMED", "MERGED"]
    [poll] = re.findall(r'hx-get="([^"]+)"', shown.html)
    assert browser.get(poll, hx_request="true").status == 204
    assert browser.get(poll).status == 200, "a browser without htmx gets the page"
    send(server, merge("ana", "eve"))
    again = browser.get(poll, hx_request="true")
    assert again.status == 200
    assert "eve" in again.text
    paused = browser.get("/inspect/live?paused=1&refused=1")
    assert "hx-get" not in paused.html
    assert re.findall(r'class="pill \w+">(\w+)<', paused.html) == ["ANON_CLAIMED"]


def test_refused_links_come_though_the_journal_is_still_being_read(
    server: Server, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = server.resolver("main")
    for number in range(100):
        resolver.alias("ana", f"b{number}")
        resolver.commit()
    monkeypatch.setattr(Overview.read_on, "__defaults__", (0.0,))
    target, seen = "/inspect/live?refused=1", []
    for _ in range(30):
        shown = browser.get(target, hx_request="true")
        if shown.status == 204:
            break
        seen.append("the rest is being read" in shown.html)
        [target] = re.findall(r'hx-get="([^"]+)"', shown.html)
        target = target.replace("&amp;", "&")
        last = shown
    assert seen[0]
    assert not seen[-1]
    assert shown.status == 204
    assert "b99" in last.text


def test_the_largest_people_name_no_id_that_was_forgotten_elsewhere(
    server: Server, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idmerge.server.inspector.overview.MANY", 0)
    send(server, merge("gone@example.com", "ana"), merge("gone@example.com", "eve"))
    assert "gone@" in browser.get("/").html
    server.forget("main", "gone@example.com")
    assert "gone@" not in browser.get("/").html


def test_a_forgotten_id_is_named_nowhere(server: Server, browser: Browser) -> None:
    send(server, identify(PHONE, "ana"), identify(PHONE, "gone@example.com"), merge("ana", "eve"))
    server.store.seal()
    browser.get("/inspect/person?id=ana")
    server.forget("main", "gone@example.com")
    for target in ("/", "/inspect/live", "/inspect/live?refused=1", "/inspect/person?id=ana"):
        assert "gone@" not in browser.get(target).html


def test_the_start_page_counts_links_by_day_and_outcome(server: Server, browser: Browser) -> None:
    assert "No links yet" in browser.get("/").text
    send(server, identify(PHONE, "ana"), identify(PHONE, "ben"), merge("ana", "ana"))
    shown = browser.get("/")
    assert_clean(shown.html)
    for name in ("MERGED", "ANON_CLAIMED", "SAME_IDS"):
        assert name in shown.text
    assert "accepted: 1; refused: 2" in shown.html


def test_refused_links_that_are_kept_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idmerge.server.inspector.overview.MOST_REFUSED", 3)
    assert MOST_REFUSED > 3
    resolver = server.resolver("main")
    for number in range(10):
        resolver.merge(f"a{number}", f"a{number}")
        resolver.merge("ana", "ana")
        resolver.commit()
    overview = Overview(None)
    assert overview.read_on(resolver).refused == 20
    assert [link.position for link in overview.newest_refused(9)] == [19, 18, 17]
    assert [link.position for link in overview.refused_of(["ana", "a9", "a1"])] == [17, 18, 19]


def test_an_overview_goes_on_where_it_ended(server: Server) -> None:
    resolver = server.resolver("main")
    for number in range(200):
        resolver.merge("ana", f"b{number}")
        resolver.commit()
    overview, seconds = Overview(None), 0.0
    first = overview.read_on(resolver, seconds)
    assert not first.is_whole
    assert 0 < first.position < 200
    while not overview.read_on(resolver, seconds).is_whole:
        pass
    assert sum(sum(counts.values()) for counts in overview.read_on(resolver).days.values()) == 200


def test_a_check_up_is_made_once_it_is_asked_for(server: Server) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def examine() -> Found:
        begun.set()
        assert go_on.wait(30)
        return Found("<b>1 error</b>", [("error", "a <device> is shared")] * 7, ["<p>whole</p>"])

    check_up = CheckUp(examine)
    browser = Browser(inspector_of(server, {"main": check_up}.__getitem__))
    browser.sign_in(server.projects[0].secret)
    assert "Look for what is wrong" in browser.get("/").text
    assert not begun.is_set()
    assert "Being made since" in browser.get("/inspect/check-up").text
    assert "One is being made" in browser.get("/").text
    go_on.set()
    assert check_up.wait(30)
    shown = browser.get("/inspect/check-up")
    assert_clean(shown.html)
    assert "<p>whole</p>" in shown.html
    assert "hx-trigger" not in shown.html
    start = browser.get("/")
    assert_clean(start.html)
    assert (start.text.count("a <device> is shared"), "(2 more)" in start.text) == (5, True)
    began = check_up.began
    assert browser.get("/inspect/check-up?again=1").status == 303
    assert check_up.began == began, "the last one has just ended"


def test_a_check_up_that_fails_says_why(server: Server) -> None:
    def examine() -> Found:
        raise OSError("no room for <events>")

    check_up = CheckUp(examine)
    browser = Browser(inspector_of(server, {"main": check_up}.__getitem__))
    browser.sign_in(server.projects[0].secret)
    browser.get("/inspect/check-up")
    assert check_up.wait(30)
    shown = browser.get("/inspect/check-up")
    assert_clean(shown.html)
    assert "no room for <events>" in shown.text


def test_without_the_doctor_no_page_names_a_check_up(browser: Browser) -> None:
    assert "heck-up" not in browser.get("/").html
    assert browser.get("/inspect/check-up").status == 404
