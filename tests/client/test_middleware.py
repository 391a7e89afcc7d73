"""The middleware: one device a browser, one `$identify` a user on it, and cookies of any content."""

from __future__ import annotations

import asyncio
import json
import re
import time
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Resolver, reference
from idmerge.client import AsyncClient, Client, Cookie, Visit, asgi, cookies, visit_of, wsgi

if TYPE_CHECKING:
    from collections.abc import Callable

DEVICE = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
OTHER = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
OLD = "18c4f0a1b2c3d4-0a1b2c3d4e5f67-1f2e3d4c-1fa400-18c4f0a1b2d5e6"


class Site:
    """An application of one kind, the browser that visits it, and the events that come of it.

    Args:
        kind: ``asgi`` or ``wsgi``.
        options: Those of the middleware.
    """

    def __init__(self, kind: str = "wsgi", **options: Any) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.resolver = Resolver()
        self.jar: dict[str, str] = {}
        self.answers: list[SimpleCookie] = []
        self.is_asgi = kind == "asgi"
        self.options = options
        made: Any = AsyncClient if self.is_asgi else Client
        self.client = made(self.resolver, "shop", sink=lambda route, item: self.sent.append((route, item)))

    def visit(self, work: Callable[[Visit], object], *, headers: Any = (), scheme: str = "http") -> None:
        """Have a request do some work with its visit."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        found = [*headers]
        if self.is_asgi:
            self._by_asgi(work, cookie, found, scheme)
        else:
            self._by_wsgi(work, cookie, found, scheme)
        answer: SimpleCookie = SimpleCookie()
        for name, value in found:
            if name.lower() == "set-cookie":
                answer.load(value)
        self.answers.append(answer)
        for name, morsel in answer.items():
            if morsel["max-age"] == "0":
                self.jar.pop(name, None)
            else:
                self.jar[name] = morsel.value

    def _by_wsgi(self, work: Any, cookie: str, found: list[Any], scheme: str) -> None:
        def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            work(visit_of(environ))
            start_response("200 OK", [*found])
            return [b""]

        def start(_: str, headers: list[tuple[str, str]]) -> None:
            found[:] = headers

        environ = {"HTTP_COOKIE": cookie, "wsgi.url_scheme": scheme}
        wsgi.VisitMiddleware(app, self.client, **self.options)(environ, start)

    def _by_asgi(self, work: Any, cookie: str, found: list[Any], scheme: str) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert receive is None
            work(visit_of(scope))
            headers = [(name.encode(), value.encode()) for name, value in found]
            await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def send(message: Any) -> None:
            found[:] = [(name.decode(), value.decode()) for name, value in message["headers"]]

        scope = {"type": "http", "scheme": scheme, "headers": [(b"cookie", cookie.encode("latin-1"))]}
        asyncio.run(asgi.VisitMiddleware(app, self.client, **self.options)(scope, None, send))  # type: ignore[arg-type]

    def identified(self) -> list[tuple[str, str]]:
        """The two IDs of each `$identify`."""
        found = [item["properties"] for _, item in self.sent if item.get("event") == "$identify"]
        return [(own["$anon_distinct_id"], own["distinct_id"]) for own in found]


def view(visit: Visit) -> None:
    visit.track("Viewed page")


class Model:
    """What becomes of a browser, in a few lines: a device, and who was identified on it last."""

    def __init__(self) -> None:
        self.judge = reference.Resolver()
        self.devices: list[str] = []
        self.identified: list[tuple[str, str]] = []
        self._last: tuple[str, str] | None = None

    def logged_in(self, user: str) -> None:
        pair = (self.devices[-1], user)
        if pair != self._last:
            self.judge.identify(*pair)
            self.identified.append(pair)
            self._last = pair

    def viewed(self, user: str | None) -> None:
        self.judge.observe(user or self.devices[-1])


steps = st.sampled_from(["view", "ana", "ben", "logout", "reset"])


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("is_asked", [False, True], ids=["login", "user="])
@given(walk=st.lists(steps, max_size=25))
def test_clusters_are_those_of_a_device_that_is_identified_once_for_each_user(
    kind: str,
    is_asked: bool,  # noqa: FBT001 - a parameter of the test
    walk: list[str],
) -> None:
    session: dict[str, str] = {}
    site = Site(kind, user=(lambda _: session.get("user")) if is_asked else None)
    model = Model()
    for step in walk:
        before = session.get("user")
        site.visit(lambda visit, step=step: _take(step, visit, session, is_asked=is_asked))  # type: ignore[misc]
        after = session.get("user")
        if not model.devices:
            model.devices.append(site.identified()[0][0] if site.identified() else device_of(site))
        if user := after or before:
            model.logged_in(user)
        if step == "reset":
            model.devices.append(device_of(site))
        model.viewed(after)
    assert site.identified() == model.identified
    for one in {*model.devices, "ana", "ben"}:
        assert (one in site.resolver) == (one in model.judge)
        if one in model.judge:
            assert site.resolver.members(one) == model.judge.members(one)


def _take(step: str, visit: Visit, session: dict[str, str], *, is_asked: bool) -> None:
    if session and not is_asked:
        visit.login(session["user"])
    if step in {"ana", "ben"}:
        session["user"] = step
        visit.login(step)
    if step in {"logout", "reset"}:
        session.clear()
        visit.logout(reset=step == "reset")
    view(visit)


def device_of(site: Site) -> str:
    return f"$device:{site.jar['idmerge_device'].partition('.')[0]}"


def test_the_cookie_is_set_once_and_again_on_another_day(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    for _ in range(3):
        site.visit(view)
    assert [len(answer) for answer in site.answers] == [1, 0, 0]
    morsel = site.answers[0]["idmerge_device"]
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.\.\d+", morsel.value
    )
    assert (morsel["path"], morsel["samesite"], morsel["httponly"]) == ("/", "Lax", True)
    assert (morsel["domain"], morsel["secure"], morsel["max-age"]) == ("", "", "31536000")
    before = site.jar["idmerge_device"]
    tomorrow = time.time() + 86_400
    monkeypatch.setattr(cookies.time, "time", lambda: tomorrow)
    site.visit(view)
    site.visit(view)
    assert [len(answer) for answer in site.answers[3:]] == [1, 0]
    assert site.jar["idmerge_device"].split(".")[:2] == before.split(".")[:2]
    assert len(site.resolver) == 1


def test_options_are_in_the_cookie() -> None:
    cookie = Cookie(
        name="anon",
        domain="example.com",
        path="/shop",
        same_site="None",
        secure=True,
        http_only=False,
        max_age=60,
    )
    site = Site(cookie=cookie)
    site.visit(view)
    [header] = [morsel.OutputString() for morsel in site.answers[0].values()]
    assert re.fullmatch(
        r"anon=[^;]+; Domain=example.com; Max-Age=60; Path=/shop; SameSite=None; Secure", header
    )


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_a_cookie_of_a_request_by_https_is_secure(kind: str) -> None:
    site = Site(kind)
    site.visit(view, scheme="https")
    assert site.answers[0]["idmerge_device"]["secure"]


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_a_request_that_does_not_use_its_visit_has_no_cookie(kind: str) -> None:
    site = Site(kind)
    site.visit(lambda _: None)
    assert not site.answers[0]
    assert site.sent == []


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("caching", ["public, max-age=60", "s-maxage=9", "PUBLIC"])
def test_an_answer_that_caches_share_has_no_cookie(kind: str, caching: str) -> None:
    site = Site(kind)
    site.visit(view, headers=[("Cache-Control", caching)])
    site.visit(view, headers=[("Cache-Control", "private, max-age=60"), ("X", "y")])
    assert [len(answer) for answer in site.answers] == [0, 1]


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_without_consent_nothing_is_sent_and_no_cookie_kept(kind: str) -> None:
    agreed = False
    site = Site(kind, consent=lambda _: agreed, user=lambda _: "ana")
    site.visit(lambda visit: [visit.track("Viewed page"), visit.login("ana"), visit.people.set("plan", 1)])
    assert (site.jar, site.sent, len(site.resolver)) == ({}, [], 0)
    agreed = True
    site.visit(view)
    assert "idmerge_device" in site.jar
    agreed = False
    site.visit(lambda visit: visit.logout(reset=True))
    assert site.jar == {}
    assert [item["event"] for _, item in site.sent] == ["$identify", "Viewed page"]


HOSTILE = [
    "",
    "x",
    "null",
    "ana",
    "$device:" + DEVICE,
    DEVICE + ".",
    DEVICE + "..",
    DEVICE + ".zz.1",
    DEVICE + "." + "0" * 16 + ".99999999",
    DEVICE * 1000,
    "11111111-1111-1111-1111-111111111111..1",
    "\xff\xfe..1",
    "0" * 11 + "-1-1-1-" + "0" * 500,
    '"' * 50,
    "00000000-0000-0000-0000-000000000000",
]


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("value", HOSTILE)
def test_a_cookie_that_is_not_ours_is_passed_over(kind: str, value: str) -> None:
    site = Site(kind)
    site.jar = {"idmerge_device": value, "mp_shop_mixpanel": value}
    site.visit(view)
    [(_, sent)] = site.sent
    device = sent["properties"]["$device_id"]
    assert device not in value
    assert site.jar["idmerge_device"].startswith(f"{device}.")


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_cookie_breaks_a_request(ours: str, pages: str) -> None:
    header = f"{ours}; idmerge_device={ours}; mp_shop_mixpanel={pages}; mp_shop_mixpanel={quote(pages)}"
    for device in (
        cookies.device_in(header, "idmerge_device"),
        cookies.page_device_in(header, "mp_shop_mixpanel"),
    ):
        assert device is None or cookies._DEVICE.fullmatch(device.device_id)


values = st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.just(DEVICE)
states = st.dictionaries(
    st.sampled_from(["$device_id", "distinct_id"]), values | st.lists(values, max_size=2)
)


@given(states | values)
def test_no_state_of_a_page_breaks_a_request(state: Any) -> None:
    found = cookies.page_device_in(f"m={quote(json.dumps(state))}", "m")
    assert found is None or cookies._DEVICE.fullmatch(found.device_id)


def test_a_page_cookie_of_any_depth_is_passed_over() -> None:
    assert cookies.page_device_in("m=" + quote("[" * 2000), "m") is None


def test_the_first_cookie_of_a_name_that_is_one_counts() -> None:
    header = f"idmerge_device=x; idmerge_device={DEVICE}..3; idmerge_device={OTHER}..3"
    found = cookies.device_in(header, "idmerge_device")
    assert found == cookies.Device(DEVICE, "", 3)


def test_a_bare_uuid_is_a_device_so_that_an_older_cookie_is_taken_over() -> None:
    site = Site(cookie=Cookie(name="anon_id"))
    site.jar = {"anon_id": DEVICE}
    site.visit(view)
    assert f"$device:{DEVICE}" in site.resolver
    assert site.jar["anon_id"].startswith(f"{DEVICE}..")


def page_state(**state: Any) -> str:
    return quote(json.dumps(state))


@pytest.mark.parametrize(
    ("state", "anonymous"),
    [
        ({"distinct_id": f"$device:{OTHER}", "$device_id": OTHER}, f"$device:{OTHER}"),
        ({"distinct_id": "ana", "$device_id": OTHER, "$user_id": "ana"}, f"$device:{OTHER}"),
        ({"distinct_id": OLD, "$device_id": OLD}, OLD),
        ({"$device_id": OTHER}, f"$device:{OTHER}"),
    ],
)
def test_the_pages_device_is_the_servers(state: dict[str, Any], anonymous: str) -> None:
    site = Site()
    site.jar = {"mp_shop_mixpanel": page_state(**state)}
    site.visit(view)
    assert [item["properties"]["distinct_id"] for _, item in site.sent] == [anonymous]
    assert site.jar["idmerge_device"].startswith(f"{state['$device_id']}..")
    del site.jar["mp_shop_mixpanel"]
    site.visit(lambda visit: visit.login("ana"))
    assert site.resolver.same("ana", anonymous) == (anonymous != OLD), "without the page's its form is lost"


def test_a_user_whom_the_page_names_is_not_believed() -> None:
    site = Site()
    site.jar = {
        "mp_shop_mixpanel": page_state(**{"distinct_id": "admin", "$user_id": "admin", "$device_id": OTHER})
    }
    site.visit(view)
    assert "admin" not in site.resolver


def test_a_login_identifies_what_was_sent_before_the_page_had_a_device() -> None:
    site = Site()
    site.visit(view)
    first = device_of(site)
    site.jar["mp_shop_mixpanel"] = page_state(**{"$device_id": OTHER})
    site.visit(view)
    assert device_of(site) == first, "it is kept until a login"
    site.visit(lambda visit: visit.login("ana"))
    site.visit(lambda visit: visit.login("ana"))
    assert site.identified() == [(f"$device:{OTHER}", "ana"), (first, "ana")]
    assert site.resolver.members("ana") == [first, f"$device:{OTHER}", "ana"]
    assert device_of(site) == f"$device:{OTHER}"


def test_a_second_user_without_a_reset_is_another_one_also_if_users_have_uuids() -> None:
    ana, ben = "e2c1a4f0-1111-4aaa-8bbb-0123456789ab", "f3d2b5a1-2222-4ccc-9ddd-ba9876543210"
    site = Site()
    site.visit(lambda visit: [visit.login(ana), visit.login(ben)])
    assert not site.resolver.same(ana, ben)


def test_a_page_that_was_reset_has_another_device() -> None:
    site = Site()
    site.jar["mp_shop_mixpanel"] = page_state(**{"$device_id": DEVICE})
    site.visit(lambda visit: visit.login("ana"))
    site.jar["mp_shop_mixpanel"] = page_state(**{"$device_id": OTHER})
    site.visit(lambda visit: visit.login("ben"))
    assert site.identified() == [(f"$device:{DEVICE}", "ana"), (f"$device:{OTHER}", "ben")]


def test_after_a_reset_nothing_is_left_of_the_devices_before() -> None:
    site = Site()
    site.visit(view)
    first = device_of(site)
    site.jar["mp_shop_mixpanel"] = page_state(**{"$device_id": OLD, "distinct_id": OLD})
    found: list[str] = []
    site.visit(lambda visit: [visit.logout(reset=True), visit.logout(), found.append(visit.distinct_id)])
    assert device_of(site) == found[0]
    assert first not in found
    assert OLD not in found[0]
    site.visit(lambda visit: visit.logout(reset=True))
    assert site.jar["idmerge_device"].split(".")[1] == ""


def test_the_pages_cookie_can_have_another_name_or_none() -> None:
    for name, is_taken in (("mp_other", True), ("", False)):
        site = Site(page_cookie=name)
        site.jar = {"mp_other": page_state(**{"$device_id": OTHER})}
        site.visit(view)
        assert (f"$device:{OTHER}" in site.resolver) == is_taken


def test_a_forged_mark_keeps_only_its_own_browser_apart() -> None:
    site = Site()
    site.jar = {"idmerge_device": f"{DEVICE}.{cookies.mark_of(DEVICE, 'ana')}.1"}
    site.visit(lambda visit: [visit.login("ana"), view(visit)])
    assert [item["properties"]["distinct_id"] for _, item in site.sent] == ["ana"]
    assert site.resolver.members("ana") == ["ana"]


def test_a_question_for_the_user_that_fails_leaves_the_page_whole(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> str:
        raise KeyError("session")

    for user in (fail, lambda _: 1.5):
        site = Site(user=user)
        site.visit(view)
        assert len(site.sent) == 1
    assert caplog.text.count("taken for anonymous") == 2


def test_updates_of_a_user_who_is_known_are_sent_at_once() -> None:
    site = Site(user=lambda _: "ana")
    site.visit(view)
    site.visit(lambda visit: visit.people.set("plan", "free"))
    assert [item["$distinct_id"] for route, item in site.sent if route == "engage"] == ["ana"]
    assert len(site.identified()) == 1


def test_where_no_middleware_is_a_visit_is_an_error() -> None:
    for request in ({}, object(), None):
        with pytest.raises(LookupError, match="VisitMiddleware"):
            visit_of(request)


def test_a_websocket_has_a_visit_and_other_scopes_pass() -> None:
    resolver = Resolver()
    sent: list[Any] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            visit_of(scope).track("Connected")
            await send({"type": "websocket.accept"})
        else:
            assert "idmerge.visit" not in scope

    async def send(message: Any) -> None:
        sent.append(message)

    middleware = asgi.VisitMiddleware(app, AsyncClient(resolver, "shop"))
    asyncio.run(middleware({"type": "websocket", "scheme": "wss"}, None, send))  # type: ignore[arg-type]
    asyncio.run(middleware({"type": "lifespan"}, None, send))  # type: ignore[arg-type]
    assert len(resolver) == 1
    [(name, value)] = sent[0]["headers"]
    assert name == b"set-cookie"
    assert b"Secure" in value


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"name": ""},
        {"path": "/; Domain=x"},
        {"domain": "x\r\nSet-Cookie: y"},
        {"same_site": "none"},
        {"same_site": "None"},
        {"max_age": 0},
    ],
)
def test_a_cookie_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cookie|same_site|max_age"):
        Cookie(**wrong)
