"""The middleware where something fails, is shared, or is kept: consent, caches, states, requests."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from idmerge import Resolver
from idmerge.client import AsyncClient, Client, Cookie, asgi, visit_of, visits, wsgi

DEVICE = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"


def asked(app: Any, environ: dict[str, Any], **options: Any) -> list[tuple[str, str]]:
    """Return the headers of the answer to a request."""
    found: list[tuple[str, str]] = []
    client = options.pop("client", None) or Client(Resolver(), "shop")
    wsgi.VisitMiddleware(app, client, **options)(environ, lambda _, headers: found.extend(headers))
    return found


def view(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    visit_of(environ).track("Viewed page")
    start_response("200 OK", [])
    return []


def idle(_: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return []


def test_a_question_for_consent_that_fails_is_a_no_and_leaves_the_page_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: object) -> bool:
        raise KeyError("session")

    client = Client(resolver := Resolver(), "shop")
    assert asked(view, {}, consent=fail, client=client) == []
    assert len(resolver) == 0
    assert "consent= failed" in caplog.text


def test_consent_is_asked_where_the_application_is_and_only_if_it_matters() -> None:
    is_inside = False
    answers: list[bool] = []

    def consent(_: object) -> bool:
        answers.append(is_inside)
        return True

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        nonlocal is_inside
        is_inside = True
        return view(environ, start_response)

    asked(idle, {}, consent=consent)
    assert answers == []
    asked(app, {}, consent=consent)
    assert answers == [True]


@pytest.mark.parametrize("app", [idle, view])
@pytest.mark.parametrize("value", ["x", DEVICE, "x" * 1000, ""])
def test_without_consent_a_cookie_of_any_content_is_removed(app: Any, value: str) -> None:
    [(name, header)] = asked(app, {"HTTP_COOKIE": f"idmerge_device={value}"}, consent=lambda _: False)
    assert name == "Set-Cookie"
    assert "Max-Age=0" in header


def test_without_consent_a_merge_is_not_sent_either() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert not visit_of(environ).merge("ana", "ben")
        return idle(environ, start_response)

    client = Client(resolver := Resolver(), "shop")
    asked(app, {}, consent=lambda _: False, client=client)
    assert len(resolver) == 0


@pytest.mark.parametrize("name", ["path", "Domain", "expires", "HttpOnly"])
def test_a_cookie_with_the_name_of_an_attribute_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot have the name"):
        Cookie(name=name)


@pytest.mark.parametrize(
    ("caching", "is_shared"),
    [
        ("", False),
        ("max-age=600", True),
        ('Max-Age = "600"', True),
        ("max-age=600, private", False),
        ("max-age=600, no-cache", False),
        ("max-age=0, must-revalidate", False),
        ("max-age=soon", True),
        ("no-store", False),
        ("private, s-maxage=9", True),
    ],
)
def test_a_cache_may_share_what_has_an_age_and_is_not_private(caching: str, *, is_shared: bool) -> None:
    assert visits.is_shared(caching) == is_shared


def test_a_visit_does_not_keep_its_request() -> None:
    class Request(dict[str, Any]):
        __slots__ = ("__weakref__",)

    gc.collect()
    gc.disable()
    try:
        for options in ({}, {"user": lambda _: "ana"}, {"consent": lambda _: True}):
            asked(view, Request(), **options)
            assert not [found for found in gc.get_objects() if type(found) is Request], options
        asked(idle, Request())
        assert not [found for found in gc.get_objects() if type(found) is Request]
    finally:
        gc.enable()


def test_what_the_application_keeps_in_its_state_is_seen_by_middleware_around() -> None:
    state: dict[str, Any] = {"pool": 1}
    sent: list[Any] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        scope["state"]["answered"] = True
        headers = (pair for pair in [(b"x", b"y")])
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(message: Any) -> None:
        sent.append([*message["headers"]])

    middleware = asgi.VisitMiddleware(app, AsyncClient(Resolver(), "shop"))
    asyncio.run(middleware({"type": "http", "headers": [], "state": state}, None, send))  # type: ignore[arg-type]
    assert state["answered"]
    assert sent == [[(b"x", b"y")]], "headers may come from a generator"
