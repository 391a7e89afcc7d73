"""``idmerge serve``: a server that takes events over HTTP and keeps who is who."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from idmerge._naming import named
from idmerge.cli.check_ups import check_up_of
from idmerge.cli.messages import give, is_quiet, labelled, print_lines, tell, tell_note
from idmerge.cli.options import is_given
from idmerge.cli.progress import working
from idmerge.cli.sections import command
from idmerge.errors import LogError

if TYPE_CHECKING:
    from collections.abc import Callable

    from idmerge.server.server import Server

_PYTHON_URLS = (("events", "track"), ("people", "engage"), ("groups", "groups"), ("import", "import"))


@command(
    short_help="Take events over HTTP and keep who is who.",
    help="""
    Take events over HTTP, keep them in the directory DIR, and apply their links to a journal there.

    A first start makes DIR with one project, whose token and secret are in DIR/idmerge.toml. What is
    acknowledged is on disk. SIGTERM or Ctrl-C ends the server when all of it is applied; meanwhile
    requests are answered with 503.

    docs/serve.md says which requests are answered, and what DIR holds.

    \b
    Example:
      idmerge serve shop
      idmerge serve shop --port 0 --grace 10
    """,
)
@click.argument("directory", type=click.Path(file_okay=False), metavar="DIR")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8123,
    show_default=True,
    help="The port to listen at; 0 takes a free one.",
)
@click.option(
    "--fd",
    type=click.IntRange(min=0),
    metavar="N",
    help="Listen at the socket that was handed in as file descriptor N, in place of --host and --port.",
)
@click.option(
    "--seal-after",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds after which events are written to Parquet, however few they are.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Most seconds from a signal to the end.",
)
def serve(  # noqa: PLR0913 - click hands over each option
    *, directory: str, host: str, port: int, fd: int | None, seal_after: float, grace: float
) -> None:
    """Answer requests until a signal comes; the help says more."""
    from idmerge.server.app import App  # noqa: PLC0415
    from idmerge.server.http import serving  # noqa: PLC0415 - the help needs no server
    from idmerge.server.inspector.served import inspector_of  # noqa: PLC0415
    from idmerge.server.server import Server as Opened  # noqa: PLC0415

    if fd is not None and (is_given("host") or is_given("port")):
        raise click.UsageError("--fd hands in a socket that has its address; leave out --host and --port")
    serving.check_installed()
    listener = serving.bound(host, port) if fd is None else serving.handed_in(fd)
    url = serving.url_of(listener)
    with listener, ExitStack() as stack:
        with working("opening"):
            server = stack.enter_context(Opened(directory, seal_after=seal_after, on_failure=_warner()))
        _tell_state(server, url)
        is_applied = serving.serve(
            server,
            App(server, server.routes, inspector=inspector_of(server, partial(check_up_of, directory))),
            listener,
            grace=grace,
            on_started=lambda: _tell_url(directory, url),
        )
        lag = server.pipeline.lag()
    if not is_applied:
        why = f": {server.pipeline.failure}" if server.pipeline.failure else ""
        raise LogError(
            f"{lag.bytes:,} bytes of the log were not applied within {grace:g} seconds{why}; they are on "
            "disk, and the next start applies them"
        )


def _warner() -> Callable[[str], None]:
    """Return what prints a warning from any thread, which does not see the command's options."""
    quiet = is_quiet()
    return lambda text: None if quiet else tell(text, "warning")


def _tell_url(directory: str, url: str) -> None:
    """Print where requests are answered."""
    give({"url": url, "directory": directory}, [f"listening on {url}"])


def _settings_of_clients(url: str, token: str) -> list[tuple[str, str]]:
    """Return how each client is told to send to this server; docs/serve.md has more of them."""
    paths = ", ".join(f'{part}_url="{url}/{path}"' for part, path in _PYTHON_URLS)
    at = urlsplit(url)  # Without host and port for a Unix socket, which no client reaches by itself.
    return [
        ("browser", f'mixpanel.init("{token}", {{api_host: "{url}"}})'),
        ("mobile", f'serverURL = "{url}", with the token {token}'),
        ("Node", f'Mixpanel.init("{token}", {{host: "{at.hostname}", port: {at.port}, protocol: "http"}})'),
        ("Python", f'Mixpanel("{token}", consumer=Consumer({paths}))'),
        ("Segment", f'host "{url}", with the token {token} as write key'),
        ("RudderStack", f'dataPlaneUrl "{url}", with the token {token} as write key'),
    ]


def _tell_state(server: Server, url: str) -> None:
    """Print how to use a new server, and what its owner must know."""
    directory = server.directory
    if directory.is_new:
        tell(f"project {directory.projects[0].name} made in {named(directory.settings)}")
        tell("clients are told to send to it:")
        for client, setting in _settings_of_clients(url, directory.projects[0].token):
            print_lines([labelled(client, setting)], err=True)
        tell(f"reading needs its secret, which is in {named(directory.settings)}; pages are at {url}/")
    if directory.others_can_read:
        tell(
            f"other users can read the secrets in {named(directory.settings)}; make it yours alone: "
            f"chmod 600 {named(directory.settings)}",
            "warning",
        )
    if server.log.cut:
        tell_note(
            f"the log was torn by a crash: {server.log.cut:,} bytes, never acknowledged, are cut off its end"
        )
