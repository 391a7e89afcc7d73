"""The same small shop in four frameworks, each with the middleware and the framework's sessions.

Each page is counted on the server and has mixpanel-browser; ``/login?user=ana`` and
``/logout?reset=1`` begin and end a session. ``/`` is ``/login`` of nobody.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from idmerge.client import AsyncClient, Client, Visit, asgi, visit_of, wsgi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping
    from pathlib import Path

PAGE = '<!doctype html><title>Shop</title><link rel="icon" href="data:,"><script src="/mixpanel.js"></script>'
SECRET = "of a test"  # noqa: S105 - it is
KINDS = ["starlette", "fastapi", "flask", "django-wsgi", "django-asgi"]


def visited(path: str, query: str, visit: Visit, session: MutableMapping[str, Any]) -> str:
    """Do what a page does; return its text."""
    given = {name: values[0] for name, values in parse_qs(query).items()}
    if path == "/login":
        visit.login(given["user"])
        session["user"] = given["user"]
    if path == "/logout":
        visit.logout(reset="reset" in given)
        session.pop("user", None)
    visit.track(f"Viewed {path}")
    return PAGE


def starlette_app(client: Any, script: bytes) -> Any:
    applications = pytest.importorskip("starlette.applications")
    from starlette.middleware import Middleware
    from starlette.middleware.sessions import SessionMiddleware
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import Route

    async def page(request: Any) -> Any:
        visit = request.state.visit
        assert visit is visit_of(request)
        return HTMLResponse(visited(request.url.path, request.url.query, visit, request.session))

    async def sdk(_: Any) -> Any:
        return Response(script, media_type="text/javascript")

    return applications.Starlette(
        routes=[Route("/mixpanel.js", sdk), Route("/{rest:path}", page)],
        middleware=[
            Middleware(asgi.VisitMiddleware, client=client, user=lambda scope: scope["session"].get("user")),
            Middleware(SessionMiddleware, secret_key=SECRET),
        ],
    )


def fastapi_app(client: Any, script: bytes) -> Any:
    fastapi = pytest.importorskip("fastapi")
    from fastapi.responses import HTMLResponse, Response
    from starlette.middleware.sessions import SessionMiddleware

    app = fastapi.FastAPI()

    def page(request: Any) -> Any:
        visit = visit_of(request)
        return HTMLResponse(visited(request.url.path, request.url.query, visit, request.session))

    page.__annotations__["request"] = fastapi.Request  # Its annotations are looked up by name.
    page.__annotations__.pop("return")
    app.get("/mixpanel.js")(lambda: Response(script, media_type="text/javascript"))
    app.get("/{rest:path}")(page)
    app.add_middleware(asgi.VisitMiddleware, client=client, user=lambda scope: scope["session"].get("user"))
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    return app


def flask_app(client: Any, script: bytes) -> Any:
    flask = pytest.importorskip("flask")
    app = flask.Flask("shop")
    app.secret_key = SECRET

    @app.get("/mixpanel.js")
    def sdk() -> Any:
        return flask.Response(script, mimetype="text/javascript")

    @app.get("/")
    @app.get("/<path:rest>")
    def page(rest: str = "") -> str:
        request = flask.request
        return visited(f"/{rest}", request.query_string.decode(), visit_of(request), flask.session)

    app.wsgi_app = wsgi.VisitMiddleware(app.wsgi_app, client, user=lambda _: flask.session.get("user"))
    return app


def _django(script: bytes) -> None:
    """Set Django up for this process: its settings cannot be set twice."""
    pytest.importorskip("django")
    import django
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import path, re_path

    urls = sys.modules.setdefault("shop_urls", ModuleType("shop_urls"))

    def page(request: Any) -> Any:
        session = request.session
        query = request.META["QUERY_STRING"]
        return HttpResponse(visited(request.path, query, visit_of(request), session))

    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("mixpanel.js", lambda _: HttpResponse(urls.script, content_type="text/javascript")),
        re_path(".*", page),
    ]
    urls.logged_in = logged_in  # type: ignore[attr-defined]
    urls.script = script  # type: ignore[attr-defined]
    if not settings.configured:
        settings.configure(
            SECRET_KEY=SECRET,
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF="shop_urls",
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
            MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "shop_urls.logged_in"],
        )
        django.setup()


def logged_in(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Say who is logged in, as a middleware of Django."""

    def answer(request: Any) -> Any:
        if "user" in request.session:
            visit_of(request).login(request.session["user"])
        return get_response(request)

    return answer


@contextmanager
def shop(kind: str, url: str, token: str, script: Path) -> Iterator[str]:
    """Run the shop in a framework, and its client to a server; yield the shop's address."""
    is_asgi = kind not in {"flask", "django-wsgi"}
    client: Any = AsyncClient(url, token) if is_asgi else Client(url, token)
    content = script.read_bytes()
    if kind.startswith("django"):
        _django(content)
        from django.core.handlers.asgi import ASGIHandler
        from django.core.handlers.wsgi import WSGIHandler

        app = (
            asgi.VisitMiddleware(ASGIHandler(), client)
            if is_asgi
            else wsgi.VisitMiddleware(WSGIHandler(), client)
        )
    else:
        app = {"starlette": starlette_app, "fastapi": fastapi_app, "flask": flask_app}[kind](client, content)
    with (_on_uvicorn if is_asgi else _on_wsgiref)(app) as address:
        yield address
    assert client._target.close(60)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _on_wsgiref(app: Any) -> Iterator[str]:
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def _on_uvicorn(app: Any) -> Iterator[str]:
    uvicorn = pytest.importorskip("uvicorn")
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
